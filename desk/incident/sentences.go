package incident

// Sentence is one that operators need again and again, in both languages, so
// that nobody has to find words, or a translator, on a bad day.
type Sentence struct {
	Name string `json:"name"`
	Life Life   `json:"life,omitempty"` // the stage from then on; "": as before
	Text Text   `json:"text"`
}

var sentences = []Sentence{
	{"looking", Investigating, Text{"We know that something is wrong and are looking into the cause.", "Wir wissen, dass etwas nicht stimmt, und suchen die Ursache."}},
	{"found", Identified, Text{"We have found the cause and are working on it.", "Wir haben die Ursache gefunden und arbeiten daran."}},
	{"provider", Identified, Text{"Something that we depend on has failed at another company. We are in touch with them.", "Etwas, worauf wir angewiesen sind, ist bei einem anderen Unternehmen ausgefallen. Wir stehen mit ihm in Verbindung."}},
	{"busy", "", Text{"Many people are here at once. You may have to wait a little; leave the page open, and you keep your place.", "Sehr viele Menschen sind zugleich hier. Sie müssen vielleicht etwas warten; lassen Sie die Seite offen, dann bleibt Ihr Platz erhalten."}},
	{"unchanged", "", Text{"There is nothing new yet. We are still working on it.", "Noch gibt es nichts Neues. Wir arbeiten weiter daran."}},
	{"partly", Monitoring, Text{"Most of it works again. Some things may still be slow.", "Das meiste funktioniert wieder. Manches ist vielleicht noch langsam."}},
	{"kept", "", Text{"What you sent meanwhile and got a receipt for is kept and is being delivered.", "Was Sie in dieser Zeit gesendet haben und wofür Sie einen Beleg bekamen, ist aufbewahrt und wird zugestellt."}},
	{"watching", Monitoring, Text{"It works again. We keep watching.", "Es funktioniert wieder. Wir beobachten weiter."}},
	{"solved", Resolved, Text{"Everything works again. Thank you for your patience.", "Alles funktioniert wieder. Danke für Ihre Geduld."}},
}

// Sentences gives them all.
func Sentences() []Sentence { return append([]Sentence(nil), sentences...) }

// SentenceOf gives the one of a name.
func SentenceOf(name string) (Sentence, bool) {
	for _, s := range sentences {
		if s.Name == name {
			return s, true
		}
	}
	return Sentence{}, false
}

// Lacks names the language that a text is not in ("de" or "en"), or none.
func (t Text) Lacks() string {
	switch {
	case t.German == "" && t.English != "":
		return "de"
	case t.English == "" && t.German != "":
		return "en"
	}
	return ""
}

// Untranslated gives the newest update that lacks a language of t or of also, or nil.
func (i *Incident) Untranslated(t Text, also Also) *Update {
	for k := len(i.Updates) - 1; k >= 0; k-- {
		u := &i.Updates[k]
		lacks := u.Text.Lacks()
		more := len(u.Also.with(also))
		if lacks == "de" && t.German != "" || lacks == "en" && t.English != "" || more > len(u.Also) && more <= AlsoMax {
			return u
		}
	}
	return nil
}

// translate adds languages to the update that a fact is about. What was said
// before stands.
func (i *Incident) translate(f Fact) {
	for k := range i.Updates {
		u := &i.Updates[k]
		if !u.At.Equal(f.Time) {
			continue
		}
		switch u.Text.Lacks() {
		case "de":
			u.Text.German = f.Text.German
		case "en":
			u.Text.English = f.Text.English
		}
		u.Also = u.Also.with(f.Also)
	}
}
