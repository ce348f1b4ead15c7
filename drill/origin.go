package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"
)

// originStats is what townsquare says of itself at /stats.
type originStats struct {
	Seconds     float64               `json:"seconds"`
	MaxInFlight int                   `json:"max_in_flight"`
	Scan        int                   `json:"scan"`
	CPUSeconds  float64               `json:"cpu_seconds"`
	Procs       int                   `json:"procs"`
	Routes      map[string]routeStats `json:"routes"`
	All         routeStats            `json:"all"`
}

type routeStats struct {
	Count   int `json:"count"`
	Latency struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	} `json:"latency_ms"`
}

// statsWait is how long the origin may take to tell its figures.
const statsWait = 3 * time.Second

// teller asks the origin for its own figures, over one kept connection: new
// ones may no longer be taken when it is asked. Not safe for concurrent use.
type teller struct {
	http *http.Transport
	at   netip.AddrPort
}

func newTeller(at netip.AddrPort) *teller {
	return &teller{http: &http.Transport{MaxIdleConnsPerHost: 1}, at: at}
}

func (t *teller) close() { t.http.CloseIdleConnections() }

// ask reads the figures; reset begins a new window.
func (t *teller) ask(ctx context.Context, reset bool) (originStats, error) {
	var s originStats
	ctx, cancel := context.WithTimeout(ctx, statsWait)
	defer cancel()
	url := "http://" + t.at.String() + "/stats"
	if reset {
		url += "?reset=1"
	}
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return s, fmt.Errorf("drill: origin: %w", err)
	}
	resp, err := t.http.RoundTrip(req)
	if err != nil {
		return s, fmt.Errorf("drill: origin: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("drill: origin: /stats answers %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, BodyBytesMax))
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, fmt.Errorf("drill: origin: %w", err)
	}
	return s, nil
}

func (s *originStats) in(phase string) AtOrigin {
	a := AtOrigin{
		Phase: phase, Seconds: s.Seconds, Requests: s.All.Count, MostOpen: s.MaxInFlight,
		P50: s.All.Latency.P50, P99: s.All.Latency.P99, Routes: map[string]AtRoute{},
	}
	if s.Seconds > 0 {
		a.Rate = float64(a.Requests) / s.Seconds
		a.Busy = s.CPUSeconds / s.Seconds / float64(max(s.Procs, 1))
	}
	for name, r := range s.Routes {
		a.Routes[name] = AtRoute{Requests: r.Count, P50: r.Latency.P50, P99: r.Latency.P99}
	}
	return a
}

// stallBeat is the length of one stop and go of a stalling origin.
const stallBeat = 200 * time.Millisecond

// stall lets a process stand still for a share of the time, until ctx ends.
func stall(ctx context.Context, c *child, part float64) {
	still := time.Duration(part * float64(stallBeat))
	for !c.ended() {
		halt(c.cmd.Process)
		on := rest(ctx, still)
		resume(c.cmd.Process)
		if !on || !rest(ctx, stallBeat-still) {
			return
		}
	}
}
