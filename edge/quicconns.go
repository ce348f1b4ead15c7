package edge

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

var errNotTaken = errors.New("edge: quic: connection not taken")

// quicConns knows every QUIC connection, from its first packet on. Safe for
// concurrent use.
type quicConns struct {
	max     int
	peerMax int    // of one address, when connections are short
	beside  *conns // those of TCP, whose turns for handshakes these take, too
	orders  *orders
	debts   *debts
	trusted func(netip.Addr) bool
	now     func() deich.Time
	abused  func(netip.Addr) // tells the engine of a connection that was ended for what it owes

	refused atomic.Uint64 // under an order
	full    atomic.Uint64 // no room, or too many of one address
	retried atomic.Uint64 // asked to prove their address first

	mu       sync.Mutex
	open     map[*quicConn]struct{}
	peers    map[netip.Addr]int32
	unproven int // handshakes that are not complete
}

// quicConn is one QUIC connection. busy and waiting are as a conn's.
type quicConn struct {
	set         *quicConns
	first       netip.Addr // where its first packet came from
	verified    bool       // it has proved that address before anything was kept for it
	proven      bool       // guarded by set.mu
	conn        atomic.Pointer[quic.Conn]
	busy        atomic.Int32
	waiting     atomic.Int64
	fingerprint string // written during the handshake, read after it
	turn        turn
	turned      atomic.Bool // its handshake was computed
	brought     atomic.Bool // a request
	declined    atomic.Bool // there was no turn for it
	tab         tab
}

func newQUICConns(l Limits, beside *conns, trusted func(netip.Addr) bool, now func() deich.Time) *quicConns {
	return &quicConns{
		max: min(l.Connections, quicConnectionsMax), peerMax: l.PeerConnections,
		beside: beside, orders: beside.orders, debts: beside.debts, trusted: trusted, now: now, abused: func(netip.Addr) {},
		open: make(map[*quicConn]struct{}), peers: make(map[netip.Addr]int32),
	}
}

// quicKey finds the quicConn in a context.
type quicKey struct{}

// quicOf gives the QUIC connection that r came by; nil where it came by none.
func quicOf(r *http.Request) *quicConn {
	if r.ProtoMajor < 3 {
		return nil
	}
	return quicIn(r.Context())
}

func quicIn(ctx context.Context) *quicConn {
	c, _ := ctx.Value(quicKey{}).(*quicConn)
	return c
}

// udpAddr is the address of a datagram's sender.
func udpAddr(a net.Addr) netip.Addr {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.IPv6Unspecified()
	}
	return u.AddrPort().Addr().Unmap().WithZone("")
}

// doubts says, for a first packet without a token, whether its sender has to
// prove its address before anything is kept for it (RFC 9000, 8.1.2). It costs
// those one round trip.
func (s *quicConns) doubts(net.Addr) bool {
	short := s.short()
	if short {
		s.retried.Add(1)
	}
	return short
}

// short says that many handshakes hang or wait for their turn, or that half of the
// connections are taken.
func (s *quicConns) short() bool {
	s.mu.Lock()
	short := s.unproven >= quicUnprovenMax || len(s.open) >= s.max/2
	s.mu.Unlock()
	return short || s.beside.handshakes.short()
}

// admit takes a new connection into account. An error refuses it, before
// anything is made for it.
func (s *quicConns) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	from := udpAddr(info.RemoteAddr)
	switch {
	case s.trusted(from):
	case s.orders.refuses(s.now(), from):
		s.refused.Add(1)
		return nil, errNotTaken
	// Only who has proved its address is held to what that may: others name anybody's.
	case info.AddrVerified && s.beside.handshakes.short() && s.beside.overdrawn(s.now(), from):
		s.full.Add(1)
		s.beside.empties.refused.Add(1)
		return nil, errNotTaken
	}
	c := &quicConn{set: s, first: from, verified: info.AddrVerified, tab: tab{debts: s.debts, debtor: s.debts.debtor(from)}}
	if !s.add(c) {
		s.full.Add(1)
		return nil, errNotTaken
	}
	context.AfterFunc(ctx, func() {
		c.shaken()
		if !c.brought.Load() && !c.declined.Load() && !s.trusted(from) {
			s.beside.leftEmpty(from, c.turned.Load())
		}
		s.remove(c)
	})
	return context.WithValue(ctx, quicKey{}, c), nil
}

func (s *quicConns) add(c *quicConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	peer := peerOf(c.first)
	if len(s.open) >= s.max || len(s.open) >= s.max*shortAt/100 && int(s.peers[peer]) >= s.peerMax {
		return false
	}
	s.open[c] = struct{}{}
	s.peers[peer]++
	s.unproven++
	return true
}

func (s *quicConns) remove(c *quicConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.open[c]; !open {
		return
	}
	delete(s.open, c)
	peer := peerOf(c.first)
	if s.peers[peer]--; s.peers[peer] <= 0 {
		delete(s.peers, peer)
	}
	if !c.proven {
		s.unproven--
	}
}

// proved notes that a handshake is complete, and with it that the client has
// its address (RFC 9000, 8.1).
func (s *quicConns) proved(c *quicConn, conn *quic.Conn) {
	c.waiting.Store(int64(s.now()))
	c.conn.Store(conn)
	c.shaken()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.proven {
		c.proven = true
		s.unproven--
	}
}

// tick closes connections that have no request for longer than idle. QUIC
// itself would keep them as long as the client sends anything.
func (s *quicConns) tick(idle time.Duration) {
	before := s.now().Add(-idle)
	var out []*quicConn
	s.mu.Lock()
	for c := range s.open {
		if since := c.waiting.Load(); since > 0 && since < int64(before) && c.busy.Load() == 0 {
			out = append(out, c)
		}
	}
	s.mu.Unlock()
	for _, c := range out {
		c.end(http3.ErrCodeNoError)
	}
}

func (s *quicConns) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// peer is the other end now: a client may have moved (RFC 9000, 9), and has
// then proved its new address.
func (c *quicConn) peer() netip.Addr {
	if conn := c.conn.Load(); conn != nil {
		return udpAddr(conn.RemoteAddr())
	}
	return c.first
}

// begin and done stand around a request. Whether the client left it is all that is
// to be seen of its frames here, and there is no GOAWAY for one connection.
func (c *quicConn) begin() {
	c.busy.Add(1)
	if !c.brought.Load() && c.brought.CompareAndSwap(false, true) && !c.set.trusted(c.first) {
		c.set.beside.empties.asked.Add(1)
	}
}

func (c *quicConn) done(r *http.Request) {
	conn := c.conn.Load()
	switch {
	case conn == nil, conn.Context().Err() != nil, c.set.trusted(c.peer()):
	case r.Context().Err() == nil:
		c.tab.repay()
	case c.tab.charge(frameReset, c.set.now()) == debtEnds:
		c.end(http3.ErrCodeExcessiveLoad)
		c.set.abused(c.peer())
	}
	c.waiting.Store(int64(c.set.now()))
	c.busy.Add(-1)
}

// moved is how much was sent to the client.
func (c *quicConn) moved() int64 {
	if conn := c.conn.Load(); conn != nil {
		return int64(conn.ConnectionStats().BytesSent)
	}
	return 0
}

// end closes the connection.
func (c *quicConn) end(why http3.ErrCode) {
	if conn := c.conn.Load(); conn != nil {
		conn.CloseWithError(quic.ApplicationErrorCode(why), "")
	}
}
