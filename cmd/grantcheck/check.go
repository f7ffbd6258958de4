package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/emulator"
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

// sayFirst says in the first line that no contract was given: on stdout, unless
// that carries something a program reads.
func (f *checkFlags) sayFirst(cmd *cobra.Command, line string, to []output[report.Format]) {
	if line == "" {
		return
	}
	w := cmd.OutOrStdout()
	for _, o := range to {
		if o.file == "" && o.format.Name != "table" {
			w = cmd.ErrOrStderr()
		}
	}
	fmt.Fprintln(w, line)
}

func (f *checkFlags) config(s *subject, labels map[string]string) suites.Config {
	return suites.Config{
		Contract: s.contract, Exchange: s.exchange, Edition: f.edition, Strict: f.strict,
		Selection: suites.Selection{Rules: f.rules, Groups: f.groups}, Allow: f.allow,
		Rate: f.rate.value(), MaxRequests: f.maxRequests, Parallel: f.parallel,
		FailOn: report.Verdict(f.failOn), MinJudged: float64(f.minJudged),
		Emulated: s.emulator != nil, Labels: labels,
	}
}

// rehearse judges the emulator in place of the endpoint and reports what that took.
func (f *checkFlags) rehearse(cmd *cobra.Command, names []string, labels map[string]string, to []output[report.Format]) error {
	if len(names) == 0 {
		names = []string{standard}
		f.emulate = f.url == ""
	}
	file, err := f.readEnvFile()
	if err != nil {
		return err
	}
	var runs []*report.Run
	for _, name := range names {
		run, err := f.rehearseOne(cmd.Context(), name, file, labels)
		if err != nil {
			return usage("%w", err)
		}
		runs = append(runs, run)
	}
	run, err := report.Merge(runs, nil)
	if err != nil {
		return usage("%w", err)
	}
	run.Interrupted = cmd.Context().Err() != nil
	run.Command = commandLine(os.Args[1:], nil)
	run.Summarize()
	run.Decide(report.Gate{})
	if err := writeRun(cmd, to, run, f.verbose); err != nil {
		return err
	}
	return ended(run, to)
}

func (f *checkFlags) rehearseOne(ctx context.Context, name string, file *contract.EnvFile, labels map[string]string) (*report.Run, error) {
	c, err := openContract(name)
	if err != nil {
		return nil, err
	}
	clock := &suites.SkippingClock{}
	e, err := emulator.New(emulator.Options{
		Contract: c, Edition: f.edition, Unlimited: true, Now: clock.Now,
		Sleep: func(ctx context.Context, d time.Duration) { _ = clock.Sleep(ctx, d) },
	})
	if err != nil {
		return nil, err
	}
	if err := e.Start(); err != nil {
		return nil, err
	}
	defer e.Close()
	s := &subject{name: name, contract: e.Contract(), emulator: e, exchange: exchange.Options{Timeout: f.timeout}}
	pace, endpoint := 0.0, report.Endpoint{URL: e.URL(), Emulated: true}
	if !f.emulate {
		like, err := f.standIn(c, file, e.Env())
		if err != nil {
			return nil, err
		}
		withoutGenerated(s.contract, like)
		pace, endpoint = c.Safety.MaxRate, report.Endpoint{URL: cmp.Or(f.url, c.Endpoint.BaseURL+c.Endpoint.Path)}
	}
	if r := f.rate.value(); r != nil {
		pace = *r
	}
	cfg := f.config(s, labels)
	cfg.Clock, cfg.Emulated, cfg.Parallel = clock, f.emulate, 1
	run, err := suites.Rehearse(ctx, cfg, pace)
	if err != nil {
		return nil, err
	}
	if ctx.Err() == nil && len(run.Preflight) > 0 {
		return nil, fmt.Errorf("%s cannot be planned: %s", name, run.Preflight[0].Message)
	}
	run.Preflight, run.Endpoint = nil, endpoint
	return run, nil
}

// standIn binds a contract as the environment would, with values that mean
// nothing: what is set or needed has one, optional parts that are not set stay away.
func (f *subjectFlags) standIn(c *contract.Contract, file *contract.EnvFile, values map[string]string) (*contract.Contract, error) {
	set, err := c.Environment(os.LookupEnv, file)
	if err != nil {
		return nil, err
	}
	needed := map[string]bool{}
	credential := ""
	for _, r := range c.References() {
		if _, ok := set(r.Name); ok && (r.Where == "client.secret" || r.Where == "client.key_file") {
			credential = ""
			break
		} else if r.Where == "client.secret" {
			credential = r.Name
		}
	}
	if credential != "" { // a client without any credential would be planned as a public one
		needed[credential] = true
	}
	for {
		bound, _, err := c.Bind(func(name string) (string, bool) {
			_, ok := set(name)
			return values[name], ok || needed[name]
		}, contract.BindOptions{Enabled: f.enabled(c)})
		var missing *contract.MissingError
		if !errors.As(err, &missing) {
			return bound, err
		}
		for _, name := range missing.Names() {
			if needed[name] {
				return nil, err
			}
			needed[name] = true
		}
	}
}

// withoutGenerated takes out of the contract of an emulator the fixtures that
// it made up, so that those of like are left.
func withoutGenerated(c, like *contract.Contract) {
	c.Clients = slices.DeleteFunc(c.Clients, func(x contract.Client) bool { k, ok := like.ClientNamed(x.Name); return !ok || k == nil })
	c.Users = slices.DeleteFunc(c.Users, func(x contract.User) bool { k, ok := like.UserNamed(x.Name); return !ok || k == nil })
	c.Client.Secret, c.Client.KeyFile, c.Client.Auth = like.Client.Secret, like.Client.KeyFile, like.Client.Auth
	c.Grants = slices.DeleteFunc(c.Grants, func(g contract.Grant) bool { _, ok := like.Grant(g.Key); return !ok })
	c.Scopes, c.Endpoint.BrowserOrigin, c.Absent = like.Scopes, like.Endpoint.BrowserOrigin, like.Absent
	if like.User == nil {
		c.User = nil
	}
	if like.Resource == nil {
		c.Resource = nil
	} else if like.Resource.Scoped == nil {
		c.Resource.Scoped = nil
	}
	if like.Revocation == nil {
		c.Revocation = nil
	}
	if like.Introspection == nil {
		c.Introspection = nil
	}
	if like.Metadata == nil {
		c.Metadata = nil
	}
	if like.AuthorizationEndpoint == nil && like.Login == nil {
		c.AuthorizationEndpoint = nil
		for i := range c.Grants {
			if g, ok := like.Grant(c.Grants[i].Key); ok {
				c.Grants[i].Code = g.Code
			}
		}
	}
}

// perSecond is a flag N/s, N/m or N; nil until it is set.
type perSecond struct{ rate *float64 }

func (p *perSecond) value() *float64 { return p.rate }
func (p *perSecond) Type() string    { return "N/s" }

func (p *perSecond) String() string {
	if p.rate == nil {
		return ""
	}
	return strconv.FormatFloat(*p.rate, 'g', -1, 64) + "/s"
}

func (p *perSecond) Set(s string) error {
	number, unit, _ := strings.Cut(s, "/")
	per := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || per == 0 || !(n >= 0 && n <= 1e9) {
		return fmt.Errorf("want a rate such as 5/s, 30/m or 0")
	}
	n /= per
	p.rate = &n
	return nil
}

// share is a flag 50% or 0.5.
type share float64

func (s *share) Type() string   { return "SHARE" }
func (s *share) String() string { return strconv.FormatFloat(float64(*s)*100, 'f', -1, 64) + "%" }

func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return fmt.Errorf("want a share such as 50%% or 0.5")
	}
	*s = share(v)
	return nil
}
