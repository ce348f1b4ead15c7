package status

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
)

// subscribeWords are what is said to who wants to be told, in one language.
type subscribeWords struct {
	Title, Lead, Mail, Webhook, WebhookNote, Send, Asked, Confirm, Confirmed, Leave, Left string
	WrongTarget, Busy, WrongLink, Failed, DoConfirm, DoLeave, Back, Language              string
	AskSubject, AskText, Why                                                              string
}

var subscribeEnglish = subscribeWords{
	Title: "Be told", Lead: "We tell you what is said on this page, when it is said. First we ask the address that you give whether it wants that.",
	Mail: "E-mail address", Webhook: "Address of a webhook", WebhookNote: "https://…; it is sent JSON with a text", Send: "Ask this address",
	Asked:   "If that address was not asked within a day, a message is on its way to it. Follow the link in it within a day. Without that, nothing more is sent.",
	Confirm: "Do you want to be told what is said on this page?", DoConfirm: "Yes, tell me", Confirmed: "You will be told. Every message holds a link that ends it.",
	Leave: "Do you want to be told no more?", DoLeave: "Tell me no more", Left: "You will be told no more. The address is deleted here.",
	WrongTarget: "We cannot send to this address. Please look at how it is written.", Busy: "Many want to be told just now. Please try again in an hour.",
	WrongLink: "This link is not valid, or not any more. Please ask for a new one.", Failed: "That did not work. Please try again in a few minutes.", Back: "To the status page", Language: "en",
	AskSubject: "Do you want to be told?",
	AskText:    "Somebody, perhaps you, asked that this address be told what is said on\n%s\n\nIf you want that, follow this link within a day:\n%s\n\nElse do nothing: nothing more is sent.\n",
	Why:        "You are told because you asked for it. This ends it:",
}

var subscribeGerman = subscribeWords{
	Title: "Benachrichtigt werden", Lead: "Wir schreiben Ihnen, was auf dieser Seite gemeldet wird, sobald es gemeldet wird. Zuerst fragen wir die Adresse, die Sie nennen, ob sie das will.",
	Mail: "E-Mail-Adresse", Webhook: "Adresse eines Webhooks", WebhookNote: "https://…; gesendet wird JSON mit einem Text", Send: "Diese Adresse fragen",
	Asked:   "Wurde diese Adresse nicht schon in den letzten 24 Stunden gefragt, ist eine Nachricht an sie unterwegs. Folgen Sie binnen eines Tages dem Link darin. Ohne das wird nichts weiter gesendet.",
	Confirm: "Möchten Sie benachrichtigt werden, was auf dieser Seite gemeldet wird?", DoConfirm: "Ja, benachrichtigen", Confirmed: "Sie werden benachrichtigt. In jeder Nachricht steht ein Link, der das beendet.",
	Leave: "Möchten Sie nicht mehr benachrichtigt werden?", DoLeave: "Nicht mehr benachrichtigen", Left: "Sie werden nicht mehr benachrichtigt. Die Adresse ist hier gelöscht.",
	WrongTarget: "An diese Adresse können wir nichts senden. Bitte sehen Sie nach, wie sie geschrieben ist.", Busy: "Gerade möchten viele benachrichtigt werden. Bitte versuchen Sie es in einer Stunde noch einmal.",
	WrongLink: "Dieser Link gilt nicht oder nicht mehr. Bitte fordern Sie einen neuen an.", Failed: "Das ging nicht. Bitte versuchen Sie es in einigen Minuten noch einmal.", Back: "Zur Statusseite", Language: "de",
	AskSubject: "Möchten Sie benachrichtigt werden?",
	AskText:    "Jemand, vielleicht Sie, hat gebeten, dass diese Adresse benachrichtigt wird, wenn etwas gemeldet wird auf\n%s\n\nWenn Sie das möchten, folgen Sie binnen eines Tages diesem Link:\n%s\n\nSonst tun Sie nichts: Es wird nichts weiter gesendet.\n",
	Why:        "Sie werden benachrichtigt, weil Sie darum gebeten haben. Das beendet es:",
}

func subscribeWordsIn(lang string) subscribeWords {
	if lang == "de" {
		return subscribeGerman
	}
	return subscribeEnglish
}

// formPolicy lets a page send its form to where it came from, and else what policy does.
var formPolicy = strings.Replace(policy, "form-action 'none'", "form-action 'self'", 1)

// Subscribe lets the public subscribe on the page; before Serve.
func (s *Server) Subscribe(to *Subscribers) { s.subscribers = to }

// client is who asks, as far as the connection tells.
func client(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr()
}

// serveSubscribe answers /subscribe, /confirm and /leave. What changes something
// is a POST: programs that look at links in mail confirm nothing.
func (s *Server) serveSubscribe(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, subscribeFormMax)
	lang := Language(r, s.languages()...)
	words := subscribeWordsIn(lang)
	token := r.URL.Query().Get("t")
	said, status, act := "", http.StatusOK, ""
	fail := func(err error) {
		switch {
		case errors.Is(err, errTarget):
			said, status = words.WrongTarget, http.StatusUnprocessableEntity
		case errors.Is(err, errBusy):
			said, status = words.Busy, http.StatusTooManyRequests
			w.Header().Set("Retry-After", "3600")
		case errors.Is(err, errLink):
			said, status = words.WrongLink, http.StatusNotFound
		default:
			s.subscribers.o.Warn(err.Error())
			said, status = words.Failed, http.StatusServiceUnavailable
		}
	}
	post := r.Method == http.MethodPost
	do := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case do == "subscribe" && !post:
		act = do
	case do == "subscribe":
		if err := r.ParseForm(); err != nil {
			fail(errTarget)
			break
		}
		kind := byWebhook
		if r.PostForm.Get("mail") != "" {
			kind = byMail
		}
		if err := s.subscribers.ask(kind, r.PostForm.Get(kind), lang, client(r)); err != nil {
			act = do
			fail(err)
			break
		}
		said = words.Asked
	default:
		change, done := s.subscribers.confirm, words.Confirmed
		if do == "leave" {
			change, done = s.subscribers.leave, words.Left
		}
		if wish, err := s.subscribers.open(token, do); err != nil {
			fail(err)
			break
		} else if r.URL.Query().Get("lang") == "" { // as it was asked for
			lang = wish.Lang
			words = subscribeWordsIn(lang)
			done = map[string]string{"confirm": words.Confirmed, "leave": words.Left}[do]
		}
		if !post {
			act = do
			break
		}
		if err := change(token); err != nil {
			fail(err)
			break
		}
		said = done
	}
	h := w.Header()
	h.Set("Content-Security-Policy", formPolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", lang)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		pages.ExecuteTemplate(w, "subscribe.html", map[string]any{
			"Words": words, "Style": style, "Said": said, "Bad": status != http.StatusOK, "Act": act, "Token": token,
			"Mail": s.subscribers.o.Mail != nil, "Webhooks": s.subscribers.o.Webhooks,
		})
	}
}
