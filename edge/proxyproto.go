package edge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

var (
	errProxyShort  = errors.New("edge: proxy protocol: more bytes needed")
	errProxyHeader = errors.New("edge: proxy protocol: malformed header")
)

const (
	proxyV1 = "PROXY "
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n"
	// proxyV1Max is the longest header of version 1, its end included.
	proxyV1Max = 107
)

// announced is a PROXY protocol header that is due, and then what it said.
type announced struct {
	client netip.Addr // invalid: the header named none
	done   bool
	rest   []byte // read with the header, but behind it
}

// read takes the header at the first call, under the read deadline that stands,
// and gives what came behind it. With n == 0 and no error the caller is to read.
func (a *announced) read(from io.Reader, p []byte) (n int, err error) {
	if !a.done {
		if err := a.take(from); err != nil {
			return 0, err
		}
	}
	n = copy(p, a.rest)
	if a.rest = a.rest[n:]; len(a.rest) == 0 {
		a.rest = nil
	}
	return n, nil
}

func (a *announced) take(from io.Reader) error {
	buf := make([]byte, 0, proxyHeaderMax)
	for {
		n, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if n > 0 {
			used, client, perr := parseProxy(buf)
			if perr == nil {
				a.done, a.client, a.rest = true, client, bytes.Clone(buf[used:])
				return nil
			}
			if !errors.Is(perr, errProxyShort) {
				return &net.OpError{Op: "read", Net: "tcp", Err: perr}
			}
		}
		if err != nil {
			return err
		}
	}
}

// parseProxy reads a PROXY protocol header, version 1 or 2, at the begin of b
// (HAProxy's proxy-protocol.txt, sections 2.1 and 2.2). It gives how long the
// header is and the client that it names; an invalid one where it names none.
// errProxyShort asks for more bytes, up to proxyHeaderMax.
func parseProxy(b []byte) (used int, client netip.Addr, err error) {
	switch {
	case bytes.HasPrefix(b, []byte(proxyV2)):
		return parseProxyV2(b)
	case bytes.HasPrefix(b, []byte(proxyV1)):
		return parseProxyV1(b)
	case bytes.HasPrefix([]byte(proxyV2), b), bytes.HasPrefix([]byte(proxyV1), b):
		return 0, client, errProxyShort
	}
	return 0, client, errProxyHeader
}

func parseProxyV1(b []byte) (used int, client netip.Addr, err error) {
	end := bytes.Index(b[:min(len(b), proxyV1Max)], []byte("\r\n"))
	if end < 0 {
		if len(b) >= proxyV1Max {
			return 0, client, errProxyHeader
		}
		return 0, client, errProxyShort
	}
	used = end + 2
	fields := strings.Split(string(b[len(proxyV1):end]), " ")
	if fields[0] == "UNKNOWN" {
		return used, client, nil
	}
	if len(fields) != 5 || fields[0] != "TCP4" && fields[0] != "TCP6" {
		return 0, client, errProxyHeader
	}
	for i, text := range fields[1:3] {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" || addr.Is4() != (fields[0] == "TCP4") {
			return 0, netip.Addr{}, errProxyHeader
		}
		if _, err := strconv.ParseUint(fields[3+i], 10, 16); err != nil {
			return 0, netip.Addr{}, errProxyHeader
		}
		if i == 0 {
			client = addr.Unmap()
		}
	}
	return used, client, nil
}

func parseProxyV2(b []byte) (used int, client netip.Addr, err error) {
	const fixed = len(proxyV2) + 4
	if len(b) < fixed {
		return 0, client, errProxyShort
	}
	command, family := b[12], b[13]
	used = fixed + int(binary.BigEndian.Uint16(b[14:]))
	if command>>4 != 2 || command&0xf > 1 || used > proxyHeaderMax {
		return 0, client, errProxyHeader
	}
	if len(b) < used {
		return 0, client, errProxyShort
	}
	if command&0xf == 0 { // LOCAL: the proxy speaks for itself
		return used, client, nil
	}
	body := b[fixed:used]
	switch family >> 4 {
	case 1:
		if len(body) < 12 {
			return 0, client, errProxyHeader
		}
		client = netip.AddrFrom4([4]byte(body))
	case 2:
		if len(body) < 36 {
			return 0, client, errProxyHeader
		}
		client = netip.AddrFrom16([16]byte(body)).Unmap()
	case 0, 3: // unspecified, or a Unix socket: no address to take
	default:
		return 0, client, errProxyHeader
	}
	return used, client, nil
}
