package emulator

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// authorizationCodeFaults break the rules of the group authorization-code.
var authorizationCodeFaults = []Fault{
	{
		Name: "code.happy-path", Rule: "code.happy-path",
		Text:  "Answers every exchange with invalid_grant.",
		Apply: func(b *behaviour) { b.deny(atCodeKnown, badCode) },
	},
	{
		Name: "code.unknown-code-refused", Rule: "code.unknown-code-refused",
		Text: "A code the server never issued is exchanged for a token of a default user.",
		Apply: func(b *behaviour) {
			std := b.findCode
			b.findCode = func(f *flow, value string) *code {
				if c := std(f, value); c != nil {
					return c
				}
				return madeUpCode(f)
			}
		},
	},
	{
		Name: "code.unknown-code-error", Rule: "code.unknown-code-error",
		Text: "Answers 400 invalid_client for a code it never issued.",
		Apply: func(b *behaviour) {
			recodeUnknownCode(b, "invalid_client")
		},
	},
	{
		Name: "code.unknown-code-error/unauthorized-client", Rule: "code.unknown-code-error",
		Text: "Answers 400 unauthorized_client for a code it never issued.",
		Apply: func(b *behaviour) {
			recodeUnknownCode(b, "unauthorized_client")
		},
	},
	{
		Name: "code.missing-code", Rule: "code.missing-code",
		Text: "A missing code falls back to the last code issued to the client.",
		Apply: func(b *behaviour) {
			b.instead(atCode, func(f *flow, standard func() *refusal) *refusal {
				if f.form["code"] == "" {
					f.code = madeUpCode(f)
				}
				return nil
			})
		},
	},
	{
		Name: "code.missing-code/unauthorized-client", Rule: "code.missing-code",
		Text: "Answers a missing code with unauthorized_client.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == missingParameter && r.Parameter == "code" {
					r.Code = "unauthorized_client"
				}
			})
		},
	},
	{
		Name: "code.reuse-denied", Rule: "code.reuse-denied",
		Text:  "A code stays valid until it expires.",
		Apply: func(b *behaviour) { b.skip(atCodeUnused) },
	},
	{
		Name: "code.reuse-error", Rule: "code.reuse-error",
		Text:  "Answers a reused code with 400 unauthorized_client.",
		Apply: func(b *behaviour) { b.recode(usedCode, 400, "unauthorized_client") },
	},
	{
		Name: "code.reuse-error/invalid-request", Rule: "code.reuse-error",
		Text:  "Answers a reused code with 400 invalid_request.",
		Apply: func(b *behaviour) { b.recode(usedCode, 400, "invalid_request") },
	},
	{
		Name: "code.reuse-denied-later", Rule: "code.reuse-denied-later",
		Text: "Spent codes are remembered for ten seconds only, though codes live for minutes.",
		Apply: func(b *behaviour) {
			b.skipIf(atCodeUnused, func(f *flow) bool {
				return f.now.Sub(f.code.expires.Add(-f.b.codeLifetime)) > 10*time.Second
			})
		},
	},
	{
		Name: "code.reuse-revokes", Rule: "code.reuse-revokes",
		Text:  "The first token stays active after a valid replay of its code.",
		Apply: func(b *behaviour) { b.deny(atReplayRevokes, usedCode) },
	},
	{
		Name: "code.invalid-replay-keeps-tokens", Rule: "code.invalid-replay-keeps-tokens",
		Text:  "Any replay of a code, authenticated or not, revokes its tokens.",
		Setup: Setup{Edition: "oauth21"},
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if f.endpoint != tokenEndpoint {
					return
				}
				f.e.store.mu.Lock()
				defer f.e.store.mu.Unlock()
				if c := f.e.store.codes.m[f.form["code"]]; c != nil && c.spent {
					c.auth.ended = true
				}
			})
		},
	},
	{
		Name: "code.concurrent-single-use", Rule: "code.concurrent-single-use",
		Text: "Looks whether a code was used, and marks it used a moment later: several different tokens are issued.",
		Apply: func(b *behaviour) {
			b.codeSpent = func(f *flow, c *code) bool {
				f.e.store.mu.Lock()
				was := c.spent
				f.e.store.mu.Unlock()
				time.Sleep(25 * time.Millisecond)
				f.e.store.spendCode(c)
				return was
			}
		},
	},
	{
		Name: "code.concurrent-across-addresses", Rule: "code.concurrent-across-addresses",
		Text:  "Two nodes keep spent codes each for itself.",
		Setup: Setup{Options: func(o *Options) { o.TwoAddresses = true }},
		Apply: func(b *behaviour) {
			var mu sync.Mutex
			spent := map[string]bool{}
			b.codeSpent = func(f *flow, c *code) bool {
				node, _, _ := net.SplitHostPort(fmt.Sprint(f.r.Context().Value(http.LocalAddrContextKey)))
				mu.Lock()
				defer mu.Unlock()
				was := spent[node+c.value]
				spent[node+c.value] = true
				return was
			}
		},
	},
	{
		Name: "code.bound-to-client", Rule: "code.bound-to-client",
		Text:  "Code lookup ignores the client: another client gets the token.",
		Apply: func(b *behaviour) { b.skip(atCodeClient) },
	},
	{
		Name: "code.redirect-uri-required", Rule: "code.redirect-uri-required",
		Text:  "A missing redirect_uri is not checked.",
		Apply: func(b *behaviour) { b.skip(atRedirectURI) },
	},
	{
		Name: "code.redirect-uri-identical", Rule: "code.redirect-uri-identical",
		Text: "Prefix comparison accepts an appended path or query.",
		Apply: func(b *behaviour) {
			b.skipIf(atRedirectMatch, func(f *flow) bool { return strings.HasPrefix(f.form["redirect_uri"], f.code.redirectURI) })
		},
	},
	{
		Name: "code.redirect-uri-identical/case", Rule: "code.redirect-uri-identical",
		Text: "Compares redirect_uri without regard to letter case.",
		Apply: func(b *behaviour) {
			b.skipIf(atRedirectMatch, func(f *flow) bool { return strings.EqualFold(f.form["redirect_uri"], f.code.redirectURI) })
		},
	},
	{
		Name: "code.redirect-uri-identical/host", Rule: "code.redirect-uri-identical",
		Text: "Compares the path of redirect_uri, not the host.",
		Apply: func(b *behaviour) {
			b.skipIf(atRedirectMatch, func(f *flow) bool { return pathOf(f.form["redirect_uri"]) == pathOf(f.code.redirectURI) })
		},
	},
	{
		Name: "code.redirect-uri-identical/slash", Rule: "code.redirect-uri-identical",
		Text: "A trailing slash makes no difference to redirect_uri.",
		Apply: func(b *behaviour) {
			b.skipIf(atRedirectMatch, func(f *flow) bool { return strings.TrimSuffix(f.form["redirect_uri"], "/") == f.code.redirectURI })
		},
	},
	{
		Name: "code.client-auth-required", Rule: "code.client-auth-required",
		Text: "The presence of a PKCE verifier waives client authentication.",
		Apply: func(b *behaviour) {
			verifier := func(f *flow) bool { return f.grantIs(authorizationCode) && f.sent("code_verifier") }
			b.skipIf(atCredential, verifier)
			b.skipIf(atSecret, verifier)
		},
	},
	{
		Name: "code.client-auth-required/wrong-secret", Rule: "code.client-auth-required",
		Text: "A code makes up for a wrong client secret.",
		Apply: func(b *behaviour) {
			b.skipIf(atSecret, func(f *flow) bool { return f.grantIs(authorizationCode) && f.e.store.code(f.form["code"]) != nil })
		},
	},
	{
		Name: "code.public-client-id-required", Rule: "code.public-client-id-required",
		Text: "The client is inferred from the code.",
		Apply: func(b *behaviour) {
			b.instead(atClientNamed, func(f *flow, standard func() *refusal) *refusal {
				if c := f.e.store.code(f.form["code"]); c != nil && c.auth.client.public && !f.sent("client_id") {
					f.client = c.auth.client
					return nil
				}
				return standard()
			})
		},
	},
	{
		Name: "code.expires", Rule: "code.expires",
		Text:  "Codes never expire.",
		Apply: func(b *behaviour) { b.skip(atCodeExpired) },
	},
	{
		Name: "code.strength", Rule: "code.strength",
		Text: "Codes are six decimal digits.",
		Apply: func(b *behaviour) {
			makeTokens(b, "code", func() string { return fmt.Sprintf("%06d", rand.IntN(1000000)) })
		},
	},
	{
		Name: "code.strength/sequence", Rule: "code.strength",
		Text: "Codes are consecutive numbers behind a long prefix.",
		Apply: func(b *behaviour) {
			var n atomic.Int64
			n.Store(10_000_000)
			makeTokens(b, "code", func() string { return fmt.Sprintf("SplxlOBeZQQYbYS6WxSbIA-%d", n.Add(1)) })
		},
	},
	{
		Name: "code.scope-not-widened", Rule: "code.scope-not-widened",
		Text: "The exchange grants whatever scope it is asked for.",
		Apply: func(b *behaviour) {
			b.after(stageGrant, func(f *flow) *refusal {
				if f.code != nil && f.form["scope"] != "" {
					f.scope = f.splitScope(f.form["scope"])
				}
				return nil
			})
		},
	},
}

// madeUpCode is a code of the default user that fits whatever comes with it.
func madeUpCode(f *flow) *code {
	f.scope = f.e.scopes.standard
	c := &code{auth: f.e.newAuthorization(f, f.e.primaryUser), redirectURI: f.form["redirect_uri"], expires: f.now.Add(time.Minute)}
	if v := f.form["code_verifier"]; v != "" {
		c.challenge, c.challengeMethod = v, "plain"
	}
	return c
}

func recodeUnknownCode(b *behaviour, errorCode string) {
	b.onRefusal(func(f *flow, r *refusal) {
		if r.Reason == badCode && f.code == nil {
			r.Status, r.Code = 400, errorCode
		}
	})
}

// makeTokens replaces how random values of a kind are made.
func makeTokens(b *behaviour, kind string, make func() string) {
	std := b.newToken
	b.newToken = func(f *flow, k string) string {
		if k == kind {
			return make()
		}
		return std(f, k)
	}
}
