package incident

import (
	"fmt"

	"github.com/deichproject/deich/sketch"
)

// Missed is how many different people could not read or send while something
// was off: estimates, 1 % off or so. Who is somebody, guard.Missed says.
type Missed struct {
	Read int `json:"read"` // could not read
	Send int `json:"send"` // could not send
	All  int `json:"all"`  // one or the other
	// Least says that it may be more: Deich was started again meanwhile, or two were merged.
	Least bool `json:"at_least,omitempty"`
}

// join takes what is higher.
func (m *Missed) join(o Missed) {
	m.Read, m.Send, m.All = max(m.Read, o.Read), max(m.Send, o.Send), max(m.All, o.All)
	m.Least = m.Least || o.Least
}

// About rounds an estimate to two digits, as people are told it.
func About(n int) int {
	unit := 1
	for n/unit >= 100 {
		unit *= 10
	}
	return (n + unit/2) / unit * unit
}

// People says how many, about.
func (m Missed) People() Text {
	return aboutPeople(m.All, m.Least)
}

// Readers and Senders say how many could not do the one or the other.
func (m Missed) Readers() Text { return aboutPeople(m.Read, m.Least) }

// Senders: see Readers.
func (m Missed) Senders() Text { return aboutPeople(m.Send, m.Least) }

func aboutPeople(n int, least bool) Text {
	if n == 0 && !least {
		return Text{"nobody", "niemand"}
	}
	n = About(n)
	english, german := fmt.Sprintf("about %s", grouped(n, ",")), fmt.Sprintf("etwa %s", grouped(n, "."))
	if least {
		english, german = english+" or more", german+" oder mehr"
	}
	word := "users"
	if n == 1 && !least {
		word = "user"
	}
	return Text{english + " " + word, german + " Nutzer"}
}

// grouped writes a number in groups of three.
func grouped(n int, mark string) string {
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + mark + s[at:]
	}
	return s
}

// Marks are those who could not read or send within a sample's span, as a
// sketch.Count takes them in. Nobody can be told from them.
type Marks struct {
	KnownRead, KnownSend       []sketch.Mark
	StrangerRead, StrangerSend []sketch.Mark
}

// people are those of one incident so far.
type people struct {
	read, send, all sketch.Count
	fresh           bool // something was marked since it was counted
	least           bool
	said            Missed
}

// take takes in a second in which something was off. As in Row.Users, strangers
// count unless attackers are among them.
func (p *people) take(r *Row, m *Marks) {
	if r.Off == 0 {
		return
	}
	p.add(m.KnownRead, m.KnownSend)
	if !r.Apart {
		p.add(m.StrangerRead, m.StrangerSend)
	}
}

func (p *people) add(read, send []sketch.Mark) {
	p.fresh = p.fresh || len(read)+len(send) > 0
	p.read.Add(read)
	p.send.Add(send)
	p.all.Add(read)
	p.all.Add(send)
}

// count gives how many, and whether that is news.
func (p *people) count() (m Missed, news bool) {
	if !p.fresh {
		return p.said, false
	}
	p.fresh = false
	m = Missed{p.read.N(), p.send.N(), p.all.N(), p.least}
	news = m != p.said
	p.said = m
	return m, news
}
