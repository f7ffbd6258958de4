package report

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// WriteStatement renders what a vendor can publish, as Markdown. It is only given for a complete,
// unfiltered run of checks; the label "implementation" names what was judged.
func WriteStatement(w io.Writer, r Run) error {
	contracts := r.Contracts
	if len(contracts) < 2 {
		contracts = []ContractRun{{Contract: r.Contract, Endpoint: r.Endpoint, Complete: r.Complete}}
	}
	switch {
	case len(r.Checks) == 0:
		return errors.New("no statement: the run judged no rules")
	case !r.Complete:
		return fmt.Errorf("no statement: the run is not complete (%s); run check without --rule and --group, to its end", incomplete(&r))
	case r.Summary.Error > 0:
		return fmt.Errorf("no statement: %s could not be judged because of our own error", plural(r.Summary.Error, "rule"))
	}
	m := &mdWriter{}
	m.f("# Conformance statement\n\n")
	for _, k := range contracts {
		in := func(c Check) bool { return len(contracts) == 1 || c.Contract == k.Contract.Name }
		name := r.Labels["implementation"]
		if name == "" {
			name = k.Contract.Title
		}
		if name == "" {
			name = k.Contract.Name
		}
		if len(contracts) > 1 {
			m.f("## %s\n\n", mdText(k.Contract.Name))
		}
		t := r.tally(in)
		d, s := r.sides(in)
		m.f("| | |\n|---|---|\n")
		m.f("| implementation | %s |\n", mdText(name))
		if k.Endpoint.Emulated {
			m.f("| **judged on** | grantcheck's own emulator: this says nothing about any other implementation |\n")
		}
		m.f("| contract | %s |\n", mdText(k.Contract.Name))
		edition := mdText(k.Contract.Edition)
		if k.Contract.Strict {
			edition += ", strict"
		}
		m.f("| edition | %s |\n", edition)
		m.f("| judged by | %s %s, rule set %s |\n", mdText(r.Tool.Name), mdText(r.Tool.Version), mdText(r.Tool.Catalogue))
		m.f("| on | %s |\n", r.Started.UTC().Format("2 January 2006"))
		m.f("| result | %s |\n", mdText(t.String()))
		m.f("| as documented | %d of %d hold |\n", d.holds, d.said)
		m.f("| per the standard | %d of %d hold |\n", s.holds, s.said)
		m.f("| failed | %s |\n", m.rules(&r, in, Fail))
		m.f("| waived | %s |\n", m.rules(&r, in, Waived))
		m.f("| warnings | %s |\n\n", m.rules(&r, in, Warn))
	}
	m.f("A pass says that the endpoint answered as the rule asks when it was asked, on that day. It does not prove the absence of faults, and what was not judged is not covered.\n")
	_, err := io.WriteString(w, m.String())
	return err
}

func (m *mdWriter) rules(r *Run, in func(Check) bool, v Verdict) string {
	var out []string
	for _, c := range r.Checks {
		if in(c) && c.Verdict == v {
			out = append(out, mdCode(c.Rule))
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}
