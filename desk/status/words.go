package status

import "github.com/deichproject/deich/desk/incident"

// words are the page's, in one language. Sentences with %s take times or spans.
type words struct {
	Title, Website, Components, Current, Past, NoPast, Days, DaysNote, DayOff, DayHurt, DayOut, Outside     string
	Heard, HeardAt, Silent, Ended, Draft, Affected, Held, Lasting, Lasted                                   string
	Begin, Mitigated, Restored, End, Missed, Skip, Figures, Legend, Updates, Foot                           string
	Again, Good, Some, Bad, None, Disturbed, Partly, Needs, Planned, Working, Runs, To, Calendar, Subscribe string
	States, Badge                                                                                           map[State]string
	Sentences                                                                                               map[State]string
	Plans                                                                                                   map[incident.PlanKind]string
}

var english = words{
	Title: "Status", Website: "Website", Components: "How it does", Current: "Now", Past: "Before", NoPast: "No earlier incident in the last 90 days.",
	Days: "The last 90 days", DaysNote: "Measured: %d of %d days, %d of them with nothing off.",
	DayOff: "more requests than usual were held off for %s; users were served", DayHurt: "users were affected for %s",
	DayOut: "for %s something was not reached from outside", Outside: "Not reached from outside",
	Heard: "Last heard %s ago.", HeardAt: "As of %s.",
	Silent:   "The system that measures was last heard %s ago. What stands here was true at %s; how it is now we do not know.",
	Ended:    "The system that measures was switched off at %s. What stands here was true then.",
	Draft:    "Written by the system from its measurements; no person has looked at it yet.",
	Affected: "Users were affected", Held: "More requests than usual", Lasting: "for %s so far", Lasted: "lasted %s",
	Begin: "Began", Mitigated: "Users served again", Restored: "Everybody served again", End: "Over", Missed: "Could not read or send", Skip: "Skip to what is so now",
	Figures: "The days in words", Legend: "Each bar is a day.", Updates: "Updates, newest first",
	Foot:  "Times are measured, not estimated. This page does not depend on the site that it tells about.",
	Again: "It works again since %s. We keep watching.",
	Good:  "nothing off", Some: "something was off", Bad: "users were affected for a minute or more", None: "not measured", Disturbed: "users affected", Partly: "a part is missing", Needs: "It works, but something that it needs does not answer: %s.",
	Planned: "Planned", Working: "Planned maintenance until %s: some things may not work until then.", Runs: "now", To: "to", Calendar: "Calendar", Subscribe: "Be told",
	Plans: map[incident.PlanKind]string{
		incident.Maintenance: "Maintenance: some things may not work for a while.", incident.Crowd: "Many visitors are expected: you may have to wait a little.",
	},
	States:    map[State]string{Up: "works", Slow: "works; some have to wait", Down: "does not answer", Unknown: "not known"},
	Badge:     map[State]string{Up: "works", Slow: "some have to wait", Down: "does not answer", Unknown: "not known"},
	Sentences: map[State]string{Up: "Everything works.", Slow: "It works; newcomers may have to wait a little.", Down: "The site does not answer at the moment. We are looking into it."},
}

var german = words{
	Title: "Status", Website: "Website", Components: "Wie es steht", Current: "Jetzt", Past: "Zuvor", NoPast: "Kein früherer Vorfall in den letzten 90 Tagen.",
	Days: "Die letzten 90 Tage", DaysNote: "Gemessen: %d von %d Tagen, davon ohne Auffälligkeit: %d.",
	DayOff: "%s lang wurden ungewöhnlich viele Anfragen abgewehrt; Nutzer wurden bedient", DayHurt: "Nutzer waren %s lang betroffen",
	DayOut: "%s lang war etwas von außen nicht zu erreichen", Outside: "Von außen nicht zu erreichen",
	Heard: "Zuletzt gehört vor: %s.", HeardAt: "Stand: %s.",
	Silent:   "Das System, das misst, hat sich zuletzt vor %s gemeldet. Was hier steht, galt am %s; wie es jetzt ist, wissen wir nicht.",
	Ended:    "Das System, das misst, wurde am %s abgeschaltet. Was hier steht, galt zu dieser Zeit.",
	Draft:    "Vom System aus seinen Messungen geschrieben; noch hat kein Mensch es angesehen.",
	Affected: "Nutzer waren betroffen", Held: "Mehr Anfragen als sonst", Lasting: "bisher %s", Lasted: "dauerte %s",
	Begin: "Begann", Mitigated: "Nutzer wieder bedient", Restored: "Alle wieder bedient", End: "Vorbei", Missed: "Konnten nicht lesen oder senden", Skip: "Zum jetzigen Stand springen",
	Figures: "Die Tage in Worten", Legend: "Jeder Balken ist ein Tag.", Updates: "Meldungen, neueste zuerst",
	Foot:  "Zeiten sind gemessen, nicht geschätzt. Diese Seite hängt nicht von der Website ab, über die sie berichtet.",
	Again: "Seit %s funktioniert es wieder. Wir beobachten weiter.",
	Good:  "nichts auffällig", Some: "etwas war auffällig", Bad: "Nutzer waren eine Minute oder länger betroffen", None: "nicht gemessen", Disturbed: "Nutzer betroffen", Partly: "ein Teil fehlt", Needs: "Es funktioniert, doch etwas, das dazu gehört, antwortet nicht: %s.",
	Planned: "Geplant", Working: "Geplante Wartung bis %s: Bis dahin funktioniert vielleicht nicht alles.", Runs: "jetzt", To: "bis", Calendar: "Kalender", Subscribe: "Benachrichtigt werden",
	Plans: map[incident.PlanKind]string{
		incident.Maintenance: "Wartung: Eine Zeit lang funktioniert vielleicht nicht alles.", incident.Crowd: "Viele Besucher werden erwartet: Sie müssen vielleicht etwas warten.",
	},
	States:    map[State]string{Up: "funktioniert", Slow: "funktioniert; manche müssen warten", Down: "antwortet nicht", Unknown: "nicht bekannt"},
	Badge:     map[State]string{Up: "funktioniert", Slow: "mit Wartezeit", Down: "antwortet nicht", Unknown: "nicht bekannt"},
	Sentences: map[State]string{Up: "Alles funktioniert.", Slow: "Es funktioniert; wer neu kommt, muss vielleicht etwas warten.", Down: "Die Website antwortet im Moment nicht. Wir kümmern uns darum."},
}

// languageNames are what languages call themselves; others stand by their tag.
var languageNames = map[string]string{
	"en": "English", "de": "Deutsch", "ar": "العربية", "bg": "Български", "cs": "Čeština", "da": "Dansk", "el": "Ελληνικά", "es": "Español",
	"et": "Eesti", "fi": "Suomi", "fr": "Français", "ga": "Gaeilge", "he": "עברית", "hi": "हिन्दी", "hr": "Hrvatski", "hu": "Magyar", "it": "Italiano",
	"ja": "日本語", "ko": "한국어", "lt": "Lietuvių", "lv": "Latviešu", "mt": "Malti", "nl": "Nederlands", "no": "Norsk", "pl": "Polski", "pt": "Português",
	"pt-br": "Português (Brasil)", "ro": "Română", "ru": "Русский", "sk": "Slovenčina", "sl": "Slovenščina", "sv": "Svenska", "tr": "Türkçe",
	"uk": "Українська", "vi": "Tiếng Việt", "zh": "中文",
}

// ownWords says in which language the page's own words stand for who reads lang.
func ownWords(lang string) string {
	if lang == "de" {
		return "de"
	}
	return "en"
}

func wordsIn(lang string) words {
	if lang == "de" {
		return german
	}
	return english
}
