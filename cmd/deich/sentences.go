package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/atlas"
	"github.com/deichproject/deich/guard"
)

// sentence is a text in every language that Deich speaks.
type sentence struct {
	English string `json:"en"`
	German  string `json:"de"`
}

// said fills both languages' words with the same figures.
func said(english, german string, values ...any) sentence {
	return sentence{fmt.Sprintf(english, values...), fmt.Sprintf(german, values...)}
}

// traitWords names traits for people.
var traitWords = map[deich.Trait][2]string{
	deich.TraitPrefix: {"network", "Netz"}, deich.TraitNet: {"wider network", "größeres Netz"}, deich.TraitASN: {"network operator", "Netzbetreiber"},
	deich.TraitCountry: {"country", "Land"}, deich.TraitTLS: {"TLS fingerprint", "TLS-Fingerabdruck"},
	deich.TraitHTTP: {"HTTP version", "HTTP-Version"}, deich.TraitHeaders: {"set of headers", "Satz von Kopfzeilen"},
	deich.TraitAgent: {"User-Agent", "User-Agent"}, deich.TraitAgentClass: {"claimed browser", "angeblicher Browser"},
	deich.TraitLanguage: {"Accept-Language", "Accept-Language"}, deich.TraitAccept: {"Accept header", "Accept-Kopfzeile"},
	deich.TraitEncoding: {"Accept-Encoding", "Accept-Encoding"}, deich.TraitFetch: {"Fetch Metadata", "Fetch-Metadaten"},
	deich.TraitCookie: {"use of cookies", "Umgang mit Cookies"}, deich.TraitReuse: {"use of connections", "Umgang mit Verbindungen"},
	deich.TraitCredential: {"kind of credential", "Art der Anmeldung"}, deich.TraitMethod: {"method", "Methode"},
	deich.TraitRoute: {"kind of path", "Art des Pfads"}, deich.TraitPath: {"path", "Pfad"}, deich.TraitQuery: {"query keys", "Abfrage-Schlüssel"},
	deich.TraitShape: {"shape of the query", "Form der Abfrage"}, deich.TraitReferer: {"Referer", "Referer"},
	deich.TraitBody: {"kind of body", "Art des Inhalts"}, deich.TraitKind: {"purpose", "Zweck"},
}

// ruleSentence tells what a rule meets, what it touches, and until when it holds.
func ruleSentence(r *deich.Rule, e *guard.Example, a *atlas.Atlas) sentence {
	var en, de, in, aus []string
	for i := range r.Conditions {
		if where, ok := whereWords(&r.Conditions[i], e, a); ok {
			in, aus = append(in, where.English), append(aus, where.German)
			continue
		}
		a, b := conditionWords(&r.Conditions[i], e)
		en, de = append(en, a), append(de, b)
	}
	to, nach := "", ""
	if e != nil {
		to, nach = " like "+e.Method+" "+e.Path, " wie "+e.Method+" "+e.Path
	}
	where := sentence{}
	if len(in) > 0 {
		where = sentence{" " + strings.Join(in, " and "), " " + strings.Join(aus, " und ")}
	}
	act := map[deich.Act][2]string{
		deich.Deny: {"Denied", "Abgewiesen"}, deich.Challenge: {"Challenged", "Geprüft"}, deich.Wait: {"Paced", "Gebremst"},
	}[r.Act]
	if r.Shadow {
		act = [2]string{"Only counted", "Nur gezählt"}
	}
	since, until := wall(r.Since), wall(r.Until)
	return sentence{
		fmt.Sprintf("%s requests/s%s from about %s addresses%s with %s: %s of the excess, at most %s of known-good. %s since %s, until %s.",
			grouped(r.Rate), to, grouped(float64(r.Sources)), where.English, strings.Join(en, " and "), share(r.Share), share(r.Collateral), act[0], hour(since), hour(until)),
		fmt.Sprintf("%s Anfragen/s%s von etwa %s Adressen%s mit %s: %s des Überschusses, höchstens %s der bekannt guten. %s seit %s, bis %s.",
			inGerman(grouped(r.Rate)), nach, inGerman(grouped(float64(r.Sources))), where.German, strings.Join(de, " und "), inGerman(share(r.Share)), inGerman(share(r.Collateral)), act[1], hour(since), hour(until)),
	}
}

// whereWords say which operator's networks, or which country, a condition is
// about; false where it is about something else, or that is not known. A rule
// has conditions of another kind besides.
func whereWords(c *deich.Condition, e *guard.Example, a *atlas.Atlas) (where sentence, ok bool) {
	switch {
	case e == nil || c.Compare != deich.Is:
	case c.Trait == deich.TraitASN && e.Operator == atlas.Unlisted:
		return sentence{"in networks of which no file knows the operator", "aus Netzen, deren Betreiber keine Datei kennt"}, true
	case c.Trait == deich.TraitASN && e.Operator != 0:
		name := operatorText(e.Operator, a)
		return sentence{"in " + name, "aus " + name}, true
	case c.Trait == deich.TraitCountry && atlas.Country(e.Country) == atlas.Nowhere:
		return sentence{"in networks of which no file knows the country", "aus Netzen, deren Land keine Datei kennt"}, true
	case c.Trait == deich.TraitCountry && e.Country != 0:
		english, german := atlas.NameOf(atlas.Country(e.Country))
		return sentence{"in the country " + english, "aus dem Land " + german}, true
	}
	return where, false
}

// operatorText names an operator by number and, where it is known, name.
func operatorText(number uint32, a *atlas.Atlas) string {
	if number == atlas.Unlisted {
		return "–"
	}
	return strings.TrimSpace(fmt.Sprintf("AS %d %s", number, a.Name(number)))
}

// conditionWords are a condition in both languages, with the example's value.
func conditionWords(c *deich.Condition, e *guard.Example) (en, de string) {
	names := traitWords[c.Trait]
	if c.With != c.Trait {
		other := traitWords[c.With]
		names = [2]string{names[0] + " together with " + other[0], names[1] + " zusammen mit " + other[1]}
	}
	switch c.Compare {
	case deich.Novel:
		return "a " + names[0] + " that no known client has", "einem Wert für „" + names[1] + "“, den kein bekannter Client hat"
	case deich.Hot:
		return fmt.Sprintf("one of %d suddenly frequent values of %s", c.Pool, names[0]),
			fmt.Sprintf("einem von %d plötzlich häufigen Werten für „%s“", c.Pool, names[1])
	}
	value := ""
	if text := exampleText(c.Trait, e); text != "" && c.With == c.Trait {
		value = " (" + text + ")"
	}
	return "the same " + names[0] + value, "gleichem „" + names[1] + "“" + value
}

// exampleText is what an example says about a trait.
func exampleText(t deich.Trait, e *guard.Example) string {
	if e == nil {
		return ""
	}
	switch t {
	case deich.TraitTLS:
		return e.TLS
	case deich.TraitHTTP:
		return e.Protocol
	case deich.TraitHeaders:
		return strings.Join(e.Headers, ", ")
	case deich.TraitAgent:
		return e.Agent
	case deich.TraitAgentClass:
		return e.Class
	case deich.TraitLanguage:
		return e.Language
	case deich.TraitAccept:
		return e.Accept
	case deich.TraitEncoding:
		return e.Encoding
	case deich.TraitMethod:
		return e.Method
	case deich.TraitRoute, deich.TraitPath:
		return e.Path
	case deich.TraitQuery:
		return strings.Join(e.Keys, ", ")
	case deich.TraitReferer:
		return e.Referer
	case deich.TraitBody:
		return e.Type
	}
	return ""
}

// causeWords say what a cause means.
// segmentWords is why a part of a platform suffers.
func segmentWords(c deich.Cause) sentence {
	switch c {
	case deich.NoCause:
		return sentence{"Nothing is wrong here.", "Hier ist nichts."}
	case deich.CauseOriginFault:
		return sentence{"Slow or failing by itself: no more is asked here than usual.", "Langsam oder fehlerhaft von sich aus: Hier wird nicht mehr verlangt als sonst."}
	}
	return causeWords[c]
}

var causeWords = map[deich.Cause]sentence{
	deich.NoCause:          {"Nothing is wrong.", "Es ist nichts."},
	deich.CauseFlood:       {"This is a flood: somebody sends what nobody wants answered.", "Das ist eine Flut: Jemand sendet, worauf niemand eine Antwort will."},
	deich.CauseCrowd:       {"This is a crowd: more people than usual want something.", "Das ist ein Andrang: Mehr Menschen als sonst wollen etwas."},
	deich.CauseOriginFault: {"The origin suffers by itself: no more is asked of it than usual.", "Die Plattform leidet von sich aus: Es wird nicht mehr verlangt als sonst."},
	deich.CauseRetryStorm:  {"A storm of retries: those whom the origin failed ask again, and again.", "Ein Sturm von Wiederholungen: Wer keine Antwort bekam, fragt wieder und wieder."},
	deich.CauseUpstream:    {"Next to nothing arrives: look at the network in front of Deich.", "Es kommt fast nichts mehr an: Sehen Sie nach dem Netz vor Deich."},
	deich.CauseMixed:       {"A flood, and an origin that suffers by itself as well.", "Eine Flut, und eine Plattform, die auch von sich aus leidet."},
	deich.CauseUnknown:     {"More is asked than the origin can do; why is not clear yet.", "Es wird mehr verlangt, als die Plattform kann; warum, ist noch nicht klar."},
}

// whyWords explain a reason, and what the operator can do about it.
var whyWords = map[deich.Reason]sentence{
	deich.ByHand: {"An operator listed it: deich rules shows the listing, deich undo takes it back.",
		"Es ist von Hand gelistet: deich rules zeigt es, deich undo nimmt es zurück."},
	deich.BelowCut: {"More was asked than the origin can do, and better-ranked clients took its places.",
		"Es war mehr verlangt, als die Plattform kann, und höher eingestufte Clients nahmen die Plätze."},
	deich.Unproven: {"More was asked than the origin can do, and this client had earned nothing yet: it was asked to prove itself.",
		"Es war mehr verlangt, als die Plattform kann, und dieser Client hatte sich noch nichts verdient: Er sollte sich ausweisen."},
	deich.OverBudget: {"It, or its prefix, sent more than its share. If this is a known client: deich allow ADDRESS.",
		"Von ihm oder aus seinem Netz kam mehr, als ihm zusteht. Ist das ein bekannter Client: deich allow ADRESSE."},
	deich.QueueFull: {"Better-ranked requests took its place in the queue.", "Höher eingestufte Anfragen nahmen seinen Platz in der Schlange."},
	deich.QueueLate: {"No place at the origin came free in time.", "Bei der Plattform wurde nicht rechtzeitig ein Platz frei."},
	deich.StreamsFull: {"There was no room for another long-lived request: policy.streams sets how many there may be.",
		"Für eine weitere lange Verbindung war kein Platz: policy.streams sagt, wie viele es sein dürfen."},
	deich.Failopen: {"The engine had failed and only the last known limit held: look at Deich's log.",
		"Die Maschine war ausgefallen, und nur das zuletzt bekannte Limit galt: Sehen Sie in Deichs Log."},
	deich.OriginDown: {"The origin did not answer.", "Die Plattform antwortete nicht."},
	deich.OriginSlow: {"The origin did not answer in time: timeouts.first_byte sets how long it may take.",
		"Die Plattform antwortete nicht rechtzeitig: timeouts.first_byte sagt, wie lange sie brauchen darf."},
	deich.BadRequest:   {"The request was malformed beyond use.", "Die Anfrage war unbrauchbar geformt."},
	deich.SlowClient:   {"It sent its body too slowly.", "Der Inhalt der Anfrage kam zu langsam."},
	deich.BodyTooLarge: {"Its body was longer than guard.body_max.", "Der Inhalt der Anfrage war länger als guard.body_max."},
	deich.BuffersFull: {"There was no memory left to hold its body: guard.bodies sets how much there is.",
		"Für den Inhalt der Anfrage war kein Speicher mehr frei: guard.bodies sagt, wie viel es gibt."},
	deich.BadPass:  {"Its pass was forged or broken.", "Der Pass war gefälscht oder kaputt."},
	deich.BadProof: {"Its proof did not hold, was late, or had been used before.", "Die Lösung der Rechenaufgabe galt nicht, kam zu spät oder war schon verbraucht."},
	deich.ByRule: {"It met a rule that describes a flood: deich rules shows those in force, deich undo takes one back.",
		"Eine Regel, die eine Flut beschreibt, passte darauf: deich rules zeigt die, die in Kraft sind, deich undo nimmt eine zurück."},
	deich.NoSite: {"No site of this name is served here: sites[].names lists those that are.",
		"Eine Seite dieses Namens wird hier nicht bedient: sites[].names nennt die, die es werden."},
}

// reasonWords explain a reason by its word.
func reasonWords(reason string) sentence {
	for r, text := range whyWords {
		if r.String() == reason {
			return text
		}
	}
	return said("The reason is %s.", "Der Grund ist %s.", reason)
}

// grouped writes a count with separators.
func grouped(v float64) string {
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// share writes a part of a whole so that a small one does not look like none.
func share(v float64) string {
	if v < .01 {
		return fmt.Sprintf("%.2f %%", 100*v)
	}
	return fmt.Sprintf("%.1f %%", 100*v)
}

// inGerman writes a number's point and comma the other way round.
func inGerman(number string) string { return strings.NewReplacer(",", ".", ".", ",").Replace(number) }

func hour(t time.Time) string { return t.Format("15:04:05") }
