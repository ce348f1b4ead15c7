package guard

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func postForm(path string, form url.Values, header ...string) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func challenged() func(*deich.Request) deich.Verdict {
	return refusing(deich.Verdict{Act: deich.Challenge, Reason: deich.Unproven, Bits: deich.BitsMin, Place: 5, RetryAfter: time.Second})
}

// solve answers the challenge in a Deich-Challenge header.
func solve(t *testing.T, header string) url.Values {
	t.Helper()
	bits, token, ok := strings.Cut(header, ";token=")
	if !ok || bits != "bits=12" {
		t.Fatalf("Deich-Challenge: %q", header)
	}
	answers, _ := deich.SolveProof(deich.ProofSeed(token), deich.BitsMin)
	return url.Values{"token": {token}, "proof": {deich.FormatProof(answers)}}
}

func TestProofEarnsAPass(t *testing.T) {
	s := newScript()
	s.verdict = challenged()
	h := scripted(t, s, hello)
	form := solve(t, ask(h, get("/search?q=a", "Accept", html)).Header.Get("Deich-Challenge"))
	form.Set("return", "/search?q=a")

	a := ask(h, postForm(wellKnown+"challenge", form, "Accept", html))
	pass := cookie(a, "deich")
	if a.StatusCode != 303 || a.Header.Get("Location") != "/search?q=a" || pass == "" {
		t.Fatalf("status %d to %q with pass %q", a.StatusCode, a.Header.Get("Location"), pass)
	}
	if p := h.keys.ring.Load().showPass(pass, "example.com", h.now(), passLifeDefault).pass; p.Earned != deich.Proved || p.Days != 1 {
		t.Errorf("pass %+v", p)
	}
	a = ask(h, postForm(wellKnown+"challenge", form, "Accept", html))
	if a.StatusCode != 400 || a.Header.Get("Deich-Reason") != "bad_proof" || cookie(a, "deich") != "" {
		t.Errorf("again: status %d, %s", a.StatusCode, a.Header.Get("Deich-Reason"))
	}
	if c := h.Counters(); c.Proofs != 1 || c.BadProofs != 1 || c.Minted != 1 {
		t.Errorf("counted %d proofs, %d bad, %d minted", c.Proofs, c.BadProofs, c.Minted)
	}
}

func TestProofOfAProgram(t *testing.T) {
	s := newScript()
	s.verdict = challenged()
	h := scripted(t, s, hello)
	a := ask(h, get(wellKnown+"challenge?return=/x", "Accept", "application/json"))
	var c struct {
		Token         string
		Bits, Puzzles int
	}
	if err := json.NewDecoder(a.Body).Decode(&c); err != nil || c.Bits != deich.BitsMin || c.Puzzles != deich.Puzzles {
		t.Fatalf("%+v: %v", c, err)
	}
	if got := s.last(t); got.Path != "/x" || got.Kind != deich.Page || !got.Safe {
		t.Errorf("judged as %+v", got)
	}
	answers, _ := deich.SolveProof(deich.ProofSeed(c.Token), c.Bits)
	form := url.Values{"token": {c.Token}, "proof": {deich.FormatProof(answers)}}
	if a := ask(h, postForm(wellKnown+"challenge", form, "Accept", "application/json")); a.StatusCode != 204 || cookie(a, "deich") == "" {
		t.Errorf("status %d, pass %q", a.StatusCode, cookie(a, "deich"))
	}
}

func TestProofKeepsAnOlderPass(t *testing.T) {
	s := newScript()
	s.verdict, s.mint = challenged(), false
	h := scripted(t, s, hello)
	r := h.keys.ring.Load()
	older := deich.Pass{ID: 7, First: h.now().Add(-time.Hour), Days: 3}
	form := solve(t, ask(h, get("/", "Accept", html)).Header.Get("Deich-Challenge"))
	a := ask(h, postForm(wellKnown+"challenge", form, "Accept", html,
		"Cookie", "deich="+r.writePass(older, "example.com", h.now())))
	if p := r.showPass(cookie(a, "deich"), "example.com", h.now(), passLifeDefault).pass; p.ID != 7 || p.Days != 3 || p.Earned != deich.Served {
		t.Errorf("pass %+v", p)
	}
	form = solve(t, ask(h, get("/", "Accept", html)).Header.Get("Deich-Challenge"))
	if a := ask(h, postForm(wellKnown+"challenge", form, "Accept", html)); a.StatusCode != 429 || cookie(a, "deich") != "" {
		t.Errorf("minted beyond the prefix's bound: status %d", a.StatusCode)
	}
}

func TestProofsThatDoNotHold(t *testing.T) {
	s := newScript()
	s.verdict = challenged()
	now := testTime
	h := scripted(t, s, hello, func(o *Options) { o.Now = func() deich.Time { return now } })
	good := solve(t, ask(h, get("/", "Accept", html)).Header.Get("Deich-Challenge"))
	with := func(name, value string) url.Values {
		return url.Values{"token": good["token"], "proof": good["proof"], name: {value}}
	}
	elsewhere := postForm(wellKnown+"challenge", good)
	elsewhere.RemoteAddr = "198.51.100.1:4000"
	wrongType := postForm(wellKnown+"challenge", good)
	wrongType.Header.Set("Content-Type", "text/plain")
	for _, c := range []struct {
		name    string
		request *http.Request
	}{
		{"no token", postForm(wellKnown+"challenge", with("token", ""))},
		{"a forged token", postForm(wellKnown+"challenge", with("token", strings.Repeat("A", tokenChars)))},
		{"no proof", postForm(wellKnown+"challenge", with("proof", ""))},
		{"a wrong proof", postForm(wellKnown+"challenge", with("proof", "0-1-2-3-4-5-6-7"))},
		{"from another network", elsewhere},
		{"not a form", wrongType},
		{"too long", postForm(wellKnown+"challenge", with("x", strings.Repeat("y", proofFormMax)))},
		{"broken escapes", httptest.NewRequest("POST", wellKnown+"challenge", strings.NewReader("%zz"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := ask(h, c.request); a.StatusCode != 400 || cookie(a, "deich") != "" {
				t.Errorf("status %d, pass %q", a.StatusCode, cookie(a, "deich"))
			}
		})
	}
	now = now.Add(tokenLife + time.Second)
	if a := ask(h, postForm(wellKnown+"challenge", good)); a.StatusCode != 400 {
		t.Errorf("too late: status %d", a.StatusCode)
	}
}

func TestProofsAreBudgeted(t *testing.T) {
	s := newScript()
	h := scripted(t, s, hello)
	h.proofs.Store(0)
	a := ask(h, postForm(wellKnown+"challenge", url.Values{}))
	if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", a.StatusCode, a.Header.Get("Retry-After"))
	}
}

func TestOwnPaths(t *testing.T) {
	s := newScript()
	h := scripted(t, s, func(http.ResponseWriter, *http.Request) { t.Error("reached the origin") })
	for _, c := range []struct {
		method, path, accept string
		status               int
		location             string
	}{
		{"GET", "challenge?return=/a", html, 303, "/a"},
		{"GET", "challenge?return=//evil.example", html, 303, "/"},
		{"GET", "challenge", "application/json", 200, ""},
		{"PUT", "challenge", "", 405, ""},
		{"GET", "challenge.js", "", 200, ""},
		{"GET", "style.css", "", 200, ""},
		{"POST", "style.css", "", 404, ""},
		{"GET", "", "", 404, ""},
		{"GET", "pages/frame.html", "", 404, ""},
		{"GET", "receipts/1", "", 404, ""},
	} {
		a := ask(h, func() *http.Request {
			r := httptest.NewRequest(c.method, wellKnown+c.path, nil)
			r.Header.Set("Accept", c.accept)
			return r
		}())
		if a.StatusCode != c.status || a.Header.Get("Location") != c.location {
			t.Errorf("%s %s: %d to %q, want %d to %q", c.method, c.path, a.StatusCode, a.Header.Get("Location"), c.status, c.location)
		}
	}
}

func TestReturnPathStaysOnTheSite(t *testing.T) {
	for in, want := range map[string]string{
		"/":                              "/",
		"/a/b?c=d&e=/f":                  "/a/b?c=d&e=/f",
		"/%C3%BC":                        "/%C3%BC",
		"":                               "/",
		"a":                              "/",
		"//evil.example":                 "/",
		"/\\evil.example":                "/",
		"https://evil.example/":          "/",
		"/\t/evil.example":               "/",
		"/a\r\nSet-Cookie: x=y":          "/",
		"/a#b":                           "/",
		"/ü":                             "/",
		wellKnown + "challenge":          "/",
		"/" + strings.Repeat("x", 4_000): "/",
	} {
		if got := returnPath(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzReturnPath(f *testing.F) {
	f.Add("/a?b=c")
	f.Add("//x")
	f.Add("/\\x")
	f.Add("/..//x")
	base, _ := url.Parse("https://site.example/here")
	f.Fuzz(func(t *testing.T, in string) {
		out := returnPath(in)
		u, err := url.Parse(out)
		if err != nil {
			return // browsers keep a path whose escapes are broken
		}
		if to := base.ResolveReference(u); to.Host != "site.example" || to.Scheme != "https" || !strings.HasPrefix(out, "/") {
			t.Fatalf("%q leads to %v", in, to)
		}
	})
}
