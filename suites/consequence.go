package suites

import (
	"errors"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// What became of a token, and what it is good for: as introspection or a protected resource tell.

// spread is how long a revocation may take to reach every place that knows the token.
const spread = 30 * time.Second

// observable ends the check unless an endpoint can tell whether a token lives.
func (c *Case) observable() {
	if c.Target().IntrospectionURL() == "" && c.Target().ResourceURL() == "" {
		c.Needs("an introspection endpoint or a protected resource")
	}
}

// askAbout asks whether a token lives: at introspection, or else at the protected resource.
func (c *Case) askAbout(token string) *Sample {
	if c.Target().IntrospectionURL() != "" {
		return c.manage(c.introspection(token), "introspection")
	}
	return c.Probe(c.Target().Resource(token), Positive(), At("resource"))
}

// introspection is a request to introspect a token, with the documented credentials.
func (c *Case) introspection(token string) exchange.Request {
	if c.Target().IntrospectionURL() == "" {
		c.lacks("introspection", "an introspection endpoint")
	}
	req, err := c.Target().Introspection(token, nil)
	c.orNeed(err)
	return c.known(req, "introspection")
}

// visible mints an access token that introspection may tell its caller about: one of the caller's
// own, where a grant of the contract issues it any (RFC 7662 §2.2, §4).
func (c *Case) visible() (token string, from *Sample) {
	if c.Target().IntrospectionURL() == "" {
		return c.AccessToken("")
	}
	caller := c.introspection(c.Nonce()).Client()
	own := func(client string) bool {
		f := c.Target().ClientNamed(client)
		return f != nil && f.ID == caller.ID
	}
	if own(c.run.golden.client) {
		return c.AccessToken("")
	}
	for _, p := range c.run.candidates() {
		if !own(p.client) || exchange.GrantType(p.grant) == "refresh_token" || c.run.answered(p) == answeredNo {
			continue
		}
		if s, _ := c.run.tryQuietly(c.ctx, p); s != nil && s.Answer.OK() {
			return s.Answer.Text("access_token"), s
		}
	}
	return c.AccessToken("")
}

// revocation is a request to revoke a token as the client that it was issued to in the answer from,
// unless the contract has credentials of its own for it.
func (c *Case) revocation(token string, from *Sample) exchange.Request {
	p := c.Contract().Revocation
	if c.Target().RevocationURL() == "" {
		c.lacks("revocation", "a revocation endpoint")
	}
	var owner *contract.Client
	if from != nil && p.Client == nil {
		owner = from.Request.Client()
	}
	req, err := c.Target().Revocation(token, owner)
	c.orNeed(err)
	c.run.supply.forget()
	return c.known(req, "revocation")
}

// known authenticates a request as has worked before: at its own endpoint, or else in the golden request.
func (c *Case) known(req exchange.Request, endpoint string) exchange.Request {
	method := ""
	for _, s := range c.Answers(func(s *Sample) bool {
		return s.Status/100 == 2 && s.Request.Client() == req.Client() && (s.Endpoint == endpoint || s.Golden && s.Answer.OK())
	}) {
		if s.Endpoint == endpoint && len(s.Provoked) == 0 || method == "" {
			method = s.auth
		}
	}
	if method == "" || method == req.AuthMethod() || !slices.Contains(c.Target().AuthMethods(nil, req.Client()), method) {
		return req
	}
	return req.Auth(method)
}

// manage sends a request to the introspection or revocation endpoint. Credentials that it refuses
// are tried again by the other documented methods: each endpoint may have its own.
func (c *Case) manage(req exchange.Request, endpoint string) *Sample {
	s := c.Probe(req, Positive(), At(endpoint))
	if s.Status != 401 {
		return s
	}
	for _, method := range c.Target().AuthMethods(nil, req.Client()) {
		if method == req.AuthMethod() {
			continue
		}
		if again := c.Probe(req.Auth(method), Positive(), At(endpoint)); again.Status != 401 {
			return again
		}
	}
	return s
}

// discerning ends the check where the protected resource, asked about tokens, takes any token at all.
func (c *Case) discerning() {
	if c.Target().IntrospectionURL() != "" {
		return
	}
	for _, s := range c.AnswersOf("bearer.invalid-token-refused") {
		if s.Status/100 == 4 {
			return
		}
	}
	if ok, s := c.alive(c.Target().Random(40)); ok {
		c.look(s)
		c.Inconclusive("the protected resource takes a token that was never issued, so it tells of no token whether it lives")
	}
}

// tellsAlive reads the answer to askAbout; an answer that says neither ends the check.
func (c *Case) tellsAlive(s *Sample) bool {
	if s.Endpoint == "introspection" {
		active := s.Answer.Lenient().Get("active")
		if s.Status/100 != 2 || active.Kind == "" {
			c.look(s)
			c.Inconclusive("introspection answered %s, which does not tell whether the token is active", s.Came())
		}
		return active.Raw == "true"
	}
	switch {
	case s.Status == c.Contract().Resource.Expect, c.Contract().Resource.Expect == 0 && s.Status/100 == 2:
		return true
	case s.Status == 401, s.Status == 403, s.Status == 400:
		return false
	}
	c.look(s)
	c.Inconclusive("the protected resource answered %d, which does not tell whether the token is accepted", s.Status)
	return false
}

// alive reports whether a token lives, and the answer that says so.
func (c *Case) alive(token string) (bool, *Sample) {
	s := c.askAbout(token)
	return c.tellsAlive(s), s
}

// mustLive ends the check where a token just issued is not seen to live: nothing can be told of
// what becomes of it then.
func (c *Case) mustLive(token string) {
	if ok, s := c.alive(token); !ok {
		c.look(s)
		c.Inconclusive("a token just issued is not seen to live (%d), so nothing can be told of its end", s.Status)
	}
}

// dies waits until a token is seen dead, at most for the time a revocation may take to spread.
func (c *Case) dies(token string) (bool, *Sample) {
	s := c.Eventually(spread, func() *Sample { return c.askAbout(token) }, func(s *Sample) bool { return !c.tellsAlive(s) })
	return !c.tellsAlive(s), s
}

// selfContained reports whether only the resource could tell of the token's end, and the token
// carries its own truth: nobody can take it back everywhere.
func (c *Case) selfContained(token string) bool {
	_, _, jwt := jwtOf(token)
	return jwt && c.Target().IntrospectionURL() == ""
}

// granted returns the scope that an answer granted: as it says, as its JWT says, or as
// introspection says; ok is false when nobody tells.
func (c *Case) granted(s *Sample) (scope []string, ok bool) {
	if scope, ok = s.Answer.Scopes(); ok {
		return scope, true
	}
	token := s.Answer.Text("access_token")
	if _, claims, jwt := jwtOf(token); jwt {
		for _, name := range []string{"scope", "scp"} {
			if scope, ok = scopeOf(claims.Get(name)); ok {
				return scope, true
			}
		}
	}
	if c.Target().IntrospectionURL() == "" {
		return nil, false
	}
	told := c.manage(c.introspection(token), "introspection")
	return scopeOf(told.Answer.Lenient().Get("scope"))
}

// scopeOf reads a scope claim: a string of scopes, or an array of them.
func scopeOf(v exchange.Value) ([]string, bool) {
	switch v.Kind {
	case exchange.String:
		return strings.Fields(v.Text), true
	case exchange.Array:
		var out []string
		for _, item := range v.Items {
			out = append(out, item.Text)
		}
		return out, true
	}
	return nil, false
}

// sameScope compares two scopes as sets.
func sameScope(a, b []string) bool {
	return within(a, b) && within(b, a)
}

// within reports whether every scope of a is in b.
func within(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

// token ends the check unless the golden answer s carries a token.
func (c *Case) token(s *Sample) *Sample {
	if !s.Answer.OK() {
		c.look(s)
		c.Inconclusive("a golden request was not answered with a token, but with %s", s.Came())
	}
	return s
}

// authenticates ends the check unless a client fixture is seen to authenticate: by a token, or by
// an error that comes after authentication.
func (c *Case) authenticates(client string) *contract.Client {
	f := c.Fixture(client)
	for _, grantType := range []string{exchange.GrantType(c.run.golden.grant), "client_credentials", "authorization_code", "password"} {
		p := c.run.pairFor(grantType, client)
		if p.grant == nil || c.run.answered(p) == answeredNo || grantType == "refresh_token" {
			continue
		}
		if c.run.answered(p) == answeredOK {
			return f
		}
		s, _ := c.run.tryQuietly(c.ctx, p)
		if s != nil && (s.Answer.OK() || s.Code() == "unauthorized_client") {
			return f
		}
	}
	c.Blocked("%s is not seen to authenticate with any grant of the contract", fixtureNeed(client))
	return nil
}

// denied reports whether the authorization endpoint itself refused.
func denied(err error) bool {
	var d *exchange.DeniedError
	return errors.As(err, &d)
}
