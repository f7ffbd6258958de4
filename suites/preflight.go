package suites

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"grantcheck/report"
	"grantcheck/suites/exchange"
)

// Preflight finds the golden request and tells "your configuration is wrong"
// from "the server is wrong" before any verdict.

// candidates lists the pairs that may become the golden request: those that
// consume nothing first, a refresh before a code, else in the contract's order.
func (e *engine) candidates() []pair {
	var free, refresh, code []pair
	for i := range e.target.Contract.Grants {
		g := &e.target.Contract.Grants[i]
		if !e.enabled(g) {
			continue
		}
		for _, auth := range e.target.AuthMethods(g, e.target.ClientOf(g)) {
			p := pair{grant: g, auth: auth, client: e.target.ClientOf(g).Name}
			switch exchange.GrantType(g) {
			case "refresh_token":
				refresh = append(refresh, p)
			case "authorization_code":
				code = append(code, p)
			default:
				free = append(free, p)
			}
		}
	}
	return slices.Concat(free, refresh, code)
}

// pairFor returns the pair of a grant_type that works, or else its first documented one.
func (e *engine) pairFor(grantType, client string) pair {
	g, ok := e.grantOf(grantType)
	if !ok {
		return pair{}
	}
	f := e.target.ClientOf(g)
	if client != "" {
		if f = e.target.ClientNamed(client); f == nil {
			return pair{}
		}
	}
	methods := e.target.AuthMethods(g, f)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, auth := range methods {
		if p := (pair{grant: g, auth: auth, client: f.Name}); e.works[p] {
			return p
		}
	}
	if len(methods) == 0 {
		return pair{grant: g, client: f.Name}
	}
	return pair{grant: g, auth: methods[0], client: f.Name}
}

// refused reports whether the golden request of a pair was tried and not answered ok.
func (e *engine) refused(p pair) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	ok, tried := e.works[p]
	return tried && !ok
}

// try sends the golden request of a pair once in a run, and remembers how it went. A code that is no
// good is asked for again with PKCE, where nothing says whether the server demands it (RFC 9700 §2.1.1).
func (e *engine) try(ctx context.Context, c *Case, p pair) *Sample {
	ask := func() *Sample {
		req := e.supply.request(ctx, c, p, exchange.Inputs{Client: e.target.ClientNamed(p.client)})
		return e.send(ctx, c, req, probe{golden: true})
	}
	s := ask()
	if exchange.GrantType(p.grant) != "authorization_code" || s.Code() != "invalid_grant" && s.Code() != "invalid_request" ||
		s.Request.Has("code_verifier") || !e.supply.undocumentedPKCE() {
		return s
	}
	e.supply.demandPKCE(true)
	if again := ask(); again.Answer.OK() {
		return again
	}
	e.supply.demandPKCE(false)
	return s
}

// findGolden tries the documented grants and methods until one is answered
// with a token. It returns what went wrong where that is no fault of the server's.
func (e *engine) findGolden(ctx context.Context) (wrong []report.Preflight) {
	var answers []*Sample
	var missing []string
	for _, p := range e.candidates() {
		s, why := e.tryQuietly(ctx, p)
		switch {
		case s == nil:
			missing = append(missing, fmt.Sprintf("%s: %s", p.grant.Key, why))
			continue
		case s.Answer.OK():
			e.golden = p
			return nil
		}
		answers = append(answers, s)
		if e.isDown() != nil {
			break
		}
	}
	if ctx.Err() != nil {
		return nil // nothing is known to be wrong
	}
	return e.whatIsWrong(answers, missing)
}

// tryQuietly is try outside any check: what would end a check becomes a reason.
func (e *engine) tryQuietly(ctx context.Context, p pair) (s *Sample, why string) {
	defer func() {
		switch stopped := recover().(type) {
		case nil:
		case stop:
			s, why = nil, stopped.reason
		default:
			panic(stopped)
		}
	}()
	return e.try(ctx, nil, p), ""
}

// whatIsWrong reads the answers to golden requests none of which brought a
// token. Answers that speak of the client, the user or the scope are a matter of
// configuration; anything else is left to the rules.
func (e *engine) whatIsWrong(answers []*Sample, missing []string) []report.Preflight {
	name := e.target.Contract.Name
	one := func(kind report.ReasonKind, s *Sample, remedy, message string, args ...any) []report.Preflight {
		p := report.Preflight{Contract: name, Kind: kind, Message: fmt.Sprintf(message, args...), Remedy: remedy}
		if s != nil {
			p.Exchange = &s.number
		}
		return []report.Preflight{p}
	}
	if len(answers) == 0 {
		return one(report.Configuration, nil, "give the contract a grant it can use; grantcheck contract lint says what is missing",
			"no golden request can be built (%s)", strings.Join(missing, "; "))
	}
	all := func(holds func(*Sample) bool) bool {
		return !slices.ContainsFunc(answers, func(s *Sample) bool { return !holds(s) })
	}
	s := answers[0]
	url := e.target.TokenURL(nil)
	switch {
	case all(func(s *Sample) bool {
		return s.Err != nil && s.ErrKind != exchange.ErrTLS && s.ErrKind != exchange.ErrCertificate
	}):
		return one(report.Unreachable, s, "check the address, or give another with --url; --wait waits for it to come up",
			"%s gave no answer: %s", url, s.ErrText())
	case all(func(s *Sample) bool { return s.Err != nil }):
		if unknownAuthority(s.Err) {
			return one(report.Configuration, s, "name the certificate authority with --ca-file, or in the contract under transport.ca_file; if it is a public one, the server leaves out an intermediate certificate",
				"the certificate of %s is signed by an authority that is not trusted here: %s", url, s.ErrText())
		}
		return nil // the transport rules say what is wrong with it
	case all(func(s *Sample) bool { return s.Answer.Throttled() }):
		return one(report.Throttled, s, "wait for the limit to pass, or run with a lower --rate", "%s throttles every request: %s", url, s.Came())
	case all(func(s *Sample) bool { return s.Answer.Inconclusive() != "" }):
		return one(report.Unreachable, s, "try again when the endpoint is up; --wait waits for it", "%s is unavailable: %s", url, s.Came())
	case all(func(s *Sample) bool { return e.speaksOf(s, "invalid_client", "unknown_client", "wrong_secret") }):
		return one(report.Credentials, s, "check the client id and secret, and the method under client.auth; an id and its secret must belong together",
			"the client credentials were refused: %s", s.Came())
	case all(func(s *Sample) bool { return s.Code() == "unauthorized_client" }):
		return one(report.Configuration, s, "register the client for the grant, or take the grant out of the contract",
			"the client may not use the documented grant: %s", s.Came())
	case all(func(s *Sample) bool { return s.Code() == "invalid_scope" }):
		return one(report.Configuration, s, "set scopes.request in the contract to what this client may ask for", "the requested scope was refused: %s", s.Came())
	case all(func(s *Sample) bool {
		return userGrant(s) && e.speaksOf(s, "invalid_grant", "unknown_user", "wrong_password")
	}):
		return one(report.Credentials, s, "check the user name and password of the user fixture", "the user credentials were refused: %s", s.Came())
	}
	return nil
}

// unknownAuthority tells a certificate that chains to nothing trusted here from one that is wrong.
func unknownAuthority(err error) bool {
	var unknown x509.UnknownAuthorityError
	return errors.As(err, &unknown)
}

func userGrant(s *Sample) bool { return s.Answer != nil && s.grant == "password" }

// speaksOf reports whether a refusal is the standard's code, or what the page documents for a condition.
func (e *engine) speaksOf(s *Sample, code string, conditions ...string) bool {
	if s.Code() == code {
		return true
	}
	if s.Code() == "" && s.Status == 401 && code == "invalid_client" {
		return true
	}
	for _, row := range rowsFor(e.target.Contract, situation{conditions: conditions, grant: s.grant}) {
		if len(row.Status)+len(row.Code) > 0 && rowFits(row, s.Status, s.Code()) && s.Status != 400 {
			return true
		}
	}
	return false
}
