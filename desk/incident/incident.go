package incident

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Sum is how one tier fared over rows, as a Group says it of one. What a long flood
// asks for is more than a Group can count.
type Sum struct {
	Asked  uint64 `json:"a"`
	Served uint64 `json:"s"`
	Held   uint64 `json:"h,omitempty"`
	Own    uint64 `json:"o,omitempty"`
	P50    int32  `json:"p,omitempty"` // the highest of any row
	P99    int32  `json:"q,omitempty"`
}

// Lost is what was asked in good order and not served.
func (s Sum) Lost() uint64 {
	if s.Asked < s.Served+s.Own {
		return 0
	}
	return s.Asked - s.Served - s.Own
}

func sumOf(g Group) Sum {
	return Sum{uint64(g.Asked), uint64(g.Served), uint64(g.Held), uint64(g.Own), g.P50, g.P99}
}

func (s *Sum) add(o Sum) {
	s.Asked += o.Asked
	s.Served += o.Served
	s.Held += o.Held
	s.Own += o.Own
	s.P50, s.P99 = max(s.P50, o.P50), max(s.P99, o.P99)
}

// Toll is what was counted while something was off.
type Toll struct {
	Users   Sum     `json:"users"` // as Row.Users counts them
	New     Sum     `json:"new"`
	Asked   uint64  `json:"asked"` // all requests
	Acts    [6]uint `json:"acts"`
	Ruled   uint64  `json:"ruled"`
	Gate    uint64  `json:"gate"`    // connections refused at accept
	Seconds int     `json:"seconds"` // in which known users were affected
	Demand  float32 `json:"demand"`  // the highest, requests a second
	Worst   float64 `json:"worst"`   // the lowest share of users' requests served in a second with ten or more
	Rows    int     `json:"rows"`    // seconds counted
	// Missed is how many different people could not read or send.
	Missed Missed `json:"missed,omitzero"`
}

// Count adds a row.
func (t *Toll) Count(r *Row) {
	if t.Rows == 0 {
		t.Worst = 1
	}
	t.Rows += r.Span
	t.Users.add(sumOf(r.Users()))
	t.New.add(sumOf(r.New()))
	for i, n := range r.Acts {
		t.Acts[i] += uint(n)
		t.Asked += uint64(n)
	}
	t.Ruled += uint64(r.Ruled)
	t.Gate += uint64(r.Gate)
	t.Seconds += r.Hurt
	t.Demand = max(t.Demand, r.Demand)
	if k := r.Users(); k.Asked-min(k.Own, k.Asked) >= 10 {
		t.Worst = min(t.Worst, 1-float64(k.Lost())/float64(k.Asked-k.Own))
	}
}

// add puts another toll in.
func (t *Toll) add(o Toll) {
	if t.Rows == 0 {
		*t = o
		return
	}
	t.Users.add(o.Users)
	t.New.add(o.New)
	for i := range t.Acts {
		t.Acts[i] += o.Acts[i]
	}
	t.Asked += o.Asked
	t.Ruled += o.Ruled
	t.Gate += o.Gate
	t.Seconds += o.Seconds
	t.Demand = max(t.Demand, o.Demand)
	if o.Rows > 0 {
		t.Worst = min(t.Worst, o.Worst)
	}
	t.Rows += o.Rows
	both := t.Missed.All > 0 && o.Missed.All > 0
	t.Missed.join(o.Missed)
	t.Missed.Least = t.Missed.Least || both // who was met by both is not known
}

// Verdict is the engine's judgement of an origin from a time on.
type Verdict struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to,omitzero"` // zero: it still holds
	Origin string    `json:"origin"`
	Cause  string    `json:"cause"`
	Sure   float64   `json:"sure"`
	Terms  []Term    `json:"terms,omitempty"`
	Why    Text      `json:"why,omitzero"`
}

// Acting is a rule while it acted.
type Acting struct {
	ID   uint32    `json:"id"`
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"`
	Text Text      `json:"text"`
}

// Unreach is what probes elsewhere agreed on while they did: that something is down.
type Unreach struct {
	Name string    `json:"name"`
	From time.Time `json:"from"` // the first failed check
	To   time.Time `json:"to,omitzero"`
	Text Text      `json:"text"` // which probes, and what they saw
}

// Moment is an entry of the timeline.
type Moment struct {
	At     time.Time `json:"at"`
	Kind   Kind      `json:"kind"`
	By     string    `json:"by,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	Origin string    `json:"origin,omitempty"`
	Cause  string    `json:"cause,omitempty"`
	Sure   float64   `json:"sure,omitempty"`
	Rule   uint32    `json:"rule,omitempty"`
	Other  string    `json:"other,omitempty"`
	Text   Text      `json:"text,omitzero"`
}

// Update is a word to the public.
type Update struct {
	At   time.Time `json:"at"`
	By   string    `json:"by,omitempty"` // "": by itself, from measurements
	Life Life      `json:"life"`
	Text Text      `json:"text"`
	Also Also      `json:"also,omitempty"`
	Next time.Time `json:"next,omitzero"` // when the next one is promised
}

// Approval is a person's word on the cause.
type Approval struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Cause string    `json:"cause"`
	Text  Text      `json:"text"`
}

// Incident is one, as all facts so far tell it. Times that are not known are zero.
type Incident struct {
	ID       string    `json:"id"`
	Title    Text      `json:"title,omitzero"`
	Life     Life      `json:"life"`
	By       string    `json:"by,omitempty"` // who opened it; "": Deich
	Opened   time.Time `json:"opened"`
	Begin    time.Time `json:"begin"`
	Affected time.Time `json:"affected,omitzero"` // known users, for the first time
	// Mitigated is when known users were served again: the first second at
	// 99.5 % that is followed by five at it.
	Mitigated time.Time `json:"mitigated,omitzero"`
	// Restored is when newcomers need not wait any more either.
	Restored time.Time `json:"restored,omitzero"`
	// End is when nothing was off any more: no refusals by rule, no pressure.
	End      time.Time   `json:"end,omitzero"`
	Closed   time.Time   `json:"closed,omitzero"`
	Hurt     bool        `json:"hurt"`     // known users were affected
	Newcomer bool        `json:"newcomer"` // at its opening newcomers alone were
	Relapses int         `json:"relapses,omitempty"`
	Toll     Toll        `json:"toll"`
	Verdicts []Verdict   `json:"verdicts,omitempty"`
	Rules    []Acting    `json:"rules,omitempty"`
	Whence   Text        `json:"whence,omitzero"`   // where most of what was refused in its first minutes came from
	Origins  []string    `json:"origins,omitempty"` // those that suffered
	Outside  []Unreach   `json:"outside,omitempty"`
	Timeline []Moment    `json:"timeline"`
	Updates  []Update    `json:"updates,omitempty"`
	Promised time.Time   `json:"promised,omitzero"`
	Approval *Approval   `json:"approval,omitempty"`
	Claims   []HeldClaim `json:"claims,omitempty"`
	Into     string      `json:"into,omitempty"` // the one it was merged into
	Parts    []string    `json:"parts,omitempty"`
	Case     *Case       `json:"case,omitempty"` // told by others, not measured here
	// What a Watch needs to go on with it; a snapshot has it, and nobody is shown.
	offAt   time.Time // when something was off last
	seconds seconds
	watched bool // Deich says how it goes on: it opened it, or what it opened went into it
}

// seconds are those of an incident that were said one by one.
type seconds struct {
	N    int       `json:"n"`
	Last time.Time `json:"last"` // the end of the last of them
}

// HeldClaim is a claim with what the record says of it.
type HeldClaim struct {
	Claim
	At      time.Time `json:"noted"`
	By      string    `json:"noted_by,omitempty"`
	Finding *Finding  `json:"finding,omitempty"`
}

// NewClaimID gives the next claim's name.
func (i *Incident) NewClaimID() string { return fmt.Sprintf("c%d", len(i.Claims)+1) }

// Measured says whether this was measured here.
func (i *Incident) Measured() bool { return i.Case == nil }

// FromOutside says whether only probes elsewhere found something wrong: nothing
// that was measured here was.
func (i *Incident) FromOutside() bool {
	return !i.Hurt && len(i.Outside) > 0 && i.Toll.New.Held == 0
}

// Over says whether nothing is off any more.
func (i *Incident) Over() bool { return !i.End.IsZero() }

// goesOn says whether a Watch is to say how it goes on.
func (i *Incident) goesOn() bool { return i.watched && i.Life != Resolved && i.Into == "" }

func (i *Incident) lastOff() time.Time {
	switch {
	case !i.End.IsZero():
		return i.End
	case !i.offAt.IsZero():
		return i.offAt
	case !i.Restored.IsZero():
		return i.Restored
	}
	return i.Opened
}

// Cause gives the cause that the evidence speaks for over the whole: the named
// one that held longest, and mixed where a flood and the platform's own fault
// both held for a third of that. sure is its mean confidence. Where users were
// affected, silence after another cause does not count: who met the outage has
// gone, however long they stay away.
func (i *Incident) Cause() (cause string, sure float64) {
	if i.Case != nil {
		return "unknown", 0
	}
	long, weight, before := map[string]float64{}, map[string]float64{}, 0.
	for _, v := range i.Verdicts {
		if v.Cause == "none" || v.Cause == "unknown" || v.Cause == upstream && i.Hurt && before >= failingSeconds {
			continue
		}
		to := v.To
		if to.IsZero() {
			to = latest(i.End, i.offAt, v.From.Add(time.Second))
		}
		d := max(to.Sub(v.From).Seconds(), .5)
		if v.Cause != upstream {
			before += d
		}
		long[v.Cause] += d
		weight[v.Cause] += d * v.Sure
	}
	names := make([]string, 0, len(long))
	for c := range long {
		names = append(names, c)
	}
	if len(names) == 0 {
		return "unknown", 0
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(long[b], long[a]), cmp.Compare(a, b)) })
	cause = names[0]
	flood, fault := long["flood"], long["origin_fault"]
	if flood > 0 && fault > 0 && min(flood, fault) >= max(flood, fault)/3 && (cause == "flood" || cause == "origin_fault") {
		return "mixed", min(weight["flood"]/flood, weight["origin_fault"]/fault)
	}
	return cause, weight[cause] / long[cause]
}

func latest(all ...time.Time) (last time.Time) {
	for _, t := range all {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// measure counts a second while something was off. A minute counts where its
// seconds were not said one by one: else it ends with the last of them.
func (i *Incident) measure(f Fact) {
	r := f.Row
	switch {
	case r == nil:
		return
	case f.Kind == Second:
		i.seconds.N++
		i.seconds.Last = r.At
	case r.At.Equal(i.seconds.Last):
		return
	}
	if !r.At.After(i.Begin) || r.Off == 0 {
		return
	}
	i.offAt = r.At
	i.Toll.Count(r)
}

// note puts a fact on the timeline.
func (i *Incident) note(f Fact) {
	if f.Kind == Held || len(i.Timeline) >= momentsMax && (f.By == "" || len(i.Timeline) >= 2*momentsMax) {
		return
	}
	m := Moment{f.At, f.Kind, f.By, f.Time, f.Origin, f.Cause, f.Sure, f.Rule, f.Other, f.Text}
	if f.Claim != nil {
		m.Text = Text{f.Claim.Who, f.Claim.Who}
	}
	if f.Kind == Translated && f.Text == (Text{}) && len(f.Also) > 0 {
		m.Text.English = f.Also[f.Also.Tags()[0]]
	}
	i.Timeline = append(i.Timeline, m)
}

func (i *Incident) apply(f Fact) {
	switch f.Kind {
	case Affected:
		i.Hurt = true
		if i.Affected.IsZero() {
			i.Affected = f.Time
		}
		i.Mitigated = time.Time{}
	case Mitigated:
		i.Mitigated = f.Time
	case Relapsed:
		i.Relapses++
		i.Mitigated, i.Restored, i.End = time.Time{}, time.Time{}, time.Time{}
		i.Life = i.earlier()
	case Restored:
		i.Restored = f.Time
		i.Life = Monitoring
	case Again:
		i.Restored, i.End = time.Time{}, time.Time{}
		i.Life = i.earlier()
	case Continues:
		i.End = time.Time{}
	case Ended:
		i.End = f.Time
	case Closed:
		i.Closed, i.Life, i.Promised = f.At, Resolved, time.Time{}
		if !f.Time.IsZero() && i.End.IsZero() {
			i.End = f.Time
		}
		i.settle(f.At)
	case CauseIs:
		i.judge(f)
	case RuleActs:
		if len(i.Rules) < rulesMax {
			i.Rules = append(i.Rules, Acting{ID: f.Rule, From: f.At, Text: f.Text})
		}
	case RuleEnds:
		for k := range i.Rules {
			if r := &i.Rules[k]; r.ID == f.Rule && r.To.IsZero() {
				r.To = f.At
			}
		}
	case Whence:
		i.Whence = f.Text
	case Pressed, Failing:
		i.suffers(f.Origin)
	case Unreached:
		if len(i.Outside) < rulesMax {
			i.Outside = append(i.Outside, Unreach{Name: f.Origin, From: f.Time, Text: f.Text})
		}
	case Reached:
		for k := range i.Outside {
			if o := &i.Outside[k]; o.Name == f.Origin && o.To.IsZero() {
				o.To = f.At
			}
		}
	case Edited:
		if f.Text.English != "" {
			i.Title.English = f.Text.English
		}
		if f.Text.German != "" {
			i.Title.German = f.Text.German
		}
		if !f.Time.IsZero() {
			i.Begin = f.Time
		}
	case Updated:
		i.update(f)
	case Translated:
		i.translate(f)
	case Approved:
		i.Approval = &Approval{f.At, f.By, f.Cause, f.Text}
		if i.Life == Investigating {
			i.Life = Identified
		}
		i.Updates = append(i.Updates, Update{At: f.At, By: f.By, Life: i.Life, Text: f.Text, Next: i.Promised})
	case Claimed:
		if f.Claim != nil && len(i.Claims) < ClaimsMax {
			i.Claims = append(i.Claims, HeldClaim{Claim: *f.Claim, At: f.At, By: f.By})
		}
	case Held:
		for k := range i.Claims {
			if f.Claim != nil && i.Claims[k].ID == f.Claim.ID {
				i.Claims[k].Finding = f.Finding
			}
		}
	}
}

// earlier is the stage of one that users feel.
func (i *Incident) earlier() Life {
	if cause, _ := i.Cause(); cause != "unknown" {
		return Identified
	}
	return Investigating
}

func (i *Incident) judge(f Fact) {
	for k := range i.Verdicts {
		if v := &i.Verdicts[k]; v.Origin == f.Origin && v.To.IsZero() {
			v.To = f.At
		}
	}
	if f.Cause == "none" || len(i.Verdicts) >= momentsMax {
		return
	}
	i.suffers(f.Origin)
	i.Verdicts = append(i.Verdicts, Verdict{From: f.At, Origin: f.Origin, Cause: f.Cause, Sure: f.Sure, Terms: f.Terms, Why: f.Text})
	if i.Life == Investigating && f.Cause != "unknown" {
		i.Life = Identified
	}
}

// settle ends what was open when the incident is closed.
func (i *Incident) settle(at time.Time) {
	for k := range i.Verdicts {
		if i.Verdicts[k].To.IsZero() {
			i.Verdicts[k].To = at
		}
	}
	for k := range i.Rules {
		if i.Rules[k].To.IsZero() {
			i.Rules[k].To = at
		}
	}
	for k := range i.Outside {
		if i.Outside[k].To.IsZero() {
			i.Outside[k].To = at
		}
	}
}

func (i *Incident) suffers(origin string) {
	if origin != "" && !slices.Contains(i.Origins, origin) && len(i.Origins) < rulesMax {
		i.Origins = append(i.Origins, origin)
	}
}

func (i *Incident) update(f Fact) {
	if len(i.Updates) >= UpdatesMax {
		return
	}
	if f.Life != "" && f.Life != PostMortem && (f.By != "" || f.Life == Resolved || f.Life == Monitoring) {
		i.Life = f.Life
	}
	if f.By != "" && f.Life == Resolved {
		i.Closed = f.At
		if i.End.IsZero() {
			i.End = f.At
		}
		i.settle(f.At)
	}
	i.Promised = f.Time
	i.Updates = append(i.Updates, Update{At: f.At, By: f.By, Life: cmp.Or(f.Life, i.Life), Text: f.Text, Also: f.Also, Next: f.Time})
}
