package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"grantcheck/load"
	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

type loadFlags struct {
	subjectFlags
	opt              load.Options
	profile, grant   string
	rate             perSecond
	duration         time.Duration
	clients, against string
	metrics          string
	save, log, refit string
	shard, startAt   string
	maxRequests      int
	failOn           string
}

func newLoad() *cobra.Command {
	f := loadFlags{failOn: string(report.Fail)}
	names, about := load.ProfileNames()
	var profiles []cobra.Completion
	text := "Put a token endpoint under load and tell what happened: to latency, to every answer, to the rate limit.\n\nProfiles:\n"
	for i, n := range names {
		profiles = append(profiles, cobra.CompletionWithDesc(n, about[i]))
		text += fmt.Sprintf("  %-10s %s\n", n, about[i])
	}
	cmd := &cobra.Command{
		Use:   "load [CONTRACT]",
		Short: "Put it under load: latency, throughput, throttling",
		Long:  text + "\nEvery answer is judged. Thresholds are read before any traffic; one that is not met is exit 3.",
		Example: `  grantcheck load acme.yaml --profile smoke
  grantcheck load acme.yaml --profile ramp --rate 200/s --duration 2m --threshold 'p99 < 250ms'
  grantcheck load acme.yaml --profile throttle --allow burst
  grantcheck load acme.yaml --profile soak --duration 48h --checkpoint soak.ckpt --metrics :9090`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeContracts,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.add(cmd)
	f.specs = outputFlag(cmd, report.FormatNames()...)
	fs := cmd.Flags()
	fs.StringVar(&f.profile, "profile", "smoke", "the shape of the load: `NAME|FILE`")
	complete(cmd, "profile", profiles...)
	fs.Var(&f.rate, "rate", "requests per second, where the profile leaves it open; 0 as fast as the workers go")
	fs.DurationVar(&f.duration, "duration", 0, "how long, where the profile leaves it open")
	fs.IntVar(&f.opt.Workers, "workers", 0, "requests at a time at first (default by the rate)")
	fs.IntVar(&f.opt.MaxWorkers, "max-workers", 0, "most requests at a time (default by the rate)")
	fs.StringVar(&f.grant, "grant", "", "`NAME` of the grant to ask by (default the profile's, else the contract's first)")
	fs.StringArrayVar(&f.opt.Thresholds, "threshold", nil, "`EXPR` that has to hold: 'p99 < 250ms', 'error_rate < 0.1%' (repeatable)")
	oneOf(cmd, &f.opt.Connections, "connections", "keep connections, open one for each request, or resume TLS (default reuse)", "reuse", "fresh", "resume")
	fs.StringVar(&f.clients, "clients", "", "`FILE` of many clients: a line ${ID} ${SECRET} [WEIGHT] each")
	fs.StringVar(&f.against, "against", "", "`URL` of a second endpoint, measured in alternating slices of the same run")
	fs.StringVar(&f.metrics, "metrics", "", "`ADDRESS` to serve Prometheus metrics at while it runs")
	fs.StringVar(&f.save, "save", "", "`FILE` for results in vegeta's encoding, without bodies or secrets")
	fs.StringVar(&f.opt.Checkpoint, "checkpoint", "", "`FILE` to write the state to at an interval")
	fs.StringVar(&f.opt.Resume, "resume", "", "`FILE` of a checkpoint to go on from")
	fs.StringVar(&f.shard, "shard", "", "`I/N`: one part of a run spread over machines; report merge joins them")
	fs.StringVar(&f.startAt, "start-at", "", "`TIME` at which all shards start, RFC 3339")
	fs.StringVar(&f.log, "throttle-log", "", "`FILE` for what the throttle probe saw")
	fs.StringVar(&f.refit, "refit", "", "`FILE` of --throttle-log to judge again; nothing is sent")
	fs.IntVar(&f.maxRequests, "max-requests", 0, "most requests of the throttle probe (default 20000)")
	oneOf(cmd, &f.failOn, "fail-on", "the mildest verdict that makes exit 1", "fail", "warn", "note")
	return cmd
}

func (f *loadFlags) run(cmd *cobra.Command, names []string) error {
	ctx := cmd.Context()
	to, err := outputs(*f.specs, report.FindFormat, "table")
	if err != nil {
		return err
	}
	labels, err := f.labelMap()
	if err != nil {
		return err
	}
	if err := f.read(); err != nil {
		return err
	}
	f.fast, f.limited = true, f.opt.Profile.Kind == "throttle"
	subjects, fallback, err := f.open(names)
	if err != nil {
		return err
	}
	s := subjects[0]
	defer s.close()
	files, err := f.prepare(s)
	defer func() {
		for _, c := range files {
			c.Close()
		}
	}()
	if err != nil {
		return err
	}
	if err := f.opt.Check(); err != nil {
		return usage("%w", err)
	}
	f.sayFirst(cmd, fallback, to)
	if f.metrics != "" {
		f.opt.Metrics = load.NewMetrics()
		address, err := f.opt.Metrics.Serve(ctx, f.metrics)
		if err != nil {
			return usage("%w", err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "metrics at http://%s/metrics\n", address)
	}
	line := newProgress(cmd.ErrOrStderr())
	f.await(ctx, s, line)
	line.clear()
	f.opt.Live = liveOn(cmd.ErrOrStderr())

	run := f.head(s, labels)
	res, err := load.Run(ctx, f.opt)
	var mistake *load.UsageError
	switch {
	case errors.As(err, &mistake):
		return usage("%w", err)
	case ctx.Err() != nil && res == nil:
		run.Incomplete = "interrupted before there was any load"
	case err != nil:
		kind := report.Configuration
		if !errors.Is(err, load.ErrUnusable) {
			kind = report.Internal
		}
		run.Preflight = []report.Preflight{{
			Contract: s.contract.Name, Kind: kind, Message: err.Error(),
			Remedy: "grantcheck check tells what is the matter; --wait waits for an endpoint that is not up yet",
		}}
	default:
		run.Load, run.Facts, run.Complete = res.Load, res.Facts, res.Load.Stopped == ""
		run.Checks = inCatalogue(res.Checks)
	}
	run.Interrupted = ctx.Err() != nil
	run.DurationMS = float64(time.Since(run.Started).Microseconds()) / 1000
	run.Command = commandLine(os.Args[1:], subjects)
	run.Summarize()
	run.Decide(report.Gate{FailOn: report.Verdict(f.failOn)})
	if err := writeRun(cmd, to, run, f.verbose); err != nil {
		return err
	}
	return ended(run, to)
}

// read understands the flags that need no contract.
func (f *loadFlags) read() (err error) {
	rate := -1.0
	if r := f.rate.value(); r != nil {
		rate = *r
	}
	if f.opt.Profile, err = load.LoadProfile(f.profile, rate, f.duration); err != nil {
		return usage("%w", err)
	}
	if f.shard != "" {
		if f.opt.Shard, f.opt.Shards, err = load.ParseShard(f.shard); err != nil {
			return usage("%w", err)
		}
	}
	if f.startAt != "" {
		if f.opt.StartAt, err = time.Parse(time.RFC3339, f.startAt); err != nil {
			return usage("--start-at %q is no time such as 2027-01-31T12:00:00Z", f.startAt)
		}
	}
	if f.refit != "" {
		data, err := os.ReadFile(f.refit)
		if err != nil {
			return usage("--refit: %w", err)
		}
		f.opt.Log = new(load.Log)
		if err := json.Unmarshal(data, f.opt.Log); err != nil || f.opt.Log.Schema != load.LogSchema {
			return usage("--refit %s: it is no log that --throttle-log wrote", f.refit)
		}
	}
	f.opt.Budget.Requests = f.maxRequests
	f.opt.Timeout = f.timeout
	f.opt.AllowBurst = slices.Contains(f.allow, "burst") || slices.Contains(f.allow, "all")
	return nil
}

// prepare fills the options in from the contract, and opens the files to write.
func (f *loadFlags) prepare(s *subject) (files []io.Closer, err error) {
	target, err := exchange.NewTarget(s.contract, s.exchange)
	if err != nil {
		return nil, usage("%w", err)
	}
	o := &f.opt
	o.Contract, o.URL, o.TLS, o.Proxy = s.contract, target.TokenURL(nil), target.TLS(), target.Proxy()
	if f.clients != "" {
		if o.Who, o.Spread, err = population(f.clients); err != nil {
			return nil, usage("%w", err)
		}
	}
	askers, err := f.askers(target)
	if err != nil {
		return nil, usage("%w", err)
	}
	o.Grant, o.Dialect = askers[0].Grant.Key, load.DialectOf(s.contract, askers[0].Grant)
	source := func(t *exchange.Target, who []load.Identity) (load.Source, error) {
		return load.TargetSource(t, askers, who, o.Profile.Bad, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	}
	if o.Source, err = source(target, o.Who); err != nil {
		return nil, usage("%w", err)
	}
	if f.against != "" {
		opt := s.exchange
		opt.URL = f.against
		second, err := exchange.NewTarget(s.contract, opt)
		if err != nil {
			return nil, usage("--against: %w", err)
		}
		o.AgainstURL = second.TokenURL(nil)
		if o.Against, err = source(second, o.Who); err != nil {
			return nil, usage("--against: %w", err)
		}
	}
	if o.Profile.Kind == "throttle" {
		if c := target.ClientNamed("second"); c != nil {
			if o.OtherClient, err = source(target, []load.Identity{{Alias: "second", Client: c, Weight: 1}}); err != nil {
				return nil, usage("%w", err)
			}
		}
		if runtime.GOOS == "linux" && !load.Remote(o.URL) {
			o.OtherAddress = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}
		}
	}
	for _, x := range []struct {
		flag, file string
		to         *io.Writer
	}{{"--save", f.save, &o.Save}, {"--throttle-log", f.log, &o.SaveLog}} {
		if x.file == "" {
			continue
		}
		file, err := os.Create(x.file)
		if err != nil {
			return files, usage("%s: %w", x.flag, err)
		}
		files, *x.to = append(files, file), file
	}
	return files, nil
}

// askers are the grants to ask by: those of the flag, of the profile, or the
// contract's first that uses nothing up.
func (f *loadFlags) askers(t *exchange.Target) (out []load.Asker, err error) {
	mix := f.opt.Profile.Grants
	if f.grant != "" {
		mix = map[string]float64{f.grant: 1}
	}
	var keys []string
	for i := range t.Contract.Grants {
		g := &t.Contract.Grants[i]
		keys = append(keys, g.Key)
		weight, named := mix[g.Key]
		if len(mix) == 0 {
			if g.Enabled == "false" || g.Enabled == "ask" && len(f.enabled(t.Contract)) == 0 {
				continue
			}
			weight, named = 1, true
		}
		if !named {
			continue
		}
		a := load.Asker{Grant: g, Weight: weight}
		switch exchange.GrantType(g) {
		case "authorization_code":
			a.Inputs = func(ctx context.Context) (exchange.Inputs, error) { return freshCode(ctx, t, g) }
		case "refresh_token":
			member := ""
			if f, ok := g.FieldFor("refresh_token"); ok {
				member = f.Name
			}
			a.Chain = load.NewChain(256, member, func(ctx context.Context) (string, error) {
				in, err := freshRefreshToken(ctx, t)
				return in.RefreshToken, err
			})
		}
		out = append(out, a)
	}
	for key := range mix {
		if !slices.Contains(keys, key) {
			return nil, fmt.Errorf("the contract has no grant %q; it has %s%s", key, strings.Join(keys, ", "), suites.DidYouMean(key, keys))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("contract %s has no grant to ask by", t.Contract.Name)
	}
	if len(mix) == 0 {
		i := slices.IndexFunc(out, func(a load.Asker) bool { return a.Inputs == nil && a.Chain == nil })
		out = out[max(0, i):][:1]
	}
	return out, nil
}

func freshCode(ctx context.Context, t *exchange.Target, g *contract.Grant) (exchange.Inputs, error) {
	a, err := t.Authorization(g, nil)
	if err != nil {
		return exchange.Inputs{}, err
	}
	granted, err := t.Authorize(ctx, a)
	if err != nil {
		return exchange.Inputs{}, err
	}
	return granted.Inputs(), nil
}

// freshRefreshToken has another grant of the contract give a refresh token.
func freshRefreshToken(ctx context.Context, t *exchange.Target) (exchange.Inputs, error) {
	client := exchange.NewClient(t, exchange.ClientOptions{})
	defer client.Close()
	for _, kind := range []string{"password", "authorization_code"} {
		g, ok := t.Contract.GrantOfType(kind)
		if !ok {
			continue
		}
		var in exchange.Inputs
		var err error
		if kind == "authorization_code" {
			if in, err = freshCode(ctx, t, g); err != nil {
				return in, err
			}
		}
		methods := t.AuthMethods(g, t.ClientOf(g))
		if len(methods) == 0 {
			continue
		}
		req, err := t.Request(g, methods[0], in)
		if err != nil {
			return in, err
		}
		if token := client.Do(ctx, req).Answer().Text("refresh_token"); token != "" {
			return exchange.Inputs{RefreshToken: token}, nil
		}
	}
	return exchange.Inputs{}, errors.New("no other grant of the contract gave a refresh token")
}

// population reads a file of clients, a line each: ${ID} ${SECRET} [WEIGHT].
// They are called by the variable of their id.
func population(file string) (who []load.Identity, spread string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, "", fmt.Errorf("--clients: %w", err)
	}
	spread = "uniform"
	var missing []string
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		bad := fmt.Errorf("%s:%d: want ${ID} ${SECRET} [WEIGHT], names of variables and never values", file, n)
		if len(words) < 2 || len(words) > 3 {
			return nil, "", bad
		}
		c := &contract.Client{}
		alias := ""
		for i, field := range []*string{&c.ID, &c.Secret} {
			name := strings.TrimSuffix(strings.TrimPrefix(words[i], "${"), "}")
			if words[i] != "${"+name+"}" {
				return nil, "", bad
			}
			if *field = os.Getenv(name); *field == "" {
				missing = append(missing, name)
			}
			alias = cmp.Or(alias, name)
		}
		weight := 1.0
		if len(words) == 3 {
			if weight, err = strconv.ParseFloat(words[2], 64); err != nil || weight <= 0 {
				return nil, "", bad
			}
		}
		if len(who) > 0 && weight != who[0].Weight {
			spread = "skewed"
		}
		who = append(who, load.Identity{Alias: alias, Client: c, Weight: weight})
	}
	switch {
	case len(missing) > 0:
		return nil, "", fmt.Errorf("%s needs variables that are unset: %s", file, strings.Join(missing, ", "))
	case len(who) == 0:
		return nil, "", fmt.Errorf("%s names no client", file)
	}
	return who, spread, nil
}

func (f *loadFlags) head(s *subject, labels map[string]string) *report.Run {
	c := s.contract
	return &report.Run{
		Schema:   report.Schema,
		Tool:     report.Tool{Name: "grantcheck", Version: exchange.Version, Catalogue: suites.CatalogueVersion},
		Contract: report.Contract{Name: c.Name, Title: c.Title, Edition: cmp.Or(c.Edition, "oauth20"), Pages: c.Page},
		Endpoint: report.Endpoint{URL: f.opt.URL, Emulated: s.emulator != nil},
		Labels:   labels, Started: time.Now(), Machine: load.ThisMachine(),
	}
}

// inCatalogue gives verdicts of a load what the catalogue says of their rules,
// in its order; a verdict weighs what the rule's posture says. Of two on one rule the worse stays.
func inCatalogue(checks []report.Check) (out []report.Check) {
	for _, r := range suites.Rules() {
		first := len(out)
		for _, c := range checks {
			if c.Rule != r.ID {
				continue
			}
			c.Title, c.Group, c.Level, c.Source = r.Title, r.Group, string(r.Level), r.Source
			c.Requirement, c.Why, c.Posture, c.Wording = r.Summary, r.Why, string(r.Posture), string(r.Wording)
			for _, side := range []*report.Side{&c.Documented, &c.Standard} {
				if *side == report.SideFail && r.Posture == suites.Advise {
					*side = report.SideWarn
				} else if (*side == report.SideFail || *side == report.SideWarn) && r.Posture == suites.Observe {
					*side = report.SideNote
				}
			}
			if c.Verdict.Judged() {
				c.Verdict = report.Combine(c.Documented, c.Standard, false, report.BothSides)
			}
			switch {
			case len(out) == first:
				out = append(out, c)
			case slices.Index(report.Verdicts, c.Verdict) < slices.Index(report.Verdicts, out[first].Verdict):
				out[first] = c
			}
		}
	}
	return out
}

// liveOn shows a load on stderr: drawn over on a terminal, plain lines elsewhere.
func liveOn(w io.Writer) load.Live {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return load.NewLive(w, false, 0)
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 80
	}
	return load.NewLive(w, true, width)
}
