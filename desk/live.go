package desk

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/deichproject/deich/desk/alert"
)

// tally is the counters of one moment, folded to what the page shows.
type tally struct {
	at      time.Time
	ok      [len(tiers)]uint64 // served
	failed  [len(tiers)]uint64 // admitted, and failed at the origin
	refused [len(tiers)]uint64 // any act but allow
	acts    [len(acts)]uint64
	latency [len(tiers)]Latency
}

func fold(at time.Time, s *State) tally {
	t := tally{at: at}
	for _, r := range s.Requests {
		if i := slices.Index(acts[:], r.Act); i >= 0 {
			t.acts[i] += r.N
		}
		if i := slices.Index(tiers[:], r.Tier); i >= 0 && refused(&r) {
			t.refused[i] += r.N
		}
	}
	for _, g := range s.Served {
		if i := slices.Index(tiers[:], g.Tier); i >= 0 {
			t.ok[i] += g.OK
			t.failed[i] += g.Failed
		}
	}
	for _, l := range s.Latency {
		if i := slices.Index(tiers[:], l.Tier); i >= 0 {
			t.latency[i] = l
		}
	}
	return t
}

// Second is one second of history: what ended within it, and how things stood
// at its end.
type Second struct {
	At     int64              `json:"at"` // Unix milliseconds
	Asked  [len(tiers)]uint32 `json:"asked"`
	Served [len(tiers)]uint32 `json:"served"`
	Acts   [len(acts)]uint32  `json:"acts"`
	Limit  float32            `json:"limit"`
	Flight int                `json:"inflight"`
	Queued int                `json:"queued"`
	Cut    uint8              `json:"cut"`
}

// Group is one tier as it fares now, over the last ten seconds.
type Group struct {
	Tier   string  `json:"tier"`
	Asked  float64 `json:"asked"`  // requests that ended, per second
	Served float64 `json:"served"` // share of them that got the origin's answer; -1 where none asked
	P50    float64 `json:"p50_ms"` // -1 where none was served
	P99    float64 `json:"p99_ms"`
	Total  uint64  `json:"total"` // served since the start
}

// Act is how often one act was chosen.
type Act struct {
	Act    string  `json:"act"`
	Second float64 `json:"second"` // per second, over the last ten
	Total  uint64  `json:"total"`
}

// Live is what the page shows: computed here once a second, so that the
// script only draws.
type Live struct {
	At       time.Time `json:"at"`
	Sentence string    `json:"sentence"` // true now
	German   string    `json:"sentence_de"`
	Mood     string    `json:"mood"`  // calm, pressure, failing, bypass
	Water    int       `json:"water"` // pressure, 0 to 100
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Groups   []Group   `json:"groups"`
	Acts     []Act     `json:"acts"`
	Origins  []Origin  `json:"origins"`
	Rules    []Rule    `json:"rules"`
	Events   []Event   `json:"events"`
	Second   Second    `json:"second"`
	Memory   int       `json:"memory_bytes"`
	Listed   int       `json:"listed"`
	Hand     []Listing `json:"hand"` // the newest of what is listed by hand, the oldest of them first
	Ordered  int       `json:"ordered"`
	// Networks are those from which most came, of NetworksAll, over NetworksSeconds.
	Networks        []Network `json:"networks"`
	NetworksAll     int       `json:"networks_all"`
	NetworksSeconds float64   `json:"networks_seconds"`
	// Operators and Countries are the same by who runs the networks, and by their
	// countries, where NetworkFiles tell; Shades are the map's, by country.
	Operators    []Part         `json:"operators,omitempty"`
	OperatorsAll int            `json:"operators_all,omitempty"`
	Countries    []Part         `json:"countries,omitempty"`
	CountriesAll int            `json:"countries_all,omitempty"`
	Shades       map[string]int `json:"shades,omitempty"`
	NetworkFiles []NetworkFile  `json:"network_files,omitempty"`
	Spool        *Spool         `json:"spool,omitempty"` // nil: no messages are kept
	Gate         Gate           `json:"gate"`
	Actions      []Action       `json:"actions"` // what people did, the newest first
	// Alerts are what needs a person, the oldest first; Told says that somebody is told.
	Alerts []alert.Alert `json:"alerts"`
	Told   bool          `json:"told"`
	// Incident is the one that is going on, or the last one of today; nil: none.
	Incident *LiveIncident `json:"incident,omitempty"`
}

// LiveIncident is the incident that the page shows.
type LiveIncident struct {
	ID       string `json:"id"`
	Life     string `json:"life"`
	Sentence string `json:"sentence"`
	German   string `json:"sentence_de"`
	// Timeline is what happened in it, the newest first; the dossier has all.
	Timeline []LiveMoment `json:"timeline"`
}

// LiveMoment is one moment of an incident.
type LiveMoment struct {
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"` // a person; "": Deich
	Text   string    `json:"text"`
	German string    `json:"de"`
}

// live holds the sampler's memory: the window of tallies, the history and who listens.
type live struct {
	history ring[Second]

	mu      sync.Mutex
	window  []tally // the last windowSeconds+1, oldest first
	current Live
	// listeners hold the newest Live each; who is slow misses some.
	listeners map[chan Live]struct{}
}

// moment is what was so at a time.
type moment struct {
	at    time.Time
	state State
}

// Run samples once a second until ctx ends. Serve does so itself; where no
// console is served, incidents are kept all the same.
func (d *Desk) Run(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	if d.alerts != nil {
		beside.Go(func() { d.alerts.Run(ctx) })
	}
	// Incidents are written down beside: a disk that is slow stops no page and no alert.
	seen := make(chan moment, handedMax)
	defer close(seen)
	beside.Go(func() {
		for m := range seen {
			d.incidents.see(m.at, &m.state)
		}
	})
	each := time.NewTicker(time.Second)
	defer each.Stop()
	for {
		now, s := d.sample()
		time.Sleep(lookPause)
		d.hand(seen, moment{now, s})
		select {
		case <-ctx.Done():
			return
		case <-each.C:
		}
	}
}

// hand gives a moment to who keeps incidents. Where there is no room, the next one
// tells of this second, too, up to gapMax: counters go on, and so do the marks of who
// was missed.
func (d *Desk) hand(seen chan<- moment, m moment) {
	if d.incidents == nil || len(seen) == cap(seen) {
		return
	}
	if d.missed != nil {
		m.state.Missed = d.missed()
	}
	seen <- m
}

// sample looks once, and tells everyone who listens.
func (d *Desk) sample() (time.Time, State) {
	s := d.state()
	time.Sleep(lookPause)
	var kept glance
	if d.incidents != nil {
		kept = d.incidents.glance()
		kept.actions = slices.Clone(kept.actions)
		undoable(kept.actions, s.Hand)
	}
	l := &d.live
	l.mu.Lock()
	defer l.mu.Unlock()
	now := fold(d.now(), &s)
	if len(l.window) > windowSeconds {
		l.window = slices.Delete(l.window, 0, 1)
	}
	l.window = append(l.window, now)
	l.current = d.view(&s)
	if d.alerts != nil {
		d.alerts.See(now.at, alarms(&s, &l.current, kept.outside))
		l.current.Alerts, l.current.Told = d.alerts.Active(), d.alerts.Tells()
	}
	l.current.Incident, l.current.Actions = kept.incident, kept.actions
	if len(l.window) > 1 {
		l.history.add(l.current.Second)
	}
	for c := range l.listeners {
		select {
		case <-c: // it had not taken the last one: replaced
		default:
		}
		c <- l.current
	}
	return now.at, s
}

// view computes what the page shows from the window; l.mu is held.
func (d *Desk) view(s *State) Live {
	w := d.live.window
	now, before, last := &w[len(w)-1], &w[0], &w[max(0, len(w)-2)]
	v := Live{
		At: now.at, Version: s.Version, Started: s.Started, Origins: s.Origins, Rules: s.Rules,
		Events: d.events.last(eventsShown), Memory: s.MemoryBytes, Listed: s.Listed, Ordered: s.Ordered, Spool: s.Spool, Gate: s.Gate,
		Hand:     s.Hand[max(0, len(s.Hand)-handShown):],
		Networks: s.Networks[:min(len(s.Networks), networksShown)], NetworksAll: len(s.Networks), NetworksSeconds: s.NetworksOver.Seconds(),
	}
	v.Operators, v.OperatorsAll = s.Operators[:min(len(s.Operators), networksShown)], len(s.Operators)
	v.Countries, v.CountriesAll = s.Countries[:min(len(s.Countries), networksShown)], len(s.Countries)
	v.Shades, v.NetworkFiles = shades(s.Countries, v.NetworksSeconds), s.NetworkFiles
	slices.Reverse(v.Events)
	for i := range tiers {
		v.Groups = append(v.Groups, group(i, now, before))
		ok := now.ok[i] - last.ok[i]
		v.Second.Served[i] = uint32(ok)
		v.Second.Asked[i] = uint32(ok + now.failed[i] - last.failed[i] + now.refused[i] - last.refused[i])
	}
	for i := range acts {
		v.Acts = append(v.Acts, Act{acts[i], rate(now.acts[i]-before.acts[i], now.at.Sub(before.at)), now.acts[i]})
		v.Second.Acts[i] = uint32(now.acts[i] - last.acts[i])
	}
	v.Second.At = now.at.UnixMilli()
	for _, o := range s.Origins {
		v.Second.Limit += float32(o.Limit)
		v.Second.Flight += o.Inflight
		v.Second.Queued += o.Queued
		v.Second.Cut = max(v.Second.Cut, o.Cut)
	}
	v.Water = water(s.Origins)
	v.Mood, v.Sentence, v.German = mood(s, v.At), english.speak(s, &v), german.speak(s, &v)
	return v
}

func group(i int, now, before *tally) Group {
	ok := now.ok[i] - before.ok[i]
	asked := ok + now.failed[i] - before.failed[i] + now.refused[i] - before.refused[i]
	g := Group{Tier: tiers[i], Asked: rate(asked, now.at.Sub(before.at)), Served: -1, Total: now.ok[i]}
	if asked > 0 {
		g.Served = float64(ok) / float64(asked)
	}
	g.P50 = quantile(&now.latency[i], &before.latency[i], 0.5)
	g.P99 = quantile(&now.latency[i], &before.latency[i], 0.99)
	return g
}

// KnowsCountries says whether a file tells of countries.
func (v Live) KnowsCountries() bool {
	return slices.ContainsFunc(v.NetworkFiles, func(f NetworkFile) bool { return f.Countries })
}

// KnowsOperators says whether a file tells of operators.
func (v Live) KnowsOperators() bool {
	return slices.ContainsFunc(v.NetworkFiles, func(f NetworkFile) bool { return f.Operators })
}

// Each gives how many requests came from somewhere per second.
func (v Live) Each(f Fates) float64 { return v.perSecond(f.Asked()) }

// Turned gives how many of them were refused, and what was refused before.
func (v Live) Turned(f Fates) float64 { return v.perSecond(f.Refused()) }

func (v Live) perSecond(n uint64) float64 {
	return rate(n, time.Duration(v.NetworksSeconds*float64(time.Second)))
}

func rate(n uint64, over time.Duration) float64 {
	if over <= 0 {
		return 0
	}
	return float64(n) / over.Seconds()
}

// quantile reads milliseconds from the difference of two histograms, evenly
// spread within a bucket; -1 where nothing was counted.
func quantile(now, before *Latency, q float64) float64 {
	diff := slices.Clone(now.Counts)
	var all uint64
	for i := range diff {
		if i < len(before.Counts) {
			diff[i] -= before.Counts[i]
		}
		all += diff[i]
	}
	if all == 0 || len(now.Bounds) == 0 {
		return -1
	}
	rank, seen, low := q*float64(all), 0.0, 0.0
	for i, bound := range now.Bounds {
		n := float64(diff[i])
		if n > 0 && seen+n >= rank {
			return 1000 * (low + (bound-low)*(rank-seen)/n)
		}
		seen, low = seen+n, bound
	}
	return 1000 * low // above all bounds: at least this
}

// water is how far demand stands above what the origins answer: 0 in peace,
// 100 where ten times as much comes.
func water(origins []Origin) int {
	var worst float64
	for _, o := range origins {
		if o.Failing {
			return 100
		}
		if o.Pressure && o.Goodput > 0 {
			worst = max(worst, o.Demand/o.Goodput)
		} else if o.Pressure {
			worst = 10
		}
	}
	if worst <= 1 {
		return 0
	}
	return min(100, int(20+80*(worst-1)/9))
}

// subscribe gives a channel that always holds the newest Live, or false when
// too many listen.
func (l *live) subscribe() (c chan Live, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.listeners) >= subscribersMax {
		return nil, false
	}
	if l.listeners == nil {
		l.listeners = make(map[chan Live]struct{}, subscribersMax)
	}
	c = make(chan Live, 1)
	if len(l.window) > 0 {
		c <- l.current
	}
	l.listeners[c] = struct{}{}
	return c, true
}

func (l *live) unsubscribe(c chan Live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.listeners, c)
}

// newest gives what the last sample saw; false before the first.
func (l *live) newest() (Live, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, len(l.window) > 0
}
