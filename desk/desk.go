package desk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/deichproject/deich/desk/alert"
	"github.com/deichproject/deich/desk/incident"
	"golang.org/x/net/netutil"
)

// Options are what a Desk needs; Token and State must be set.
type Options struct {
	Token string           // from OpenToken
	Names []string         // host names it answers to, beside addresses and localhost
	State func() State     // what is so now; called once a second and for each question
	Now   func() time.Time // nil: time.Now
	// Find says what is known of a reference, an address or a network; false where
	// it is none of them. nil: nothing can be looked up.
	Find func(what string) (Found, bool)
	// Missed gives who could not read or send since it was last called; Run alone
	// calls it, once a second at most. nil: nobody is counted.
	Missed func() incident.Marks
}

// Desk is the private server. It is safe for concurrent use.
type Desk struct {
	token    string
	tokenSum [32]byte
	names    []string
	state    func() State
	now      func() time.Time
	find     func(what string) (Found, bool)
	missed   func() incident.Marks
	mux      *http.ServeMux
	pages    *template.Template
	// style is the style sheet, for the page that asks for the token, and
	// askPolicy lets it in there by its hash.
	style     template.CSS
	askPolicy string
	events    ring[Event]
	live      live
	incidents *Keeper       // nil: none are kept
	alerts    *alert.Sender // nil: nobody is told
}

// New makes a private server that listens nowhere yet.
func New(o Options) (*Desk, error) {
	if len(o.Token) < tokenLen {
		return nil, errors.New("desk: new: no token")
	}
	if o.State == nil {
		return nil, errors.New("desk: new: no state")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Desk{
		token: o.Token, tokenSum: sha256.Sum256([]byte(o.Token)),
		state: o.State, now: o.Now, find: o.Find, missed: o.Missed, mux: http.NewServeMux(), pages: templates(),
	}
	for _, n := range o.Names {
		d.names = append(d.names, strings.ToLower(n))
	}
	d.style, d.askPolicy = askStyle()
	d.events.room = eventsMax
	d.live.history.room = historySeconds
	d.Mount("GET /{$}", http.HandlerFunc(d.servePage))
	d.Mount("GET /desk.css", asset("desk.css", "text/css; charset=utf-8"))
	d.Mount("GET /desk.js", asset("desk.js", "text/javascript; charset=utf-8"))
	d.Mount("GET /healthz", http.HandlerFunc(d.serveHealth))
	d.Mount("GET /metrics", http.HandlerFunc(d.serveMetrics))
	d.Mount("GET /api/v1/state", http.HandlerFunc(d.serveState))
	d.Mount("GET /api/v1/events", http.HandlerFunc(d.serveEvents))
	d.Mount("GET /api/v1/history", http.HandlerFunc(d.serveHistory))
	d.Mount("GET /api/v1/tables/{file}", http.HandlerFunc(d.serveTable))
	return d, nil
}

// Mount adds a handler under a pattern of http.ServeMux; the token is asked
// before it is reached.
func (d *Desk) Mount(pattern string, h http.Handler) { d.mux.Handle(pattern, h) }

// Handler is everything the desk serves, behind its questions.
func (d *Desk) Handler() http.Handler { return d.ask(named(d.mux)) }

// Serve answers on l until ctx ends; then open requests have a moment to end
// too. It closes l.
func (d *Desk) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           d.Handler(),
		ReadHeaderTimeout: headerWait,
		IdleTimeout:       idleWait,
		MaxHeaderBytes:    requestHeaderMax,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// Broken requests to a private port are no news for the log.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	var sampling sync.WaitGroup
	sampling.Go(func() { d.Run(ctx) })
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(l, connsMax)) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.Background(), drainWait)
		defer cancel()
		if server.Shutdown(drain) != nil {
			server.Close()
		}
		err = <-served
	}
	if errors.Is(err, http.ErrServerClosed) {
		sampling.Wait()
		return nil
	}
	return fmt.Errorf("desk: serve: %w", err)
}

func (d *Desk) serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n")
}
