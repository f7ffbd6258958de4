package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"grantcheck/report"
)

// granting answers like a good endpoint, and checks what it is sent.
func granting(t *testing.T) (http.HandlerFunc, *atomic.Int64) {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Vegeta") {
				t.Errorf("header %s was sent", name)
			}
		}
		if body, _ := io.ReadAll(r.Body); string(body) != "grant_type=client_credentials" {
			t.Errorf("body %q", body)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":60}`, n.Add(1))
	}, &n
}

// form is a request to a server.
func form(t testing.TB, address string) *Request {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &Request{
		Method: "POST", URL: u, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": nil},
		Body: []byte("grant_type=client_credentials"),
	}
}

func options(t testing.TB, address, profile string, rate float64, span time.Duration) Options {
	p, err := LoadProfile(profile, rate, span)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Profile: p, URL: address, Source: fixedSource{form(t, address)}}
}

func TestRunCountsEveryAnswer(t *testing.T) {
	h, n := granting(t)
	s := httptest.NewServer(h)
	defer s.Close()
	o := options(t, s.URL, "constant", 400, 500*time.Millisecond)
	o.Thresholds = []string{"error_rate == 0", "sent == 200", "rate > 1/s", "p50 < 1ns"}
	var saved bytes.Buffer
	o.Save = &saved
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	l := res.Load
	if l.Planned != 200 || l.Sent != 200 || l.Answered != 200 || l.Outcomes.Token != 200 || n.Load() != 201 {
		t.Errorf("planned %d sent %d answered %d token %d served %d", l.Planned, l.Sent, l.Answered, l.Outcomes.Token, n.Load())
	}
	for i, want := range []report.Verdict{report.Pass, report.Pass, report.Pass, report.Fail} {
		if got := l.Thresholds[i]; got.Verdict != want {
			t.Errorf("%s: %+v", got.Expression, got)
		}
	}
	if l.Connections.Opened == 0 || l.Connections.Opened > 200 {
		t.Errorf("connections %+v", l.Connections)
	}
	dec := vegeta.NewDecoder(&saved)
	got := 0
	for {
		var r vegeta.Result
		if err := dec.Decode(&r); err != nil {
			break
		}
		got++
		if r.Code != 200 || len(r.Body) > 0 || len(r.Headers) > 0 || r.Latency <= 0 {
			t.Fatalf("saved %+v", r)
		}
	}
	if got != 200 {
		t.Errorf("%d results saved", got)
	}
}

func TestRunFindsWhatOnlyLoadShows(t *testing.T) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		switch k := n.Add(1); {
		case k%10 == 0:
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":"invalid_client"}`)
		default:
			io.WriteString(w, `{"access_token":"the same","token_type":"Bearer","expires_in":60}`)
		}
	}))
	defer s.Close()
	o := options(t, s.URL, "constant", 400, 250*time.Millisecond)
	var k atomic.Int64
	o.Source = SourceFunc(func(context.Context) (*Request, error) {
		r := form(t, s.URL)
		i := k.Add(1)
		r.Who, r.Bad = int(i%2), i%10 == 5
		return r, nil
	})
	o.Who = []Identity{{Alias: "one", Weight: 1}, {Alias: "two", Weight: 1}}
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"good-credential-refused": true, "bad-credential-granted": true, "token-shared": true}
	for _, f := range res.Load.Findings {
		if want[f.Name] && f.Verdict == report.Fail && f.Count > 0 && f.RatePerS == 400 {
			delete(want, f.Name)
		}
	}
	if len(want) > 0 {
		t.Errorf("not found: %v in %+v", want, res.Load.Findings)
	}
	if len(res.Checks) != 1 || res.Checks[0].Rule != "throttle.fails-closed" || res.Checks[0].Verdict != report.Fail {
		t.Errorf("checks %+v", res.Checks)
	}
}

func TestRunTellsTimeoutsFromRefusedConnections(t *testing.T) {
	var n atomic.Int64
	held := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 {
			<-held
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"a","token_type":"b"}`)
	}))
	defer s.Close()
	defer close(held)
	o := options(t, s.URL, "constant", 100, 200*time.Millisecond)
	o.Timeout = 400 * time.Millisecond
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Load.Outcomes; got.Timeout < 10 || got.Timeout+got.Token != 20 {
		t.Errorf("outcomes %+v", got)
	}
	_, err = Run(t.Context(), options(t, "http://127.0.0.1:1/token", "smoke", -1, 0))
	if !errors.Is(err, ErrUnusable) {
		t.Errorf("unreachable: %v", err)
	}
}

func TestRunStopsAtOnce(t *testing.T) {
	release := make(chan struct{})
	var n atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) > 1 {
			cancel()
			<-release // the answer never comes
			return
		}
		io.WriteString(w, `{"access_token":"a","token_type":"b"}`)
	}))
	defer s.Close()
	defer close(release)
	res, err := Run(ctx, options(t, s.URL, "constant", 20, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if l := res.Load; l.Stopped != "interrupted" || l.Answered != 0 || l.Sent == 0 || l.Outcomes.Connection != 0 {
		t.Errorf("stopped %q sent %d answered %d", l.Stopped, l.Sent, l.Answered)
	}
}

func TestAnAbortingThresholdEndsTheRun(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"access_token":"a","token_type":"b"}`)
	}))
	defer s.Close()
	o := options(t, s.URL, "constant", 200, time.Hour)
	o.Thresholds = []string{"p50 < 1ns min 20 abort"}
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if l := res.Load; l.Aborted != o.Thresholds[0] || !l.Thresholds[0].Aborted {
		t.Errorf("aborted %q, %+v", l.Aborted, l.Thresholds)
	}
}

func TestResumeGoesOnFromACheckpoint(t *testing.T) {
	h, _ := granting(t)
	s := httptest.NewServer(h)
	defer s.Close()
	file := filepath.Join(t.TempDir(), "c.json")
	o := options(t, s.URL, "soak", 200, 1500*time.Millisecond)
	o.Checkpoint, o.Every = file, 250*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var kept []byte // the checkpoint as it was when the run was killed
	o.Live = showFunc(func(v View) {
		if v.Sent > 60 && kept == nil {
			if b, err := os.ReadFile(file); err == nil {
				kept = b
				cancel()
			}
		}
	})
	if _, err := Run(ctx, o); err != nil {
		t.Fatal(err)
	}
	if kept == nil {
		t.Fatal("no checkpoint was written")
	}
	var st state
	if err := json.Unmarshal(kept, &st); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Live, o.Resume = nil, file
	res, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	l := res.Load
	if l.Resumed != 1 || l.Planned != 300 || l.Sent != 300 || l.Answered < l.Sent-64 || st.Load.Answered == 0 {
		t.Errorf("resumed %d planned %d sent %d answered %d, before %d", l.Resumed, l.Planned, l.Sent, l.Answered, st.Load.Answered)
	}
	o.Profile.Stages[0].To++
	if _, err := Run(t.Context(), o); err == nil {
		t.Error("a checkpoint of another plan was taken")
	}
}

type showFunc func(View)

func (f showFunc) Show(v View) { f(v) }
func (showFunc) Done()         {}

func TestMergedShardsEqualTheWhole(t *testing.T) {
	plan := NewSchedule([]Stage{{"a", 100, 300, 5 * time.Second}}, 0, 1)
	whole := newTally(plan, nil, true)
	var parts [3]*tally
	for i := range parts {
		parts[i] = newTally(NewSchedule(plan.stages, i, 3), nil, true)
	}
	for n := range plan.Planned() {
		d, _ := plan.At(n)
		took := time.Duration(n*n%977) * 100 * time.Microsecond
		s := sample{due: d, start: d + took/10, done: d + took + time.Millisecond}
		s.judged.Outcome = Outcome(n % uint64(outcomes))
		whole.add(&s)
		parts[n%3].add(&s)
		if due, _ := parts[n%3].plan.At(n / 3); due != d {
			t.Fatalf("shard %d sends its %d-th at %v, the whole at %v", n%3, n/3, due, d)
		}
	}
	runs := make([]*report.Run, 3)
	for i, p := range parts {
		l := &report.Load{Digest: "x", Shard: &report.Shard{Index: i + 1, Of: 3}}
		p.Sent = int64(p.plan.Planned())
		if err := p.report(l, true); err != nil {
			t.Fatal(err)
		}
		runs[i] = &report.Run{Load: l}
	}
	merged, err := report.Merge(runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &report.Load{}
	whole.Sent = int64(plan.Planned())
	if err := whole.report(want, false); err != nil {
		t.Fatal(err)
	}
	got := merged.Load
	if fmt.Sprint(got.Latency) != fmt.Sprint(want.Latency) || fmt.Sprint(got.Outcomes) != fmt.Sprint(want.Outcomes) {
		t.Errorf("latency\n%+v\n%+v", got.Latency, want.Latency)
	}
	for _, h := range want.Histograms {
		found := false
		for _, g := range got.Histograms {
			found = found || g == h
		}
		if !found {
			t.Errorf("the merged %s histogram of %s differs", h.Kind, h.Outcome)
		}
	}
}

func TestALimitedGeneratorExcusesOnlyItsOwn(t *testing.T) {
	ta := newTally(NewSchedule([]Stage{{"a", 100, 100, time.Second}}, 0, 1), nil, false)
	for n := range 100 {
		d := time.Duration(n) * 10 * time.Millisecond
		ta.add(&sample{due: d, start: d + time.Second, done: d + time.Second + 20*time.Millisecond})
	}
	for src, want := range map[string]bool{
		"p99 < 50ms": true, // it left a second late, and took 20 ms
		"p99 < 10ms": false, "service p99 < 10ms": false, "p99 < 1us": false,
		"error_rate == 0": false, "rate > 100/s": true, "unsent == 0": true, "unsent_rate == 0": true, "lag p99 < 1ms": true,
	} {
		th, err := ParseThreshold(src)
		if err != nil {
			t.Fatal(err)
		}
		if got := ta.excused(th); got != want {
			t.Errorf("%s: excused %v", src, got)
		}
	}
}

// TestResponseLatencyUnderStalls compares response quantiles with the truth by arithmetic: an
// endpoint that stands still for the first 100 ms of every second, asked by ten workers.
func TestResponseLatencyUnderStalls(t *testing.T) {
	plan := NewSchedule([]Stage{{"a", 1000, 1000, 20 * time.Second}}, 0, 1)
	for _, workers := range []int{10, 64} {
		ta := newTally(plan, nil, false)
		free := make([]time.Duration, workers) // when each is done
		for n := range plan.Planned() {
			d, _ := plan.At(n)
			w := 0
			for i := range free {
				if free[i] < free[w] {
					w = i
				}
			}
			s := sample{due: d, start: max(d, free[w])}
			ready := s.start
			if in := ready % time.Second; in < 100*time.Millisecond {
				ready += 100*time.Millisecond - in
			}
			s.done = ready + 300*time.Microsecond
			free[w] = s.done
			ta.add(&s)
		}
		q := report.QuantilesOf(ta.of("", response))
		for _, c := range []struct{ got, want float64 }{{q.P95MS, 50}, {q.P99MS, 90}} {
			if r := c.got / c.want; r < 0.95 || r > 1.10 {
				t.Errorf("%d workers: %.1f ms, in truth %.0f", workers, c.got, c.want)
			}
		}
		t.Logf("%d workers: response p95 %.1f, p99 %.1f; service p95 %.1f", workers, q.P95MS, q.P99MS, report.QuantilesOf(ta.of("", service)).P95MS)
	}
}
