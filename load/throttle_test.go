package load

import (
	"container/heap"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"grantcheck/report"
)

// limiter decides one request at t seconds; for a rejection it knows the shortest wait, for an
// acceptance how long it is held back.
type limiter interface {
	decide(t float64) (ok bool, wait, delay float64)
}

type simBucket struct{ rate, size, level, last float64 }

func (b *simBucket) decide(t float64) (bool, float64, float64) {
	b.level = min(b.size, b.level+b.rate*(t-b.last))
	b.last = t
	if b.level >= 1 {
		b.level--
		return true, 0, 0
	}
	return false, (1 - b.level) / b.rate, 0
}

type simClock struct {
	limit         int
	window, phase float64
	k, n          int
}

func (c *simClock) decide(t float64) (bool, float64, float64) {
	k := int(math.Floor((t - c.phase) / c.window))
	if k != c.k {
		c.k, c.n = k, 0
	}
	if c.n < c.limit {
		c.n++
		return true, 0, 0
	}
	return false, c.phase + float64(k+1)*c.window - t, 0
}

type simFirst struct {
	limit  int
	window float64
	start  float64
	n      int
}

func (c *simFirst) decide(t float64) (bool, float64, float64) {
	if c.n == 0 || t >= c.start+c.window {
		c.start, c.n = t, 0
	}
	if c.n < c.limit {
		c.n++
		return true, 0, 0
	}
	return false, c.start + c.window - t, 0
}

type simLog struct {
	limit  int
	window float64
	at     []float64
}

func (c *simLog) decide(t float64) (bool, float64, float64) {
	for len(c.at) > 0 && c.at[0] <= t-c.window {
		c.at = c.at[1:]
	}
	if len(c.at) < c.limit {
		c.at = append(c.at, t)
		return true, 0, 0
	}
	return false, c.at[0] + c.window - t, 0
}

type simCounter struct {
	limit         int
	window, phase float64
	strict        bool // counts the request itself
	k             int
	prev, cur     float64
}

func (c *simCounter) decide(t float64) (bool, float64, float64) {
	k := int(math.Floor((t - c.phase) / c.window))
	switch {
	case k == c.k+1:
		c.prev, c.cur, c.k = c.cur, 0, k
	case k != c.k:
		c.prev, c.cur, c.k = 0, 0, k
	}
	may := func(t, prev, cur, s float64) bool {
		est := prev*(1-(t-s)/c.window) + cur
		if c.strict {
			return est+1 <= float64(c.limit)
		}
		return est < float64(c.limit)
	}
	s := c.phase + float64(k)*c.window
	if may(t, c.prev, c.cur, s) {
		c.cur++
		return true, 0, 0
	}
	for d := c.window / 1000; ; d += c.window / 1000 {
		if t+d < s+c.window {
			if may(t+d, c.prev, c.cur, s) {
				return false, d, 0
			}
		} else if may(t+d, c.cur, 0, s+c.window) {
			return false, d, 0
		}
	}
}

// simNginx is limit_req: excess in thousandths of a request, time in milliseconds.
type simNginx struct {
	rate, burst  int // thousandths per second, thousandths
	excess, last int
	delaying     bool
}

func (c *simNginx) decide(t float64) (bool, float64, float64) {
	now := int(t * 1000)
	ms := max(0, now-c.last)
	ex := max(0, c.excess-c.rate*ms/1000+1000)
	if c.last == 0 {
		ex = 0
	}
	if ex > c.burst {
		return false, float64(ex-c.burst) / float64(c.rate), 0
	}
	c.excess, c.last = ex, now
	if c.delaying {
		return true, 0, float64(ex) / float64(c.rate)
	}
	return true, 0, 0
}

// truth is what a fit of a simulated limiter should find.
type truth struct {
	name         string
	kind         string
	rate, burst  float64
	window       float64
	hint         string
	perClient    bool
	perAddress   bool
	limiterMaker func() limiter
	model        model
}

// sim is a Sender of arithmetic: a network with jitter before a limiter.
const simEpoch = 1000.0

type sim struct {
	rnd      *rand.Rand
	now      float64
	base     float64 // one way
	jitter   float64
	gap      float64 // between two requests sent at once
	work     float64 // to make a token
	truth    truth
	lims     map[Origin]limiter
	q        simQueue
	evs      []Event
	answered []Event
	lies     int // rejections whose hint was too short
	hinted   int
}

func newSim(tr truth, seed uint64) *sim {
	rnd := rand.New(rand.NewPCG(seed, 99))
	s := &sim{rnd: rnd, truth: tr, lims: map[Origin]limiter{}}
	s.base = math.Exp(rnd.Float64()*math.Log(300)) * 0.0001 // 0.1 to 30 ms
	s.jitter = s.base * 0.3 * rnd.Float64()
	s.gap = 0.0001 + 0.0003*rnd.Float64()
	s.work = 0.002 * rnd.Float64()
	s.now = 0
	return s
}

func (s *sim) Now() time.Duration { return seconds(s.now) }

func (s *sim) Can(Origin) bool { return true }

func (s *sim) limiter(from Origin) limiter {
	key := MainClient
	if from == OtherClient && s.truth.perClient || from == OtherAddress && s.truth.perAddress {
		key = from
	}
	if s.lims[key] == nil {
		s.lims[key] = s.truth.limiterMaker()
	}
	return s.lims[key]
}

type simEvent struct {
	t    float64
	what int // 1 arrive, 2 answer
	i    int
}
type simQueue []simEvent

func (q simQueue) Len() int           { return len(q) }
func (q simQueue) Less(i, j int) bool { return q[i].t < q[j].t }
func (q simQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)        { *q = append(*q, x.(simEvent)) }
func (q *simQueue) Pop() any          { o := *q; x := o[len(o)-1]; *q = o[:len(o)-1]; return x }

func (s *sim) lag() float64 { return s.base + s.rnd.ExpFloat64()*s.jitter }

func (s *sim) Send(_ context.Context, shots []Shot, stop func(Event) bool) (int, error) {
	first := len(s.evs)
	for _, sh := range shots {
		s.evs = append(s.evs, Event{From: sh.From, Hint: -1})
	}
	for i, sh := range shots {
		due := max(s.now+s.gap, sh.At.Seconds())
		for len(s.q) > 0 && s.q[0].t <= due {
			if ev, done := s.step(); done && stop != nil && stop(ev) {
				s.evs = s.evs[:first+i]
				return i, nil
			}
		}
		s.now = due
		s.evs[first+i].SentUS = int64(due * 1e6)
		heap.Push(&s.q, simEvent{due + s.lag(), 1, first + i})
	}
	return len(shots), nil
}

// step handles the next arrival or answer.
func (s *sim) step() (ev Event, answered bool) {
	e := heap.Pop(&s.q).(simEvent)
	s.now = max(s.now, e.t)
	at := &s.evs[e.i]
	if e.what == 2 {
		at.TookUS = int64(e.t*1e6) - at.SentUS
		s.answered = append(s.answered, *at)
		return *at, true
	}
	ok, wait, delay := s.limiter(at.From).decide(e.t + simEpoch)
	if ok {
		delay += s.work
	} else {
		at.Outcome = Throttled
		if at.Hint = s.hint(wait); at.Hint >= 0 {
			s.hinted++
			if at.Hint+2*s.base < wait-0.02 {
				s.lies++
			}
		}
	}
	heap.Push(&s.q, simEvent{e.t + delay + s.lag(), 2, e.i})
	return *at, false
}

func (s *sim) Answers(_ context.Context, enough func([]Event) bool) []Event {
	for enough != nil && len(s.q) > 0 && !enough(s.answered) {
		s.step()
	}
	out := s.answered
	s.answered = nil
	return out
}

func (s *sim) hint(wait float64) float64 {
	switch s.truth.hint {
	case "ceil":
		return math.Ceil(wait)
	case "one":
		return 1
	case "half":
		return math.Floor(wait / 2)
	}
	return -1
}

func logUniform(r *rand.Rand, lo, hi float64) float64 {
	return lo * math.Exp(r.Float64()*math.Log(hi/lo))
}

// draw makes a limiter with nothing round about it.
func draw(seed uint64) truth {
	r := rand.New(rand.NewPCG(seed, 7))
	var tr truth
	tr.hint = []string{"", "ceil", "ceil", "one", "half"}[r.IntN(5)]
	tr.perClient, tr.perAddress = r.IntN(2) == 0, r.IntN(2) == 0
	window := logUniform(r, 0.4, 6)
	limit := int(logUniform(r, 2, 250))
	phase := r.Float64() * window
	rate := logUniform(r, 2, 250)
	size := float64(int(logUniform(r, 1, 200)))
	for size/rate > 12 || float64(limit)/window > 400 {
		size = float64(int(logUniform(r, 1, 200)))
		limit = int(logUniform(r, 2, 250))
	}
	switch r.IntN(7) {
	case 0, 1:
		tr.name = fmt.Sprintf("bucket %.3f/s:%g", rate, size)
		tr.kind, tr.rate, tr.burst = "bucket", rate, size
		tr.limiterMaker = func() limiter { return &simBucket{rate: rate, size: size, level: size} }
		tr.model = model{family: tokenBucket, rate: rate, burst: size}
	case 2:
		tr.name = fmt.Sprintf("clock %d/%.3fs", limit, window)
		tr.kind, tr.rate, tr.burst, tr.window = "fixed", float64(limit)/window, float64(limit), window
		tr.limiterMaker = func() limiter { return &simClock{limit: limit, window: window, phase: phase} }
		tr.model = model{family: clockWindow, burst: float64(limit), window: window, phase: phase}
	case 3:
		tr.name = fmt.Sprintf("first %d/%.3fs", limit, window)
		tr.kind, tr.rate, tr.burst, tr.window = "fixed", float64(limit)/window, float64(limit), window
		tr.limiterMaker = func() limiter { return &simFirst{limit: limit, window: window} }
		tr.model = model{family: firstWindow, burst: float64(limit), window: window}
	case 4:
		tr.name = fmt.Sprintf("log %d/%.3fs", limit, window)
		tr.kind, tr.rate, tr.burst, tr.window = "sliding", float64(limit)/window, float64(limit), window
		tr.limiterMaker = func() limiter { return &simLog{limit: limit, window: window} }
		tr.model = model{family: slidingLog, burst: float64(limit), window: window}
	case 5:
		strict := r.IntN(2) == 0
		tr.name = fmt.Sprintf("counter %d/%.3fs strict=%v", limit, window, strict)
		tr.kind, tr.rate, tr.burst, tr.window = "sliding", float64(limit)/window, float64(limit), window
		tr.limiterMaker = func() limiter { return &simCounter{limit: limit, window: window, phase: phase, strict: strict} }
		tr.model = model{family: slidingCount, burst: float64(limit), window: window, phase: phase}
		if strict {
			tr.model.delta = 1
		}
	case 6:
		n := &simNginx{rate: int(rate) * 1000, burst: int(size-1) * 1000, delaying: r.IntN(2) == 0}
		tr.name = fmt.Sprintf("nginx %d/s burst=%g delaying=%v", int(rate), size-1, n.delaying)
		tr.kind, tr.rate, tr.burst = "bucket", float64(int(rate)), size
		tr.limiterMaker = func() limiter { c := *n; return &c }
		tr.model = model{family: tokenBucket, rate: tr.rate, burst: size}
	}
	return tr
}

// TestThrottleFitsUnknownLimiters draws limiters at random and reports the share found right.
func TestThrottleFitsUnknownLimiters(t *testing.T) {
	n, base := 30, uint64(1)
	if v, err := strconv.Atoi(os.Getenv("THROTTLE_RUNS")); err == nil {
		n = v
	}
	if v, err := strconv.Atoi(os.Getenv("THROTTLE_SEED")); err == nil {
		base = uint64(v)
	}
	verbose := os.Getenv("THROTTLE_VERBOSE") != ""
	var rateOK, burstOK, both, kindWrong, decided, hintWrong, hinted, scopeOK, scopeWrong, cheap int
	per := map[string][3]int{}
	type run struct {
		truth truth
		sim   *sim
		log   Log
		got   report.Throttle
	}
	runs := make([]run, n)
	var group sync.WaitGroup
	for worker := range runtime.NumCPU() {
		group.Go(func() {
			for i := worker; i < n; i += runtime.NumCPU() {
				seed := base*1_000_000 + uint64(i)
				tr := draw(seed)
				s := newSim(tr, seed)
				l, err := Probe(t.Context(), s, Budget{Requests: 60000, Time: 10 * time.Minute})
				if err != nil {
					t.Errorf("%s: %v", tr.name, err)
				}
				runs[i] = run{tr, s, l, Fit(l)}
			}
		})
	}
	group.Wait()
	for i := range n {
		seed := base*1_000_000 + uint64(i)
		tr, s, l, got := runs[i].truth, runs[i].sim, runs[i].log, runs[i].got
		r := math.Abs(got.RatePerS/tr.rate-1) <= 0.02
		b := math.Abs(got.Burst-tr.burst) <= max(1, 0.05*tr.burst)
		bad := got.Window != tr.kind && got.Window != undecided && got.Window != unexplained
		p := per[tr.kind]
		p[0]++
		if r && b {
			p[1]++
			both++
		}
		if r {
			rateOK++
		}
		if b {
			burstOK++
		}
		if bad {
			kindWrong++
		} else if got.Window == tr.kind {
			decided++
			p[2]++
		}
		per[tr.kind] = p
		w := tr.window
		if w == 0 {
			w = tr.burst / tr.rate
		}
		if float64(len(l.Events)) <= 25*(tr.burst+20) && l.Seconds <= 8*w+15 {
			cheap++
		}
		if got.RetryAfter.Honest != nil {
			hinted++
		}
		want := "endpoint"
		if tr.perClient {
			want = "client"
		} else if tr.perAddress {
			want = "address"
		}
		if got.Scope == want {
			scopeOK++
		} else if got.Scope != undecided {
			scopeWrong++
			if verbose {
				t.Logf("SCOPE %-36s seed %d rtt %.1f j %.1f: %s want %s", tr.name, seed, s.base*2e3, s.jitter*1e3, got.Scope, want)
			}
		}
		if h := got.RetryAfter.Honest; h != nil && *h != (s.lies == 0) {
			hintWrong++
			if verbose {
				t.Logf("HINT %-36s seed %d: hint %s lies %d/%d %+v", tr.name, seed, tr.hint, s.lies, s.hinted, got.RetryAfter)
			}
		}
		if verbose && (!r || !b || bad || got.Window != tr.kind) {
			ru := ""
			if got.RunnerUp != nil {
				ru = fmt.Sprintf("%+v", *got.RunnerUp)
			}
			t.Logf("%-36s rtt %.1f j %.1f seed %d: rate %+.1f%% burst %g want %g window %s (%s W %.3f) mismatch %.3f n=%d %.0fs %s | %s", tr.name, s.base*2e3, s.jitter*1e3, seed,
				100*(got.RatePerS/tr.rate-1), got.Burst, tr.burst, got.Window, got.Kind, got.WindowS, got.Mismatch, len(l.Events), l.Seconds, ru, got.Undecided)
		}
	}
	share := func(k int) float64 { return float64(k) / float64(n) }
	t.Logf("%d limiters: rate right %.3f, burst right %.3f, both %.3f, kind decided %.3f, kind wrong %d, Retry-After wrong %d of %d, scope right %.3f wrong %d, within cost %.3f %v",
		n, share(rateOK), share(burstOK), share(both), share(decided), kindWrong, hintWrong, hinted, share(scopeOK), scopeWrong, share(cheap), per)
	if share(rateOK) < 0.95 || share(burstOK) < 0.95 || kindWrong > 0 || hintWrong > 0 {
		t.Errorf("below the aim")
	}
}
