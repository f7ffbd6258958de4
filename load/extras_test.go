package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"grantcheck/report"
	"grantcheck/suites/contract"
)

func TestDialectOfAContract(t *testing.T) {
	c := &contract.Contract{
		ErrorFields: []contract.Field{{Name: "err.number", Path: []string{"err", "number"}, As: "error"}},
		Errors:      []contract.ErrorRow{{When: []string{"rate_limited"}, Status: []string{"200"}, Code: []any{10008}}},
		RateLimits:  []contract.RateLimit{{Status: 420, RetryHint: &contract.Hint{Name: "X-Wait", Unit: "milliseconds"}}},
	}
	g := &contract.Grant{Key: "password", Response: contract.Response{Fields: []contract.Field{{Name: "data.access_token", Path: []string{"data", "access_token"}}}}}
	d := DialectOf(c, g)
	for body, want := range map[string]Outcome{
		`{"data":{"access_token":"x"}}`: Token,
		`{"err":{"number":10008}}`:      Throttled,
		`{"err":{"number":10007}}`:      Refused,
	} {
		if j := d.Judge(200, http.Header{}, []byte(body)); j.Outcome != want {
			t.Errorf("%s: %v", body, j.Outcome)
		}
	}
	if j := d.Judge(420, http.Header{}, nil); j.Outcome != Throttled {
		t.Error("the documented status is not seen")
	}
	if w := d.hint(http.Header{"X-Wait": {"1500"}}, time.Time{}); w != 1.5 {
		t.Errorf("hint %g", w)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]float64{"7": 7, "1.5": malformedHint, "-1": malformedHint, now.Add(9 * time.Second).Format(http.TimeFormat): 9} {
		if w := (&Dialect{}).hint(http.Header{"Retry-After": {v}}, now); w != want {
			t.Errorf("Retry-After %s: %g", v, w)
		}
	}
}

func TestRefreshTokensAreChained(t *testing.T) {
	seeds := 0
	c := NewChain(2, "", func(context.Context) (string, error) { seeds++; return fmt.Sprint("seed ", seeds), nil })
	next := func() (string, func([]byte)) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // never wait
		token, back, _ := c.next(ctx)
		return token, back
	}
	a, backA := next()
	b, backB := next()
	if none, _ := next(); none != "" {
		t.Errorf("a third: %s", none)
	}
	backA([]byte(`{"access_token":"x","refresh_token":"new"}`))
	backB([]byte(`{"access_token":"x"}`)) // no rotation: the old one stays
	d, backD := next()
	e, backE := next()
	backD(nil) // no answer
	backE([]byte(`{"error":"invalid_grant"}`))
	f, _ := next()
	g, _ := next()
	if got := []string{a, b, d, e, f, g}; !slices.Equal(got, []string{"seed 1", "seed 2", "new", "seed 2", "new", "seed 3"}) {
		t.Error(got)
	}
}

func TestTokensAreRememberedInBoundedMemory(t *testing.T) {
	var k tokens
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 300_000 {
		k.see(r.Uint64(), i%3, time.Duration(i), 60)
	}
	if len(k.table) != tokenTable {
		t.Errorf("%d places", len(k.table))
	}
	if _, known := k.see(42, 1, time.Hour, 60); known {
		t.Error("an unseen token is known")
	}
	if b, known := k.see(42, 2, time.Hour, 50); !known || b.who != 1 || b.expires != 60 {
		t.Errorf("%+v %v", b, known)
	}
}

func TestSoakSeesDriftAndOutages(t *testing.T) {
	series := func(p99 func(i int) float64) *report.Load {
		l := &report.Load{WindowS: 10}
		r := rand.New(rand.NewPCG(3, 4))
		for i := range 200 {
			l.Series = append(l.Series, report.SeriesPoint{TS: float64(i * 10), Token: 200, P99MS: p99(i) * (0.9 + 0.2*r.Float64())})
		}
		return l
	}
	if got := trend(series(func(int) float64 { return 20 })); got.Verdict != report.Pass {
		t.Errorf("steady: %+v", got)
	}
	if got := trend(series(func(i int) float64 { return 20 + float64(i)/8 })); got.Verdict != report.Warn || got.Lines[0].PerHour < 30 || got.Lines[0].PerHour > 60 {
		t.Errorf("drifting: %+v", got)
	}
	if got := trend(series(func(i int) float64 {
		if i == 100 {
			return 2000 // one bad window is no drift
		}
		return 20
	})); got.Verdict != report.Pass {
		t.Errorf("a spike: %+v", got)
	}
	var o outages
	for i := range 100 {
		s := sample{done: time.Duration(i) * time.Second}
		if i >= 30 && i < 60 {
			s.judged.Outcome = ServerError
		}
		s.judged.Key = uint64(1 + i/90)
		o.add(&s)
	}
	if len(o.events) != 3 || o.events[0].AtS != 30 || !strings.Contains(o.events[1].What, "after 30s") || !strings.Contains(o.events[2].What, "signing key") {
		t.Errorf("%+v", o.events)
	}
}

func TestMetricsAndViewsShowTheRun(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(serveTokens))
	defer s.Close()
	o := options(t, s.URL, "constant", 100, 600*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Metrics = NewMetrics()
	addr, err := o.Metrics.Serve(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var drawn bytes.Buffer
	o.Live = NewLive(&drawn, true, 60)
	if _, err := Run(ctx, o); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + addr.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, _ := io.ReadAll(resp.Body)
	for _, want := range []string{`grantcheck_load_answers_total{outcome="token"} 60`, `grantcheck_load_answers_total{outcome="throttled"} 0`, `grantcheck_load_latency_seconds_count{kind="response",outcome="token"} 60`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %s", want)
		}
	}
	if !strings.Contains(drawn.String(), "constant") || !strings.Contains(drawn.String(), "\x1b[") {
		t.Errorf("%q", drawn.String())
	}
	var plain bytes.Buffer
	l := NewLive(&plain, false, 0)
	for i := range 100 {
		l.Show(View{Profile: "soak", Elapsed: time.Duration(i) * 250 * time.Millisecond, Span: time.Minute})
	}
	if n := strings.Count(plain.String(), "\n"); n != 2 || strings.Contains(plain.String(), "\x1b") {
		t.Errorf("%d lines: %q", n, plain.String())
	}
}

// limited answers by a limiter of the simulation, on the clock of the wall.
func limited(l limiter) http.HandlerFunc {
	var mu sync.Mutex
	began := time.Now()
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		ok, wait, _ := l.decide(simEpoch + time.Since(began).Seconds())
		mu.Unlock()
		if !ok {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", fmt.Sprint(int(wait)+1))
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"error":"rate_limited"}`)
			return
		}
		serveTokens(w, r)
	}
}

func TestCapacityStopsAtTheLimit(t *testing.T) {
	s := httptest.NewServer(limited(&simBucket{rate: 100, size: 5, level: 5, last: simEpoch}))
	defer s.Close()
	o := options(t, s.URL, "capacity", 40, 300*time.Millisecond)
	o.Profile.Thresholds = []string{"throttled_rate == 0"}
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := res.Load.Capacity
	for _, step := range c.Steps {
		// Two hundred a second cannot hold; forty can, unless this machine keeps it from being sent.
		if step.RatePerS >= 200 && step.Held {
			t.Errorf("%+v holds", step)
		}
	}
	if c.RatePerS >= 200 || c.BrokeAt == 0 || c.RatePerS > 0 && !c.Confirmed {
		t.Errorf("%+v", c)
	}
}

func TestAgainstComparesSlices(t *testing.T) {
	quick := httptest.NewServer(http.HandlerFunc(serveTokens))
	defer quick.Close()
	slow := httptest.NewServer(http.HandlerFunc(serveTokens))
	defer slow.Close()
	o := options(t, quick.URL, "constant", 40, 1200*time.Millisecond)
	o.Against, o.AgainstURL = fixedSource{form(t, slow.URL)}, slow.URL
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Load.Against.Ratios) != 4 || res.Load.Outcomes.Token == 0 {
		t.Errorf("%+v", res.Load.Against)
	}
}

func TestARatioKnowsItsNoise(t *testing.T) {
	for _, c := range []struct {
		logs  []float64
		worse float64
		want  string
	}{
		{[]float64{.30, .31, .29, .30}, 1, "worse"},
		{[]float64{.30, .31, .29, .30}, -1, "better"},
		{[]float64{.01, -.01, .02, -.02}, 1, "same"},
		{[]float64{.9, -.8, .7, -.9}, 1, "undecided"},
		{[]float64{.3, .3}, 1, "undecided"},
	} {
		if got := ratioOf(c.logs, c.worse); got.Verdict != c.want || math.IsInf(got.High, 0) {
			t.Errorf("%v: %+v", c.logs, got)
		}
	}
}

func TestTheProbeWorksOverANetwork(t *testing.T) {
	s := httptest.NewServer(limited(&simBucket{rate: 61, size: 13, level: 13, last: simEpoch}))
	defer s.Close()
	o := options(t, s.URL, "throttle", -1, 20*time.Second)
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--allow burst") {
		t.Errorf("without consent: %v", err)
	}
	o.AllowBurst = true
	o.Budget = Budget{Requests: 900, Time: 20 * time.Second}
	var saved bytes.Buffer
	o.SaveLog = &saved
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	got := res.Load.Throttle
	if !got.Limited || got.RatePerS == 0 || got.RequestsUsed > 900 || !got.RetryAfter.Present || len(got.Conformity) == 0 || len(res.Checks) == 0 {
		t.Errorf("%+v", got)
	}
	again, err := ReadLog(&saved)
	if err != nil {
		t.Fatal(err)
	}
	o.Log, o.Source, o.AllowBurst = again, nil, false
	refit, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r := refit.Load.Throttle; r.RatePerS != got.RatePerS || r.Window != got.Window || r.Burst != got.Burst {
		t.Errorf("fitted anew: %+v", r)
	}
}
