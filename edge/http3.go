package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/deichproject/deich/guard"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// quicEdge serves HTTP/3 beside the TLS listeners, by the same handler.
type quicEdge struct {
	server  *http3.Server
	conns   *quicConns
	sockets []*quicSocket
	serve   func(http.ResponseWriter, *http.Request)
	log     *slog.Logger
}

// quicSocket is one UDP port.
type quicSocket struct {
	udp       *net.UDPConn
	transport *quic.Transport
	listener  *quic.Listener
}

// quicWanted says whether c asks for HTTP/3.
func (c Config) quicWanted() bool {
	return c.HTTP3 != switchOff && !c.ProxyProtocol && c.anyCertificate()
}

func (s *Server) makeQUIC() {
	c := s.options.Config
	isTrusted := func(a netip.Addr) bool { return s.state.Load().trusted.has(a) }
	q := &quicEdge{conns: newQUICConns(c.Limits, s.conns, isTrusted, s.now), serve: s.serve, log: s.log}
	q.conns.abused = s.abusedBy
	q.server = &http3.Server{
		Handler:        http.HandlerFunc(q.handle),
		MaxHeaderBytes: c.Limits.HeaderBytes,
		IdleTimeout:    c.Timeouts.Idle.Duration,
		ConnContext: func(ctx context.Context, conn *quic.Conn) context.Context {
			if known := quicIn(ctx); known != nil {
				q.conns.proved(known, conn)
			}
			return guard.ConnContext(ctx, nil)
		},
		Logger: slog.New(slog.NewTextHandler(s.notices, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	s.quic = q
}

// open takes the UDP port beside a TLS listener.
func (q *quicEdge) open(beside net.Addr, config *tls.Config, timeouts Timeouts) error {
	tcp, ok := beside.(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("edge: http3: %s is no TCP address", beside)
	}
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: tcp.IP, Port: tcp.Port, Zone: tcp.Zone})
	if err != nil {
		return fmt.Errorf("edge: http3: %w", err)
	}
	socket := &quicSocket{udp: udp, transport: &quic.Transport{
		Conn: udp, VerifySourceAddress: q.conns.doubts, ConnContext: q.conns.admit,
	}}
	socket.listener, err = socket.transport.Listen(http3.ConfigureTLSConfig(config), q.config(timeouts))
	if err != nil {
		udp.Close()
		return fmt.Errorf("edge: http3: %w", err)
	}
	q.sockets = append(q.sockets, socket)
	return nil
}

// config is what a client may have open. The library waits for a request's header as
// long as its connection lives, and each may hold what is short elsewhere: while
// connections are, new ones may have less.
func (q *quicEdge) config(timeouts Timeouts) *quic.Config {
	c := &quic.Config{
		HandshakeIdleTimeout:       timeouts.ReadHeader.Duration,
		MaxIdleTimeout:             timeouts.Idle.Duration,
		MaxIncomingStreams:         h3StreamsMax,
		MaxIncomingUniStreams:      h3UniStreamsMax,
		MaxStreamReceiveWindow:     h3StreamWindowMax,
		MaxConnectionReceiveWindow: h3WindowMax,
		// A request in the first flight could be sent again by anyone who saw it
		// (RFC 8470), and would come before the address is proven.
		Allow0RTT: false,
	}
	less := c.Clone()
	less.MaxIncomingStreams = h3StreamsShort
	less.InitialStreamReceiveWindow, less.MaxStreamReceiveWindow = h3WindowShort, h3WindowShort
	less.InitialConnectionReceiveWindow, less.MaxConnectionReceiveWindow = h3WindowShort, h3WindowShort
	c.GetConfigForClient = func(*quic.ClientInfo) (*quic.Config, error) {
		if q.conns.short() {
			return less, nil
		}
		return c, nil
	}
	return c
}

// announcement is the value of Alt-Svc (RFC 7838): where the same site is
// served by HTTP/3. nil where it is not.
func (q *quicEdge) announcement() []string {
	if q == nil || len(q.sockets) == 0 {
		return nil
	}
	_, port := hostPort(q.sockets[0].udp.LocalAddr())
	return []string{`h3=":` + strconv.Itoa(port) + `"; ma=` + strconv.Itoa(int(altSvcAge/time.Second))}
}

// run serves on one socket until shutdown.
func (q *quicEdge) run(socket *quicSocket) {
	if err := q.server.ServeListener(socket.listener); err != http.ErrServerClosed {
		q.log.Error("edge: http3: serve", "address", socket.udp.LocalAddr().String(), "error", err)
	}
}

// handle is where a request by HTTP/3 begins.
func (q *quicEdge) handle(w http.ResponseWriter, r *http.Request) {
	c := quicOf(r)
	if c == nil {
		panic(http.ErrAbortHandler) // no connection is served without
	}
	if peer := c.peer(); !q.conns.trusted(peer) && q.conns.orders.refuses(q.conns.now(), peer) {
		c.end(http3.ErrCodeExcessiveLoad)
		panic(http.ErrAbortHandler)
	}
	c.begin()
	defer c.done(r)
	windows := newWindowed(w, c.moved)
	q.serve(&h3Writer{windows}, r)
	windows.rest()
}

// shutdown lets every request end, as long as ctx lasts. Clients are told not
// to begin another one (RFC 9114, 5.2), and those that stay connected for
// nothing are let go.
func (q *quicEdge) shutdown(ctx context.Context) error {
	if q == nil {
		return nil
	}
	told := q.conns.now()
	ended := make(chan error, 1)
	go func() { ended <- q.server.Shutdown(ctx) }()
	ticker := time.NewTicker(shutdownPoll)
	defer ticker.Stop()
	var err error
	for waiting := true; waiting; {
		select {
		case err = <-ended:
			waiting = false
		case <-ticker.C:
			if q.conns.now().Sub(told) > goAwayGrace {
				q.conns.tick(goAwayGrace)
			}
		}
	}
	for _, socket := range q.sockets {
		socket.transport.Close()
		socket.udp.Close()
	}
	return err
}

// h3Writer leaves out of an answer what HTTP/3 has no word for.
type h3Writer struct{ *windowed }

// WriteHeader begins the answer.
func (w *h3Writer) WriteHeader(status int) {
	h := w.Header()
	for _, name := range [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"} {
		delete(h, name) // RFC 9114, 4.2
	}
	w.ResponseWriter.WriteHeader(status)
}
