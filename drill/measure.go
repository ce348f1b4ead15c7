package drill

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// How the origin is measured before a rehearsal: so many clients ask one
// request after the other for so long.
const (
	measureClients = 6
	measureFor     = 1500 * time.Millisecond
	measureLong    = 4 * time.Second // applications answer a few times a second
)

// The origin sizes itself by its own CPU time. Over sockets, with the words
// that bots search for, it may come out otherwise; then it is started anew with
// so much less or more to read in a search, until it does what the scenario
// says, give or take sizeOff.
const (
	sizeOff   = 0.1
	sizeTries = 3
)

// sizeOrigin measures the started origin and fits it to the scenario.
func (r *rehearsal) sizeOrigin(ctx context.Context) error {
	for try := 1; ; try++ {
		asks := newTeller(r.figures)
		if stats, err := asks.ask(ctx, false); err == nil {
			r.scan = stats.Scan
		}
		asks.close()
		var err error
		if r.capacity, err = r.measure(ctx); err != nil {
			return err
		}
		off := 1.
		if r.spec.Origin.Searches > 0 {
			off = r.capacity.Searches / float64(r.spec.Origin.Searches)
		}
		if math.Abs(off-1) <= sizeOff || r.scan == 0 || try == sizeTries {
			return nil
		}
		r.scan = max(int(float64(r.scan)*off), 1)
		r.get(&r.origin).stop()
		if err := r.startOrigin(ctx); err != nil {
			return err
		}
	}
}

// measure finds out what the origin can do: searches, and what users ask for. It asks the origin directly.
func (r *rehearsal) measure(ctx context.Context) (Capacity, error) {
	searches, err := r.drive(ctx, func(client, n int) string {
		return r.asks.search + squareWords[n%len(squareWords)] + strconv.Itoa(client*1000+n)
	})
	if err != nil {
		return Capacity{}, err
	}
	walks := make([]*walk, measureClients)
	pictures := make([]string, measureClients) // due after the page
	for i := range walks {
		walks[i] = r.sessions.walk(i, time.Second)
	}
	mix, err := r.drive(ctx, func(client, _ int) string {
		if path := pictures[client]; path != "" {
			pictures[client] = ""
			return path
		}
		rank := walks[client].next().rank
		pictures[client] = r.asks.picture(rank)
		return r.asks.page(rank)
	})
	return Capacity{Searches: searches, Mix: mix}, err
}

// drive gives the answers a second that the origin makes of the given paths.
func (r *rehearsal) drive(ctx context.Context, path func(client, n int) string) (float64, error) {
	long := measureFor
	if r.platform != nil {
		long = measureLong
	}
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	var all sync.WaitGroup
	var done atomic.Int64
	began := time.Now()
	for i := range measureClients {
		all.Go(func() {
			c := newFetcher(netip.AddrFrom4([4]byte{127, 0, 0, 1}), near(r.inner), programAgent, false)
			defer c.close()
			for n := 0; ctx.Err() == nil; n++ {
				if a, err := c.do(ctx, "GET", path(i, n), acceptPage, ""); err == nil && a.content() {
					done.Add(1)
				}
			}
		})
	}
	all.Wait()
	if done.Load() == 0 {
		return 0, fmt.Errorf("drill: the origin answers nothing")
	}
	return float64(done.Load()) / time.Since(began).Seconds(), nil
}
