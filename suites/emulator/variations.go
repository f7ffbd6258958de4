package emulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/contract"
)

// variations are what correct servers do differently.
var variations = []Variation{
	// How a token answer is written.
	{
		Name:  "token-type-lower-case",
		Text:  "token_type is bearer: it compares without regard to letter case (RFC 6749 section 7.1).",
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { retype(a, strings.ToLower) }) },
	},
	{
		Name:  "token-type-upper-case",
		Text:  "token_type is BEARER.",
		Apply: func(b *behaviour) { b.onToken(func(f *flow, a *answer) { retype(a, strings.ToUpper) }) },
	},
	{
		Name: "members-reversed",
		Text: "The members come in another order: a JSON object has none.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) { slices.Reverse(a.Body) })
		},
	},
	{
		Name: "json-indented",
		Text: "The JSON is indented and ends in a line feed.",
		Apply: func(b *behaviour) {
			rewriteJSON(b, func(body []byte) []byte {
				var out bytes.Buffer
				if json.Indent(&out, body, "", "  ") != nil {
					return body
				}
				out.WriteByte('\n')
				return out.Bytes()
			})
		},
	},
	{
		Name: "json-padded",
		Text: "White space stands around the JSON (RFC 8259 section 2).",
		Apply: func(b *behaviour) {
			rewriteJSON(b, func(body []byte) []byte { return slices.Concat([]byte(" \r\n\t"), body, []byte("\r\n \n")) })
		},
	},
	{
		Name: "json-escapes",
		Text: "Letters and slashes are written as escapes: \\u0062 and \\/ mean the same (RFC 8259 section 7).",
		Apply: func(b *behaviour) {
			rewriteJSON(b, func(body []byte) []byte {
				return bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("/"), []byte(`\/`)), []byte("e"), []byte(`\u0065`))
			})
		},
	},
	{
		Name: "content-type-charset",
		Text: "Content-Type carries charset=utf-8.",
		Apply: func(b *behaviour) {
			contentType(b, func(t string) string { return t + "; charset=utf-8" })
		},
	},
	{
		Name: "content-type-letter-case",
		Text: "The media type is spelt Application/JSON;charset=\"UTF-8\" (RFC 9110 section 8.3.1).",
		Apply: func(b *behaviour) {
			contentType(b, func(t string) string {
				if t == "application/json" {
					return `Application/JSON;charset="UTF-8"`
				}
				return t
			})
		},
	},
	{
		Name: "header-names-lower-case",
		Text: "Header field names are written in lower case (RFC 9110 section 5.1).",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) {
				for i := range a.Header {
					a.Header[i].Name = strings.ToLower(a.Header[i].Name)
				}
			})
		},
	},
	{
		Name: "cache-control-list",
		Text: "no-store stands among other directives, in capitals.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				a.set("Cache-Control", "private, max-age=0, No-Store")
				a.set("Pragma", "No-Cache")
			})
		},
	},
	{
		Name: "cache-control-two-lines",
		Text: "Cache-Control comes in two field lines (RFC 9110 section 5.2).",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				a.set("Cache-Control", "private")
				a.add("Cache-Control", "no-store")
			})
		},
	},
	{
		Name: "scope-reordered",
		Text: "The granted scope is told in another order than that of the request: order does not matter.",
		Apply: func(b *behaviour) {
			std := b.grantScope
			b.grantScope = func(f *flow, ask scopeAsk) ([]string, *refusal) {
				granted, r := std(f, ask)
				granted = slices.Clone(granted)
				slices.Reverse(granted)
				return granted, r
			}
		},
	},
	{
		Name: "scope-unsaid",
		Text: "The scope member is left out when it equals the request (RFC 6749 section 5.1).",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if f.asked.Present && !f.issue.ScopeDiffers && len(f.grant.fields) == 0 {
					a.Body.drop("scope")
				}
			})
		},
	},
	{
		Name: "extra-members",
		Text: "The answer carries members of the vendor's own, null among them: clients ignore them.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if len(f.grant.fields) == 0 {
					a.Body = append(a.Body, member{Name: "x_region", Value: "eu"}, member{Name: "x_parent", Value: nil},
						member{Name: "x_limits", Value: object{{Name: "per_day", Value: 1000}}})
				}
			})
		},
	},

	// What the tokens are.
	{
		Name:  "opaque-tokens",
		Text:  "Access tokens are opaque, and the contract does not say otherwise.",
		Setup: Setup{Prepare: func(c *contract.Contract) { c.Token.Profile = "" }},
		Apply: func(*behaviour) {},
	},
	{
		Name: "long-tokens",
		Text: "Refresh tokens and codes of 900 characters: their size is the server's to choose.",
		Apply: func(b *behaviour) {
			std := b.newToken
			b.newToken = func(f *flow, kind string) string {
				s := std(f, kind)
				for kind != "sid" && kind != "jti" && kind != "sample" && len(s) < 900 {
					s += std(f, kind)
				}
				return s
			}
		},
	},
	{
		Name: "es256-tokens",
		Text: "Tokens are signed with ES256, by a key of the key set.",
		Apply: func(b *behaviour) {
			b.signingKey = func(f *flow, kind string) *signingKey {
				if kind == "access_token" {
					return f.e.keys[1]
				}
				return f.e.keys[0]
			}
		},
	},
	{
		Name: "short-lived-tokens",
		Text: "Access tokens live for two minutes.",
		Apply: func(b *behaviour) {
			std := b.lifetime
			b.lifetime = func(f *flow) (time.Duration, time.Duration) {
				if len(f.grant.fields) > 0 {
					return std(f)
				}
				return 2 * time.Minute, 2 * time.Minute
			}
		},
	},
	{
		Name: "no-rotation-for-confidential-clients",
		Text: "The refresh token of a confidential client stays, and is not repeated (RFC 6749 section 6).",
		Apply: func(b *behaviour) {
			std := b.rotates
			b.rotates = func(f *flow) bool { return std(f) && (f.client.public || len(f.grant.fields) > 0) }
		},
	},

	// How the answer travels.
	{
		Name:  "chunked",
		Text:  "Answers come in chunks, without Content-Length.",
		Apply: func(b *behaviour) { b.onAnswer(func(f *flow, a *answer) { a.Chunked, a.Pieces = !a.NoBody, 5 }) },
	},
	{
		Name: "compressed",
		Text: "Answers are compressed for clients that accept it.",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) {
				a.Gzip = !a.NoBody && strings.Contains(f.r.Header.Get("Accept-Encoding"), "gzip")
			})
		},
	},
	{
		Name:  "connection-closed",
		Text:  "The connection is closed, as announced, after each answer.",
		Apply: func(b *behaviour) { b.onAnswer(func(f *flow, a *answer) { a.Close = true }) },
	},
	{
		Name: "http-1.0",
		Text: "Answers are HTTP/1.0 and end with the connection.",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) { a.HTTP10 = a.Status != http.StatusNoContent })
		},
	},
	{
		Name: "slow",
		Text: "Every answer takes 30 ms and its body arrives in three pieces.",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) { a.Delay, a.Pieces, a.Pause = 30*time.Millisecond, 3, time.Millisecond })
		},
	},
	{
		Name: "cookies",
		Text: "A load balancer sets a cookie that has nothing to do with the token.",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) { a.add("Set-Cookie", "node=a1; Path=/; HttpOnly") })
		},
	},

	// How requests are refused.
	{
		Name: "bad-body-secret-400",
		Text: "Wrong credentials in the body are answered with 400 invalid_client: 401 is optional without an Authorization field.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if f.endpoint == tokenEndpoint && r.Status == 401 && f.cred.scheme == "" && f.e.dialect.row(f, r) == nil {
					r.Status = 400
				}
			})
		},
	},
	{
		Name: "missing-credential-invalid-request",
		Text: "A missing credential is a missing parameter: 400 invalid_request.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if f.endpoint == tokenEndpoint && r.Reason == missingClientAuth && f.cred.scheme == "" {
					r.Status, r.Code = 400, "invalid_request"
				}
			})
		},
	},
	{
		Name:  "two-methods-invalid-client",
		Text:  "Two authentication methods are answered with invalid_client, as RFC 7521 section 4.2.1 has it for assertions.",
		Apply: func(b *behaviour) { b.recode(twoAuthMethods, 401, "invalid_client") },
	},
	{
		Name: "missing-verifier-invalid-request",
		Text: "A missing or unexpected code_verifier is answered with invalid_request (OAuth 2.1 section 4.1.3).",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == badVerifier && (f.code.challenge == "" || f.param("code_verifier") == "") {
					r.Code = "invalid_request"
				}
			})
		},
	},
	{
		Name: "no-description",
		Text: "Errors carry the code alone: error_description is optional.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if len(f.e.bound.ErrorFields) == 0 {
					a.Body.drop("error_description")
				}
			})
		},
	},
	{
		Name: "error-uri",
		Text: "Errors carry an error_uri.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if a.Body.find("error_uri") == nil && a.Text == nil {
					a.Body = append(a.Body, member{Name: "error_uri", Value: "/errors#" + string(f.refusal.Reason)})
				}
			})
		},
	},
	{
		Name: "two-challenges",
		Text: "A 401 offers Negotiate and Basic in one field, in lower case, with a quoted realm.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if a.has("WWW-Authenticate") {
					a.set("WWW-Authenticate", `negotiate, basic realm="a, \"b\""`)
				}
			})
		},
	},
	{
		Name: "narrowing-refused",
		Text: "A scope that the client may not have is refused instead of dropped: invalid_scope.",
		Apply: func(b *behaviour) {
			std := b.grantScope
			b.grantScope = func(f *flow, ask scopeAsk) ([]string, *refusal) {
				granted, r := std(f, ask)
				if r == nil && ask.Present && !sameSet(granted, ask.Names) {
					return nil, refuse(badScope, "scope")
				}
				return granted, r
			}
		},
	},
	{
		Name: "unknown-scope-dropped",
		Text: "A scope that it does not know is dropped, and the rest is granted and told (RFC 6749 section 3.3).",
		Apply: func(b *behaviour) {
			std := b.grantScope
			b.grantScope = func(f *flow, ask scopeAsk) ([]string, *refusal) {
				if !ask.Bound {
					ask.Names = slices.DeleteFunc(slices.Clone(ask.Names), func(s string) bool { return !slices.Contains(f.e.scopes.known, s) })
					ask.Present = len(ask.Names) > 0
				}
				return std(f, ask)
			}
			b.onToken(func(f *flow, a *answer) {
				if f.asked.Raw != "" && a.Body.find("scope") == nil {
					a.Body = append(a.Body, member{Name: "scope", Value: strings.Join(f.issue.Scope, " ")})
				}
			})
		},
	},

	// Limits.
	{
		Name: "retry-after-date",
		Text: "Retry-After is an HTTP date (RFC 9110 section 10.2.3).",
		Apply: func(b *behaviour) {
			b.retryAfter = func(f *flow, wait time.Duration) []string {
				return []string{f.now.Add(wait + time.Second).UTC().Format(http.TimeFormat)}
			}
		},
	},
	{
		Name: "ratelimit-fields",
		Text: "Every answer carries RateLimit and RateLimit-Policy.",
		Apply: func(b *behaviour) {
			b.onWorld(func(e *Emulator) {
				for _, l := range e.limiters {
					l.Headers = true
				}
				e.limiters = append(e.limiters, newLimiter("generous", Limit{Requests: 5000, Per: time.Second, Headers: true}))
			})
		},
	},
	{
		Name: "429-plain-text",
		Text: "A gateway answers 429 in plain text.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if a.Status == http.StatusTooManyRequests && len(f.e.bound.ErrorFields) == 0 {
					a.text("text/plain", "Too many requests, please come back later.\n")
				}
			})
		},
	},
}

func retype(a *answer, change func(string) string) {
	if s, ok := a.Body.get("token_type").(string); ok {
		a.Body.set("token_type", change(s))
	}
}

// rewriteJSON changes the text of JSON answers of the token endpoint.
func rewriteJSON(b *behaviour, change func([]byte) []byte) {
	b.onAnswer(func(f *flow, a *answer) {
		if f.endpoint == tokenEndpoint && !a.NoBody && !a.Form && a.Text == nil {
			a.Rewrite = change
		}
	})
}

// contentType changes the Content-Type of the answers of the token endpoint.
func contentType(b *behaviour, change func(string) string) {
	b.onAnswer(func(f *flow, a *answer) {
		if t := a.value("Content-Type"); t != "" && f.endpoint == tokenEndpoint {
			a.set("Content-Type", change(t))
		}
	})
}
