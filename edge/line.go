package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errHeadTooLong = errors.New("edge: the origin's headers are too long")
	errInterim     = errors.New("edge: too many interim answers of the origin")
	errStatus      = errors.New("edge: the origin's status is none")
)

// line is a connection to a backend. It is used by one request at a time, on
// that request's goroutine; nothing watches it in between.
type line struct {
	backend *backend
	conn    net.Conn // tcp, or TLS over it
	tcp     *net.TCPConn
	probe   *probe
	br      *bufio.Reader
	hangUp  func() // closes tcp; one closure for all requests
	left    func() // the client has gone; the same
	one     [1]byte

	reused    bool
	idleSince time.Time

	owed     atomic.Bool // a request that is held whole was begun, its answer has not come, and is waited for in any case
	got      int64       // bytes received for the present request
	headLeft int         // bytes of headers it may still send; negative: reading a body
	pause    time.Duration
	deadline time.Time // for reads of a body

	mu      sync.Mutex // between the reader and a sender that finishes
	hasHead bool
}

func newLine(b *backend, tcp *net.TCPConn, secured *tls.Conn) (*line, error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &line{backend: b, conn: newDirect(tcp), tcp: tcp, probe: newProbe(raw)}
	if secured != nil {
		l.conn = secured
	}
	l.br = bufio.NewReader(l)
	l.hangUp = func() { tcp.Close() }
	l.left = func() { b.leavers.leave(l) }
	return l, nil
}

// Read reads for br: headers up to their bound, then bodies with a deadline
// that moves.
func (l *line) Read(p []byte) (int, error) {
	if l.headLeft == 0 {
		return 0, errHeadTooLong
	}
	if l.headLeft < 0 {
		if now := time.Now(); l.deadline.Sub(now) < l.pause/2 {
			l.deadline = now.Add(l.pause)
			l.tcp.SetReadDeadline(l.deadline)
		}
	}
	n, err := l.conn.Read(p)
	l.got += int64(n)
	if l.headLeft > 0 {
		l.headLeft = max(l.headLeft-n, 0)
	}
	return n, err
}

// begin arms the line for a request. With wait, the time until the first byte
// runs from now; else it runs from answerDue.
func (l *line) begin(wait bool) {
	l.got, l.headLeft, l.hasHead = 0, originHeaderMax, false
	due := time.Now().Add(l.backend.timeouts.Load().FirstByte.Duration)
	if wait {
		l.tcp.SetDeadline(due)
		return
	}
	l.tcp.SetReadDeadline(time.Time{})
	l.tcp.SetWriteDeadline(due)
}

// answerDue starts the time until the first byte, once a long body is sent.
func (l *line) answerDue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hasHead {
		l.tcp.SetReadDeadline(time.Now().Add(l.backend.timeouts.Load().FirstByte.Duration))
	}
}

// send writes all of b.
func (l *line) send(b []byte) error {
	_, err := l.conn.Write(b)
	return err
}

// answer reads the headers of one answer, interim ones included.
func (l *line) answer(r *http.Request) (*http.Response, error) {
	if l.headLeft < 0 {
		return nil, errStatus
	}
	resp, err := http.ReadResponse(l.br, r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 100 || resp.StatusCode > 999 {
		return nil, errStatus
	}
	if resp.StatusCode >= 200 {
		l.receiveBody(l.backend.timeouts.Load().Body.Duration)
	}
	return resp, nil
}

// receiveBody lets the answer's body come, with pauses up to the given one.
func (l *line) receiveBody(pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hasHead, l.headLeft, l.pause, l.deadline = true, -1, pause, time.Time{}
}

// watch ends the line when ctx ends, unless its answer is owed: then it is among
// the leavers. stop gives false when ctx has ended.
func (l *line) watch(ctx context.Context) (stop func() bool) {
	if own, ok := ctx.(interface{ AfterFunc(func()) func() bool }); ok {
		return own.AfterFunc(l.left) // without a context between
	}
	return context.AfterFunc(ctx, l.left)
}

// answered says that the line owes no answer any more. Where nobody is there to
// take it, the line ends now.
func (l *line) answered(ctx context.Context) {
	if l.owed.CompareAndSwap(true, false) && ctx.Err() != nil {
		l.backend.leavers.forget(l)
		l.hangUp()
	}
}

// fresh says whether an idle line can still be used.
func (l *line) fresh(now time.Time) bool {
	return now.Sub(l.idleSince) < lineIdle && l.br.Buffered() == 0 && l.probe.quiet() && l.drained()
}

// drained says whether TLS holds nothing back: a record that came together with
// the answer's last one has left the kernel, where the probe looks.
func (l *line) drained() bool {
	if _, secured := l.conn.(*tls.Conn); !secured {
		return true
	}
	l.tcp.SetReadDeadline(time.Unix(1, 0)) // only what is here already
	n, err := l.conn.Read(l.one[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// close ends the line.
func (l *line) close() {
	l.tcp.Close()
	l.backend.closed()
}

// timedOut says whether err is a deadline that passed.
func timedOut(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
