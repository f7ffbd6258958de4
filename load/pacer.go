package load

import (
	"context"
	"time"
)

// A pacer lets requests go when they are due. It stops at once when the context ends, and when what
// is left could not be sent within grace of the schedule's end.
type pacer struct {
	ctx   context.Context
	plan  *Schedule
	skip  uint64        // requests of the schedule that an earlier part of the run sent
	back  time.Duration // and how far into the schedule it had come
	grace time.Duration
	timer *time.Timer
}

func newPacer(ctx context.Context, plan *Schedule, skip uint64, back, grace time.Duration) *pacer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &pacer{ctx: ctx, plan: plan, skip: skip, back: back, grace: grace, timer: t}
}

// due is when hit n of this part is due, from its start.
func (p *pacer) due(n uint64) (time.Duration, bool) {
	d, ok := p.plan.At(n + p.skip)
	return d - p.back, ok
}

// Pace waits until the next hit is due. It sleeps itself: who asked it to wait could not be woken.
func (p *pacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if p.ctx.Err() != nil {
		return 0, true
	}
	end := p.plan.Span() - p.back
	if p.plan.Closed() {
		return 0, elapsed >= end
	}
	d, ok := p.due(hits)
	if !ok || elapsed > end+p.grace {
		return 0, true
	}
	wait := d - elapsed
	if wait < 20*time.Microsecond {
		return 0, false
	}
	p.timer.Reset(wait)
	select {
	case <-p.timer.C:
		return 0, false
	case <-p.ctx.Done():
		p.timer.Stop()
		return 0, true
	}
}

// Rate is the rate asked for.
func (p *pacer) Rate(elapsed time.Duration) float64 { return p.plan.Rate(elapsed + p.back) }
