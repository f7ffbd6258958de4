package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"grantcheck/report"
)

// The figures of `make bench`: each is a ratio taken in one interleaved run, because figures of two
// moments on one machine do not compare. LOAD_BENCH=1 runs them; VEGETA names a vegeta command to
// compare with, else one is built from the module.
const benchEnv = "LOAD_BENCH"

const tokenBody = `{"access_token":"eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJjbGllbnQiLCJleHAiOjE3OTUyMDAwMDB9.` +
	`c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJl","token_type":"Bearer","expires_in":3600,"scope":"read write"}`

func serveTokens(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, tokenBody)
}

func TestMain(m *testing.M) {
	switch os.Getenv(benchEnv) {
	case "target":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(l.Addr())
		go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(0) }() // ends with its parent
		panic(http.Serve(l, http.HandlerFunc(serveTokens)))
	case "load":
		benchChild()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// benchChild is one load run in a process of its own, so that its CPU and memory are its own.
func benchChild() {
	var spec struct {
		URL     string
		Rate    float64
		Span    time.Duration
		Workers int
	}
	if err := json.Unmarshal([]byte(os.Getenv("LOAD_SPEC")), &spec); err != nil {
		panic(err)
	}
	o := options(nil, spec.URL, "constant", spec.Rate, spec.Span)
	o.Workers, o.MaxWorkers = spec.Workers, spec.Workers
	res, err := Run(context.Background(), o)
	if err != nil {
		panic(err)
	}
	l := res.Load
	l.Histograms, l.Series = nil, nil
	if l.Outcomes.Token != l.Answered {
		panic("not every answer was a token")
	}
	_ = json.NewEncoder(os.Stdout).Encode(l)
}

type cost struct {
	requests, rate, cpu, peak float64
	load                      report.Load
}

func cpuOf(s *os.ProcessState) float64 { return (s.UserTime() + s.SystemTime()).Seconds() }

func ownRun(t *testing.T, spec map[string]any) cost {
	t.Helper()
	b, _ := json.Marshal(spec)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchEnv+"=load", "LOAD_SPEC="+string(b))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var c cost
	if err := json.Unmarshal(out, &c.load); err != nil {
		t.Fatal(err)
	}
	c.requests, c.rate = float64(c.load.Answered), c.load.ReachedRate
	c.cpu = cpuOf(cmd.ProcessState)
	c.peak = float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	return c
}

func vegetaRun(t *testing.T, vegeta, address string, span time.Duration, workers int) cost {
	t.Helper()
	dir := t.TempDir()
	body := filepath.Join(dir, "body")
	if err := os.WriteFile(body, []byte("grant_type=client_credentials"), 0o600); err != nil {
		t.Fatal(err)
	}
	attack := exec.Command(vegeta, "attack", "-rate=0", fmt.Sprint("-max-workers=", workers), fmt.Sprint("-workers=", workers), fmt.Sprint("-duration=", span),
		"-body="+body, "-header=Content-Type: application/x-www-form-urlencoded")
	attack.Stdin = strings.NewReader("POST " + address + "\n")
	rep := exec.Command(vegeta, "report", "-type=json")
	pipe, err := attack.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	rep.Stdin, rep.Stdout = pipe, &out
	for _, c := range []*exec.Cmd{rep, attack} {
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := rep.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := attack.Wait(); err != nil {
		t.Fatal(err)
	}
	var m struct {
		Requests float64 `json:"requests"`
		Rate     float64 `json:"rate"`
	}
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	return cost{requests: m.Requests, rate: m.Rate, cpu: cpuOf(attack.ProcessState) + cpuOf(rep.ProcessState)}
}

// buildVegeta makes the vegeta command of the pinned module.
func buildVegeta(t *testing.T) string {
	if v := os.Getenv("VEGETA"); v != "" {
		return v
	}
	bin := filepath.Join(t.TempDir(), "vegeta")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/tsenart/vegeta/v12").CombinedOutput()
	if err != nil {
		t.Logf("no vegeta to compare with (%v); set VEGETA to one\n%s", err, out)
		return ""
	}
	return bin
}

func middle(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
}

func TestBench(t *testing.T) {
	if os.Getenv(benchEnv) == "" {
		t.Skip("figures, not a test: make bench")
	}
	span := 4 * time.Second
	if d, err := time.ParseDuration(os.Getenv("LOAD_SPAN")); err == nil {
		span = d
	}
	m := ThisMachine()
	fmt.Printf("load on %s/%s, %d CPUs, %s, load average %.1f\n", m.OS, m.Arch, m.CPUs, m.Go, m.Load1)
	show := func(what, aim, format string, args ...any) {
		fmt.Printf("%-72s %-12s %s\n", what, aim, fmt.Sprintf(format, args...))
	}

	target := exec.Command(os.Args[0])
	target.Env = append(os.Environ(), benchEnv+"=target")
	stdin, _ := target.StdinPipe()
	stdout, _ := target.StdoutPipe()
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stdin.Close(); _ = target.Wait() }()
	var addr string
	if _, err := fmt.Fscanln(stdout, &addr); err != nil {
		t.Fatal(err)
	}
	url := "http://" + addr + "/token"

	// Closed loop, 64 workers, in turn.
	vegeta := buildVegeta(t)
	var cpu, rates, own []float64
	for range 3 {
		o := ownRun(t, map[string]any{"URL": url, "Rate": 0, "Span": span, "Workers": 64})
		own = append(own, o.rate)
		if vegeta == "" {
			continue
		}
		v := vegetaRun(t, vegeta, url, span, 64)
		cpu = append(cpu, (o.cpu/o.requests)/(v.cpu/v.requests))
		rates = append(rates, o.rate/v.rate)
	}
	if vegeta != "" {
		show("CPU per request, every response judged ÷ vegeta attack | report", "<= 0.85", "%.2f  %.2f", middle(cpu), cpu)
		show("highest rate, every response judged ÷ vegeta's", ">= 1.1", "%.2f  %.2f", middle(rates), rates)
	}
	asked := 0.4 * middle(own)
	o := ownRun(t, map[string]any{"URL": url, "Rate": asked, "Span": span, "Workers": 64})
	show("delivered ÷ asked at 40 % of the closed loop's maximum", ">= 0.99", "%.4f at %.0f/s", float64(o.load.Sent)/float64(o.load.Planned), asked)

	peak := func(n int) float64 {
		o := stubbed(n)
		runtime.GC()
		var ms runtime.MemStats
		runtime.ReadMemStats(&ms)
		_ = o
		return float64(ms.Sys - ms.HeapReleased)
	}
	one := peak(1_000_000)
	show("memory after 3 M results ÷ after 1 M (no network)", "<= 1.05", "%.3f", peak(3_000_000)/one)

	var base atomic.Int64
	base.Store(time.Now().UnixNano())
	stall := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if in := time.Duration(time.Now().UnixNano()-base.Load()) % time.Second; in < 100*time.Millisecond {
			time.Sleep(100*time.Millisecond - in)
		}
		serveTokens(w, r)
	}))
	o = ownRun(t, map[string]any{"URL": stall.URL, "Rate": 1000, "Span": 8 * time.Second, "Workers": 10})
	stall.Close()
	show("stall test, 10 workers: response p95, p99 ÷ truth by arithmetic", "0.95-1.10", "%.2f, %.2f (service: %.2f, %.2f)",
		o.load.Latency.Response.P95MS/50, o.load.Latency.Response.P99MS/90, o.load.Latency.Service.P95MS/50, o.load.Latency.Service.P99MS/90)

	idle := httptest.NewServer(http.HandlerFunc(serveTokens))
	defer idle.Close()
	ctx, cancel := context.WithCancel(context.Background())
	opt := options(t, idle.URL, "constant", 0.5, time.Hour)
	began := make(chan struct{})
	opt.Live = showFunc(func(View) {
		select {
		case <-began:
		default:
			close(began)
		}
	})
	done := make(chan error)
	go func() { _, err := Run(ctx, opt); done <- err }()
	<-began
	at := time.Now()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	show("from the interrupt to the report, idle", "<= 0.3 s", "%.3f s", time.Since(at).Seconds())
}

// stubbed runs n requests through the engine without a network.
func stubbed(n int) *report.Load {
	o := options(nil, "http://load.invalid/", "constant", 0, time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := newRunner(&o, o.Source, o.Profile.Stages, nil)
	if err != nil {
		panic(err)
	}
	h := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}
	var count atomic.Int64
	r.pool.via = roundTrip(func(*http.Request) (*http.Response, error) {
		if count.Add(1) == int64(n) {
			cancel()
		}
		return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader(tokenBody))}, nil
	})
	if err := r.attack(ctx); err != nil {
		panic(err)
	}
	res, err := r.result()
	if err != nil {
		panic(err)
	}
	return res.Load
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestQuantilesAtJumps holds the recorder to 0.2 % on a distribution that jumps where quantiles are
// read: most answers quick, a tenth stalled, a thousandth in seconds.
func TestQuantilesAtJumps(t *testing.T) {
	const n = 200_000
	var m Measured
	values := make([]float64, n)
	for i := range n {
		us := 300 + float64(i)/n*400
		switch {
		case i >= n*999/1000:
			us = 1e6 + float64(i-n*999/1000)*2e4
		case i >= n*9/10:
			us = 5000 + float64(i-n*9/10)*5
		}
		values[i] = us
		m.add(&sample{done: time.Duration(us) * time.Microsecond})
	}
	h := m.of("", response)
	for _, q := range []float64{50, 90, 95, 99, 99.9, 99.99} {
		want := values[int(q/100*n+0.5)-1]
		if e := float64(h.ValueAtQuantile(q))/want - 1; e > 0.002 || e < -0.002 {
			t.Errorf("p%g: off by %.2f %%", q, 100*e)
		}
	}
}

func BenchmarkEngine(b *testing.B) {
	b.ReportAllocs()
	stubbed(b.N)
}
