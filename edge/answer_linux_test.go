package edge

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// segments is how many segments with data a connection has received (tcp(7),
// TCP_INFO).
func segments(t testing.TB, tcp *net.TCPConn) int {
	t.Helper()
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO) })
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Data_segs_in)
}

// TestAnswerOverHTTP2IsOneSegment counts at the client what the kernel got.
func TestAnswerOverHTTP2IsOneSegment(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 1000)) })
	c := overH2(t, up)
	tr := c.Transport.(*http.Transport)
	dial, conns := tr.DialContext, make(chan net.Conn, 1)
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := dial(ctx, network, addr)
		if err == nil {
			conns <- nc
		}
		return nc, err
	}
	// With one processor the order in which goroutines run is known; with more,
	// another may write before the body has come round.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const answers = 200
	ask := func() {
		if resp, body := get(t, c, "https://a.example/"); resp.ProtoMajor != 2 || len(body) != 1000 {
			t.Fatal(resp.Proto, len(body))
		}
	}
	ask()
	nc := (<-conns).(*net.TCPConn)
	before := segments(t, nc)
	for range answers {
		ask()
	}
	if n := segments(t, nc) - before; n > answers*3/2 {
		t.Errorf("%d segments for %d answers", n, answers)
	}
}
