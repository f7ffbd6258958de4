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
	out, _ := fit(l)
	return out
}

func fit(l Log) (report.Throttle, []model) {
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
		return out, nil
	}
	out.Limited = true
	out.SeenUpTo = 0
	out.QueueMS = queue * 1000
	r := newRecord(hits)
	out.SlopePerS, _ = r.slope()
	fits := r.fitAll()
	if len(fits) == 0 {
		out.Undecided = "too little of the limit was seen"
		return out, nil
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
		if m.misses-best.misses < decisive(r, best) || m.mismatch < 8*best.mismatch {
			out.Window = undecided
			out.Undecided = fmt.Sprintf("%s explains the answers nearly as well (%d against %d unexplained)", m.family, m.misses, best.misses)
		}
		break
	}
	if best.mismatch > 0.03 {
		out.Window = unexplained
		out.Undecided = fmt.Sprintf("no known kind of limiter explains the answers: the nearest, a %s, leaves %.0f %% of them unexplained", best.family, 100*best.mismatch)
	}
	return out, fits
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
// its kind is the uncertainty. An accepted request that took much longer than rejections do was
// held back after it: that is a queue, and says nothing about when it was decided. The longest
// such delay is returned in seconds.
func decisions(evs []Event) (hits []hit, queue float64) {
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
	for _, e := range evs {
		if e.From != MainClient || e.Outcome != Token && e.Outcome != Throttled || e.Stage == "scope" {
			continue
		}
		extra := float64(e.TookUS)/1e6 - shortest[e.Outcome]
		h := hit{ok: e.Outcome == Token, spell: e.spell(), t: extra / 2, u: extra / 2}
		if h.ok && extra > 2*bound+0.001 {
			queue = max(queue, extra)
			h.t, h.u = typical/2, bound/2
		}
		h.t += float64(e.SentUS)/1e6 + shortest[Throttled]/2
		h.u += 0.0003
		hits = append(hits, h)
	}
	return hits, queue
}
