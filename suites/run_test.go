package suites_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/emulator"
	"grantcheck/suites/exchange"
)

// gate stands between the harness and an emulator: a server with moods.
type gate struct {
	*httptest.Server
	em    *emulator.Emulator
	clock *suites.SkippingClock
	proxy *httputil.ReverseProxy
}

// seeAnswers shows every body that passes the gate.
func (g *gate) seeAnswers(see func([]byte)) {
	g.proxy.ModifyResponse = func(r *http.Response) error {
		b, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(b))
		see(b)
		return err
	}
}

// newGate starts one. let answers a request itself and returns true, or leaves it to the emulator.
func newGate(t *testing.T, name string, let func(w http.ResponseWriter, r *http.Request, n int64) bool) *gate {
	t.Helper()
	g := &gate{em: startEmulator(name), clock: &suites.SkippingClock{}}
	t.Cleanup(g.em.Close)
	behind, err := url.Parse(g.em.Base())
	if err != nil {
		t.Fatal(err)
	}
	g.proxy = httputil.NewSingleHostReverseProxy(behind)
	var n atomic.Int64
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !let(w, r, n.Add(1)) {
			g.proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(g.Server.Close)
	return g
}

func (g *gate) run(t *testing.T, change func(*suites.Config)) *report.Run {
	t.Helper()
	u, err := url.Parse(g.em.URL())
	if err != nil {
		t.Fatal(err)
	}
	cfg := suites.Config{
		Contract: g.em.Contract(), Exchange: exchange.Options{URL: g.URL + u.Path, Timeout: 5 * time.Second},
		Emulated: true, Plain: true, Parallel: 1, Clock: g.clock,
	}
	if change != nil {
		change(&cfg)
	}
	run, err := suites.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func groups(names ...string) func(*suites.Config) {
	return func(cfg *suites.Config) { cfg.Selection.Groups = names }
}

// A server that locks a client out after its first wrong secret refuses everything from then on: no
// refusal after that may count as a pass.
func TestLockedOutClientPassesNothing(t *testing.T) {
	var locked atomic.Bool
	g := newGate(t, "appsecplus", func(w http.ResponseWriter, r *http.Request, _ int64) bool {
		if locked.Load() {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
			return true
		}
		if r.Method == http.MethodPost && r.ParseForm() == nil {
			c := r.PostForm.Get("client_secret")
			body := r.PostForm.Encode()
			r.Body, r.ContentLength = http.NoBody, 0
			r.Body = readCloser(body)
			r.ContentLength = int64(len(body))
			locked.Store(c != "" && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") && wrongSecret(r, c))
		}
		return false
	})
	secret := g.em.Contract().Client.Secret
	isWrong.Store(&secret)
	run := g.run(t, groups("client-auth"))
	for _, rule := range []string{"client-auth.unknown-client-refused", "client-auth.missing-refused", "client-auth.anonymous-refused", "client-auth.wrong-secret-refused"} {
		if c := verdictOf(run, rule); c.Verdict == report.Pass || c.Verdict == report.Fail {
			t.Errorf("%s: %s: a locked-out client decides nothing (%s)", rule, c.Verdict, c.Reason)
		}
	}
	if run.ExitCode == 0 {
		t.Error("a run of which the controls failed is green")
	}
}

var isWrong atomic.Pointer[string]

func wrongSecret(_ *http.Request, secret string) bool {
	want := isWrong.Load()
	return want != nil && secret != *want
}

func readCloser(s string) *body { return &body{Reader: strings.NewReader(s)} }

type body struct{ *strings.Reader }

func (*body) Close() error { return nil }

// A limit that passes is waited for as Retry-After says, and changes no verdict.
func TestThrottledRunWaits(t *testing.T) {
	g := newGate(t, "appsecplus", func(w http.ResponseWriter, _ *http.Request, n int64) bool {
		if n%5 != 0 {
			return false
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	before := g.clock.Now()
	run := g.run(t, groups("request", "client-auth"))
	for _, c := range run.Checks {
		if c.Verdict == report.Fail || c.Verdict == report.Inconclusive || c.Verdict == report.Blocked {
			t.Errorf("%s: %s: %s%s", c.Rule, c.Verdict, c.Reason, c.Message)
		}
	}
	if waited := g.clock.Now().Sub(before); waited < 30*time.Second {
		t.Errorf("waited %s in all, although Retry-After said 7 s again and again", waited)
	}
}

// A limit that never passes decides nothing: not a pass, not a fail, and not green.
func TestThrottledForGoodIsInconclusive(t *testing.T) {
	for _, status := range []int{429, 503} {
		g := newGate(t, "appsecplus", func(w http.ResponseWriter, _ *http.Request, n int64) bool {
			if n <= 3 {
				return false
			}
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(status)
			return true
		})
		run := g.run(t, groups("request", "client-auth"))
		if run.Summary.Fail > 0 || run.ExitCode != report.ExitUnjudged {
			t.Errorf("%d: exit %d, %+v: %s", status, run.ExitCode, run.Summary, run.ExitReason)
		}
		if c := verdictOf(run, "client-auth.wrong-secret-refused"); c.Verdict != report.Inconclusive {
			t.Errorf("%d: wrong-secret-refused: %s", status, c.Verdict)
		}
	}
}

// An endpoint that goes down during the run is asked no further.
func TestDownEndpointIsLeftAlone(t *testing.T) {
	var after atomic.Int64
	g := newGate(t, "appsecplus", func(w http.ResponseWriter, _ *http.Request, n int64) bool {
		if n <= 10 {
			return false
		}
		after.Add(1)
		panic(http.ErrAbortHandler)
	})
	run := g.run(t, nil)
	if n := after.Load(); n > 10 {
		t.Errorf("%d requests after it went down", n)
	}
	if run.Summary.Fail > 0 || run.Summary.Inconclusive == 0 {
		t.Errorf("%+v", run.Summary)
	}
	if run.ExitCode != report.ExitUnjudged {
		t.Errorf("exit %d: %s", run.ExitCode, run.ExitReason)
	}
}

// The budget is kept: no request beyond it, and what it left unjudged is said.
func TestBudgetHolds(t *testing.T) {
	var count atomic.Int64
	g := newGate(t, "appsecplus", func(http.ResponseWriter, *http.Request, int64) bool { count.Add(1); return false })
	run := g.run(t, func(cfg *suites.Config) { cfg.MaxRequests = 25 })
	if n := count.Load(); n > 25 {
		t.Errorf("%d requests, allowed were 25", n)
	}
	if !slices.ContainsFunc(run.Checks, func(c report.Check) bool { return c.ReasonKind == report.Budget }) {
		t.Error("nothing says that the budget ran out")
	}
	if run.ExitCode == 0 {
		t.Error("a run without the means to judge is green")
	}
}

// Wrong secrets of one client never follow each other without a right one in between, so that a
// server that counts them does not lock the client out.
func TestWrongSecretsAreSpaced(t *testing.T) {
	var mu sync.Mutex
	streak, longest := 0, 0
	var id, secret string
	g := newGate(t, "appsecplus", func(_ http.ResponseWriter, r *http.Request, _ int64) bool {
		if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.ContentLength > 1<<16 || r.ParseForm() != nil {
			return false
		}
		raw := r.PostForm
		r.Body = readCloser(raw.Encode())
		r.ContentLength = int64(len(raw.Encode()))
		mu.Lock()
		defer mu.Unlock()
		switch got := raw.Get("client_secret"); {
		case got == "" || r.Header.Get("Authorization") != "" || raw.Get("client_id") != id:
		case got != secret:
			streak++
			longest = max(longest, streak)
		default:
			streak = 0
		}
		return false
	})
	id, secret = g.em.Contract().Client.ID, g.em.Contract().Client.Secret
	c := *g.em.Contract()
	c.Clients = nil // no sacrificial client: the primary one has to bear it
	g.run(t, func(cfg *suites.Config) {
		cfg.Contract = &c
		cfg.Selection.Groups = []string{"client-auth", "robustness"}
	})
	if longest > 2 {
		t.Errorf("%d wrong secrets in a row", longest)
	}
}

// Concurrency changes no verdict.
func TestParallelChangesNoVerdict(t *testing.T) {
	one := map[string]report.Verdict{}
	for _, parallel := range []int{1, 8} {
		g := newGate(t, "semansys", func(http.ResponseWriter, *http.Request, int64) bool { return false })
		run := g.run(t, func(cfg *suites.Config) {
			cfg.Parallel = parallel
			cfg.Allow = []string{string(suites.BadUserCredentials)}
			cfg.Clock = suites.SystemClock{}
		})
		for _, c := range run.Checks {
			if parallel == 1 {
				one[c.Rule] = c.Verdict
			} else if one[c.Rule] != c.Verdict {
				t.Errorf("%s: %s alone, %s beside others: %s", c.Rule, one[c.Rule], c.Verdict, c.Reason)
			}
		}
	}
}

// A run that is cut short reports what was done.
func TestInterruptedRunReports(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := newGate(t, "appsecplus", func(_ http.ResponseWriter, _ *http.Request, n int64) bool {
		if n == 20 {
			cancel()
		}
		return false
	})
	u, _ := url.Parse(g.em.URL())
	run, err := suites.Run(ctx, suites.Config{
		Contract: g.em.Contract(), Exchange: exchange.Options{URL: g.URL + u.Path}, Emulated: true, Plain: true, Parallel: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if run.ExitCode != report.ExitInterrupted || run.Complete || run.Summary.Pass == 0 || len(run.Exchanges) < 15 {
		t.Errorf("exit %d, complete %v, %+v, %d exchanges", run.ExitCode, run.Complete, run.Summary, len(run.Exchanges))
	}
	if run.Summary.Fail > 0 {
		t.Errorf("an interruption is held against the endpoint: %+v", run.Summary)
	}
}

// Preflight tells a wrong configuration from a wrong server, before any verdict.
func TestPreflight(t *testing.T) {
	refuse := func(status int, body string) func(http.ResponseWriter, *http.Request, int64) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ int64) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	for name, c := range map[string]struct {
		let  func(http.ResponseWriter, *http.Request, int64) bool
		kind report.ReasonKind
	}{
		"credentials": {refuse(401, `{"error":"invalid_client"}`), report.Credentials},
		"scope":       {refuse(400, `{"error":"invalid_scope"}`), report.Configuration},
		"grant":       {refuse(400, `{"error":"unauthorized_client"}`), report.Configuration},
		"throttled":   {refuse(429, `{}`), report.Throttled},
	} {
		t.Run(name, func(t *testing.T) {
			run := newGate(t, "appsecplus", c.let).run(t, nil)
			if run.ExitCode != report.ExitUnjudged || len(run.Preflight) == 0 || run.Preflight[0].Kind != c.kind {
				t.Errorf("exit %d, %+v", run.ExitCode, run.Preflight)
			}
			if run.Summary.Fail+run.Summary.Pass > 0 {
				t.Errorf("verdicts were given: %+v", run.Summary)
			}
			if len(run.Preflight) > 0 && run.Preflight[0].Remedy == "" {
				t.Error("no remedy is named")
			}
		})
	}
}

// What no server should send neither hangs nor fools a run: nothing hostile is a pass of the rule it breaks.
func TestHostileServers(t *testing.T) {
	token := `{"access_token":"a.b.c","token_type":"Bearer","expires_in":3600}`
	for name, write := range map[string]func(w http.ResponseWriter){
		"html with status 200": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html><body>Sign in</body></html>")
		},
		"deeply nested": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, strings.Repeat(`{"a":`, 200000), "1", strings.Repeat("}", 200000))
		},
		"invalid UTF-8 and NUL": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, strings.Replace(token, "a.b.c", "a\xff\x00\xfec", 1))
		},
		"endless headers": func(w http.ResponseWriter) {
			for i := range 20000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 100))
			}
			fmt.Fprint(w, token)
		},
		"10 MB of spaces": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			for range 160 {
				if _, err := fmt.Fprint(w, strings.Repeat(" ", 1<<16)); err != nil {
					return
				}
			}
			fmt.Fprint(w, token)
		},
		"closed half-way": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "500")
			fmt.Fprint(w, token)
		},
		"redirect to another host": func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://127.0.0.1:1/steal")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := newGate(t, "appsecplus", func(w http.ResponseWriter, _ *http.Request, _ int64) bool { write(w); return true }).run(t, nil)
			if run.ExitCode == 0 {
				t.Errorf("exit 0: %+v", run.Summary)
			}
			if run.Summary.Error > 0 {
				for _, c := range run.Checks {
					if c.Verdict == report.Error {
						t.Errorf("%s: %s", c.Rule, c.Reason)
					}
				}
			}
		})
	}
}

// A check that breaks is our error, told as such; the others go on.
func TestConfigurationMistakes(t *testing.T) {
	em := startEmulator("appsecplus")
	defer em.Close()
	for want, change := range map[string]func(*suites.Config){
		"Contract is nil":     func(c *suites.Config) { c.Contract = nil },
		"edition":             func(c *suites.Config) { c.Edition = "oauth3" },
		"did you mean":        func(c *suites.Config) { c.Allow = []string{"bursts"} },
		"matches nothing":     func(c *suites.Config) { c.Selection.Rules = []string{"request.unknown-grant"} },
		"malformed pattern":   func(c *suites.Config) { c.Selection.Rules = []string{"request.["} },
		"--group \"headder\"": func(c *suites.Config) { c.Selection.Groups = []string{"headder"} },
	} {
		cfg := suites.Config{Contract: em.Contract(), Exchange: exchange.Options{URL: em.URL()}, Plain: true}
		change(&cfg)
		before := em.Requests()
		_, err := suites.Run(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
		if em.Requests() != before {
			t.Errorf("%q: something was sent", want)
		}
	}
}
