package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
)

// site is a small platform behind Deich's pages: it shows the challenge to
// everyone who holds no pass, and lets in who proves the work or comes again
// with a ticket.
type site struct {
	*httptest.Server
	pages http.Handler
	bits  int
	// forgetful sites lose the pass they give: a browser without cookies.
	forgetful bool
	// scriptless sites do not hand out the script.
	scriptless bool

	mu     sync.Mutex
	shown  time.Time // when the challenge was last shown
	proofs []proof
}

// proof is one that a browser sent.
type proof struct {
	holds  bool
	hashes int
	took   time.Duration // from the page's last byte to the form's first, as the site sees it
	from   string        // where the form says it goes back to
}

const siteToken = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEf"

func newSite(t *testing.T, s *site) *site {
	t.Helper()
	pages, err := guard.Preview()
	if err != nil {
		t.Fatal(err)
	}
	s.pages = pages
	mux := http.NewServeMux()
	mux.HandleFunc("POST /.well-known/deich/challenge", s.takeProof)
	mux.HandleFunc("/.well-known/deich/", s.own)
	mux.Handle("/look/", http.StripPrefix("/look", pages))
	mux.HandleFunc("/", s.serve)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *site) own(w http.ResponseWriter, r *http.Request) {
	if s.scriptless && strings.HasSuffix(r.URL.Path, ".js") {
		http.NotFound(w, r)
		return
	}
	s.pages.ServeHTTP(w, r)
}

func (s *site) serve(w http.ResponseWriter, r *http.Request) {
	if has(r, "pass") || has(r, "place") && has(r, "waited") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = welcome.Execute(w, r.URL.RequestURI())
		return
	}
	// The second visit with a ticket is the one whose number is called.
	http.SetCookie(w, &http.Cookie{Name: "place", Value: "1", Path: "/"})
	if has(r, "place") {
		http.SetCookie(w, &http.Cookie{Name: "waited", Value: "1", Path: "/"})
	}
	query := url.Values{
		"token": {siteToken}, "bits": {strconv.Itoa(s.bits)}, "return": {r.URL.RequestURI()},
		"seconds": {"2"}, "reason": {"unproven"},
	}
	look := r.Clone(r.Context())
	look.URL = &url.URL{Path: "/challenge", RawQuery: query.Encode()}
	s.pages.ServeHTTP(w, look)
	s.mu.Lock()
	s.shown = time.Now()
	s.mu.Unlock()
}

func has(r *http.Request, cookie string) bool {
	_, err := r.Cookie(cookie)
	return err == nil
}

func (s *site) takeProof(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answers, err := deich.ParseProof(r.PostFormValue("proof"))
	p := proof{took: time.Since(s.shown), from: r.PostFormValue("return")}
	p.holds = err == nil && r.PostFormValue("token") == siteToken &&
		deich.CheckProof(deich.ProofSeed(siteToken), s.bits, answers)
	for _, n := range answers {
		p.hashes += int(n) + 1
	}
	s.proofs = append(s.proofs, p)
	if !p.holds {
		http.Error(w, "the proof does not hold", http.StatusBadRequest)
		return
	}
	if !s.forgetful {
		http.SetCookie(w, &http.Cookie{Name: "pass", Value: "1", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	w.Header().Set("Location", p.from)
	w.WriteHeader(http.StatusSeeOther)
}

func (s *site) taken() []proof {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]proof(nil), s.proofs...)
}
