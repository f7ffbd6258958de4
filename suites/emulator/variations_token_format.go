package emulator

import (
	"slices"
	"strings"
	"time"

	"grantcheck/suites/contract"
)

// tokenFormatVariations are what correct servers do differently with the JWTs they issue.
var tokenFormatVariations = []Variation{
	{
		Name: "access-token-typ-long",
		Text: "typ of access tokens is the whole media type, in mixed case (RFC 9068 section 2.1).",
		Apply: func(b *behaviour) {
			accessClaims(b, func(_ *flow, t *draft) { t.Header.set("typ", "Application/AT+JWT") })
		},
	},
	{
		Name: "access-token-aud-list",
		Text: "aud of access tokens is an array.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(f *flow, t *draft) { t.Claims.set("aud", []string{f.e.base + "/resource", "https://api.example"}) })
		},
	},
	{
		Name: "access-token-fractional-times",
		Text: "Times are numbers with a fraction (RFC 7519 section 2).",
		Apply: func(b *behaviour) {
			b.onClaims(func(_ *flow, t *draft) {
				for _, name := range []string{"iat", "exp"} {
					if n, ok := t.Claims.get(name).(int64); ok {
						t.Claims.set(name, float64(n)+0.25)
					}
				}
			})
		},
	},
	{
		Name: "access-token-grace",
		Text: "Access tokens are good for two minutes longer than expires_in says.",
		Apply: func(b *behaviour) {
			accessClaims(b, func(_ *flow, t *draft) {
				if n, ok := t.Claims.get("exp").(int64); ok {
					t.Claims.set("exp", n+120)
				}
			})
		},
	},
	{
		Name:  "access-token-jwt-undeclared",
		Text:  "Access tokens look like JWTs, and the contract does not say so: what is in them is the server's own business.",
		Setup: Setup{Judge: func(c *contract.Contract) { c.Token.Profile = "" }},
		Apply: func(b *behaviour) {
			accessClaims(b, func(_ *flow, t *draft) {
				t.Header.set("typ", "JWT")
				for _, name := range []string{"aud", "client_id", "jti", "iat"} {
					t.Claims.drop(name)
				}
			})
		},
	},
	{
		Name: "id-token-plain",
		Text: "id_tokens carry the obligatory claims and the nonce only, without typ.",
		Apply: func(b *behaviour) {
			idClaims(b, func(_ *flow, t *draft) {
				t.Header.drop("typ")
				for _, name := range []string{"azp", "auth_time", "amr", "at_hash", "sid"} {
					t.Claims.drop(name)
				}
			})
		},
	},
	{
		Name: "id-token-aud-list",
		Text: "aud of id_tokens is an array of one.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) { t.Claims.set("aud", []string{f.client.id}) })
		},
	},
	{
		Name: "id-token-further-audience",
		Text: "id_tokens name an API beside the client, and the client in azp.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				t.Claims.set("aud", []string{"https://api.example", f.client.id})
				t.Claims.set("azp", f.client.id)
			})
		},
	},
	{
		Name: "id-token-further-claims",
		Text: "id_tokens carry acr, c_hash and claims of the vendor's own.",
		Apply: func(b *behaviour) {
			idClaims(b, func(_ *flow, t *draft) {
				t.Claims.set("acr", "urn:mace:incommon:iap:silver")
				t.Claims.set("amr", []string{"pwd", "otp"})
				t.Claims.set("https://vendor.example/roles", []any{"admin", 7, nil})
			})
		},
	},
	{
		Name:  "id-token-es256",
		Text:  "id_tokens are signed with ES256, as the client has registered.",
		Apply: func(b *behaviour) { signWithPublished(b, "id_token", 1) },
	},
	{
		Name:  "id-token-hs256",
		Text:  "id_tokens are signed with HS256 and a client secret of 43 characters, as the client has registered.",
		Apply: func(b *behaviour) { signWithSecret(b, "HS256") },
	},
	{
		Name: "id-token-encrypted",
		Text: "id_tokens are encrypted for the client: five segments.",
		Apply: func(b *behaviour) {
			idClaims(b, func(_ *flow, t *draft) {
				t.Mangle = func(s string) string {
					return b64.EncodeToString([]byte(`{"alg":"RSA-OAEP","enc":"A256GCM","cty":"JWT"}`)) + strings.Repeat("."+b64.EncodeToString([]byte(s)), 4)
				}
			})
		},
	},
	{
		Name: "one-key-without-kid",
		Text: "The key set holds one key, and tokens do not name it (OIDC Core section 10.1).",
		Apply: func(b *behaviour) {
			b.onWorld(func(e *Emulator) { e.keys = e.keys[:1] })
			b.signingKey = func(f *flow, _ string) *signingKey { return f.e.keys[0] }
			b.onClaims(func(_ *flow, t *draft) { t.Header.drop("kid") })
		},
	},
	{
		Name: "id-token-not-on-refresh",
		Text: "A refresh brings no id_token (OIDC Core section 12.2).",
		Apply: func(b *behaviour) {
			std := b.wantsIDToken
			b.wantsIDToken = func(f *flow) bool { return !f.grantIs(refreshGrant) && std(f) }
		},
	},
	{
		Name: "id-token-refresh-nonce",
		Text: "The id_token of a refresh repeats the nonce, and its aud is an array now.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				if f.grantIs(refreshGrant) {
					t.Claims.set("aud", []string{f.client.id})
					if n := f.authorization.nonce; n != "" {
						t.Claims.set("nonce", n)
					}
				}
			})
		},
	},
	{
		Name: "id-token-without-auth-time-on-refresh",
		Text: "The id_token of a refresh leaves auth_time and amr out.",
		Apply: func(b *behaviour) {
			idClaims(b, func(f *flow, t *draft) {
				if f.grantIs(refreshGrant) {
					t.Claims.drop("auth_time")
					t.Claims.drop("amr")
				}
			})
		},
	},
	{
		Name: "userinfo-signed",
		Text: "UserInfo answers with a signed JWT (OIDC Core section 5.3.2).",
		Apply: func(b *behaviour) {
			b.onDocument(resourceEndpoint, func(f *flow, a *answer) {
				if f.r.URL.Path == userInfoPath && a.Status == 200 {
					k := f.e.keys[0]
					a.Text = []byte(k.sign(object{{Name: "alg", Value: k.alg}, {Name: "kid", Value: k.kid}},
						append(slices.Clone(a.Body), member{Name: "iat", Value: f.now.Add(-time.Second).Unix()})))
					a.set("Content-Type", "application/jwt")
				}
			})
		},
	},
}

// signWithPublished signs tokens of a kind with one of the published keys.
func signWithPublished(b *behaviour, kind string, place int) {
	std := b.signingKey
	b.signingKey = func(f *flow, k string) *signingKey {
		if k == kind {
			return f.e.keys[place]
		}
		return std(f, k)
	}
}
