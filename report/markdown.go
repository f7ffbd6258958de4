package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// mdRoom is how long a Markdown report gets: GitHub drops a job summary beyond 1 MiB.
const mdRoom = 900_000

// WriteMarkdown renders a run for a job summary or a merge request: one line to remember, the
// failures, the rest folded.
func WriteMarkdown(w io.Writer, r Run) error {
	m := &mdWriter{}
	m.head(&r)
	m.failures(&r)
	m.lesser(&r)
	m.groups(&r)
	m.load(r.Load)
	m.open(&r)
	m.rest(&r)
	_, err := io.WriteString(w, strings.TrimRight(m.String(), "\n")+"\n")
	return err
}

type mdWriter struct{ strings.Builder }

func (m *mdWriter) f(format string, args ...any) { fmt.Fprintf(m, format, args...) }

// mdEscape writes what Markdown, HTML and the readers of both (mentions, issue numbers, bare addresses)
// would act upon as character references, which CommonMark never takes for structure.
var mdEscape = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "[", "&#91;", "]", "&#93;",
	"\\", "&#92;", "~", "&#126;", "$", "&#36;", "!", "&#33;", "://", "&#58;//", "www.", "www&#46;", "@", "&#64;<!-- -->", "#", "&#35;<!-- -->",
	"\n", "<br>", "\t", " ")

// mdText is a string as Markdown text that is nothing but text.
func mdText(s string) string { return mdEscape.Replace(clean(s)) }

// mdCode is mdText as code, where no reader looks for mentions.
func mdCode(s string) string { return "<code>" + mdText(s) + "</code>" }

// mdBlock is a fenced block whose fence its content cannot close.
func mdBlock(lines []string) string {
	text := strings.Join(lines, "\n")
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + "\n" + text + "\n" + fence + "\n"
}

func (m *mdWriter) fold(title string, body func()) {
	m.f("<details><summary>%s</summary>\n\n", title)
	body()
	m.f("\n</details>\n\n")
}

func mdSign(r *Run) string {
	switch {
	case r.ExitCode != ExitOK:
		return "❌"
	case r.Summary.Warn+r.Summary.Fail > 0 || !r.Complete:
		return "⚠️"
	}
	return "✅"
}

func (m *mdWriter) head(r *Run) {
	m.f("### %s %s\n\n", mdSign(r), mdText(LastLine(r)))
	if r.ExitReason != "" {
		m.f("exit %d: %s\n\n", r.ExitCode, mdText(r.ExitReason))
	}
	if len(r.Contracts) > 1 {
		for _, c := range r.Contracts {
			m.f("- **%s** at %s\n", mdText(contractLine(c.Contract)), mdCode(endpointLine(c.Endpoint)))
		}
		m.f("\n")
	} else {
		m.f("**%s** at %s\n", mdText(contractLine(r.Contract)), mdCode(endpointLine(r.Endpoint)))
	}
	m.f("%s %s, rule set %s, %s", mdText(r.Tool.Name), mdText(r.Tool.Version), mdText(r.Tool.Catalogue), when(r.Started))
	for _, l := range labels(r) {
		m.f(" · %s", mdText(l))
	}
	m.f("\n\n")
	if !r.Complete {
		m.f("**Not a complete run:** %s\n\n", mdText(incomplete(r)))
	}
	for _, f := range r.Preflight {
		m.f("**Not judged%s:** %s %s\n\n", mdOf(f.Contract), mdText(f.Message), mdText(f.Remedy))
	}
}

func mdOf(contract string) string {
	if contract == "" {
		return ""
	}
	return " (" + mdText(contract) + ")"
}

func (m *mdWriter) failures(r *Run) {
	list := r.found(Fail)
	if len(list) == 0 {
		return
	}
	m.f("#### Failures (%d)\n\n", len(list))
	for i, c := range list {
		if m.Len() > mdRoom*2/3 {
			m.f("… and %d more; the HTML and JSON reports have them all.\n\n", len(list)-i)
			return
		}
		m.finding(r, c)
	}
}

// found lists the checks and the findings of a load that came to v.
func (r *Run) found(v Verdict) (out []Check) {
	for _, c := range r.Checks {
		if c.Verdict == v {
			out = append(out, c)
		}
	}
	if r.Load != nil {
		for _, f := range r.Load.Findings {
			if f.Verdict == v {
				out = append(out, f.check())
			}
		}
	}
	return out
}

func (m *mdWriter) finding(r *Run, c Check) {
	m.f("**%s** %s\n\n", mdText(r.qualified(c.Contract, c.Rule)), mdText(c.Title))
	row := func(name, value string) {
		if value != "" {
			m.f("- %s: %s\n", name, value)
		}
	}
	code := func(s string) string {
		if s == "" {
			return ""
		}
		return mdCode(s)
	}
	row("requirement", mdText(c.Requirement))
	row("expected", mdText(c.Expected))
	row("came", code(c.Actual))
	if c.Message != c.Actual {
		row("finding", code(c.finding()))
	}
	row("clause", mdText(clauseLine(c)))
	row("why", mdText(c.Why))
	if c.Documented != "" || c.Standard != "" {
		row("verdicts", mdText(sidesLine(c)))
	}
	row("seen in", code(places(c, false)))
	row("reason", code(c.Reason))
	m.f("\n")
	x := telling(r, c)
	if x == nil {
		return
	}
	m.fold("exchange", func() {
		m.f("%s", mdBlock(transcript(*x)))
		if x.Curl != "" {
			m.f("\n%s", mdBlock([]string{cleanCommand(x.Curl)}))
		}
	})
}

func (m *mdWriter) lesser(r *Run) {
	n := 0
	for _, v := range []Verdict{Error, Warn, Waived, Note} {
		n += len(r.found(v))
	}
	if n == 0 {
		return
	}
	m.fold(fmt.Sprintf("Errors of ours, warnings, waived, remarks (%d)", n), func() {
		m.f("| | rule | expected | came | clause |\n|---|---|---|---|---|\n")
		for _, v := range []Verdict{Error, Warn, Waived, Note} {
			for _, c := range r.found(v) {
				came := mdCode(cmp.Or(c.Actual, c.Message, string(c.Verdict)))
				if c.Waiver != nil {
					came += "<br>waived: " + mdText(waiverLine(*c.Waiver))
				} else if c.Reason != "" {
					came += "<br>" + mdText(c.Reason)
				}
				m.f("| %s | %s<br>%s | %s | %s | %s |\n", v, mdText(r.qualified(c.Contract, c.Rule)), mdText(c.Title), mdText(c.Expected), came, mdText(clauseLine(c)))
				if m.Len() > mdRoom {
					m.f("| | … | the HTML and JSON reports have the rest | | |\n")
					return
				}
			}
		}
	})
}

func (m *mdWriter) groups(r *Run) {
	if len(r.Checks) == 0 {
		return
	}
	m.fold("By group", func() {
		contracts := r.Contracts
		if len(contracts) < 2 {
			contracts = []ContractRun{{}}
		}
		for _, k := range contracts {
			if len(contracts) > 1 {
				m.f("\n**%s**\n\n", mdText(k.Contract.Name))
			}
			m.f("| group | pass | note | warn | fail | waived | open | documented | standard |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
			row := func(name string, in func(Check) bool) {
				of := func(c Check) bool { return in(c) && (len(contracts) == 1 || c.Contract == k.Contract.Name) }
				t := r.tally(of)
				if t.Applies == 0 {
					return
				}
				d, s := r.sides(of)
				m.f("| %s | %d | %d | %d | %d | %d | %d | %s | %s |\n", name, t.Summary.Pass, t.Summary.Note, t.Summary.Warn,
					t.Summary.Fail, t.Summary.Waived, t.Applies-t.Judged, d, s)
			}
			for _, g := range groupNames(r.Checks) {
				row(mdText(g), func(c Check) bool { return c.Group == g })
			}
			row("**all**", func(Check) bool { return true })
		}
	})
}

func (m *mdWriter) load(l *Load) {
	if l == nil {
		return
	}
	m.f("#### Load: %s\n\n", mdText(l.Profile))
	if len(l.Thresholds) > 0 {
		m.f("| threshold | observed | samples | verdict |\n|---|---:|---:|---|\n")
		for _, t := range l.Thresholds {
			word := string(t.Verdict)
			if t.Reason != "" {
				word += ": " + mdText(t.Reason)
			}
			m.f("| %s | %s | %s | %s |\n", mdCode(t.Expression), mdText(observed(t)), thousands(t.Samples), word)
		}
		m.f("\n")
	}
	m.f("sent %s of %s planned, %s answered: %s\n\n", thousands(l.Sent), thousands(l.Planned), thousands(l.Answered), mdText(outcomeWords(l)))
	if !l.Generator.Healthy {
		m.f("**Generator limited:** %s; the endpoint is not blamed for it.\n\n", mdText(l.Generator.Reason))
	}
	m.f("| latency | mean | p50 | p90 | p95 | p99 | p99.9 | max |\n|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, row := range []struct {
		name string
		q    Quantiles
	}{{"service", l.Latency.Service}, {"response", l.Latency.Response}, {"lag", l.Generator.Lag}} {
		q := row.q
		m.f("| %s | %s | %s | %s | %s | %s | %s | %s |\n", row.name, millis(q.MeanMS), millis(q.P50MS), millis(q.P90MS), millis(q.P95MS), millis(q.P99MS), millis(q.P999MS), millis(q.MaxMS))
	}
	m.f("\n")
	if l.Throttle != nil {
		m.fold("Throttle", func() {
			m.f("| | |\n|---|---|\n")
			for _, f := range throttleFields(l.Throttle) {
				m.f("| %s | %s |\n", mdText(f[0]), mdText(f[1]))
			}
			for _, c := range l.Throttle.Conformity {
				m.f("| %s when throttled | expected %s, came %s (%s conform): %s |\n", mdText(c.What), mdText(c.Expected), mdCode(c.Actual), percent(c.Share), c.Verdict)
			}
		})
	}
}

func (m *mdWriter) open(r *Run) {
	list := r.openReasons()
	if len(list) == 0 {
		return
	}
	n := 0
	for _, o := range list {
		if o.applies {
			n += len(o.rules)
		}
	}
	m.fold(fmt.Sprintf("Open, and why (%d that apply)", n), func() {
		m.f("| rules | | why | |\n|---:|---|---|---|\n")
		for _, o := range list {
			m.f("| %d | %s | %s | %s |\n", len(o.rules), o.name(), mdText(o.text), mdText(fewer(o.rules, 3)))
		}
	})
}

func (m *mdWriter) rest(r *Run) {
	var lines []string
	for _, f := range r.Facts {
		lines = append(lines, "fact: "+mdText(r.qualified(f.Contract, f.Title))+": "+mdCode(f.Value))
	}
	for _, u := range r.Unlocks {
		lines = append(lines, mdText(unlockLine(r, u)))
	}
	for _, w := range r.Waivers {
		if s := waiverState(r, w); s != "" {
			lines = append(lines, "waiver "+mdText(s))
		}
	}
	for _, s := range r.leftOpen() {
		lines = append(lines, "left open by the page: "+mdText(s))
	}
	if len(lines) == 0 {
		return
	}
	m.fold(fmt.Sprintf("Facts, what would let more be judged, waivers, what the page leaves open (%d)", len(lines)), func() {
		for _, l := range lines {
			m.f("- %s\n", l)
		}
	})
}
