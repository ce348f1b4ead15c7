package gate

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// mockup is a wall that holds what is put into it, and fails where it is told to.
type mockup struct {
	wall   // what is not used here
	there  map[netip.Prefix]time.Duration
	calls  []string
	beats  error
	broken error
}

func (m *mockup) put(list []verdict) error {
	for _, v := range list {
		m.there[v.prefix] = v.lasts
	}
	return m.broken
}

func (m *mockup) remove(list []netip.Prefix) error {
	m.calls = append(m.calls, "remove")
	if m.broken == nil {
		for _, p := range list {
			delete(m.there, p)
		}
	}
	return m.broken
}

func (m *mockup) clear(list []netip.Prefix) error {
	m.calls = append(m.calls, "clear")
	return m.broken
}

func (m *mockup) hits(func(netip.Prefix, uint64)) error { return nil }
func (m *mockup) beat() error                           { return m.beats }

func (m *mockup) close() error {
	m.calls = append(m.calls, "close")
	return nil
}

var errBroken = errors.New("broken")

// mocked gives a gate of it, and the gate's clock.
func mocked(t *testing.T) (*Gate, *mockup, *deich.Time) {
	now := deich.Time(1e18)
	g, err := Open(Options{Config: Config{Mode: Off}, Now: func() deich.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	m := &mockup{there: make(map[netip.Prefix]time.Duration)}
	g.wall, g.none = m, false
	return g, m, &now
}

func source(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
}

// A revocation that the kernel did not take is tried again, also where its source was
// judged anew and pardoned again meanwhile.
func TestRevocationsAreTriedAgain(t *testing.T) {
	g, m, now := mocked(t)
	carry := func(until deich.Time) error {
		g.Carry([]deich.Order{{Prefix: source(1), Until: until}})
		return g.carry()
	}
	if err := carry(now.Add(time.Hour)); err != nil || len(m.there) != 1 {
		t.Fatalf("%v, %v", m.there, err)
	}
	m.broken = errBroken
	for range 3 {
		if err := carry(0); !errors.Is(err, errBroken) {
			t.Errorf("the failure is not told: %v", err)
		}
		if err := g.collect(); !errors.Is(err, errBroken) {
			t.Errorf("it is not tried again: %v", err)
		}
	}
	m.broken = nil
	if err := carry(now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := g.collect(); err != nil || len(m.there) != 1 {
		t.Errorf("judged anew, it is let in: %v, %v", m.there, err)
	}
	m.broken = errBroken
	carry(0)
	m.broken = nil
	if err := g.collect(); err != nil || len(m.there) != 0 || len(g.held) != 0 || g.held4 != [2]int{} {
		t.Errorf("still there: %v, %d held, %v, %v", m.there, len(g.held), g.held4, err)
	}
}

// What has ended is not taken back, as where it goes by itself that would cost a run of nft.
func TestWhatEndedIsClearedAway(t *testing.T) {
	g, m, now := mocked(t)
	g.Carry([]deich.Order{{Prefix: source(1), Until: now.Add(time.Second)}})
	g.carry()
	*now = now.Add(2 * time.Second)
	m.broken = errBroken
	if err := g.collect(); !errors.Is(err, errBroken) || len(g.held) != 1 {
		t.Errorf("%d held, %v", len(g.held), err)
	}
	m.broken = nil
	if err := g.collect(); err != nil || len(g.held) != 0 {
		t.Errorf("%d held, %v", len(g.held), err)
	}
	for _, call := range m.calls {
		if call != "clear" {
			t.Error("it was asked to", call)
		}
	}
}

// Where no order finds room any more, one that is taken back does.
func TestRevocationsFindRoom(t *testing.T) {
	g, m, now := mocked(t)
	g.Carry([]deich.Order{{Prefix: source(pendingMax), Until: now.Add(time.Hour)}})
	g.carry()
	var list []deich.Order
	for i := range pendingMax + 10 {
		list = append(list, deich.Order{Prefix: source(i), Until: now.Add(time.Hour)})
	}
	list = append(list, deich.Order{Prefix: source(pendingMax)}, deich.Order{Prefix: source(0)})
	g.Carry(list)
	if err := g.carry(); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, pendingMax} {
		if _, there := m.there[source(i)]; there {
			t.Errorf("source %d is still dropped", i)
		}
	}
	if n := len(m.there); n != pendingMax-1 || g.missed.Load() != 10 {
		t.Errorf("%d are there, %d missed", n, g.missed.Load())
	}
}

// A wall that another program has taken away has every verdict again that is in force; one
// that was taken away on purpose stays away.
func TestWhatBeatsMeet(t *testing.T) {
	g, m, now := mocked(t)
	for i, lasts := range []time.Duration{time.Second, time.Hour, 1000 * time.Hour} {
		g.Carry([]deich.Order{{Prefix: source(i), Until: now.Add(lasts)}})
	}
	g.carry()
	g.held[source(1)].hits = 7
	clear(m.there)
	*now = now.Add(time.Minute)
	m.beats = errAnew
	if err := g.beat(); !errors.Is(err, errAnew) {
		t.Errorf("it is not told: %v", err)
	}
	if m.there[source(1)] != 59*time.Minute || m.there[source(2)] != verdictMax || len(m.there) != 2 || g.held[source(1)].hits != 0 {
		t.Errorf("there is %v", m.there)
	}
	m.beats = errAway
	if err := g.beat(); !errors.Is(err, errAway) {
		t.Errorf("it is not told: %v", err)
	}
	if s := g.Status(); s.Backend != None || s.Why != "it was taken away" || s.Sources != 0 || m.calls[len(m.calls)-1] != "close" {
		t.Errorf("%+v, %v", s, m.calls)
	}
}
