package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter/tw"
)

// A Diff is what changed from one run to a later one.
type Diff struct {
	Old             DiffRun  `json:"old"`
	New             DiffRun  `json:"new"`
	NewlyFailing    []Change `json:"newly_failing"`
	NoLongerChecked []Change `json:"no_longer_checked"`
	Fixed           []Change `json:"fixed"`
	NewlyChecked    []Change `json:"newly_checked"`
	Changed         []Change `json:"changed"`    // any other verdict
	RuleSet         []Change `json:"rule_set"`   // changed with the rules or the settings, not with the endpoint
	Settings        []string `json:"settings"`   // what was set differently
	Load            []Ratio  `json:"load"`       // new ÷ old
	Comparable      string   `json:"comparable"` // why the loads do not compare; "" when they do
	ExitCode        int      `json:"exit_code"`  // 1 when something newly fails or is no longer checked
	Unchanged       int      `json:"unchanged"`  // checks with the same verdict
	StillFailing    []string `json:"still_failing"`
}

type DiffRun struct {
	Contract  string `json:"contract"`
	Endpoint  string `json:"endpoint"`
	Started   string `json:"started"`
	Version   string `json:"version"`
	Catalogue string `json:"catalogue"`
	Judged    string `json:"judged"` // the last line of its table
}

// A Change is one check whose verdict changed. A verdict is empty where the rule was not in the run.
type Change struct {
	Rule     string  `json:"rule"`
	Contract string  `json:"contract,omitempty"`
	Title    string  `json:"title"`
	Was      Verdict `json:"was"`
	Is       Verdict `json:"is"`
	Why      string  `json:"why"` // what came, or why it is no longer judged
}

type checkKey struct{ contract, rule string }

// Compare lists what changed. on is the mildest verdict that counts as failing; "" means fail.
func Compare(old, now *Run, on Verdict) *Diff {
	if on == "" {
		on = Fail
	}
	d := &Diff{Old: diffRun(old), New: diffRun(now), Settings: settings(old, now)}
	several := len(old.Contracts) > 1 || len(now.Contracts) > 1
	before, after := comparableChecks(old, several), comparableChecks(now, several)
	was := map[checkKey]Check{}
	for _, c := range before {
		was[key(c, several)] = c
	}
	seen := map[checkKey]bool{}
	for _, c := range after {
		k := key(c, several)
		seen[k] = true
		b, known := was[k]
		d.compare(old, now, b, c, known, on)
	}
	for _, b := range before {
		if k := key(b, several); !seen[k] {
			gone := Change{Rule: b.Rule, Contract: k.contract, Title: b.Title, Was: b.Verdict, Why: "not in the new run"}
			switch {
			case old.Tool.Catalogue != now.Tool.Catalogue && now.Complete:
				gone.Why = "no longer in the rule set"
				d.RuleSet = append(d.RuleSet, gone)
			case b.Verdict.Judged():
				d.NoLongerChecked = append(d.NoLongerChecked, gone)
			}
		}
	}
	d.load(old.Load, now.Load, old.Machine, now.Machine)
	if len(d.NewlyFailing)+len(d.NoLongerChecked) > 0 {
		d.ExitCode = ExitFail
	}
	return d
}

func diffRun(r *Run) DiffRun {
	name := r.Contract.Name
	for i, c := range r.Contracts {
		if i == 0 {
			name = c.Contract.Name
		} else {
			name += ", " + c.Contract.Name
		}
	}
	return DiffRun{name, r.Endpoint.URL, when(r.Started), r.Tool.Version, r.Tool.Catalogue, LastLine(r)}
}

func key(c Check, several bool) checkKey {
	if several {
		return checkKey{c.Contract, c.Rule}
	}
	return checkKey{"", c.Rule}
}

// comparableChecks are the checks of a run, its load findings and its thresholds, in one form.
func comparableChecks(r *Run, several bool) []Check {
	out := slices.Clone(r.Checks)
	for i := range out {
		if several && out[i].Contract == "" {
			out[i].Contract = r.Contract.Name
		}
	}
	if r.Load == nil {
		return out
	}
	for _, f := range r.Load.Findings {
		out = append(out, f.check())
	}
	for _, t := range r.Load.Thresholds {
		out = append(out, Check{Rule: "threshold " + t.Expression, Verdict: t.Verdict, Actual: observed(t), Reason: t.Reason, Group: "load"})
	}
	return out
}

func settings(old, now *Run) (out []string) {
	add := func(what, a, b string) {
		if a != b {
			out = append(out, fmt.Sprintf("%s: %s, now %s", what, cmp.Or(a, "none"), cmp.Or(b, "none")))
		}
	}
	add("contract", old.Contract.Name, now.Contract.Name)
	add("rule set", old.Tool.Catalogue, now.Tool.Catalogue)
	add("edition", old.Contract.Edition, now.Contract.Edition)
	add("strict", fmt.Sprint(old.Contract.Strict), fmt.Sprint(now.Contract.Strict))
	add("verdicts that decide", string(cmp.Or(old.Contract.Decide, BothSides)), string(cmp.Or(now.Contract.Decide, BothSides)))
	add("complete", fmt.Sprint(old.Complete), fmt.Sprint(now.Complete))
	return out
}

func (d *Diff) compare(old, now *Run, b, c Check, known bool, on Verdict) {
	wasContract, isContract := old.contractOf(b.Contract), now.contractOf(c.Contract)
	failed := known && b.counted(wasContract).severity() >= on.severity()
	fails := c.counted(isContract).severity() >= on.severity()
	if c.Verdict == Pass {
		c.Message, c.Reason = "", ""
	}
	ch := Change{Rule: c.Rule, Title: c.Title, Was: b.Verdict, Is: c.Verdict, Why: cmp.Or(c.Message, c.Actual, c.Reason)}
	if len(old.Contracts) > 1 || len(now.Contracts) > 1 {
		ch.Contract = c.Contract
	}
	otherRules := old.Tool.Catalogue != now.Tool.Catalogue
	switch {
	case known && b.Verdict == c.Verdict && failed == fails:
		d.Unchanged++
		if fails {
			d.StillFailing = append(d.StillFailing, now.qualified(c.Contract, c.Rule))
		}
	case !known && otherRules:
		ch.Why = "new in the rule set: " + cmp.Or(ch.Why, string(c.Verdict))
		d.RuleSet = append(d.RuleSet, ch)
	case known && b.Verdict.Judged() && c.Verdict.Judged() && b.Documented == c.Documented && b.Standard == c.Standard && b.Waiver == nil && c.Waiver == nil && c.Group != "load":
		ch.Why = "the endpoint did the same; the settings read it differently"
		d.RuleSet = append(d.RuleSet, ch)
	case known && otherRules && (b.Posture != c.Posture || b.Level != c.Level || b.Source != c.Source):
		ch.Why = fmt.Sprintf("the rule was %s %s %s and is %s %s %s", b.Level, b.Source, b.Posture, c.Level, c.Source, c.Posture)
		d.RuleSet = append(d.RuleSet, ch)
	case known && !b.Verdict.Judged() && b.ReasonKind == OtherEdition, known && c.ReasonKind == OtherEdition:
		ch.Why = "not in both editions"
		d.RuleSet = append(d.RuleSet, ch)
	case fails && !failed:
		if b.Waiver != nil && c.Waiver == nil || c.Waiver != nil && c.Waiver.State == "expired" {
			ch.Why = "its waiver ended: " + ch.Why
		}
		d.NewlyFailing = append(d.NewlyFailing, ch)
	case known && b.Verdict.Judged() && !c.Verdict.Judged():
		ch.Why = cmp.Or(c.Reason, ch.Why)
		d.NoLongerChecked = append(d.NoLongerChecked, ch)
	case failed:
		d.Fixed = append(d.Fixed, ch)
	case c.Verdict.Judged() && (!known || !b.Verdict.Judged()):
		d.NewlyChecked = append(d.NewlyChecked, ch)
	case known:
		d.Changed = append(d.Changed, ch)
	}
}

// load compares what two loads measured, as ratios new ÷ old, each with its noise.
func (d *Diff) load(old, now *Load, was, is *Machine) {
	if old == nil || now == nil {
		return
	}
	var differ []string
	if old.Profile != now.Profile || old.Digest != now.Digest {
		differ = append(differ, "another plan")
	}
	if a, b := old.Connections, now.Connections; a != nil && b != nil && a.Kind != b.Kind {
		differ = append(differ, "connections "+a.Kind+", now "+b.Kind)
	}
	if a, b := old.Population, now.Population; a != nil && b != nil && (a.Clients != b.Clients || a.Spread != b.Spread) {
		differ = append(differ, "other clients")
	}
	if was != nil && is != nil && (was.Arch != is.Arch || was.CPUs != is.CPUs || was.OS != is.OS) {
		differ = append(differ, "another machine")
	}
	if !old.Generator.Healthy || !now.Generator.Healthy {
		differ = append(differ, "the generator did not keep up")
	}
	d.Comparable = strings.Join(differ, ", ")
	type figure struct {
		name    string
		of      func(Latency) (Quantiles, float64)
		q       float64
		kind    string
		windows func(SeriesPoint) float64
	}
	p50 := func(s SeriesPoint) float64 { return s.P50MS }
	p99 := func(s SeriesPoint) float64 { return s.P99MS }
	for _, kind := range []string{"response", "service"} {
		pick := func(l Latency) Quantiles {
			if kind == "service" {
				return l.Service
			}
			return l.Response
		}
		for _, f := range []figure{
			{"p50", func(l Latency) (Quantiles, float64) { return pick(l), pick(l).P50MS }, 0.5, kind, p50},
			{"p95", func(l Latency) (Quantiles, float64) { return pick(l), pick(l).P95MS }, 0.95, kind, p99},
			{"p99", func(l Latency) (Quantiles, float64) { return pick(l), pick(l).P99MS }, 0.99, kind, p99},
			{"p99.9", func(l Latency) (Quantiles, float64) { return pick(l), pick(l).P999MS }, 0.999, kind, p99},
		} {
			qa, a := f.of(old.Latency)
			qb, b := f.of(now.Latency)
			if a <= 0 || b <= 0 {
				continue
			}
			noise := math.Hypot(rankNoise(old, kind, f.q), rankNoise(now, kind, f.q))
			noise = math.Max(noise, windowNoise(old.Series, now.Series, f.windows))
			if float64(min(qa.Count, qb.Count))*(1-f.q) < 10 { // fewer than ten answers lie beyond it
				noise = math.NaN()
			}
			d.Load = append(d.Load, newRatio(kind+" "+f.name, "ms", a, b, noise, true, d.Comparable == ""))
		}
	}
	if old.ReachedRate > 0 && now.ReachedRate > 0 {
		sent := func(s SeriesPoint) float64 { return float64(s.Sent) }
		d.Load = append(d.Load, newRatio("rate reached", "per_s", old.ReachedRate, now.ReachedRate, windowNoise(old.Series, now.Series, sent), false, d.Comparable == ""))
	}
	if a, b := old.Capacity, now.Capacity; a != nil && b != nil && a.RatePerS > 0 && b.RatePerS > 0 {
		d.Load = append(d.Load, newRatio("capacity", "per_s", a.RatePerS, b.RatePerS, 0.05, false, d.Comparable == ""))
	}
	if a, b := old.Throttle, now.Throttle; a != nil && b != nil && a.Limited && b.Limited {
		// The limit is the endpoint's alone: neither machine nor plan stands in the way of comparing it.
		d.Load = append(d.Load, newRatio("throttle rate", "per_s", a.RatePerS, b.RatePerS, math.Hypot(spread(a.RateLow, a.RateHigh), spread(b.RateLow, b.RateHigh)), false, true))
		if a.Burst > 0 && b.Burst > 0 {
			d.Load = append(d.Load, newRatio("throttle burst", "", a.Burst, b.Burst, math.Hypot(1/a.Burst, 1/b.Burst)/2, false, true))
		}
	}
}

// sameWithin is how far a ratio may be from 1 and still be called the same.
const sameWithin = 0.05

// newRatio judges B ÷ A. noise is the standard error of its logarithm, NaN when unknown.
func newRatio(what, unit string, a, b, noise float64, lessIsBetter, comparable bool) Ratio {
	r := Ratio{What: what, Unit: unit, A: a, B: b, Ratio: b / a, Verdict: "undecided"}
	if math.IsNaN(noise) || !comparable {
		return r
	}
	r.Low, r.High = r.Ratio*math.Exp(-1.96*noise), r.Ratio*math.Exp(1.96*noise)
	up, down := "worse", "better"
	if !lessIsBetter {
		up, down = down, up
	}
	switch {
	case r.Low > 1+sameWithin:
		r.Verdict = up
	case r.High < 1-sameWithin:
		r.Verdict = down
	case r.Low > 1-3*sameWithin && r.High < 1+3*sameWithin:
		r.Verdict = "same"
	}
	return r
}

// spread is the standard error of the logarithm of a figure known as an interval.
func spread(low, high float64) float64 {
	if low <= 0 || high <= low {
		return 0.01 // what the estimator can do at its best
	}
	return math.Log(high/low) / (2 * 1.96)
}

// rankNoise is the standard error of the logarithm of a quantile, from the ranks beside it. It takes
// answers as independent, which they are not: windowNoise looks at the run as it went.
func rankNoise(l *Load, kind string, q float64) float64 {
	h := l.histogram("all", kind)
	if h == nil || h.TotalCount() == 0 {
		return 0
	}
	n := float64(h.TotalCount())
	off := 1.96 * math.Sqrt(q*(1-q)/n)
	low, high := h.ValueAtQuantile(100*math.Max(0, q-off)), h.ValueAtQuantile(100*math.Min(1, q+off))
	if low <= 0 {
		return math.NaN()
	}
	return math.Log(float64(high)/float64(low)) / (2 * 1.96)
}

// windowNoise is the standard error of the mean log ratio over windows, window by window, from at most
// ten batches of neighbours: a disturbance lasts longer than one window.
func windowNoise(a, b []SeriesPoint, of func(SeriesPoint) float64) float64 {
	var logs []float64
	for i := range min(len(a), len(b)) {
		if x, y := of(a[i]), of(b[i]); x > 0 && y > 0 {
			logs = append(logs, math.Log(y/x))
		}
	}
	if len(logs) < 4 {
		return math.NaN()
	}
	var batches []float64
	for part := range slices.Chunk(logs, max(1, (len(logs)+9)/10)) {
		batches = append(batches, mean(part))
	}
	m, s := mean(batches), 0.0
	for _, v := range batches {
		s += (v - m) * (v - m)
	}
	return math.Sqrt(s / float64(len(batches)-1) / float64(len(batches)))
}

// sections are the changes in reading order.
func (d *Diff) sections() []struct {
	Title   string
	Changes []Change
} {
	return []struct {
		Title   string
		Changes []Change
	}{
		{"Newly failing", d.NewlyFailing},
		{"No longer checked", d.NoLongerChecked},
		{"Fixed", d.Fixed},
		{"Newly checked", d.NewlyChecked},
		{"Changed otherwise", d.Changed},
		{"Changed with the rule set or the settings, not with the endpoint", d.RuleSet},
	}
}

func (c Change) name() string {
	if c.Contract != "" {
		return clean(c.Contract) + ": " + clean(c.Rule)
	}
	return clean(c.Rule)
}

func (c Change) step() string {
	return cmp.Or(string(c.Was), "not there") + " → " + cmp.Or(string(c.Is), "not there")
}

// Line says in one line what changed.
func (d *Diff) Line() string {
	var out []string
	for _, s := range d.sections() {
		if len(s.Changes) > 0 {
			title, _, _ := strings.Cut(s.Title, ",")
			out = append(out, fmt.Sprintf("%d %s", len(s.Changes), strings.ToLower(title)))
		}
	}
	for _, word := range []string{"worse", "better"} {
		var list []Ratio
		for _, r := range d.Load {
			if r.Verdict == word {
				list = append(list, r)
			}
		}
		if len(list) > 0 {
			out = append(out, fmt.Sprintf("%s %s (%s × %s)", plural(len(list), "load figure"), word, list[0].What, ratioText(Ratio{Ratio: list[0].Ratio})))
		}
	}
	if len(out) == 0 {
		return fmt.Sprintf("nothing changed, %d still failing", len(d.StillFailing))
	}
	return strings.Join(out, ", ") + fmt.Sprintf("; %d unchanged, %d still failing", d.Unchanged, len(d.StillFailing))
}

// WriteTable renders the changes for a terminal.
func (d *Diff) WriteTable(w io.Writer, s Style) error {
	p := &page{Style: s}
	for _, r := range []struct {
		name string
		run  DiffRun
	}{{"old", d.Old}, {"new", d.New}} {
		p.field(0, 5, r.name, clean(fmt.Sprintf("%s, %s, grantcheck %s, rule set %s", r.run.Contract, r.run.Started, r.run.Version, r.run.Catalogue)))
		p.field(5, 0, "", clean(r.run.Judged))
	}
	for _, s := range d.Settings {
		p.field(0, 5, "set", clean(s))
	}
	for _, s := range d.sections() {
		if len(s.Changes) == 0 {
			continue
		}
		p.section(fmt.Sprintf("%s: %d", s.Title, len(s.Changes)))
		for _, c := range s.Changes {
			p.line("  " + c.name() + "  " + p.paint(dim, c.step()))
			p.text(6, clean(c.Why))
		}
	}
	if len(d.Load) > 0 {
		p.section("Load, new ÷ old")
		if d.Comparable != "" {
			p.text(2, "the loads do not compare: "+clean(d.Comparable))
		}
		var rows [][]string
		for _, r := range d.Load {
			rows = append(rows, []string{clean(r.What), quantity(r.A, r.Unit), quantity(r.B, r.Unit), ratioText(r), clean(r.Verdict)})
		}
		p.table([]string{"figure", "old", "new", "new ÷ old (95 %)", "verdict"}, tw.Alignment{tw.AlignLeft, right, right, right, tw.AlignLeft}, rows)
	}
	p.gap()
	p.line(d.Line())
	return p.to(w)
}

// WriteMarkdown renders the changes for a merge request.
func (d *Diff) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n", mdText(d.Line()))
	fmt.Fprintf(&b, "| | contract | started | rule set | judged |\n|---|---|---|---|---|\n")
	for _, r := range []struct {
		name string
		run  DiffRun
	}{{"old", d.Old}, {"new", d.New}} {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.name, mdText(r.run.Contract), mdText(r.run.Started), mdText(r.run.Catalogue), mdText(r.run.Judged))
	}
	for _, s := range d.Settings {
		fmt.Fprintf(&b, "\n- %s", mdText(s))
	}
	for _, s := range d.sections() {
		if len(s.Changes) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n\n#### %s (%d)\n\n| rule | was → is | what |\n|---|---|---|\n", s.Title, len(s.Changes))
		for _, c := range s.Changes {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", mdCode(c.name()), c.step(), mdText(c.Why))
		}
	}
	if len(d.Load) > 0 {
		b.WriteString("\n\n#### Load, new ÷ old\n\n")
		if d.Comparable != "" {
			fmt.Fprintf(&b, "The loads do not compare: %s.\n\n", mdText(d.Comparable))
		}
		b.WriteString("| figure | old | new | new ÷ old (95 %) | verdict |\n|---|---:|---:|---:|---|\n")
		for _, r := range d.Load {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", mdText(r.What), quantity(r.A, r.Unit), quantity(r.B, r.Unit), ratioText(r), mdText(r.Verdict))
		}
	}
	_, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n")
	return err
}

// WriteJSON saves the changes. Lists are never null.
func (d *Diff) WriteJSON(w io.Writer) error {
	o := *d
	for _, l := range []*[]Change{&o.NewlyFailing, &o.NoLongerChecked, &o.Fixed, &o.NewlyChecked, &o.Changed, &o.RuleSet} {
		*l = append([]Change{}, *l...)
	}
	o.Settings, o.StillFailing, o.Load = append([]string{}, o.Settings...), append([]string{}, o.StillFailing...), append([]Ratio{}, o.Load...)
	return writeJSON(w, o)
}

func names(changes []Change) (out []string) {
	for _, c := range changes {
		out = append(out, c.name())
	}
	return out
}
