package guard

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func TestOwnCookies(t *testing.T) {
	for _, c := range []struct {
		name, header string
		secured      bool
		pass, place  string
	}{
		{"none", "a=b; c=d", false, "", ""},
		{"both", "deich=P; deich-place=T", false, "P", "T"},
		{"between others", "a=b;deich=P ; x=deich=no; deich-place=T;z", false, "P", "T"},
		{"names that only contain it", "xdeich=1; deichx=2; a=deich; __Host-deich=3", false, "", ""},
		{"the first counts", "deich=1; deich=2", false, "1", ""},
		{"over TLS", "deich=1; __Host-deich=P; __Host-deich-place=T", true, "P", "T"},
		{"over TLS, hidden", "x__Host-deich=1; a=__Host-deich=2", true, "", ""},
		{"no value", "deich; deich-place=", false, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			pass, place := ownCookies([]string{c.header}, c.secured)
			if pass != c.pass || place != c.place {
				t.Errorf("pass %q, place %q; want %q, %q", pass, place, c.pass, c.place)
			}
		})
	}
}

func TestStripCookies(t *testing.T) {
	for _, c := range []struct {
		in, out []string
	}{
		{[]string{"a=b; c=d"}, []string{"a=b; c=d"}},
		{[]string{"deich=1"}, nil},
		{[]string{"a=b; deich=1; c=d"}, []string{"a=b; c=d"}},
		{[]string{"deich=1; a=b"}, []string{"a=b"}},
		{[]string{"deich-place=1", "a=b"}, []string{"a=b"}},
		{[]string{"a=deich; mydeich=2"}, []string{"a=deich; mydeich=2"}},
		{[]string{"a=b; deich-desk=1; c=d", "__Host-deich-desk=2; deich-desks=3"}, []string{"a=b; c=d", "deich-desks=3"}},
		{[]string{"__Host-deich=1; deich=2; __Host-deich-place=3; a=\"x y\"; bare"}, []string{"a=\"x y\"; bare"}},
	} {
		h := http.Header{"Cookie": append([]string(nil), c.in...)}
		stripCookies(h)
		if got := h["Cookie"]; fmt.Sprint(got) != fmt.Sprint(c.out) {
			t.Errorf("%q: got %q, want %q", c.in, got, c.out)
		}
	}
}

func TestTenThousandCookies(t *testing.T) {
	s := newScript()
	h := scripted(t, s, hello)
	pass := h.keys.ring.Load().writePass(freshPass(h.now(), deich.Served), "example.com", h.now())
	for _, c := range []struct {
		name, header string
		found        bool
	}{
		{"behind them", strings.Repeat("a=b; ", 10_000) + "deich=" + pass, false},
		{"before them", "deich=" + pass + strings.Repeat("; a=b", 5_000), true},
		{"as many passes", strings.Repeat("deich=x;", 4_000), false},
		{"name after name", strings.Repeat("deichdeich", 3_000), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			begun := time.Now()
			a := ask(h, get("/", "Cookie", c.header))
			if a.StatusCode != 200 {
				t.Errorf("status %d", a.StatusCode)
			}
			if got := s.last(t).Pass.ID != 0; got != c.found {
				t.Errorf("pass found: %t", got)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	s.check(t)
}

func FuzzCookies(f *testing.F) {
	f.Add("deich=P; deich-place=T; a=b", false)
	f.Add("__Host-deich=P;__Host-deich-place=T", true)
	f.Add(" deich = x;;; deich", false)
	f.Fuzz(func(t *testing.T, header string, secured bool) {
		h := http.Header{"Cookie": {header}}
		ownCookies(h["Cookie"], secured)
		stripCookies(h)
		for _, line := range h["Cookie"] {
			for pair := range strings.SplitSeq(line, ";") {
				name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
				if name == passCookie || name == placeCookie || name == deskCookie || name == "__Host-deich" || name == "__Host-deich-place" || name == "__Host-deich-desk" {
					t.Fatalf("%q still holds %q", line, name)
				}
			}
		}
		if pass, place := ownCookies(h["Cookie"], secured); pass != "" || place != "" {
			t.Fatalf("found again: %q, %q in %q", pass, place, h["Cookie"])
		}
	})
}

// FuzzWithoutOwn holds what is cut out against the same put together pair by pair.
func FuzzWithoutOwn(f *testing.F) {
	for _, line := range []string{"a=b; deich=P", "deich=P; a=b; c", "a; deich; b", " ; deich=1; ;a", ";;", "  ", "__Host-deich=1", "deich=1;  ; deich-place=2"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if got, want := withoutOwn(line), piecesWithoutOwn(line); got != want {
			t.Fatalf("%q: left %q, want %q", line, got, want)
		}
	})
}
