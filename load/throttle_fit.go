package load

import (
	"cmp"
	"math"
	"slices"
)

// A hit is one decision of the limiter as the fit sees it: taken somewhere in [t-u, t+u] seconds.
type hit struct {
	t, u   float64
	lo, hi float64
	ok     bool

	hint    float64 // seconds to wait, as told; negative for none
	at      int     // index in the record
	spell   int     // which idle spell it follows, -1 for none
	earlier float64 // accepted answers counted before this one which may have been decided after it
	later   float64 // accepted answers counted after this one which may have been decided before it
	surely  int     // accepted answers decided before this one for certain
	maybe   int     // accepted answers that may have been decided before this one, itself left out
}

// A record is a log made ready for replay.
type record struct {
	hits   []hit // by t, long runs of rejections thinned out
	all    []hit // by t
	los    []float64
	his    []float64 // of accepted hits, each sorted
	oks    []float64 // t of accepted hits
	turns  []turn
	spells []spell
	accept int
	reject int
	span   float64
	trip   float64 // shortest round trip
	best   float64 // mismatch of the best model so far
	margin float64 // by how much worse a model may be and still be of interest
	ucap   float64 // a mismatch in time beyond this costs no more
	uref   float64
}

// A turn is a rejection followed by an acceptance: the limiter opened between lo and hi.
type turn struct {
	lo, hi float64
	dead   float64 // since the acceptance before the rejection
	at     int     // index of the accepted hit
}

func newRecord(hits []hit) *record {
	r := &record{hits: hits}
	slices.SortStableFunc(r.hits, func(a, b hit) int { return cmp.Compare(a.t, b.t) })
	var us []float64
	for i := range r.hits {
		h := &r.hits[i]
		h.lo, h.hi = h.t-h.u, h.t+h.u
		us = append(us, h.u)
		if h.ok {
			r.accept++
			r.los, r.his, r.oks = append(r.los, h.lo), append(r.his, h.hi), append(r.oks, h.t)
		} else {
			r.reject++
		}
	}
	slices.Sort(r.los)
	slices.Sort(r.his)
	slices.Sort(us)
	if len(us) > 0 {
		r.uref = us[len(us)*9/10]
		r.span = r.hits[len(r.hits)-1].t - r.hits[0].t
	}
	r.ucap = max(5*r.uref, 0.01)
	accepted := 0
	lastOK, opened := math.Inf(-1), math.Inf(-1)
	var closed []*hit // rejections since the last turn
	for i := range r.hits {
		h := &r.hits[i]
		h.surely = countBelow(r.his, h.lo)
		h.maybe = countBelow(r.los, h.hi)
		h.earlier = float64(max(0, accepted-h.surely))
		if !h.ok {
			h.later = float64(max(0, h.maybe-accepted))
			closed = append(closed, h)
			continue
		}
		h.maybe--
		for j := len(closed) - 1; j >= 0; j-- {
			if c := closed[j]; c.hi < h.lo && c.t > opened {
				r.turns = append(r.turns, turn{c.lo, h.hi, h.t - lastOK, i})
				opened = h.t
				closed = closed[:0]
				break
			}
		}
		accepted++
		lastOK = h.t
	}
	r.all = r.hits
	r.thin()
	for i := 0; i < len(r.hits); {
		s := spell{i, i, -1}
		for s.to < len(r.hits) && r.hits[s.to].spell == r.hits[i].spell {
			s.to++
		}
		for j, t := range r.turns {
			if t.lo > r.hits[s.from].t && t.at < s.to {
				s.turn = j
				break
			}
		}
		if r.hits[i].spell >= 0 {
			r.spells = append(r.spells, s)
		}
		i = s.to
	}
	return r
}

// thin leaves at most six of each run of rejections: the first and the last two tell when the
// limiter was closed, and a long run must not outweigh everything else.
func (r *record) thin() {
	var kept []hit
	where := make([]int, len(r.hits)) // of each kept hit
	for i := 0; i < len(r.hits); {
		j := i
		for j < len(r.hits) && !r.hits[j].ok && r.hits[j].spell == r.hits[i].spell {
			j++
		}
		if j == i {
			j++
		}
		n := j - i
		for k := i; k < j; k++ {
			if n <= 6 || k < i+2 || k >= j-2 || k == i+n/3 || k == i+2*n/3 {
				where[k] = len(kept)
				kept = append(kept, r.hits[k])
			}
		}
		i = j
	}
	for i := range r.turns {
		r.turns[i].at = where[r.turns[i].at]
	}
	for i := range kept {
		kept[i].at = i
	}
	r.hits = kept
	r.reject = len(kept) - r.accept
}

// countBelow returns how many of the sorted xs are less than x.
func countBelow(xs []float64, x float64) int {
	n, _ := slices.BinarySearch(xs, x)
	return n
}

// Families of limiters, as reports name them.
const (
	tokenBucket  = "token bucket"
	clockWindow  = "fixed window on the clock"
	firstWindow  = "fixed window from the first request"
	slidingLog   = "sliding log"
	slidingCount = "sliding counter"
)

// complexity is the mismatch a family has to save over a simpler one: a more pliable family
// explains more by chance.
var complexity = map[string]float64{
	tokenBucket: 0, firstWindow: 0.001, clockWindow: 0.001, slidingLog: 0.001, slidingCount: 0.003,
}

// A model is one family with its parameters, and how well it explains a record.
type model struct {
	family string
	rate   float64 // per second, sustained
	burst  float64 // bucket size or limit of a window
	window float64 // seconds, 0 for a bucket
	phase  float64 // of clock-aligned windows
	delta  float64 // sliding counter: accepts while estimate+delta <= limit

	misses    int     // answers it cannot explain, whatever their true time
	loss      float64 // seconds by which decisions are off, as timed
	missA     int     // of misses, accepted
	mismatch  float64 // share of answers unexplained, acceptances and rejections weighted alike
	low, high float64 // interval of rate

	perA, perR float64 // what one unexplained answer weighs
	missed     *[]int  // where the unexplained answers are kept, if anywhere
	most       float64 // give up a replay whose mismatch exceeds it; 0 for never
	gave       bool
}

// kind is what --limit-kind calls the family.
func (m model) kind() string {
	switch m.family {
	case tokenBucket:
		return "bucket"
	case clockWindow, firstWindow:
		return "fixed"
	}
	return "sliding"
}

func (m *model) better(o *model) bool {
	if a, b := m.mismatch+complexity[m.family], o.mismatch+complexity[o.family]; a != b {
		return a < b
	}
	return m.loss < o.loss
}

func (r *record) score(m *model) {
	m.misses, m.missA, m.loss, m.gave = 0, 0, 0, false
	m.perA, m.perR = 0.5/float64(max(1, r.accept)), 0.5/float64(max(1, r.reject))
	switch m.family {
	case tokenBucket:
		r.replayBucket(m)
	case clockWindow:
		r.replayClock(m)
	case firstWindow:
		r.replayFirst(m)
	case slidingLog:
		r.replayLog(m)
	default:
		r.replayCounter(m)
	}
	m.weigh()
}

func (m *model) weigh() {
	m.mismatch = m.perA*float64(m.missA) + m.perR*float64(m.misses-m.missA)
	if m.gave {
		m.mismatch = 1
	}
}

// miss counts an answer that the model cannot explain.
func (m *model) miss(h *hit) {
	m.misses++
	if m.missed != nil {
		*m.missed = append(*m.missed, h.at)
	}
	if h.ok {
		m.missA++
	}
	if m.most > 0 && m.perA*float64(m.missA)+m.perR*float64(m.misses-m.missA) > m.most {
		m.gave = true
	}
}

// replayBucket feeds the record to a bucket of m.burst tokens filled at m.rate. The state advances
// on the observed decision, and is set right after a mismatch, so that one mistimed answer costs
// one mismatch and no more.
func (r *record) replayBucket(m *model) {
	level, last := m.burst, r.hits[0].t // as of the latest acceptance
	for i := range r.hits {
		if m.gave {
			return
		}
		h := &r.hits[i]
		raw := level + m.rate*(h.t-last)
		slack := m.rate*(h.u+r.uref) + 1e-6
		if h.ok {
			level, last = min(m.burst, raw), h.t
			if short := 1 - level; short > 0 {
				m.loss += min(short/m.rate, r.ucap)
				if short-h.earlier > slack {
					m.miss(h)
					level = 1
				}
			}
			level--
			continue
		}
		if under := -raw - h.earlier; under > slack {
			m.miss(h)
			level += under
			raw += under
		}
		if over := raw - 1; over >= 0 {
			m.loss += min(over/m.rate, r.ucap)
			if over-h.later > slack {
				m.miss(h)
				level -= over
			}
		}
	}
}

// windowAt judges one hit against the window that starts at s: how many were surely and how many
// were possibly accepted in it before.
func (r *record) windowAt(h *hit, s float64) (least, most int) {
	least = h.surely - countBelow(r.los, s)
	most = h.maybe - countBelow(r.his, s)
	return max(0, least), max(0, most)
}

func (r *record) replayClock(m *model) {
	limit := int(m.burst)
	end := math.Inf(-1)
	var s float64
	var pl, ph int
	for i := range r.hits {
		h := &r.hits[i]
		if h.t >= end {
			s = m.phase + math.Floor((h.t-m.phase)/m.window)*m.window
			end = s + m.window
			pl, ph = countBelow(r.los, s), countBelow(r.his, s)
		}
		if fits(h.ok, max(0, h.surely-pl), max(0, h.maybe-ph), limit) {
			continue
		}
		// Near an edge the neighbouring window may be the true one.
		before, after := h.t-s, end-h.t
		off := min(before, after)
		m.loss += min(off, r.ucap)
		if off <= h.u {
			other := end
			if before < after {
				other = s - m.window
			}
			if least, most := r.windowAt(h, other); fits(h.ok, least, most, limit) {
				continue
			}
		}
		m.miss(h)
	}
}

func fits(ok bool, least, most, limit int) bool {
	if ok {
		return least < limit
	}
	return most >= limit && least <= limit
}

func (r *record) replayFirst(m *model) {
	limit := int(m.burst)
	s, su := math.Inf(-1), 0.0
	for i := range r.hits {
		h := &r.hits[i]
		end := s + m.window
		slack := h.u + su
		if h.ok {
			least, _ := r.windowAt(h, s-su)
			switch {
			case h.t >= end:
				s, su = h.t, h.u
			case least < limit:
			case h.t+slack >= end:
				m.loss += min(end-h.t, r.ucap)
				s, su = h.t, h.u
			default:
				m.loss += min(end-h.t, r.ucap)
				m.miss(h)
			}
			continue
		}
		_, most := r.windowAt(h, s-su)
		least := h.surely - countBelow(r.los, s)
		if h.t < end && most >= limit && least <= limit {
			continue
		}
		off := h.t - end
		m.loss += min(max(off, 0), r.ucap)
		if most >= limit && least <= limit && off <= slack {
			continue
		}
		if m.miss(h); m.gave {
			return
		}
	}
}

func (r *record) replayLog(m *model) {
	limit := int(m.burst)
	var pl, ph, n int
	for i := range r.hits {
		h := &r.hits[i]
		pl = seek(r.los, pl, h.hi-m.window+1e-9)
		ph = seek(r.his, ph, h.lo-m.window)
		if !fits(h.ok, h.surely-pl, h.maybe-ph, limit) {
			if m.miss(h); m.gave {
				return
			}
		}
		if n >= limit {
			// As timed: the limit-th acceptance back decides.
			age := h.t - r.oks[n-limit]
			if h.ok {
				m.loss += min(max(0, m.window-age), r.ucap)
			} else {
				m.loss += min(max(0, age-m.window), r.ucap)
			}
		}
		if h.ok {
			n++
		}
	}
}

// seek is countBelow from a guess near by.
func seek(xs []float64, n int, x float64) int {
	for n < len(xs) && xs[n] < x {
		n++
	}
	for n > 0 && xs[n-1] >= x {
		n--
	}
	return n
}

func (r *record) replayCounter(m *model) {
	per := m.window / m.burst // seconds in which the estimate falls by about one
	end := math.Inf(-1)
	var s float64
	var w edges
	for i := range r.hits {
		h := &r.hits[i]
		if h.t >= end {
			s = m.phase + math.Floor((h.t-m.phase)/m.window)*m.window
			end = s + m.window
			w = r.edges(s, m.window)
		}
		least, most := w.estimate(h, s, m.window)
		if m.counts(h.ok, least, most) {
			continue
		}
		if h.ok {
			m.loss += min((least+m.delta-m.burst)*per, r.ucap)
		} else {
			m.loss += min(math.Abs(m.burst-most-m.delta)*per, r.ucap)
		}
		if before, after := h.t-s, end-h.t; min(before, after) <= h.u {
			other := end
			if before < after {
				other = s - m.window
			}
			o := r.edges(other, m.window)
			if m.counts(h.ok, first(o.estimate(h, other, m.window)), second(o.estimate(h, other, m.window))) {
				continue
			}
		}
		m.miss(h)
	}
}

func first(a, _ float64) float64  { return a }
func second(_, b float64) float64 { return b }

// edges counts acceptances around the start of a window and of the one before.
type edges struct{ lo, hi, prevLo, prevHi int }

func (r *record) edges(s, window float64) edges {
	return edges{countBelow(r.los, s), countBelow(r.his, s), countBelow(r.los, s-window), countBelow(r.his, s-window)}
}

// estimate is the weighted count of a sliding counter, at least and at most.
func (e edges) estimate(h *hit, s, window float64) (least, most float64) {
	early := max(0, min(1, (h.lo-s)/window))
	late := max(0, min(1, (h.hi-s)/window))
	least = float64(max(0, e.hi-e.prevLo))*(1-late) + float64(max(0, h.surely-e.lo))
	most = float64(max(0, e.lo-e.prevHi))*(1-early) + float64(max(0, h.maybe-e.hi))
	return least, most
}

// counts tells whether a sliding counter may have decided ok.
func (m *model) counts(ok bool, least, most float64) bool {
	const tiny = 1e-9
	switch {
	case ok && m.delta == 0:
		return least < m.burst-tiny
	case ok:
		return least+m.delta <= m.burst+tiny
	case m.delta == 0:
		return most >= m.burst-tiny && least < m.burst+1-tiny
	case least > m.burst+tiny:
		return false
	}
	return most+m.delta > m.burst+tiny
}

// fitAll returns the best model of each family, the best first.
func (r *record) fitAll() []model {
	r.best, r.margin = 1, 0.25
	bursts := r.bursts()
	slope, late := r.slope()
	var out []model
	for _, f := range []func([]int, float64) (model, bool){
		r.fitBucket, r.fitClock, r.fitFirst, r.fitLog,
		func(bursts []int, slope float64) (model, bool) { return r.fitCounter(bursts, slope, late) },
	} {
		// A window shorter than the time of a decision is known explains anything.
		if m, ok := f(bursts, slope); ok && (m.window == 0 || m.window > 4*r.uref) {
			out = append(out, m)
			r.best = min(r.best, m.mismatch)
		}
	}
	slices.SortStableFunc(out, func(a, b model) int { // the simpler first among equals
		if a.better(&b) {
			return -1
		}
		if b.better(&a) {
			return 1
		}
		return 0
	})
	return out
}

// A spell is a stretch of the record that began with a limiter at rest: hits[from:to]. Its first
// turn, if there is one, is turns[turn].
type spell struct{ from, to, turn int }

// bursts returns how many were accepted in each spell before the limiter, closed, opened again:
// the limit of a window, and of a bucket its size with what flowed in meanwhile.
func (r *record) bursts() (out []int) {
	for _, s := range r.spells {
		if s.turn < 0 {
			continue
		}
		n := 0
		for _, h := range r.hits[s.from:r.turns[s.turn].at] {
			if h.ok {
				n++
			}
		}
		out = append(out, n)
	}
	return out
}

// slope is the acceptances per second under saturation: from the first turn of the first spell
// to its last acceptance. late leaves out the first two fifths, when a sliding counter that was
// caught between two windows lets less through.
func (r *record) slope() (all, late float64) {
	for _, s := range r.spells {
		if s.turn < 0 {
			continue
		}
		var ts []float64
		for _, h := range r.hits[r.turns[s.turn].at:s.to] {
			if h.ok {
				ts = append(ts, h.t)
			}
		}
		if n := len(ts) - 1; n > 0 {
			k := n * 2 / 5
			return float64(n) / (ts[n] - ts[0]), float64(n-k) / (ts[n] - ts[k])
		}
	}
	return 0, 0
}

// search minimizes over one parameter: a grid of n steps over lo…hi, then finer grids around the
// best. Of a flat optimum it returns the middle.
func (r *record) search(m model, lo, hi float64, n, levels int, set func(*model, float64)) model {
	best := m
	r.score(&best)
	scored := make([]model, n+1)
	for range levels {
		step := (hi - lo) / float64(n)
		top := 0
		for i := range scored {
			c := m
			set(&c, lo+float64(i)*step)
			c.most = min(best.mismatch, scored[top].mismatch)
			if i == 0 {
				c.most = best.mismatch
			}
			c.most = r.bound(c.most)
			r.score(&c)
			scored[i] = c
			if c.better(&scored[top]) {
				top = i
			}
		}
		end := top
		for end < n && !scored[top].better(&scored[end+1]) {
			end++
		}
		x := lo + float64(top+end)/2*step
		c := m
		set(&c, x)
		c.most = 0
		r.score(&c)
		if best.better(&c) && scored[top].better(&c) {
			c, x = scored[top], lo+float64(top)*step
		}
		if !best.better(&c) {
			best = c
		}
		lo, hi = x-step, x+step
	}
	best.most = 0
	r.score(&best)
	return best
}

// bound is where a replay may be given up: when it is worse than the best of its family, or
// hopeless against the best of all.
func (r *record) bound(own float64) float64 { return max(1e-9, min(own, r.best+r.margin)) }

func (r *record) fitBucket(bursts []int, slope float64) (model, bool) {
	if slope <= 0 || len(bursts) == 0 {
		return model{}, false
	}
	setRate := func(m *model, x float64) { m.rate = x }
	top := bursts[0]
	lo, hi := slope*0.95, slope*1.05
	if top <= 4 {
		lo, hi = slope*0.8, slope*1.5 // a lone token waits for the next request: the slope runs low
	}
	// A full bucket lasts for the burst less what flowed in meanwhile; some was spent before it.
	small := max(1, top-int(hi*r.burstTime())-2)
	step := max(1, (top+3-small)/10)
	var best model
	found := false
	for b := small; b <= top+3; b += step {
		m := r.search(model{family: tokenBucket, burst: float64(b), rate: slope}, lo, hi, 40, 1, setRate)
		if !found || m.better(&best) {
			best, found = m, true
		}
	}
	for range 3 {
		center := best.burst
		for b := max(1, center-float64(step)-2); b <= center+float64(step)+2; b++ {
			c := best
			c.burst = b
			r.score(&c)
			if c.better(&best) {
				best = c
			}
		}
		step = 1
		width := (hi - lo) / 20
		best = r.search(best, best.rate-width, best.rate+width, 40, 3, setRate)
		if best.burst == center {
			break
		}
	}
	return best, true
}

// burstTime is how long the first burst lasted, until the limiter opened again.
func (r *record) burstTime() float64 {
	for _, s := range r.spells {
		if s.turn >= 0 {
			return r.hits[r.turns[s.turn].at].t - r.hits[s.from].t
		}
	}
	return 0
}

// periods proposes lengths of a fixed window: from one turn to the next is one, unless a window
// between was not used up. least and most bound it between two turns.
func (r *record) periods(between func(a, b turn) (least, most float64)) []float64 {
	type mark struct {
		x float64
		d int
	}
	var marks []mark
	for i := 1; i < len(r.turns); i++ {
		least, most := between(r.turns[i-1], r.turns[i])
		if most > 0 {
			marks = append(marks, mark{max(0, least), 1}, mark{most, -1})
		}
	}
	slices.SortFunc(marks, func(a, b mark) int { return cmp.Or(cmp.Compare(a.x, b.x), cmp.Compare(b.d, a.d)) })
	type spot struct {
		x float64
		n int
	}
	var spots []spot
	n := 0
	for i, m := range marks {
		n += m.d
		if m.d > 0 && i+1 < len(marks) && marks[i+1].d < 0 {
			spots = append(spots, spot{(m.x + marks[i+1].x) / 2, n})
		}
	}
	slices.SortStableFunc(spots, func(a, b spot) int { return cmp.Compare(b.n, a.n) })
	var out []float64
	for _, s := range spots[:min(3, len(spots))] {
		out = append(out, s.x)
	}
	return out
}

// align finds the clock of a fixed window near w: each turn must hold an edge phase+k·window.
// Turns are numbered outward from the first; those that no number fits are left out.
func align(ts []turn, w float64) (window, phase float64, used int) {
	if len(ts) == 0 {
		return w, 0, 0
	}
	lo, hi := w*0.93, w*1.07
	type numbered struct {
		k float64
		turn
	}
	edges := []numbered{{0, ts[0]}}
	for pass := 0; pass < 2; pass++ {
		for _, t := range ts[1:] {
			dl, dh := t.lo-ts[0].hi, t.hi-ts[0].lo
			kl, kh := math.Ceil(dl/hi-1e-9), math.Floor(dh/lo+1e-9)
			if kl != kh || kl < 1 {
				continue
			}
			nl, nh := max(lo, dl/kl), min(hi, dh/kl)
			if nl > nh {
				continue
			}
			lo, hi = nl, nh
			if pass == 1 {
				edges = append(edges, numbered{kl, t})
			}
		}
	}
	for i := range edges {
		for j := range edges[:i] {
			d := edges[i].k - edges[j].k
			if d <= 0 {
				continue
			}
			nl, nh := max(lo, (edges[i].lo-edges[j].hi)/d), min(hi, (edges[i].hi-edges[j].lo)/d)
			if nl <= nh {
				lo, hi = nl, nh
			}
		}
	}
	window = (lo + hi) / 2
	pl, ph := math.Inf(-1), math.Inf(1)
	for _, e := range edges {
		l, h := e.lo-e.k*window, e.hi-e.k*window
		if max(pl, l) <= min(ph, h) {
			pl, ph = max(pl, l), min(ph, h)
		}
	}
	return window, (pl + ph) / 2, len(edges)
}

func cutoff(best model, found bool) float64 {
	if found {
		return best.mismatch
	}
	return 1
}

func (r *record) fitClock(bursts []int, slope float64) (model, bool) {
	var best model
	found := false
	for _, w0 := range r.periods(func(a, b turn) (float64, float64) { return b.lo - a.hi, b.hi - a.lo }) {
		w, phase, used := align(r.turns, w0)
		if used < 2 {
			continue
		}
		m := model{family: clockWindow, window: w, phase: phase}
		limit := r.fullest(w, phase)
		for l := max(1, limit-1); l <= limit+1; l++ {
			c := m
			c.burst = float64(l)
			c.most = r.bound(cutoff(best, found))
			r.score(&c)
			if !found || c.better(&best) {
				best, found = c, true
			}
		}
	}
	if !found {
		return best, false
	}
	best = r.tune(best, 2*r.uref, 0.0005)
	best.rate = best.burst / best.window
	return best, true
}

// fullest is the usual number of acceptances in those windows in which something was rejected.
func (r *record) fullest(w, phase float64) int {
	count := map[int]int{}
	full := map[int]bool{}
	for i := range r.hits {
		k := int(math.Floor((r.hits[i].t - phase) / w))
		if r.hits[i].ok {
			count[k]++
		} else {
			full[k] = true
		}
	}
	var ns []int
	for k := range full {
		ns = append(ns, count[k])
	}
	if len(ns) == 0 {
		return 1
	}
	slices.Sort(ns)
	return ns[len(ns)/2]
}

func (r *record) fitFirst(bursts []int, slope float64) (model, bool) {
	var best model
	found := false
	setWindow := func(m *model, x float64) { m.window = x }
	for _, w := range r.periods(func(a, b turn) (float64, float64) { return b.lo - a.hi, b.hi - r.hits[a.at].lo }) {
		for _, l := range candidates(bursts) {
			m := model{family: firstWindow, window: w, burst: float64(l)}
			m.most = r.bound(cutoff(best, found))
			r.score(&m)
			if !found || m.better(&best) {
				best, found = m, true
			}
		}
	}
	if !found {
		return best, false
	}
	best = r.search(best, best.window*0.98, best.window*1.02, 40, 3, setWindow)
	best.rate = best.burst / best.window
	return best, true
}

// candidates are the limits that the bursts suggest: themselves, a few more (a burst may have
// found some spent already) and half of the largest (it may have straddled two windows).
func candidates(bursts []int) []int {
	var out []int
	for i, b := range bursts {
		out = append(out, b)
		if i == 0 {
			out = append(out, b+1, b+2, b+3, (b+1)/2)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(b int) bool { return b < 1 })
}

func (r *record) fitLog(bursts []int, slope float64) (model, bool) {
	var best model
	found := false
	for _, l := range candidates(bursts) {
		w, ok := r.logWindow(l)
		if !ok {
			continue
		}
		m := model{family: slidingLog, burst: float64(l), window: w}
		m.most = r.bound(cutoff(best, found))
		r.score(&m)
		if !found || m.better(&best) {
			best, found = m, true
		}
	}
	if !found {
		return best, false
	}
	best = r.search(best, best.window-4*r.uref, best.window+4*r.uref, 16, 2, func(m *model, x float64) { m.window = x })
	best.rate = best.burst / best.window
	return best, true
}

// logWindow finds the window for which the age of the limit-th acceptance back tells acceptances
// (older) from rejections (younger) with the fewest errors; of equals the middle.
func (r *record) logWindow(limit int) (float64, bool) {
	type age struct {
		x  float64
		ok bool
	}
	var ages []age
	n, rejected := 0, 0
	for i := range r.hits {
		h := &r.hits[i]
		if n >= limit {
			ages = append(ages, age{h.t - r.oks[n-limit], h.ok})
			if !h.ok {
				rejected++
			}
		}
		if h.ok {
			n++
		}
	}
	if rejected == 0 || len(ages) == rejected {
		return 0, false
	}
	slices.SortFunc(ages, func(a, b age) int { return cmp.Compare(a.x, b.x) })
	// window between ages[i-1] and ages[i]: acceptances below and rejections above are wrong
	wrong := rejected
	fewest, from, to := math.MaxInt, 0.0, 0.0
	for i, a := range ages {
		if wrong < fewest {
			fewest = wrong
			from, to = 0, a.x
			if i > 0 {
				from = ages[i-1].x
			}
		} else if wrong == fewest {
			to = a.x
		}
		if a.ok {
			wrong++
		} else {
			wrong--
		}
	}
	return (from + to) / 2, true
}

func (r *record) fitCounter(bursts []int, slope, late float64) (model, bool) {
	if slope <= 0 || len(r.turns) == 0 {
		return model{}, false
	}
	// After an idle spell the first opening is an edge of the clock, unless the burst straddled one.
	var anchors []turn
	for _, sp := range r.spells {
		if sp.turn >= 0 {
			anchors = append(anchors, r.turns[sp.turn])
		}
	}
	// A few windows about an anchor tell which limits and windows to try on the whole record.
	type start struct {
		model
		near *record
		edge float64
	}
	var starts []start
	for _, a := range anchors {
		edge := (a.lo + a.hi) / 2
		var near *record
		for _, l := range candidates(bursts) {
			limit := float64(l)
			for delta := 0.0; delta < min(2, limit); delta++ {
				// The steady rate of a strict counter is up to one per window lower.
				lo, hi := (limit-delta)/max(slope, late)*0.97, limit/min(slope, late)*1.03
				if near == nil {
					near = r.near(edge, 6*hi)
				}
				for shift := 0.0; shift <= delta; shift++ { // it opens a little after the edge
					set := func(m *model, w float64) { m.window, m.phase = w, edge-shift*w/limit }
					m := model{family: slidingCount, burst: limit, delta: delta}
					set(&m, (lo+hi)/2)
					m = near.search(m, lo, hi, int(30*max(1, (hi/lo-1)/0.06)), 1, set)
					near.best = min(near.best, m.mismatch)
					starts = append(starts, start{m, near, edge})
				}
			}
		}
	}
	slices.SortStableFunc(starts, func(a, b start) int { return cmp.Compare(a.mismatch, b.mismatch) })
	var best model
	found := false
	for _, s := range starts[:min(6, len(starts))] {
		if s.mismatch > 0.3 || r.best < 0.005 && s.mismatch > 0.1 {
			break
		}
		m := s.model
		reach := max(0.02, 1.2/m.burst) * m.window
		m = s.near.search(m, m.phase-reach, m.phase+reach, 30, 2, func(m *model, x float64) { m.phase = x })
		// The longer the stretch, the finer the window has to be known. It turns about the anchor.
		for _, stage := range []struct{ span, share float64 }{{6, 0.01}, {20, 0.004}, {math.Inf(1), 0.0015}} {
			part := r
			if w := stage.span * m.window; w < r.span {
				part = r.near(s.edge, w)
			}
			k := math.Round((s.edge - m.phase) / m.window)
			pivot := m.phase + k*m.window
			m = part.search(m, m.window*(1-stage.share), m.window*(1+stage.share), 40, 1, func(m *model, w float64) {
				m.window, m.phase = w, pivot-k*w
			})
		}
		if !found || m.better(&best) {
			best, found = m, true
			r.best = min(r.best, best.mismatch)
		}
	}
	if !found {
		return best, false
	}
	best = r.tune(best, 0.01*best.window, 0.0005)
	best.rate = best.burst / best.window
	return best, true
}

// tune settles the clock of a model: its phase within reach seconds, its window within a share.
func (r *record) tune(m model, reach, share float64) model {
	for range 2 {
		m = r.search(m, m.phase-reach, m.phase+reach, 20, 2, func(m *model, x float64) { m.phase = x })
		// The window turns about the middle of the record, so that the phase need not follow.
		k := math.Round((r.hits[0].t + r.span/2 - m.phase) / m.window)
		pivot := m.phase + k*m.window
		m = r.search(m, m.window*(1-share), m.window*(1+share), 20, 2, func(m *model, w float64) {
			m.window, m.phase = w, pivot-k*w
		})
	}
	return m
}

// near is the part of the record within span seconds of t; its counts stay those of the whole.
func (r *record) near(t, span float64) *record {
	part := *r
	part.hits, part.accept, part.reject, part.best, part.margin = nil, 0, 0, 1, 0.05
	for _, h := range r.hits {
		if math.Abs(h.t-t) > span {
			continue
		}
		part.hits = append(part.hits, h)
		if h.ok {
			part.accept++
		} else {
			part.reject++
		}
	}
	return &part
}
