package incident

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Watch looks at a sample each second and says what is new. It is not safe for
// concurrent use, and a function of what it was shown alone.
type Watch struct {
	zone   *time.Location
	book   *Book   // whose names are not given again; nil: there is none
	buffer []Row   // the last bufferSeconds, oldest first
	kept   int     // how many of the oldest of them were said as seconds already
	marks  []Marks // beside buffer, while no incident is open
	people *people // of the one that is open
	minute Row
	usual  usual

	open    string // the incident that is open; ""
	begin   time.Time
	since   time.Time // when somebody was affected anew: whoever is served again is so later
	hurt    bool      // known users were affected
	back    bool      // known users are served again
	whole   bool      // newcomers, too
	wholeAt time.Time
	told    bool // and the public was told
	over    bool // ended was said
	lastOff time.Time
	seconds int    // of the open one that were said one by one
	minutes bool   // they are not any more
	number  int    // of today's last incident
	day     string // today
	due     time.Time

	origins map[string]Origin
	rules   map[uint32]Rule
	outside map[string]*unreached // what probes elsewhere find down, by its name
	caused  int                   // seconds in a row with a cause named or an origin failing
	flood   bool                  // one is named now
	empty   int                   // seconds in a row in which next to nothing arrives
	placed  bool                  // it was said where what is refused comes from
}

// unreached is one thing that probes elsewhere find down.
type unreached struct {
	Outside
	told   bool // the incident that is open says so
	passed bool // people closed the incident that did: it opens no other
	up     bool // they find it well again
}

// usual is what peace was like.
type usual struct {
	seconds float64 // learned from
	asked   float64 // known users' requests a second
	loss    float64 // share
	fresh   float64 // strangers' requests a second
	p50     float64 // milliseconds
}

// NewWatch begins to look. Times in texts are in zone. An incident that was
// open when Deich ended is taken up again.
func NewWatch(zone *time.Location, b *Book) *Watch {
	w := &Watch{zone: zone, book: b, origins: map[string]Origin{}, rules: map[uint32]Rule{}, outside: map[string]*unreached{}}
	if b == nil {
		return w
	}
	for _, i := range b.Incidents() {
		if i.goesOn() && (w.open == "" || i.Begin.After(w.begin)) {
			w.open, w.begin, w.since, w.hurt = i.ID, i.Begin, i.Begin, i.Hurt
			w.seconds = i.seconds.N
			w.back, w.whole, w.over = !i.Mitigated.IsZero(), !i.Restored.IsZero(), !i.End.IsZero()
			w.lastOff, w.due = i.lastOff(), i.Promised
			w.wholeAt, w.told = i.Restored, w.over
			w.placed = i.Whence != (Text{})
			w.people = &people{least: true} // who was met before is not known any more
			clear(w.outside)
			for _, o := range i.Outside {
				if o.To.IsZero() {
					w.outside[o.Name] = &unreached{Outside: Outside{Name: o.Name, Down: true, Since: o.From, Text: o.Text}, told: true}
				}
			}
		}
	}
	return w
}

// Took says that people merged, split or closed incidents: the watch goes on
// with what is open of those that it opened itself, or what they went into. What
// people opened for something else is theirs to end.
func (w *Watch) Took(b *Book) {
	if w.open == "" {
		return
	}
	if i := b.Get(w.open); i != nil && i.Into == "" && i.Life != Resolved {
		return
	}
	w.open = ""
	defer func() {
		goesOn := b.Get(w.open) // nil: none does
		for name, o := range w.outside {
			o.passed = goesOn == nil
			o.told = goesOn != nil && slices.ContainsFunc(goesOn.Outside, func(u Unreach) bool { return u.Name == name && u.To.IsZero() })
		}
	}()
	for _, i := range b.Incidents() {
		if i.goesOn() {
			w.open, w.begin, w.seconds = i.ID, i.Begin, i.seconds.N
			w.people = &people{least: true}
			return
		}
	}
}

func dayOf(t time.Time, zone *time.Location) string { return t.In(zone).Format("2006-01-02") }

// NewID gives the next incident's name: the day it is noticed, and a number. Where
// the clock was ahead, or Deich was started again, some of a day's are taken.
func (w *Watch) NewID(at time.Time) string {
	if day := dayOf(at, w.zone); day != w.day {
		w.day, w.number = day, 0
	}
	for {
		w.number++
		if id := fmt.Sprintf("%s-%d", w.day, w.number); w.book == nil || w.book.Get(id) == nil {
			return id
		}
	}
}

// See takes in one second and gives the facts that are new, in order.
func (w *Watch) See(s Sample) (facts []Fact) {
	at := s.Row.At
	say := func(f Fact) {
		f.At = at
		if f.Incident == "" {
			f.Incident = w.open
		}
		facts = append(facts, f)
	}
	row := s.Row
	w.lookOut(s.Outside)
	w.mark(&row, &s)
	w.take(row, s.Marks)
	if w.open == "" && w.opens() {
		w.start(at, say)
		w.compare(&s, say) // what held already is news to the incident
	} else {
		w.meet(len(w.buffer) - 1)
		w.compare(&s, say)
	}
	if w.open != "" {
		w.follow(at, say)
		w.place(at, &s, say)
	} else if n := len(w.buffer) - learnAfter; n >= 0 {
		w.usual.learn(&w.buffer[n])
	}
	w.write(at, say)
	return facts
}

// lookOut takes in what probes elsewhere say.
func (w *Watch) lookOut(all []Outside) {
	seen := map[string]bool{}
	for _, o := range all {
		seen[o.Name] = true
		is := w.outside[o.Name]
		switch {
		case o.Down && is == nil:
			w.outside[o.Name] = &unreached{Outside: o}
		case is != nil:
			is.up = o.Up
		}
	}
	for name, is := range w.outside {
		is.up = is.up || !seen[name] // nobody has looked for a day
	}
}

// out gives the names of what probes elsewhere find down, in their order, but for
// what people called over.
func (w *Watch) out() (names []string) {
	for name, o := range w.outside {
		if !o.up && !o.passed {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// mark says what was off in a second.
func (w *Watch) mark(r *Row, s *Sample) {
	for _, o := range s.Origins {
		r.Press = r.Press || o.Press
		r.Fail = r.Fail || o.Failing
	}
	// Where the platform does not answer, and the engine sees nothing else behind it,
	// more strangers are people who come again and again, and who stay strangers.
	again := slices.ContainsFunc(s.Origins, func(o Origin) bool { return o.Failing && o.Cause == ownFault })
	r.Apart = r.Press || !again && w.usual.seconds >= learnLeast && float64(r.New().Asked) > strangersTimes*w.usual.fresh+10
	r.Hurt, r.Off, r.Out = 0, 0, 0
	if w.hurts(r) {
		r.Hurt = r.Span
	}
	if len(w.out()) > 0 {
		r.Out = r.Span
	}
	w.empty = either(slices.ContainsFunc(s.Origins, func(o Origin) bool { return o.Cause == upstream }), w.empty+1, 0)
	caused := r.Fail || slices.ContainsFunc(s.Origins, named)
	// What goes on slowly, and is named, is not over, even where nobody waits for long.
	drags := w.open != "" && caused && w.slower(r)
	// A flood of connections need not press anything.
	w.flood = slices.ContainsFunc(s.Origins, flooded)
	if w.drained(r) || r.Hurt > 0 || r.Press || r.Fail || r.Ruled >= 5 || r.Gate >= 5 || w.holds(r) || w.empty > 0 || r.Out > 0 || drags {
		r.Off = r.Span
	}
	if caused {
		w.caused++
	} else {
		w.caused = 0
	}
}

func named(o Origin) bool {
	return o.Cause != "" && o.Cause != "none" && o.Cause != "unknown" && o.Cause != upstream
}

// drained says that a flood leaves connections without a request.
func (w *Watch) drained(r *Row) bool { return w.flood && r.Empty >= emptyOff }

func flooded(o Origin) bool { return o.Cause == "flood" || o.Cause == "mixed" }

// upstream is the engine's word for next to nothing arriving. It takes longer to
// believe: people go home, too.
const upstream = "upstream"

// ownFault is the engine's word for an origin that suffers by itself.
const ownFault = "origin_fault"

// hurts says whether known users were affected in a row.
func (w *Watch) hurts(r *Row) bool {
	k := r.Users()
	asked := k.Asked - min(k.Own, k.Asked)
	return k.Lost() > 0 && float64(k.Lost()) > (lossTarget+w.usual.loss)*float64(asked) || w.slow(r)
}

func (w *Watch) slow(r *Row) bool {
	return r.P50 >= slowLeast && w.slower(r)
}

func (w *Watch) slower(r *Row) bool {
	return w.usual.p50 > 0 && float64(r.P50) > slowTimes*w.usual.p50
}

// holds says whether newcomers were held back in a row.
func (w *Watch) holds(r *Row) bool {
	n := r.New()
	return r.Press && n.Held > 0 && float64(n.Held) >= heldShare*float64(n.Asked)
}

// still says that known users who are usually there did not get a single
// answer: their requests hang, or do not arrive.
func (w *Watch) still(r *Row) bool { return w.usual.asked >= stillRate && r.Users().Asked == 0 }

func (w *Watch) take(r Row, m Marks) {
	if len(w.buffer) == bufferSeconds {
		w.buffer, w.marks = slices.Delete(w.buffer, 0, 1), slices.Delete(w.marks, 0, 1)
		w.kept = max(0, w.kept-1)
	}
	w.buffer, w.marks = append(w.buffer, r), append(w.marks, m)
}

// meet counts who was met from a row on, if an incident is open.
func (w *Watch) meet(first int) {
	if w.open == "" {
		return
	}
	for i := first; i < len(w.buffer); i++ {
		w.people.take(&w.buffer[i], &w.marks[i])
		w.marks[i] = Marks{}
	}
}

// last gives the newest n rows.
func (w *Watch) last(n int) []Row { return w.buffer[max(0, len(w.buffer)-n):] }

// loss gives what known users lost over some rows, beyond what is usual.
func (w *Watch) loss(rows []Row) (lost int, share float64, seconds, slow int) {
	asked := 0
	for i := range rows {
		k := rows[i].Users()
		asked += int(k.Asked - min(k.Own, k.Asked))
		lost += int(k.Lost())
		if k.Lost() > 0 {
			seconds++
		}
		if w.slow(&rows[i]) {
			slow++
		}
	}
	if asked > 0 {
		share = float64(lost)/float64(asked) - w.usual.loss
	}
	return lost, share, seconds, slow
}

// opens says whether this is an incident.
func (w *Watch) opens() bool {
	if len(w.out()) > 0 {
		return true
	}
	rows := w.last(windowSeconds)
	lost, share, seconds, slow := w.loss(rows)
	enough := lossOpens
	if w.usual.seconds < learnLeast {
		enough = lossOpensEarly
	}
	if lost >= lostMin && seconds >= 2 && share > enough || slow >= windowSeconds/2 {
		return true
	}
	held := 0
	for _, r := range w.last(5) {
		if w.holds(&r) {
			held++
		}
	}
	// A cause alone is no incident: somebody has to be affected, or something held off.
	off := slices.ContainsFunc(rows, func(r Row) bool { return r.Off > 0 })
	return held >= heldSeconds || w.caused >= failingSeconds && off || w.empty >= emptySeconds
}

// place says once where what is refused comes from: when that has been counted
// for a while.
func (w *Watch) place(at time.Time, s *Sample, say func(Fact)) {
	if !w.placed && w.open != "" && s.Whence != (Text{}) && at.Sub(w.begin) >= placedAfter {
		w.placed = true
		say(Fact{Kind: Whence, Text: s.Whence})
	}
}

// start opens an incident and says since when.
func (w *Watch) start(at time.Time, say func(Fact)) {
	w.open = w.NewID(at)
	w.hurt, w.back, w.whole, w.told, w.over, w.placed = false, false, false, false, false, false
	w.seconds, w.minutes = 0, false
	first, gap := len(w.buffer)-1, 0
	for i := len(w.buffer) - 1; i >= 0 && gap <= gapMax; i-- {
		if r := &w.buffer[i]; r.Hurt > 0 || r.Fail || w.holds(r) || w.still(r) || w.drained(r) || (w.empty > 0 || w.caused > 0) && r.Off > 0 {
			first, gap = i, 0
		} else {
			gap++
		}
	}
	w.begin, w.lastOff = w.buffer[first].From(), at
	w.beginOutside()
	w.since = w.begin
	for i := first; i < len(w.buffer); i++ {
		r := &w.buffer[i]
		if w.still(r) {
			r.Hurt, r.Off = r.Span, r.Span
		}
		if w.drained(r) {
			r.Off = r.Span
		}
		w.hurt = w.hurt || r.Hurt > 0
	}
	w.people = new(people)
	w.meet(first)
	// Losses too small to open anything do not count as known users' being affected.
	lost, share, _, slow := w.loss(w.buffer[first:])
	w.hurt = w.hurt && (lost >= lostMin && share > relapseTimes*lossTarget || slow > 0)
	say(Fact{Kind: Opened, Time: w.begin, Newcomer: !w.hurt})
	if w.hurt {
		say(Fact{Kind: Affected, Time: w.begin})
	}
	w.promise(at)
	say(Fact{Kind: Updated, Life: Investigating, Text: draftText(w.begin, w.due, w.harm(), w.zone), Time: w.due})
}

// beginOutside lets an incident begin with the first check elsewhere that failed,
// where that was earlier than anything here.
func (w *Watch) beginOutside() {
	for _, o := range w.outside {
		if o.up || o.passed {
			continue
		}
		if o.Since.Before(w.begin) {
			w.begin = o.Since
		}
		for i := range w.buffer {
			if r := &w.buffer[i]; r.From().After(o.Since) {
				r.Out, r.Off = r.Span, r.Span
			}
		}
	}
}

// harm says how users are affected, as of the last seconds.
func (w *Watch) harm() Text {
	switch _, share, _, slow := w.loss(w.last(windowSeconds)); {
	case w.empty > 0:
		return fewArrive
	case !w.hurt:
		return w.bother()
	case slow > 0 && share < lossOpens:
		return everybodyWaits
	}
	return usersOut
}

// bother says what is so while no known user is affected, as far as is measured here.
func (w *Watch) bother() Text {
	if names := w.out(); len(names) > 0 {
		return outText(names)
	}
	if r := w.last(1); len(r) > 0 && w.drained(&r[0]) && !r[0].Press {
		return connectionsLeft
	}
	return newcomersWait
}

func (w *Watch) promise(at time.Time) {
	w.due = at.Add(NextUpdate).Truncate(5 * time.Minute)
}

// compare says what changed at the origins and among the rules.
func (w *Watch) compare(s *Sample, say func(Fact)) {
	for _, o := range s.Origins {
		was := w.origins[o.Name]
		if w.open == "" {
			// Outside an incident nothing is told; what holds when one opens, is.
			w.origins[o.Name] = Origin{Name: o.Name}
			continue
		}
		if o.Failing != was.Failing {
			say(Fact{Kind: either(o.Failing, Failing, Answering), Origin: o.Name})
		}
		if o.Press != was.Press {
			say(Fact{Kind: either(o.Press, Pressed, Eased), Origin: o.Name})
		}
		if o.Cause != was.Cause && (o.Cause != "none" || was.Cause != "") {
			say(Fact{Kind: CauseIs, Origin: o.Name, Cause: o.Cause, Sure: o.Sure, Terms: o.Terms, Text: o.Why})
		}
		w.origins[o.Name] = o
	}
	for _, name := range slices.Sorted(maps.Keys(w.outside)) {
		o := w.outside[name]
		switch {
		case o.up:
			delete(w.outside, name)
			if o.told {
				say(Fact{Kind: Reached, Origin: name})
			}
		case w.open != "" && !o.told && !o.passed:
			o.told = true
			say(Fact{Kind: Unreached, Origin: name, Time: o.Since, Text: o.Text})
		}
	}
	if w.open == "" {
		clear(w.rules)
		return
	}
	here := map[uint32]bool{}
	for _, r := range s.Rules {
		here[r.ID] = true
		if _, known := w.rules[r.ID]; !known {
			w.rules[r.ID] = r
			say(Fact{Kind: RuleActs, Rule: r.ID, Text: r.Text})
		}
	}
	var gone []uint32
	for id := range w.rules {
		if !here[id] {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	for _, id := range gone {
		delete(w.rules, id)
		say(Fact{Kind: RuleEnds, Rule: id})
	}
}

func either[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// follow says how an open incident goes on.
func (w *Watch) follow(at time.Time, say func(Fact)) {
	lost, share, seconds, slow := w.loss(w.last(windowSeconds))
	newest := &w.buffer[len(w.buffer)-1]
	bad := lost >= lostMin && seconds >= 2 && share > relapseTimes*lossTarget || slow >= windowSeconds/2
	if bad && newest.Hurt > 0 && (!w.hurt || w.back) {
		w.suffer(say)
	}
	if w.hurt && !w.back {
		if t := w.returned(w.served); !t.IsZero() {
			w.back, w.since = true, t
			say(Fact{Kind: Mitigated, Time: t})
		}
	}
	if newest.Off > 0 {
		w.lastOff = at
	}
	if (w.whole || w.over) && (newest.Press && w.holds(newest) || newest.Fail || newest.Out > 0 || bad && newest.Hurt > 0) {
		w.whole, w.over, w.since = false, false, newest.From()
		say(Fact{Kind: Again, Time: w.since})
		if w.told {
			w.told = false
			w.promise(at)
			say(Fact{Kind: Updated, Life: Identified, Text: againText(w.since, w.due, w.harm(), w.zone), Time: w.due})
		}
	}
	if w.over && newest.Off > 0 { // a few refusals: it is not over, and nobody is affected
		w.over = false
		say(Fact{Kind: Continues, Time: newest.From()})
	}
	if !w.whole && (w.back || !w.hurt) {
		if t := w.returned(w.calm); !t.IsZero() {
			w.whole, w.wholeAt = true, t
			say(Fact{Kind: Restored, Time: t})
		}
	}
	if w.whole && !w.told && at.Sub(w.wholeAt) >= tellAfter {
		w.told = true
		w.promise(at)
		say(Fact{Kind: Updated, Life: Monitoring, Text: restoredText(w.wholeAt, w.due, w.hurt, w.zone), Time: w.due})
	}
	quiet := at.Sub(w.lastOff)
	if w.whole && !w.over && quiet >= overAfter {
		w.over = true
		say(Fact{Kind: Ended, Time: w.lastOff})
	}
	switch {
	case w.over && quiet >= QuietFor:
		say(Fact{Kind: Updated, Life: Resolved, Text: closedText(w.begin, w.lastOff, w.zone)})
		say(Fact{Kind: Closed, Time: w.lastOff})
		w.open = ""
	case !at.Before(w.due):
		w.promise(at)
		text := stillText(w.begin, w.due, w.bother(), w.zone)
		switch {
		case w.whole:
			text = restoredText(w.wholeAt, w.due, w.hurt, w.zone)
		case w.hurt && !w.back:
			text = stillText(w.begin, w.due, w.harm(), w.zone)
		}
		say(Fact{Kind: Updated, Text: text, Time: w.due})
	}
}

// suffer says that known users are affected, for the first time or again.
func (w *Watch) suffer(say func(Fact)) {
	since := w.buffer[len(w.buffer)-1].From()
	for i, gap := len(w.buffer)-1, 0; i >= 0 && gap <= gapMax && !w.buffer[i].From().Before(w.begin); i-- {
		if gap++; w.buffer[i].Hurt > 0 {
			since, gap = w.buffer[i].From(), 0
		}
	}
	first := !w.hurt
	w.hurt, w.back, w.since = true, false, since
	if !first {
		say(Fact{Kind: Relapsed, Time: since})
		return
	}
	// What the public was told is no longer all.
	at := w.buffer[len(w.buffer)-1].At
	say(Fact{Kind: Affected, Time: since})
	w.told = false
	w.promise(at)
	say(Fact{Kind: Updated, Life: Investigating, Text: draftText(since, w.due, w.harm(), w.zone), Time: w.due})
}

// returned finds the first second since somebody was affected that is good and
// is followed by followedBy that are; zero where there is none.
func (w *Watch) returned(good func(first *Row, all []Row) bool) time.Time {
	for i := range len(w.buffer) - followedBy {
		rows := w.buffer[i : i+1+followedBy]
		if !rows[0].From().Before(w.since) && good(&rows[0], rows) {
			return rows[0].From()
		}
	}
	return time.Time{}
}

// served says that known users are at the target in the first row, and over all.
func (w *Watch) served(first *Row, all []Row) bool {
	lost, share, _, slow := w.loss(all)
	asked := first.Users().Asked
	return asked > 0 && first.Hurt == 0 && slow == 0 && (lost == 0 || share <= lossTarget) && !all[len(all)-1].Fail
}

// calm says that nobody is affected in any of the rows.
func (w *Watch) calm(_ *Row, all []Row) bool {
	lost, share, _, slow := w.loss(all)
	if lost >= lostMin && share > relapseTimes*lossTarget || slow > 0 {
		return false
	}
	for i := range all {
		if all[i].Fail || all[i].Out > 0 || w.holds(&all[i]) || w.still(&all[i]) {
			return false
		}
	}
	return true
}

// write says the measurements: seconds while an incident is open, with those
// before it, and a minute's sum always.
func (w *Watch) write(at time.Time, say func(Fact)) {
	newest := w.buffer[len(w.buffer)-1]
	if w.open != "" {
		if w.minute.Span == 0 { // minutes take over where one begins: nothing is said twice or left out
			w.minutes = w.seconds+60 > SecondsMax
		}
		for _, r := range w.buffer[w.kept:] {
			if !w.minutes {
				w.seconds++
				say(Fact{Kind: Second, Row: &r})
			}
		}
		w.kept = len(w.buffer)
	}
	w.minute.add(&newest)
	if w.open != "" && (!w.minutes || w.minute.Span >= 60) {
		if m, news := w.people.count(); news {
			say(Fact{Kind: Counted, Missed: &m})
		}
	}
	if w.minute.Span >= 60 || dayOf(w.minute.From(), w.zone) != dayOf(at, w.zone) {
		m := w.minute
		f := Fact{Kind: Minute, Row: &m}
		say(f)
		w.minute = Row{}
	}
}

// Rest gives what is measured and not said yet, for the end.
func (w *Watch) Rest() []Fact {
	if w.minute.Span == 0 {
		return nil
	}
	m := w.minute
	w.minute = Row{}
	return []Fact{{At: m.At, Kind: Minute, Row: &m, Incident: w.open}}
}

func (u *usual) learn(r *Row) {
	if r.Press || r.Fail {
		return
	}
	k := r.Users()
	u.seconds = min(u.seconds+1, usualFor.Seconds())
	u.asked += (float64(k.Asked) - u.asked) / u.seconds
	u.fresh += (float64(r.New().Asked) - u.fresh) / u.seconds
	if asked := k.Asked - min(k.Own, k.Asked); asked > 0 {
		u.loss += (float64(k.Lost())/float64(asked) - u.loss) / u.seconds
		u.loss = min(u.loss, .5)
	}
	if r.P50 > 0 {
		if u.p50 == 0 {
			u.p50 = float64(r.P50)
		}
		u.p50 += (float64(r.P50) - u.p50) / max(u.seconds, 10)
	}
}
