package townsquare

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// statusMax is one more than the largest status told apart.
const statusMax = 600

// routeStats counts the answers of one route in one window.
type routeStats struct {
	statuses [statusMax]atomic.Uint64
	gone     atomic.Uint64 // of them, those whose client was no longer there
	times    histogram
}

// window is what was counted since it began. Its routes never change.
type window struct {
	began       time.Time
	cpu         time.Duration
	routes      map[string]*routeStats
	maxInFlight atomic.Int64
}

// stats is how the platform sees itself, for the rehearsal: the time it takes
// is from a handler's start to its end, the wait for a worker included, and
// streams excluded. It is safe for concurrent use.
type stats struct {
	names    []string
	current  atomic.Pointer[window]
	inFlight atomic.Int64
	turning  sync.Mutex // one window ends at a time
}

func newStats(names []string) *stats {
	s := &stats{names: names}
	s.turn()
	return s
}

// turn begins a new window and gives the one that ends; nil the first time.
func (s *stats) turn() *window {
	s.turning.Lock()
	defer s.turning.Unlock()
	next := &window{began: time.Now(), cpu: cpuTime(), routes: make(map[string]*routeStats, len(s.names))}
	for _, name := range s.names {
		next.routes[name] = new(routeStats)
	}
	next.maxInFlight.Store(s.inFlight.Load())
	return s.current.Swap(next)
}

// watch counts what a handler does under the name of a route.
func (s *stats) watch(name string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		now := s.inFlight.Add(1)
		for seen := &s.current.Load().maxInFlight; ; {
			most := seen.Load()
			if now <= most || seen.CompareAndSwap(most, now) {
				break
			}
		}
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			s.inFlight.Add(-1)
			route := s.current.Load().routes[name]
			route.statuses[min(rec.status, statusMax-1)].Add(1)
			if r.Context().Err() != nil {
				route.gone.Add(1)
			}
			if !rec.stream {
				route.times.add(time.Since(began))
			}
		}()
		next(rec, r)
	}
}

// recorder notes the status that is answered.
type recorder struct {
	http.ResponseWriter
	status int
	stream bool
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// routeReport and report are what /stats answers.
type routeReport struct {
	Count    uint64            `json:"count"`
	Statuses map[string]uint64 `json:"statuses"`
	Gone     uint64            `json:"gone"`
	Latency  latency           `json:"latency_ms"`
}

type report struct {
	Began       time.Time              `json:"began"`
	Seconds     float64                `json:"seconds"`
	Routes      map[string]routeReport `json:"routes"`
	All         routeReport            `json:"all"`
	InFlight    int64                  `json:"in_flight"`
	MaxInFlight int64                  `json:"max_in_flight"`
	Waiting     int64                  `json:"waiting"`
	Streams     int                    `json:"streams"`
	CPUSeconds  float64                `json:"cpu_seconds"`       // of the process, in the window
	CPUTotal    float64                `json:"cpu_seconds_total"` // of the process, since it began
	RSSBytes    uint64                 `json:"rss_bytes"`
	Scan        int                    `json:"scan"`
	SearchMS    float64                `json:"search_ms"`
	Procs       int                    `json:"procs"`
	PID         int                    `json:"pid"`
}

// report gives a window's figures; routes that nobody asked for are left out.
func (s *stats) report(w *window, now time.Time) report {
	cpu := cpuTime()
	rep := report{
		Began: w.began, Seconds: now.Sub(w.began).Seconds(), Routes: map[string]routeReport{},
		InFlight: s.inFlight.Load(), MaxInFlight: w.maxInFlight.Load(),
		CPUSeconds: (cpu - w.cpu).Seconds(), CPUTotal: cpu.Seconds(), RSSBytes: residentBytes(), PID: os.Getpid(),
	}
	rep.All.Statuses = map[string]uint64{}
	var times []*histogram
	for name, route := range w.routes {
		one := route.report()
		if one.Count == 0 {
			continue
		}
		rep.Routes[name] = one
		rep.All.Count += one.Count
		rep.All.Gone += one.Gone
		for status, n := range one.Statuses {
			rep.All.Statuses[status] += n
		}
		times = append(times, &route.times)
	}
	_, rep.All.Latency = summarize(times...)
	return rep
}

func (r *routeStats) report() routeReport {
	one := routeReport{Statuses: map[string]uint64{}, Gone: r.gone.Load()}
	for status := range r.statuses {
		if n := r.statuses[status].Load(); n > 0 {
			one.Statuses[strconv.Itoa(status)] = n
			one.Count += n
		}
	}
	_, one.Latency = summarize(&r.times)
	return one
}

// serveStats answers /stats to this machine only; ?reset=1 ends the window it
// reports. It needs no worker, so it answers while the rest is late.
func (s *server) serveStats(w http.ResponseWriter, r *http.Request) {
	if !fromHere(r) {
		http.NotFound(w, r)
		return
	}
	var win *window
	if r.URL.Query().Get("reset") == "1" {
		win = s.stats.turn()
	} else {
		win = s.stats.current.Load()
	}
	rep := s.stats.report(win, time.Now())
	rep.Waiting, rep.Streams = s.workers.waiting.Load(), s.hub.size()
	rep.Scan, rep.SearchMS, rep.Procs = s.scan, float64(s.searchCost.Microseconds())/1000, s.config.Procs
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(rep) // a client that has gone needs no report
}

// fromHere tells whether a request comes from this machine itself. One that
// something in front has forwarded does not, wherever that runs.
func fromHere(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	if peer.Addr().Unmap().IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.AddrPort().Addr().Unmap() == peer.Addr().Unmap()
}
