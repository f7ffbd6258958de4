package report

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatChangedFromRunToRun(t *testing.T) {
	old, now := fixture(), changedFixture()
	d := Compare(&old, &now, Fail)
	for name, c := range map[string]struct {
		got  []Change
		want []string
	}{
		"newly failing":     {d.NewlyFailing, []string{"response.token-type", "headers.pragma-no-cache"}},
		"no longer checked": {d.NoLongerChecked, []string{"response.content-type"}},
		"fixed":             {d.Fixed, []string{"doc.error-status"}},
		"newly checked":     {d.NewlyChecked, []string{"client-auth.second-client"}},
		"rule set":          {d.RuleSet, []string{"client-auth.stranger", "client-auth.unknown-client"}},
		"changed":           {d.Changed, nil},
	} {
		if diff := cmp.Diff(c.want, names(c.got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if d.ExitCode != 1 {
		t.Errorf("exit %d", d.ExitCode)
	}
	same := Compare(&old, &old, Fail)
	if same.ExitCode != 0 || same.Unchanged != len(old.Checks) || same.Line() != "nothing changed, 2 still failing" {
		t.Errorf("a run against itself: exit %d, %s", same.ExitCode, same.Line())
	}
}

func TestStrictnessIsNoChangeOfTheEndpoint(t *testing.T) {
	old, now := fixture(), fixture()
	now.Contract.Strict = true
	for i := range now.Checks {
		if c := &now.Checks[i]; c.Standard == SideDeviation {
			c.Verdict = Fail
		}
	}
	d := Compare(&old, &now, Fail)
	if got := names(d.RuleSet); len(got) != 1 || got[0] != "password.invalid-grant-code" || d.ExitCode != 0 {
		t.Errorf("rule set %v, newly failing %v", got, names(d.NewlyFailing))
	}
}

func TestARuleOfTwoContractsIsTwo(t *testing.T) {
	old, now := several(), several()
	for i := range now.Checks {
		if c := &now.Checks[i]; c.Contract == "semansys" && c.Rule == "request.post-only" {
			c.Verdict, c.Standard = Fail, SideFail
		}
	}
	if got := names(Compare(&old, &now, Fail).NewlyFailing); len(got) != 1 || got[0] != "semansys: request.post-only" {
		t.Errorf("newly failing %v", got)
	}
}

func TestAMissedThresholdIsNew(t *testing.T) {
	old, now := loadFixture(60), loadFixture(60)
	now.Load.Thresholds[0].Verdict = Fail
	if got := names(Compare(&old, &now, Fail).NewlyFailing); len(got) != 1 || got[0] != "threshold p99 < 250ms" {
		t.Errorf("newly failing %v", got)
	}
}

func TestLoadFiguresAreJudgedWithTheirNoise(t *testing.T) {
	verdict := func(d *Diff, what string) string {
		for _, r := range d.Load {
			if r.What == what {
				return r.Verdict
			}
		}
		return "none"
	}
	old, slow := loadFixture(60), slowerLoad()
	for what, want := range map[string]string{"response p50": "worse", "service p99": "worse", "throttle rate": "worse", "throttle burst": "same"} {
		if got := verdict(Compare(&old, &slow, Fail), what); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	if got := verdict(Compare(&slow, &old, Fail), "response p50"); got != "better" {
		t.Errorf("the other way round: %s", got)
	}
	if got := verdict(Compare(&old, &old, Fail), "response p95"); got != "same" {
		t.Errorf("against itself: %s", got)
	}
	noisy := loadFixture(60) // 20 % slower on the whole, in windows that differ fourfold
	for i := range noisy.Load.Series {
		noisy.Load.Series[i].P99MS *= 1.2 * math.Exp(1.4*math.Sin(float64(i)/4))
	}
	noisy.Load.Latency.Response.P99MS *= 1.2
	if got := verdict(Compare(&old, &noisy, Fail), "response p99"); got != "undecided" {
		t.Errorf("noisy windows: %s", got)
	}
	other := slowerLoad()
	other.Machine.CPUs = 64
	if d := Compare(&old, &other, Fail); verdict(d, "response p50") != "undecided" || d.Comparable != "another machine" {
		t.Errorf("another machine: %s (%s)", verdict(d, "response p50"), d.Comparable)
	}
	few := slowerLoad()
	few.Load.Latency.Response.Count = 500
	if got := verdict(Compare(&old, &few, Fail), "response p99"); got != "undecided" {
		t.Errorf("five answers beyond p99: %s", got)
	}
}

func TestHistoryStandsByAge(t *testing.T) {
	a, b := loadFixture(5), slowerLoad()
	h := HistoryOf([]*Run{&b, &a}, []string{"build"})
	if len(h.Rows) != 2 || h.Rows[0].Label != "4711" || h.Rows[1].Label != "4712" || h.Rows[1].Throttle != 31 {
		t.Errorf("%+v", h.Rows)
	}
	var out bytes.Buffer
	if err := h.WriteTable(&out, Style{}); err != nil || strings.Contains(out.String(), "judged") {
		t.Errorf("a column without anything in it: %v\n%s", err, &out)
	}
}
