package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/guptarohit/asciigraph"
	"github.com/olekukonko/tablewriter/tw"
)

// load writes what a load run measured: what came, how long it took, whether our own side kept up,
// the throttle, and the thresholds.
func (p *page) load(l *Load) {
	p.loadHead(l)
	p.outcomes(l)
	p.latencies(l)
	p.graphs(l)
	p.generator(l)
	p.stages(l)
	p.capacity(l.Capacity)
	p.against(l.Against)
	p.trend(l.Trend)
	p.throttle(l.Throttle)
	p.thresholds(l)
}

func (p *page) loadHead(l *Load) {
	title := "Load: " + clean(l.Profile)
	if l.Grant != "" {
		title += ", " + clean(l.Grant)
	}
	if l.ElapsedMS > 0 {
		title += ", " + seconds(l.ElapsedMS/1000)
	}
	p.section(title)
	sent := fmt.Sprintf("%s of %s planned", thousands(l.Sent), thousands(l.Planned))
	if l.AskedRate > 0 {
		sent += fmt.Sprintf("; %s asked, %s reached", rate(l.AskedRate), rate(l.ReachedRate))
	}
	p.field(2, 13, "sent", sent)
	p.field(2, 13, "answered", thousands(l.Answered)+" ("+share(l.Answered, l.Sent)+")")
	p.field(2, 13, "connections", connectionsLine(l.Connections))
	p.field(2, 13, "clients", populationLine(l.Population))
	p.field(2, 13, "parts", partsLine(l))
	if l.Resumed > 0 {
		p.field(2, 13, "resumed", fmt.Sprintf("%s from a checkpoint, %s not measured", times(l.Resumed), millis(l.LostMS)))
	}
	if l.Aborted != "" {
		p.field(2, 13, "ended early", "the threshold "+clean(l.Aborted)+" ended the run")
	} else {
		p.field(2, 13, "ended early", clean(l.Stopped))
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func connectionsLine(c *Connections) string {
	if c == nil {
		return ""
	}
	s := fmt.Sprintf("%s, %s opened", clean(c.Kind), thousands(c.Opened))
	if c.Proto != "" {
		s += ", " + clean(c.Proto)
	}
	if c.TLS != "" {
		s += ", " + clean(c.TLS)
	}
	if c.Resumed > 0 {
		s += ", " + thousands(c.Resumed) + " resumed"
	}
	if c.Handshake.Count > 0 {
		s += fmt.Sprintf("; handshake p50 %s, p99 %s", millis(c.Handshake.P50MS), millis(c.Handshake.P99MS))
	}
	return s
}

func populationLine(c *Population) string {
	if c == nil || c.Clients == 0 {
		return ""
	}
	s := thousands(int64(c.Clients))
	if c.Clients > 1 {
		s += ", drawn " + clean(c.Spread)
	}
	if c.HottestShare > 0 {
		s += fmt.Sprintf("; the hottest made %s of the requests", percent(c.HottestShare))
	}
	if c.Users > 0 {
		s += "; " + plural(c.Users, "user")
	}
	return s
}

func partsLine(l *Load) string {
	switch {
	case l.Shard != nil:
		return fmt.Sprintf("this is shard %d of %d; merge them all for the verdicts", l.Shard.Index, l.Shard.Of)
	case l.Shards == nil:
		return ""
	}
	s := fmt.Sprintf("%d of %d shards", len(l.Shards.Merged), l.Shards.Of)
	if len(l.Shards.Missing) > 0 {
		s += ", missing: " + numbers(l.Shards.Missing)
	}
	return s + "; started within " + millis(l.Shards.SkewMS)
}

func numbers(list []int) string {
	var out []string
	for _, n := range list {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, ", ")
}

var right = tw.AlignRight

func (p *page) outcomes(l *Load) {
	p.gap()
	var rows [][]string
	for i, n := range l.Outcomes.Counts() {
		if *n == 0 {
			continue
		}
		name := OutcomeNames[i]
		row := []string{outcomeWord(name), thousands(*n), share(*n, l.Sent)}
		if q, ok := l.Latency.ByOutcome[name]; ok && q.Response.Count > 0 {
			row = append(row, millis(q.Response.P50MS), millis(q.Response.P99MS), millis(q.Response.MaxMS))
		} else {
			row = append(row, "–", "–", "–")
		}
		rows = append(rows, row)
	}
	if unsent := l.Planned - l.Sent; unsent > 0 {
		rows = append(rows, []string{"never sent", thousands(unsent), share(unsent, l.Planned), "–", "–", "–"})
	}
	p.table([]string{"outcome", "count", "share", "p50", "p99", "max"}, tw.Alignment{tw.AlignLeft, right, right, right, right, right}, rows)
	var codes []string
	for _, c := range l.Codes {
		s := fmt.Sprintf("%d", c.Status)
		if c.Code != "" {
			s += " " + clean(c.Code)
		}
		codes = append(codes, s+" × "+thousands(c.Count))
	}
	if len(codes) > 1 {
		p.field(1, 9, "codes", strings.Join(codes, ", "))
	}
}

func (p *page) latencies(l *Load) {
	p.gap()
	row := func(name string, q Quantiles) []string {
		if q.Count == 0 {
			return []string{name, "–", "–", "–", "–", "–", "–", "–"}
		}
		out := []string{name}
		for _, v := range []float64{q.MeanMS, q.P50MS, q.P90MS, q.P95MS, q.P99MS, q.P999MS, q.MaxMS} {
			out = append(out, millis(v))
		}
		return out
	}
	p.table([]string{"latency", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"},
		tw.Alignment{tw.AlignLeft, right, right, right, right, right, right, right},
		[][]string{row("service", l.Latency.Service), row("response", l.Latency.Response), row("lag", l.Generator.Lag)})
	p.text(1, "service: from sent to answered; response: from due to answered; lag: from due to sent")
}

func (p *page) generator(l *Load) {
	p.gap()
	g := l.Generator
	s := "kept up: " + clean(g.Reason)
	if g.Reason == "" {
		s = "kept up"
	}
	if !g.Healthy {
		s = p.paint(yellow, "limited") + ": " + clean(g.Reason) + "; the endpoint is not blamed for it"
	}
	if g.Workers > 0 {
		s += fmt.Sprintf("; %s of at most %s workers", thousands(int64(g.Workers)), thousands(int64(g.MaxWorkers)))
	}
	if g.CPUSeconds > 0 {
		s += "; " + digits(g.CPUSeconds) + " s of CPU"
	}
	if g.PeakMemory > 0 {
		s += ", " + bytesOf(float64(g.PeakMemory)) + " at most"
	}
	p.field(1, 11, "generator", s)
}

func (p *page) stages(l *Load) {
	if len(l.Stages) < 2 {
		return
	}
	p.gap()
	var rows [][]string
	for _, s := range l.Stages {
		at := rate(s.ToRate)
		if s.ToRate != s.FromRate {
			at = digits(s.FromRate) + " to " + at
		}
		rows = append(rows, []string{
			clean(s.Name), seconds(s.FromS) + " – " + seconds(s.ToS), at, thousands(s.Sent),
			share(s.Token, s.Sent), share(s.Throttled, s.Sent), share(s.Other, s.Sent), millis(s.P99MS),
		})
	}
	p.table([]string{"stage", "time", "rate", "sent", "token", "throttled", "other", "p99"},
		tw.Alignment{tw.AlignLeft, tw.AlignLeft, right, right, right, right, right, right}, rows)
}

func (p *page) capacity(c *Capacity) {
	if c == nil {
		return
	}
	p.section("Capacity")
	switch {
	case c.Reason != "":
		p.text(2, clean(c.Reason))
	case c.Confirmed:
		p.text(2, "the thresholds hold at "+rate(c.RatePerS)+", confirmed")
	default:
		p.text(2, "the thresholds held at "+rate(c.RatePerS)+", not confirmed by a second run at that rate")
	}
	if c.BrokeFirst != "" {
		p.text(2, fmt.Sprintf("what broke first: %s, at %s", clean(c.BrokeFirst), rate(c.BrokeAt)))
	}
	if len(c.Steps) == 0 {
		return
	}
	p.gap()
	var rows [][]string
	for _, s := range c.Steps {
		held := p.paint(green, "held")
		if !s.Held {
			held = p.paint(red, "broke") + ": " + clean(s.Broke)
		}
		rows = append(rows, []string{rate(s.RatePerS), rate(s.Reached), millis(s.P99MS), percent(s.Errors), held})
	}
	p.table([]string{"asked", "reached", "p99", "errors", "thresholds"}, tw.Alignment{right, right, right, right, tw.AlignLeft}, rows)
}

func (p *page) against(a *Against) {
	if a == nil {
		return
	}
	p.section("Against " + clean(a.URL))
	p.text(2, fmt.Sprintf("B ÷ A over %s of %s each, in turn; A is this run's endpoint", plural(a.Slices, "slice"), seconds(a.SliceS)))
	p.gap()
	var rows [][]string
	for _, r := range a.Ratios {
		rows = append(rows, []string{clean(r.What), quantity(r.A, r.Unit), quantity(r.B, r.Unit), ratioText(r), clean(r.Verdict)})
	}
	p.table([]string{"figure", "A", "B", "B ÷ A (95 %)", "verdict"}, tw.Alignment{tw.AlignLeft, right, right, right, tw.AlignLeft}, rows)
}

// ratioText is a ratio with its interval: 1.12 (1.08 … 1.16)
func ratioText(r Ratio) string {
	f := func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
	if r.Ratio == 0 || math.IsNaN(r.Ratio) || math.IsInf(r.Ratio, 0) {
		return "–"
	}
	s := f(r.Ratio)
	if r.High > 0 {
		s += " (" + f(r.Low) + " … " + f(r.High) + ")"
	}
	return s
}

func (p *page) trend(t *Trend) {
	if t == nil {
		return
	}
	p.section("Trend over the run: " + string(t.Verdict))
	var rows [][]string
	for _, l := range t.Lines {
		sign := ""
		if l.PerHour > 0 {
			sign = "+"
		}
		if l.PerHour < 0 {
			sign = "−"
		}
		rows = append(rows, []string{
			clean(l.What), quantity(l.First, l.Unit), quantity(l.Last, l.Unit),
			sign + quantity(math.Abs(l.PerHour), l.Unit) + "/h", p.verdict(l.Verdict, string(l.Verdict)),
		})
	}
	if len(rows) > 0 {
		p.table([]string{"figure", "first", "last", "drift", "verdict"}, tw.Alignment{tw.AlignLeft, right, right, right, tw.AlignLeft}, rows)
	}
	for _, l := range t.Lines {
		if l.Reason != "" {
			p.bullet(clean(l.What) + ": " + clean(l.Reason))
		}
	}
	for _, e := range t.Events {
		p.bullet("after " + seconds(e.AtS) + ": " + clean(e.What))
	}
}

func (p *page) throttle(t *Throttle) {
	if t == nil {
		return
	}
	p.section("Throttle")
	for _, f := range throttleFields(t) {
		p.field(2, 15, f[0], f[1])
	}
	if len(t.Conformity) == 0 {
		return
	}
	p.gap()
	var rows [][]string
	for _, c := range t.Conformity {
		rows = append(rows, []string{clean(c.What), short(c.Expected, 24), short(c.Actual, 24), percent(c.Share), p.verdict(c.Verdict, string(c.Verdict))})
	}
	p.table([]string{"when throttled", "expected", "came", "conform", "verdict"}, tw.Alignment{tw.AlignLeft, tw.AlignLeft, tw.AlignLeft, right, tw.AlignLeft}, rows)
}

// throttleFields tells a measured rate limit as names and values.
func throttleFields(t *Throttle) (out [][2]string) {
	add := func(name, value string) {
		if value != "" {
			out = append(out, [2]string{name, value})
		}
	}
	if !t.Limited {
		s := "no limit seen"
		if t.SeenUpTo > 0 {
			s += " up to " + thousands(t.SeenUpTo) + " requests in a row"
		}
		add("measured", s)
	} else {
		s := rate(t.RatePerS)
		if t.RateHigh > t.RateLow {
			s += " (between " + rate(t.RateLow) + " and " + rate(t.RateHigh) + ")"
		}
		add("rate", s)
		s = digits(t.Burst)
		if t.BurstHigh > t.BurstLow {
			s += " (between " + digits(t.BurstLow) + " and " + digits(t.BurstHigh) + ")"
		}
		add("burst", s)
		s = clean(t.Kind)
		if s == "" {
			s = clean(t.Window)
		}
		if t.WindowS > 0 {
			s += " of " + seconds(t.WindowS)
		}
		if t.Undecided != "" {
			s += ": " + clean(t.Undecided)
		}
		add("kind", s)
		add("counted by", clean(t.Scope))
		if t.RunnerUp != nil {
			add("fit", fmt.Sprintf("%s of the answers unexplained; next best %s, %s", percent(t.Mismatch), clean(t.RunnerUp.Kind), percent(t.RunnerUp.Mismatch)))
		}
		if t.SlopePerS > 0 {
			add("slope", rate(t.SlopePerS)+" accepted under saturation, before any fit")
		}
		if t.QueueMS > 0 {
			add("delays", "up to "+millis(t.QueueMS)+" before it refuses")
		}
		add("Retry-After", retryAfterLine(t.RetryAfter))
		if t.RecoveryMS > 0 {
			add("recovers in", millis(t.RecoveryMS))
		}
	}
	if t.Documented != "" {
		s := clean(t.Documented)
		if t.Verdict != "" {
			s += ": " + string(t.Verdict)
		}
		add("documented", s)
	}
	cost := plural(int(t.RequestsUsed), "request")
	if t.Seconds > 0 {
		cost += " in " + seconds(t.Seconds)
	}
	add("cost", cost)
	add("not finished", clean(t.BudgetNeeded))
	return out
}

func retryAfterLine(r RetryAfter) string {
	if !r.Present {
		return "never sent"
	}
	s := "sent"
	if r.PresentShare > 0 && r.PresentShare < 1 {
		s += " with " + percent(r.PresentShare) + " of the refusals"
	}
	if r.TypicalS > 0 {
		s += ", typically " + seconds(r.TypicalS)
	}
	if !r.SyntaxOK {
		s += ", malformed"
	}
	switch {
	case r.Honest == nil:
		s += "; whether waiting so long suffices is undecided"
		if r.Undecided != "" {
			s += ": " + clean(r.Undecided)
		}
	case *r.Honest:
		s += "; waiting so long suffices"
	default:
		s += fmt.Sprintf("; not honest: refused %s after waiting as told", times(r.LateRefusals))
	}
	if r.EarlyAccepts > 0 && r.Trials > 0 {
		s += fmt.Sprintf("; half of it sufficed in %d of %d trials", r.EarlyAccepts, r.Trials)
	}
	return s
}

// short cuts a cell of a table.
func short(s string, n int) string {
	r := []rune(clean(s))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}

func (p *page) thresholds(l *Load) {
	if len(l.Thresholds) == 0 {
		return
	}
	p.gap()
	var rows [][]string
	for _, t := range l.Thresholds {
		word := map[Verdict]string{Pass: "met", Fail: "MISSED"}[t.Verdict]
		if word == "" {
			word = string(t.Verdict)
		}
		rows = append(rows, []string{short(t.Expression, 44), observed(t), thousands(t.Samples), p.verdict(t.Verdict, word)})
	}
	p.table([]string{"threshold", "observed", "samples", "verdict"}, tw.Alignment{tw.AlignLeft, right, right, tw.AlignLeft}, rows)
	for _, t := range l.Thresholds {
		if t.Reason != "" {
			p.bullet(clean(t.Expression) + ": " + clean(t.Reason))
		}
	}
}

func observed(t ThresholdResult) string {
	if t.Verdict == Inconclusive && t.Observed == 0 {
		return "–"
	}
	return quantity(t.Observed, t.Unit)
}

// graphs draws response latency and outcomes over time, when there are points enough for a line.
func (p *page) graphs(l *Load) {
	if len(l.Series) < 3 {
		return
	}
	width := p.width() - 16
	worst := func(of func(SeriesPoint) float64) []float64 { return resample(l.Series, width, of, slices.Max) }
	perS := func(of func(SeriesPoint) int64) []float64 {
		return resample(l.Series, width, func(s SeriesPoint) float64 { return float64(of(s)) / max(l.WindowS, 0.001) }, mean)
	}
	span := seconds(l.Series[len(l.Series)-1].TS + l.WindowS)
	p.gap()
	p.graph("response time in ms over "+span+": ─ p50, • p99", width,
		worst(func(s SeriesPoint) float64 { return s.P50MS }), worst(func(s SeriesPoint) float64 { return s.P99MS }))
	p.gap()
	p.graph("answers per second over "+span+": ─ token, • throttled, x other", width,
		perS(func(s SeriesPoint) int64 { return s.Token }), perS(func(s SeriesPoint) int64 { return s.Throttled }),
		perS(func(s SeriesPoint) int64 { return s.Other }))
}

// resample makes one value of the points that fall on one column.
func resample(points []SeriesPoint, columns int, of func(SeriesPoint) float64, one func([]float64) float64) []float64 {
	n := min(columns, len(points))
	out := make([]float64, n)
	for i := range out {
		var part []float64
		for _, p := range points[i*len(points)/n : (i+1)*len(points)/n] {
			part = append(part, of(p))
		}
		out[i] = one(part)
	}
	return out
}

func mean(values []float64) (m float64) {
	for _, v := range values {
		m += v / float64(len(values))
	}
	return m
}

func (p *page) graph(title string, width int, series ...[]float64) {
	top := 0.0
	for _, s := range series {
		top = max(top, slices.Max(s))
	}
	if top == 0 {
		return
	}
	var shown [][]float64
	chars := []asciigraph.CharSet{asciigraph.DefaultCharSet, asciigraph.CreateCharSet("•"), asciigraph.CreateCharSet("x")}
	var used []asciigraph.CharSet
	for i, s := range slices.Backward(series) { // the first named is drawn last, over the others
		if slices.Max(s) > 0 || i == 0 {
			shown, used = append(shown, s), append(used, chars[i])
		}
	}
	precision := uint(0)
	if top < 10 {
		precision = 1
	}
	if top < 1 {
		precision = 2
	}
	plot := asciigraph.PlotMany(shown, asciigraph.Height(8), asciigraph.Width(width), asciigraph.LowerBound(0),
		asciigraph.Precision(precision), asciigraph.SeriesChars(used...))
	p.line(" " + title)
	for l := range strings.SplitSeq(plot, "\n") {
		p.line(" " + l)
	}
}
