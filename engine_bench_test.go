package deich

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

const benchSources = 1 << 20

func addr4(i uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 0x0a000000|i&0xffffff)
	return netip.AddrFrom4(b)
}

func addr6(i uint32) netip.Addr {
	b := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	binary.BigEndian.PutUint32(b[4:], i)
	b[15] = 1
	return netip.AddrFrom16(b)
}

// filled gives an engine whose tables have met a million sources.
func filled(b *testing.B) (*Engine, Time) {
	e, err := New(Policy{Sources: benchSources}, [32]byte{1})
	if err != nil {
		b.Fatal(err)
	}
	at := Time(time.Hour)
	for i := range uint32(benchSources) {
		at += 1000
		r := Request{At: at, Client: addr4(i), Peer: addr4(i), Safe: true}
		e.Decide(&r)
		e.past.good(e.sourceHash(r.Client), at, 0)
	}
	return e, at
}

// BenchmarkDecide asks what one verdict costs while the tables hold a million
// sources and each request comes from another of them.
func BenchmarkDecide(b *testing.B) {
	e, start := filled(b)
	for _, pressed := range []bool{false, true} {
		name := "peace"
		if pressed {
			name = "pressure"
			e.origins[0].mu.Lock()
			e.origins[0].press(start)
			e.origins[0].mu.Unlock()
		}
		for _, who := range []string{"stranger", "pass", "ipv6"} {
			b.Run(name+"/"+who, func(b *testing.B) {
				b.ReportAllocs()
				at := start
				for i := uint32(0); b.Loop(); i++ {
					at += 1000
					n := i * 2654435761 >> 12 // another source each time, in no order a cache likes
					r := Request{At: at, Safe: true, Validated: true}
					switch who {
					case "ipv6":
						r.Client = addr6(n)
					case "pass":
						r.Client = addr4(n)
						r.Pass = Pass{ID: uint64(n) + 1, First: at - Time(time.Hour)}
					default:
						r.Client = addr4(n)
					}
					r.Peer = r.Client
					e.Decide(&r)
				}
			})
		}
	}
}

// BenchmarkEnterDone asks what a place costs: taken and given back, nobody waiting.
func BenchmarkEnterDone(b *testing.B) {
	e, at := filled(b)
	out := NewOut()
	r := Request{At: at, Client: addr4(7), Peer: addr4(7), Safe: true, Route: 3, Pass: Pass{ID: 9, First: 1}}
	v := e.Decide(&r)
	b.ReportAllocs()
	for b.Loop() {
		at += 1000
		out.Reset()
		t, _, _ := e.Enter(at, &r, v, out)
		e.Done(at, t, Outcome{Status: 200, Wait: time.Millisecond}, out)
	}
}

// BenchmarkDecideRules is the same under pressure with as many rules in force as may
// be, of five conditions each, of which the request meets all but the last.
func BenchmarkDecideRules(b *testing.B) {
	e, at := filled(b)
	e.origins[0].mu.Lock()
	e.origins[0].press(at)
	e.origins[0].mu.Unlock()
	var traits Traits
	for i := range traits {
		traits[i] = uint32(i) + 1
	}
	set := new(ruleSet)
	for n := range rulesMax {
		l := &liveRule{id: uint32(n) + 1, act: Deny}
		for column := range 5 {
			l.conditions = append(l.conditions, Condition{column: uint8(column), Value: traits[column]})
		}
		known := newValues(64)
		known.add(traits[4])
		l.conditions[4].Compare, l.conditions[4].set = Novel, known
		l.acting.Store(true)
		set.live = append(set.live, l)
	}
	e.ruling.set.Store(set)
	b.ReportAllocs()
	for i := uint32(0); b.Loop(); i++ {
		at += 1000
		a := addr4(i * 2654435761 >> 12)
		r := Request{At: at, Safe: true, Validated: true, Client: a, Peer: a, Traits: traits}
		if v := e.Decide(&r); v.Rule != 0 {
			b.Fatal("meets a rule")
		}
	}
}
