package guard

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// TestConnectionRemembersWhatItShows: what comes by a connection that remembers, in any
// order, is judged and handed on as if each request came by its own.
func TestConnectionRemembersWhatItShows(t *testing.T) {
	s := newScript()
	var seen []string
	now := epoch.Add(1000 * time.Hour)
	h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) { seen = r.Header["Cookie"] },
		func(o *Options) {
			o.NextLetsGo = true
			o.Now = func() deich.Time { return now }
			o.Secured = func(r *http.Request) bool { return r.Header.Get("X-Secured") != "" }
		})
	ring := h.keys.ring.Load()
	pass := func(host string, age time.Duration) string {
		return "deich=" + ring.writePass(freshPass(now.Add(-age), deich.Served), host, now.Add(-age))
	}
	mine, other, old := pass("example.com", 0), pass("example.com", 0), pass("example.com", passLifeDefault-time.Minute)
	place := "deich-place=" + ring.writeTicket(7, netip.MustParseAddr("192.0.2.1"), now)
	headers := [][]string{
		nil, {""}, {" "}, {mine}, {other}, {old}, {"a=b; " + mine}, {"a=b; " + mine + "; c=d"}, {mine + "; a=b"}, {"a=b"},
		{mine, "a=b"}, {"a=b", mine}, {mine + "; " + other}, {other + "; " + mine}, {mine + "; " + place}, {place},
		{"__Host-" + mine}, {"__Host-" + mine + "; " + other}, {mine + "x"}, {"deich="}, {"a=b; " + mine + "; c=" + strings.Repeat("d", cookieKeptMax)},
	}
	agents := []string{"", "Mozilla/5.0 Firefox/140.0", "curl/8.1", strings.Repeat("x", 2*traitBytesMax), strings.Repeat("x", 2*traitBytesMax) + " Firefox/1"}
	request := func(i, agent int, host, secured string) *http.Request {
		r := get("/", "User-Agent", agents[agent], "X-Secured", secured)
		r.Host = host
		if headers[i] != nil {
			r.Header["Cookie"] = append([]string(nil), headers[i]...)
		}
		return r
	}
	tell := func(r *http.Request) string {
		seen = nil
		ask(h, r)
		q := s.last(t)
		return fmt.Sprint(q.Pass, q.Place, seen, q.Traits[deich.TraitAgent], q.Traits[deich.TraitAgentClass], q.Traits[deich.TraitCookie])
	}
	held := 0
	for range 40 {
		conn := ConnContext(t.Context(), nil)
		at := now
		few := 1 + rand.IntN(len(headers)) // so that some come again
		for range 60 {
			i, agent := rand.IntN(len(headers)), rand.IntN(len(agents))
			if rand.IntN(2) == 0 {
				i = (few + rand.IntN(2)) % len(headers)
			}
			host, secured := []string{"example.com", "example.com", "example.net"}[rand.IntN(3)], []string{"", "", "y"}[rand.IntN(3)]
			want := tell(request(i, agent, host, secured))
			if got := tell(request(i, agent, host, secured).WithContext(conn)); got != want {
				t.Fatalf("%q to %s by %.20q: %s, without a memory %s", headers[i], host, agents[agent], got, want)
			}
			if m := memoryOf(conn).seen(headers[i], host, secured != ""); m != nil {
				held++
			}
			now += deich.Time(2 * time.Second) // the old one ends meanwhile
		}
		if m := memoryOf(conn).last.Load(); m != nil && (m.changes > cookieChangesMax || len(m.line) > cookieKeptMax) {
			t.Errorf("%d changes, %d bytes", m.changes, len(m.line))
		}
		now = at
	}
	if held == 0 {
		t.Error("nothing was remembered")
	}
}

// TestCookiesAreStrippedOnce: a second time nothing is put back.
func TestCookiesAreStrippedOnce(t *testing.T) {
	h := scripted(t, newScript(), hello)
	conn := ConnContext(t.Context(), nil)
	line := "deich=" + h.keys.ring.Load().writePass(freshPass(h.now(), deich.Served), "example.com", h.now())
	for range 2 {
		v := new(visit)
		v.begin(h, nil, get("/", "Cookie", line).WithContext(conn))
		h.read(v)
		v.strip()
		v.r.Header.Set("Cookie", "a=b")
		v.strip()
		if got := v.r.Header.Get("Cookie"); got != "a=b" {
			t.Errorf("left %q", got)
		}
	}
}
