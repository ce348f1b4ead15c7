package dossier

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// view is a dossier in one language, before it is written in any form.
type view struct {
	Lang      string
	W         words
	Title, ID string
	Life      string
	MadeAt    string
	Summary   []string
	Facts     []pair
	Plots     []*plot
	Timeline  []moment
	Cause     []said
	Verdicts  []verdict
	Rules     []moment
	Claims    []claim
	Collate   []pair
	Worked    []string
	Lessons   []string
	Open      []string // what is not known
	Note      string
	Record    string
	Pseudonym string
	Measured  bool
}

type pair struct{ Name, Text string }

// said is a sentence with the figures and plots that it rests on.
type said struct {
	Text string
	See  []see
}

// see is a place of the dossier: its anchor, and what it is called.
type see struct{ To, Name string }

type moment struct{ When, Who, Text string }

type verdict struct {
	When, Origin, Cause, Sure string
	Terms                     []pair
}

type claim struct {
	ID, Who    string
	Facts      []pair
	Text, Hash string
	Answer     string
	Kind       string // consistent, contradicted, not
	Why        string
	Points     []point
}

type point struct{ Title, Answer, Kind, Sure, Why string }

func (d *Dossier) view(lang string) (*view, error) {
	i, err := d.incident(lang)
	if err != nil {
		return nil, err
	}
	w := wordsIn(lang)
	v := &view{Lang: lang, W: w, ID: i.ID, Life: incident.LifeName(i.Life).In(lang), MadeAt: incident.DayClock(d.Made, d.Made.Location()).In(lang),
		Note: incident.NotAttribution.In(lang), Measured: i.Measured()}
	b := &builder{d, i, v, w, lang}
	if v.Title = i.Title.In(lang); v.Title == "" {
		v.Title = fmt.Sprintf(w.titleOf(i), incident.DayClock(i.Begin, d.Zone).In(lang))
	}
	if i.Case != nil {
		b.told()
	} else {
		b.measured()
	}
	b.claims()
	if d.Head != "" {
		v.Record = fmt.Sprintf(w.Record, d.Number, d.Head)
	}
	switch {
	case d.Names:
	case i.Case != nil:
		v.Pseudonym = w.AsTold
	default:
		v.Pseudonym = w.Pseudonym
	}
	return v, nil
}

type builder struct {
	d    *Dossier
	i    *incident.Incident
	v    *view
	w    words
	lang string
}

func (b *builder) in(t incident.Text) string { return t.In(b.lang) }

func (b *builder) second(t time.Time) string { return b.in(incident.ClockSeconds(t, b.d.Zone)) }

// stamp writes a time as somebody told it, with its day.
func (b *builder) stamp(s incident.Stamp) string {
	return b.in(incident.Day(s.Time, b.d.Zone)) + ", " + b.hour(s)
}

func (b *builder) hour(s incident.Stamp) string {
	t := b.in(incident.Clock(s.Time, b.d.Zone))
	if s.About {
		return b.w.About + " " + t
	}
	return t
}

func (b *builder) span(d time.Duration) string { return b.in(incident.Span(d)) }

// number writes a count with the language's separator.
func (b *builder) number(n uint64) string {
	s := fmt.Sprint(n)
	for k := len(s) - 3; k > 0; k -= 3 {
		s = s[:k] + b.w.Thousand + s[k:]
	}
	return s
}

func (b *builder) decimal(v float64, digits int) string {
	s := fmt.Sprintf("%.*f", digits, v)
	if b.lang == "de" {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s
}

// percent never rounds up to a whole that was not.
func (b *builder) percent(part, whole uint64) string {
	if whole == 0 {
		return "–"
	}
	p := 100 * float64(part) / float64(whole)
	if part < whole {
		p = min(p, 99.99)
	}
	return b.decimal(p, 2) + " %"
}

func (b *builder) fact(name, text string) { b.v.Facts = append(b.v.Facts, pair{name, text}) }

// told is for what others reported.
func (b *builder) told() {
	c, v, w := b.i.Case, b.v, b.w
	v.Summary = append(v.Summary, b.in(c.Summary), w.NotMeasured)
	if c.Subject != "" {
		b.fact(w.Subject, c.Subject)
	}
	b.fact(w.Begin+" ("+w.Reported+")", b.stamp(c.Begin))
	if !c.End.Time.IsZero() {
		b.fact(w.Fixed+" ("+w.Reported+")", b.stamp(c.End))
		b.fact(w.Duration+" ("+w.Reported+")", w.About+" "+b.span(c.End.Time.Sub(c.Begin.Time)))
	}
	for _, e := range c.Effects {
		b.fact(w.Effect, b.in(e))
	}
	for _, r := range c.Told {
		when := b.in(r.When)
		if !r.At.Time.IsZero() {
			when = b.stamp(r.At)
		}
		v.Timeline = append(v.Timeline, moment{when, b.in(r.Who), b.in(r.Text)})
	}
	v.Cause = append(v.Cause, said{w.CauseUntold, []see{{"timeline", w.Timeline}}})
	for _, l := range c.Lessons {
		v.Lessons = append(v.Lessons, b.in(l))
	}
	for _, n := range c.Notes {
		v.Open = append(v.Open, b.in(n))
	}
	v.Open = append(v.Open, w.OpenUntold)
}

func (b *builder) measured() {
	i, w, v := b.i, b.w, b.v
	b.summary()
	b.fact(w.Begin, b.in(incident.Day(i.Begin, b.d.Zone))+", "+b.second(i.Begin))
	if i.Hurt {
		b.fact(w.Affected, b.second(i.Affected))
		b.fact(w.Mitigated, b.since(i.Mitigated, i.Affected))
	} else {
		b.fact(w.Affected, w.NeverAffected)
	}
	b.fact(w.Restored, b.since(i.Restored, i.Begin))
	b.fact(w.End, b.since(i.End, i.Begin))
	known := i.Toll.Users
	fair := known.Asked - min(known.Own, known.Asked)
	b.fact(w.KnownAsked, b.number(fair))
	b.fact(w.KnownServed, fmt.Sprintf(w.OfThem, b.number(known.Served), b.percent(known.Served, fair)))
	b.fact(w.KnownLost, fmt.Sprintf(w.OfThem, b.number(known.Lost()), b.percent(known.Lost(), fair)))
	if m := i.Toll.Missed; m.All > 0 {
		b.fact(w.Missed, fmt.Sprintf(w.MissedOf, b.in(m.People()), b.in(m.Readers()), b.in(m.Senders())))
	}
	if i.Toll.Worst < 1 {
		b.fact(w.Worst, b.decimal(100*i.Toll.Worst, 1)+" %")
	}
	if i.Hurt {
		b.fact(w.HurtSeconds, b.span(time.Duration(i.Toll.Seconds)*time.Second))
	}
	b.fact(w.NewHeld, b.number(i.Toll.New.Held))
	b.fact(w.Peak, fmt.Sprintf(w.PerSecond, b.number(b.peak())))
	if i.Relapses > 0 {
		b.fact(w.Relapses, fmt.Sprint(i.Relapses))
	}
	b.plots()
	for _, m := range i.Timeline {
		who := m.By
		if who == "" {
			who = "Deich"
		}
		if m.Kind == incident.Updated && m.By == "" {
			who = "Deich (" + w.Draft + ")"
		}
		v.Timeline = append(v.Timeline, moment{b.second(m.At), who, b.in(m.Sentence(b.d.Zone))})
		if m.Kind == incident.Noted {
			v.Lessons = append(v.Lessons, b.in(m.Text)+" ("+m.By+")")
		}
	}
	for _, u := range i.Updates {
		if u.Life == incident.PostMortem {
			v.Lessons = append(v.Lessons, b.in(u.Text)+" ("+u.By+")")
		}
	}
	b.cause()
	b.collateral()
	b.worked()
	v.Open = append(v.Open, w.OpenUsers, w.OpenSources)
}

func (b *builder) since(t, from time.Time) string {
	if t.IsZero() {
		return b.w.NotYet
	}
	return fmt.Sprintf(b.w.After, b.second(t), b.span(t.Sub(from)))
}

func (b *builder) summary() {
	i, w := b.i, b.w
	end, over := i.End, !i.End.IsZero()
	if !over {
		end = b.d.Made
	}
	long := b.span(end.Sub(i.Begin))
	from := b.in(incident.DayClock(i.Begin, b.d.Zone))
	form := w.SumOver
	if !over {
		form = w.SumOpen
	}
	b.v.Summary = append(b.v.Summary, fmt.Sprintf(form, from, long))
	known := i.Toll.Users
	fair := known.Asked - min(known.Own, known.Asked)
	switch {
	case fair == 0:
		b.v.Summary = append(b.v.Summary, w.SumNobody)
	case i.Hurt && !i.Mitigated.IsZero():
		b.v.Summary = append(b.v.Summary, fmt.Sprintf(w.SumHurt, b.number(known.Lost()), b.number(fair), b.percent(known.Lost(), fair), b.span(i.Mitigated.Sub(i.Affected))))
	case i.Hurt:
		b.v.Summary = append(b.v.Summary, fmt.Sprintf(w.SumStill, b.number(known.Lost()), b.number(fair), b.percent(known.Lost(), fair)))
	case known.Lost() > 0:
		b.v.Summary = append(b.v.Summary, fmt.Sprintf(w.SumHardly, b.number(known.Served), b.number(fair), b.percent(known.Served, fair)))
	default:
		b.v.Summary = append(b.v.Summary, fmt.Sprintf(w.SumUnhurt, b.number(known.Served), b.number(fair), b.percent(known.Served, fair)))
	}
	if m := i.Toll.Missed; i.Hurt && m.All > 0 {
		b.v.Summary = append(b.v.Summary, fmt.Sprintf(w.SumMissed, b.in(m.People())))
	}
	if n := i.Toll.New.Held; n > 0 {
		b.v.Summary = append(b.v.Summary, fmt.Sprintf(w.SumHeld, b.number(n)))
	}
	cause, sure := i.Cause()
	b.v.Summary = append(b.v.Summary, b.causeLine(cause, sure))
}

func (b *builder) causeLine(cause string, sure float64) string {
	switch {
	case b.i.Approval != nil:
		return b.in(b.i.Approval.Text) + " " + fmt.Sprintf(b.w.ApprovedBy, b.i.Approval.By, b.in(incident.DayClock(b.i.Approval.At, b.d.Zone)))
	case cause == "unknown":
		return b.w.CauseUnknown
	}
	return fmt.Sprintf(b.w.CauseSpeaks, b.in(incident.CauseName(cause)), incident.InPercent(sure)) + " " + b.w.NotApproved
}

// has says whether the dossier has what an anchor names.
func (b *builder) has(anchor string) bool {
	switch anchor {
	case "evidence":
		return len(b.i.Verdicts) > 0
	case "rules":
		return len(b.i.Rules) > 0
	case plotUsers, plotLatency, plotActs:
		return slices.ContainsFunc(b.v.Plots, func(p *plot) bool { return p.ID == anchor })
	}
	return true
}

// beforeSeconds must have been measured before an incident to say what was asked then.
const beforeSeconds = 5

// halves gives what was measured before the incident, and while it lasted.
func (b *builder) halves() (before, during []incident.Row) {
	for _, r := range b.d.Rows {
		switch {
		case !r.At.After(b.i.Begin):
			before = append(before, r)
		case b.i.End.IsZero() || r.From().Before(b.i.End):
			during = append(during, r)
		}
	}
	return before, during
}

// peak is the most that came in a second, or a minute's mean where there is no more of it.
func (b *builder) peak() uint64 {
	most := float64(b.i.Toll.Demand)
	_, during := b.halves()
	for _, r := range during {
		most = max(most, r.Rate())
	}
	return uint64(most)
}

// asked says how much came, before and meanwhile.
func (b *builder) asked() string {
	before, _ := b.halves()
	sum, seconds := 0., 0
	for _, r := range before {
		sum, seconds = sum+r.Rate()*float64(r.Span), seconds+r.Span
	}
	peak := b.number(b.peak())
	if seconds < beforeSeconds {
		return fmt.Sprintf(b.w.AskedAtMost, peak)
	}
	return fmt.Sprintf(b.w.AskedBefore, b.decimal(sum/float64(seconds), 0), peak)
}

// refused says what was turned away, and at what cost for users.
func (b *builder) refused() string {
	t, w := b.i.Toll, b.w
	if t.Ruled+t.New.Held+t.Gate+t.Users.Held == 0 {
		return w.RefusedNone
	}
	return fmt.Sprintf(w.RefusedSum, b.number(t.Ruled), b.number(t.New.Held), b.number(t.Gate), b.number(t.Users.Held), b.percent(t.Users.Held, t.Users.Asked))
}

// health says how quickly the platform answered users, before and meanwhile.
func (b *builder) health() string {
	before, during := b.halves()
	half, most, n := 0., 0., 0
	for _, r := range before {
		if r.P50 > 0 {
			half, most, n = half+float64(r.P50), most+float64(r.P99), n+1
		}
	}
	var text string
	if n > 0 {
		text = fmt.Sprintf(b.w.HealthBefore, b.decimal(half/float64(n), 0), b.decimal(most/float64(n), 0))
	}
	var worstHalf, worstMost int32
	silent := 0
	for _, r := range during {
		worstHalf, worstMost = max(worstHalf, r.P50), max(worstMost, r.P99)
		if r.Fail {
			silent += r.Span
		}
	}
	if worstHalf > 0 {
		text += " " + fmt.Sprintf(b.w.HealthWorst, b.number(uint64(worstHalf)), b.number(uint64(worstMost)))
	}
	if silent > 0 {
		text += " " + fmt.Sprintf(b.w.HealthSilent, b.span(time.Duration(silent)*time.Second))
	}
	return strings.TrimSpace(text)
}

func (b *builder) cause() {
	cause, sure := b.i.Cause()
	say := func(text string, places ...see) {
		if text != "" {
			b.v.Cause = append(b.v.Cause, said{text, slices.DeleteFunc(places, func(p see) bool { return !b.has(p.To) })})
		}
	}
	w := b.w
	acts := see{plotActs, w.PlotActs}
	say(b.causeLine(cause, sure), see{"evidence", w.Evidence})
	say(b.asked(), acts)
	say(b.refused(), see{"collateral", w.Collateral}, see{"rules", w.Rules}, acts)
	say(b.in(b.i.Whence), see{"collateral", w.Collateral})
	say(b.health(), see{plotLatency, w.PlotLatency})
	for _, x := range b.i.Verdicts {
		to := b.w.StillHolds
		if !x.To.IsZero() {
			to = b.second(x.To)
		}
		v := verdict{b.second(x.From) + " – " + to, x.Origin, b.in(incident.CauseName(x.Cause)), fmt.Sprintf("%.0f %%", incident.InPercent(x.Sure)), nil}
		for k, t := range x.Terms {
			if k >= termsMax {
				break
			}
			weight := ""
			if t.Weight != 0 {
				weight = fmt.Sprintf(" (%s %s)", b.w.Weighs, b.decimal(t.Weight, 1))
			}
			v.Terms = append(v.Terms, pair{b.w.term(t.Name), b.decimal(t.Value, 2) + weight})
		}
		b.v.Verdicts = append(b.v.Verdicts, v)
	}
	for _, r := range b.i.Rules {
		to := b.w.StillHolds
		if !r.To.IsZero() {
			to = b.second(r.To)
		}
		b.v.Rules = append(b.v.Rules, moment{b.second(r.From) + " – " + to, fmt.Sprintf(b.w.RuleN, r.ID), b.in(r.Text)})
	}
}

func (b *builder) collateral() {
	t := b.i.Toll
	add := func(name string, n, of uint64) {
		b.v.Collate = append(b.v.Collate, pair{name, fmt.Sprintf(b.w.OfThem, b.number(n), b.percent(n, of))})
	}
	known := t.Users.Asked
	add(b.w.KnownHeld, t.Users.Held, known)
	add(b.w.KnownOwn, t.Users.Own, known)
	failed := t.Users.Lost() - min(t.Users.Held, t.Users.Lost())
	add(b.w.KnownFailed, failed, known)
	b.v.Collate = append(b.v.Collate,
		pair{b.w.NewHeld, b.number(t.New.Held)},
		pair{b.w.ByRule, b.number(t.Ruled)},
		pair{b.w.AtAccept, b.number(t.Gate)})
}

// worked says what the figures say, and nothing else.
func (b *builder) worked() {
	i, w := b.i, b.w
	say := func(s string) { b.v.Worked = append(b.v.Worked, s) }
	delay := i.Opened.Sub(i.Begin)
	if i.By == "" {
		say(fmt.Sprintf(w.Noticed, b.span(delay)))
	}
	if len(i.Updates) > 0 {
		say(fmt.Sprintf(w.FirstWord, b.span(i.Updates[0].At.Sub(i.Begin))))
	}
	switch {
	case i.FromOutside(): // how those did who did not get here is not known
	case !i.Hurt:
		say(w.HeldUp)
	case !i.Mitigated.IsZero() && i.Mitigated.Sub(i.Affected) <= 3*time.Second:
		say(fmt.Sprintf(w.Quick, b.span(i.Mitigated.Sub(i.Affected))))
	case !i.Mitigated.IsZero():
		say(fmt.Sprintf(w.Slow, b.span(i.Mitigated.Sub(i.Affected))))
	}
	switch n := len(i.Rules); {
	case n == 1:
		say(fmt.Sprintf(w.RuleActed, b.span(i.Rules[0].From.Sub(i.Begin))))
	case n > 1:
		say(fmt.Sprintf(w.RulesActed, n, b.span(i.Rules[0].From.Sub(i.Begin))))
	}
	if i.Relapses > 0 {
		say(fmt.Sprintf(w.Relapsed, i.Relapses))
	}
}

func (b *builder) plots() {
	i, w := b.i, b.w
	marks := []mark{{w.Begin, i.Begin}, {w.MarkMitigated, i.Mitigated}, {w.MarkRestored, i.Restored}, {w.End, i.End}}
	clock := func(t time.Time) string { return t.In(b.d.Zone).Format("15:04:05") }
	figure := func(v float64) string { return b.decimal(v, 1) }
	per := func(get func(*incident.Row) uint32) func(*incident.Row) float64 {
		return func(r *incident.Row) float64 { return float64(get(r)) / float64(max(1, r.Span)) }
	}
	users := newPlot(plotUsers, w.PlotUsers, w.PerSecondUnit, b.d.Rows, []series{
		{w.Asked, "asked", per(func(r *incident.Row) uint32 { k := r.Users(); return k.Asked - min(k.Own, k.Asked) })},
		{w.Served, "served", per(func(r *incident.Row) uint32 { return r.Users().Served })},
	}, marks, w.Time, clock, figure)
	acts := newPlot(plotActs, w.PlotActs, w.PerSecondUnit, b.d.Rows, []series{
		{w.Allowed, "allow", per(func(r *incident.Row) uint32 { return r.Acts[0] })},
		{w.Waited, "wait", per(func(r *incident.Row) uint32 { return r.Acts[2] + r.Acts[3] })},
		{w.Denied, "deny", per(func(r *incident.Row) uint32 { return r.Acts[4] + r.Acts[5] + r.Gate })},
	}, marks, w.Time, clock, figure)
	waited := func(ms int32) float64 {
		if ms == 0 { // nobody was served
			return math.NaN()
		}
		return float64(ms)
	}
	latency := newPlot(plotLatency, w.PlotLatency, w.Milliseconds, b.d.Rows, []series{
		{w.Half, "sea", func(r *incident.Row) float64 { return waited(r.P50) }},
		{w.Most, "asked", func(r *incident.Row) float64 { return waited(r.P99) }},
	}, marks, w.Time, clock, figure)
	for _, p := range []*plot{users, latency, acts} {
		if p != nil {
			b.v.Plots = append(b.v.Plots, p)
		}
	}
}

func (b *builder) claims() {
	w := b.w
	names := func(all []incident.Said) string {
		var each []string
		for _, s := range all {
			n := s.Who
			if s.Where != "" {
				n += " (" + s.Where + ")"
			}
			if !s.At.IsZero() {
				n += ", " + b.in(incident.DayClock(s.At, s.At.Location()))
			}
			if t := b.in(s.Text); t != "" {
				n += ": " + t
			}
			each = append(each, n)
		}
		return strings.Join(each, "; ")
	}
	for _, h := range b.i.Claims {
		c := claim{ID: h.ID, Who: h.Who, Text: h.Text, Hash: h.SHA256}
		add := func(name, text string) {
			if text != "" {
				c.Facts = append(c.Facts, pair{name, text})
			}
		}
		add(w.Where, h.Where)
		if !h.Claim.At.IsZero() {
			add(w.When, b.in(incident.DayClock(h.Claim.At, h.Claim.At.Location())))
		} else {
			add(w.When, w.Unknown)
		}
		add(w.Language, h.Language)
		add(w.Target, h.Target)
		if !h.From.Time.IsZero() {
			window := b.stamp(h.From)
			switch from, to := h.From.Time.In(b.d.Zone), h.To.Time.In(b.d.Zone); {
			case h.To.Time.IsZero():
			case from.YearDay() == to.YearDay() && from.Year() == to.Year():
				window += " – " + b.hour(h.To)
			default:
				window += " – " + b.stamp(h.To)
			}
			add(w.Window, window)
		}
		add(w.Vector, h.Vector)
		if h.Rate > 0 {
			add(w.Size, fmt.Sprintf(w.PerSecond, b.number(uint64(h.Rate))))
		}
		if h.Bits > 0 {
			add(w.Size, b.decimal(h.Bits/1e9, 1)+" Gbit/s")
		}
		add(w.Purpose, h.Purpose)
		add(w.Proof, h.Proof)
		add(w.Relayed, names(h.Relayed))
		add(w.Doubted, names(h.Doubted))
		add(w.AskedSilent, names(h.Claim.Asked))
		if f := h.Finding; f != nil {
			c.Answer, c.Kind, c.Why = b.in(incident.AnswerName(f.Answer)), kindOf(f.Answer), b.in(f.Why)
			for _, p := range f.Points {
				sure := ""
				if p.Answer != incident.NotVerifiable {
					sure = fmt.Sprintf("%.0f\u00a0%%", incident.InPercent(p.Sure))
				}
				c.Points = append(c.Points, point{b.in(p.Title), b.in(incident.AnswerName(p.Answer)), kindOf(p.Answer), sure, b.in(p.Why)})
			}
		}
		b.v.Claims = append(b.v.Claims, c)
	}
}

func kindOf(a incident.Answer) string {
	switch a {
	case incident.Consistent:
		return "fits"
	case incident.Contradicted:
		return "breaks"
	}
	return "open"
}
