package suites_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"grantcheck/report"
	"grantcheck/suites"
)

// canaries collects every secret that crossed the wire, and those of the fixtures.
type canaries struct {
	mu     sync.Mutex
	values map[string]string // value to what it is
}

func (c *canaries) add(what, value string) {
	if len(value) < 8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[value] = what
}

// fromForm learns what a request carries; the harness's own inventions and tampered values are no secrets.
func (c *canaries) fromForm(body string) {
	v, err := url.ParseQuery(body)
	if err != nil {
		return
	}
	for _, name := range []string{"client_assertion", "refresh_token", "code", "assertion", "token"} {
		for _, value := range v[name] {
			if name == "client_assertion" || name == "assertion" {
				if strings.Count(value, ".") == 2 && len(value) > 200 {
					c.add(name, value[strings.LastIndex(value, ".")+1:]) // the signature makes it a secret
				}
			}
		}
	}
}

func (c *canaries) fromAnswer(body []byte) {
	var m map[string]any
	if json.Unmarshal(body, &m) != nil {
		return
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		if s, ok := m[name].(string); ok {
			c.add(name, s)
		}
	}
}

// encodings are the forms in which a secret may hide in a report.
func encodings(s string) map[string]string {
	b64 := func(pad int) string {
		e := base64.StdEncoding.EncodeToString(append(make([]byte, pad), s...))
		from := (pad*8 + 5) / 6
		return strings.TrimRight(e[from:], "=")[:len(s)*8/6-1]
	}
	return map[string]string{
		"plain": s, "percent-encoded": url.QueryEscape(s), "path-escaped": url.PathEscape(s), "html": html.EscapeString(s),
		"hex": hex.EncodeToString([]byte(s)), "base64": b64(0), "base64 off by one": b64(1), "base64 off by two": b64(2),
	}
}

// TestNoSecretInAnyReport runs everything against a server and looks for every secret that crossed
// the wire in every format, in every encoding, terse and verbose.
func TestNoSecretInAnyReport(t *testing.T) {
	seen := &canaries{values: map[string]string{}}
	g := newGate(t, "standard", func(_ http.ResponseWriter, r *http.Request, _ int64) bool {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		seen.fromForm(string(body))
		return false
	})
	g.seeAnswers(seen.fromAnswer)
	c := g.em.Contract()
	for _, f := range append(c.Clients, c.Client) {
		seen.add("secret of client "+f.Name, f.Secret)
	}
	for _, u := range append(c.Users, *c.User) {
		seen.add("password of user "+u.Name, u.Password)
	}
	run := g.run(t, func(cfg *suites.Config) { cfg.Allow = []string{"all"} })
	if len(seen.values) < 50 {
		t.Fatalf("only %d secrets crossed the wire", len(seen.values))
	}
	var hiding []string
	for value := range seen.values {
		for _, encoded := range encodings(value) {
			hiding = append(hiding, encoded, "")
		}
	}
	all := strings.NewReplacer(hiding...) // looks for everything at once
	for _, f := range report.Formats {
		for _, verbose := range []bool{false, true} {
			var out bytes.Buffer
			if err := f.Write(&out, *run, report.Style{Width: 100, Verbose: verbose}); err != nil && f.Name != "statement" {
				t.Fatalf("%s: %v", f.Name, err)
			}
			text := out.String()
			if all.Replace(text) == text {
				continue
			}
			found := 0
			for value, what := range seen.values {
				for how, encoded := range encodings(value) {
					if strings.Contains(text, encoded) && found < 5 {
						found++
						i := strings.Index(text, encoded)
						t.Errorf("%s, verbose %v: %s, %s: …%q…", f.Name, verbose, what, how, text[max(0, i-120):i])
					}
				}
			}
		}
	}
}
