package deich

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ledger follows every ticket from Enter to its end.
type ledger struct {
	t      *rapid.T
	e      *Engine
	now    Time
	out    *Out
	queued []Ticket
	placed []Ticket
	state  map[Ticket]State
}

func (l *ledger) wakes() {
	for _, w := range l.out.Wakes {
		if s, ok := l.state[w.Ticket]; !ok || s != Queued {
			l.t.Fatalf("wake for ticket %x, which is not queued", w.Ticket)
		}
		l.remove(&l.queued, w.Ticket)
		if w.State == Admitted {
			l.state[w.Ticket] = Admitted
			l.placed = append(l.placed, w.Ticket)
		} else {
			delete(l.state, w.Ticket)
		}
	}
	l.out.Reset()
	for i := range l.e.origins {
		o := &l.e.origins[i]
		if most := o.limit*costOne + costMax; float64(o.inflight) >= max(most, limitStart*costOne+costMax) {
			l.t.Fatalf("origin %d: %d in flight with a limit of %.1f", i, o.inflight, o.limit*costOne)
		}
		if o.inflight < 0 || o.placed < 0 || o.streams < 0 || o.slab.queued < 0 || o.slab.queued > QueueMax {
			l.t.Fatalf("origin %d: inflight %d placed %d streams %d queued %d", i, o.inflight, o.placed, o.streams, o.slab.queued)
		}
	}
}

func (l *ledger) remove(list *[]Ticket, t Ticket) {
	for i, x := range *list {
		if x == t {
			*list = append((*list)[:i], (*list)[i+1:]...)
			return
		}
	}
	l.t.Fatalf("ticket %x is not where it should be", t)
}

func (l *ledger) request() *Request {
	t := l.t
	addr := addr4(rapid.Uint32Range(0, 40).Draw(t, "client"))
	if rapid.Bool().Draw(t, "v6") {
		addr = addr6(rapid.Uint32().Draw(t, "client6"))
	}
	if rapid.IntRange(0, 30).Draw(t, "odd") == 0 {
		addr = netip.Addr{}
	}
	r := &Request{
		At: l.now, Client: addr, Peer: addr, Validated: true, Safe: rapid.Bool().Draw(t, "safe"),
		Origin: rapid.Uint16Range(0, 3).Draw(t, "origin"), Route: rapid.Uint16Range(0, RoutesMax-1).Draw(t, "route"),
		Kind: Kind(rapid.IntRange(0, int(kinds)-1).Draw(t, "kind")), Partner: rapid.IntRange(0, 9).Draw(t, "partner") == 0,
		Credential: rapid.Uint64Range(0, 3).Draw(t, "credential"),
		Fresh:      rapid.IntRange(0, 9).Draw(t, "fresh") == 0,
	}
	if rapid.Bool().Draw(t, "holds a pass") {
		r.Pass = Pass{ID: rapid.Uint64().Draw(t, "pass"), First: Time(rapid.Int64().Draw(t, "first")),
			Days: rapid.Uint8().Draw(t, "days"), Earned: Earned(rapid.IntRange(0, 2).Draw(t, "earned")),
			Account: rapid.Uint64Range(0, 2).Draw(t, "account"), Since: Time(rapid.Int64().Draw(t, "since"))}
	}
	if rapid.IntRange(0, 3).Draw(t, "place") == 0 {
		r.Place = rapid.Uint64().Draw(t, "number")
	}
	return r
}

// TestTickets: whatever is asked in whatever order, places never exceed the
// limit and every ticket ends exactly once.
func TestTickets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{Origins: 3, Sources: SourcesMin, Streams: 3, LimitMax: rapid.IntRange(2, 64).Draw(t, "limit_max"),
			Observe: false}
		e, err := New(p, [32]byte{byte(rapid.IntRange(0, 255).Draw(t, "seed"))})
		if err != nil {
			t.Fatal(err)
		}
		l := &ledger{t: t, e: e, now: Time(1000 * time.Hour), out: NewOut(), state: map[Ticket]State{}}
		if rapid.Bool().Draw(t, "small out") {
			l.out = &Out{Wakes: make([]Wake, 0, 1), Orders: make([]Order, 0, 1), Events: make([]Event, 0, 1)}
		}
		l.e.origins[0].limit = limitMin // a small limit makes queues
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) {
				l.t = t
				r := l.request()
				v := e.Decide(r)
				if v.Rank >= RanksMax || v.Act >= acts || v.Reason >= reasons || v.RetryAfter < 0 {
					t.Fatalf("verdict %+v", v)
				}
				if v.Act != Allow {
					return
				}
				tk, s, why := e.Enter(l.now, r, v, l.out)
				switch s {
				case TurnedAway:
					if tk != 0 || why == NoReason {
						t.Fatalf("turned away with ticket %x and reason %v", tk, why)
					}
					if e.Turn(r, v, why).Act == Allow {
						t.Fatal("Turn allows")
					}
				default:
					if _, ok := l.state[tk]; ok || tk == 0 || tk.Slot() >= e.Slots() {
						t.Fatalf("ticket %x twice or out of range", tk)
					}
					l.state[tk] = s
					if s == Queued {
						l.queued = append(l.queued, tk)
					} else {
						l.placed = append(l.placed, tk)
					}
				}
				l.wakes()
			},
			"done": func(t *rapid.T) {
				l.t = t
				if len(l.placed) == 0 {
					return
				}
				tk := rapid.SampledFrom(l.placed).Draw(t, "ticket")
				l.remove(&l.placed, tk)
				delete(l.state, tk)
				e.Done(l.now, tk, Outcome{Status: rapid.SampledFrom([]int{0, 200, 302, 401, 404, 500, 503}).Draw(t, "status"),
					Wait: time.Duration(rapid.Int64Range(-1, int64(time.Minute)).Draw(t, "wait")), Failed: rapid.Bool().Draw(t, "failed"),
					Aborted: rapid.Bool().Draw(t, "aborted")}, l.out)
				l.wakes()
				e.Done(l.now, tk, Outcome{Status: 200}, l.out) // twice: says nothing
				l.wakes()
			},
			"cancel": func(t *rapid.T) {
				l.t = t
				if len(l.queued) == 0 {
					return
				}
				tk := rapid.SampledFrom(l.queued).Draw(t, "ticket")
				if e.Cancel(l.now, tk, l.out) {
					l.remove(&l.queued, tk)
					delete(l.state, tk)
				} else {
					t.Fatal("a queued ticket cannot be cancelled")
				}
				l.wakes()
			},
			"detach": func(t *rapid.T) {
				l.t = t
				if len(l.placed) > 0 {
					e.Detach(l.now, rapid.SampledFrom(l.placed).Draw(t, "ticket"), l.out)
				}
				l.wakes()
			},
			"tick": func(t *rapid.T) {
				l.t = t
				l.now = l.now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "passes")))
				e.Tick(l.now, l.out)
				l.wakes()
			},
			"nonsense": func(t *rapid.T) {
				l.t = t
				tk := Ticket(rapid.Uint64().Draw(t, "ticket"))
				if _, known := l.state[tk]; !known {
					e.Done(l.now, tk, Outcome{}, l.out)
					if e.Cancel(l.now, tk, l.out) {
						t.Fatal("cancelled a ticket nobody had")
					}
				}
				l.wakes()
			},
		})
		// In the end everyone is let go, one way or another.
		for range 10_000 {
			for _, tk := range l.placed {
				delete(l.state, tk)
				e.Done(l.now, tk, Outcome{Status: 200, Wait: time.Millisecond}, l.out)
			}
			l.placed = nil
			l.now = l.now.Add(TickEvery)
			e.Tick(l.now, l.out)
			l.wakes()
			if len(l.state) == 0 {
				break
			}
		}
		if len(l.state) != 0 {
			t.Fatalf("%d tickets never ended", len(l.state))
		}
		for i := range e.origins {
			if o := &e.origins[i]; o.inflight != 0 || o.streams != 0 || o.slab.queued != 0 {
				t.Fatalf("origin %d: inflight %d streams %d queued %d when all has ended", i, o.inflight, o.streams, o.slab.queued)
			}
		}
	})
}
