package incident

import "time"

// Kind is what a fact says.
type Kind string

const (
	// Second and Minute are measurements, in Fact.Row.
	Second Kind = "second"
	Minute Kind = "minute"

	Opened    Kind = "opened"    // Time: its begin; By: a person, or nobody
	Affected  Kind = "affected"  // users were affected for the first time; Time: since when
	Mitigated Kind = "mitigated" // users are served again; Time: since when
	Relapsed  Kind = "relapsed"  // they are not, after all
	Restored  Kind = "restored"  // newcomers are, too
	Again     Kind = "again"     // something is off again after Restored or Ended
	Ended     Kind = "ended"     // nothing is off any more; Time: since when
	Continues Kind = "continues" // it was not over, but nobody is affected
	Closed    Kind = "closed"    // the quiet time is over

	CauseIs   Kind = "cause" // the engine's judgement changed
	RuleActs  Kind = "rule_acts"
	RuleEnds  Kind = "rule_ends"
	Whence    Kind = "whence" // whose networks and which countries most of what was refused came from
	Pressed   Kind = "pressure_began"
	Eased     Kind = "pressure_ended"
	Failing   Kind = "origin_failing"
	Answering Kind = "origin_back"

	// Unreached and Reached are what probes elsewhere agree on; Origin: the name
	// under which they look at it, Time: since when, Text: who found what.
	Unreached Kind = "outside_down"
	Reached   Kind = "outside_up"

	Edited     Kind = "edited"     // a person's title (Text), or begin (Time) of what a person opened
	Noted      Kind = "noted"      // a person's remark, not public
	Updated    Kind = "updated"    // a word to the public
	Translated Kind = "translated" // the update of Time, into what it lacked
	Approved   Kind = "approved"   // a person's word on the cause, public
	Merged     Kind = "merged"     // into Other
	Split      Kind = "split"      // Other begins at Time
	Claimed    Kind = "claimed"
	Held       Kind = "held" // a claim was held against the record
	Imported   Kind = "imported"
	Counted    Kind = "counted" // so many different people so far: Missed

	Planned   Kind = "planned"   // Plan
	Cancelled Kind = "cancelled" // the plan of that name

	// Started and Repaired tell of the record itself.
	Started  Kind = "started"
	Repaired Kind = "repaired"
)

// Text is a text in the languages that end users read.
type Text struct {
	English string `json:"en,omitempty"`
	German  string `json:"de,omitempty"`
}

// In gives the text in a language ("de", else English), or in the other one
// where it was not translated.
func (t Text) In(language string) string {
	if language == "de" && t.German != "" || t.English == "" {
		return t.German
	}
	return t.English
}

// Term is one piece of the engine's evidence.
type Term struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Weight float64 `json:"weight"`
}

// Life is the stage of an incident, in the common words of status pages.
type Life string

const (
	Investigating Life = "investigating"
	Identified    Life = "identified"
	Monitoring    Life = "monitoring"
	Resolved      Life = "resolved"
	// PostMortem is what an update is that looks back. The incident stays resolved.
	PostMortem Life = "postmortem"
)

// Fact is one thing that is so. What a kind does not need is empty.
type Fact struct {
	At       time.Time `json:"at"` // when it was said
	Kind     Kind      `json:"kind"`
	Incident string    `json:"incident,omitempty"`
	By       string    `json:"by,omitempty"`       // a person; "": Deich itself
	Time     time.Time `json:"time,omitzero"`      // the time it is about
	Origin   string    `json:"origin,omitempty"`   // a name for people
	Cause    string    `json:"cause,omitempty"`    // the engine's word
	Sure     float64   `json:"sure,omitempty"`     // 0 to 1
	Terms    []Term    `json:"terms,omitempty"`    // its evidence
	Rule     uint32    `json:"rule,omitempty"`     // number
	Text     Text      `json:"text,omitzero"`      //
	Also     Also      `json:"also,omitempty"`     // of an update or a translation
	Other    string    `json:"other,omitempty"`    // the other incident of a merge or split
	Life     Life      `json:"life,omitempty"`     // with an update
	Row      *Row      `json:"row,omitempty"`      //
	Tolls    []Toll    `json:"tolls,omitempty"`    // of a split: what stays, and what goes
	Claim    *Claim    `json:"claim,omitempty"`    //
	Finding  *Finding  `json:"finding,omitempty"`  //
	Case     *Case     `json:"case,omitempty"`     // what was imported
	Plan     *Plan     `json:"plan,omitempty"`     //
	Missed   *Missed   `json:"missed,omitempty"`   //
	Newcomer bool      `json:"newcomer,omitempty"` // Opened: newcomers alone are affected so far
}

// Groups are the tiers in the order in which rows and pages show them; the last
// one is strangers, attackers among them.
const Groups = 5

// Group is how one tier fared within a row's span.
type Group struct {
	Asked  uint32 `json:"a"`           // requests that ended
	Served uint32 `json:"s"`           // with the origin's answer, within 5 s
	Held   uint32 `json:"h,omitempty"` // held back under pressure: waiting room, proof, refusal
	Own    uint32 `json:"o,omitempty"` // refused for what they did themselves: beyond their budget, malformed, listed by hand
	P50    int32  `json:"p,omitempty"` // milliseconds, of the served; 0: none were
	P99    int32  `json:"q,omitempty"`
}

// Lost is what was asked in good order and not served.
func (g Group) Lost() uint32 {
	if g.Asked < g.Served+g.Own {
		return 0
	}
	return g.Asked - g.Served - g.Own
}

// Row is what was measured over a span that ends At.
type Row struct {
	At     time.Time     `json:"at"`
	Span   int           `json:"span"` // seconds
	Groups [Groups]Group `json:"groups"`
	P50    int32         `json:"p50,omitempty"` // Users together, milliseconds
	P99    int32         `json:"p99,omitempty"`
	Acts   [6]uint32     `json:"acts"` // allow, keep, wait, challenge, deny, drop
	Ruled  uint32        `json:"ruled,omitempty"`
	Gate   uint32        `json:"gate,omitempty"`  // connections refused at accept
	Empty  uint32        `json:"empty,omitempty"` // connections without a request
	Demand float32       `json:"demand"`          // requests a second, as the engine counts them
	Good   float32       `json:"good"`            // answers a second of the origin
	Limit  float32       `json:"limit"`           // places
	Queue  int           `json:"queue,omitempty"`
	Cut    uint8         `json:"cut,omitempty"`
	Press  bool          `json:"press,omitempty"`
	Fail   bool          `json:"fail,omitempty"`
	Apart  bool          `json:"apart,omitempty"` // strangers are no users: see Users
	Out    int           `json:"out,omitempty"`   // seconds in which probes elsewhere agreed that something is down
	Off    int           `json:"off,omitempty"`   // seconds in which something was off, as Watch saw it
	Hurt   int           `json:"hurt,omitempty"`  // seconds in which users were affected
}

// Known gives all tiers but strangers together.
func (r *Row) Known() (g Group) {
	for _, k := range r.Groups[:Groups-1] {
		g.Asked += k.Asked
		g.Served += k.Served
		g.Held += k.Held
		g.Own += k.Own
	}
	g.P50, g.P99 = r.P50, r.P99
	return g
}

// Users gives whom an outage is counted for: all who are known, and strangers,
// too, as long as no more is asked than the platform can do and no more of them
// come than usual. Else attackers are among those, and they are counted apart;
// what was refused by rule or held back never counts for strangers.
func (r *Row) Users() Group {
	g := r.Known()
	if r.Apart {
		return g
	}
	n := r.New()
	n.Asked -= min(n.Asked, n.Held+r.Ruled)
	g.Asked += n.Asked
	g.Served += min(n.Served, n.Asked)
	g.Own += min(n.Own, n.Asked)
	return g
}

// New gives strangers: newcomers, and attackers among them.
func (r *Row) New() Group { return r.Groups[Groups-1] }

// Rate is how many requests a second came, with connections that were refused or
// left without one.
func (r *Row) Rate() float64 {
	asked := 0.
	for _, n := range r.Acts {
		asked += float64(n)
	}
	return (max(asked, float64(r.Demand)*float64(r.Span)) + float64(r.Gate) + float64(r.Empty)) / float64(max(1, r.Span))
}

// From is when the row's span began.
func (r *Row) From() time.Time { return r.At.Add(-time.Duration(r.Span) * time.Second) }

// add puts a second into a row of more; latencies become the worst.
func (r *Row) add(s *Row) {
	r.At = s.At
	r.Span += s.Span
	for i := range r.Groups {
		g, k := &r.Groups[i], &s.Groups[i]
		g.Asked += k.Asked
		g.Served += k.Served
		g.Held += k.Held
		g.Own += k.Own
		g.P50, g.P99 = max(g.P50, k.P50), max(g.P99, k.P99)
	}
	r.P50, r.P99 = max(r.P50, s.P50), max(r.P99, s.P99)
	for i := range r.Acts {
		r.Acts[i] += s.Acts[i]
	}
	r.Ruled += s.Ruled
	r.Gate += s.Gate
	r.Empty += s.Empty
	r.Demand = max(r.Demand, s.Demand)
	r.Good = max(r.Good, s.Good)
	r.Limit = s.Limit
	r.Queue = max(r.Queue, s.Queue)
	r.Cut = max(r.Cut, s.Cut)
	r.Press = r.Press || s.Press
	r.Fail = r.Fail || s.Fail
	r.Apart = r.Apart || s.Apart
	r.Out += s.Out
	r.Off += s.Off
	r.Hurt += s.Hurt
}

// Origin is one platform behind, as a sample sees it.
type Origin struct {
	Name    string // for people, and public
	Press   bool
	Failing bool
	Cause   string // the engine's word; "none": it does not suffer
	Sure    float64
	Terms   []Term
	Why     Text
}

// Rule is what acts on a flood, as a sample sees it.
type Rule struct {
	ID   uint32
	Text Text
}

// Nameless is what probes call a site that has no name.
const Nameless = "website"

// Outside is what probes elsewhere say of one thing that they look at. Where they
// say neither that it is down nor that it is up, what was so before goes on.
type Outside struct {
	Name     string // as the status page calls it, and public
	Down, Up bool
	Since    time.Time // Down: the first failed check of those that agree
	Text     Text      // Down: who found what
}

// Sample is what is so at the end of a second.
type Sample struct {
	Row     Row // of this second
	Origins []Origin
	Rules   []Rule
	Marks   Marks     // of this second
	Outside []Outside // what nobody looks at any more is missing
	// Whence says where most of what was refused lately came from; empty where
	// little was, or that is not known.
	Whence Text
}
