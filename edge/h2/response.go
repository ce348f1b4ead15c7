package h2

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// response is the http.ResponseWriter of a request. It is its handler's; only deadlines
// may be set by others. A header is taken as it is at WriteHeader. Up to
// bodyBuffer of a body is held until it is flushed, more follows, or the handler ends.
type response struct {
	st *stream
	k  *handler // nil: the handler has ended

	header    http.Header
	status    int   // 0: not said yet
	sent      bool  // the header was
	bodyless  bool  // HEAD, 204, 304
	length    int64 // by Content-Length; -1: not said
	typed     bool  // with a Content-Type, or an encoding that forbids to guess
	dated     bool
	wrote     int64
	closes    bool     // Connection: close
	announced []string // trailers, by Trailer
}

func (w *response) begin(st *stream, k *handler) {
	w.st, w.k = st, k
	w.header = make(http.Header, 12)
	k.body, k.fields = k.body[:0], k.fields[:0]
}

// end takes the handler's buffers back.
func (w *response) end(k *handler) {
	w.k = nil
	clear(k.fields)
	k.fields = k.fields[:0]
	if cap(k.block) > outKept {
		k.block = nil
	}
}

// Header gives the header, and once it is written the trailer.
func (w *response) Header() http.Header { return w.header }

// WriteHeader takes the header as it is. One of 1xx is sent at once, beside the real one.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("h2: WriteHeader(%d)", status))
	}
	if w.status != 0 || w.k == nil {
		return
	}
	if status < 200 {
		w.inform(status)
		return
	}
	w.status, w.length = status, -1
	w.bodyless = w.st.r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	for name, values := range w.header {
		w.take(name, values)
	}
}

// take takes a field of the header.
func (w *response) take(name string, values []string) {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade": // RFC 9113, 8.2.2
		w.closes = w.closes || name == "Connection" && httpguts.HeaderValuesContainsToken(values, "close")
		return
	case "Trailer":
		for trailer := range announced(values) {
			w.announced = append(w.announced, trailer)
		}
	case "Content-Length":
		if len(values) == 0 || w.status == http.StatusNoContent {
			return // RFC 9110, 8.6
		}
		n, err := strconv.ParseUint(values[0], 10, 63)
		if err != nil {
			return
		}
		w.length, values = int64(n), values[:1]
	case "Content-Type":
		w.typed = true
	case "Content-Encoding":
		w.typed = w.typed || len(values) > 0 && values[0] != ""
	case "Date":
		w.dated = true
	default:
		if strings.HasPrefix(name, http.TrailerPrefix) || !httpguts.ValidHeaderFieldName(name) {
			return
		}
	}
	name = written(name)
	for _, v := range values {
		if httpguts.ValidHeaderFieldValue(v) {
			w.k.fields = append(w.k.fields, field{name, v})
		}
	}
}

// inform sends an answer of 1xx.
func (w *response) inform(status int) {
	b := appendStatus(w.k.block[:0], status)
	for name, values := range w.header {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade":
			continue
		}
		for _, v := range values {
			if httpguts.ValidHeaderFieldValue(v) && httpguts.ValidHeaderFieldName(name) {
				b = appendField(b, field{written(name), v})
			}
		}
	}
	w.k.block = b
	c := w.st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.st.room() == nil {
		c.sayHeader(w.st.id, b, 0)
		c.push(false)
	}
}

// Write takes a piece of the body.
func (w *response) Write(p []byte) (int, error) {
	if err := w.allows(len(p)); err != nil {
		return 0, err
	}
	if w.bodyless {
		return len(p), nil
	}
	k := w.k
	if len(k.body)+len(p) <= bodyBuffer {
		k.body = append(k.body, p...)
		return len(p), nil
	}
	return w.written(len(p), w.emit(p, false))
}

// WriteString is Write.
func (w *response) WriteString(s string) (int, error) {
	if err := w.allows(len(s)); err != nil {
		return 0, err
	}
	if w.bodyless {
		return len(s), nil
	}
	k := w.k
	if len(k.body)+len(s) <= bodyBuffer {
		k.body = append(k.body, s...)
		return len(s), nil
	}
	return w.written(len(s), w.emit([]byte(s), false))
}

func (w *response) written(n int, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return n, nil
}

// allows says whether n bytes more may be written.
func (w *response) allows(n int) error {
	if w.k == nil {
		return errEnded
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.bodyless {
		if w.st.r.Method == http.MethodHead {
			return nil
		}
		return http.ErrBodyNotAllowed
	}
	if w.wrote += int64(n); w.length >= 0 && w.wrote > w.length {
		return errLonger
	}
	return nil
}

// Flush is FlushError.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends what is held. It waits for the client to take it.
func (w *response) FlushError() error {
	if w.k == nil {
		return errEnded
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.emit(nil, false)
}

// SetReadDeadline is for http.ResponseController: until when a body's read may wait.
// Any goroutine may call it.
func (w *response) SetReadDeadline(t time.Time) error {
	st := w.st
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	st.readBy = t
	signal(st.readable)
	return nil
}

// SetWriteDeadline is for http.ResponseController: until when a write may wait; then
// the stream is reset. Any goroutine may call it.
func (w *response) SetWriteDeadline(t time.Time) error {
	st := w.st
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	st.writeBy = t
	signal(st.wake)
	return nil
}

// EnableFullDuplex is for http.ResponseController: it always is.
func (w *response) EnableFullDuplex() error { return nil }

// finish sends what is left, and the end.
func (w *response) finish() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.length >= 0 && w.wrote != w.length && !w.bodyless {
		c := w.st.c
		c.mu.Lock()
		defer c.mu.Unlock()
		w.st.resets(CodeInternal) // it is not what was announced
		return
	}
	_ = w.emit(nil, true) // who is gone was told
}

// emit sends the header, what is held, and p. With end it is the end of the answer.
func (w *response) emit(p []byte, end bool) error {
	st, k := w.st, w.k
	c := st.c
	held := k.body
	var trailer []field
	if end {
		trailer = w.trailer()
	}
	first := !w.sent
	if first {
		w.encode(held, p, end && trailer == nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.err != nil {
		return st.err
	}
	ended := false
	if first {
		if err := st.room(); err != nil {
			return err
		}
		w.sent = true
		if w.closes {
			c.part()
		}
		flags := byte(0)
		if end && trailer == nil && len(held)+len(p) == 0 {
			flags, ended = FlagEndStream, true
		}
		c.sayHeader(st.id, k.block, flags)
	}
	if len(held) > 0 {
		if err := st.send(held, end && trailer == nil && len(p) == 0); err != nil {
			return err
		}
		k.body = k.body[:0]
		ended = end && trailer == nil && len(p) == 0
	}
	if len(p) > 0 {
		if err := st.send(p, end && trailer == nil); err != nil {
			return err
		}
		ended = end && trailer == nil
	}
	switch {
	case end && trailer != nil:
		if err := st.room(); err != nil {
			return err
		}
		k.block = k.block[:0]
		for _, f := range trailer {
			k.block = appendField(k.block, f)
		}
		c.sayHeader(st.id, k.block, FlagEndStream)
	case end && !ended:
		c.grow()
		c.out = appendHead(c.out, 0, FrameData, FlagEndStream, st.id)
	}
	if end {
		st.local = true
		if st.remote {
			c.remove(st)
		}
		return nil // its caller pushes
	}
	c.push(len(p) == 0)
	return nil
}

// encode writes the header into the handler's block.
func (w *response) encode(held, p []byte, whole bool) {
	k := w.k
	b := appendStatus(k.block[:0], w.status)
	for _, f := range k.fields {
		b = appendField(b, f)
	}
	n := len(held) + len(p)
	if w.length < 0 && whole && !bare(w.status) && (n > 0 || w.st.r.Method != http.MethodHead) {
		var digits [20]byte
		b = appendField(b, field{"content-length", string(strconv.AppendInt(digits[:0], int64(n), 10))})
	}
	if !w.typed && n > 0 {
		sample := held
		if len(sample) == 0 {
			sample = p
		}
		b = appendField(b, field{"content-type", http.DetectContentType(sample)})
	}
	if !w.dated {
		b = appendField(b, field{"date", date(time.Now())})
	}
	k.block = b
}

// bare says whether an answer of that status has no body.
func bare(status int) bool { return status == http.StatusNoContent || status == http.StatusNotModified }

// trailer gives the fields that follow the body.
func (w *response) trailer() (all []field) {
	for _, name := range w.announced {
		for _, v := range w.header[name] {
			all = append(all, field{written(name), v})
		}
	}
	for name, values := range w.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && httpguts.ValidTrailerHeader(name) {
			for _, v := range values {
				all = append(all, field{written(name), v})
			}
		}
	}
	for _, f := range all {
		if !httpguts.ValidHeaderFieldName(f.name) || !httpguts.ValidHeaderFieldValue(f.value) {
			return nil
		}
	}
	return all
}

// sayHeader appends a header block. c.mu is held.
func (c *conn) sayHeader(id uint32, block []byte, flags byte) {
	c.grow()
	size := 0
	if !c.sized {
		size = 1
	}
	n := min(len(block), frameMost-size)
	if n == len(block) {
		flags |= FlagEndHeaders
	}
	c.out = appendHead(c.out, n+size, FrameHeaders, flags, id)
	if size > 0 {
		c.sized = true
		c.out = append(c.out, noTable)
	}
	c.out = append(c.out, block[:n]...)
	for block = block[n:]; len(block) > 0; block = block[n:] {
		flags = 0
		if n = min(len(block), frameMost); n == len(block) {
			flags = FlagEndHeaders
		}
		c.out = append(appendHead(c.out, n, FrameContinuation, flags, id), block[:n]...)
	}
}

// sayContinue has the client send its body. c.mu is held.
func (c *conn) sayContinue(st *stream) {
	if !st.local && !st.answer.sent {
		before := len(c.out)
		c.sayHeader(st.id, appendStatus(nil, http.StatusContinue), 0)
		c.replied += len(c.out) - before
	}
}

var errLate = fmt.Errorf("h2: the client takes too long: %w", os.ErrDeadlineExceeded)

// late resets a stream whose client takes too long. c.mu is held.
func (st *stream) late() bool {
	if st.writeBy.IsZero() || time.Now().Before(st.writeBy) {
		return false
	}
	st.resets(CodeInternal)
	st.c.aside()
	return true
}

// room waits until there is room for a header. c.mu is held, and let go meanwhile.
func (st *stream) room() error {
	c := st.c
	for {
		switch {
		case st.err != nil:
			return st.err
		case len(c.out) < outMost:
			return nil
		case st.late():
			return errLate
		}
		if c.push(false); len(c.out) < outMost || st.err != nil {
			continue
		}
		c.full = append(c.full, st)
		c.wait(st.wake, st.writeBy)
		c.full = without(c.full, st)
	}
}

// send sends p, as the client's windows allow. c.mu is held, and let go meanwhile.
func (st *stream) send(p []byte, end bool) error {
	c := st.c
	defer c.ahead()
	for {
		switch {
		case st.err != nil:
			return st.err
		case st.late():
			return errLate
		}
		if st.window > 0 && (len(c.line) == 0 || st.turn) && c.window > 0 && len(c.out) < outMost {
			st.turn = false
			n := int(min(int64(len(p)), frameMost, st.window, c.window))
			st.window -= int64(n)
			c.window -= int64(n)
			flags := byte(0)
			if end && n == len(p) {
				flags = FlagEndStream
			}
			c.grow()
			c.out = append(appendHead(c.out, n, FrameData, flags, st.id), p[:n]...)
			if p = p[n:]; len(p) == 0 {
				return nil
			}
			c.ahead()
			continue
		}
		if c.push(false); st.err != nil {
			continue
		}
		if st.window > 0 && !slices.Contains(c.line, st) {
			at := len(c.line)
			if st.turn {
				at = 0 // it was let ahead in vain
			}
			c.line = slices.Insert(c.line, at, st)
		}
		st.turn = false
		c.ahead()
		c.wait(st.wake, st.writeBy)
	}
}
