package emulator

import (
	"strings"
	"time"

	"grantcheck/suites/contract"
)

// responseVariations are what correct servers do differently in token answers and their headers.
var responseVariations = []Variation{
	{
		Name:  "lifetime-in-the-token",
		Text:  "expires_in is left out: the claim exp of the token tells it (RFC 6749 section 5.1 recommends expires_in only).",
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { a.Body.drop("expires_in") }) },
	},
	{
		Name: "documented-long-lifetime",
		Text: "Tokens live for eight hours, as the page says.",
		Setup: Setup{Prepare: func(c *contract.Contract) {
			c.Token.Lifetime = &contract.Field{Name: "lifetime", Const: 28800.0}
		}},
		Apply: func(b *behaviour) { lifetime(b, 8*time.Hour, 8*time.Hour) },
	},
	{
		Name: "nested-copy",
		Text: "A nested object of the vendor's repeats the token beside the members at the top.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				a.Body = append(a.Body, member{Name: "session", Value: object{
					{Name: "access_token", Value: f.issue.AccessToken}, {Name: "token_type", Value: "user"}, {Name: "scope", Value: []string{"x"}},
				}})
			})
		},
	},
	{
		Name:  "uuid-tokens",
		Text:  "Access tokens are random UUIDs, of 122 random bits.",
		Setup: Setup{Prepare: opaqueTokens},
		Apply: func(b *behaviour) {
			std := b.newToken
			b.newToken = func(f *flow, kind string) string {
				if kind == "access" {
					return f.e.uuid()
				}
				return std(f, kind)
			}
		},
	},
	{
		Name: "secure-cookie",
		Text: "The token is set as a cookie too, marked Secure.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				a.add("Set-Cookie", "__Host-token="+f.issue.AccessToken+"; Path=/; Secure; HttpOnly; SameSite=Strict")
			})
		},
	},
	{
		Name: "cache-control-letter-case",
		Text: "Directives are spelt No-Store and No-Cache: they compare without regard to letter case (RFC 9111 section 5.2).",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				a.set("Cache-Control", "Private, No-Store, Max-Age=0")
				a.set("Pragma", strings.ToUpper("no-cache"))
			})
		},
	},
}
