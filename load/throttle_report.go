package load

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"grantcheck/report"
)

const (
	undecided   = "undecided"
	unexplained = "unexplained"
)

// Fit says what limiter explains the log, if one does. It is a pure function of the log.
func Fit(l Log) report.Throttle {
	out, _ := fit(l)
	return out
}

// fit also returns the best model of each family, the best first.
func fit(l Log) (report.Throttle, []model) {
	out := report.Throttle{RequestsUsed: int64(len(l.Events)), Seconds: l.Seconds, Scope: undecided, Window: undecided}
	evs := slices.Clone(l.Events)
	slices.SortStableFunc(evs, func(a, b Event) int { return cmp.Compare(a.SentUS, b.SentUS) })
	hits, queue, trip := decisions(evs)
	for _, e := range evs {
		if e.Outcome == Throttled {
			out.Limited = true
			break
		}
		if e.Outcome == Token {
			out.SeenUpTo++
		}
	}
	if !out.Limited {
		out.Window, out.Scope = "", ""
		return out, nil
	}
	out.SeenUpTo = 0
	out.Scope, out.Undecided = scopeOf(evs)
	out.RetryAfter = retryAfter(evs)
	r := newRecord(hits)
	r.trip = trip
	out.SlopePerS, _ = r.slope()
	out.RecoveryMS = 1000 * r.recovery()
	fits := r.fitAll()
	if len(fits) == 0 {
		out.Undecided = "too little of the limit was seen"
		return out, nil
	}
	best := &fits[0]
	r.interval(best)
	out.Kind, out.Window, out.Mismatch = best.family, best.kind(), best.mismatch
	out.RatePerS, out.Burst, out.WindowS = best.rate, best.burst, best.window
	out.RateLow, out.RateHigh = best.low, best.high
	if queue > 3/best.rate {
		out.QueueMS = 1000 * queue
		out.Kind += ", delaying"
	}
	for _, m := range fits[1:] {
		if m.kind() == best.kind() {
			continue
		}
		out.RunnerUp = &report.ThrottleFit{Kind: m.family, RatePerS: m.rate, Burst: m.burst, WindowS: m.window, Mismatch: m.mismatch}
		if m.misses-best.misses < decisive(r, best) || m.mismatch < 8*best.mismatch {
			out.Window = undecided
			out.Undecided = fmt.Sprintf("a %s explains the answers nearly as well (%d against %d unexplained)", m.family, m.misses, best.misses)
		}
		break
	}
	if best.mismatch > 0.03 {
		out.Window = unexplained
		out.Undecided = fmt.Sprintf("no known kind of limiter explains the answers: the nearest, a %s, leaves %.0f %% of them unexplained", best.family, 100*best.mismatch)
	}
	if share := r.shortHints(best); out.RetryAfter.Honest != nil && *out.RetryAfter.Honest && share > 0.003 {
		out.RetryAfter.Honest = nil
		out.RetryAfter.Undecided = fmt.Sprintf("waiting as told sufficed when tried, but by the fit %.0f %% of the hints fall short", 100*share)
	}
	out.Points = r.points(best)
	return out, fits
}

// decisive is by how many more mistakes a runner-up loses.
func decisive(r *record, best *model) int {
	return max(4, best.misses/2, (r.accept+r.reject)/200)
}

// spell tells apart the parts of a log that began with the limiter at rest.
func (e *Event) spell() int {
	switch e.Stage {
	case "preflight", "burst", "saturate":
		return 0
	case "straddle":
		n, _ := strconv.Atoi(e.Trial)
		return 1 + n
	}
	return -1
}

// decisions reads from each event when its decision was taken. A round trip above the shortest of
// its kind is the uncertainty. An accepted request that took much longer than rejections do was
// held back after it: that is a queue, and says nothing about when it was decided. The longest
// such delay is returned in seconds, when half the first burst was delayed, and the shortest round trip of a rejection.
func decisions(evs []Event) (hits []hit, queue, trip float64) {
	shortest := map[Outcome]float64{Token: math.Inf(1), Throttled: math.Inf(1)}
	var quick []float64
	for _, e := range evs {
		took := float64(e.TookUS) / 1e6
		if s, ok := shortest[e.Outcome]; ok && took < s {
			shortest[e.Outcome] = took
		}
		if e.Outcome == Throttled {
			quick = append(quick, took)
		}
	}
	typical, bound := 0.0, math.Inf(1)
	if len(quick) > 0 {
		slices.Sort(quick)
		typical = quick[len(quick)/2] - shortest[Throttled]
		bound = quick[len(quick)*99/100] - shortest[Throttled]
	}
	held, burst := 0, 0 // of the first burst, which a queue would hold back
	for _, e := range evs {
		if e.From != MainClient || e.Outcome != Token && e.Outcome != Throttled || e.Stage == "scope" {
			continue
		}
		extra := float64(e.TookUS)/1e6 - shortest[e.Outcome]
		h := hit{hint: e.Hint, ok: e.Outcome == Token, spell: e.spell(), t: extra / 2, u: extra / 2}
		if h.ok && e.Stage == "burst" {
			burst++
		}
		if h.ok && extra > 2*bound+0.001 {
			if e.Stage == "burst" {
				held++
			}
			queue = max(queue, extra)
			h.t, h.u = typical/2, bound/2
		}
		h.t += float64(e.SentUS)/1e6 + shortest[Throttled]/2
		h.u += 0.0003
		hits = append(hits, h)
	}
	if 2*held < burst {
		queue = 0 // stragglers
	}
	return hits, queue, shortest[Throttled]
}

// recovery is the usual time in seconds from the first rejection of a spell to the next acceptance.
func (r *record) recovery() float64 {
	var all []float64
	for _, s := range r.spells {
		if s.turn < 0 {
			continue
		}
		t := r.turns[s.turn]
		for _, h := range r.hits[s.from:t.at] {
			if !h.ok {
				all = append(all, r.hits[t.at].t-h.t)
				break
			}
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// interval finds how far the rate may be off without explaining the record any worse.
func (r *record) interval(m *model) {
	holds := func(factor float64) bool {
		c := *m
		if c.window == 0 {
			c.rate *= factor
		} else {
			k := math.Round((r.hits[0].t + r.span/2 - c.phase) / c.window)
			c.phase += k * c.window * (1 - 1/factor)
			c.window /= factor
		}
		c.most = 0
		r.score(&c)
		return c.misses <= m.misses
	}
	edge := func(far float64) float64 {
		near := 1.0
		for range 12 {
			if mid := (near + far) / 2; holds(mid) {
				near = mid
			} else {
				far = mid
			}
		}
		return m.rate * near
	}
	m.low, m.high = edge(0.9), edge(1.1)
}

// points is the running count of the record for a picture.
func (r *record) points(m *model) []report.ThrottlePoint {
	const most = 200
	var missed []int
	c := *m
	c.most, c.missed = 0, &missed
	r.score(&c)
	step := max(1, len(r.hits)/most)
	var out []report.ThrottlePoint
	var p report.ThrottlePoint
	for i := range r.hits {
		h := &r.hits[i]
		p.Sent++
		ok := h.ok
		if h.ok {
			p.Accepted++
		}
		if len(missed) > 0 && missed[0] == i {
			missed = missed[1:]
			ok = !ok
		}
		if ok {
			p.Fit++
		}
		if i%step == 0 || i == len(r.hits)-1 {
			p.TS = h.t - r.hits[0].t
			out = append(out, p)
		}
	}
	return out
}

// scopeOf compares, in each round, the requests sent in two names while the first was drained.
func scopeOf(evs []Event) (scope, why string) {
	own := map[Origin]int{}  // rounds in which the other had a quota of its own, less those in which it had not
	seen := map[Origin]int{} // rounds
	type key struct {
		trial string
		from  Origin
	}
	rounds := map[key][2]int{} // accepted, sent
	for _, e := range evs {
		if e.Stage != "scope" || e.Trial == "" {
			continue
		}
		n := rounds[key{e.Trial, e.From}]
		if e.Outcome == Token {
			n[0]++
		}
		n[1]++
		rounds[key{e.Trial, e.From}] = n
	}
	for k, other := range rounds {
		if k.from == MainClient {
			continue
		}
		seen[k.from]++
		main := rounds[key{k.trial, MainClient}]
		switch {
		case 4*other[0] >= 3*other[1] && 2*main[0] <= main[1] && other[0] > main[0]:
			own[k.from]++
		case other[0] <= main[0]+1 && 2*main[0] <= main[1]:
			own[k.from]--
		}
	}
	// Chance may favour one for a round or two.
	apart := func(o Origin) bool { return seen[o] > 1 && own[o] == seen[o] }
	alike := func(o Origin) bool { return seen[o] > 1 && own[o] == -seen[o] }
	switch {
	case apart(OtherClient) && apart(OtherAddress):
		return "client", "another address has a quota of its own as well"
	case apart(OtherClient):
		return "client", ""
	case apart(OtherAddress):
		return "address", ""
	case alike(OtherClient) && alike(OtherAddress):
		return "endpoint", ""
	case len(rounds) == 0:
		return undecided, "the limiter refills within a round trip, or there was nobody to compare with"
	case seen[OtherClient] == 0:
		return undecided, "no second client to compare with"
	case seen[OtherAddress] == 0 && alike(OtherClient):
		return undecided, "another client shares the limit; there was no second address to compare with"
	}
	return undecided, "the second client was limited neither apart nor alike"
}

// A hint that was malformed; without one it is -1.
const malformedHint = -2

// retryAfter judges the hints by what came of following them: in the trials made for it, and
// wherever the log has a rejection after the time another had asked for, with nothing accepted
// in between.
func retryAfter(evs []Event) (out report.RetryAfter) {
	const allowance = 0.020 // seconds a hint may fall short
	var hints []float64
	rejected, waited, late := 0, 0, 0
	var sents, dones []float64 // of acceptances
	for _, e := range evs {
		if e.From == MainClient && e.Outcome == Token {
			sents = append(sents, float64(e.SentUS)/1e6)
			dones = append(dones, float64(e.SentUS+e.TookUS)/1e6)
		}
	}
	slices.Sort(sents)
	slices.Sort(dones)
	due, since := math.Inf(1), 0.0 // when the limiter was to have opened, and when that was said
	counted := false
	out.SyntaxOK = true
	for _, e := range evs {
		if e.From != MainClient || e.Stage == "scope" {
			continue
		}
		done := float64(e.SentUS+e.TookUS) / 1e6
		sent := float64(e.SentUS) / 1e6
		if e.Outcome == Token {
			due, counted = math.Inf(1), false
		}
		if e.Outcome == Throttled {
			rejected++
			if sent > due+allowance && !counted && countBelow(sents, done) == countBelow(dones, since) {
				late++
				counted = true // once for each closing
			}
			if e.Hint == malformedHint {
				out.SyntaxOK = false
			}
			if e.Hint >= 0 {
				hints = append(hints, e.Hint)
				if t := done + e.Hint; t < due {
					due, since = t, sent
				}
			}
		}
		switch {
		case e.Stage != "retry":
		case e.Trial == "full":
			out.Trials++
			if e.Outcome == Token {
				waited++
			}
		case e.Trial == "half" && e.Outcome == Token:
			out.EarlyAccepts++
		}
	}
	out.LateRefusals = late
	if rejected > 0 {
		out.PresentShare = float64(len(hints)) / float64(rejected)
	}
	out.Present = len(hints) > 0 || !out.SyntaxOK
	if len(hints) == 0 {
		out.Undecided = "no rejection carried a hint to wait"
		if !out.Present {
			out.SyntaxOK = false
		}
		return out
	}
	slices.Sort(hints)
	out.TypicalS = hints[len(hints)/2]
	no, yes := false, true
	switch {
	case late > 0:
		out.Honest = &no
	case waited >= 2 && waited == out.Trials:
		out.Honest = &yes
	default:
		out.Undecided = fmt.Sprintf("the wait asked for was tried %d times only", out.Trials)
	}
	return out
}

// shortHints is the share of hints that end before the model opens again, whatever was decided in
// between: what a follower of the hint would run into. The time on the way is the follower's.
func (r *record) shortHints(m *model) float64 {
	hints, short := 0, 0
	longest, told := 0.0, 0.0
	level, last, start := m.burst, r.all[0].t, math.Inf(-1)
	var oks []float64
	for i := range r.all {
		h := &r.all[i]
		end := m.phase + (math.Floor((h.t-m.phase)/max(m.window, 1e-9))+1)*m.window
		if h.ok {
			level, last = min(m.burst, level+m.rate*(h.t-last))-1, h.t
			if h.t >= start+m.window {
				start = h.t
			}
			oks = append(oks, h.t)
			continue
		}
		if h.hint < 0 {
			continue
		}
		hints++
		wait := 0.0
		switch n := int(m.burst); m.family {
		case tokenBucket:
			wait = (1-level)/m.rate - (h.t - last)
		case clockWindow:
			wait = end - h.t
		case firstWindow:
			wait = start + m.window - h.t
		case slidingLog:
			if len(oks) >= n {
				wait = oks[len(oks)-n] + m.window - h.t
			}
		case slidingCount:
			cur := float64(len(oks) - countBelow(oks, end-m.window))
			prev := float64(countBelow(oks, end-m.window) - countBelow(oks, end-2*m.window))
			open := end // of the window, unless the one before still fades
			if room := m.burst - m.delta - cur; room > 0 && prev > 0 {
				open = min(end, end-m.window*min(1, room/prev))
			}
			wait = open - h.t
		}
		longest, told = max(longest, wait), max(told, h.hint)
		if h.hint+r.trip < wait-0.020-2*h.u {
			short++
		}
	}
	switch share := float64(short) / float64(max(1, hints)); {
	case told+r.trip < longest-0.020:
		return max(share, 0.01) // no hint covers the longest wait
	case short >= 3:
		return share
	}
	return 0
}
