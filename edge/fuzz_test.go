package edge

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func FuzzProxyHeader(f *testing.F) {
	for _, c := range proxyHeaders {
		f.Add([]byte(c.raw))
		f.Add([]byte(c.raw + "GET /"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		used, client, err := parseProxy(b)
		if err != nil {
			if used != 0 && used > proxyHeaderMax || client.IsValid() {
				t.Fatalf("%d, %v with %v", used, client, err)
			}
			return
		}
		if used < len(proxyV1) || used > len(b) || used > proxyHeaderMax || client.Is4In6() || client.Zone() != "" {
			t.Fatalf("%d of %d bytes, client %v", used, len(b), client)
		}
		// What stands behind the header changes nothing, and nothing less is one.
		if again, who, err := parseProxy(append(bytes.Clone(b[:used]), "\r\nGET / HTTP/1.1"...)); err != nil || again != used || who != client {
			t.Fatalf("with more behind: %d, %v, %v", again, who, err)
		}
		if _, _, err := parseProxy(b[:used-1]); err == nil {
			t.Fatal("a byte less was taken too")
		}
	})
}

func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		"192.0.2.1", "192.0.2.1, 10.0.0.1", "[2001:db8::1]:80, ::ffff:1.2.3.4", "unknown", ", ,", "fe80::1%eth0",
		`for=192.0.2.1;proto=https`, `For="[2001:db8::1]:80", for=_x`, `by="a\",for=1.2.3.4";for=9.9.9.9`, `for=";for=1.2.3.4`, `;;,,=`,
	} {
		f.Add(s, "10.0.0.2")
	}
	proxies, err := newTrusted([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	hop := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, value, last string) {
		for _, header := range []string{headerXForwardedFor, headerForwarded} {
			h := http.Header{header: {value, last}}
			a := proxies.clientOf(h, header, hop)
			if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
				t.Fatalf("client %v", a)
			}
			if a != hop && !strings.ContainsAny(value+last, "0123456789:") {
				t.Fatalf("client %v out of nothing", a)
			}
		}
		// What stands further left than an address that is not trusted is not believed.
		h := http.Header{headerXForwardedFor: {value + ",198.51.100.7"}}
		if a := proxies.clientOf(h, headerXForwardedFor, hop); a != netip.MustParseAddr("198.51.100.7") {
			t.Fatalf("client %v", a)
		}
	})
}

func FuzzAccessLog(f *testing.F) {
	for _, s := range []string{"/", `/"\`, "/\x00\x1b[31m", "/\r\n1.2.3.4 - - [", "ä\xff", `" 200 0 "-" "-" allow`} {
		f.Add(s, "http://r/", "agent")
		f.Add("/", s, s)
	}
	line := regexp.MustCompile(`^192\.0\.2\.1 - - \[[^]]+\] "GET (?:[ !#-\[\]-~]|\\["\\]|\\x[0-9a-f]{2})* HTTP/1\.1" 200 0 ("(?:[ !#-\[\]-~]|\\["\\]|\\x[0-9a-f]{2})*" ){2}allow none stranger 0\.000 -\n$`)
	f.Fuzz(func(t *testing.T, target, referer, agent string) {
		e := logEntry{
			At: time.Unix(0, 0).UTC(), Client: netip.MustParseAddr("192.0.2.1"), Method: "GET", Target: target, Proto: "HTTP/1.1",
			Status: 200, Referer: referer, Agent: agent, Act: "allow", Reason: "none", Tier: "stranger",
		}
		if got := appendCombined(nil, &e); !line.Match(got) {
			t.Fatalf("%q", got)
		}
		var back logEntry
		got := appendJSON(nil, &e)
		if err := json.Unmarshal(got, &back); err != nil || bytes.Count(got, []byte("\n")) != 1 || back.Status != 200 {
			t.Fatalf("%q: %v", got, err)
		}
	})
}

// FuzzAnswer lets an origin answer with anything, through the real exchange:
// the client gets an answer or a broken connection, the request behind it
// never gets what was left of it, and nothing of it passes as Deich's own.
func FuzzAnswer(f *testing.F) {
	for _, d := range differences {
		if d.request == "" && len(d.answer) < 4096 {
			f.Add([]byte(d.answer))
		}
	}
	f.Add([]byte(okSaid + okSaid))
	answer := make(chan []byte, 1)
	o := play(f, func(c *playedConn) {
		if r := c.request(); r == nil || r.URL.Path == "/next" {
			c.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnext")
			return
		}
		c.Conn.Write(<-answer)
		c.Conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c.br)
	})
	p := bare(f, Site{Origins: []string{o.url()}})
	front := httptest.NewServer(p)
	f.Cleanup(front.Close)
	addr := front.Listener.Addr().String()
	f.Fuzz(func(t *testing.T, b []byte) {
		answer <- b
		c := call(t, addr)
		h := c.ask("GET", plainGet)
		if h.resp != nil && (h.resp.StatusCode < 200 || h.resp.StatusCode > 999) {
			t.Fatalf("status %d", h.resp.StatusCode)
		}
		c.Close()
		next := call(t, addr)
		if h := next.ask("GET", nextGet); h.body != "next" {
			t.Fatalf("the next answer: %+v", h)
		}
		next.Close()
	})
}

func FuzzRequestHead(f *testing.F) {
	f.Add("/a?b=c", "a.example", "X-A", "b", true)
	f.Add("/%0d%0a", "a", "Transfer-Encoding", "chunked", false)
	f.Add("/a b", "a\r\nX: y", "X\r\nY", "b\r\nContent-Length: 5\r\n\r\nx", true)
	f.Add("*", "", "X_Forwarded_For", "1.2.3.4", true)
	f.Add("/?\x00", `a"b\`, "Connection", "X-Real-Ip, Host", false)
	f.Fuzz(func(t *testing.T, target, host, name, value string, trusted bool) {
		u, err := http.NewRequest("GET", "http://x/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if u.URL, err = u.URL.Parse(target); err != nil || !isToken(name) || !validHost(host) {
			return // the standard server lets no such request in
		}
		u.RequestURI, u.Host = target, host
		u.Header = http.Header{http.CanonicalHeaderKey(name): {value}, "Via": {value}, "X-Forwarded-For": {value}, "Forwarded": {value}}
		h := head{host: host, via: "deich-test", hop: netip.MustParseAddr("192.0.2.1"), client: netip.MustParseAddr("192.0.2.1"), trusted: trusted}
		if !plainTarget(u) {
			return
		}
		b, err := h.append(nil, u)
		if err != nil {
			return
		}
		if err := oneRequest(string(b)); err != nil {
			t.Fatalf("%v:\n%q", err, b)
		}
	})
}

// validHost is what the standard server takes as a Host.
func validHost(host string) bool {
	return strings.Trim(host, "!$%&'()*+,-.:;=[]_~abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"5s", "1m30s", "", "5", "-1h", "1e9s", "9999999999999h", "ä"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d Duration
		if err := d.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		if text, err := d.MarshalText(); err != nil || d.wrong != "" && string(text) != s {
			t.Fatalf("%q %v", text, err)
		}
		if d.wrong != "" || s == "" {
			return
		}
		var again Duration
		text, _ := d.MarshalText()
		if again.UnmarshalText(text); again != d {
			t.Fatalf("%v became %v", d, again)
		}
	})
}

func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		`{"sites":[{"origins":["http://127.0.0.1:1"]}]}`,
		`{"listen":[":0","https://:443"],"sites":[{"names":["a","*.b"],"origins":["https://x/p","https://y/p"],"origin_host":"z"}]}`,
		`{"sites":[{"origins":["ftp://x","http://u@x","http://x?q","://"]}],"trusted_proxies":["10.0.0.0/8","x"],"client_header":"Y"}`,
		`{"timeouts":{"idle":"5"},"limits":{"connections":-1},"listen":["http://","[::1]:1"]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Config
		if json.Unmarshal(b, &c) != nil {
			return
		}
		for i := range c.Sites { // no files of this machine
			c.Sites[i].OriginCA, c.Sites[i].Certificate, c.Sites[i].Key = "", "", ""
		}
		c = c.Defaults()
		if c.Validate() != nil {
			return
		}
		if _, err := newState(c, nil, sitesMax); err != nil {
			t.Fatalf("valid, and yet: %v", err)
		}
		if len(c.listenAddrs()) != len(c.Listen) {
			t.Fatal("a listen address was lost")
		}
	})
}

// TestFuzzersHaveSeeds: a target whose seeds went lost would pass for nothing.
func TestFuzzersHaveSeeds(t *testing.T) {
	text, err := os.ReadFile("fuzz_test.go")
	if err != nil {
		t.Fatal(err)
	}
	bodies := regexp.MustCompile(`(?ms)^func (Fuzz\w+)\(f \*testing\.F\) \{(.*?)^\}`).FindAllStringSubmatch(string(text), -1)
	if len(bodies) != 7 {
		t.Errorf("%d fuzz targets", len(bodies))
	}
	for _, body := range bodies {
		if !strings.Contains(body[2], "f.Add(") {
			t.Errorf("%s has no seeds", body[1])
		}
	}
	if len(differences) == 0 || len(proxyHeaders) == 0 {
		t.Error("the tables that give seeds are empty")
	}
}
