package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// NotAttribution stands beside every finding.
var NotAttribution = Text{
	"Consistent is not attribution: that a claim fits the measurements does not show that whoever makes it did it.",
	"Vereinbar heißt nicht bewiesen: Dass eine Behauptung zu den Messungen passt, zeigt nicht, dass es die waren, die sie aufstellen.",
}

// A Stamp is a time as somebody told it: RFC 3339, with its zone, and whether
// it is only about right.
type Stamp struct {
	Time  time.Time `json:"time,omitzero"`
	About bool      `json:"about,omitempty"`
}

// Said is what somebody else did with a claim.
type Said struct {
	Who   string    `json:"who"`
	At    time.Time `json:"at,omitzero"`
	Where string    `json:"where,omitempty"`
	Text  Text      `json:"text,omitzero"`
}

// Claim is what somebody says about an incident.
type Claim struct {
	ID       string    `json:"id"`
	Who      string    `json:"who"`                // as they call themselves
	Where    string    `json:"where,omitempty"`    // the channel
	At       time.Time `json:"at,omitzero"`        // when it was said, with the channel's zone
	Language string    `json:"language,omitempty"` // of the text
	Text     string    `json:"text,omitempty"`     // as it was said, archived
	SHA256   string    `json:"sha256,omitempty"`   // of that text, in hex
	Target   string    `json:"target,omitempty"`   // what they say they hit
	From     Stamp     `json:"from,omitzero"`      // the window that they claim
	To       Stamp     `json:"to,omitzero"`
	Vector   string    `json:"vector,omitempty"`  // "http", "volumetric" or another word; "": not said
	Rate     float64   `json:"rate,omitempty"`    // requests a second; 0: not said
	Bits     float64   `json:"bits,omitempty"`    // bits a second; 0: not said
	Outage   bool      `json:"outage,omitempty"`  // that users could not use it
	Purpose  string    `json:"purpose,omitempty"` // such as "a test"
	Proof    string    `json:"proof,omitempty"`   // what they offer as proof
	Relayed  []Said    `json:"relayed,omitempty"`
	Doubted  []Said    `json:"not_confirmed,omitempty"` // who could not confirm it
	Asked    []Said    `json:"asked,omitempty"`         // who was asked and did not answer
}

// Check says what is wrong with a claim that a person gives, and fills the hash.
func (c *Claim) Check() error {
	var wrong []error
	if strings.TrimSpace(c.Who) == "" {
		wrong = append(wrong, Wrongf("who claims it is missing", "es fehlt, wer es behauptet"))
	}
	for _, t := range []string{c.Who, c.Where, c.Text, c.Target, c.Purpose, c.Proof, c.Vector, c.Language} {
		if len(t) > TextMax {
			wrong = append(wrong, Wrongf("a text has %d bytes: at most %d", "ein Text hat %d Byte, höchstens %d sind möglich", len(t), TextMax))
			break
		}
	}
	if len(c.Relayed)+len(c.Doubted)+len(c.Asked) > ClaimsMax {
		wrong = append(wrong, Wrongf("more than %d who relayed, doubted or were asked", "mehr als %d, die es weitergaben, nicht bestätigen konnten oder gefragt wurden", ClaimsMax))
	}
	if !c.From.Time.IsZero() && !c.To.Time.IsZero() && !c.From.Time.Before(c.To.Time) {
		wrong = append(wrong, Wrongf("the claimed window ends before it begins", "die behauptete Zeit endet, bevor sie beginnt"))
	}
	if c.Rate < 0 || c.Bits < 0 || math.IsNaN(c.Rate) || math.IsNaN(c.Bits) {
		wrong = append(wrong, Wrongf("a size below zero", "eine Größe unter null"))
	}
	if c.Text != "" {
		sum := sha256.Sum256([]byte(c.Text))
		is := hex.EncodeToString(sum[:])
		if c.SHA256 != "" && !strings.EqualFold(c.SHA256, is) {
			wrong = append(wrong, Wrongf("the text's SHA-256 is %s, and %s was given", "der SHA-256 des Textes ist %s, angegeben war %s", is, c.SHA256))
		}
		c.SHA256 = is
	}
	return errors.Join(wrong...)
}

// Answer is what the record says of a claim, or of a point of it.
type Answer string

const (
	Consistent    Answer = "consistent"
	Contradicted  Answer = "contradicted"
	NotVerifiable Answer = "not verifiable"
)

// AnswerName is the answer for people.
func AnswerName(a Answer) Text {
	switch a {
	case Consistent:
		return Text{"consistent", "vereinbar"}
	case Contradicted:
		return Text{"contradicted", "widerlegt"}
	}
	return Text{"not verifiable", "nicht überprüfbar"}
}

// Point is one thing that is claimed, held against the record.
type Point struct {
	Name   string  `json:"name"`
	Title  Text    `json:"title"`
	Answer Answer  `json:"answer"`
	Sure   float64 `json:"sure"` // 0 to 1
	Why    Text    `json:"why"`
}

// Finding is what the record says of a whole claim.
type Finding struct {
	At     time.Time `json:"at"`
	Answer Answer    `json:"answer"`
	Sure   float64   `json:"sure"`
	Why    Text      `json:"why"`
	Points []Point   `json:"points"`
	Note   Text      `json:"note"` // NotAttribution
}

// Measured is what the record holds of a claimed window.
type Measured struct {
	From, To time.Time // the window, as it was asked for
	Seconds  int       // of it that were measured
	Off      int       // of them, seconds in which something was off
	Asked    uint64    // by known users
	Lost     uint64
	Worst    float64 // the lowest share of known users' requests served in a row; 1 where none was asked
	Peak     float64 // the highest rate of requests a second, refused connections included
	Usual    float64 // the rate in the hour before that was measured; 0: not known
}

// Window gives the span of time that has to be looked at for a claim about i.
func (c *Claim) Window(i *Incident) (from, to time.Time) {
	from, to = c.From.Time, c.To.Time
	if from.IsZero() && i != nil {
		from = i.Begin
	}
	if to.IsZero() && i != nil {
		to = i.End
	}
	if !from.IsZero() && !to.After(from) {
		to = from.Add(time.Hour)
	}
	return from, to
}

const (
	// aboutMinutes is how far a claimed time may lie from the measured one.
	aboutMinutes = 15
	exactMinutes = 5
	// sizeTimes is how far a claimed rate may lie from the measured one.
	sizeTimes = 2
	// covered is the share of a window that has to be measured.
	covered = .9
)

// Hold holds a claim against the record. i is the incident that it is about, or nil.
func Hold(c *Claim, i *Incident, m Measured, at time.Time, zone *time.Location) Finding {
	f := Finding{At: at, Note: NotAttribution}
	h := holder{c, i, m, zone, i != nil && i.Measured() && m.To.After(m.From) && float64(m.Seconds) >= covered*m.To.Sub(m.From).Seconds()}
	window, cause := h.window(), h.cause()
	f.Points = []Point{window, cause}
	if c.Outage {
		f.Points = append(f.Points, h.outage())
	}
	if c.Vector != "" {
		f.Points = append(f.Points, h.vector())
	}
	if c.Rate > 0 || c.Bits > 0 {
		f.Points = append(f.Points, h.size())
	}
	if c.Target != "" {
		f.Points = append(f.Points, h.target())
	}
	if c.Purpose != "" {
		f.Points = append(f.Points, Point{"purpose", Text{"Purpose", "Zweck"}, NotVerifiable, 1, Text{
			"“" + c.Purpose + "”: no measurement shows what somebody intended.", "„" + c.Purpose + "“: Keine Messung zeigt, was jemand wollte."}})
	}
	f.Points = append(f.Points, Point{"author", Text{"Author", "Urheber"}, NotVerifiable, 1, Text{
		"Requests do not say who had them sent.", "Anfragen sagen nicht, wer sie hat senden lassen."}})
	f.Answer, f.Sure, f.Why = h.whole(f.Points)
	return f
}

type holder struct {
	c        *Claim
	i        *Incident
	m        Measured
	zone     *time.Location
	measured bool
}

// unmeasured is the reason why nothing can be said.
func (h *holder) unmeasured() Text {
	if h.i != nil && !h.i.Measured() {
		return Text{"Nothing was measured here: what is known of this incident was told by others.",
			"Hier wurde nichts gemessen: Was über diesen Vorfall bekannt ist, haben andere berichtet."}
	}
	if h.i == nil || h.m.Seconds == 0 {
		return Text{"There are no measurements of that time.", "Zu dieser Zeit gibt es keine Messungen."}
	}
	share := 100 * float64(h.m.Seconds) / h.m.To.Sub(h.m.From).Seconds()
	return Text{fmt.Sprintf("Only %.0f %% of the claimed time was measured.", share), fmt.Sprintf("Nur %.0f %% der behaupteten Zeit wurden gemessen.", share)}
}

func (h *holder) window() Point {
	p := Point{Name: "window", Title: Text{"Time", "Zeit"}, Answer: NotVerifiable, Sure: 1}
	switch {
	case h.c.From.Time.IsZero():
		p.Why = Text{"No time is claimed.", "Es wird keine Zeit behauptet."}
	case !h.measured:
		p.Why = h.unmeasured()
	case h.m.Off == 0:
		p.Answer, p.Sure = Contradicted, .95
		p.Why = Text{"The whole time was measured, and nothing was off in it.", "Die ganze Zeit wurde gemessen, und nichts war auffällig."}
	default:
		p.Answer, p.Sure, p.Why = h.compareTimes()
	}
	return p
}

func (h *holder) compareTimes() (Answer, float64, Text) {
	apart := func(s Stamp, t time.Time) (minutes float64, ok bool) {
		if s.Time.IsZero() || t.IsZero() {
			return 0, true
		}
		minutes = math.Abs(s.Time.Sub(t).Minutes())
		if s.About {
			return minutes, minutes <= aboutMinutes
		}
		return minutes, minutes <= exactMinutes
	}
	a, okA := apart(h.c.From, h.i.Begin)
	b, okB := apart(h.c.To, h.i.End)
	begin, end := ClockSeconds(h.i.Begin, h.zone), ClockSeconds(h.i.End, h.zone)
	measured := Text{"Measured: from " + begin.English + " to " + end.English + ".", "Gemessen: von " + begin.German + " bis " + end.German + "."}
	if h.i.End.IsZero() {
		measured = Text{"Measured: since " + begin.English + "; it is not over.", "Gemessen: seit " + begin.German + "; es ist nicht vorbei."}
	}
	switch {
	case okA && okB && max(a, b) < .5:
		return Consistent, .9, Text{measured.English + " The claimed times fit to the minute.", measured.German + " Die behaupteten Zeiten stimmen auf die Minute."}
	case okA && okB:
		return Consistent, .9, Text{measured.English + fmt.Sprintf(" The claimed times are at most %.0f minutes off.", math.Max(a, b)),
			measured.German + fmt.Sprintf(" Die behaupteten Zeiten liegen höchstens %.0f Minuten daneben.", math.Max(a, b))}
	case h.m.Off > 0 && okA:
		return Consistent, .6, Text{measured.English + fmt.Sprintf(" The begin fits; the claimed end is %.0f minutes off.", b),
			measured.German + fmt.Sprintf(" Der Beginn passt; das behauptete Ende liegt %.0f Minuten daneben.", b)}
	}
	return Contradicted, .8, Text{measured.English + fmt.Sprintf(" The claimed begin is %.0f minutes off.", a),
		measured.German + fmt.Sprintf(" Der behauptete Beginn liegt %.0f Minuten daneben.", a)}
}

// cause holds what every such claim says, that somebody's requests did it,
// against what was measured.
func (h *holder) cause() Point {
	p := Point{Name: "cause", Title: Text{"An attack was the cause", "Ein Angriff war die Ursache"}, Answer: NotVerifiable, Sure: 1}
	if !h.measured {
		p.Why = h.unmeasured()
		return p
	}
	cause, sure := h.i.Cause()
	name, times := CauseName(cause), h.timesUsual()
	speaks := Text{"The evidence speaks for " + name.English + fmt.Sprintf(" (%.0f %%).", InPercent(sure)) + times.English,
		"Die Belege sprechen für: " + name.German + fmt.Sprintf(" (%.0f %%).", InPercent(sure)) + times.German}
	switch cause {
	case "flood", "mixed":
		p.Answer, p.Sure, p.Why = Consistent, sure, speaks
	case "origin_fault", "crowd", "retry_storm", "upstream":
		p.Answer, p.Sure, p.Why = Contradicted, sure, speaks
		if cause == "upstream" { // what fills the line in front is not seen here
			p.Answer, p.Sure = NotVerifiable, 1
			p.Why.English += " What fills the network in front is not measured here."
			p.Why.German += " Was das Netz davor füllt, wird hier nicht gemessen."
		}
	default:
		p.Why = Text{"The measurements do not say what the cause was." + times.English, "Die Messungen sagen nicht, was die Ursache war." + times.German}
		if h.m.Off == 0 {
			p.Answer, p.Sure = Contradicted, .9
			p.Why = Text{"Nothing was off in that time." + times.English, "In dieser Zeit war nichts auffällig." + times.German}
		}
	}
	return p
}

func (h *holder) timesUsual() Text {
	if h.m.Usual < .5 || h.m.Peak <= 0 {
		return Text{}
	}
	return Text{fmt.Sprintf(" At most %.0f requests a second came, %.1f times what was usual before.", h.m.Peak, h.m.Peak/h.m.Usual),
		fmt.Sprintf(" Es kamen höchstens %.0f Anfragen je Sekunde, das %s-fache des vorher Üblichen.", h.m.Peak, comma(h.m.Peak/h.m.Usual))}
}

func comma(v float64) string { return strings.Replace(fmt.Sprintf("%.1f", v), ".", ",", 1) }

func (h *holder) outage() Point {
	p := Point{Name: "outage", Title: Text{"Users could not use it", "Nutzer konnten es nicht nutzen"}, Answer: NotVerifiable, Sure: 1}
	if !h.measured || h.m.Asked == 0 {
		p.Why = h.unmeasured()
		if h.measured {
			p.Why = Text{"No user asked in that time.", "In dieser Zeit fragte kein Nutzer."}
		}
		return p
	}
	served := 100 * (1 - float64(h.m.Lost)/float64(h.m.Asked))
	p.Why = Text{fmt.Sprintf("%.1f %% of users’ requests were served over the time; %.0f %% in its worst moment.", served, 100*h.m.Worst),
		fmt.Sprintf("%s %% der Anfragen von Nutzern wurden in dieser Zeit bedient; %.0f %% im schlechtesten Moment.", comma(served), 100*h.m.Worst)}
	switch {
	case h.m.Worst < .5:
		p.Answer, p.Sure = Consistent, .9
	case h.m.Worst > .95:
		p.Answer, p.Sure = Contradicted, .95
	default:
		p.Answer, p.Sure = Consistent, .5
	}
	return p
}

func (h *holder) vector() Point {
	p := Point{Name: "vector", Title: Text{"Kind of attack", "Art des Angriffs"}, Answer: NotVerifiable, Sure: 1}
	cause, sure := "", 0.
	if h.measured {
		cause, sure = h.i.Cause()
	}
	switch {
	case !h.measured:
		p.Why = h.unmeasured()
	case h.c.Vector == "http" && (cause == "flood" || cause == "mixed"):
		p.Answer, p.Sure = Consistent, sure
		p.Why = Text{"A flood of HTTP requests was measured.", "Eine Flut von HTTP-Anfragen wurde gemessen."}
	case h.c.Vector == "http" && h.m.Usual >= .5 && h.m.Peak < 1.3*h.m.Usual:
		p.Answer, p.Sure = Contradicted, .9
		p.Why = Text{"No more HTTP requests came than usual.", "Es kamen nicht mehr HTTP-Anfragen als sonst."}
	case h.c.Vector == "http":
		p.Why = Text{"HTTP requests were measured, and the evidence does not speak for a flood of them.", "HTTP-Anfragen wurden gemessen, und die Belege sprechen nicht für eine Flut davon."}
	default:
		p.Why = Text{"“" + h.c.Vector + "” is not measured here: Deich sees requests, not what fills the network in front of it.",
			"„" + h.c.Vector + "“ wird hier nicht gemessen: Deich sieht Anfragen, nicht, was das Netz davor füllt."}
	}
	return p
}

func (h *holder) size() Point {
	p := Point{Name: "size", Title: Text{"Size", "Größe"}, Answer: NotVerifiable, Sure: 1}
	switch {
	case !h.measured:
		p.Why = h.unmeasured()
	case h.c.Rate <= 0:
		p.Why = Text{"Bits a second are not measured here.", "Bits je Sekunde werden hier nicht gemessen."}
	case h.c.Rate > sizeTimes*h.m.Peak:
		p.Answer, p.Sure = Contradicted, .7
	case h.c.Rate*sizeTimes < h.m.Peak:
		p.Answer, p.Sure = Consistent, .5
	default:
		p.Answer, p.Sure = Consistent, .8
	}
	if p.Why == (Text{}) {
		p.Why = Text{fmt.Sprintf("Claimed: %.0f requests a second. Measured: at most %.0f.", h.c.Rate, h.m.Peak),
			fmt.Sprintf("Behauptet: %.0f Anfragen je Sekunde. Gemessen: höchstens %.0f.", h.c.Rate, h.m.Peak)}
		if p.Answer == Contradicted {
			p.Why.English += " What did not get as far as Deich is not in that."
			p.Why.German += " Was nicht bis zu Deich kam, ist darin nicht enthalten."
		}
	}
	return p
}

func (h *holder) target() Point {
	p := Point{Name: "target", Title: Text{"Target", "Ziel"}, Answer: NotVerifiable, Sure: 1}
	if !h.measured {
		p.Why = h.unmeasured()
		return p
	}
	p.Why = Text{"“" + h.c.Target + "”: whether that means what stands behind this Deich is for a person to say.",
		"„" + h.c.Target + "“: Ob damit gemeint ist, was hinter diesem Deich steht, muss ein Mensch sagen."}
	return p
}

// whole weighs the points: time and cause carry a claim, size and outage can
// only break it; purpose and author say nothing either way.
func (h *holder) whole(points []Point) (Answer, float64, Text) {
	if !h.measured {
		why := h.unmeasured()
		return NotVerifiable, 1, Text{"For want of measurements. " + why.English, "Es fehlen Messungen. " + why.German}
	}
	by := map[string]Point{}
	for _, p := range points {
		by[p.Name] = p
	}
	window, cause := by["window"], by["cause"]
	var broken []Point
	for _, p := range points {
		if p.Answer == Contradicted {
			broken = append(broken, p)
		}
	}
	switch {
	case window.Answer == Contradicted || cause.Answer == Contradicted:
		sure, en, de := 0., "", ""
		for _, p := range broken {
			sure = max(sure, p.Sure)
			en, de = en+" "+p.Why.English, de+" "+p.Why.German
		}
		return Contradicted, sure, Text{strings.TrimSpace(en), strings.TrimSpace(de)}
	case cause.Answer == Consistent && (window.Answer == Consistent || h.c.From.Time.IsZero()):
		sure := cause.Sure
		if window.Answer == Consistent {
			sure *= window.Sure
		}
		why := Text{"Time and kind of what was measured fit the claim.", "Zeit und Art des Gemessenen passen zur Behauptung."}
		for _, p := range broken {
			sure *= .7
			why.English += " But: " + p.Why.English
			why.German += " Aber: " + p.Why.German
		}
		return Consistent, sure, why
	}
	return NotVerifiable, 1, Text{"What was measured neither fits nor breaks the claim. " + cause.Why.English, "Das Gemessene passt weder, noch widerspricht es. " + cause.Why.German}
}

// Measuring sums up rows for a window.
type Measuring struct {
	m       Measured
	before  time.Time // what is usual is learned from here on
	minutes int       // of the time before
	rate    float64
	tail    Measured // seconds that no minute has summed up yet
}

// NewMeasuring begins to sum up a window; rows of the hour before it say what
// is usual.
func NewMeasuring(from, to time.Time) *Measuring {
	return &Measuring{m: Measured{From: from, To: to, Worst: 1}, before: from.Add(-time.Hour)}
}

// Count adds a row. Minutes cover the time; seconds, which are there for
// incidents, sharpen the worst moment and the peak.
func (m *Measuring) Count(kind Kind, r *Row) {
	rate := r.Rate()
	if kind == Minute && r.From().After(m.before) && !r.At.After(m.m.From) && r.Off == 0 {
		m.minutes++
		m.rate += rate
	}
	if kind == Minute {
		m.tail = Measured{} // the seconds so far are in it
	}
	if !r.At.After(m.m.From) || !r.From().Before(m.m.To) {
		return
	}
	m.m.Peak = max(m.m.Peak, rate)
	k := r.Users()
	if k.Asked-min(k.Own, k.Asked) >= 10 {
		m.m.Worst = min(m.m.Worst, 1-float64(k.Lost())/float64(k.Asked-k.Own))
	}
	from, to := r.From(), r.At
	if from.Before(m.m.From) {
		from = m.m.From
	}
	if to.After(m.m.To) {
		to = m.m.To
	}
	sum := &m.tail
	if kind == Minute {
		sum = &m.m
	}
	sum.Seconds += int(to.Sub(from).Seconds() + .5)
	sum.Off += r.Off
	sum.Asked += uint64(k.Asked - min(k.Own, k.Asked))
	sum.Lost += uint64(k.Lost())
}

// Measured gives the sum.
func (m *Measuring) Measured() Measured {
	if m.minutes > 0 {
		m.m.Usual = m.rate / float64(m.minutes)
	}
	all := m.m
	all.Seconds += m.tail.Seconds
	all.Off += m.tail.Off
	all.Asked += m.tail.Asked
	all.Lost += m.tail.Lost
	return all
}
