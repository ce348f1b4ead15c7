package deich

import (
	"math"
	"sync/atomic"
	"time"
)

// signs are what Decide counts of one segment, for the cause.
type signs struct {
	came       atomic.Uint64 // requests, fresh answers of a cache left out
	kept       atomic.Uint64 // those: they ask as much, and nothing of the origin
	over       atomic.Uint64 // beyond their budget
	ruled      atomic.Uint64 // that meet a rule about more than what is wanted
	met        atomic.Uint64 // that meet a rule that acts
	challenged atomic.Uint64
	again      atomic.Uint64 // the same of the same source, soon after it failed
	pages      atomic.Uint64 // of clients who came under the pressure and whose pass is younger than freshPass
	assets     atomic.Uint64
	here       atomic.Uint64 // of those whose pass was there before, and is within its budget
	lately     atomic.Uint64 // of them, those whose pass was young then

	rooms [promises]promise // first visits to the waiting room, by when the page told them to come back

	sentAway atomic.Uint64 // strangers that no page can be shown to, told to come back later
	told     atomic.Uint64 // of them, those whose return is watched
	heeded   atomic.Uint64 // who came back for it when they were told to
	hasty    atomic.Uint64 // who came back for it sooner
	busy     atomic.Uint64 // who came back sooner, for something else
}

// promise counts who was told to come back, and who did.
type promise struct {
	waits   atomic.Uint64
	returns atomic.Uint64 // in time
	early   atomic.Uint64 // before
}

// returned gives where who comes back to the waiting room is counted, wherever the
// answer is from: nowhere, in time (0) or before (1).
func (s *signs) returned(r *Request) (count *atomic.Uint64, early uint64) {
	if told := r.Place & promised; told != 0 && told <= promises && r.Kind == Page {
		due := time.Duration(told) * callSoon
		if waited := r.At.Sub(Time(r.Place &^ promised)); waited < due-returnSlack {
			return &s.rooms[told-1].early, 1
		} else if waited < due+returnBy {
			return &s.rooms[told-1].returns, 0
		}
	}
	return nil, 0
}

// loads counts what newcomers load.
func (s *signs) loads(r *Request, since Time) {
	if since != 0 && r.Pass.ID != 0 && r.Pass.First >= since && r.At.Sub(r.Pass.First) < freshPass {
		switch r.Kind {
		case Page:
			s.pages.Add(1)
		case Asset:
			s.assets.Add(1)
		}
	}
}

// knew counts a request of somebody who was here before the pressure, and not
// only in its first moments.
func (s *signs) knew(r *Request, since Time, over bool) {
	if r.Pass.ID == 0 || over {
		return
	}
	if age := before(r.At, since, r.Pass.First); age > hereLeast {
		s.here.Add(1)
		if age < hereLately {
			s.lately.Add(1)
		}
	}
}

// promise counts a first visit to the waiting room.
func (s *signs) promise(r *Request, place uint64, observe bool) {
	if told := place & promised; r.Place == 0 && told != 0 && !observe {
		s.rooms[told-1].waits.Add(1)
	}
}

// spared takes back that somebody was told to wait, or was challenged.
func (s *signs) spared(r *Request, v *Verdict) {
	const less = ^uint64(0)
	switch told := v.Place & promised; {
	case v.Act == Challenge && v.Reason != OverBudget: // that was not counted
		s.challenged.Add(less)
	case v.Act == Wait && r.Place == 0 && told != 0 && told <= promises:
		s.rooms[told-1].waits.Add(less)
	}
}

// evidence is what Tick makes of the signs. Guarded by the origin's lock.
type evidence struct {
	at        Time
	last      tally
	lastProof uint64
	came      float64 // a second, over a second
	kept      float64 // the same of what a cache answers
	usualKept float64 // in peace
	keptFor   float64 // seconds of peace it was learned from since the start
	usual     float64 // the same in peace
	usualFor  float64 // seconds of peace it was learned from
	share     struct{ over, ruled, again float64 }
	asked     [provenLag + 1]float64 // challenges, by half second, oldest first
	proofs    float64
	challenge float64
	rooms     [promises]struct {
		asked                 [2*promises + 1]float64 // waits, by half second, the newest first
		waits, returns, early float64
	}
	watched                             [toldLag + 1]float64 // programs told, as asked
	sentAway, told, heeded, hasty, busy float64

	pages, assets float64

	here, usualHere     float64 // requests a second of who was here before, and the same in peace
	lately, latelyWas   float64 // of them, of who was here lately; and the same in the seconds before the pressure
	latelyNext          float64
	refused, usualNo    float64 // share of answers that say no (4xx)
	errors, usualErrors float64 // that say it is the origin's fault (5xx)
	known               float64 // answers a second to known clients

	alone   float64 // logarithm of how many times as long as in peace it takes one who is alone at the origin
	aloneN  int     // answers that say so, at most aloneFew
	aloneAt Time

	week    [weekHours]hour // what comes in peace, by the hour of the week
	savedAt Time            // when what is usual was saved, before a restart; 0: not

	rose      Time // when demand was last usual
	fault     Time // when the origin last suffered by itself
	empty     Time // since when next to nothing arrives
	judged    Judgement
	next      Cause // what would be judged, and since when
	nextSince Time
	answers   [2]struct{ all, no, errors int } // to others and to known clients, since the last look
	fewest    int                              // of them: fewer say nothing yet
}

// tally is what signs had counted as of one look.
type tally struct {
	came, kept, over, ruled, challenged, again, pages, assets, here, lately uint64
	sentAway, told, heeded, hasty, busy                                     uint64
	rooms                                                                   [promises]struct{ waits, returns, early uint64 }
}

func (s *signs) read() (t tally) {
	t.came, t.over, t.ruled, t.challenged, t.again = s.came.Load(), s.over.Load(), s.ruled.Load(), s.challenged.Load(), s.again.Load()
	t.kept = s.kept.Load()
	t.pages, t.assets, t.here, t.lately = s.pages.Load(), s.assets.Load(), s.here.Load(), s.lately.Load()
	t.sentAway, t.told, t.heeded, t.hasty, t.busy = s.sentAway.Load(), s.told.Load(), s.heeded.Load(), s.hasty.Load(), s.busy.Load()
	for i := range s.rooms {
		p := &s.rooms[i]
		t.rooms[i].waits, t.rooms[i].returns, t.rooms[i].early = p.waits.Load(), p.returns.Load(), p.early.Load()
	}
	return t
}

// add sums what two have counted.
func (t *tally) add(u *tally) {
	t.came, t.over, t.ruled, t.challenged, t.again = t.came+u.came, t.over+u.over, t.ruled+u.ruled, t.challenged+u.challenged, t.again+u.again
	t.kept += u.kept
	t.pages, t.assets, t.here, t.lately = t.pages+u.pages, t.assets+u.assets, t.here+u.here, t.lately+u.lately
	t.sentAway, t.told, t.heeded, t.hasty, t.busy = t.sentAway+u.sentAway, t.told+u.told, t.heeded+u.heeded, t.hasty+u.hasty, t.busy+u.busy
	for i := range t.rooms {
		m, w := &t.rooms[i], &u.rooms[i]
		m.waits, m.returns, m.early = m.waits+w.waits, m.returns+w.returns, m.early+w.early
	}
}

// hour is one of a week's.
type hour struct {
	rate    float32 // requests a second that came in peace
	learned float32 // seconds it was learned from, at most hourOver
}

const (
	weekHours = 7 * 24
	keptLeast = 5        // seconds of peace: before, nothing is known of what a cache answers then
	hourOver  = 2 * 3600 // seconds: so a week weighs about as much as all before it
	hourLeast = 600      // learned from fewer an hour says nothing
)

func (v *evidence) hour(at Time) *hour { return &v.week[at/Time(time.Hour)%weekHours] }

// expected is how many requests a second are no more than usual: as many as
// lately, or as in this hour in other weeks.
func (v *evidence) expected(at Time) float64 {
	if h := v.hour(at); h.learned >= hourLeast {
		return max(v.usual, float64(h.rate))
	}
	return v.usual
}

// wide is how many times as much as usual is asked, with what a cache answers: it
// takes a crowd off the origin, and not out of the world.
func (v *evidence) wide(at Time) float64 {
	usual := max(v.expected(at), .5)
	if v.keptFor < keptLeast {
		return v.came / usual
	}
	return (v.came + v.kept) / (usual + v.usualKept)
}

// wake holds what was usual before a restart against the time that has passed:
// the rates of half an hour ago say little about now, the hours of the week do.
func (v *evidence) wake(at Time) {
	if v.savedAt == 0 || at.Sub(v.savedAt) < savedFresh {
		return
	}
	v.usual, v.usualFor, v.usualHere = 0, 0, 0
	if h := v.hour(at); h.learned >= hourLeast {
		v.usual, v.usualFor = float64(h.rate), hourLeast/10
	}
}

// answered takes in what one answer says about the origin, and for whom.
func (v *evidence) answered(sl *slot, out *Outcome) {
	a := &v.answers[0]
	if sl.known {
		a = &v.answers[1]
	}
	a.all++
	switch {
	case out.Failed || out.Status >= 500:
		a.errors++
	case out.Status >= 400:
		a.no++
	}
}

// hadItAlone takes in an answer to one who had the origin to himself from
// beginning to end: it says not what load does, but what the origin does. Held
// against what the same took in peace, and as a logarithm, so that a few that
// take long by themselves do not outweigh the rest.
func (v *evidence) hadItAlone(r *route, wait float64, peace bool, at Time) {
	v.holdAlone(r, wait, at)
	if wait >= aloneLeast && peace && v.judged.Cause == NoCause {
		r.aloneN = min(r.aloneN+1, aloneMost)
		r.alone += float32((math.Log(wait) - float64(r.alone)) / float64(r.aloneN))
	}
}

// holdAlone is the same without learning what is usual.
func (v *evidence) holdAlone(r *route, wait float64, at Time) {
	if wait < aloneLeast || r.aloneN < aloneFew {
		return // noise, or nothing to hold it against
	}
	if at-v.aloneAt > aloneFresh {
		v.aloneN = 0
	}
	v.aloneAt = at
	v.aloneN = min(v.aloneN+1, aloneFew)
	v.alone += (math.Log(wait) - float64(r.alone) - v.alone) / float64(v.aloneN)
}

// tellsAlone says whether it is known what the origin does for one alone.
func (v *evidence) tellsAlone(at Time) bool { return v.aloneN >= aloneFew && at-v.aloneAt < aloneFresh }

// weak says that the origin does less than in peace, even for one alone.
func (v *evidence) weak(at Time) bool { return v.tellsAlone(at) && math.Exp(v.alone) > weakThan }

// fails says that the origin answers with more errors than usual.
func (v *evidence) fails() bool { return v.errors > v.usualErrors+failsThan }

// look turns counts since the last look, span seconds ago, into rates and shares;
// what is usual is learned in peace.
func (v *evidence) look(now tally, at Time, span float64, proofs uint64, peace bool) {
	was := v.last
	v.last = now
	quick, slow := min(1, span), min(1, span/causeSpan)
	rate := func(now, was uint64) float64 { return float64(int64(now-was)) / span } // below 0 where what was counted before was taken back
	follow := func(x *float64, to, pace float64) { *x += pace * (to - *x) }
	came := rate(now.came, was.came)
	follow(&v.came, came, quick)
	follow(&v.kept, rate(now.kept, was.kept), quick)
	if came > 0 {
		follow(&v.share.over, rate(now.over, was.over)/came, slow)
		follow(&v.share.ruled, rate(now.ruled, was.ruled)/came, quick)
		follow(&v.share.again, rate(now.again, was.again)/came, slow)
	}
	// A proof answers a challenge of a moment before, and whoever comes back was told to before.
	follow(&v.challenge, later(v.asked[:], rate(now.challenged, was.challenged)), slow)
	follow(&v.proofs, rate(proofs, v.lastProof), slow)
	v.lastProof = proofs
	for i := range v.rooms {
		m, now, was := &v.rooms[i], &now.rooms[i], &was.rooms[i]
		follow(&m.waits, later(m.asked[:2*(i+1)+1], rate(now.waits, was.waits)), quick)
		follow(&m.returns, rate(now.returns, was.returns), quick)
		follow(&m.early, rate(now.early, was.early), quick)
	}
	follow(&v.told, later(v.watched[:], rate(now.told, was.told)), slow)
	follow(&v.sentAway, rate(now.sentAway, was.sentAway), slow)
	follow(&v.heeded, rate(now.heeded, was.heeded), slow)
	follow(&v.hasty, rate(now.hasty, was.hasty), slow)
	follow(&v.busy, rate(now.busy, was.busy), slow)
	follow(&v.pages, rate(now.pages, was.pages), slow)
	follow(&v.assets, rate(now.assets, was.assets), slow)
	follow(&v.here, rate(now.here, was.here), quick)
	follow(&v.lately, rate(now.lately, was.lately), quick)
	others, known := v.answers[0], v.answers[1]
	if others.all+known.all < v.fewest {
		others.all, known.all = 0, 0 // they wait for more
	} else {
		v.answers = [2]struct{ all, no, errors int }{}
	}
	if all := others.all + known.all; all > 0 {
		follow(&v.refused, float64(others.no+known.no)/float64(all), slow)
	}
	// What an attack asks for may fail by itself: where known clients are
	// answered too, they say whether the origin fails.
	follow(&v.known, float64(known.all)/span, slow)
	if v.known >= 1 {
		others.all, others.errors = 0, 0
	}
	if all := others.all + known.all; all > 0 {
		follow(&v.errors, float64(others.errors+known.errors)/float64(all), slow)
	}
	if !peace {
		return
	}
	v.usualFor = min(v.usualFor+span, usualOver.Seconds())
	pace := span / v.usualFor
	follow(&v.usual, v.came, pace)
	v.keptFor = min(v.keptFor+span, usualOver.Seconds())
	follow(&v.usualKept, v.kept, span/v.keptFor)
	follow(&v.usualHere, v.here, pace)
	h := v.hour(at)
	h.learned = min(h.learned+float32(span), hourOver)
	h.rate += float32(span) / h.learned * (float32(v.came) - h.rate)
	follow(&v.usualNo, v.refused, pace)
	// As of the look before: this one may have seen a flood's first moments.
	follow(&v.latelyWas, v.latelyNext, max(span/hereSpan, pace))
	v.latelyNext = v.lately
	if c := v.judged.Cause; c != NoCause && c != CauseUpstream {
		pace = span / faultOver.Seconds()
	}
	follow(&v.usualErrors, v.errors, pace)
}

// later puts what was asked into a row of half seconds and gives what is due to
// be answered now.
func later(row []float64, asked float64) (due float64) {
	due = row[0]
	copy(row, row[1:])
	row[len(row)-1] = asked
	return due
}

// returned gives the share of the waiting room's pages that were followed to
// the time they told, and how many pages a second it was found from. Of those
// who were told different times the least share counts, since a pace of its own
// may fit one of them; all says that there were some of each.
func (v *evidence) returned() (least, waits float64, all bool) {
	least, all = 1, true
	for i := range v.rooms {
		m := &v.rooms[i]
		waits += m.waits
		if m.waits >= tellsLeast/promiseEvery {
			least = min(least, max(m.returns-m.early, 0)/m.waits)
		} else {
			all = false
		}
	}
	return least, waits, all
}
