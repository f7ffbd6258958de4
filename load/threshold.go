package load

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"grantcheck/report"
)

// A Threshold is one expression over the measurements, such as
//
//	p99 < 250ms
//	response p99 token < 200ms over 30s
//	error_rate < 0.1% abort
//	success_rate excluding throttled >= 99.9%
//	rate >= 100/s
//
// A latency is p50 to p99.99, mean or max, of service, response (the default) or lag, of all
// answers or of one outcome. A share is <outcome>_rate, success_rate, error_rate (neither token
// nor throttled) or unsent_rate. rate is the rate sent; sent, answered and unsent are counts.
type Threshold struct {
	Source string // the expression as written
	From   string // flag, profile, contract slo

	Metric   string  // latency, share, rate, count
	Latency  string  // service, response, lag
	Quantile float64 // 0 to 100; -1 is mean, 100 is max
	Of       string  // outcome of a latency ("" all), name of a share or count
	Op       string
	Limit    float64 // milliseconds, share of 1, per second, count

	Over    time.Duration // sliding window; 0: the whole run
	After   time.Duration // what came before is left out
	Min     int64         // samples, 0: as many as the metric needs
	Abort   bool          // ends the run when it fails
	Unsure  bool          // a limit inside the confidence interval of a quantile decides nothing
	Without []Outcome     // of a share: outcomes left out of the whole
}

var shareNames = func() (out []string) {
	for _, n := range outcomeNames {
		out = append(out, n+"_rate")
	}
	return append(out, "success_rate", "error_rate", "unsent_rate")
}()

// A token of an expression and the column it starts at, from 1.
type word struct {
	text string
	col  int
}

func words(s string) (out []word) {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t':
			i++
		case strings.IndexByte("<>=!", c) >= 0:
			j := i + 1
			for j < len(s) && s[j] == '=' {
				j++
			}
			out = append(out, word{s[i:j], i + 1})
			i = j
		default:
			j := i
			for j < len(s) && strings.IndexByte(" \t<>=!", s[j]) < 0 {
				j++
			}
			out = append(out, word{s[i:j], i + 1})
			i = j
		}
	}
	return out
}

// ParseThreshold reads an expression. The error points at the column, and names the nearest word
// that would be understood.
func ParseThreshold(src string) (*Threshold, error) {
	t := &Threshold{Source: src, Quantile: -2}
	ws := words(src)
	fail := func(w word, known []string, format string, args ...any) error {
		return fmt.Errorf("threshold %q, column %d: %s%s", src, w.col, fmt.Sprintf(format, args...), suggest(w.text, known))
	}
	end := word{"", len(src) + 1}
	next := func() word {
		if len(ws) == 0 {
			return end
		}
		w := ws[0]
		ws = ws[1:]
		return w
	}
	ops := []string{"<", "<=", ">", ">=", "==", "!="}
	first := true
	var w word
	for w = next(); w != end && !slices.Contains(ops, w.text); w = next() {
		switch q, isQ := quantile(w.text); {
		case slices.Contains([]string{"service", "response", "lag"}, w.text) && first:
			t.Metric, t.Latency = "latency", w.text
		case isQ && t.Quantile == -2 && (t.Metric == "" || t.Metric == "latency"):
			t.Metric, t.Quantile = "latency", q
		case t.Metric == "latency" && t.Quantile != -2 && t.Of == "" && slices.Contains(outcomeNames[:], w.text):
			t.Of = w.text
		case first && slices.Contains(shareNames, w.text):
			t.Metric, t.Of = "share", w.text
		case t.Metric == "share" && w.text == "excluding":
			w = next()
			i := slices.Index(outcomeNames[:], w.text)
			if i < 0 {
				return nil, fail(w, outcomeNames[:], "excluding is followed by an outcome, not %q", w.text)
			}
			t.Without = append(t.Without, Outcome(i))
		case first && w.text == "rate":
			t.Metric = "rate"
		case first && slices.Contains([]string{"sent", "answered", "unsent"}, w.text):
			t.Metric, t.Of = "count", w.text
		default:
			if strings.IndexByte("<>=!", w.text[0]) >= 0 {
				return nil, fail(w, nil, "unknown comparison %q; there are %s", w.text, strings.Join(ops, " "))
			}
			known := append([]string{"p50", "p90", "p95", "p99", "p99.9", "mean", "max", "service", "response", "lag", "rate", "sent", "answered", "unsent"}, shareNames...)
			if t.Metric == "latency" {
				known = append(known, outcomeNames[:]...)
			}
			return nil, fail(w, known, "unknown measurement %q", w.text)
		}
		first = false
	}
	switch {
	case t.Metric == "":
		return nil, fail(w, nil, "a measurement is missing, as in p99 < 250ms")
	case t.Metric == "latency" && t.Quantile == -2:
		return nil, fail(w, nil, "which latency? p99, mean or max")
	case w == end:
		return nil, fail(w, nil, "a comparison is missing, as in p99 < 250ms")
	case t.Latency == "lag" && t.Of != "":
		return nil, fail(w, nil, "lag has no outcome: it ends before the answer")
	}
	if t.Metric == "latency" && t.Latency == "" {
		t.Latency = "response"
	}
	t.Op = w.text
	v := next()
	var err error
	switch t.Metric {
	case "latency":
		d, e := time.ParseDuration(v.text)
		t.Limit, err = float64(d)/1e6, e
		if e != nil {
			return nil, fail(v, nil, "a latency is compared with a time such as 250ms, not %q", v.text)
		}
	case "share":
		if t.Limit, err = parseShare(v.text); err != nil || t.Limit < 0 || t.Limit > 1 {
			return nil, fail(v, nil, "a share is compared with 0.1%% or 0.001, not %q", v.text)
		}
	case "rate":
		if t.Limit, err = ParseRate(v.text); err != nil {
			return nil, fail(v, nil, "%v", err)
		}
	default:
		if t.Limit, err = strconv.ParseFloat(v.text, 64); err != nil {
			return nil, fail(v, nil, "%s is compared with a number, not %q", t.Of, v.text)
		}
	}
	for w := next(); w != end; w = next() {
		var d *time.Duration
		switch w.text {
		case "abort":
			t.Abort = true
			continue
		case "min":
			v := next()
			n, err := strconv.ParseInt(v.text, 10, 64)
			if err != nil || n < 1 {
				return nil, fail(v, nil, "min is followed by a number of samples, not %q", v.text)
			}
			t.Min = n
			continue
		case "over":
			d = &t.Over
		case "after":
			d = &t.After
		default:
			return nil, fail(w, []string{"over", "after", "min", "abort"}, "unknown word %q", w.text)
		}
		v := next()
		if *d, err = ParseDuration(v.text); err != nil {
			return nil, fail(v, nil, "%s is followed by a time such as 30s, not %q", w.text, v.text)
		}
		if t.Over > 0 && t.Over < time.Second {
			return nil, fail(v, nil, "a window is at least 1s")
		}
	}
	return t, nil
}

// quantile reads p50, p99.9, mean or max.
func quantile(s string) (float64, bool) {
	switch s {
	case "mean":
		return -1, true
	case "max":
		return 100, true
	}
	if num, ok := strings.CutPrefix(s, "p"); ok && num != "" && num[0] >= '0' && num[0] <= '9' {
		if q, err := strconv.ParseFloat(num, 64); err == nil && q > 0 && q <= 100 {
			return q, true
		}
	}
	return 0, false
}

func (t *Threshold) unit() string {
	return map[string]string{"latency": "ms", "share": "share", "rate": "per_s", "count": "count"}[t.Metric]
}

// needs is how many samples decide. A p99 needs a hundred; a share below 0.1 % needs a thousand to
// pass, and none at all to fail.
func (t *Threshold) needs() int64 {
	switch {
	case t.Min > 0:
		return t.Min
	case t.Metric == "latency" && t.Quantile > 0 && t.Quantile < 100:
		return int64(math.Ceil(1/(1-t.Quantile/100) - 1e-6))
	case t.Metric == "share" && (t.Op == "<" || t.Op == "<=") && t.Limit > 0:
		return max(10, int64(math.Ceil(1/t.Limit-1e-6)))
	case t.Metric == "share":
		return 10
	}
	return 1
}

func (t *Threshold) holds(v float64) bool {
	switch t.Op {
	case "<":
		return v < t.Limit
	case "<=":
		return v <= t.Limit
	case ">":
		return v > t.Limit
	case ">=":
		return v >= t.Limit
	case "==":
		return v == t.Limit
	}
	return v != t.Limit
}

// Judge compares the measurements with the threshold.
func (t *Threshold) Judge(m *Measured) report.ThresholdResult {
	out := report.ThresholdResult{Expression: t.Source, Unit: t.unit(), Limit: t.Limit, Source: t.From}
	v, n := m.value(t)
	out.Observed, out.Samples = v, n
	enough := n >= t.needs()
	switch {
	case n == 0 && t.Metric != "count" && t.Metric != "rate":
		out.Verdict, out.Reason = report.Inconclusive, "no samples"
	case !t.holds(v) && (enough || t.Metric == "share" && n >= 10):
		out.Verdict = report.Fail
	case !enough:
		out.Verdict, out.Reason = report.Inconclusive, fmt.Sprintf("%d samples decide nothing; it takes %d", n, t.needs())
	default:
		out.Verdict = report.Pass
	}
	if t.Unsure && t.Metric == "latency" && out.Verdict != report.Inconclusive {
		if lo, hi := m.confidence(t); lo <= t.Limit && t.Limit <= hi && lo < hi {
			out.Verdict = report.Inconclusive
			out.Reason = fmt.Sprintf("the limit lies inside the 95 %% interval of the measurement, %.3g to %.3g ms", lo, hi)
		}
	}
	return out
}
