package suites

import (
	"net/http"
	"strconv"

	"github.com/onsi/gomega/types"

	"grantcheck/suites/exchange"
)

// headersRules is the group headers of the catalogue.
var headersRules = []Rule{
	{
		ID:    "headers.no-store",
		Title: "Token responses carry Cache-Control: no-store",
		Group: "headers",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.1",
		Editions: AllEditions,
		Summary:  "Any response with tokens or other sensitive data has to forbid storage.",
		Why:      "Tokens stay behind in browser and proxy caches, where the next person finds them.",
		Probe:    "Every ok answer of the run (golden, refresh, code).",
		Expect:   "Cache-Control field list contains the no-store directive, case-insensitively.",
		Tolerates: []string{
			"Additional directives; several Cache-Control fields. Error responses are not judged.",
		},
		Fault:   "Sends Cache-Control: private only.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(c.Tokens(), noToken, func(s *Sample) { c.Expect(s).To(BeUncacheable()) })
		},
	},
	{
		ID:    "headers.pragma-no-cache",
		Title: "Token responses carry Pragma: no-cache",
		Group: "headers",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §5.1",
		Editions: OAuth20,
		Summary:  "RFC 6749 demands the field in the same sentence as no-store; HTTP has since deprecated it and OAuth 2.1 drops it.",
		Why:      "Tokens stay behind in browser and proxy caches, where the next person finds them.",
		Probe:    "Every ok answer.",
		Expect:   "Pragma contains no-cache.",
		Tolerates: []string{
			"Absence under any edition but oauth20; never more than an advisory unless strict mode is asked for.",
		},
		Fault:   "Omits Pragma.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(c.Tokens(), noToken, func(s *Sample) {
				c.Expect(s).To(satisfy("Pragma: no-cache", func(s *Sample) (string, bool) {
					_, ok := s.Directives("Pragma")["no-cache"]
					return fieldLines(s, "Pragma"), ok
				}))
			})
		},
	},
	{
		ID:    "headers.no-token-cookie",
		Title: "The access token is not also set as a cleartext cookie",
		Group: "headers",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6750 §5.3",
		Editions: AllEditions,
		Summary:  "Cookies that may travel unencrypted are no place for bearer tokens.",
		Why:      "The token travels along with every later request, also unencrypted ones.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden response headers.",
		Expect:   "No Set-Cookie value contains the token unless the cookie is marked Secure.",
		Tolerates: []string{
			"Unrelated session cookies.",
		},
		Fault:   "Set-Cookie: token=<access token> without Secure.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(c.Tokens(), noToken, func(s *Sample) {
				token := s.Answer.Text(exchange.AccessToken)
				c.Expect(s).To(satisfy("no cookie with the access token but Secure ones", func(s *Sample) (string, bool) {
					for _, line := range s.Header.Values("Set-Cookie") {
						cookie, err := http.ParseSetCookie(line)
						if len(token) >= 8 && exchange.Contains(line, token) && (err != nil || !cookie.Secure) {
							return "Set-Cookie with the access token, without Secure", false
						}
					}
					return "", true
				}))
			})
		},
	},
	{
		ID:    "headers.error-not-cacheable",
		Title: "Error responses are not marked publicly cacheable",
		Group: "headers",
		Level: Must, Wording: Derived, Binds: "server", Posture: Observe,
		Source:   "RFC 6749 §5.1 (sensitive information); RFC 9111 §3",
		Editions: AllEditions,
		Summary:  "The storage ban covers sensitive responses; an error that names users or clients should not be offered to caches.",
		Why:      "One client is shown the error of another.",
		Probe:    "Every error answer but 429.",
		Expect:   "No Cache-Control: public and no positive max-age or s-maxage.",
		Tolerates: []string{
			"Absence of Cache-Control.",
		},
		Fault:   "Errors carry Cache-Control: public, max-age=300.",
		Passive: true,
		Check: func(c *Case) {
			answers := c.Answers(func(s *Sample) bool {
				return s.Endpoint == tokenEndpoint && s.Status >= 400 && !s.Answer.Throttled()
			})
			c.Each(answers, noRefusal, func(s *Sample) { c.Expect(s).To(beUnshared()) })
		},
	},
}

// beUnshared succeeds when an answer is not offered to caches: neither public nor with a positive age, or with no-store.
func beUnshared() types.GomegaMatcher {
	return satisfy("neither Cache-Control: public nor a positive max-age", func(s *Sample) (string, bool) {
		d := s.Directives("Cache-Control")
		_, never := d["no-store"]
		_, public := d["public"]
		for _, name := range []string{"max-age", "s-maxage"} {
			if n, err := strconv.Atoi(d[name]); err == nil && n > 0 {
				public = true
			}
		}
		return fieldLines(s, "Cache-Control"), never || !public
	})
}
