package guard

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"

	"github.com/deichproject/deich"
)

// script is a judge whose verdicts a test writes, and which keeps the book of
// tickets: each must end exactly once.
type script struct {
	verdict func(*deich.Request) deich.Verdict
	mint    bool

	mu       sync.Mutex
	limit    int // places; 0: no bound
	turnAway deich.Reason
	asked    []deich.Request
	entered  []deich.Kind
	next     deich.Ticket
	placed   map[deich.Ticket]bool
	queue    []deich.Ticket
	detached map[deich.Ticket]bool
	full     bool // there is no room for streams
	refused  int  // so often
	outcomes []deich.Outcome
	aside    []bool // what was answered apart from Decide: whether in vain
	asideAt  deich.Time
	mistakes []string
	hook     func(call string) // nil: none
}

const scriptSlots = 4096

func newScript() *script {
	return &script{
		mint:     true,
		verdict:  func(*deich.Request) deich.Verdict { return deich.Verdict{Tier: deich.Visitor, Rank: 44} },
		placed:   make(map[deich.Ticket]bool),
		detached: make(map[deich.Ticket]bool),
	}
}

func (s *script) call(name string) {
	if s.hook != nil {
		s.hook(name)
	}
}

func (s *script) Slots() int { return scriptSlots }

func (s *script) Decide(r *deich.Request) deich.Verdict {
	s.call("decide")
	s.mu.Lock()
	s.asked = append(s.asked, *r)
	s.mu.Unlock()
	return s.verdict(r)
}

// ticket numbers slots round, each time with a new generation.
func (s *script) ticket() deich.Ticket {
	n := s.next
	s.next++
	return (n/scriptSlots+1)<<32 | (n%scriptSlots + 1)
}

func (s *script) Enter(_ deich.Time, r *deich.Request, _ deich.Verdict, _ *deich.Out) (deich.Ticket, deich.State, deich.Reason) {
	s.call("enter")
	s.mu.Lock()
	defer s.mu.Unlock()
	if r != nil {
		s.entered = append(s.entered, r.Kind)
	}
	if s.turnAway != deich.NoReason {
		return 0, deich.TurnedAway, s.turnAway
	}
	t := s.ticket()
	if s.limit != 0 && len(s.placed) >= s.limit {
		s.queue = append(s.queue, t)
		return t, deich.Queued, deich.NoReason
	}
	s.placed[t] = true
	return t, deich.Admitted, deich.NoReason
}

func (s *script) Turn(_ *deich.Request, v deich.Verdict, why deich.Reason) deich.Verdict {
	s.call("turn")
	v.Act, v.Reason, v.RetryAfter = deich.Wait, why, 2e9
	return v
}

func (s *script) Cancel(_ deich.Time, t deich.Ticket, _ *deich.Out) bool {
	s.call("cancel")
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.queue {
		if q == t {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return true
		}
	}
	return false
}

func (s *script) Detach(_ deich.Time, t deich.Ticket, _ *deich.Out) bool {
	s.call("detach")
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.placed[t] {
		s.mistakes = append(s.mistakes, "detach of a ticket that is not placed")
	}
	if s.full {
		s.refused++
		return false
	}
	if s.detached[t] {
		s.mistakes = append(s.mistakes, "detached twice")
	}
	s.detached[t] = true
	return true
}

func (s *script) Spared(*deich.Request, *deich.Verdict) {}

func (s *script) Aside(r *deich.Request, vain bool) {
	s.call("aside")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aside, s.asideAt = append(s.aside, vain), r.At
}

func (s *script) Done(_ deich.Time, t deich.Ticket, o deich.Outcome, out *deich.Out) {
	s.call("done")
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.placed[t] {
		s.mistakes = append(s.mistakes, "done for a ticket that is not placed")
	}
	delete(s.placed, t)
	s.outcomes = append(s.outcomes, o)
	s.release(out)
}

// release wakes what fits. The lock is held.
func (s *script) release(out *deich.Out) {
	for len(s.queue) > 0 && len(s.placed) < s.limit && len(out.Wakes) < cap(out.Wakes) {
		t := s.queue[0]
		s.queue = s.queue[1:]
		s.placed[t] = true
		out.Wakes = append(out.Wakes, deich.Wake{Ticket: t, State: deich.Admitted})
	}
}

func (s *script) Adopt(deich.Time, deich.Rules, *deich.Out) {}

func (s *script) Tick(_ deich.Time, out *deich.Out) {
	s.call("tick")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(out)
}

func (s *script) MayProve(deich.Time, netip.Addr) bool { return true }

func (s *script) Mint(deich.Time, netip.Addr, deich.Earned) bool {
	s.call("mint")
	return s.mint
}

func (s *script) Pulse(uint16) deich.Pulse {
	s.call("pulse")
	return deich.Pulse{Limit: 7}
}

// detaches is how many tickets were detached.
func (s *script) detaches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.detached)
}

// check fails the test where a ticket did not end, or ended wrongly.
func (s *script) check(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.mistakes {
		t.Error("engine:", m)
	}
	if len(s.placed) != 0 || len(s.queue) != 0 {
		t.Errorf("engine: %d tickets never done, %d still queued", len(s.placed), len(s.queue))
	}
}

func (s *script) last(t testing.TB) deich.Request {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		t.Fatal("the engine was not asked")
	}
	return s.asked[len(s.asked)-1]
}

func (s *script) outcome(t testing.TB) deich.Outcome {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.outcomes) == 0 {
		t.Fatal("no request has ended")
	}
	return s.outcomes[len(s.outcomes)-1]
}

func testKeys() *Keys { return NewKeys([32]byte{1}) }

// scripted makes a handler whose engine is s, in front of next.
func scripted(t testing.TB, s *script, next http.HandlerFunc, change ...func(*Options)) *Handler {
	t.Helper()
	o := Options{Next: next, Keys: testKeys()}
	for _, f := range change {
		f(&o)
	}
	h, err := newHandler(o, s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends one request through h without a network.
func ask(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func get(path string, header ...string) *http.Request {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

const html = "text/html,application/xhtml+xml"

func hello(w http.ResponseWriter, r *http.Request) { w.Write([]byte("hello")) }

// cookie gives one of the cookies an answer sets; empty: it sets none of that name.
func cookie(a *http.Response, name string) string {
	for _, c := range a.Cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func refusing(v deich.Verdict) func(*deich.Request) deich.Verdict {
	return func(*deich.Request) deich.Verdict { return v }
}
