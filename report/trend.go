package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter/tw"
)

// A History is many runs side by side, the oldest first.
type History struct {
	Rows []HistoryRow `json:"rows"`
}

// A HistoryRow is one run. Its load figures are 0 when it had no load.
type HistoryRow struct {
	Label     string    `json:"label"`
	Contract  string    `json:"contract"`
	Started   time.Time `json:"started"`
	Summary   Summary   `json:"summary"`
	Judged    int       `json:"judged"`
	Applies   int       `json:"applies"`
	Profile   string    `json:"profile,omitempty"`
	P50MS     float64   `json:"p50_ms,omitempty"` // of response times
	P99MS     float64   `json:"p99_ms,omitempty"`
	Reached   float64   `json:"reached_per_s,omitempty"`
	Errors    float64   `json:"error_share,omitempty"` // server errors, time-outs and connections, of what was sent
	Capacity  float64   `json:"capacity_per_s,omitempty"`
	Throttle  float64   `json:"throttle_per_s,omitempty"`
	Generator bool      `json:"generator_healthy"`
}

// HistoryOf puts runs in a row by the time they started. A run is called by its labels whose keys are
// given, by all of them when none is, and by its day when it has none.
func HistoryOf(runs []*Run, keys []string) History {
	var h History
	for _, r := range runs {
		t := r.Tally()
		row := HistoryRow{Contract: diffRun(r).Contract, Started: r.Started, Summary: r.Summary, Judged: t.Judged, Applies: t.Applies, Generator: true}
		var name []string
		for _, l := range labels(r) {
			if key, value, _ := strings.Cut(l, "="); len(keys) == 0 {
				name = append(name, l)
			} else if slices.Contains(keys, key) {
				name = append(name, value)
			}
		}
		row.Label = cmp.Or(strings.Join(name, " "), r.Started.UTC().Format("2006-01-02 15:04"))
		if l := r.Load; l != nil {
			row.Profile, row.P50MS, row.P99MS, row.Reached = l.Profile, l.Latency.Response.P50MS, l.Latency.Response.P99MS, l.ReachedRate
			row.Generator = l.Generator.Healthy
			if l.Sent > 0 {
				row.Errors = float64(l.Outcomes.ServerError+l.Outcomes.Timeout+l.Outcomes.Connection) / float64(l.Sent)
			}
			if l.Capacity != nil {
				row.Capacity = l.Capacity.RatePerS
			}
			if l.Throttle != nil && l.Throttle.Limited {
				row.Throttle = l.Throttle.RatePerS
			}
		}
		h.Rows = append(h.Rows, row)
	}
	slices.SortStableFunc(h.Rows, func(a, b HistoryRow) int { return a.Started.Compare(b.Started) })
	return h
}

// columns are those of a table that have something in them.
func (h History) columns() (head []string, cells func(HistoryRow) []string) {
	type column struct {
		name string
		of   func(HistoryRow) string
	}
	number := func(v float64, text func(float64) string) string {
		if v == 0 {
			return "–"
		}
		return text(v)
	}
	var used []column
	for _, c := range []column{
		{"judged", func(r HistoryRow) string {
			if r.Applies == 0 {
				return "–"
			}
			return fmt.Sprintf("%d of %d", r.Judged, r.Applies)
		}},
		{"warn", func(r HistoryRow) string { return count(r.Summary.Warn) }},
		{"fail", func(r HistoryRow) string { return count(r.Summary.Fail) }},
		{"p50", func(r HistoryRow) string { return number(r.P50MS, millis) }},
		{"p99", func(r HistoryRow) string { return number(r.P99MS, millis) }},
		{"reached", func(r HistoryRow) string { return number(r.Reached, rate) }},
		{"errors", func(r HistoryRow) string { return number(r.Errors, percent) }},
		{"capacity", func(r HistoryRow) string { return number(r.Capacity, rate) }},
		{"throttle", func(r HistoryRow) string { return number(r.Throttle, rate) }},
	} {
		if slices.ContainsFunc(h.Rows, func(r HistoryRow) bool { s := c.of(r); return s != "–" && s != "·" }) {
			used = append(used, c)
			head = append(head, c.name)
		}
	}
	return head, func(r HistoryRow) (out []string) {
		for _, c := range used {
			out = append(out, c.of(r))
		}
		return out
	}
}

// WriteTable renders the runs as a table and, from three runs on, pictures of what has figures.
func (h History) WriteTable(w io.Writer, s Style) error {
	p := &page{Style: s}
	head, cells := h.columns()
	alike := !slices.ContainsFunc(h.Rows, func(r HistoryRow) bool { return r.Contract != h.Rows[0].Contract })
	first, align := []string{"run"}, tw.Alignment{tw.AlignLeft}
	if !alike {
		first, align = append(first, "contract"), append(align, tw.AlignLeft)
	}
	for range head {
		align = append(align, right)
	}
	var rows [][]string
	for i, r := range h.Rows {
		mark := ""
		if !r.Generator {
			mark = " (generator limited)"
		}
		row := []string{fmt.Sprintf("%d  %s%s", i+1, short(r.Label, 24), mark)}
		if !alike {
			row = append(row, short(r.Contract, 14))
		}
		rows = append(rows, append(row, cells(r)...))
	}
	p.table(append(first, head...), align, rows)
	for _, g := range []struct {
		title string
		of    func(HistoryRow) float64
		zero  bool
	}{
		{"fail, run by run", func(r HistoryRow) float64 { return float64(r.Summary.Fail) }, true},
		{"response p99 in ms, run by run", func(r HistoryRow) float64 { return r.P99MS }, false},
		{"capacity per second, run by run", func(r HistoryRow) float64 { return r.Capacity }, false},
		{"throttle per second, run by run", func(r HistoryRow) float64 { return r.Throttle }, false},
	} {
		var line []float64
		for _, r := range h.Rows {
			if v := g.of(r); v > 0 || g.zero { // a run without the figure leaves no gap
				line = append(line, v)
			}
		}
		if len(line) < 3 || slices.Max(line) == 0 {
			continue
		}
		p.gap()
		p.graph(g.title, p.width()-16, line)
	}
	return p.to(w)
}

// WriteMarkdown renders the runs as a table.
func (h History) WriteMarkdown(w io.Writer) error {
	head, cells := h.columns()
	var b strings.Builder
	fmt.Fprintf(&b, "| run | contract | started | %s |\n|---|---|---%s|\n", strings.Join(head, " | "), strings.Repeat("|---:", len(head)))
	for _, r := range h.Rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", mdText(r.Label), mdText(r.Contract), when(r.Started), strings.Join(cells(r), " | "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON writes the rows.
func (h History) WriteJSON(w io.Writer) error {
	h.Rows = append([]HistoryRow{}, h.Rows...)
	return writeJSON(w, h)
}
