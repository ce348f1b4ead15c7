package guard

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAllowedReachesTheOriginCleaned(t *testing.T) {
	s := newScript()
	var seen http.Header
	h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		w.Header().Set("Deich-Member", "ada")
		w.Header().Set("Deich-Reason", "made up")
		io.WriteString(w, "hello")
	})
	a := ask(h, get("/", "Accept", html, "Deich-Member", "root", "Deich-Anything", "x",
		"Cookie", "theme=dark; deich=zzz; deich-place=yyy; lang=de"))
	body, _ := io.ReadAll(a.Body)
	if a.StatusCode != 200 || string(body) != "hello" {
		t.Fatalf("answer %d %q", a.StatusCode, body)
	}
	if got := seen.Get("Cookie"); got != "theme=dark; lang=de" {
		t.Errorf("origin saw the cookies %q", got)
	}
	for name := range seen {
		if strings.HasPrefix(name, "Deich-") {
			t.Errorf("origin saw %s", name)
		}
	}
	for _, name := range []string{"Deich-Member", "Deich-Reason"} {
		if v := a.Header.Get(name); v != "" {
			t.Errorf("client saw %s: %s", name, v)
		}
	}
	if cookie(a, "deich") == "" {
		t.Error("no pass was minted")
	}
	if o := s.outcome(t); o.Status != 200 || o.Failed || o.Aborted {
		t.Errorf("outcome %+v", o)
	}
	s.check(t)
}

func TestRefusalsByKind(t *testing.T) {
	below := deich.Verdict{Act: deich.Wait, Reason: deich.BelowCut, Rank: 14, Cut: 40, RetryAfter: 2 * time.Second}
	over := deich.Verdict{Act: deich.Deny, Reason: deich.OverBudget, RetryAfter: time.Second}
	hand := deich.Verdict{Act: deich.Deny, Reason: deich.ByHand}
	asked := deich.Verdict{Act: deich.Challenge, Reason: deich.Unproven, Bits: 13, Place: 77, RetryAfter: 5 * time.Second}
	for _, c := range []struct {
		name     string
		verdict  deich.Verdict
		accept   string
		method   string
		path     string
		status   int
		kind     string // of the body
		page     string
		ticket   bool
		unlisted bool // no reference
	}{
		{"a page below the cut", below, html, "GET", "/", 503, "text/html", "", false, false},
		{"a program below the cut", below, "*/*", "GET", "/api", 503, "application/problem+json", "", false, false},
		{"a picture below the cut", below, "image/png", "GET", "/logo.png", 503, "", "", false, true},
		{"over budget", over, "*/*", "GET", "/", 429, "application/problem+json", "", false, false},
		{"by hand", hand, html, "GET", "/", 403, "text/html", "", false, false},
		{"a challenge", asked, html, "GET", "/a?b=c", 503, "text/html", "challenge", true, false},
		{"a challenge is not for programs", asked, "*/*", "GET", "/a", 503, "application/problem+json", "", false, false},
		{"a challenge is not for texts", asked, html, "POST", "/a", 503, "text/html", "", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			s.verdict = refusing(c.verdict)
			h := scripted(t, s, func(http.ResponseWriter, *http.Request) { t.Error("reached the origin") })
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Header.Set("Accept", c.accept)
			a := ask(h, r)
			body, _ := io.ReadAll(a.Body)
			if a.StatusCode != c.status {
				t.Errorf("status %d, want %d", a.StatusCode, c.status)
			}
			if kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";"); kind != c.kind {
				t.Errorf("body is %q, want %q", kind, c.kind)
			}
			if got := a.Header.Get("Deich-Reason"); got != c.verdict.Reason.String() {
				t.Errorf("Deich-Reason %q", got)
			}
			if a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
			}
			if (a.Header.Get("Retry-After") != "") != (c.verdict.RetryAfter > 0) {
				t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
			}
			if got := a.Header.Get("Deich-Challenge"); (got != "") != (c.page == "challenge") {
				t.Errorf("Deich-Challenge %q", got)
			}
			if (cookie(a, "deich-place") != "") != c.ticket {
				t.Errorf("ticket %q", cookie(a, "deich-place"))
			}
			reference := a.Header.Get("Deich-Reference")
			if c.unlisted {
				if reference != "" || len(body) != 0 {
					t.Errorf("reference %q, body %q", reference, body)
				}
				return
			}
			e, err := h.Explain(reference)
			if err != nil {
				t.Fatal(err)
			}
			if e.Reason != c.verdict.Reason.String() || e.Rank != c.verdict.Rank || e.Prefix.String() != "192.0.2.0/24" {
				t.Errorf("explained as %+v", e)
			}
			if c.kind == "application/problem+json" {
				var p struct {
					Status    int
					Reason    string
					Reference string
				}
				if err := json.Unmarshal(body, &p); err != nil || p.Status != c.status || p.Reference != reference || p.Reason != e.Reason {
					t.Errorf("problem %s: %v", body, err)
				}
			}
		})
	}
}

func TestRealEngineServesAndKnowsThePass(t *testing.T) {
	engine, err := deich.New(deich.Policy{Sources: deich.SourcesMin, Streams: 16, LimitMax: 16}, [32]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(Options{Engine: engine, Keys: testKeys(), Next: http.HandlerFunc(hello)})
	if err != nil {
		t.Fatal(err)
	}
	a := ask(h, get("/", "Accept", html))
	pass := cookie(a, "deich")
	if a.StatusCode != 200 || pass == "" {
		t.Fatalf("status %d, pass %q", a.StatusCode, pass)
	}
	a = ask(h, get("/", "Accept", html, "Cookie", "deich="+pass))
	if a.StatusCode != 200 || cookie(a, "deich") != "" {
		t.Errorf("status %d; a good pass was minted again: %q", a.StatusCode, cookie(a, "deich"))
	}
	c := h.Counters()
	if n := c.Tiers[deich.Stranger].Served + c.Tiers[deich.Visitor].Served; n != 2 || c.BadPasses != 0 || c.Minted != 1 {
		t.Errorf("served %d, bad passes %d, minted %d", n, c.BadPasses, c.Minted)
	}
}
