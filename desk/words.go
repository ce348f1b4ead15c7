package desk

import (
	"math"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// words are the console's, in one language. The page takes them as they are,
// and hands those that its script needs on to it.
type words struct {
	Lang, Itself, Title, SignIn, AskTitle, AskHelp, Token, Enter                           string
	Skip, Snapshot, Pressure                                                               string // Pressure: with %d, of 100
	Incident, Timeline, Dossier, StatusPage, IncidentNote                                  string
	Users, UsersNote, Tier, Rate, Served, Half, Most, Span                                 string
	UsersPlot, UsersPlotLabel, Figures                                                     string
	ActsHead, Act, Total, ActsPlot, ActsPlotLabel                                          string
	Common, Rule, NoRule, RulesNote                                                        string
	OtherPaths                                                                             string
	WhyHead, CauseNote, NoCause, Sure, SureSince, Evidence, Measured, Leans                string // Sure and SureSince: with %s
	Flood, Crowd, Yes, No                                                                  string
	Terms                                                                                  map[string]string // the engine's pieces of evidence
	SourcesHead, NetworksNote, NetworksOver, NoNetwork, BeforeHead, OrderedHead, MoreThere string            // NetworksOver: with %s; MoreThere: with %d
	OperatorHead, CountryHead, CountriesHead, OperatorsHead, TurnedHead                    string
	PlacesNote, MapLegend, FileOf, NoFiles, NoCountries                                    string            // FileOf: with %s twice
	FindHead, FindNote, FindWhat, Find, FindNone, Nothing, When, Network, Wanted           string            // Nothing: with %s
	Ranked, AtAccept, More, Whom, OnlyOn, OnPath, ForSpan, Allow, Many                     string            // AtAccept and OnPath: with %s twice; More: with %d
	HandHead, NoHand, HandNote, Until, UntilUndone, YourName                               string            // Until: with %s
	ByHand, Wants, Spans                                                                   map[string]string // ByHand: with %s
	Towards, Origin, State, Asked, Answered, Limit, Flight                                 string
	Queue, Streams, Cut, Together, Now, CutMost, LimitNote                                 string
	Failing, Pressed, Calm                                                                 string
	Spool, Waiting, Oldest, Texts, Files, Mode, Kept, Refused, SpoolNote, NotKept          string
	SpoolHead, GateHead, Gate, Backend, Why, Sources, Missed                               string
	Reason, Packets, Bytes, Fate, Dropped, Passed, GateNote                                string
	Changed, ChangedNote, From, To, Compare, Short, NoChange, What, Before, Within         string
	Kinds                                                                                  map[string]string
	Alerts, NoAlert, AlertsNote, NobodyTold, TakenBy, Test                                 string
	Actions, NoAction, ActionsNote, History, AsFile                                        string
	Cancel, Undo                                                                           string
	Modes, Ended, Reasons                                                                  map[string]string
	Events, NoEvent                                                                        string
	Listed, Ordered, Tables, Running, Metrics, StateJSON                                   string            // Tables and Running: with %s
	Names                                                                                  map[string]string // of tiers, acts and stages, where they are not the engine's own words
	Explained                                                                              map[string]string // what a tier has earned, what an act does
	Script                                                                                 scriptWords
	say                                                                                    sayings
	decimal                                                                                string
}

// scriptWords are what the page's script says by itself; those with {} take a figure
// or a name.
type scriptWords struct {
	Live     string            `json:"live"`
	Trying   string            `json:"trying"`
	Lost     string            `json:"lost"`
	AgoS     string            `json:"ago_s"`
	AgoMin   string            `json:"ago_min"`
	LastS    string            `json:"last_s"`
	LastMin  string            `json:"last_min"`
	Local    string            `json:"local"`
	Minute   string            `json:"minute"`
	Requests string            `json:"requests"`
	Pressure string            `json:"pressure"`
	Asked    string            `json:"asked"`
	Served   string            `json:"served"`
	Looks    map[string]string `json:"looks"`
	Marks    map[string]string `json:"marks"`
	Names    map[string]string `json:"names"`
	Rule     string            `json:"rule"`
	NoRule   string            `json:"no_rule"`
	Failing  string            `json:"failing"`
	Pressed  string            `json:"pressed"`
	Calm     string            `json:"calm"`
	Dropped  string            `json:"dropped"`
	Passed   string            `json:"passed"`
	Modes    map[string]string `json:"modes"`
	Undo     string            `json:"undo"`
	AskUndo  string            `json:"ask_undo"`
	AskStop  string            `json:"ask_pause"`
	AskGo    string            `json:"ask_resume"`
	Stop     string            `json:"pause"`
	Go       string            `json:"resume"`
	Done     string            `json:"done"`
	NotDone  string            `json:"not_done"`
	NoAnswer string            `json:"no_answer"`
	NoAlert  string            `json:"no_alert"`
	TakenBy  string            `json:"taken_by"`
	Take     string            `json:"take"`
	AskTake  string            `json:"ask_take"`
	Test     string            `json:"test"`
	AskTest  string            `json:"ask_test"`
	NoCause  string            `json:"no_cause"`
	Others   string            `json:"other_paths"`
	Sure     string            `json:"sure"`
	Since    string            `json:"since"`
	Flood    string            `json:"flood"`
	Crowd    string            `json:"crowd"`
	Yes      string            `json:"yes"`
	No       string            `json:"no"`
	Terms    map[string]string `json:"terms"`
	Units    map[string]string `json:"units"`
	NoHand   string            `json:"no_hand"`
	ByHand   map[string]string `json:"by_hand"`
	Until    string            `json:"until"`
	Undone   string            `json:"until_undone"`
	AskBack  string            `json:"ask_back"`
	Allow    string            `json:"allow"`
	AskAllow string            `json:"ask_allow"`
	OnPath   string            `json:"on_path"`
	Over     string            `json:"networks_over"`
	More     string            `json:"more_there"`
}

// sayings are the sentences of which speak puts together what is true now.
type sayings struct {
	Down, Pressed, AtOnce, NobodyKnown, AllServed, SomeServed string
	Quiet, Calm, CalmKnown, Rest                              string
	HeldByRules, Bypass, Observe                              string
	OfOrigin, Named, Since                                    string
}

var english = words{
	Lang: "en", Itself: "English", Title: "Deich: live", SignIn: "Deich: sign in", AskTitle: "This console asks for its token",
	AskHelp: "Open the link that Deich printed at its first start, or enter the token here. It stands in the file “token” in Deich’s data folder.",
	Token:   "Token", Enter: "Sign in",
	Skip: "Skip to the users", Snapshot: "This page is a snapshot.", Pressure: "Pressure %d of 100",
	Incident: "Incident", Dossier: "Dossier", StatusPage: "Status page",
	Timeline:     "What happened in it, the newest first",
	IncidentNote: "What you know goes in with “deich incident note”; a word on the cause is public once you “deich incident approve” it.",
	Users:        "Users", UsersNote: "Over the last 10 seconds. The line at the end shows the share served.",
	Tier: "Tier", Rate: "Requests/s", Served: "Served", Half: "Half within", Most: "99 % within", Span: "last 15 minutes",
	UsersPlot:      "Known users’ requests per second: asked and served",
	UsersPlotLabel: "Known users’ requests per second over time; the table below has the figures", Figures: "The figures, by minute",
	ActsHead: "What was done with requests", Act: "Act", Total: "Since start", ActsPlot: "All requests per second, by act",
	ActsPlotLabel: "All requests per second by act over time; the table below has the figures",
	Common:        "What the flood has in common", Rule: "Rule", NoRule: "No rule is in force.",
	RulesNote:  "A rule is found, watched for half a second, put in force, renewed while it is needed, and taken back where known users meet it. “deich undo” with its number takes it back now.",
	OtherPaths: "all other paths",
	WhyHead:    "Why", NoCause: "No origin suffers: there is nothing to explain.", Sure: "%s sure", SureSince: "since %s",
	CauseNote: "A judgement from what was seen, not a proof, and never who it was. What weighs speaks for a flood or for a crowd; the rest says what was measured.",
	Evidence:  "Evidence", Measured: "Measured", Leans: "Speaks for", Flood: "flood", Crowd: "crowd", Yes: "yes", No: "no",
	Terms: map[string]string{
		"times_usual": "Asked, against what is usual", "times_usual_with_cache": "The same, with what is answered from copies", "slowdown": "Time to answer, against peace", "slower_than_rest": "Time to answer, against the rest", "slowdown_alone": "The same, for one request at a time",
		"down": "Most answers fail", "errors": "Answers that are errors", "asked_again": "Asked again after it failed",
		"by_rule": "Requests that meet a rule", "over_budget": "Requests beyond their budget", "challenges_answered": "Calculations that were answered",
		"returned_in_time": "Came back from the waiting room in time", "came_when_told": "Programs that came back when told",
		"pages_completed": "Parts loaded with each page", "from_who_was_here": "Asked by who was here before, against then",
		"answered_no": "Answered with no (4xx)", "seconds_of_rise": "Time it took to rise", "crowd_expected": "Many people are announced",
		"empty_connections": "Connections a second that were left without a request", "empty_handshakes": "TLS handshakes a second that were left without a request",
	},
	SourcesHead: "Where it comes from", NetworksOver: "Over the last %s.", NoNetwork: "Nothing has come lately.",
	NetworksNote: "By network (IPv4 /24, IPv6 /48), those from which most came first: how many requests, and what was done with them. Networks are counted in memory for two minutes and then forgotten. A network says nothing about who it is.",
	BeforeHead:   "Before a request", OrderedHead: "Sources refused at accept", MoreThere: "%d more are in the files.",
	OperatorHead: "Network operator", CountryHead: "Country", CountriesHead: "By country", OperatorsHead: "By network operator", TurnedHead: "Refused/s",
	PlacesNote: "Refused is what was told to wait or to prove itself, denied, dropped, or refused before it was a request. Users live there, too: no rule is ever made of a country or an operator alone.",
	MapLegend:  "Refused per second, from", FileOf: "From %s of %s.",
	NoCountries: "In which countries these networks are is not known: networks, or --networks, takes a file beside the others that tells (docs/operate/networks.md).",
	NoFiles:     "Who runs these networks, and in which countries, is not known: “--networks FILE”, or networks in the configuration, takes a file that tells (DB-IP Lite, IPinfo, GeoLite2; docs/operate/networks.md).",
	FindHead:    "Look up", FindWhat: "Reference, address or network", Find: "Look up",
	FindNote: "The reference stands at the foot of the page that a refused user sees. Of an address Deich knows only what is listed or ordered against it now: it keeps no row for each request.",
	FindNone: "This is no reference that this Deich gave, or it is older than its keys. A reference has 76 letters and digits; an address is written as in 203.0.113.7, a network as in 203.0.113.0/24.",
	Nothing:  "Nothing is listed or ordered against %s now. Its requests are ranked like all others; why one of them was refused stands in its reference.",
	When:     "When", Network: "Network", Wanted: "What was asked for", Ranked: "Its rank, and the cut line then", AtAccept: "Refused at accept: %s (%s)", More: "and %d more",
	Whom: "Let pass", OnlyOn: "only on paths that begin with", OnPath: "%s on %s", ForSpan: "for", Allow: "Allow", Many: "sources",
	Spans:    map[string]string{"10m": "10 minutes", "1h": "one hour", "24h": "one day"},
	Wants:    map[string]string{"page": "a page", "asset": "part of a page", "api": "a program’s answer", "upload": "room for an upload", "stream": "a long-lived connection"},
	HandHead: "Listed by hand", NoHand: "Nothing is listed by hand.", Until: "until %s", UntilUndone: "until it is taken back", YourName: "Your name, for the log",
	HandNote: "The narrowest that is in force wins. “deich allow” and “deich deny” list networks and paths, too.",
	ByHand:   map[string]string{"allow": "Allowed: %s", "deny": "Denied: %s"},
	Towards:  "Towards the origin", Origin: "Origin", State: "State", Asked: "Asked/s", Answered: "Answered/s", Limit: "Limit",
	Flight: "At the origin", Queue: "Queue", Streams: "Streams", Cut: "Cut line", Together: "All origins together", Now: "Now",
	CutMost:   "Cut line, the highest",
	LimitNote: "The limit is how many requests at once help the origin; it is measured, not set. Whoever ranks below the cut line (0 to 127) is asked to prove itself, to wait, or to come back.",
	Failing:   "failing", Pressed: "under pressure", Calm: "calm",
	Spool: "Kept messages", SpoolHead: "What is kept", Waiting: "Waiting", Oldest: "The oldest waits", Texts: "Texts", Files: "Files they lie in", Mode: "Delivery",
	Kept: "Kept since start", Refused: "Not kept: no room, or disk or cluster failed", NotKept: "No messages are kept here: spool.keep names the routes whose messages are.",
	SpoolNote: "Messages that users sent while the platform could not take them. Paused, they are kept and wait; over restarts, too.",
	Modes: map[string]string{"on": "as soon as the platform takes them", "paused": "paused by an operator", "draining": "nothing new is kept; what is here is delivered",
		"failed": "the disk takes nothing new"},
	Ended: map[string]string{"delivered": "delivered", "rejected": "the platform did not want it", "expired": "not sent: waited for too long, or given up",
		"unconfirmed": "handed over, no answer came", "damaged": "the disk lost its text"},
	Gate: "Gate", GateHead: "The gate", Backend: "Way", Why: "Because", Sources: "Judged sources, in force", Missed: "Orders that it had no room for",
	Reason: "Reason", Packets: "Packets", Bytes: "Bytes", Fate: "Then", Dropped: "dropped", Passed: "passed",
	GateNote: "What the kernel did with packets to Deich’s own ports, since the start.",
	Reasons: map[string]string{"other": "not for Deich’s ports", "odd": "cut short or unusual", "allowed": "on the allow list", "pass": "nothing stands against it",
		"cookie": "SYN answered with a cookie", "stale": "while Deich was not there or did not answer", "source": "from a judged source", "prefix": "from a judged network", "reflection": "UDP that nobody asked for",
		"fragment": "a piece of UDP that is not its first", "locked": "not on the allow list, which alone may come in"},
	Changed: "What changed", ChangedNote: "A range of time against as long before, a minute at least: per second, the surest first. Draw over a plot, or choose here.",
	From: "From", To: "To", Compare: "Compare", Short: "The range is too short to tell, or nothing is known of before.", NoChange: "Nothing changed by more than chance.",
	What: "What", Before: "Before", Within: "In the range",
	Kinds:  map[string]string{"asked": ", asked", "served": ", served", "act": "", "limit": "Limit", "inflight": "At the origin", "queued": "Queue", "cut": "Cut line, the highest"},
	Alerts: "What needs a person", NoAlert: "Nothing needs you.", TakenBy: "taken on by", Test: "Send a test",
	AlertsNote: "A page is told again after an hour unless somebody takes it on.",
	NobodyTold: "Nobody is told: alerts.webhooks, alerts.mail and alerts.alertmanagers name the places that are.",
	Actions:    "What people did", NoAction: "Nobody has done anything yet.", ActionsNote: "From the record, the newest first; all of it is in the files.",
	History: "Seconds", AsFile: "%s as %s",
	Cancel: "Cancel", Undo: "Undo",
	Events: "Events", NoEvent: "Nothing has happened since the start.",
	Listed: "listed by hand", Ordered: "sources refused at accept", Tables: "tables %s", Running: "running since %s",
	Metrics: "Metrics", StateJSON: "State as JSON",
	Explained: map[string]string{
		"partner": "named by configuration", "member": "logged in", "regular": "holds a pass of earlier days",
		"visitor": "was served before, or proved itself", "stranger": "unknown so far, attackers among them",
		"allow": "passed on to the origin", "keep": "stored for later delivery", "wait": "shown the waiting room",
		"challenge": "asked for a short calculation", "deny": "refused with a reason", "drop": "connection closed",
	},
	Script: scriptWords{
		Live: "Live.", Trying: "No connection to Deich; trying again. Last seen:", Lost: "No connection to Deich. Reload this page. Last seen:",
		AgoS: "{} s ago", AgoMin: "{} min ago", LastS: "last {} seconds", LastMin: "last {} minutes", Local: "local",
		Minute: "Minute", Requests: "{}, requests", Pressure: "Pressure {} of 100", Asked: "asked", Served: "served",
		Looks: map[string]string{"asked": "grey, dotted", "served": "green", "allow": "green", "keep": "violet", "wait": "amber",
			"challenge": "amber, dashed", "deny": "red", "drop": "red, dashed"},
		Marks:   map[string]string{"pressure_began": "pressure began", "pressure_ended": "pressure ended", "origin_failing": "origin failing", "origin_back": "origin back"},
		AskUndo: "Take rule {} back now? What it holds back comes in again, unless the engine finds it anew.",
		AskStop: "Stop the delivery? Messages that wait now: {}. They and new ones stay kept until you resume.",
		AskGo:   "Deliver again? Messages that wait now: {}. Each goes out as soon as the platform takes it.",
		Take:    "Take it on", AskTake: "Take on “{}”? It is not told again until it is over.",
		AskBack: "Take this back? {}", AskAllow: "Allow {} for {}? Until then its requests come first, whatever their rank, and it is not refused at accept; the origin’s limit holds. You can take it back at any time.",
		AskTest: "Send a test to every place that alerts are told to? It says that it is one.",
		Stop:    "Pause delivery", Go: "Resume delivery", Done: "Done. It stands among the events.", NotDone: "Not done: {}",
		NoAnswer: "No answer came from Deich. Whether it was done stands among the events, once it answers again.",
	},
	say: sayings{
		Down:        "The origin%s does not answer%s. Users see a page that says so. Look at the origin: Deich can pass on only what it gets.",
		Pressed:     "More is asked%s than the origin can do%s: %s requests a second came, it answered %s.",
		AtOnce:      "More is asked at once%s than the origin can do%s.",
		NobodyKnown: " No known user asked in the last 10 seconds.",
		AllServed:   " %s of known users' requests were served. Nothing for you to do.",
		SomeServed:  " %s of known users' requests were served: some of them wait or are turned away.",
		Quiet:       "Quiet: nobody asked in the last 10 seconds.",
		Calm:        "Calm: %s requests a second, %s of them served. Nothing for you to do.",
		CalmKnown:   "Calm for known users: %s of their requests were served; of all %s requests a second, %s.",
		Rest:        "%s requests a second came, %s of them were served. The rest failed at the origin or was refused: see the acts below.",
		HeldByRules: " Rules hold it back.",
		Bypass:      " Bypass is on until %s: everybody passes, only the origin's limit holds.",
		Observe:     " Deich only observes: it judges and counts, and lets everything pass.",
		OfOrigin:    " of %s", Named: " %s", Since: " since %s",
	},
	decimal: ".",
}

var german = words{
	Lang: "de", Itself: "Deutsch", Title: "Deich: live", SignIn: "Deich: Anmeldung", AskTitle: "Diese Konsole fragt nach ihrem Token",
	AskHelp: "Öffnen Sie den Link, den Deich beim ersten Start ausgab, oder geben Sie das Token hier ein. Es steht in der Datei „token“ in Deichs Datenordner.",
	Token:   "Token", Enter: "Anmelden",
	Skip: "Zu den Nutzern springen", Snapshot: "Diese Seite ist eine Momentaufnahme.", Pressure: "Druck: %d von 100",
	Incident: "Vorfall", Dossier: "Dossier", StatusPage: "Statusseite",
	Timeline:     "Was darin geschah, das Neueste zuerst",
	IncidentNote: "Was Sie wissen, kommt mit „deich incident note“ hinein; ein Wort über die Ursache ist öffentlich, sobald Sie es mit „deich incident approve“ freigeben.",
	Users:        "Nutzer", UsersNote: "In den letzten 10 Sekunden. Die Linie am Ende zeigt den bedienten Anteil.",
	Tier: "Gruppe", Rate: "Anfragen/s", Served: "Bedient", Half: "Hälfte binnen", Most: "99 % binnen", Span: "letzte 15 Minuten",
	UsersPlot:      "Anfragen bekannter Nutzer je Sekunde: gestellt und bedient",
	UsersPlotLabel: "Anfragen bekannter Nutzer je Sekunde im Verlauf; die Zahlen stehen in der Tabelle darunter", Figures: "Die Zahlen, nach Minuten",
	ActsHead: "Was mit Anfragen geschah", Act: "Was geschah", Total: "Seit dem Start", ActsPlot: "Alle Anfragen je Sekunde, nach dem, was mit ihnen geschah",
	ActsPlotLabel: "Alle Anfragen je Sekunde im Verlauf, nach dem, was mit ihnen geschah; die Zahlen stehen in der Tabelle darunter",
	Common:        "Was die Flut gemeinsam hat", Rule: "Regel", NoRule: "Keine Regel ist in Kraft.",
	RulesNote:  "Eine Regel wird gefunden, eine halbe Sekunde beobachtet, in Kraft gesetzt, verlängert, solange sie gebraucht wird, und zurückgenommen, wo sie bekannte Nutzer trifft. „deich undo“ mit ihrer Nummer nimmt sie jetzt zurück.",
	OtherPaths: "alle anderen Pfade",
	WhyHead:    "Warum", NoCause: "Keine Plattform leidet: Es gibt nichts zu erklären.", Sure: "zu %s sicher", SureSince: "seit %s",
	CauseNote: "Ein Urteil aus dem, was zu sehen war, kein Beweis, und nie darüber, wer es war. Was wiegt, spricht für eine Flut oder für einen Andrang; der Rest sagt, was gemessen wurde.",
	Evidence:  "Beleg", Measured: "Gemessen", Leans: "Spricht für", Flood: "Flut", Crowd: "Andrang", Yes: "ja", No: "nein",
	Terms: map[string]string{
		"times_usual": "Verlangt, gegen sonst", "times_usual_with_cache": "Dasselbe, mit dem, was Kopien beantworten", "slowdown": "Dauer der Antworten, gegen ruhige Zeiten", "slower_than_rest": "Dauer der Antworten, gegen den Rest", "slowdown_alone": "Dieselbe, für eine Anfrage allein",
		"down": "Die meisten Antworten scheitern", "errors": "Antworten, die Fehler sind", "asked_again": "Erneut gefragt nach einem Fehler",
		"by_rule": "Anfragen, auf die eine Regel passt", "over_budget": "Anfragen über ihrem Budget", "challenges_answered": "Gelöste Rechenaufgaben",
		"returned_in_time": "Rechtzeitig aus dem Wartezimmer zurück", "came_when_told": "Programme, die kamen, als sie sollten",
		"pages_completed": "Geladene Teile je Seite", "from_who_was_here": "Verlangt von denen, die schon da waren, gegen vorher",
		"answered_no": "Mit Nein beantwortet (4xx)", "seconds_of_rise": "Dauer des Anstiegs", "crowd_expected": "Viele Menschen sind angekündigt",
		"empty_connections": "Verbindungen je Sekunde, die ohne Anfrage verlassen wurden", "empty_handshakes": "TLS-Handshakes je Sekunde, nach denen keine Anfrage kam",
	},
	SourcesHead: "Woher es kommt", NetworksOver: "In den letzten %s.", NoNetwork: "In letzter Zeit kam nichts.",
	NetworksNote: "Nach Netzen (IPv4 /24, IPv6 /48), die mit den meisten zuerst: wie viele Anfragen, und was mit ihnen geschah. Netze werden zwei Minuten lang im Speicher gezählt und dann vergessen. Ein Netz sagt nichts darüber, wer es ist.",
	BeforeHead:   "Vor einer Anfrage", OrderedHead: "Quellen, bei der Annahme abgewiesen", MoreThere: "%d mehr stehen in den Dateien.",
	OperatorHead: "Netzbetreiber", CountryHead: "Land", CountriesHead: "Nach Ländern", OperatorsHead: "Nach Netzbetreibern", TurnedHead: "Abgewiesen/s",
	PlacesNote: "Abgewiesen ist, was warten oder sich ausweisen sollte, verweigert, fallengelassen oder vor einer Anfrage abgewiesen wurde. Auch Nutzer leben dort: Aus einem Land oder einem Betreiber allein wird nie eine Regel.",
	MapLegend:  "Abgewiesen je Sekunde, ab", FileOf: "Aus %s vom %s.",
	NoCountries: "In welchen Ländern diese Netze sind, ist nicht bekannt: networks oder --networks nimmt neben den anderen eine Datei, die es sagt (docs/operate/networks.md).",
	NoFiles:     "Wer diese Netze betreibt und in welchen Ländern, ist nicht bekannt: „--networks DATEI“ oder networks in der Konfiguration nimmt eine Datei, die es sagt (DB-IP Lite, IPinfo, GeoLite2; docs/operate/networks.md).",
	FindHead:    "Nachschlagen", FindWhat: "Kennung, Adresse oder Netz", Find: "Nachschlagen",
	FindNote: "Die Kennung steht am Fuß der Seite, die abgewiesene Nutzer sehen. Von einer Adresse weiß Deich nur, was jetzt zu ihr gelistet oder gegen sie angeordnet ist: Es führt nicht Buch über jede Anfrage.",
	FindNone: "Das ist keine Kennung, die dieses Deich vergab, oder sie ist älter als seine Schlüssel. Eine Kennung hat 76 Buchstaben und Ziffern; eine Adresse schreibt man wie 203.0.113.7, ein Netz wie 203.0.113.0/24.",
	Nothing:  "Zu %s ist jetzt nichts gelistet und nichts angeordnet. Anfragen von dort werden eingestuft wie alle; warum eine abgewiesen wurde, steht in ihrer Kennung.",
	When:     "Wann", Network: "Netz", Wanted: "Was verlangt war", Ranked: "Ihr Rang, und die Schnittlinie damals", AtAccept: "Bei der Annahme abgewiesen: %s (%s)", More: "und %d mehr",
	Whom: "Durchlassen", OnlyOn: "nur auf Pfaden, die so beginnen:", OnPath: "%s auf %s", ForSpan: "für", Allow: "Durchlassen", Many: "Quellen",
	Spans:    map[string]string{"10m": "10 Minuten", "1h": "eine Stunde", "24h": "einen Tag"},
	Wants:    map[string]string{"page": "eine Seite", "asset": "ein Teil einer Seite", "api": "die Antwort für ein Programm", "upload": "Platz zum Hochladen", "stream": "eine lange Verbindung"},
	HandHead: "Von Hand gelistet", NoHand: "Von Hand ist nichts gelistet.", Until: "bis %s", UntilUndone: "bis es zurückgenommen wird", YourName: "Ihr Name, fürs Protokoll",
	HandNote: "Das Engste, das in Kraft ist, gilt. „deich allow“ und „deich deny“ listen auch Netze und Pfade.",
	ByHand:   map[string]string{"allow": "Durchgelassen: %s", "deny": "Abgewiesen: %s"},
	Towards:  "Zur Plattform hin", Origin: "Plattform", State: "Zustand", Asked: "Verlangt/s", Answered: "Beantwortet/s", Limit: "Limit",
	Flight: "Bei der Plattform", Queue: "Schlange", Streams: "Ströme", Cut: "Schnittlinie", Together: "Alle Plattformen zusammen", Now: "Jetzt",
	CutMost:   "Schnittlinie, die höchste",
	LimitNote: "Das Limit ist, wie viele Anfragen zugleich der Plattform nützen; es wird gemessen, nicht eingestellt. Wer im Rang unter der Schnittlinie (0 bis 127) steht, soll sich ausweisen, warten oder wiederkommen.",
	Failing:   "antwortet nicht", Pressed: "unter Druck", Calm: "ruhig",
	Spool: "Aufbewahrte Nachrichten", SpoolHead: "Was aufbewahrt ist", Waiting: "Wartend", Oldest: "Die älteste wartet seit", Texts: "Texte", Files: "Dateien, in denen sie liegen", Mode: "Zustellung",
	Kept: "Aufbewahrt seit dem Start", Refused: "Nicht aufbewahrt: kein Platz, oder Platte oder Cluster versagte", NotKept: "Hier werden keine Nachrichten aufbewahrt: spool.keep nennt die Routen, deren Nachrichten es werden.",
	SpoolNote: "Nachrichten, die Nutzer sandten, als die Plattform sie nicht nehmen konnte. Angehalten werden sie weiter aufbewahrt und warten; auch über Neustarts.",
	Modes: map[string]string{"on": "sobald die Plattform sie nimmt", "paused": "von Hand angehalten", "draining": "Neues wird nicht aufbewahrt; was hier ist, wird zugestellt",
		"failed": "die Platte nimmt nichts Neues"},
	Ended: map[string]string{"delivered": "zugestellt", "rejected": "die Plattform wollte sie nicht", "expired": "nicht gesendet: wartete zu lange oder wurde aufgegeben",
		"unconfirmed": "übergeben, ohne Antwort", "damaged": "die Platte verlor den Text"},
	Gate: "Tor", GateHead: "Das Tor", Backend: "Weg", Why: "Weil", Sources: "Verurteilte Quellen, in Kraft", Missed: "Aufträge, für die kein Platz war",
	Reason: "Grund", Packets: "Pakete", Bytes: "Bytes", Fate: "Dann", Dropped: "verworfen", Passed: "durchgelassen",
	GateNote: "Was der Kern mit Paketen an Deichs eigene Ports tat, seit dem Start.",
	Reasons: map[string]string{"other": "nicht für Deichs Ports", "odd": "abgeschnitten oder ungewöhnlich", "allowed": "auf der Liste der Erlaubten", "pass": "nichts spricht dagegen",
		"cookie": "SYN, mit einem Cookie beantwortet", "stale": "während Deich fehlte oder nicht antwortete", "source": "von einer verurteilten Quelle", "prefix": "aus einem verurteilten Netz", "reflection": "UDP, um das niemand bat",
		"fragment": "ein Stück UDP, das nicht das erste ist", "locked": "nicht auf der Liste der Erlaubten, die allein herein darf"},
	Changed: "Was sich änderte", ChangedNote: "Eine Zeitspanne gegen die gleich lange davor, mindestens eine Minute: je Sekunde, das Sicherste zuerst. Ziehen Sie über ein Diagramm, oder wählen Sie hier.",
	From: "Von", To: "Bis", Compare: "Vergleichen", Short: "Die Spanne ist zu kurz dafür, oder von davor ist nichts bekannt.", NoChange: "Nichts änderte sich über den Zufall hinaus.",
	What: "Was", Before: "Davor", Within: "In der Spanne",
	Kinds:  map[string]string{"asked": ", gestellt", "served": ", bedient", "act": "", "limit": "Limit", "inflight": "Bei der Plattform", "queued": "Schlange", "cut": "Schnittlinie, die höchste"},
	Alerts: "Was einen Menschen braucht", NoAlert: "Nichts braucht Sie.", TakenBy: "übernommen von", Test: "Probe senden",
	AlertsNote: "Ein dringender Alarm wird nach einer Stunde wiederholt, wenn ihn niemand übernimmt.",
	NobodyTold: "Niemandem wird etwas gemeldet: alerts.webhooks, alerts.mail und alerts.alertmanagers nennen die Stellen.",
	Actions:    "Was Menschen taten", NoAction: "Noch hat niemand etwas getan.", ActionsNote: "Aus der Aufzeichnung, das Neueste zuerst; alles steht in den Dateien.",
	History: "Sekunden", AsFile: "%s als %s",
	Cancel: "Abbrechen", Undo: "Zurücknehmen",
	Events: "Ereignisse", NoEvent: "Seit dem Start ist nichts geschehen.",
	Listed: "von Hand gelistet", Ordered: "Quellen, bei der Annahme abgewiesen", Tables: "Tabellen %s", Running: "läuft seit %s",
	Metrics: "Metriken", StateJSON: "Zustand als JSON",
	Names: map[string]string{
		"partner": "Partner", "member": "Mitglied", "regular": "Stammgast", "visitor": "Besucher", "stranger": "Fremde",
		"allow": "durchgelassen", "keep": "aufbewahrt", "wait": "wartend", "challenge": "geprüft", "deny": "abgewiesen", "drop": "fallengelassen",
		"investigating": "wird untersucht", "identified": "Ursache gefunden", "monitoring": "wird beobachtet", "resolved": "behoben",
	},
	Explained: map[string]string{
		"partner": "in der Konfiguration genannt", "member": "angemeldet", "regular": "hat einen Pass früherer Tage",
		"visitor": "wurde schon bedient oder wies sich aus", "stranger": "noch unbekannt, Angreifer darunter",
		"allow": "an die Plattform weitergegeben", "keep": "für spätere Zustellung gespeichert", "wait": "im Wartezimmer",
		"challenge": "um eine kurze Rechnung gebeten", "deny": "mit Grund abgewiesen", "drop": "Verbindung geschlossen",
	},
	Script: scriptWords{
		Live: "Live.", Trying: "Keine Verbindung zu Deich; neuer Versuch. Zuletzt gesehen:", Lost: "Keine Verbindung zu Deich. Laden Sie diese Seite neu. Zuletzt gesehen:",
		AgoS: "vor {} s", AgoMin: "vor {} min", LastS: "letzte {} Sekunden", LastMin: "letzte {} Minuten", Local: "hier",
		Minute: "Minute", Requests: "{}, Anfragen", Pressure: "Druck: {} von 100", Asked: "gestellt", Served: "bedient",
		Looks: map[string]string{"asked": "grau, gepunktet", "served": "grün", "allow": "grün", "keep": "violett", "wait": "gelb",
			"challenge": "gelb, gestrichelt", "deny": "rot", "drop": "rot, gestrichelt"},
		Marks:   map[string]string{"pressure_began": "Druck begann", "pressure_ended": "Druck endete", "origin_failing": "Plattform fiel aus", "origin_back": "Plattform zurück"},
		AskUndo: "Regel {} jetzt zurücknehmen? Was sie aufhält, kommt wieder herein, wenn die Maschine sie nicht neu findet.",
		AskStop: "Zustellung anhalten? Jetzt wartende Nachrichten: {}. Sie und neue bleiben aufbewahrt, bis Sie fortfahren.",
		AskGo:   "Wieder zustellen? Jetzt wartende Nachrichten: {}. Jede geht hinaus, sobald die Plattform sie nimmt.",
		Take:    "Übernehmen", AskTake: "„{}“ übernehmen? Es wird nicht wieder gemeldet, bis es vorbei ist.",
		AskBack: "Das zurücknehmen? {}", AskAllow: "{} für {} durchlassen? Bis dahin kommen Anfragen von dort zuerst, gleich welchen Rangs, und bei der Annahme wird dort nichts abgewiesen; das Limit der Plattform gilt. Sie können es jederzeit zurücknehmen.",
		AskTest: "Eine Probe an alle Stellen senden, denen Alarme gemeldet werden? Sie sagt, dass sie eine ist.",
		Stop:    "Zustellung anhalten", Go: "Wieder zustellen", Done: "Getan. Es steht unter den Ereignissen.", NotDone: "Nicht getan: {}",
		NoAnswer: "Von Deich kam keine Antwort. Ob es getan ist, steht unter den Ereignissen, sobald es wieder antwortet.",
	},
	say: sayings{
		Down:        "Die Plattform%s antwortet%s nicht. Nutzer sehen eine Seite, die das sagt. Sehen Sie nach der Plattform: Deich kann nur weitergeben, was es bekommt.",
		Pressed:     "Es wird%s%s mehr verlangt, als die Plattform kann: %s Anfragen je Sekunde kamen, %s beantwortete sie.",
		AtOnce:      "Es wird%s%s zugleich mehr verlangt, als die Plattform kann.",
		NobodyKnown: " Kein bekannter Nutzer fragte in den letzten 10 Sekunden.",
		AllServed:   " %s der Anfragen bekannter Nutzer wurden bedient. Sie müssen nichts tun.",
		SomeServed:  " %s der Anfragen bekannter Nutzer wurden bedient: Einige warten oder werden abgewiesen.",
		Quiet:       "Still: In den letzten 10 Sekunden hat niemand gefragt.",
		Calm:        "Ruhig: %s Anfragen je Sekunde, %s davon bedient. Sie müssen nichts tun.",
		CalmKnown:   "Ruhig für bekannte Nutzer: %s ihrer Anfragen wurden bedient; von allen %s Anfragen je Sekunde %s.",
		Rest:        "%s Anfragen je Sekunde kamen, %s davon wurden bedient. Der Rest scheiterte an der Plattform oder wurde abgewiesen: Unten steht, was mit ihnen geschah.",
		HeldByRules: " Regeln halten sie zurück.",
		Bypass:      " Bypass gilt bis %s: Alle kommen durch, nur das Limit der Plattform gilt.",
		Observe:     " Deich beobachtet nur: Es urteilt, zählt und lässt alles durch.",
		OfOrigin:    " von %s", Named: " %s", Since: " seit %s",
	},
	decimal: ",",
}

// Name is a word of the engine as people read it.
func (w *words) Name(word string) string {
	if n, ok := w.Names[word]; ok {
		return n
	}
	return word
}

// ForScript are the words that the page's script says.
func (w *words) ForScript() scriptWords {
	s := w.Script
	s.Names, s.Rule, s.NoRule, s.Failing, s.Pressed, s.Calm = w.Names, w.Rule, w.NoRule, w.Failing, w.Pressed, w.Calm
	s.Dropped, s.Passed, s.Modes, s.Undo = w.Dropped, w.Passed, w.Modes, w.Undo
	s.NoAlert, s.TakenBy, s.Test = w.NoAlert, w.TakenBy, w.Test
	s.NoCause, s.Others, s.Sure, s.Since = w.NoCause, w.OtherPaths, forScript(w.Sure), forScript(w.SureSince)
	s.Flood, s.Crowd, s.Yes, s.No, s.Terms, s.Units = w.Flood, w.Crowd, w.Yes, w.No, w.Terms, termUnits
	s.NoHand, s.Until, s.Undone, s.Allow = w.NoHand, forScript(w.Until), w.UntilUndone, w.Allow
	s.OnPath = forScript(w.OnPath)
	s.Over, s.More = forScript(w.NetworksOver), strings.ReplaceAll(w.MoreThere, "%d", "{}")
	s.ByHand = make(map[string]string, len(w.ByHand))
	for act, text := range w.ByHand {
		s.ByHand[act] = forScript(text)
	}
	return s
}

// forScript writes the place for a figure as the script looks for it.
func forScript(text string) string { return strings.ReplaceAll(text, "%s", "{}") }

// In gives a text in the words' language.
func (w *words) In(english, german string) string {
	return incident.Text{English: english, German: german}.In(w.Lang)
}

// Clock gives a time of day with its zone.
func (w *words) Clock(t time.Time) string {
	return incident.ClockSeconds(t, t.Location()).In(w.Lang)
}

// Day gives the day, too.
func (w *words) Day(t time.Time) string {
	return incident.DayClock(t, t.Location()).In(w.Lang)
}

// Date gives the day alone.
func (w *words) Date(t time.Time) string { return incident.Day(t, time.UTC).In(w.Lang) }

// ShadesFrom are the figures from which on the map has each shade; the first is none.
func (w *words) ShadesFrom() []string {
	all := []string{""}
	for _, from := range shadesFrom {
		all = append(all, w.Count(from))
	}
	return all
}

// Count keeps a digit behind the point where it tells.
func (w *words) Count(n float64) string { return strings.Replace(count(n), ".", w.decimal, 1) }

// Share gives a part of a whole; none is a dash.
func (w *words) Share(v float64) string {
	if v < 0 {
		return "–"
	}
	return strings.Replace(percent(v), ".", w.decimal, 1)
}

// Ms gives milliseconds; none is a dash.
func (w *words) Ms(v float64) string {
	if v < 0 {
		return "–"
	}
	return w.Count(v) + " ms"
}

// MiB gives bytes.
func (w *words) MiB(n int64) string { return w.Count(float64(n)/(1<<20)) + " MiB" }

// Mode says in a word of Modes how the spool does.
func (s *Spool) Mode() string {
	switch {
	case !s.Keeping:
		return "failed"
	case s.Paused:
		return "paused"
	case s.Draining:
		return "draining"
	}
	return "on"
}

// Seconds gives a span of time in whole seconds, or minutes where it is long.
func (w *words) Seconds(n float64) string {
	if n < 120 {
		return w.Count(math.Floor(n)) + " s"
	}
	return w.Count(math.Floor(n/60)) + " min"
}

// Stated says how an origin does.
func (w *words) Stated(o Origin) string {
	switch {
	case o.Failing:
		return w.Failing
	case o.Pressure:
		return w.Pressed
	}
	return w.Calm
}
