package suites

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"grantcheck/suites/exchange"
)

// transportRules is the group transport of the catalogue.
var transportRules = []Rule{
	{
		ID:    "transport.https-required",
		Title: "No token is issued over plain HTTP",
		Group: "transport",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2, §10.9",
		Editions: AllEditions,
		Summary:  "The server has to require TLS at the token endpoint.",
		Why:      "Everybody on the way can read secrets and tokens.",
		Applies:  Applies{When: "endpoint is https and not loopback"},
		Probe:    "Golden parameters with a random secret to http on port 80 of the same host and path; only if a token-shaped answer is possible, repeat with real credentials on explicit opt-in.",
		Expect:   "Connection refused, timeout, redirect, or refused; never a token endpoint verdict on the credentials.",
		Tolerates: []string{
			"A redirect to https is tolerated (the credentials are already exposed: note). Loopback and test contracts are not applicable.",
		},
		Fault:   "Port 80 serves the same token endpoint.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			u := c.https()
			if exchange.Loopback(u.Hostname()) {
				c.NotApplicable("the endpoint is on this machine")
			}
			req := c.overPlainHTTP(u)
			s := c.Try(Step(req, "the same path on port 80, with made-up credentials"), AsIs())
			switch {
			case s.Err != nil:
			case s.Status >= 300 && s.Status < 400:
				c.look(s)
				c.Note("port 80 redirects; by then the credentials have travelled in the clear")
			default:
				verdict := s.Code() != "" && (c.run.speaksOf(s, "invalid_client", "unknown_client", "wrong_secret") ||
					c.run.speaksOf(s, "invalid_grant", "unknown_user", "wrong_password", "bad_code", "bad_refresh_token", "bad_assertion"))
				c.Expect(s).To(satisfy("no answer of the token endpoint on port 80", func(s *Sample) (string, bool) { return s.Came(), !s.Answer.OK() && !verdict }))
			}
		},
	},
	{
		ID:    "transport.tls-versions",
		Title: "TLS 1.1 and older are not negotiated",
		Group: "transport",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9325 §3.1.1",
		Editions: AllEditions,
		Summary:  "Old protocol versions must not be negotiated.",
		Why:      "Everybody on the way can read secrets and tokens.",
		Applies:  Applies{When: "https endpoint"},
		Requires: []string{"transport.tls12-supported"},
		Probe:    "Handshakes offering only TLS 1.1 and only TLS 1.0.",
		Expect:   "Both fail.",
		Tolerates: []string{
			"The local TLS stack may be unable to offer them: inconclusive.",
		},
		Fault: "Accepts a TLS 1.0 handshake.",
		Check: func(c *Case) {
			c.https()
			for _, v := range []uint16{tls.VersionTLS11, tls.VersionTLS10} {
				h := c.handshake(exchange.HandshakeOptions{Min: v, Max: v, CipherSuites: everySuite()})
				if h.OK {
					c.Violate(nil, "a handshake that offers only "+tls.VersionName(v)+" fails", "it succeeds")
				}
				if strings.Contains(h.Err.Error(), "no supported versions") {
					c.Inconclusive("this machine cannot offer %s", tls.VersionName(v))
				}
			}
		},
	},
	{
		ID:    "transport.tls12-supported",
		Title: "TLS 1.2 or 1.3 is supported",
		Group: "transport",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 9325 §3.1.1",
		Editions: AllEditions,
		Summary:  "Support for TLS 1.2 is required and for 1.3 advised.",
		Why:      "Up-to-date clients cannot connect.",
		Applies:  Applies{When: "https endpoint"},
		Probe:    "Handshakes offering only TLS 1.2 and only TLS 1.3.",
		Expect:   "At least one succeeds.",
		Tolerates: []string{
			"1.3 only (note); 1.2 only (note).",
		},
		Fault: "Only TLS 1.1 is available: nothing else can be judged.",
		Check: func(c *Case) {
			c.https()
			twelve := c.handshake(exchange.HandshakeOptions{Min: tls.VersionTLS12, Max: tls.VersionTLS12})
			thirteen := c.handshake(exchange.HandshakeOptions{Min: tls.VersionTLS13, Max: tls.VersionTLS13})
			switch {
			case !twelve.OK && !thirteen.OK:
				c.Violate(nil, "a handshake with TLS 1.2 or 1.3 succeeds", "neither: "+exchange.Printable(twelve.Err.Error(), 120))
			case !twelve.OK:
				c.Note("TLS 1.3 only")
			case !thirteen.OK:
				c.Note("TLS 1.2 only")
			}
		},
	},
	{
		ID:    "transport.weak-ciphers",
		Title: "Broken cipher suites are not negotiated",
		Group: "transport",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9325 §4.1",
		Editions: AllEditions,
		Summary:  "NULL, export, RC4 and suites below 112 bits of strength must not be negotiated.",
		Why:      "A listener on the network could read client secrets and tokens.",
		Applies:  Applies{When: "https endpoint"},
		Requires: []string{"transport.tls12-supported"},
		Probe:    "A TLS 1.2 handshake that offers only RC4 suites, if the local stack can.",
		Expect:   "It fails.",
		Tolerates: []string{
			"Stack cannot offer them: inconclusive. CBC and RSA key exchange suites are listed as a note.",
		},
		Fault: "Negotiates an RC4 suite.",
		Check: func(c *Case) {
			c.https()
			offer := func(suites []uint16) exchange.Handshake {
				return c.handshake(exchange.HandshakeOptions{Min: tls.VersionTLS12, Max: tls.VersionTLS12, CipherSuites: suites})
			}
			if h := offer(exchange.RC4Suites); h.OK {
				c.Violate(nil, "a handshake that offers only RC4 suites fails", "it succeeds with "+tls.CipherSuiteName(h.State.CipherSuite))
			}
			if h := offer(dated()); h.OK {
				c.Note("%s is negotiated by a client that offers nothing better", tls.CipherSuiteName(h.State.CipherSuite))
			}
		},
	},
	{
		ID:    "transport.certificate-valid",
		Title: "The certificate chain and host name validate",
		Group: "transport",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §10.9, RFC 9110 §4.3.4",
		Editions: AllEditions,
		Summary:  "The client has to validate the certificate, so the server needs a valid one.",
		Why:      "Clients cannot tell the server from an impostor, or stop checking.",
		Applies:  Applies{When: "https endpoint"},
		Requires: []string{"transport.tls12-supported"},
		Probe:    "Handshake with the configured trust store.",
		Expect:   "Chain and name valid; not expired.",
		Tolerates: []string{
			"A private CA configured in the contract.",
		},
		Fault: "Certificate for another host name.",
		Check: func(c *Case) {
			u := c.https()
			h := c.handshake(exchange.HandshakeOptions{Verify: true})
			switch {
			case h.OK:
			case unknownAuthority(h.Err):
				c.Inconclusive("the certificate is signed by an authority that is not trusted here")
			case h.ErrKind == exchange.ErrCertificate:
				_, why, _ := strings.Cut(h.Err.Error(), "x509: ")
				c.Violate(nil, "a certificate that is valid for "+u.Hostname(), exchange.Printable(why, 200))
			default:
				c.Inconclusive("the handshake failed: %s", exchange.Printable(h.Err.Error(), 120))
			}
		},
	},
	{
		ID:    "transport.no-redirect",
		Title: "The token endpoint does not redirect a valid request",
		Group: "transport",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.1; by analogy RFC 9700 §4.12",
		Editions: AllEditions,
		Summary:  "Success is a 200 at the endpoint itself; redirecting a POST with credentials risks forwarding or losing them.",
		Why:      "Credentials are forwarded to another place, or lost on the way.",
		Requires: []string{"transport.certificate-valid", "transport.tls12-supported"},
		Probe:    "Golden request with redirects disabled.",
		Expect:   "Status is not 3xx.",
		Tolerates: []string{
			"An operator may have configured a stale URL: the message names the Location, with query removed.",
		},
		Fault:   "307 to another host.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			c.Each(c.goldenTried(), "no golden request was answered", func(s *Sample) {
				c.Expect(s).To(satisfy("an answer of the endpoint itself, no redirect", func(s *Sample) (string, bool) {
					return fmt.Sprintf("%d to %s", s.Status, locationOf(s)), s.Status < 300 || s.Status > 399
				}))
			})
		},
	},
	{
		ID:    "transport.get-not-accepted",
		Title: "A GET with valid parameters does not yield a token",
		Group: "transport",
		Level: Must, Wording: Keyword, Binds: "client", Posture: Advise,
		Source:   "RFC 6749 §3.2",
		Editions: AllEditions,
		Summary:  "The client has to use POST; nothing obliges the server to refuse GET, but accepting it puts secrets in URLs.",
		Why:      "Codes, passwords and secrets end up in access logs and browser histories.",
		Requires: []string{"request.form-accepted"},
		Probe:    "GET with all golden parameters in the query (throw-away credential).",
		Expect:   "No token. 405 preferred; 400, 401, 404 fine; 429, 503 and lost answers are inconclusive.",
		Fault:    "GET yields a token.",
		Effects:  []Effect{LeaksToLogs, MintsToken},
		Provokes: []string{"wrong_method"},
		Check: func(c *Case) {
			req := c.Victim()
			c.pageSaysIf(slices.Contains(c.Target().Methods(req.Grant()), http.MethodGet), "the page documents GET")
			c.noToken(Step(req.WithMethod(http.MethodGet).MoveTo(exchange.InQuery), "GET with the parameters in the query"))
		},
	},
	{
		ID:    "transport.405-allow",
		Title: "A 405 response lists the allowed methods",
		Group: "transport",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 9110 §15.5.6",
		Editions: AllEditions,
		Summary:  "A 405 has to carry an Allow field.",
		Why:      "Clients and monitors cannot see which method is right.",
		Applies:  Applies{When: "a 405 was seen"},
		Probe:    "Every 405 of the run.",
		Expect:   "Allow present and contains POST.",
		Tolerates: []string{
			"Gateways that omit it produce an advisory.",
		},
		Fault:   "405 without Allow.",
		Passive: true,
		Check: func(c *Case) {
			answers := c.Answers(func(s *Sample) bool { return s.Status == http.StatusMethodNotAllowed && s.Endpoint == tokenEndpoint })
			c.Each(answers, "no 405 was seen", func(s *Sample) {
				method := c.Target().Methods(s.Request.Grant())[0]
				c.Expect(s).To(satisfy("an Allow field with "+method, func(s *Sample) (string, bool) {
					_, ok := s.Directives("Allow")[strings.ToLower(method)]
					return fieldLines(s, "Allow"), ok
				}))
			})
		},
	},
	{
		ID:    "transport.other-methods",
		Title: "PUT, PATCH and DELETE do not yield a token",
		Group: "transport",
		Level: Must, Wording: Derived, Binds: "client", Posture: Advise,
		Source:   "RFC 6749 §3.2",
		Editions: AllEditions,
		Summary:  "Only POST is defined for token requests.",
		Why:      "Filters that guard POST can be passed by with another method.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden body with PUT, PATCH and DELETE.",
		Expect:   "No token; 429, 503 and lost answers are inconclusive.",
		Tolerates: []string{
			"405, 501, 400, 404.",
		},
		Fault:    "PUT is treated like POST.",
		Effects:  []Effect{MintsToken},
		Provokes: []string{"wrong_method"},
		Check: func(c *Case) {
			for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
				req := c.Golden()
				c.pageSaysIf(slices.Contains(c.Target().Methods(req.Grant()), method), "the page documents %s", method)
				c.noToken(Step(req.WithMethod(method), "%s", method))
			}
		},
	},
	{
		ID:    "transport.no-fragment",
		Title: "The endpoint URI has no fragment",
		Group: "transport",
		Level: MustNot, Wording: Keyword, Binds: "operator", Posture: Assert,
		Source:   "RFC 6749 §3.2",
		Editions: AllEditions,
		Summary:  "The URI must not include a fragment component.",
		Why:      "Clients and servers disagree about the address.",
		Probe:    "Static check of the configured and the advertised token endpoint.",
		Expect:   "No fragment.",
		Fault:    "Metadata advertises a token_endpoint with #v2.",
		Check: func(c *Case) {
			for i := range c.Contract().Grants {
				if _, fragment, ok := strings.Cut(c.Target().TokenURL(&c.Contract().Grants[i]), "#"); ok {
					c.Violate(nil, "an endpoint address without a fragment", "the contract's address has #"+fragment)
				}
			}
			for _, address := range c.Target().MetadataURLs() {
				s := c.Try(c.Target().Get(address), At("metadata"), Positive())
				advertised := s.Answer.Lenient().Get("token_endpoint")
				if s.Err != nil || s.Status != http.StatusOK || advertised.Kind != exchange.String {
					continue
				}
				c.Expect(s).To(satisfy("a token_endpoint without a fragment", func(*Sample) (string, bool) {
					return advertised.Text, !strings.Contains(advertised.Text, "#")
				}))
				break
			}
		},
	},
	{
		ID:    "transport.chunked-body",
		Title: "A chunked request body is understood",
		Group: "transport",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Observe,
		Source:   "RFC 9112 §7.1",
		Editions: AllEditions,
		Summary:  "HTTP/1.1 recipients parse the chunked coding; a server may instead insist on a length with 411.",
		Why:      "Clients that stream their request fail.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request over HTTP/1.1 with Transfer-Encoding chunked and no Content-Length.",
		Expect:   "ok.",
		Tolerates: []string{
			"411.",
		},
		Fault:   "Body is read as empty: invalid_request for a missing grant_type.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			req := c.Golden()
			if req.Method() == http.MethodGet {
				c.NotApplicable("the page documents GET, which carries no body")
			}
			s := c.Probe(Step(req.Chunked(), "Transfer-Encoding: chunked and no Content-Length"), Positive())
			if s.Status == http.StatusLengthRequired {
				c.look(s)
				return
			}
			c.ExpectAccepted(s)
		},
	},
}

// overPlainHTTP is the documented request to port 80 of the same host. Nothing in it is worth
// keeping from a listener: every credential is made up.
func (c *Case) overPlainHTTP(u *url.URL) exchange.Request {
	req := c.Dummy()
	for _, p := range req.Params() {
		switch p.Part {
		case "grant_type", "client_id", "client_assertion_type", "scope", "redirect_uri":
		default:
			req = req.Set(p.Part, c.Target().RandomLike(p.Value))
		}
	}
	if req.AuthMethod() == "basic" {
		req = req.Secret(c.WrongSecret(req))
	}
	plain := *u
	plain.Scheme, plain.Host = "http", u.Hostname()
	if strings.Contains(plain.Host, ":") {
		plain.Host = "[" + plain.Host + "]"
	}
	return req.WithURL(plain.String()).Fresh()
}

// noToken holds that a request in another shape brings no token; how it is refused does not matter.
func (c *Case) noToken(req exchange.Request) {
	s := c.Probe(req)
	c.Expect(s).To(satisfy("no token", func(s *Sample) (string, bool) { return s.Came(), !s.Answer.OK() }))
	c.rely(s)
}

// locationOf returns where a redirect leads, without its query.
func locationOf(s *Sample) string {
	u, err := s.Header["Location"], error(nil)
	if len(u) == 0 {
		return "nowhere"
	}
	to, err := url.Parse(u[0])
	if err != nil {
		return "an address that cannot be read"
	}
	to.RawQuery, to.Fragment, to.User = "", "", nil
	return exchange.Printable(to.String(), 200)
}

// everySuite is all that this machine can offer, for handshakes with versions that know nothing newer.
func everySuite() []uint16 {
	var ids []uint16
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		ids = append(ids, s.ID)
	}
	return ids
}

// dated are the suites with CBC or without forward secrecy.
func dated() []uint16 {
	var ids []uint16
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if (strings.Contains(s.Name, "_CBC_") || strings.HasPrefix(s.Name, "TLS_RSA_")) && !strings.Contains(s.Name, "RC4") {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
