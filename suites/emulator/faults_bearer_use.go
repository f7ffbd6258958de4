package emulator

import (
	"net/http"
	"slices"
	"strings"
)

// bearerUseFaults break the rules of the group bearer-use.
var bearerUseFaults = []Fault{
	{
		Name: "bearer.header-accepted", Rule: "bearer.header-accepted",
		Text: "The resource expects the scheme Token in place of Bearer.",
		Apply: func(b *behaviour) {
			bearerScheme(b, func(got string) bool { return strings.EqualFold(got, "Token") })
		},
	},
	{
		Name: "bearer.missing-token-challenge", Rule: "bearer.missing-token-challenge",
		Text:  "A request without a token gets 401 without WWW-Authenticate.",
		Apply: func(b *behaviour) { onBearer(b, noToken, func(f *flow, a *answer) { a.del("WWW-Authenticate") }) },
	},
	{
		Name: "bearer.missing-token-challenge/bare", Rule: "bearer.missing-token-challenge",
		Text: "The challenge is Bearer without any parameter.",
		Apply: func(b *behaviour) {
			onBearer(b, noToken, func(f *flow, a *answer) { a.set("WWW-Authenticate", "Bearer") })
		},
	},
	{
		Name: "bearer.missing-token-challenge/basic", Rule: "bearer.missing-token-challenge",
		Text: "The challenge is for Basic alone.",
		Apply: func(b *behaviour) {
			onBearer(b, noToken, func(f *flow, a *answer) { a.set("WWW-Authenticate", `Basic realm="api"`) })
		},
	},
	{
		Name: "bearer.missing-token-challenge/login-page", Rule: "bearer.missing-token-challenge",
		Text: "A request without a token is sent to a login page.",
		Apply: func(b *behaviour) {
			onBearer(b, noToken, func(f *flow, a *answer) {
				a.Status = http.StatusFound
				a.set("Location", f.e.base+loginPath)
			})
		},
	},
	{
		Name: "bearer.missing-token-no-error", Rule: "bearer.missing-token-no-error",
		Text: `The challenge to a request without a token has error="invalid_request".`,
		Apply: func(b *behaviour) {
			onBearer(b, noToken, func(f *flow, a *answer) {
				a.set("WWW-Authenticate", a.value("WWW-Authenticate")+`, error="invalid_request"`)
			})
		},
	},
	{
		Name: "bearer.invalid-token-refused", Rule: "bearer.invalid-token-refused",
		Text: "Any bearer value that is not empty is accepted.",
		Apply: func(b *behaviour) {
			b.instead(atBearerKnown, func(f *flow, standard func() *refusal) *refusal {
				standard()
				return nil
			})
		},
	},
	{
		Name: "bearer.invalid-token-401", Rule: "bearer.invalid-token-401",
		Text: "A bad token gets 403 without a challenge.",
		Apply: func(b *behaviour) {
			onBearer(b, invalidToken, func(f *flow, a *answer) {
				a.Status = http.StatusForbidden
				a.del("WWW-Authenticate")
			})
		},
	},
	{
		Name: "bearer.invalid-token-401/no-code", Rule: "bearer.invalid-token-401",
		Text: "The challenge to a bad token has no error.",
		Apply: func(b *behaviour) {
			onBearer(b, invalidToken, func(f *flow, a *answer) { a.set("WWW-Authenticate", `Bearer realm="api"`) })
		},
	},
	{
		Name: "bearer.tampered-jwt-refused", Rule: "bearer.tampered-jwt-refused",
		Text:  "The resource reads the claims of a JWT without verifying its signature.",
		Apply: func(b *behaviour) { trusting(b, func(*jws) bool { return true }) },
	},
	{
		Name: "bearer.tampered-jwt-refused/alg-none", Rule: "bearer.tampered-jwt-refused",
		Text:  "The resource takes a JWT with alg none.",
		Apply: func(b *behaviour) { trusting(b, func(t *jws) bool { return t.alg == "none" }) },
	},
	{
		Name: "bearer.expired-refused", Rule: "bearer.expired-refused",
		Text:  "The resource does not look at the expiry.",
		Apply: func(b *behaviour) { b.skip(atBearerExpired) },
	},
	{
		Name: "bearer.insufficient-scope", Rule: "bearer.insufficient-scope",
		Text: "A token without the scope gets 401 invalid_token.",
		Apply: func(b *behaviour) {
			onBearer(b, insufficientScope, func(f *flow, a *answer) {
				a.Status = http.StatusUnauthorized
				a.set("WWW-Authenticate", `Bearer realm="api", error="invalid_token"`)
			})
		},
	},
	{
		Name: "bearer.insufficient-scope/accepted", Rule: "bearer.insufficient-scope",
		Text:  "A token without the scope opens the resource.",
		Apply: func(b *behaviour) { b.skip(atBearerScope) },
	},
	{
		Name: "bearer.insufficient-scope/no-challenge", Rule: "bearer.insufficient-scope",
		Text: "A token without the scope gets 403 without a challenge.",
		Apply: func(b *behaviour) {
			onBearer(b, insufficientScope, func(f *flow, a *answer) { a.del("WWW-Authenticate") })
		},
	},
	{
		Name: "bearer.scheme-case", Rule: "bearer.scheme-case",
		Text:  "Only Bearer matches, spelt like this.",
		Apply: func(b *behaviour) { bearerScheme(b, func(got string) bool { return got == "Bearer" }) },
	},
	{
		Name: "bearer.scheme-case/lower", Rule: "bearer.scheme-case",
		Text: "Bearer and bearer match, BEARER does not.",
		Apply: func(b *behaviour) {
			bearerScheme(b, func(got string) bool { return slices.Contains([]string{"Bearer", "bearer"}, got) })
		},
	},
	{
		Name: "bearer.query-token-ignored", Rule: "bearer.query-token-ignored",
		Text:  "A token in the query is accepted.",
		Setup: Setup{Edition: "oauth21"},
		Apply: func(b *behaviour) {
			std := b.fromQuery
			b.fromQuery = func(f *flow, name string) bool { return f.endpoint == resourceEndpoint || std(f, name) }
		},
	},
	{
		Name: "bearer.query-cache-private", Rule: "bearer.query-cache-private",
		Text: "The answer to a token in the query may be cached by anybody.",
		Apply: func(b *behaviour) {
			b.onDocument(resourceEndpoint, func(f *flow, a *answer) {
				if token, _ := f.query.get("access_token"); token != "" && f.refusal == nil {
					a.set("Cache-Control", "public, max-age=60")
				}
			})
		},
	},
	{
		Name: "bearer.form-body", Rule: "bearer.form-body",
		Text: "A token in a form ends in 500.",
		Apply: func(b *behaviour) {
			b.onDocument(resourceEndpoint, func(f *flow, a *answer) {
				if f.r.Method == http.MethodPost {
					a.Status = http.StatusInternalServerError
				}
			})
		},
	},
	{
		Name: "bearer.form-body/no-challenge", Rule: "bearer.form-body",
		Text: "A token in a form gets 401 without a challenge.",
		Apply: func(b *behaviour) {
			b.onDocument(resourceEndpoint, func(f *flow, a *answer) {
				if f.r.Method == http.MethodPost {
					a.Status = http.StatusUnauthorized
					a.del("WWW-Authenticate")
				}
			})
		},
	},
	{
		Name: "bearer.attributes-unique", Rule: "bearer.attributes-unique",
		Text:  "realm stands twice in the challenge.",
		Apply: func(b *behaviour) { behindChallenge(b, `, realm="api"`) },
	},
	{
		Name: "bearer.attributes-unique/scope", Rule: "bearer.attributes-unique",
		Text:  "scope stands twice in the challenge, once in capitals.",
		Apply: func(b *behaviour) { behindChallenge(b, `, scope="read", SCOPE="write"`) },
	},
	{
		Name: "bearer.refresh-token-refused", Rule: "bearer.refresh-token-refused",
		Text: "The resource accepts any token that the server has issued, refresh tokens too.",
		Apply: func(b *behaviour) {
			std := b.findAccess
			b.findAccess = func(f *flow, token string) *accessToken {
				if f.endpoint == resourceEndpoint {
					if t := b.findRefresh(f, token); t != nil {
						return &accessToken{auth: t.auth, issued: t.issued, expires: t.expires}
					}
				}
				return std(f, token)
			}
		},
	},
}

// onBearer runs on the refusals of the resource for one reason.
func onBearer(b *behaviour, why reason, fn func(f *flow, a *answer)) {
	b.onDocument(resourceEndpoint, func(f *flow, a *answer) {
		if f.refusal != nil && f.refusal.Reason == why {
			fn(f, a)
		}
	})
}

// bearerScheme compares the scheme of a bearer token otherwise.
func bearerScheme(b *behaviour, is func(got string) bool) {
	std := b.schemeIs
	b.schemeIs = func(f *flow, got, want string) bool {
		if want == "Bearer" {
			return is(got)
		}
		return std(f, got, want)
	}
}

// behindChallenge puts attributes behind every challenge of the resource.
func behindChallenge(b *behaviour, attributes string) {
	b.onDocument(resourceEndpoint, func(f *flow, a *answer) {
		if v := a.value("WWW-Authenticate"); v != "" {
			a.set("WWW-Authenticate", v+attributes)
		}
	})
}

// trusting takes claims at their word at the resource, in a JWT that was never issued so.
func trusting(b *behaviour, naive func(t *jws) bool) {
	std := b.findAccess
	b.findAccess = func(f *flow, token string) *accessToken {
		t := std(f, token)
		if t != nil || f.endpoint != resourceEndpoint {
			return t
		}
		read, err := parseJWS(token)
		if err != nil || !naive(read) {
			return nil
		}
		exp, _ := read.time("exp")
		return &accessToken{auth: &authorization{client: f.e.registered[0]}, issued: f.now, expires: exp}
	}
}
