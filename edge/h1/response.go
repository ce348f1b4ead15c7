package h1

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// response is the http.ResponseWriter of a request. It is its handler's; only deadlines
// may be set by others. A header is taken as it is at WriteHeader. Up to bodyBuffer of
// a body is held until it is flushed, more follows, or the handler ends.
type response struct {
	x   *exchange
	buf *scratch // nil: the answer is over, or the connection is the handler's

	header http.Header
	status int   // 0: not said yet
	sent   bool  // the header was
	wrote  int64 // of the body

	length     int64    // by Content-Length; -1: not said
	sized      bool     // the handler said something of it
	typed      bool     // with a Content-Type, or an encoding that forbids to guess
	dated      bool     // with a Date, or without on purpose
	connection []string // Connection, as the handler has it
	trails     bool     // a trailer is announced
	announced  []string // by Trailer

	chunked bool
	duplex  bool  // the handler reads on while it writes
	expects bool  // the client waits for 100 (Continue)
	closes  bool  // the connection is to close after it
	failed  error // of writing to the client
}

func (w *response) begin(x *exchange) {
	w.x, w.buf = x, x.life.c.server.scratch()
	c := x.life.c
	if w.header, w.length, c.spare = c.spare, -1, nil; w.header == nil {
		w.header = make(http.Header)
	}
}

// Header gives the header, and once it is written the trailer.
func (w *response) Header() http.Header {
	if w.header == nil {
		return make(http.Header) // the answer is over, and its header another's
	}
	return w.header
}

// WriteHeader takes the header as it is. One of 1xx is sent at once, beside the real one,
// except 101, which is the last.
func (w *response) WriteHeader(status int) {
	switch {
	case w.buf == nil:
		w.logf("h1: WriteHeader(%d) after the answer", status)
		return
	case w.status != 0:
		w.logf("h1: superfluous WriteHeader(%d) after %d", status, w.status)
		return
	case status < 100 || status > 999:
		panic(fmt.Sprintf("h1: WriteHeader(%d)", status))
	}
	if status <= http.StatusSwitchingProtocols || status > 199 {
		w.x.body.spare()
	}
	w.buf.head = w.appendStatus(w.buf.head[:0], status)
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.inform()
		return
	}
	w.status = status
	for name, values := range w.header {
		w.take(name, values)
	}
}

func (w *response) logf(format string, args ...any) { w.x.life.c.server.logf(format, args...) }

// inform sends an answer of 1xx.
func (w *response) inform() {
	b := w.buf.head
	for name, values := range w.header {
		if name != "Content-Length" && name != "Transfer-Encoding" {
			b = appendField(b, name, values)
		}
	}
	w.buf.head = append(b, "\r\n"...)
	w.write(w.buf.head)
	w.buf.head = w.buf.head[:0]
}

// take takes a field of the header.
func (w *response) take(name string, values []string) {
	switch name {
	case "Connection":
		w.connection = values
		return
	case "Transfer-Encoding":
		return // how it is framed is said here
	case "Content-Length":
		w.sized = true
		v := first(values)
		if v == "" {
			return
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			w.logf("h1: Content-Length is %q", v)
			w.sized = false
			return
		}
		w.length = n
		return
	case "Content-Type":
		w.typed = true
		if w.status == http.StatusNotModified {
			return
		}
	case "Content-Encoding":
		w.typed = w.typed || first(values) != ""
	case "Date":
		w.dated = true
	case "Trailer":
		w.trails = true
		for _, line := range values {
			for name := range strings.SplitSeq(line, ",") {
				if name = http.CanonicalHeaderKey(strings.Trim(name, " \t")); name != "" && httpguts.ValidTrailerHeader(name) {
					w.announced = append(w.announced, name)
				}
			}
		}
	default:
		if strings.HasPrefix(name, http.TrailerPrefix) {
			w.trails = true
			return
		}
	}
	w.buf.head = appendField(w.buf.head, name, values)
}

// Write takes a piece of the body.
func (w *response) Write(p []byte) (int, error) {
	if err := w.allows(len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	if held := w.buf.body; len(held)+len(p) <= bodyBuffer {
		w.buf.body = append(held, p...)
		return len(p), nil
	}
	if err := w.emit(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString is Write.
func (w *response) WriteString(s string) (int, error) {
	if err := w.allows(len(s)); err != nil || s == "" {
		return 0, err
	}
	if held := w.buf.body; len(held)+len(s) <= bodyBuffer {
		w.buf.body = append(held, s...)
		return len(s), nil
	}
	if err := w.emit([]byte(s), false); err != nil {
		return 0, err
	}
	return len(s), nil
}

// allows says whether n bytes more may be written.
func (w *response) allows(n int) error {
	if w.buf == nil {
		return http.ErrHijacked
	}
	w.x.body.spare()
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case n == 0:
		return nil
	case !allowsBody(w.status):
		return http.ErrBodyNotAllowed
	}
	if w.wrote += int64(n); w.length >= 0 && w.wrote > w.length {
		return http.ErrContentLength
	}
	return nil
}

// Flush is FlushError.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends what is held. It waits for the client to take it.
func (w *response) FlushError() error {
	if w.buf == nil {
		return http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.emit(nil, false)
}

// SetReadDeadline is for http.ResponseController: until when a body's read may wait.
// Any goroutine may call it.
func (w *response) SetReadDeadline(t time.Time) error {
	c := w.x.life.c
	by := int64(0)
	if !t.IsZero() {
		by = t.UnixNano()
	}
	w.x.body.by.Store(by)
	c.due.Store(dueUnknown)
	return c.nc.SetReadDeadline(t)
}

// SetWriteDeadline is for http.ResponseController: until when a write may wait. Any
// goroutine may call it.
func (w *response) SetWriteDeadline(t time.Time) error {
	c := w.x.life.c
	c.late.Store(true)
	return c.nc.SetWriteDeadline(t)
}

// EnableFullDuplex is for http.ResponseController: what is left of the request's body is
// not read before the answer is written.
func (w *response) EnableFullDuplex() error {
	w.duplex = true
	return nil
}

// Hijack gives the connection to the handler, with what was read of it. Its deadlines are gone.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.buf == nil {
		return nil, nil, http.ErrHijacked
	}
	x := w.x
	c := x.life.c
	x.body.spare()
	if w.status != 0 && !w.sent {
		w.emit(nil, false)
	}
	x.release()
	c.taken = true
	c.nc.SetDeadline(time.Time{})
	c.server.leave(c)
	c.hook(http.StateHijacked)
	return c.nc, bufio.NewReadWriter(c.in, bufio.NewWriter(c.nc)), nil
}

// emit sends the header, what is held, and p. With end it is the end of the answer.
func (w *response) emit(p []byte, end bool) error {
	buf := w.buf
	held := buf.body
	out := buf.head[:0]
	if !w.sent {
		w.sent = true
		w.settle(len(held)+len(p), end)
		out = w.appendRest(buf.head, held, p)
	}
	buf.body = held[:0]
	if !allowsBody(w.status) || w.x.r.Method == http.MethodHead {
		held, p = nil, nil
	}
	if w.failed != nil {
		return w.failed
	}
	n := len(held) + len(p)
	if w.chunked && n > 0 {
		out = append(strconv.AppendInt(out, int64(n), 16), "\r\n"...)
	}
	out = append(out, held...)
	if len(p) > joinMost || len(out) == 0 {
		if len(out) > 0 {
			w.write(out)
			out = out[:0]
		}
		if len(p) > 0 {
			w.write(p)
		}
	} else {
		out = append(out, p...)
	}
	if w.chunked {
		if n > 0 {
			out = append(out, "\r\n"...)
		}
		if end {
			out = append(w.appendTrailer(append(out, "0\r\n"...)), "\r\n"...)
		}
	}
	switch {
	case len(out) == 0:
	case end && w.closes:
		w.writeLast(out)
	default:
		w.write(out)
	}
	buf.head = out[:0]
	return w.failed
}

// write writes to the client. Who cannot be written to has left.
func (w *response) write(b []byte) {
	if w.failed != nil {
		return
	}
	if _, w.failed = w.x.life.c.Write(b); w.failed != nil {
		w.x.end()
	}
}

// writeLast is write for the last of a connection. One that knows of it lets it leave
// together with its end.
func (w *response) writeLast(b []byte) {
	c, knows := w.x.life.c.nc.(interface{ WriteLast([]byte) (int, error) })
	if !knows || w.failed != nil {
		w.write(b)
		return
	}
	if _, w.failed = c.WriteLast(b); w.failed != nil {
		w.x.end()
	}
}

// settle decides how an answer is framed, of whose body n bytes are here, and whether the
// connection goes on after it. With end these are all.
func (w *response) settle(n int, end bool) {
	r := w.x.r
	c := w.x.life.c
	head, modern, bodied := r.Method == http.MethodHead, r.ProtoAtLeast(1, 1), allowsBody(w.status)
	if end && bodied && !w.sized && !w.trails && (!head || n > 0) {
		w.length = int64(n)
	}
	old := r.ProtoMajor == 1 && r.ProtoMinor == 0 && hasToken(first(r.Header["Connection"]), "keep-alive")
	switch {
	case old && (head || w.length >= 0 || !bodied):
		if w.connection == nil {
			w.connection = keepAlive
		}
	case !modern || r.Close || hasToken(first(r.Header["Connection"]), "close"):
		w.closes = true
	}
	if c.server.draining.Load() {
		w.connection, w.closes = closing, true
	}
	for _, v := range w.connection {
		w.closes = w.closes || hasToken(v, "close")
	}
	// Whether what was asked about comes now is for the client to say.
	if w.expects && !w.x.body.whole() {
		w.closes = true
	}
	// Many clients read nothing before they have sent everything.
	if !w.closes && !w.duplex && w.x.body.discard() != nil {
		w.closes = true
		w.connection = closing
	}
	switch {
	case head, !bodied, w.length >= 0:
	case modern:
		w.chunked = true
	default:
		w.closes = true // that is how such a client learns of the end
	}
	if w.closes && !switches(w.status, w.header) {
		said := false
		for _, v := range w.connection {
			said = said || hasToken(v, "close")
		}
		if !said {
			w.connection = nil
			if modern {
				w.connection = closing
			}
		}
	}
}

var (
	keepAlive = []string{"keep-alive"}
	closing   = []string{"close"}
)

// appendRest completes the header that WriteHeader began.
func (w *response) appendRest(b, held, p []byte) []byte {
	if !w.dated {
		b = append(append(append(b, "Date: "...), w.x.life.c.server.date()...), "\r\n"...)
	}
	bodied := allowsBody(w.status)
	if w.length >= 0 && bodied {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), w.length, 10), "\r\n"...)
	}
	if sample := held; !w.typed && bodied && len(held)+len(p) > 0 {
		if len(sample) == 0 {
			sample = p
		} else if len(sample) < sniffed {
			sample = append(sample[:len(sample):len(sample)], p[:min(len(p), sniffed-len(sample))]...)
		}
		b = append(append(append(b, "Content-Type: "...), http.DetectContentType(sample)...), "\r\n"...)
	}
	b = appendField(b, "Connection", w.connection)
	if w.chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(b, "\r\n"...)
}

// sniffed is how much of a body http.DetectContentType looks at.
const sniffed = 512

// appendTrailer writes the fields that follow the body.
func (w *response) appendTrailer(b []byte) []byte {
	for name, values := range w.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			b = appendField(b, name, values)
		}
	}
	for _, name := range w.announced {
		b = appendField(b, name, w.header[name])
	}
	return b
}

func (w *response) appendStatus(b []byte, status int) []byte {
	if w.x.r.ProtoAtLeast(1, 1) {
		b = append(b, "HTTP/1.1 "...)
	} else {
		b = append(b, "HTTP/1.0 "...)
	}
	b = append(strconv.AppendInt(b, int64(status), 10), ' ')
	if text := http.StatusText(status); text != "" {
		b = append(b, text...)
	} else {
		b = strconv.AppendInt(append(b, "status code "...), int64(status), 10)
	}
	return append(b, "\r\n"...)
}

// appendField writes a field's lines. A name that is none is left out, and a value never
// ends its line.
func appendField(b []byte, name string, values []string) []byte {
	if len(values) == 0 || !httpguts.ValidHeaderFieldName(name) {
		return b
	}
	for _, v := range values {
		b = append(append(b, name...), ": "...)
		at := len(b)
		b = append(b, strings.Trim(v, " \t\r\n")...)
		for i := at; i < len(b); i++ {
			if b[i] == '\r' || b[i] == '\n' {
				b[i] = ' '
			}
		}
		b = append(b, "\r\n"...)
	}
	return b
}

// allowsBody says whether an answer of that status may have a body (RFC 9112, 6.3).
func allowsBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// switches says whether an answer gives the connection another protocol.
func switches(status int, header http.Header) bool {
	if status != http.StatusSwitchingProtocols || header.Get("Upgrade") == "" {
		return false
	}
	return hasToken(first(header["Connection"]), "upgrade")
}
