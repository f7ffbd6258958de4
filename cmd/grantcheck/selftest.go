package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"grantcheck/load"
	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/emulator"
	"grantcheck/suites/exchange"
)

type selftestFlags struct {
	rules, groups []string
	parallel      int
	verbose       bool
}

func newSelftest() *cobra.Command {
	f := selftestFlags{parallel: 3 * runtime.GOMAXPROCS(0)}
	cmd := &cobra.Command{
		Use:   "selftest",
		Short: "Prove here and now that every rule can fail",
		Long: `Start the built-in emulator with each fault in turn, and see that the rule of the fault turns; and
without the fault, and see that the rule passes. A green table means something because of it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&f.rules, "rule", nil, "only rules whose id matches the glob `PATTERN` (repeatable)")
	fs.StringArrayVar(&f.groups, "group", nil, "only groups whose name matches the glob `NAME` (repeatable)")
	completeRules(cmd)
	fs.IntVar(&f.parallel, "parallel", f.parallel, "faults tried at a time")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "every fault, and what it did")
	return cmd
}

func (f *selftestFlags) run(cmd *cobra.Command) error {
	rules, err := suites.Selection{Rules: f.rules, Groups: f.groups}.Select(suites.Rules())
	if err != nil {
		return usage("%w", err)
	}
	started := time.Now()
	line := newProgress(cmd.ErrOrStderr())
	faults := faultsByRule()
	var cases []suites.Fault
	for _, r := range rules {
		for _, x := range faults[r.ID] {
			cases = append(cases, suites.Fault{Name: x.Name, Rule: x.Rule, Also: x.Also})
		}
	}
	done := 0
	p := prover{sound: map[string]func() (*report.Run, error){}}
	proofs := suites.Prove(cmd.Context(), cases, f.parallel, p.prove, func(p suites.Proof) {
		done++
		line.say("%d of %d faults; %s", done, len(cases), p.Fault.Name)
	})
	for i := range proofs { // what only load shows comes last, with the machine to itself
		if errors.Is(proofs[i].Err, errNeedsLoad) {
			line.say("%s, under load", proofs[i].Fault.Name)
			proofs[i] = suites.Prove(cmd.Context(), []suites.Fault{proofs[i].Fault}, 1, proveUnderLoad, nil)[0]
		}
	}
	line.clear()
	return f.tell(cmd, rules, proofs, time.Since(started))
}

// A prover judges emulators with a fault, and knows what the same rules came to without.
type prover struct {
	mu    sync.Mutex
	sound map[string]func() (*report.Run, error) // all rules, by contract and edition
}

// prove judges a server with a fault, where the rule passes without: the rule
// alone if that tells, else all rules, as some only look at the answers to others.
func (p *prover) prove(ctx context.Context, fault string) (*report.Run, error) {
	x, ok := emulator.FaultNamed(fault)
	if !ok {
		return nil, fmt.Errorf("no fault %q", fault)
	}
	broken, sound := emulator.Options{Faults: []string{fault}}, emulator.Options{Faults: []string{fault}, Sound: true}
	before, err := judge(ctx, x.Setup, sound, x.Rule)
	if err != nil {
		return nil, err
	}
	after, err := judge(ctx, x.Setup, broken, x.Rule)
	if err != nil || turned(before, after, x.Rule) {
		return after, err
	}
	if before, err = p.without(ctx, x); err != nil {
		return nil, err
	}
	if after, err = judge(ctx, x.Setup, broken); err != nil {
		return nil, err
	}
	if checkOf(after, x.Rule).ReasonKind == report.NeedsLoad {
		return nil, errNeedsLoad
	}
	if !turned(before, after, x.Rule) { // it may need what the fault has around it
		if before, err = judge(ctx, x.Setup, sound); err != nil {
			return nil, err
		}
		if !turned(before, after, x.Rule) {
			return nil, fmt.Errorf("the rule is %s without the fault, and %s with it", checkOf(before, x.Rule).Verdict, checkOf(after, x.Rule).Verdict)
		}
	}
	after.Checks = []report.Check{checkOf(after, x.Rule)}
	return after, nil
}

var errNeedsLoad = errors.New("judged under load only")

// proveUnderLoad is prove for the rules that only a load can judge.
func proveUnderLoad(ctx context.Context, fault string) (*report.Run, error) {
	x, _ := emulator.FaultNamed(fault)
	var runs [2]*report.Run
	for i, sound := range []bool{true, false} {
		c, err := contract.Shipped(cmp.Or(x.Setup.Contract, standard))
		if err != nil {
			return nil, err
		}
		e, err := emulator.New(emulator.Options{Contract: c, Edition: x.Setup.Edition, Faults: []string{fault}, Sound: sound, Unlimited: true, ES256: true})
		if err != nil {
			return nil, err
		}
		if err := e.Start(); err != nil {
			return nil, err
		}
		defer e.Close()
		f := loadFlags{}
		if f.opt.Profile, err = load.LoadProfile("constant", 100, 10*time.Second); err != nil {
			return nil, err
		}
		if _, err := f.prepare(&subject{name: c.Name, contract: e.Contract()}); err != nil {
			return nil, err
		}
		res, err := load.Run(ctx, f.opt)
		if err != nil {
			return nil, err
		}
		runs[i] = &report.Run{Checks: inCatalogue(res.Checks)}
	}
	if !turned(runs[0], runs[1], x.Rule) {
		before, after := checkOf(runs[0], x.Rule), checkOf(runs[1], x.Rule)
		return nil, fmt.Errorf("the rule is %s under load without the fault, and %s with it: %s%s", before.Verdict, after.Verdict, before.Reason, after.Reason)
	}
	return runs[1], nil
}

// turned reports whether a rule that was not violated, or only as the page
// documents, came to something worse.
func turned(before, after *report.Run, rule string) bool {
	rank := func(v report.Verdict) int {
		return slices.Index([]report.Verdict{report.Note, report.Warn, report.Fail}, v)
	}
	b, a := checkOf(before, rule), checkOf(after, rule)
	known := b.Verdict == report.Pass || b.ReasonKind == report.NotApplicable || b.Standard == report.SideDeviation && b.Documented == report.SidePass
	return known && rank(a.Verdict) > rank(b.Verdict)
}

// without judges a server that is as it should be, once for each contract and edition.
func (p *prover) without(ctx context.Context, x emulator.Fault) (*report.Run, error) {
	key := x.Setup.Contract + " " + x.Setup.Edition
	p.mu.Lock()
	if p.sound[key] == nil {
		p.sound[key] = sync.OnceValues(func() (*report.Run, error) { return judge(ctx, x.Setup, emulator.Options{}) })
	}
	once := p.sound[key]
	p.mu.Unlock()
	return once()
}

// checkOf is what a rule came to; a skip where it was not judged.
func checkOf(run *report.Run, rule string) report.Check {
	for _, c := range run.Checks {
		if c.Rule == rule {
			return c
		}
	}
	return report.Check{Rule: rule, Verdict: report.Skip}
}

// judge runs rules, all when none is named, against an emulator with these options; no time passes while it waits.
func judge(ctx context.Context, setup emulator.Setup, opt emulator.Options, rules ...string) (*report.Run, error) {
	c, err := contract.Shipped(cmp.Or(setup.Contract, standard))
	if err != nil {
		return nil, err
	}
	clock := &suites.SkippingClock{}
	opt.Contract, opt.Edition, opt.Now, opt.ES256 = c, setup.Edition, clock.Now, true
	opt.Sleep = func(ctx context.Context, d time.Duration) { _ = clock.Sleep(ctx, d) }
	e, err := emulator.New(opt)
	if err != nil {
		return nil, err
	}
	if err := e.Start(); err != nil {
		return nil, err
	}
	defer e.Close()
	return suites.Run(ctx, suites.Config{
		Contract: e.Contract(), Edition: setup.Edition, Emulated: true, Allow: []string{"all"}, Parallel: 1, Plain: true, NoEvidence: true, Clock: clock,
		Exchange:  exchange.Options{Timeout: 5 * time.Second, Proxy: e.ProxyURL(), Resolve: resolveTo(e)},
		Selection: suites.Selection{Rules: rules},
	})
}

// resolveTo leads the emulator's name, where it has one, to its addresses.
func resolveTo(e *emulator.Emulator) func(context.Context, string) ([]string, error) {
	return func(context.Context, string) ([]string, error) { return e.Addresses(), nil }
}

// tell prints rules by group with what is proved, and what is not.
func (f *selftestFlags) tell(cmd *cobra.Command, rules []suites.Rule, proofs []suites.Proof, took time.Duration) error {
	out := cmd.OutOrStdout()
	proved, open := map[string]int{}, map[string][]suites.Proof{}
	for _, p := range proofs {
		if errors.Is(p.Err, context.Canceled) {
			continue // not tried
		}
		if p.Proved() {
			proved[p.Fault.Rule]++
		} else {
			open[p.Fault.Rule] = append(open[p.Fault.Rule], p)
		}
	}
	good, faults := 0, 0
	fmt.Fprintf(out, "%-22s %7s %7s %7s\n", "group", "rules", "proved", "faults")
	for _, g := range (ruleDoc{rules: rules}).groups() {
		ok, n := 0, 0
		for _, r := range g.Rules {
			n += proved[r.ID]
			if proved[r.ID] > 0 && len(open[r.ID]) == 0 {
				ok++
			}
		}
		good, faults = good+ok, faults+n
		fmt.Fprintf(out, "%-22s %7d %7d %7d\n", g.Name, len(g.Rules), ok, n)
		for _, r := range g.Rules {
			switch {
			case len(open[r.ID]) > 0:
				for _, p := range open[r.ID] {
					fmt.Fprintf(out, "  NOT PROVED  %s: %s\n", p.Fault.Name, why(p))
				}
			case proved[r.ID] == 0 && len(faultsByRule()[r.ID]) == 0:
				fmt.Fprintf(out, "  NOT PROVED  %s: there is no fault for it\n", r.ID)
			case f.verbose:
				fmt.Fprintf(out, "  proved      %s (%d)\n", r.ID, proved[r.ID])
			}
		}
	}
	fmt.Fprintf(out, "\nproved %d of %d rules by %d of %d faults in %s\n", good, len(rules), faults, len(proofs), took.Round(100*time.Millisecond))
	switch {
	case cmd.Context().Err() != nil:
		return exit{code: report.ExitInterrupted, error: fmt.Errorf("interrupted")}
	case good < len(rules):
		return exit{code: report.ExitFail, error: fmt.Errorf("%d of %d rules are not proved", len(rules)-good, len(rules))}
	}
	return nil
}

// why says what a fault did not prove.
func why(p suites.Proof) string {
	switch {
	case p.Err != nil:
		return p.Err.Error()
	case !p.Turned:
		return fmt.Sprintf("the rule stays %s with its fault", p.Verdict)
	}
	return "it turns " + strings.Join(slices.Clone(p.Strayed), ", ") + " too"
}
