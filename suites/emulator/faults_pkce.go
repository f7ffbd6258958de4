package emulator

import (
	"strings"

	"grantcheck/suites/contract"
)

// pkceFaults break the rules of the group pkce.
var pkceFaults = []Fault{
	{
		Name: "pkce.happy-path", Rule: "pkce.happy-path",
		Text: "Verifiers longer than 64 characters are refused.",
		Apply: func(b *behaviour) {
			b.instead(atVerifierSyntax, func(f *flow, standard func() *refusal) *refusal {
				if len(f.form["code_verifier"]) > 64 {
					return refuse(badVerifier, "code_verifier")
				}
				return standard()
			})
		},
	},
	{
		Name: "pkce.happy-path/unreserved", Rule: "pkce.happy-path",
		Text: "Verifiers with a tilde are refused, though it is an unreserved character.",
		Apply: func(b *behaviour) {
			b.instead(atVerifierSyntax, func(f *flow, standard func() *refusal) *refusal {
				if v := f.form["code_verifier"]; len(v) > 100 && strings.Contains(v, "~") {
					return refuse(badVerifier, "code_verifier")
				}
				return standard()
			})
		},
	},
	{
		Name: "pkce.wrong-verifier-refused", Rule: "pkce.wrong-verifier-refused",
		Text:  "The verifier is stored but never compared.",
		Apply: func(b *behaviour) { b.skip(atVerifierMatch) },
	},
	{
		Name: "pkce.wrong-verifier-code", Rule: "pkce.wrong-verifier-code",
		Text: "Answers 400 invalid_request for a mismatch of well-formed verifiers.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == badVerifier && f.code != nil && f.code.challenge != "" && verifierSyntax(f.form["code_verifier"]) {
					r.Code = "invalid_request"
				}
			})
		},
	},
	{
		Name: "pkce.missing-verifier-refused", Rule: "pkce.missing-verifier-refused",
		Text: "A missing verifier skips the check for authenticated clients.",
		Apply: func(b *behaviour) {
			b.skipIf(atVerifier, func(f *flow) bool { return !f.client.public && !f.sent("code_verifier") })
		},
	},
	{
		Name: "pkce.empty-verifier-refused", Rule: "pkce.empty-verifier-refused",
		Text: "An empty verifier is treated as PKCE not used.",
		Apply: func(b *behaviour) {
			b.skipIf(atVerifier, func(f *flow) bool { return f.sent("code_verifier") && f.form["code_verifier"] == "" })
		},
	},
	{
		Name: "pkce.method-bound", Rule: "pkce.method-bound",
		Text: "Falls back to a plain comparison when the hash differs.",
		Apply: func(b *behaviour) {
			b.skipIf(atVerifierMatch, func(f *flow) bool { return f.form["code_verifier"] == f.code.challenge })
		},
	},
	{
		Name: "pkce.method-bound/parameter", Rule: "pkce.method-bound",
		Text: "Takes code_challenge_method from the token request.",
		Apply: func(b *behaviour) {
			b.skipIf(atVerifierMatch, func(f *flow) bool {
				method, _ := f.params.get("code_challenge_method")
				return method == "plain" && f.form["code_verifier"] == f.code.challenge
			})
		},
	},
	{
		Name: "pkce.verifier-of-other-code", Rule: "pkce.verifier-of-other-code",
		Text: "The verifier is compared with the latest challenge of the client.",
		Apply: func(b *behaviour) {
			b.instead(atVerifierMatch, func(f *flow, standard func() *refusal) *refusal {
				latest := *f.code
				if c := f.e.store.latestCode(f.client.id); c != nil {
					latest.challenge = c.challenge
				}
				if fits(latest.challenge, f.form["code_verifier"]) {
					return nil
				}
				return refuse(badVerifier, "code_verifier")
			})
		},
	},
	{
		Name: "pkce.downgrade-refused", Rule: "pkce.downgrade-refused",
		Text:  "An unexpected verifier is ignored and a token issued.",
		Setup: Setup{Edition: "bcp"},
		Apply: func(b *behaviour) { b.skip(atVerifierUnasked) },
	},
	{
		Name: "pkce.public-client-enforced", Rule: "pkce.public-client-enforced",
		Text:  "A code without a challenge is issued to, and exchanged for, the public client.",
		Setup: Setup{Edition: "oauth21"},
		Apply: func(b *behaviour) {
			b.skip(atChallenge, atAuthorizeChallenge)
		},
	},
	{
		Name: "pkce.unaware-server-ignores", Rule: "pkce.unaware-server-ignores",
		Text: "Does not support PKCE, and refuses a token request that carries code_verifier.",
		Setup: Setup{Edition: "oauth20", Prepare: func(c *contract.Contract) {
			if c.AuthorizationEndpoint != nil {
				c.AuthorizationEndpoint.PKCE = "unsupported"
			}
		}},
		Apply: func(b *behaviour) {
			b.before(stageGrant, func(f *flow) *refusal {
				if f.sent("code_verifier") {
					return refuse(malformedRequest, "code_verifier")
				}
				return nil
			})
		},
	},
	{
		Name: "pkce.short-verifier", Rule: "pkce.short-verifier",
		Text: "Accepts a verifier of any length below 43.",
		Apply: func(b *behaviour) {
			b.skipIf(atVerifierSyntax, func(f *flow) bool { return len(f.form["code_verifier"]) < 43 })
		},
	},
	{
		Name: "pkce.long-verifier", Rule: "pkce.long-verifier",
		Text: "Accepts a verifier of up to 4096 characters.",
		Apply: func(b *behaviour) {
			b.skipIf(atVerifierSyntax, func(f *flow) bool { return len(f.form["code_verifier"]) > 128 })
		},
	},
}
