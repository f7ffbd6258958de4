package report

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
)

// shardsOf deals samples to n shards, and makes the run that none of them left.
func shardsOf(n int) (shards []*Run, whole *Run) {
	random := rand.New(rand.NewPCG(5, 7))
	type part struct {
		all, token *hdrhistogram.Histogram
		windows    map[float64]*hdrhistogram.Histogram
		load       *Load
	}
	parts := make([]part, n+1) // the last is the whole
	for i := range parts {
		parts[i] = part{NewHistogram(), NewHistogram(), map[float64]*hdrhistogram.Histogram{}, &Load{
			Profile: "constant", WindowS: 1, Digest: "sha256:1",
			Generator: Generator{Healthy: true}, Thresholds: []ThresholdResult{{Expression: "p99 < 5ms", Verdict: Inconclusive}},
		}}
	}
	for k := range 30_000 {
		us := int64(400 + random.ExpFloat64()*800)
		at := float64(k * 10 / 30_000)
		for _, i := range []int{k % n, n} {
			p := &parts[i]
			p.all.RecordValue(us)
			if p.windows[at] == nil {
				p.windows[at] = NewHistogram()
				p.load.Series = append(p.load.Series, SeriesPoint{TS: at})
			}
			p.windows[at].RecordValue(us)
			s := &p.load.Series[len(p.load.Series)-1]
			s.Sent++
			p.load.Sent++
			p.load.Answered++
			if us%7 == 0 {
				p.load.Outcomes.Throttled++
				s.Throttled++
				continue
			}
			p.token.RecordValue(us)
			p.load.Outcomes.Token++
			s.Token++
		}
	}
	for i, p := range parts {
		p.load.Planned = p.load.Sent
		for _, h := range []struct {
			outcome, kind string
			of            *hdrhistogram.Histogram
		}{{"all", "lag", p.all}, {"all", "response", p.all}, {"all", "service", p.all}, {"token", "response", p.token}, {"token", "service", p.token}} {
			e, err := EncodeHistogram(h.outcome, h.kind, h.of)
			if err != nil {
				panic(err)
			}
			p.load.Histograms = append(p.load.Histograms, e)
		}
		q, token := QuantilesOf(p.all), QuantilesOf(p.token)
		p.load.Latency = Latency{Service: q, Response: q, ByOutcome: map[string]LatencyPair{"token": {token, token}}}
		p.load.Generator.Lag = q
		for j := range p.load.Series {
			s := &p.load.Series[j]
			q := QuantilesOf(p.windows[s.TS])
			s.P50MS, s.P90MS, s.P99MS, s.MaxMS = q.P50MS, q.P90MS, q.P99MS, q.MaxMS
			if i < n {
				e, _ := EncodeHistogram("window", "response", p.windows[s.TS])
				s.Histogram = e.Encoded
			}
		}
		r := &Run{Complete: true, Started: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), DurationMS: 10_000, Load: p.load}
		r.Endpoint.URL = "http://127.0.0.1:1/token"
		if i < n {
			p.load.Shard = &Shard{Index: i + 1, Of: n, LateMS: float64(i)}
			shards = append(shards, r)
		} else {
			whole = r
		}
	}
	return shards, whole
}

func TestMergedShardsEqualTheWholeBitForBit(t *testing.T) {
	shards, whole := shardsOf(3)
	m, err := Merge([]*Run{shards[2], shards[0], shards[1]}, nil) // in any order
	if err != nil {
		t.Fatal(err)
	}
	got := *m.Load
	if want := (Shards{Of: 3, Merged: []int{1, 2, 3}, SkewMS: 2}); cmp.Diff(&want, got.Shards) != "" {
		t.Errorf("shards %+v", got.Shards)
	}
	got.Shards = nil
	got.Thresholds = whole.Load.Thresholds // the whole's are judged by whoever knows thresholds
	if diff := cmp.Diff(*whole.Load, got); diff != "" {
		t.Errorf("-whole +merged\n%s", diff)
	}
	if !m.Complete {
		t.Error("not complete")
	}
}

func TestAMissingShardIsSaid(t *testing.T) {
	shards, _ := shardsOf(4)
	m, err := Merge([]*Run{shards[0], shards[3]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.Complete || m.Incomplete != "shard 2, 3 of 4 is missing" || !slices.Equal(m.Load.Shards.Missing, []int{2, 3}) {
		t.Errorf("complete %v, %q, %v", m.Complete, m.Incomplete, m.Load.Shards)
	}
}

func TestWhatDoesNotMergeIsSaid(t *testing.T) {
	shards, whole := shardsOf(2)
	other, _ := shardsOf(2)
	other[1].Load.Digest = "sha256:2"
	narrow, _ := shardsOf(2)
	narrow[1].Load.Histograms[0].Encoded = "AAAA"
	newer := fixture()
	newer.Tool.Catalogue = "2"
	a, b := fixture(), fixture()
	elsewhere, _ := shardsOf(2)
	elsewhere[1].Endpoint.URL = "http://127.0.0.1:2/token"
	for want, runs := range map[string][]*Run{
		"nothing to merge":                                      {},
		"a.json and b.json are both shard 1 of 2":               {shards[0], shards[0]},
		"b.json is shard 2/2 of another load than a.json":       {shards[0], other[1]},
		"b.json: the lag histogram of all cannot be read":       {shards[0], narrow[1]},
		"b.json ran against http://127.0.0.1:2/token":           {shards[0], elsewhere[1]},
		"some of the runs are shards and some are not":          {shards[0], whole},
		"verdicts of two rule sets do not make one run":         {&a, &newer},
		"a.json and b.json both judged the contract appsecplus": {&a, &b},
	} {
		_, err := Merge(runs, []string{"a.json", "b.json"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestContractsSideBySide(t *testing.T) {
	m := several()
	a := fixture()
	if len(m.Contracts) != 2 || m.Contracts[0].Summary != a.Summary || m.Contracts[1].Summary.Fail != 0 {
		t.Errorf("%+v", m.Contracts)
	}
	for _, c := range m.Checks {
		for _, i := range c.Exchanges {
			if got := m.Exchanges[i].Contract; got != c.Contract {
				t.Errorf("%s of %s speaks of an exchange of %s", c.Rule, c.Contract, got)
			}
		}
	}
	third := fixture()
	third.Contract.Name = "third"
	again, err := Merge([]*Run{&m, &third}, nil)
	if err != nil || len(again.Contracts) != 3 || len(again.Checks) != len(m.Checks)+len(third.Checks) {
		t.Errorf("merged again: %v", err)
	}
	if fmt.Sprint(again.Tally().Judged) != fmt.Sprint(m.Tally().Judged+third.Tally().Judged) {
		t.Error("counts do not add up")
	}
}
