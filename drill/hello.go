package drill

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
)

// Where a ClientHello in one TLS record has what no two clients have alike
// (RFC 8446, 4.1.2): after the headers of record and message and the version the
// random, and after its length the session.
const (
	helloRandom  = 5 + 4 + 2
	helloSession = helloRandom + helloField + 1
	helloField   = 32
)

// What a TLS record holds (RFC 8446, 5.1).
const (
	recordAlert     = 21
	recordHandshake = 22
)

// clientHello is what the standard library says first, as browsers do with key
// shares for each kind of exchange that servers are likely to choose: who answers
// has to compute one, and to sign.
func clientHello() ([]byte, error) {
	var r recorder
	err := tls.Client(&r, &tls.Config{ServerName: site, NextProtos: []string{"h2", "http/1.1"}}).Handshake()
	if b := r.said; len(b) < helloSession+helloField || b[0] != recordHandshake || b[helloSession-1] != helloField {
		return nil, fmt.Errorf("drill: no ClientHello to be had: %w", err)
	}
	return r.said, nil
}

// recorder keeps what is said to it and is gone when an answer is waited for.
type recorder struct {
	net.Conn // none: a handshake asks nothing of it before it has an answer
	said     []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.said = append(r.said, b...)
	return len(b), nil
}

func (r *recorder) Read([]byte) (int, error) { return 0, io.EOF }

// greeting appends hello as another client would say it.
func greeting(to, hello []byte, rng *rand.Rand) []byte {
	at := len(to)
	to = append(to, hello...)
	for _, field := range [...]int{helloRandom, helloSession} {
		for n := 0; n < helloField; n += 8 {
			binary.NativeEndian.PutUint64(to[at+field+n:], rng.Uint64())
		}
	}
	return to
}

// greeted names what a server answers to a ClientHello, by how it begins.
func greeted(answer []byte) string {
	switch answer[0] {
	case recordHandshake:
		return "TLS answer" // all that has to be computed has been
	case recordAlert:
		return "TLS alert"
	}
	return "not TLS"
}
