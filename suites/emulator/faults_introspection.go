package emulator

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"grantcheck/suites/contract"
)

// introspectionFaults break the rules of the group introspection.
var introspectionFaults = []Fault{
	{
		Name: "introspect.active-live", Rule: "introspect.active-live",
		Text:  "active is the string true.",
		Apply: func(b *behaviour) { onActive(b, true, func(f *flow, a *answer) { a.Body.set("active", "true") }) },
	},
	{
		Name: "introspect.active-live/number", Rule: "introspect.active-live",
		Text:  "active is the number 1.",
		Apply: func(b *behaviour) { onActive(b, true, func(f *flow, a *answer) { a.Body.set("active", 1) }) },
	},
	{
		Name: "introspect.active-live/missing", Rule: "introspect.active-live",
		Text:  "The answer about a live token has no active.",
		Apply: func(b *behaviour) { onActive(b, true, func(f *flow, a *answer) { a.Body.drop("active") }) },
	},
	{
		Name: "introspect.auth-required", Rule: "introspect.auth-required",
		Text: "Introspection works without any credentials.",
		Apply: func(b *behaviour) {
			b.instead(atClientNamed, func(f *flow, standard func() *refusal) *refusal {
				if f.endpoint == introspectionEndpoint && f.cred.bodyID == "" && f.cred.scheme == "" {
					f.client = f.e.registered[0]
					return nil
				}
				return standard()
			})
		},
	},
	{
		Name: "introspect.auth-required/inactive", Rule: "introspect.auth-required",
		Text: "A request without credentials is answered with active false in place of a refusal.",
		Apply: func(b *behaviour) {
			b.onDocument(introspectionEndpoint, func(f *flow, a *answer) {
				if f.refusal != nil && f.refusal.Reason == missingClientAuth {
					inactive(a)
				}
			})
		},
	},
	{
		Name: "introspect.bad-credentials-401", Rule: "introspect.bad-credentials-401",
		Text: "A wrong caller secret is answered with 200 and active false.",
		Apply: func(b *behaviour) {
			onWrongCaller(b, func(f *flow, a *answer) { inactive(a) })
		},
	},
	{
		Name: "introspect.bad-credentials-401/forbidden", Rule: "introspect.bad-credentials-401",
		Text: "A wrong caller secret is answered with 403.",
		Apply: func(b *behaviour) {
			onWrongCaller(b, func(f *flow, a *answer) { refuseAs(a, http.StatusForbidden, "access_denied") })
		},
	},
	{
		Name: "introspect.bad-credentials-401/no-challenge", Rule: "introspect.bad-credentials-401",
		Text:  "The 401 to wrong credentials in an Authorization field has no challenge.",
		Apply: func(b *behaviour) { onWrongCaller(b, func(f *flow, a *answer) { a.del("WWW-Authenticate") }) },
	},
	{
		Name: "introspect.unknown-inactive", Rule: "introspect.unknown-inactive",
		Text: "A token that was never issued is answered with 400 invalid_token.",
		Apply: func(b *behaviour) {
			onActive(b, false, func(f *flow, a *answer) {
				if f.access == nil && f.refresh == nil {
					refuseAs(a, http.StatusBadRequest, "invalid_token")
				}
			})
		},
	},
	{
		Name: "introspect.unknown-inactive/string", Rule: "introspect.unknown-inactive",
		Text:  "active is the string false.",
		Apply: func(b *behaviour) { onActive(b, false, func(f *flow, a *answer) { a.Body.set("active", "false") }) },
	},
	{
		Name: "introspect.inactive-minimal", Rule: "introspect.inactive-minimal",
		Text: "The answer about an inactive token tells the reason and the expiry.",
		Apply: func(b *behaviour) {
			onActive(b, false, func(f *flow, a *answer) {
				a.Body = append(a.Body, member{Name: "reason", Value: "expired or revoked"}, member{Name: "exp", Value: f.now.Add(-time.Hour).Unix()})
			})
		},
	},
	{
		Name: "introspect.revoked-inactive", Rule: "introspect.revoked-inactive",
		Text: "Introspection goes on telling active true for a refresh token that was revoked.",
		Apply: func(b *behaviour) {
			var gone sync.Map // refresh tokens once revoked
			afterRevocation(b, func(f *flow, a *answer) {
				if f.refresh != nil {
					gone.Store(f.refresh.value, f.refresh)
				}
			})
			onActive(b, false, func(f *flow, a *answer) {
				if t, ok := gone.Load(f.param("token")); ok {
					a.Body = object{{Name: "active", Value: true}, {Name: "client_id", Value: t.(*refreshToken).auth.client.id}}
				}
			})
		},
	},
	{
		Name: "introspect.revoked-inactive/expired", Rule: "introspect.revoked-inactive",
		Text:  "Introspection goes on telling active true for an access token that has expired.",
		Setup: Setup{Prepare: func(c *contract.Contract) { c.Revocation = nil }},
		Apply: func(b *behaviour) {
			onActive(b, false, func(f *flow, a *answer) {
				if f.access != nil && !f.now.Before(f.access.expires) && !f.e.store.accessEnded(f.access) {
					a.Body = object{{Name: "active", Value: true}, {Name: "exp", Value: f.access.expires.Unix()}}
				}
			})
		},
	},
	{
		Name: "introspect.types", Rule: "introspect.types",
		Text: "exp is an ISO date.",
		Apply: func(b *behaviour) {
			onActive(b, true, func(f *flow, a *answer) { a.Body.set("exp", f.now.Add(time.Hour).UTC().Format(time.RFC3339)) })
		},
	},
	{
		Name: "introspect.types/scope", Rule: "introspect.types",
		Text: "scope is an array.",
		Apply: func(b *behaviour) {
			onActive(b, true, func(f *flow, a *answer) {
				scope, _ := a.Body.get("scope").(string)
				a.Body.set("scope", strings.Fields(scope))
			})
		},
	},
	{
		Name: "introspect.types/milliseconds", Rule: "introspect.types",
		Text: "iat is a number with a fraction.",
		Apply: func(b *behaviour) {
			onActive(b, true, func(f *flow, a *answer) { a.Body.set("iat", float64(f.now.Unix())+0.25) })
		},
	},
	{
		Name: "introspect.wrong-hint", Rule: "introspect.wrong-hint",
		Text: "A token_type_hint restricts the lookup: a live access token is told inactive.",
		Apply: func(b *behaviour) {
			std := b.findAccess
			b.findAccess = func(f *flow, token string) *accessToken {
				if f.endpoint == introspectionEndpoint && f.param("token_type_hint") == "refresh_token" {
					return nil
				}
				return std(f, token)
			}
		},
	},
}

// onActive runs on answers of introspection that tell a token active, or inactive.
func onActive(b *behaviour, active bool, fn func(f *flow, a *answer)) {
	b.onDocument(introspectionEndpoint, func(f *flow, a *answer) {
		if f.refusal == nil && a.Body.get("active") == active {
			fn(f, a)
		}
	})
}

// onWrongCaller runs on refusals of a caller's secret.
func onWrongCaller(b *behaviour, fn func(f *flow, a *answer)) {
	b.onDocument(introspectionEndpoint, func(f *flow, a *answer) {
		if f.refusal != nil && f.refusal.Reason == wrongSecret {
			fn(f, a)
		}
	})
}

// inactive turns an answer into active false.
func inactive(a *answer) {
	*a = answer{Status: http.StatusOK, Body: object{{Name: "active", Value: false}}}
	a.set("Content-Type", "application/json")
	noStore(a)
}
