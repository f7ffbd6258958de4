package emulator

import "net/http"

// errorVariations are what correct servers do differently when they refuse.
var errorVariations = []Variation{
	{
		Name: "challenges-in-two-fields",
		Text: "A 401 carries two WWW-Authenticate fields, Bearer first (RFC 9110 section 11.6.1).",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				if a.Status == http.StatusUnauthorized {
					a.set("WWW-Authenticate", `Bearer realm="tokens", error="invalid_token", error_description="realm=none, Basic is another way"`)
					a.add("WWW-Authenticate", `BASIC Charset="UTF-8", Realm="tokens"`)
				}
			})
		},
	},
	{
		Name: "error-extra-members",
		Text: "Errors carry members of the vendor's own: a time, a trace, a status, a nested object.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				a.Body = append(a.Body, member{Name: "timestamp", Value: f.now.UTC().Format("2006-01-02 15:04:05Z")}, member{Name: "trace_id", Value: f.e.uuid()},
					member{Name: "status", Value: a.Status}, member{Name: "details", Value: object{{Name: "retry", Value: false}, {Name: "error", Value: nil}}})
			})
		},
	},
	{
		Name:  "error-description-of-all-characters",
		Text:  "error_description uses every kind of character that the grammar allows (RFC 6749 Appendix A.8).",
		Apply: func(b *behaviour) { describe(b, "Refused! See #4, $5 (50%) & 'more' *+,-./:;<=>?@[]^_`{|}~") },
	},
	{
		Name: "trace-in-description",
		Text: "error_description ends in an id and the time, so that support can find the request.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) {
				a.Body.set("error_description", f.refusal.Description+". Trace ID: "+f.e.uuid()+" Timestamp: "+f.now.UTC().Format("2006-01-02 15:04:05Z"))
				a.set("X-Request-Id", f.e.uuid())
			})
		},
	},
	{
		Name: "http-errors-in-html",
		Text: "A gateway answers wrong methods, media types and sizes with HTML: these speak of HTTP, not of OAuth.",
		Apply: func(b *behaviour) {
			for _, why := range []reason{wrongMethod, wrongContentType, tooLarge} {
				errorOf(b, why, func(f *flow, a *answer) {
					a.text("text/html", "<html><head><title>"+http.StatusText(a.Status)+"</title></head></html>")
				})
			}
		},
	},
	{
		Name: "errors-without-cache-control",
		Text: "Errors carry no Cache-Control: no clause asks for it.",
		Apply: func(b *behaviour) {
			b.onError(func(f *flow, a *answer) { a.del("Cache-Control"); a.del("Pragma") })
		},
	},
}
