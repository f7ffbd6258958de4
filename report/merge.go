package report

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Merge makes one run of several: the shards of one load, or runs of several contracts. names are the
// runs' files, for errors; nil will do. Summarize and Decide the result, and judge the thresholds of
// merged shards before: a shard judges none.
func Merge(runs []*Run, names []string) (*Run, error) {
	if len(runs) == 0 {
		return nil, errors.New("nothing to merge")
	}
	called := func(i int) string {
		if i < len(names) {
			return names[i]
		}
		return cmp.Or(runs[i].Contract.Name, "run "+strconv.Itoa(i+1))
	}
	for i, r := range runs[1:] {
		if a, b := runs[0].Tool, r.Tool; a.Catalogue != b.Catalogue {
			return nil, fmt.Errorf("%s was judged by rule set %s and %s by %s: verdicts of two rule sets do not make one run; use report diff",
				called(0), a.Catalogue, called(i+1), b.Catalogue)
		}
	}
	shards := 0
	for _, r := range runs {
		if r.Load != nil && r.Load.Shard != nil {
			shards++
		}
	}
	switch {
	case shards == len(runs):
		return mergeShards(runs, called)
	case shards > 0:
		return nil, errors.New("some of the runs are shards and some are not; merge the shards first")
	}
	return mergeContracts(runs, called)
}

// mergeContracts puts runs side by side. Each check, fact and exchange then names its contract.
func mergeContracts(runs []*Run, called func(int) string) (*Run, error) {
	if len(runs) == 1 {
		one := *runs[0]
		return &one, nil
	}
	m := joined(runs)
	owner := map[string]int{}
	for i, r := range runs {
		parts := r.Contracts
		if len(parts) == 0 {
			parts = []ContractRun{{r.Contract, r.Endpoint, r.DurationMS, r.Complete, r.Summary}}
		}
		for _, c := range parts {
			if j, taken := owner[c.Contract.Name]; taken {
				return nil, fmt.Errorf("%s and %s both judged the contract %s; use report diff or report trend for runs of one contract",
					called(j), called(i), c.Contract.Name)
			}
			owner[c.Contract.Name] = i
		}
		if r.Load != nil && m.Load != nil {
			return nil, fmt.Errorf("%s holds a second load; one run holds one: render them apart, or use report trend", called(i))
		}
		m.Contracts = append(m.Contracts, parts...)
		base := len(m.Exchanges)
		own := func(name string) string { return cmp.Or(name, r.Contract.Name) }
		for _, x := range r.Exchanges {
			x.Contract = own(x.Contract)
			m.Exchanges = append(m.Exchanges, x)
		}
		for _, c := range r.Checks {
			c.Contract, c.Exchanges = own(c.Contract), rebased(c.Exchanges, base)
			m.Checks = append(m.Checks, c)
		}
		for _, f := range r.Facts {
			f.Contract, f.Exchanges = own(f.Contract), rebased(f.Exchanges, base)
			m.Facts = append(m.Facts, f)
		}
		for _, u := range r.Unlocks {
			u.Contract = own(u.Contract)
			m.Unlocks = append(m.Unlocks, u)
		}
		for _, w := range r.Waivers {
			w.Contract = own(w.Contract)
			m.Waivers = append(m.Waivers, w)
		}
		for _, p := range r.Preflight {
			p.Contract = own(p.Contract)
			if p.Exchange != nil {
				p.Exchange = new(*p.Exchange + base)
			}
			m.Preflight = append(m.Preflight, p)
		}
		if r.Plan != nil {
			m.Plan = r.Plan.plus(m.Plan)
		}
		if r.Load != nil {
			l := *r.Load
			l.Findings = slices.Clone(l.Findings)
			for k := range l.Findings {
				l.Findings[k].Exchanges = rebased(l.Findings[k].Exchanges, base)
			}
			m.Load = &l
		}
	}
	return m, nil
}

// joined is the head of a merged run: what the parts have in common, and when they ran.
func joined(runs []*Run) *Run {
	first := runs[0]
	m := &Run{
		Schema: Schema, Tool: first.Tool, Contract: first.Contract, Endpoint: first.Endpoint, Started: first.Started,
		Labels: maps.Clone(first.Labels), Complete: true, Command: first.Command, Machine: first.Machine,
	}
	var end time.Time
	for _, r := range runs {
		if r.Started.Before(m.Started) {
			m.Started = r.Started
		}
		if e := r.Started.Add(time.Duration(r.DurationMS * float64(time.Millisecond))); e.After(end) {
			end = e
		}
		m.Complete = m.Complete && r.Complete
		m.Interrupted = m.Interrupted || r.Interrupted
		m.Incomplete = cmp.Or(m.Incomplete, r.Incomplete)
		if r.Command != first.Command {
			m.Command = ""
		}
		if m.Machine != nil && (r.Machine == nil || *r.Machine != *m.Machine) {
			m.Machine = nil
		}
		maps.DeleteFunc(m.Labels, func(k, v string) bool { return r.Labels[k] != v })
	}
	m.DurationMS = float64(end.Sub(m.Started)) / float64(time.Millisecond)
	return m
}

func rebased(list []int, base int) []int {
	out := make([]int, len(list))
	for i, n := range list {
		out[i] = n + base
	}
	return out
}

func (p *Plan) plus(o *Plan) *Plan {
	if o == nil {
		return p
	}
	s := &Plan{
		Requests: p.Requests + o.Requests, Tokens: p.Tokens + o.Tokens, ShortestMS: p.ShortestMS + o.ShortestMS,
		Rules: p.Rules + o.Rules, Unjudged: p.Unjudged + o.Unjudged, WrongSecrets: maps.Clone(o.WrongSecrets), Limits: slices.Concat(o.Limits, p.Limits),
	}
	if s.WrongSecrets == nil {
		s.WrongSecrets = map[string]int{}
	}
	for k, n := range p.WrongSecrets {
		s.WrongSecrets[k] += n
	}
	return s
}

// mergeShards joins the parts of one load. Counts add up, histograms merge exactly, and every quantile
// is read off the merged histogram; no percentile is ever averaged.
func mergeShards(runs []*Run, called func(int) string) (*Run, error) {
	first := runs[0].Load
	seen := map[int]int{}
	for i, r := range runs {
		s := r.Load.Shard
		switch {
		case s.Of != first.Shard.Of || r.Load.Digest != first.Digest:
			return nil, fmt.Errorf("%s is shard %d/%d of another load than %s: their plans differ", called(i), s.Index, s.Of, called(0))
		case s.Index < 1 || s.Index > s.Of:
			return nil, fmt.Errorf("%s says it is shard %d of %d", called(i), s.Index, s.Of)
		case r.Endpoint.URL != runs[0].Endpoint.URL:
			return nil, fmt.Errorf("%s ran against %s and %s against %s", called(i), r.Endpoint.URL, called(0), runs[0].Endpoint.URL)
		}
		if j, twice := seen[s.Index]; twice {
			return nil, fmt.Errorf("%s and %s are both shard %d of %d", called(j), called(i), s.Index, s.Of)
		}
		seen[s.Index] = i
	}
	m := joined(runs)
	l := &Load{
		Profile: first.Profile, Grant: first.Grant, WindowS: first.WindowS, Digest: first.Digest, Population: first.Population,
		Shards: &Shards{Of: first.Shard.Of}, Generator: Generator{Healthy: true},
	}
	m.Load = l
	for n := 1; n <= first.Shard.Of; n++ {
		if _, here := seen[n]; here {
			l.Shards.Merged = append(l.Shards.Merged, n)
		} else {
			l.Shards.Missing = append(l.Shards.Missing, n)
		}
	}
	if len(l.Shards.Missing) > 0 {
		m.Complete, m.Incomplete = false, fmt.Sprintf("shard %s of %d is missing", numbers(l.Shards.Missing), l.Shards.Of)
	}
	early, late := first.Shard.LateMS, first.Shard.LateMS
	hists := map[[2]string]*hdrhistogram.Histogram{}
	windows := map[float64]*hdrhistogram.Histogram{}
	for _, index := range l.Shards.Merged { // in the shards' order, whatever that of the files
		i := seen[index]
		r, s := runs[i], runs[i].Load
		early, late = min(early, s.Shard.LateMS), max(late, s.Shard.LateMS)
		base := len(m.Exchanges)
		m.Exchanges = append(m.Exchanges, r.Exchanges...)
		if err := l.add(s, base, hists, windows); err != nil {
			return nil, fmt.Errorf("%s: %w", called(i), err)
		}
		m.MergedFrom = append(m.MergedFrom, fmt.Sprintf("shard %d: %s", index, called(i)))
	}
	l.Shards.SkewMS = late - early
	return m, l.readOff(hists, windows)
}

func (l *Load) add(s *Load, base int, hists map[[2]string]*hdrhistogram.Histogram, windows map[float64]*hdrhistogram.Histogram) error {
	l.Planned, l.Sent, l.Answered = l.Planned+s.Planned, l.Sent+s.Sent, l.Answered+s.Answered
	l.AskedRate, l.ReachedRate = l.AskedRate+s.AskedRate, l.ReachedRate+s.ReachedRate
	l.ElapsedMS = max(l.ElapsedMS, s.ElapsedMS)
	l.Resumed, l.LostMS = l.Resumed+s.Resumed, l.LostMS+s.LostMS
	l.Aborted, l.Stopped = cmp.Or(l.Aborted, s.Aborted), cmp.Or(l.Stopped, s.Stopped)
	for i, n := range s.Outcomes.Counts() {
		*l.Outcomes.Counts()[i] += *n
	}
	g := &l.Generator
	g.Healthy, g.Reason = g.Healthy && s.Generator.Healthy, cmp.Or(g.Reason, s.Generator.Reason)
	g.Workers, g.MaxWorkers, g.Unsent = g.Workers+s.Generator.Workers, g.MaxWorkers+s.Generator.MaxWorkers, g.Unsent+s.Generator.Unsent
	g.CPUSeconds, g.PeakMemory = g.CPUSeconds+s.Generator.CPUSeconds, g.PeakMemory+s.Generator.PeakMemory
	if c := s.Connections; c != nil {
		if l.Connections == nil {
			l.Connections = &Connections{Kind: c.Kind, Proto: c.Proto, TLS: c.TLS}
		}
		l.Connections.Opened, l.Connections.Reused, l.Connections.Resumed = l.Connections.Opened+c.Opened, l.Connections.Reused+c.Reused, l.Connections.Resumed+c.Resumed
	}
	for _, c := range s.Codes {
		same := func(o CodeCount) bool { return o.Status == c.Status && o.Code == c.Code }
		if i := slices.IndexFunc(l.Codes, same); i >= 0 {
			l.Codes[i].Count += c.Count
		} else {
			l.Codes = append(l.Codes, c)
		}
	}
	for _, f := range s.Findings {
		f.Exchanges = rebased(f.Exchanges, base)
		i := slices.IndexFunc(l.Findings, func(o LoadFinding) bool { return o.Name == f.Name })
		if i < 0 {
			l.Findings = append(l.Findings, f)
			continue
		}
		o := &l.Findings[i]
		o.Count, o.FirstS, o.Exchanges = o.Count+f.Count, min(o.FirstS, f.FirstS), append(o.Exchanges, f.Exchanges...)
		if f.Verdict.severity() > o.Verdict.severity() {
			o.Verdict, o.Message, o.Actual = f.Verdict, f.Message, f.Actual
		}
	}
	for i, st := range s.Stages {
		if i == len(l.Stages) {
			l.Stages = append(l.Stages, Stage{Name: st.Name, FromS: st.FromS, ToS: st.ToS})
		}
		o := &l.Stages[i]
		o.FromRate, o.ToRate, o.Planned, o.Sent = o.FromRate+st.FromRate, o.ToRate+st.ToRate, o.Planned+st.Planned, o.Sent+st.Sent
		o.Token, o.Throttled, o.Other, o.P99MS = o.Token+st.Token, o.Throttled+st.Throttled, o.Other+st.Other, max(o.P99MS, st.P99MS)
	}
	for _, t := range s.Thresholds {
		if !slices.ContainsFunc(l.Thresholds, func(o ThresholdResult) bool { return o.Expression == t.Expression }) {
			l.Thresholds = append(l.Thresholds, ThresholdResult{
				Expression: t.Expression, Source: t.Source, Unit: t.Unit, Limit: t.Limit,
				Verdict: Inconclusive, Reason: "not judged over the merged shards",
			})
		}
	}
	for _, h := range s.Histograms {
		if err := into(hists, [2]string{h.Outcome, h.Kind}, h); err != nil {
			return err
		}
	}
	for _, p := range s.Series {
		i, found := slices.BinarySearchFunc(l.Series, p.TS, func(o SeriesPoint, t float64) int { return cmp.Compare(o.TS, t) })
		if !found {
			l.Series = slices.Insert(l.Series, i, SeriesPoint{TS: p.TS})
		}
		o := &l.Series[i]
		o.Planned, o.Sent, o.Token, o.Throttled, o.Other, o.Errors = o.Planned+p.Planned, o.Sent+p.Sent, o.Token+p.Token, o.Throttled+p.Throttled, o.Other+p.Other, o.Errors+p.Errors
		// The worst shard bounds the whole; a window with its histogram is read off exactly below.
		o.P50MS, o.P90MS, o.P99MS, o.MaxMS = max(o.P50MS, p.P50MS), max(o.P90MS, p.P90MS), max(o.P99MS, p.P99MS), max(o.MaxMS, p.MaxMS)
		o.ServiceP99MS, o.LagP99MS = max(o.ServiceP99MS, p.ServiceP99MS), max(o.LagP99MS, p.LagP99MS)
		if p.Histogram != "" {
			if err := into(windows, p.TS, Histogram{Kind: "response", Outcome: "window", Unit: "us", Encoded: p.Histogram}); err != nil {
				return err
			}
		}
	}
	return nil
}

// into merges one saved histogram into those collected.
func into[K comparable](hists map[K]*hdrhistogram.Histogram, k K, h Histogram) error {
	d, err := h.Decode()
	if err != nil {
		return err
	}
	if hists[k] == nil {
		hists[k] = d
	} else if dropped := hists[k].Merge(d); dropped > 0 {
		return fmt.Errorf("the %s histogram of %s has another form: %d samples do not fit", h.Kind, h.Outcome, dropped)
	}
	return nil
}

// readOff sets every figure that comes from a histogram.
func (l *Load) readOff(hists map[[2]string]*hdrhistogram.Histogram, windows map[float64]*hdrhistogram.Histogram) error {
	keys := slices.SortedFunc(maps.Keys(hists), func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for _, k := range keys {
		e, err := EncodeHistogram(k[0], k[1], hists[k])
		if err != nil {
			return err
		}
		l.Histograms = append(l.Histograms, e)
		q := QuantilesOf(hists[k])
		switch {
		case k == [2]string{"all", "service"}:
			l.Latency.Service = q
		case k == [2]string{"all", "response"}:
			l.Latency.Response = q
		case k[1] == "lag":
			l.Generator.Lag = q
		case k[1] == "handshake":
			if l.Connections != nil {
				l.Connections.Handshake = q
			}
		case k[0] != "all":
			if l.Latency.ByOutcome == nil {
				l.Latency.ByOutcome = map[string]LatencyPair{}
			}
			pair := l.Latency.ByOutcome[k[0]]
			if k[1] == "service" {
				pair.Service = q
			} else {
				pair.Response = q
			}
			l.Latency.ByOutcome[k[0]] = pair
		}
	}
	for i := range l.Series {
		p := &l.Series[i]
		if h := windows[p.TS]; h != nil {
			q := QuantilesOf(h)
			p.P50MS, p.P90MS, p.P99MS, p.MaxMS = q.P50MS, q.P90MS, q.P99MS, q.MaxMS
		}
	}
	for i := range l.Findings {
		if l.Sent > 0 {
			l.Findings[i].Share = float64(l.Findings[i].Count) / float64(l.Sent)
		}
	}
	slices.SortStableFunc(l.Codes, func(a, b CodeCount) int { return cmp.Compare(b.Count, a.Count) })
	return nil
}
