package suites

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"grantcheck/report"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// How a check asks: golden requests, probes, races, plain reads, waiting.

// probe says what the engine cannot see from a request itself.
type probe struct {
	golden   bool     // the documented request: nothing is provoked
	raw      bool     // take the first answer, whatever it is: no waiting, no second try
	provokes []string // in place of Rule.Provokes
	param    string
	endpoint string

	authorized []string // scope of the authorization request behind the code that is redeemed
}

// An Option tells Probe what it cannot see from the request.
type Option func(*probe)

// Provokes names the contract conditions that this one probe brings about, in
// place of Rule.Provokes.
func Provokes(conditions ...string) Option { return func(p *probe) { p.provokes = conditions } }

// About names the parameter that a missing_parameter or invalid_parameter probe is about.
func About(param string) Option { return func(p *probe) { p.param = param } }

// AsIs takes the first answer as it comes: a 429 is an answer then, and nothing is sent twice.
func AsIs() Option { return func(p *probe) { p.raw = true } }

// Positive marks a request that differs from the documented one in nothing that
// could matter to its success: it provokes nothing.
func Positive() Option { return func(p *probe) { p.provokes = []string{}; p.golden = false } }

// At names another endpoint than the token endpoint: resource, metadata, ...
func At(endpoint string) Option { return func(p *probe) { p.endpoint = endpoint } }

func options(opts []Option) probe {
	var p probe
	for _, o := range opts {
		o(&p)
	}
	return p
}

// Golden returns the golden request of the run, fresh: the first documented
// grant and client authentication method found to work. A code or refresh
// token it carries is its own.
func (c *Case) Golden() exchange.Request { return c.goldenOf(c.run.golden, "") }

// GoldenFor returns the golden request of a grant_type; the rule is not
// applicable where the contract documents none.
func (c *Case) GoldenFor(grantType string) exchange.Request {
	return c.GoldenAs("", grantType)
}

// GoldenAs returns the golden request of a grant_type for a client fixture; an
// empty grant_type stands for the run's golden grant. It needs the fixture.
func (c *Case) GoldenAs(client, grantType string) exchange.Request {
	p := c.run.golden
	if grantType != "" {
		p = c.run.pairFor(grantType, client)
		if p.grant == nil {
			c.NotApplicable("the contract documents no %s grant", grantType)
		}
	}
	return c.goldenOf(p, client)
}

func (c *Case) goldenOf(p pair, client string) exchange.Request {
	return c.goldenWith(p, client, exchange.Inputs{})
}

// goldenWith is goldenOf with scope, method or media type of the check's choice.
func (c *Case) goldenWith(p pair, client string, in exchange.Inputs) exchange.Request {
	if p.grant == nil {
		c.Blocked("there is no golden request")
	}
	if client != "" && client != p.client {
		in.Client = c.Fixture(client)
		p.client = client
		p.auth = ""
		if m := c.Target().AuthMethods(p.grant, in.Client); len(m) > 0 {
			p.auth = m[0]
		}
	} else if in.Client == nil {
		in.Client = c.Target().ClientNamed(p.client)
	}
	return c.run.supply.request(c.ctx, c, p, in)
}

// Build returns the documented request of a grant with these inputs.
func (c *Case) Build(grant *contract.Grant, auth string, in exchange.Inputs) exchange.Request {
	req, err := c.Target().Request(grant, auth, in)
	c.orNeed(err)
	return req.Purpose("probe")
}

func (c *Case) orNeed(err error) {
	var need *exchange.NeedError
	switch {
	case err == nil:
	case errors.As(err, &need):
		panic(stop{verdict: report.Skip, kind: report.NeedsFixture, needs: need.Source, reason: need.Error()})
	default:
		c.Blocked("%v", err)
	}
}

// Fixture returns a client fixture; the rule needs it.
func (c *Case) Fixture(name string) *contract.Client {
	f := c.Target().ClientNamed(name)
	if f == nil {
		c.Needs(fixtureNeed(name))
	}
	return f
}

// fixtureNeed puts a missing client fixture in words.
func fixtureNeed(name string) string {
	switch name {
	case "second":
		return "a second client"
	case "public":
		return "a public client"
	case "no_grant":
		return "a client without the grant"
	case "special_secret":
		return "a client whose secret needs encoding"
	case "long_secret":
		return "a client whose secret has more than 72 bytes"
	case "sacrificial":
		return "a sacrificial client"
	}
	return "a client " + name
}

// Probe sends a request and returns its answer. While the endpoint throttles
// or is unavailable it waits and tries again; an answer that decides nothing
// ends the check as inconclusive.
func (c *Case) Probe(req exchange.Request, opts ...Option) *Sample {
	s := c.Try(req, opts...)
	c.decided(s, options(opts))
	return s
}

func (c *Case) decided(s *Sample, p probe) {
	if p.raw {
		return
	}
	if why := s.Answer.Inconclusive(); why != "" {
		c.look(s)
		kind := report.Ambiguous
		switch {
		case s.Answer.Throttled():
			kind = report.Throttled
		case s.Err != nil:
			kind = report.Unreachable
		}
		panic(stop{verdict: report.Inconclusive, kind: kind, reason: why})
	}
}

// Try is Probe for a check that can make sense of any answer, or of none.
func (c *Case) Try(req exchange.Request, opts ...Option) *Sample {
	return c.run.send(c.ctx, c, req, options(opts))
}

// Accepted sends the golden request as it is, or changed in nothing that
// matters, and keeps the answer as a golden one.
func (c *Case) Accepted(req exchange.Request) *Sample {
	s := c.run.send(c.ctx, c, req, probe{golden: true})
	c.decided(s, probe{})
	return s
}

// Together sends requests at the same instant over connections of their own:
// connections open and headers sent first, bodies at once. Each answer is taken as it comes.
func (c *Case) Together(reqs []exchange.Request, opts ...Option) []*Sample {
	return c.several(reqs, opts, c.run.client.Together)
}

// Parallel sends requests over shared connections, some at a time, in their order. Answers are taken
// as they come.
func (c *Case) Parallel(reqs []exchange.Request, workers int, opts ...Option) []*Sample {
	return c.several(reqs, opts, func(ctx context.Context, reqs []exchange.Request) []*exchange.Exchange {
		out := make([]*exchange.Exchange, len(reqs))
		next := make(chan int)
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := range next {
					out[i] = c.run.client.Do(ctx, reqs[i])
				}
			})
		}
		for i := range reqs {
			next <- i
		}
		close(next)
		wg.Wait()
		return out
	})
}

// Sequence sends requests one after the other over one connection, which is
// reopened only when the server announced its close. Answers are taken as they come.
func (c *Case) Sequence(reqs []exchange.Request, opts ...Option) []*Sample {
	return c.several(reqs, opts, func(ctx context.Context, reqs []exchange.Request) []*exchange.Exchange {
		return c.run.client.Sequence(ctx, reqs...)
	})
}

func (c *Case) several(reqs []exchange.Request, opts []Option, send func(context.Context, []exchange.Request) []*exchange.Exchange) []*Sample {
	p := options(opts)
	for _, r := range reqs {
		c.run.charge(c.ctx, c, r)
		c.run.supply.take(r)
	}
	var out []*Sample
	for i, x := range send(c.ctx, reqs) {
		out = append(out, c.run.record(c, reqs[i], x, p))
	}
	return out
}

// Wait lets time pass without keeping other rules from running, and says what
// it waits for. It is not counted as work of the rule.
func (c *Case) Wait(d time.Duration, what string) {
	c.run.waiting(c.rule, d, what)
	free := !c.rule.Alone
	if free {
		<-c.run.slots
		c.run.quiet.RUnlock()
	}
	err := c.run.clock.Sleep(c.ctx, d)
	if free {
		c.run.quiet.RLock()
		c.run.slots <- struct{}{}
	}
	c.run.waiting(c.rule, 0, "")
	if err != nil {
		panic(stop{verdict: report.Inconclusive, kind: report.Interrupted, reason: "interrupted while it waited for " + what})
	}
}

// Eventually asks again, at most for a while, until holds says that the answer
// is there: for revocations that take a moment to spread.
func (c *Case) Eventually(atMost time.Duration, ask func() *Sample, holds func(*Sample) bool) *Sample {
	for waited, pause := time.Duration(0), 200*time.Millisecond; ; waited, pause = waited+pause, pause*2 {
		s := ask()
		if holds(s) || waited >= atMost {
			return s
		}
		c.Wait(min(pause, atMost-waited), "a change to spread")
	}
}

// ---- answers of the whole run ----

// AnswersOf returns the answers to the probes of other rules, in the order they were sent. Of one that
// was sent again, as the endpoint throttled, only the last counts.
func (c *Case) AnswersOf(rules ...string) []*Sample {
	return c.Answers(func(s *Sample) bool { return !s.Golden && s.again == nil && slices.Contains(rules, s.Rule) })
}

// Answers returns every answer of the run for which keep holds. Exchanges that
// got no answer are left out.
func (c *Case) Answers(keep func(*Sample) bool) []*Sample {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	var out []*Sample
	for _, s := range c.run.samples {
		if s.Err == nil && keep(s) {
			out = append(out, s)
		}
	}
	return out
}

// Tokens returns the answers of the token endpoint that carry a token.
func (c *Case) Tokens() []*Sample {
	return c.Answers(func(s *Sample) bool { return s.Endpoint == tokenEndpoint && s.Answer.OK() })
}

// GoldenAnswers returns the answers to golden requests, of every grant, that carry a token.
func (c *Case) GoldenAnswers() []*Sample {
	return c.Answers(func(s *Sample) bool { return s.Golden && s.Endpoint == tokenEndpoint && s.Answer.OK() })
}

// ---- codes and refresh tokens ----

// Code obtains a fresh authorization code: an authorization request with these
// changes, through the contract's hook, login walk or prompt.
func (c *Case) Code(client string, change func(*exchange.Authorization)) exchange.Granted {
	g, ok := c.run.grantOf("authorization_code")
	if !ok {
		c.NotApplicable("the contract documents no authorization_code grant")
	}
	var f *contract.Client
	if client != "" {
		f = c.Fixture(client)
	}
	granted, err := c.run.supply.code(c.ctx, g, f, change)
	c.orNeed(err)
	return granted
}

// CodeRefused is Code for a flow that the authorization endpoint may rightly
// refuse: the error is returned then.
func (c *Case) CodeRefused(client string, change func(*exchange.Authorization)) (exchange.Granted, error) {
	g, ok := c.run.grantOf("authorization_code")
	if !ok {
		c.NotApplicable("the contract documents no authorization_code grant")
	}
	var f *contract.Client
	if client != "" {
		f = c.Fixture(client)
	}
	return c.run.supply.code(c.ctx, g, f, change)
}

// Redeem builds the exchange of a code.
func (c *Case) Redeem(g exchange.Granted, client string) exchange.Request {
	p := c.run.pairFor("authorization_code", client)
	in := g.Inputs()
	if client != "" {
		in.Client = c.Fixture(client)
	}
	return c.Build(p.grant, p.auth, in)
}

// RefreshToken mints a refresh token that nobody else uses, and returns the
// answer it came in. Where no grant issues one the rule is not applicable.
func (c *Case) RefreshToken(client string) (token string, from *Sample) {
	token, from, err := c.run.supply.mint(c.ctx, c, client)
	c.orNeed(err)
	if token == "" {
		c.NotApplicable("no grant of the contract gave a refresh token")
	}
	return token, from
}

// Refresh builds a refresh request with a token.
func (c *Case) Refresh(token, client string) exchange.Request {
	p := c.run.pairFor("refresh_token", client)
	if p.grant == nil {
		c.NotApplicable("the contract documents no refresh_token grant")
	}
	in := exchange.Inputs{RefreshToken: token}
	if client != "" {
		in.Client = c.Fixture(client)
	}
	return c.Build(p.grant, p.auth, in)
}

// AccessToken mints an access token with the golden request of a client.
func (c *Case) AccessToken(client string) (token string, from *Sample) {
	s := c.Accepted(c.GoldenAs(client, ""))
	if !s.Answer.OK() {
		c.look(s)
		c.Inconclusive("the golden request was not answered with a token, but with %s", s.Came())
	}
	return s.Answer.Text("access_token"), s
}

// field returns the documented field of the golden answer that plays part.
func (c *Case) field(g *contract.Grant, part string) (contract.Field, bool) {
	if g != nil {
		for _, f := range g.Response.Fields {
			if f.Part() == part {
				return f, true
			}
		}
	}
	return contract.Field{}, false
}

// GrantOf returns the documented grant that an answer belongs to, nil if there is none.
func (c *Case) GrantOf(s *Sample) *contract.Grant {
	for i := range c.Contract().Grants {
		if c.Contract().Grants[i].Key == s.grant {
			return &c.Contract().Grants[i]
		}
	}
	return nil
}

// Field returns the documented response field that plays part in the answer s.
func (c *Case) Field(s *Sample, part string) (contract.Field, bool) {
	return c.field(c.GrantOf(s), part)
}

// Step names a probe in evidence: Step(req, "secret minus one character").
func Step(req exchange.Request, format string, args ...any) exchange.Request {
	return req.Purpose("probe: " + fmt.Sprintf(format, args...))
}
