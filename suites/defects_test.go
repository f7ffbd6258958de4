package suites_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
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

// A defect is one mistake of the kind that is made in the field, in a server that is right otherwise;
// rule has to find it with verdict.
type defect struct {
	name, rule string
	verdict    report.Verdict
	edition    string
	bend       func(*peer)
}

// TestDefects holds that each mistake is found, by the rule that it breaks and at its weight.
func TestDefects(t *testing.T) {
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			run := newPeer(t, d.bend).judge(t, func(values map[string]string, _ *contract.Contract, cfg *suites.Config) {
				cfg.NoEvidence, cfg.Edition, cfg.Selection.Rules = true, d.edition, []string{d.rule}
				values["BROWSER_ORIGIN"] = "https://app.example"
				if r, _ := suites.RuleNamed(d.rule); r.Passive { // it looks at the answers to others
					cfg.Selection.Rules, cfg.Selection.Groups = nil, []string{r.Group, "transport", "request", "client-auth", "password", "throttling"}
				}
			})
			if c := verdictOf(run, d.rule); c.Verdict != d.verdict {
				t.Errorf("%s: %s, want %s: %s%s", d.rule, c.Verdict, d.verdict, c.Reason, c.Message)
			}
		})
	}
}

// raw changes every answer on its way out.
func raw(change func(status int, b []byte, h http.Header) (int, []byte)) func(*peer) {
	return func(p *peer) {
		p.write = func(w http.ResponseWriter, status int, m map[string]any) {
			b, _ := json.Marshal(m)
			w.Header().Set("Content-Type", "application/json")
			status, b = change(status, b, w.Header())
			w.WriteHeader(status)
			_, _ = w.Write(b)
		}
	}
}

// member sets a member of every answer with a token.
func member(name string, v any) func(*peer) {
	return func(p *peer) { p.onToken = func(_ url.Values, m map[string]any) { m[name] = v } }
}

func jsonRaw(s string) json.RawMessage { return json.RawMessage(s) }

func onErr(f func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header)) func(*peer) {
	return func(p *peer) { p.onError = f }
}

func claimed(f func(map[string]any)) func(*peer) { return func(p *peer) { p.onClaims = f } }

// front stands before the token endpoint.
func front(f func(p *peer, w http.ResponseWriter, r *http.Request) bool) func(*peer) {
	return func(p *peer) {
		p.before = func(w http.ResponseWriter, r *http.Request) bool { return f(p, w, r) }
	}
}

func header(name, value string) func(*peer) {
	return raw(func(s int, b []byte, h http.Header) (int, []byte) { h.Set(name, value); return s, b })
}

// withBodyCopy reads the body and leaves it to be read again.
func withBodyCopy(r *http.Request) string {
	b, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(b)))
	return string(b)
}

// limited lets thirty requests a second through, and answers others with these Retry-After lines.
func limited(retry ...string) func(*peer) {
	return func(p *peer) {
		var mu sync.Mutex
		n, last := 0, p.clock.Now()
		p.before = func(w http.ResponseWriter, r *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			if now := p.clock.Now(); now.Sub(last) > time.Second {
				n, last = 0, now
			}
			if n++; n <= 30 {
				return false
			}
			for _, v := range retry {
				if v == "RFC 850" {
					v = p.clock.Now().UTC().Add(time.Second).Format("Monday, 02-Jan-06 15:04:05 GMT")
				}
				w.Header().Add("Retry-After", v)
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(429)
			fmt.Fprint(w, `{"error":"slow_down"}`)
			return true
		}
	}
}

// overlaps answers a request with 500 that comes while another with the same words in it is under way.
func overlaps(words, text string) func(*peer) {
	return func(p *peer) {
		var mu sync.Mutex
		n := 0
		count := func(by int) int {
			mu.Lock()
			defer mu.Unlock()
			n += by
			return n
		}
		p.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(withBodyCopy(r), words) {
				return false
			}
			over := count(1) > 1
			time.Sleep(2 * time.Millisecond)
			count(-1)
			if over {
				http.Error(w, text, 500)
			}
			return over
		}
	}
}

// cached gives a client the same token for as long as it lives.
func cached(p *peer) {
	type kept struct {
		token string
		t     *peerToken
	}
	cache := map[string]kept{}
	p.token = func(c *peerClient, t *peerToken) string {
		if t.user != "" {
			return word()
		}
		k := c.id + fmt.Sprint(t.scope)
		if cache[k].t == nil || !p.alive(cache[k].t) {
			cache[k] = kept{word(), t}
		}
		*t = *cache[k].t
		return cache[k].token
	}
}

// lax replaces the check of client assertions.
func lax(p *peer, ok func(h, c map[string]any, parts []string) bool) {
	p.assertion = func(token string) *peerClient {
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			return nil
		}
		var h, c map[string]any
		for i, into := range []*map[string]any{&h, &c} {
			raw, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err != nil || json.Unmarshal(raw, into) != nil {
				return nil
			}
		}
		if !ok(h, c, parts) {
			return nil
		}
		id, _ := c["sub"].(string)
		if id == "" {
			id, _ = c["iss"].(string)
		}
		return p.clients[id]
	}
}

func audOK(p *peer, c map[string]any) bool {
	list, ok := c["aud"].([]any)
	if !ok {
		list = []any{c["aud"]}
	}
	return slices.Contains(list, any(p.URL+"/as/token")) || slices.Contains(list, any(p.URL))
}

func nbfOK(p *peer, c map[string]any) bool {
	now := float64(p.clock.Now().Unix())
	nbf, _ := c["nbf"].(float64)
	iat, _ := c["iat"].(float64)
	return nbf <= now+30 && iat <= now+30
}

func timesOK(p *peer, c map[string]any) bool {
	exp, ok := c["exp"].(float64)
	return ok && exp > float64(p.clock.Now().Unix()) && nbfOK(p, c)
}

var defects = []defect{
	{"secret by prefix", "client-auth.secret-exact-match", "fail", "", func(p *peer) {
		p.secretIs = func(stored, given string) bool { return strings.HasPrefix(given, stored) }
	}},
	{"stored has given prefix", "client-auth.secret-exact-match", "fail", "", func(p *peer) {
		p.secretIs = func(stored, given string) bool { return given != "" && strings.HasPrefix(stored, given) }
	}},
	{"secret fold", "client-auth.secret-exact-match", "fail", "", func(p *peer) { p.secretIs = strings.EqualFold }},
	{"secret same length", "client-auth.wrong-secret-refused", "fail", "", func(p *peer) {
		p.secretIs = func(stored, given string) bool { return len(stored) == len(given) }
	}},
	{"secret of any client", "client-auth.wrong-secret-refused", "fail", "", func(p *peer) {
		p.secretIs = func(stored, given string) bool {
			for _, c := range p.clients {
				if given != "" && c.secret == given {
					return true
				}
			}
			return false
		}
	}},
	{"basic secret unchecked", "client-auth.wrong-secret-refused", "fail", "", func(p *peer) {
		b := p.basic
		p.basic = func(c string) (string, string, bool) {
			id, s, ok := b(c)
			if cl := p.clients[id]; ok && cl != nil && s != "" {
				s = cl.secret
			}
			return id, s, ok
		}
	}},
	{"post secret unchecked", "client-auth.wrong-secret-refused", "fail", "", func(p *peer) {
		b, inBasic := p.basic, ""
		p.basic = func(c string) (string, string, bool) {
			id, s, ok := b(c)
			inBasic = s
			return id, s, ok
		}
		p.secretIs = func(stored, given string) bool {
			if given == inBasic && given != "" {
				inBasic = ""
				return stored == given
			}
			return given != ""
		}
	}},
	{"basic empty password", "client-auth.empty-secret-refused", "fail", "", func(p *peer) {
		b := p.basic
		p.basic = func(c string) (string, string, bool) {
			id, s, ok := b(c)
			if cl := p.clients[id]; ok && cl != nil && s == "" {
				s = cl.secret
			}
			return id, s, ok
		}
	}},
	{"client_id fold", "client-auth.client-id-exact", "warn", "", func(p *peer) {
		p.find = func(id string) *peerClient {
			for _, c := range p.clients {
				if strings.EqualFold(c.id, id) {
					return c
				}
			}
			return nil
		}
	}},
	{"junk after base64", "client-auth.basic-junk", "warn", "", func(p *peer) {
		b := p.basic
		p.basic = func(c string) (string, string, bool) {
			for n := len(c); n > max(8, len(c)-20); n-- {
				if id, s, ok := b(c[:n]); ok && p.clients[id] != nil && p.clients[id].secret == s {
					return id, s, ok
				}
			}
			return b(c)
		}
	}},
	{"no form decoding", "client-auth.basic-form-decoding", "fail", "", func(p *peer) {
		p.basic = func(c string) (string, string, bool) {
			raw, err := base64.StdEncoding.DecodeString(c)
			id, s, ok := strings.Cut(string(raw), ":")
			return id, s, ok && err == nil
		}
	}},
	{"wrong secret as invalid_grant", "error.invalid-client-code", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if m["error"] == "invalid_client" {
			m["error"] = "unauthorized_client"
		}
	})},
	{"code bound by redirect only", "code.bound-to-client", "fail", "", func(p *peer) {
		p.codeFor = func(c *peerCode, cl *peerClient) bool { return true }
	}},
	{"redirect prefix", "code.redirect-uri-identical", "fail", "", func(p *peer) { p.redirectIs = func(r, g string) bool { return strings.HasPrefix(g, r) } }},
	{"redirect path only", "code.redirect-uri-identical", "fail", "", func(p *peer) {
		p.redirectIs = func(r, g string) bool {
			a, _ := url.Parse(r)
			b, _ := url.Parse(g)
			return a.Host == b.Host && a.Path == b.Path
		}
	}},
	{"redirect optional", "code.redirect-uri-required", "fail", "", func(p *peer) { p.redirectIs = func(r, g string) bool { return g == "" || r == g } }},
	{"redirect port ignored", "code.redirect-uri-identical", "fail", "", func(p *peer) {
		p.redirectIs = func(r, g string) bool {
			a, _ := url.Parse(r)
			b, _ := url.Parse(g)
			return a.Hostname() == b.Hostname() && a.Path == b.Path && a.RawQuery == b.RawQuery
		}
	}},
	{"pkce contains", "pkce.method-bound", "fail", "", func(p *peer) {
		std := p.proves
		p.proves = func(ch, v string) bool { return std(ch, v) || ch != "" && strings.Contains(v, ch) }
	}},
	{"pkce missing ok", "pkce.missing-verifier-refused", "fail", "", func(p *peer) {
		std := p.proves
		p.proves = func(ch, v string) bool { return v == "" || std(ch, v) }
	}},
	{"pkce fold", "pkce.wrong-verifier-refused", "fail", "", func(p *peer) {
		std := p.proves
		p.proves = func(ch, v string) bool {
			sum := sha256.Sum256([]byte(v))
			return std(ch, v) || strings.EqualFold(ch, base64.RawURLEncoding.EncodeToString(sum[:]))
		}
	}},
	{"code reusable 1s", "code.reuse-denied", "fail", "", func(p *peer) {
		p.spent = func(c *peerCode) bool {
			ok := !c.used || p.clock.Now().Sub(c.made) < time.Second
			c.used = true
			return ok
		}
	}},
	{"code reusable 60s, idempotent", "code.reuse-denied", "fail", "", func(p *peer) {
		p.replayed = func(c *peerCode, f url.Values) map[string]any { return c.answer }
	}},
	{"code double spend 5ms", "code.concurrent-single-use", "fail", "", func(p *peer) { p.lapse = 5 * time.Millisecond }},
	{"refresh foreign", "refresh.bound-to-client", "fail", "", func(p *peer) { p.refreshFor = func(*peerToken, *peerClient) bool { return true } }},
	{"refresh widening by order", "refresh.scope-not-widened", "fail", "", func(p *peer) {
		p.narrow = func(o, a []string) ([]string, bool) {
			return a, strings.HasPrefix(strings.Join(a, " "), strings.Join(o, " "))
		}
	}},
	{"refresh widening first checked", "refresh.scope-not-widened", "fail", "", func(p *peer) {
		p.narrow = func(o, a []string) ([]string, bool) { return a, slices.Contains(o, a[0]) }
	}},
	{"refresh widening last checked", "refresh.scope-not-widened", "fail", "", func(p *peer) {
		p.narrow = func(o, a []string) ([]string, bool) { return a, slices.Contains(o, a[len(a)-1]) }
	}},
	{"expires_in 3600.0", "response.expires-in-sane", "warn", "", member("expires_in", jsonRaw("3600.0"))},
	{"expires_in 1e3", "response.expires-in-sane", "warn", "", member("expires_in", jsonRaw("1e3"))},
	{"expires_in string", "response.expires-in-number", "fail", "", member("expires_in", "3600")},
	{"expires_in 3600.5", "response.expires-in-sane", "fail", "", member("expires_in", 3600.5)},
	{"expires_in null", "response.optional-members-typed", "warn", "", member("expires_in", nil)},
	{"expires_in date", "response.expires-in-number", "fail", "", member("expires_in", "2026-11-21T10:00:00Z")},
	{"expires_in epoch", "response.expires-in-sane", "warn", "", func(p *peer) {
		p.onToken = func(_ url.Values, m map[string]any) { m["expires_in"] = p.clock.Now().Unix() + 1800 }
	}},
	{"token_type missing", "response.token-type", "fail", "", func(p *peer) { p.onToken = func(_ url.Values, m map[string]any) { delete(m, "token_type") } }},
	{"token_type tokenType", "response.token-type", "fail", "", func(p *peer) {
		p.onToken = func(_ url.Values, m map[string]any) { delete(m, "token_type"); m["tokenType"] = "Bearer" }
	}},
	{"scope array", "response.scope-syntax", "fail", "", member("scope", []string{"read"})},
	{"scope comma", "response.scope-syntax", "fail", "", func(p *peer) {
		p.onToken = func(_ url.Values, m map[string]any) {
			m["scope"] = strings.ReplaceAll(m["scope"].(string), " ", ",")
		}
	}},
	{"refresh null", "response.optional-members-typed", "warn", "", func(p *peer) {
		p.onToken = func(_ url.Values, m map[string]any) {
			if m["refresh_token"] == nil {
				m["refresh_token"] = nil
			}
		}
	}},
	{"duplicate keys", "response.no-duplicate-members", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) {
		return s, append([]byte(`{"token_type":"Bearer",`), b[1:]...)
	})},
	{"BOM", "response.utf8", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) { return s, append([]byte("\ufeff"), b...) })},
	{"trailing garbage", "response.json-object", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) { return s, append(b, []byte("<!-- 12 ms -->")...) })},
	{"trailing NUL", "response.json-object", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) { return s, append(b, 0) })},
	{"array of one", "response.json-object", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) { return s, []byte("[" + string(b) + "]") })},
	{"text/plain", "response.content-type", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) { h.Set("Content-Type", "text/plain"); return s, b })},
	{"problem+json errors", "error.content-type", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) {
		if s >= 400 {
			h.Set("Content-Type", "application/problem+json")
		}
		return s, b
	})},
	{"no content type", "response.content-type", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) { h["Content-Type"] = nil; return s, b })},
	{"pragma only", "headers.no-store", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) {
		h.Del("Cache-Control")
		h.Set("Pragma", "no-store")
		return s, b
	})},
	{"no-store as value", "headers.no-store", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) {
		h.Set("Cache-Control", `private="no-store", max-age=0`)
		return s, b
	})},
	{"nostore", "headers.no-store", "fail", "", raw(func(s int, b []byte, h http.Header) (int, []byte) { h.Set("Cache-Control", `nostore`); return s, b })},
	{"same token for two clients", "robust.concurrent-isolation", "fail", "", func(p *peer) {
		n := 0
		var last string
		p.token = func(c *peerClient, t *peerToken) string {
			if n++; n%5 != 0 || last == "" {
				last = word()
			}
			return last
		}
	}},
	{"token cached per scope", "robust.concurrent-isolation", "fail", "", func(p *peer) {
		cache := map[string]string{}
		p.token = func(c *peerClient, t *peerToken) string {
			if t.user != "" {
				return word()
			}
			k := fmt.Sprint(t.scope)
			if cache[k] == "" {
				cache[k] = word()
			}
			return cache[k]
		}
	}},
	{"token cached per client, full life", "response.distinct-tokens", "note", "", func(p *peer) {
		cache := map[string]string{}
		p.token = func(c *peerClient, t *peerToken) string {
			if t.user != "" {
				return word()
			}
			k := c.id + fmt.Sprint(t.scope)
			if cache[k] == "" {
				cache[k] = word()
			}
			return cache[k]
		}
	}},
	{"umlaut description", "error.description-charset", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		m["error_description"] = "Zugriff verweigert für Sie"
	})},
	{"crlf description", "error.description-charset", "warn", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		m["error_description"] = "line one\r\nline two"
	})},
	{"quote description", "error.description-charset", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		m["error_description"] = `the "code" is bad`
	})},
	{"error object", "error.error-string", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		m["error"] = map[string]any{"code": m["error"], "message": "x"}
	})},
	{"error in errors", "error.json-body", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		m["errors"] = []any{m["error"]}
		delete(m, "error")
	})},
	{"error upper", "error.code-known", "warn", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		m["error"] = strings.ToUpper(m["error"].(string))
	})},
	{"200 with error", "error.not-success-status", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) { *status = 200 })},
	{"302 with error", "error.not-success-status", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) { *status = 302 })},
	{"403 for invalid_grant", "error.status-400", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if m["error"] == "invalid_grant" {
			*status = 403
		}
	})},
	{"422 for invalid_request", "error.status-400", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if m["error"] == "invalid_request" {
			*status = 422
		}
	})},
	{"500 for invalid_grant", "robust.no-fault-on-negatives", "warn", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if m["error"] == "invalid_grant" {
			*status = 500
		}
	})},
	{"basic 400", "error.basic-401", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) { *status = 400 })},
	{"no challenge", "error.basic-challenge", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		h.Del("WWW-Authenticate")
	})},
	{"bearer challenge", "error.basic-challenge", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if *status == 401 {
			h.Set("WWW-Authenticate", `Bearer realm="x"`)
		}
	})},
	{"challenge without realm", "error.challenge-syntax", "warn", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if *status == 401 {
			h.Set("WWW-Authenticate", `Basic`)
		}
	})},
	{"challenge realm unquoted", "error.challenge-syntax", "warn", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if *status == 401 {
			h.Set("WWW-Authenticate", `Basic realm=My Server`)
		}
	})},
	{"token in error", "error.no-token", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if m["error"] == "unsupported_grant_type" {
			m["access_token"] = "leak" + word()
		}
	})},
	{"token empty in 200 with error", "error.not-success-status", "fail", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		*status, m["access_token"] = 200, ""
	})},
	{"aud array without client", "token.id-token-iss-aud", "fail", "", claimed(func(c map[string]any) { c["aud"] = []string{"api", "other"} })},
	{"at_hash wrong", "token.id-token-at-hash", "fail", "", claimed(func(c map[string]any) { c["at_hash"] = base64.RawURLEncoding.EncodeToString(make([]byte, 16)) })},
	{"at_hash full", "token.id-token-at-hash", "fail", "", claimed(func(c map[string]any) { c["at_hash"] = c["at_hash"].(string) + "AA" })},
	{"nonce dropped", "token.id-token-nonce", "fail", "", claimed(func(c map[string]any) { delete(c, "nonce") })},
	{"nonce lower", "token.id-token-nonce", "fail", "", claimed(func(c map[string]any) {
		if n, ok := c["nonce"].(string); ok {
			c["nonce"] = strings.ToLower(n) + "="
		}
	})},
	{"iat ms", "token.id-token-times", "fail", "", claimed(func(c map[string]any) { c["iat"] = c["iat"].(int64) * 1000 })},
	{"exp ms", "token.id-token-times", "fail", "", claimed(func(c map[string]any) { c["exp"] = c["exp"].(int64) * 1000 })},
	{"exp string", "token.id-token-times", "fail", "", claimed(func(c map[string]any) { c["exp"] = fmt.Sprint(c["exp"]) })},
	{"expired id", "token.id-token-times", "fail", "", claimed(func(c map[string]any) { c["exp"] = c["iat"].(int64) - 1 })},
	{"kid missing", "token.id-token-kid", "fail", "", func(p *peer) {
		p.signID = func(_ *peerClient, c map[string]any) string {
			return signRS(p.keys[0], map[string]any{"alg": "RS256"}, c)
		}
	}},
	{"kid of other key", "token.id-token-signature", "fail", "", func(p *peer) {
		p.signID = func(_ *peerClient, c map[string]any) string {
			return signRS(p.keys[0], map[string]any{"alg": "RS256", "kid": "two"}, c)
		}
	}},
	{"alg none id", "token.id-token-signature", "fail", "", func(p *peer) {
		p.signID = func(_ *peerClient, c map[string]any) string {
			return segmentOf(map[string]any{"alg": "none"}) + "." + segmentOf(c) + "."
		}
	}},
	{"iss slash", "token.id-token-iss-aud", "fail", "", claimed(func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" })},
	{"sub number", "token.id-token-sub", "fail", "", claimed(func(c map[string]any) { c["sub"] = 42 })},
	{"signature missing unsigned payload", "token.id-token-signature", "fail", "", func(p *peer) {
		p.signID = func(_ *peerClient, c map[string]any) string {
			s := signRS(p.keys[0], map[string]any{"alg": "RS256", "kid": "one"}, c)
			return s[:strings.LastIndex(s, ".")+1] + strings.Repeat("A", 342)
		}
	}},
	{"active string", "introspect.active-live", "fail", "", func(p *peer) { p.onActive = func(m map[string]any) { m["active"] = fmt.Sprint(m["active"]) } }},
	{"always active", "introspect.unknown-inactive", "fail", "", func(p *peer) { p.onActive = func(m map[string]any) { m["active"] = true } }},
	{"revocation no-op", "revoke.refresh-token-dead", "fail", "", func(p *peer) { p.revoke = func(*peerClient, string) {} }},
	{"revocation foreign", "revoke.foreign-token-kept", "fail", "", func(p *peer) {
		std := p.revoke
		p.revoke = func(_ *peerClient, token string) {
			for _, m := range []map[string]*peerToken{p.tokens, p.refresh} {
				if t := m[token]; t != nil {
					std(t.client, token)
				}
			}
		}
	}},
	{"revocation of itself only", "revoke.cascade", "warn", "", func(p *peer) {
		p.revoke = func(c *peerClient, token string) {
			for _, m := range []map[string]*peerToken{p.tokens, p.refresh} {
				if t := m[token]; t != nil && t.client == c {
					t.dead = true
				}
			}
		}
	}},
	{"500 on empty body", "robust.empty-body", "fail", "", func(p *peer) {
		p.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.ContentLength == 0 && r.Method == "POST" {
				http.Error(w, "NullPointerException", 500)
				return true
			}
			return false
		}
	}},
	{"metadata issuer slash", "metadata.issuer-identical", "fail", "", func(p *peer) { p.onMetadata = func(m map[string]any) { m["issuer"] = m["issuer"].(string) + "/" } }},
	{"jwt unsigned", "jwt-auth.bad-signature", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			return timesOK(p, c) && h["alg"] == "RS256" && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt alg none", "jwt-auth.alg-none", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			return (h["alg"] == "none" || h["alg"] == "RS256" && verifyRS(p, parts)) && timesOK(p, c) && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt alg None odd case", "jwt-auth.alg-none", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			return (h["alg"] != "none" && strings.EqualFold(fmt.Sprint(h["alg"]), "none") || h["alg"] == "RS256" && verifyRS(p, parts)) && timesOK(p, c) && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt confusion", "jwt-auth.alg-confusion", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			der, _ := x509.MarshalPKIXPublicKey(&p.trusts.PublicKey)
			key := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
			m := hmac.New(sha256.New, key)
			m.Write([]byte(parts[0] + "." + parts[1]))
			ok := h["alg"] == "HS256" && base64.RawURLEncoding.EncodeToString(m.Sum(nil)) == parts[2] || h["alg"] == "RS256" && verifyRS(p, parts)
			return ok && timesOK(p, c) && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt confusion der", "jwt-auth.alg-confusion", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			der, _ := x509.MarshalPKIXPublicKey(&p.trusts.PublicKey)
			m := hmac.New(sha256.New, der)
			m.Write([]byte(parts[0] + "." + parts[1]))
			ok := h["alg"] == "HS256" && base64.RawURLEncoding.EncodeToString(m.Sum(nil)) == parts[2] || h["alg"] == "RS256" && verifyRS(p, parts)
			return ok && timesOK(p, c) && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt expired ok", "jwt-auth.expired", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			return verifyRS(p, parts) && h["alg"] == "RS256" && c["exp"] != nil && nbfOK(p, c) && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt expired within the hour ok", "jwt-auth.expired", "warn", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			exp, ok := c["exp"].(float64)
			return ok && exp > float64(p.clock.Now().Unix()-3600) && verifyRS(p, parts) && h["alg"] == "RS256" && nbfOK(p, c) && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt no exp ok", "jwt-auth.missing-exp", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			return (c["exp"] == nil || timesOK(p, c)) && verifyRS(p, parts) && h["alg"] == "RS256" && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt nbf ignored", "jwt-auth.not-yet-valid", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			exp, ok := c["exp"].(float64)
			return ok && exp > float64(p.clock.Now().Unix()) && verifyRS(p, parts) && h["alg"] == "RS256" && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt aud any", "jwt-auth.wrong-aud", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			return timesOK(p, c) && verifyRS(p, parts) && h["alg"] == "RS256" && c["iss"] == c["sub"] && c["aud"] != nil
		})
	}},
	{"jwt aud suffix", "jwt-auth.wrong-aud", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			return timesOK(p, c) && verifyRS(p, parts) && h["alg"] == "RS256" && c["iss"] == c["sub"] && (audOK(p, c) || strings.HasSuffix(fmt.Sprint(c["aud"]), "/token"))
		})
	}},
	{"jwt aud prefix", "jwt-auth.wrong-aud", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			return timesOK(p, c) && verifyRS(p, parts) && h["alg"] == "RS256" && c["iss"] == c["sub"] && (audOK(p, c) || strings.HasPrefix(fmt.Sprint(c["aud"]), p.URL))
		})
	}},
	{"jwt iss ignored", "jwt-auth.missing-iss", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			return timesOK(p, c) && verifyRS(p, parts) && h["alg"] == "RS256" && c["sub"] == "Web-App" && audOK(p, c)
		})
	}},
	{"jwt sub ignored", "jwt-auth.missing-sub", "fail", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			return timesOK(p, c) && verifyRS(p, parts) && h["alg"] == "RS256" && c["iss"] == "Web-App" && audOK(p, c) && (c["sub"] == nil || c["sub"] == c["iss"])
		})
	}},
	{"jwt no leeway", "jwt-auth.skew", "note", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			iat, _ := c["iat"].(float64)
			return iat <= float64(p.clock.Now().Unix()) && timesOK(p, c) && verifyRS(p, parts) && h["alg"] == "RS256" && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt aud array refused", "jwt-auth.aud-array", "warn", "", func(p *peer) {
		lax(p, func(h, c map[string]any, parts []string) bool {
			_, text := c["aud"].(string)
			return text && timesOK(p, c) && verifyRS(p, parts) && h["alg"] == "RS256" && c["iss"] == c["sub"] && audOK(p, c)
		})
	}},
	{"jwt parser panics", "jwt-auth.malformed", "fail", "", func(p *peer) {
		p.before = func(w http.ResponseWriter, r *http.Request) bool {
			b := withBodyCopy(r)
			f, _ := url.ParseQuery(b)
			if a := f.Get("client_assertion"); a != "" && strings.Count(a, ".") != 2 {
				http.Error(w, "panic: index out of range [1] with length 1\n\ngoroutine 7 [running]:\nmain.x()", 500)
				return true
			}
			return false
		}
	}},
	{"GET", "transport.get-not-accepted", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "GET" {
			r.Method = "POST"
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Body = io.NopCloser(strings.NewReader(r.URL.RawQuery))
		}
		return false
	})},
	{"PUT", "transport.other-methods", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "PUT" {
			r.Method = "POST"
		}
		return false
	})},
	{"405 no allow", "transport.405-allow", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		if r.Method != "POST" {
			w.WriteHeader(405)
			return true
		}
		return false
	})},
	{"query merged", "client-auth.credentials-in-query", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		b := withBodyCopy(r)
		if r.Method == "POST" && r.URL.RawQuery != "" {
			r.Body = io.NopCloser(strings.NewReader(b + "&" + r.URL.RawQuery))
		}
		return false
	})},
	{"media case", "request.media-type-case", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		if ct := r.Header.Get("Content-Type"); ct != strings.ToLower(ct) {
			r.Header.Set("Content-Type", "x/y")
		}
		return false
	})},
	{"first duplicate wins", "request.duplicate-conflicting", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		f, err := url.ParseQuery(withBodyCopy(r))
		if err == nil {
			for k, v := range f {
				f[k] = v[:1]
			}
			r.Body = io.NopCloser(strings.NewReader(f.Encode()))
		}
		return false
	})},
	{"array params", "robust.array-parameter", "fail", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		r.Body = io.NopCloser(strings.NewReader(strings.NewReplacer("%5B%5D=", "=", "[]=", "=", "%5b%5d=", "=").Replace(withBodyCopy(r))))
		return false
	})},
	{"params fold", "request.param-name-case", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		f, err := url.ParseQuery(withBodyCopy(r))
		if err == nil {
			g := url.Values{}
			for k, v := range f {
				g[strings.ToLower(k)] = append(g[strings.ToLower(k)], v...)
			}
			r.Body = io.NopCloser(strings.NewReader(g.Encode()))
		}
		return false
	})},
	{"grant trimmed fold", "request.grant-type-case", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		f, err := url.ParseQuery(withBodyCopy(r))
		if err == nil && f.Has("grant_type") {
			f["grant_type"] = []string{strings.ToLower(f.Get("grant_type"))}
			r.Body = io.NopCloser(strings.NewReader(f.Encode()))
		}
		return false
	})},
	{"accept html", "response.accept-independent", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.Header.Get("Accept"), "json") && r.Header.Get("Accept") != "" {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(400)
			fmt.Fprint(w, "<html>")
			return true
		}
		return false
	})},
	{"unknown param refused", "request.unrecognized-ignored", "fail", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		f, _ := url.ParseQuery(withBodyCopy(r))
		for k := range f {
			if strings.Contains(k, "grantcheck") {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(400)
				fmt.Fprint(w, `{"error":"invalid_request"}`)
				return true
			}
		}
		return false
	})},
	{"redirects", "transport.no-redirect", "fail", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "https://127.0.0.1/as/token", http.StatusPermanentRedirect)
		return true
	})},
	{"retry -1", "throttle.retry-after-syntax", "fail", "", limited("-1")},
	{"retry 1.5", "throttle.retry-after-syntax", "fail", "", limited("1.5")},
	{"retry missing", "throttle.retry-after-present", "note", "", limited()},
	{"retry empty", "throttle.retry-after-syntax", "fail", "", limited("")},
	{"ratelimit bad", "throttle.ratelimit-syntax", "warn", "", header("RateLimit", `"default";r=abc;t=1`)},
	{"ratelimit-policy bad", "throttle.ratelimit-policy-syntax", "warn", "", header("RateLimit-Policy", `"default";q=100;w=0`)},
	{"cookie token", "headers.no-token-cookie", "warn", "", func(p *peer) {
		p.write = func(w http.ResponseWriter, s int, m map[string]any) {
			if t, ok := m["access_token"].(string); ok {
				http.SetCookie(w, &http.Cookie{Name: "session", Value: t, HttpOnly: true})
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(s)
			_ = json.NewEncoder(w).Encode(m)
		}
	}},
	{"echo secret", "hygiene.secret-not-echoed", "warn", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if m["error"] == "invalid_client" {
			m["error_description"] = "Bad credentials: " + r.Header.Get("Authorization") + form.Get("client_secret")
		}
	})},
	{"stack", "hygiene.no-stack-trace", "warn", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if m["error"] == "invalid_grant" {
			m["trace"] = "java.lang.IllegalStateException: x\n\tat com.example.Foo.bar(Foo.java:17)\n\tat com.example.Main.main(Main.java:3)"
		}
	})},
	{"user enumeration", "hygiene.user-enumeration", "warn", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		if m["error"] == "invalid_grant" && form.Get("username") != "anna" && form.Has("username") {
			m["error_description"] = "unknown user"
		}
	})},
	{"client enumeration", "hygiene.client-enumeration", "note", "", onErr(func(r *http.Request, form url.Values, status *int, m map[string]any, h http.Header) {
		id, _, _ := r.BasicAuth()
		if m["error"] == "invalid_client" && len(id) > 0 && id != "Web-App" && id != "victim" {
			m["error_description"] = "client not found"
		}
	})},
	{"cors reflect", "hygiene.cors-credentials", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		if o := r.Header.Get("Origin"); o != "" {
			w.Header().Set("Access-Control-Allow-Origin", o)
			w.Header().Set("Access-Control-Allow-Credentials", "true")
		}
		return false
	})},
	{"cors missing on errors", "hygiene.cors-usable", "warn", "", front(func(p *peer, w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Origin") != "" && !strings.Contains(withBodyCopy(r), "urn") {
			w.Header().Set("Access-Control-Allow-Origin", "https://app.example")
		}
		if r.Method == "OPTIONS" {
			w.WriteHeader(204)
			return true
		}
		return false
	})},
	{"bcp refresh old lives", "refresh.rotated-token-dead", "fail", "bcp", func(p *peer) {
		p.rotate = func(old string, t *peerToken) string {
			n := *t
			k := "r." + word()
			p.refresh[k] = &n
			return k
		}
	}},
	{"bcp replay keeps family", "refresh.replay-revokes-active", "warn", "bcp", func(p *peer) {
		p.rotate = func(old string, t *peerToken) string {
			n := *t
			k := "r." + word()
			n.family = k
			p.refresh[k] = &n
			t.dead = true
			return k
		}
	}},
	{"bcp no rotation", "refresh.public-rotation", "fail", "bcp", func(p *peer) { p.rotate = func(old string, t *peerToken) string { return "" } }},
	{"bcp downgrade", "pkce.downgrade-refused", "fail", "bcp", func(p *peer) {
		std := p.proves
		p.proves = func(ch, v string) bool { return ch == "" || std(ch, v) }
	}},
	{"counter tokens", "response.token-strength", "warn", "", func(p *peer) {
		n := 0
		p.token = func(*peerClient, *peerToken) string { n++; return fmt.Sprintf("a94f3c%026x", 0x5000+n) }
	}},
	{"token with newline", "response.access-token", "fail", "", func(p *peer) { p.token = func(*peerClient, *peerToken) string { return word() + "\n" } }},
	{"unicode token", "response.access-token", "fail", "", func(p *peer) { p.token = func(*peerClient, *peerToken) string { return word() + "é" } }},
	{"refresh race 500", "refresh.concurrent", "note", "", overlaps("grant_type=refresh_token", "optimistic lock")},
	{"cached token, full life", "response.expires-in-remaining", "warn", "", cached},
	{"error without store", "headers.error-not-cacheable", "note", "", raw(func(s int, b []byte, h http.Header) (int, []byte) {
		if s >= 400 {
			h.Set("Cache-Control", "max-age=60")
		}
		return s, b
	})},
	{"refresh for client_credentials", "cc.no-refresh-token", "warn", "", func(p *peer) {
		p.onToken = func(f url.Values, m map[string]any) {
			if f.Get("grant_type") == "client_credentials" {
				m["refresh_token"] = word()
			}
		}
	}},
	{"identical requests 500", "robust.concurrent-identical", "warn", "", overlaps("grant_type=client_credentials", "duplicate key value violates unique constraint")},
	{"metadata basic only", "metadata.auth-methods-truthful", "warn", "", func(p *peer) {
		p.onMetadata = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"tls_client_auth"} }
	}},
	{"metadata wrong token endpoint", "metadata.token-endpoint", "fail", "", func(p *peer) {
		p.onMetadata = func(m map[string]any) { m["token_endpoint"] = p.URL + "/oauth/token" }
	}},
}
