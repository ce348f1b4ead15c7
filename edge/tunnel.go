package edge

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
)

// tunnel carries bytes both ways after the origin has switched protocols, as
// for WebSocket (RFC 9110, 7.8), until both sides have ended or nothing has
// passed in either direction for Timeouts.Stream.
func (p *proxy) tunnel(x *exchange) {
	if !strings.EqualFold(x.resp.Header.Get("Upgrade"), x.head.upgrade) {
		p.fail(x.w, x.r, deich.OriginDown)
		return
	}
	l := x.line
	p.streaming(x.w)
	// Counted before its server forgets it: a shutdown must see it on one side.
	p.tunnels.Add(1)
	defer p.tunnels.Add(-1)
	client, rw, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		p.fail(x.w, x.r, deich.OriginDown)
		return
	}
	defer client.Close()
	if _, err := client.Write(appendSwitch(nil, x.resp)); err != nil {
		return
	}
	l.tcp.SetDeadline(time.Time{})
	t := newPipe(l.backend.timeouts.Load().Stream.Duration)
	p.lasting.begin(t, l)
	defer p.lasting.end(t)
	back := make(chan struct{})
	go func() {
		defer close(back)
		t.carry(client, l.conn, l.br)
	}()
	t.carry(l.conn, client, rw.Reader)
	<-back
}

// appendSwitch writes the origin's 101. Hop-by-hop fields are what it is
// about; what speaks to Deich is left out.
func appendSwitch(b []byte, resp *http.Response) []byte {
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\n"...)
	for name, values := range resp.Header {
		if strings.HasPrefix(name, "Deich-") || name == "Content-Length" || name == "Transfer-Encoding" {
			continue
		}
		for _, v := range values {
			b = appendField(b, name, v)
		}
	}
	return append(b, "\r\n"...)
}

// pipe is what both directions of a tunnel share. A stream of events is half one.
type pipe struct {
	pause atomic.Int64 // ns
	last  atomic.Int64 // Unix ns at which something passed, in either direction
}

func newPipe(pause time.Duration) *pipe {
	p := new(pipe)
	p.pause.Store(int64(pause))
	p.touch()
	return p
}

func (p *pipe) touch() { p.last.Store(time.Now().UnixNano()) }

// idleUntil is when the tunnel has been silent for too long.
func (p *pipe) idleUntil() time.Time { return time.Unix(0, p.last.Load()+p.pause.Load()) }

// carry carries one direction to its end. Where from has just ended, the other
// direction may go on for a while; where it broke, both are over.
func (p *pipe) carry(to, from net.Conn, read *bufio.Reader) {
	half, ok := to.(interface{ CloseWrite() error })
	if !p.copy(to, from, read) || !ok || half.CloseWrite() != nil {
		to.Close()
		from.Close()
		return
	}
	p.touch()
	p.pause.Store(min(p.pause.Load(), int64(tunnelLinger)))
	to.SetReadDeadline(p.idleUntil())
}

// copy gives true where from has ended, and false where anything failed or the
// whole tunnel was silent for too long. read is from, with what was read before.
func (p *pipe) copy(to, from net.Conn, read *bufio.Reader) bool {
	if n := read.Buffered(); n > 0 {
		b, _ := read.Peek(n)
		if _, err := to.Write(b); err != nil {
			return false
		}
	}
	buf := make([]byte, tunnelBytes)
	for {
		from.SetReadDeadline(p.idleUntil())
		n, err := from.Read(buf)
		if n > 0 {
			p.touch()
			to.SetWriteDeadline(p.idleUntil())
			if _, err := to.Write(buf[:n]); err != nil {
				return false
			}
		}
		switch {
		case err == io.EOF:
			return true
		case timedOut(err) && time.Now().Before(p.idleUntil()):
			// The other direction was busy.
		case err != nil:
			return false
		}
	}
}
