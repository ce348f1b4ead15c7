package desk

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// change is how one figure of the page did within a marked range, and before it.
type change struct {
	Name, Kind     string // a tier's or an act's word, and what of it: asked, served, act; or a figure's own word
	Before, Within float64
	Sure           float64 // how far apart the two are, in standard errors
}

// figure is one column of the seconds that the page keeps.
type figure struct {
	name, kind string
	of         func(*Second) float64
}

func figures() (all []figure) {
	for i, tier := range tiers {
		all = append(all, figure{tier, "asked", func(s *Second) float64 { return float64(s.Asked[i]) }},
			figure{tier, "served", func(s *Second) float64 { return float64(s.Served[i]) }})
	}
	for i, act := range acts {
		all = append(all, figure{act, "act", func(s *Second) float64 { return float64(s.Acts[i]) }})
	}
	return append(all,
		figure{"", "limit", func(s *Second) float64 { return float64(s.Limit) }},
		figure{"", "inflight", func(s *Second) float64 { return float64(s.Flight) }},
		figure{"", "queued", func(s *Second) float64 { return float64(s.Queued) }},
		figure{"", "cut", func(s *Second) float64 { return float64(s.Cut) }})
}

// changed compares the seconds from one time to another with as many before,
// a minute at least, and gives what differs by more than chance, the surest
// first. ok is false where one side is too short to tell.
func changed(all []Second, from, to int64) (list []change, ok bool) {
	begin := from - max(to-from, time.Minute.Milliseconds())
	var before, within []Second
	for _, s := range all {
		switch {
		case s.At >= from && s.At < to:
			within = append(within, s)
		case s.At >= begin && s.At < from:
			before = append(before, s)
		}
	}
	if len(before) < changeSecondsMin || len(within) < changeSecondsMin {
		return nil, false
	}
	for _, f := range figures() {
		mb, eb := meanOf(before, f.of)
		mw, ew := meanOf(within, f.of)
		// A figure that does not move at all still is a whole number: its error is not nothing.
		rest := .25 / float64(min(len(before), len(within)))
		sure := math.Abs(mw-mb) / math.Sqrt(eb+ew+rest)
		if sure >= changeSureMin {
			list = append(list, change{f.name, f.kind, mb, mw, sure})
		}
	}
	slices.SortStableFunc(list, func(a, b change) int { return cmp.Compare(b.Sure, a.Sure) })
	return list[:min(len(list), changesShown)], true
}

// meanOf gives a figure's mean, and its squared standard error.
func meanOf(all []Second, of func(*Second) float64) (mean, err float64) {
	n := float64(len(all))
	for i := range all {
		mean += of(&all[i]) / n
	}
	for i := range all {
		d := of(&all[i]) - mean
		err += d * d / (n - 1) / n
	}
	return mean, err
}

// Marked is a range of time that somebody looks at, and what changed in it.
type Marked struct {
	From, To time.Time
	Minutes  []time.Time // that can be chosen
	Changes  []change
	Short    bool // too short to tell, or nothing is known of before
}

// marked reads the range from a page's address, in Unix milliseconds; without
// one nothing is compared.
func (d *Desk) marked(r *http.Request) (m Marked) {
	all := d.live.history.last(historySeconds)
	for _, s := range all {
		t := time.UnixMilli(s.At).Truncate(time.Minute)
		if n := len(m.Minutes); n == 0 || !m.Minutes[n-1].Equal(t) {
			m.Minutes = append(m.Minutes, t)
		}
	}
	if n := len(m.Minutes); n > 0 {
		m.Minutes = append(m.Minutes, m.Minutes[n-1].Add(time.Minute))
	}
	from, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	to, err2 := strconv.ParseInt(r.URL.Query().Get("to"), 10, 64)
	if err != nil || err2 != nil {
		return m
	}
	if to < from {
		from, to = to, from
	}
	m.From, m.To = time.UnixMilli(from), time.UnixMilli(to)
	var ok bool
	m.Changes, ok = changed(all, from, to)
	m.Short = !ok
	return m
}
