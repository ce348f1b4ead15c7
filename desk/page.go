package desk

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/status"
)

//go:embed page
var pageFiles embed.FS

func templates() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"files": func(w *words, name, of string) any {
			return struct {
				W        *words
				Name, Of string
			}{w, name, of}
		},
		"last":   func(all []time.Time) int { return len(all) - 1 },
		"long":   func(n int) int64 { return int64(n) },
		"less":   func(all, shown int) int { return all - shown },
		"world":  worldOf(builtIn("world.txt")),
		"target": target,
		"float":  func(v float32) float64 { return float64(v) },
	}).ParseFS(pageFiles, "page/*.html"))
}

// shown is what the live page is made of.
type shown struct {
	Live
	W, Other *words // its language, and the one that it offers
	Marked   Marked
	Sought   sought
}

// inWords gives the words for whoever asks, and those of the other language.
func inWords(r *http.Request) (w, other *words) {
	if status.Language(r) == german.Lang {
		return &german, &english
	}
	return &english, &german
}

func (d *Desk) servePage(w http.ResponseWriter, r *http.Request) {
	v, ok := d.live.newest()
	if !ok { // nothing runs the sampler yet
		d.sample()
		v, _ = d.live.newest()
	}
	said, other := inWords(r)
	d.render(w, http.StatusOK, "page.html", shown{v, said, other, d.marked(r), d.seek(r)})
}

func (d *Desk) render(w http.ResponseWriter, status int, name string, v any) {
	var b bytes.Buffer
	if err := d.pages.ExecuteTemplate(&b, name, v); err != nil {
		Problem(w, http.StatusInternalServerError, "the page cannot be shown", "the same is at /api/v1/state")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// builtIn reads a file of the page.
func builtIn(name string) []byte {
	b, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic("desk: " + name + " is not built in") // a broken build, found by any test
	}
	return b
}

// askStyle gives the style sheet for the page that asks for the token, and the
// content policy that allows it and nothing else of its kind.
func askStyle() (template.CSS, string) {
	b := builtIn("desk.css")
	sum := sha256.Sum256(b)
	hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	return template.CSS(b), strings.Replace(contentPolicy, "style-src 'self'", "style-src "+hash, 1)
}

func asset(name, kind string) http.Handler {
	b := builtIn(name)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Write(b)
	})
}
