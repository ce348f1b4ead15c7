package edge

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestForwardedHeadersTowardsTheOrigin(t *testing.T) {
	for _, c := range []struct {
		name    string
		trusted []string
		header  string // Config.ClientHeader
		sent    string
		want    map[string]string
	}{
		{"plain", nil, "", "", map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "a.example", "X-Forwarded-Proto": "http",
			"X-Real-Ip": "127.0.0.1", "Forwarded": `for=127.0.0.1;host="a.example";proto=http`,
		}},
		{"a liar", nil, "", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nX-Real-Ip: 1.1.1.1\r\n" +
			"Forwarded: for=1.1.1.1\r\nX-Forwarded-Port: 1\r\nConnection: X-Forwarded-For, X-Real-Ip, Forwarded\r\n", map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "a.example", "X-Forwarded-Proto": "http",
			"X-Real-Ip": "127.0.0.1", "Forwarded": `for=127.0.0.1;host="a.example";proto=http`, "X-Forwarded-Port": "",
		}},
		{"a trusted proxy", []string{"127.0.0.1"}, "", "X-Forwarded-For: 1.1.1.1, 203.0.113.7\r\nX-Forwarded-Host: b.example\r\nX-Forwarded-Proto: https\r\n" +
			"Forwarded: for=203.0.113.7\r\nX-Forwarded-Port: 1\r\n", map[string]string{
			"X-Forwarded-For": "1.1.1.1, 203.0.113.7, 127.0.0.1", "X-Forwarded-Host": "b.example", "X-Forwarded-Proto": "https",
			"X-Real-Ip": "203.0.113.7", "Forwarded": `for=203.0.113.7, for=127.0.0.1;host="a.example";proto=http`, "X-Forwarded-Port": "1",
		}},
		{"two trusted proxies", []string{"127.0.0.0/8", "203.0.113.0/24"}, "", "X-Forwarded-For: 1.1.1.1, 198.51.100.9\r\nX-Forwarded-For: 203.0.113.7\r\n",
			map[string]string{"X-Real-Ip": "198.51.100.9"}},
		{"by Forwarded", []string{"127.0.0.1"}, "Forwarded", "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=\"[2001:db8::1]:80\";by=x\r\n",
			map[string]string{"X-Real-Ip": "2001:db8::1"}},
		{"by no header", []string{"127.0.0.1"}, "none", "X-Forwarded-For: 1.1.1.1\r\n", map[string]string{"X-Real-Ip": "127.0.0.1"}},
		{"a trusted proxy that says nonsense", []string{"127.0.0.1"}, "", "X-Forwarded-For: 1.1.1.1, unknown\r\n", map[string]string{"X-Real-Ip": "127.0.0.1"}},
		{"another hop's Via", nil, "", "Via: 1.0 other\r\n", map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got http.Header
			up := origin(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
			s := startUncached(t, Config{Sites: []Site{{Origins: []string{up}}}, TrustedProxies: c.trusted, ClientHeader: c.header})
			h := call(t, s.Addrs()[0].String()).ask("GET", "GET / HTTP/1.1\r\nHost: a.example\r\n"+c.sent+"\r\n")
			if h.resp == nil || h.resp.StatusCode != 200 {
				t.Fatal(h)
			}
			for name, want := range c.want {
				if v := strings.Join(got[name], " | "); v != want {
					t.Errorf("%s: %q, want %q", name, v, want)
				}
			}
			via := got.Get("Via")
			if prefix := strings.TrimPrefix("1.0 other, ", map[bool]string{false: "1.0 other, "}[strings.Contains(c.sent, "Via")]); !strings.HasPrefix(via, prefix+"1.1 deich-") {
				t.Errorf("Via: %q", via)
			}
		})
	}
}

func TestRequestThatComesBackIsRefused(t *testing.T) {
	s := startUncached(t, Config{
		Sites: []Site{{Origins: []string{"http://127.0.0.1:1"}}},
	})
	if err := s.Swap(Config{Listen: s.options.Config.Listen, Sites: []Site{{Origins: []string{s.url()}}}}, s.options.Guard); err != nil {
		t.Fatal(err)
	}
	resp, _ := get(t, client(t), s.url())
	if resp.StatusCode != http.StatusLoopDetected {
		t.Errorf("%d", resp.StatusCode)
	}
}

// A pass stays on https where the client is on https, though a proxy of ours
// ended TLS; nobody else is believed.
func TestPassBehindProxyThatEndsTLS(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<p>hello")
	})
	for _, c := range []struct {
		name    string
		trusted []string
		proto   string
		want    string
	}{
		{"a trusted proxy", []string{"127.0.0.1"}, "https", "__Host-deich="},
		{"a trusted proxy without TLS", []string{"127.0.0.1"}, "http", "deich="},
		{"a liar", nil, "https", "deich="},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startUncached(t, Config{Sites: []Site{{Origins: []string{up}}}, TrustedProxies: c.trusted})
			h := call(t, s.Addrs()[0].String()).ask("GET", "GET / HTTP/1.1\r\nHost: a.example\r\nAccept: text/html\r\nX-Forwarded-Proto: "+c.proto+"\r\n\r\n")
			if h.resp == nil {
				t.Fatal(h)
			}
			got := h.resp.Header.Get("Set-Cookie")
			if !strings.HasPrefix(got, c.want) || strings.Contains(got, "; Secure") != strings.HasPrefix(c.want, "__Host-") {
				t.Errorf("cookie %.40q, want %s", got, c.want)
			}
		})
	}
}

func TestClientOfAChain(t *testing.T) {
	tr, err := newTrusted([]string{"10.0.0.0/8", "2001:db8::/32"})
	if err != nil {
		t.Fatal(err)
	}
	hop := netip.MustParseAddr("10.0.0.1")
	long := strings.Repeat("10.0.0.2, ", forwardedMax+10)
	for _, c := range []struct{ header, value, want string }{
		{"X-Forwarded-For", "", "10.0.0.1"},
		{"X-Forwarded-For", "192.0.2.1", "192.0.2.1"},
		{"X-Forwarded-For", "192.0.2.1:443", "192.0.2.1"},
		{"X-Forwarded-For", "[2001:db9::1]:443", "2001:db9::1"},
		{"X-Forwarded-For", "2001:db9::1", "2001:db9::1"},
		{"X-Forwarded-For", "::ffff:192.0.2.1", "192.0.2.1"},
		{"X-Forwarded-For", "fe80::1%eth0", "10.0.0.1"},
		{"X-Forwarded-For", "192.0.2.1, 10.0.0.3", "192.0.2.1"},
		{"X-Forwarded-For", "6.6.6.6, 192.0.2.1, 10.0.0.3", "192.0.2.1"},
		{"X-Forwarded-For", "192.0.2.1, , 10.0.0.3", "10.0.0.3"},
		{"X-Forwarded-For", "192.0.2.1, 10.0.0.3,", "10.0.0.1"},
		{"X-Forwarded-For", "192.0.2.1:99999999", "10.0.0.1"},
		{"X-Forwarded-For", "192.0.2.1, " + long[:len(long)-2], "10.0.0.2"},
		{"Forwarded", "for=192.0.2.1", "192.0.2.1"},
		{"Forwarded", `proto=http; For="192.0.2.1:80" ;by=10.0.0.9`, "192.0.2.1"},
		{"Forwarded", `for="[2001:db9::1]"`, "2001:db9::1"},
		{"Forwarded", `for=_hidden`, "10.0.0.1"},
		{"Forwarded", `for=6.6.6.6, for=_hidden, for=10.0.0.4`, "10.0.0.4"},
		{"Forwarded", `by="a,for=6.6.6.6";for=192.0.2.1`, "192.0.2.1"},
		{"Forwarded", `by="a\",for=6.6.6.6";for=192.0.2.1`, "192.0.2.1"},
		{"Forwarded", `proto=http`, "10.0.0.1"},
		{"none", "192.0.2.1", "10.0.0.1"},
	} {
		got := tr.clientOf(http.Header{c.header: {c.value}}, c.header, hop)
		if got.String() != c.want {
			t.Errorf("%s: %.60s: %v, want %s", c.header, c.value, got, c.want)
		}
	}
	if got := tr.clientOf(http.Header{"X-Forwarded-For": {"192.0.2.1"}}, "X-Forwarded-For", netip.MustParseAddr("192.0.2.9")); got.String() != "192.0.2.9" {
		t.Errorf("an untrusted hop was believed: %v", got)
	}
}
