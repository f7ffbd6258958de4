package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
	f := selftestFlags{parallel: runtime.GOMAXPROCS(0)}
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
	proofs := suites.Prove(cmd.Context(), cases, f.parallel, prove, func(p suites.Proof) {
		done++
		line.say("%d of %d faults; %s", done, len(cases), p.Fault.Name)
	})
	line.clear()
	return f.tell(cmd, rules, proofs, time.Since(started))
}

// prove judges the rule of a fault on a server with it, once it passes on the same server without.
func prove(ctx context.Context, fault string) (*report.Run, error) {
	x, ok := emulator.FaultNamed(fault)
	if !ok {
		return nil, fmt.Errorf("no fault %q", fault)
	}
	for _, opt := range []emulator.Options{
		{Faults: []string{fault}, Sound: true},
		{}, // where what the fault needs around it is the fault already
	} {
		sound, err := judge(ctx, x, opt)
		if err != nil {
			return nil, err
		}
		if sound.Checks[0].Verdict == report.Pass {
			return judge(ctx, x, emulator.Options{Faults: []string{fault}})
		}
	}
	return nil, errors.New("the rule does not pass without the fault")
}

// judge runs the rule of a fault, and what it rests on, against an emulator with these options.
func judge(ctx context.Context, x emulator.Fault, opt emulator.Options) (*report.Run, error) {
	name := x.Setup.Contract
	if name == "" {
		name = standard
	}
	c, err := contract.Shipped(name)
	if err != nil {
		return nil, err
	}
	clock := &suites.SkippingClock{}
	opt.Contract, opt.Edition, opt.Now, opt.ES256 = c, x.Setup.Edition, clock.Now, true
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
		Contract: e.Contract(), Exchange: exchange.Options{Timeout: 5 * time.Second, Proxy: e.ProxyURL(), Resolve: func(context.Context, string) ([]string, error) { return e.Addresses(), nil }}, Edition: x.Setup.Edition, Emulated: true,
		Selection: suites.Selection{Rules: []string{x.Rule}}, Allow: []string{"all"}, Parallel: 1, Plain: true, NoEvidence: true, Clock: clock,
	})
}

// tell prints rules by group with what is proved, and what is not.
func (f *selftestFlags) tell(cmd *cobra.Command, rules []suites.Rule, proofs []suites.Proof, took time.Duration) error {
	out := cmd.OutOrStdout()
	proved, broken := map[string]int{}, map[string][]suites.Proof{}
	for _, p := range proofs {
		if p.Proved() {
			proved[p.Fault.Rule]++
		} else {
			broken[p.Fault.Rule] = append(broken[p.Fault.Rule], p)
		}
	}
	good, faults := 0, 0
	fmt.Fprintf(out, "%-22s %7s %7s %7s\n", "group", "rules", "proved", "faults")
	for _, g := range (ruleDoc{rules: rules}).groups() {
		ok, n := 0, 0
		for _, r := range g.Rules {
			n += proved[r.ID]
			if proved[r.ID] > 0 && len(broken[r.ID]) == 0 {
				ok++
			}
		}
		good, faults = good+ok, faults+n
		fmt.Fprintf(out, "%-22s %7d %7d %7d\n", g.Name, len(g.Rules), ok, n)
		for _, r := range g.Rules {
			switch {
			case len(broken[r.ID]) > 0:
				for _, p := range broken[r.ID] {
					fmt.Fprintf(out, "  NOT PROVED  %s: %s\n", p.Fault.Name, why(p))
				}
			case proved[r.ID] == 0:
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
