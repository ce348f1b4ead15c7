package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

var (
	errGone    = errors.New("h1: the server ends")
	errTooLong = errors.New("h1: the header is too long")
)

// unfit is a request that is answered with a status and a word.
type unfit struct {
	status int
	why    string
}

func (e *unfit) Error() string { return e.why }

func bad(why string) error { return &unfit{http.StatusBadRequest, why} }

// next reads a request's header. Of a request that is malformed, too, the hook is told.
func (c *conn) next() (*http.Request, error) {
	limit := int64(c.server.HeaderBytes + headerSlop)
	c.room = limit
	before := c.in.Buffered()
	if before == 0 {
		c.headerDue()
	}
	if c.posted {
		c.skipLines()
	}
	came, _ := c.in.Peek(c.in.Buffered())
	if !headed(came) {
		if before > 0 {
			c.headerDue()
		}
		c.keeps, c.header = true, append(c.header[:0], came...)
	}
	r, err := http.ReadRequest(c.in)
	long := c.room <= 0
	if c.keeps {
		c.keeps = false
		came = c.header
	}
	some := before > 0 || c.room < limit
	c.room = math.MaxInt64
	if !c.goes() {
		return nil, errGone
	}
	if some {
		c.hook(http.StateActive)
	}
	if c.server.draining.Load() {
		return nil, errGone
	}
	if err != nil {
		if long {
			err = errTooLong
		}
		return nil, err
	}
	c.posted = r.Method == http.MethodPost
	err = check(r, came[:max(len(came)-c.in.Buffered(), 0)])
	if cap(c.header) > readBuffer {
		c.header = nil
	}
	return r, err
}

// goes says that the connection has a request now, unless Drain has closed it.
func (c *conn) goes() bool {
	return c.state.CompareAndSwap(stateIdle, stateActive) || c.state.CompareAndSwap(stateFresh, stateActive)
}

func (c *conn) headerDue() {
	if d := c.server.ReadHeader; d > 0 {
		c.waits(time.Now().Add(d))
	} else {
		c.waits(time.Time{})
	}
}

// skipLines passes over what old clients send behind a POST's body (RFC 9112, 2.2).
func (c *conn) skipLines() {
	b, _ := c.in.Peek(4)
	n := 0
	for n < len(b) && (b[n] == '\r' || b[n] == '\n') {
		n++
	}
	c.in.Discard(n)
}

// headed says whether a whole header is in b: an empty line.
func headed(b []byte) bool {
	return bytes.Contains(b, []byte("\n\r\n")) || bytes.Contains(b, []byte("\n\n"))
}

// check is what net/http's server demands beyond what ReadRequest does. header is r's
// as it came: ReadRequest keeps nothing of the Host line but its value, and not
// that where the target has a host of its own.
func check(r *http.Request, header []byte) error {
	upgrade := false
	switch {
	case r.ProtoMajor == 1:
	// How HTTP/2 without TLS begins is left to the handler.
	case r.ProtoMajor == 2 && r.ProtoMinor == 0 && r.Method == "PRI" && r.RequestURI == "*":
		upgrade = len(r.Header) == 0
	default:
		return &unfit{http.StatusHTTPVersionNotSupported, "unsupported protocol version"}
	}
	host, said := r.Host, true
	if r.Host == "" || r.URL.Host != "" || r.ProtoMajor != 1 {
		host, said = hostOf(header)
		upgrade = upgrade && !said
	}
	if !said && r.ProtoAtLeast(1, 1) && !upgrade && r.Method != http.MethodConnect {
		return bad("missing required Host header")
	}
	if said && !httpguts.ValidHostHeader(host) {
		return bad("malformed Host header")
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return bad("invalid header name")
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return bad("invalid header value")
			}
		}
	}
	return nil
}

// hostOf gives the Host line of a header that ReadRequest has taken.
func hostOf(header []byte) (host string, said bool) {
	_, fields, _ := bytes.Cut(header, []byte("\n"))
	h, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(fields))).ReadMIMEHeader()
	if v := h["Host"]; len(v) > 0 {
		return v[0], true
	}
	return "", false
}

// refuse answers what is no request. linger says that the client may still be sending.
func (c *conn) refuse(err error) (linger bool) {
	status, why := http.StatusBadRequest, ""
	var u *unfit
	switch {
	case err == errTooLong:
		status, linger = http.StatusRequestHeaderFieldsTooLarge, true
	case unknownCoding(err):
		status, why = http.StatusNotImplemented, "Unsupported transfer encoding"
	case ofReading(err):
		return false
	case errors.As(err, &u):
		status = u.status
	}
	line := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if u != nil {
		line += ": " + u.why
	}
	if why == "" {
		why = line
	}
	io.WriteString(c, "HTTP/1.1 "+line+"\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"+why)
	return linger
}

// unknownCoding says whether ReadRequest refused a Transfer-Encoding. Its error has no name outside.
func unknownCoding(err error) bool {
	why := err.Error()
	return strings.HasPrefix(why, "unsupported transfer encoding: ") || strings.HasPrefix(why, "too many transfer encodings: ")
}

// ofReading says whether nothing more came, rather than something wrong.
func ofReading(err error) bool {
	if err == io.EOF {
		return true
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		return true
	}
	oe, ok := err.(*net.OpError)
	return ok && oe.Op == "read"
}

// hasToken says whether one of the words of a field is token.
func hasToken(field, token string) bool {
	if field == "" {
		return false
	}
	for word := range strings.FieldsFuncSeq(field, func(c rune) bool { return c == ' ' || c == ',' || c == '\t' }) {
		if len(word) == len(token) && strings.EqualFold(word, token) {
			return true
		}
	}
	return false
}

// first is the first line of a field.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
