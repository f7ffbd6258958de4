package suites_test

import (
	"testing"
	"time"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/emulator"
	"grantcheck/suites/exchange"
)

// BenchmarkCheck is a whole check of AppSec+ on the emulator. overhead is its wall time as a
// multiple of the time spent in exchanges, one at a time.
func BenchmarkCheck(b *testing.B) {
	em := startEmulator("appsecplus")
	defer em.Close()
	var wall, inExchanges time.Duration
	for b.Loop() {
		began := time.Now()
		run := benchRun(b, em, suites.Config{Parallel: 1})
		wall += time.Since(began)
		for _, x := range run.Exchanges {
			inExchanges += time.Duration(x.TookMS * float64(time.Millisecond))
		}
	}
	b.ReportMetric(float64(wall)/float64(inExchanges), "overhead")
	b.ReportMetric(float64(wall.Seconds())/float64(b.N), "s/check")
}

// BenchmarkCheckSlowEndpoint is the whole catalogue, slow rules and those that ask for consent
// apart, against an endpoint that takes 50 ms for each answer, eight rules at a time.
func BenchmarkCheckSlowEndpoint(b *testing.B) {
	c, err := contract.Open("standard")
	if err != nil {
		b.Fatal(err)
	}
	em, err := emulator.New(emulator.Options{Contract: c, Latency: 50 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	if err := em.Start(); err != nil {
		b.Fatal(err)
	}
	defer em.Close()
	judged := 0
	for b.Loop() {
		judged = benchRun(b, em, suites.Config{Parallel: 8}).Summary.Judged()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/check")
	b.ReportMetric(float64(judged), "rules")
}

// BenchmarkCheckEverything is a whole run with everything allowed; what waits, waits in no time.
func BenchmarkCheckEverything(b *testing.B) {
	judged := 0
	for b.Loop() {
		run, err := judgeEmulator(b.Context(), "standard", "", emulator.Options{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		judged = run.Summary.Judged()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/check")
	b.ReportMetric(float64(judged), "rules")
}

func benchRun(b *testing.B, em *emulator.Emulator, cfg suites.Config) *report.Run {
	b.Helper()
	cfg.Contract, cfg.Exchange, cfg.Emulated = em.Contract(), exchange.Options{URL: em.URL()}, true
	run, err := suites.Run(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	if run.ExitCode != 0 {
		b.Fatalf("exit %d: %s", run.ExitCode, run.ExitReason)
	}
	return run
}
