package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The sentences that the public reads, in both languages. They say what is, what
// it means, and what comes next; none of them names a cause that no person has
// approved.

// zoneGerman are the names of zones where German has its own.
var zoneGerman = map[string]string{"CET": "MEZ", "CEST": "MESZ"}

// Clock gives a time of day with its zone, as either language writes it.
func Clock(t time.Time, zone *time.Location) Text {
	return spell(t.In(zone), "15:04")
}

// ClockSeconds gives the second, too.
func ClockSeconds(t time.Time, zone *time.Location) Text {
	return spell(t.In(zone), "15:04:05")
}

// DayClock gives the day, too.
func DayClock(t time.Time, zone *time.Location) Text {
	t = t.In(zone)
	c := spell(t, "15:04")
	return Text{t.Format("2 January 2006, ") + c.English, fmt.Sprintf("%d. %s %d, %s", t.Day(), monthGerman[t.Month()-1], t.Year(), c.German)}
}

// Day gives the date alone.
func Day(t time.Time, zone *time.Location) Text {
	t = t.In(zone)
	return Text{t.Format("2 January 2006"), fmt.Sprintf("%d. %s %d", t.Day(), monthGerman[t.Month()-1], t.Year())}
}

var monthGerman = [...]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}

func spell(t time.Time, layout string) Text {
	name, _ := t.Zone()
	german := name
	if g, ok := zoneGerman[name]; ok {
		german = g
	}
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		name, german = "UTC"+name, "UTC"+name
	}
	hour := t.Format(layout)
	return Text{hour + " " + name, hour + " Uhr (" + german + ")"}
}

// Span gives a length of time in words.
func Span(d time.Duration) Text {
	unit := func(n int, one, many string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, many)
	}
	d = d.Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h >= 48:
		return Text{unit(h/24, "day", "days"), unit(h/24, "Tag", "Tage")}
	case h > 0 && m > 0:
		return Text{unit(h, "hour", "hours") + " " + unit(m, "minute", "minutes"), unit(h, "Stunde", "Stunden") + " " + unit(m, "Minute", "Minuten")}
	case h > 0:
		return Text{unit(h, "hour", "hours"), unit(h, "Stunde", "Stunden")}
	case m >= 10 || m > 0 && s == 0:
		return Text{unit(m, "minute", "minutes"), unit(m, "Minute", "Minuten")}
	case m > 0:
		return Text{unit(m, "minute", "minutes") + " " + unit(s, "second", "seconds"), unit(m, "Minute", "Minuten") + " " + unit(s, "Sekunde", "Sekunden")}
	}
	return Text{unit(s, "second", "seconds"), unit(s, "Sekunde", "Sekunden")}
}

func until(due time.Time, zone *time.Location) Text {
	t := spell(due.In(zone), "15:04")
	return Text{" Next update by " + t.English + ".", " Nächste Meldung bis " + t.German + "."}
}

// How users are affected, as what comes behind a time.
var (
	usersOut        = Text{"many users cannot read or send messages.", "können viele Nutzer Beiträge nicht lesen oder senden."}
	fewArrive       = Text{"far fewer requests reach us than usual; some users may not get through.", "erreichen uns viel weniger Anfragen als sonst; manche Nutzer kommen vielleicht nicht durch."}
	everybodyWaits  = Text{"everything takes much longer than usual.", "dauert alles viel länger als sonst."}
	connectionsLeft = Text{"very many connections are opened that ask for nothing. Users are served; it may take a little longer.",
		"werden sehr viele Verbindungen geöffnet, die nichts verlangen. Nutzer werden bedient; es kann etwas länger dauern."}
	newcomersWait = Text{"more requests arrive than usual. Users who have been here before are served; newcomers may have to wait a little.",
		"kommen mehr Anfragen an als sonst. Wer schon einmal hier war, wird bedient; wer neu kommt, muss vielleicht etwas warten."}
)

// outText says that some things, by their names, are not reached from outside.
func outText(names []string) Text {
	english, german := slices.Clone(names), slices.Clone(names)
	for i, name := range names {
		if name == Nameless {
			english[i], german[i] = "the website", "die Website"
		}
	}
	verb := either(len(names) == 1, "ist ", "sind ")
	return Text{listed(english, " and ") + " cannot be reached from outside.", verb + listed(german, " und ") + " von außen nicht zu erreichen."}
}

// listed gives names as people list them.
func listed(names []string, and string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + and + names[last]
}

func draftText(begin, due time.Time, words Text, zone *time.Location) Text {
	from, next := Clock(begin, zone), until(due, zone)
	return Text{
		"Since " + from.English + " " + words.English + " We are looking into the cause." + next.English,
		"Seit " + from.German + " " + words.German + " Wir suchen die Ursache." + next.German,
	}
}

func againText(since, due time.Time, words Text, zone *time.Location) Text {
	from, next := Clock(since, zone), until(due, zone)
	return Text{
		"Since " + from.English + " it is so again: " + words.English + next.English,
		"Seit " + from.German + " ist es wieder so: Es " + words.German + next.German,
	}
}

func stillText(begin, due time.Time, words Text, zone *time.Location) Text {
	from, next := Clock(begin, zone), until(due, zone)
	return Text{
		"What began at " + from.English + " goes on: " + words.English + next.English,
		"Was um " + from.German + " begann, dauert an: Es " + words.German + next.German,
	}
}

func restoredText(at, due time.Time, hurt bool, zone *time.Location) Text {
	from, next := Clock(at, zone), until(due, zone)
	if hurt {
		return Text{
			"Since " + from.English + " users can read and send again. We keep watching." + next.English,
			"Seit " + from.German + " können Nutzer wieder lesen und senden. Wir beobachten weiter." + next.German,
		}
	}
	return Text{
		"Since " + from.English + " everything is as usual again. We keep watching." + next.English,
		"Seit " + from.German + " ist alles wieder wie sonst. Wir beobachten weiter." + next.German,
	}
}

func closedText(begin, end time.Time, zone *time.Location) Text {
	from, to, long := Clock(begin, zone), Clock(end, zone), Span(end.Sub(begin))
	if end.Sub(begin) < 10*time.Minute {
		from, to = ClockSeconds(begin, zone), ClockSeconds(end, zone)
	}
	return Text{
		"It is over. It lasted from " + from.English + " to " + to.English + ": " + long.English + ".",
		"Es ist vorbei. Es dauerte von " + from.German + " bis " + to.German + ": " + long.German + ".",
	}
}

// CauseText is what the public is told of a cause once a person has approved it.
func CauseText(cause string) Text {
	switch cause {
	case "flood":
		return Text{"The cause was a flood of requests that nobody wanted answered. We do not say who sent them, because our measurements do not show that.",
			"Die Ursache war eine Flut von Anfragen, auf die niemand eine Antwort wollte. Wer sie gesendet hat, sagen wir nicht, denn das zeigen unsere Messungen nicht."}
	case "crowd":
		return Text{"The cause was that many more people than usual came at once.", "Die Ursache war, dass viel mehr Menschen als sonst zugleich kamen."}
	case "origin_fault":
		return Text{"The cause was a fault of our own platform. No more was asked of it than usual.", "Die Ursache war ein Fehler unserer eigenen Plattform. Es wurde nicht mehr verlangt als sonst."}
	case "retry_storm":
		return Text{"The platform failed, and the repeated requests that followed kept it from coming back.", "Die Plattform fiel aus, und die Wiederholungen danach hielten sie davon ab, zurückzukommen."}
	case "upstream":
		return Text{"The cause was a fault in the network in front of our platform.", "Die Ursache war eine Störung im Netz vor unserer Plattform."}
	case "mixed":
		return Text{"There was a flood of requests, and our platform had a fault of its own as well.", "Es gab eine Flut von Anfragen, und unsere Plattform hatte auch einen eigenen Fehler."}
	}
	return Text{}
}

// CauseName is the cause's word for people.
func CauseName(cause string) Text {
	switch cause {
	case "flood":
		return Text{"a flood", "eine Flut"}
	case "crowd":
		return Text{"a crowd", "ein Andrang"}
	case "origin_fault":
		return Text{"the platform’s own fault", "ein Fehler der Plattform selbst"}
	case "retry_storm":
		return Text{"a storm of retries", "ein Sturm von Wiederholungen"}
	case "upstream":
		return Text{"a fault in the network in front", "eine Störung im Netz davor"}
	case "mixed":
		return Text{"a flood and the platform’s own fault", "eine Flut und ein Fehler der Plattform selbst"}
	case "none", "":
		return Text{"nothing named", "nichts benannt"}
	}
	return Text{"not known", "nicht bekannt"}
}

// InPercent writes how sure a judgement is; none is beyond doubt.
func InPercent(sure float64) float64 { return min(99, 100*sure) }

// LifeName is the stage's word for people.
func LifeName(l Life) Text {
	switch l {
	case Investigating:
		return Text{"investigating", "wird untersucht"}
	case Identified:
		return Text{"identified", "Ursache gefunden"}
	case Monitoring:
		return Text{"monitoring", "wird beobachtet"}
	case Resolved:
		return Text{"resolved", "behoben"}
	case PostMortem:
		return Text{"post-mortem", "Rückblick"}
	}
	return Text{string(l), string(l)}
}

// Sentence says what a moment of the timeline is.
func (m Moment) Sentence(zone *time.Location) Text {
	when := func(en, de string) Text {
		if m.Time.IsZero() {
			return Text{fmt.Sprintf(en, "that moment"), fmt.Sprintf(de, "diesem Moment")}
		}
		c := ClockSeconds(m.Time, zone)
		return Text{fmt.Sprintf(en, c.English), fmt.Sprintf(de, c.German)}
	}
	switch m.Kind {
	case Opened:
		if m.By != "" {
			return when("Opened by hand; it began at %s.", "Von Hand eröffnet; es begann um %s.")
		}
		return when("Noticed. It began at %s.", "Bemerkt. Es begann um %s.")
	case Affected:
		return when("Users are affected since %s.", "Nutzer sind betroffen seit %s.")
	case Mitigated:
		return when("Users are served again since %s.", "Nutzer werden wieder bedient seit %s.")
	case Relapsed:
		return when("Users are affected again since %s.", "Nutzer sind wieder betroffen seit %s.")
	case Restored:
		return when("Everybody is served again since %s.", "Alle werden wieder bedient seit %s.")
	case Again:
		return when("Users are affected again since %s.", "Nutzer sind wieder betroffen seit %s.")
	case Continues:
		return when("It is not over: something is off since %s. Users are served.", "Es ist nicht vorbei: Seit %s ist etwas auffällig. Nutzer werden bedient.")
	case Ended:
		return when("Nothing is off any more since %s.", "Nichts ist mehr auffällig seit %s.")
	case Closed:
		return Text{"Closed after a quiet time.", "Nach einer ruhigen Zeit geschlossen."}
	case CauseIs:
		if m.Cause == "none" {
			return Text{m.Origin + ": no cause is named any more.", m.Origin + ": Es wird keine Ursache mehr genannt."}
		}
		n := CauseName(m.Cause)
		return Text{fmt.Sprintf("%s: the evidence speaks for %s (%.0f %%).", m.Origin, n.English, InPercent(m.Sure)),
			fmt.Sprintf("%s: Die Belege sprechen für: %s (%.0f %%).", m.Origin, n.German, InPercent(m.Sure))}
	case RuleActs:
		return Text{fmt.Sprintf("Rule %d acts: %s", m.Rule, m.Text.In("en")), fmt.Sprintf("Regel %d greift: %s", m.Rule, m.Text.In("de"))}
	case RuleEnds:
		return Text{fmt.Sprintf("Rule %d has ended.", m.Rule), fmt.Sprintf("Regel %d ist beendet.", m.Rule)}
	case Pressed:
		return Text{m.Origin + ": more is asked than it can do.", m.Origin + ": Es wird mehr verlangt, als sie kann."}
	case Eased:
		return Text{m.Origin + " keeps up again.", m.Origin + " kommt wieder nach."}
	case Failing:
		return Text{m.Origin + " does not answer.", m.Origin + " antwortet nicht."}
	case Answering:
		return Text{m.Origin + " answers again.", m.Origin + " antwortet wieder."}
	case Unreached:
		since := ClockSeconds(m.Time, zone)
		return Text{m.Origin + " cannot be reached from outside since " + since.English + ". " + m.Text.In("en"),
			m.Origin + " ist von außen nicht zu erreichen seit " + since.German + ". " + m.Text.In("de")}
	case Reached:
		return Text{m.Origin + " can be reached from outside again.", m.Origin + " ist von außen wieder zu erreichen."}
	case Edited:
		var said []Text
		if m.Text != (Text{}) {
			said = append(said, Text{"The title is “" + m.Text.In("en") + "” now.", "Der Titel ist nun „" + m.Text.In("de") + "“."})
		}
		if !m.Time.IsZero() {
			said = append(said, when("The begin was set to %s.", "Als Beginn wurde %s eingetragen."))
		}
		var all Text
		for _, s := range said {
			all = Text{strings.TrimSpace(all.English + " " + s.English), strings.TrimSpace(all.German + " " + s.German)}
		}
		return all
	case Updated:
		return Text{"Told the public: " + m.Text.In("en"), "Der Öffentlichkeit gesagt: " + m.Text.In("de")}
	case Translated:
		return Text{"Translated for the public: " + m.Text.In("en"), "Für die Öffentlichkeit übersetzt: " + m.Text.In("de")}
	case Approved:
		return Text{"Cause approved: " + m.Text.In("en"), "Ursache freigegeben: " + m.Text.In("de")}
	case Merged:
		return Text{"Merged with " + m.Other + ".", "Zusammengelegt mit " + m.Other + "."}
	case Split:
		return when("Split off what began at %s: "+m.Other+".", "Abgetrennt, was um %s begann: "+m.Other+".")
	case Claimed:
		return Text{"A claim was noted: " + m.Text.In("en") + ".", "Eine Behauptung wurde festgehalten: " + m.Text.In("de") + "."}
	case Imported:
		return Text{"Imported from a file.", "Aus einer Datei übernommen."}
	}
	return m.Text
}
