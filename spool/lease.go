package spool

import (
	"context"
	"encoding/json"
	"time"
)

// One edge at a time is the courier of what a cluster keeps: the one whose name stands
// in the courier's record, which it renews each second. Where it falls silent another
// takes its place. That spares the edges each other's way and keeps the order; what
// keeps two of them from delivering one message is that each claims it first.

// seek takes the courier's place where it is free and wants says so, and keeps it until
// ctx ends. gained is called whenever it was taken.
func (c *cluster) seek(ctx context.Context, wants func() bool, gained func()) {
	each := time.NewTicker(leaseEvery)
	defer each.Stop()
	for {
		tries := wants() && c.upToDate() && !c.others()
		if tries {
			c.renew(ctx)
		} else if !wants() {
			c.resign(ctx)
		}
		if c.turn() {
			gained()
		}
		// Whoever is not the courier writes nothing by which it would show.
		if !tries && c.failed.Load() && c.answers(ctx) {
			c.went(nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-each.C:
		}
	}
}

// others says whether another edge is the courier, as far as is known.
func (c *cluster) others() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holder != c.edge && c.holder != "" && time.Since(c.seen) < leaseLapse
}

// answers says whether the cluster does.
func (c *cluster) answers(ctx context.Context) bool {
	c.mu.Lock()
	stream := c.stream
	c.mu.Unlock()
	if stream == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, clusterWait)
	defer cancel()
	_, err := stream.Info(ctx)
	return err == nil
}

// turn says whether this edge has become the courier since it was last asked.
func (c *cluster) turn() bool {
	leads := c.leads()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !leads:
		c.led = time.Time{}
	case c.led.IsZero():
		c.led = time.Now()
		return true
	}
	return false
}

// leads says whether this edge is the courier.
func (c *cluster) leads() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holder == c.edge && time.Since(c.held) < leaseLapse
}

// ledFor gives for how long it has been.
func (c *cluster) ledFor() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.led.IsZero() {
		return 0
	}
	return time.Since(c.led)
}

// renew takes the place, or keeps it, where nobody was quicker.
func (c *cluster) renew(ctx context.Context) {
	c.mu.Lock()
	rev := c.rev
	c.mu.Unlock()
	c.sign(ctx, c.edge, rev)
}

// resign gives the place free, where this edge has it.
func (c *cluster) resign(ctx context.Context) {
	c.mu.Lock()
	rev, own := c.rev, c.holder == c.edge
	c.mu.Unlock()
	if own {
		c.sign(ctx, "", rev)
	}
}

func (c *cluster) sign(ctx context.Context, edge string, rev uint64) {
	text, err := json.Marshal(edge)
	if err != nil {
		return // unreachable: a text
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, clusterWait)
	defer cancel()
	if seq, _, err := c.write(ctx, courierSubject, newTag(), text, rev); err == nil {
		c.note(edge, seq, began)
	}
}

// note takes over who is the courier. asked is when this edge asked to be it; zero where
// that was heard from the stream.
func (c *cluster) note(edge string, seq uint64, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq < c.rev {
		return
	}
	if seq > c.rev {
		c.rev, c.holder, c.seen = seq, edge, time.Now()
	}
	if !asked.IsZero() && edge == c.edge {
		c.held = asked
	}
}
