package edge

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// mirror is an origin that is as careless as can be: its pages show whatever
// the request said, to members their own, and it declares nothing.
func mirror(t testing.TB, down *atomic.Bool, declare string) string {
	return origin(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		body, _ := io.ReadAll(r.Body)
		h := w.Header()
		if declare != "" {
			h.Set("Cache-Control", declare)
		}
		path := r.URL.Path
		if override := r.Header.Get("X-Original-Url"); override != "" {
			path = override
		}
		if c, err := r.Cookie("session"); err == nil {
			h.Set("Deich-Member", "7")
			fmt.Fprintf(w, "secret of %s at %s", c.Value, path)
			return
		}
		if auth := r.Header.Get("Authorization"); auth != "" {
			fmt.Fprintf(w, "secret of %s", auth)
			return
		}
		if strings.HasPrefix(path, "/login") {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "stolen"})
		}
		if to := r.Header.Get("X-Forwarded-Host"); strings.Contains(to, "evil") {
			h.Set("Location", "http://"+to+"/")
		}
		fmt.Fprintf(w, "%s %s %s body=%q", r.Method, path, r.URL.RawQuery, body)
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			fmt.Fprintf(w, "\n%s=%q", name, r.Header[name])
		}
	})
}

// linguist is an origin that says in Vary all that its answers depend on.
func linguist(t testing.TB, down *atomic.Bool, declare string) string {
	return origin(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		body, _ := io.ReadAll(r.Body)
		h := w.Header()
		h.Set("Vary", "Accept-Language")
		if declare != "" {
			h.Set("Cache-Control", declare)
		}
		if c, err := r.Cookie("session"); err == nil {
			h.Set("Deich-Member", "7")
			fmt.Fprintf(w, "secret of %s", c.Value)
			return
		}
		if auth := r.Header.Get("Authorization"); auth != "" {
			fmt.Fprintf(w, "secret of %s", auth)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/login") {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "stolen"})
		}
		fmt.Fprintf(w, "%s %s %s body=%q in %s", r.Method, r.URL.Path, r.URL.RawQuery, body, cmp.Or(r.Header.Get("Accept-Language"), "any"))
	})
}

// raw sends bytes that no library would.
func raw(t testing.TB, s *Server, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, request)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, resp.Header, string(body))
}

// attack is what someone sends so that it is kept, and where a victim then
// looks. Evil must not be in what the victim gets, nor must another's secret.
type attack struct {
	name    string
	request string // up to the Host line, which is added, and the end
	body    string
	victim  string // path
	as, due string // what the victim's request says, and what is to be in what they get where Vary is trusted
}

func attacks() []attack {
	all := []attack{
		{name: "a fat GET", request: "GET /p HTTP/1.1\r\nContent-Length: 4", body: "evil", victim: "/p"},
		{name: "a fat GET in chunks", request: "GET /p HTTP/1.1\r\nTransfer-Encoding: chunked", body: "4\r\nevil\r\n0\r\n\r\n", victim: "/p"},
		{name: "another method", request: "POST /p?evil HTTP/1.1\r\nContent-Length: 4", body: "evil", victim: "/p"},
		{name: "a query that is not a key", request: "GET /p?utm_content=evil HTTP/1.1", victim: "/p"},
		{name: "a semicolon in the query", request: "GET /p?a=1;evil=2 HTTP/1.1", victim: "/p?a=1"},
		{name: "a fragment", request: "GET /p#evil HTTP/1.1", victim: "/p"},
		{name: "an encoded slash", request: "GET /p%2fevil HTTP/1.1", victim: "/p"},
		{name: "an encoded query", request: "GET /p%3fevil HTTP/1.1", victim: "/p"},
		{name: "dot segments", request: "GET /evil/../p HTTP/1.1", victim: "/p"},
		{name: "two slashes", request: "GET //evil/p HTTP/1.1", victim: "/p"},
		{name: "another address in the request line", request: "GET http://evil/p HTTP/1.1", victim: "/p"},
		{name: "a member's page as a style", request: "GET /account/x.css HTTP/1.1\r\nCookie: session=evil", victim: "/account/x.css"},
		{name: "a member's page by a semicolon", request: "GET /account;x.css HTTP/1.1\r\nCookie: deich=1; session=evil", victim: "/account;x.css"},
		{name: "a member's page by a null", request: "GET /account%00.css HTTP/1.1\r\nCookie: session=evil", victim: "/account%00.css"},
		{name: "credentials", request: "GET /p HTTP/1.1\r\nAuthorization: evil", victim: "/p"},
		{name: "a login's cookie", request: "GET /login HTTP/1.1", victim: "/login"},
		{name: "two hosts in one", request: "GET /p HTTP/1.1\r\nX-Host: evil", victim: "/p"},
		{
			name: "a language for this hop alone", request: "GET /p HTTP/1.1\r\nAccept-Language: de-DE\r\nConnection: Accept-Language",
			victim: "/p", as: "Accept-Language: de-DE\r\n", due: "in de-DE",
		},
	}
	for _, name := range []string{
		"X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Port", "X-Forwarded-Prefix",
		"X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "X-Host", "X-Real-Ip", "X-Evil", "Forwarded", "Via",
		"User-Agent", "Referer", "Origin", "Accept", "Accept-Language", "Accept-Encoding", "Accept-Charset", "Range", "If-None-Match",
		"If-Modified-Since", "Sec-Fetch-Site", "Sec-Ch-Ua", "Save-Data", "Traceparent", "X-Request-Id", "Pragma", "Cache-Control",
		"Connection", "Te", "Priority", "Purpose", "Deich-Member", "Deich-Reason", "X_Forwarded_Host", "Cdn-Loop",
	} {
		all = append(all, attack{name: name, request: "GET /p HTTP/1.1\r\n" + name + ": evil", victim: "/p"})
	}
	return all
}

// Whoever sends what, in peace or under pressure: no reader is given what
// another one's request made of a page, and nobody what is a member's.
func TestCachePoisoningAndDeception(t *testing.T) {
	for _, mode := range []struct {
		name, cache, declare string
		pressure, trusted    bool // under pressure; Vary is trusted
	}{
		{"always, declared public", cacheAlways, "public, max-age=60", false, false},
		{"under pressure, undeclared", cachePressure, "", true, false},
		{"under pressure, declared public", cachePressure, "public, max-age=60", true, false},
		{"copies of peace, undeclared", cachePressure, "", false, false},
		{"copies of peace, declared public", cachePressure, "public, max-age=60", false, false},
		{"always, Vary trusted", cacheAlways, "public, max-age=60", false, true},
		{"under pressure, Vary trusted", cachePressure, "", true, true},
		{"copies of peace, Vary trusted", cachePressure, "", false, true},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			var down atomic.Bool
			show := mirror
			if mode.trusted {
				show = linguist
			}
			s, now := startCached(t, Site{Origins: []string{show(t, &down, mode.declare)}, Cache: mode.cache, CacheTrustVary: mode.trusted})
			s.cache.credit.Store(1 << 20) // a copy of everything
			now.pressure.Store(mode.pressure)
			for i, a := range attacks() {
				line, rest, _ := strings.Cut(a.request, "\r\n")
				if rest != "" {
					rest += "\r\n"
				}
				for range 2 {
					raw(t, s, fmt.Sprintf("%s\r\nHost: town%d\r\n%sConnection: close\r\n\r\n%s", line, i, rest, a.body))
				}
				errands(t, s)
			}
			if mode.cache == cachePressure && !mode.pressure {
				down.Store(true)
				now.down.Store(true)
			}
			served := 0
			for i, a := range attacks() {
				got := raw(t, s, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: town%d\r\n%sConnection: close\r\n\r\n", a.victim, i, a.as))
				if strings.Contains(got, "evil") || strings.Contains(got, "secret") || strings.Contains(got, "stolen") && down.Load() {
					t.Errorf("%d, %s: the victim gets\n%s", i, a.name, got)
				}
				if mode.trusted && !down.Load() && !strings.Contains(got, a.due) {
					t.Errorf("%d, %s: the victim gets\n%s", i, a.name, got)
				}
				if strings.Contains(got, "deich; hit") {
					served++
				}
			}
			if served < 10 {
				t.Errorf("only %d victims were answered from memory: the attacks hit nothing", served)
			}
		})
	}
}

// An attacker has a thousand addresses, so that what they send is agreed on; and
// what they made of a page is given to those who send the same, and to nobody
// else. Some send evil in a header that is another each time, lest a difference
// between witnesses be taken for a sign that the header selects nothing.
func TestWitnessedPoisoning(t *testing.T) {
	for _, mode := range []struct {
		name, declare  string
		pressure, down bool
	}{
		{"undeclared", "", false, false},
		{"declared public", "public, max-age=60", false, false},
		{"under pressure", "", true, false},
		{"under pressure, declared public", "public, max-age=60", true, false},
		{"down", "max-age=0", false, true},
	} {
		for _, trusted := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, addresses told %v", mode.name, trusted), func(t *testing.T) {
				t.Parallel()
				poisonWitnessed(t, mode.declare, mode.pressure, mode.down, trusted)
			})
		}
	}
}

// mutterer is an origin that shows whatever it is sent, but for who sent it and
// what tells two from each other: with that its readers would never agree.
func mutterer(t testing.TB, down *atomic.Bool, declare string) string {
	return origin(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		if declare != "" {
			w.Header().Set("Cache-Control", declare)
		}
		body, _ := io.ReadAll(r.Body)
		if c, err := r.Cookie("session"); err == nil {
			fmt.Fprintf(w, "secret of %s", c.Value)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/login") {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "stolen"})
		}
		if r.Header.Get("Authorization") != "" {
			fmt.Fprint(w, "secret")
			return
		}
		fmt.Fprintf(w, "%s %s %s body=%q", r.Method, r.URL.Path, r.URL.RawQuery, body)
		all := ""
		for name, values := range r.Header {
			if name != "X-Real-Ip" { // whose bytes nobody chooses
				all += name + "=" + strings.Join(values, ",") + "\n"
			}
		}
		if strings.Contains(all, "evil") {
			fmt.Fprint(w, " evil")
		}
	})
}

func poisonWitnessed(t *testing.T, declare string, pressure, isDown, trusted bool) {
	var down atomic.Bool
	s, now := startCached(t, Site{Origins: []string{mutterer(t, &down, declare)}}, func(c *Config) {
		c.TrustedProxies, c.ProxyProtocol = []string{"127.0.0.1"}, !trusted
	})
	send := func(i, network int, line, rest, body string) string {
		preface := ""
		if trusted {
			rest = fmt.Sprintf("%sX-Forwarded-For: 198.18.%d.7\r\n", rest, network)
		} else {
			preface = fmt.Sprintf("PROXY TCP4 198.18.%d.7 127.0.0.1 4000 80\r\n", network)
		}
		return raw(t, s, fmt.Sprintf("%s%s\r\nHost: town%d\r\n%sConnection: close\r\n\r\n%s", preface, line, i, rest, body))
	}
	now.pressure.Store(pressure)
	now.still.Store(int64(s.cache.now()))
	list := attacks()
	for _, name := range []string{"X-Host", "User-Agent", "Accept-Language", "X-Forwarded-For", "Forwarded", "Via", "Referer", "X-Request-Id", "Te"} {
		list = append(list, attack{name: name + ", different each time", request: "GET /p HTTP/1.1\r\n" + name + ": evil, @", victim: "/p"})
	}
	for i, a := range list {
		line, rest, _ := strings.Cut(a.request, "\r\n")
		if rest != "" {
			rest += "\r\n"
		}
		read := func(network int) { send(i, 100+network, "GET "+a.victim+" HTTP/1.1", "User-Agent: honest\r\n", "") }
		strike := func(network int) {
			send(i, network, line, strings.ReplaceAll(rest, "@", fmt.Sprint(network)), a.body)
		}
		for network := range witnessesLeast {
			if read(network); trusted { // in turns; else the attack comes when all is read
				strike(network)
			}
		}
		for network := range witnessesLeast {
			strike(network)
		}
	}
	if isDown {
		down.Store(true)
		now.down.Store(true)
	}
	now.pressure.Store(!isDown)
	honest, foul := 0, 0
	for i, a := range list {
		got := send(i, 200, "GET "+a.victim+" HTTP/1.1", "User-Agent: honest\r\n", "")
		if strings.Contains(got, "evil") || strings.Contains(got, "secret") || strings.Contains(got, "stolen") && down.Load() {
			t.Errorf("%d, %s: the victim gets\n%s", i, a.name, got)
		}
		if strings.Contains(got, "deich; hit") {
			honest++
		}
		line, rest, _ := strings.Cut(a.request, "\r\n")
		if rest != "" && a.body == "" && !strings.Contains(rest, "@") {
			if strings.Contains(send(i, 201, line, rest+"\r\n", ""), "deich; hit") {
				foul++ // who sends evil is shown it
			}
		}
	}
	if honest < len(list)/2 || foul < len(list)/3 {
		t.Errorf("%d victims and %d attackers were answered from memory: the attacks hit nothing", honest, foul)
	}
}

// errands waits until the cache has made all of its own requests.
func errands(t testing.TB, s *Server) {
	t.Helper()
	until(t, "no errand is left", func() bool { return s.cache.busy.Load() == 0 })
}

// The pass of one reader is never given to another.
func TestCacheKeepsNoPass(t *testing.T) {
	var down atomic.Bool
	s, now := startCached(t, Site{Origins: []string{mirror(t, &down, "max-age=0")}, Cache: cachePressure})
	page := []string{"Accept", "text/html", "Sec-Fetch-Dest", "document"}
	resp, _ := ask(t, client(t), "GET", s.url()+"/", page...)
	if resp.Header.Get("Set-Cookie") == "" {
		t.Fatal("the first reader got no pass: this shows nothing")
	}
	errands(t, s)
	now.down.Store(true)
	down.Store(true)
	resp, _ = ask(t, client(t), "GET", s.url()+"/", page...)
	if !fromMemory(resp) || resp.Header.Get("Set-Cookie") != "" {
		t.Errorf("the second got %v", resp.Header)
	}
}
