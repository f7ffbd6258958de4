package load

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestSchedulesAreWhatTheirStagesSay(t *testing.T) {
	for _, stages := range [][]Stage{
		{{"flat", 50, 50, 10 * time.Second}},
		{{"up", 0, 100, 10 * time.Second}},
		{{"down", 100, 0, 10 * time.Second}},
		{{"a", 10, 10, time.Second}, {"b", 10, 200, 3 * time.Second}, {"c", 200, 200, time.Second}, {"d", 200, 1, 2 * time.Second}},
	} {
		s := NewSchedule(stages, 0, 1)
		want := 0.0
		for _, st := range stages {
			want += (st.From + st.To) / 2 * st.For.Seconds()
		}
		if float64(s.Planned()) != math.Round(want) {
			t.Errorf("%v: %d planned, want %g", stages, s.Planned(), want)
		}
		last := time.Duration(-1)
		for n := range s.Planned() {
			d, ok := s.At(n)
			if !ok || d < last || d > s.Span() {
				t.Fatalf("%v: request %d is due at %v after %v", stages, n, d, last)
			}
			last = d
			// As many were due by then as the area under the rate.
			area := 0.0
			for i, st := range stages {
				in := min(max(0, (d-s.starts[i]).Seconds()), st.For.Seconds())
				area += st.From*in + (st.To-st.From)/(2*st.For.Seconds())*in*in
			}
			if math.Abs(area-float64(n)) > 0.01 {
				t.Fatalf("%v: request %d at %v, where %g are due", stages, n, d, area)
			}
			if c := s.Count(d + 1); c != n+1 {
				t.Fatalf("%v: %d counted at request %d", stages, c, n)
			}
		}
		if _, ok := s.At(s.Planned()); ok {
			t.Errorf("%v: there is one more", stages)
		}
	}
}

func TestShardsDivideASchedule(t *testing.T) {
	stages := []Stage{{"a", 7, 31, 5 * time.Second}}
	whole := NewSchedule(stages, 0, 1)
	var sum uint64
	for i := range 4 {
		part := NewSchedule(stages, i, 4)
		for n := range part.Planned() {
			a, _ := part.At(n)
			if b, _ := whole.At(n*4 + uint64(i)); a != b {
				t.Fatalf("shard %d, request %d: %v, of the whole %v", i, n, a, b)
			}
		}
		sum += part.Planned()
	}
	if sum != whole.Planned() {
		t.Errorf("the parts send %d of %d", sum, whole.Planned())
	}
}

func TestShippedProfilesFillIn(t *testing.T) {
	names, about := ProfileNames()
	for i, n := range names {
		p, err := LoadProfile(n, 120, 40*time.Second)
		if err != nil || about[i] == "" {
			t.Fatal(n, err)
		}
		if s := NewSchedule(p.Stages, 0, 1); s.Span() != 40*time.Second {
			t.Errorf("%s takes %v", n, s.Span())
		}
		if last := p.Stages[len(p.Stages)-1]; n != "spike" && last.To != 120 {
			t.Errorf("%s ends at %g/s", n, last.To)
		}
		for _, e := range p.Thresholds {
			if _, err := ParseThreshold(e); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestAProfileFileIsReadStrictly(t *testing.T) {
	p, err := ParseProfile("nightly.yaml", []byte("stages:\n- {rate: 10/s, for: 30s}\n- {name: up, from: 10/s, rate: 90/m}\nthresholds: [p99 < 1s]\ngrants: {client_credentials: 9, refresh_token: 10%}\nbad_credentials: 1%\n"), -1, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "nightly" || p.Stages[1] != (Stage{"up", 10, 1.5, time.Minute}) || p.Bad != 0.01 || p.Grants["client_credentials"] != 9 {
		t.Errorf("%+v", p)
	}
	for src, want := range map[string]string{
		"stages:\n- {rate: 10/s, fro: 3s}":                             `p.yaml:2:`,
		"stages:\n- {rate: 10/s, for: 3s}\nthreshold: x":               `did you mean "thresholds"?`,
		"stages:\n- {rate: fast, for: 3s}":                             `p.yaml:2:10: a rate is written`,
		"stages:\n- {rate: 10/s}":                                      `no length`,
		"stages:\n- {for: 10s}":                                        `no rate`,
		"stages:\n- {rate: 1/s, for: 1s}\nthresholds: [\"p99 << 1s\"]": `p.yaml:3:14: threshold`,
		"kind: soap\n": `unknown kind "soap"`,
		"{}":           `no stages`,
		"bad_credentials: 90%\nstages: [{rate: 1/s, for: 1s}]": `a share from 0 to 50%`,
	} {
		if _, err := ParseProfile("p.yaml", []byte(src), -1, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", src, err, want)
		}
	}
	if _, err := LoadProfile("cosntant", -1, 0); err == nil || !strings.Contains(err.Error(), `did you mean "constant"?`) {
		t.Error(err)
	}
}
