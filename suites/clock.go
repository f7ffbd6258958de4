package suites

import (
	"context"
	"sync"
	"time"
)

// Clock tells the time and lets it pass, so that a test can hold both still.
type Clock interface {
	Now() time.Time
	// Sleep returns when d has passed, or earlier with the context's error.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock is the clock of the machine.
type SystemClock struct{}

// Now returns the time of the machine.
func (SystemClock) Now() time.Time { return time.Now() }

// Sleep waits.
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SkippingClock is the clock of the machine, with every sleep skipped: Sleep
// moves it forward at once. A server that reads the same clock expires codes
// and lifts limits in no time. A run that may wait long judges one rule at a time then.
type SkippingClock struct {
	mu      sync.Mutex
	skipped time.Duration
}

// Now returns the time of the machine plus all that was slept.
func (c *SkippingClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.skipped)
}

// Sleep moves the clock forward.
func (c *SkippingClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.skipped += max(0, d)
	c.mu.Unlock()
	return ctx.Err()
}
