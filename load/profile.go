package load

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// A Stage is a stretch of load whose rate goes evenly from From to To.
type Stage struct {
	Name     string
	From, To float64 // requests per second; both 0: as fast as the workers go
	For      time.Duration
}

// A Profile is the shape of a load and what it must meet.
type Profile struct {
	Name       string
	Kind       string // "", or what is not a plain schedule: soak, capacity, throttle
	Stages     []Stage
	Thresholds []string
	Grants     map[string]float64 // share of each grant; empty: one grant, the contract's first
	Bad        float64            // share of requests with a deliberately wrong secret
}

// shipped profiles take their rate and duration from flags; these stand in.
var shipped = []struct {
	name, about string
	rate        float64
	span        time.Duration
	stages      func(rate float64, span time.Duration) []Stage
	thresholds  []string
}{
	{"smoke", "a few requests: does it answer at all", 5, 5 * time.Second, flat, []string{"error_rate == 0"}},
	{"constant", "one rate throughout", 50, 30 * time.Second, flat, nil},
	{"ramp", "from a tenth of the rate up to all of it, then hold", 200, time.Minute, func(r float64, d time.Duration) []Stage {
		return []Stage{{"ramp", r / 10, r, d * 4 / 5}, {"hold", r, r, d - d*4/5}}
	}, nil},
	{"step", "five equal steps up to the rate", 200, time.Minute, func(r float64, d time.Duration) (out []Stage) {
		for i := 1.0; i <= 5; i++ {
			out = append(out, Stage{fmt.Sprintf("step %g", i), r * i / 5, r * i / 5, d / 5})
		}
		return out
	}, nil},
	{"spike", "a fifth of the rate, all of it at once, and back", 200, time.Minute, func(r float64, d time.Duration) []Stage {
		return []Stage{{"before", r / 5, r / 5, d * 2 / 5}, {"spike", r, r, d / 5}, {"after", r / 5, r / 5, d - d*3/5}}
	}, nil},
	{"soak", "one rate for hours or days, with drift and checkpoints", 20, time.Hour, flat, nil},
	{"capacity", "the highest rate at which the thresholds hold", 50, 10 * time.Second, flat, []string{"p99 < 1s", "error_rate < 1%", "throttled_rate == 0"}},
	{"throttle", "the rate limit, measured", 0, 5 * time.Minute, flat, nil},
}

func flat(r float64, d time.Duration) []Stage { return []Stage{{"constant", r, r, d}} }

// ProfileNames lists the shipped profiles with half a sentence about each.
func ProfileNames() (names, about []string) {
	for _, p := range shipped {
		names, about = append(names, p.name), append(about, p.about)
	}
	return names, about
}

// LoadProfile returns the shipped profile of a name, or reads a file. rate (requests per second)
// and span fill what it leaves open; a negative rate and a zero span mean that no flag was given.
func LoadProfile(name string, rate float64, span time.Duration) (*Profile, error) {
	for _, p := range shipped {
		if p.name != name {
			continue
		}
		out := &Profile{Name: name, Thresholds: p.thresholds}
		if name == "soak" || name == "capacity" || name == "throttle" {
			out.Kind = name
		}
		if rate < 0 {
			rate = p.rate
		}
		if span <= 0 {
			span = p.span
		}
		out.Stages = p.stages(rate, span)
		return out, nil
	}
	src, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(name, "./\\") {
		names, _ := ProfileNames()
		return nil, fmt.Errorf("no profile %q%s; there are %s, or give the path of a YAML file", name, suggest(name, names), strings.Join(names, ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return ParseProfile(name, src, rate, span)
}

// profileFile is a profile as written.
type profileFile struct {
	Name       string            `yaml:"name"`
	Kind       string            `yaml:"kind"`
	Stages     []stageFile       `yaml:"stages"`
	Thresholds []string          `yaml:"thresholds"`
	Grants     map[string]string `yaml:"grants"`
	Bad        string            `yaml:"bad_credentials"`
}

type stageFile struct {
	Name string `yaml:"name"`
	From string `yaml:"from"`
	Rate string `yaml:"rate"`
	For  string `yaml:"for"`
}

// ParseProfile reads a profile of one's own. Unknown keys and values that mean nothing are errors
// with line and column.
func ParseProfile(file string, src []byte, rate float64, span time.Duration) (*Profile, error) {
	var f profileFile
	if err := yaml.NewDecoder(bytes.NewReader(src), yaml.Strict()).Decode(&f); err != nil {
		var y yaml.Error
		if errors.As(err, &y) && y.GetToken() != nil {
			pos := y.GetToken().Position
			hint := ""
			if u := new(yaml.UnknownFieldError); errors.As(err, &u) {
				hint = suggest(y.GetToken().Value, []string{"name", "kind", "stages", "thresholds", "grants", "bad_credentials", "from", "rate", "for"})
			}
			return nil, fmt.Errorf("profile %s:%d:%d: %s%s", file, pos.Line, pos.Column, y.GetMessage(), hint)
		}
		return nil, fmt.Errorf("profile %s: %w", file, err)
	}
	at := func(path, format string, args ...any) error {
		where := file
		if p, err := yaml.PathString(path); err == nil {
			if n, err := p.ReadNode(bytes.NewReader(src)); err == nil {
				where += position(n)
			}
		}
		return fmt.Errorf("profile %s: %s", where, fmt.Sprintf(format, args...))
	}
	base := filepath.Base(file)
	out := &Profile{Name: f.Name, Kind: f.Kind, Thresholds: f.Thresholds}
	if out.Name == "" {
		out.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	if !slices.Contains([]string{"", "soak", "capacity"}, f.Kind) {
		return nil, at("$.kind", "unknown kind %q; it is soak or capacity, or left out", f.Kind)
	}
	if len(f.Stages) == 0 {
		if rate < 0 || span <= 0 {
			return nil, fmt.Errorf("profile %s: no stages; write some (- {rate: 50/s, for: 30s}), or give --rate and --duration", file)
		}
		f.Stages = []stageFile{{}}
	}
	for i, s := range f.Stages {
		path := fmt.Sprintf("$.stages[%d]", i)
		st := Stage{Name: s.Name, To: rate, For: span}
		if st.Name == "" {
			st.Name = fmt.Sprintf("stage %d", i+1)
		}
		var err error
		if s.Rate != "" {
			if st.To, err = ParseRate(s.Rate); err != nil {
				return nil, at(path+".rate", "%v", err)
			}
		} else if rate < 0 {
			return nil, at(path, "no rate: write one (rate: 50/s), or give --rate")
		}
		st.From = st.To
		if s.From != "" {
			if st.From, err = ParseRate(s.From); err != nil {
				return nil, at(path+".from", "%v", err)
			}
		}
		if s.For != "" {
			if st.For, err = ParseDuration(s.For); err != nil {
				return nil, at(path+".for", "%v", err)
			}
		} else if span <= 0 {
			return nil, at(path, "no length: write one (for: 30s), or give --duration")
		}
		out.Stages = append(out.Stages, st)
	}
	for i, e := range f.Thresholds {
		if _, err := ParseThreshold(e); err != nil {
			return nil, at(fmt.Sprintf("$.thresholds[%d]", i), "%v", err)
		}
	}
	for _, g := range slices.Sorted(maps.Keys(f.Grants)) {
		w, err := parseShare(f.Grants[g])
		if err != nil || w <= 0 {
			return nil, at("$.grants."+g, "a grant's share is a positive number or a percentage, not %q", f.Grants[g])
		}
		if out.Grants == nil {
			out.Grants = map[string]float64{}
		}
		out.Grants[g] = w
	}
	if f.Bad != "" {
		var err error
		if out.Bad, err = parseShare(f.Bad); err != nil || out.Bad < 0 || out.Bad > 0.5 {
			return nil, at("$.bad_credentials", "a share from 0 to 50%%, not %q", f.Bad)
		}
	}
	return out, nil
}

func position(n ast.Node) string {
	if t := n.GetToken(); t != nil {
		return fmt.Sprintf(":%d:%d", t.Position.Line, t.Position.Column)
	}
	return ""
}

// ParseRate reads "20/s", "90/m", "0.5/s"; a bare number is per second.
func ParseRate(s string) (float64, error) {
	num, per, _ := strings.Cut(strings.TrimSpace(s), "/")
	unit, ok := map[string]float64{"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}[strings.TrimSpace(per)]
	v, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
	if err != nil || !ok || v < 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, fmt.Errorf("a rate is written 20/s or 90/m, not %q", s)
	}
	return v / unit, nil
}

// ParseDuration reads a duration as contracts write them: 300ms, 5s, 2m, 8h, 30d.
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(strings.TrimSpace(s), "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n > 0 {
			return time.Duration(n * 24 * float64(time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("a length of time is written 300ms, 5s, 2m, 8h or 30d, not %q", s)
	}
	return d, nil
}

func parseShare(s string) (float64, error) {
	num, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
	if percent {
		v /= 100
	}
	return v, err
}

// suggest names the word nearest to a mistyped one, as the tail of a message.
func suggest(word string, words []string) string {
	best, least := "", 3
	for _, w := range words {
		if d := distance(word, w); d < least {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the number of letters to change, add or drop.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diag, row[j+1] = row[j+1], min(diag+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// A Schedule says when each request is due. It is pure: the same stages give the same times, and
// the shards of one schedule divide it without gap or overlap.
type Schedule struct {
	stages []Stage
	starts []time.Duration
	before []float64 // requests due before each stage
	total  uint64
	first  uint64 // of the whole's requests, this shard's
	every  uint64
}

// NewSchedule makes the schedule of shard index (from 0) of count.
func NewSchedule(stages []Stage, index, count int) *Schedule {
	s := &Schedule{stages: stages, first: uint64(index), every: uint64(max(1, count))}
	var t time.Duration
	n := 0.0
	for _, st := range stages {
		s.starts, s.before = append(s.starts, t), append(s.before, n)
		t += st.For
		n += (st.From + st.To) / 2 * st.For.Seconds()
	}
	whole := uint64(math.Round(n))
	if whole > s.first {
		s.total = (whole - s.first + s.every - 1) / s.every
	}
	return s
}

// Closed reports that nothing is ever due: each worker sends as soon as it has an answer.
func (s *Schedule) Closed() bool {
	return !slices.ContainsFunc(s.stages, func(st Stage) bool { return st.From > 0 || st.To > 0 })
}

// Planned is the number of requests.
func (s *Schedule) Planned() uint64 { return s.total }

// Span is how long it takes.
func (s *Schedule) Span() (d time.Duration) {
	for _, st := range s.stages {
		d += st.For
	}
	return d
}

// At returns when request n is due, counted from the start; false after the last.
func (s *Schedule) At(n uint64) (time.Duration, bool) {
	if n >= s.total {
		return 0, false
	}
	k := float64(n*s.every + s.first)
	i := len(s.stages) - 1
	for i > 0 && s.before[i] > k {
		i--
	}
	st, rest := s.stages[i], k-s.before[i]
	slope := (st.To - st.From) / st.For.Seconds()
	var t float64
	switch {
	case rest <= 0:
	case math.Abs(slope) < 1e-12:
		t = rest / st.From
	default:
		// The root of slope/2·t² + from·t = rest that does not cancel.
		t = 2 * rest / (st.From + math.Sqrt(max(0, st.From*st.From+2*slope*rest)))
	}
	return s.starts[i] + min(st.For, time.Duration(t*float64(time.Second))), true
}

// Count returns how many requests are due before t.
func (s *Schedule) Count(t time.Duration) uint64 {
	lo, hi := uint64(0), s.total
	for lo < hi {
		if mid := (lo + hi) / 2; due(s, mid) < t {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func due(s *Schedule, n uint64) time.Duration { d, _ := s.At(n); return d }

// Rate is the rate asked for at t, of this shard.
func (s *Schedule) Rate(t time.Duration) float64 {
	for i, st := range s.stages {
		if t -= st.For; t < 0 || i == len(s.stages)-1 {
			x := 1 + float64(t)/float64(st.For)
			return (st.From + (st.To-st.From)*max(0, min(1, x))) / float64(s.every)
		}
	}
	return 0
}
