package emulator

import (
	"slices"
	"strings"
	"time"

	"grantcheck/suites/contract"
)

// assertionVariations are what correct servers do differently with client assertions and grant assertions.
var assertionVariations = []Variation{
	{
		Name:  "assertion-ps256",
		Text:  "Clients sign their assertions with PS256, and are registered for it.",
		Setup: Setup{Prepare: assertionsOf(func(a *contract.Assertion) { a.Alg = strings.Replace(a.Alg, "RS256", "PS256", 1) })},
		Apply: func(*behaviour) {},
	},
	{
		Name:  "assertion-audience-issuer",
		Text:  "The agreed audience of assertions is the issuer identifier, and nothing else is taken.",
		Setup: Setup{Prepare: assertionsOf(func(a *contract.Assertion) { a.Audience = "issuer" })},
		Apply: func(b *behaviour) {
			refuseAssertion(b, func(f *flow, t *jws) bool { return !slices.Contains(texts(t.claims["aud"]), f.e.issuer) })
		},
	},
	{
		Name:  "assertion-kid",
		Text:  "Assertions have to carry a kid, which the contract gives.",
		Setup: Setup{Prepare: assertionsOf(func(a *contract.Assertion) { a.Kid = "key-2026" })},
		Apply: func(b *behaviour) {
			refuseAssertion(b, func(_ *flow, t *jws) bool { return t.header["kid"] != "key-2026" })
		},
	},
	{
		Name:  "assertion-refused-with-400",
		Text:  "A bad client assertion is answered with 400 invalid_client: 401 is optional without an Authorization field.",
		Apply: func(b *behaviour) { b.recode(badClientAssertion, 400, "") },
	},
	{
		Name:  "assertion-malformed-invalid-request",
		Text:  "A client_assertion that is no JWT at all is answered with 400 invalid_request.",
		Apply: func(b *behaviour) { recodeAssertion(b, "syntax", 400, "invalid_request") },
	},
	{
		Name:  "assertion-type-invalid-request",
		Text:  "An unknown or missing client_assertion_type is answered with 400 invalid_request.",
		Apply: func(b *behaviour) { recodeAssertion(b, "type", 400, "invalid_request") },
	},
	{
		Name: "assertion-with-secret-invalid-client",
		Text: "An assertion beside a secret is answered with invalid_client, as RFC 7521 section 4.2.1 has it.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == twoAuthMethods && f.cred.assertion != "" {
					r.Status, r.Code = 401, "invalid_client"
				}
			})
		},
	},
	{
		Name: "assertion-client-id-mismatch-invalid-client",
		Text: "A client_id that differs from the assertion is answered with invalid_client.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == clientIDMismatch && f.method == "jwt" {
					r.Status, r.Code = 401, "invalid_client"
				}
			})
		},
	},
	{
		Name:  "assertion-leeway-ten-minutes",
		Text:  "Clocks may differ by ten minutes.",
		Apply: func(b *behaviour) { b.leeway = 10 * time.Minute },
	},
	{
		Name: "grant-assertion-missing-invalid-grant",
		Text: "A missing assertion of the JWT bearer grant is answered with invalid_grant.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == missingParameter && r.Parameter == "assertion" {
					r.Code = "invalid_grant"
				}
			})
		},
	},
	{
		Name: "grant-assertion-single-use",
		Text: "Assertions of the JWT bearer grant are good for one use.",
		Apply: func(b *behaviour) {
			b.instead(atGrantAssertionIssued, func(f *flow, standard func() *refusal) *refusal {
				if jti, _ := f.assertion.claims["jti"].(string); !f.e.store.firstUse("grant\x00"+jti, f.now.Add(24*time.Hour)) {
					return refuse(badAssertion, "assertion")
				}
				return standard()
			})
		},
	},
}

// assertionsOf changes what client assertions have to be.
func assertionsOf(change func(a *contract.Assertion)) func(c *contract.Contract) {
	return func(c *contract.Contract) {
		change(c.Client.Assertion)
		for i := range c.Clients {
			if a := c.Clients[i].Assertion; a != nil {
				change(a)
			}
		}
	}
}
