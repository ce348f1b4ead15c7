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
	if c := h.Counters(); c.Proofs != 1 || c.BadProofs != 1 || c.Minted != 1 || c.Own != 2 {
		t.Errorf("counted %d proofs, %d bad, %d minted, %d of Deich's own", c.Proofs, c.BadProofs, c.Minted, c.Own)
	}
	if len(s.aside) != 1 || !s.aside[0] {
		t.Errorf("owed for: %v; want the second time alone, as in vain", s.aside)
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

// Whoever makes tokens up leaves the proofs that are checked to those who were asked for one.
func TestProofsAreBudgeted(t *testing.T) {
	s := newScript()
	s.verdict = challenged()
	h := scripted(t, s, hello)
	good := solve(t, ask(h, get("/", "Accept", html)).Header.Get("Deich-Challenge"))
	h.proofs.Store(1)
	for range 3 {
		if a := ask(h, postForm(wellKnown+"challenge", url.Values{"token": {strings.Repeat("A", tokenChars)}, "proof": good["proof"]})); a.StatusCode != 400 {
			t.Errorf("a made-up token: status %d", a.StatusCode)
		}
	}
	if n := h.proofs.Load(); n != 1 {
		t.Errorf("%d proofs may be checked, after made-up tokens", n)
	}
	h.proofs.Store(0)
	a := ask(h, postForm(wellKnown+"challenge", good))
	if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", a.StatusCode, a.Header.Get("Retry-After"))
	}
	if len(s.aside) != 3 {
		t.Errorf("owed for %d times, want what was made up alone", len(s.aside))
	}
	h.proofs.Store(1)
	if a := ask(h, postForm(wellKnown+"challenge", good)); cookie(a, "deich") == "" {
		t.Errorf("what there was no turn for does not hold later: status %d", a.StatusCode)
	}
}

// TestAnAnswerOfOursIsOwedForAtItsEnd: a receipt is watched for minutes, and what
// was charged since is not to be counted from when that began.
func TestAnAnswerOfOursIsOwedForAtItsEnd(t *testing.T) {
	s := newScript()
	h := scripted(t, s, hello)
	v := &visit{r: httptest.NewRequest("GET", wellKnown+"style.css", nil), status: 200, req: deich.Request{At: h.now().Add(-time.Minute)}}
	h.noteOwn(v)
	if late := h.now().Sub(s.asideAt); late < 0 || late > 30*time.Second {
		t.Errorf("owed for %v ago", late)
	}
}

func TestOwnPaths(t *testing.T) {
	s, logged, vain := newScript(), 0, 0
	h := scripted(t, s, func(http.ResponseWriter, *http.Request) { t.Error("reached the origin") }, func(o *Options) { o.Log = func(Entry) { logged++ } })
	for i, c := range []struct {
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
		if c.status >= 400 {
			vain++
		}
		if len(s.aside) != i+1 || s.aside[i] != (c.status >= 400) {
			t.Errorf("%s %s: owed for %v", c.method, c.path, s.aside)
		}
	}
	n := len(s.aside)
	if c := h.Counters(); int(c.Own) != n || c.Statuses[404]+c.Statuses[405] != uint64(vain) || verdictsOf(h, deich.BadRequest) != uint64(vain) || logged != n {
		t.Errorf("of %d requests, %d in vain, %d were counted, %d logged: %+v", n, vain, c.Own, logged, c)
	}
	if all, _ := h.Networks(); len(all) != 1 || all[0].All() != uint64(n) {
		t.Errorf("the networks they came from: %+v", all)
	}
}

// ownStory is a handler with a real engine, in a time of its own.
type ownStory struct {
	h      *Handler
	now    deich.Time
	ticks  int
	out    *deich.Out
	orders []deich.Order
}

func newOwnStory(t *testing.T) *ownStory {
	t.Helper()
	s := &ownStory{now: testTime, out: deich.NewOut()}
	engine, err := deich.New(deich.Policy{Sources: deich.SourcesMin}, [32]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	s.h, err = New(Options{
		Engine: engine, Keys: testKeys(), Next: http.HandlerFunc(hello), Keeper: (&keeperScript{}).keeper(),
		Now:    func() deich.Time { return s.now },
		Orders: func(all []deich.Order) { s.orders = append(s.orders, all...) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tick lets a tenth of a second pass.
func (s *ownStory) tick() {
	s.now = s.now.Add(deich.TickEvery)
	s.ticks++
	if job := s.h.tick(s.ticks, s.out); job != nil {
		s.h.synthesise(job)
	}
}

// Whoever floods Deich's own paths is judged like whoever keeps asking for what is
// refused; who asks a little is not.
func TestWhoFloodsOwnPathsIsJudged(t *testing.T) {
	madeUp := url.Values{"token": {strings.Repeat("A", tokenChars)}, "proof": {"0-1-2-3-4-5-6-7"}}
	for name, request := range map[string]func() *http.Request{
		"what is not there": func() *http.Request { return get(wellKnown + "nothing") },
		"nobody's receipts": func() *http.Request { return get(wellKnown + "receipts/abc") },
		"another method":    func() *http.Request { return httptest.NewRequest("PUT", wellKnown+"challenge", nil) },
		"made-up tokens":    func() *http.Request { return postForm(wellKnown+"challenge", madeUp) },
		"not even a form": func() *http.Request {
			return httptest.NewRequest("POST", wellKnown+"challenge", strings.NewReader("x"))
		},
		"the pages' files":    func() *http.Request { return get(wellKnown + "style.css") },
		"challenges for none": func() *http.Request { return get(wellKnown+"challenge", "Accept", "application/json") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newOwnStory(t)
			for range 150 { // for 15 s, a hundred a second
				for range 10 {
					ask(s.h, request())
				}
				s.tick()
			}
			if len(s.orders) == 0 || s.orders[0].Prefix.String() != "192.0.2.1/32" || s.orders[0].Reason != deich.OverBudget {
				t.Errorf("ordered %+v", s.orders)
			}
			s = newOwnStory(t)
			for i := range 600 { // for a minute, not quite one a second
				if i%11 == 0 {
					ask(s.h, request())
				}
				s.tick()
			}
			if len(s.orders) != 0 {
				t.Errorf("ordered for one a second: %+v", s.orders)
			}
		})
	}
}

// Whoever was given one challenge, and answers it again and again with what costs nothing,
// leaves a turn to others, also where people at the same address keep it from being ordered away.
func TestOneTokenTakesNobodysTurn(t *testing.T) {
	s := newOwnStory(t)
	token := func(from string) string {
		r := get(wellKnown+"challenge", "Accept", "application/json")
		r.RemoteAddr = from
		var c struct{ Token string }
		if err := json.NewDecoder(ask(s.h, r).Body).Decode(&c); err != nil {
			t.Fatal(err)
		}
		return c.Token
	}
	const attacker, person = "192.0.2.1:1234", "198.51.100.1:1234"
	wrong := url.Values{"token": {token(attacker)}, "proof": {"0-1-2-3-4-5-6-7"}}
	for range proofsPerTick + 1 {
		ask(s.h, postForm(wellKnown+"challenge", wrong))
	}
	good := url.Values{"token": {token(person)}}
	answers, _ := deich.SolveProof(deich.ProofSeed(good.Get("token")), deich.BitsMin)
	good.Set("proof", deich.FormatProof(answers))
	r := postForm(wellKnown+"challenge", good)
	r.RemoteAddr = person
	if a := ask(s.h, r); cookie(a, "deich") == "" {
		t.Errorf("no turn for somebody else: %d %s", a.StatusCode, a.Header.Get("Deich-Reason"))
	}
	if a := ask(s.h, postForm(wellKnown+"challenge", wrong)); a.Header.Get("Deich-Reason") != "over_budget" {
		t.Errorf("who goes on is told %d %s", a.StatusCode, a.Header.Get("Deich-Reason"))
	}
}

// Two hundred newcomers behind one address may load what their pages need, all at once, and
// prove that they are people.
func TestNewcomersBehindOneAddressAreNotJudged(t *testing.T) {
	const people = 200
	s := newOwnStory(t)
	var tokens, passes []string
	for n := range people {
		ask(s.h, get(wellKnown+"style.css"))
		for range 5 { // the page's script, and each of its workers
			ask(s.h, get(wellKnown+"challenge.js"))
		}
		var c struct{ Token string }
		if err := json.NewDecoder(ask(s.h, get(wellKnown+"challenge", "Accept", "application/json")).Body).Decode(&c); err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, c.Token)
		if n%10 == 9 {
			s.tick()
		}
	}
	for n, token := range tokens {
		answers, _ := deich.SolveProof(deich.ProofSeed(token), deich.BitsMin)
		a := ask(s.h, postForm(wellKnown+"challenge", url.Values{"token": {token}, "proof": {deich.FormatProof(answers)}}, "Accept", html))
		if pass := cookie(a, "deich"); pass != "" {
			passes = append(passes, pass)
			ask(s.h, get("/", "Accept", html, "Cookie", "deich="+pass))
		}
		if n%10 == 9 {
			s.tick()
		}
	}
	if len(passes) != people {
		t.Fatalf("%d of %d were given a pass", len(passes), people)
	}
	for range 300 { // then they look at what is kept of theirs, every few seconds
		for n := range 4 {
			ask(s.h, get(wellKnown+"receipts/abc", "Cookie", "deich="+passes[(s.ticks*4+n)%len(passes)]))
		}
		s.tick()
	}
	if len(s.orders) != 0 {
		t.Errorf("ordered %+v", s.orders)
	}

	s = newOwnStory(t) // and who only waits, so that nobody there is known
	for i := range 300 {
		come := 0
		switch {
		case i < 10:
			come = people / 10
		case i%10 == 0:
			come = 1
		}
		for range come {
			ask(s.h, get(wellKnown+"style.css"))
		}
		s.tick()
	}
	if len(s.orders) != 0 {
		t.Errorf("ordered for waiting: %+v", s.orders)
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
