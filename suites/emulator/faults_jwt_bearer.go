package emulator

import (
	"strings"
)

// jwtBearerFaults break the rules of the group jwt-bearer.
var jwtBearerFaults = []Fault{
	{
		Name: "jwt-bearer.happy-path", Rule: "jwt-bearer.happy-path",
		Text:  "Refuses valid assertions with invalid_grant.",
		Apply: func(b *behaviour) { b.deny(atGrantAssertionIssuer, badAssertion) },
	},
	{
		Name: "jwt-bearer.bad-signature", Rule: "jwt-bearer.bad-signature",
		Text: "The signature of the assertion is not verified.",
		Apply: func(b *behaviour) {
			b.skip(atGrantAssertionSignature)
			b.skipIf(atGrantAssertionAlg, func(f *flow) bool { return f.assertion.alg == "none" })
		},
	},
	{
		Name: "jwt-bearer.bad-signature/signature-bytes", Rule: "jwt-bearer.bad-signature",
		Text:  "An assertion has to be signed, but any signature will do.",
		Apply: func(b *behaviour) { b.skip(atGrantAssertionSignature) },
	},
	{
		Name: "jwt-bearer.bad-signature/alg-none", Rule: "jwt-bearer.bad-signature",
		Text: "An unsigned assertion is accepted.",
		Apply: func(b *behaviour) {
			for _, p := range []point{atGrantAssertionAlg, atGrantAssertionSignature} {
				b.skipIf(p, func(f *flow) bool { return strings.EqualFold(f.assertion.alg, "none") })
			}
		},
	},
	{
		Name: "jwt-bearer.time-window", Rule: "jwt-bearer.time-window",
		Text:  "A missing exp is accepted.",
		Apply: func(b *behaviour) { b.skip(atGrantAssertionExp) },
	},
	{
		Name: "jwt-bearer.time-window/expired", Rule: "jwt-bearer.time-window",
		Text:  "exp has to be there and is not compared.",
		Apply: func(b *behaviour) { b.skip(atGrantAssertionExpired) },
	},
	{
		Name: "jwt-bearer.time-window/not-before", Rule: "jwt-bearer.time-window",
		Text:  "nbf is ignored.",
		Apply: func(b *behaviour) { b.skip(atGrantAssertionNotBefore) },
	},
	{
		Name: "jwt-bearer.audience", Rule: "jwt-bearer.audience",
		Text:  "aud is not compared.",
		Apply: func(b *behaviour) { b.skip(atGrantAssertionAudience) },
	},
	{
		Name: "jwt-bearer.audience/missing", Rule: "jwt-bearer.audience",
		Text:  "An absent aud passes the audience check.",
		Apply: func(b *behaviour) { b.skipIf(atGrantAssertionAudience, lacksClaim("aud")) },
	},
	{
		Name: "jwt-bearer.audience/other", Rule: "jwt-bearer.audience",
		Text: "aud has to be there, and may be any.",
		Apply: func(b *behaviour) {
			b.skipIf(atGrantAssertionAudience, func(f *flow) bool { return !lacksClaim("aud")(f) })
		},
	},
	{
		Name: "jwt-bearer.iss-sub-required", Rule: "jwt-bearer.iss-sub-required",
		Text:  "An absent sub yields a token with an empty subject.",
		Apply: func(b *behaviour) { b.skipIf(atGrantAssertionSubject, lacksClaim("sub")) },
	},
	{
		Name: "jwt-bearer.iss-sub-required/iss", Rule: "jwt-bearer.iss-sub-required",
		Text:  "An absent iss is made up for by a key that verifies.",
		Apply: func(b *behaviour) { b.skipIf(atGrantAssertionIssuer, lacksClaim("iss")) },
	},
	{
		Name: "jwt-bearer.invalid-grant-code", Rule: "jwt-bearer.invalid-grant-code",
		Text:  "Answers invalid_client for a bad assertion, although client authentication was fine.",
		Apply: func(b *behaviour) { b.recode(badAssertion, 401, "invalid_client") },
	},
	{
		Name: "jwt-bearer.invalid-grant-code/expired", Rule: "jwt-bearer.invalid-grant-code",
		Text: "Answers invalid_request for an expired assertion.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == badAssertion && r.Token == "expired" {
					r.Code = "invalid_request"
				}
			})
		},
	},
	{
		Name: "jwt-bearer.missing-assertion", Rule: "jwt-bearer.missing-assertion",
		Text: "Without an assertion a token for the authenticated client itself is issued.",
		Apply: func(b *behaviour) {
			b.instead(atGrantAssertion, func(f *flow, standard func() *refusal) *refusal {
				if f.form["assertion"] != "" {
					return standard()
				}
				if r := f.decideScope(f.e.scopes.grantable, f.e.scopes.standard, false); r != nil {
					return r
				}
				f.authorization = f.e.newAuthorization(f, nil)
				return nil
			})
		},
	},
	{
		Name: "jwt-bearer.missing-assertion/unauthorized-client", Rule: "jwt-bearer.missing-assertion",
		Text: "Answers a missing assertion with unauthorized_client.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == missingParameter && r.Parameter == "assertion" {
					r.Code = "unauthorized_client"
				}
			})
		},
	},
	{
		Name: "jwt-bearer.client-credentials-checked", Rule: "jwt-bearer.client-credentials-checked",
		Text:  "Wrong client credentials are ignored because the assertion suffices.",
		Apply: func(b *behaviour) { b.skipIf(atSecret, func(f *flow) bool { return f.grantIs(jwtBearer) }) },
	},
}
