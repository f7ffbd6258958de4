package load

import (
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
	out := report.Throttle{RequestsUsed: int64(len(l.Events)), Seconds: l.Seconds, Scope: undecided, Window: undecided}
	hits, queue := decisions(l.Events)
	rejected := 0
	for _, e := range l.Events {
		if e.Outcome == Throttled {
			rejected++
		} else if e.Outcome == Token && rejected == 0 {
			out.SeenUpTo++
		}
	}
	if rejected == 0 {
		out.Window = ""
		return out
	}
	out.Limited = true
	out.SeenUpTo = 0
	out.QueueMS = queue * 1000
	r := newRecord(hits)
	out.SlopePerS, _ = r.slope()
	fits := r.fitAll()
	if len(fits) == 0 {
		out.Undecided = "too little of the limit was seen"
		return out
	}
	best := fits[0]
	out.Kind = best.family
	out.RatePerS, out.Burst, out.WindowS = best.rate, best.burst, best.window
	out.Mismatch = best.mismatch
	out.Window = best.kind()
	for i := range fits[1:] {
		m := fits[i+1]
		if m.kind() == best.kind() {
			continue
		}
		out.RunnerUp = &report.ThrottleFit{Kind: m.family, RatePerS: m.rate, Burst: m.burst, WindowS: m.window, Mismatch: m.mismatch}
		if m.misses-best.misses < decisive(r, best) {
			out.Window = undecided
			out.Undecided = fmt.Sprintf("%s explains the answers nearly as well (%d against %d unexplained)", m.family, m.misses, best.misses)
		}
		break
	}
	if best.mismatch > 0.12 {
		out.Window = unexplained
		out.Undecided = fmt.Sprintf("no known kind of limiter explains the answers: the nearest, a %s, leaves %.0f %% of them unexplained", best.family, 100*best.mismatch)
	}
	return out
}

// decisive is by how many more mistakes a runner-up loses.
func decisive(r *record, best model) int {
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
// its kind is the uncertainty; the longer of accepted requests is a queue, not the network, when
// rejections are quick.
func decisions(evs []Event) (hits []hit, queue float64) {
	shortest := map[Outcome]float64{Token: math.Inf(1), Throttled: math.Inf(1)}
	var slow []float64
	for _, e := range evs {
		took := float64(e.TookUS) / 1e6
		if s, ok := shortest[e.Outcome]; ok && took < s {
			shortest[e.Outcome] = took
		}
		if e.Outcome == Throttled {
			slow = append(slow, took)
		}
	}
	slices.Sort(slow)
	bound := math.Inf(1)
	if len(slow) > 0 {
		bound = slow[len(slow)*99/100] - shortest[Throttled]
	}
	longest := 0.0
	for _, e := range evs {
		if e.From != MainClient || e.Outcome != Token && e.Outcome != Throttled || e.Stage == "scope" {
			continue
		}
		sent, took := float64(e.SentUS)/1e6, float64(e.TookUS)/1e6
		extra := took - shortest[e.Outcome]
		if e.Outcome == Token {
			longest = max(longest, extra)
			extra = min(extra, 2*bound)
		}
		hits = append(hits, hit{
			t: sent + shortest[Throttled]/2 + extra/2, u: extra/2 + 0.0003, ok: e.Outcome == Token, spell: e.spell(),
		})
	}
	return hits, longest
}
