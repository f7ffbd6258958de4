package emulator

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// hygieneFaults break the rules of the group hygiene.
var hygieneFaults = []Fault{
	{
		Name: "hygiene.secret-not-echoed", Rule: "hygiene.secret-not-echoed",
		Text: "error_description quotes the wrong client secret.",
		Apply: func(b *behaviour) {
			quoted(b, func(f *flow) string {
				if f.cred.basic {
					return f.cred.rawSecret
				}
				return f.cred.bodySecret
			}, wrongSecret, unknownClient)
		},
	},
	{
		Name: "hygiene.secret-not-echoed/password", Rule: "hygiene.secret-not-echoed",
		Text: "error_description quotes the wrong password.",
		Apply: func(b *behaviour) {
			quoted(b, func(f *flow) string { return f.param("password") }, wrongPassword, unknownUser)
		},
	},
	{
		Name: "hygiene.secret-not-echoed/header", Rule: "hygiene.secret-not-echoed",
		Text: "A debugging field repeats the Authorization field.",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) {
				if h := f.r.Header.Get("Authorization"); f.endpoint == tokenEndpoint && h != "" && len(h) < 1000 {
					a.set("X-Debug-Authorization", h)
				}
			})
		},
	},
	{
		Name: "hygiene.no-stack-trace", Rule: "hygiene.no-stack-trace",
		Text: "error_description ends in a Java stack frame.",
		Apply: func(b *behaviour) {
			describe(b, "the request is not valid at com.example.oauth.TokenEndpoint.issue(TokenEndpoint.java:214)")
		},
	},
	{
		Name: "hygiene.no-stack-trace/python", Rule: "hygiene.no-stack-trace",
		Text: "A member of errors holds a Python traceback.",
		Apply: func(b *behaviour) {
			confide(b, "Traceback (most recent call last):\n  File \"/app/token.py\", line 12, in issue\nKeyError: 'scope'")
		},
	},
	{
		Name: "hygiene.no-stack-trace/sql", Rule: "hygiene.no-stack-trace",
		Text:  "A member of errors holds the failed SQL statement.",
		Apply: func(b *behaviour) { confide(b, "no row for SELECT id, secret FROM clients WHERE id = ?") },
	},
	{
		Name: "hygiene.no-stack-trace/path", Rule: "hygiene.no-stack-trace",
		Text:  "A member of errors names the source file on the server.",
		Apply: func(b *behaviour) { confide(b, "refused in /srv/auth/src/token/endpoint.ts") },
	},
	{
		Name: "hygiene.fault-page-terse", Rule: "hygiene.fault-page-terse",
		Text: "A passing outage is answered with a framework's debug page.",
		Apply: func(b *behaviour) {
			outage(b, "<!doctype html><title>KeyError // Werkzeug Debugger</title><div class=\"debugger\">secret = environ</div>")
		},
	},
	{
		Name: "hygiene.fault-page-terse/large", Rule: "hygiene.fault-page-terse",
		Text:  "A passing outage is answered with a page of twenty kilobytes.",
		Apply: func(b *behaviour) { outage(b, "<!doctype html><pre>"+strings.Repeat("configuration ", 1500)) },
	},
	{
		Name: "hygiene.server-version", Rule: "hygiene.server-version",
		Text: "Server tells the exact version.",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) { a.set("Server", "ExampleAS/4.1.7 (Debug)") })
		},
	},
	{
		Name: "hygiene.server-version/powered-by", Rule: "hygiene.server-version",
		Text: "X-Powered-By tells the exact version of the runtime.",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) { a.set("X-Powered-By", "PHP/8.1.2-1ubuntu2") })
		},
	},
	{
		Name: "hygiene.client-enumeration", Rule: "hygiene.client-enumeration",
		Text: "client not found in one case, wrong secret in the other.",
		Apply: func(b *behaviour) {
			errorOf(b, unknownClient, func(f *flow, a *answer) { a.Body.set("error_description", "client not found") })
			errorOf(b, wrongSecret, func(f *flow, a *answer) { a.Body.set("error_description", "wrong secret") })
		},
	},
	{
		Name: "hygiene.client-enumeration/member", Rule: "hygiene.client-enumeration",
		Text: "Errors about a client that exists carry its tenant.",
		Apply: func(b *behaviour) {
			errorOf(b, wrongSecret, func(f *flow, a *answer) { a.Body = append(a.Body, member{Name: "tenant", Value: "example"}) })
		},
	},
	{
		Name: "hygiene.user-enumeration", Rule: "hygiene.user-enumeration",
		Text: "unknown user in one case, bad password in the other.",
		Apply: func(b *behaviour) {
			errorOf(b, unknownUser, func(f *flow, a *answer) { a.Body.set("error_description", "unknown user") })
			errorOf(b, wrongPassword, func(f *flow, a *answer) { a.Body.set("error_description", "bad password") })
		},
	},
	{
		Name: "hygiene.cors-credentials", Rule: "hygiene.cors-credentials",
		Text: "Reflects any Origin with credentials allowed.",
		Apply: func(b *behaviour) {
			b.corsOrigin = func(f *flow) string { return f.r.Header.Get("Origin") }
			allowCredentials(b)
		},
	},
	{
		Name: "hygiene.cors-credentials/wildcard", Rule: "hygiene.cors-credentials",
		Text: "Allows every origin with *, and credentials as well.",
		Apply: func(b *behaviour) {
			b.corsOrigin = func(f *flow) string {
				if f.r.Header.Get("Origin") == "" {
					return ""
				}
				return "*"
			}
			allowCredentials(b)
		},
	},
	{
		Name: "hygiene.cors-usable", Rule: "hygiene.cors-usable",
		Text:  "Errors lack Access-Control-Allow-Origin.",
		Apply: func(b *behaviour) { b.onError(func(f *flow, a *answer) { a.del("Access-Control-Allow-Origin") }) },
	},
	{
		Name: "hygiene.cors-usable/preflight", Rule: "hygiene.cors-usable",
		Text: "The preflight lacks Access-Control-Allow-Origin.",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) {
				if f.r.Method == http.MethodOptions {
					a.del("Access-Control-Allow-Origin")
				}
			})
		},
	},
}

// confide adds a member that tells too much to every error.
func confide(b *behaviour, text string) {
	b.onError(func(f *flow, a *answer) { a.Body = append(a.Body, member{Name: "debug", Value: text}) })
}

// outage answers the first token request with 503 and a page.
func outage(b *behaviour, page string) {
	var seen atomic.Bool
	b.onAnswer(func(f *flow, a *answer) {
		if f.endpoint == tokenEndpoint && !seen.Swap(true) {
			a.Status = http.StatusServiceUnavailable
			a.text("text/html; charset=utf-8", page)
		}
	})
}

// allowCredentials adds the field to every answer that allows an origin.
func allowCredentials(b *behaviour) {
	b.onAnswer(func(f *flow, a *answer) {
		if a.has("Access-Control-Allow-Origin") {
			a.set("Access-Control-Allow-Credentials", "true")
		}
	})
}
