package emulator

import (
	"fmt"
	"strings"
)

// errorFaults break the rules of the group error.
var errorFaults = []Fault{
	{
		Name: "error.json-body", Rule: "error.json-body",
		Text:  "A missing parameter is answered with 400 and an empty body.",
		Apply: func(b *behaviour) { errorOf(b, missingParameter, func(f *flow, a *answer) { a.NoBody = true }) },
	},
	{
		Name: "error.json-body/html", Rule: "error.json-body",
		Text: "A missing parameter is answered with an HTML page.",
		Apply: func(b *behaviour) {
			errorOf(b, missingParameter, func(f *flow, a *answer) {
				a.text("text/html", "<!doctype html><title>400 Bad Request</title><h1>Bad Request</h1>")
			})
		},
	},
	{
		Name: "error.json-body/other-member", Rule: "error.json-body",
		Text: "The answer to a missing parameter carries code and message in place of error.",
		Apply: func(b *behaviour) {
			errorOf(b, missingParameter, func(f *flow, a *answer) {
				a.Body = object{{Name: "code", Value: f.refusal.Code}, {Name: "message", Value: f.refusal.Description}}
			})
		},
	},
	{
		Name: "error.content-type", Rule: "error.content-type",
		Text:  "JSON errors are sent as text/plain.",
		Apply: func(b *behaviour) { b.onError(func(f *flow, a *answer) { a.set("Content-Type", "text/plain") }) },
	},
	{
		Name: "error.content-type/problem", Rule: "error.content-type",
		Text: "JSON errors are sent as application/problem+json.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) { a.set("Content-Type", "application/problem+json") })
		},
	},
	{
		Name: "error.error-string", Rule: "error.error-string",
		Text: "error is an object with code and message, where a parameter is missing.",
		Apply: func(b *behaviour) {
			errorOf(b, missingParameter, func(f *flow, a *answer) {
				a.Body.set("error", object{{Name: "code", Value: f.refusal.Code}, {Name: "message", Value: f.refusal.Description}})
			})
		},
	},
	{
		Name: "error.error-string/list", Rule: "error.error-string",
		Text: "error is a list of codes, where a parameter is missing.",
		Apply: func(b *behaviour) {
			errorOf(b, missingParameter, func(f *flow, a *answer) { a.Body.set("error", []string{f.refusal.Code}) })
		},
	},
	{
		Name: "error.error-string/empty", Rule: "error.error-string",
		Text:  "error is an empty string, where a parameter is missing.",
		Apply: func(b *behaviour) { errorOf(b, missingParameter, func(f *flow, a *answer) { a.Body.set("error", "") }) },
	},
	{
		Name: "error.error-charset", Rule: "error.error-charset",
		Text:  "Answers an empty body with an error value that holds a quotation mark.",
		Apply: func(b *behaviour) { emptyBodyError(b, `invalid "request"`) },
	},
	{
		Name: "error.error-charset/umlaut", Rule: "error.error-charset",
		Text:  "Answers an empty body with an error value in German.",
		Apply: func(b *behaviour) { emptyBodyError(b, "ungültige_anfrage") },
	},
	{
		Name: "error.description-charset", Rule: "error.description-charset",
		Text:  "Descriptions are in German, umlauts included.",
		Apply: func(b *behaviour) { describe(b, "Die Anfrage ist ungültig") },
	},
	{
		Name: "error.description-charset/quotes", Rule: "error.description-charset",
		Text:  "Descriptions put names in quotation marks.",
		Apply: func(b *behaviour) { describe(b, `the request is not "valid"`) },
	},
	{
		Name: "error.description-charset/lines", Rule: "error.description-charset",
		Text:  "Descriptions run over two lines.",
		Apply: func(b *behaviour) { describe(b, "the request is not valid\nsee the manual") },
	},
	{
		Name: "error.description-string", Rule: "error.description-string",
		Text: "error_description is a list of validation messages, where a parameter is missing.",
		Apply: func(b *behaviour) {
			errorOf(b, missingParameter, func(f *flow, a *answer) { a.Body.set("error_description", []string{f.refusal.Description}) })
		},
	},
	{
		Name: "error.description-string/empty", Rule: "error.description-string",
		Text:  "error_description is an empty string.",
		Apply: func(b *behaviour) { describe(b, "") },
	},
	{
		Name: "error.description-string/null", Rule: "error.description-string",
		Text:  "error_description is null.",
		Apply: func(b *behaviour) { describe(b, nil) },
	},
	{
		Name: "error.uri-syntax", Rule: "error.uri-syntax",
		Text: "error_uri holds a sentence.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) { a.Body.set("error_uri", "see the manual, page 4") })
		},
	},
	{
		Name: "error.uri-syntax/escape", Rule: "error.uri-syntax",
		Text: "error_uri holds a broken percent-encoding.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) { a.Body.set("error_uri", "https://docs.example/100%-off") })
		},
	},
	{
		Name: "error.not-success-status", Rule: "error.not-success-status",
		Text: "Sends {\"error\":\"invalid_client\"} with status 200.",
		Apply: func(b *behaviour) {
			b.recode(wrongSecret, 200, "")
			b.recode(unknownClient, 200, "")
		},
	},
	{
		Name: "error.not-success-status/redirect", Rule: "error.not-success-status",
		Text: "Redirects a malformed scope to a page about errors.",
		Apply: func(b *behaviour) {
			errorOf(b, badScope, func(f *flow, a *answer) {
				a.Status, a.NoBody = 302, true
				a.set("Location", f.e.base+"/errors")
			})
		},
	},
	{
		Name: "error.status-400", Rule: "error.status-400",
		Text:  "Answers unsupported_grant_type with 403.",
		Apply: func(b *behaviour) { b.recode(unknownGrant, 403, "") },
	},
	{
		Name: "error.status-400/401", Rule: "error.status-400",
		Text:  "Answers unauthorized_client with 401.",
		Apply: func(b *behaviour) { b.recode(unauthorizedClient, 401, "") },
	},
	{
		Name: "error.status-400/422", Rule: "error.status-400",
		Text:  "Answers invalid_scope with 422.",
		Apply: func(b *behaviour) { b.recode(badScope, 422, "") },
	},
	{
		Name: "error.invalid-client-code", Rule: "error.invalid-client-code",
		Text:  "Answers an unknown client, credentials in the body, with 400 invalid_grant.",
		Also:  []string{"hygiene.client-enumeration"}, // a wrong secret is answered otherwise
		Setup: Setup{Contract: "appsecplus"},
		Apply: func(b *behaviour) { b.recode(unknownClient, 400, "invalid_grant") },
	},
	{
		Name: "error.invalid-client-code/unauthorized", Rule: "error.invalid-client-code",
		Text:  "Answers wrong client credentials in the body with unauthorized_client.",
		Setup: Setup{Contract: "devensoft"},
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if (r.Reason == unknownClient || r.Reason == wrongSecret) && f.endpoint == tokenEndpoint && f.cred.scheme == "" {
					r.Status, r.Code = 400, "unauthorized_client"
				}
			})
		},
	},
	{
		Name: "error.invalid-client-status", Rule: "error.invalid-client-status",
		Text: "Answers invalid_client with 403 where the credentials are in the body.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Code == "invalid_client" && f.endpoint == tokenEndpoint && f.cred.scheme == "" {
					r.Status = 403
				}
			})
		},
	},
	{
		Name: "error.basic-401", Rule: "error.basic-401",
		Text: "Answers wrong Basic credentials with 400 invalid_client.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Status == 401 && f.endpoint == tokenEndpoint && f.cred.basic {
					r.Status = 400
				}
			})
		},
	},
	{
		Name: "error.basic-challenge", Rule: "error.basic-challenge",
		Text: "Answers wrong Basic credentials with 401 and no WWW-Authenticate.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if f.cred.basic {
					a.del("WWW-Authenticate")
				}
			})
		},
	},
	{
		Name: "error.basic-challenge/bearer", Rule: "error.basic-challenge",
		Text: "Answers wrong Basic credentials with a Bearer challenge.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if f.cred.basic && a.Status == 401 {
					a.set("WWW-Authenticate", `Bearer realm="example"`)
				}
			})
		},
	},
	{
		Name: "error.challenge-syntax", Rule: "error.challenge-syntax",
		Text:  "Sends WWW-Authenticate: Basic without realm.",
		Apply: func(b *behaviour) { challengeAs(b, "Basic") },
	},
	{
		Name: "error.challenge-syntax/unquoted", Rule: "error.challenge-syntax",
		Text:  "The realm is not quoted.",
		Apply: func(b *behaviour) { challengeAs(b, "Basic realm=example") },
	},
	{
		Name: "error.challenge-syntax/twice", Rule: "error.challenge-syntax",
		Text:  "The Basic challenge carries two realms.",
		Apply: func(b *behaviour) { challengeAs(b, `Basic realm="a", realm="b"`) },
	},
	{
		Name: "error.401-has-challenge", Rule: "error.401-has-challenge",
		Text: "Answers credentials in the body with 401 and no challenge.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if f.r.Header.Get("Authorization") == "" {
					a.del("WWW-Authenticate")
				}
			})
		},
	},
	{
		Name: "error.code-known", Rule: "error.code-known",
		Text:  "Answers an empty body with error BAD_REQUEST_17.",
		Apply: func(b *behaviour) { emptyBodyError(b, "BAD_REQUEST_17") },
	},
	{
		Name: "error.code-known/phrase", Rule: "error.code-known",
		Text:  "Answers an empty body with the reason phrase of HTTP.",
		Apply: func(b *behaviour) { emptyBodyError(b, "Bad Request") },
	},
	{
		Name: "error.no-duplicate-members", Rule: "error.no-duplicate-members",
		Text: "error stands in the answer twice.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) { a.Body = append(a.Body, member{Name: "error", Value: f.refusal.Code}) })
		},
	},
	{
		Name: "error.no-duplicate-members/description", Rule: "error.no-duplicate-members",
		Text: "error_description stands in the answer twice, with two texts.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				a.Body = append(a.Body, member{Name: "error_description", Value: "see the manual"})
			})
		},
	},
	{
		Name: "error.no-token", Rule: "error.no-token",
		Text: "The 400 to an unknown grant type also carries an access token.",
		Apply: func(b *behaviour) {
			errorOf(b, unknownGrant, func(f *flow, a *answer) { a.Body.set("access_token", f.b.newToken(f, "access")) })
		},
	},
	{
		Name: "error.no-token/refresh", Rule: "error.no-token",
		Text: "The 400 to an unknown scope also carries a refresh token.",
		Apply: func(b *behaviour) {
			errorOf(b, badScope, func(f *flow, a *answer) { a.Body.set("refresh_token", f.b.newToken(f, "refresh")) })
		},
	},
}

// errorOf changes the answers of the token endpoint for one reason.
func errorOf(b *behaviour, why reason, change func(f *flow, a *answer)) {
	b.onError(func(f *flow, a *answer) {
		if f.refusal.Reason == why {
			change(f, a)
		}
	})
}

// emptyBodyError gives the answer to an empty body another error value.
func emptyBodyError(b *behaviour, code string) {
	b.onError(func(f *flow, a *answer) {
		if f.emptyBody() {
			a.Body.set("error", code)
		}
	})
}

// describe gives every error this description.
func describe(b *behaviour, text any) {
	b.onError(func(f *flow, a *answer) {
		if a.Body.find("error_description") != nil {
			a.Body.set("error_description", text)
		}
	})
}

// challengeAs replaces the challenge of every 401 of the token endpoint.
func challengeAs(b *behaviour, value string) {
	b.onError(func(f *flow, a *answer) {
		if a.has("WWW-Authenticate") {
			a.set("WWW-Authenticate", value)
		}
	})
}

// quoted repeats what a client sent in the description of an error.
func quoted(b *behaviour, what func(f *flow) string, reasons ...reason) {
	for _, why := range reasons {
		errorOf(b, why, func(f *flow, a *answer) {
			if text := what(f); text != "" {
				a.Body.set("error_description", fmt.Sprintf("%s: %s", strings.TrimSuffix(f.refusal.Description, "."), text))
			}
		})
	}
}
