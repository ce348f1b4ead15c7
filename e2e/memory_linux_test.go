package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// hostileRequests is how many are sent, hostileAtOnce how many at a time.
	hostileRequests, hostileAtOnce = 40_000, 64
	// memoryRoom is by how much the process may have grown afterwards: the
	// buffers of hostileAtOnce connections with 16 KiB of headers each, and a
	// heap that the collector lets double before it works. 40,000 requests that
	// left 2 KiB each behind would need 80 MiB more.
	memoryRoom = 40 << 20
)

// rss is how much memory a process holds, in bytes.
func rss(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// Tens of thousands of hostile requests, none like the other, leave nothing
// behind that grows.
func TestMemoryIsBounded(t *testing.T) {
	origin := recording(t)
	p := build(t).protect(t, t.TempDir(), origin.URL)
	to := strings.TrimPrefix(p.users, "http://")
	hostile(t, to, hostileRequests/10) // what is made at first use is made now
	before := rss(t, p.cmd.Process.Pid)
	began := time.Now()
	most := int64(0)
	for range 10 {
		hostile(t, to, hostileRequests/10)
		most = max(most, rss(t, p.cmd.Process.Pid))
	}
	t.Logf("%d requests in %v: %d MiB before, at most %d MiB", hostileRequests, time.Since(began).Round(time.Millisecond), before>>20, most>>20)
	if most > before+memoryRoom {
		t.Errorf("it grew from %d to %d bytes, by more than %d", before, most, memoryRoom)
	}
	p.calm(t)
	p.stop(t)
}

// hostile sends n requests of all kinds from many addresses of this machine.
func hostile(t *testing.T, to string, n int) {
	var all sync.WaitGroup
	for w := range hostileAtOnce {
		all.Go(func() {
			for i := w; i < n; i += hostileAtOnce {
				send(to, i)
			}
		})
	}
	all.Wait()
}

// send sends the i-th and reads what comes back; that it may be refused or
// cut off is the point.
func send(to string, i int) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, byte(i>>8)|1, byte(i), 1)}, Timeout: patience}
	c, err := dialer.Dial("tcp", to)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	filler := strconv.Itoa(i)
	host := "Host: " + filler + ".example\r\n"
	switch i % 10 {
	case 0:
		fmt.Fprintf(c, "GET /%s/%s HTTP/1.1\r\n%sCookie: %s\r\n\r\n", filler, filler, host, strings.Repeat(filler+"=b; ", 1_000))
	case 1:
		fmt.Fprintf(c, "GET / HTTP/1.1\r\n%sX: %s\r\n\r\n", host, strings.Repeat(filler, 10_000))
	case 2:
		fmt.Fprintf(c, "GET / HTTP/1.1\r\n%sCookie: deich=%068s; deich-place=%040s\r\nAccept: text/html\r\n\r\n", host, filler, filler)
	case 3:
		fmt.Fprintf(c, "POST / HTTP/1.1\r\n%sContent-Length: 1000000\r\n\r\n%s", host, filler)
		return // and goes
	case 4:
		fmt.Fprintf(c, "GET / HTTP/1.1\r\n%sX-Forwarded-For: %s\r\nForwarded: %s\r\nAuthorization: %s\r\n\r\n", host, strings.Repeat("1.2.3.4, ", 500), strings.Repeat("for=x;", 500), filler)
	case 5:
		fmt.Fprintf(c, "GET / HTTP/1.1\r\n%sConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: %s\r\n\r\n", host, filler)
	case 6:
		fmt.Fprintf(c, "POST /.well-known/deich/challenge HTTP/1.1\r\n%sContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 40\r\n\r\ntoken=%034s", host, filler)
	case 7:
		fmt.Fprintf(c, "GARBAGE%s\r\n\r\n", filler)
	case 8:
		fmt.Fprintf(c, "POST / HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\nffffffff\r\n%s", host, filler)
		return
	default:
		fmt.Fprintf(c, "GET /?%s HTTP/1.1\r\nHost: %s\r\n", filler, filler)
		return // headers without an end
	}
	_, _ = io.CopyN(io.Discard, bufio.NewReader(c), 100)
}
