package suites

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"grantcheck/report"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// Config is everything a run needs to know. Contract is obligatory; the zero
// value of the rest judges every rule of the contract's edition at the pace its
// safety section allows.
type Config struct {
	Contract *contract.Contract // bound: no references left
	Exchange exchange.Options   // address, transport, secrets to keep out of every report

	Edition   string // oauth20, bcp, oauth21; "": the contract's
	Strict    bool
	Selection Selection
	Allow     []string // effects consented to, "grant:KEY" for grants that ask, or "all"

	Rate        *float64      // requests per second; nil: the contract's safety.max_rate; 0 lifts the pace
	MaxRequests int           // 0: the contract's safety.max_requests; negative: no limit
	Parallel    int           // checks at a time; 0: 4
	MaxWait     time.Duration // longest single wait a throttling endpoint may ask for; 0: one minute

	FailOn    report.Verdict // fail, warn or note; "": fail
	MinJudged float64        // share of what applies that must be judged for exit 0; 0: 0.5

	Emulated bool              // the endpoint is the built-in emulator
	Labels   map[string]string // stand in the header of every report
	Version  string            // of the program

	// Plain runs the rules without Ginkgo, with the same findings: for a test binary that holds
	// Ginkgo specs of its own, whose tree a second suite would end, and for many runs at a time.
	Plain bool

	// NoEvidence leaves the exchanges out of the report: for runs of which only the verdicts count,
	// as writing evidence without secrets takes as long as gathering it.
	NoEvidence bool

	Clock    Clock          // nil: the system's
	Progress func(Progress) // called from several goroutines, after each rule and wait
}

// Progress is where a run stands.
type Progress struct {
	Done, Total int
	Rule        string // the rule that was just judged, or that waits
	Verdict     report.Verdict
	Waiting     string        // what it waits for, "" when it does not
	For         time.Duration // how long
	Requests    int
}

func (cfg Config) maxWait() time.Duration { return cmp.Or(cfg.MaxWait, time.Minute) }

func (cfg Config) pace() exchange.ClientOptions {
	p := exchange.ClientOptions{Sleep: cfg.Clock.Sleep}
	switch {
	case cfg.Rate != nil:
		p.Rate = *cfg.Rate
	case !cfg.Emulated:
		p.Rate = cfg.Contract.Safety.MaxRate
	}
	return p
}

// Validate returns the error with which Run would refuse the configuration.
func (cfg Config) Validate() error {
	s, err := prepare(cfg)
	if err == nil {
		s.engine.client.Close()
	}
	return err
}

// A session is one run in the making: prepared once, judged rule by rule by
// whoever drives it, and reported at the end.
type session struct {
	cfg      Config
	engine   *engine
	selected []Rule
	filtered bool
	started  time.Time // by the clock of the run
	began    time.Time // by that of the machine
	wrong    []report.Preflight
}

// prepare checks the configuration; nothing is sent.
func prepare(cfg Config) (*session, error) {
	if cfg.Contract == nil {
		return nil, errors.New("suites: Config.Contract is nil; contract.Open loads one, Bind puts the values in")
	}
	if cfg.Contract.Abstract {
		return nil, fmt.Errorf("contract %s is abstract: it can only be extended", cfg.Contract.Name)
	}
	cfg.Clock = cmp.Or[Clock](cfg.Clock, SystemClock{})
	cfg.Parallel = cmp.Or(cfg.Parallel, 4)
	if _, skips := cfg.Clock.(*SkippingClock); skips && (slices.Contains(cfg.Allow, "all") || slices.Contains(cfg.Allow, string(Slow))) {
		cfg.Parallel = 1 // hours pass for whoever is in the midst of something else
	}
	switch {
	case cfg.MaxRequests < 0:
		cfg.MaxRequests = 0
	case cfg.MaxRequests == 0 && !cfg.Emulated:
		cfg.MaxRequests = cfg.Contract.Safety.MaxRequests
	}
	cfg.Edition = cmp.Or(cfg.Edition, cfg.Contract.Edition, "oauth20")
	edition, ok := EditionNamed(cfg.Edition)
	if !ok {
		return nil, fmt.Errorf("edition %q: it is one of %s", cfg.Edition, strings.Join(AllEditions.Names(), ", "))
	}
	for _, a := range cfg.Allow {
		if a != "all" && !strings.HasPrefix(a, "grant:") && !slices.Contains(Effects, Effect(a)) {
			return nil, fmt.Errorf("--allow %q: it is one of %s%s", a, strings.Join(effectNames(), ", "), DidYouMean(a, effectNames()))
		}
	}
	if cfg.Exchange.Now == nil {
		cfg.Exchange.Now = cfg.Clock.Now
	}
	target, err := exchange.NewTarget(cfg.Contract, cfg.Exchange)
	if err != nil {
		return nil, err
	}
	sel := cfg.Selection
	sel.Edition = edition
	selected, err := sel.Select(Rules())
	if err != nil {
		return nil, err
	}
	return &session{
		cfg: cfg, engine: newEngine(cfg, target, edition, selected), selected: selected,
		filtered: len(cfg.Selection.Rules)+len(cfg.Selection.Groups) > 0, started: cfg.Clock.Now(), began: time.Now(),
	}, nil
}

func effectNames() []string {
	names := []string{"all"}
	for _, f := range Effects {
		names = append(names, string(f))
	}
	return names
}

// preflight finds the golden request; without one that is our fault nothing is judged.
func (s *session) preflight(ctx context.Context) {
	s.wrong = s.engine.findGolden(ctx)
	if len(s.wrong) == 0 {
		return
	}
	w := s.wrong[0]
	for _, t := range s.engine.order {
		t.once.Do(func() {
			t.check = blank(t.rule)
			t.check.Verdict, t.check.ReasonKind, t.check.Reason = report.Inconclusive, w.Kind, w.Message
			close(t.done)
		})
	}
}

// report makes the saved run of what was judged.
func (s *session) report(interrupted bool) *report.Run {
	e, c := s.engine, s.cfg.Contract
	run := &report.Run{
		Schema:   report.Schema,
		Tool:     report.Tool{Name: "grantcheck", Version: cmp.Or(s.cfg.Version, exchange.Version), Catalogue: CatalogueVersion},
		Contract: report.Contract{Name: c.Name, Title: c.Title, Edition: s.cfg.Edition, Strict: s.cfg.Strict, Decide: decides(c), Pages: c.Page, NotSpecified: c.NotSpecified},
		Labels:   s.cfg.Labels, Endpoint: report.Endpoint{URL: e.target.TokenURL(nil), Emulated: s.cfg.Emulated},
		Started: s.started, DurationMS: milliseconds(time.Since(s.began)),
		Complete: !s.filtered && !interrupted && len(s.wrong) == 0, Interrupted: interrupted,
		Preflight: s.wrong, Facts: e.facts,
		Machine: &report.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()},
	}
	switch {
	case interrupted:
		run.Incomplete = "interrupted"
	case s.filtered:
		run.Incomplete = "filtered by --rule or --group"
	case len(s.wrong) > 0:
		run.Incomplete = "stopped in preflight"
	}
	place := s.exchanges(run)
	for _, r := range s.told() {
		t := e.rules[r.ID]
		check := t.check
		check.Exchanges = []int{}
		for _, sample := range t.looked {
			if at, ok := place[sample]; ok {
				check.Exchanges = append(check.Exchanges, at)
			}
		}
		s.waive(&check)
		run.Checks = append(run.Checks, check)
	}
	for i := range run.Facts {
		if s.cfg.NoEvidence {
			run.Facts[i].Exchanges = nil
		}
		for j, n := range run.Facts[i].Exchanges {
			run.Facts[i].Exchanges[j] = place[e.samples[n]]
		}
	}
	for i := range run.Preflight {
		if n := run.Preflight[i].Exchange; n != nil && !s.cfg.NoEvidence {
			at := place[e.samples[*n]]
			run.Preflight[i].Exchange = &at
		}
	}
	run.Unlocks = s.unlocks(run.Checks)
	run.Waivers = s.waivers(run.Checks)
	run.Summarize()
	return run
}

// told lists the rules whose findings are reported: those selected, and of those that they rest on
// the ones that failed, as nothing else says why the others could not be judged.
func (s *session) told() []Rule {
	return slices.DeleteFunc(Rules(), func(r Rule) bool {
		t, ok := s.engine.rules[r.ID]
		if !ok || slices.ContainsFunc(s.selected, func(q Rule) bool { return q.ID == r.ID }) {
			return !ok
		}
		return t.check.Verdict != report.Fail || r.Editions&s.engine.edition == 0
	})
}

// exchanges puts the run's exchanges into the report: by rule in catalogue
// order, each rule's in the order they were sent.
func (s *session) exchanges(run *report.Run) map[*Sample]int {
	order := map[string]int{"": -1}
	for i, r := range Rules() {
		order[r.ID] = i
	}
	samples := slices.Clone(s.engine.samples)
	if s.cfg.NoEvidence {
		samples = nil
	}
	slices.SortStableFunc(samples, func(a, b *Sample) int { return cmp.Compare(order[a.Rule], order[b.Rule]) })
	place := make(map[*Sample]int, len(samples))
	run.Exchanges = make([]report.Exchange, len(samples))
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.NumCPU() { // looking for secrets in every encoding takes its time
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(samples); i = int(next.Add(1)) - 1 {
				run.Exchanges[i] = samples[i].Report()
			}
		})
	}
	for i, sample := range samples {
		place[sample] = i
	}
	wg.Wait()
	return place
}

// decides tells which verdicts the contract lets decide the exit code.
func decides(c *contract.Contract) report.Sides {
	documented, standard := slices.Contains(c.Verdicts, "documented"), slices.Contains(c.Verdicts, "standard")
	switch {
	case documented && !standard:
		return report.DocumentedOnly
	case standard && !documented:
		return report.StandardOnly
	}
	return report.BothSides
}

// waive applies the contract's waiver of a rule. It changes the verdict only
// where it keeps something out of the exit code, and never the two sides.
func (s *session) waive(check *report.Check) {
	for _, w := range s.cfg.Contract.Waivers {
		if w.Rule != check.Rule {
			continue
		}
		out := report.Waiver{Reason: w.Reason, Owner: w.Owner, Expires: w.Expires.Format(time.DateOnly), State: "active"}
		bad := check.Verdict == report.Fail || check.Verdict == report.Warn
		switch {
		case s.expired(w):
			out.State = "expired"
		case bad:
			check.Verdict = report.Waived
		case check.Verdict.Judged():
			out.State = "idle"
		default:
			out.State = "unjudged"
		}
		check.Waiver = &out
	}
}

// expired reports whether a waiver's day is over.
func (s *session) expired(w contract.Waiver) bool {
	return !s.cfg.Clock.Now().Before(w.Expires.AddDate(0, 0, 1))
}

func (s *session) waivers(checks []report.Check) []report.WaiverState {
	var out []report.WaiverState
	for _, c := range checks {
		if c.Waiver != nil {
			out = append(out, report.WaiverState{Rule: c.Rule, Waiver: *c.Waiver})
		}
	}
	return out
}

// exitCode judges the finished run by the configuration.
func (s *session) exitCode(run *report.Run) {
	run.Decide(report.Gate{FailOn: s.cfg.FailOn, MinJudged: cmp.Or(s.cfg.MinJudged, report.DefaultMinJudged)})
}

func (e *engine) progress(t *task) {
	p := Progress{Total: len(e.order), Rule: t.rule.ID, Verdict: t.check.Verdict}
	for _, o := range e.order {
		select {
		case <-o.done:
			p.Done++
		default:
		}
	}
	e.mu.Lock()
	p.Requests = e.cost.requests
	e.mu.Unlock()
	e.cfg.Progress(p)
}

func (e *engine) waiting(r Rule, d time.Duration, what string) {
	if e.cfg.Progress != nil && what != "" {
		e.cfg.Progress(Progress{Total: len(e.order), Rule: r.ID, Waiting: what, For: d})
	}
}
