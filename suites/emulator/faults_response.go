package emulator

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"grantcheck/suites/contract"
)

// responseFaults break the rules of the group response.
var responseFaults = []Fault{
	{
		Name: "response.status-200", Rule: "response.status-200",
		Text:  "Answers 201 Created with the token.",
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { a.Status = 201 }) },
	},
	{
		Name: "response.content-type", Rule: "response.content-type",
		Text:  "Labels the JSON text/html.",
		Apply: func(b *behaviour) { tokenField(b, "Content-Type", "text/html") },
	},
	{
		Name: "response.content-type/plain", Rule: "response.content-type",
		Text:  "Labels the JSON text/plain; charset=utf-8.",
		Apply: func(b *behaviour) { tokenField(b, "Content-Type", "text/plain; charset=utf-8") },
	},
	{
		Name: "response.content-type/missing", Rule: "response.content-type",
		Text:  "Sends no Content-Type.",
		Apply: func(b *behaviour) { tokenField(b, "Content-Type", "") },
	},
	{
		Name: "response.accept-independent", Rule: "response.accept-independent",
		Text: "Renders an HTML error page for Accept: text/html.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if strings.Contains(f.r.Header.Get("Accept"), "text/html") {
					a.text("text/html; charset=utf-8", "<!doctype html><title>Error</title><p>The request was refused.</p>")
				}
			})
		},
	},
	{
		Name: "response.accept-independent/no-accept", Rule: "response.accept-independent",
		Text: "Without Accept the token comes as XML.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.r.Header.Get("Accept") == "" {
					a.text("application/xml", fmt.Sprintf("<token><!-- {%q:%q} --></token>", "access_token", f.issue.AccessToken))
				}
			})
		},
	},
	{
		Name: "response.json-object", Rule: "response.json-object",
		Text:  "Puts the anti-hijacking guard )]}' before the body.",
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { a.Prefix = []byte(")]}',\n") }) },
	},
	{
		Name: "response.json-object/array", Rule: "response.json-object",
		Text: "Puts the object into an array of one.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) { a.Prefix, a.Suffix = []byte("["), []byte("]") })
		},
	},
	{
		Name: "response.json-object/trailing", Rule: "response.json-object",
		Text:  "Writes a comment of the template behind the object.",
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { a.Suffix = []byte("\n<!-- rendered -->") }) },
	},
	{
		Name: "response.json-object/trailing-comma", Rule: "response.json-object",
		Text: "Leaves a comma behind the last member.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				a.Rewrite = func(body []byte) []byte { return append(bytes.TrimSuffix(body, []byte("}")), ",}"...) }
			})
		},
	},
	{
		Name: "response.flat", Rule: "response.flat",
		Text: `Wraps the parameters in a "data" object.`,
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) { a.Body = object{{Name: "data", Value: a.Body}} })
		},
	},
	{
		Name: "response.flat/token-type", Rule: "response.flat",
		Text: "token_type stands in a nested object.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				kind := a.Body.get("token_type")
				a.Body.drop("token_type")
				a.Body = append(a.Body, member{Name: "meta", Value: object{{Name: "token_type", Value: kind}}})
			})
		},
	},
	{
		Name: "response.access-token", Rule: "response.access-token",
		Text:  "The access token of a password grant holds a line feed.",
		Apply: func(b *behaviour) { passwordToken(b, func(token string) any { return token[:8] + "\n" + token[8:] }) },
	},
	{
		Name: "response.access-token/non-ascii", Rule: "response.access-token",
		Text:  "The access token of a password grant ends in a non-ASCII letter.",
		Apply: func(b *behaviour) { passwordToken(b, func(token string) any { return token + "é" }) },
	},
	{
		Name: "response.access-token/number", Rule: "response.access-token",
		Text:  "The access token of a password grant is a JSON number.",
		Apply: func(b *behaviour) { passwordToken(b, func(string) any { return raw("902738450128374659") }) },
	},
	{
		Name: "response.token-type", Rule: "response.token-type",
		Text:  "Leaves token_type out.",
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { a.Body.drop("token_type") }) },
	},
	{
		Name: "response.token-type/null", Rule: "response.token-type",
		Text:  "token_type is null.",
		Apply: func(b *behaviour) { tokenMember(b, "token_type", nil) },
	},
	{
		Name: "response.token-type/blank", Rule: "response.token-type",
		Text:  "token_type is \"Bearer Token\", which is neither a name nor a URI.",
		Apply: func(b *behaviour) { tokenMember(b, "token_type", "Bearer Token") },
	},
	{
		Name: "response.token-type-usable", Rule: "response.token-type-usable",
		Text: "token_type is JWT on answers outside OpenID.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if !slices.Contains(f.issue.Scope, "openid") {
					a.Body.set("token_type", "JWT")
				}
			})
		},
	},
	{
		Name: "response.expires-in-present", Rule: "response.expires-in-present",
		Text:  "Leaves expires_in out and documents nothing, while the tokens are opaque.",
		Setup: Setup{Prepare: opaqueTokens},
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { a.Body.drop("expires_in") }) },
	},
	{
		Name: "response.expires-in-number", Rule: "response.expires-in-number",
		Text: `Sends expires_in as the string "3600".`,
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) { a.Body.set("expires_in", fmt.Sprint(f.issue.ExpiresIn)) })
		},
	},
	{
		Name: "response.expires-in-number/date", Rule: "response.expires-in-number",
		Text: "Sends expires_in as a date.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) { a.Body.set("expires_in", f.issue.Expires.UTC().Format(time.RFC3339)) })
		},
	},
	{
		Name: "response.expires-in-sane", Rule: "response.expires-in-sane",
		Text:  "Sends -1 for tokens that never expire.",
		Apply: func(b *behaviour) { tokenMember(b, "expires_in", -1) },
	},
	{
		Name: "response.expires-in-sane/fraction", Rule: "response.expires-in-sane",
		Text:  "Sends a fraction of a second.",
		Apply: func(b *behaviour) { tokenMember(b, "expires_in", raw("3599.25")) },
	},
	{
		Name: "response.expires-in-sane/exponent", Rule: "response.expires-in-sane",
		Text:  "Sends 3.6e3, which strict parsers of integers refuse.",
		Apply: func(b *behaviour) { tokenMember(b, "expires_in", raw("3.6e3")) },
	},
	{
		Name: "response.expires-in-sane/zero", Rule: "response.expires-in-sane",
		Text:  "Sends 0.",
		Apply: func(b *behaviour) { tokenMember(b, "expires_in", 0) },
	},
	{
		Name: "response.lifetime-short", Rule: "response.lifetime-short",
		Text:  "Tokens live for 30 days: expires_in is 2592000.",
		Apply: func(b *behaviour) { lifetime(b, 720*time.Hour, 720*time.Hour) },
	},
	{
		Name: "response.scope-reported", Rule: "response.scope-reported",
		Text: "Drops a scope that the client may not have, without saying so.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.issue.ScopeDiffers && f.grantIs(clientCredentials) {
					a.Body.drop("scope")
				}
			})
		},
	},
	{
		Name: "response.scope-syntax", Rule: "response.scope-syntax",
		Text:  "scope is a JSON array.",
		Apply: func(b *behaviour) { scopeMember(b, func(names []string) any { return names }) },
	},
	{
		Name: "response.scope-syntax/commas", Rule: "response.scope-syntax",
		Text: "The names in scope are separated by commas.",
		Setup: Setup{Prepare: func(c *contract.Contract) {
			c.Scopes.Request = []string{"read", "write"}
		}},
		Apply: func(b *behaviour) { scopeMember(b, func(names []string) any { return strings.Join(names, ",") }) },
	},
	{
		Name: "response.scope-syntax/two-spaces", Rule: "response.scope-syntax",
		Text:  "A space stands behind the last name.",
		Apply: func(b *behaviour) { scopeMember(b, func(names []string) any { return strings.Join(names, " ") + " " }) },
	},
	{
		Name: "response.no-unrequested-id-token", Rule: "response.no-unrequested-id-token",
		Text: "Every answer for a user carries an id_token.",
		Apply: func(b *behaviour) {
			b.wantsIDToken = func(f *flow) bool { return f.authorization != nil && f.authorization.user != nil }
		},
	},
	{
		Name: "response.refresh-token-syntax", Rule: "response.refresh-token-syntax",
		Text: "refresh_token ends in a non-ASCII letter, and works when sent back.",
		Apply: func(b *behaviour) {
			std := b.newToken
			b.newToken = func(f *flow, kind string) string {
				if kind == "refresh" {
					return std(f, kind) + "é"
				}
				return std(f, kind)
			}
		},
	},
	{
		Name: "response.refresh-token-syntax/empty", Rule: "response.refresh-token-syntax",
		Text: "Answers without a refresh token carry an empty one.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.issue.RefreshToken == "" {
					a.Body.set("refresh_token", "")
				}
			})
		},
	},
	{
		Name: "response.optional-members-typed", Rule: "response.optional-members-typed",
		Text: `Sends "refresh_token": null where there is none.`,
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.issue.RefreshToken == "" {
					a.Body.set("refresh_token", nil)
				}
			})
		},
	},
	{
		Name: "response.optional-members-typed/id-token", Rule: "response.optional-members-typed",
		Text: `Sends "id_token": null where there is none.`,
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.issue.IDToken == "" {
					a.Body.set("id_token", nil)
				}
			})
		},
	},
	{
		Name: "response.no-duplicate-members", Rule: "response.no-duplicate-members",
		Text: "token_type stands in the answer twice.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				a.Body = append(a.Body, member{Name: "token_type", Value: a.Body.get("token_type")})
			})
		},
	},
	{
		Name: "response.no-duplicate-members/vendor", Rule: "response.no-duplicate-members",
		Text: "A member of the vendor's stands twice, with two values.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				a.Body = append(a.Body, member{Name: "tenant", Value: "a"}, member{Name: "tenant", Value: "b"})
			})
		},
	},
	{
		Name: "response.utf8", Rule: "response.utf8",
		Text:  "Puts a byte order mark before the JSON.",
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { a.Prefix = []byte("\xef\xbb\xbf") }) },
	},
	{
		Name: "response.utf8/errors", Rule: "response.utf8",
		Text: "Puts a byte order mark before the JSON of an error about a missing parameter.",
		Apply: func(b *behaviour) {
			errorOf(b, missingParameter, func(f *flow, a *answer) { a.Prefix = []byte("\xef\xbb\xbf") })
		},
	},
	{
		Name: "response.utf8/latin-1", Rule: "response.utf8",
		Text: "Writes a member of the vendor's in ISO 8859-1.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				a.Body = append(a.Body, member{Name: "region", Value: raw("\"Z\xfcrich\"")})
			})
		},
	},
	{
		Name: "response.token-strength", Rule: "response.token-strength",
		Text:  "Access tokens are a counter in hex.",
		Setup: Setup{Prepare: opaqueTokens},
		Apply: func(b *behaviour) {
			var n atomic.Uint64
			makeTokens(b, "access", func() string { return fmt.Sprintf("9f86d081884c7d659a2feaa0c55ad0%010x", n.Add(1)) })
		},
	},
	{
		Name: "response.token-strength/short", Rule: "response.token-strength",
		Text:  "Only the last eight characters of an access token vary.",
		Setup: Setup{Prepare: opaqueTokens},
		Apply: func(b *behaviour) {
			std := b.newToken
			b.newToken = func(f *flow, kind string) string {
				if token := std(f, kind); kind == "access" {
					return "access-token-of-the-example-server-" + token[:8]
				} else {
					return token
				}
			}
		},
	},
	{
		Name: "response.distinct-tokens", Rule: "response.distinct-tokens",
		Text:  "A client that asks for itself gets the same token for an hour.",
		Setup: Setup{Prepare: opaqueTokens},
		Apply: func(b *behaviour) {
			std := b.newToken
			kept := newBounded[string](1000)
			b.newToken = func(f *flow, kind string) string {
				if kind != "access" || !f.grantIs(clientCredentials) {
					return std(f, kind)
				}
				key := f.client.id + " " + strings.Join(f.scope, " ")
				f.e.sessionMu.Lock()
				defer f.e.sessionMu.Unlock()
				if kept.m[key] == "" {
					kept.put(key, std(f, kind))
				}
				return kept.m[key]
			}
		},
	},
	{
		Name: "response.expires-in-remaining", Rule: "response.expires-in-remaining",
		Text: "A cached token comes with the expires_in that it had when it was new.",
		// A token with its whole life before it says nothing of a cache.
		Also: []string{"response.distinct-tokens"},
		Apply: func(b *behaviour) {
			kept := map[string]*answer{}
			b.onToken(func(f *flow, a *answer) {
				if !f.grantIs(clientCredentials) || f.client == nil {
					return
				}
				key := f.client.id + " " + strings.Join(f.scope, " ")
				f.e.sessionMu.Lock()
				defer f.e.sessionMu.Unlock()
				if old := kept[key]; old != nil {
					a.Body = old.Body
					return
				}
				kept[key] = a
			})
		},
	},
}

// tokenField sets a header field of every answer with a token; an empty value takes it out.
func tokenField(b *behaviour, name, value string) {
	b.onToken(func(f *flow, a *answer) {
		if a.del(name); value != "" {
			a.set(name, value)
		}
	})
}

// tokenMember sets a member of every answer with a token.
func tokenMember(b *behaviour, part string, value any) {
	b.onToken(func(f *flow, a *answer) { a.Body.set(part, value) })
}

// passwordToken changes the access token in the answers to a password grant.
func passwordToken(b *behaviour, change func(token string) any) {
	b.onToken(func(f *flow, a *answer) {
		if f.grantIs(passwordGrant) {
			a.Body.set("access_token", change(f.issue.AccessToken))
		}
	})
}

// scopeMember writes scope otherwise wherever an answer carries it.
func scopeMember(b *behaviour, write func(names []string) any) {
	b.onToken(func(f *flow, a *answer) {
		if a.Body.find("scope") != nil {
			a.Body.set("scope", write(f.issue.Scope))
		}
	})
}

// lifetime has tokens live otherwise than documented.
func lifetime(b *behaviour, said, real time.Duration) {
	b.lifetime = func(*flow) (time.Duration, time.Duration) { return said, real }
}

// opaqueTokens takes the JWT profile out of a contract.
func opaqueTokens(c *contract.Contract) { c.Token.Profile = "" }
