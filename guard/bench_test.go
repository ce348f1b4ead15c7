package guard

import (
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// blank is a ResponseWriter that costs next to nothing, so that what is
// measured is guard's own work.
type blank struct{ header http.Header }

func (b *blank) Header() http.Header         { return b.header }
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }
func (b *blank) WriteHeader(int)             {}

// reportCPU adds what the process itself has used, since other processes share
// the machine's cores.
func reportCPU(b *testing.B) func() {
	before := cpuTime(b)
	return func() { b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op") }
}

func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkPassVerify(b *testing.B) {
	r := testKeys().ring.Load()
	now := epoch.Add(1000 * time.Hour)
	cookie := r.writePass(freshPass(now, deich.Served), "example.org", now)
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		if r.showPass(cookie, "example.org", now, passLifeDefault).bad {
			b.Fatal("does not hold")
		}
	}
}

func BenchmarkReferenceSeal(b *testing.B) {
	r := testKeys().ring.Load()
	req := deich.Request{At: epoch.Add(time.Hour), Client: netip.MustParseAddr("192.0.2.1")}
	v := deich.Verdict{Act: deich.Deny, Reason: deich.BelowCut}
	room := new(sealing)
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		r.seal(room, &req, &v)
	}
}

func BenchmarkServe(b *testing.B) {
	pass := "deich=" + testKeys().ring.Load().writePass(freshPass(deich.Time(time.Now().UnixNano()), deich.Served), "example.com", deich.Time(time.Now().UnixNano()))
	below := deich.Verdict{Act: deich.Wait, Reason: deich.BelowCut, RetryAfter: 2 * time.Second}
	challenge := deich.Verdict{Act: deich.Challenge, Reason: deich.Unproven, Bits: 13, Place: 7, RetryAfter: 2 * time.Second}
	for _, c := range []struct {
		name    string
		verdict deich.Verdict
		header  []string
	}{
		{"refused-program", below, []string{"Accept", "*/*", "User-Agent", "x"}},
		{"refused-asset", below, []string{"Accept", "image/png", "Sec-Fetch-Dest", "image"}},
		{"refused-page", deich.Verdict{Act: deich.Deny, Reason: deich.OverBudget, RetryAfter: 2 * time.Second}, []string{"Accept", html}},
		{"challenged-page", challenge, []string{"Accept", html, "Accept-Language", "de"}},
		{"allowed-pass", deich.Verdict{Tier: deich.Visitor}, []string{"Accept", html, "Cookie", pass}},
		{"allowed-program", deich.Verdict{Tier: deich.Visitor}, []string{"Accept", "*/*"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := &instant{c.verdict}
			h, err := newHandler(Options{Keys: testKeys(), Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) })}, s)
			if err != nil {
				b.Fatal(err)
			}
			r := get("/a", c.header...)
			w := &blank{make(http.Header)}
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				clear(w.header)
				if c.header[len(c.header)-1] == pass {
					r.Header["Cookie"] = []string{pass}
				}
				h.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkBrowser is what guard and engine spend on a browser's request with a pass
// on a kept connection, in peace.
func BenchmarkBrowser(b *testing.B) {
	engine, err := deich.New(deich.Policy{}, [32]byte{1})
	if err != nil {
		b.Fatal(err)
	}
	h, err := New(Options{Engine: engine, Keys: testKeys(), NextLetsGo: true, Next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) })})
	if err != nil {
		b.Fatal(err)
	}
	now := deich.Time(time.Now().UnixNano())
	r := get("/timeline?page=2",
		"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"Accept-Language", "en-GB,en;q=0.5", "Accept-Encoding", "gzip, deflate, br",
		"Sec-Fetch-Dest", "document", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin")
	r = r.WithContext(ConnContext(r.Context(), nil))
	cookie := "session=0123456789abcdef; deich=" + testKeys().ring.Load().writePass(freshPass(now, deich.Served), "example.com", now)
	w, cookies := &blank{make(http.Header)}, make([]string, 1)
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		clear(w.header)
		cookies[0] = cookie
		r.Header["Cookie"] = cookies
		h.ServeHTTP(w, r)
	}
}

// instant is a judge that costs nothing.
type instant struct{ verdict deich.Verdict }

func (i *instant) Slots() int                          { return 1 }
func (i *instant) Decide(*deich.Request) deich.Verdict { return i.verdict }
func (i *instant) Enter(deich.Time, *deich.Request, deich.Verdict, *deich.Out) (deich.Ticket, deich.State, deich.Reason) {
	return 1, deich.Admitted, deich.NoReason
}
func (i *instant) Turn(_ *deich.Request, v deich.Verdict, _ deich.Reason) deich.Verdict { return v }
func (i *instant) Cancel(deich.Time, deich.Ticket, *deich.Out) bool                     { return true }
func (i *instant) Detach(deich.Time, deich.Ticket, *deich.Out) bool                     { return true }
func (i *instant) Spared(*deich.Request, *deich.Verdict)                                {}
func (i *instant) Aside(*deich.Request, bool)                                           {}
func (i *instant) Done(deich.Time, deich.Ticket, deich.Outcome, *deich.Out)             {}
func (i *instant) Adopt(deich.Time, deich.Rules, *deich.Out)                            {}
func (i *instant) Tick(deich.Time, *deich.Out)                                          {}
func (i *instant) MayProve(deich.Time, netip.Addr) bool                                 { return true }
func (i *instant) Mint(deich.Time, netip.Addr, deich.Earned) bool                       { return true }
func (i *instant) Pulse(uint16) deich.Pulse                                             { return deich.Pulse{} }
