package emulator

import (
	"crypto/tls"
	"net/http"
	"slices"

	"grantcheck/suites/contract"
)

// transportFaults break the rules of the group transport.
var transportFaults = []Fault{
	{
		Name: "transport.https-required", Rule: "transport.https-required",
		Text: "Port 80 serves the same token endpoint.",
		Setup: Setup{Contract: "devensoft", Options: func(o *Options) {
			pageOverTLS.Options(o)
			o.TLS.Host = "token.example"
		}},
		Apply: func(b *behaviour) { b.tls = func(o *TLS) { o.Plain = true } },
	},
	{
		Name: "transport.tls-versions", Rule: "transport.tls-versions",
		Text:  "Accepts a TLS 1.0 handshake.",
		Setup: pageOverTLS,
		Apply: func(b *behaviour) { oldTLS(b, tls.VersionTLS10, 0) },
	},
	{
		Name: "transport.tls-versions/tls-1.1", Rule: "transport.tls-versions",
		Text:  "Accepts a TLS 1.1 handshake.",
		Setup: pageOverTLS,
		Apply: func(b *behaviour) { oldTLS(b, tls.VersionTLS11, 0) },
	},
	{
		Name: "transport.tls12-supported", Rule: "transport.tls12-supported",
		Text:  "Speaks nothing newer than TLS 1.1.",
		Setup: pageOverTLS,
		Apply: func(b *behaviour) { oldTLS(b, tls.VersionTLS11, tls.VersionTLS11) },
	},
	{
		Name: "transport.weak-ciphers", Rule: "transport.weak-ciphers",
		Text:  "Negotiates an RC4 suite.",
		Setup: pageOverTLS,
		Apply: func(b *behaviour) {
			b.tls = func(o *TLS) { o.CipherSuites = append(o.CipherSuites, tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA) }
		},
	},
	{
		Name: "transport.certificate-valid", Rule: "transport.certificate-valid",
		Text:  "The certificate is for another host name.",
		Setup: pageOverTLS,
		Apply: func(b *behaviour) { b.tls = func(o *TLS) { o.WrongHost = true } },
	},
	{
		Name: "transport.certificate-valid/expired", Rule: "transport.certificate-valid",
		Text:  "The certificate has expired.",
		Setup: pageOverTLS,
		Apply: func(b *behaviour) { b.tls = func(o *TLS) { o.Expired = true } },
	},
	{
		Name: "transport.no-redirect", Rule: "transport.no-redirect",
		Text: "Redirects every request to another host with 307.",
		Apply: func(b *behaviour) {
			redirect(b, http.StatusTemporaryRedirect, "https://elsewhere.example/token?from=here")
		},
	},
	{
		Name: "transport.no-redirect/same-host", Rule: "transport.no-redirect",
		Text:  "Redirects every request to a path with a slash at its end with 301.",
		Apply: func(b *behaviour) { redirect(b, http.StatusMovedPermanently, "/oauth/token/") },
	},
	{
		Name: "transport.no-redirect/login", Rule: "transport.no-redirect",
		Text:  "Redirects every request to a login page with 302.",
		Apply: func(b *behaviour) { redirect(b, http.StatusFound, "/login") },
	},
	{
		Name: "transport.get-not-accepted", Rule: "transport.get-not-accepted",
		Text:  "GET yields a token.",
		Apply: func(b *behaviour) { serveMethod(b, http.MethodGet) },
	},
	{
		Name: "transport.405-allow", Rule: "transport.405-allow",
		Text:  "Answers 405 without an Allow field.",
		Apply: func(b *behaviour) { on405(b, func(a *answer) { a.del("Allow") }) },
	},
	{
		Name: "transport.405-allow/without-post", Rule: "transport.405-allow",
		Text:  "Answers 405 with an Allow field that lists GET alone.",
		Apply: func(b *behaviour) { on405(b, func(a *answer) { a.set("Allow", "GET, HEAD") }) },
	},
	{
		Name: "transport.other-methods", Rule: "transport.other-methods",
		Text:  "PUT is treated like POST.",
		Apply: func(b *behaviour) { serveMethod(b, http.MethodPut) },
	},
	{
		Name: "transport.other-methods/patch", Rule: "transport.other-methods",
		Text:  "PATCH is treated like POST.",
		Apply: func(b *behaviour) { serveMethod(b, http.MethodPatch) },
	},
	{
		Name: "transport.other-methods/delete", Rule: "transport.other-methods",
		Text:  "DELETE is treated like POST.",
		Apply: func(b *behaviour) { serveMethod(b, http.MethodDelete) },
	},
	{
		Name: "transport.no-fragment", Rule: "transport.no-fragment",
		Text: "Metadata advertises a token_endpoint with #v2.",
		Apply: func(b *behaviour) {
			b.onDocument(metadataEndpoint, func(f *flow, a *answer) {
				if s, ok := a.Body.get("token_endpoint").(string); ok {
					a.Body.set("token_endpoint", s+"#v2")
				}
			})
		},
	},
	{
		Name: "transport.chunked-body", Rule: "transport.chunked-body",
		Text: "Reads a chunked body as empty.",
		Apply: func(b *behaviour) {
			b.before(stageReceive, func(f *flow) *refusal {
				if slices.Contains(f.r.TransferEncoding, "chunked") {
					f.r.Body = http.NoBody
				}
				return nil
			})
		},
	},
}

// pageFaults break the rules about the documented address, method and media type, on which
// everything rests.
var pageFaults = []Fault{
	{
		Name: "doc.endpoint-path", Rule: "doc.endpoint-path",
		Text:  "The endpoint lives one path segment deeper; 404.",
		Apply: func(b *behaviour) { gone(b, http.StatusNotFound, "text/plain; charset=utf-8", "404 page not found\n") },
	},
	{
		Name: "doc.endpoint-path/framework-404", Rule: "doc.endpoint-path",
		Text: "A web framework answers 404 in JSON of its own, with an error member.",
		Apply: func(b *behaviour) {
			gone(b, http.StatusNotFound, "application/json", `{"timestamp":"2026-01-01T00:00:00Z","status":404,"error":"Not Found","path":"/oauth/token"}`)
		},
	},
	{
		Name: "doc.endpoint-path/gone", Rule: "doc.endpoint-path",
		Text:  "The documented path is gone; 410.",
		Apply: func(b *behaviour) { gone(b, http.StatusGone, "text/html", "<h1>Gone</h1>") },
	},
	{
		Name: "doc.method", Rule: "doc.method",
		Text:  "Answers 405 to the documented method.",
		Apply: func(b *behaviour) { refuseMethod(b, http.MethodPost) },
	},
	{
		Name: "doc.method/second", Rule: "doc.method",
		Text: "Answers 405 to the second of two documented methods.",
		Setup: Setup{Prepare: func(c *contract.Contract) {
			c.Endpoint.Method = []string{http.MethodPost, http.MethodGet}
		}},
		Apply: func(b *behaviour) { refuseMethod(b, http.MethodGet) },
	},
	{
		Name: "doc.request-content-type", Rule: "doc.request-content-type",
		Text: "Answers 415 to the second of two documented media types.",
		Setup: Setup{Prepare: func(c *contract.Contract) {
			c.Endpoint.ContentType = []string{"application/x-www-form-urlencoded", "application/json"}
		}},
		Apply: func(b *behaviour) { refuseMediaType(b, func(t string) bool { return t == "application/json" }) },
	},
	{
		Name: "doc.request-content-type/only", Rule: "doc.request-content-type",
		Text: "Answers 415 to the JSON requests that the page documents.",
		Setup: Setup{Prepare: func(c *contract.Contract) {
			c.Endpoint.ContentType = []string{"application/json"}
		}},
		Apply: func(b *behaviour) { refuseMediaType(b, func(t string) bool { return t == "application/json" }) },
	},
}

// pageOverTLS puts a page without codes and hooks behind TLS, with sound cipher suites only.
var pageOverTLS = Setup{Contract: "devensoft", Options: func(o *Options) {
	o.TLS = &TLS{CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}}
}}

// oldTLS speaks old versions, with a suite that they know.
func oldTLS(b *behaviour, from, to uint16) {
	b.tls = func(o *TLS) {
		o.MinVersion, o.MaxVersion = from, to
		o.CipherSuites = append(o.CipherSuites, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA)
	}
}

// redirect answers every request to the token endpoint with a redirect.
func redirect(b *behaviour, status int, to string) {
	b.onAnswer(func(f *flow, a *answer) {
		if f.endpoint == tokenEndpoint {
			*a = answer{Status: status, NoBody: true}
			a.set("Location", to)
		}
	})
}

// gone answers every request to the token endpoint as a server that knows no such path.
func gone(b *behaviour, status int, mediaType, body string) {
	b.onAnswer(func(f *flow, a *answer) {
		if f.endpoint == tokenEndpoint {
			*a = answer{Status: status}
			a.text(mediaType, body)
		}
	})
}

// serveMethod serves a method that no page documents.
func serveMethod(b *behaviour, method string) {
	std := b.methodAllowed
	b.methodAllowed = func(f *flow) bool { return std(f) || f.endpoint == tokenEndpoint && f.r.Method == method }
}

// refuseMethod answers 405 to one method.
func refuseMethod(b *behaviour, method string) {
	std := b.methodAllowed
	b.methodAllowed = func(f *flow) bool { return std(f) && !(f.endpoint == tokenEndpoint && f.r.Method == method) }
}

// on405 changes the 405 of the token endpoint.
func on405(b *behaviour, change func(a *answer)) {
	b.onError(func(f *flow, a *answer) {
		if a.Status == http.StatusMethodNotAllowed {
			change(a)
		}
	})
}
