package load

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"grantcheck/report"
)

// A saved state is what a killed run goes on from.
type state struct {
	Schema   string                         `json:"schema"`
	Digest   string                         `json:"digest"` // of the plan
	Written  time.Time                      `json:"written"`
	Elapsed  time.Duration                  `json:"elapsed_ns"` // into the schedule
	Next     uint64                         `json:"next"`       // first request not yet sent
	Resumed  int                            `json:"resumed"`
	LostMS   float64                        `json:"lost_ms"`
	Load     report.Load                    `json:"load"`
	Stages   [][]report.Histogram           `json:"stages"`
	Counts   [][outcomes]int64              `json:"stage_counts"`
	Findings map[string]*report.LoadFinding `json:"findings"`
	Bad      [2]int64                       `json:"bad"`
	Again    [2]int64                       `json:"again"`
	Events   []report.TrendEvent            `json:"events"`
}

const stateSchema = "grantcheck.checkpoint/1"

// digest tells plans apart: only equal ones merge, or resume.
func (r *runner) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %d\n", r.o.Profile.Name, r.o.URL, max(1, r.o.Shards))
	for _, s := range r.plan.stages {
		fmt.Fprintf(h, "%s %g %g %d\n", s.Name, s.From, s.To, s.For)
	}
	for _, w := range r.tally.watches {
		fmt.Fprintln(h, w.Source)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// checkpoint writes the state, whole or not at all.
func (r *runner) checkpoint() error {
	r.mu.Lock()
	sent := r.engine.sent.Load()
	s := state{
		Schema: stateSchema, Digest: r.digest(), Written: time.Now().UTC(), Elapsed: r.elapsed(),
		Next: r.skip + uint64(sent), Resumed: r.resumed, LostMS: r.lostMS,
		Findings: r.findings.found, Bad: [2]int64{r.findings.bad.sent, r.findings.bad.decided},
		Again: [2]int64{r.findings.again, r.findings.shrunk}, Events: r.outages.events,
	}
	keep := r.tally.win // closing the window for the report must not close it for the run
	r.tally.win.response, r.tally.win.service, r.tally.win.lag = nil, nil, nil
	err := r.tally.report(&s.Load, false)
	r.tally.win = keep
	s.Load.Sent = r.before + sent
	for i := range r.tally.stages {
		m := &r.tally.stages[i].Measured
		var part report.Load
		if e := keepHistogram(&part, "all", "response", m.of("", response)); e != nil {
			err = errors.Join(err, e)
		}
		s.Stages, s.Counts = append(s.Stages, part.Histograms), append(s.Counts, m.Counts)
	}
	b, e := json.Marshal(s)
	r.mu.Unlock()
	if err = errors.Join(err, e); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return replaceFile(r.o.Checkpoint, b)
}

func replaceFile(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".checkpoint-*")
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// resume takes up what a checkpoint holds. The requests sent after it was written are lost, and
// nothing else.
func (r *runner) resume(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil || s.Schema != stateSchema {
		return fmt.Errorf("resume: %s is no checkpoint of a load run", file)
	}
	if s.Digest != r.digest() {
		return fmt.Errorf("resume: %s belongs to another plan: profile, rate, duration, thresholds and endpoint must be those of the run it was written by", file)
	}
	m, err := measuredOf(&s.Load)
	if err != nil {
		return fmt.Errorf("resume: %s: %w", file, err)
	}
	t := r.tally
	t.Measured = *m
	t.series = s.Load.Series
	t.open = int(s.Elapsed / t.width)
	for _, c := range s.Load.Codes {
		t.codes[code{c.Status, c.Code}] = c.Count
	}
	for i := range min(len(t.stages), len(s.Stages)) {
		t.stages[i].Counts = s.Counts[i]
		for _, h := range s.Stages[i] {
			d, err := h.Decode()
			if err != nil {
				return fmt.Errorf("resume: %s: %w", file, err)
			}
			mergeInto(&t.stages[i].hist[Token][response], d)
		}
	}
	if s.Findings != nil {
		r.findings.found = s.Findings
	}
	r.findings.bad.sent, r.findings.bad.decided = s.Bad[0], s.Bad[1]
	r.findings.again, r.findings.shrunk = s.Again[0], s.Again[1]
	r.outages.events = s.Events
	r.skip, r.back, r.before = s.Next, s.Elapsed, s.Load.Sent
	if r.skip == 0 || r.plan.Closed() {
		r.skip = r.plan.Count(s.Elapsed)
	}
	r.resumed = s.Resumed + 1
	// What was measured after the checkpoint is gone: at most one interval of it.
	r.lostMS = s.LostMS + float64(max(0, min(r.every(), time.Since(s.Written))).Milliseconds())
	r.outages.note(s.Elapsed, "resumed from a checkpoint")
	return nil
}

// outages notes when an endpoint stopped granting, and when it went on.
type outages struct {
	events []report.TrendEvent
	down   bool
	since  time.Duration
	streak int // failures in a row
	key    uint64
}

const (
	downAfter  = 20 // failures in a row
	mostEvents = 200
)

func (o *outages) note(at time.Duration, what string) {
	if len(o.events) < mostEvents {
		o.events = append(o.events, report.TrendEvent{AtS: at.Seconds(), What: what})
	}
}

func (o *outages) add(s *sample) {
	switch s.judged.Outcome {
	case Token:
		if o.down {
			o.note(s.done, fmt.Sprintf("granted again after %v", (s.done-o.since).Round(time.Millisecond)))
		}
		o.down, o.streak = false, 0
		if k := s.judged.Key; k != 0 && k != o.key {
			if o.key != 0 {
				o.note(s.done, "the header of the tokens changed: another signing key")
			}
			o.key = k
		}
	case Throttled:
	default:
		if s.bad {
			return
		}
		if o.streak++; o.streak == 1 {
			o.since = s.done
		}
		if o.streak == downAfter && !o.down {
			o.down = true
			o.note(o.since, "no more tokens: "+s.judged.Outcome.String()+worded(s.judged.Code))
		}
	}
}

// trend looks for drift over the windows of a run: the slope of a line through them, and whether it
// stands out from their noise.
func trend(l *report.Load) *report.Trend {
	t := &report.Trend{Verdict: report.Pass}
	var at, p99, errs, rate []float64
	for i, p := range l.Series {
		n := p.Token + p.Throttled + p.Other
		if n == 0 || i == len(l.Series)-1 {
			continue // the last window is not whole
		}
		at, p99 = append(at, p.TS), append(p99, p.P99MS)
		errs = append(errs, float64(p.Other)/float64(n))
		rate = append(rate, float64(n)/l.WindowS)
	}
	line := func(what, unit string, ys []float64, worse, floor float64) {
		out := report.TrendLine{What: what, Unit: unit, Verdict: report.Inconclusive}
		if len(ys) < 10 {
			out.Reason = fmt.Sprintf("%d windows are too few to see a drift", len(ys))
			t.Lines = append(t.Lines, out)
			return
		}
		tenth := max(1, len(ys)/10)
		out.First, out.Last = median(ys[:tenth]), median(ys[len(ys)-tenth:])
		slope, low, high := slopeOf(at, ys)
		out.PerHour = slope * 3600
		span := at[len(at)-1] - at[0]
		out.Verdict = report.Pass
		drift := slope * span * worse
		if low*worse > 0 && high*worse > 0 && drift > max(floor, 0.2*math.Abs(out.First)) {
			out.Verdict = report.Warn
			out.Reason = fmt.Sprintf("it drifted by %.3g %s in %.3g h", slope*span, unit, span/3600)
		}
		t.Lines = append(t.Lines, out)
	}
	line("response p99", "ms", p99, 1, 1)
	line("error share", "share", errs, 1, 0.001)
	line("answers", "per_s", rate, -1, 0.1)
	for _, x := range t.Lines {
		if x.Verdict == report.Warn {
			t.Verdict = report.Warn
		}
	}
	if len(p99) < 10 {
		t.Verdict = report.Inconclusive
	}
	return t
}

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	if len(s) == 0 {
		return 0
	}
	return s[len(s)/2]
}

// slopeOf is the median of the slopes between windows far apart (Theil and Sen), with the interval
// in which it lies with 95 %: it takes no notice of outliers.
func slopeOf(xs, ys []float64) (slope, low, high float64) {
	step := max(1, len(xs)/200)
	var all []float64
	n := 0
	for i := 0; i < len(xs); i += step {
		n++
		for j := i + step; j < len(xs); j += step {
			if dx := xs[j] - xs[i]; dx > 0 {
				all = append(all, (ys[j]-ys[i])/dx)
			}
		}
	}
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	k := float64(n)
	w := 1.96 * math.Sqrt(k*(k-1)*(2*k+5)/18)
	at := func(rank float64) float64 { return all[max(0, min(len(all)-1, int(rank)))] }
	m := float64(len(all))
	return all[len(all)/2], at((m - w) / 2), at((m + w) / 2)
}
