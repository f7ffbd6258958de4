package load

import (
	"strings"
	"testing"
	"time"

	"grantcheck/report"
	"grantcheck/suites/contract"
)

func TestParseThreshold(t *testing.T) {
	for src, want := range map[string]Threshold{
		"p99 < 250ms":                            {Metric: "latency", Latency: "response", Quantile: 99, Op: "<", Limit: 250},
		"response p99 token < 200ms over 30s":    {Metric: "latency", Latency: "response", Quantile: 99, Of: "token", Op: "<", Limit: 200, Over: 30 * time.Second},
		"service p99.9<=1s after 10s abort":      {Metric: "latency", Latency: "service", Quantile: 99.9, Op: "<=", Limit: 1000, After: 10 * time.Second, Abort: true},
		"lag max < 5ms":                          {Metric: "latency", Latency: "lag", Quantile: 100, Op: "<", Limit: 5},
		"mean < 20ms":                            {Metric: "latency", Latency: "response", Quantile: -1, Op: "<", Limit: 20},
		"error_rate < 0.1%":                      {Metric: "share", Of: "error_rate", Quantile: -2, Op: "<", Limit: 0.001},
		"throttled_rate == 0":                    {Metric: "share", Of: "throttled_rate", Quantile: -2, Op: "=="},
		"rate >= 100/s":                          {Metric: "rate", Quantile: -2, Op: ">=", Limit: 100},
		"unsent == 0":                            {Metric: "count", Of: "unsent", Quantile: -2, Op: "=="},
		"success_rate excluding throttled > 99%": {Metric: "share", Of: "success_rate", Quantile: -2, Op: ">", Limit: .99, Without: []Outcome{Throttled}},
		"p95 < 1us min 30":                       {Metric: "latency", Latency: "response", Quantile: 95, Op: "<", Limit: 0.001, Min: 30},
	} {
		got, err := ParseThreshold(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		want.Source = src
		if g, w := *got, want; g.Metric != w.Metric || g.Latency != w.Latency || g.Quantile != w.Quantile || g.Of != w.Of || g.Op != w.Op ||
			g.Limit != w.Limit || g.Over != w.Over || g.After != w.After || g.Min != w.Min || g.Abort != w.Abort || len(g.Without) != len(w.Without) || g.Source != w.Source {
			t.Errorf("%s:\n got %+v\nwant %+v", src, g, w)
		}
	}
}

func TestAThresholdErrorPointsAtItsPlace(t *testing.T) {
	for src, want := range map[string]string{
		"p99 < 250":                       `column 7: a latency is compared with a time such as 250ms`,
		"eror_rate < 1%":                  `column 1: unknown measurement "eror_rate"; did you mean "error_rate"?`,
		"respones p99 < 1s":               `column 1: unknown measurement "respones"; did you mean "response"?`,
		"response p99 tokn < 1s":          `column 14: unknown measurement "tokn"; did you mean "token"?`,
		"p99 =< 1s":                       `column 5: unknown comparison "="`,
		"p99 < 1s ovr 30s":                `column 10: unknown word "ovr"; did you mean "over"?`,
		"p99 < 1s over soon":              `column 15: over is followed by a time`,
		"p99 < 1s over 1ms":               `column 15: a window is at least 1s`,
		"p99":                             `column 4: a comparison is missing`,
		"":                                `column 1: a measurement is missing`,
		"service < 1s":                    `column 9: which latency?`,
		"error_rate < 120%":               `column 14: a share is compared with`,
		"rate > fast":                     `column 8: a rate is written`,
		"success_rate excluding all > 1%": `column 24: excluding is followed by an outcome`,
	} {
		_, err := ParseThreshold(src)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", src, err, want)
		}
	}
}

// measured are n answers that took 1 to n milliseconds, every tenth throttled.
func measured(n int) *Measured {
	m := &Measured{Planned: int64(n), Sent: int64(n), Span: time.Duration(n) * 10 * time.Millisecond}
	for i := 1; i <= n; i++ {
		s := sample{done: time.Duration(i) * time.Millisecond}
		if i%10 == 0 {
			s.judged.Outcome = Throttled
		}
		m.add(&s)
	}
	return m
}

func TestThresholdVerdicts(t *testing.T) {
	for src, want := range map[string]report.Verdict{
		"p50 < 501ms":            report.Pass,
		"p50 < 499ms":            report.Fail,
		"p99 < 1s":               report.Pass,
		"p99.99 < 1s":            report.Inconclusive, // a thousand samples know nothing of it
		"error_rate < 1%":        report.Pass,
		"error_rate < 0.01%":     report.Inconclusive, // none of a thousand is no proof of one in ten thousand
		"throttled_rate < 0.01%": report.Fail,         // but a tenth is more
		"throttled_rate == 10%":  report.Pass,
		"success_rate == 90%":    report.Pass,
		"success_rate excluding throttled == 100%": report.Pass,
		"max throttled <= 1001ms":                  report.Pass,
		"p50 refused < 1s":                         report.Inconclusive,
		"rate >= 99/s":                             report.Pass,
		"rate >= 101/s":                            report.Fail,
		"answered == 1000":                         report.Pass,
		"unsent == 0":                              report.Pass,
		"lag p99 < 1ms":                            report.Pass,
	} {
		th, err := ParseThreshold(src)
		if err != nil {
			t.Fatal(err)
		}
		if got := th.Judge(measured(1000)); got.Verdict != want {
			t.Errorf("%s: %+v", src, got)
		}
	}
}

func TestAnObjectiveInsideTheNoiseDecidesNothing(t *testing.T) {
	c := &contract.Contract{SLOs: []contract.SLO{
		{Metric: "latency", Percentile: 95, Max: 855 * time.Millisecond},
		{Metric: "success", Min: 0.999, Count429As: "excluded"},
		{Metric: "success", Min: 0.999, Count429As: "failure"},
	}}
	o := Options{Contract: c}
	ths, err := o.thresholds()
	if err != nil || len(ths) != 3 {
		t.Fatal(ths, err)
	}
	for i, want := range []report.Verdict{report.Inconclusive, report.Pass, report.Fail} {
		if got := ths[i].Judge(measured(1000)); got.Verdict != want && i > 0 || i == 0 && ths[0].Judge(measured(40)).Verdict == report.Fail {
			t.Errorf("%+v", got)
		}
	}
	ths[0].Limit = 952 // the measured p95 is 946: too near
	ths[0].Of = ""
	if got := ths[0].Judge(measured(1000)); got.Verdict != report.Inconclusive {
		t.Errorf("%+v", got)
	}
	ths[0].Limit = 990
	if got := ths[0].Judge(measured(1000)); got.Verdict != report.Pass {
		t.Errorf("%+v", got)
	}
}

func TestASlidingWindowSeesWhatTheWholeHides(t *testing.T) {
	plan := NewSchedule([]Stage{{"a", 100, 100, 20 * time.Second}}, 0, 1)
	judge := func(src string) report.ThresholdResult {
		th, err := ParseThreshold(src)
		if err != nil {
			t.Fatal(err)
		}
		ta := newTally(plan, []*Threshold{th}, false)
		for n := range plan.Planned() {
			d, _ := plan.At(n)
			s := sample{due: d, start: d, done: d + time.Millisecond}
			if d > 8*time.Second && d < 10*time.Second {
				s.done = d + 90*time.Millisecond
			}
			ta.add(&s)
			if n%25 == 0 {
				ta.tick(d, int64(n))
			}
		}
		ta.tick(20*time.Second, int64(plan.Planned()))
		return ta.watches[0].result(&ta.Measured)
	}
	if got := judge("p80 < 50ms"); got.Verdict != report.Pass {
		t.Errorf("whole: %+v", got)
	}
	if got := judge("p80 < 50ms over 3s"); got.Verdict != report.Fail || got.AtS < 9 || got.AtS > 11 {
		t.Errorf("window: %+v", got)
	}
	if got := judge("p80 < 50ms over 60s"); got.Verdict != report.Inconclusive {
		t.Errorf("longer than the run: %+v", got)
	}
	if got := judge("max < 50ms after 11s"); got.Verdict != report.Pass {
		t.Errorf("after: %+v", got)
	}
}
