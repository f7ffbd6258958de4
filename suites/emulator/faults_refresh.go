package emulator

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
)

// refreshFaults break the rules of the group refresh.
var refreshFaults = []Fault{
	{
		Name: "refresh.happy-path", Rule: "refresh.happy-path",
		Text:  "Answers valid refresh requests with invalid_grant.",
		Apply: func(b *behaviour) { b.deny(atRefreshKnown, badRefreshToken) },
	},
	{
		Name: "refresh.unknown-token-refused", Rule: "refresh.unknown-token-refused",
		Text: "Unknown refresh tokens yield a token for a default subject.",
		Apply: func(b *behaviour) {
			findRefreshElse(b, func(f *flow, token string) *refreshToken {
				f.scope = f.e.scopes.standard
				return &refreshToken{value: token, auth: f.e.newAuthorization(f, f.e.primaryUser), expires: f.now.Add(time.Hour)}
			})
		},
	},
	{
		Name: "refresh.unknown-token-error", Rule: "refresh.unknown-token-error",
		Text:  "Answers 400 invalid_request for a refresh token it never issued.",
		Also:  []string{"revoke.refresh-token-dead"}, // a revoked token is as good as never issued
		Apply: func(b *behaviour) { recodeUnknownRefresh(b, "invalid_request") },
	},
	{
		Name: "refresh.unknown-token-error/invalid-client", Rule: "refresh.unknown-token-error",
		Text:  "Answers 400 invalid_client for a refresh token it never issued.",
		Also:  []string{"revoke.refresh-token-dead"}, // a revoked token is as good as never issued
		Apply: func(b *behaviour) { recodeUnknownRefresh(b, "invalid_client") },
	},
	{
		Name: "refresh.unknown-token-error/unauthorized-client", Rule: "refresh.unknown-token-error",
		Text:  "Answers 400 unauthorized_client for a refresh token it never issued.",
		Also:  []string{"revoke.refresh-token-dead"}, // a revoked token is as good as never issued
		Apply: func(b *behaviour) { recodeUnknownRefresh(b, "unauthorized_client") },
	},
	{
		Name: "refresh.tampered-refused", Rule: "refresh.tampered-refused",
		Text: "A self-contained refresh token whose signature is not checked: one changed character goes unnoticed.",
		Apply: func(b *behaviour) {
			findRefreshElse(b, func(f *flow, token string) *refreshToken {
				f.e.store.mu.Lock()
				defer f.e.store.mu.Unlock()
				for value, t := range f.e.store.refreshes.m {
					if differences(value, token) == 1 {
						return t
					}
				}
				return nil
			})
		},
	},
	{
		Name: "refresh.missing-token", Rule: "refresh.missing-token",
		Text: "Uses the session's last refresh token.",
		Apply: func(b *behaviour) {
			b.instead(atRefreshToken, func(f *flow, standard func() *refusal) *refusal {
				if f.form["refresh_token"] == "" {
					f.scope = f.e.scopes.standard
					f.refresh = &refreshToken{auth: f.e.newAuthorization(f, f.e.primaryUser), expires: f.now.Add(time.Hour)}
				}
				return nil
			})
		},
	},
	{
		Name: "refresh.missing-token/unauthorized-client", Rule: "refresh.missing-token",
		Text: "Answers a missing refresh_token with unauthorized_client.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == missingParameter && r.Parameter == "refresh_token" {
					r.Code = "unauthorized_client"
				}
			})
		},
	},
	{
		Name: "refresh.client-auth-required", Rule: "refresh.client-auth-required",
		Text: "Possession of the refresh token is sufficient.",
		Apply: func(b *behaviour) {
			holder := func(f *flow) bool {
				return f.grantIs(refreshGrant) && f.e.store.refresh(f.form["refresh_token"]) != nil
			}
			b.skipIf(atCredential, holder)
			b.skipIf(atSecret, holder)
		},
	},
	{
		Name: "refresh.client-auth-required/wrong-secret", Rule: "refresh.client-auth-required",
		Text: "A refresh token makes up for a wrong client secret.",
		Apply: func(b *behaviour) {
			b.skipIf(atSecret, func(f *flow) bool {
				return f.grantIs(refreshGrant) && f.e.store.refresh(f.form["refresh_token"]) != nil
			})
		},
	},
	{
		Name: "refresh.bound-to-client", Rule: "refresh.bound-to-client",
		Text:  "Any authenticated client can use any refresh token.",
		Apply: func(b *behaviour) { b.skip(atRefreshClient) },
	},
	{
		Name: "refresh.scope-not-widened", Rule: "refresh.scope-not-widened",
		Text: "Grants the extra scope on refresh.",
		Apply: func(b *behaviour) {
			b.instead(atRefreshScope, func(f *flow, standard func() *refusal) *refusal {
				return f.decideScope(f.e.scopes.known, f.refresh.auth.scope, true)
			})
		},
	},
	{
		Name: "refresh.scope-default-original", Rule: "refresh.scope-default-original",
		Text: "The refreshed token has an empty reported scope.",
		Also: []string{"refresh.scope-identical-on-rotation", "response.no-unrequested-id-token"}, // they read the same member
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.grantIs(refreshGrant) && f.form["scope"] == "" {
					a.Body.set("scope", "")
				}
			})
		},
	},
	{
		Name: "refresh.scope-default-original/all", Rule: "refresh.scope-default-original",
		Text: "A refresh without scope grants every scope that the client may have.",
		Also: []string{"refresh.scope-identical-on-rotation", "response.no-unrequested-id-token"}, // they read the same member
		Apply: func(b *behaviour) {
			b.instead(atRefreshScope, func(f *flow, standard func() *refusal) *refusal {
				return f.decideScope(f.refresh.auth.scope, f.e.scopes.known, true)
			})
			b.onToken(func(f *flow, a *answer) {
				if f.grantIs(refreshGrant) && f.form["scope"] == "" {
					a.Body.set("scope", strings.Join(f.scope, " "))
				}
			})
		},
	},
	{
		Name: "refresh.scope-identical-on-rotation", Rule: "refresh.scope-identical-on-rotation",
		Text: "Narrowing the access token permanently narrows the refresh token.",
		Apply: func(b *behaviour) {
			b.after(stageGrant, func(f *flow) *refusal {
				if f.refresh != nil && f.form["scope"] != "" {
					narrowed := *f.authorization
					narrowed.scope = f.scope
					f.authorization = &narrowed
				}
				return nil
			})
			b.onToken(func(f *flow, a *answer) {
				if f.grantIs(refreshGrant) && f.form["scope"] == "" {
					a.Body.set("scope", strings.Join(f.scope, " "))
				}
			})
		},
	},
	{
		Name: "refresh.new-token-usable", Rule: "refresh.new-token-usable",
		Text: "Returned refresh tokens are never stored.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.grantIs(refreshGrant) && f.issue.Refresh != nil {
					f.e.store.endRefresh(f.issue.Refresh)
				}
			})
		},
	},
	{
		Name: "refresh.concurrent", Rule: "refresh.concurrent",
		Text: "One of the parallel requests ends in 500 after the old token was deleted.",
		Apply: func(b *behaviour) {
			justRotated := func(f *flow, t *refreshToken) bool {
				f.e.store.mu.Lock()
				defer f.e.store.mu.Unlock()
				return !t.rotated.IsZero() && f.now.Sub(t.rotated) < time.Second
			}
			std := b.refreshSpent
			b.refreshSpent = func(f *flow, t *refreshToken) refreshState {
				if state := std(f, t); state == refreshFresh || !justRotated(f, t) {
					return state
				}
				return refreshDead
			}
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == badRefreshToken && f.refresh != nil && justRotated(f, f.refresh) {
					r.Status, r.Code = 500, "server_error"
				}
			})
		},
	},
	{
		Name: "refresh.public-rotation", Rule: "refresh.public-rotation",
		Text:  "The long-lived refresh token of a public client is kept.",
		Setup: Setup{Edition: "bcp"},
		Apply: func(b *behaviour) {
			std := b.rotates
			b.rotates = func(f *flow) bool { return !f.client.public && std(f) }
		},
	},
	{
		Name: "refresh.public-rotation/same", Rule: "refresh.public-rotation",
		Text:  "The same long-lived refresh token is returned to a public client.",
		Setup: Setup{Edition: "bcp"},
		Apply: func(b *behaviour) {
			std := b.rotates
			b.rotates = func(f *flow) bool { return !f.client.public && std(f) }
			b.onToken(func(f *flow, a *answer) {
				if f.grantIs(refreshGrant) && f.client.public {
					a.Body.set("refresh_token", f.refresh.value)
				}
			})
		},
	},
	{
		Name: "refresh.rotated-token-dead", Rule: "refresh.rotated-token-dead",
		Text:  "Old refresh tokens keep working after rotation.",
		Setup: Setup{Edition: "bcp"},
		Apply: func(b *behaviour) { b.skipIf(atRefreshUnused, func(f *flow) bool { return f.client.public }) },
	},
	{
		Name: "refresh.rotated-token-dead/error", Rule: "refresh.rotated-token-dead",
		Text:  "Answers a replaced refresh token with unauthorized_client.",
		Setup: Setup{Edition: "bcp"},
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == badRefreshToken && f.refresh != nil && f.client.public && !f.refresh.rotated.IsZero() {
					r.Code = "unauthorized_client"
				}
			})
		},
	},
	{
		Name: "refresh.replay-revokes-active", Rule: "refresh.replay-revokes-active",
		Text:  "A replay is refused but the active refresh token survives.",
		Setup: Setup{Edition: "bcp"},
		Apply: func(b *behaviour) { b.revokesFamily = func(*flow, *refreshToken) bool { return false } },
	},
	{
		Name: "refresh.lost-response-retry", Rule: "refresh.lost-response-retry",
		Text:  "The old refresh token dies at once.",
		Apply: func(b *behaviour) { b.onWorld(func(e *Emulator) { e.store.grace = 0 }) },
	},
	{
		Name: "refresh.access-token-not-accepted", Rule: "refresh.access-token-not-accepted",
		Text: "Both token kinds share one lookup table.",
		Apply: func(b *behaviour) {
			findRefreshElse(b, func(f *flow, token string) *refreshToken {
				if t := f.e.store.access(token); t != nil {
					return &refreshToken{value: token, auth: t.auth, expires: t.expires}
				}
				return nil
			})
		},
	},
	{
		Name: "refresh.strength", Rule: "refresh.strength",
		Text: "Refresh tokens are an incrementing counter in hex.",
		Apply: func(b *behaviour) {
			var n atomic.Int64
			n.Store(0x6f00_0000)
			makeTokens(b, "refresh", func() string { return fmt.Sprintf("%032x", n.Add(1)) })
		},
	},
	{
		Name: "refresh.strength/short", Rule: "refresh.strength",
		Text: "Refresh tokens are eight random digits.",
		Apply: func(b *behaviour) {
			makeTokens(b, "refresh", func() string { return fmt.Sprintf("%08d", rand.IntN(100000000)) })
		},
	},
}

// findRefreshElse looks further for refresh tokens that are presented to the token endpoint and not known.
func findRefreshElse(b *behaviour, look func(f *flow, token string) *refreshToken) {
	std := b.findRefresh
	b.findRefresh = func(f *flow, token string) *refreshToken {
		if t := std(f, token); t != nil || f.endpoint != tokenEndpoint {
			return t
		}
		return look(f, token)
	}
}

func recodeUnknownRefresh(b *behaviour, errorCode string) {
	b.onRefusal(func(f *flow, r *refusal) {
		if r.Reason == badRefreshToken && f.refresh == nil {
			r.Status, r.Code = 400, errorCode
		}
	})
}

// differences counts the places in which two texts of one length differ.
func differences(a, b string) int {
	if len(a) != len(b) {
		return -1
	}
	n := 0
	for i := range len(a) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}
