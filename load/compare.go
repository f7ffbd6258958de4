package load

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"grantcheck/report"
)

// step runs one constant rate for a while and returns its runner.
func (o *Options) step(ctx context.Context, src Source, rate float64, span time.Duration, ths []*Threshold) (*runner, error) {
	r, err := newRunner(o, src, []Stage{{fmt.Sprintf("%.4g/s", rate), rate, rate, span}}, ths)
	if err != nil {
		return nil, err
	}
	return r, r.attack(ctx)
}

// capacity finds the highest rate at which the thresholds hold: it doubles until one breaks,
// bisects, and confirms the rate it reports with a run twice as long.
func (o Options) capacity(ctx context.Context) (*Result, error) {
	ths, err := o.thresholds()
	if err != nil {
		return nil, &UsageError{err}
	}
	o.Save, o.Checkpoint, o.Resume = nil, "", ""
	rate, span := o.Profile.Stages[0].To, o.Profile.Stages[0].For
	first, err := newRunner(&o, o.Source, []Stage{{"control", 1, 1, time.Second}}, nil)
	if err != nil {
		return nil, err
	}
	if err := first.control(ctx); err != nil {
		return nil, err
	}
	c := &report.Capacity{}
	var last *runner
	var whole *report.Load
	try := func(rate float64, span time.Duration) (held bool, err error) {
		last, err = o.step(ctx, o.Source, rate, span, ths)
		if err != nil {
			return false, err
		}
		res, err := last.result()
		if err != nil {
			return false, err
		}
		l := res.Load
		s := report.CapacityStep{RatePerS: rate, Reached: l.ReachedRate, P99MS: l.Latency.Response.P99MS, Held: true}
		if l.Answered > 0 {
			s.Errors = float64(l.Answered-l.Outcomes.Token-l.Outcomes.Throttled) / float64(l.Answered)
		}
		switch {
		case !l.Generator.Healthy:
			s.Held, s.Broke = false, l.Generator.Reason
		case float64(l.Sent) < 0.98*float64(l.Planned):
			s.Held, s.Broke = false, fmt.Sprintf("only %.1f/s of %.1f/s could be sent", l.ReachedRate, rate)
		}
		for _, t := range l.Thresholds {
			if t.Verdict == report.Fail && s.Held {
				s.Held, s.Broke = false, t.Expression
			}
		}
		if s.Held || whole == nil {
			whole = l
		}
		if !s.Held && (c.BrokeAt == 0 || rate < c.BrokeAt) {
			c.BrokeFirst, c.BrokeAt = s.Broke, rate
		}
		c.Steps = append(c.Steps, s)
		return s.Held, nil
	}
	good, bad := 0.0, 0.0
	for bad == 0 && ctx.Err() == nil && rate < 1e6 {
		held, err := try(rate, span)
		if err != nil {
			return nil, err
		}
		if held {
			good, rate = rate, rate*2
		} else {
			bad = rate
		}
	}
	if good == 0 {
		for good == 0 && bad > 1 && ctx.Err() == nil {
			held, err := try(bad/2, span)
			if err != nil {
				return nil, err
			}
			if held {
				good = bad / 2
			} else {
				bad /= 2
			}
		}
	}
	for good > 0 && bad/good > 1.1 && ctx.Err() == nil {
		mid := math.Sqrt(good * bad)
		held, err := try(mid, span)
		if err != nil {
			return nil, err
		}
		if held {
			good = mid
		} else {
			bad = mid
		}
	}
	for good > 0 && !c.Confirmed && ctx.Err() == nil {
		held, err := try(good, 2*span)
		if err != nil {
			return nil, err
		}
		if c.Confirmed = held; !held {
			good *= 0.9
			if good < 1 {
				good = 0
			}
		}
	}
	c.RatePerS = good
	switch {
	case ctx.Err() != nil:
		c.Reason = "interrupted"
	case good == 0:
		c.Reason = "the thresholds hold at no rate that was tried"
	}
	l := whole
	if l == nil {
		l = &report.Load{Profile: o.Profile.Name}
	}
	l.Capacity = c
	// The search goes beyond what holds: only the confirmed rate is judged.
	for i := range l.Thresholds {
		if l.Thresholds[i].Verdict == report.Fail && good > 0 {
			l.Thresholds[i].Verdict = report.Pass
		}
	}
	if ctx.Err() != nil {
		l.Stopped = "interrupted"
	}
	return &Result{Load: l}, nil
}

// against measures two endpoints in alternating slices of one run, so that what changes on the
// machine meanwhile changes for both.
func (o Options) against(ctx context.Context) (*Result, error) {
	ths, err := o.thresholds()
	if err != nil {
		return nil, &UsageError{err}
	}
	var span time.Duration
	for _, s := range o.Profile.Stages {
		span += s.For
	}
	rate := o.Profile.Stages[len(o.Profile.Stages)-1].To
	pairs := int(max(6, min(30, span/(4*time.Second))))
	slice := max(200*time.Millisecond, span/time.Duration(2*pairs))
	a, err := newRunner(&o, o.Source, []Stage{{"A", rate, rate, span / 2}}, ths)
	if err != nil {
		return nil, err
	}
	other := o
	other.Save, other.Checkpoint, other.URL = nil, "", o.AgainstURL
	b, err := newRunner(&other, o.Against, []Stage{{"B", rate, rate, span / 2}}, nil)
	if err != nil {
		return nil, err
	}
	for _, r := range []*runner{a, b} {
		if err := r.control(ctx); err != nil {
			return nil, err
		}
	}
	logs := map[string][]float64{} // of each figure, the log ratio B ÷ A pair by pair
	var figures [2]map[string]*Measured
	figures[0], figures[1] = map[string]*Measured{}, map[string]*Measured{}
	var sums [2]Measured
	quiet := o
	quiet.Live, quiet.Metrics, quiet.Save, quiet.Checkpoint = nil, nil, nil, ""
	for pair := range pairs {
		var got [2]*report.Load
		order := []int{0, 1}
		if pair%2 == 1 {
			order = []int{1, 0}
		}
		for _, i := range order {
			opt, src := quiet, o.Source
			if i == 1 {
				src = o.Against
			}
			r, err := opt.step(ctx, src, rate, slice, ths)
			if err != nil {
				return nil, err
			}
			res, err := r.result()
			if err != nil {
				return nil, err
			}
			got[i] = res.Load
			sums[i].merge(&r.tally.Measured)
			if i == 0 {
				a.engine, a.stopped = r.engine, r.stopped
				a.tally.absorb(&r.tally.Measured)
			}
		}
		if ctx.Err() != nil {
			break
		}
		add := func(what string, x, y float64) {
			if x > 0 && y > 0 {
				logs[what] = append(logs[what], math.Log(y/x))
			}
		}
		add("response p50", got[0].Latency.Response.P50MS, got[1].Latency.Response.P50MS)
		add("response p99", got[0].Latency.Response.P99MS, got[1].Latency.Response.P99MS)
		add("service mean", got[0].Latency.Service.MeanMS, got[1].Latency.Service.MeanMS)
		add("answered", float64(got[0].Answered), float64(got[1].Answered))
	}
	res, err := a.result()
	if err != nil {
		return nil, err
	}
	out := &report.Against{URL: o.AgainstURL, Slices: 2 * pairs, SliceS: slice.Seconds(), Verdict: report.Pass}
	at := func(m *Measured, what string) float64 {
		q := func(h *hdrhistogram.Histogram) report.Quantiles { return report.QuantilesOf(h) }
		switch what {
		case "response p50":
			return q(m.of("", response)).P50MS
		case "response p99":
			return q(m.of("", response)).P99MS
		case "service mean":
			return q(m.of("", service)).MeanMS
		}
		return float64(m.answered())
	}
	for _, f := range []struct {
		what, unit string
		worse      float64 // sign of the change that is worse
	}{{"response p50", "ms", 1}, {"response p99", "ms", 1}, {"service mean", "ms", 1}, {"answered", "count", -1}} {
		xs := logs[f.what]
		r := ratioOf(xs, f.worse)
		r.What, r.Unit, r.A, r.B = f.what, f.unit, at(&sums[0], f.what), at(&sums[1], f.what)
		out.Ratios = append(out.Ratios, r)
	}
	res.Load.Against = out
	return res, nil
}

// ratioOf judges a ratio by its logarithms, pair by pair. worse is the sign of a change for the worse.
func ratioOf(logs []float64, worse float64) report.Ratio {
	mean, half := spread(logs)
	r := report.Ratio{Ratio: math.Exp(mean), Low: math.Exp(mean - half), High: math.Exp(mean + half), Verdict: "undecided"}
	switch low, high := worse*mean-half, worse*mean+half; {
	case len(logs) < 3:
		r.Ratio, r.Low, r.High = cmp.Or(r.Ratio, 1), 0, 0 // too few to say how noisy
	case low > 0:
		r.Verdict = "worse"
	case high < 0:
		r.Verdict = "better"
	case half < math.Log(1.1):
		r.Verdict = "same"
	}
	return r
}

// absorb adds what a slice measured.
func (t *tally) absorb(m *Measured) {
	t.Measured.merge(m)
	for i := range m.Counts {
		t.stages[0].Counts[i] += m.Counts[i]
	}
	mergeInto(&t.stages[0].hist[Token][response], m.of("", response))
}

// spread returns the mean and half the width of its 95 % interval.
func spread(xs []float64) (mean, half float64) {
	n := float64(len(xs))
	if n == 0 {
		return 0, math.Inf(1)
	}
	for _, x := range xs {
		mean += x / n
	}
	if n < 2 {
		return mean, math.Inf(1)
	}
	v := 0.0
	for _, x := range xs {
		v += (x - mean) * (x - mean) / (n - 1)
	}
	t := []float64{12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26}
	k := 2.0
	if i := len(xs) - 2; i < len(t) {
		k = t[i]
	}
	return mean, k * math.Sqrt(v/n)
}
