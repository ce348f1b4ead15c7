package gate

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// sysctl sets a value of the namespace's own.
func sysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

func needCookies(t *testing.T) {
	t.Helper()
	needPrograms(t)
	if err := cookiesHere(); err != nil {
		lack(t, "no SYN cookies for programs", err)
	}
}

// checkAnswer holds a cookie's SYN-ACK against what it answers.
func checkAnswer(t *testing.T, syn, got []byte, mss uint16) {
	t.Helper()
	is4 := be.Uint16(syn[12:]) == 0x0800
	ip, addrs, size := 20, 4, 12
	if !is4 {
		ip, addrs, size = 40, 16, 8
	}
	if len(got) != 14+ip+24 {
		t.Fatalf("%d bytes", len(got))
	}
	from := func(b []byte) netip.Addr { a, _ := netip.AddrFromSlice(b[14+size : 14+size+addrs]); return a }
	to := func(b []byte) netip.Addr { a, _ := netip.AddrFromSlice(b[14+size+addrs : 14+size+2*addrs]); return a }
	if string(got[:6]) != string(syn[6:12]) || string(got[6:12]) != string(syn[:6]) || from(got) != to(syn) || to(got) != from(syn) {
		t.Errorf("it does not go back: %x", got)
	}
	if is4 && sum(0, got[14:34]) != 0xffff {
		t.Error("the header's checksum is wrong")
	}
	l4 := got[14+ip:]
	if transportSum(from(got), to(got), tcp, l4) != 0xffff {
		t.Error("TCP's checksum is wrong")
	}
	was := syn[14+ip:]
	if be.Uint16(l4) != be.Uint16(was[2:]) || be.Uint16(l4[2:]) != be.Uint16(was) || be.Uint32(l4[8:]) != be.Uint32(was[4:])+1 ||
		l4[13] != synAck || be.Uint16(l4[14:]) == 0 || l4[12]>>4 != 6 || l4[20] != 2 || l4[21] != 4 || be.Uint16(l4[22:]) != mss {
		t.Errorf("the answer is %x", l4)
	}
}

const synAck = syn | ack

func TestCookieAnswers(t *testing.T) {
	needCookies(t)
	if !alone(t) {
		return
	}
	own := echo(t, "[::]:443")
	echo(t, "[::]:2222")
	x, err := load(Options{Ports: []Port{{At: own}}}, nil, 1500, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	syn4, syn6 := v4("198.51.100.1", tcp, 40000, 443), v6("2001:db8:1:3::1", tcp, 40000, 443)
	short := syn4.frame()
	short[46] = 5 << 4 // no options: what the answer is longer than
	sysctl(t, "ipv4/tcp_syncookies", "2")
	for _, c := range []struct {
		name  string
		frame []byte
		mss   uint16 // 0: not answered
	}{
		{"IPv4", syn4.frame(), 1460},
		{"IPv6", syn6.frame(), 1440},
		{"without options", short[:54], 1460},
		{"with data", syn4.with(func(p *packet) { p.payload = make([]byte, 500) }).frame(), 1460},
		{"not a SYN", syn4.with(func(p *packet) { p.flags = ack }).frame(), 0},
		{"a SYN-ACK", syn4.with(func(p *packet) { p.flags = syn | ack }).frame(), 0},
		{"SYN and FIN", syn4.with(func(p *packet) { p.flags = syn | fin }).frame(), 0},
		{"SYN and RST", syn4.with(func(p *packet) { p.flags = syn | rst }).frame(), 0},
		{"another port", syn4.with(func(p *packet) { p.port = 2222 }).frame(), 0},
		{"IP options", syn4.with(func(p *packet) { p.options = 4 }).frame(), 0},
		{"a fragment", syn4.with(func(p *packet) { p.fragment = 0x2000 }).frame(), 0},
		{"a fragment, IPv6", syn6.with(func(p *packet) { p.pieces, p.fragment = true, 1 }).frame(), 0},
		{"a tag", syn4.with(func(p *packet) { p.tags = []uint16{tagged} }).frame(), 0},
	} {
		verdict, out, why := passed(t, x, c.frame)
		if c.mss == 0 {
			if verdict != xdpPass || string(out) != string(c.frame) {
				t.Errorf("%s: %s (%d)", c.name, why, verdict)
			}
			continue
		}
		if verdict != xdpTX || why != PassCookie {
			t.Errorf("%s: %s (%d)", c.name, why, verdict)
			continue
		}
		checkAnswer(t, c.frame, out, c.mss)
	}
	// Cut short it is answered, or passes as it was.
	whole := syn4.frame()
	for n := 14; n < len(whole); n++ {
		if verdict, out, _ := passed(t, x, whole[:n]); verdict == xdpPass && string(out) != string(whole[:n]) || verdict == xdpDrop {
			t.Errorf("cut to %d bytes: %d", n, verdict)
		}
	}
	// In peace the kernel wants none.
	sysctl(t, "ipv4/tcp_syncookies", "1")
	if verdict, _, why := passed(t, x, syn4.frame()); verdict != xdpPass || why != Pass {
		t.Errorf("in peace: %s (%d)", why, verdict)
	}
}

// Connections come about through cookies of the gate's, and in a flood it makes
// them by itself.
func TestCookiesOnACable(t *testing.T) {
	needCookies(t)
	if !alone(t) {
		return
	}
	sysctl(t, "core/somaxconn", "16") // before anybody listens
	sysctl(t, "ipv4/tcp_syncookies", "2")
	p := cable(t)
	own := echo(t, "[::]:8080")
	p.do(func() {
		// What a program sends back into a cable arrives only where a program stands.
		at, err := net.InterfaceByName(there)
		if err != nil {
			t.Fatal(err)
		}
		strange(t, at.Index)
	})
	s := stand(t, Config{Mode: XDP}, []Port{{At: own}}, nil)
	if st := s.Status(); st.Backend != Native {
		t.Fatalf("%s: %s", st.Backend, st.Why)
	}
	if c := s.Status().Cookies; !strings.HasPrefix(c, "always") {
		t.Errorf("cookies %s", c)
	}
	cookies := func() uint64 { return s.Status().Counts[PassCookie].Packets }
	reach := func(n int) (ok int) {
		for range n / 2 {
			if p.reaches("10.99.0.3", "10.99.0.1:8080") {
				ok++
			}
			if p.reaches("fd98::2", "[fd98::1]:8080") {
				ok++
			}
		}
		return ok
	}
	if n := reach(20); n != 20 || cookies() < 20 {
		t.Errorf("%d of 20 connections by %d cookies", n, cookies())
	}

	sysctl(t, "ipv4/tcp_syncookies", "1")
	if c := s.Status().Cookies; c != "while a listener's queue is full" {
		t.Errorf("cookies %s", c)
	}
	before := cookies()
	if n := reach(6); n != 6 || cookies() != before {
		t.Errorf("in peace: %d of 6 connections, %d cookies", n, cookies()-before)
	}
	here, err := net.InterfaceByName(here)
	if err != nil {
		t.Fatal(err)
	}
	var flood [][]byte
	for i := range 200 {
		f := v4(fmt.Sprintf("10.99.0.%d", 20+i), tcp, uint16(2000+i), 8080)
		f.to = "10.99.0.1"
		flood = append(flood, append(append([]byte{}, here.HardwareAddr...), f.frame()[6:]...))
	}
	p.wire(t, flood...)
	becomes(t, "cookies in a flood", true, func() bool { return cookies() > before })
	if n := reach(20); n != 20 {
		t.Errorf("in a flood: %d of 20 connections", n)
	}
	t.Logf("%d cookies", cookies())
}
