package townsquare

import (
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// server is the platform behind its listener. It is safe for concurrent use.
type server struct {
	config  Config
	log     *slog.Logger
	store   *store
	workers *workers
	hub     *hub
	stats   *stats
	pages   map[string]*template.Template
	assets  map[string]asset
	origin  *http.CrossOriginProtection
	nobody  []byte     // a hash to compare with where there is no such member, so that it takes as long
	posting sync.Mutex // messages are published in the order they are stored
	handler http.Handler
	scan    int // messages read by a search

	searchCost time.Duration // CPU time of a search, as measured
}

// newServer gives a server that reads config.Scan messages in a search.
func newServer(config Config, st *store) (*server, error) {
	nobody, err := bcrypt.GenerateFromPassword([]byte("nobody has this password"), config.PasswordCost)
	if err != nil {
		return nil, err
	}
	assets, version, err := loadAssets()
	if err != nil {
		return nil, err
	}
	pages, err := loadPages(version)
	if err != nil {
		return nil, err
	}
	s := &server{
		config: config, log: config.Log, store: st, workers: newWorkers(config.Procs), hub: newHub(),
		pages: pages, assets: assets, origin: http.NewCrossOriginProtection(), nobody: nobody, scan: config.Scan,
	}
	s.handler = s.mux()
	return s, nil
}

// close ends streams and work, and returns when the work begun is done.
func (s *server) close() {
	s.hub.close()
	s.workers.close()
}

// route is one kind of request. Its name is the path, as /stats tells it.
type route struct {
	pattern string
	page    bool // answers a page, else JSON
	do      func(*call) error
}

// missing answers what no route takes.
const missing = "other"

func (s *server) routes() []route {
	return []route{
		{"GET /{$}", true, (*call).timelinePage},
		{"GET /u/{name}", true, (*call).profilePage},
		{"GET /p/{id}", true, (*call).postPage},
		{"GET /search", true, (*call).searchPage},
		{"GET /login", true, (*call).loginPage},
		{"POST /login", true, (*call).login},
		{"GET /signup", true, (*call).signupPage},
		{"POST /signup", true, (*call).signup},
		{"POST /logout", true, (*call).logout},
		{"POST /messages", true, (*call).postForm},
		{"GET /api/timeline", false, (*call).timelineJSON},
		{"GET /api/u/{name}", false, (*call).profileJSON},
		{"GET /api/search", false, (*call).searchJSON},
		{"GET /api/me", false, (*call).meJSON},
		{"POST /api/tokens", false, (*call).grantToken},
		{"DELETE /api/tokens", false, (*call).revokeToken},
		{"POST /api/messages", false, (*call).postJSON},
		{"GET /api/messages", false, (*call).messageByKeyJSON},
	}
}

func (s *server) mux() http.Handler {
	mux := http.NewServeMux()
	routes := s.routes()
	names := []string{missing, "GET /stream", "GET /static/"}
	for _, rt := range routes {
		names = append(names, rt.pattern)
	}
	s.stats = newStats(names)
	for _, rt := range routes {
		mux.HandleFunc(rt.pattern, s.stats.watch(rt.pattern, s.answer(rt)))
	}
	mux.HandleFunc("GET /stream", s.stats.watch("GET /stream", s.stream))
	mux.HandleFunc("GET /static/", s.stats.watch("GET /static/", s.static))
	private := s.private()
	mux.Handle("GET /stats", private)
	mux.Handle("GET /healthz", private)
	other := s.stats.watch(missing, s.answerMissing(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			other(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// private answers what is not counted itself and needs no worker.
func (s *server) private() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", s.serveStats)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("{\"ok\":true}\n")) // who asked may have gone
	})
	return mux
}

// answerMissing answers 404, or 405 where the path takes other methods, in the
// platform's own words.
func (s *server) answerMissing(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		said := headerOnly{header: http.Header{}}
		handler, _ := mux.Handler(r)
		handler.ServeHTTP(&said, r)
		s.answer(route{missing, !isAPI(r), func(c *call) error {
			if said.status == http.StatusMethodNotAllowed {
				c.header.Set("Allow", said.header.Get("Allow"))
				return refuse(http.StatusMethodNotAllowed, "This address does not take "+r.Method+".")
			}
			return refuse(http.StatusNotFound, "There is nothing at this address.")
		}})(w, r)
	}
}

// headerOnly keeps the head of an answer and forgets its body.
type headerOnly struct {
	header http.Header
	status int
}

func (h *headerOnly) Header() http.Header         { return h.header }
func (h *headerOnly) WriteHeader(status int)      { h.status = status }
func (h *headerOnly) Write(b []byte) (int, error) { return len(b), nil }
