package suites

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// passwordRules is the group password of the catalogue.
var passwordRules = []Rule{
	{
		ID:    "password.happy-path",
		Title: "Issues a token for valid user and client credentials",
		Group: "password",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.3.3, §5.1",
		Editions: AllEditions,
		Summary:  "A valid and authorized password-grant request yields an access token.",
		Why:      "Users with a right password cannot sign in.",
		Applies:  Applies{Grants: []string{"password"}, When: "server offers the grant"},
		Requires: []string{"request.form-accepted"},
		Probe:    "grant_type=password with client authentication, username and password of the fixture user.",
		Expect:   "ok.",
		Fault:    "Answers the valid request with 400 invalid_grant.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			c.happyPath("password")
		},
	},
	{
		ID:    "password.not-offered",
		Title: "The password grant is not offered",
		Group: "password",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 9700 §2.4; absent from draft-ietf-oauth-v2-1-15",
		Editions: BCP | OAuth21,
		Summary:  "Current security practice forbids the password grant and OAuth 2.1 no longer defines it.",
		Why:      "Applications see and can leak the passwords of their users, and a second factor is impossible.",
		Requires: []string{"request.unknown-grant-type"},
		Probe:    "grant_type=password with syntactically valid but meaningless user credentials and valid client authentication.",
		Expect:   "refused with unsupported_grant_type or unauthorized_client.",
		Tolerates: []string{
			"Never evaluated under the oauth20 edition; when the contract documents the grant the result is a standing advisory, not a defect of this run.",
		},
		Fault:   "The grant is processed: invalid_grant for the bogus user shows it is live.",
		Effects: []Effect{BadUserCredentials}, AsksItself: true,
		Provokes: []string{"unknown_grant", "unauthorized_client"},
		Check: func(c *Case) {
			if c.Documents("password") {
				c.PageSays("the page documents the password grant")
				c.Violate(nil, "grant_type=password refused with unsupported_grant_type", "a contract that documents the grant")
			}
			c.NeedsConsent(BadUserCredentials)
			req := c.Dummy()
			if !req.Has("grant_type") {
				c.NotApplicable("the documented request has no grant_type")
			}
			for _, part := range req.GrantParts() {
				if part != "grant_type" && part != "scope" {
					req = req.Drop(part)
				}
			}
			s := c.Probe(Step(req.Set("grant_type", "password").Set("username", c.Nonce()).Set("password", c.Nonce()), "password grant for a user who does not exist"))
			c.Expect(s).To(BeRefused())
			c.rely(s)
			codes := []string{"unsupported_grant_type", "unauthorized_client"}
			for _, unknown := range c.AnswersOf("request.unknown-grant-type") {
				if !slices.Contains(codes, unknown.Code()) {
					codes = append(codes, unknown.Code())
				}
			}
			if slices.Contains([]string{"", "invalid_request", "invalid_client", "access_denied"}, s.Code()) && !slices.Contains(codes, s.Code()) {
				c.Note("the password grant is refused with %s, which does not tell whether it is offered", s.Came())
				return
			}
			c.ExpectCode(s, codes...)
		},
	},
	{
		ID:    "password.wrong-password-refused",
		Title: "Refuses a wrong user password",
		Group: "password",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.3.2",
		Editions: AllEditions,
		Summary:  "The resource owner credentials have to be validated.",
		Why:      "Strangers sign in as a user.",
		Applies:  Applies{Grants: []string{"password"}},
		Requires: []string{"password.happy-path"},
		Probe:    "Golden request with a random password. One attempt per run to stay clear of lock-out.",
		Expect:   "refused.",
		Tolerates: []string{
			"Any 4xx; the code is judged by password.invalid-grant-code.",
		},
		Fault:    "Password is not checked for known users.",
		Effects:  []Effect{BadUserCredentials, LockoutRisk},
		Provokes: []string{"wrong_password"},
		Alone:    true,
		Check: func(c *Case) {
			req := c.userRequest()
			c.ExpectRefused(c.Probe(Step(req.Set("password", c.Target().RandomLike(req.Get("password"))), "a random password")))
		},
	},
	{
		ID:    "password.unknown-user-refused",
		Title: "Refuses an unknown user",
		Group: "password",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.3.2",
		Editions: AllEditions,
		Summary:  "See password.wrong-password-refused.",
		Why:      "Strangers sign in as a user.",
		Applies:  Applies{Grants: []string{"password"}},
		Requires: []string{"password.happy-path"},
		Probe:    "Golden request with a random username and password.",
		Expect:   "refused.",
		Fault:    "Unknown users are created on first login.",
		Effects:  []Effect{BadUserCredentials},
		Provokes: []string{"unknown_user"},
		Check: func(c *Case) {
			req := c.GoldenFor("password")
			name := "grantcheck-" + c.Nonce()
			if _, domain, ok := strings.Cut(req.Get("username"), "@"); ok {
				name += "@" + domain
			}
			c.ExpectRefused(c.Probe(Step(req.Set("username", name).Set("password", c.Target().RandomLike(req.Get("password"))), "a user who does not exist")))
		},
	},
	{
		ID:    "password.invalid-grant-code",
		Title: "Reports bad user credentials as 400 invalid_grant",
		Group: "password",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "Invalid resource owner credentials belong to invalid_grant, and nothing in the error section gives that code another status than 400.",
		Why:      "The application reports a broken client when the user has only mistyped a password.",
		Applies:  Applies{Grants: []string{"password"}},
		Requires: []string{"password.wrong-password-refused"},
		Probe:    "The answer to password.wrong-password-refused.",
		Expect:   "400 with error invalid_grant.",
		Tolerates: []string{
			"A contract deviation (for example documented 403) turns the standard verdict into \"deviates as documented\"; 429 defers the probe.",
		},
		Fault:    "Answers 400 invalid_client for a wrong user password.",
		Effects:  []Effect{BadUserCredentials},
		Provokes: []string{"wrong_password"},
		Check: func(c *Case) {
			answers := c.AnswersOf("password.wrong-password-refused")
			c.Each(answers[max(0, len(answers)-1):], "no wrong password was sent", func(s *Sample) {
				c.Expect(s).To(HaveStatus(400))
				c.ExpectCode(s, "invalid_grant")
			})
		},
	},
	{
		ID:    "password.missing-username",
		Title: "Refuses a password request without username as invalid_request",
		Group: "password",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:       "RFC 6749 §4.3.2, §5.2",
		Editions:     AllEditions,
		Summary:      "username is mandatory; its absence is a missing required parameter.",
		Why:          "Strangers sign in as a user.",
		Applies:      Applies{Grants: []string{"password"}},
		Requires:     []string{"password.happy-path"},
		Probe:        "Golden request without username.",
		Expect:       "refused; error invalid_request or invalid_grant.",
		StrictExpect: "error invalid_request.",
		Tolerates: []string{
			"invalid_grant (note).",
		},
		Fault:    "Logs in the user whose password matches, without a username.",
		Provokes: []string{"missing_parameter"},
		Check: func(c *Case) {
			c.missingCredential("username")
		},
	},
	{
		ID:    "password.missing-password",
		Title: "Refuses a password request without password as invalid_request",
		Group: "password",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:       "RFC 6749 §4.3.2, §5.2",
		Editions:     AllEditions,
		Summary:      "password is mandatory; its absence is a missing required parameter.",
		Why:          "Strangers sign in as a user.",
		Applies:      Applies{Grants: []string{"password"}},
		Requires:     []string{"password.happy-path"},
		Probe:        "Golden request without password.",
		Expect:       "refused; error invalid_request or invalid_grant.",
		StrictExpect: "error invalid_request.",
		Tolerates: []string{
			"invalid_grant (note).",
		},
		Fault:    "Skips the password check when the parameter is absent.",
		Effects:  []Effect{LockoutRisk},
		Provokes: []string{"missing_parameter"},
		Check: func(c *Case) {
			c.missingCredential("password")
		},
	},
	{
		ID:    "password.empty-password",
		Title: "Treats an empty password as not sent",
		Group: "password",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2",
		Editions: AllEditions,
		Summary:  "A valueless parameter counts as omitted.",
		Why:      "Strangers sign in as a user.",
		Applies:  Applies{Grants: []string{"password"}},
		Requires: []string{"password.missing-password"},
		Probe:    "Golden request with \"password=\".",
		Expect:   "refused.",
		Fault:    "Empty password performs an anonymous directory bind and succeeds.",
		Effects:  []Effect{BadUserCredentials, LockoutRisk},
		Provokes: []string{"missing_parameter", "wrong_password"},
		Alone:    true,
		Check: func(c *Case) {
			c.ExpectRefused(c.Probe(Step(c.userRequest().Set("password", ""), "password without a value"), About("password")))
		},
	},
	{
		ID:    "password.client-auth-enforced",
		Title: "Authenticates the client even when the user credentials are right",
		Group: "password",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.3.2",
		Editions: AllEditions,
		Summary:  "Confidential clients have to be authenticated, and included client credentials have to be checked.",
		Why:      "Anyone who knows a client identifier can get tokens in its name.",
		Applies:  Applies{Grants: []string{"password"}, Auth: []string{"basic", "post"}},
		Requires: []string{"password.happy-path", "client-auth.wrong-secret-refused"},
		Probe:    "Golden request with a wrong client secret and correct user credentials.",
		Expect:   "refused.",
		Fault:    "Only the user credentials are verified.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"wrong_secret"},
		Check: func(c *Case) {
			g, _ := c.run.grantOf("password")
			for _, s := range c.AnswersOf("client-auth.wrong-secret-refused") {
				if s.grant == g.Key {
					c.ExpectRefused(s) // the same request
					return
				}
			}
			p := c.run.pairFor("password", "")
			if p.auth != "basic" && p.auth != "post" {
				c.NotApplicable("the client of the password grant authenticates by %s", p.auth)
			}
			req := c.goldenOf(p, "")
			c.ExpectRefused(c.Probe(Step(req.Secret(c.WrongSecret(req)), "a wrong client secret with the right user credentials")))
		},
	},
	{
		ID:    "password.utf8-credentials",
		Title: "Decodes user names and passwords as UTF-8",
		Group: "password",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.3.2, Appendix A.15, A.16, B",
		Editions: AllEditions,
		Summary:  "User credentials may contain any Unicode character except line breaks and are encoded in UTF-8.",
		Why:      "Users with a right password cannot sign in.",
		Applies:  Applies{Grants: []string{"password"}, When: "fixture user with a non-ASCII name or password supplied"},
		Requires: []string{"password.happy-path"},
		Probe:    "Golden request for that user, percent-encoded UTF-8.",
		Expect:   "ok.",
		Fault:    "Decodes the body as Latin-1; the login fails.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			i := slices.IndexFunc(c.Target().Users(), func(u *contract.User) bool { return !ascii(u.UserName) || !ascii(u.Password) })
			if i < 0 {
				c.Needs("a user with a non-ASCII name or password")
			}
			req := func() exchange.Request {
				p := c.run.pairFor("password", "")
				return c.Build(p.grant, p.auth, exchange.Inputs{User: c.Target().Users()[i]})
			}
			s := c.Probe(Step(req(), "name and password in UTF-8"), Positive())
			if s.Answer.OK() {
				return
			}
			latin, ok := latin1(req())
			if !ok || !c.Probe(Step(latin, "name and password in Latin-1"), Provokes("wrong_password", "unknown_user")).Answer.OK() {
				c.look(s)
				c.Inconclusive("the login of the user with non-ASCII credentials was answered %s; the credentials in the contract may be wrong", s.Came())
			}
			c.Violate(s, "a token for credentials in UTF-8", s.Came()+", and a token for the same in Latin-1")
		},
	},
	{
		ID:    "password.brute-force-protection",
		Title: "Limits repeated wrong passwords",
		Group: "password",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Observe,
		Source:   "RFC 6749 §4.3.2",
		Editions: AllEditions,
		Summary:  "The endpoint has to be protected against guessing, for example by rate limits or alerts.",
		Why:      "Attackers can try passwords until one fits.",
		Applies:  Applies{Grants: []string{"password"}, When: "explicit opt-in with a sacrificial user"},
		Requires: []string{"password.wrong-password-refused"},
		Probe:    "N wrong passwords (default 20) for the sacrificial user, then the right one.",
		Expect:   "Observable change: 429, added delay, lock-out or challenge within N attempts.",
		Tolerates: []string{
			"Alerting is invisible from outside, so absence of a reaction is an observation, not a failure.",
		},
		Fault:    "No reaction whatever the number of wrong attempts.",
		Effects:  []Effect{BadUserCredentials, LockoutRisk, Burst},
		Alone:    true,
		Provokes: []string{"wrong_password"},
		Check: func(c *Case) {
			u := c.Target().UserNamed("sacrificial")
			if u == nil {
				c.Needs("a sacrificial user")
			}
			p := c.run.pairFor("password", "")
			right := func() exchange.Request { return c.Build(p.grant, p.auth, exchange.Inputs{User: u}) }
			before := c.Probe(Step(right(), "the right password"), Positive())
			if !before.Answer.OK() {
				c.look(before)
				c.Inconclusive("the sacrificial user cannot sign in: %s", before.Came())
			}
			var first *Sample
			for n := 1; n <= 20; n++ {
				s := c.Try(Step(right().Set("password", c.Target().RandomLike(u.Password)), "wrong password %d of 20", n), AsIs())
				if first == nil {
					first = s
				}
				switch {
				case s.Answer.OK():
					c.Violate(s, "a refusal of a wrong password", s.Came())
				case s.Answer.Throttled(), s.Err == nil && (s.Status != first.Status || s.Code() != first.Code()):
					c.Fact("brute-force", "Reaction to repeated wrong passwords", fmt.Sprintf("%s at attempt %d", s.Came(), n), s)
					return
				case s.Took > max(4*first.Took, first.Took+time.Second):
					c.Fact("brute-force", "Reaction to repeated wrong passwords", fmt.Sprintf("a delay of %s at attempt %d", s.Took.Round(100*time.Millisecond), n), s)
					return
				}
			}
			after := c.Try(Step(right(), "the right password after 20 wrong ones"), AsIs())
			if !after.Answer.OK() {
				c.Fact("brute-force", "Reaction to repeated wrong passwords", "the user is locked after 20 attempts: "+after.Came(), after)
				return
			}
			c.Violate(after, "a reaction within 20 wrong passwords: 429, a delay, a lock-out", "the same answer 20 times, and a token for the right password after them")
		},
	},
}

// userRequest is the golden request of the password grant for the user who may be locked out: the
// sacrificial one where there is one that can sign in, else the primary.
func (c *Case) userRequest() exchange.Request {
	u := c.Target().UserNamed("sacrificial")
	p := c.run.pairFor("password", "")
	if u == nil || p.grant == nil {
		return c.GoldenFor("password")
	}
	req := c.Build(p.grant, p.auth, exchange.Inputs{User: u})
	for _, s := range c.Answers(func(s *Sample) bool { return s.grant == p.grant.Key && s.Answer.OK() }) {
		if s.Request.Get("username") == u.UserName {
			return req
		}
	}
	if s := c.Probe(Step(req, "the sacrificial user"), Positive()); !s.Answer.OK() {
		c.look(s)
		c.Blocked("the sacrificial user cannot sign in: %s", s.Came())
	}
	return req
}

// missingCredential leaves one of the user's credentials out.
func (c *Case) missingCredential(part string) {
	s := c.Probe(Step(c.GoldenFor("password").Drop(part), "without %s", part), About(part))
	c.ExpectRefused(s)
	if !c.Tolerated(s, "invalid_grant", "a missing "+part+" is answered with invalid_grant, where the list of errors has invalid_request for a missing parameter") {
		c.ExpectCode(s, "invalid_request")
	}
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7e }) < 0
}

// latin1 encodes the user's credentials in Latin-1; ok is false where they do not fit.
func latin1(req exchange.Request) (out exchange.Request, ok bool) {
	for _, part := range []string{"username", "password"} {
		var b []byte
		for _, r := range req.Get(part) {
			if r > 0xff {
				return req, false
			}
			b = append(b, byte(r))
		}
		req = req.Set(part, string(b))
	}
	return req, req.Format() == exchange.FormType
}
