package deich

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// The synthesis of rules: which few conjunctions of conditions cover most of
// what is more than usual, and touch next to nothing that is known to be good.
// It is a greedy cover over a beam search on bit sets, with the ratio of risks
// as its guide, after MacroBase's explanations (Bailis et al., SIGMOD 2017)
// and its descendants.
const (
	excessLeast   = .02 // of the excess: what an item must cover
	ruleLeast     = .05 // the same for a rule
	suspectLeast  = .1  // for one that speaks of the target alone or of the source, or touches more of the good: below is noise
	coverEnough   = .05 // of the excess left: enough is covered
	moreForLess   = 1.05
	beamWidth     = 24
	depthMax      = 5
	itemsMax      = 256
	itemsAColumn  = 24
	rulesAJob     = 8
	hotLeast      = 8  // sightings of a value
	hotTimes      = 10 // more than usual
	hotPoolMax    = 4096
	collateralMax = .001 // upper bound of the share of known-good that all rules together may touch
	suspectMax    = .01  // the same for rules that only ask for a proof
	usualWeighs   = 1    // what a rule meets of the usual counts so much against what it covers
	usualMost     = .1   // of the usual: what one rule may meet, whoever that is
	sourceLift    = 3    // times more frequent among what comes from a source now than usual: what a rule says beside it
	luckOdds      = 1e-5 // less likely than this, among the thousands of conjunctions looked at, is no luck
	goodToAsk     = 100  // so many known-good sightings, none of them touched, allow a challenge
	goodToDeny    = 3000 // so many a denial
	sightingsMin  = 100  // fewer of the present say nothing
	novelFew      = 20   // a value is known that so many trusted clients were seen with,
	novelFull     = 8192 // where so many sightings are known; with fewer history, fewer
)

// Job is a synthesis: pure work for the caller's goroutine, as much as 200 ms
// of it. It reads what the engine does not change before Adopt.
type Job struct {
	now, peace, good []sighting
	live             []*liveRule // in force
	held             float64     // requests a second that meet them
	rate, usual      float64     // requests a second: now unexplained, and in peace
	settled          bool        // what is usual was learned long enough to say where requests come from
	flood            bool        // the whole was judged to be a flood: target-only rules may do more than pace
}

// Rules is what a Job found.
type Rules struct {
	Found   []Found
	Excess  float64 // requests a second more than usual that no rule explained
	Covered float64 // share of it that the found rules cover
	Good    int     // known-good sightings they were held against
	job     *Job
}

// None is what a Job that failed has found: nothing.
func (j *Job) None() Rules { return Rules{job: j} }

// Found is one rule that a Job proposes, with its forecast.
type Found struct {
	Act        Act // Deny, Challenge or Wait
	Conditions []Condition
	Share      float64 // of the excess
	Rate       float64 // requests a second that it would have met
	Hits       int     // known-good sightings it touches
	Collateral float64 // upper bound (95 %) of the share of known-good it touches
}

// item is one condition with whom it meets.
type item struct {
	cond           Condition
	excess         float64
	now, peace, ok bitset
}

type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) set(i int) { b[i/64] |= 1 << (i % 64) }

func (b bitset) count() (n int) {
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// and gives how many a and b share, and leaves them in into.
func (b bitset) and(a bitset, into bitset) (n int) {
	for i, w := range b {
		w &= a[i]
		into[i] = w
		n += bits.OnesCount64(w)
	}
	return n
}

// both counts what b and a share.
func (b bitset) both(a bitset) (n int) {
	for i, w := range b {
		n += bits.OnesCount64(w & a[i])
	}
	return n
}

func (b bitset) less(a bitset) {
	for i := range b {
		b[i] &^= a[i]
	}
}

func (b bitset) more(a bitset) {
	for i := range b {
		b[i] |= a[i]
	}
}

func (b bitset) fill(n int) {
	for i := range n {
		b.set(i)
	}
}

// search is a job under way.
type search struct {
	*Job
	perNow, perPeace float64 // requests a second that one sighting stands for
	excess           float64 // requests a second
	items            []item
	left, leftPeace  bitset // not covered yet
	chosen           []chosen
	touched          bitset  // known-good that the rules of this pass touch, those in force included
	leftGood         bitset  // the others
	burden           float64 // how many are touched, with those that by luck are not among them
	each             float64 // known-good sightings a client
}

// chosen is a rule in force, or one that was found.
type chosen struct {
	denies bool
	ok     bitset
	lucky  float64 // known-good that by luck are not among them
}

// Run finds the rules. It may run beside everything else.
func (j *Job) Run() Rules {
	j.explain()
	out := Rules{Good: len(j.good), job: j}
	s := &search{Job: j, excess: j.rate - j.usual}
	out.Excess = max(s.excess, 0)
	if len(j.now) < sightingsMin || j.rate < excessTimes*j.usual || s.excess <= coverEnough*j.held || len(j.good) < goodToAsk {
		return out
	}
	s.perNow = j.rate / float64(len(j.now))
	if len(j.peace) > 0 {
		s.perPeace = j.usual / float64(len(j.peace))
	}
	s.collect()
	s.left, s.leftPeace = newBitset(len(j.now)), newBitset(len(j.peace))
	s.left.fill(len(j.now))
	s.leftPeace.fill(len(j.peace))
	s.each = float64(len(j.good)) / float64(clients(j.good))
	for _, l := range j.live {
		var parts []bitset
		for i := range l.conditions {
			parts = append(parts, s.knows(&l.conditions[i]))
		}
		s.choose(l.act, parts)
	}
	for _, most := range [...]float64{collateralMax, suspectMax} {
		s.cover(most, &out)
	}
	return out
}

// explain leaves out what came just before a rule in force was found, and meets it: it
// would be found again, in other words.
func (j *Job) explain() {
	all, live := len(j.now), ruleSet{j.live}
	j.now = slices.DeleteFunc(j.now, func(s sighting) bool { return live.match(&s.traits) != nil })
	if all > 0 {
		j.rate *= float64(len(j.now)) / float64(all)
	}
}

// cover takes rules, the best first, as long as there is excess left and the
// known-good allow it.
func (s *search) cover(most float64, out *Rules) {
	s.weigh(most)
	for len(out.Found) < rulesAJob {
		rest := s.excessOf(s.left.count(), s.leftPeace.count())
		if rest < coverEnough*s.excess {
			return
		}
		c, ok := s.best(most)
		if !ok || c.excess < ruleLeast*s.excess {
			return
		}
		s.simplify(&c, most)
		f := s.found(&c, most)
		out.Found = append(out.Found, f)
		out.Covered += c.excess / s.excess
		s.left.less(c.now)
		s.leftPeace.less(c.peace)
		s.choose(f.Act, s.oks(c.parts))
		s.weigh(most)
	}
}

// oks gives the known-good that meet each of some items.
func (s *search) oks(parts []int) (all []bitset) {
	for _, p := range parts {
		all = append(all, s.items[p].ok)
	}
	return all
}

// choose takes down what a rule that acts so touches of the known-good.
func (s *search) choose(act Act, parts []bitset) {
	ok := slices.Clone(parts[0])
	for _, p := range parts[1:] {
		ok.and(p, ok)
	}
	s.chosen = append(s.chosen, chosen{act == Deny, ok, s.lucky(parts, ok.count())})
}

// weigh sums up what is touched already, by the rules that deny and, where a pass may
// touch more, by all: the bound is one for all rules, those in force included.
func (s *search) weigh(most float64) {
	s.touched, s.burden = newBitset(len(s.good)), 0
	for _, c := range s.chosen {
		if c.denies || most > collateralMax {
			s.touched.more(c.ok)
			s.burden += c.lucky
		}
	}
	s.burden += float64(s.touched.count())
	s.leftGood = newBitset(len(s.good))
	s.leftGood.fill(len(s.good))
	s.leftGood.less(s.touched)
}

// lucky gives how many more of the known-good than the n that do would meet all parts,
// if each part were as frequent among those that meet the others as it is among all. A
// search among thousands of conjunctions finds some that by luck none meets. Where luck
// can explain it, those that were spared count as met; where it cannot, the parts do
// not come together in people, and that is what sets the flood apart. Luck has it with
// clients: all that one does is alike.
func (s *search) lucky(parts []bitset, n int) float64 {
	if len(parts) < 2 {
		return 0
	}
	expected, others := 0., newBitset(len(s.good))
	for i := range parts {
		others.fill(len(s.good))
		met := 0
		for k := range parts {
			if k != i {
				met = others.and(parts[k], others)
			}
		}
		expected = max(expected, float64(met)*float64(parts[i].count())/float64(len(s.good)))
	}
	if expected <= float64(n) || poisson(int(float64(n)/s.each), expected/s.each) < luckOdds {
		return 0
	}
	return expected - float64(n)
}

// clients is how many there are.
func clients(all []sighting) (n int) {
	who := make([]uint32, len(all))
	for i := range all {
		who[i] = all[i].who
	}
	slices.Sort(who)
	return len(slices.Compact(who))
}

// poisson is how likely at most n are where so many are expected.
func poisson(n int, expected float64) (p float64) {
	term := math.Exp(-expected)
	for k := 1; k <= n+1; k++ {
		p += term
		term *= expected / float64(k)
	}
	return p
}

// candidate is a conjunction under consideration.
type candidate struct {
	parts          []int // of items, rising
	now, peace, ok bitset
	excess, score  float64 // requests a second; how promising
	gain           float64 // excess less what it meets of the usual: by it candidates are compared
	good           int
}

// appraise sets what a candidate covers.
func (s *search) appraise(c *candidate, now, peace int) {
	c.excess = s.excessOf(now, peace)
	c.gain = c.excess - usualWeighs*float64(peace)*s.perPeace
}

func (s *search) excessOf(now, peace int) float64 {
	return float64(now)*s.perNow - float64(peace)*s.perPeace
}

// best searches conjunctions of up to depthMax conditions and gives the one
// that gains most within the collateral that may be; a longer one only where
// it gains more than moreForLess times as much.
func (s *search) best(most float64) (best candidate, found bool) {
	beam := []candidate{{now: s.left, peace: s.leftPeace, ok: s.leftGood}}
	for range depthMax {
		var next []candidate
		for _, c := range beam {
			from := 0
			if n := len(c.parts); n > 0 {
				from = c.parts[n-1] + 1
			}
			for i := from; i < len(s.items); i++ {
				if s.clashes(&c, i) {
					continue
				}
				d := s.extend(&c, i, beamWidth, &next)
				if d == nil || found && (d.gain <= best.gain*moreForLess || d.gain <= best.gain) || !s.feasible(d, most) {
					continue
				}
				best, found = s.keep(d), true
			}
		}
		if len(next) == 0 {
			break
		}
		beam = next
		for i := range beam {
			beam[i] = s.keep(&beam[i])
		}
	}
	return best, found
}

// clashes: one condition a column is enough.
func (s *search) clashes(c *candidate, i int) bool {
	for _, p := range c.parts {
		if s.items[p].cond.column == s.items[i].cond.column {
			return true
		}
	}
	return false
}

// extend adds item i to c, and keeps the result in next if it is among the
// most promising; nil where it covers too little.
func (s *search) extend(c *candidate, i, width int, next *[]candidate) *candidate {
	it := &s.items[i]
	now := c.now.both(it.now)
	if float64(now)*s.perNow < excessLeast*s.excess {
		return nil
	}
	peace, good := c.peace.both(it.peace), c.ok.both(it.ok)
	d := candidate{good: good}
	s.appraise(&d, now, peace)
	if d.excess < excessLeast*s.excess {
		return nil
	}
	share := float64(now) / float64(len(s.now))
	d.score = d.excess / s.excess * math.Log2(share/((float64(good)+3)/float64(len(s.good))))
	d.parts = append(slices.Clone(c.parts), i)
	d.now, d.peace, d.ok = c.now, c.peace, c.ok // narrowed by keep
	if len(*next) < width {
		*next = append(*next, d)
		return &d
	}
	worst := 0
	for k := range *next {
		if (*next)[k].score < (*next)[worst].score {
			worst = k
		}
	}
	if d.score > (*next)[worst].score {
		(*next)[worst] = d
	}
	return &d
}

// keep gives the candidate sets of its own, narrowed to what it meets.
func (s *search) keep(c *candidate) candidate {
	d := *c
	it := &s.items[c.parts[len(c.parts)-1]]
	d.now, d.peace, d.ok = make(bitset, len(c.now)), make(bitset, len(c.peace)), make(bitset, len(c.ok))
	c.now.and(it.now, d.now)
	c.peace.and(it.peace, d.peace)
	c.ok.and(it.ok, d.ok)
	return d
}

// feasible says whether all rules together would touch little enough of what
// is known to be good, and whether the rule speaks of more than the source.
func (s *search) feasible(c *candidate, most float64) bool {
	sources := 0
	for _, p := range c.parts {
		if columns[s.items[p].cond.column].about() == ofSource {
			sources++
		}
	}
	if sources > 0 && (!s.settled || !s.narrows(c)) {
		return false
	}
	weak := sources > 0 || most > collateralMax || !s.speaksOfClient(c)
	if sources == len(c.parts) || weak && c.excess < suspectLeast*s.excess || c.excess-c.gain > usualWeighs*usualMost*s.usual {
		return false
	}
	if len(s.good) < goodToDeny {
		return c.good == 0
	}
	burden := s.burden + float64(c.good)
	if upper(burden, len(s.good)) > most {
		return false
	}
	all := c.good
	if len(s.chosen) > 0 {
		all = s.meet(c.parts)
	}
	return upper(burden+s.lucky(s.oks(c.parts), all), len(s.good)) <= most
}

// meet counts the known-good that meet all of some items.
func (s *search) meet(parts []int) int {
	ok := newBitset(len(s.good))
	ok.fill(len(s.good))
	n := 0
	for _, p := range parts {
		n = ok.and(s.items[p].ok, ok)
	}
	return n
}

// narrows says whether what a rule says beside where requests come from is what
// sets them apart: much more frequent among what comes from there now than it
// usually is. Else it would be a block of the source after all, in slices.
func (s *search) narrows(c *candidate) bool {
	from, met, usual := newBitset(len(s.now)), newBitset(len(s.now)), newBitset(len(s.peace))
	from.fill(len(s.now))
	met.fill(len(s.now))
	usual.fill(len(s.peace))
	n, come, peace := 0, len(s.now), len(s.peace)
	for _, p := range c.parts {
		it := &s.items[p]
		if n = met.and(it.now, met); columns[it.cond.column].about() == ofSource {
			come = from.and(it.now, from)
		} else {
			peace = usual.and(it.peace, usual)
		}
	}
	return float64(n)*float64(len(s.peace)) >= sourceLift*float64(peace)*float64(come)
}

// simplify drops conditions that change nothing: a rule should say what matters.
func (s *search) simplify(c *candidate, most float64) {
	for i := len(c.parts) - 1; i >= 0 && len(c.parts) > 1; i-- {
		d := s.conjoin(append(slices.Clone(c.parts[:i]), c.parts[i+1:]...))
		if s.feasible(&d, most) && d.gain >= c.gain {
			*c = d
		}
	}
}

func (s *search) conjoin(parts []int) candidate {
	d := candidate{parts: parts, now: slices.Clone(s.left), peace: slices.Clone(s.leftPeace), ok: slices.Clone(s.leftGood)}
	var now, peace int
	for _, p := range parts {
		it := &s.items[p]
		now, peace, d.good = d.now.and(it.now, d.now), d.peace.and(it.peace, d.peace), d.ok.and(it.ok, d.ok)
	}
	s.appraise(&d, now, peace)
	return d
}

// speaksOfClient says whether a rule is about more than what is wanted and
// from where.
func (s *search) speaksOfClient(c *candidate) bool {
	return slices.ContainsFunc(c.parts, func(p int) bool {
		cond := &s.items[p].cond
		return columns[cond.column].about() == ofClient || cond.Compare == Novel
	})
}

// found makes the proposal: what it may do depends on what it speaks of and on
// how much is known to be good.
func (s *search) found(c *candidate, most float64) Found {
	f := Found{Act: Deny, Share: min(c.excess/s.excess, 1), Rate: float64(c.now.count()) * s.perNow, Hits: c.good,
		Collateral: upper(float64(c.good)+s.lucky(s.oks(c.parts), s.meet(c.parts)), len(s.good))}
	client := s.speaksOfClient(c)
	for _, p := range c.parts {
		f.Conditions = append(f.Conditions, s.items[p].cond)
	}
	switch {
	case !client && !s.flood:
		f.Act = Wait // whoever wants the same thing may be a crowd
	case !client, len(s.good) < goodToDeny, most > collateralMax, f.Collateral > collateralMax:
		f.Act = Challenge
	}
	return f
}

// upper is the 95 % upper bound of a share of which n in all were seen
// (Poisson, by Wilson and Hilferty's approximation).
func upper(n float64, all int) float64 {
	k := n + 1
	return k * math.Pow(1-1/(9*k)+1.645/(3*math.Sqrt(k)), 3) / float64(all)
}

// collect finds the items: values, novelties and pools of which there is much
// more than usual.
func (s *search) collect() {
	now, peace, good := newTally(len(s.now)), newTally(len(s.peace)), newTally(len(s.good))
	for i := range columns {
		s.collectColumn(uint8(i), now, peace, good)
	}
	slices.SortStableFunc(s.items, func(a, b item) int { return cmp.Compare(b.excess, a.excess) })
	if len(s.items) > itemsMax {
		s.items = s.items[:itemsMax]
	}
	for i := range s.items {
		it := &s.items[i]
		it.now, it.peace, it.ok = meets(&it.cond, s.now), meets(&it.cond, s.peace), s.knows(&it.cond)
		if first := columns[it.cond.column].first; first == TraitASN || first == TraitCountry {
			// What came before a file told of networks may have come from there.
			it.peace.untold(s.peace, columns[it.cond.column])
		}
	}
}

// knows gives the known-good that may meet a condition.
func (s *search) knows(c *Condition) bitset {
	b := meets(c, s.good)
	switch columns[c.column].first {
	case TraitCookie, TraitReuse:
		// The good have passes and open connections; people like them who come for the
		// first time have neither.
		b.fill(len(s.good))
	case TraitASN, TraitCountry:
		b.untold(s.good, columns[c.column])
	}
	return b
}

// untold adds those of which the column cannot be told.
func (b bitset) untold(all []sighting, c column) {
	for i := range all {
		if c.of(&all[i].traits) == 0 {
			b.set(i)
		}
	}
}

func meets(c *Condition, all []sighting) bitset {
	b := newBitset(len(all))
	for i := range all {
		if c.holds(&all[i].traits) {
			b.set(i)
		}
	}
	return b
}

func (s *search) collectColumn(i uint8, now, peace, good *tallied) {
	col := columns[i]
	now.count(col, s.now)
	peace.count(col, s.peace)
	base := Condition{Trait: col.first, With: col.second, column: i}
	from := len(s.items)
	for _, v := range now.order {
		if x := s.excessOf(now.of(v), peace.of(v)); x >= excessLeast*s.excess {
			c := base
			c.Value = v
			s.items = append(s.items, item{cond: c, excess: x})
		}
	}
	if mine := s.items[from:]; len(mine) > itemsAColumn {
		slices.SortStableFunc(mine, func(a, b item) int { return cmp.Compare(b.excess, a.excess) })
		s.items = s.items[:from+itemsAColumn]
	}
	if col.mayBeHot() {
		s.collectHot(base, now, peace)
	}
	if col.mayBeNovel() {
		good.count(col, s.good)
		s.collectNovel(base, good, peace)
	}
}

// collectHot pools the values that are suddenly frequent.
func (s *search) collectHot(c Condition, now, peace *tallied) {
	scale := 0.
	if len(s.peace) > 0 {
		scale = float64(len(s.now)) / float64(len(s.peace))
	}
	c.Compare, c.set = Hot, newValues(hotPoolMax)
	a, b := 0, 0
	for _, v := range now.order {
		n, m := now.of(v), peace.of(v)
		if n >= hotLeast && float64(n) > hotTimes*(float64(m)*scale+.75) && c.set.n < hotPoolMax {
			c.set.add(v)
			a, b = a+n, b+m
		}
	}
	c.Pool = c.set.n
	if x := s.excessOf(a, b); c.Pool > 1 && x >= excessLeast*s.excess {
		s.items = append(s.items, item{cond: c, excess: x})
	}
}

// collectNovel asks for values that nobody trusted was seen with.
func (s *search) collectNovel(c Condition, good, peace *tallied) {
	c.Compare, c.set = Novel, newValues(len(good.order)+len(peace.order))
	few := int32(1 + (novelFew-1)*min(len(s.good), novelFull)/novelFull)
	for _, v := range good.order {
		if good.clients(v) >= few {
			c.set.add(v)
		}
	}
	// What strangers were often seen with in peace is not new either.
	for _, v := range peace.order {
		if peace.clients(v) >= 3*few {
			c.set.add(v)
		}
	}
	c.Pool = c.set.n
	if c.Pool == 0 {
		return
	}
	n, m := 0, 0
	for i := range s.now {
		if c.holds(&s.now[i].traits) {
			n++
		}
	}
	for i := range s.peace {
		if c.holds(&s.peace[i].traits) {
			m++
		}
	}
	if x := s.excessOf(n, m); x >= excessLeast*s.excess {
		s.items = append(s.items, item{cond: c, excess: x})
	}
}

// tallied counts values, and how many clients were seen with each: open
// addressing, used again for each column.
type tallied struct {
	keys  []uint32
	n     []int32
	who   []uint32 // the last client seen with it
	other []int32  // times it was another: a lower bound of clients, exact where they do not alternate
	order []uint32 // values as they came
}

func newTally(sightings int) *tallied {
	size := 1 << bits.Len(uint(2*sightings+1))
	return &tallied{keys: make([]uint32, size), n: make([]int32, size), who: make([]uint32, size), other: make([]int32, size)}
}

func (t *tallied) count(c column, all []sighting) {
	clear(t.keys)
	clear(t.n)
	clear(t.other)
	t.order = t.order[:0]
	for i := range all {
		v := c.of(&all[i].traits)
		if v == 0 {
			continue
		}
		at := t.find(v)
		if t.n[at] == 0 {
			t.keys[at] = v
			t.order = append(t.order, v)
		}
		if t.n[at] == 0 || t.who[at] != all[i].who {
			t.who[at] = all[i].who
			t.other[at]++
		}
		t.n[at]++
	}
}

func (t *tallied) find(v uint32) int {
	mask := uint32(len(t.keys) - 1)
	for i := spread(v); ; i++ {
		if k := t.keys[i&mask]; k == v || k == 0 {
			return int(i & mask)
		}
	}
}

func (t *tallied) of(v uint32) int { return int(t.n[t.find(v)]) }

func (t *tallied) clients(v uint32) int32 { return t.other[t.find(v)] }
