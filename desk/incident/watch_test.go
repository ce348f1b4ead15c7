package incident

import (
	"testing"
)

const outage = " known=20 lost=20 fail cause=origin_fault:0.9"

// Each second of a long outage counts once, whether it is said by itself or in a minute,
// also over restarts.
func TestALongOutageCountsOnce(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		off   uint64
	}{
		"three hours":                    {[]string{"10800" + outage}, 10800},
		"a restart after an hour":        {[]string{"3600" + outage, "1 restart", "7200" + outage}, 10800},
		"a restart in the third hour":    {[]string{"8400" + outage, "1 restart", "2400" + outage}, 10800},
		"a restart in a minute":          {[]string{"90" + outage, "1 restart", "10800" + outage}, 10890},
		"an hour that is off in between": {[]string{"3000" + outage, "200 known=20 p50=40", "4000" + outage, "7200" + outage}, 14200},
	} {
		t.Run(name, func(t *testing.T) {
			i, s := told(t, append([]string{"60 known=20 p50=40"}, c.lines...)...)
			k := i.Toll.Users
			if k.Asked != 20*c.off || k.Lost() != 20*c.off || uint64(i.Toll.Rows) != c.off || uint64(i.Toll.Seconds) != c.off {
				t.Errorf("%d seconds were off: asked %d, lost %d; %d rows, %d seconds", c.off, k.Asked, k.Lost(), i.Toll.Rows, i.Toll.Seconds)
			}
			n := 0
			for _, f := range s.facts {
				if f.Kind == Second {
					n++
				}
			}
			if n > SecondsMax || n < SecondsMax-60 {
				t.Errorf("%d seconds were said one by one", n)
			}
			again := NewBook(cet)
			for _, f := range s.facts {
				again.Apply(f)
			}
			if got := again.Get(i.ID).Toll; got != i.Toll {
				t.Errorf("from the record alone: %+v, was %+v", got, i.Toll)
			}
		})
	}
}

// Fifty thousand held back a second are more than 32 bits hold after a day.
func TestSumsDoNotWrap(t *testing.T) {
	r := Row{Span: 60, Off: 60, Apart: true}
	r.Groups[2] = Group{Asked: 3e9, Served: 2e9}
	r.Groups[Groups-1] = Group{Asked: 3e9, Held: 3e9}
	var toll, both Toll
	toll.Count(&r)
	toll.Count(&r)
	both.add(toll)
	both.add(toll)
	if toll.New.Held != 6e9 || toll.Users.Lost() != 2e9 || both.New.Asked != 12e9 || both.Users.Lost() != 4e9 {
		t.Errorf("%+v\n%+v", toll, both)
	}
}
