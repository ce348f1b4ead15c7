package guard

import "github.com/deichproject/deich"

func german() words {
	const (
		retry   = "Bitte versuchen Sie es {retry} noch einmal."
		mistake = "Halten Sie das für einen Irrtum, nennen Sie uns die Kennung unten."
		many    = "Gerade kommen mehr Anfragen an, als dieser Dienst beantworten kann."
	)
	none := text{Title: "Im Moment keine Antwort", Head: "Wir können diese Anfrage im Moment nicht beantworten.", Says: []string{retry, mistake}, Again: true}
	full := text{Title: none.Title, Head: none.Head, Says: []string{many, retry, mistake}, Again: true}
	return words{
		common: common{
			Reason: "Grund", Reference: "Kennung", Again: "Noch einmal versuchen", YourText: "Ihr Text",
			Progress: "Fortschritt der Rechenaufgabe",
			Work:     "Ihr Browser löst eine kurze Rechenaufgabe, dann lassen wir Sie hinein. Das dauert etwa eine Sekunde.",
			Done:     "Fertig. Wir lassen Sie jetzt hinein.",
			Failed: "Die Rechenaufgabe ließ sich in diesem Browser nicht lösen. Sie stehen stattdessen in der Warteschlange: {wait}. " +
				"Lassen Sie die Seite offen, Ihr Platz bleibt erhalten.",
			Cookies: "Die Rechenaufgabe ist gelöst, aber Ihr Browser hat unser Cookie nicht behalten. Deshalb erkennen wir Sie nicht wieder. " +
				"Bitte erlauben Sie Cookies für diese Seite und versuchen Sie es dann noch einmal.",
			Queue:  "Sie stehen in der Warteschlange: {wait}. Lassen Sie die Seite offen, Ihr Platz bleibt erhalten.",
			Faster: "Mit eingeschaltetem JavaScript kämen Sie in etwa einer Sekunde hinein.",
			Late:   "Falls hier nichts geschieht, versuchen Sie es noch einmal.",
			Resend: "Noch einmal senden", Resent: "Es wird noch einmal gesendet.", Soon: "Es wird {retry} noch einmal gesendet.",
			Reload: "Bitte laden Sie diese Seite {retry} neu: Ihr Browser sendet es dann noch einmal.",
		},
		times: times{
			wait:   timeForm{"noch einen Moment", "noch etwa "},
			retry:  timeForm{"in einem Moment", "in etwa "},
			second: "Sekunde", seconds: "Sekunden", minute: "Minute", minutes: "Minuten",
		},
		pages: map[string]map[deich.Reason]text{
			"challenge": {deich.NoReason: {
				Title: "Einen Moment: gerade sehr viele Anfragen",
				Head:  "Gerade kommen sehr viele Anfragen an.",
			}},
			"wait": {deich.NoReason: {
				Title: "Warteschlange: {wait}",
				Head:  "Sie stehen in der Warteschlange: {wait}.",
				Says: []string{
					"Gerade kommen sehr viele Anfragen an. Wir lassen alle nacheinander hinein.",
					"Lassen Sie die Seite offen, Ihr Platz bleibt erhalten. Es geht von selbst weiter.",
				},
			}},
			"origin": {
				deich.NoReason: {
					Title: "Der Dienst antwortet nicht", Head: "Der Dienst antwortet im Moment nicht.",
					Says: []string{
						"Ihre Anfrage ist bei uns angekommen, aber der Dienst hinter dieser Seite ist ausgefallen. An Ihnen liegt es nicht.",
						retry, "Haben Sie etwas abgeschickt, prüfen Sie bitte, ob es angekommen ist, bevor Sie es erneut senden.",
					},
					Again: true,
				},
				deich.OriginSlow: {
					Title: "Der Dienst braucht zu lange", Head: "Der Dienst braucht zu lange für eine Antwort.",
					Says: []string{
						"Ihre Anfrage hat den Dienst erreicht, aber es kam nicht rechtzeitig eine Antwort. An Ihnen liegt es nicht.",
						retry, "Haben Sie etwas abgeschickt, prüfen Sie bitte, ob es angekommen ist, bevor Sie es erneut senden.",
					},
					Again: true,
				},
			},
			"given_back": {
				deich.NoReason: {
					Title: "Ihr Text wurde nicht gesendet", Head: "Ihr Text wurde nicht gesendet.",
					Says: []string{many, "Ihr Text steht unten, damit er nicht verloren geht. Bitte kopieren Sie ihn und versuchen Sie es {retry} noch einmal."},
				},
				deich.OriginDown: unconfirmedGerman(),
				deich.OriginSlow: unconfirmedGerman(),
			},
			"resend": {deich.NoReason: {
				Title: "Noch nicht gesendet: gerade sehr viele Anfragen", Head: "Was Sie abgeschickt haben, ist nicht verloren.",
				Says: []string{many, "Ihr Browser hat es noch, mit allen Dateien, und sendet es von selbst noch einmal. Fragt er Sie danach, stimmen Sie bitte zu."},
			}},
			"unsent": {deich.NoReason: {
				Title: "Noch nicht gesendet: gerade sehr viele Anfragen", Head: "Was Sie abgeschickt haben, ist nicht verloren.",
				Says: []string{many, "Ihr Browser hat es noch, mit allen Dateien. Bitte laden Sie diese Seite {retry} neu: Ihr Browser sendet es dann noch einmal."},
			}},
			"refusal": {
				deich.NoReason:  none,
				deich.BelowCut:  full,
				deich.Unproven:  full,
				deich.QueueFull: full,
				deich.QueueLate: full,
				deich.Failopen:  full,
				deich.ByHand: {
					Title: "Diese Anfrage ist gesperrt", Head: "Wir beantworten diese Anfrage nicht.",
					Says: []string{"Die Betreiber dieses Dienstes haben sie gesperrt, wegen der Adresse, von der sie kam, oder der Seite, nach der sie fragte.", mistake},
				},
				deich.OverBudget: {
					Title: none.Title, Head: none.Head,
					Says: []string{
						"Von Ihrem Anschluss kamen mehr Anfragen, als wir gerade beantworten können. Vielleicht teilen Sie ihn mit anderen, etwa in einem gemeinsamen Netz.",
						retry, mistake,
					},
					Again: true,
				},
				deich.StreamsFull: {
					Title: none.Title, Head: none.Head,
					Says:  []string{"Alle Plätze für lange Übertragungen und Live-Verbindungen sind belegt.", retry, mistake},
					Again: true,
				},
				deich.BuffersFull: {
					Title: none.Title, Head: none.Head,
					Says:  []string{"An diesen Dienst wird gerade mehr gesendet, als er aufnehmen kann.", retry, mistake},
					Again: true,
				},
				deich.BadRequest: {
					Title: "Diese Anfrage ist nicht lesbar", Head: "Wir konnten diese Anfrage nicht lesen.",
					Says: []string{"Sie war fehlerhaft, oder ein Teil fehlte.", "Bitte gehen Sie zurück und versuchen Sie es noch einmal. Geschieht es wieder, nennen Sie uns die Kennung unten."},
				},
				deich.SlowClient: {
					Title: "Die Anfrage kam zu langsam", Head: "Ihre Anfrage kam zu langsam an.",
					Says: []string{"Wir haben auf den Rest gewartet und mussten abbrechen.", "Bitte prüfen Sie Ihre Verbindung und versuchen Sie es dann noch einmal. Geschieht es wieder, nennen Sie uns die Kennung unten."},
				},
				deich.BodyTooLarge: {
					Title: "Ihre Sendung ist zu groß", Head: "Was Sie gesendet haben, ist zu groß.",
					Says: []string{"So viel auf einmal nimmt dieser Dienst nicht an.", "Bitte senden Sie weniger oder eine kleinere Datei. " + mistake},
				},
				deich.BadProof: {
					Title: "Die Rechenaufgabe wurde nicht angenommen", Head: "Wir konnten die Lösung der Rechenaufgabe nicht annehmen.",
					Says:  []string{"Sie kam zu spät oder wurde schon einmal verwendet.", "Bitte versuchen Sie es noch einmal: Ihr Browser bekommt dann eine neue."},
					Again: true,
				},
				deich.NoSite: {
					Title: "Keine Seite dieses Namens", Head: "Hier gibt es keine Seite dieses Namens.",
					Says: []string{"Bitte prüfen Sie die Adresse. " + mistake},
				},
			},
		},
	}
}

func unconfirmedGerman() text {
	return text{
		Title: "Ihr Text ist vielleicht nicht angekommen", Head: "Ihr Text ist vielleicht nicht angekommen.",
		Says: []string{"Wir haben ihn übergeben, aber keine Antwort erhalten.", "Bitte prüfen Sie, ob er erschienen ist, bevor Sie ihn erneut senden. Ihr Text steht unten."},
	}
}
