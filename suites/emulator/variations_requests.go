package emulator

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"

	"grantcheck/suites/contract"
)

// requestVariations are what correct servers do differently with odd requests, wrong credentials,
// methods and the transport.
var requestVariations = []Variation{
	// Requests.
	{
		Name:  "missing-grant-type-unsupported",
		Text:  "A missing or empty grant_type is answered with unsupported_grant_type: the server dispatches on the value first.",
		Apply: func(b *behaviour) { b.recode(missingGrantType, 0, "unsupported_grant_type") },
	},
	{
		Name:  "missing-grant-type-unauthenticated",
		Text:  "Without a grant_type no way to authenticate can be picked: 401 invalid_client.",
		Apply: func(b *behaviour) { b.recode(missingGrantType, 401, "invalid_client") },
	},
	{
		Name:  "unknown-grant-type-invalid-request",
		Text:  "An unknown grant type is answered with invalid_request, as certified servers do.",
		Apply: func(b *behaviour) { b.recode(unknownGrant, 0, "invalid_request") },
	},
	{
		Name: "repeated-grant-type-joined",
		Text: "A framework joins the values of a repeated grant_type by commas; the result is no grant type.",
		Apply: func(b *behaviour) {
			resolve(b, "grant_type", func(values []string) (string, bool) { return strings.Join(values, ","), true })
		},
	},
	{
		Name:  "unknown-scope-invalid-request",
		Text:  "An unknown scope is answered with invalid_request.",
		Apply: func(b *behaviour) { b.recode(badScope, 0, "invalid_request") },
	},
	{
		Name:  "scope-needed",
		Text:  "There is no default scope: a request without one is answered with invalid_scope (RFC 6749 section 3.3).",
		Setup: Setup{Prepare: func(c *contract.Contract) { c.Scopes.Default = nil }},
		Apply: func(b *behaviour) {
			std := b.grantScope
			b.grantScope = func(f *flow, ask scopeAsk) ([]string, *refusal) {
				if !ask.Present && !ask.Bound && f.grantIs(clientCredentials, passwordGrant) {
					return nil, refuse(badScope, "scope")
				}
				return std(f, ask)
			}
		},
	},
	{
		Name: "scope-told-always",
		Text: "Every token answer tells the scope, whatever was asked for.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if a.Body.find("scope") == nil && len(f.issue.Scope) > 0 {
					a.Body = append(a.Body, member{Name: "scope", Value: strings.Join(f.issue.Scope, " ")})
				}
			})
		},
	},

	// Client authentication.
	{
		Name:  "malformed-basic-invalid-request",
		Text:  "Basic credentials that cannot be decoded are a malformed request: 400 invalid_request.",
		Apply: func(b *behaviour) { b.recode(malformedBasic, 400, "invalid_request") },
	},
	{
		Name:  "client-id-mismatch-invalid-client",
		Text:  "A client_id that contradicts Basic is answered with 401 invalid_client.",
		Apply: func(b *behaviour) { b.recode(clientIDMismatch, 401, "invalid_client") },
	},
	{
		Name:  "basic-alone",
		Text:  "Basic is all that clients are registered for, and all that the page documents.",
		Setup: Setup{Prepare: authAlone("basic")},
		Apply: func(b *behaviour) { withoutMethod(b, "post") },
	},
	{
		Name: "public-client-refused-as-unknown",
		Text: "A public client that asks for client credentials is answered with invalid_client.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == unauthorizedClient && f.client != nil && f.client.public && f.grantIs(clientCredentials) {
					r.Status, r.Code = 401, "invalid_client"
				}
			})
		},
	},
	{
		Name:  "client-without-grant-unsupported",
		Text:  "A client that may not use a grant is told that the grant is not supported: support is a matter of each client.",
		Apply: func(b *behaviour) { b.recode(unauthorizedClient, 0, "unsupported_grant_type") },
	},

	// Users.
	{
		Name: "missing-password-invalid-grant",
		Text: "A missing username or password is a failed login: invalid_grant.",
		Apply: func(b *behaviour) {
			recodeMissing(b, "username", "invalid_grant")
			recodeMissing(b, "password", "invalid_grant")
		},
	},
	{
		Name: "lock-out",
		Text: "A user is locked after five wrong passwords, with the answer of a wrong password.",
		Apply: func(b *behaviour) {
			std := b.guesses
			b.guesses = func(f *flow, what string) int {
				if what == "password" {
					return 5
				}
				return std(f, what)
			}
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == guessLimited && f.grantIs(passwordGrant) && f.client != nil {
					locked := refuse(wrongPassword)
					r.Status, r.Code, r.Description, r.RetryAfter = locked.Status, locked.Code, locked.Description, 0
				}
			})
		},
	},

	// Methods and sizes.
	{
		Name: "other-methods-404",
		Text: "There is nothing to GET: 404; PUT, PATCH and DELETE are not implemented: 501.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if f.refusal.Reason != wrongMethod {
					return
				}
				a.del("Allow")
				a.Status = http.StatusNotFound
				if slices.Contains([]string{http.MethodPut, http.MethodPatch, http.MethodDelete}, f.r.Method) {
					a.Status = http.StatusNotImplemented
				}
			})
		},
	},
	{
		Name: "allow-several",
		Text: "A 405 allows POST and OPTIONS, in two lines.",
		Apply: func(b *behaviour) {
			on405(b, func(a *answer) {
				a.set("Allow", "OPTIONS")
				a.add("Allow", "POST")
			})
		},
	},
	{
		Name: "length-required",
		Text: "A body without Content-Length is answered with 411 (RFC 9112 section 6.3).",
		Apply: func(b *behaviour) {
			b.before(stageReceive, func(f *flow) *refusal {
				if f.r.ContentLength < 0 {
					r := refuse(malformedRequest)
					r.Status = http.StatusLengthRequired
					return r
				}
				return nil
			})
		},
	},
	{
		Name: "small-bodies",
		Text: "A body of more than 16 KiB is answered with 413, and the connection is closed.",
		Apply: func(b *behaviour) {
			b.before(stageReceive, func(f *flow) *refusal {
				if f.r.ContentLength > 16<<10 {
					return refuse(tooLarge)
				}
				return nil
			})
		},
	},
	{
		Name: "small-headers",
		Text: "An Authorization field of more than 8 KiB is answered with 431, and the connection is closed.",
		Apply: func(b *behaviour) {
			b.before(stageReceive, func(f *flow) *refusal {
				if len(f.r.Header.Get("Authorization")) > 8<<10 {
					r := refuse(tooLarge)
					r.Status = http.StatusRequestHeaderFieldsTooLarge
					return r
				}
				return nil
			})
		},
	},
	{
		Name: "few-parameters",
		Text: "A body of more than a thousand parameters is answered with 400.",
		Apply: func(b *behaviour) {
			b.after(stageParse, func(f *flow) *refusal {
				if len(f.params) > 1000 {
					return refuse(malformedRequest)
				}
				return nil
			})
		},
	},
	{
		Name: "json-too",
		Text: "A JSON body is read as well, which no page documents.",
		Apply: func(b *behaviour) {
			std := b.bodyKind
			b.bodyKind = func(f *flow) string {
				if t := f.r.Header.Get("Content-Type"); f.endpoint == tokenEndpoint && strings.HasPrefix(t, "application/json") {
					return "json"
				}
				return std(f)
			}
		},
	},

	// Transport.
	{
		Name:  "tls-1.3-alone",
		Text:  "TLS 1.3 and nothing older.",
		Setup: pageOverTLS,
		Apply: func(b *behaviour) { b.tls = func(o *TLS) { o.MinVersion = tls.VersionTLS13 } },
	},
	{
		Name:  "tls-1.2-alone",
		Text:  "TLS 1.2 and nothing newer.",
		Setup: pageOverTLS,
		Apply: func(b *behaviour) { b.tls = func(o *TLS) { o.MaxVersion = tls.VersionTLS12 } },
	},
	{
		Name:  "http-2",
		Text:  "HTTP/2 is spoken where the client can.",
		Setup: pageOverTLS,
		Apply: func(b *behaviour) { b.tls = func(o *TLS) { o.HTTP2 = true } },
	},
	{
		Name: "nothing-on-port-80",
		Text: "The endpoint has a name of its own, and nothing listens at port 80 of it.",
		Setup: Setup{Contract: "devensoft", Options: func(o *Options) {
			pageOverTLS.Options(o)
			o.TLS.Host = "token.example"
		}},
		Apply: func(*behaviour) {},
	},
}

// authAlone leaves the clients of a contract one method.
func authAlone(method string) func(c *contract.Contract) {
	return func(c *contract.Contract) {
		one := func(cl *contract.Client) {
			if slices.Contains(cl.Auth, method) {
				cl.Auth = []string{method}
			}
		}
		one(&c.Client)
		for i := range c.Clients {
			one(&c.Clients[i])
		}
	}
}
