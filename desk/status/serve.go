package status

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// Server serves the page from a data folder. It is safe for concurrent use.
type Server struct {
	dir, url string
	zone     *time.Location
	now      func() time.Time
	// subscribers are nil where nobody can subscribe.
	subscribers *Subscribers

	mu     sync.Mutex
	second int64 // when the file was last looked at
	file   os.FileInfo
	doc    *Document
	err    error
	others []string          // languages beside English and German
	pages  map[string]answer // by path and language
}

// answer is a page as it is given to everyone, plain and small by gzip, each with
// its entity tag.
type answer struct {
	kind          string
	body, small   []byte
	tag, smallTag string
}

// NewServer makes one. url is where the public finds the page ("": not known;
// then feeds name no address), times are told in zone.
func NewServer(dir, url string, zone *time.Location) *Server {
	if url != "" && !strings.HasSuffix(url, "/") {
		url += "/"
	}
	return &Server{dir: dir, url: url, zone: zone, now: time.Now}
}

// Serve answers on l until ctx ends. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: headerWait, ReadTimeout: headerWait, WriteTimeout: writeWait, IdleTimeout: idleWait,
		MaxHeaderBytes: requestHeaderMax, ErrorLog: log.New(io.Discard, "", 0),
	}
	drained := make(chan struct{})
	done := context.AfterFunc(ctx, func() {
		defer close(drained)
		drain, cancel := context.WithTimeout(context.Background(), drainWait)
		defer cancel()
		if server.Shutdown(drain) != nil {
			server.Close()
		}
	})
	open := newConns(l, connsMax)
	server.ConnState = open.state
	err := server.Serve(open)
	if !done() { // it was told to end, and what it had begun ends
		<-drained
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("status: serve: %w", err)
	}
	return nil
}

// ServeHTTP answers /, the feeds, the badge and the calendar; anything else is not found.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if p := r.URL.Path; s.subscribers != nil && (p == "/subscribe" || p == "/confirm" || p == "/leave") &&
		(r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodPost) {
		s.serveSubscribe(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	lang := Language(r, s.languages()...)
	a, err := s.answer(r.URL.Path, lang)
	switch {
	case errors.Is(err, errNoPage):
		http.Error(w, "not found: the page is /, the feeds are /feed.atom and /feed.json, the badge is /badge.svg, the calendar is /calendar.ics", http.StatusNotFound)
		return
	case err != nil:
		h.Set("Retry-After", "30")
		http.Error(w, "Nothing is known yet. Please try again in 30 seconds.\nNoch ist nichts bekannt. Bitte versuchen Sie es in 30 Sekunden noch einmal.", http.StatusServiceUnavailable)
		return
	}
	h.Set("Content-Type", a.kind)
	h.Set("Content-Language", lang)
	h.Set("Cache-Control", "public, max-age=5")
	if r.URL.Path == "/badge.svg" { // it stands on others' pages: they ask more, and less often
		h.Set("Cache-Control", "public, max-age=30")
	}
	h.Set("Vary", "Accept-Language, Accept-Encoding")
	body, tag := a.body, a.tag
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body, tag = a.small, a.smallTag
	}
	h.Set("ETag", tag)
	if had(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		w.Write(body)
	}
}

// had says whether a client has what it asks for already, by RFC 9110, 13.1.2.
func had(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		if part = strings.TrimPrefix(strings.TrimSpace(part), "W/"); part == tag || part == "*" {
			return true
		}
	}
	return false
}

var errNoPage = errors.New("status: no such page")

// paths are all that is served, and published.
var paths = []string{"/", "/feed.atom", "/feed.json", "/badge.svg", "/calendar.ics"}

// answer gives a page as of this second: everyone who asks within it gets the
// same bytes. What tells no age stays until the file says something else.
func (s *Server) answer(path, lang string) (answer, error) {
	if !slices.Contains(paths, path) {
		return answer{}, errNoPage
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookOnce(now)
	if s.doc == nil {
		return answer{}, s.err
	}
	if a, ok := s.pages[path+lang]; ok {
		return a, nil
	}
	a, err := makeAnswer(s.doc, path, lang, s.url, now, s.zone, true, links{subscribe: s.subscribers != nil})
	if err == nil {
		s.pages[path+lang] = a
	}
	return a, err
}

// languages gives those that the page can be read in beside English and German.
func (s *Server) languages() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookOnce(s.now())
	return s.others
}

// lookOnce looks at the file once a second; s.mu is held.
func (s *Server) lookOnce(now time.Time) {
	if now.Unix() != s.second || s.pages == nil {
		s.look()
		s.second = now.Unix()
	}
}

// look reads the file where it is another one than last time, and forgets the
// pages that are not true any more; s.mu is held.
func (s *Server) look() {
	maps.DeleteFunc(s.pages, func(key string, _ answer) bool {
		return strings.HasPrefix(key, "/badge.svg") || !strings.Contains(key, ".")
	})
	info, err := os.Stat(filepath.Join(s.dir, File))
	if err == nil && s.file != nil && os.SameFile(info, s.file) && info.ModTime().Equal(s.file.ModTime()) && info.Size() == s.file.Size() {
		return
	}
	doc, err := Read(s.dir)
	switch {
	case err == nil:
		s.doc, s.err, s.file, s.pages = doc, nil, info, map[string]answer{}
		s.others = doc.languages()
	case s.doc == nil: // else what was last heard stands, with its age
		s.err = err
	}
}

func makeAnswer(d *Document, path, lang, url string, now time.Time, zone *time.Location, live bool, l links) (a answer, err error) {
	switch path {
	case "/":
		a.kind = "text/html; charset=utf-8"
		a.body, err = d.render(lang, now, zone, live, l)
	case "/feed.atom":
		a.kind = "application/atom+xml; charset=utf-8"
		a.body, err = d.atom(lang, url, l)
	case "/feed.json":
		a.kind = "application/feed+json; charset=utf-8"
		a.body, err = d.json(lang, url, l)
	case "/badge.svg":
		a.kind = "image/svg+xml"
		a.body = d.badge(lang, now, zone, live)
	case "/calendar.ics":
		a.kind = "text/calendar; charset=utf-8"
		a.body = d.calendar(lang, url)
	}
	if err != nil {
		return a, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(a.body) // to memory: it cannot fail
	z.Close()
	a.small = b.Bytes()
	sum := sha256.Sum256(a.body)
	name := base64.RawURLEncoding.EncodeToString(sum[:12])
	a.tag, a.smallTag = `"`+name+`"`, `"`+name+`-gz"`
	return a, nil
}

// Language is what was chosen by ?lang=, or what the browser likes best: "de", "en" or
// one of more; English where it likes none of them.
func Language(r *http.Request, more ...string) string {
	known := func(lang string) bool { return lang == "de" || lang == "en" || slices.Contains(more, lang) }
	if r.URL.RawQuery != "" {
		if lang := r.URL.Query().Get("lang"); known(lang) {
			return lang
		}
	}
	best, lang := -1., "en"
	for i, part := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		if i >= 16 {
			break
		}
		name, rest, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		if !known(name) {
			name, _, _ = strings.Cut(name, "-")
		}
		q := 1.
		if v, ok := strings.CutPrefix(strings.TrimSpace(rest), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(v, 64); err != nil {
				q = 0
			}
		}
		if known(name) && q > best && q > 0 {
			best, lang = q, name
		}
	}
	return lang
}

// Publish writes the page and the feeds as files into a folder, for a place
// that does not share the site's fate, and removes those that it wrote in languages
// that are not offered any more.
func Publish(dir, to, url string, now time.Time, zone *time.Location) ([]string, error) {
	d, err := Read(dir)
	if err != nil {
		return nil, err
	}
	if url != "" && !strings.HasSuffix(url, "/") {
		url += "/"
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return nil, fmt.Errorf("status: publish: %w", err)
	}
	l := links{files: true}
	offered := append([]string{"en", "de"}, d.languages()...)
	var written []string
	for _, path := range paths {
		for _, lang := range offered {
			name := l.file(path, lang)
			a, err := makeAnswer(d, path, lang, url, now, zone, false, l)
			if err == nil {
				err = replace(filepath.Join(to, name), a.body)
			}
			if err != nil {
				return written, fmt.Errorf("status: publish: %w", err)
			}
			written = append(written, name)
		}
	}
	if err := sweep(to, offered); err != nil {
		return written, fmt.Errorf("status: publish: %w", err)
	}
	return written, nil
}

// sweep removes the files of languages that are not offered any more, lest an old
// incident stand there as if it went on. That they are ours their Atom feed tells,
// which goes last: where one cannot be removed, it is tried again the next time.
func sweep(to string, offered []string) error {
	all, err := os.ReadDir(to)
	if err != nil {
		return err
	}
	l := links{files: true}
	for _, e := range all {
		lang := strings.TrimSuffix(strings.TrimPrefix(e.Name(), "feed."), ".atom")
		mark := l.file("/feed.atom", lang)
		if e.Name() != mark || slices.Contains(offered, lang) || (incident.Also{lang: "x"}).Check() != nil || !ours(to, e, lang) {
			continue
		}
		for _, path := range paths {
			if name := l.file(path, lang); name != mark {
				err = errors.Join(err, remove(filepath.Join(to, name)))
			}
		}
		if err == nil {
			err = remove(filepath.Join(to, mark))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ours says whether a file is the Atom feed that Publish writes in a language.
func ours(dir string, e os.DirEntry, lang string) bool {
	if !e.Type().IsRegular() {
		return false
	}
	f, err := os.Open(filepath.Join(dir, e.Name()))
	if err != nil {
		return false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, markBytes))
	return err == nil && bytes.Contains(b, []byte(`<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="`+lang+`">`)) && bytes.Contains(b, []byte("<name>"+feedAuthor+"</name>"))
}

// remove removes a file, if there is one: no folder, and nothing that leads elsewhere.
func remove(name string) error {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err == nil {
		err = os.Remove(name)
	}
	return err
}

// replace writes a file that others may read, as a whole.
func replace(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
