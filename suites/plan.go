package suites

import (
	"context"
	"fmt"
	"maps"
	"time"

	"grantcheck/report"
)

// Rehearse tells what a run would cost by running it against a stand-in for
// the endpoint: cfg.Contract and cfg.Exchange point to an emulator of the
// contract that holds the same fixtures and no others. pace is the rate of the
// run that is planned, in requests per second, 0 for none. What exceeds the
// contract's safety is named under Limits; the stand-in itself is not limited.
func Rehearse(ctx context.Context, cfg Config, pace float64) (*report.Run, error) {
	limit := cfg.MaxRequests
	if limit == 0 {
		limit = cfg.Contract.Safety.MaxRequests
	}
	zero := 0.0
	cfg.Rate, cfg.MaxRequests, cfg.Plain = &zero, -1, true
	s, err := prepare(cfg)
	if err != nil {
		return nil, err
	}
	defer s.engine.client.Close()
	s.preflight(ctx)
	s.engine.runAll(ctx)
	run := s.report(ctx.Err() != nil)

	cost := s.engine.cost
	plan := &report.Plan{Requests: cost.requests, Tokens: cost.tokens, WrongSecrets: maps.Clone(cost.wrong)}
	if plan.WrongSecrets == nil {
		plan.WrongSecrets = map[string]int{}
	}
	if pace > 0 {
		plan.ShortestMS = milliseconds(time.Duration(float64(cost.requests) / pace * float64(time.Second)))
	}
	for _, c := range run.Checks {
		switch {
		case c.Verdict.Judged():
			plan.Rules++
		case c.ReasonKind == report.NeedsFixture, c.ReasonKind == report.NeedsConsent, c.ReasonKind == report.Budget:
			plan.Unjudged++
		}
	}
	over := func(what string, want, have int, how string) {
		if have > 0 && want > have {
			plan.Limits = append(plan.Limits, fmt.Sprintf("%d %s, and only %d are allowed (%s)", want, what, have, how))
		}
	}
	over("requests", plan.Requests, limit, "--max-requests, safety.max_requests")
	over("tokens", plan.Tokens, cfg.Contract.Safety.MaxTokens, "safety.max_tokens")
	return &report.Run{
		Schema: run.Schema, Tool: run.Tool, Contract: run.Contract, Labels: run.Labels, Endpoint: run.Endpoint,
		Started: run.Started, Complete: run.Complete, Incomplete: run.Incomplete, Checks: []report.Check{}, Exchanges: []report.Exchange{}, Plan: plan, Unlocks: run.Unlocks,
		Preflight: run.Preflight, Machine: run.Machine,
	}, nil
}
