package townsquare

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	// requestCost is the CPU time that net/http and the kernel take for a
	// request besides what its handler does, as measured over loopback.
	requestCost = 100 * time.Microsecond
	// calibrateScan is how many messages the first measurement reads.
	calibrateScan = 500
	// calibrateRounds is how often it is measured, and corrected in between.
	calibrateRounds = 3
	// calibrateBursts is how many bursts of searches a measurement takes; the
	// cheapest counts, as the one that the machine's other work disturbed least.
	calibrateBursts = 6
	// burstTime is the CPU time of a burst at least.
	burstTime = 30 * time.Millisecond
)

// calibrateQueries are searches as people make them: a word or two, most of
// them said somewhere.
var calibrateQueries = []string{"ferry", "blue bicycle", "library", "tomatoes saturday", "storm", "piano", "market square", "zeppelin"}

// calibrate finds how many messages a search may read so that Config.Searches
// of them fill one core, by doing searches and looking at the CPU time that
// this process used. Where there are too few messages more are made.
func (s *server) calibrate(ctx context.Context) error {
	if s.scan == 0 {
		s.scan = min(calibrateScan, s.config.Posts)
	}
	budget := max(time.Second/time.Duration(s.config.Searches)-requestCost, requestCost)
	for round := 1; ; round++ {
		if s.scan > s.config.Posts {
			s.config.Posts = s.scan
			if err := s.store.seed(ctx, s.config, time.Now()); err != nil {
				return err
			}
		}
		cost, err := s.measureSearch(ctx)
		if err != nil {
			return err
		}
		s.searchCost = cost + requestCost
		// Where the system does not tell CPU time, the first guess stays.
		if s.config.Scan > 0 || cost == 0 || round == calibrateRounds {
			return nil
		}
		s.scan = min(max(int(float64(s.scan)*float64(budget)/float64(cost)), 1), ScanMax)
	}
}

// measureSearch gives the CPU time of a search and its page.
func (s *server) measureSearch(ctx context.Context) (time.Duration, error) {
	var least time.Duration
	for i := range calibrateBursts {
		began, done := cpuTime(), 0
		for done < len(calibrateQueries) || cpuTime()-began < burstTime {
			if err := s.trySearch(ctx, calibrateQueries[done%len(calibrateQueries)]); err != nil {
				return 0, fmt.Errorf("townsquare: calibrate: %w", err)
			}
			if done++; done == SearchesMax {
				break // the system does not tell CPU time
			}
		}
		cost := (cpuTime() - began) / time.Duration(done)
		if i == 0 || cost < least {
			least = cost
		}
	}
	return least, nil
}

// trySearch does what a worker does for a search, with nobody to send it to.
func (s *server) trySearch(ctx context.Context, query string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/search?"+url.Values{"q": {query}}.Encode(), nil)
	if err != nil {
		return err
	}
	c := &call{server: s, r: r, ctx: ctx, page: true, header: http.Header{}, now: time.Now()}
	return c.work((*call).searchPage)
}
