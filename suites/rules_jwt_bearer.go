package suites

import (
	"time"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// jwtBearerRules is the group jwt-bearer of the catalogue.
var jwtBearerRules = []Rule{
	{
		ID:    "jwt-bearer.happy-path",
		Title: "Issues a token for a valid JWT authorization grant",
		Group: "jwt-bearer",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §2.1, §3",
		Editions: AllEditions,
		Summary:  "A JWT that meets the criteria is a valid authorization grant.",
		Why:      "Partners with a valid assertion get no token.",
		Applies:  Applies{Grants: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}, When: "a trusted assertion issuer is configured"},
		Requires: []string{"request.form-accepted"},
		Probe:    "grant_type jwt-bearer URN, assertion = valid JWT (iss, sub, aud, exp), client authentication if the contract says so.",
		Expect:   "ok.",
		Fault:    "Refuses valid assertions with invalid_grant.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			g, _ := c.run.grantOf(contract.GrantJWTBearer)
			outside := c.madeOutside(g, "assertion", "assertion")
			if g.Assertion != nil && g.Assertion.Unspecified && !outside {
				c.NotApplicable("the contract leaves open what the assertion of the grant holds")
			}
			if p := c.run.pairFor(contract.GrantJWTBearer, ""); g.Assertion != nil && guessed(g.Assertion) && !outside {
				if c.run.answered(p) == notAsked {
					c.decided(c.run.try(c.ctx, c, p), probe{})
				}
				if c.run.answered(p) != answeredOK {
					c.NotApplicable("the contract names no audience of the assertion, and one for this endpoint was refused")
				}
			}
			c.happyPath(contract.GrantJWTBearer)
		},
	},
	{
		ID:    "jwt-bearer.bad-signature",
		Title: "Rejects a grant assertion with an invalid signature",
		Group: "jwt-bearer",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 9",
		Editions: AllEditions,
		Summary:  "Invalid signatures have to be rejected.",
		Why:      "Anyone can write an assertion and act for any user.",
		Applies:  Applies{Grants: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}},
		Requires: []string{"jwt-bearer.happy-path"},
		Probe:    "Assertion with a flipped signature byte; assertion with alg none.",
		Expect:   "refused, both.",
		Fault:    "Signature is not verified.",
		Provokes: []string{"bad_assertion"},
		Check: func(c *Case) {
			req := c.GoldenFor(contract.GrantJWTBearer)
			if !segments(req.Get("assertion")) {
				c.NotApplicable("the documented assertion is no compact JWT")
			}
			c.ExpectRefused(c.Probe(Step(req.Set("assertion", exchange.FlipSignature(req.Get("assertion"))), "assertion with one bit of the signature turned")))
			req, j := c.grantAssertion()
			c.ExpectRefused(c.Probe(Step(req.Set("assertion", j.Unsigned("none")), "unsigned assertion, alg none")))
		},
	},
	{
		ID:    "jwt-bearer.time-window",
		Title: "Rejects a grant assertion outside its validity window",
		Group: "jwt-bearer",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 items 4, 5",
		Editions: AllEditions,
		Summary:  "exp is mandatory, must not have passed, and nbf must not lie ahead.",
		Why:      "An assertion meant for another time or place buys a token here.",
		Applies:  Applies{Grants: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}},
		Requires: []string{"jwt-bearer.happy-path"},
		Probe:    "Three assertions: exp one hour ago; nbf one hour ahead; no exp.",
		Expect:   "refused, all three.",
		Fault:    "Missing exp is accepted.",
		Provokes: []string{"bad_assertion"},
		Check: func(c *Case) {
			now := c.Now()
			c.ExpectRefused(c.Probe(c.grantAsserting(func(j exchange.JWT) exchange.JWT {
				return j.SetTimes(now.Add(-2*time.Hour), time.Time{}, now.Add(-time.Hour))
			}, "assertion that expired an hour ago")))
			c.ExpectRefused(c.Probe(c.grantAsserting(func(j exchange.JWT) exchange.JWT {
				return j.SetTimes(now, now.Add(time.Hour), now.Add(2*time.Hour))
			}, "assertion that is valid from an hour ahead on")))
			c.withoutGrantClaims("exp")
		},
	},
	{
		ID:    "jwt-bearer.audience",
		Title: "Rejects a grant assertion for another audience",
		Group: "jwt-bearer",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 3",
		Editions: AllEditions,
		Summary:  "The server has to find itself in aud.",
		Why:      "An assertion meant for another time or place buys a token here.",
		Applies:  Applies{Grants: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}},
		Requires: []string{"jwt-bearer.happy-path"},
		Probe:    "Assertion with an unrelated aud; assertion without aud.",
		Expect:   "refused, both.",
		Fault:    "aud is not compared.",
		Provokes: []string{"bad_assertion"},
		Check: func(c *Case) {
			c.ExpectRefused(c.Probe(c.grantAsserting(func(j exchange.JWT) exchange.JWT {
				return j.Set("aud", "https://"+c.Nonce()+".example/token")
			}, "assertion for another audience")))
			c.withoutGrantClaims("aud")
		},
	},
	{
		ID:    "jwt-bearer.iss-sub-required",
		Title: "Rejects a grant assertion without iss or without sub",
		Group: "jwt-bearer",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 items 1, 2",
		Editions: AllEditions,
		Summary:  "Both claims are mandatory.",
		Why:      "Anyone can write an assertion and act for any user.",
		Applies:  Applies{Grants: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}},
		Requires: []string{"jwt-bearer.happy-path"},
		Probe:    "Assertion without iss; assertion without sub.",
		Expect:   "refused, both.",
		Fault:    "Absent sub yields a token with an empty subject.",
		Provokes: []string{"bad_assertion"},
		Check:    func(c *Case) { c.withoutGrantClaims("iss", "sub") },
	},
	{
		ID:    "jwt-bearer.invalid-grant-code",
		Title: "Reports a bad grant assertion as invalid_grant",
		Group: "jwt-bearer",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3.1; RFC 7521 §4.1.1",
		Editions: AllEditions,
		Summary:  "The clause fixes the error code.",
		Why:      "Clients look for the fault in their grant when their key is the problem.",
		Applies:  Applies{Grants: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}},
		Requires: []string{"jwt-bearer.bad-signature"},
		Probe:    "The answers to the refused assertions above.",
		Expect:   "error invalid_grant (the status is judged by error.status-400).",
		Tolerates: []string{
			"invalid_request for an assertion that is not a JWT at all.",
		},
		Fault:    "Answers invalid_client although client authentication was fine.",
		Provokes: []string{"bad_assertion"},
		Passive:  true,
		Check: func(c *Case) {
			c.Each(c.AnswersOf("jwt-bearer.bad-signature", "jwt-bearer.time-window", "jwt-bearer.audience", "jwt-bearer.iss-sub-required"),
				"no refusal of a bad assertion was seen", func(s *Sample) {
					if s.Answer.Refused() {
						c.ExpectCode(s, "invalid_grant")
					}
				})
		},
	},
	{
		ID:    "jwt-bearer.missing-assertion",
		Title: "Refuses the grant without an assertion as invalid_request",
		Group: "jwt-bearer",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:       "RFC 7521 §4.1; RFC 6749 §5.2",
		Editions:     AllEditions,
		Summary:      "assertion is mandatory.",
		Why:          "A request that misses its key part is answered by chance.",
		Applies:      Applies{Grants: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}},
		Requires:     []string{"jwt-bearer.happy-path"},
		Probe:        "Grant request without assertion.",
		Expect:       "refused; error invalid_request or invalid_grant.",
		StrictExpect: "error invalid_request.",
		Fault:        "Issues a token for the authenticated client itself.",
		Provokes:     []string{"missing_parameter"},
		Check: func(c *Case) {
			s := c.Probe(Step(c.GoldenFor(contract.GrantJWTBearer).Drop("assertion"), "no assertion"), About("assertion"))
			c.ExpectRefused(s)
			if !c.Tolerated(s, "invalid_grant", "a missing assertion is refused with invalid_grant; the clause's word is invalid_request") {
				c.ExpectCode(s, "invalid_request")
			}
		},
	},
	{
		ID:    "jwt-bearer.client-credentials-checked",
		Title: "Validates client credentials that accompany a grant assertion",
		Group: "jwt-bearer",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3.1",
		Editions: AllEditions,
		Summary:  "Client authentication is optional, but included credentials have to be validated.",
		Why:      "Anyone who knows a client identifier can get tokens in its name.",
		Applies:  Applies{Grants: []string{"urn:ietf:params:oauth:grant-type:jwt-bearer"}, Auth: []string{"basic", "post"}},
		Requires: []string{"jwt-bearer.happy-path", "client-auth.wrong-secret-refused"},
		Probe:    "Valid assertion plus a known client_id with a wrong secret.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_client; 400 or 401.",
		},
		Fault:    "Wrong client credentials are ignored because the assertion suffices.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"wrong_secret"},
		Check: func(c *Case) {
			req := c.GoldenFor(contract.GrantJWTBearer)
			if req.AuthMethod() != "basic" && req.AuthMethod() != "post" {
				if req.Client().Secret == "" {
					c.NotApplicable("the client of the grant holds no secret")
				}
				method := "basic"
				if !c.run.methodUsable("basic") {
					method = "post"
				}
				req = req.Auth(method)
			}
			c.ExpectRefused(c.Probe(Step(req.Secret(c.WrongSecret(req)), "valid assertion, wrong client secret")))
		},
	},
}
