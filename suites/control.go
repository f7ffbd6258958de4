package suites

import (
	"context"
	"fmt"
	"slices"

	"grantcheck/report"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// The control: a refusal counts only while the golden request beside it still
// succeeds. Refusals are confirmed in batches: one good answer after them
// confirms all that came before it.

// controlEvery is how many findings may rest on one control.
const controlEvery = 8

func (e *engine) duePending() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.pending) >= controlEvery
}

// control sends the golden request of every client and grant that findings rely
// on. Where it is not answered with a token, those findings are inconclusive.
func (e *engine) control(ctx context.Context) {
	e.mu.Lock()
	batch := e.pending
	e.pending = nil
	e.mu.Unlock()
	failed := map[controlKey]string{}
	tried := map[controlKey]bool{}
	for _, t := range batch {
		for _, k := range t.relied {
			if !tried[k] {
				tried[k] = true
				if why := e.controlOf(ctx, k); why != "" {
					failed[k] = why
				}
			}
		}
	}
	for _, t := range batch {
		for _, k := range t.relied {
			if why := failed[k]; why != "" && t.check.Verdict != report.Fail {
				e.unsettle(t, why)
			}
		}
	}
}

// unsettle takes back a finding that a failed control leaves without ground.
func (e *engine) unsettle(t *task, why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := blank(t.rule)
	c.Verdict, c.ReasonKind = report.Inconclusive, report.Control
	c.Reason = "the refusal proves nothing: " + why
	c.DurationMS = t.check.DurationMS
	t.check = c
}

// controlOf sends one golden request; it returns why it was not answered with a token, "" if it was.
func (e *engine) controlOf(ctx context.Context, k controlKey) (why string) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case stop:
			why = "no control could be sent: " + p.reason
			if p.verdict == report.Skip {
				why = "" // there is no golden request of this kind to send
			}
		default:
			panic(p)
		}
	}()
	for attempt := range 2 {
		p, ok := e.controlPair(k)
		if !ok {
			return ""
		}
		req := e.supply.request(ctx, nil, p, exchange.Inputs{Client: e.target.ClientNamed(p.client)})
		s := e.send(ctx, nil, req.Purpose("control"), probe{golden: true})
		if s.Answer.OK() {
			return ""
		}
		if s.Answer.Inconclusive() == "" && attempt == 0 && consumes(p.grant) {
			continue // the code or refresh token may have been used up by the probe
		}
		return fmt.Sprintf("the golden request sent after it was not answered with a token either, but with %s", s.Came())
	}
	return ""
}

func consumes(g *contract.Grant) bool {
	t := exchange.GrantType(g)
	return t == "authorization_code" || t == "refresh_token"
}

// controlPair finds a golden request that was answered ok for a client: of the
// grant itself, or else the run's golden request.
func (e *engine) controlPair(k controlKey) (pair, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for p, ok := range e.works {
		if ok && p.grant.Key == k.grant && p.client == k.client {
			return p, true
		}
	}
	for p, ok := range e.works {
		if ok && p.client == k.client && !consumes(p.grant) {
			return p, true
		}
	}
	return e.golden, e.golden.grant != nil // a fixture without one rests on the primary client's
}

// refresh lets a client that has just been told a wrong secret succeed once.
func (e *engine) refresh(ctx context.Context, req exchange.Request) {
	if g, f := req.Grant(), req.Client(); g != nil && f != nil {
		e.controlOf(ctx, controlKey{grant: g.Key, client: f.Name})
	}
}

// covers reports whether an answer is of the situation that a deviation
// describes: that of the first rule it names.
func (e *engine) covers(d *contract.Deviation, s *Sample) bool {
	if s == nil {
		return false
	}
	first, ok := e.catalogue[d.Rules[0]]
	if !ok || s.Rule == first.ID || slices.Contains(first.Requires, s.Rule) {
		return ok
	}
	return slices.ContainsFunc(s.Provoked, func(w string) bool { return slices.Contains(first.Provokes, w) })
}

// lookAgain lets the passive rules see the answers that came after them, and
// keeps the worse finding.
func (e *engine) lookAgain(ctx context.Context) {
	for _, t := range e.order {
		if !t.rule.Passive || !t.asked || t.after == len(e.samples) || t.check.Verdict == report.Blocked ||
			t.check.Verdict == report.Skip && t.check.ReasonKind != report.NotApplicable || t.check.Verdict == report.Error {
			continue
		}
		c := e.newCase(ctx, t.rule)
		check := c.finding(c.perform())
		check.DurationMS = t.check.DurationMS
		t.check, t.looked = check, c.evidence()
	}
}

// fact keeps what was found in the field.
func (e *engine) fact(r Rule, name, title, value string, samples []*Sample) {
	f := report.Fact{Name: name, Title: title, Value: value, Source: r.Source, Why: r.Why}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range samples {
		f.Exchanges = append(f.Exchanges, s.number)
	}
	for i := range e.facts {
		if e.facts[i].Name == name {
			e.facts[i] = f
			return
		}
	}
	e.facts = append(e.facts, f)
}
