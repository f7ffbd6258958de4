package suites

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onsi/gomega"

	"grantcheck/report"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// Case is what a rule's check is handed: the endpoint through its contract, a
// way to ask it, and a way to say what came of it. A check that returns without
// a word has passed; Expect, and the methods that end a check, do not return
// when they decide.
//
// A Case is used by one goroutine.
type Case struct {
	rule   Rule
	ctx    context.Context
	run    *engine
	gomega gomega.Gomega

	sent       []*Sample // by this check
	looked     []*Sample // by Expect: the evidence
	current    *Sample   // the answer the running assertion is about
	violations []violation
	deviations []string
	remarks    []string
	warnings   []violation
	excuse     string // what of the page documents the violations that follow
	relied     []controlKey
}

// violation is one answer, or one fact, that is not as the rule expects.
type violation struct {
	sample   *Sample
	about    aspect
	expected string
	came     string
	message  string
	// page is what the page says about the same answer: "" silent, else its words.
	documented report.Side
	page       string
}

// stop ends a check from inside; the engine recovers it.
type stop struct {
	verdict report.Verdict // "" when what was recorded decides
	kind    report.ReasonKind
	reason  string
	needs   string
}

// ---- the endpoint through its contract ----

// Contract returns the bound contract.
func (c *Case) Contract() *contract.Contract { return c.run.target.Contract }

// Target returns the endpoint.
func (c *Case) Target() *exchange.Target { return c.run.target }

// Strict reports whether the narrower reading of Rule.StrictExpect is asked for.
func (c *Case) Strict() bool { return c.run.cfg.Strict }

// Edition returns the standards the run judges by.
func (c *Case) Edition() Edition { return c.run.edition }

// Now reads the clock of the run.
func (c *Case) Now() time.Time { return c.run.clock.Now() }

// Nonce returns a fresh word of lower-case letters and digits that no server knows.
func (c *Case) Nonce() string { return c.run.nonce() }

// Documents reports whether the contract documents a grant_type, enabled for this run.
func (c *Case) Documents(grantType string) bool {
	_, ok := c.run.grantOf(grantType)
	return ok
}

// Finding returns what a rule has come to, for a rule that is about findings: see engine.looksAt.
// ok is false where the run does not judge it.
func (c *Case) Finding(rule string) (check report.Check, ok bool) {
	t := c.run.rules[rule]
	if t == nil {
		return check, false
	}
	select {
	case <-t.done:
		return t.check, true
	default:
		return check, false
	}
}

// ---- ways to end ----

// NotApplicable ends the check: a precondition of the rule does not hold.
func (c *Case) NotApplicable(format string, args ...any) {
	panic(stop{verdict: report.Skip, kind: report.NotApplicable, reason: fmt.Sprintf(format, args...)})
}

// Needs ends the check for want of a fixture: the name of a client under
// `clients`, or words like "a second user" or "a protected resource".
func (c *Case) Needs(fixture string) {
	panic(stop{verdict: report.Skip, kind: report.NeedsFixture, needs: fixture, reason: "needs " + fixture + " in the contract"})
}

// NeedsConsent ends the check unless an effect beyond Rule.Effects is allowed.
func (c *Case) NeedsConsent(effect Effect) {
	if !c.run.allowed(effect) {
		panic(stop{verdict: report.Skip, kind: report.NeedsConsent, needs: string(effect), reason: "needs consent: --allow " + string(effect)})
	}
}

// NeedsLoad ends the check: only a load run can judge it.
func (c *Case) NeedsLoad() {
	panic(stop{verdict: report.Skip, kind: report.NeedsLoad, reason: "judged by grantcheck load"})
}

// Inconclusive ends the check: what came can be read both ways, or not at all.
func (c *Case) Inconclusive(format string, args ...any) {
	panic(stop{verdict: report.Inconclusive, kind: report.Ambiguous, reason: fmt.Sprintf(format, args...)})
}

// Blocked ends the check because something it rests on could not be had.
func (c *Case) Blocked(format string, args ...any) {
	panic(stop{verdict: report.Blocked, kind: report.Prerequisite, reason: fmt.Sprintf(format, args...)})
}

// ---- remarks ----

// Note makes a pass a pass with a remark.
func (c *Case) Note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.remarks, text) {
		c.remarks = append(c.remarks, text)
	}
}

// Warn records a warning, whatever the rule's posture, and goes on.
func (c *Case) Warn(s *Sample, expected, came string) {
	c.look(s)
	c.warnings = append(c.warnings, violation{sample: s, expected: expected, came: came})
}

// Fact reports something found in the field that rests on no clause. It never fails.
func (c *Case) Fact(name, title, value string, samples ...*Sample) {
	c.run.fact(c.rule, name, title, value, samples)
}

// PageSays declares that the page documents what the rule holds against the
// endpoint: violations that follow are a documented deviation from the standard.
func (c *Case) PageSays(what string) { c.excuse = what }

// ---- expectations ----

// Expect is gomega's; a failed expectation is a violation of the rule and ends
// the check, or the turn of one answer inside [Case.Each]. Give it the *Sample
// itself where the expectation is about an answer, so that the page can be held
// beside it.
func (c *Case) Expect(actual any, extra ...any) gomega.Assertion {
	if s, ok := actual.(*Sample); ok {
		c.look(s)
		c.current = s
	} else {
		c.current = nil
	}
	return c.gomega.Expect(actual, extra...)
}

// ExpectOf is Expect for a value taken from the answer s.
func (c *Case) ExpectOf(s *Sample, actual any, extra ...any) gomega.Assertion {
	c.look(s)
	c.current = s
	return c.gomega.Expect(actual, extra...)
}

// Violate records a violation in words and ends the check.
func (c *Case) Violate(s *Sample, expected, came string) {
	c.look(s)
	c.violate(violation{sample: s, expected: expected, came: came})
}

// ExpectRefused is Expect(s).To(BeRefused()), and when codes are given, that the error code is one
// of them. Without a readable error code the rule is blocked: error.json-body reports the cause.
func (c *Case) ExpectRefused(s *Sample, codes ...string) {
	c.Expect(s).To(BeRefused())
	c.rely(s)
	if len(codes) > 0 {
		c.ExpectCode(s, codes...)
	}
}

// ExpectCode holds the error code of a refusal. Without a readable one the rule is blocked.
func (c *Case) ExpectCode(s *Sample, codes ...string) {
	if s.Code() == "" {
		if c.rowExcuses(s, aboutCode) != "" {
			return // the page documents a refusal without this code, and so the answer is
		}
		c.look(s)
		c.Blocked("the refusal carries no readable error code; error.json-body says why")
	}
	c.Expect(s).To(HaveErrorCode(codes...))
}

// Tolerated notes one code of a refusal that default mode tolerates and strict
// mode does not; it reports whether it applied.
func (c *Case) Tolerated(s *Sample, code, remark string) bool {
	if c.Strict() || s.Code() != code {
		return false
	}
	c.look(s)
	c.Note("%s", remark)
	return true
}

// Each runs check for every answer; a violation ends the turn of that answer
// only, so one defect is reported once with all its places. Without an answer
// to look at the rule is not applicable, never passed.
func (c *Case) Each(samples []*Sample, nothing string, check func(*Sample)) {
	if len(samples) == 0 {
		c.NotApplicable("%s", nothing)
	}
	for _, s := range samples {
		func() {
			defer func() {
				if p := recover(); p != nil {
					if st, ok := p.(stop); !ok || st.verdict != "" {
						panic(p)
					}
				}
			}()
			c.look(s)
			check(s)
		}()
	}
}

// failed is the failure handler of the Case's Gomega.
func (c *Case) failed(message string, _ ...int) {
	v := violation{sample: c.current}
	if expected, came, ok := strings.Cut(message, cameMark); ok {
		v.expected, v.came = expected, came
	} else {
		v.expected, v.came = c.rule.Expect, strings.Join(strings.Fields(message), " ")
	}
	switch {
	case strings.HasPrefix(v.expected, "status "), v.expected == belowFault().expected:
		v.about = aboutStatus
	case strings.HasPrefix(v.expected, "error "):
		v.about = aboutCode
	case v.expected == "a refusal" || v.expected == "a token":
		v.about = aboutAnswer
	}
	c.violate(v)
}

func (c *Case) violate(v violation) {
	c.holdPageBeside(&v)
	if v.documented == report.SidePass {
		if !slices.Contains(c.deviations, v.page) {
			c.deviations = append(c.deviations, v.page)
		}
	}
	c.violations = append(c.violations, v)
	panic(stop{})
}

// holdPageBeside finds what the page says about the answer that violates the standard.
func (c *Case) holdPageBeside(v *violation) {
	if c.rule.Level == Doc {
		return
	}
	if c.excuse != "" {
		v.documented, v.page = report.SidePass, c.excuse
		return
	}
	s := v.sample
	if d, first := deviationFor(c.Contract(), c.rule.ID); d != nil && (first || c.run.covers(d, s)) {
		switch {
		case d.Documented.Text != "" && len(d.Documented.Status) == 0, s != nil && outcomeFits(d.Documented, s.Status, s.Code()):
			v.documented, v.page = report.SidePass, d.Reason
			return
		case s != nil:
			v.documented = report.SideFail
			v.page = "the page documents " + inWords(d.Documented)
		}
	}
	if s != nil {
		if words := c.rowExcuses(s, v.about); words != "" {
			v.documented, v.page = report.SidePass, words
		}
	}
}

// rowExcuses returns the words of the error row that documents the answer s in
// the aspect that is in question, "" when none does.
func (c *Case) rowExcuses(s *Sample, about aspect) string {
	for _, row := range rowsFor(c.Contract(), s.situation()) {
		if about == aboutStatus && statusFits(row.Status, s.Status) {
			return "the page documents " + rowInWords(row) + " for this" // its code is doc.error-row-code's matter
		}
		named := about == aboutCode && (len(row.Code) > 0 || len(row.Status) > 0 && s.Code() == "") ||
			about == aboutAnswer && s.Answer.Fault() && len(row.Status) > 0 // a refusal that the page files under 5xx
		if named && rowFits(row, s.Status, s.Code()) {
			return "the page documents " + rowInWords(row) + " for this"
		}
	}
	if about == aboutCode && c.vendorCode(s) {
		return "the page documents the code " + exchange.Printable(s.Code(), 60) + " of its own, and says nothing of this"
	}
	return ""
}

// vendorCode reports that an answer to what the page is silent about carries a code that is not the
// standard's, and that the page documents elsewhere: a server that speaks a dialect speaks it throughout.
func (c *Case) vendorCode(s *Sample) bool {
	code := s.Code()
	if code == "" || slices.Contains(registeredCodes, code) || slices.ContainsFunc(rowsFor(c.Contract(), s.situation()), func(r contract.ErrorRow) bool { return len(r.Code) > 0 }) {
		return false
	}
	return slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool {
		return codeFits(r.Code, code) && rowFits(r, s.Status, code)
	})
}

// look keeps an answer as evidence.
func (c *Case) look(s *Sample) {
	if s != nil && !slices.Contains(c.looked, s) {
		c.looked = append(c.looked, s)
	}
}

// rely remembers that a refusal counts only if the golden request of the same
// client and grant still succeeds afterwards.
func (c *Case) rely(s *Sample) {
	if s.Endpoint != tokenEndpoint {
		return
	}
	k := controlKey{grant: s.grant, client: s.client}
	if !slices.Contains(c.relied, k) {
		c.relied = append(c.relied, k)
	}
}
