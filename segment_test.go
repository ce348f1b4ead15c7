package deich

import (
	"testing"
	"time"
)

// TestSegmentsAreTheRoutesThatTakeMost: each route of many has one while there is
// room, and gives it up to one that takes more than twice as much.
func TestSegmentsAreTheRoutesThatTakeMost(t *testing.T) {
	o := &engineOf(t, Policy{}).origins[0]
	know := func(i int, part float32) {
		r := &o.routes[i]
		r.calm.Store(routeKnown)
		r.learn(.01, true)
		r.seen.Store(routeKnown)
		r.part = part
	}
	for i := 1; i <= SegmentsMax+10; i++ {
		know(i, .02)
	}
	o.routes[SegmentsMax+20].part = .9 // nobody was answered there in peace
	for range 2 * SegmentsMax {
		o.divide(noon)
	}
	has := func(i int) bool { return o.routes[i].segment.Load() != 0 }
	n := 0
	for i := range o.routes {
		if has(i) {
			n++
		}
	}
	if n != SegmentsMax-1 || has(0) || has(SegmentsMax+20) {
		t.Fatalf("%d routes of as many as take as much have a segment each, want %d", n, SegmentsMax-1)
	}
	know(40, .03)
	if o.divide(noon); has(40) {
		t.Error("one that takes half as much again has taken a segment from another")
	}
	know(41, .05)
	if o.divide(noon); !has(41) {
		t.Error("one that takes two and a half times as much has none")
	}
	if k := o.routes[41].segment.Load(); o.segments[k].route != 41 || o.segments[k].evidence.usualFor != 0 {
		t.Error("it is judged by what was usual for another")
	}
}

// TestOnlyWhoIsLateBeyondTheRestIsSlow: load that makes all take so many times as
// long, or all wait as long, is none's own.
func TestOnlyWhoIsLateBeyondTheRestIsSlow(t *testing.T) {
	const cheap, dear = .001, .05
	for _, c := range []struct {
		name string
		wait func(base float64) float64 // of the rest
		slow int                        // the segment that takes longer than that: 1 the cheap one, 2 the dear
		own  float64                    // by so many seconds
	}{
		{"no load", func(base float64) float64 { return base }, 0, 0},
		{"no load, slow", func(base float64) float64 { return base }, 2, .3},
		{"shared among all", func(base float64) float64 { return 10 * base }, 0, 0},
		{"shared among all, slow", func(base float64) float64 { return 10 * base }, 2, 1.5},
		{"in one line", func(base float64) float64 { return base + .2 }, 0, 0},
		{"in one line, slow", func(base float64) float64 { return base + .2 }, 1, 1.5},
	} {
		o := &engineOf(t, Policy{}).origins[0]
		for range lateLeast {
			for k, base := range map[int]float64{1: cheap, 2: dear} {
				wait := c.wait(base)
				if k == c.slow {
					wait += c.own
				}
				o.segments[k].late.add(wait, base)
			}
		}
		for k := range o.segments {
			o.segments[k].late.tell(noon)
		}
		for k := 1; k <= 2; k++ {
			want := k == c.slow
			if times, known := o.apart(k, noon); !known || times > slowThan != want {
				t.Errorf("%s: segment %d is %.1f times as late as the rest (known: %v), slow by itself: want %v", c.name, k, times, known, want)
			}
		}
		if _, known := o.apart(3, noon); known {
			t.Errorf("%s: of a segment without answers something is known", c.name)
		}
		if _, known := o.apart(1, noon.Add(time.Minute)); known {
			t.Errorf("%s: what was a minute ago is taken for now", c.name)
		}
	}
}
