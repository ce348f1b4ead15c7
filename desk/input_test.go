package desk

import (
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A browser's session is made by the desk alone.
func FuzzSession(f *testing.F) {
	d, err := New(Options{Token: strings.Repeat("t", tokenLen), State: func() State { return State{} }})
	if err != nil {
		f.Fatal(err)
	}
	const host = "127.0.0.1:2020"
	good := d.session(host, time.Now().Add(time.Hour))
	f.Add(good, host)
	f.Add(good, "127.0.0.1:2021")
	f.Add(d.session(host, time.Now().Add(-time.Hour)), host)
	f.Add(good[:len(good)-1]+"\n", host)
	f.Fuzz(func(t *testing.T, given, at string) {
		// Base64 lets the last character vary in bits that carry nothing.
		if d.sameSession(given, at) && (at != host || len(given) != len(good) || given[:len(good)-1] != good[:len(good)-1]) {
			t.Fatalf("%q opens %q", given, at)
		}
	})
}

func FuzzHost(f *testing.F) {
	d := &Desk{names: []string{"desk.example.org"}}
	for _, seed := range []string{"127.0.0.1:2020", "LOCALHOST", "desk.example.org:80", "[::1]:1", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[desk.example.org]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if !d.ownHost(host) {
			return
		}
		u, err := url.Parse("http://" + host + "/")
		if err != nil {
			return // no browser can be led there
		}
		name := strings.ToLower(u.Hostname())
		if _, err := netip.ParseAddr(name); err != nil && name != "localhost" && name != "desk.example.org" {
			t.Fatalf("%q is let in", host)
		}
	})
}

func FuzzOrigin(f *testing.F) {
	f.Add("http://127.0.0.1:2020", "same-origin", "127.0.0.1:2020", true)
	f.Add("null", "", "127.0.0.1:2020", true)
	f.Add("http://user@127.0.0.1:2020", "none", "127.0.0.1:2020", false)
	f.Add("", "cross-site", "localhost", true)
	f.Fuzz(func(t *testing.T, origin, site, host string, bare bool) {
		r := &http.Request{Method: "POST", Host: host, Header: http.Header{"Origin": {origin}, "Sec-Fetch-Site": {site}}}
		if !sameOrigin(r, bare) {
			return
		}
		if u, err := url.Parse(origin); origin != "" && (err != nil || u.Host != host) {
			t.Fatalf("origin %q may change %q", origin, host)
		}
		if origin == "" && site != "same-origin" && (site != "" || !bare) {
			t.Fatalf("site %q may change something", site)
		}
	})
}

func FuzzReadToken(f *testing.F) {
	f.Add([]byte(strings.Repeat("A", tokenLen) + "\n"))
	f.Add([]byte(strings.Repeat("=", tokenLen)))
	f.Add([]byte(" \r\n"))
	name := filepath.Join(f.TempDir(), TokenFile)
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		token, err := ReadToken(filepath.Dir(name))
		if err == nil && len(token) != tokenLen || err != nil && strings.Contains(err.Error(), string(text)) && len(text) > tokenLen {
			t.Fatalf("%q: %q %v", text, token, err)
		}
	})
}
