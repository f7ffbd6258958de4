// Package load puts a token endpoint under load and says what happened: to latency, to every
// answer, and to the rate limit.
//
// Everything is timed from the schedule. Service latency runs from the moment a request was sent,
// response latency from the moment it was due; they part company when the endpoint, or we, cannot
// keep up. Each answer is judged outside the timed region and then forgotten.
package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"grantcheck/report"
	"grantcheck/suites/contract"
)

// Options are one load run. Profile, Source and URL are required.
type Options struct {
	Profile *Profile
	URL     string // of the token endpoint: for the report, and to know whether it is remote
	Source  Source // yields the requests; see TargetSource
	Dialect *Dialect
	Grant   string     // name of the grant, for the report
	Who     []Identity // whom Request.Who speaks of; empty: one client
	Spread  string     // how Who was drawn: uniform or skewed

	// Contract gives the default thresholds (slo), the documented limits and what is promised of
	// tokens. Nil for none.
	Contract *contract.Contract

	Thresholds []string // beside those of the profile
	Workers    int      // at first; 0: as the rate needs
	MaxWorkers int      // never more; 0: as the rate needs
	Timeout    time.Duration

	Connections string // reuse (the default), fresh, resume
	TLS         *tls.Config
	Proxy       *url.URL

	// OtherClient and OtherAddress let the throttle probe find the limit's scope: requests in the
	// name of a second client, and an address of ours to send from. Either may be left out.
	OtherClient  Source
	OtherAddress net.Addr

	AllowBurst bool   // consent to throttle the endpoint on purpose
	Budget     Budget // of the throttle probe; 20 000 requests and the profile's duration if zero
	Log        *Log   // a saved throttle log to fit anew instead of probing

	Against       Source // requests for a second endpoint, measured in alternating slices
	AgainstURL    string
	Shard, Shards int       // this part, from 1, of a run spread over Shards machines; 0 for none
	StartAt       time.Time // of all shards

	Save       io.Writer // results in vegeta's encoding
	SaveLog    io.Writer // the throttle log, JSON
	Checkpoint string    // file to write the state to, every Every
	Every      time.Duration
	Resume     string // file to go on from

	Metrics *Metrics // updated while the run goes on; nil for none
	Live    Live     // shows the run as it goes; nil for none
}

// A Result is what a run found.
type Result struct {
	Load   *report.Load
	Checks []report.Check // verdicts on rules that need load: Rule, Verdict, sides and words; the rest is the catalogue's
	Facts  []report.Fact
	Log    *Log // of a throttle probe
}

// A UsageError is a mistake in the options: nothing was sent.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// ErrUnusable is wrapped when the endpoint gave no token before there was any load.
var ErrUnusable = errors.New("the endpoint grants no token even without load")

func usage(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// Check finds every mistake in the options without sending anything.
func (o *Options) Check() error {
	_, err := o.thresholds()
	switch {
	case err != nil:
		return &UsageError{err}
	case o.Profile == nil || o.Source == nil && o.Log == nil:
		return usage("a profile and a source of requests are required")
	case o.Profile.Kind == "throttle" && !o.AllowBurst && o.Log == nil:
		return usage("the throttle profile drives the endpoint into its limit on purpose; allow it with --allow burst")
	case o.Profile.Bad > 0 && !o.AllowBurst:
		return usage("the profile sends wrong secrets under load; allow it with --allow burst --allow bad-client-credentials")
	case !slices.Contains([]string{"", "reuse", "fresh", "resume"}, o.Connections):
		return usage("--connections is reuse, fresh or resume, not %q", o.Connections)
	case o.Shards < 0 || o.Shard < 0 || o.Shard > o.Shards || o.Shards > 0 && o.Shard == 0:
		return usage("--shard is I/N with I from 1 to N")
	case o.Shards > 0 && (o.Profile.Kind == "throttle" || o.Profile.Kind == "capacity" || o.Against != nil):
		return usage("profile %s cannot be spread over shards", o.Profile.Name)
	case o.Resume != "" && o.Shards > 0:
		return usage("a shard cannot be resumed: its schedule belongs to the others")
	}
	return nil
}

// ParseShard reads I/N.
func ParseShard(s string) (index, of int, err error) {
	a, b, ok := strings.Cut(s, "/")
	index, e1 := strconv.Atoi(a)
	of, e2 := strconv.Atoi(b)
	if !ok || e1 != nil || e2 != nil || of < 1 || index < 1 || index > of {
		return 0, 0, usage("--shard is I/N with I from 1 to N, not %q", s)
	}
	return index, of, nil
}

// thresholds are those of the flags, the profile and, where neither says anything, the contract's slo.
func (o *Options) thresholds() (out []*Threshold, err error) {
	add := func(from string, expressions []string) {
		for _, e := range expressions {
			t, perr := ParseThreshold(e)
			if perr != nil {
				err = errors.Join(err, perr)
				continue
			}
			t.From, t.Unsure = from, from == "contract slo"
			out = append(out, t)
		}
	}
	add("flag", o.Thresholds)
	add("contract slo", SLOExpressions(o.Contract))
	if o.Profile != nil && (len(o.Thresholds) == 0 || o.Profile.Kind == "capacity") {
		add("profile", o.Profile.Thresholds)
	}
	return out, err
}

// SLOExpressions writes a contract's service level objectives as thresholds.
func SLOExpressions(c *contract.Contract) (out []string) {
	if c == nil {
		return nil
	}
	for _, s := range c.SLOs {
		switch s.Metric {
		case "latency":
			out = append(out, fmt.Sprintf("response p%g token <= %v", s.Percentile, s.Max))
		case "success":
			name := "success_rate"
			switch s.Count429As {
			case "", "excluded":
				name += " excluding throttled"
			case "success":
				out = append(out, fmt.Sprintf("error_rate <= %.6g%%", 100*(1-s.Min)))
				continue
			}
			out = append(out, fmt.Sprintf("%s >= %.6g%%", name, 100*s.Min))
		}
	}
	return out
}

// workers is how many the rate needs: enough for answers that take a fifth of a second.
func (o *Options) workers(rate float64) (start, most int) {
	most = o.MaxWorkers
	if most == 0 {
		most = max(64, min(512, int(math.Ceil(rate*0.2))), o.Workers)
	}
	start = o.Workers
	if start == 0 {
		start = 16
	}
	return min(start, most), most
}

func (o *Options) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return 10 * time.Second
}

func (o *Options) dialect() *Dialect {
	if o.Dialect != nil {
		return o.Dialect
	}
	return &Dialect{}
}

func (o *Options) wire(workers int) wire {
	kind := o.Connections
	if kind == "" {
		kind = "reuse"
	}
	return wire{kind: kind, tls: o.TLS, proxy: o.Proxy, workers: workers, timeout: o.timeout()}
}

// Run puts the endpoint under load. When ctx ends it returns what was measured up to then, with
// Load.Stopped set, and no error.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	switch {
	case o.Profile.Kind == "throttle":
		return o.throttle(ctx)
	case o.Profile.Kind == "capacity":
		return o.capacity(ctx)
	case o.Against != nil:
		return o.against(ctx)
	}
	ths, err := o.thresholds()
	if err != nil {
		return nil, &UsageError{err}
	}
	r, err := newRunner(&o, o.Source, o.Profile.Stages, ths)
	if err != nil {
		return nil, err
	}
	if o.Resume != "" {
		if err := r.resume(o.Resume); err != nil {
			return nil, &UsageError{err}
		}
	}
	if err = r.control(ctx); err == nil {
		err = r.barrier(ctx)
	}
	if err != nil && ctx.Err() != nil {
		// Ended before there was anything to measure.
		return &Result{Load: &report.Load{Profile: o.Profile.Name, Stopped: "interrupted", Generator: report.Generator{Healthy: true}}}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := r.attack(ctx); err != nil {
		return nil, err
	}
	if o.Live != nil {
		o.Live.Done()
	}
	return r.result()
}

// A runner carries one schedule out.
type runner struct {
	o     *Options
	src   Source
	plan  *Schedule
	pool  *pool
	start int
	most  int

	mu       sync.Mutex // guards what follows
	tally    *tally
	findings *findings
	outages  outages
	saver    *saver
	saveErr  error

	engine  *attack
	skip    uint64        // sent by earlier parts of a resumed run
	back    time.Duration // into the schedule where this part begins
	before  int64         // sent by earlier parts
	resumed int
	lostMS  float64
	late    time.Duration // behind StartAt
	stopped string
	usage   syscall.Rusage
}

func newRunner(o *Options, src Source, stages []Stage, ths []*Threshold) (*runner, error) {
	plan := NewSchedule(stages, max(0, o.Shard-1), max(1, o.Shards))
	if plan.Planned() == 0 && !plan.Closed() {
		return nil, usage("profile %s sends no request: give it a higher rate or a longer duration", o.Profile.Name)
	}
	peak := 0.0
	for _, s := range stages {
		peak = max(peak, s.From, s.To)
	}
	r := &runner{o: o, src: src, plan: plan}
	r.start, r.most = o.workers(peak / float64(max(1, o.Shards)))
	if plan.Closed() {
		r.start = r.most
	}
	r.pool = newPool(o.wire(r.most))
	r.tally = newTally(plan, ths, o.Shards > 0)
	r.findings = newFindings(o.Who, freshTokens(o.Contract), plan.Rate)
	if o.Save != nil {
		r.saver = newSaver(o.Save)
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &r.usage)
	return r, nil
}

// freshTokens reports that each new token ends the one before, so that none can be handed out twice.
func freshTokens(c *contract.Contract) bool { return c != nil && c.Token.Live == 1 }

// control asks once before there is any load: what follows is judged against that.
func (r *runner) control(ctx context.Context) error {
	req, err := r.src.Next(ctx)
	for tries := 0; err == nil && req.Bad && tries < 100; tries++ {
		req, err = r.src.Next(ctx)
	}
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	e := &exchanged{request: req, buf: make([]byte, 0, 2048)}
	ctx, cancel := context.WithTimeout(ctx, r.o.timeout())
	defer cancel()
	r.pool.send(ctx, e)
	if ctx.Err() != nil && e.err != nil && errors.Is(e.err, context.Canceled) {
		return ctx.Err()
	}
	if e.err != nil {
		return fmt.Errorf("%w: %s at %s", ErrUnusable, e.outcome(), r.o.URL)
	}
	if req.Answered != nil {
		req.Answered(e.body)
	}
	j := r.o.dialect().Judge(e.status, e.header, e.body)
	if j.Outcome != Token && j.Outcome != Throttled {
		return fmt.Errorf("%w: status %d%s; check the contract and the credentials with: grantcheck check", ErrUnusable, e.status, worded(j.Code))
	}
	if j.Outcome == Token {
		r.findings.proved[req.Who] = true
	}
	return nil
}

func worded(code string) string {
	if code == "" {
		return ""
	}
	return ", " + code
}

// barrier waits for the moment at which all shards start.
func (r *runner) barrier(ctx context.Context) error {
	if r.o.StartAt.IsZero() {
		return nil
	}
	wait := time.Until(r.o.StartAt)
	if wait <= 0 {
		r.late = -wait
		return nil
	}
	select {
	case <-time.After(wait):
		r.late = time.Since(r.o.StartAt)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *runner) grace() time.Duration {
	return max(time.Second, min(10*time.Second, r.plan.Span()/20))
}

func (r *runner) attack(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	stock := newStock(ctx, r.src, max(256, 4*r.most), func(err error) { cancel(err) })
	defer stock.close()
	pc := newPacer(ctx, r.plan, r.skip, r.back, r.grace())
	r.engine = newAttack(ctx, r.pool, stock, pc, r.start, r.most)
	r.engine.origin = time.Now()

	done := make(chan struct{})
	var side sync.WaitGroup
	side.Go(func() { r.watch(done, func(why string) { cancel(errors.New(why)) }) })
	r.engine.run(r.consume)
	close(done)
	side.Wait()
	r.tick()
	switch cause := context.Cause(ctx); {
	case parent.Err() != nil:
		r.stopped = "interrupted"
	case r.tally.aborted != "":
	case cause != nil && !errors.Is(cause, context.Canceled):
		if r.tally.Sent == 0 {
			return cause
		}
		r.stopped = cause.Error()
	}
	if r.o.Checkpoint != "" {
		if err := r.checkpoint(); err != nil {
			return err
		}
	}
	return r.saveErr
}

// elapsed is how far into the schedule the run is.
func (r *runner) elapsed() time.Duration { return time.Since(r.engine.origin) + r.back }

// every is the time between checkpoints.
func (r *runner) every() time.Duration {
	if r.o.Every > 0 {
		return r.o.Every
	}
	return 10 * time.Second
}

// watch does what is done now and then: thresholds that abort, the view, metrics, checkpoints.
func (r *runner) watch(done <-chan struct{}, stop func(string)) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	kept := time.Now()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			if why := r.tick(); why != "" {
				stop("threshold " + why)
			}
			if r.o.Checkpoint != "" && now.Sub(kept) >= r.every() {
				kept = now
				if err := r.checkpoint(); err != nil {
					stop(err.Error())
				}
			}
		}
	}
}

func (r *runner) tick() (abort string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := min(r.elapsed(), r.plan.Span()+r.grace())
	abort = r.tally.tick(now, r.before+r.engine.sent.Load())
	if r.o.Live != nil {
		r.o.Live.Show(r.view(now))
	}
	if r.o.Metrics != nil {
		r.o.Metrics.asked.Set(r.plan.Rate(now))
		r.o.Metrics.planned.Set(float64(r.tally.Planned))
		r.o.Metrics.sent.Set(float64(r.tally.Sent))
	}
	return abort
}

// consume judges one exchange and counts it. It runs outside the timed region.
func (r *runner) consume(e *exchanged) {
	if back := e.request.Answered; back != nil {
		if e.err != nil {
			back(nil)
		} else {
			back(e.body)
		}
	}
	if e.cut {
		return // sent, never answered: the run ended
	}
	s := sample{
		start: e.start.Sub(r.engine.origin) + r.back, done: e.done.Sub(r.engine.origin) + r.back,
		status: e.status, bad: e.request.Bad, who: e.request.Who,
	}
	if d, ok := r.plan.At(e.seq + r.skip); ok && !r.plan.Closed() {
		s.due = d
	} else {
		s.due = s.start
	}
	if e.err != nil {
		s.judged, s.status = Judgement{Outcome: e.outcome(), Expires: -1}, 0
	} else {
		s.judged = r.o.dialect().Judge(e.status, e.header, e.body)
	}
	r.mu.Lock()
	r.tally.add(&s)
	r.findings.add(&s)
	r.outages.add(&s)
	if r.saver != nil && r.saveErr == nil {
		if err := r.saver.Encode(e.result(r.o.Profile.Name, s.judged.Outcome)); err != nil {
			r.saveErr = fmt.Errorf("saving results: %w", err)
		}
	}
	r.mu.Unlock()
	if r.o.Metrics != nil {
		r.o.Metrics.observe(&s)
	}
}

// result writes the report.
func (r *runner) result() (*Result, error) {
	l := &report.Load{Profile: r.o.Profile.Name, Grant: r.o.Grant, Stopped: r.stopped, Resumed: r.resumed, LostMS: r.lostMS, Digest: r.digest()}
	if err := r.tally.report(l, r.o.Shards > 0); err != nil {
		return nil, err
	}
	r.generator(l)
	l.Connections = r.pool.report(l.Sent)
	l.Population = population(r.o)
	var facts []report.Fact
	l.Findings, facts = r.findings.report(l.Sent)
	if r.o.Profile.Kind == "soak" || r.o.Resume != "" {
		l.Trend = trend(l)
		l.Trend.Events = append(l.Trend.Events, r.outages.events...)
	}
	if r.o.Shards > 0 {
		l.Shard = &report.Shard{Index: r.o.Shard, Of: r.o.Shards, LateMS: float64(r.late) / 1e6}
		if !r.o.StartAt.IsZero() {
			l.Shard.StartAt = r.o.StartAt.UTC().Format(time.RFC3339)
		}
	}
	if !l.Generator.Healthy {
		for i, w := range r.tally.watches {
			if t := &l.Thresholds[i]; t.Verdict == report.Fail && r.tally.excused(w.Threshold) {
				t.Verdict, t.Reason = report.Inconclusive, "generator limited: the endpoint is not to blame"
			}
		}
	}
	return &Result{Load: l, Checks: r.checks(l), Facts: facts}, nil
}

// generator says whether the load was made as planned, and who is to blame when it was not.
func (r *runner) generator(l *report.Load) {
	g := &l.Generator
	g.Healthy, g.Workers, g.MaxWorkers = true, r.start, r.most
	var now syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &now) == nil {
		cpu := func(u syscall.Rusage) float64 {
			return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
		}
		g.CPUSeconds = cpu(now) - cpu(r.usage)
		g.PeakMemory = now.Maxrss
		if runtime.GOOS != "darwin" {
			g.PeakMemory *= 1024
		}
	}
	sent := float64(max(1, l.Sent))
	late, busy := float64(r.engine.late.Load())/sent, float64(r.engine.busy.Load())/sent
	starved := float64(r.engine.stock.starved.Load()) / sent
	switch {
	case r.stopped != "" || l.Aborted != "":
		// Cut short: what is unsent is nobody's fault.
	case starved > 0.01 && (late > 0.01 || g.Unsent > 0):
		g.Healthy = false
		g.Reason = fmt.Sprintf("generator limited: %.1f %% of the requests had to be waited for while they were made", 100*starved)
	case late > 0.01 && late > busy:
		g.Healthy = false
		g.Reason = fmt.Sprintf("generator limited: %.1f %% of the requests left more than %v late although workers were free: this machine is too busy", 100*late, ownLag)
	case busy > 0.01 || g.Unsent > 0:
		g.Reason = fmt.Sprintf("%.1f %% of the requests left late, and %d not at all, because all %d workers were waiting for answers", 100*busy, g.Unsent, r.most)
	}
}

func population(o *Options) *report.Population {
	p := &report.Population{Clients: max(1, len(o.Who)), Spread: o.Spread}
	if p.Spread == "" {
		p.Spread = "uniform"
	}
	sum := 0.0
	for _, w := range o.Who {
		sum += w.Weight
	}
	for _, w := range o.Who {
		if share := w.Weight / max(sum, 1e-9); share > p.HottestShare {
			p.HottestShare, p.HottestName = share, w.Alias
		}
	}
	return p
}

// checks are the verdicts on those rules that only load can judge.
func (r *runner) checks(l *report.Load) (out []report.Check) {
	for _, f := range l.Findings {
		if f.Name == "bad-credential-granted" {
			out = append(out, report.Check{
				Rule: "throttle.fails-closed", Verdict: f.Verdict, Standard: side(f.Verdict), Documented: report.SideSilent,
				Message: f.Message, Expected: "no token for a wrong secret, at any load", Actual: f.Message,
			})
		}
	}
	for _, t := range l.Thresholds {
		if t.Source != "contract slo" {
			continue
		}
		rule := "doc.slo-availability"
		if t.Unit == "ms" {
			rule = "doc.slo-latency"
		}
		out = append(out, report.Check{
			Rule: rule, Verdict: t.Verdict, Documented: side(t.Verdict), Standard: report.SideSilent,
			Message: t.Expression, Expected: t.Expression, Actual: fmt.Sprintf("%.4g %s over %d answers", t.Observed, t.Unit, t.Samples), Reason: t.Reason,
		})
	}
	return out
}

func side(v report.Verdict) report.Side {
	switch v {
	case report.Pass, report.Note, report.Warn, report.Fail:
		return report.Side(v)
	}
	return report.SideSilent
}

// Remote reports whether an address is beyond this machine.
func Remote(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return true
	}
	host := u.Hostname()
	if host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

// ThisMachine describes where the load comes from.
func ThisMachine() *report.Machine {
	m := &report.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 0 {
			m.Load1, _ = strconv.ParseFloat(f[0], 64)
		}
	}
	return m
}
