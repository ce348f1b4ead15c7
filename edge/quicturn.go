package edge

import (
	"crypto"
	"crypto/tls"
	"io"
	"sync/atomic"
	"time"
)

// QUIC's handshakes take their turns from the same budget as those over TCP. Each waits on a
// goroutine of its own connection's, so nobody else waits with it. The library tells
// when a ClientHello is whole, which is when a turn is taken, and by asking for it
// when the answer is signed, which is the last of what costs much. Where nothing is signed,
// or a second ClientHello is asked for, the turn ends by itself after
// quicTurnMost; what is signed without a turn takes another one.

// turn is a QUIC handshake's.
type turn struct {
	has atomic.Bool
	end *time.Timer // gives it back; of the goroutine that shakes hands
}

// shake takes a turn for the connection's handshake, once the client's first message is here.
func (c *quicConn) shake() error {
	if err := c.enter(); err != nil {
		return err
	}
	c.turn.end = time.AfterFunc(quicTurnMost, c.shaken)
	return nil
}

// enter waits for a turn. An address that is not verified may be anybody's: it neither goes
// before others nor is it held to have asked.
func (c *quicConn) enter() error {
	row := rowOther
	switch {
	case !c.verified:
	case c.set.trusted(c.first):
		row = rowKnown
	default:
		row = c.set.beside.rowOf(c.first)
	}
	if err := c.set.beside.handshakes.enter(row); err != nil {
		c.declined.Store(true)
		return err
	}
	c.turned.Store(true)
	c.turn.has.Store(true)
	return nil
}

// shaken ends the turn, where there is one.
func (c *quicConn) shaken() {
	if c.turn.has.CompareAndSwap(true, false) {
		c.set.beside.handshakes.leave()
	}
}

// inTurn gives the certificate with a key that signs within the connection's turn.
func (c *quicConn) inTurn(cert *tls.Certificate) *tls.Certificate {
	key, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		return cert // of which the standard library says what is wrong
	}
	own := *cert
	own.PrivateKey = turnKey{key, c}
	return &own
}

// turnKey ends a handshake's turn once it has signed.
type turnKey struct {
	crypto.Signer
	conn *quicConn
}

func (k turnKey) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	c := k.conn
	if c.turn.end != nil {
		c.turn.end.Stop() // signing takes as long as it takes
	}
	if !c.turn.has.Load() {
		if err := c.enter(); err != nil {
			return nil, err
		}
	}
	defer c.shaken()
	return k.Signer.Sign(random, digest, o)
}
