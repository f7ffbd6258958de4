package main

import (
	"os"

	"github.com/spf13/cobra"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/exchange"
)

type checkFlags struct {
	subjectFlags
	strict      bool
	rules       []string
	groups      []string
	rate        perSecond
	maxRequests int
	parallel    int
	prompt      bool
	plan        bool
	failOn      string
	minJudged   share
	baseline    string
}

func newCheck() *cobra.Command {
	f := checkFlags{failOn: string(report.Fail), minJudged: report.DefaultMinJudged}
	cmd := &cobra.Command{
		Use:   "check [CONTRACT…]",
		Short: "Judge a token endpoint by its contract and the standards",
		Long: `Judge a token endpoint by what its contract documents and by the standards, and print a table.

Each ${NAME} of a contract is looked up in the environment. Probes that are intrusive (bursts,
revocation, wrong passwords …) are skipped and counted unless --allow consents to them.
Several contracts are judged one after the other and make one report.`,
		Example: `  grantcheck check acme.yaml --plan                       # what it would cost; nothing is sent
  grantcheck check acme.yaml -o table -o junit=report.xml
  grantcheck check acme.yaml --allow all --strict --edition bcp
  grantcheck check acme.yaml --rule 'request.*' -v
  grantcheck check --emulate appsecplus devensoft semansys talkdesk`,
		ValidArgsFunction: completeContracts,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.add(cmd)
	f.specs = outputFlag(cmd, report.FormatNames()...)
	fs := cmd.Flags()
	oneOf(cmd, &f.edition, "edition", "which standards (default the contract's, else oauth20)", suites.AllEditions.Names()...)
	fs.BoolVar(&f.strict, "strict", false, "read the standards strictly: deviations and advice fail")
	fs.StringArrayVar(&f.rules, "rule", nil, "only rules whose id matches the glob `PATTERN` (repeatable)")
	fs.StringArrayVar(&f.groups, "group", nil, "only groups whose name matches the glob `NAME` (repeatable)")
	completeRules(cmd)
	fs.Var(&f.rate, "rate", "most requests per second, as in 5/s or 30/m; 0 lifts the pace (default the contract's)")
	fs.IntVar(&f.maxRequests, "max-requests", 0, "most requests of the run (default the contract's)")
	fs.IntVar(&f.parallel, "parallel", 0, "rules judged at a time (default 4)")
	fs.BoolVar(&f.prompt, "prompt", false, "ask for authorization codes: open the address shown, paste the URL you are sent back to")
	fs.BoolVar(&f.plan, "plan", false, "send nothing: what the run would cost, and what would stay unjudged")
	oneOf(cmd, &f.failOn, "fail-on", "the mildest verdict that makes exit 1", "fail", "warn", "note")
	fs.Var(&f.minJudged, "min-judged", "share of what applies that must have been judged for exit 0")
	fs.StringVar(&f.baseline, "baseline", "", "`RUN.json`: exit 1 only for what newly fails or is no longer checked")
	return cmd
}

func (f *checkFlags) run(cmd *cobra.Command, names []string) error {
	ctx := cmd.Context()
	to, err := outputs(*f.specs, report.FindFormat, "table")
	if err != nil {
		return err
	}
	gate := report.Gate{FailOn: report.Verdict(f.failOn), MinJudged: float64(f.minJudged)}
	if f.baseline != "" {
		if gate.Baseline, err = readRun(cmd, f.baseline); err != nil {
			return err
		}
	}
	labels, err := f.labelMap()
	if err != nil {
		return err
	}
	if f.maxRequests < 0 {
		return usage("--max-requests %d: give a number above 0; without the flag the contract's limit holds", f.maxRequests)
	}
	if f.plan {
		return f.rehearse(cmd, names, labels, to)
	}
	subjects, fallback, err := f.open(names)
	if err != nil {
		return err
	}
	for _, s := range subjects {
		defer s.close()
	}
	line := newProgress(cmd.ErrOrStderr())
	if f.prompt {
		line.w = nil // the questions stand there
	}
	var cfgs []suites.Config
	for _, s := range subjects {
		cfg := f.config(s, labels)
		cfg.Progress = line.update
		if f.prompt {
			cfg.Exchange.Prompt = exchange.PromptOn(cmd.ErrOrStderr(), cmd.InOrStdin())
		}
		if err := cfg.Validate(); err != nil {
			return usage("%w", err)
		}
		cfgs = append(cfgs, cfg)
	}
	f.sayFirst(cmd, fallback, to)

	var runs []*report.Run
	for i, s := range subjects {
		line.title = s.contract.Name
		f.await(ctx, s, line)
		run, err := suites.Run(ctx, cfgs[i])
		line.clear()
		if err != nil {
			return broken("%s: %w", s.name, err)
		}
		runs = append(runs, run)
		if ctx.Err() != nil {
			break
		}
	}
	run, err := report.Merge(runs, nil)
	if err != nil {
		return broken("%w", err)
	}
	if len(runs) < len(subjects) {
		run.Interrupted, run.Complete = true, false
	}
	run.Command = commandLine(os.Args[1:], subjects)
	run.Summarize()
	run.Decide(gate)
	if err := writeRun(cmd, to, run, f.verbose); err != nil {
		return err
	}
	return ended(run, to)
}

func (f *checkFlags) config(s *subject, labels map[string]string) suites.Config {
	return suites.Config{
		Contract: s.contract, Exchange: s.exchange, Edition: f.edition, Strict: f.strict,
		Selection: suites.Selection{Rules: f.rules, Groups: f.groups}, Allow: f.allow,
		Rate: f.rate.value(), MaxRequests: f.maxRequests, Parallel: f.parallel,
		FailOn: report.Verdict(f.failOn), MinJudged: float64(f.minJudged),
		Emulated: s.emulator != nil, Labels: labels, Clock: s.clock,
	}
}
