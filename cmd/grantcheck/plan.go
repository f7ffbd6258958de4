package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/emulator"
	"grantcheck/suites/exchange"
)

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
