package guard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/deichproject/deich"
)

//go:embed pages
var pageFiles embed.FS

const (
	// wellKnown is where everything of Deich's own lives on a site.
	wellKnown = "/.well-known/deich/"
	// refreshMin and refreshMax bound, in seconds, how often the waiting room
	// reloads itself: often enough to tell the truth, seldom enough to be cheap.
	refreshMin, refreshMax = 2, 30
	// pageBufferMax is the largest buffer kept for the next page; a larger one
	// is left to the collector.
	pageBufferMax = 32 << 10
)

// page is what one answer to a person says.
type page struct {
	Name       string        // challenge, wait, refusal, origin, given_back, resend, unsent; any other is a refusal
	Lang       string        // en or de; any other is en
	Reason     deich.Reason  // why, in a word
	Status     int           // of HTTP
	Reference  string        // sealed, for explain
	RetryAfter time.Duration // when to come again; 0: soon
	Token      string        // challenge: what the proof is over
	Bits       int           // challenge: difficulty of each sub-puzzle; resend: 0 where nothing is to be proved
	Return     string        // challenge: same-origin path to go on to; else where "try again" leads, or nothing
	Text       string        // given_back: the sender's own words
}

// pages holds every page ready to be written: rendered once, cut at the places
// where a request's own values go. It is safe for concurrent use.
type pages struct {
	ready   map[pageKey]*prepared
	assets  map[string]asset
	buffers sync.Pool

	html, noStore, vary, nosniff, referrer, frame []string
}

// pageKey names a prepared page. The reason is NoReason where it does not
// change what the page says.
type pageKey struct {
	name, lang string
	reason     deich.Reason
}

// asset is a file that pages refer to.
type asset struct {
	body               []byte
	kind, etag, policy []string
	version            string
}

func newPages() (*pages, error) {
	p := &pages{
		ready:    make(map[pageKey]*prepared),
		assets:   make(map[string]asset),
		html:     []string{"text/html; charset=utf-8"},
		noStore:  []string{"no-store"},
		vary:     []string{"Accept, Accept-Language, Cookie"},
		nosniff:  []string{"nosniff"},
		referrer: []string{"same-origin"},
		frame:    []string{"DENY"},
	}
	p.buffers.New = func() any { return new([]byte) }
	for name, kind := range map[string]string{
		"challenge.js": "text/javascript; charset=utf-8",
		"style.css":    "text/css; charset=utf-8",
	} {
		body, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			return nil, fmt.Errorf("read asset: %w", err)
		}
		sum := sha256.Sum256(body)
		version := hex.EncodeToString(sum[:6])
		p.assets[name] = asset{
			body: body, version: version,
			kind:   []string{kind},
			etag:   []string{`"` + version + `"`},
			policy: []string{"default-src 'none'"},
		}
	}
	for _, lang := range spokenLanguages {
		for name, texts := range wording(lang).pages {
			for reason, says := range texts {
				ready, err := p.prepare(name, lang, says)
				if err != nil {
					return nil, fmt.Errorf("prepare %s in %s: %w", name, lang, err)
				}
				p.ready[pageKey{name, lang, reason}] = ready
			}
		}
	}
	return p, nil
}

// write answers with a page.
func (p *pages) write(w http.ResponseWriter, pg page) {
	ready := p.find(pg.Name, pg.Lang, pg.Reason)
	buffer := p.buffers.Get().(*[]byte)
	body := ready.append((*buffer)[:0], &pg)

	header := w.Header()
	header["Content-Type"] = p.html
	header["Content-Language"] = ready.language
	header["Content-Security-Policy"] = ready.policy
	header["Cache-Control"] = p.noStore
	header["Vary"] = p.vary
	header["X-Content-Type-Options"] = p.nosniff
	header["X-Frame-Options"] = p.frame
	header["Referrer-Policy"] = p.referrer
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(pg.Status)
	_, _ = w.Write(body) // a client that left needs no page

	if cap(body) <= pageBufferMax {
		*buffer = body
		p.buffers.Put(buffer)
	}
}

func (p *pages) find(name, lang string, reason deich.Reason) *prepared {
	if lang != "de" {
		lang = languageDefault
	}
	if ready := p.ready[pageKey{name, lang, reason}]; ready != nil {
		return ready
	}
	if ready := p.ready[pageKey{name, lang, deich.NoReason}]; ready != nil {
		return ready
	}
	return p.find("refusal", lang, reason)
}

// has says whether there is a page of this name.
func (p *pages) has(name string) bool {
	return p.ready[pageKey{name, languageDefault, deich.NoReason}] != nil
}

// asset answers with a file that pages refer to; false where there is none of
// this name. An address with the file's version never changes what it gives.
func (p *pages) asset(w http.ResponseWriter, r *http.Request, name string) bool {
	a, known := p.assets[name]
	if !known {
		return false
	}
	header := w.Header()
	header["Content-Type"] = a.kind
	header["Etag"] = a.etag
	header["Content-Security-Policy"] = a.policy
	header["X-Content-Type-Options"] = p.nosniff
	if r.URL.RawQuery == "v="+a.version {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "public, max-age=300")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.body))
	return true
}

// prepare renders a page with marks in the place of values, and cuts it there.
func (p *pages) prepare(name, lang string, says text) (*prepared, error) {
	functions := template.FuncMap{"say": say()}
	t, err := template.New("").Funcs(functions).ParseFS(pageFiles, "pages/frame.html")
	if err == nil && !wordsOnly(name) {
		t, err = t.ParseFS(pageFiles, "pages/"+name+".html")
	}
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	err = t.ExecuteTemplate(&out, "frame", view{
		Name: name, Lang: lang, Says: says, Common: wording(lang).common,
		Style:  wellKnown + "style.css?v=" + p.assets["style.css"].version,
		Script: wellKnown + "challenge.js?v=" + p.assets["challenge.js"].version,
		Action: wellKnown + "challenge",
	})
	if err != nil {
		return nil, err
	}
	ready, err := cut(out.String())
	if err != nil {
		return nil, err
	}
	policy := pagePolicy
	if name == "challenge" || name == "resend" {
		policy = challengePolicy
	}
	ready.language, ready.policy, ready.times = []string{lang}, []string{policy}, wording(lang).times
	return ready, nil
}

// wordsOnly says whether a page has nothing beside the words in its frame.
func wordsOnly(name string) bool { return name == "refusal" || name == "origin" || name == "unsent" }

const (
	pagePolicy = "default-src 'none'; style-src 'self'; img-src 'self' data:; " +
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	challengePolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; " +
		"style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

// view is what the templates see.
type view struct {
	Name, Lang            string
	Says                  text
	Common                common
	Style, Script, Action string
}
