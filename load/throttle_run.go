package load

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"grantcheck/report"
)

// throttle measures the rate limit, or fits a saved log anew.
func (o Options) throttle(ctx context.Context) (*Result, error) {
	l := &report.Load{Profile: o.Profile.Name, Grant: o.Grant, Generator: report.Generator{Healthy: true}, Thresholds: []report.ThresholdResult{}, Series: []report.SeriesPoint{}}
	log := o.Log
	if log == nil {
		budget := o.Budget
		budget.Requests = cmp.Or(budget.Requests, 20_000)
		if budget.Time == 0 {
			for _, s := range o.Profile.Stages {
				budget.Time += s.For
			}
		}
		s := newProbeSender(ctx, &o)
		defer s.close()
		got, err := Probe(ctx, s, budget)
		got.Forms = s.forms()
		log = &got
		switch {
		case ctx.Err() != nil:
			l.Stopped = "interrupted"
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrUnusable, err)
		case got.Stopped != "":
			l.Stopped = got.Stopped
		}
		l.Connections = s.pools[MainClient].report(int64(len(got.Events)))
	}
	if o.SaveLog != nil {
		enc := json.NewEncoder(o.SaveLog)
		if err := enc.Encode(log); err != nil {
			return nil, fmt.Errorf("saving the throttle log: %w", err)
		}
	}
	t := Fit(*log)
	o.conformity(&t, log.Forms)
	if l.Stopped != "" && l.Stopped != "interrupted" {
		t.BudgetNeeded = l.Stopped
	}
	l.Throttle = &t
	tallyEvents(l, log.Events)
	return &Result{Load: l, Log: log, Checks: o.throttleChecks(&t, log)}, nil
}

// ReadLog reads a saved throttle log, to fit it anew.
func ReadLog(r io.Reader) (*Log, error) {
	var l Log
	if err := json.NewDecoder(r).Decode(&l); err != nil || l.Schema != LogSchema {
		return nil, errors.Join(fmt.Errorf("this is no throttle log of ours"), err)
	}
	return &l, nil
}

// tallyEvents counts a probe's requests like those of any load.
func tallyEvents(l *report.Load, evs []Event) {
	var m Measured
	first, last := time.Duration(0), time.Duration(0)
	for _, e := range evs {
		s := sample{start: time.Duration(e.SentUS) * time.Microsecond}
		s.due, s.done = s.start, s.start+time.Duration(e.TookUS)*time.Microsecond
		s.judged.Outcome = e.Outcome
		m.add(&s)
		last = max(last, s.done)
	}
	l.Planned, l.Sent, l.Answered = int64(len(evs)), int64(len(evs)), int64(len(evs))
	for i, n := range l.Outcomes.Counts() {
		*n = m.Counts[i]
	}
	l.ElapsedMS = float64(last-first) / 1e6
	if s := (last - first).Seconds(); s > 0 {
		l.ReachedRate = float64(len(evs)) / s
	}
	l.Latency.Service, l.Latency.Response = report.QuantilesOf(m.of("", service)), report.QuantilesOf(m.of("", response))
}

// documented is the contract's limit for the grant that is asked for; nil for none.
func (o *Options) documented() (limit float64, window time.Duration, words string) {
	if o.Contract == nil {
		return 0, 0, ""
	}
	for _, r := range o.Contract.RateLimits {
		if len(r.Grants) > 0 && !slices.Contains(r.Grants, o.Grant) || !r.Documented && r.Limit == 0 {
			continue
		}
		switch {
		case r.Limit > 0 && r.Window > 0:
			words = fmt.Sprintf("%d in %v", r.Limit, r.Window)
		case words == "":
			words = "a limit without figures"
		}
		if r.Subject != "" && words != "" {
			words += " by " + r.Subject
		}
		return float64(r.Limit), r.Window, words
	}
	return 0, 0, ""
}

// conformity holds the throttled answers against the standard and the contract.
func (o *Options) conformity(t *report.Throttle, forms []ThrottleForm) {
	total := 0
	for _, f := range forms {
		total += f.Count
	}
	limit, window, words := o.documented()
	t.Documented = words
	if limit > 0 && window > 0 && t.Limited && t.RatePerS > 0 {
		want := limit / window.Seconds()
		t.Verdict = report.Pass
		if t.RateHigh < want*0.98 {
			t.Verdict = report.Fail
		} else if t.RateLow > want*1.02 {
			t.Verdict = report.Note
		}
	}
	if total == 0 {
		return
	}
	row := func(what, expected string, level report.Verdict, ok func(ThrottleForm) bool, show func(ThrottleForm) string) {
		n := 0
		actual := map[string]bool{}
		for _, f := range forms {
			if ok(f) {
				n += f.Count
			}
			actual[show(f)] = true
		}
		r := report.ConformityRow{What: what, Expected: expected, Share: float64(n) / float64(total), Verdict: report.Pass}
		r.Actual = strings.Join(slices.Sorted(maps.Keys(actual)), ", ")
		if n < total {
			r.Verdict = level
		}
		t.Conformity = append(t.Conformity, r)
	}
	statuses, codes := []int{429}, []string{}
	if o.Contract != nil {
		for _, r := range o.Contract.RateLimits {
			if r.Status > 0 {
				statuses = []int{r.Status}
			}
			if r.Code != nil {
				codes = append(codes, fmt.Sprint(r.Code))
			}
		}
	}
	level := report.Warn
	if words != "" {
		level = report.Fail
	}
	row("status", fmt.Sprint(statuses[0]), level, func(f ThrottleForm) bool { return slices.Contains(statuses, f.Status) },
		func(f ThrottleForm) string { return fmt.Sprint(f.Status) })
	if len(codes) > 0 {
		row("error code", strings.Join(codes, " or "), report.Fail, func(f ThrottleForm) bool { return slices.Contains(codes, f.Code) },
			func(f ThrottleForm) string { return cmp.Or(f.Code, "none") })
	}
	row("body", "not empty", report.Warn, func(f ThrottleForm) bool { return f.Body }, func(f ThrottleForm) string {
		if f.Body {
			return "something"
		}
		return "nothing"
	})
	row("media type", "application/json", report.Note, func(f ThrottleForm) bool { return f.MediaType == "application/json" },
		func(f ThrottleForm) string { return cmp.Or(f.MediaType, "none") })
	row("Retry-After", "present", report.Note, func(f ThrottleForm) bool { return f.Headers["Retry-After"] != "" },
		func(f ThrottleForm) string { return cmp.Or(f.Headers["Retry-After"], "none") })
	row("Cache-Control", "not storable", report.Warn, func(f ThrottleForm) bool {
		cc := f.Headers["Cache-Control"]
		return !strings.Contains(cc, "public") && !strings.Contains(cc, "max-age=") || strings.Contains(cc, "max-age=0")
	}, func(f ThrottleForm) string { return cmp.Or(f.Headers["Cache-Control"], "none") })
	for _, h := range []string{"Ratelimit-Policy", "Ratelimit-Limit", "X-Ratelimit-Limit", "X-Rate-Limit-Limit"} {
		if !slices.ContainsFunc(forms, func(f ThrottleForm) bool { return f.Headers[h] != "" }) {
			continue
		}
		row(h, fmt.Sprintf("%.4g as measured", t.Burst), report.Warn,
			func(f ThrottleForm) bool { return announces(f.Headers[h], t) }, func(f ThrottleForm) string { return cmp.Or(f.Headers[h], "none") })
	}
}

// announces reports whether a header's figure is one that was measured: the limit of a window, or
// the size of a bucket.
func announces(value string, t *report.Throttle) bool {
	for _, w := range strings.FieldsFunc(value, func(r rune) bool { return r < '0' || r > '9' }) {
		var n float64
		if _, err := fmt.Sscan(w, &n); err == nil && (n == t.Burst || t.WindowS > 0 && n == t.RatePerS*t.WindowS) {
			return true
		}
	}
	return false
}

// throttleChecks are the verdicts on rules that the probe can judge.
func (o *Options) throttleChecks(t *report.Throttle, log *Log) (out []report.Check) {
	if !t.Limited {
		return nil
	}
	add := func(rule string, documented bool, v report.Verdict, message, expected, actual string) {
		c := report.Check{Rule: rule, Verdict: v, Documented: report.SideSilent, Standard: report.SideSilent, Message: message, Expected: expected, Actual: actual}
		if documented {
			c.Documented = side(v)
		} else {
			c.Standard = side(v)
		}
		out = append(out, c)
	}
	for _, r := range t.Conformity {
		rule, documented := map[string]string{
			"status": "throttle.status-429", "body": "throttle.body-explains",
			"Retry-After": "throttle.retry-after-present", "Cache-Control": "throttle.not-cacheable",
		}[r.What], false
		if r.What == "status" && t.Documented != "" || r.What == "error code" {
			rule, documented = "doc.rate-limit-response", true
		}
		if rule != "" {
			add(rule, documented, r.Verdict, fmt.Sprintf("%s of throttled answers: %s", r.What, r.Actual), r.Expected, r.Actual)
		}
	}
	ra := t.RetryAfter
	if ra.Present {
		v := report.Pass
		if !ra.SyntaxOK {
			v = report.Fail
		}
		add("throttle.retry-after-syntax", false, v, "Retry-After as sent", "whole seconds or an HTTP date", fmt.Sprintf("well formed: %v", ra.SyntaxOK))
		switch {
		case ra.Honest == nil:
			add("throttle.retry-after-honest", false, report.Inconclusive, ra.Undecided, "a request after the wait is served", ra.Undecided)
		case *ra.Honest:
			add("throttle.retry-after-honest", false, report.Pass, "waiting as told sufficed", "a request after the wait is served", fmt.Sprintf("%d of %d trials", ra.Trials, ra.Trials))
		default:
			add("throttle.retry-after-honest", false, report.Warn, "requests were refused after the wait asked for", "a request after the wait is served", fmt.Sprintf("%d refusals", ra.LateRefusals))
		}
	}
	if limit, window, _ := o.documented(); limit > 0 && window > 0 {
		add("doc.rate-limit-not-early", true, t.Verdict, "the limit measured against the one documented",
			fmt.Sprintf("%.4g/s", limit/window.Seconds()), fmt.Sprintf("%.4g/s (%.4g to %.4g)", t.RatePerS, t.RateLow, t.RateHigh))
	}
	return out
}

// A probeSender sends a probe's requests over the network.
type probeSender struct {
	ctx   context.Context
	o     *Options
	began time.Time
	pools map[Origin]*pool
	stock map[Origin]*stock
	slots chan struct{}

	mu       sync.Mutex
	answered []Event
	pending  int
	change   chan struct{} // closed and replaced whenever an answer comes
	seen     map[string]*ThrottleForm
}

// inFlight bounds the probe's open requests: a limiter that delays holds many.
const inFlight = 256

func newProbeSender(ctx context.Context, o *Options) *probeSender {
	s := &probeSender{
		ctx: ctx, o: o, began: time.Now(), pools: map[Origin]*pool{}, stock: map[Origin]*stock{},
		slots: make(chan struct{}, inFlight), change: make(chan struct{}), seen: map[string]*ThrottleForm{},
	}
	add := func(from Origin, src Source, w wire) {
		if src == nil {
			return
		}
		s.pools[from] = newPool(w)
		s.stock[from] = newStock(ctx, src, 64, func(error) {})
	}
	w := o.wire(inFlight)
	w.timeout = max(w.timeout, 30*time.Second)
	add(MainClient, o.Source, w)
	add(OtherClient, o.OtherClient, w)
	if o.OtherAddress != nil {
		w.local = o.OtherAddress
		add(OtherAddress, o.Source, w)
	}
	return s
}

func (s *probeSender) close() {
	for from, p := range s.pools {
		s.stock[from].close()
		p.CloseIdleConnections()
	}
}

func (s *probeSender) Now() time.Duration   { return time.Since(s.began) }
func (s *probeSender) Can(from Origin) bool { return s.pools[from] != nil }

func (s *probeSender) Send(ctx context.Context, shots []Shot, stop func(Event) bool) (int, error) {
	stopped := make(chan struct{})
	var once sync.Once
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for i, shot := range shots {
		if wait := shot.At - s.Now(); wait > 50*time.Microsecond {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-stopped:
				return i, nil
			case <-ctx.Done():
				return i, ctx.Err()
			}
		}
		select {
		case <-stopped:
			return i, nil
		case <-ctx.Done():
			return i, ctx.Err()
		case s.slots <- struct{}{}:
		}
		req := s.stock[shot.From].next(ctx)
		if req == nil {
			<-s.slots
			return i, ctx.Err()
		}
		s.mu.Lock()
		s.pending++
		s.mu.Unlock()
		go func() {
			ev := s.ask(ctx, req, shot.From)
			<-s.slots
			if stop != nil {
				s.mu.Lock()
				end := stop(ev)
				s.mu.Unlock()
				if end {
					once.Do(func() { close(stopped) })
				}
			}
			s.mu.Lock()
			s.answered = append(s.answered, ev)
			s.pending--
			close(s.change)
			s.change = make(chan struct{})
			s.mu.Unlock()
		}()
	}
	return len(shots), nil
}

func (s *probeSender) ask(ctx context.Context, req *Request, from Origin) Event {
	p := s.pools[from]
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	e := &exchanged{request: req}
	p.send(ctx, e)
	ev := Event{SentUS: e.start.Sub(s.began).Microseconds(), TookUS: e.done.Sub(e.start).Microseconds(), From: from, Hint: -1}
	if e.err != nil {
		ev.Outcome = e.outcome()
		return ev
	}
	d := s.o.dialect()
	j := d.Judge(e.status, e.header, e.body)
	if ev.Outcome = j.Outcome; j.Outcome == Throttled {
		ev.Hint = d.hint(e.header, time.Now())
		s.keep(e, j)
	}
	return ev
}

// keep remembers how a rejection looked.
func (s *probeSender) keep(e *exchanged, j Judgement) {
	f := ThrottleForm{Status: e.status, Code: j.Code, Body: len(e.body) > 0, Headers: map[string]string{}}
	f.MediaType, _, _ = strings.Cut(e.header.Get("Content-Type"), ";")
	key := fmt.Sprint(f.Status, f.Code, f.Body, f.MediaType)
	for name, v := range e.header {
		if low := strings.ToLower(name); low == "retry-after" || low == "cache-control" || strings.Contains(low, "ratelimit") || strings.Contains(low, "rate-limit") {
			f.Headers[http.CanonicalHeaderKey(name)] = clip(strings.Join(v, ", "))
		}
	}
	for _, h := range []string{"Cache-Control"} {
		key += f.Headers[h]
	}
	key += fmt.Sprint(len(f.Headers))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[key] == nil {
		if len(s.seen) >= 32 {
			key = "other"
		}
		if s.seen[key] == nil {
			s.seen[key] = &f
		}
	}
	s.seen[key].Count++
}

func clip(s string) string { return s[:min(len(s), 100)] }

func (s *probeSender) forms() (out []ThrottleForm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.seen {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b ThrottleForm) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Status, b.Status))
	})
	return out
}

func (s *probeSender) Answers(ctx context.Context, enough func([]Event) bool) []Event {
	for {
		s.mu.Lock()
		if enough == nil || s.pending == 0 || enough(s.answered) || ctx.Err() != nil {
			out := s.answered
			s.answered = nil
			s.mu.Unlock()
			return out
		}
		change := s.change
		s.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
		}
	}
}
