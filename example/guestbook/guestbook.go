package main

import (
	"html/template"
	"net/http"
	"sync"
)

// entriesMax bounds the book: the oldest go first. textMax is in bytes.
const entriesMax, textMax = 100, 1000

// guestbook is the platform that is protected. It knows nothing of Deich.
type guestbook struct {
	mu    sync.Mutex
	texts []string
}

var page = template.Must(template.New("page").Parse(`<!doctype html><title>Guestbook</title>
<form method="post"><input name="text" required> <button>Sign</button></form>
<ul>{{range .}}<li>{{.}}{{end}}</ul>`))

func (g *guestbook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Method != http.MethodPost {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		page.Execute(w, g.texts)
		return
	}
	text := r.PostFormValue("text")
	if text == "" || len(text) > textMax {
		http.Error(w, "a text, please, and not a long one", http.StatusBadRequest)
		return
	}
	g.texts = append(g.texts, text)
	g.texts = g.texts[max(0, len(g.texts)-entriesMax):]
	// A platform that knows who is logged in says so, and they rank above
	// strangers in a flood: w.Header().Set("Deich-Member", account).
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
