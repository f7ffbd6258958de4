package report

import (
	"fmt"
	"strings"
)

// Exit codes of the command, as documented.
const (
	ExitOK           = 0
	ExitFail         = 1 // the endpoint fell short of a rule
	ExitUsage        = 2 // nothing was sent
	ExitThreshold    = 3 // a load threshold was not met
	ExitUnjudged     = 4 // nothing, or too little, could be judged
	ExitInterrupted  = 130
	DefaultMinJudged = 0.5
)

// A Gate is what a run has to meet for exit code 0.
type Gate struct {
	FailOn    Verdict // Fail (default), Warn or Note: the mildest verdict that counts
	MinJudged float64 // share, of 1, of what applies that must have been judged
	Baseline  *Run    // when set, only what newly fails or is no longer checked counts
}

// Decide sets ExitCode and ExitReason. Call it last, after Summarize.
func (r *Run) Decide(g Gate) {
	r.ExitCode, r.ExitReason = r.decide(g)
}

func (r *Run) decide(g Gate) (int, string) {
	if r.Plan != nil && len(r.Checks) == 0 && r.Load == nil {
		return ExitOK, ""
	}
	if r.Interrupted {
		return ExitInterrupted, "interrupted: " + r.Tally().String()
	}
	failing := r.failing(g.FailOn)
	if g.Baseline != nil {
		d := Compare(g.Baseline, r, g.FailOn)
		if n := len(d.NewlyFailing); n > 0 {
			return ExitFail, "newly failing against the baseline: " + few(names(d.NewlyFailing))
		}
		if n := len(d.NoLongerChecked); n > 0 {
			return ExitFail, "no longer checked, but was in the baseline: " + few(names(d.NoLongerChecked))
		}
	} else if len(failing) > 0 {
		reason := plural(len(failing), "rule") + " did not hold: " + few(failing)
		if code, why := r.thresholdExit(); code == ExitThreshold {
			reason += "; " + why
		}
		return ExitFail, reason
	}
	if code, why := r.thresholdExit(); code != ExitOK {
		return code, why
	}
	if code, why := r.judgedExit(g.MinJudged); code != ExitOK {
		return code, why
	}
	switch {
	case len(failing) > 0:
		return ExitOK, plural(len(failing), "failure") + ", all of them in the baseline"
	case r.Summary.Fail > 0:
		return ExitOK, plural(r.Summary.Fail, "failure") + " on the side that this contract leaves out of the exit code"
	}
	return ExitOK, ""
}

// failing lists what counts against the endpoint, by rule id or finding name.
func (r *Run) failing(on Verdict) (out []string) {
	if on == "" {
		on = Fail
	}
	for _, c := range r.Checks {
		if v := c.counted(r.contractOf(c.Contract)); v.severity() >= on.severity() {
			out = append(out, r.qualified(c.Contract, c.Rule))
		}
	}
	if r.Load != nil {
		for _, f := range r.Load.Findings {
			if f.Verdict.severity() >= on.severity() {
				out = append(out, f.Name)
			}
		}
	}
	return out
}

func (r *Run) thresholdExit() (int, string) {
	if r.Load == nil || r.Load.Shard != nil { // a shard judges no threshold; the merged run does
		return ExitOK, ""
	}
	var missed, open []string
	for _, t := range r.Load.Thresholds {
		switch t.Verdict {
		case Fail:
			missed = append(missed, t.Expression)
		case Pass:
		default:
			open = append(open, t.Expression)
		}
	}
	switch {
	case len(missed) > 0:
		return ExitThreshold, "threshold not met: " + few(missed)
	case r.Load.Sent > 0 && r.Load.Answered == 0:
		return ExitUnjudged, "not one of " + plural(int(r.Load.Sent), "request") + " was answered"
	case len(open) > 0:
		return ExitUnjudged, "threshold could not be judged: " + few(open)
	}
	return ExitOK, ""
}

func (r *Run) judgedExit(min float64) (int, string) {
	if len(r.Preflight) > 0 {
		p := r.Preflight[0]
		return ExitUnjudged, strings.TrimSpace(p.Message)
	}
	if r.Load != nil && len(r.Checks) == 0 {
		return ExitOK, ""
	}
	t := r.Tally()
	switch {
	case r.Summary.Error > 0:
		return ExitUnjudged, plural(r.Summary.Error, "rule") + " could not be judged because of our own error"
	case t.Judged == 0:
		return ExitUnjudged, "nothing was judged"
	case float64(t.Judged) < min*float64(t.Applies):
		return ExitUnjudged, fmt.Sprintf("only %d of %d that apply were judged, less than %s",
			t.Judged, t.Applies, percent(min))
	}
	for _, c := range r.Contracts {
		if c.Summary.Judged() == 0 {
			return ExitUnjudged, "nothing was judged of " + c.Contract.Name
		}
	}
	return ExitOK, ""
}

// qualified is a rule's id, with its contract when the run covers several.
func (r *Run) qualified(contract, rule string) string {
	if len(r.Contracts) > 1 && contract != "" {
		return contract + ": " + rule
	}
	return rule
}

// few lists the first names and counts the rest.
func few(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:4], ", "), len(names)-4)
	}
	return strings.Join(names, ", ")
}
