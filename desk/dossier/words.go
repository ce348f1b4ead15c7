package dossier

import "github.com/deichproject/deich/desk/incident"

// words are a dossier's, in one language.
type words struct {
	Dossier, Made, Summary, Reports, Facts, Plots, Timeline, Cause, Rules, Claims, Collateral, Worked, Lessons, Open, Figures            string
	Titles                                                                                                                               [3]string // known users affected, not, and found by probes elsewhere alone
	Thousand, About, Reported, Subject, Begin, Fixed, Duration, Effect, NotMeasured, CauseUntold, OpenUntold                             string
	Affected, NeverAffected, Mitigated, Restored, End, NotYet, After, OfThem, PerSecond                                                  string
	KnownAsked, KnownServed, KnownLost, Worst, HurtSeconds, NewHeld, Peak, Relapses, Draft                                               string
	AskedAtMost, AskedBefore, RefusedNone, RefusedSum, HealthBefore, HealthWorst, HealthSilent, Language, SumHardly, RuleActed, Platform string
	Missed, MissedOf, SumMissed                                                                                                          string
	SumOver, SumOpen, SumNobody, SumHurt, SumStill, SumUnhurt, SumHeld                                                                   string
	ApprovedBy, CauseUnknown, CauseSpeaks, NotApproved, StillHolds, Weighs, RuleN, Evidence, From, Sure                                  string
	KnownHeld, KnownOwn, KnownFailed, ByRule, AtAccept                                                                                   string
	Noticed, FirstWord, HeldUp, Quick, Slow, RulesActed, Relapsed, OpenUsers, OpenSources, NoLessons, NoRules                            string
	PlotUsers, PlotActs, PlotLatency, PerSecondUnit, Milliseconds, Asked, Served, Allowed, Waited, Denied                                string
	Half, Most, Time, MarkMitigated, MarkRestored                                                                                        string
	Where, When, Unknown, Target, Window, Vector, Size, Purpose, Proof, Relayed, Doubted, AskedSilent                                    string
	Claimed, NoText, Against, Point, Answer, Why, Who, What, NoClaims, Record, Pseudonym, AsTold, Name, Value                            string
	terms                                                                                                                                map[string]string
}

func (w words) titleOf(i *incident.Incident) string {
	switch {
	case i.Hurt:
		return w.Titles[0]
	case i.FromOutside():
		return w.Titles[2]
	}
	return w.Titles[1]
}

func (w words) term(name string) string {
	if t, ok := w.terms[name]; ok {
		return t
	}
	return name
}

var english = words{
	Dossier: "Dossier", Made: "Made %s", Summary: "Summary", Reports: "What is reported", Facts: "What was measured", Plots: "Over time", Timeline: "Timeline", Cause: "Cause",
	Rules: "Rules that acted", Claims: "Claims, held against the record", Collateral: "Who was turned away, and why", Worked: "How it went", Lessons: "Notes and lessons",
	Open: "What is not known", Figures: "The figures", Titles: [3]string{"Users were affected, %s", "More requests than usual, %s", "Not reached from outside, %s"},
	Thousand: ",", About: "about", Reported: "reported", Subject: "Service", Begin: "Begin", Fixed: "Largely fixed", Duration: "Duration", Effect: "Effect",
	NotMeasured: "Nothing of this was measured here: it is what others told.",
	CauseUntold: "No cause is established here. What is known of it was told by others, and stands in the timeline.",
	OpenUntold:  "How many users were affected, how much was asked of the platform, and what its own health was before and during the outage: that would have to be measured at the operator’s.",
	Affected:    "Users affected since", NeverAffected: "at no time", Mitigated: "Users served again", Restored: "Newcomers served again", End: "Nothing off any more",
	NotYet: "not yet", After: "%s, after %s", OfThem: "%s (%s)", PerSecond: "%s requests a second",
	KnownAsked: "Requests of users meanwhile", KnownServed: "Of them served within 5 seconds", KnownLost: "Of them not served", Missed: "Different users who could not read or send", MissedOf: "%s; reading: %s; sending: %s", SumMissed: "That met %s.", Worst: "Served in the worst second",
	HurtSeconds: "Time in which users were affected", NewHeld: "Requests of newcomers (attackers among them) held back", Peak: "Most that came, with refused connections", Relapses: "Relapses", Draft: "by itself",
	SumOver: "It began on %s and lasted %s.", SumOpen: "It began on %s and has lasted %s so far.",
	SumNobody:  "No user asked for anything meanwhile.",
	SumHurt:    "%s of %s requests of users were not served meanwhile (%s). They were served again after %s.",
	SumStill:   "%s of %s requests of users have not been served so far (%s).",
	SumHardly:  "Users hardly felt it: %s of their %s requests were served (%s).",
	SumUnhurt:  "Users did not feel it: %s of their %s requests were served (%s).",
	SumHeld:    "%s requests of newcomers were held back or turned away; attackers are among them, and cannot be told from them one by one.",
	ApprovedBy: "(Approved by %s, %s.)", CauseUnknown: "The measurements do not say what the cause was.",
	CauseSpeaks: "The evidence speaks for %s (%.0f %%).", NotApproved: "No person has approved a word on the cause.",
	AskedAtMost: "At most %s requests a second came.", AskedBefore: "Before it %s requests a second came, and at most %s while it lasted.",
	RefusedNone:  "Deich held no request back and refused no connection.",
	RefusedSum:   "%s requests were refused by rule or dropped, %s of newcomers were held back, and %s connections were refused at accept. Requests of users that were held back: %s (%s).",
	HealthBefore: "Before it half of users’ answers were there within %s ms, and 99 %% within %s ms.", HealthWorst: "In the worst second it took %s ms, and %s ms.",
	HealthSilent: "For %s the platform did not answer.",
	StillHolds:   "now", Weighs: "weighs", RuleN: "Rule %d", Evidence: "Evidence", From: "From, to", Sure: "Sure",
	KnownHeld: "Requests of users held back", KnownOwn: "Requests of users refused for what they did themselves (beyond their budget, malformed, listed by hand)",
	KnownFailed: "Requests of users that the platform did not answer in time", ByRule: "Requests refused by rule or dropped", AtAccept: "Connections refused at accept",
	Noticed: "It was noticed %s after it began.", FirstWord: "The first public word was there %s after it began.", HeldUp: "Users were served throughout.",
	Quick: "Users were served again after %s.", Slow: "It took %s until users were served again.",
	RuleActed: "A rule was found; it acted %s after the begin.", Platform: "Platform",
	RulesActed: "%d rules were found; the first one acted %s after the begin.", Relapsed: "Users were affected again %d times after they had been served.",
	OpenUsers:   "Exactly how many persons were met: a user is an account, or else a pass, or else an address, so that one person with two browsers counts twice unless logged in, and two behind one address once; and the number is an estimate, about 1 % off. Users are who is known by a pass or a login, and strangers as long as no more was asked than the platform can do; under pressure attackers are among those, and they are counted apart.",
	OpenSources: "Who sent what was refused. Sources are not part of this record, and would not name anyone.",
	NoLessons:   "None has been written down yet.", NoRules: "None acted.",
	PlotUsers: "Users’ requests, asked and served", PlotActs: "All requests, by what was done with them", PlotLatency: "How long users waited", PerSecondUnit: "requests per second", Milliseconds: "milliseconds",
	Asked: "asked", Served: "served", Allowed: "allowed", Waited: "waiting or challenged", Denied: "denied or dropped", Half: "half within", Most: "99 % within", Time: "Time",
	MarkMitigated: "users back", MarkRestored: "everybody back",
	Where: "Where", When: "When", Language: "Language of the text", Unknown: "not known here", Target: "Claimed target", Window: "Claimed time", Vector: "Claimed kind", Size: "Claimed size", Purpose: "Claimed purpose", Proof: "Offered as proof",
	Relayed: "Relayed by", Doubted: "Could not confirm it", AskedSilent: "Was asked and did not answer",
	Claimed: "What %s claims", NoText: "The text itself is not archived here.", Against: "Against the record", Point: "Point", Answer: "Answer", Why: "Why", Who: "Who", What: "What",
	NoClaims: "None is known.", Record: "Made from the record up to line %d, whose SHA-256 is %s. “deich incident verify --noted” with that hash says whether the record still holds it.",
	Pseudonym: "Persons and platforms have pseudonyms here, and addresses are left out.", AsTold: "Whoever is named here was named in public; who wrote it down is not.", Name: "What", Value: "Value",
	terms: map[string]string{
		"times_usual": "requests, times the usual", "times_usual_with_cache": "the same, with those answered from copies", "slowdown": "the platform’s slowdown, times the usual", "slower_than_rest": "how long it takes to answer here, times the rest", "slowdown_alone": "the slowdown for one request at a time, times the usual", "down": "the platform does not answer (1: yes)", "errors": "share of answers that are errors",
		"by_rule": "share that meets a rule", "over_budget": "share beyond its budget", "challenges_answered": "share of challenges answered",
		"returned_in_time": "share that came back when told to", "came_when_told": "share of programs that came when told to", "from_who_was_here": "asked by who was here before, times what they asked then", "pages_completed": "assets for each page", "answered_no": "share of answers that say no",
		"seconds_of_rise": "seconds it took to rise", "asked_again": "share that asks again after it failed",
		"crowd_expected": "a crowd was announced (1: yes)", "empty_connections": "connections a second that were left without a request",
		"empty_handshakes": "TLS handshakes a second that were left without a request",
	},
}

var german = words{
	Dossier: "Dossier", Made: "Erstellt am %s", Summary: "Zusammenfassung", Reports: "Was berichtet wird", Facts: "Was gemessen wurde", Plots: "Im Verlauf", Timeline: "Zeitverlauf", Cause: "Ursache",
	Rules: "Regeln, die griffen", Claims: "Behauptungen, an der Aufzeichnung geprüft", Collateral: "Wer abgewiesen wurde, und warum", Worked: "Wie es verlief", Lessons: "Notizen und Lehren",
	Open: "Was nicht bekannt ist", Figures: "Die Zahlen", Titles: [3]string{"Nutzer waren betroffen, %s", "Mehr Anfragen als sonst, %s", "Von außen nicht zu erreichen, %s"},
	Thousand: ".", About: "etwa", Reported: "berichtet", Subject: "Dienst", Begin: "Beginn", Fixed: "Weitgehend behoben", Duration: "Dauer", Effect: "Wirkung",
	NotMeasured: "Nichts davon wurde hier gemessen: Es ist, was andere berichtet haben.",
	CauseUntold: "Eine Ursache ist hier nicht festgestellt. Was dazu bekannt ist, haben andere berichtet; es steht im Zeitverlauf.",
	OpenUntold:  "Wie viele Nutzer betroffen waren, wie viel von der Plattform verlangt wurde und wie es ihr vor und während der Störung ging: Das müsste beim Betreiber gemessen worden sein.",
	Affected:    "Nutzer betroffen seit", NeverAffected: "zu keiner Zeit", Mitigated: "Nutzer wieder bedient", Restored: "Auch Neue wieder bedient", End: "Nichts mehr auffällig",
	NotYet: "noch nicht", After: "%s, nach: %s", OfThem: "%s (%s)", PerSecond: "%s Anfragen je Sekunde",
	KnownAsked: "Anfragen von Nutzern in dieser Zeit", KnownServed: "Davon binnen 5 Sekunden bedient", KnownLost: "Davon nicht bedient", Missed: "Verschiedene Nutzer, die nicht lesen oder senden konnten", MissedOf: "%s; beim Lesen: %s; beim Senden: %s", SumMissed: "Das traf %s.", Worst: "Bedient in der schlechtesten Sekunde",
	HurtSeconds: "Zeit, in der Nutzer betroffen waren", NewHeld: "Zurückgehaltene Anfragen von Neuen (Angreifer darunter)", Peak: "Am meisten kamen, mit abgewiesenen Verbindungen", Relapses: "Rückfälle", Draft: "von selbst",
	SumOver: "Es begann am %s und dauerte %s.", SumOpen: "Es begann am %s und dauert bisher %s.",
	SumNobody:  "Kein Nutzer fragte in dieser Zeit.",
	SumHurt:    "%s von %s Anfragen von Nutzern wurden in dieser Zeit nicht bedient (%s). Bis sie wieder bedient wurden, dauerte es: %s.",
	SumStill:   "%s von %s Anfragen von Nutzern wurden bisher nicht bedient (%s).",
	SumHardly:  "Nutzer spürten kaum etwas davon: %s ihrer %s Anfragen wurden bedient (%s).",
	SumUnhurt:  "Nutzer spürten nichts davon: %s ihrer %s Anfragen wurden bedient (%s).",
	SumHeld:    "%s Anfragen von Neuen wurden zurückgehalten oder abgewiesen; Angreifer sind darunter und einzeln nicht von ihnen zu unterscheiden.",
	ApprovedBy: "(Freigegeben von %s, %s.)", CauseUnknown: "Die Messungen sagen nicht, was die Ursache war.",
	CauseSpeaks: "Die Belege sprechen für: %s (%.0f %%).", NotApproved: "Noch hat kein Mensch ein Wort über die Ursache freigegeben.",
	AskedAtMost: "Es kamen höchstens %s Anfragen je Sekunde.", AskedBefore: "Davor kamen %s Anfragen je Sekunde, währenddessen höchstens %s.",
	RefusedNone:  "Deich hielt keine Anfrage zurück und wies keine Verbindung ab.",
	RefusedSum:   "Nach Regel abgewiesen oder fallengelassen wurden %s Anfragen, von Neuen zurückgehalten %s, und bei der Annahme abgewiesen %s Verbindungen. Zurückgehaltene Anfragen von Nutzern: %s (%s).",
	HealthBefore: "Davor war die Hälfte der Antworten an Nutzer binnen %s ms da, 99 %% waren es binnen %s ms.", HealthWorst: "In der schlechtesten Sekunde dauerte es %s ms und %s ms.",
	HealthSilent: "%s lang antwortete die Plattform nicht.",
	StillHolds:   "jetzt", Weighs: "wiegt", RuleN: "Regel %d", Evidence: "Belege", From: "Von, bis", Sure: "Sicher",
	KnownHeld: "Zurückgehaltene Anfragen von Nutzern", KnownOwn: "Anfragen von Nutzern, abgewiesen für eigenes Tun (über ihrem Maß, fehlerhaft, von Hand gesperrt)",
	KnownFailed: "Anfragen von Nutzern, die die Plattform nicht rechtzeitig beantwortete", ByRule: "Nach Regel abgewiesene oder fallengelassene Anfragen", AtAccept: "Bei der Annahme abgewiesene Verbindungen",
	Noticed: "Bemerkt wurde es nach: %s.", FirstWord: "Die erste öffentliche Meldung stand nach: %s.", HeldUp: "Nutzer wurden durchgehend bedient.",
	Quick: "Nutzer wurden wieder bedient nach: %s.", Slow: "Bis Nutzer wieder bedient wurden, dauerte es: %s.",
	RuleActed: "Eine Regel wurde gefunden; sie griff nach: %s.", Platform: "Plattform",
	RulesActed: "%d Regeln wurden gefunden; die erste griff nach: %s.", Relapsed: "Nutzer waren danach noch %d-mal betroffen.",
	OpenUsers:   "Wie viele Menschen es genau traf: Ein Nutzer ist ein Konto, sonst ein Pass, sonst eine Adresse; ein Mensch mit zwei Browsern zählt ohne Anmeldung doppelt, zwei hinter einer Adresse zählen einmal; und die Zahl ist eine Schätzung, auf etwa 1 % genau. Nutzer sind, wer durch einen Pass oder eine Anmeldung bekannt ist, und Fremde, solange nicht mehr verlangt wurde, als die Plattform kann; unter Druck sind Angreifer darunter, und sie werden getrennt gezählt.",
	OpenSources: "Wer gesendet hat, was abgewiesen wurde. Quellen stehen nicht in dieser Aufzeichnung, und sie nennten niemanden.",
	NoLessons:   "Noch ist nichts aufgeschrieben.", NoRules: "Keine griff.",
	PlotUsers: "Anfragen von Nutzern, gestellt und bedient", PlotActs: "Alle Anfragen, nach dem, was mit ihnen geschah", PlotLatency: "Wie lange Nutzer warteten", PerSecondUnit: "Anfragen je Sekunde", Milliseconds: "Millisekunden",
	Asked: "gestellt", Served: "bedient", Allowed: "durchgelassen", Waited: "wartend oder geprüft", Denied: "abgewiesen oder fallengelassen", Half: "die Hälfte binnen", Most: "99 % binnen", Time: "Zeit",
	MarkMitigated: "Nutzer wieder bedient", MarkRestored: "alle wieder bedient",
	Where: "Wo", When: "Wann", Language: "Sprache des Textes", Unknown: "hier nicht bekannt", Target: "Behauptetes Ziel", Window: "Behauptete Zeit", Vector: "Behauptete Art", Size: "Behauptete Größe", Purpose: "Behaupteter Zweck", Proof: "Als Beweis angeboten",
	Relayed: "Weitergegeben von", Doubted: "Konnte es nicht bestätigen", AskedSilent: "Wurde gefragt und antwortete nicht",
	Claimed: "Was %s behauptet", NoText: "Der Wortlaut ist hier nicht archiviert.", Against: "An der Aufzeichnung geprüft", Point: "Punkt", Answer: "Ergebnis", Why: "Warum", Who: "Wer", What: "Was",
	NoClaims: "Keine ist bekannt.", Record: "Erstellt aus der Aufzeichnung bis Zeile %d, deren SHA-256 %s ist. „deich incident verify --noted“ mit diesem Wert sagt, ob die Aufzeichnung ihn noch enthält.",
	Pseudonym: "Personen und Plattformen tragen hier Decknamen, und Adressen sind weggelassen.", AsTold: "Wer hier genannt ist, wurde öffentlich genannt; wer es aufschrieb, ist es nicht.", Name: "Was", Value: "Wert",
	terms: map[string]string{
		"times_usual": "Anfragen, Vielfaches des Üblichen", "times_usual_with_cache": "dasselbe, mit denen, die Kopien beantworten", "slowdown": "Verlangsamung der Plattform, Vielfaches des Üblichen", "slower_than_rest": "Dauer der Antworten hier, Vielfaches des Rests", "slowdown_alone": "Verlangsamung für eine Anfrage allein, Vielfaches des Üblichen", "down": "die Plattform antwortet nicht (1: ja)", "errors": "Anteil der Antworten, die Fehler sind",
		"by_rule": "Anteil, auf den eine Regel passt", "over_budget": "Anteil über seinem Maß", "challenges_answered": "Anteil gelöster Rechenaufgaben",
		"returned_in_time": "Anteil, der wie gebeten wiederkam", "came_when_told": "Anteil der Programme, die wie gebeten wiederkamen", "from_who_was_here": "verlangt von denen, die schon da waren, Vielfaches von vorher", "pages_completed": "Beiwerk je Seite", "answered_no": "Anteil ablehnender Antworten",
		"seconds_of_rise": "Sekunden des Anstiegs", "asked_again": "Anteil, der nach einem Fehler wieder fragt",
		"crowd_expected": "ein Andrang war angekündigt (1: ja)", "empty_connections": "Verbindungen je Sekunde, die ohne Anfrage verlassen wurden",
		"empty_handshakes": "TLS-Handshakes je Sekunde, nach denen keine Anfrage kam",
	},
}

func wordsIn(lang string) words {
	if lang == "de" {
		return german
	}
	return english
}
