package load

import (
	"fmt"
	"io"
	"strings"
	"time"

	"grantcheck/report"
)

// A View is the state of a run for those who watch it.
type View struct {
	Profile       string
	Elapsed, Span time.Duration
	Asked         float64 // requests per second now
	Reached       float64 // sent per second over the last window
	Planned, Sent int64
	Counts        [outcomes]int64
	Window        report.SeriesPoint // the latest that is closed
	P99           []float64          // response p99 of the windows so far, in milliseconds
}

// A Live shows a run as it goes. Show is called four times a second, Done once at the end.
type Live interface {
	Show(View)
	Done()
}

func (r *runner) view(now time.Duration) View {
	t := r.tally
	v := View{Profile: r.o.Profile.Name, Elapsed: now, Span: r.plan.Span(), Asked: r.plan.Rate(now), Planned: t.Planned, Sent: t.Sent, Counts: t.Counts}
	for i, p := range t.series[:min(t.open, len(t.series))] {
		v.P99 = append(v.P99, p.P99MS)
		if i == t.open-1 {
			v.Window, v.Reached = p, float64(p.Sent)/t.width.Seconds()
		}
	}
	return v
}

// NewLive shows a run on w: on a terminal of some width a few lines drawn over, else a plain line
// every ten seconds of the run.
func NewLive(w io.Writer, terminal bool, width int) Live {
	if terminal {
		return &screen{w: w, width: max(40, width)}
	}
	return &lines{w: w, next: 10 * time.Second}
}

// lines is a view for logs.
type lines struct {
	w    io.Writer
	next time.Duration
}

func (l *lines) Show(v View) {
	if v.Elapsed < l.next {
		return
	}
	l.next = v.Elapsed.Truncate(10*time.Second) + 10*time.Second
	fmt.Fprintf(l.w, "load %s: %v of %v, %.0f/s of %.0f/s, p50 %.1f ms, p99 %.1f ms%s\n", v.Profile,
		v.Elapsed.Round(time.Second), v.Span.Round(time.Second), v.Reached, v.Asked, v.Window.P50MS, v.Window.P99MS, tallied(v.Counts))
}

func (l *lines) Done() {}

func tallied(counts [outcomes]int64) string {
	var b strings.Builder
	for o, n := range counts {
		if n > 0 {
			fmt.Fprintf(&b, ", %d %s", n, outcomeNames[o])
		}
	}
	return b.String()
}

// screen is a view for people: it draws over itself.
type screen struct {
	w     io.Writer
	width int
	drawn int
}

func (s *screen) Show(v View) {
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	left := max(0, v.Span-v.Elapsed).Round(time.Second)
	rows := []string{
		fmt.Sprintf("%s  %v of %v, %v left", v.Profile, v.Elapsed.Round(time.Second), v.Span.Round(time.Second), left),
		fmt.Sprintf("rate   %8.1f/s asked %8.1f/s sent  (%d of %d due)", v.Asked, v.Reached, v.Sent, v.Planned),
		fmt.Sprintf("p50 %.1f ms  p99 %.1f ms  (response, last window)", v.Window.P50MS, v.Window.P99MS),
		strings.TrimPrefix(tallied(v.Counts), ", "),
		"p99  " + sparks(v.P99, s.width-6),
	}
	for _, r := range rows {
		cut := []rune(r)
		b.WriteString("\r\x1b[K" + string(cut[:min(len(cut), s.width-1)]) + "\n")
	}
	s.drawn = len(rows)
	_, _ = io.WriteString(s.w, b.String()) // a view that cannot be drawn is no error of the run
}

func (s *screen) Done() {}

// sparks draws values as a row of bars, the latest on the right.
func sparks(xs []float64, width int) string {
	if len(xs) > width {
		xs = xs[len(xs)-width:]
	}
	top := 0.0
	for _, x := range xs {
		top = max(top, x)
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, x := range xs {
		i := 0
		if top > 0 {
			i = int(x / top * float64(len(bars)-1))
		}
		b.WriteRune(bars[i])
	}
	return b.String()
}
