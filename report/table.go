package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// WriteTable renders a run for a terminal: failures first, then a table by group, then what was
// not judged and why, and last the line that says what was judged.
func WriteTable(w io.Writer, r Run, s Style) error {
	p := &page{Style: s}
	p.head(&r)
	p.preflight(&r)
	p.plan(&r)
	p.findings(&r)
	p.groups(&r)
	if r.Load != nil {
		p.load(r.Load)
	}
	p.notJudged(&r)
	p.facts(&r)
	p.unlocks(&r)
	p.waivers(&r)
	p.notSpecified(&r)
	p.exit(&r)
	return p.to(w)
}

// A page collects lines, sections apart by one empty line.
type page struct {
	strings.Builder
	Style
	err error
}

func (p *page) to(w io.Writer) error {
	if p.err != nil {
		return p.err
	}
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) line(text string) { p.WriteString(strings.TrimRight(text, " ") + "\n") }

// gap makes sure that one empty line stands before what follows.
func (p *page) gap() {
	if s := p.String(); s != "" && !strings.HasSuffix(s, "\n\n") {
		p.WriteByte('\n')
	}
}

func (p *page) section(title string) {
	p.gap()
	p.line(p.paint(bold, title))
}

// text writes wrapped lines, indented.
func (p *page) text(indent int, s string) {
	for _, l := range wrap(s, p.width()-indent) {
		p.line(strings.Repeat(" ", indent) + l)
	}
}

// field writes a name and a wrapped value beside it; nothing when there is no value.
func (p *page) field(indent, column int, name, value string) {
	if value == "" {
		return
	}
	for i, l := range wrap(value, p.width()-indent-column) {
		label := pad(name, column)
		if i > 0 {
			label = strings.Repeat(" ", column)
		}
		p.line(strings.Repeat(" ", indent) + p.paint(dim, label) + l)
	}
}

func (p *page) head(r *Run) {
	tool := clean(r.Tool.Name) + " " + clean(r.Tool.Version)
	if r.Tool.Catalogue != "" {
		tool += ", rule set " + clean(r.Tool.Catalogue)
	}
	date := when(r.Started)
	p.line(pad(tool, p.width()-len(date)) + date)
	if len(r.Contracts) > 1 {
		width := 0
		for _, c := range r.Contracts {
			width = max(width, twwidth.Width(clean(c.Contract.Name)))
		}
		for _, c := range r.Contracts {
			p.field(0, width+2, clean(c.Contract.Name), endpointLine(c.Endpoint))
		}
	} else {
		p.text(0, p.paint(bold, contractLine(r.Contract)))
		p.text(0, endpointLine(r.Endpoint))
	}
	if len(r.Labels) > 0 {
		p.text(0, strings.Join(labels(r), " · "))
	}
	if r.Load != nil {
		p.text(0, machineLine(r.Machine))
		p.text(0, clean(r.Command))
	}
	if !r.Complete {
		p.text(0, p.paint(yellow, "not a complete run: "+incomplete(r)))
	}
}

func labels(r *Run) (out []string) {
	for _, k := range slices.Sorted(maps.Keys(r.Labels)) {
		out = append(out, clean(k)+"="+clean(r.Labels[k]))
	}
	return out
}

func incomplete(r *Run) string {
	switch {
	case r.Incomplete != "":
		return clean(r.Incomplete)
	case r.Interrupted:
		return "interrupted"
	}
	return "filtered, or cut short"
}

func machineLine(m *Machine) string {
	if m == nil {
		return ""
	}
	s := fmt.Sprintf("from %s/%s, %s, %s", clean(m.OS), clean(m.Arch), plural(m.CPUs, "CPU"), clean(m.Go))
	if m.Load1 > 0 {
		s += ", load average " + digits(m.Load1)
	}
	return s
}

func (p *page) preflight(r *Run) {
	for _, f := range r.Preflight {
		p.gap()
		where := ""
		if f.Contract != "" && len(r.Contracts) > 1 {
			where = clean(f.Contract) + ": "
		}
		p.line(p.paint(red, "NOT JUDGED") + "  " + where + strings.ReplaceAll(string(f.Kind), "_", " "))
		p.text(8, clean(f.Message))
		p.text(8, clean(f.Remedy))
	}
}

func (p *page) plan(r *Run) {
	if r.Plan == nil {
		return
	}
	p.section("Plan: nothing was sent")
	n := func(i int) string { return thousands(int64(i)) }
	p.field(2, 16, "rules", n(r.Plan.Rules)+" would be judged, "+n(r.Plan.Unjudged)+" that apply would not")
	p.field(2, 16, "requests", n(r.Plan.Requests))
	p.field(2, 16, "tokens minted", n(r.Plan.Tokens))
	var wrong []string
	for _, k := range slices.Sorted(maps.Keys(r.Plan.WrongSecrets)) {
		wrong = append(wrong, clean(k)+" "+n(r.Plan.WrongSecrets[k]))
	}
	if len(wrong) == 0 {
		wrong = []string{"none"}
	}
	p.field(2, 16, "wrong secrets", strings.Join(wrong, ", "))
	p.field(2, 16, "shortest time", millis(r.Plan.ShortestMS))
	for _, l := range r.Plan.Limits {
		p.field(2, 16, "over the limit", clean(l))
	}
}

// findings writes what did not simply pass: failures in full, the rest shorter.
func (p *page) findings(r *Run) {
	for _, v := range []Verdict{Fail, Error, Warn, Waived} {
		for _, c := range r.found(v) {
			if v != Error {
				p.finding(r, c)
			}
		}
		if v == Error {
			p.ownErrors(r)
		}
	}
	var notes []string
	for _, c := range r.found(Note) {
		notes = append(notes, r.qualified(clean(c.Contract), clean(c.Rule))+": "+remark(c))
	}
	if len(notes) > 0 {
		p.gap()
		for _, n := range notes {
			p.field(0, 8, "NOTE", n)
		}
	}
}

// check gives a finding of a load the form of a check, to be told alike.
func (f LoadFinding) check() Check {
	c := Check{
		Rule: f.Name, Title: f.Title, Group: "load", Verdict: f.Verdict, Message: f.Message, Expected: f.Expected,
		Actual: f.Actual, Why: f.Why, Source: f.Source, Exchanges: f.Exchanges,
	}
	if f.Count > 0 && f.Verdict != Note {
		c.Places = []string{plural(int(f.Count), "answer") + " (" + percent(f.Share) + "), first after " + seconds(f.FirstS)}
		if f.RatePerS > 0 {
			c.Places[0] += " at " + rate(f.RatePerS)
		}
	}
	return c
}

// ownErrors tells the rules that could not be judged because of us, the same error once.
func (p *page) ownErrors(r *Run) {
	var reasons []string
	rules := map[string][]string{}
	for _, c := range r.found(Error) {
		reason := clean(c.Reason)
		if rules[reason] == nil {
			reasons = append(reasons, reason)
		}
		rules[reason] = append(rules[reason], r.qualified(clean(c.Contract), clean(c.Rule)))
	}
	for _, reason := range reasons {
		p.gap()
		list := fewer(rules[reason], 8)
		if p.Verbose {
			list = strings.Join(rules[reason], ", ")
		}
		p.line(p.verdict(Error, "ERROR   ") + p.paint(bold, "our own, not the endpoint's: "+plural(len(rules[reason]), "rule")+" not judged"))
		p.field(8, 13, "error", reason)
		p.field(8, 13, "rules", list)
	}
}

func remark(c Check) string {
	if c.Message != "" {
		return clean(c.Message)
	}
	if c.Actual != "" {
		return clean(c.Actual)
	}
	return clean(c.Title)
}

func (p *page) finding(r *Run, c Check) {
	p.gap()
	name := clean(c.Rule)
	if len(r.Contracts) > 1 && c.Contract != "" {
		name = clean(c.Contract) + "  " + name
	}
	word := pad(strings.ToUpper(string(c.Verdict)), 8)
	p.line(p.verdict(c.Verdict, word) + p.paint(bold, name))
	p.text(8, clean(c.Title))
	const column = 13
	if c.Verdict == Fail {
		p.field(8, column, "requirement", clean(c.Requirement))
	}
	p.field(8, column, "expected", clean(c.Expected))
	p.field(8, column, "came", clean(c.Actual))
	if c.Message != c.Actual {
		p.field(8, column, "finding", clean(c.finding()))
	}
	p.field(8, column, "clause", clauseLine(c))
	if c.Verdict == Fail {
		p.field(8, column, "why", clean(c.Why))
	}
	if c.Documented != "" || c.Standard != "" {
		p.field(8, column, "verdicts", sidesLine(c))
	}
	p.field(8, column, "seen in", places(c, p.Verbose))
	if c.Waiver != nil {
		p.field(8, column, "waived", waiverLine(*c.Waiver))
	} else if c.Reason != "" {
		p.field(8, column, "reason", clean(c.Reason))
	}
	p.exchanges(r, c)
}

func places(c Check, all bool) string {
	const few = 3
	list := make([]string, 0, len(c.Places))
	for _, s := range c.Places {
		list = append(list, clean(s))
	}
	if !all && len(list) > few+1 {
		list = append(list[:few:few], fmt.Sprintf("and %d more", len(c.Places)-few))
	}
	return strings.Join(list, "; ")
}

func waiverLine(w Waiver) string {
	s := clean(w.Reason)
	if w.Owner != "" {
		s += ", " + clean(w.Owner)
	}
	return s + ", until " + clean(w.Expires)
}

// exchanges writes the curl line that repeats a failure; all exchanges when verbose.
func (p *page) exchanges(r *Run, c Check) {
	if !p.Verbose {
		if x := telling(r, c); x != nil && x.Curl != "" && c.Verdict == Fail {
			p.line("        " + p.paint(dim, "repeat it with"))
			p.line("          " + cleanCommand(x.Curl))
		}
		return
	}
	for _, i := range c.Exchanges {
		if i < 0 || i >= len(r.Exchanges) {
			continue
		}
		p.gap()
		p.exchange(r.Exchanges[i])
	}
}

// telling is the exchange that shows the finding best: a check names it first.
func telling(r *Run, c Check) *Exchange {
	for _, i := range c.Exchanges {
		if i >= 0 && i < len(r.Exchanges) {
			return &r.Exchanges[i]
		}
	}
	return nil
}

func (p *page) exchange(x Exchange) {
	for _, l := range transcript(x) {
		p.line("        " + p.paint(dim, l))
	}
	if x.Curl != "" {
		p.line("        " + p.paint(dim, "$ ") + cleanCommand(x.Curl))
	}
}

// transcript writes an exchange as it went over the wire, a line each, > for ours and < for theirs.
func transcript(x Exchange) (out []string) {
	add := func(mark, s string) { out = append(out, strings.TrimRight(mark+" "+s, " ")) }
	message := func(mark string, headers Headers, body string) {
		for _, h := range headers {
			add(mark, clean(h.Name)+": "+clean(h.Value))
		}
		if body == "" {
			return
		}
		add(mark, "")
		for l := range strings.SplitSeq(cleanText(body), "\n") {
			add(mark, l)
		}
	}
	title := ""
	if x.Purpose != "" {
		title = "  (" + clean(x.Purpose) + ")"
	}
	add(">", clean(x.Request.Method)+" "+clean(x.Request.URL)+title)
	message(">", x.Request.Headers, x.Request.Body)
	if x.Response == nil {
		add("<", "no answer: "+clean(x.Error)+" ("+millis(x.TookMS)+")")
		return out
	}
	add("<", strings.TrimSpace(clean(x.Response.Proto)+" "+strconv.Itoa(x.Response.Status))+" ("+millis(x.TookMS)+")")
	message("<", x.Response.Headers, x.Response.Body)
	if x.Response.Truncated {
		add("<", "(cut: "+bytesOf(float64(x.Response.BodyBytes))+" came)")
	}
	if x.Error != "" {
		add("<", "("+clean(x.Error)+")")
	}
	return out
}

// groupNames lists the groups in the order of the catalogue.
func groupNames(checks []Check) (out []string) {
	for _, c := range checks {
		if !slices.Contains(out, c.Group) {
			out = append(out, c.Group)
		}
	}
	return out
}

// A sideTally counts on one side what holds, of what was said: 19/22.
type sideTally struct{ holds, said int }

func (t *sideTally) add(s Side) {
	if s == "" || s == SideSilent {
		return
	}
	t.said++
	if s == SidePass || s == SideNote {
		t.holds++
	}
}

func (t sideTally) String() string {
	if t.said == 0 {
		return "–"
	}
	return fmt.Sprintf("%d/%d", t.holds, t.said)
}

func (r *Run) sides(in func(Check) bool) (documented, standard sideTally) {
	for _, c := range r.Checks {
		if in(c) && c.Verdict.Judged() {
			documented.add(c.Documented)
			standard.add(c.Standard)
		}
	}
	return documented, standard
}

func (p *page) groups(r *Run) {
	if len(r.Checks) == 0 {
		return
	}
	p.gap()
	if len(r.Contracts) > 1 {
		p.groupsOfSeveral(r)
		return
	}
	shown := []Verdict{Pass}
	for _, v := range []Verdict{Note, Warn, Fail, Waived} {
		if r.Summary.Count(v) > 0 {
			shown = append(shown, v)
		}
	}
	open := r.Tally().Applies > r.Tally().Judged
	head, align := []string{"group"}, tw.Alignment{tw.AlignLeft}
	for _, v := range shown {
		head, align = append(head, string(v)), append(align, tw.AlignRight)
	}
	if open {
		head, align = append(head, "open"), append(align, tw.AlignRight)
	}
	head, align = append(head, "documented", "standard"), append(align, tw.AlignRight, tw.AlignRight)
	row := func(name string, in func(Check) bool) []string {
		t := r.tally(in)
		if t.Applies == 0 {
			return nil
		}
		d, s := r.sides(in)
		cells := []string{name}
		for _, v := range shown {
			cells = append(cells, p.verdictCount(v, t.Summary.Count(v)))
		}
		if open {
			cells = append(cells, count(t.Applies-t.Judged))
		}
		return append(cells, d.String(), s.String())
	}
	var rows [][]string
	for _, g := range groupNames(r.Checks) {
		if cells := row(clean(g), func(c Check) bool { return c.Group == g }); cells != nil {
			rows = append(rows, cells)
		}
	}
	p.table(head, align, rows, row("all", func(Check) bool { return true }))
}

func (p *page) verdictCount(v Verdict, n int) string {
	if n == 0 || v == Pass {
		return count(n)
	}
	return p.verdict(v, count(n))
}

func count(n int) string {
	if n == 0 {
		return "·"
	}
	return strconv.Itoa(n)
}

// groupsOfSeveral has a column for each contract; as many tables as the width asks for.
func (p *page) groupsOfSeveral(r *Run) {
	const first, column = 20, 15 // the widest group; the narrowest contract
	for part := range slices.Chunk(r.Contracts, max(1, (p.width()-first)/column)) {
		room := (p.width()-first)/len(part) - 2
		p.gap()
		head, align := []string{"group"}, tw.Alignment{tw.AlignLeft}
		for _, c := range part {
			head, align = append(head, short(c.Contract.Name, room)), append(align, tw.AlignLeft)
		}
		of := func(c ContractRun, group string) func(Check) bool {
			return func(k Check) bool { return k.Contract == c.Contract.Name && (group == "" || k.Group == group) }
		}
		var rows [][]string
		for _, g := range groupNames(r.Checks) {
			cells, any := []string{clean(g)}, false
			for _, c := range part {
				t := r.tally(of(c, g))
				any = any || t.Applies > 0
				cells = append(cells, inCell(cell(t), room))
			}
			if any {
				rows = append(rows, cells)
			}
		}
		documented, standard, judged := []string{"as documented"}, []string{"per the standard"}, []string{"judged"}
		for _, c := range part {
			d, s := r.sides(of(c, ""))
			t := r.tally(of(c, ""))
			documented, standard = append(documented, d.String()), append(standard, s.String())
			judged = append(judged, fmt.Sprintf("%d of %d", t.Judged, t.Applies))
		}
		p.table(head, align, rows, documented, standard, judged)
	}
}

// inCell breaks a list after its commas only.
func inCell(list string, room int) string {
	tied := strings.NewReplacer(", ", ", ", " ", "~").Replace(list)
	return strings.ReplaceAll(strings.Join(wrap(tied, room), "\n"), "~", " ")
}

// cell tells what one contract came to in one group: 19 pass, 1 fail
func cell(t Tally) string {
	var parts []string
	for _, v := range []Verdict{Pass, Note, Warn, Fail, Waived} {
		if n := t.Summary.Count(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	if n := t.Applies - t.Judged; n > 0 {
		parts = append(parts, fmt.Sprintf("%d open", n))
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, ", ")
}

// table writes rows under a head, and after a line the foot.
func (p *page) table(head []string, align tw.Alignment, rows [][]string, foot ...[]string) {
	if p.err != nil {
		return
	}
	var b strings.Builder
	t := tablewriter.NewTable(&b,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.Border{Left: tw.Off, Right: tw.Off, Top: tw.Off, Bottom: tw.Off},
			Symbols: tw.NewSymbols(tw.StyleLight),
			Settings: tw.Settings{
				Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off, ShowHeader: tw.On, ShowFooter: tw.Off},
				Lines:      tw.Lines{ShowHeaderLine: tw.On, ShowFooterLine: tw.Off, ShowTop: tw.Off, ShowBottom: tw.Off},
			},
		})),
		tablewriter.WithHeaderAutoFormat(tw.Off), tablewriter.WithHeaderAutoWrap(tw.WrapNone), tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithAlignment(align), tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: align}),
	)
	t.Header(head)
	for _, row := range append(rows, foot...) {
		if err := t.Append(row); err != nil {
			p.err = fmt.Errorf("table row %q: %w", row[0], err)
			return
		}
	}
	if err := t.Render(); err != nil {
		p.err = fmt.Errorf("table: %w", err)
		return
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i, l := range lines {
		if i > 1 && i == len(lines)-len(foot) { // the line under the head, again above the foot
			p.line(lines[1])
		}
		p.line(l)
	}
}

// An openReason is why some rules were not judged.
type openReason struct {
	verdict Verdict
	text    string
	rules   []string
	applies bool // they were meant to be judged
}

func (o openReason) name() string {
	switch {
	case !o.applies && len(o.rules) > 1:
		return "do not apply"
	case !o.applies:
		return "does not apply"
	case o.verdict == Skip:
		return "skipped"
	}
	return string(o.verdict)
}

// openReasons tells what was skipped, blocked or inconclusive, the same reason once, and first what
// could have been judged.
func (r *Run) openReasons() (list []*openReason) {
	for _, c := range r.Checks {
		if c.Verdict.Judged() || c.Verdict == Error || (c.Verdict == Skip && c.ReasonKind == Filtered) {
			continue
		}
		text := clean(c.Reason)
		switch {
		case c.ReasonKind == NeedsConsent && c.Needs != "":
			text = "needs --allow " + clean(c.Needs)
		case text == "" && c.Needs != "":
			text = strings.ReplaceAll(string(c.ReasonKind), "_", " ") + ": " + clean(c.Needs)
		case text == "":
			text = strings.ReplaceAll(string(c.ReasonKind), "_", " ")
		}
		i := slices.IndexFunc(list, func(o *openReason) bool { return o.verdict == c.Verdict && o.text == text })
		if i < 0 {
			i, list = len(list), append(list, &openReason{
				verdict: c.Verdict, text: text,
				applies: c.Verdict != Skip || c.ReasonKind.applies() && c.ReasonKind != "",
			})
		}
		list[i].rules = append(list[i].rules, r.qualified(clean(c.Contract), clean(c.Rule)))
	}
	slices.SortStableFunc(list, func(a, b *openReason) int {
		if a.applies != b.applies {
			return map[bool]int{true: -1, false: 1}[a.applies]
		}
		return cmp.Or(slices.Index(Verdicts, a.verdict)-slices.Index(Verdicts, b.verdict), len(b.rules)-len(a.rules))
	})
	return list
}

func (p *page) notJudged(r *Run) {
	list := r.openReasons()
	if len(list) == 0 {
		return
	}
	p.section("Open, and why")
	const mostOthers = 6
	others, rest := 0, 0
	for _, o := range list {
		if !o.applies {
			if others++; others > mostOthers && !p.Verbose {
				rest += len(o.rules)
				continue
			}
		}
		rules := strings.Join(o.rules, ", ")
		if !p.Verbose {
			rules = fewer(o.rules, 3)
		}
		p.field(2, 22, fmt.Sprintf("%4d %s", len(o.rules), o.name()), o.text)
		p.field(2, 22, "", rules)
	}
	if rest > 0 {
		p.field(2, 22, fmt.Sprintf("%4d do not apply", rest), "for other reasons; -v lists them")
	}
}

func fewer(names []string, n int) string {
	if len(names) > n+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
	}
	return strings.Join(names, ", ")
}

func (p *page) facts(r *Run) {
	if len(r.Facts) == 0 {
		return
	}
	p.section("Found, and never failed")
	for _, f := range r.Facts {
		s := r.qualified(clean(f.Contract), clean(f.Title)) + ": " + clean(f.Value)
		if f.Source != "" {
			s += " (" + clean(f.Source) + ")"
		}
		p.bullet(s)
	}
}

func (p *page) bullet(s string) {
	for i, l := range wrap(s, p.width()-4) {
		p.line(map[bool]string{true: "  - ", false: "    "}[i == 0] + l)
	}
}

func (p *page) unlocks(r *Run) {
	if len(r.Unlocks) == 0 {
		return
	}
	p.section("Would let more be judged")
	for _, u := range r.Unlocks {
		p.bullet(unlockLine(r, u))
	}
}

// unlockLine is one sentence: a second client would unlock 6 rules (name it under clients: …)
func unlockLine(r *Run, u Unlock) string {
	s := clean(u.Name)
	if u.Kind == NeedsFixture {
		s = article(s)
	}
	s = r.qualified(clean(u.Contract), s) + " would unlock " + plural(len(u.Rules), "rule")
	if u.How != "" {
		s += ": " + clean(u.How)
	}
	return s
}

func (p *page) waivers(r *Run) {
	var out []string
	for _, w := range r.Waivers {
		if s := waiverState(r, w); s != "" {
			out = append(out, s)
		}
	}
	if len(out) > 0 {
		p.section("Waivers to look at")
		for _, s := range out {
			p.bullet(s)
		}
	}
}

// waiverState says what is the matter with a waiver; "" when it does its work.
func waiverState(r *Run, w WaiverState) string {
	name := r.qualified(clean(w.Contract), clean(w.Rule))
	switch w.State {
	case "idle":
		return name + ": idle, its rule passes; remove it (" + waiverLine(w.Waiver) + ")"
	case "expired":
		return name + ": expired, it no longer counts (" + waiverLine(w.Waiver) + ")"
	}
	return ""
}

// leftOpen is what the pages do not say.
func (r *Run) leftOpen() (out []string) {
	contracts := []Contract{r.Contract}
	if len(r.Contracts) > 1 {
		contracts = contracts[:0]
		for _, c := range r.Contracts {
			contracts = append(contracts, c.Contract)
		}
	}
	for _, c := range contracts {
		for _, s := range c.NotSpecified {
			out = append(out, r.qualified(clean(c.Name), clean(s)))
		}
	}
	return out
}

func (p *page) notSpecified(r *Run) {
	if list := r.leftOpen(); len(list) > 0 {
		p.section("Left open by the page")
		for _, s := range list {
			p.bullet(s)
		}
	}
}

func (p *page) exit(r *Run) {
	p.gap()
	if r.ExitReason != "" {
		color := red
		if r.ExitCode == ExitOK {
			color = dim
		}
		code := "exit " + strconv.Itoa(r.ExitCode)
		column := max(8, len(code)+2)
		for i, l := range wrap(clean(r.ExitReason), p.width()-column) {
			label := pad(code, column)
			if i > 0 {
				label = strings.Repeat(" ", column)
			}
			p.line(p.paint(color, label) + l)
		}
	}
	p.line(LastLine(r))
}

// LastLine says in one line what was judged.
func LastLine(r *Run) string {
	if p := r.Plan; p != nil && len(r.Checks) == 0 && r.Load == nil {
		return fmt.Sprintf("would judge %d of %d: %s, %s; nothing was sent", p.Rules, p.Rules+p.Unjudged, plural(p.Requests, "request"), plural(p.Tokens, "token"))
	}
	if r.Load == nil || len(r.Checks) > 0 {
		return r.Tally().String()
	}
	l := r.Load
	if len(l.Thresholds) == 0 {
		return fmt.Sprintf("sent %s of %s planned, %s answered: %s; no threshold was set",
			thousands(l.Sent), thousands(l.Planned), thousands(l.Answered), outcomeWords(l))
	}
	var met, missed, open int
	for _, t := range l.Thresholds {
		switch t.Verdict {
		case Pass:
			met++
		case Fail:
			missed++
		default:
			open++
		}
	}
	var parts []string
	for _, c := range []struct {
		n    int
		word string
	}{{met, "met"}, {missed, "missed"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	s := fmt.Sprintf("judged %d of %s", met+missed, plural(len(l.Thresholds), "threshold"))
	if len(parts) > 0 {
		s += ": " + strings.Join(parts, ", ")
	}
	if open > 0 {
		s += fmt.Sprintf("; %d inconclusive", open)
	}
	return s
}

func outcomeWords(l *Load) string {
	var out []string
	for i, n := range l.Outcomes.Counts() {
		if *n > 0 {
			out = append(out, thousands(*n)+" "+outcomeWord(OutcomeNames[i]))
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

func outcomeWord(name string) string { return strings.ReplaceAll(name, "_", " ") }
