package emulator

import (
	"net/http"
	"sync/atomic"
)

// hygieneVariations are what correct servers do differently around their answers.
var hygieneVariations = []Variation{
	{
		Name: "server-name",
		Text: "Server and Via name products without exact versions.",
		Apply: func(b *behaviour) {
			b.onAnswer(func(f *flow, a *answer) {
				a.set("Server", "nginx")
				a.set("X-Powered-By", "Express")
				a.set("Via", "1.1 varnish")
			})
		},
	},
	{
		Name:  "cors-for-everybody",
		Text:  "Every origin may read the answers, without credentials: fine for public clients (RFC 9700 section 2.6).",
		Apply: func(b *behaviour) { b.corsOrigin = func(*flow) string { return "*" } },
	},
	{
		Name: "passing-outage",
		Text: "One token request meets 503 and a short HTML page of a gateway.",
		Apply: func(b *behaviour) {
			var seen atomic.Int64
			b.onAnswer(func(f *flow, a *answer) {
				if f.endpoint == tokenEndpoint && seen.Add(1) == 4 {
					a.Status = http.StatusServiceUnavailable
					a.set("Retry-After", "1")
					a.text("text/html", "<html><body><h1>503 Service Temporarily Unavailable</h1><hr>nginx</body></html>")
				}
			})
		},
	},
}
