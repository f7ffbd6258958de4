package suites

import (
	"fmt"
	"slices"
	"strings"

	"grantcheck/report"
)

// blank is the check of a rule before anything is known.
func blank(r Rule) report.Check {
	return report.Check{
		Rule: r.ID, Title: r.Title, Group: r.Group, Level: string(r.Level), Source: r.Source,
		Documented: report.SideSilent, Standard: report.SideSilent, Exchanges: []int{},
		Requirement: r.Summary, Why: r.Why, Posture: string(r.Posture), Wording: string(r.Wording),
	}
}

// finding makes the check's result of what it recorded and how it ended.
func (c *Case) finding(ended *stop) report.Check {
	check := blank(c.rule)
	if ended != nil && ended.verdict != "" && len(c.violations) == 0 {
		check.Verdict, check.ReasonKind, check.Needs, check.Reason = ended.verdict, ended.kind, ended.needs, ended.reason
		return check
	}
	side, page := c.sides(&check)
	if c.rule.Level == Doc {
		check.Documented, check.Standard = side, report.SideSilent
	} else {
		check.Standard, check.Documented = side, page
	}
	check.Verdict = report.Combine(check.Documented, check.Standard, c.Strict(), report.BothSides)
	check.Reason = strings.Join(c.deviations, "; ")
	if len(c.remarks) > 0 && check.Message == "" {
		check.Message = strings.Join(c.remarks, "; ")
	}
	return check
}

// sides weighs what was recorded: the rule's own side, and what the page says to the same answers.
func (c *Case) sides(check *report.Check) (own, page report.Side) {
	own, page = report.SidePass, report.SideSilent
	if len(c.remarks) > 0 {
		own = report.SideNote
	}
	worst := c.weight()
	var real, excused []violation
	for _, v := range c.violations {
		if v.documented == report.SidePass {
			excused = append(excused, v)
		} else {
			real = append(real, v)
		}
	}
	tell := func(vs []violation) {
		check.Expected, check.Actual, check.Message = vs[0].expected, vs[0].came, c.message(vs[0])
		for _, v := range vs {
			if place := c.place(v); place != "" && !slices.Contains(check.Places, place) {
				check.Places = append(check.Places, place)
			}
		}
	}
	switch {
	case len(real) > 0:
		own = worst
		tell(real)
		if real[0].documented == report.SideFail {
			page = report.SideFail
			check.Reason = real[0].page
		}
	case len(excused) > 0:
		own, page = report.SideDeviation, report.SidePass
		tell(excused)
		if worst == report.SideNote {
			own = report.SideNote // an observation that the page explains stays one
		}
	case len(c.warnings) > 0:
		own = report.SideWarn
		if c.Strict() {
			own = worst
		}
		tell(c.warnings)
	default:
		page = c.pageAfterPass(check)
	}
	return own, page
}

// weight is what a violation of this rule counts: its posture, raised in strict mode.
func (c *Case) weight() report.Side {
	switch {
	case c.rule.Posture == Assert, c.rule.Posture == Advise && c.Strict():
		return report.SideFail
	case c.rule.Posture == Advise:
		return report.SideWarn
	}
	return report.SideNote
}

// pageAfterPass holds a rule that passed per the standard against a deviation
// that the contract lists for it.
func (c *Case) pageAfterPass(check *report.Check) report.Side {
	d, first := deviationFor(c.Contract(), c.rule.ID)
	if c.rule.Level == Doc || d == nil {
		return report.SideSilent
	}
	if d.Mode != "required" {
		return report.SidePass
	}
	came := ""
	for i := len(c.looked) - 1; i >= 0; i-- {
		s := c.looked[i]
		if !first && !c.run.covers(d, s) || s.Golden {
			continue
		}
		if outcomeFits(d.Documented, s.Status, s.Code()) {
			return report.SidePass
		}
		came = s.Came()
		break
	}
	if came == "" && len(d.Documented.Status) > 0 {
		return report.SideSilent // nothing of what the deviation describes was seen
	}
	check.Message = "the endpoint does what the standard says, where its page documents otherwise: " + d.Reason
	check.Expected, check.Actual = "as documented: "+inWords(d.Documented), came
	return report.SideFail
}

func (c *Case) message(v violation) string {
	if v.message != "" {
		return v.message
	}
	return fmt.Sprintf("expected %s, came %s", v.expected, v.came)
}

// place says which answer a violation was seen in: the probe's rule and what came.
func (c *Case) place(v violation) string {
	if v.sample == nil {
		return ""
	}
	from := v.sample.Rule
	if from == "" {
		from = "golden request"
	}
	return fmt.Sprintf("%s: %s", from, v.came)
}

// evidence lists the answers the finding rests on: those looked at, or all that were sent.
func (c *Case) evidence() []*Sample {
	if held := slices.Concat(c.violations, c.warnings); len(held) > 0 {
		var at []*Sample
		for _, v := range held {
			if v.sample != nil && !slices.Contains(at, v.sample) && len(at) < maxEvidence {
				at = append(at, v.sample)
			}
		}
		if len(at) > 0 {
			slices.SortStableFunc(at, func(a, b *Sample) int { return boolRank(!a.Golden) - boolRank(!b.Golden) })
			return at
		}
	}
	all := c.looked
	if len(all) == 0 {
		all = c.sent
	}
	return all[:min(len(all), maxEvidence)]
}

// maxEvidence bounds the exchanges named beside one finding; a passive rule may have looked at hundreds.
const maxEvidence = 20
