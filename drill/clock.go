package drill

import (
	"context"
	"math"
	"time"
)

// clock counts from the beginning of the flood phase; peace lies before zero.
type clock struct {
	zero time.Time
}

func newClock(peace time.Duration) clock {
	return clock{zero: time.Now().Add(peace)}
}

func (c clock) now() time.Duration { return time.Since(c.zero) }

// second is the number of the second that runs now.
func (c clock) second() int { return secondOf(c.now()) }

func secondOf(t time.Duration) int { return int(math.Floor(t.Seconds())) }

// until waits for a time; false if ctx ended first.
func (c clock) until(ctx context.Context, at time.Duration) bool {
	return rest(ctx, at-c.now())
}

// rest waits; false if ctx ended first.
func rest(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
