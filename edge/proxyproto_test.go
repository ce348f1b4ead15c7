package edge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// headerV2 is a PROXY protocol header of version 2.
func headerV2(command, family byte, body []byte) string {
	b := append([]byte(proxyV2), 0x20|command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(append(b, body...))
}

var (
	body4 = []byte{192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x34, 0, 80}
	body6 = append(append(netip.MustParseAddr("2001:db8::1").AsSlice(), netip.MustParseAddr("2001:db8::2").AsSlice()...), 0x12, 0x34, 0, 80)
)

var proxyHeaders = []struct {
	name, raw, client string // client "" with good: none named
	good              bool
}{
	{"v1 over IPv4", "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n", "192.0.2.1", true},
	{"v1 over IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 4660 80\r\n", "2001:db8::1", true},
	{"v1 unknown", "PROXY UNKNOWN\r\n", "", true},
	{"v1 unknown with more", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "", true},
	{"v1 family and address differ", "PROXY TCP4 2001:db8::1 2001:db8::2 4660 80\r\n", "", false},
	{"v1 port too large", "PROXY TCP4 192.0.2.1 192.0.2.2 70000 80\r\n", "", false},
	{"v1 port signed", "PROXY TCP4 192.0.2.1 192.0.2.2 +1 80\r\n", "", false},
	{"v1 field missing", "PROXY TCP4 192.0.2.1 192.0.2.2 4660\r\n", "", false},
	{"v1 with two spaces", "PROXY TCP4  192.0.2.1 192.0.2.2 4660 80\r\n", "", false},
	{"v1 zone", "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", "", false},
	{"v1 too long", "PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", "", false},
	{"v1 bare LF", "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\n", "", false},
	{"v2 over IPv4", headerV2(1, 0x11, body4), "192.0.2.1", true},
	{"v2 over IPv6", headerV2(1, 0x21, body6), "2001:db8::1", true},
	{"v2 with further fields", headerV2(1, 0x11, append(bytes.Clone(body4), 4, 0, 1, 0)), "192.0.2.1", true},
	{"v2 local", headerV2(0, 0, nil), "", true},
	{"v2 Unix socket", headerV2(1, 0x31, make([]byte, 216)), "", true},
	{"v2 IPv4 in IPv6", headerV2(1, 0x21, append(append(netip.MustParseAddr("::ffff:192.0.2.1").AsSlice(), make([]byte, 16)...), 0, 1, 0, 2)), "192.0.2.1", true},
	{"v2 body too short", headerV2(1, 0x11, body4[:8]), "", false},
	{"v2 unknown family", headerV2(1, 0x41, body4), "", false},
	{"v2 unknown command", headerV2(2, 0x11, body4), "", false},
	{"v2 too long", headerV2(1, 0x11, make([]byte, proxyHeaderMax)), "", false},
	{"neither", "GET / HTTP/1.1\r\n\r\n", "", false},
}

func TestProxyHeader(t *testing.T) {
	for _, c := range proxyHeaders {
		for _, behind := range []string{"", "GET /"} {
			used, client, err := parseProxy([]byte(c.raw + behind))
			if (err == nil) != c.good && !(errors.Is(err, errProxyShort) && !c.good) {
				t.Errorf("%s: %v", c.name, err)
			}
			if c.good && (used != len(c.raw) || client.IsValid() != (c.client != "") || c.client != "" && client.String() != c.client) {
				t.Errorf("%s: %d bytes of %d, client %v", c.name, used, len(c.raw), client)
			}
		}
		if !c.good {
			continue
		}
		for i := range len(c.raw) {
			if _, _, err := parseProxy([]byte(c.raw[:i])); !errors.Is(err, errProxyShort) {
				t.Errorf("%s: the first %d bytes: %v", c.name, i, err)
			}
		}
	}
}

func TestProxyProtocolTellsTheClient(t *testing.T) {
	seen := make(chan string, 1)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("X-Real-Ip") + " " + r.Header.Get("X-Forwarded-For")
	})
	s := startUncached(t, Config{
		Sites: []Site{{Origins: []string{up}}}, TrustedProxies: []string{"127.0.0.1"}, ProxyProtocol: true, ClientHeader: "none",
		Timeouts: Timeouts{ReadHeader: Lasting(200 * time.Millisecond)},
	})
	for _, c := range proxyHeaders {
		t.Run(c.name, func(t *testing.T) {
			caller := call(t, s.Addrs()[0].String())
			if !c.good {
				caller.Write([]byte(c.raw + plainGet))
				if h := caller.hear("GET"); h.err == nil {
					t.Errorf("answered with %d", h.resp.StatusCode)
				}
				return
			}
			for i := range len(c.raw) { // byte by byte
				caller.say(c.raw[i : i+1])
			}
			want := c.client
			if want == "" {
				want = "127.0.0.1"
			}
			for range 2 {
				if h := caller.ask("GET", plainGet); h.resp == nil || h.resp.StatusCode != 200 {
					t.Fatal(h)
				}
				if got := <-seen; got != want+" "+want {
					t.Errorf("client and hop: %s, want %s", got, want)
				}
			}
		})
	}
}

// TestOrdersReachNoProxy: whoever stands behind a trusted proxy is refused by
// the guard; its connection carries others too.
func TestOrdersReachNoProxy(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {})
	s := startUncached(t, Config{Sites: []Site{{Origins: []string{up}}}, TrustedProxies: []string{"127.0.0.1"}, ProxyProtocol: true})
	s.Refuse([]deich.Order{
		{Prefix: netip.MustParsePrefix("127.0.0.1/32"), Until: s.now().Add(time.Minute)},
		{Prefix: netip.MustParsePrefix("192.0.2.1/32"), Until: s.now().Add(time.Minute)},
	})
	h := call(t, s.Addrs()[0].String()).ask("GET", "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n"+plainGet)
	if h.resp == nil || h.resp.StatusCode != 200 {
		t.Errorf("%v", h)
	}
}
