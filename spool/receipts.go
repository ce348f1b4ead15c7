package spool

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed pages
var pageFiles embed.FS

// ReceiptsPath is where receipts live on a site.
const ReceiptsPath = "/.well-known/deich/receipts/"

// Receipts tells senders what became of their messages: a page, JSON, or a
// stream of events. Whoever did not send a message is answered as if there
// were none. It is safe for concurrent use.
type Receipts struct {
	store    *Store
	words    func(contentType string, body []byte) string
	language func(acceptLanguage string) string
	page     *template.Template
	assets   map[string]scriptFile
	done     chan struct{}
	close    sync.Once
}

type scriptFile struct {
	body    []byte
	version string
}

// NewReceipts makes them for a store. words gives what a person wrote, of a
// body; language the one of "en" and "de" that an Accept-Language prefers.
func NewReceipts(s *Store, words func(contentType string, body []byte) string, language func(string) string) (*Receipts, error) {
	page, err := template.ParseFS(pageFiles, "pages/receipt.html")
	if err != nil {
		return nil, fmt.Errorf("spool: receipts: %w", err)
	}
	rs := &Receipts{store: s, words: words, language: language, page: page, assets: make(map[string]scriptFile), done: make(chan struct{})}
	for _, name := range []string{"receipt.js", "keep.js"} {
		body, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			return nil, fmt.Errorf("spool: receipts: %w", err)
		}
		sum := sha256.Sum256(body)
		rs.assets[name] = scriptFile{body, hex.EncodeToString(sum[:6])}
	}
	return rs, nil
}

// Close ends all streams of events, so that a server can end.
func (rs *Receipts) Close() { rs.close.Do(func() { close(rs.done) }) }

// View is a receipt as programs read it.
type View struct {
	ID       ID        `json:"id"`
	State    State     `json:"state"`
	At       time.Time `json:"at"`
	Changed  time.Time `json:"changed"`
	Until    time.Time `json:"until"`            // it waits, or is remembered, until then
	Status   int       `json:"status,omitempty"` // of the platform's answer
	Location string    `json:"location,omitempty"`
	Login    bool      `json:"login,omitempty"` // the platform wants a new login first
	Text     string    `json:"text,omitempty"`  // what was not delivered
}

func viewOf(e *Entry) View {
	at := func(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
	return View{ID: e.ID, State: e.State, At: at(e.At), Changed: at(e.Changed), Until: at(e.Until), Status: e.Status, Location: localPath(e.Location, e.Host), Login: e.Login}
}

// localPath gives a path on the host itself, or nothing.
func localPath(location, host string) string {
	u, err := url.Parse(location)
	if err != nil || location == "" || u.Host != "" && u.Host != host || u.Opaque != "" {
		return ""
	}
	path := u.EscapedPath()
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, `\`) {
		return ""
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path
}

// ServeReceipt answers what is asked of a path below ReceiptsPath: name is
// what follows it, who asks.
func (rs *Receipts) ServeReceipt(w http.ResponseWriter, r *http.Request, name string, who Sender) {
	if a, is := rs.assets[name]; is {
		rs.serveAsset(w, r, name, a)
		return
	}
	id, ok := ParseID(name)
	if !ok {
		bare(w, http.StatusNotFound)
		return
	}
	rs.Answer(w, r, id, who, http.StatusOK)
}

func (rs *Receipts) serveAsset(w http.ResponseWriter, r *http.Request, name string, a scriptFile) {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Etag", `"`+a.version+`"`)
	h.Set("Cache-Control", "public, max-age=300")
	if r.URL.RawQuery == "v="+a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.body))
}

func bare(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// Answer shows a receipt to whoever asks: 404 to all but its sender. status is
// 202 where the message waits, 200 or what else fits.
func (rs *Receipts) Answer(w http.ResponseWriter, r *http.Request, id ID, who Sender, status int) {
	e, now, ok := rs.store.look(id, who)
	if !ok {
		bare(w, http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept, Accept-Language, Cookie, Authorization")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	if status != http.StatusOK {
		h.Set("Location", ReceiptsPath+id.String())
	}
	accept := strings.Join(r.Header["Accept"], ",")
	accept = accept[:min(len(accept), 512)]
	switch {
	case status == http.StatusOK && strings.Contains(accept, "text/event-stream"):
		rs.stream(w, r, id, who)
	case strings.Contains(accept, "text/html"):
		rs.writePage(w, r, e, now, status)
	default:
		rs.writeJSON(w, e, now, status)
	}
}

func (rs *Receipts) writeJSON(w http.ResponseWriter, e *entry, now Entry, status int) {
	v := viewOf(&now)
	v.Text = rs.text(e, now)
	b, err := json.Marshal(v)
	if err != nil {
		bare(w, http.StatusInternalServerError)
		return
	}
	b = append(b, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // who asked may have gone
}

// text gives back what a person wrote, where it was not delivered.
func (rs *Receipts) text(e *entry, now Entry) string {
	if now.State.waits() || now.State == Delivered || now.State == Damaged {
		return ""
	}
	c, body, err := rs.store.content(e)
	if err != nil {
		return ""
	}
	text := strings.ToValidUTF8(rs.words(c.Header.Get("Content-Type"), body), "\uFFFD")
	return text[:min(len(text), textShownMax)]
}

// stream tells each change as it happens.
func (rs *Receipts) stream(w http.ResponseWriter, r *http.Request, id ID, who Sender) {
	changed, stop, ok := rs.store.watch(id)
	if !ok {
		w.Header().Set("Retry-After", "10")
		bare(w, http.StatusServiceUnavailable)
		return
	}
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	over := time.NewTimer(watchTime)
	defer over.Stop()
	alive := time.NewTicker(15 * time.Second)
	defer alive.Stop()
	w.WriteHeader(http.StatusOK)
	for {
		_, now, ok := rs.store.look(id, who)
		if !ok {
			return
		}
		b, err := json.Marshal(viewOf(&now))
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "event: receipt\ndata: %s\n\n", b); err != nil || control.Flush() != nil || !now.State.waits() {
			return
		}
	wait:
		for {
			select {
			case <-changed:
				break wait
			case <-alive.C:
				if _, err := fmt.Fprint(w, ":\n\n"); err != nil || control.Flush() != nil {
					return
				}
			case <-over.C:
				return
			case <-rs.done:
				return
			case <-r.Context().Done():
				return
			}
		}
	}
}

// receiptPage is what the template sees.
type receiptPage struct {
	Lang, Title, Style, Script, Self string
	Head                             string
	Says                             []string
	Waits                            bool
	Refresh                          int
	Text, YourText                   string
	Link, LinkText, Look             string
	Word, Receipt, Kept, At          string
}

const receiptPolicy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func (rs *Receipts) writePage(w http.ResponseWriter, r *http.Request, e *entry, now Entry, status int) {
	lang := rs.language(strings.Join(r.Header["Accept-Language"], ","))
	says := sayings(lang)
	words := says.states[now.State]
	if now.Login {
		if login, is := says.login[now.State]; is {
			words = login
		}
	}
	p := receiptPage{
		Lang: lang, Title: words.head, Head: words.head, Says: words.says,
		Style:  "/.well-known/deich/style.css",
		Script: ReceiptsPath + "receipt.js?v=" + rs.assets["receipt.js"].version,
		Self:   ReceiptsPath + now.ID.String(), Waits: now.State.waits(), Refresh: 5,
		Text: rs.text(e, now), YourText: says.yourText, Look: says.look,
		Word: string(now.State), Receipt: says.receipt, Kept: now.ID.String(),
		At: time.UnixMilli(now.At).UTC().Format("2006-01-02 15:04:05") + " UTC",
	}
	if link := localPath(now.Location, now.Host); link != "" && now.State == Delivered {
		p.Link, p.LinkText = link, says.show
	}
	var b bytes.Buffer
	if err := rs.page.Execute(&b, p); err != nil {
		rs.store.alarm(fmt.Errorf("spool: receipt: %w", err))
		bare(w, http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", lang)
	h.Set("Content-Security-Policy", receiptPolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // who asked may have gone
}
