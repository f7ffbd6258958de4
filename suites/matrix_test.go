package suites_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/emulator"
	"grantcheck/suites/exchange"
)

// judgeEmulator runs every rule against an emulator made with these options,
// with everything allowed and no time spent waiting.
func judgeEmulator(ctx context.Context, name, edition string, opt emulator.Options, change func(*suites.Config)) (*report.Run, error) {
	clock := &suites.SkippingClock{}
	if opt.Contract == nil {
		c, err := contract.Open(name)
		if err != nil {
			return nil, err
		}
		opt.Contract = c
	}
	opt.Now = clock.Now
	opt.Sleep = func(ctx context.Context, d time.Duration) { _ = clock.Sleep(ctx, d) }
	opt.Edition = edition
	em, err := emulator.New(opt)
	if err != nil {
		return nil, err
	}
	if err := em.Start(); err != nil {
		return nil, err
	}
	defer em.Close()
	cfg := suites.Config{
		Contract: em.Contract(), Exchange: exchange.Options{URL: em.URL(), Proxy: em.ProxyURL(), Resolve: func(context.Context, string) ([]string, error) { return em.Addresses(), nil }},
		Edition: edition, Allow: []string{"all"}, Parallel: 1, Plain: true, Emulated: true, Clock: clock,
	}
	if change != nil {
		change(&cfg)
	}
	return suites.Run(ctx, cfg)
}

func withoutEvidence(cfg *suites.Config) { cfg.NoEvidence = true }

// TestNothingTurnsWithoutFault holds that a conforming endpoint is found to conform: every shipped
// contract, in every edition.
func TestNothingTurnsWithoutFault(t *testing.T) {
	for _, name := range []string{"standard", "appsecplus", "devensoft", "semansys", "talkdesk"} {
		for _, edition := range suites.AllEditions.Names() {
			t.Run(name+"/"+edition, func(t *testing.T) {
				t.Parallel()
				run, err := judgeEmulator(t.Context(), name, edition, emulator.Options{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				leftPass(t, run)
			})
		}
	}
}

// leftPass reports every check that is not at pass for a reason that is the endpoint's or ours.
func leftPass(t *testing.T, run *report.Run) {
	t.Helper()
	for _, why := range notAtPass(run) {
		t.Error(why)
	}
}

func notAtPass(run *report.Run) (why []string) {
	for _, p := range run.Preflight {
		why = append(why, "preflight: "+p.Message)
	}
	for _, c := range run.Checks {
		switch {
		case c.Verdict == report.Pass, c.Verdict == report.Skip:
		case c.Verdict == report.Note && c.Posture != string(suites.Observe):
		case c.Standard == report.SideDeviation && c.Documented == report.SidePass && c.Reason != "":
		case c.Rule == "password.not-offered" && c.Verdict.Judged():
		default:
			why = append(why, fmt.Sprintf("%s: %s (documented %s, standard %s): %s%s", c.Rule, c.Verdict, c.Documented, c.Standard, c.Message, c.Reason))
		}
	}
	return why
}

// TestEveryRuleIsProved is the rule × fault matrix: every fault turns its own rule and nothing
// unrelated, every rule has a fault, and every fault a rule. GRANTCHECK_FAULT narrows it to names
// that contain it; GRANTCHECK_WHOLE holds every fault against every rule (make prove).
func TestEveryRuleIsProved(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole matrix")
	}
	pattern := os.Getenv("GRANTCHECK_FAULT")
	var faults []suites.Fault
	setups := map[string]emulator.Setup{}
	proved := map[string]bool{}
	for _, f := range emulator.Faults() {
		if _, ok := suites.RuleNamed(f.Rule); !ok {
			t.Errorf("fault %s breaks no rule of the catalogue: %s", f.Name, f.Rule)
		}
		if f.Name != f.Rule && !strings.HasPrefix(f.Name, f.Rule+"/") {
			t.Errorf("fault %s is not named after its rule %s", f.Name, f.Rule)
		}
		proved[f.Rule] = true
		setups[f.Name] = f.Setup
		if strings.HasPrefix(f.Rule, "doc.slo-") {
			continue // only a load can judge them: grantcheck selftest proves them under one
		}
		if strings.Contains(f.Name, pattern) {
			faults = append(faults, suites.Fault{Name: f.Name, Rule: f.Rule, Also: f.Also})
		}
	}
	for _, r := range suites.Rules() {
		if !proved[r.ID] {
			t.Errorf("rule %s has no fault that turns it", r.ID)
		}
	}
	whole := os.Getenv("GRANTCHECK_WHOLE") != ""
	judge := func(ctx context.Context, fault string) (*report.Run, error) {
		s := setups[fault]
		name := s.Contract
		if name == "" {
			name = "standard"
		}
		return judgeEmulator(ctx, name, s.Edition, emulator.Options{Faults: []string{fault}, ES256: true}, func(cfg *suites.Config) {
			withoutEvidence(cfg)
			if !whole {
				narrow(cfg, fault)
			}
		})
	}
	suites.Prove(t.Context(), faults, runtime.NumCPU()*3, judge, func(p suites.Proof) {
		switch {
		case p.Err != nil:
			t.Errorf("%s: %v", p.Fault.Name, p.Err)
		case !p.Turned:
			t.Errorf("%s does not turn its rule: %s", p.Fault.Name, p.Verdict)
		case len(p.Strayed) > 0:
			t.Errorf("%s turns what it should not: %s", p.Fault.Name, strings.Join(p.Strayed, " "))
		}
	})
}

// narrow makes a proof affordable on every change: no bursts, no floods and no guessing unless the
// rule itself is about them, and for the variants of a fault the rule's own group beside those that
// look at every answer. A rule that looks at the answers to others keeps them all.
func narrow(cfg *suites.Config, fault string) {
	id, variant, _ := strings.Cut(fault, "/")
	rule, _ := suites.RuleNamed(id)
	if rule.Group == "throttling" || rule.Group == "documented" {
		return
	}
	heavy := []suites.Effect{suites.Burst, suites.MintsMany, suites.LockoutRisk}
	needed := effectsOf(rule)
	cfg.Allow = nil
	for _, f := range suites.Effects {
		if !slices.Contains(heavy, f) || slices.Contains(needed, f) {
			cfg.Allow = append(cfg.Allow, string(f))
		}
	}
	if variant != "" && !rule.Passive {
		cfg.Selection.Groups = []string{rule.Group, "request", "response", "error", "headers", "hygiene", "documented"}
	}
}

// effectsOf lists the effects of a rule and of those it rests on.
func effectsOf(rule suites.Rule) []suites.Effect {
	effects := slices.Clone(rule.Effects)
	for _, id := range rule.Requires {
		q, _ := suites.RuleNamed(id)
		effects = append(effects, effectsOf(q)...)
	}
	return effects
}

// TestVariationsStayAtPass holds that a legitimate difference is never held against an endpoint.
// Differences that need nothing around them are tried several at a time; where a handful is not at
// pass, as some exclude each other, each of them is tried alone.
func TestVariationsStayAtPass(t *testing.T) {
	var plain, special []emulator.Variation
	for _, v := range emulator.Variations() {
		if s := v.Setup; s.Contract == "" && s.Edition == "" && s.Prepare == nil && s.Judge == nil && s.Options == nil {
			plain = append(plain, v)
		} else {
			special = append(special, v)
		}
	}
	alone := func(t *testing.T, v emulator.Variation) {
		t.Run(v.Name, func(t *testing.T) { leftPass(t, judgeVariations(t, v)) })
	}
	for handful := range slices.Chunk(plain, 4) {
		t.Run(handful[0].Name+"…"+handful[len(handful)-1].Name, func(t *testing.T) {
			t.Parallel()
			if len(notAtPass(judgeVariations(t, handful...))) == 0 {
				return
			}
			for _, v := range handful {
				alone(t, v)
			}
		})
	}
	t.Run("with a setup of their own", func(t *testing.T) {
		t.Parallel()
		for _, v := range special {
			alone(t, v)
		}
	})
}

func judgeVariations(t *testing.T, vs ...emulator.Variation) *report.Run {
	t.Helper()
	name := vs[0].Setup.Contract
	if name == "" {
		name = "standard"
	}
	var names []string
	for _, v := range vs {
		names = append(names, v.Name)
	}
	run, err := judgeEmulator(t.Context(), name, vs[0].Setup.Edition, emulator.Options{Variations: names, ES256: true}, func(cfg *suites.Config) {
		withoutEvidence(cfg)
		if os.Getenv("GRANTCHECK_WHOLE") == "" {
			narrow(cfg, "request.form-accepted")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// TestCatalogueIsSound holds what every rule promises by its form.
func TestCatalogueIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range suites.Rules() {
		if seen[r.ID] {
			t.Errorf("%s stands twice in the catalogue", r.ID)
		}
		seen[r.ID] = true
		for what, text := range map[string]string{"title": r.Title, "source": r.Source, "summary": r.Summary, "why": r.Why, "probe": r.Probe, "expect": r.Expect, "fault": r.Fault, "binds": r.Binds, "group": r.Group} {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s has no %s", r.ID, what)
			}
		}
		if len(r.Title) > 80 {
			t.Errorf("%s: the title has %d characters, more than 80", r.ID, len(r.Title))
		}
		if r.Check == nil {
			t.Errorf("%s has no check", r.ID)
		}
		if r.Editions == 0 {
			t.Errorf("%s is judged in no edition", r.ID)
		}
		if r.Wording == suites.Practice && r.Posture == suites.Assert {
			t.Errorf("%s asserts a custom that no clause demands", r.ID)
		}
		for _, q := range r.Requires {
			if _, ok := suites.RuleNamed(q); !ok {
				t.Errorf("%s requires %s, which is no rule", r.ID, q)
			}
			if slices.Contains(suites.Dependants(r.ID), q) {
				t.Errorf("%s and %s require each other", r.ID, q)
			}
		}
	}
}
