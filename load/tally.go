package load

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"grantcheck/report"
)

// A sample is one answered request: three moments, counted from the start of the run, and what the
// answer came to.
type sample struct {
	due, start, done time.Duration
	status           int
	judged           Judgement
	bad              bool // sent with a deliberately wrong secret
	who              int  // identity that asked
}

func (s *sample) service() time.Duration  { return s.done - s.start }
func (s *sample) response() time.Duration { return max(s.done-s.due, s.service()) }
func (s *sample) lag() time.Duration      { return max(0, s.start-s.due) }

const (
	service = iota
	response
	kinds
)

var kindNames = [kinds]string{"service", "response"}

// Measured is what thresholds are judged by.
type Measured struct {
	Planned, Sent int64
	Span          time.Duration
	Counts        [outcomes]int64
	hist          [outcomes][kinds]*hdrhistogram.Histogram // microseconds; nil when empty
	lag           *hdrhistogram.Histogram
}

func put(h **hdrhistogram.Histogram, d time.Duration) {
	if *h == nil {
		*h = report.NewHistogram()
	}
	us := (d + 500*time.Nanosecond).Microseconds()
	_ = (*h).RecordValue(max(0, min(us, (*h).HighestTrackableValue()))) // within its range
}

func (m *Measured) add(s *sample) {
	o := s.judged.Outcome
	m.Counts[o]++
	put(&m.hist[o][service], s.service())
	put(&m.hist[o][response], s.response())
	put(&m.lag, s.lag())
}

func (m *Measured) answered() (n int64) {
	for _, c := range m.Counts {
		n += c
	}
	return n
}

// of returns the histogram of one outcome, or of all when it is "".
func (m *Measured) of(outcome string, kind int) *hdrhistogram.Histogram {
	if i := slices.Index(outcomeNames[:], outcome); i >= 0 {
		if m.hist[i][kind] != nil {
			return m.hist[i][kind]
		}
		return report.NewHistogram()
	}
	all := report.NewHistogram()
	for o := range m.hist {
		if h := m.hist[o][kind]; h != nil {
			all.Merge(h)
		}
	}
	return all
}

func (m *Measured) merge(o *Measured) {
	m.Planned, m.Sent, m.Span = m.Planned+o.Planned, m.Sent+o.Sent, m.Span+o.Span
	for i := range o.Counts {
		m.Counts[i] += o.Counts[i]
		for k := range o.hist[i] {
			mergeInto(&m.hist[i][k], o.hist[i][k])
		}
	}
	mergeInto(&m.lag, o.lag)
}

func mergeInto(to **hdrhistogram.Histogram, from *hdrhistogram.Histogram) {
	if from == nil {
		return
	}
	if *to == nil {
		*to = report.NewHistogram()
	}
	(*to).Merge(from)
}

func (m *Measured) latency(t *Threshold) *hdrhistogram.Histogram {
	switch t.Latency {
	case "lag":
		if m.lag == nil {
			return report.NewHistogram()
		}
		return m.lag
	case "service":
		return m.of(t.Of, service)
	}
	return m.of(t.Of, response)
}

// value returns the measurement a threshold speaks of, and of how many samples it is made.
func (m *Measured) value(t *Threshold) (float64, int64) {
	n := m.answered()
	switch t.Metric {
	case "latency":
		h := m.latency(t)
		if h.TotalCount() == 0 {
			return 0, 0
		}
		if t.Quantile < 0 {
			return h.Mean() / 1000, h.TotalCount()
		}
		return float64(h.ValueAtQuantile(t.Quantile)) / 1000, h.TotalCount()
	case "rate":
		if m.Span <= 0 {
			return 0, m.Sent
		}
		return float64(m.Sent) / m.Span.Seconds(), m.Sent
	case "count":
		return map[string]float64{"sent": float64(m.Sent), "answered": float64(n), "unsent": float64(m.Planned - m.Sent)}[t.Of], m.Sent
	}
	part, whole := int64(0), n
	for _, o := range t.Without {
		whole -= m.Counts[o]
	}
	switch t.Of {
	case "unsent_rate":
		part, whole = m.Planned-m.Sent, m.Planned
	case "error_rate":
		part = n - m.Counts[Token] - m.Counts[Throttled]
	case "success_rate":
		part = m.Counts[Token]
	default:
		part = m.Counts[slices.Index(outcomeNames[:], t.Of[:len(t.Of)-len("_rate")])]
	}
	if whole <= 0 {
		return 0, 0
	}
	return float64(part) / float64(whole), whole
}

// confidence is the 95 % interval of a quantile, by the ranks it may have.
func (m *Measured) confidence(t *Threshold) (lo, hi float64) {
	h := m.latency(t)
	n, q := float64(h.TotalCount()), t.Quantile/100
	if n == 0 || q <= 0 || q >= 1 {
		v, _ := m.value(t)
		return v, v
	}
	w := 1.96 * math.Sqrt(q*(1-q)/n)
	return float64(h.ValueAtQuantile(100*max(0, q-w))) / 1000, float64(h.ValueAtQuantile(100*min(1, q+w))) / 1000
}

// A watch follows one threshold through the run.
type watch struct {
	*Threshold
	whole Measured   // since After, when there is one
	ring  []Measured // of a sliding window, by time
	at    int64      // slot of the ring that is being filled
	slot  time.Duration
	worst report.ThresholdResult // of a sliding window: the first failure, else the last judged
}

func newWatch(t *Threshold) *watch {
	w := &watch{Threshold: t}
	if t.Over > 0 {
		n := min(30, max(1, int(t.Over/time.Second)))
		w.slot = t.Over / time.Duration(n)
		w.ring = make([]Measured, n)
		w.worst = report.ThresholdResult{
			Expression: t.Source, Unit: t.unit(), Limit: t.Limit, Source: t.From,
			Verdict: report.Inconclusive, Reason: fmt.Sprintf("the run was shorter than %v", t.Over),
		}
	}
	return w
}

// add takes one answer in; of a window only what the threshold looks at is kept.
func (w *watch) add(s *sample) {
	if s.start < w.After {
		return
	}
	m := &w.whole
	if w.ring != nil {
		m = &w.ring[w.at%int64(len(w.ring))]
	} else if w.After == 0 {
		return // the totals serve
	}
	if w.Metric != "latency" {
		m.Counts[s.judged.Outcome]++
		return
	}
	if w.Of != "" && w.Of != s.judged.Outcome.String() {
		return
	}
	switch w.Latency {
	case "lag":
		put(&m.lag, s.lag())
	case "service":
		put(&m.hist[s.judged.Outcome][service], s.service())
	default:
		put(&m.hist[s.judged.Outcome][response], s.response())
	}
	m.Counts[s.judged.Outcome]++
}

// tick moves the window on to now and judges it when it is full. planned and sent are the totals.
func (w *watch) tick(now time.Duration, planned, sent int64) {
	if w.ring == nil {
		return
	}
	slot := int64(now / w.slot)
	for w.at < slot {
		cur := &w.ring[w.at%int64(len(w.ring))]
		cur.Span, cur.Planned, cur.Sent = w.slot, planned-w.whole.Planned, sent-w.whole.Sent
		w.whole.Planned, w.whole.Sent = planned, sent
		if w.at+1 >= int64(len(w.ring)) && now >= w.After+w.Over {
			var sum Measured
			for i := range w.ring {
				sum.merge(&w.ring[i])
			}
			r := w.Judge(&sum)
			if w.worst.Verdict != report.Fail && (r.Verdict != report.Inconclusive || w.worst.Verdict == report.Inconclusive) {
				if r.Verdict == report.Fail {
					r.AtS = (time.Duration(w.at+1) * w.slot).Seconds()
				}
				w.worst = r
			}
		}
		w.at++
		next := &w.ring[w.at%int64(len(w.ring))]
		*next = Measured{}
	}
}

// result judges over all that was measured.
func (w *watch) result(total *Measured) report.ThresholdResult {
	switch {
	case w.ring != nil:
		return w.worst
	case w.After > 0:
		m := w.whole
		m.Planned, m.Sent, m.Span = total.Planned, total.Sent, max(0, total.Span-w.After)
		return w.Judge(&m)
	}
	return w.Judge(total)
}

// A tally takes in every answer and keeps none: its memory is that of its histograms and windows.
// It is not safe for concurrent use.
type tally struct {
	Measured
	plan    *Schedule
	width   time.Duration // of a window
	keep    bool          // histograms of windows, for merging shards
	series  []report.SeriesPoint
	open    int // window being filled
	win     struct{ service, response, lag *hdrhistogram.Histogram }
	stages  []stageTally
	codes   map[code]int64
	watches []*watch
	aborted string
}

type stageTally struct {
	Measured
}

type code struct {
	status int
	text   string
}

// mostWindows bounds the series: longer runs have wider windows.
const mostWindows = 1800

func newTally(plan *Schedule, thresholds []*Threshold, keep bool) *tally {
	t := &tally{plan: plan, keep: keep, codes: map[code]int64{}, stages: make([]stageTally, len(plan.stages))}
	t.width = time.Duration(math.Ceil(plan.Span().Seconds()/mostWindows)) * time.Second
	t.width = max(t.width, time.Second)
	for _, th := range thresholds {
		t.watches = append(t.watches, newWatch(th))
	}
	return t
}

func (t *tally) point(at time.Duration) *report.SeriesPoint {
	i := int(max(0, at) / t.width)
	for len(t.series) <= i {
		n := len(t.series)
		from, to := time.Duration(n)*t.width, time.Duration(n+1)*t.width
		p := report.SeriesPoint{TS: from.Seconds()}
		if !t.plan.Closed() {
			p.Planned = int64(t.plan.Count(to) - t.plan.Count(from))
		}
		t.series = append(t.series, p)
	}
	return &t.series[i]
}

// add takes in one answer. Moments are counted from the start of the run's first part.
func (t *tally) add(s *sample) {
	t.Measured.add(s)
	t.moveTo(s.done)
	t.point(s.start).Sent++
	p := t.point(s.done)
	switch o := s.judged.Outcome; o {
	case Token:
		p.Token++
	case Throttled:
		p.Throttled++
	default:
		p.Other++
		if o >= ServerError {
			p.Errors++
		}
	}
	put(&t.win.service, s.service())
	put(&t.win.response, s.response())
	put(&t.win.lag, s.lag())
	st := &t.stages[t.stage(s.due)]
	st.Counts[s.judged.Outcome]++
	put(&st.hist[Token][response], s.response())
	c := code{s.status, s.judged.Code}
	if _, known := t.codes[c]; !known && len(t.codes) >= 64 {
		c.text = "other"
	}
	t.codes[c]++
	for _, w := range t.watches {
		w.add(s)
	}
}

func (t *tally) stage(due time.Duration) int {
	i := len(t.plan.starts) - 1
	for i > 0 && t.plan.starts[i] > due {
		i--
	}
	return i
}

// moveTo closes the windows before the one of now.
func (t *tally) moveTo(now time.Duration) {
	i := int(now / t.width)
	if i <= t.open {
		return
	}
	t.closeWindow()
	t.open = i
}

func (t *tally) closeWindow() {
	if t.win.response == nil || t.win.response.TotalCount() == 0 {
		return
	}
	p := t.point(time.Duration(t.open) * t.width)
	q := report.QuantilesOf(t.win.response)
	p.P50MS, p.P90MS, p.P99MS, p.MaxMS = q.P50MS, q.P90MS, q.P99MS, q.MaxMS
	p.ServiceP99MS = report.QuantilesOf(t.win.service).P99MS
	p.LagP99MS = report.QuantilesOf(t.win.lag).P99MS
	if t.keep {
		if e, err := report.EncodeHistogram("window", "response", t.win.response); err == nil {
			p.Histogram = e.Encoded
		}
	}
	t.win.response.Reset()
	t.win.service.Reset()
	t.win.lag.Reset()
}

// excused reports that a threshold may have failed for the generator's sake: one about what was
// sent or when. What the answers say is the endpoint's own, and so is a time that half of them
// exceed even when counted from sending.
func (t *tally) excused(th *Threshold) bool {
	switch th.Metric {
	case "rate", "count":
		return true
	case "share":
		return th.Of == "unsent_rate"
	}
	if th.Latency == "lag" || th.Op[0] != '<' {
		return true
	}
	return float64(t.of(th.Of, service).ValueAtQuantile(50))/1000 <= th.Limit
}

// tick judges what is judged while the run goes on; it returns the threshold that ends it, if one does.
func (t *tally) tick(now time.Duration, sent int64) string {
	t.Sent, t.Span = sent, now
	t.Planned = int64(t.plan.Count(now))
	if t.plan.Closed() {
		t.Planned = sent
	}
	t.moveTo(now)
	for _, w := range t.watches {
		w.tick(now, t.Planned, sent)
		if r := w.result(&t.Measured); w.Abort && r.Verdict == report.Fail && t.aborted == "" {
			t.aborted = w.Source
		}
	}
	return t.aborted
}

// report writes down what was measured. A shard judges no threshold.
func (t *tally) report(l *report.Load, shard bool) error {
	t.closeWindow()
	l.Planned, l.Sent, l.Answered = t.Planned, t.Sent, t.answered()
	for i, n := range l.Outcomes.Counts() {
		*n = t.Counts[i]
	}
	l.ElapsedMS = float64(t.Span) / 1e6
	if s := t.Span.Seconds(); s > 0 {
		l.ReachedRate = float64(t.Sent) / s
		l.AskedRate = float64(t.Planned) / s
	}
	l.WindowS, l.Series = t.width.Seconds(), t.series
	l.Latency.ByOutcome = map[string]report.LatencyPair{}
	for k := range kinds {
		all := t.of("", k)
		if err := keepHistogram(l, "all", kindNames[k], all); err != nil {
			return err
		}
		if q := report.QuantilesOf(all); k == service {
			l.Latency.Service = q
		} else {
			l.Latency.Response = q
		}
	}
	for o := range t.hist {
		if t.Counts[o] == 0 {
			continue
		}
		l.Latency.ByOutcome[outcomeNames[o]] = report.LatencyPair{
			Service: report.QuantilesOf(t.hist[o][service]), Response: report.QuantilesOf(t.hist[o][response]),
		}
		for k := range kinds {
			if err := keepHistogram(l, outcomeNames[o], kindNames[k], t.hist[o][k]); err != nil {
				return err
			}
		}
	}
	if t.lag != nil {
		l.Generator.Lag = report.QuantilesOf(t.lag)
		if err := keepHistogram(l, "all", "lag", t.lag); err != nil {
			return err
		}
	}
	l.Generator.Unsent = max(0, t.Planned-t.Sent)
	l.Stages = nil
	for i, st := range t.plan.stages {
		from, to := t.plan.starts[i], t.plan.starts[i]+st.For
		m := &t.stages[i].Measured
		s := report.Stage{
			Name: st.Name, FromS: from.Seconds(), ToS: to.Seconds(),
			FromRate: st.From / float64(t.plan.every), ToRate: st.To / float64(t.plan.every),
			Sent: m.answered(), Token: m.Counts[Token], Throttled: m.Counts[Throttled],
			Other: m.answered() - m.Counts[Token] - m.Counts[Throttled],
			P99MS: report.QuantilesOf(m.of("", response)).P99MS,
		}
		if !t.plan.Closed() {
			s.Planned = int64(t.plan.Count(to) - t.plan.Count(from))
		}
		l.Stages = append(l.Stages, s)
	}
	l.Codes = nil
	for c, n := range t.codes {
		l.Codes = append(l.Codes, report.CodeCount{Status: c.status, Code: c.text, Count: n})
	}
	slices.SortFunc(l.Codes, func(a, b report.CodeCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Code, b.Code))
	})
	l.Thresholds = []report.ThresholdResult{}
	for _, w := range t.watches {
		r := w.result(&t.Measured)
		if shard {
			r = report.ThresholdResult{
				Expression: w.Source, Source: w.From, Unit: w.unit(), Limit: w.Limit,
				Verdict: report.Inconclusive, Reason: "a shard judges no threshold; report merge does, for the whole",
			}
		}
		r.Aborted = t.aborted == w.Source
		l.Thresholds = append(l.Thresholds, r)
	}
	l.Aborted = t.aborted
	return nil
}

func keepHistogram(l *report.Load, outcome, kind string, h *hdrhistogram.Histogram) error {
	if h.TotalCount() == 0 {
		return nil
	}
	e, err := report.EncodeHistogram(outcome, kind, h)
	if err == nil {
		l.Histograms = append(l.Histograms, e)
	}
	return err
}

// measuredOf reads a saved load back, exactly.
func measuredOf(l *report.Load) (*Measured, error) {
	m := &Measured{Planned: l.Planned, Sent: l.Sent, Span: time.Duration(l.ElapsedMS * 1e6)}
	for i, n := range l.Outcomes.Counts() {
		m.Counts[i] = *n
	}
	for _, h := range l.Histograms {
		d, err := h.Decode()
		if err != nil {
			return nil, err
		}
		o, k := slices.Index(outcomeNames[:], h.Outcome), slices.Index(kindNames[:], h.Kind)
		switch {
		case o >= 0 && k >= 0:
			m.hist[o][k] = report.NewHistogram()
			m.hist[o][k].Merge(d)
		case h.Kind == "lag":
			m.lag = report.NewHistogram()
			m.lag.Merge(d)
		}
	}
	return m, nil
}

// JudgeMerged judges the thresholds of merged shards over the whole. Those over a sliding window
// are judged by the series' windows where they are as fine.
func JudgeMerged(l *report.Load) error {
	m, err := measuredOf(l)
	if err != nil {
		return err
	}
	for i, r := range l.Thresholds {
		t, err := ParseThreshold(r.Expression)
		if err != nil {
			return err
		}
		t.From = r.Source
		switch {
		case t.Over > 0 || t.After > 0:
			l.Thresholds[i].Verdict = report.Inconclusive
			l.Thresholds[i].Reason = "shards keep no sliding windows: judge them in one run"
		default:
			l.Thresholds[i] = t.Judge(m)
		}
	}
	return nil
}
