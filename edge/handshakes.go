package edge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var errNoHandshake = errors.New("edge: too many handshakes")

// handshakes is the budget of TLS handshakes. What one costs is spent all at once, after the
// client's first message; it is some hundred times what the message costs its sender.
// So only as many are computed at once as there are processors, and requests never
// wait behind more. The others wait in three rows: those from where somebody
// was served before go first, in turn; then strangers from where hardly anybody asked
// lately, as newcomers do and floods do not; then other strangers. Of strangers the newest goes
// first, since who has waited longest has left soonest. Whoever left is passed over. Who has to be asked for a second message,
// by a HelloRetryRequest (RFC 8446, 4.1.4), gives the turn back with that question, and takes
// another one once the answer is here: only then the most is computed. Safe for concurrent use.
type handshakes struct {
	atOnce  int
	refused atomic.Uint64

	mu      sync.Mutex
	running int
	waiting [rows][]*handshake // each with the oldest first
}

// The rows that handshakes wait in. A lower one goes first.
const (
	rowKnown = iota // somebody there was served before
	rowFresh        // strangers from where hardly anybody asked lately
	rowOther
	rows
)

// handshake is one that waits.
type handshake struct {
	turn chan bool // false: it is not taken
}

func newHandshakes() *handshakes { return &handshakes{atOnce: runtime.GOMAXPROCS(0)} }

// enter waits for a turn; leave ends it. An error says that there is none.
func (s *handshakes) enter(row int) error {
	s.mu.Lock()
	if s.running < s.atOnce {
		s.running++
		s.mu.Unlock()
		return nil
	}
	h := &handshake{turn: make(chan bool, 1)}
	all := &s.waiting[row]
	if len(*all) >= handshakesWaiting { // the oldest makes room
		(*all)[0].turn <- false
		*all = slices.Delete(*all, 0, 1)
	}
	*all = append(*all, h)
	s.mu.Unlock()

	wait := time.NewTimer(handshakeWait)
	defer wait.Stop()
	select {
	case mine := <-h.turn:
		if mine {
			return nil
		}
	case <-wait.C:
		if s.forget(h) || !<-h.turn {
			break
		}
		return nil // its turn came in the last moment
	}
	s.refused.Add(1)
	return errNoHandshake
}

// leave gives the turn to the next.
func (s *handshakes) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for row := range s.waiting {
		all := &s.waiting[row]
		if len(*all) == 0 {
			continue
		}
		next := len(*all) - 1
		if row == rowKnown {
			next = 0
		}
		(*all)[next].turn <- true
		*all = slices.Delete(*all, next, next+1)
		return
	}
	s.running--
}

// forget takes h out; false says that its turn was decided.
func (s *handshakes) forget(h *handshake) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for row := range s.waiting {
		if i := slices.Index(s.waiting[row], h); i >= 0 {
			s.waiting[row] = slices.Delete(s.waiting[row], i, i+1)
			return true
		}
	}
	return false
}

// short says that handshakes run short.
func (s *handshakes) short() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, all := range s.waiting {
		n += len(all)
	}
	return n >= handshakesShort
}

// rowOf gives the row in which a handshake from peer is to wait, and notes that one was
// begun. A stranger's address (IPv6: a /64), or its network, that begins more than one
// in turnEvery for long is one of many, and stays so for a while after.
func (s *conns) rowOf(peer netip.Addr) int {
	if s.known(peer) {
		return rowKnown
	}
	now := s.now()
	address := s.debts.charge(s.debts.debtor(peer)^saltTurns, now, turnEvery)
	network := s.debts.charge(s.debts.network(peer)^saltTurns, now, turnEvery/acceptNetwork)
	if max(address, network) > turnFirst {
		return rowOther
	}
	return rowFresh
}

// shake takes a turn for the connection's handshake, once the client's first message is
// here, or its second where it was asked for one. The turn ends with the answer to it, or with the connection.
// Who has left by then takes none: in a row, each of those would have to be woken to be passed over.
func (c *conn) shake() error {
	s, row := c.set, rowKnown
	if !c.trusted {
		row = s.rowOf(c.peer)
	}
	if c.sock.hungUp() {
		c.left.Store(true)
		return errNoHandshake
	}
	if err := s.handshakes.enter(row); err != nil {
		return err
	}
	c.shaking.Store(true)
	if c.closed.Load() { // meanwhile, so that nobody else ends it
		c.shaken()
		return errNoHandshake
	}
	if c.sock.hungUp() {
		c.left.Store(true)
		c.shaken()
		return errNoHandshake
	}
	c.turned.Store(true)
	return nil
}

func (c *conn) shaken() {
	if c.shaking.CompareAndSwap(true, false) {
		c.set.handshakes.leave()
	}
}

// What TLS records and messages begin with (RFC 8446, 5.1 and 4).
const (
	recordHeader    = 5
	recordHandshake = 22
	messageHeader   = 4
	helloServer     = 2
)

// asking is the random of a ServerHello that asks for another ClientHello: the SHA-256
// of "HelloRetryRequest" (RFC 8446, 4.1.3).
var asking = []byte{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

// asksAgain says whether a record that is about to be written is a HelloRetryRequest.
func asksAgain(record []byte) bool {
	const random = recordHeader + messageHeader + 2 // the version is before it
	return len(record) >= random+len(asking) && record[0] == recordHandshake && record[recordHeader] == helloServer &&
		bytes.Equal(record[random:random+len(asking)], asking)
}

// opening follows a ClientHello through the records that carry it, as it is read, so that it
// is known when it is whole: a turn is never held while the rest is waited for. What is built
// wrongly it need not tell; the standard library refuses that.
type opening struct {
	over   bool // it is whole, or there is none
	again  bool // it is the second, until it is whole
	beyond bool // more has been read than it

	record [recordHeader]byte
	headed int // bytes of record that are here
	left   int // of the record's content still to come

	message [messageHeader]byte
	begun   int // bytes of message that are here
	missing int // of the message's content still to come, once message is whole
}

// take reads on.
func (g *opening) take(p []byte) {
	for len(p) > 0 && !g.over {
		if g.left == 0 {
			n := copy(g.record[g.headed:], p)
			g.headed, p = g.headed+n, p[n:]
			if g.record[0] != recordHandshake && !g.again {
				g.over = true // no TLS
			}
			if g.headed == recordHeader {
				g.headed, g.left = 0, int(binary.BigEndian.Uint16(g.record[3:]))
			}
			continue
		}
		n := min(len(p), g.left)
		if g.record[0] == recordHandshake { // a change_cipher_spec may come before the second
			g.content(p[:n])
		}
		p = p[n:]
		g.left -= n
		// The standard library looks at whole records.
		g.over = g.left == 0 && g.begun == messageHeader && g.missing <= 0
	}
	g.beyond = g.beyond || len(p) > 0
}

func (g *opening) content(p []byte) {
	n := copy(g.message[g.begun:], p)
	if g.begun += n; n > 0 && g.begun == messageHeader {
		g.missing = int(g.message[1])<<16 | int(g.message[2])<<8 | int(g.message[3])
	}
	g.missing -= len(p) - n
}

// opens follows what was read, and takes the turn for a second ClientHello once it is whole.
func (c *conn) opens(p []byte) error {
	c.opening.take(p)
	if !c.opening.over || !c.opening.again {
		return nil
	}
	c.opening.again = false
	return c.shake()
}

// asked follows what is written during a handshake that has its turn. After a question for
// another ClientHello its answer is waited for; who sent it together with the first, before
// it could be asked for, would have it computed without a turn.
func (c *conn) asked(record []byte) error {
	switch {
	case !asksAgain(record):
	case c.opening.beyond:
		return errNoHandshake
	default:
		c.opening = opening{again: true}
	}
	return nil
}
