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
)

//go:embed page
var pageFiles embed.FS

// explained says in a few words what a tier has earned and what an act does.
func explained(word string) string {
	switch word {
	case "partner":
		return "named by configuration"
	case "member":
		return "logged in"
	case "regular":
		return "holds a pass of earlier days"
	case "visitor":
		return "was served before, or proved itself"
	case "stranger":
		return "unknown so far, attackers among them"
	case "allow":
		return "passed on to the origin"
	case "keep":
		return "stored for later delivery"
	case "wait":
		return "shown the waiting room"
	case "challenge":
		return "asked for a short calculation"
	case "deny":
		return "refused with a reason"
	case "drop":
		return "connection closed"
	}
	return ""
}

func templates() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"explained": explained,
		"share": func(v float64) string {
			if v < 0 {
				return "–"
			}
			return percent(v)
		},
		"count":   count,
		"count32": func(v float32) string { return count(float64(v)) },
		"ms": func(v float64) string {
			if v < 0 {
				return "–"
			}
			return count(v) + " ms"
		},
		"clock": clock,
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"mib":   func(n int) string { return count(float64(n)/(1<<20)) + " MiB" },
	}).ParseFS(pageFiles, "page/*.html"))
}

func (d *Desk) servePage(w http.ResponseWriter, _ *http.Request) {
	v, ok := d.live.newest()
	if !ok { // nothing runs the sampler yet
		d.sample()
		v, _ = d.live.newest()
	}
	d.render(w, http.StatusOK, "page.html", v)
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
