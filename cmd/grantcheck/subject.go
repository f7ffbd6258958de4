package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
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

// standard is the contract that is used when none is named.
const standard = "standard"

// A subject is one contract with the endpoint it is held against.
type subject struct {
	contract *contract.Contract // bound
	exchange exchange.Options
	emulator *emulator.Emulator // nil: an endpoint somewhere
	clock    suites.Clock       // nil: the system's
	name     string             // as given
}

func (s *subject) close() {
	if s.emulator != nil {
		s.emulator.Close()
	}
}

// subjectFlags are what check and load have in common: which endpoint, and how it is reached.
type subjectFlags struct {
	url       string
	emulate   bool
	edition   string // that the emulator keeps to
	fast      bool   // an emulator whose tokens cost little
	limited   bool   // an emulator that keeps the documented limits
	envFile   string
	transport exchange.Options
	timeout   time.Duration
	wait      time.Duration
	allow     []string
	labels    []string
	specs     *[]string // -o
	verbose   bool
}

func (f *subjectFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.url, "url", "", "the token endpoint, in place of the contract's base_url and path")
	fs.BoolVar(&f.emulate, "emulate", false, "the built-in emulator of the contract; needs no environment")
	cmd.MarkFlagsMutuallyExclusive("url", "emulate")
	fs.StringVar(&f.envFile, "env-file", "", "`FILE` in which ${NAME} is looked up when the environment has none")
	fs.StringVar(&f.transport.CAFile, "ca-file", "", "`FILE` of further trusted certificates, PEM")
	fs.StringVar(&f.transport.Cert, "cert", "", "`FILE` of a client certificate, PEM")
	fs.StringVar(&f.transport.Key, "key", "", "`FILE` of its key, PEM")
	cmd.MarkFlagsRequiredTogether("cert", "key")
	fs.BoolVar(&f.transport.InsecureHTTP, "insecure-http", false, "allow http:// beyond loopback")
	fs.StringVar(&f.transport.Proxy, "proxy", "", "http://host:port to go through")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "longest time for one answer")
	fs.DurationVar(&f.wait, "wait", 0, "wait so long until the endpoint answers anything")
	fs.StringArrayVar(&f.allow, "allow", nil, "consent to an `EFFECT` of intrusive probes, or all (repeatable)")
	complete(cmd, "allow", effects()...)
	fs.StringArrayVar(&f.labels, "label", nil, "`KEY=VALUE` for the header of every report (repeatable)")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "the exchanges of what did not pass, redacted, with a curl line each")
}

func effects() []string {
	names := []string{"all"}
	for _, e := range suites.Effects {
		names = append(names, string(e))
	}
	return names
}

func (f *subjectFlags) labelMap() (map[string]string, error) {
	out := map[string]string{}
	for _, l := range f.labels {
		key, value, ok := strings.Cut(l, "=")
		if !ok || key == "" {
			return nil, usage("--label %q is not KEY=VALUE", l)
		}
		out[key] = value
	}
	return out, nil
}

// open makes the subjects of a command line; every mistake in any of them is
// told at once, before anything is sent. fallback: no contract was named.
func (f *subjectFlags) open(names []string) (subjects []*subject, fallback string, err error) {
	if len(names) == 0 {
		names = []string{standard}
		switch {
		case f.url != "":
			fallback = fmt.Sprintf("No contract given: judging %s by the shipped contract %q, which asserts nothing but the standards.", f.url, standard)
		default:
			f.emulate = true
			fallback = fmt.Sprintf("No contract given: this is the built-in emulator of the shipped contract %q, the embedded default.", standard)
		}
	}
	file, err := f.readEnvFile()
	if err != nil {
		return nil, "", err
	}
	var errs []error
	unset, nowhere := false, false
	for _, name := range names {
		s, err := f.one(name, file)
		var missing *contract.MissingError
		unset = unset || errors.As(err, &missing)
		nowhere = nowhere || errors.Is(err, fs.ErrNotExist)
		switch {
		case err != nil:
			errs = append(errs, err)
		case slices.ContainsFunc(subjects, func(t *subject) bool { return t.contract.Name == s.contract.Name }):
			errs = append(errs, fmt.Errorf("%s: the contract %s is there already; one run judges a contract once", name, s.contract.Name))
			fallthrough
		default:
			subjects = append(subjects, s)
		}
	}
	if len(errs) == 0 {
		return subjects, fallback, nil
	}
	for _, s := range subjects {
		s.close()
	}
	if unset {
		//lint:ignore ST1005 a sentence of its own, on a line of its own
		errs = append(errs, errors.New("Set them in the environment or in a file for --env-file; --url URL replaces the base URL;\n"+
			"--emulate judges the built-in emulator of the contract and needs none of them."))
	}
	if nowhere {
		//lint:ignore ST1005 a sentence of its own, on a line of its own
		errs = append(errs, fmt.Errorf("A contract is a file, or one that is shipped: %s.\ngrantcheck contract init NAME writes one to fill in.", shippedInWords()))
	}
	return nil, "", usage("%w", errors.Join(errs...))
}

func (f *subjectFlags) readEnvFile() (*contract.EnvFile, error) {
	if f.envFile == "" {
		return nil, nil
	}
	data, err := os.ReadFile(f.envFile)
	if err != nil {
		return nil, usage("--env-file: %w", err)
	}
	file, err := contract.ParseEnvFile(f.envFile, data)
	if err != nil {
		return nil, usage("%w", err)
	}
	return file, nil
}

// openContract loads a contract with everything that can be checked beforehand.
func openContract(name string) (*contract.Contract, error) {
	return contract.OpenWith(name, contractOptions())
}

func contractOptions() contract.Options {
	var ids []string
	for _, r := range suites.Rules() {
		ids = append(ids, r.ID)
	}
	return contract.Options{KnownRules: ids, Now: time.Now}
}

func (f *subjectFlags) one(name string, file *contract.EnvFile) (*subject, error) {
	c, err := openContract(name)
	if err != nil {
		return nil, err
	}
	if f.emulate {
		return f.emulated(name, c)
	}
	lookup, err := c.Environment(os.LookupEnv, file)
	if err != nil {
		return nil, err
	}
	bound, secrets, err := c.Bind(lookup, contract.BindOptions{URL: f.url, Enabled: f.enabled(c)})
	if err != nil {
		return nil, err
	}
	opt := f.transport
	opt.URL, opt.Timeout, opt.Secrets = f.url, f.timeout, secrets
	s := &subject{name: name, contract: bound, exchange: opt}
	if _, err := exchange.NewTarget(bound, opt); err != nil {
		return nil, err
	}
	return s, nil
}

// emulated starts the emulator of a contract on a loopback port of its own.
func (f *subjectFlags) emulated(name string, c *contract.Contract) (*subject, error) {
	opt := emulator.Options{Contract: c, Edition: f.edition, Unlimited: !f.limited, Fast: f.fast}
	var clock suites.Clock
	if !f.fast { // a load needs real time; a judgement that waits for a code to expire need not wait here
		skipping := &suites.SkippingClock{}
		opt.Now, opt.Sleep = skipping.Now, func(ctx context.Context, d time.Duration) { _ = skipping.Sleep(ctx, d) }
		clock = skipping
	}
	e, err := emulator.New(opt)
	if err != nil {
		return nil, err
	}
	if err := e.Start(); err != nil {
		return nil, err
	}
	return &subject{name: name, contract: e.Contract(), emulator: e, clock: clock, exchange: exchange.Options{Timeout: f.timeout, Secrets: secretsOf(c, e.Env())}}, nil
}

// secretsOf picks the values of the references that have to stay hidden.
func secretsOf(c *contract.Contract, env map[string]string) map[string]string {
	out := map[string]string{}
	for _, r := range c.References() {
		if v := env[r.Name]; r.Secret && v != "" {
			out[r.Name] = v
		}
	}
	return out
}

// enabled lists the grants with "enabled: ask" that the operator has switched on.
func (f *subjectFlags) enabled(c *contract.Contract) (keys []string) {
	for _, g := range c.Grants {
		if g.Enabled == "ask" && (slices.Contains(f.allow, "all") || slices.Contains(f.allow, "grant:"+g.Key)) {
			keys = append(keys, g.Key)
		}
	}
	return keys
}

// await waits until the endpoint answers anything at all, or the time is over;
// what is wrong then is for the preflight to say.
func (f *subjectFlags) await(ctx context.Context, s *subject, p *progress) {
	if f.wait <= 0 || s.emulator != nil {
		return
	}
	target, err := exchange.NewTarget(s.contract, s.exchange)
	if err != nil {
		return // told by the run
	}
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	client := exchange.NewClient(target, exchange.ClientOptions{})
	defer client.Close()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		if x := client.Do(ctx, target.Get(target.TokenURL(nil))); x.Err == nil || ctx.Err() != nil {
			return
		}
		p.say("%s  waiting for %s to answer", s.contract.Name, target.TokenURL(nil))
		if (suites.SystemClock{}).Sleep(ctx, pause) != nil {
			return
		}
	}
}

// sayFirst says in the first line that no contract was given: on stdout, unless
// that carries something a program reads.
func (f *subjectFlags) sayFirst(cmd *cobra.Command, line string, to []output[report.Format]) {
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

// commandLine is how the program was called: values of variables stand as
// ${NAME}, and no address has a password in it.
func commandLine(args []string, subjects []*subject) string {
	out := []string{"grantcheck"}
	for _, a := range args {
		for _, s := range subjects {
			for name, value := range s.exchange.Secrets {
				a = strings.ReplaceAll(a, value, "${"+name+"}")
			}
		}
		flag, value := "", a
		if i := strings.LastIndex(a[:max(0, strings.Index(a, "://"))], "="); i >= 0 {
			flag, value = a[:i+1], a[i+1:]
		}
		if u, err := url.Parse(value); err == nil && u.User != nil {
			a = flag + u.Redacted()
		}
		if strings.ContainsAny(a, " \t\n'\"$&|;<>()*?[]#~`\\") {
			a = quote(a)
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

// completeContracts completes the names of shipped contracts, and files.
func completeContracts(_ *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, name := range contract.ShippedNames() {
		if c, err := contract.Shipped(name); err == nil {
			out = append(out, cobra.CompletionWithDesc(name, cmp.Or(c.Title, name)))
		}
	}
	return out, cobra.ShellCompDirectiveDefault
}

func shippedInWords() string { return strings.Join(contract.ShippedNames(), ", ") }
