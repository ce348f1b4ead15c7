package edge

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/edge/h2"
)

// HTTP/2's requests go through the engine as all others do. What a client can
// make the server do below them it cannot see: streams that are opened to be reset,
// or made so wrong that the server resets them, and frames that carry nothing. So
// each connection's frames are looked at, one by one, on their way.

// serveH2 serves HTTP/2 on t, whose handshake is over.
func (s *Server) serveH2(ctx context.Context, t *tls.Conn, c *conn, state *tls.ConnectionState) {
	f := newFramed(s, t, c)
	c.framed.Store(f)
	s.h2.Serve(ctx, f, state, func(to http.ConnState) { s.connState(f, to) })
}

// framed is a connection by which HTTP/2 is spoken. One goroutine reads, another
// writes.
//
// What a client owes is counted by what the frames it sends cost: streams ended
// before their answer frameReset each, header blocks in pieces
// frameContinued, and frames with nothing in them one. Each answer that was given
// whole repays one, so that those who use a site may cancel a lot. What a connection
// cannot repay its client owes: from framesWait on what it sends waits for its turn, at
// framesToldOf it is asked by GOAWAY to open nothing more, and at framesEnded it is closed.
type framed struct {
	*tls.Conn
	server *Server
	conn   *conn

	in      framing
	settled bool // SETTINGS have come
	agreed  bool // and an acknowledgment of those that were sent
	whole   bool // the last piece of the present header block has begun
	ended   atomic.Bool
	owes    atomic.Bool // it was charged since the last read, and its client owes much

	tab    tab
	slack  atomic.Int32 // frames beside requests that may come for what was asked and given
	opened atomic.Int64 // deich.Time since which a header block is incomplete; 0: none is

	mu   sync.Mutex // over writes
	out  framing
	told bool
	tell atomic.Bool // a GOAWAY is due between two frames
}

func newFramed(s *Server, t *tls.Conn, c *conn) *framed {
	f := &framed{Conn: t, server: s, conn: c, tab: tab{debts: s.conns.debts, debtor: c.debtor}}
	f.in.skip = len(h2.Preface)
	f.slack.Store(slackFirst)
	return f
}

// Read gives what the client sent: in its turn, where that brings debt to a client who
// owes already. It ends where it owes too much.
func (f *framed) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if f.conn.trusted {
		return n, err // others stand behind it
	}
	for b := p[:n]; ; {
		got, rest, ok := f.in.next(b)
		if !ok {
			break
		}
		f.received(&got, len(rest))
		b = rest
	}
	if f.whole && f.in.skip == 0 && f.opened.Load() != 0 {
		f.opened.Store(0)
	}
	if f.ended.Load() {
		return 0, io.EOF
	}
	if f.owes.Load() {
		f.owes.Store(false)
		f.await(f.tab.debts.turn(f.server.now()))
	}
	return n, err
}

// await lets a turn come. What is sent meanwhile would wake the runtime's poller with
// each packet, which is more than what it costs to be read.
func (f *framed) await(turn time.Duration) {
	if turn <= 0 {
		return
	}
	f.conn.sock.wakeAt(wakeBytes)
	time.Sleep(turn)
	f.conn.sock.wakeAt(1)
}

// Write hands p to the client.
func (f *framed) Write(p []byte) (int, error) {
	if f.conn.trusted {
		return f.Conn.Write(p)
	}
	f.mu.Lock()
	n, err := f.Conn.Write(p)
	for b := p[:n]; ; {
		got, rest, ok := f.out.next(b)
		if !ok {
			break
		}
		f.sent(&got)
		b = rest
	}
	f.sayGoAway()
	f.mu.Unlock()
	f.trySayGoAway() // asked for meanwhile
	return n, err
}

// received counts a frame of the client's, of whose payload so much is here.
func (f *framed) received(got *frame, here int) {
	switch got.kind {
	case h2.FrameHeaders, h2.FrameContinuation:
		f.whole = got.flags&h2.FlagEndHeaders != 0
		if f.whole && got.length <= here {
			f.opened.Store(0)
		} else if f.opened.Load() == 0 {
			f.opened.Store(int64(f.server.now()))
		}
		if got.kind == h2.FrameContinuation {
			f.charge(frameContinued)
		} else {
			raise(&f.slack, slackOfRequest, slackMost)
		}
	case h2.FrameData:
		if got.carried() < dataTelling && got.flags&h2.FlagEndStream == 0 {
			f.charge(1)
		}
	case h2.FrameRSTStream:
		f.charge(frameReset)
	case h2.FrameSettings:
		first := &f.settled
		if got.flags&h2.FlagAck != 0 {
			first = &f.agreed
		}
		if *first {
			f.charge(1)
		}
		*first = true
	case h2.FramePing:
		f.charge(1) // an acknowledgment, too: nothing asks for one
	default: // GOAWAY, WINDOW_UPDATE, PRIORITY, PRIORITY_UPDATE, and what is not known
		if pay(&f.slack, 1) < 1 {
			f.charge(1)
		}
	}
}

// sent counts a frame of the server's.
func (f *framed) sent(got *frame) {
	switch got.kind {
	case h2.FrameHeaders, h2.FrameData:
		if got.flags&h2.FlagEndStream != 0 {
			f.tab.repay()
		}
		if got.kind == h2.FrameData {
			raise(&f.slack, int32(slackOfData+got.length/slackBytes), slackMost)
		}
	case h2.FrameRSTStream:
		switch got.code() {
		case h2.CodeProtocol, h2.CodeFlowControl, h2.CodeStreamClosed, h2.CodeFrameSize, h2.CodeRefusedStream:
			f.charge(frameReset) // the client's fault; others are the platform's, or nobody's
		}
	}
}

// charge has the client owe n, and does what its debt then calls for.
func (f *framed) charge(n int32) {
	if f.ended.Load() {
		return
	}
	switch f.tab.charge(n, f.server.now()) {
	case debtEnds:
		f.end()
	case debtWaits:
		f.owes.Store(true)
	case debtTells:
		f.owes.Store(true)
		f.tell.Store(true)
		f.trySayGoAway()
	}
}

// end closes the connection: its reader ends, and the server with it.
func (f *framed) end() {
	if !f.ended.CompareAndSwap(false, true) {
		return
	}
	f.tell.Store(true)
	f.trySayGoAway()
	f.server.abusedBy(f.conn.peer)
	f.conn.sock.SetReadDeadline(time.Unix(1, 0)) // ends a read that waits
}

// abusedBy notes a connection that was ended for what its client owes.
func (s *Server) abusedBy(peer netip.Addr) {
	s.conns.abusive.Add(1)
	for range abuseMalformed {
		s.malformedBy(peer)
	}
}

// trySayGoAway writes a GOAWAY that is due, unless somebody writes: who does will.
func (f *framed) trySayGoAway() {
	if f.tell.Load() && f.mu.TryLock() {
		f.sayGoAway()
		f.mu.Unlock()
	}
}

// sayGoAway writes a GOAWAY that is due, between two frames. f.mu is held. As long as
// the connection lives it names no stream: whatever the client has sent will be
// looked at (RFC 9113, 6.8).
func (f *framed) sayGoAway() {
	ended := f.ended.Load()
	if !f.tell.Load() || f.told && !ended || !f.out.between() {
		return
	}
	f.tell.Store(false)
	f.told = true
	b := [h2.HeadBytes + 8]byte{2: 8, 3: h2.FrameGoAway}
	last, code := uint32(1<<31-1), h2.CodeNone
	if ended {
		code = h2.CodeCalm
	}
	binary.BigEndian.PutUint32(b[h2.HeadBytes:], last)
	binary.BigEndian.PutUint32(b[h2.HeadBytes+4:], uint32(code))
	f.Conn.Write(b[:])
}

// stuck says that a header block has been incomplete for longer than it may take.
func (f *framed) stuck(now deich.Time, longest time.Duration) bool {
	since := f.opened.Load()
	return since != 0 && now.Sub(deich.Time(since)) > longest
}
