package suites

import (
	"context"
	"slices"
	"sync"

	"grantcheck/report"
)

// The proof that a green table means something: every rule is shown to turn
// when the one fault named after it is put into a server that is otherwise right.

// Fault names one fault of a server under proof, and the rule it must turn.
type Fault struct {
	Name string
	Rule string
	// Also lists further rules that this fault turns by its nature, each for a reason that stands
	// beside the fault.
	Also []string
}

// Proof is what one fault did.
type Proof struct {
	Fault   Fault
	Verdict report.Verdict // of the fault's own rule
	Turned  bool           // it left pass, by a judgement: not for want of one
	Strayed []string       // unrelated rules that failed, warned or, observing, remarked
	Err     error
}

// Proved reports whether the fault turned its rule and nothing unrelated.
func (p Proof) Proved() bool { return p.Err == nil && p.Turned && len(p.Strayed) == 0 }

// Prove judges a server with each fault in turn, several at a time, and says
// what each did. judge starts a server of its own with the fault and runs the
// rules named against it; "" stands for no fault.
func Prove(ctx context.Context, faults []Fault, parallel int, judge func(ctx context.Context, fault string) (*report.Run, error), each func(Proof)) []Proof {
	proofs := make([]Proof, len(faults))
	slots := make(chan struct{}, max(1, parallel))
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i, f := range faults {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			p := Proof{Fault: f}
			for tries := triesFor(f.Rule); tries > 0 && !p.Turned && p.Err == nil; tries-- {
				if ctx.Err() != nil {
					p.Err = ctx.Err()
				} else if run, err := judge(ctx, f.Name); err != nil {
					p.Err = err
				} else {
					p.Strayed = nil
					p.weigh(run)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			proofs[i] = p
			if each != nil {
				each(p)
			}
		})
	}
	wg.Wait()
	return proofs
}

// triesFor is how often a fault may be tried until it shows. A fault that needs requests to overlap
// does not show where the machine happened to run them one after the other.
func triesFor(rule string) int {
	if r, _ := RuleNamed(rule); slices.Contains(r.Effects, Burst) {
		return 3
	}
	return 1
}

// summaries are the rules that repeat what a single rule found.
var summaries = []string{"robust.no-fault-on-negatives", "doc.error-undocumented"}

func (p *Proof) weigh(run *report.Run) {
	related := Dependants(p.Fault.Rule)
	for _, c := range run.Checks {
		turned := c.Verdict == report.Fail || c.Verdict == report.Warn || c.Verdict == report.Waived ||
			c.Verdict == report.Note && (c.Posture == string(Observe) || c.Rule == p.Fault.Rule)
		if c.Rule == p.Fault.Rule {
			p.Verdict, p.Turned = c.Verdict, turned
			continue
		}
		mirror := c.Level == string(Doc) || levelOf(p.Fault.Rule) == Doc
		if turned && !slices.Contains(related, c.Rule) && !slices.Contains(p.Fault.Also, c.Rule) &&
			!slices.Contains(summaries, c.Rule) && !mirror {
			p.Strayed = append(p.Strayed, c.Rule)
		}
	}
}

func levelOf(rule string) Level {
	r, _ := RuleNamed(rule)
	return r.Level
}

// Dependants lists the rules that require a rule, directly or through others.
func Dependants(rule string) []string {
	var out []string
	for grown := true; grown; {
		grown = false
		for _, r := range Rules() {
			if !slices.Contains(out, r.ID) && slices.ContainsFunc(r.Requires, func(q string) bool { return q == rule || slices.Contains(out, q) }) {
				out, grown = append(out, r.ID), true
			}
		}
	}
	return out
}
