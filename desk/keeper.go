package desk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/probe"
	"github.com/deichproject/deich/desk/record"
	"github.com/deichproject/deich/desk/status"
)

// IncidentsFolder is the record's folder in the data folder.
const IncidentsFolder = "incidents"

// snapshotFile holds the book up to a place of the record, so that a start
// reads little. The record names its SHA-256; without it everything is read.
const snapshotFile = "snapshot.json"

// snapshotKind is the fact that names the snapshot's hash, in Other.
const snapshotKind incident.Kind = "snapshot"

// span is where lines of the record stand.
type span struct {
	From record.Place `json:"from"`
	To   record.Place `json:"to"`
}

// Keeper keeps incidents: it looks at each second, writes down what is new, and
// only then believes and shows it. It is safe for concurrent use.
type Keeper struct {
	mu    sync.Mutex
	data  string // the data folder
	zone  *time.Location
	warn  func(string)
	log   *record.Log
	index index
	watch *incident.Watch
	last  *counted
	lines int // since the snapshot
	// trouble is why nothing is kept, until the record could be opened again.
	trouble error
	tryAt   time.Time
	tidyAt  time.Time
	posted  time.Time // when the status page's file was written
	post    []byte    // and what it says, without the time
	parts   []status.Component
	looked  time.Time    // when probes' reports were read
	views   []probe.View // and what they agree on
	probing sync.Mutex   // writing a report
	// ready says that the record was read. Without a snapshot that takes seconds,
	// for which nobody waits but whoever asks about incidents.
	ready atomic.Bool
	// unread says that it could not be: what is known is not all, and is not told.
	unread bool
	latest atomic.Pointer[glance]
}

// glance is what the live page, the metrics and the alerts need, as of the last fact
// and the last second: they never wait for a disk.
type glance struct {
	incident *LiveIncident
	actions  []Action // the newest first
	outside  []probe.View
}

// index is what a snapshot holds.
type index struct {
	Book *incident.Book          `json:"book"`
	Rows map[string]span         `json:"rows"` // where an incident's measurements stand
	Days map[string]record.Place `json:"days"` // where a day's lines begin
	// Actions are what people did, the newest last.
	Actions []Action `json:"actions,omitempty"`
}

// OpenKeeper opens the record of incidents in a data folder and reads it. What
// had to be repaired is said to warn, in a sentence each; so is that it cannot be
// opened, which is tried again: a full disk is no reason to be without incidents
// once it has room.
func OpenKeeper(data string, zone *time.Location, now time.Time, warn func(string)) *Keeper {
	k := &Keeper{data: data, zone: zone, warn: warn, watch: incident.NewWatch(zone, nil), index: newIndex(zone), unread: true}
	if err := k.open(now, false); err != nil {
		k.fail(err, now)
		k.ready.Store(true) // so that it is tried again
	}
	return k
}

func newIndex(zone *time.Location) index {
	return index{Book: incident.NewBook(zone), Rows: map[string]span{}, Days: map[string]record.Place{}}
}

func (k *Keeper) dir() string { return filepath.Join(k.data, IncidentsFolder) }

// open opens the record and reads it; in the background where that takes long, unless
// it is to be waited for: then k.mu is held.
func (k *Keeper) open(now time.Time, wait bool) error {
	log, repair, err := record.Open(k.dir())
	if err != nil {
		return err
	}
	k.log = log
	// What was being written when a Deich was killed.
	leftovers, _ := filepath.Glob(filepath.Join(k.dir(), snapshotFile+newMark+"*"))
	for _, name := range leftovers {
		os.Remove(name)
	}
	k.unread = true
	from := k.readSnapshot()
	if _, number, _ := log.End(); wait || from != (record.Place{}) || number <= 2*snapshotLines {
		if err := k.load(from, repair, now); err != nil {
			return errors.Join(err, log.Close())
		}
		return nil
	}
	k.mu.Lock()
	go func() {
		defer k.mu.Unlock()
		if err := k.load(from, repair, now); err != nil {
			k.fail(err, now)
			k.ready.Store(true) // so that it is tried again
		}
	}()
	return nil
}

// load reads the record from a place on; k.mu is held, or nobody else knows k.
func (k *Keeper) load(from record.Place, repair record.Repair, now time.Time) error {
	broken := 0
	err := record.Read(k.dir(), from, record.Place{}, func(l record.Line) error {
		if l.Broken {
			broken++
		}
		k.lines++
		var f incident.Fact
		if json.Unmarshal(l.Payload, &f) != nil {
			return nil // a damaged line: verify tells of it
		}
		k.index.take(f, l.At, l.Next, k.zone)
		return nil
	})
	if err != nil {
		return err
	}
	k.watch = incident.NewWatch(k.zone, k.index.Book)
	k.unread = false
	k.show()
	k.ready.Store(true)
	if broken > 0 {
		k.warn(fmt.Sprintf("%d lines of the record of incidents are not what was written: deich incident verify says which", broken))
	}
	if repair == (record.Repair{}) {
		return nil
	}
	text := fmt.Sprintf("the record of incidents ended in an unfinished line of %d bytes, which nobody was told of; it is set aside in %s", repair.Torn, repair.Aside)
	if repair.Ended {
		text = "the last line of the record of incidents was whole but for its end, and has that again"
	}
	k.warn(text)
	return k.keep([]incident.Fact{{At: now, Kind: incident.Repaired, Text: incident.Text{English: text}}})
}

// take applies one fact that stands in the record.
func (x *index) take(f incident.Fact, at, next record.Place, zone *time.Location) {
	day := f.At.In(zone).Format(time.DateOnly)
	if _, known := x.Days[day]; !known {
		x.Days[day] = at
	}
	if f.Row != nil && f.Incident != "" {
		s, known := x.Rows[f.Incident]
		if !known {
			s.From = at
		}
		s.To = next
		x.Rows[f.Incident] = s
	}
	if a, ok := actionOf(f); ok {
		x.Actions = append(x.Actions, a)
		x.Actions = x.Actions[max(0, len(x.Actions)-actionsMax):]
	}
	x.Book.Apply(f)
}

type snapshot struct {
	Place record.Place    `json:"place"`
	Sum   string          `json:"sha256"`
	State json.RawMessage `json:"state"`
}

// readSnapshot gives where to read on, and the state up to there; nothing of it
// is believed unless the record names its hash.
func (k *Keeper) readSnapshot() record.Place {
	k.index = newIndex(k.zone)
	b, err := os.ReadFile(filepath.Join(k.dir(), snapshotFile))
	if err != nil {
		return record.Place{}
	}
	var s snapshot
	if json.Unmarshal(b, &s) != nil || sumOf(s.State) != s.Sum {
		k.warn("the snapshot of incidents is damaged; the whole record is read instead")
		return record.Place{}
	}
	named := false
	record.Read(k.dir(), s.Place, record.Place{}, func(l record.Line) error {
		var f incident.Fact
		named = json.Unmarshal(l.Payload, &f) == nil && f.Kind == snapshotKind && f.Other == s.Sum
		return errStop
	})
	next := index{Book: incident.NewBook(k.zone)}
	if !named || json.Unmarshal(s.State, &next) != nil || next.Rows == nil || next.Days == nil {
		k.warn("the snapshot of incidents is not the one that the record names; the whole record is read instead")
		return record.Place{}
	}
	k.index = next
	return s.Place
}

var errStop = errors.New("enough was read")

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// prune forgets where lines stand that nobody asks for any more.
func (x *index) prune(now time.Time, zone *time.Location) {
	oldest := now.Add(-recordFor).In(zone).Format(time.DateOnly)
	for day := range x.Days {
		if day < oldest {
			delete(x.Days, day)
		}
	}
	x.Actions = slices.DeleteFunc(x.Actions, func(a Action) bool { return now.Sub(a.At) > recordFor })
	for id := range x.Rows {
		if x.Book.Get(id) == nil {
			delete(x.Rows, id)
		}
	}
}

// snapshot writes the state down; k.mu is held. The record names it first: a
// kill in between leaves the older one, which it names, too.
func (k *Keeper) snapshot(now time.Time) error {
	k.index.prune(now, k.zone)
	state, err := json.Marshal(k.index)
	if err != nil {
		return err
	}
	place, _, _ := k.log.End()
	s := snapshot{place, sumOf(state), state}
	if err := k.keep([]incident.Fact{{At: now, Kind: snapshotKind, Other: s.Sum}}); err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	k.lines = 0
	return writeWhole(filepath.Join(k.dir(), snapshotFile), b, true)
}

// newMark is in the name of a file that is being written.
const newMark = ".new-"

// writeWhole replaces a file: a reader, or a crash, meets the old or the new one.
func writeWhole(name string, b []byte, sync bool) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+newMark+"*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// keep writes facts down and then believes them; k.mu is held, or nobody else
// knows k.
func (k *Keeper) keep(facts []incident.Fact) error {
	if k.trouble != nil || len(facts) == 0 {
		return k.trouble
	}
	payloads := make([][]byte, len(facts))
	for i, f := range facts {
		b, err := json.Marshal(f)
		if err != nil {
			return err
		}
		payloads[i] = b
	}
	places, err := k.log.Append(payloads...)
	if err != nil {
		k.fail(err, facts[0].At)
		return err
	}
	end, _, _ := k.log.End()
	for i, f := range facts {
		next := end
		if i+1 < len(places) {
			next = places[i+1]
		}
		k.index.take(f, places[i], next, k.zone)
	}
	k.lines += len(facts)
	k.show()
	return nil
}

// show lets everybody see what is believed; k.mu is held, or nobody else knows k.
func (k *Keeper) show() {
	g := &glance{outside: k.views}
	if !k.unread {
		g.incident, g.actions = k.current(), k.lastActions(actionsShown)
	}
	k.latest.Store(g)
}

// glance gives what was shown last; nothing while the record is being read.
func (k *Keeper) glance() glance {
	if g := k.latest.Load(); g != nil {
		return *g
	}
	return glance{}
}

// fail stops keeping until the record can be opened again. The watch begins
// anew, lest it go on from facts that nobody has.
func (k *Keeper) fail(err error, now time.Time) {
	if k.trouble != nil {
		return
	}
	k.trouble, k.tryAt = err, now.Add(reopenEvery)
	k.warn(fmt.Sprintf("incidents are not kept: %v; it is tried again every %s", err, reopenEvery))
	if k.ready.Load() {
		k.watch = incident.NewWatch(k.zone, k.index.Book)
	}
}

// see looks at one moment.
func (k *Keeper) see(now time.Time, s *State) {
	if !k.ready.Load() {
		return
	}
	for _, i := range k.look(now, s) {
		k.hold(i, now)
	}
}

// look writes down what is new at one moment, and gives the incidents that were closed.
func (k *Keeper) look(now time.Time, s *State) (closed []*incident.Incident) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.show()
	if k.trouble != nil {
		k.reopen(now)
	}
	is := countState(now, s)
	last := k.last
	if k.last = is; last == nil || !now.After(last.at) || now.Sub(last.at) > gapMax {
		return nil
	}
	sample := sampleBetween(last, is, s)
	sample.Outside = ofOutside(k.outside(now))
	facts := k.watch.See(sample)
	if err := k.keep(facts); err == nil {
		for _, f := range facts {
			if f.Kind != incident.Closed {
				continue
			}
			if i, err := k.copyOf(f.Incident); err == nil {
				closed = append(closed, i.Incident)
			}
		}
		k.tidy(now)
	}
	k.parts = seenFromOutside(components(s, &sample), k.outside(now))
	k.publish(now)
	return closed
}

// hold holds the claims of an incident that was just closed against the whole record.
func (k *Keeper) hold(i *incident.Incident, now time.Time) {
	for c := range i.Claims {
		claim := i.Claims[c].Claim
		finding := k.finding(&claim, i, now)
		k.mu.Lock()
		k.keep([]incident.Fact{{At: now, Kind: incident.Held, Incident: i.ID, Claim: &incident.Claim{ID: claim.ID}, Finding: &finding}})
		k.mu.Unlock()
	}
}

// reopen tries to open the record again after a failure; k.mu is held.
func (k *Keeper) reopen(now time.Time) {
	if now.Before(k.tryAt) {
		return
	}
	k.tryAt = now.Add(reopenEvery)
	if k.log != nil {
		k.log.Close()
	}
	was := k.trouble
	k.trouble, k.lines = nil, 0 // what load finds to be repaired is kept
	if err := k.open(now, true); err != nil {
		if k.trouble == nil {
			k.trouble = was
		}
		return
	}
	if k.keep([]incident.Fact{{At: now, Kind: incident.Repaired, Text: incident.Text{English: "What was seen for a while is missing: " + was.Error()}}}) == nil {
		k.warn(fmt.Sprintf("incidents are kept again; what was seen since is missing (%v)", was))
	}
}

// tidy snapshots and removes what is too old, now and then.
func (k *Keeper) tidy(now time.Time) {
	if k.lines >= snapshotLines {
		if err := k.snapshot(now); err != nil {
			k.warn(fmt.Sprintf("no snapshot of incidents was written: %v", err))
			k.lines = 0
		}
	}
	if now.Before(k.tidyAt) {
		return
	}
	k.tidyAt = now.Add(time.Hour)
	if _, err := k.log.Retain(now.Add(-recordFor), recordBytesMax); err != nil {
		k.warn(fmt.Sprintf("old lines of the record of incidents are not removed: %v", err))
	}
}

// Close writes down what was measured and not said yet, and a snapshot.
func (k *Keeper) Close(now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trouble != nil { // which was said
		if k.log != nil {
			k.log.Close()
		}
		return nil
	}
	err := k.keep(k.watch.Rest())
	if err == nil {
		err = k.snapshot(now)
	}
	return errors.Join(err, k.log.Close(), k.sayEnded(now))
}

// rows gives an incident's measurements, oldest first: seconds, and minutes
// beyond incident.SecondsMax.
func (k *Keeper) rows(id string) ([]incident.Row, error) {
	k.mu.Lock()
	var where []span
	names := []string{id}
	if i := k.index.Book.Get(id); i != nil {
		names = append(names, i.Parts...)
	}
	for _, n := range names {
		if s, ok := k.index.Rows[n]; ok {
			where = append(where, s)
		}
	}
	k.mu.Unlock()
	var rows []incident.Row
	for _, s := range where {
		var said time.Time // the end of the last second
		err := record.Read(k.dir(), s.From, s.To, func(l record.Line) error {
			if !bytes.Contains(l.Payload, []byte(`"row"`)) {
				return nil
			}
			var f incident.Fact
			if err := json.Unmarshal(l.Payload, &f); err != nil || f.Row == nil || !slices.Contains(names, f.Incident) {
				return nil
			}
			switch {
			case f.Kind == incident.Second:
				said = f.Row.At
			case f.Row.At.Equal(said): // its seconds are there
				return nil
			}
			rows = append(rows, *f.Row)
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	// Of one that was split and merged again, spans may lie within each other.
	slices.SortStableFunc(rows, func(a, b incident.Row) int { return a.At.Compare(b.At) })
	return slices.CompactFunc(rows, func(a, b incident.Row) bool { return a.At.Equal(b.At) }), nil
}

// measured sums up what the record holds of a window from a place on. It may read
// days: k.mu is not held.
func (k *Keeper) measured(from, to time.Time, begins record.Place) incident.Measured {
	m := incident.NewMeasuring(from, to)
	record.Read(k.dir(), begins, record.Place{}, func(l record.Line) error {
		if !bytes.Contains(l.Payload, []byte(`"row"`)) {
			return nil
		}
		var f incident.Fact
		if json.Unmarshal(l.Payload, &f) != nil || f.Row == nil {
			return nil
		}
		if f.Row.From().After(to.Add(2 * incident.QuietFor)) {
			return errStop
		}
		m.Count(f.Kind, f.Row)
		return nil
	})
	return m.Measured()
}

// begins gives where to begin to read for a time; k.mu is held. ok is false
// where nothing was measured before its end.
func (k *Keeper) begins(from time.Time) (record.Place, bool) {
	for d := 0; d < 2; d++ {
		if p, ok := k.index.Days[from.Add(time.Duration(d)*24*time.Hour).In(k.zone).Format(time.DateOnly)]; ok {
			return p, true
		}
	}
	return record.Place{}, false
}

// finding holds a claim against the record. It may read days: k.mu is not held, and
// i is a copy.
func (k *Keeper) finding(c *incident.Claim, i *incident.Incident, now time.Time) incident.Finding {
	from, to := c.Window(i)
	if to.IsZero() || to.After(now) && i != nil && i.End.IsZero() {
		to = now
	}
	m := incident.Measured{From: from, To: to, Worst: 1}
	zone := k.zone
	if i != nil && i.Case != nil {
		zone = i.Case.Location()
	} else if to.After(from) && to.Sub(from) <= claimWindowMax {
		k.mu.Lock()
		place, ok := k.begins(from.Add(-time.Hour))
		k.mu.Unlock()
		if ok {
			m = k.measured(from, to, place)
		}
	}
	return incident.Hold(c, i, m, now, zone)
}
