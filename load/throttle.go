package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"grantcheck/report"
)

// A Shot is one request of a probe.
type Shot struct {
	At   time.Duration // since the log began; what is past is sent at once
	From Origin
}

// Origin says in whose name a request is sent: scope is found by comparing.
type Origin uint8

const (
	MainClient   Origin = iota
	OtherClient         // another client, same address
	OtherAddress        // same client, another address
)

// A Sender sends the requests of a probe. The live one is made of goroutines and an http.Client,
// the tests' one of arithmetic.
type Sender interface {
	// Now is the time since the log began.
	Now() time.Duration
	// Send sends shots in order, each when it is due, without waiting for answers. stop sees each
	// answer that comes meanwhile; once it returns true nothing more is sent. Send returns how
	// many were sent, when the last is on its way.
	Send(ctx context.Context, shots []Shot, stop func(Event) bool) (int, error)
	// Answers returns what was answered since it was called last. It waits until enough says of the
	// answers that they are, or nothing is outstanding; a nil enough does not wait.
	Answers(ctx context.Context, enough func([]Event) bool) []Event
	// Can tells whether the sender has this origin to offer.
	Can(Origin) bool
}

// An Event is one request of a probe and what the limiter decided.
type Event struct {
	SentUS   int64   `json:"sent_us"` // since the log began
	TookUS   int64   `json:"took_us"`
	From     Origin  `json:"from,omitempty"`
	Outcome  Outcome `json:"outcome"`         // Token is accepted, Throttled is rejected, all else says nothing
	Hint     float64 `json:"hint_s"`          // the wait asked for in seconds, -1 when none is, -2 when malformed
	Stage    string  `json:"stage"`           // preflight, burst, saturate, straddle, verify, retry, scope
	Trial    string  `json:"trial,omitempty"` // of stage retry: full, half; of stage scope: the round
	Answered string  `json:"answered,omitempty"`
}

// A Log is every request a probe sent to the limiter, from the very first one.
type Log struct {
	Schema  string         `json:"schema"`
	Events  []Event        `json:"events"`
	Forms   []ThrottleForm `json:"forms,omitempty"` // how rejections looked, the most frequent first
	Stopped string         `json:"stopped,omitempty"`
	Seconds float64        `json:"seconds"`
}

// A ThrottleForm is how one kind of throttled answer looked, and how many did.
type ThrottleForm struct {
	Count     int               `json:"count"`
	Status    int               `json:"status"`
	Code      string            `json:"code,omitempty"`
	MediaType string            `json:"media_type,omitempty"`
	Body      bool              `json:"body"`
	Headers   map[string]string `json:"headers,omitempty"` // those that speak of limits and caching
}

// LogSchema names the form of a saved log.
const LogSchema = "grantcheck.throttle/1"

// Budget bounds what a probe may cost.
type Budget struct {
	Requests int
	Time     time.Duration
}

// Probe finds where the limiter stands: it throttles the endpoint on purpose, so ask first. What
// was learnt so far is in the log also when an error is returned. The log alone is judged, by [Fit].
func Probe(ctx context.Context, s Sender, b Budget) (Log, error) {
	p := &probe{ctx: ctx, s: s, b: b, log: Log{Schema: LogSchema}, enough: never}
	err := p.run()
	p.take(never)
	p.log.Seconds = s.Now().Seconds()
	switch {
	case errors.Is(err, errBudget):
		p.log.Stopped, err = err.Error(), nil
	case err != nil:
		p.log.Stopped = err.Error()
	}
	return p.log, err
}

var errBudget = errors.New("the budget of the throttle probe is spent")

type probe struct {
	ctx    context.Context
	s      Sender
	b      Budget
	log    Log
	stage  string
	trial  string
	shot   int // dither position
	sent   int
	marks  []mark
	enough func([]Event) bool // which answers fire waits for: a limiter that delays can hold some for long
}

// A mark says in what stage and trial the requests from a moment on were sent.
type mark struct {
	sinceUS      int64
	stage, trial string
}

func never([]Event) bool { return false }

// some is enough once n requests had outcome o.
func some(n int, o Outcome) func([]Event) bool {
	return func(evs []Event) bool { return count(evs, o) >= n }
}

// take moves answers into the log.
func (p *probe) take(enough func([]Event) bool) []Event {
	evs := p.s.Answers(p.ctx, enough)
	for i := range evs {
		m, _ := slices.BinarySearchFunc(p.marks, evs[i].SentUS+1, func(m mark, us int64) int { return cmp.Compare(m.sinceUS, us) })
		if m > 0 {
			evs[i].Stage, evs[i].Trial = p.marks[m-1].stage, p.marks[m-1].trial
		}
	}
	p.log.Events = append(p.log.Events, evs...)
	return evs
}

// fire sends shots within the budget. Failures (no decision of the limiter) end the probe when
// they are more than a few.
func (p *probe) fire(shots []Shot, stop func(Event) bool) ([]Event, error) {
	if err := p.ctx.Err(); err != nil {
		return nil, err
	}
	left := p.b.Requests - p.sent
	if left <= 0 {
		return nil, fmt.Errorf("%w: %d requests", errBudget, p.b.Requests)
	}
	cut := false
	if len(shots) > left {
		shots, cut = shots[:left], true
	}
	for i, sh := range shots {
		if sh.At > p.b.Time {
			shots, cut = shots[:i], true
			break
		}
	}
	if len(shots) == 0 || p.s.Now() > p.b.Time {
		return nil, fmt.Errorf("%w: %v", errBudget, p.b.Time)
	}
	p.marks = append(p.marks, mark{p.s.Now().Microseconds(), p.stage, p.trial})
	n, err := p.s.Send(p.ctx, shots, stop)
	p.sent += n
	evs := p.take(p.enough)
	failed := 0
	for _, e := range evs {
		if e.Outcome != Token && e.Outcome != Throttled {
			failed++
		}
	}
	if err != nil {
		return evs, err
	}
	if failed > 5 && failed > len(evs)/2 {
		return evs, fmt.Errorf("the endpoint answers neither with a token nor with its limit: %d of %d requests came to %s",
			failed, len(evs), evs[len(evs)-1].Outcome)
	}
	if cut {
		return evs, errBudget
	}
	return evs, nil
}

// pace returns n shots at rate per second from now, the gaps dithered so that they cannot beat
// with the limiter's own rhythm.
func (p *probe) pace(n int, rate float64) []Shot {
	const golden = 0.6180339887498949
	now := p.s.Now().Seconds()
	shots := make([]Shot, n)
	for i := range shots {
		p.shot++
		_, f := math.Modf(float64(p.shot) * golden)
		shots[i].At = seconds(now + (float64(i)+0.9*f)/rate)
	}
	return shots
}

func (p *probe) at(t float64, n int) []Shot {
	shots := make([]Shot, n)
	for i := range shots {
		shots[i].At = seconds(t)
	}
	return shots
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func count(evs []Event, o Outcome) (n int) {
	for _, e := range evs {
		if e.Outcome == o {
			n++
		}
	}
	return n
}

// rejections stops a volley after n of them.
func rejections(n int) func(Event) bool {
	return func(e Event) bool {
		if e.Outcome == Throttled {
			n--
		}
		return n <= 0
	}
}

func (p *probe) now() float64 { return p.s.Now().Seconds() }

func (p *probe) run() error {
	p.stage = "preflight"
	for range 3 {
		evs, err := p.fire(p.at(p.now()+0.1, 1), nil)
		if err != nil {
			return err
		}
		if o := evs[0].Outcome; o != Token && o != Throttled {
			return fmt.Errorf("the endpoint did not grant a token before any load: %s", o)
		}
	}

	p.stage = "burst"
	p.enough = some(8, Throttled)
	burst, err := p.fire(p.at(p.now(), max(20, p.b.Requests*2/5)), rejections(8))
	if err != nil {
		return err
	}
	a0 := count(burst, Token)
	if count(burst, Throttled) == 0 {
		return nil // no limit within the budget
	}

	p.stage = "saturate"
	p.enough = nil
	rate, err := p.saturate(max(1, a0))
	p.enough = never
	p.take(never)
	if err != nil {
		return err
	}
	got, fits := fit(p.log)
	if got.RatePerS == 0 {
		got.RatePerS, got.Burst = rate, float64(a0)
	}
	for round := range 4 {
		if err := p.straddle(round, got, fits); err != nil {
			return err
		}
		got, fits = fit(p.log)
		if round > 0 && got.Undecided == "" {
			break
		}
	}
	if err := p.verify(got); err != nil {
		return err
	}
	if err := p.retry(got); err != nil {
		return err
	}
	return p.scope(got) // last: others' requests spend what the fit cannot see
}

// saturate keeps the limiter at its limit, where the rate accepted is the limit's rate; it returns
// that rate.
func (p *probe) saturate(a0 int) (float64, error) {
	k := max(2.2, min(30, 40/float64(a0)))
	l0 := max(60, min(400, 2*float64(a0)))
	start := p.now()
	accepts, doubled := 0, 1.0
	for {
		now := p.now()
		el := now - start
		r := 0.0
		if el > 0 {
			r = float64(accepts) / el
		}
		want := max(8, 150/k)
		if el >= 2 && float64(accepts) >= want && el >= 2.5*float64(a0)/r {
			return r, nil
		}
		lambda := min(1500, max(20, k*r, l0*math.Exp2(-el/2), 1)*doubled)
		n := max(4, int(lambda*max(0.05, min(0.25, el/10))))
		evs, err := p.fire(p.pace(n, lambda), nil)
		accepts += count(evs, Token)
		if err != nil {
			if r == 0 {
				return r, err
			}
			return r, err
		}
		if ok := count(evs, Token); float64(ok) > 0.9*float64(len(evs)) && len(evs) >= 8 {
			doubled = min(64, doubled*1.5)
		} else if doubled > 1 && float64(ok) < 0.3*float64(len(evs)) {
			doubled = max(1, doubled/1.5)
		}
	}
}

// straddle separates the kinds of window. After idling for two windows it sends, in even rounds,
// half a limit, then more than a limit three quarters of a window later, and again just over a
// window after the start; in odd rounds more than a limit at once. Then it keeps watch until the
// limiter must have opened again.
func (p *probe) straddle(round int, got report.Throttle, fits []model) error {
	p.stage, p.trial = "straddle", strconv.Itoa(round)
	rate := got.RatePerS
	limit := max(1, int(math.Round(got.Burst)))
	w := got.WindowS
	if w == 0 {
		w = got.Burst / max(rate, 1e-9)
	}
	t := p.now() + (2.1+0.17*float64(round))*w
	more := limit + limit/8 + 4
	var shots []Shot
	if round%2 == 0 {
		shots = p.at(t, max(1, limit/2))
		shots = append(shots, p.at(t+0.75*w, more)...)
		shots = append(shots, p.at(t+1.06*w, more)...)
	} else {
		// Early in a window of the clock, if there is one: its whole limit shows.
		for _, m := range fits {
			if (m.family == slidingCount || m.family == clockWindow) && m.mismatch < 0.2 {
				t += m.window * (1.1 - mod1((t-m.phase)/m.window))
				break
			}
		}
		shots = p.at(t, more)
	}
	if _, err := p.fire(shots, nil); err != nil {
		return err
	}
	k := max(2.2, min(30, 40/float64(limit)))
	lambda := min(1500, k*rate)
	_, err := p.fire(p.pace(max(4, int(lambda*1.1*w)), lambda), nil)
	return err
}

func mod1(x float64) float64 { return x - math.Floor(x) }

// verify sends a little less than the rate found, evenly: nothing may be rejected.
func (p *probe) verify(got report.Throttle) error {
	p.stage, p.trial = "verify", ""
	rate := 0.9 * got.RatePerS
	if rate <= 0 {
		return nil
	}
	wait := 2.1 * got.WindowS
	if got.WindowS == 0 {
		wait = min(2, got.Burst/rate)
	}
	n := max(5, min(200, int(rate*max(1, got.WindowS))))
	start := p.now() + wait
	shots := make([]Shot, n)
	for i := range shots {
		shots[i].At = seconds(start + float64(i)/rate)
	}
	_, err := p.fire(shots, nil)
	return err
}

// drain asks until the limiter opens and then takes all it has, so that the wait that follows is
// a long one. It returns the last rejection seen.
func (p *probe) drain(got report.Throttle) (last Event, err error) {
	poll := max(0.005, min(0.1, 0.2/got.RatePerS))
	for {
		ev, err := p.ask(p.now() + poll)
		if err != nil {
			return last, err
		}
		if ev.Outcome == Token {
			break
		}
	}
	p.enough = some(2, Throttled)
	evs, err := p.fire(p.at(p.now(), int(1.15*got.Burst)+10), rejections(2))
	p.enough = never
	for _, e := range evs {
		if e.Outcome == Throttled {
			last = e
		}
	}
	if err == nil && last.Outcome != Throttled {
		err = fmt.Errorf("%w: the limiter no longer rejects", errBudget)
	}
	return last, err
}

// ask sends one request at t seconds and waits for its answer alone.
func (p *probe) ask(t float64) (Event, error) {
	since := seconds(max(t, p.now())).Microseconds()
	mine := func(e Event) bool { return e.SentUS >= since }
	p.enough = func(evs []Event) bool { return slices.ContainsFunc(evs, mine) }
	evs, err := p.fire(p.at(t, 1), nil)
	p.enough = never
	if i := slices.IndexFunc(evs, mine); i >= 0 {
		return evs[i], err
	}
	return Event{}, cmp.Or(err, p.ctx.Err(), errBudget)
}

const (
	trials  = 4
	longest = 120 // seconds of Retry-After that are waited out
)

// retry waits out what rejections ask for: the whole of it must suffice, half of it tells whether
// more than needed is asked.
func (p *probe) retry(got report.Throttle) error {
	p.stage = "retry"
	if got.RatePerS == 0 || !slices.ContainsFunc(p.log.Events, func(e Event) bool { return e.Hint >= 0 && e.Outcome == Throttled }) {
		return nil
	}
	for _, trial := range []struct {
		name  string
		share float64
	}{{"full", 1}, {"half", 0.5}} {
		for i := range trials {
			p.trial = "drain"
			if trial.name == "full" && i < trials/2 {
				// From rest, where a window asks for its longest wait.
				if _, err := p.ask(p.now() + 1.1*got.WindowS); err != nil {
					return err
				}
			}
			last, err := p.drain(got)
			if err != nil {
				return err
			}
			if last.Hint < 0 || last.Hint > longest {
				return nil
			}
			p.trial = trial.name
			ev, err := p.ask(float64(last.SentUS+last.TookUS)/1e6 + trial.share*last.Hint + 0.010)
			if err != nil {
				return err
			}
			if trial.name == "full" && ev.Outcome == Throttled {
				p.trial = "late" // a second more is what the patient would wait
				if _, err := p.ask(p.now() + 1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// scope compares origins while the main client is drained: in turn, because refill alone must not
// look like a quota of one's own.
func (p *probe) scope(got report.Throttle) error {
	if got.RatePerS == 0 {
		return nil
	}
	p.stage = "scope"
	// While a round trip lasts, the limiter refills: the comparison must be about more than that.
	refill := 2 * got.RatePerS * p.trip()
	if got.Burst < 1+refill {
		return nil
	}
	pairs := max(1, min(int(got.Burst), 4+int(math.Ceil(refill))))
	for _, from := range []Origin{OtherClient, OtherAddress} {
		if !p.s.Can(from) {
			continue
		}
		for round := range 3 {
			p.trial = ""
			rest := max(1.1*got.WindowS, 1.3*float64(pairs)/got.RatePerS) // the other's quota refills
			if _, err := p.ask(p.now() + rest); err != nil {
				return err
			}
			if _, err := p.drain(got); err != nil {
				return err
			}
			p.trial = fmt.Sprintf("%d.%d", from, round)
			t := seconds(p.now())
			var shots []Shot
			for range pairs {
				shots = append(shots, Shot{t, MainClient}, Shot{t, from})
			}
			if _, err := p.fire(shots, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// trip is the usual round trip of a rejection in seconds.
func (p *probe) trip() float64 {
	var took []int64
	for _, e := range p.log.Events {
		if e.Outcome == Throttled {
			took = append(took, e.TookUS)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return float64(took[len(took)/2]) / 1e6
}
