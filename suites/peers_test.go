package suites_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
)

// TestPeersConform holds that servers which are right in ways of their own are found to be right: whole
// runs with everything allowed, in which nothing fails or warns but what the clause is about.
func TestPeersConform(t *testing.T) {
	for name, c := range map[string]struct {
		bend    func(*peer)
		edition string
		warns   []string // rightly
		values  map[string]string
	}{
		"plain":             {},
		"plain, by the BCP": {edition: "bcp", warns: []string{"password.not-offered"}},
		"opaque tokens without expires_in": {
			bend:  func(p *peer) { p.onToken = func(_ url.Values, m map[string]any) { delete(m, "expires_in") } },
			warns: []string{"response.expires-in-present"},
		},
		"401 for credentials in the body, without a challenge": {
			bend: onErr(func(_ *http.Request, _ url.Values, status *int, m map[string]any, _ http.Header) {
				if m["error"] == "invalid_client" {
					*status = 401
				}
			}),
			warns: []string{"error.401-has-challenge"},
		},
		"several challenges, error_uri, members of problem details, limits told": {
			bend: func(p *peer) {
				p.onError = func(_ *http.Request, _ url.Values, _ *int, m map[string]any, h http.Header) {
					m["error_description"] = "Sorry: it's [not] {here}, 100% <sure> ~ `ok` (see #3)!"
					m["error_uri"] = "https://example.com/errors?code=" + m["error"].(string) + "#x"
					m["type"], m["title"], m["status"], m["trace_id"] = "about:blank", "Bad Request", 400, "abc"
					h.Set("RateLimit", `"default";r=50;t=30, "day";r=1000`)
					h.Set("RateLimit-Policy", `"default";q=100;w=60`)
					if h.Get("WWW-Authenticate") != "" {
						h.Set("WWW-Authenticate", `Bearer realm="a, b", Basic charset="UTF-8", realm="x=y, \"z\"", Negotiate, Digest realm="d", nonce="abc123==", qop="auth"`)
					}
				}
			},
		},
		"no word of scope, the same refresh token, CORS": {
			bend: func(p *peer) {
				p.onToken = func(_ url.Values, m map[string]any) { delete(m, "scope") }
				p.rotate = func(string, *peerToken) string { return "" }
				p.before = func(w http.ResponseWriter, r *http.Request) bool {
					if r.Header.Get("Origin") == "https://app.example" {
						w.Header().Set("Access-Control-Allow-Origin", "https://app.example")
						w.Header().Set("Vary", "Origin")
					}
					if r.Method == http.MethodOptions {
						w.Header().Set("Access-Control-Allow-Methods", "POST")
						w.Header().Set("Access-Control-Allow-Headers", "authorization, content-type")
						w.WriteHeader(http.StatusNoContent)
					}
					return r.Method == http.MethodOptions
				}
			},
			values: map[string]string{"BROWSER_ORIGIN": "https://app.example"},
		},
		"a grace period, unknown grants as invalid_request, tokens from a cache": {
			bend: func(p *peer) {
				p.rotate = func(_ string, t *peerToken) string {
					next := *t
					token := "r." + word()
					p.refresh[token] = &next
					ends, std := p.clock.Now().Add(30*time.Second), p.refreshFor
					p.refreshFor = func(o *peerToken, c *peerClient) bool {
						o.dead = o.dead || o == t && p.clock.Now().After(ends)
						return std(o, c)
					}
					return token
				}
				p.onError = func(_ *http.Request, _ url.Values, _ *int, m map[string]any, _ http.Header) {
					if m["error"] == "unsupported_grant_type" {
						m["error"] = "invalid_request"
					}
				}
				cached(p)
				p.onToken = func(_ url.Values, m map[string]any) {
					t := p.tokens[m["access_token"].(string)]
					m["expires_in"] = int(t.made.Add(t.life).Sub(p.clock.Now()).Seconds())
				}
			},
		},
		"lower-case bearer, unicode escapes, white space, closing": {
			bend: func(p *peer) {
				p.write = func(w http.ResponseWriter, status int, m map[string]any) {
					if m["token_type"] != nil {
						m["token_type"] = "bearer"
					}
					b, _ := json.Marshal(m)
					text := strings.NewReplacer("true", "true", "false", "false", "e", `\u0065`).Replace(string(b))
					w.Header().Set("Content-Type", `application/json; charset="utf-8"; profile="x;y"`)
					w.Header().Set("Connection", "close")
					w.WriteHeader(status)
					fmt.Fprintf(w, "\n %s \n\n", text)
				}
			},
		},
		"403, 404, 411, 413 and 431 by HTTP alone": {
			bend: front(func(_ *peer, w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.Method == http.MethodGet:
					http.NotFound(w, r)
				case r.Method != http.MethodPost:
					http.Error(w, "no", http.StatusForbidden)
				case r.ContentLength < 0:
					w.WriteHeader(http.StatusLengthRequired)
				case r.ContentLength > 10000:
					w.Header().Set("Connection", "close")
					w.WriteHeader(http.StatusRequestEntityTooLarge)
				case len(r.Header.Get("Authorization")) > 9000:
					w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
				default:
					return false
				}
				return true
			}),
		},
		"a filter that answers odd input with a page": {
			bend: front(func(_ *peer, w http.ResponseWriter, r *http.Request) bool {
				text := strings.ToLower(withBodyCopy(r) + r.URL.RawQuery)
				odd := r.Method != http.MethodPost || strings.HasPrefix(text, "{")
				for _, s := range []string{"%00", "script", "%0d", "%zz", "[]", "%ff"} {
					odd = odd || strings.Contains(text, s)
				}
				if odd {
					w.Header().Set("Content-Type", "text/html")
					w.WriteHeader(http.StatusForbidden)
					fmt.Fprint(w, "<html><h1>Access denied</h1>Reference #18.abc</html>")
				}
				return odd
			}),
		},
		"id_tokens with a MAC": {
			bend: func(p *peer) {
				p.clients["Web-App"].secret = peerSecret + peerSecret
				p.signID = func(c *peerClient, claims map[string]any) string {
					if c.public {
						return signRS(p.keys[0], map[string]any{"alg": "RS256", "kid": "one"}, claims)
					}
					text := segmentOf(map[string]any{"alg": "HS256", "typ": "JWT"}) + "." + segmentOf(claims)
					h := hmac.New(sha256.New, []byte(c.secret))
					h.Write([]byte(text))
					return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
				}
			},
			values: map[string]string{"CLIENT_SECRET": peerSecret + peerSecret},
		},
		"PKCE demanded of every client": {bend: func(p *peer) { p.pkceOnly = true }},
		"PKCE demanded of every client, at the exchange": {bend: func(p *peer) {
			std := p.proves
			p.proves = func(challenge, verifier string) bool { return challenge != "" && std(challenge, verifier) }
		}},
		"Retry-After as a date of RFC 850":                 {bend: limited("RFC 850")},
		"five requests a second, with Retry-After 1":       {bend: bucket(true)},
		"five requests a second, and nothing told of when": {bend: bucket(false)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := newPeer(t, c.bend).judge(t, func(values map[string]string, _ *contract.Contract, cfg *suites.Config) {
				for k, v := range c.values {
					values[k] = v
				}
				cfg.NoEvidence, cfg.Edition = true, c.edition
			})
			expectFindings(t, run, c.warns...)
			if run.Summary.Pass < 150 {
				t.Errorf("only %d rules pass: %+v", run.Summary.Pass, run.Summary)
			}
			for _, check := range run.Checks {
				if check.Verdict == report.Fail {
					t.Errorf("%s fails", check.Rule)
				}
			}
		})
	}
}

// TestPeersByOtherContracts holds that the same server is found right by contracts that say less of it.
func TestPeersByOtherContracts(t *testing.T) {
	grants := func(keys ...string) func(*contract.Contract) {
		return func(c *contract.Contract) {
			c.Grants = slices.DeleteFunc(c.Grants, func(g contract.Grant) bool { return !slices.Contains(keys, g.Key) })
		}
	}
	for name, c := range map[string]struct {
		values func(map[string]string)
		shape  func(*contract.Contract)
		change func(*suites.Config)
		least  int // rules that pass
	}{
		"credentials in the body alone": {shape: func(c *contract.Contract) { c.Client.Auth = []string{"post"} }, least: 200},
		"assertions alone":              {shape: func(c *contract.Contract) { c.Client.Auth = []string{"jwt"} }, least: 200},
		"codes and refresh tokens":      {shape: grants("authorization_code", "refresh_token"), least: 200},
		"passwords":                     {shape: grants("password", "refresh_token"), least: 180},
		"one client and nothing else": {values: func(v map[string]string) {
			maps.DeleteFunc(v, func(k, _ string) bool {
				return !slices.Contains([]string{"BASE_URL", "TOKEN_PATH", "CLIENT_ID", "CLIENT_SECRET"}, k)
			})
		}, shape: grants("client_credentials"), least: 90},
		"a public client": {values: func(v map[string]string) {
			v["CLIENT_ID"] = "mobile"
			delete(v, "CLIENT_SECRET")
			delete(v, "CLIENT_KEY_FILE")
		}, shape: func(c *contract.Contract) {
			grants("authorization_code", "refresh_token")(c)
			c.Client.Auth, c.Client.Type, c.Introspection, c.Revocation = []string{"none"}, "public", nil, nil
		}, least: 130},
		"no scope":      {values: func(v map[string]string) { delete(v, "SCOPE"); delete(v, "GRANTABLE_SCOPE") }, least: 200},
		"four at once":  {change: func(cfg *suites.Config) { cfg.Parallel = 4 }, least: 220},
		"strictly":      {change: func(cfg *suites.Config) { cfg.Strict = true }, least: 220},
		"least consent": {change: func(cfg *suites.Config) { cfg.Allow = nil }, least: 150},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, nil)
			p.shape = c.shape
			run := p.judge(t, func(values map[string]string, _ *contract.Contract, cfg *suites.Config) {
				if cfg.NoEvidence = true; c.values != nil {
					c.values(values)
				}
				if c.change != nil {
					c.change(cfg)
				}
			})
			expectFindings(t, run)
			if run.Summary.Pass < c.least {
				t.Errorf("only %d rules pass: %+v", run.Summary.Pass, run.Summary)
			}
			for _, check := range run.Checks {
				if check.Verdict == report.Blocked || check.Verdict == report.Inconclusive {
					t.Errorf("%s: %s: %s", check.Rule, check.Verdict, check.Reason)
				}
			}
		})
	}
}

// bucket lets five requests a second through.
func bucket(told bool) func(*peer) {
	return func(p *peer) {
		var mu sync.Mutex
		left, last := 5.0, p.clock.Now()
		p.before = func(w http.ResponseWriter, _ *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			now := p.clock.Now()
			left, last = min(5, left+5*now.Sub(last).Seconds()), now
			if left >= 1 {
				left--
				return false
			}
			if told {
				w.Header().Set("Retry-After", "1")
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"error":"slow_down_please"}`)
			return true
		}
	}
}
