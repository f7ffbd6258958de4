package suites

import (
	"fmt"
	"slices"
	"strings"

	"grantcheck/suites/exchange"
)

// Sample is one answered request of a run, with what the engine knows about it.
type Sample struct {
	*exchange.Exchange
	Answer   *exchange.Answer
	Endpoint string   // token, or what Purpose says of any other: resource, metadata, jwks, revocation, introspection, ...
	Rule     string   // whose probe it was; "" for preflight and controls
	Golden   bool     // the documented request, unchanged in any way that could matter
	Provoked []string // conditions of the contract format that the request brought about
	Param    string   // the parameter a missing_parameter or invalid_parameter probe was about
	Nonce    string   // of the authorization request that a code came from, where one was sent

	grant, auth, client string
	number              int      // place in the run's exchanges
	authorized          []string // scope of the authorization request, where the request redeemed a code
	again               *Sample  // the answer when the same request was sent once more
}

// Grant returns the contract's key of the grant the request was for, "" for other endpoints.
func (s *Sample) Grant() string { return s.grant }

// AuthMethod returns the client authentication method of the request.
func (s *Sample) AuthMethod() string { return s.auth }

// ClientFixture names the client fixture of the request, "" for the primary client.
func (s *Sample) ClientFixture() string { return s.client }

// Code returns the error code of the answer, "" when none is readable.
func (s *Sample) Code() string {
	code, _ := s.Answer.ErrorCode()
	return code
}

// Is reports whether s answers a probe of one of these rules.
func (s *Sample) Is(rules ...string) bool { return slices.Contains(rules, s.Rule) }

func (s *Sample) situation() situation {
	return situation{conditions: s.Provoked, grant: s.grant, parameter: s.Param}
}

// Came says in a few words what the answer was: "401 invalid_client", "200 with a token".
func (s *Sample) Came() string {
	if s.Err != nil {
		return fmt.Sprintf("no answer (%s)", s.ErrKind)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d", s.Status)
	switch {
	case s.Answer.OK():
		b.WriteString(" with a token")
	case s.Code() != "":
		b.WriteString(" " + s.Code())
	case len(s.Body) == 0:
		b.WriteString(" with an empty body")
	}
	return b.String()
}
