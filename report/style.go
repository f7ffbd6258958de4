package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

// A Style is how a report for a terminal looks. The zero value is 80 columns, no colour, terse.
type Style struct {
	Width   int
	Color   bool
	Verbose bool // the exchanges of what did not pass
}

func (s Style) width() int {
	if s.Width <= 0 {
		return 80
	}
	return max(s.Width, 40)
}

// Colours of a terminal, by what they mean.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s Style) paint(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

var verdictColor = map[Verdict]string{
	Pass: green, Note: cyan, Warn: yellow, Fail: red, Error: red,
	Waived: yellow, Blocked: yellow, Inconclusive: yellow, Skip: dim,
}

func (s Style) verdict(v Verdict, text string) string { return s.paint(verdictColor[v], text) }

// wrap breaks text at spaces into lines of at most width columns; a longer word stands alone.
func wrap(text string, width int) []string {
	var out []string
	for _, para := range strings.Split(text, "\n") {
		line, used := "", 0
		for _, word := range strings.Fields(para) {
			w := twwidth.Width(word)
			for w > width { // nothing to break at: cut, so that no line runs over
				cut, n := 0, 0
				for i, c := range word {
					cw := twwidth.Width(string(c))
					if n+cw > width {
						break
					}
					cut, n = i+len(string(c)), n+cw
				}
				if cut == 0 {
					break
				}
				if used > 0 {
					out, line, used = append(out, line), "", 0
				}
				out, word = append(out, word[:cut]), word[cut:]
				w = twwidth.Width(word)
			}
			if used > 0 && used+1+w > width {
				out, line, used = append(out, line), "", 0
			}
			if used > 0 {
				line, used = line+" ", used+1
			}
			line, used = line+word, used+w
		}
		out = append(out, line)
	}
	return out
}

// pad fills text with spaces to width columns.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-twwidth.Width(text)))
}

// millis writes milliseconds with three digits that count and the unit people would say.
func millis(v float64) string {
	switch {
	case v >= 60_000:
		return seconds(v / 1000)
	case v >= 1000:
		return digits(v/1000) + " s"
	case v > 0 && v < 0.1:
		return digits(v*1000) + " µs"
	}
	return digits(v) + " ms"
}

// digits writes a figure with three digits that count.
func digits(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case a >= 99.95 || a == 0 || v == math.Trunc(v) && a >= 1:
		return thousands(int64(math.Round(v)))
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.0995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

func seconds(v float64) string {
	if v > 120 {
		s := time.Duration(v * float64(time.Second)).Round(time.Second).String()
		s, _ = strings.CutSuffix(s, "m0s")
		if h, ok := strings.CutSuffix(s, "h0"); ok {
			return h + " h"
		}
		if !strings.HasSuffix(s, "s") {
			s += "m"
		}
		return s
	}
	return digits(v) + " s"
}

func rate(v float64) string { return digits(v) + "/s" }

// share writes a part of a whole; a part that is not nothing is never written as 0.
func share(part, whole int64) string {
	if whole == 0 {
		return "–"
	}
	v := float64(part) / float64(whole)
	if part > 0 && v < 0.0001 {
		return "< 0.01 %"
	}
	if part < whole && v > 0.9999 {
		return "> 99.99 %"
	}
	return percent(v)
}

// quantity writes a value of a threshold or a ratio in its unit.
func quantity(v float64, unit string) string {
	switch unit {
	case "ms":
		return millis(v)
	case "s":
		return seconds(v)
	case "share":
		if v > 0 && v < 0.0001 {
			return "< 0.01 %"
		}
		return percent(v)
	case "per_s":
		return rate(v)
	case "bytes":
		return bytesOf(v)
	}
	return strings.TrimSpace(digits(v) + " " + strings.TrimPrefix(unit, "count"))
}

func bytesOf(v float64) string {
	for _, u := range []string{"B", "kB", "MB", "GB"} {
		if v < 1000 || u == "GB" {
			return digits(v) + " " + u
		}
		v /= 1000
	}
	return ""
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// contractLine names what was judged: AppSec+ token endpoint (appsecplus), oauth20, strict
func contractLine(c Contract) string {
	s := clean(c.Title)
	switch {
	case s == "" || s == c.Name:
		s = clean(c.Name)
	default:
		s += fmt.Sprintf(" (%s)", clean(c.Name))
	}
	if c.Edition != "" {
		s += ", " + clean(c.Edition)
	}
	if c.Strict {
		s += ", strict"
	}
	switch c.Decide {
	case DocumentedOnly:
		s += ", the documentation decides"
	case StandardOnly:
		s += ", the standards decide"
	}
	return s
}

func endpointLine(e Endpoint) string {
	s := clean(e.URL)
	if e.Emulated {
		s += " (emulator)"
	}
	return s
}

// clauseLine is the clause and how it binds: RFC 6749 §5.2 (MUST); what a load finds may rest on none.
func clauseLine(c Check) string {
	s := clean(c.Source)
	if c.Group == "load" {
		return s
	}
	if strings.EqualFold(s, "contract") || s == "" {
		s = "the contract"
	}
	switch {
	case c.Level == "DOC" || c.Level == "":
		return s
	case c.Level == "NONE" || c.Wording == "practice":
		return s + " (good practice, no requirement)"
	case c.Wording == "derived":
		return s + " states it (" + clean(c.Level) + ")"
	}
	return s + " (" + clean(c.Level) + ")"
}

// sidesLine tells both verdicts in words.
func sidesLine(c Check) string {
	return "as documented: " + sideWord(c.Documented) + " · per the standard: " + sideWord(c.Standard)
}

func sideWord(s Side) string {
	switch s {
	case "", SideSilent:
		return "silent"
	case SideDeviation:
		return "deviation"
	}
	return string(s)
}
