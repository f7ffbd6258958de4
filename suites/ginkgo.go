package suites

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/extensions/globals"
	"github.com/onsi/ginkgo/v2/formatter"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"grantcheck/report"
)

// This is the only file that knows Ginkgo: one rule becomes one labelled spec.

// Run judges an endpoint and returns the saved run. It returns an error only
// for a configuration that cannot be understood; then nothing was sent.
//
// The rules run as a Ginkgo suite of their own, unless Config.Plain says
// otherwise or another run of this process holds Ginkgo, whose tree is global.
func Run(ctx context.Context, cfg Config) (*report.Run, error) {
	s, err := prepare(cfg)
	if err != nil {
		return nil, err
	}
	defer s.engine.client.Close()
	s.preflight(ctx)
	done := make(chan struct{})
	go func() { defer close(done); s.engine.runAll(ctx) }()
	if !cfg.Plain && oneSuite.TryLock() {
		err = s.underGinkgo(ctx, done)
		oneSuite.Unlock()
	}
	<-done
	if err != nil {
		return nil, err
	}
	run := s.report(ctx.Err() != nil)
	s.exitCode(run)
	return run, nil
}

// oneSuite is held while a suite is built and run: Ginkgo's tree is global.
var oneSuite sync.Mutex

// underGinkgo runs the rules as specs: each passes, fails or skips with its finding, which is final
// only once everything is judged, as a later control or answer may change it.
func (s *session) underGinkgo(ctx context.Context, done <-chan struct{}) error {
	if suite := ginkgo.CurrentSpecReport(); suite.LeafNodeType != types.NodeTypeInvalid {
		return nil // a suite of the caller's is running; its tree is not to be touched
	}
	globals.Reset()
	defer globals.Reset()
	stdout := formatter.ColorableStdOut
	formatter.ColorableStdOut = io.Discard
	defer func() { formatter.ColorableStdOut = stdout }()
	gomega.RegisterFailHandler(ginkgo.Fail)

	specs := s.register(func(context.Context, *task) { <-done })
	suiteConfig, reporterConfig := ginkgo.GinkgoConfiguration()
	suiteConfig.LabelFilter, suiteConfig.FocusStrings, suiteConfig.SkipStrings, suiteConfig.FocusFiles, suiteConfig.SkipFiles = "", nil, nil, nil, nil
	suiteConfig.RandomizeAllSpecs, suiteConfig.FailFast, suiteConfig.DryRun = false, false, false
	suiteConfig.ParallelTotal, suiteConfig.ParallelProcess = 1, 1
	reporterConfig.NoColor, reporterConfig.Succinct = true, true
	reporterConfig.JSONReport, reporterConfig.JUnitReport, reporterConfig.TeamcityReport = "", "", ""
	ginkgo.RunSpecs(specOutcome{}, "grantcheck "+s.cfg.Contract.Name, suiteConfig, reporterConfig)
	if n := specs(); ctx.Err() == nil && n != len(s.selected) {
		return fmt.Errorf("suites: Ginkgo ran %d of %d specs", n, len(s.selected))
	}
	return nil
}

// specOutcome takes Ginkgo's word that a spec failed; the report says which and why.
type specOutcome struct{}

func (specOutcome) Fail() {}

// register builds the tree: a container a group, a spec a rule. It returns a count of the specs that ran.
func (s *session) register(judge func(context.Context, *task)) (ran func() int) {
	var mu sync.Mutex
	count := 0
	ginkgo.Describe("OAuth token endpoint "+s.cfg.Contract.Name, func() {
		for i := 0; i < len(s.selected); {
			group := s.selected[i].Group
			ginkgo.Describe(group, ginkgo.Label(group), func() {
				for ; i < len(s.selected) && s.selected[i].Group == group; i++ {
					t := s.engine.rules[s.selected[i].ID]
					ginkgo.It(t.rule.ID+": "+t.rule.Title, s.labels(t.rule), func(ctx ginkgo.SpecContext) {
						mu.Lock()
						count++
						mu.Unlock()
						judge(ctx, t)
						tell(t.check)
					})
				}
			})
		}
	})
	return func() int { mu.Lock(); defer mu.Unlock(); return count }
}

// labels are what a caller filters specs by: rule id, level, posture and editions.
func (s *session) labels(r Rule) ginkgo.Labels {
	l := ginkgo.Labels{r.ID, strings.ReplaceAll(string(r.Level), " ", "-"), string(r.Posture)}
	return append(l, r.Editions.Names()...)
}

// tell turns a finding into what Ginkgo knows: pass, fail or skip, with the finding as a report entry.
func tell(c report.Check) {
	ginkgo.AddReportEntry("finding", c, ginkgo.ReportEntryVisibilityNever)
	switch c.Verdict {
	case report.Pass, report.Note, report.Warn, report.Waived:
	case report.Fail, report.Error:
		ginkgo.Fail(failure(c))
	default:
		ginkgo.Skip(fmt.Sprintf("%s: %s", c.Verdict, c.Reason))
	}
}

// failure says a finding in three lines, always in this order: requirement, expected, came.
func failure(c report.Check) string {
	if c.Verdict == report.Error {
		return c.Reason
	}
	return fmt.Sprintf("%s (%s)\nexpected %s\ncame     %s", c.Requirement, c.Source, c.Expected, c.Actual)
}

// Register adds one labelled spec for every rule to the caller's own Ginkgo
// suite; call it while the tree is built. A configuration that cannot be
// understood fails the suite in its first spec. The saved run is handed to done,
// when it is not nil, after the suite; rules that the caller filtered out are
// not judged, unless another rule requires them, and are missing from it.
//
// Labels are the rule's id, group, level (MUST-NOT), posture and editions.
func Register(cfg Config, done func(*report.Run)) {
	s, err := prepare(cfg)
	if err != nil {
		ginkgo.It("grantcheck understands its configuration", func() { ginkgo.Fail(err.Error()) })
		return
	}
	var once sync.Once
	ran := map[string]bool{}
	s.register(func(ctx context.Context, t *task) {
		once.Do(func() { s.preflight(ctx) })
		s.engine.judge(ctx, t)
		s.engine.control(ctx)
		ran[t.rule.ID] = true
	})
	if done == nil {
		return
	}
	ginkgo.ReportAfterSuite("grantcheck report of "+s.cfg.Contract.Name, func(ginkgo.Report) {
		defer s.engine.client.Close()
		var selected []Rule
		for _, r := range s.selected {
			if ran[r.ID] {
				selected = append(selected, r)
			}
		}
		s.filtered = s.filtered || len(selected) < len(s.selected)
		s.selected = selected
		run := s.report(false)
		s.exitCode(run)
		done(run)
	})
}
