package spool

// The receipts' words. Each says what is, what it means for the sender, what
// happens next and what they can do, in this order.

type saying struct {
	head string
	says []string
}

type speech struct {
	states                        map[State]saying
	login                         map[State]saying // where the platform wants a login first
	yourText, look, show, receipt string
}

func sayings(lang string) speech {
	if lang == "de" {
		return german()
	}
	return english()
}

func english() speech {
	const below = "Your text is below."
	return speech{
		yourText: "Your text", look: "Look again", show: "Show it", receipt: "Receipt",
		states: map[State]saying{
			Kept:       {"Your message is saved here.", []string{"We will deliver it as soon as the service is back.", "You can close this page."}},
			Delivering: {"Your message is being delivered.", []string{"The service is back. You can close this page."}},
			Delivered:  {"Your message was delivered.", []string{"The service has taken it."}},
			Rejected:   {"The service did not take your message.", []string{"It was handed over, and the service refused it.", below + " Please copy it and send it again."}},
			Expired:    {"Your message could not be delivered in time.", []string{"The service did not come back before its time was over. It was not sent.", below + " Please copy it and send it again."}},
			Unconfirmed: {"Your message may not have arrived.", []string{
				"We handed your message over, but got no answer.", "Please check whether it appeared before you send it again. " + below}},
			Damaged: {"Your message is lost.", []string{"It was saved here, but the disk that held it has failed.", "Please write it again. The operators of this service know of it."}},
		},
		login: map[State]saying{
			Rejected: {"Please log in again.", []string{"Your message was handed over, but your login had ended meanwhile, so it was not taken.",
				below + " Please log in and send it again."}},
		},
	}
}

func german() speech {
	const below = "Ihr Text steht unten."
	return speech{
		yourText: "Ihr Text", look: "Noch einmal nachsehen", show: "Anzeigen", receipt: "Quittung",
		states: map[State]saying{
			Kept:       {"Ihre Nachricht ist hier gespeichert.", []string{"Wir stellen sie zu, sobald der Dienst wieder da ist.", "Sie können die Seite schließen."}},
			Delivering: {"Ihre Nachricht wird zugestellt.", []string{"Der Dienst ist wieder da. Sie können die Seite schließen."}},
			Delivered:  {"Ihre Nachricht wurde zugestellt.", []string{"Der Dienst hat sie angenommen."}},
			Rejected:   {"Der Dienst hat Ihre Nachricht nicht angenommen.", []string{"Sie wurde übergeben, und der Dienst hat sie abgelehnt.", below + " Bitte kopieren Sie ihn und senden Sie ihn erneut."}},
			Expired:    {"Ihre Nachricht konnte nicht rechtzeitig zugestellt werden.", []string{"Der Dienst war nicht zurück, bevor ihre Zeit um war. Sie wurde nicht gesendet.", below + " Bitte kopieren Sie ihn und senden Sie ihn erneut."}},
			Unconfirmed: {"Ihre Nachricht ist vielleicht nicht angekommen.", []string{
				"Wir haben Ihre Nachricht übergeben, aber keine Antwort erhalten.", "Bitte prüfen Sie, ob sie erschienen ist, bevor Sie sie erneut senden. " + below}},
			Damaged: {"Ihre Nachricht ist verloren.", []string{"Sie war hier gespeichert, aber die Festplatte ist ausgefallen.", "Bitte schreiben Sie sie noch einmal. Die Betreiber des Dienstes wissen davon."}},
		},
		login: map[State]saying{
			Rejected: {"Bitte melden Sie sich neu an.", []string{"Ihre Nachricht wurde übergeben, aber Ihre Anmeldung war inzwischen abgelaufen; sie wurde nicht angenommen.",
				below + " Bitte melden Sie sich an und senden Sie ihn erneut."}},
		},
	}
}
