package suites

import (
	"slices"
	"strings"

	"grantcheck/suites/exchange"
)

// pkceRules is the group pkce of the catalogue.
var pkceRules = []Rule{
	{
		ID:    "pkce.happy-path",
		Title: "Accepts the right S256 code_verifier",
		Group: "pkce",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7636 §4.1, §4.2, §4.6",
		Editions: AllEditions,
		Summary:  "When the recomputed challenge equals the stored one, processing has to continue as normal.",
		Why:      "Nobody can finish signing in.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "server supports PKCE"},
		Requires: []string{"code.happy-path"},
		Probe:    "Authorization request with an S256 challenge; exchange with its verifier (43 characters) and, again, with a 128-character verifier using all unreserved characters.",
		Expect:   "ok, both.",
		Fault:    "Verifiers longer than 64 characters are refused.",
		Effects:  []Effect{ConsumesCode, MintsToken},
		Check: func(c *Case) {
			c.needPKCE()
			for _, v := range []string{c.Target().Verifier(43), "-._~" + c.Target().Verifier(124)} {
				s := c.Accepted(Step(c.Redeem(c.challenged("", v), ""), "a verifier of %d characters", len(v)))
				c.Expect(s).To(BeTokenResponse())
			}
		},
	},
	{
		ID:    "pkce.wrong-verifier-refused",
		Title: "Refuses a wrong code_verifier",
		Group: "pkce",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7636 §4.6",
		Editions: AllEditions,
		Summary:  "Unequal values have to end in an error.",
		Why:      "A stolen code can be redeemed without the proof that was meant to protect it.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "server supports PKCE"},
		Requires: []string{"pkce.happy-path"},
		Probe:    "Exchange with a different, well-formed verifier.",
		Expect:   "refused.",
		Fault:    "The verifier is stored but never compared.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"bad_verifier"},
		Check: func(c *Case) {
			c.needPKCE()
			req := c.Redeem(c.challenged("", ""), "").Set("code_verifier", c.Target().Verifier(43))
			c.ExpectRefused(c.Probe(Step(req, "another verifier")))
			for _, near := range []struct {
				what string
				to   func(challenge string) string
			}{
				{"a challenge that is another in its last characters", func(s string) string { return s[:40] + otherLetters(s[40:42]) + s[42:] }},
				{"a challenge that is another in letter case", exchange.SwapCase},
			} {
				granted, err := c.CodeRefused("", func(a *exchange.Authorization) {
					a.UsePKCE(c.Target().Verifier(43))
					a.Challenge = near.to(exchange.S256(a.Verifier))
				})
				if denied(err) {
					continue
				}
				c.orNeed(err)
				c.ExpectRefused(c.Probe(Step(c.Redeem(granted, ""), "a verifier for %s", near.what)))
			}
		},
	},
	{
		ID:    "pkce.wrong-verifier-code",
		Title: "Reports a wrong code_verifier as invalid_grant",
		Group: "pkce",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7636 §4.6",
		Editions: AllEditions,
		Summary:  "The clause names the code to use.",
		Why:      "Clients cannot tell a stale sign-in, which only needs a new start, from a fault of their own.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"pkce.wrong-verifier-refused"},
		Probe:    "The answer to pkce.wrong-verifier-refused.",
		Expect:   "error invalid_grant (the status is judged by error.status-400).",
		Fault:    "Answers 400 invalid_request for a mismatch of well-formed verifiers.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"bad_verifier"},
		Check: func(c *Case) {
			answers := slices.DeleteFunc(c.AnswersOf("pkce.wrong-verifier-refused"), func(s *Sample) bool { return s.Endpoint != tokenEndpoint })
			c.Each(answers, "no refusal of a wrong verifier was seen", func(s *Sample) {
				c.ExpectCode(s, "invalid_grant")
			})
		},
	},
	{
		ID:    "pkce.missing-verifier-refused",
		Title: "Requires code_verifier when a challenge was sent",
		Group: "pkce",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9700 §2.1.1; RFC 7636 §4.4, §4.5",
		Editions: AllEditions,
		Summary:  "A challenge in the authorization request makes the verifier mandatory at the exchange.",
		Why:      "A stolen code can be redeemed without the proof that was meant to protect it.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"pkce.happy-path"},
		Probe:    "Authorization request with an S256 challenge; exchange without code_verifier.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_grant or invalid_request; confidential clients included.",
		},
		Fault:    "A missing verifier skips the check for authenticated clients.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"bad_verifier", "missing_parameter"},
		Check: func(c *Case) {
			c.needPKCE()
			req := c.Redeem(c.challenged("", ""), "").Drop("code_verifier")
			c.ExpectRefused(c.Probe(Step(req, "no code_verifier"), About("code_verifier"), c.lackingVerifier(req)))
		},
	},
	{
		ID:    "pkce.empty-verifier-refused",
		Title: "Does not accept an empty code_verifier",
		Group: "pkce",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2; RFC 7636 §4.5",
		Editions: AllEditions,
		Summary:  "Empty equals omitted, and omission is refused.",
		Why:      "A stolen code can be redeemed without the proof that was meant to protect it.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"pkce.missing-verifier-refused"},
		Probe:    "As before with \"code_verifier=\".",
		Expect:   "refused.",
		Fault:    "Empty verifier is treated as PKCE not used.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"bad_verifier", "missing_parameter"},
		Check: func(c *Case) {
			c.needPKCE()
			req := c.Redeem(c.challenged("", ""), "").Set("code_verifier", "")
			c.ExpectRefused(c.Probe(Step(req, "an empty code_verifier"), About("code_verifier"), c.lackingVerifier(req)))
		},
	},
	{
		ID:    "pkce.method-bound",
		Title: "Verifies with the method bound to the code",
		Group: "pkce",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7636 §4.5",
		Editions: AllEditions,
		Summary:  "The challenge method is fixed when the code is issued and has to be the one applied.",
		Why:      "A stolen code can be redeemed without the proof that was meant to protect it.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"pkce.wrong-verifier-refused"},
		Probe:    "Authorization request with an S256 challenge; exchange with code_verifier equal to the challenge itself, and again with an added code_challenge_method=plain parameter.",
		Expect:   "refused, both.",
		Fault:    "Falls back to a plain comparison when the hash differs.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"bad_verifier"},
		Check: func(c *Case) {
			c.needPKCE()
			granted := c.challenged("", "")
			req := c.Redeem(granted, "").Set("code_verifier", exchange.S256(granted.Authorization.Verifier))
			c.ExpectRefused(c.Probe(Step(req, "the challenge as verifier")))
			granted = c.challenged("", "")
			req = c.Redeem(granted, "").Set("code_verifier", exchange.S256(granted.Authorization.Verifier)).Set("code_challenge_method", "plain")
			c.ExpectRefused(c.Probe(Step(req, "the challenge as verifier, and method plain")))
		},
	},
	{
		ID:    "pkce.verifier-of-other-code",
		Title: "Refuses the code_verifier of another code",
		Group: "pkce",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7636 §4.4, §4.6",
		Editions: AllEditions,
		Summary:  "The challenge is associated with one code, so only its own verifier can match.",
		Why:      "An attacker with a verifier of his own could redeem a code stolen from somebody else.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"pkce.wrong-verifier-refused"},
		Probe:    "Two flows of one client, each with its own S256 challenge; exchange the first code with the verifier of the second.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_grant expected; the code is pkce.wrong-verifier-code's business.",
		},
		Fault:    "The verifier is compared with the latest challenge of the client.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"bad_verifier"},
		Check: func(c *Case) {
			c.needPKCE()
			first, second := c.challenged("", ""), c.challenged("", "")
			req := c.Redeem(first, "").Set("code_verifier", second.Authorization.Verifier)
			c.ExpectRefused(c.Probe(Step(req, "the verifier of another code")))
		},
	},
	{
		ID:    "pkce.downgrade-refused",
		Title: "Refuses a code_verifier when no challenge was sent",
		Group: "pkce",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9700 §2.1.1, §4.8.2",
		Editions: BCP | OAuth21,
		Summary:  "A verifier for a code issued without a challenge signals a downgrade and has to be refused; OAuth 2.1 names invalid_request for it.",
		Why:      "An attacker strips the protection from the request and neither side notices.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "the server lets a flow start without PKCE for this client"},
		Requires: []string{"code.happy-path"},
		Probe:    "Authorization request without a challenge; exchange with a well-formed code_verifier.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_grant or invalid_request. Under the oauth20 edition not evaluated: a server unaware of PKCE ignores the parameter.",
		},
		Fault:    "The unexpected verifier is ignored and a token issued.",
		Effects:  []Effect{ConsumesCode},
		Provokes: []string{"bad_verifier"},
		Check: func(c *Case) {
			granted, err := c.CodeRefused("", (*exchange.Authorization).NoPKCE)
			if denied(err) {
				c.NotApplicable("the server starts no flow without PKCE for this client (%v)", err)
			}
			c.orNeed(err)
			req := c.Redeem(granted, "").Set("code_verifier", c.Target().Verifier(43))
			c.ExpectRefused(c.Probe(Step(req, "a verifier where no challenge was sent")))
		},
	},
	{
		ID:    "pkce.public-client-enforced",
		Title: "A public client cannot complete the code flow without PKCE",
		Group: "pkce",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "draft-ietf-oauth-v2-1-15 §4.1.3, §7.5.1",
		Editions: OAuth21,
		Summary:  "OAuth 2.1 makes the server enforce PKCE; a code obtained without a challenge cannot be exchanged.",
		Why:      "A stolen code can be redeemed without the proof that was meant to protect it.",
		Applies:  Applies{Grants: []string{"authorization_code"}, Auth: []string{"none"}, When: "fixture public client supplied"},
		Requires: []string{"code.happy-path"},
		Probe:    "Run the flow without a challenge.",
		Expect:   "Refused at the authorization endpoint, or refused at the exchange.",
		Fault:    "Code without a challenge is exchanged for the public client.",
		Effects:  []Effect{ConsumesCode},
		Check: func(c *Case) {
			c.Fixture("public")
			c.token(c.Accepted(c.Redeem(c.challenged("public", ""), "public")))
			granted, err := c.CodeRefused("public", (*exchange.Authorization).NoPKCE)
			if denied(err) {
				return
			}
			c.orNeed(err)
			c.ExpectRefused(c.Probe(Step(c.Redeem(granted, "public"), "a public client's code without a challenge")))
		},
	},
	{
		ID:    "pkce.unaware-server-ignores",
		Title: "A server without PKCE ignores its parameters",
		Group: "pkce",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.1, §3.2; RFC 7636 §5",
		Editions: OAuth20,
		Summary:  "Unrecognized parameters are ignored, so clients may send PKCE to every server.",
		Why:      "Clients that always send PKCE, as they should, could not use this server at all.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "contract or metadata says that PKCE is not supported"},
		Requires: []string{"code.happy-path"},
		Probe:    "Flow with code_challenge and code_challenge_method; exchange with the verifier.",
		Expect:   "ok.",
		Fault:    "Refuses a token request that carries code_verifier.",
		Effects:  []Effect{ConsumesCode, MintsToken},
		Check: func(c *Case) {
			if e := c.Contract().AuthorizationEndpoint; e == nil || e.PKCE != "unsupported" {
				c.NotApplicable("the contract does not say that PKCE is unsupported")
			}
			s := c.Probe(Step(c.Redeem(c.challenged("", ""), ""), "PKCE parameters"), Positive())
			c.ExpectAccepted(s)
		},
	},
	{
		ID:    "pkce.short-verifier",
		Title: "Refuses a code_verifier shorter than 43 characters",
		Group: "pkce",
		Level: Must, Wording: Derived, Binds: "client", Posture: Observe,
		Source:   "RFC 7636 §4.1",
		Editions: AllEditions,
		Summary:  "The verifier grammar sets 43 to 128 unreserved characters; it binds the client that creates it.",
		Why:      "A short proof can be guessed by whoever holds the code.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"pkce.happy-path"},
		Probe:    "Authorization request with the S256 challenge of a 20-character verifier; exchange with that verifier.",
		Expect:   "refused.",
		Tolerates: []string{
			"Acceptance (the server has no duty to police length).",
		},
		Fault:    "Accepts a one-character verifier.",
		Effects:  []Effect{ConsumesCode, MintsToken},
		Provokes: []string{"bad_verifier"},
		Check: func(c *Case) {
			c.needPKCE()
			c.oddVerifier(20)
		},
	},
	{
		ID:    "pkce.long-verifier",
		Title: "Refuses a code_verifier longer than 128 characters",
		Group: "pkce",
		Level: Must, Wording: Derived, Binds: "client", Posture: Observe,
		Source:   "RFC 7636 §4.1",
		Editions: AllEditions,
		Summary:  "The grammar ends at 128 characters; it binds the client that creates the verifier.",
		Why:      "A server that hashes input of any length for strangers offers them cheap work to do.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"pkce.happy-path"},
		Probe:    "Challenge of a 129-character verifier; exchange with that verifier.",
		Expect:   "refused.",
		Tolerates: []string{
			"Acceptance (the server has no duty to police length).",
		},
		Fault:    "Accepts a verifier of 4096 characters.",
		Effects:  []Effect{ConsumesCode, MintsToken},
		Provokes: []string{"bad_verifier"},
		Check: func(c *Case) {
			c.needPKCE()
			c.oddVerifier(129)
		},
	},
}

// needPKCE ends the check unless the server is known to support PKCE: by its page, or its metadata.
func (c *Case) needPKCE() {
	if e := c.Contract().AuthorizationEndpoint; e != nil && e.PKCE != "" {
		if e.PKCE == "unsupported" {
			c.NotApplicable("the page says that PKCE is not supported")
		}
		return
	}
	if c.run.supply.demandsPKCE() {
		return
	}
	if p := c.run.pairFor("authorization_code", ""); p.grant != nil {
		if a, err := c.Target().Authorization(p.grant, nil); err == nil && a.Verifier != "" {
			return
		}
	}
	for _, address := range c.Target().MetadataURLs() {
		s := c.Probe(c.Target().Get(address), Positive(), At("metadata"))
		for _, method := range s.Answer.Lenient().Get("code_challenge_methods_supported").Items {
			if s.Status == 200 && method.Text == "S256" {
				return
			}
		}
	}
	c.NotApplicable("neither the contract nor metadata says that PKCE is supported")
}

// challenged obtains a code of a flow with the S256 challenge of verifier, a fresh one if empty.
func (c *Case) challenged(client, verifier string) exchange.Granted {
	if verifier == "" {
		verifier = c.Target().Verifier(43)
	}
	return c.Code(client, func(a *exchange.Authorization) { a.UsePKCE(verifier) })
}

// oddVerifier runs a flow with a verifier of a length outside 43 to 128; refusing the
// authorization request counts as refusing it.
func (c *Case) oddVerifier(n int) {
	verifier := c.Target().Verifier(n)
	granted, err := c.CodeRefused("", func(a *exchange.Authorization) { a.UsePKCE(verifier) })
	if denied(err) {
		return
	}
	c.orNeed(err)
	c.ExpectRefused(c.Probe(Step(c.Redeem(granted, ""), "a verifier of %d characters", n)))
}

// otherLetters replaces each character by another of base64url.
func otherLetters(s string) string {
	return strings.Map(func(r rune) rune {
		if r == 'A' {
			return 'B'
		}
		return 'A'
	}, s)
}

// lackingVerifier says what leaving code_verifier out brings about: a missing parameter only where the
// page marks it as required.
func (c *Case) lackingVerifier(req exchange.Request) Option {
	if f, ok := c.documentedParam(req, "code_verifier"); ok && f.Origin != "standard" && f.Required.Mode != "true" && f.Required.Mode != "implied" {
		return Provokes("bad_verifier")
	}
	return Provokes(c.rule.Provokes...)
}
