package guard

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/deichproject/deich"
)

// sharable says whether a shared cache may keep an answer, as RFC 9111,
// section 3 has it, for what keepPrivate may have left.
func sharable(h http.Header) bool {
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(h["Cache-Control"], ",")), ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if name == "private" || name == "no-store" {
			return false
		}
	}
	return true
}

func FuzzKeepPrivate(f *testing.F) {
	for _, said := range []string{"", "public", "max-age=60", "s-maxage=1, private", "no-cache", `max-age="0"`, "max-age=9999999999999999999", "PRIVATE", ",,=,"} {
		f.Add(said, "")
	}
	f.Add("", "Thu, 01 Jan 2099 00:00:00 GMT")
	f.Add("", "-1")
	f.Fuzz(func(t *testing.T, control, expires string) {
		h := http.Header{}
		if control != "" {
			h["Cache-Control"] = []string{control}
		}
		if expires != "" {
			h["Expires"] = []string{expires}
		}
		before := maps.Clone(h)
		switch private := keepPrivate(h); {
		case private && sharable(h):
			t.Fatalf("%q %q: a shared cache may keep %q", control, expires, h["Cache-Control"])
		case !private && !maps.EqualFunc(h, before, slices.Equal):
			t.Fatalf("%q: the origin's word became %q", control, h["Cache-Control"])
		}
	})
}

func FuzzKind(f *testing.F) {
	set, err := newSettings(Config{API: []string{"/api"}, Streams: []string{"/live"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/", html, "document", "navigate", "", false)
	f.Add("/live/x", "", "", "", "websocket", false)
	f.Add("/live/../search", "", "", "", "websocket", true)
	f.Add("/api/x.png", "text/event-stream", "empty", "cors", "", true)
	f.Add("/a.CSS", strings.Repeat(",", acceptBytesMax)+"text/html", "", "", "", false)
	f.Fuzz(func(t *testing.T, path, accept, dest, mode, upgrade string, streams bool) {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: path}}
		kind := kindOf(r, &headers{accept: accept, dest: dest, mode: mode, upgrade: upgrade}, set, streams)
		if kind.String() == "unknown" {
			t.Fatalf("%v", kind)
		}
		// Saying that it is a stream takes no place at the origin: never on the client's word.
		if kind == deich.Stream && !streams && !strings.HasPrefix(path, "/live") {
			t.Fatalf("%q with Upgrade %q is a stream", path, upgrade)
		}
		if kind == deich.Stream && deich.Climbs(path) {
			t.Fatalf("%q is a stream, and leads elsewhere", path)
		}
	})
}

// Whatever is sent in a proof's place earns no pass.
func FuzzProofForm(f *testing.F) {
	s := newScript()
	h := scripted(f, s, func(http.ResponseWriter, *http.Request) { f.Error("reached the origin") })
	token := h.keys.ring.Load().writeToken(deich.BitsMin, testClient, h.now())
	f.Add("application/x-www-form-urlencoded", "token="+token+"&proof=0-0-0-0-0-0-0-0&return=/a")
	f.Add("application/x-www-form-urlencoded; charset=\"", "token=a;proof=b")
	f.Add("multipart/form-data", "%")
	f.Add("application/x-www-form-urlencoded", strings.Repeat("token=&", proofFormMax/7+1))
	f.Fuzz(func(t *testing.T, kind, body string) {
		h.proofs.Store(1)
		r := httptest.NewRequest("POST", wellKnown+"challenge", strings.NewReader(body))
		r.Header["Content-Type"] = []string{kind}
		r.RemoteAddr = testClient.String() + ":4000"
		if a := ask(h, r); a.StatusCode != 400 || a.Header.Get("Deich-Reason") != "bad_proof" || cookie(a, passCookie) != "" {
			t.Fatalf("%q %q: %d, %v", kind, body, a.StatusCode, a.Header)
		}
	})
}

func FuzzRemoteAddr(f *testing.F) {
	f.Add("192.0.2.1:80")
	f.Add("[fe80::1%eth0]:80")
	f.Add("[::ffff:192.0.2.1]:80")
	f.Add("@")
	f.Fuzz(func(t *testing.T, remote string) {
		peer, client, validated := remoteAddr(&http.Request{RemoteAddr: remote})
		if peer != client || !peer.IsValid() || peer.Zone() != "" || peer.Is4In6() || !validated && !peer.IsUnspecified() {
			t.Fatalf("%q: %v %v %t", remote, peer, client, validated)
		}
	})
}
