package suites

import "slices"

// clientCredentialsRules is the group client-credentials of the catalogue.
var clientCredentialsRules = []Rule{
	{
		ID:    "cc.happy-path",
		Title: "Issues a token to an authenticated, authorized client",
		Group: "client-credentials",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.4.3, §5.1",
		Editions: AllEditions,
		Summary:  "A valid and authorized client-credentials request yields an access token.",
		Why:      "No client built to the standard can get a token at all.",
		Applies:  Applies{Grants: []string{"client_credentials"}},
		Requires: []string{"request.form-accepted"},
		Probe:    "grant_type=client_credentials with the contract's primary authentication method.",
		Expect:   "ok.",
		Fault:    "Answers the valid request with 400 unauthorized_client.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			c.happyPath("client_credentials")
		},
	},
	{
		ID:    "cc.no-refresh-token",
		Title: "Does not issue a refresh token for client credentials",
		Group: "client-credentials",
		Level: ShouldNot, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §4.4.3",
		Editions: AllEditions,
		Summary:  "The client can always ask again, so a refresh token is advised against.",
		Why:      "A long-lived credential lies around that nobody needs and somebody can steal.",
		Applies:  Applies{Grants: []string{"client_credentials"}},
		Requires: []string{"cc.happy-path"},
		Probe:    "Golden request.",
		Expect:   "No refresh_token member.",
		Tolerates: []string{
			"A null or empty member is judged by response.optional-members-typed, not here.",
		},
		Fault:   "Includes a refresh_token in the client-credentials response.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			g, _ := c.run.grantOf("client_credentials")
			if _, ok := c.field(g, "refresh_token"); ok {
				c.PageSays("the page documents a refresh token for this grant")
			}
			answers := c.Answers(func(s *Sample) bool {
				return s.Golden && s.grant == g.Key && s.Endpoint == tokenEndpoint && s.Answer.OK()
			})
			c.Each(answers, "no token was issued for client_credentials", func(s *Sample) {
				c.Expect(s).To(satisfy("no refresh_token", func(s *Sample) (string, bool) { return "a refresh_token", !s.Answer.Has("refresh_token") }))
			})
		},
	},
	{
		ID:    "cc.public-client-refused",
		Title: "Refuses the grant to public clients",
		Group: "client-credentials",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.4",
		Editions: AllEditions,
		Summary:  "This grant is restricted to confidential clients.",
		Why:      "Any copy of a public app can act as a server-side client.",
		Applies:  Applies{Grants: []string{"client_credentials"}, When: "fixture public client supplied"},
		Requires: []string{"request.form-accepted"},
		Probe:    "grant_type=client_credentials with the public client's client_id only.",
		Expect:   "refused.",
		Tolerates: []string{
			"unauthorized_client, invalid_client or unsupported_grant_type.",
		},
		Fault:    "Issues a token to the public client.",
		Provokes: []string{"unauthorized_client"},
		Check: func(c *Case) {
			c.Fixture("public")
			c.ExpectRefused(c.Probe(Step(c.GoldenAs("public", "client_credentials"), "client_credentials for a public client")))
		},
	},
	{
		ID:    "cc.unauthorized-client",
		Title: "Answers a client barred from this grant with unauthorized_client",
		Group: "client-credentials",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "A dedicated code exists for an authenticated client that may not use the grant type.",
		Why:      "Operators cannot tell a missing permission from a broken credential.",
		Applies:  Applies{Grants: []string{"client_credentials"}, When: "fixture confidential client without this grant supplied"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Valid authentication as that client, grant_type=client_credentials.",
		Expect:   "refused; error unauthorized_client.",
		Tolerates: []string{
			"unsupported_grant_type as a note where grant support is a per-client notion.",
		},
		Fault:    "Answers invalid_grant.",
		Provokes: []string{"unauthorized_client"},
		Check: func(c *Case) {
			c.Fixture("no_grant")
			s := c.Probe(Step(c.GoldenAs("no_grant", "client_credentials"), "client_credentials for a client without the grant"))
			c.ExpectRefused(s)
			switch s.Code() {
			case "unsupported_grant_type":
				if c.Tolerated(s, s.Code(), "unsupported_grant_type: grant support seems to be a matter of each client here") {
					return
				}
			case "invalid_client":
				if c.rowExcuses(s, aboutCode) == "" {
					c.look(s)
					c.Inconclusive("invalid_client: the credentials of the client without the grant may be wrong in the contract")
				}
			}
			c.ExpectCode(s, "unauthorized_client")
		},
	},
	{
		ID:    "cc.scope-accepted",
		Title: "Accepts the optional scope parameter",
		Group: "client-credentials",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.4.2",
		Editions: AllEditions,
		Summary:  "scope is an optional parameter of this grant; a grantable scope must not make the request fail.",
		Why:      "Developers who leave out an optional parameter get an error that sends them in the wrong direction.",
		Applies:  Applies{Grants: []string{"client_credentials"}, When: "contract names a grantable scope"},
		Requires: []string{"cc.happy-path", "request.form-accepted"},
		Probe:    "Golden request with that scope.",
		Expect:   "ok; the scope member is absent or contains only scopes within the request or is reported as different.",
		Fault:    "Any scope parameter leads to invalid_request.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			scopes := slices.Concat(c.Contract().Scopes.Grantable, c.Contract().Scopes.Request)
			if len(scopes) == 0 {
				c.Needs("a grantable scope")
			}
			p := c.run.pairFor("client_credentials", "")
			s := c.goldenAnswer(p)
			if s == nil || !s.Request.Has("scope") {
				s = c.Probe(Step(c.scoped(p, scopes[0]), "with a grantable scope"), Positive())
			}
			c.ExpectAccepted(s)
		},
	},
}
