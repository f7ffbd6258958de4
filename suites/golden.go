package suites

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"grantcheck/report"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// The golden request and its relatives: by another method, for another client, with other scopes.

// ExpectAccepted is Expect(s).To(BeTokenResponse()) for a request that differs from the golden one
// in nothing that may matter. Where the golden request sent after it is not answered with a token
// either, nothing is decided.
func (c *Case) ExpectAccepted(s *Sample) {
	c.confirm(s)
	c.Expect(s).To(BeTokenResponse())
}

// confirm ends the check where an answer without a token proves nothing, because the golden
// request beside it does not bring one either.
func (c *Case) confirm(s *Sample) {
	if s.Answer.OK() {
		return
	}
	if why := c.run.controlOf(c.ctx, controlKey{grant: s.grant, client: s.client}); why != "" {
		c.look(s)
		panic(stop{verdict: report.Inconclusive, kind: report.Control, reason: why})
	}
}

// GoldenBy is Golden for a rule about some client authentication methods: the golden request that
// uses one of them, documented or found to work.
func (c *Case) GoldenBy(methods ...string) exchange.Request {
	return c.goldenOf(c.pairBy(methods), "")
}

// pairBy finds a golden request that authenticates by one of methods.
func (c *Case) pairBy(methods []string) pair {
	e := c.run
	if e.golden.grant == nil || slices.Contains(methods, e.golden.auth) {
		return e.golden
	}
	var candidates []pair
	for _, m := range methods {
		if p := (pair{e.golden.grant, m, e.golden.client}); e.answered(p) == answeredOK {
			return p
		}
	}
	for _, p := range e.candidates() {
		if slices.Contains(methods, p.auth) {
			candidates = append(candidates, p)
		}
	}
	slices.SortStableFunc(candidates, func(a, b pair) int { // those of the golden grant first
		return boolRank(a.grant != e.golden.grant) - boolRank(b.grant != e.golden.grant)
	})
	for _, p := range candidates {
		if e.answered(p) == notAsked {
			c.decided(e.try(c.ctx, c, p), probe{})
		}
		if e.answered(p) == answeredOK {
			return p
		}
	}
	if len(candidates) > 0 {
		c.Blocked("no golden request with client authentication by %s is answered with a token", strings.Join(methods, " or "))
	}
	c.NotApplicable("no documented grant authenticates its client by %s", strings.Join(methods, " or "))
	return pair{}
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// What came of the golden request of a pair.
const (
	notAsked = iota
	answeredOK
	answeredNo
)

func (e *engine) answered(p pair) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch ok, asked := e.works[p]; {
	case ok:
		return answeredOK
	case asked:
		return answeredNo
	}
	return notAsked
}

// Victim returns the golden request for probes with wrong client credentials: that of the
// sacrificial client where there is one, else of the primary. Methods narrow it as in GoldenBy.
func (c *Case) Victim(methods ...string) exchange.Request {
	p := c.run.golden
	if len(methods) > 0 {
		p = c.pairBy(methods)
	} else {
		methods = []string{p.auth}
	}
	f := c.Target().ClientNamed("sacrificial")
	if f == nil || p.grant == nil || consumes(p.grant) {
		return c.goldenOf(p, "")
	}
	for _, m := range append([]string{p.auth}, methods...) {
		q := pair{p.grant, m, f.Name}
		if !slices.Contains(c.Target().AuthMethods(p.grant, f), m) {
			continue
		}
		if c.run.answered(q) == notAsked {
			c.decided(c.run.try(c.ctx, c, q), probe{})
		}
		if c.run.answered(q) != answeredOK {
			c.Blocked("the golden request of the sacrificial client is not answered with a token")
		}
		return c.goldenOf(q, "")
	}
	return c.goldenOf(p, "")
}

// WrongSecret returns a secret of the same length and kinds of characters as that of the request.
func (c *Case) WrongSecret(req exchange.Request) string {
	_, secret := req.Credentials()
	return c.Target().RandomLike(secret)
}

// GoldenScoped is Golden asking for these scopes, in the way the page writes a list of them.
func (c *Case) GoldenScoped(scope ...string) exchange.Request {
	return c.scoped(c.run.golden, scope...)
}

func (c *Case) scoped(p pair, scope ...string) exchange.Request {
	req := c.goldenWith(p, "", exchange.Inputs{Scope: scope})
	if !slices.Equal(req.Scope(), scope) {
		req = req.Set("scope", strings.Join(scope, " "))
	}
	return req
}

// Dummy is the golden request with a made-up code or refresh token, so that sending it uses nothing
// up: for probes in which the grant does not come into play.
func (c *Case) Dummy() exchange.Request {
	p := c.run.golden
	if p.grant == nil {
		c.Blocked("there is no golden request")
	}
	req, err := c.Target().Request(p.grant, p.auth, exchange.Inputs{
		Client: c.Target().ClientNamed(p.client), Code: c.Nonce(), CodeVerifier: c.Target().Random(43), RefreshToken: c.Nonce(),
	})
	c.orNeed(err)
	return req
}

// documentedParam returns the page's entry for the parameter of a request that plays part.
func (c *Case) documentedParam(req exchange.Request, part string) (contract.Field, bool) {
	if req.Grant() == nil {
		return contract.Field{}, false
	}
	for _, f := range c.Target().Parameters(req.Grant()) {
		if f.Role() == part {
			return f, true
		}
	}
	return contract.Field{}, false
}

// nameOf returns what the page calls the parameter that plays part.
func (c *Case) nameOf(req exchange.Request, part string) string {
	if f, ok := c.documentedParam(req, part); ok {
		return f.Name
	}
	return part
}

// formOnly ends a check about form encoding where the page documents another request.
func (c *Case) formOnly() {
	if format := c.Dummy().Format(); format != exchange.FormType {
		c.NotApplicable("the page documents %s requests, and the rule is about form encoding", format)
	}
}

// happyPath is the golden request of a grant: one answer with a token by any documented client
// authentication method. What preflight or another rule has sent already is not sent again.
func (c *Case) happyPath(grantType string) {
	g, ok := c.run.grantOf(grantType)
	if !ok {
		c.NotApplicable("the contract documents no %s grant", grantType)
	}
	client := c.Target().ClientOf(g)
	var first *Sample
	for _, auth := range c.Target().AuthMethods(g, client) {
		p := pair{g, auth, client.Name}
		s := c.goldenAnswer(p)
		if s == nil {
			s = c.run.try(c.ctx, c, p)
			c.decided(s, probe{})
		}
		if s.Answer.OK() {
			c.look(s)
			return
		}
		if first == nil {
			first = s
		}
	}
	c.Expect(first).To(BeTokenResponse())
}

// goldenAnswer returns an answer to the golden request of a pair: one with a token if there is any.
func (c *Case) goldenAnswer(p pair) (found *Sample) {
	for _, s := range c.Answers(func(s *Sample) bool {
		return s.Golden && s.Endpoint == tokenEndpoint && s.grant == p.grant.Key && s.auth == p.auth && s.client == p.client && s.Answer.Inconclusive() == ""
	}) {
		if found == nil || s.Answer.OK() && !found.Answer.OK() {
			found = s
		}
	}
	return found
}

// speaksOAuth reports whether a refusal is the word of a token endpoint: its code is one of the
// standard's, or the page documents the answer.
func (c *Case) speaksOAuth(s *Sample) bool {
	switch s.Code() {
	case "":
		return false
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
		"invalid_target", "invalid_dpop_proof", "access_denied", "server_error", "temporarily_unavailable":
		return true
	}
	return slices.ContainsFunc(c.Contract().Errors, func(row contract.ErrorRow) bool { return codeFits(row.Code, s.Code()) })
}

// belowFault succeeds for an answer below 500.
func belowFault() answerMatcher {
	return answerMatcher{about: aboutStatus, expected: "a status below 500", match: func(s *Sample) bool { return s.Status < 500 }}
}

// https ends a check about TLS where the endpoint is reached without.
func (c *Case) https() *url.URL {
	u, err := url.Parse(c.Target().TokenURL(nil))
	if err != nil || u.Scheme != "https" {
		c.NotApplicable("the endpoint is not reached over https")
	}
	return u
}

// handshake tries a TLS handshake; what does not get as far as one decides nothing.
func (c *Case) handshake(opt exchange.HandshakeOptions) exchange.Handshake {
	h := c.run.client.Handshake(c.ctx, opt)
	switch {
	case h.OK:
	case !h.Reached:
		panic(stop{verdict: report.Inconclusive, kind: report.Unreachable, reason: fmt.Sprintf("no connection for a TLS handshake: %s", h.ErrKind)})
	case h.ErrKind == exchange.ErrTimeout:
		panic(stop{verdict: report.Inconclusive, kind: report.Unreachable, reason: "a TLS handshake was not answered in time"})
	}
	return h
}
