package townsquare

import (
	"context"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

func TestHistogramTellsQuantiles(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	var h histogram
	var all []float64
	for range 20_000 {
		us := math.Exp(dice.Float64() * 17) // 1 µs to 24 s
		h.add(time.Duration(us) * time.Microsecond)
		all = append(all, math.Floor(us)/1000)
	}
	slices.Sort(all)
	n, got := summarize(&h)
	if n != 20_000 {
		t.Errorf("%d counted", n)
	}
	for q, value := range map[float64]float64{0.5: got.P50, 0.9: got.P90, 0.99: got.P99, 1: got.Max} {
		want := all[int(q*float64(len(all)-1))]
		if math.Abs(value-want) > 0.07*want {
			t.Errorf("quantile %v is %v, want %v", q, value, want)
		}
	}
}

func TestHistogramBuckets(t *testing.T) {
	last := -1
	for us := uint64(0); us < 1<<20; us++ {
		b := bucket(us)
		if b != last && b != last+1 {
			t.Fatalf("%d µs is in bucket %d after %d", us, b, last)
		}
		if float64(us) > upper(b) || b > 0 && float64(us) <= upper(b-1) {
			t.Fatalf("%d µs is in bucket %d, which ends at %v", us, b, upper(b))
		}
		last = b
	}
	if b := bucket(math.MaxInt64); b != histogramBuckets-1 {
		t.Errorf("the longest is in bucket %d", b)
	}
	var h histogram
	h.add(-time.Second)
	if n, got := summarize(&h); n != 1 || got.Max != 0 {
		t.Errorf("a clock that went back: %d, %+v", n, got)
	}
	if n, got := summarize(new(histogram)); n != 0 || got != (latency{}) {
		t.Errorf("nothing: %d, %+v", n, got)
	}
}

func TestStatsWindows(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	b.get("/search?q=ferry").want(t, 200)
	b.get("/search?q=ferry").want(t, 200)
	b.get("/u/nobody").want(t, 404)
	b.get("/nowhere").want(t, 404)
	var rep report
	b.get("/stats").want(t, 200).wantHeader(t, "Cache-Control", "no-store").decode(t, &rep)
	if got := rep.Routes["GET /search"]; got.Count != 2 || got.Statuses["200"] != 2 || got.Latency.P50 <= 0 || got.Latency.P99 < got.Latency.P50 {
		t.Errorf("search: %+v", got)
	}
	if rep.Routes["GET /u/{name}"].Statuses["404"] != 1 || rep.Routes["other"].Statuses["404"] != 1 || rep.All.Count != 4 {
		t.Errorf("report: %+v", rep)
	}
	if rep.CPUTotal <= 0 || rep.RSSBytes == 0 || rep.Scan != 100 || rep.SearchMS <= 0 || rep.MaxInFlight != 1 || rep.InFlight != 0 {
		t.Errorf("report: %+v", rep)
	}
	rep = report{}
	if b.get("/stats?reset=1").want(t, 200).decode(t, &rep); rep.All.Count != 4 {
		t.Errorf("the window that ends: %+v", rep.All)
	}
	rep = report{}
	if b.get("/stats").want(t, 200).decode(t, &rep); rep.All.Count != 0 || len(rep.Routes) != 0 || rep.MaxInFlight != 0 {
		t.Errorf("the window that begins: %+v", rep)
	}
}

func TestStatsCountTheWait(t *testing.T) {
	s := newTest(t, small())
	release := occupy(t, s.workers)
	answered := make(chan int, 3)
	for range 3 {
		go func() { answered <- ask(s.handler, "GET", "/", "").Code }()
	}
	until(t, func() bool { return s.workers.waiting.Load() == 3 })
	rep := s.stats.report(s.stats.current.Load(), time.Now())
	if rep.InFlight != 3 || rep.MaxInFlight != 3 {
		t.Errorf("in flight %d, most %d, want 3", rep.InFlight, rep.MaxInFlight)
	}
	began := time.Now()
	until(t, func() bool { return time.Since(began) > 20*time.Millisecond })
	release()
	for range 3 {
		if status := <-answered; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if rep := s.stats.report(s.stats.current.Load(), time.Now()); rep.Routes["GET /{$}"].Latency.P50 < 20 {
		t.Errorf("the wait is not in %+v", rep.Routes)
	}
}

func TestStatsAreForThisMachine(t *testing.T) {
	s := newTest(t, small())
	here := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}
	for name, c := range map[string]struct {
		remote string
		head   string
		want   int
	}{
		"loopback":             {"127.0.0.1:5", "", 200},
		"another loopback":     {"127.9.9.9:5", "", 200},
		"IPv6 loopback":        {"[::1]:5", "", 200},
		"own address":          {"10.0.0.1:5", "", 200},
		"elsewhere":            {"192.0.2.1:5", "", 404},
		"no address":           {"@", "", 404},
		"forwarded":            {"127.0.0.1:5", "X-Forwarded-For", 404},
		"forwarded by RFC7239": {"127.0.0.1:5", "Forwarded", 404},
	} {
		r := httptest.NewRequest("GET", "/stats", nil)
		r = r.WithContext(contextWith(r, here))
		r.RemoteAddr = c.remote
		if c.head != "" {
			r.Header.Set(c.head, "192.0.2.1")
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
}

func contextWith(r *http.Request, local net.Addr) context.Context {
	return context.WithValue(r.Context(), http.LocalAddrContextKey, local)
}
