package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
)

type junitSuites struct {
	XMLName xml.Name `xml:"testsuites"`
	Name    string   `xml:"name,attr"`
	junitCounts
	Suites []junitSuite `xml:"testsuite"`
}

type junitCounts struct {
	Tests    int    `xml:"tests,attr"`
	Failures int    `xml:"failures,attr"`
	Errors   int    `xml:"errors,attr"`
	Skipped  int    `xml:"skipped,attr"`
	Time     string `xml:"time,attr"` // seconds
}

type junitSuite struct {
	Name string `xml:"name,attr"`
	junitCounts
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	Class     string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	Skipped   *junitMessage `xml:"skipped"`
	Failure   *junitMessage `xml:"failure"`
	Error     *junitMessage `xml:"error"`
	SystemOut *junitText    `xml:"system-out"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Body    string `xml:",cdata"`
}

type junitText struct {
	Body string `xml:",cdata"`
}

// WriteJUnit renders a run as JUnit XML: a test suite for each contract, a test case for each rule. Names
// hold nothing that changes from run to run. What the exit code leaves out (warnings, waived findings,
// the side that does not decide) is no failure here either; its text stands in system-out.
func WriteJUnit(w io.Writer, r Run) error {
	all := junitSuites{Name: cleanName(r.Tool.Name)}
	contracts := r.Contracts
	if len(contracts) < 2 {
		contracts = []ContractRun{{Contract: r.Contract, DurationMS: r.DurationMS}}
	}
	for _, k := range contracts {
		s := junitSuite{Name: cleanName(k.Contract.Name), Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05")}
		s.Time = xmlSeconds(k.DurationMS)
		s.Properties = []junitProperty{{"version", clean(r.Tool.Version)}, {"catalogue", clean(r.Tool.Catalogue)}, {"edition", clean(k.Contract.Edition)}}
		for _, l := range labels(&r) {
			name, value, _ := strings.Cut(l, "=")
			s.Properties = append(s.Properties, junitProperty{"label." + name, value})
		}
		class := "grantcheck."
		if len(contracts) > 1 {
			class += cleanName(k.Contract.Name) + "."
		}
		for _, f := range r.Preflight {
			if len(contracts) == 1 || f.Contract == k.Contract.Name {
				s.add(junitCase{
					Name: "preflight", Class: class + "preflight", Time: "0",
					Error: &junitMessage{Message: clean(f.Message), Type: string(f.Kind), Body: cleanText(f.Message + "\n" + f.Remedy)},
				})
			}
		}
		for _, c := range r.Checks {
			if len(contracts) == 1 || c.Contract == k.Contract.Name {
				s.add(r.junitCase(c, k.Contract, class+cleanName(c.Group)))
			}
		}
		all.add(s)
	}
	if r.Load != nil {
		s := junitSuite{
			Name: "load", Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
			Properties: []junitProperty{{"profile", clean(r.Load.Profile)}},
		}
		s.Time = xmlSeconds(r.Load.ElapsedMS)
		for _, f := range r.Load.Findings {
			s.add(r.junitCase(f.check(), r.Contract, "grantcheck.load"))
		}
		for _, t := range r.Load.Thresholds {
			s.add(junitThreshold(t))
		}
		all.add(s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return fmt.Errorf("junit: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// add takes a case into a suite and its counts.
func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
}

func (a *junitSuites) add(s junitSuite) {
	if s.Tests == 0 {
		return
	}
	a.Suites = append(a.Suites, s)
	a.Tests, a.Failures, a.Errors, a.Skipped = a.Tests+s.Tests, a.Failures+s.Failures, a.Errors+s.Errors, a.Skipped+s.Skipped
	before, _ := strconv.ParseFloat(a.Time, 64)
	this, _ := strconv.ParseFloat(s.Time, 64)
	a.Time = xmlSeconds((before + this) * 1000)
}

func (r *Run) junitCase(c Check, of Contract, class string) junitCase {
	t := junitCase{Name: clean(c.Rule) + ": " + clean(c.Title), Class: class, Time: xmlSeconds(c.DurationMS)}
	switch {
	case c.Verdict == Error:
		t.Error = &junitMessage{Message: clean(c.Reason), Type: "error", Body: r.plainText(c)}
	case c.Verdict == Waived:
		t.Skipped = &junitMessage{Message: "waived: " + waiverOf(c)}
		t.SystemOut = &junitText{r.plainText(c)}
	case !c.Verdict.Judged():
		t.Skipped = &junitMessage{Message: string(c.Verdict) + ": " + skipReason(c)}
	case c.counted(of) == Fail:
		t.Failure = &junitMessage{Message: oneLine(c), Type: "fail", Body: r.plainText(c)}
	case c.Verdict != Pass:
		t.SystemOut = &junitText{string(c.Verdict) + "\n" + r.plainText(c)}
	}
	return t
}

func waiverOf(c Check) string {
	if c.Waiver == nil {
		return clean(c.Reason)
	}
	return waiverLine(*c.Waiver)
}

func skipReason(c Check) string {
	if c.Reason != "" {
		return clean(c.Reason)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(c.ReasonKind), "_", " ") + " " + clean(c.Needs))
}

// oneLine is a finding in one line: expected …; came …
func oneLine(c Check) string {
	switch {
	case c.Expected != "" && c.Actual != "":
		return "expected " + clean(c.Expected) + "; came " + clean(c.Actual)
	case c.Message != "":
		return clean(c.Message)
	}
	return clean(c.Title)
}

// plainText is a finding as lines of text: requirement, expected, came, clause, why, and the curl line.
func (r *Run) plainText(c Check) string {
	var b strings.Builder
	b.WriteByte('\n')
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-12s %s\n", name, value)
		}
	}
	row("requirement", clean(c.Requirement))
	row("expected", clean(c.Expected))
	row("came", clean(c.Actual))
	if c.Message != c.Actual {
		row("finding", clean(c.finding()))
	}
	row("clause", clauseLine(c))
	row("why", clean(c.Why))
	if c.Documented != "" || c.Standard != "" {
		row("verdicts", sidesLine(c))
	}
	row("seen in", places(c, true))
	row("reason", clean(c.Reason))
	if x := telling(r, c); x != nil {
		row("repeat", cleanCommand(x.Curl))
	}
	return b.String()
}

func junitThreshold(t ThresholdResult) junitCase {
	c := junitCase{Name: "threshold " + clean(t.Expression), Class: "grantcheck.load", Time: "0"}
	text := fmt.Sprintf("observed %s over %s samples", observed(t), thousands(t.Samples))
	switch t.Verdict {
	case Pass:
	case Fail:
		c.Failure = &junitMessage{Message: text, Type: "threshold", Body: text}
	default:
		c.Skipped = &junitMessage{Message: string(t.Verdict) + ": " + clean(t.Reason)}
	}
	return c
}

func xmlSeconds(ms float64) string { return strconv.FormatFloat(ms/1000, 'f', 3, 64) }

// cleanName is clean for a part of a dotted name.
func cleanName(s string) string { return strings.ReplaceAll(clean(s), ".", "-") }
