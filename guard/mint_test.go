package guard

import (
	"net/http"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func TestWhenAPassIsMinted(t *testing.T) {
	page := []string{"Accept", html}
	for _, c := range []struct {
		name    string
		request []string
		method  string
		status  int
		header  []string // of the answer
		minted  bool
		control string // Cache-Control of the answer, afterwards
	}{
		{"a page that says nothing of caches", page, "GET", 200, nil, true, "private"},
		{"a private page", page, "GET", 200, []string{"Cache-Control", "private, max-age=60"}, true, "private, max-age=60"},
		{"a page not to be stored", page, "GET", 200, []string{"Cache-Control", "no-store"}, true, "no-store"},
		{"a page to be asked for again", page, "GET", 200, []string{"Cache-Control", "No-Cache"}, true, "no-cache, private"},
		{"a shared page", page, "GET", 200, []string{"Cache-Control", "public"}, false, "public"},
		{"a page shared for a while", page, "GET", 200, []string{"Cache-Control", "max-age=60"}, false, "max-age=60"},
		{"a page with a date", page, "GET", 200, []string{"Expires", "Thu, 01 Jan 2032 00:00:00 GMT"}, false, ""},
		{"a page that has expired", page, "GET", 200, []string{"Expires", "0"}, true, "private"},
		{"a redirect", page, "GET", 302, nil, true, "private"},
		{"not found", page, "GET", 404, nil, false, ""},
		{"an error", page, "GET", 500, nil, false, ""},
		{"a program", []string{"Accept", "*/*"}, "GET", 200, nil, false, ""},
		{"a program that logs in", []string{"Accept", "*/*"}, "POST", 200, []string{"Deich-Member", "ada"}, true, "private"},
		{"a form that logs in", page, "POST", 303, []string{"Deich-Member", "ada"}, true, "private"},
		{"a picture", []string{"Sec-Fetch-Dest", "image"}, "GET", 200, nil, false, ""},
		{"an absurd member", []string{"Accept", "*/*"}, "POST", 200, []string{"Deich-Member", string(make([]byte, 300))}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
				for i := 0; i < len(c.header); i += 2 {
					w.Header().Set(c.header[i], c.header[i+1])
				}
				w.WriteHeader(c.status)
			})
			r := get("/", c.request...)
			r.Method = c.method
			a := ask(h, r)
			if got := cookie(a, "deich") != ""; got != c.minted {
				t.Errorf("minted: %t, want %t", got, c.minted)
			}
			if got := a.Header.Get("Cache-Control"); got != c.control {
				t.Errorf("Cache-Control %q, want %q", got, c.control)
			}
			s.check(t)
		})
	}
}

func TestPassGrowsWithTheClient(t *testing.T) {
	s := newScript()
	now := testTime
	member := ""
	h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
		if member != "" {
			w.Header().Set("Deich-Member", member)
		}
	}, func(o *Options) { o.Now = func() deich.Time { return now } })
	held := ""
	visit := func() deich.Pass {
		t.Helper()
		a := ask(h, get("/", "Accept", html, "Cookie", "deich="+held))
		if c := cookie(a, "deich"); c != "" {
			held = c
			return h.keys.ring.Load().showPass(c, "example.com", now, passLifeDefault).pass
		}
		return deich.Pass{}
	}
	first := visit()
	if first.ID == 0 || first.Days != 1 || first.First != now || first.Earned != deich.Served {
		t.Fatalf("first: %+v", first)
	}
	now = now.Add(time.Hour)
	if p := visit(); p.ID != 0 {
		t.Errorf("minted again within the day: %+v", p)
	}
	now = now.Add(24 * time.Hour)
	second := visit()
	if second.ID != first.ID || second.First != first.First || second.Days != 2 {
		t.Errorf("next day: %+v", second)
	}
	member = "ada"
	in := visit()
	if in.ID != first.ID || in.Account == 0 || in.Since != now || in.Days != 2 {
		t.Errorf("logged in: %+v", in)
	}
	now = now.Add(time.Minute)
	if p := visit(); p.ID != 0 {
		t.Errorf("minted again for the same account: %+v", p)
	}
	member = "bob"
	if p := visit(); p.Account == in.Account || p.Since != now {
		t.Errorf("another account: %+v", p)
	}
	member = "0"
	if p := visit(); p.ID != first.ID || p.Account != 0 || p.Since != 0 {
		t.Errorf("logged out: %+v", p)
	}
	s.check(t)
}

func TestPassOfTheWaitingRoom(t *testing.T) {
	s := newScript()
	s.verdict = refusing(deich.Verdict{Act: deich.Wait, Reason: deich.Unproven, Place: 99, RetryAfter: time.Second})
	h := scripted(t, s, hello)
	a := ask(h, get("/", "Accept", html))
	ticket := cookie(a, "deich-place")
	if a.StatusCode != 503 || ticket == "" {
		t.Fatalf("status %d, ticket %q", a.StatusCode, ticket)
	}
	a = ask(h, get("/", "Accept", html, "Cookie", "deich-place="+ticket))
	if got := s.last(t).Place; got != 99 {
		t.Errorf("the engine saw the number %d", got)
	}
	if again := cookie(a, "deich-place"); again != "" {
		t.Error("a fresh ticket was renewed")
	}
	s.verdict = refusing(deich.Verdict{Reason: deich.Called, Rank: 43})
	a = ask(h, get("/", "Accept", html, "Cookie", "deich-place="+ticket))
	p := h.keys.ring.Load().showPass(cookie(a, "deich"), "example.com", h.now(), passLifeDefault).pass
	if a.StatusCode != 200 || p.Earned != deich.Waited {
		t.Errorf("status %d, pass %+v", a.StatusCode, p)
	}
	s.check(t)
}

func TestMintIsAskedForNewChainsAlone(t *testing.T) {
	s := newScript()
	s.mint = false
	h := scripted(t, s, hello)
	if c := cookie(ask(h, get("/", "Accept", html)), "deich"); c != "" {
		t.Error("minted although the engine said no")
	}
	yesterday := h.now().Add(-24 * time.Hour)
	old := h.keys.ring.Load().writePass(freshPass(yesterday, deich.Served), "example.com", yesterday)
	if c := cookie(ask(h, get("/", "Accept", html, "Cookie", "deich="+old)), "deich"); c == "" {
		t.Error("a held pass was not renewed")
	}
}

func TestBadPassCountsAsNone(t *testing.T) {
	s := newScript()
	h := scripted(t, s, hello)
	a := ask(h, get("/", "Accept", html, "Cookie", "deich=forged"))
	if a.StatusCode != 200 || s.last(t).Pass.ID != 0 || h.Counters().BadPasses != 1 {
		t.Errorf("status %d, pass %+v, bad passes %d", a.StatusCode, s.last(t).Pass, h.Counters().BadPasses)
	}
}

func TestConnectionRemembersItsPass(t *testing.T) {
	s := newScript()
	now := testTime
	h := scripted(t, s, hello, func(o *Options) { o.Now = func() deich.Time { return now } })
	pass := h.keys.ring.Load().writePass(freshPass(now, deich.Served), "example.com", now)
	ctx := ConnContext(t.Context(), nil)
	send := func(cookie, host string) uint64 {
		r := get("/", "Cookie", "deich="+cookie).WithContext(ctx)
		r.Host = host
		ask(h, r)
		return s.last(t).Pass.ID
	}
	id := send(pass, "example.com")
	if id == 0 || send(pass, "example.com") != id {
		t.Error("not the same pass twice")
	}
	if send(pass, "example.net") != 0 {
		t.Error("remembered for another host")
	}
	if send("forged", "example.com") != 0 {
		t.Error("remembered for another cookie")
	}
	now = now.Add(passLifeDefault + time.Hour)
	if send(pass, "example.com") != 0 {
		t.Error("remembered beyond its life")
	}
}
