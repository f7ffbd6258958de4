package emulator

import (
	"net/http"

	"grantcheck/suites/contract"
)

// revocationFaults break the rules of the group revocation.
var revocationFaults = []Fault{
	{
		Name: "revoke.refresh-token-ok", Rule: "revoke.refresh-token-ok",
		Text: "Answers 204 No Content for refresh tokens.",
		Apply: func(b *behaviour) {
			afterRevocation(b, func(f *flow, a *answer) {
				if f.refresh != nil {
					a.Status = http.StatusNoContent
					a.del("Content-Length")
				}
			})
		},
	},
	{
		Name: "revoke.refresh-token-ok/unsupported", Rule: "revoke.refresh-token-ok",
		Text: "Answers 400 unsupported_token_type for refresh tokens.",
		Apply: func(b *behaviour) {
			afterRevocation(b, func(f *flow, a *answer) {
				if f.refresh != nil {
					refuseAs(a, http.StatusBadRequest, "unsupported_token_type")
				}
			})
		},
	},
	{
		Name: "revoke.refresh-token-dead", Rule: "revoke.refresh-token-dead",
		Text: "Answers 200 for a refresh token and does nothing.",
		Apply: func(b *behaviour) {
			b.instead(atRevokeEffect, func(f *flow, standard func() *refusal) *refusal {
				if f.refresh != nil {
					return refuse(unauthorizedClient)
				}
				return standard()
			})
		},
	},
	{
		Name: "revoke.unknown-token-ok", Rule: "revoke.unknown-token-ok",
		Text: "Answers 400 invalid_token for unknown tokens.",
		Apply: func(b *behaviour) {
			afterRevocation(b, func(f *flow, a *answer) {
				if f.refresh == nil && f.access == nil {
					refuseAs(a, http.StatusBadRequest, "invalid_token")
				}
			})
		},
	},
	{
		Name: "revoke.unknown-token-ok/not-found", Rule: "revoke.unknown-token-ok",
		Text: "Answers 404 for unknown tokens.",
		Apply: func(b *behaviour) {
			afterRevocation(b, func(f *flow, a *answer) {
				if f.refresh == nil && f.access == nil {
					refuseAs(a, http.StatusNotFound, "not_found")
				}
			})
		},
	},
	{
		Name: "revoke.client-auth-required", Rule: "revoke.client-auth-required",
		Text: "Whoever holds the token can revoke it, with whatever secret.",
		Apply: func(b *behaviour) {
			b.skipIf(atSecret, func(f *flow) bool { return f.endpoint == revocationEndpoint })
		},
	},
	{
		Name: "revoke.client-auth-required/answers-200", Rule: "revoke.client-auth-required",
		Text: "A wrong secret is answered with 200, although nothing is revoked.",
		Apply: func(b *behaviour) {
			b.onDocument(revocationEndpoint, func(f *flow, a *answer) {
				if f.refusal != nil && f.refusal.Reason == wrongSecret {
					*a = answer{Status: http.StatusOK, NoBody: true}
				}
			})
		},
	},
	{
		Name: "revoke.foreign-token-kept", Rule: "revoke.foreign-token-kept",
		Text:  "Revokes a token whoever it was issued to.",
		Apply: func(b *behaviour) { b.skip(atRevokeOwner) },
	},
	{
		Name: "revoke.access-token", Rule: "revoke.access-token",
		Text:  "Answers 200 for an access token that is a reference, and it stays active.",
		Setup: opaque,
		Apply: func(b *behaviour) {
			b.instead(atRevokeEffect, func(f *flow, standard func() *refusal) *refusal {
				if f.refresh == nil {
					return refuse(unauthorizedClient)
				}
				return standard()
			})
		},
	},
	{
		Name: "revoke.access-token/other-code", Rule: "revoke.access-token",
		Text: "Answers 400 invalid_request for access tokens, in place of unsupported_token_type.",
		Apply: func(b *behaviour) {
			afterRevocation(b, func(f *flow, a *answer) {
				if f.access != nil {
					refuseAs(a, http.StatusBadRequest, "invalid_request")
				}
			})
		},
	},
	{
		Name: "revoke.cascade", Rule: "revoke.cascade",
		Text:  "The access token issued beside a revoked refresh token stays active.",
		Setup: opaque,
		Apply: func(b *behaviour) { b.deny(atRevokeCascade, unauthorizedClient) },
	},
	{
		Name: "revoke.wrong-hint", Rule: "revoke.wrong-hint",
		Text: "A token_type_hint restricts the lookup, so the token survives a wrong one.",
		Apply: func(b *behaviour) {
			std := b.findRefresh
			b.findRefresh = func(f *flow, token string) *refreshToken {
				if f.endpoint == revocationEndpoint && f.param("token_type_hint") == "access_token" {
					return nil
				}
				return std(f, token)
			}
		},
	},
	{
		Name: "revoke.wrong-hint/unknown", Rule: "revoke.wrong-hint",
		Text: "Answers 400 unsupported_token_type to a token_type_hint that it does not know.",
		Apply: func(b *behaviour) {
			b.onDocument(revocationEndpoint, func(f *flow, a *answer) {
				if hint := f.param("token_type_hint"); hint != "" && hint != "access_token" && hint != "refresh_token" {
					refuseAs(a, http.StatusBadRequest, "unsupported_token_type")
				}
			})
		},
	},
	{
		Name: "revoke.missing-token", Rule: "revoke.missing-token",
		Text: "A revocation request without token ends in 500.",
		Apply: func(b *behaviour) {
			withoutToken(b, revocationEndpoint, func(a *answer) { refuseAs(a, http.StatusInternalServerError, "server_error") })
		},
	},
	{
		Name: "revoke.missing-token/other-code", Rule: "revoke.missing-token",
		Text: "A revocation request without token is answered with invalid_grant.",
		Apply: func(b *behaviour) {
			withoutToken(b, revocationEndpoint, func(a *answer) { refuseAs(a, http.StatusBadRequest, "invalid_grant") })
		},
	},
}

// opaque makes access tokens references, where nothing says otherwise.
var opaque = Setup{Prepare: func(c *contract.Contract) { c.Token.Profile = "" }}

// afterRevocation changes the answers to revocations that were not refused.
func afterRevocation(b *behaviour, change func(f *flow, a *answer)) {
	b.onDocument(revocationEndpoint, func(f *flow, a *answer) {
		if f.refusal == nil {
			change(f, a)
		}
	})
}

// withoutToken changes the answers to requests that lack token.
func withoutToken(b *behaviour, at endpoint, change func(a *answer)) {
	b.onDocument(at, func(f *flow, a *answer) {
		if f.refusal != nil && f.refusal.Reason == missingParameter && f.refusal.Parameter == "token" {
			change(a)
		}
	})
}

// refuseAs turns an answer into an error.
func refuseAs(a *answer, status int, code string) {
	*a = answer{Status: status, Body: object{{Name: "error", Value: code}}}
	a.set("Content-Type", "application/json")
	a.set("Cache-Control", "no-store")
}
