package emulator

import "grantcheck/suites/contract"

// clientCredentialsFaults break the rules of the group client-credentials.
var clientCredentialsFaults = []Fault{
	{
		Name: "cc.happy-path", Rule: "cc.happy-path",
		Text: "Answers the valid request with 400 unauthorized_client.",
		Apply: func(b *behaviour) {
			b.after(stageGrant, func(f *flow) *refusal {
				if f.grantIs(clientCredentials) {
					return refuse(unauthorizedClient)
				}
				return nil
			})
		},
	},
	{
		Name: "cc.no-refresh-token", Rule: "cc.no-refresh-token",
		Text: "Includes a refresh_token in the answer.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.grantIs(clientCredentials) {
					a.Body.set("refresh_token", f.mintRefresh(nil).value)
				}
			})
		},
	},
	{
		Name: "cc.public-client-refused", Rule: "cc.public-client-refused",
		Text:  "Issues a token to a public client.",
		Apply: func(b *behaviour) { b.skipIf(atConfidential, func(f *flow) bool { return f.client != nil }) },
	},
	{
		Name: "cc.unauthorized-client", Rule: "cc.unauthorized-client",
		Text: "Answers a client that may not use the grant with invalid_grant.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == unauthorizedClient && f.grantIs(clientCredentials) && !f.client.public {
					r.Code = "invalid_grant"
				}
			})
		},
	},
	{
		Name: "cc.unauthorized-client/accepted", Rule: "cc.unauthorized-client",
		Text: "Does not ask which grants a client may use.",
		Apply: func(b *behaviour) {
			b.skipIf(atGrantAllowed, func(f *flow) bool { return f.grantIs(clientCredentials) })
		},
	},
	{
		Name: "cc.scope-accepted", Rule: "cc.scope-accepted",
		Text:  "Any scope that could be granted leads to invalid_request.",
		Setup: Setup{Prepare: func(c *contract.Contract) { c.Scopes.Request = nil; twoScopes.Prepare(c) }},
		Apply: func(b *behaviour) {
			b.after(stageGrant, func(f *flow) *refusal {
				if f.grantIs(clientCredentials) && f.asked.Present && sameSet(f.scope, f.asked.Names) {
					return refuse(invalidParameter, "scope")
				}
				return nil
			})
		},
	},
}
