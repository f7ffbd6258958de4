package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

var (
	//go:embed assets/report.html.tmpl
	pageTemplate string
	//go:embed assets/report.css
	pageCSS string
	//go:embed assets/report.js
	pageJS string
	//go:embed assets/uPlot.iife.min.js
	uplotJS string
	//go:embed assets/uPlot.min.css
	uplotCSS string
	//go:embed assets/uPlot.LICENSE
	uplotLicense string

	htmlPage = template.Must(template.New("report").Parse(pageTemplate))
)

// transcriptRoom is how many runes all transcripts of a page share.
const transcriptRoom = 500_000

// WriteHTML renders a run as one page that loads nothing, works without JavaScript, and says so in its
// content security policy.
func WriteHTML(w io.Writer, r Run) error {
	p := htmlView(&r)
	css, js := pageCSS, pageJS
	if len(p.Plots) > 0 {
		css = uplotCSS + "\n" + css
		js = "/*!\n" + uplotLicense + "*/\n" + uplotJS + "\n" + js
	}
	p.Style = template.HTML("<style>" + css + "</style>")
	p.Script = template.HTML("<script>" + js + "</script>")
	p.CSP = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", cspHash(css), cspHash(js))
	if err := htmlPage.Execute(w, p); err != nil {
		return fmt.Errorf("html: %w", err)
	}
	return nil
}

func cspHash(s string) string {
	h := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(h[:])
}

// What the template is given: text, cleaned already. html/template escapes it.
type htmlData struct {
	CSP           string
	Style, Script template.HTML
	Title, Word   string
	Endpoints     []htmlEndpoint
	LastLine      string
	Reason        string
	Red           bool
	ExitCode      int
	Tiles         []htmlTile
	Meta          []htmlField
	Incomplete    string
	Preflight     []Preflight
	Several       bool
	Groups        *htmlGroups
	Load          *htmlLoad
	DidNotHold    []htmlFinding
	Sections      []htmlSection
	Filters       []htmlFilter
	Open          []htmlOpen
	Lists         []htmlList
	Exchanges     []htmlExchange
	Tool          string
	Pages         []string
	Plots         []htmlPlot
}

type (
	htmlEndpoint struct{ Name, URL string }
	htmlTile     struct {
		Verdict Verdict
		Count   int
	}
	htmlField struct {
		Name, Value string
		Came        bool
	}
	htmlCell struct {
		Text  string
		Class string
	}
	htmlGroups struct {
		Head []string
		Rows [][]htmlCell
		Foot [][]htmlCell
	}
	htmlSection struct {
		Title, Count string
		Findings     []htmlFinding
	}
	htmlFilter struct {
		Name, All string
		Options   []string
	}
	htmlOpen struct {
		Name, Why, Rules string
		Count            int
	}
	htmlList struct {
		Title string
		Items []string
	}
	htmlFinding struct {
		ID, Name, Title, Group, Level, Contract string
		Verdict                                 Verdict
		DidNotHold, Unfolded                    bool
		Fields                                  []htmlField
		Places, Links                           []string
		Exchanges                               []htmlExchange
		Seen                                    []int
	}
	htmlExchange struct {
		ID, Title, Text, Curl string
		Unfolded              bool
	}
	htmlLoad struct {
		Title   string
		Head    []htmlField
		Tables  []htmlTable
		Figures []htmlFigure
	}
	htmlTable struct {
		Title string
		Head  []htmlCell
		Rows  [][]htmlCell
		Note  string
	}
	htmlFigure struct {
		ID, Title, About string
		SVG              template.HTML
	}
	// An htmlPlot is one picture as the page's script draws it.
	htmlPlot struct {
		ID     string       `json:"id"`
		X      string       `json:"x"` // time, or share for a percentile curve
		Unit   string       `json:"unit"`
		Log    bool         `json:"log"`
		Names  []string     `json:"names"`
		Colors []int        `json:"colors"` // 1 … 4
		Dash   []bool       `json:"dash,omitempty"`
		Data   [][]*float64 `json:"data"` // x first
	}
)

func htmlView(r *Run) *htmlData {
	p := &htmlData{
		Title: clean(cmp.Or(r.Contract.Title, r.Contract.Name, "Token endpoint")), LastLine: LastLine(r), Reason: clean(r.ExitReason),
		Red: r.ExitCode != ExitOK, ExitCode: r.ExitCode, Several: len(r.Contracts) > 1,
		Tool: clean(r.Tool.Name) + " " + clean(r.Tool.Version) + ", rule set " + clean(r.Tool.Catalogue),
	}
	p.Word = map[bool]string{true: "did not hold", false: "held"}[p.Red]
	contracts := []Contract{r.Contract}
	if p.Several {
		contracts = contracts[:0]
		p.Title = fmt.Sprintf("%d token endpoints", len(r.Contracts))
		for _, c := range r.Contracts {
			contracts = append(contracts, c.Contract)
			p.Endpoints = append(p.Endpoints, htmlEndpoint{contractLine(c.Contract), endpointLine(c.Endpoint)})
		}
	} else {
		p.Endpoints = []htmlEndpoint{{URL: endpointLine(r.Endpoint)}}
		p.meta("contract", contractLine(r.Contract))
	}
	for _, c := range contracts {
		for _, s := range c.Pages {
			p.Pages = append(p.Pages, clean(s))
		}
	}
	for _, v := range []Verdict{Fail, Error, Warn, Waived, Note, Pass, Inconclusive, Blocked, Skip} {
		if n := r.Summary.Count(v); n > 0 {
			p.Tiles = append(p.Tiles, htmlTile{v, n})
		}
	}
	p.meta("rule set", clean(r.Tool.Catalogue))
	p.meta("started", when(r.Started))
	p.meta("took", millis(r.DurationMS))
	for _, l := range labels(r) {
		name, value, _ := strings.Cut(l, "=")
		p.meta(name, value)
	}
	p.meta("run", machineLine(r.Machine))
	p.meta("command", clean(r.Command))
	if !r.Complete {
		p.Incomplete = incomplete(r)
	}
	for _, f := range r.Preflight {
		p.Preflight = append(p.Preflight, Preflight{Contract: clean(f.Contract), Message: clean(f.Message), Remedy: clean(f.Remedy)})
	}
	p.groups(r)
	if r.Load != nil {
		p.load(r.Load)
	}
	p.findings(r)
	for _, o := range r.openReasons() {
		p.Open = append(p.Open, htmlOpen{o.name(), o.text, fewer(o.rules, 8), len(o.rules)})
	}
	p.lists(r)
	return p
}

func (p *htmlData) meta(name, value string) {
	if value != "" {
		p.Meta = append(p.Meta, htmlField{Name: name, Value: value})
	}
}

func verdictCell(v Verdict, n int) htmlCell {
	if n == 0 {
		return htmlCell{"·", "zero"}
	}
	return htmlCell{strconv.Itoa(n), "t-" + string(v)}
}

func (p *htmlData) groups(r *Run) {
	if len(r.Checks) == 0 {
		return
	}
	g := &htmlGroups{Head: []string{"group"}}
	p.Groups = g
	if !p.Several {
		shown := []Verdict{Pass, Note, Warn, Fail, Waived}
		for _, v := range shown {
			g.Head = append(g.Head, string(v))
		}
		g.Head = append(g.Head, "open", "as documented", "per the standard")
		row := func(name string, in func(Check) bool) []htmlCell {
			t := r.tally(in)
			if t.Applies == 0 {
				return nil
			}
			d, s := r.sides(in)
			cells := []htmlCell{{Text: name}}
			for _, v := range shown {
				cells = append(cells, verdictCell(v, t.Summary.Count(v)))
			}
			return append(cells, verdictCell(Skip, t.Applies-t.Judged), htmlCell{Text: d.String()}, htmlCell{Text: s.String()})
		}
		for _, name := range groupNames(r.Checks) {
			if cells := row(clean(name), func(c Check) bool { return c.Group == name }); cells != nil {
				g.Rows = append(g.Rows, cells)
			}
		}
		g.Foot = [][]htmlCell{row("all", func(Check) bool { return true })}
		return
	}
	foot := [][]htmlCell{{{Text: "as documented"}}, {{Text: "per the standard"}}, {{Text: "judged"}}}
	for _, c := range r.Contracts {
		in := func(k Check) bool { return k.Contract == c.Contract.Name }
		g.Head = append(g.Head, clean(c.Contract.Name))
		d, s := r.sides(in)
		t := r.tally(in)
		for i, text := range []string{d.String(), s.String(), fmt.Sprintf("%d of %d", t.Judged, t.Applies)} {
			foot[i] = append(foot[i], htmlCell{Text: text})
		}
	}
	for _, name := range groupNames(r.Checks) {
		cells, any := []htmlCell{{Text: clean(name)}}, false
		for _, c := range r.Contracts {
			t := r.tally(func(k Check) bool { return k.Contract == c.Contract.Name && k.Group == name })
			class := ""
			for _, v := range []Verdict{Fail, Warn, Waived} {
				if t.Summary.Count(v) > 0 {
					class = "t-" + string(v)
					break
				}
			}
			any = any || t.Applies > 0
			cells = append(cells, htmlCell{cell(t), class})
		}
		if any {
			g.Rows = append(g.Rows, cells)
		}
	}
	g.Foot = foot
}

func (p *htmlData) findings(r *Run) {
	checks := slices.Clone(r.Checks)
	if r.Load != nil {
		for _, f := range r.Load.Findings {
			checks = append(checks, f.check())
		}
	}
	if len(checks) == 0 {
		return
	}
	// Transcripts share a room, so that a page stays one that opens at once.
	used, room := map[int]bool{}, 0
	for _, c := range checks {
		for _, i := range c.Exchanges {
			used[i] = true
		}
	}
	for i := range r.Exchanges {
		if used[i] {
			room++
		}
	}
	room = max(200, min(4000, transcriptRoom/max(1, room)/2))
	told := map[int]bool{} // exchanges shown in a finding
	var groups []htmlSection
	fails := len(r.found(Fail))
	for _, v := range []Verdict{Fail, Error, Warn, Waived, Note} {
		for _, c := range checks {
			if c.Verdict == v {
				f := p.finding(r, c)
				f.DidNotHold, f.Unfolded = true, v == Fail && fails <= 5
				best := telling(r, c)
				for _, i := range c.Exchanges {
					if i < 0 || i >= len(r.Exchanges) {
						continue
					}
					shows := best == &r.Exchanges[i]
					if told[i] && !shows {
						f.Seen = append(f.Seen, i)
						continue
					}
					x := htmlExchangeOf(r.Exchanges[i], i, room)
					x.Unfolded = shows
					if told[i] {
						x.ID = ""
					}
					told[i] = true
					f.Exchanges = append(f.Exchanges, x)
				}
				p.DidNotHold = append(p.DidNotHold, f)
			}
		}
	}
	for _, c := range checks {
		if c.Verdict != Pass && c.Verdict.Judged() || c.Verdict == Error {
			continue
		}
		f := p.finding(r, c)
		for _, i := range c.Exchanges {
			if i >= 0 && i < len(r.Exchanges) {
				f.Seen = append(f.Seen, i)
			}
		}
		name := clean(c.Group)
		i := slices.IndexFunc(groups, func(s htmlSection) bool { return s.Title == name })
		if i < 0 {
			i, groups = len(groups), append(groups, htmlSection{Title: name})
		}
		groups[i].Findings = append(groups[i].Findings, f)
	}
	for i := range groups {
		byVerdict := Summary{}
		for _, f := range groups[i].Findings {
			*byVerdict.of(f.Verdict)++
		}
		var parts []string
		for _, v := range []Verdict{Pass, Inconclusive, Blocked, Skip} {
			if n := byVerdict.Count(v); n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, v))
			}
		}
		groups[i].Count = strings.Join(parts, ", ")
	}
	p.Sections = groups
	for i := range r.Exchanges {
		if used[i] && !told[i] {
			p.Exchanges = append(p.Exchanges, htmlExchangeOf(r.Exchanges[i], i, room))
		}
	}
	distinct := func(of func(Check) string) (out []string) {
		for _, c := range checks {
			if s := of(c); s != "" && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return out
	}
	p.Filters = []htmlFilter{
		{"verdict", "all verdicts", distinct(func(c Check) string { return string(c.Verdict) })},
		{"group", "all groups", distinct(func(c Check) string { return clean(c.Group) })},
		{"level", "all levels", distinct(levelWord)},
	}
	if p.Several {
		p.Filters = append(p.Filters, htmlFilter{"contract", "all contracts", distinct(func(c Check) string { return clean(c.Contract) })})
	}
}

func (p *htmlData) finding(r *Run, c Check) htmlFinding {
	f := htmlFinding{
		ID: clean(c.Rule), Name: clean(c.Rule), Title: clean(c.Title), Group: clean(c.Group), Level: levelWord(c),
		Contract: clean(c.Contract), Verdict: c.Verdict,
	}
	if p.Several {
		f.ID = f.Contract + ":" + f.Name
		f.Name += " · " + f.Contract
	}
	add := func(name, value string) {
		if value != "" {
			f.Fields = append(f.Fields, htmlField{name, value, name == "came"})
		}
	}
	add("requirement", clean(c.Requirement))
	add("expected", clean(c.Expected))
	add("came", clean(c.Actual))
	if c.Message != c.Actual {
		add("finding", clean(c.finding()))
	}
	add("clause", clauseLine(c))
	add("why", clean(c.Why))
	if c.Verdict.Judged() && (c.Documented != "" || c.Standard != "") {
		add("verdicts", sidesLine(c))
	}
	if c.Waiver != nil {
		add("waived", waiverLine(*c.Waiver))
	}
	add("reason", clean(c.Reason))
	for _, s := range c.Places {
		f.Places = append(f.Places, clean(s))
	}
	for _, s := range c.Links {
		f.Links = append(f.Links, clean(s))
	}
	return f
}

// levelWord is the requirement word, and for rules without one what they rest on.
func levelWord(c Check) string {
	switch c.Level {
	case "NONE":
		return "practice"
	case "DOC":
		return "documented"
	}
	return clean(c.Level)
}

func htmlExchangeOf(x Exchange, i, room int) htmlExchange {
	title := fmt.Sprintf("exchange %d", i)
	if x.Purpose != "" {
		title += ", " + clean(x.Purpose)
	}
	if x.Response != nil {
		title += fmt.Sprintf(": %s answered %d in %s", clean(x.Request.Method), x.Response.Status, millis(x.TookMS))
	} else {
		title += ": no answer"
	}
	x.Request.Body = cleanUpTo(x.Request.Body, room, true)
	if x.Response != nil {
		answer := *x.Response
		answer.Body = cleanUpTo(answer.Body, room, true)
		x.Response = &answer
	}
	return htmlExchange{ID: "x" + strconv.Itoa(i), Title: title, Text: strings.Join(transcript(x), "\n"), Curl: cleanCommand(x.Curl)}
}

func (p *htmlData) lists(r *Run) {
	add := func(title string, items []string) {
		if len(items) > 0 {
			p.Lists = append(p.Lists, htmlList{title, items})
		}
	}
	var facts, unlocks, waivers []string
	for _, f := range r.Facts {
		s := r.qualified(clean(f.Contract), clean(f.Title)) + ": " + clean(f.Value)
		for _, more := range []string{f.Why, f.Source} {
			if more != "" {
				s += " (" + clean(more) + ")"
			}
		}
		facts = append(facts, s)
	}
	for _, u := range r.Unlocks {
		unlocks = append(unlocks, unlockLine(r, u))
	}
	for _, w := range r.Waivers {
		if s := waiverState(r, w); s != "" {
			waivers = append(waivers, s)
		}
	}
	add("Found, and never failed", facts)
	add("Would let more be judged", unlocks)
	add("Waivers to look at", waivers)
	add("Left open by the page", r.leftOpen())
}

func textCells(texts ...string) (out []htmlCell) {
	for _, t := range texts {
		out = append(out, htmlCell{Text: t})
	}
	return out
}

func (p *htmlData) load(l *Load) {
	h := &htmlLoad{Title: "Load: " + clean(l.Profile)}
	p.Load = h
	head := func(name, value string) {
		if value != "" {
			h.Head = append(h.Head, htmlField{Name: name, Value: value})
		}
	}
	head("grant", clean(l.Grant))
	sent := fmt.Sprintf("%s of %s planned in %s", thousands(l.Sent), thousands(l.Planned), seconds(l.ElapsedMS/1000))
	if l.AskedRate > 0 {
		sent += fmt.Sprintf("; %s asked, %s reached", rate(l.AskedRate), rate(l.ReachedRate))
	}
	head("sent", sent)
	head("answered", thousands(l.Answered)+" ("+share(l.Answered, l.Sent)+")")
	head("connections", connectionsLine(l.Connections))
	head("clients", populationLine(l.Population))
	head("parts", partsLine(l))
	generator := "kept up"
	if !l.Generator.Healthy {
		generator = "generator limited: " + clean(l.Generator.Reason) + "; the endpoint is not blamed for it"
	}
	head("generator", generator)
	if l.Aborted != "" {
		head("ended early", "the threshold "+clean(l.Aborted)+" ended the run")
	}
	head("ended early", clean(l.Stopped))
	if c := l.Capacity; c != nil {
		s := "the thresholds hold at " + rate(c.RatePerS)
		if c.BrokeFirst != "" {
			s += "; what broke first: " + clean(c.BrokeFirst) + " at " + rate(c.BrokeAt)
		}
		head("capacity", cmp.Or(clean(c.Reason), s))
	}
	if len(l.Thresholds) > 0 {
		t := htmlTable{Title: "Thresholds", Head: textCells("threshold", "observed", "samples", "verdict")}
		for _, k := range l.Thresholds {
			word := cmp.Or(map[Verdict]string{Pass: "met", Fail: "missed"}[k.Verdict], string(k.Verdict))
			if k.Reason != "" {
				word += ": " + clean(k.Reason)
			}
			t.Rows = append(t.Rows, append(textCells(clean(k.Expression), observed(k), thousands(k.Samples)), htmlCell{word, "t-" + string(k.Verdict)}))
		}
		h.Tables = append(h.Tables, t)
	}
	t := htmlTable{Title: "Outcomes", Head: textCells("outcome", "count", "share", "p50", "p99", "max")}
	for i, n := range l.Outcomes.Counts() {
		if *n == 0 {
			continue
		}
		cells := textCells(outcomeWord(OutcomeNames[i]), thousands(*n), share(*n, l.Sent), "–", "–", "–")
		if q, ok := l.Latency.ByOutcome[OutcomeNames[i]]; ok && q.Response.Count > 0 {
			cells = append(cells[:3], textCells(millis(q.Response.P50MS), millis(q.Response.P99MS), millis(q.Response.MaxMS))...)
		}
		t.Rows = append(t.Rows, cells)
	}
	h.Tables = append(h.Tables, t)
	t = htmlTable{
		Title: "Latency", Head: textCells("", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"),
		Note: "service: from sent to answered; response: from due to answered; lag: from due to sent",
	}
	for _, row := range []struct {
		name string
		q    Quantiles
	}{{"service", l.Latency.Service}, {"response", l.Latency.Response}, {"lag", l.Generator.Lag}} {
		q := row.q
		t.Rows = append(t.Rows, textCells(row.name, millis(q.MeanMS), millis(q.P50MS), millis(q.P90MS), millis(q.P95MS), millis(q.P99MS), millis(q.P999MS), millis(q.MaxMS)))
	}
	h.Tables = append(h.Tables, t)
	p.ratios(h, l)
	if k := l.Throttle; k != nil {
		t = htmlTable{Title: "Throttle"}
		for _, f := range throttleFields(k) {
			t.Rows = append(t.Rows, []htmlCell{{Text: f[0]}, {f[1], "l wrap"}})
		}
		h.Tables = append(h.Tables, t)
		if len(k.Conformity) > 0 {
			t = htmlTable{Title: "When throttled", Head: []htmlCell{{}, {"expected", "l"}, {"came", "l"}, {Text: "conform"}, {Text: "verdict"}}}
			for _, c := range k.Conformity {
				t.Rows = append(t.Rows, []htmlCell{{Text: clean(c.What)}, {clean(c.Expected), "l wrap"}, {clean(c.Actual), "l wrap"}, {Text: percent(c.Share)}, {string(c.Verdict), "t-" + string(c.Verdict)}})
			}
			h.Tables = append(h.Tables, t)
		}
	}
	p.figures(h, l)
}

func (p *htmlData) ratios(h *htmlLoad, l *Load) {
	if a := l.Against; a != nil {
		t := htmlTable{Title: "Against " + clean(a.URL), Head: textCells("figure", "A", "B", "B ÷ A (95 %)", "verdict")}
		for _, r := range a.Ratios {
			t.Rows = append(t.Rows, textCells(clean(r.What), quantity(r.A, r.Unit), quantity(r.B, r.Unit), ratioText(r), clean(r.Verdict)))
		}
		h.Tables = append(h.Tables, t)
	}
	if d := l.Trend; d != nil {
		t := htmlTable{Title: "Trend over the run", Head: textCells("figure", "first", "last", "per hour", "verdict")}
		for _, k := range d.Lines {
			t.Rows = append(t.Rows, append(textCells(clean(k.What), quantity(k.First, k.Unit), quantity(k.Last, k.Unit), quantity(k.PerHour, k.Unit)),
				htmlCell{string(k.Verdict), "t-" + string(k.Verdict)}))
		}
		for _, e := range d.Events {
			t.Note += "after " + seconds(e.AtS) + ": " + clean(e.What) + ". "
		}
		h.Tables = append(h.Tables, t)
	}
}

// figures makes the pictures: as data for the page's script, and drawn already for those without one.
func (p *htmlData) figures(h *htmlLoad, l *Load) {
	add := func(title, about string, plot htmlPlot) {
		if len(plot.Data) == 0 || len(plot.Data[0]) < 2 {
			return
		}
		plot.ID = fmt.Sprintf("plot%d", len(p.Plots)+1)
		p.Plots = append(p.Plots, plot)
		h.Figures = append(h.Figures, htmlFigure{plot.ID, title, about, plot.svg()})
	}
	series := func(of ...func(SeriesPoint) float64) (data [][]*float64) {
		for _, f := range append([]func(SeriesPoint) float64{func(s SeriesPoint) float64 { return s.TS }}, of...) {
			var column []*float64
			for _, s := range l.Series {
				column = append(column, figure3(f(s)))
			}
			data = append(data, column)
		}
		return data
	}
	per := func(of func(SeriesPoint) int64) func(SeriesPoint) float64 {
		return func(s SeriesPoint) float64 { return float64(of(s)) / max(l.WindowS, 0.001) }
	}
	latency := htmlPlot{
		X: "time", Unit: "ms", Names: []string{"p50", "p99"}, Colors: []int{1, 2},
		Data: series(func(s SeriesPoint) float64 { return s.P50MS }, func(s SeriesPoint) float64 { return s.P99MS }),
	}
	if slices.ContainsFunc(l.Series, func(s SeriesPoint) bool { return s.P90MS > 0 }) {
		latency.Names, latency.Colors = []string{"p50", "p90", "p99"}, []int{1, 4, 2}
		latency.Data = series(func(s SeriesPoint) float64 { return s.P50MS }, func(s SeriesPoint) float64 { return s.P90MS }, func(s SeriesPoint) float64 { return s.P99MS })
	}
	add("Response time over the run", "quantiles of each window, from the moment a request was due", latency)
	add("Outcomes over the run", "answers per second; planned as a broken line", htmlPlot{
		X: "time", Unit: "/s", Names: []string{"token", "throttled", "other", "planned"},
		Colors: []int{1, 2, 3, 4}, Dash: []bool{false, false, false, true}, Data: series(per(func(s SeriesPoint) int64 { return s.Token }),
			per(func(s SeriesPoint) int64 { return s.Throttled }), per(func(s SeriesPoint) int64 { return s.Other }), per(func(s SeriesPoint) int64 { return s.Planned })),
	})
	add("Percentile curve", "how long the slowest part of the answers took: service from the moment sent, response from the moment due", percentileCurve(l))
	if t := l.Throttle; t != nil && len(t.Points) > 1 {
		data := make([][]*float64, 4)
		for _, k := range t.Points {
			for i, v := range []float64{k.TS, k.Sent, k.Accepted, k.Fit} {
				data[i] = append(data[i], figure3(v))
			}
		}
		add("The throttle, measured against its fit", "running counts: sent, accepted, and accepted as "+cmp.Or(clean(t.Kind), clean(t.Window))+" would have it",
			htmlPlot{X: "time", Unit: "", Names: []string{"sent", "accepted", "fit"}, Colors: []int{4, 1, 2}, Dash: []bool{false, false, true}, Data: data})
	}
}

// percentileCurve goes from p0 as far as ten answers bear it out, evenly over the decades: 90 %, 99 %, 99.9 %.
func percentileCurve(l *Load) htmlPlot {
	plot := htmlPlot{X: "share", Unit: "ms", Names: []string{"service", "response"}, Colors: []int{1, 2}}
	service, response := l.histogram("all", "service"), l.histogram("all", "response")
	if service == nil || response == nil || min(service.TotalCount(), response.TotalCount()) < 20 {
		return plot
	}
	decades := math.Log10(float64(min(service.TotalCount(), response.TotalCount())) / 2)
	const steps = 120
	plot.Data = make([][]*float64, 3)
	for i := range steps + 1 {
		x := math.Pow(10, decades*float64(i)/steps)
		q := 100 * (1 - 1/x)
		for k, v := range []float64{x, float64(service.ValueAtQuantile(q)) / 1000, float64(response.ValueAtQuantile(q)) / 1000} {
			plot.Data[k] = append(plot.Data[k], figure3(v))
		}
	}
	return plot
}

// figure3 keeps four digits that count: enough for a picture, and short.
func figure3(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	if v != math.Trunc(v) {
		v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	}
	return &v
}

// svg draws the plot for a page without JavaScript: lines in a frame, with the largest value named.
func (h htmlPlot) svg() template.HTML {
	const width, height = 900.0, 220.0
	const most = 300 // points of a line: there are no more columns to see
	top, x0, x1 := 0.0, math.Inf(1), math.Inf(-1)
	at := func(v float64) float64 {
		if h.X == "share" {
			return math.Log10(max(v, 1))
		}
		return v
	}
	for _, v := range h.Data[0] {
		if v != nil {
			x0, x1 = min(x0, at(*v)), max(x1, at(*v))
		}
	}
	for _, column := range h.Data[1:] {
		for _, v := range column {
			if v != nil {
				top = max(top, *v)
			}
		}
	}
	if top == 0 || x1 <= x0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<div class="legend">`)
	for i, name := range h.Names {
		fmt.Fprintf(&b, `<span><i class="b%d"></i>%s</span>`, h.Colors[i], template.HTMLEscapeString(name))
	}
	largest := digits(top)
	if h.Unit == "ms" {
		largest = millis(top)
	}
	fmt.Fprintf(&b, `<span>top of the picture: %s</span></div><svg viewBox="0 0 %g %g" role="img"><rect class="frame" x="0" y="0" width="%g" height="%g"/>`,
		template.HTMLEscapeString(largest), width, height, width, height)
	for i, column := range h.Data[1:] {
		dash := ""
		if len(h.Dash) > 0 && h.Dash[i] {
			dash = ` stroke-dasharray="6 5"`
		}
		fmt.Fprintf(&b, `<polyline class="s%d"%s points="`, h.Colors[i], dash)
		step := (len(column) + most - 1) / most
		for from := 0; from < len(column); from += step {
			worst, where := -1.0, 0.0
			for k := from; k < min(from+step, len(column)); k++ {
				if v, x := column[k], h.Data[0][k]; v != nil && x != nil && *v > worst {
					worst, where = *v, at(*x)
				}
			}
			if worst >= 0 {
				fmt.Fprintf(&b, "%.0f,%.1f ", (where-x0)/(x1-x0)*width, height-worst/top*height)
			}
		}
		b.WriteString(`"/>`)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}
