package edge

import (
	"io"
	"net/http"
	"sync"

	"github.com/deichproject/deich"
)

// buffers are pooled pieces of copyBytes.
type buffers struct{ pool sync.Pool }

func (b *buffers) take() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, copyBytes)
	return &p
}

func (b *buffers) give(p *[]byte) { b.pool.Put(p) }

// exchange is one request on its way to the origin and back. Everything
// happens on the handler's goroutine, except sender.
type exchange struct {
	proxy *proxy
	w     http.ResponseWriter
	r     *http.Request
	group *group
	head  head

	wire   []byte     // the head, and a body that is held
	asked  deich.Time // when it began, where that matters
	held   bool       // the whole body is in wire, or there is none
	sender *sender

	sent     bool // the origin may have some of it
	line     *line
	unwatch  func() bool
	resp     *http.Response
	complete bool // the answer was received to its end
}

// prepare writes the head, and a short body behind it.
func (x *exchange) prepare(buf []byte) error {
	r := x.r
	x.head.length = r.ContentLength
	if len(r.Trailer) > 0 {
		x.head.length = -1
	}
	if r.Body == nil || r.Body == http.NoBody {
		x.head.length = 0
	}
	x.held = x.head.length >= 0 && x.head.length <= heldBodyMax
	wire, err := x.head.append(buf[:0], r)
	if err != nil {
		return err
	}
	if x.held && x.head.length > 0 {
		start := len(wire)
		wire = append(wire, make([]byte, x.head.length)...)
		if _, err := io.ReadFull(r.Body, wire[start:]); err != nil {
			return errClientBody{err}
		}
	}
	x.wire = wire
	return nil
}

// run sends the request and gives the head of the answer. A request that went
// to a connection which the origin had closed meanwhile is sent once more, on a
// new one, where that is safe.
func (x *exchange) run() error {
	err := x.attempt(!idempotent(x.r.Method) && wantsFresh(x.r))
	if err != nil && x.mayRepeat(err) {
		x.drop()
		err = x.attempt(true)
	}
	return err
}

func (x *exchange) attempt(mustDial bool) error {
	ctx := x.r.Context()
	l, err := x.group.take(ctx, mustDial)
	if err != nil {
		return err
	}
	x.line, x.sent = l, true
	l.backend.busy.Add(1)
	x.unwatch = l.watch(ctx)
	l.begin(x.held)
	if x.held { // whole in one write: from its first byte on the origin may work on it
		pressure, _ := x.proxy.pressed(x.group.index)
		l.owed.Store(pressure)
	}
	sent := x.send()
	x.resp, err = x.answer()
	l.answered(ctx)
	if err != nil && sent != nil && !timedOut(err) {
		err = sent
	}
	return err
}

// send writes the request, or starts to. An error is no reason not to look for
// an answer: it may say why the origin stopped listening.
func (x *exchange) send() error {
	if err := x.line.send(x.wire); err != nil || x.held {
		return err
	}
	body, remote := io.Reader(x.r.Body), true
	if x.r.GetBody != nil {
		again, err := x.r.GetBody()
		if err != nil {
			return errClientBody{err}
		}
		body, remote = again, false
	}
	x.sender = &sender{line: x.line, body: body, remote: remote, length: x.head.length, trailer: x.r.Trailer}
	x.sender.start(&x.proxy.buffers)
	return nil
}

// answer reads heads until a final one. Interim ones go to the client, except
// "100 Continue": the server has sent it when the body was read.
func (x *exchange) answer() (*http.Response, error) {
	for range interimMax {
		resp, err := x.line.answer(x.r)
		switch {
		case err != nil:
			return nil, err
		case resp.StatusCode >= 200:
			return resp, nil
		case resp.StatusCode == http.StatusSwitchingProtocols:
			if x.head.upgrade == "" {
				return nil, errStatus
			}
			return resp, nil
		case resp.StatusCode == http.StatusContinue:
			continue
		default:
			x.inform(resp)
		}
	}
	return nil, errInterim
}

// inform hands an interim answer on, such as 103 Early Hints (RFC 8297).
func (x *exchange) inform(resp *http.Response) {
	if !x.r.ProtoAtLeast(1, 1) {
		return
	}
	to := x.w.Header()
	before := to.Clone()
	copyEndToEnd(to, resp.Header)
	x.w.WriteHeader(resp.StatusCode)
	clear(to)
	for name, values := range before {
		to[name] = values
	}
}

// mayRepeat says whether sending the request again can do no harm: it went to
// a used connection, nothing came back, its method is idempotent (RFC 9110,
// 9.2.2), its body is still in hand, and the client is still there. An origin that
// did not answer in time may be at work on it: it gets no second one.
func (x *exchange) mayRepeat(err error) bool {
	return x.line != nil && x.line.reused && x.line.got == 0 && !timedOut(err) && idempotent(x.r.Method) &&
		(x.held || x.r.GetBody != nil) && x.r.Context().Err() == nil
}

func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// finish gives the line back where it can be used again, and ends it
// otherwise. It may be called again.
func (x *exchange) finish() {
	l := x.line
	if l == nil {
		return
	}
	x.line = nil
	clean := x.complete && !x.resp.Close && (x.sender == nil || x.sender.finished()) && l.br.Buffered() == 0
	l.backend.busy.Add(-1)
	if x.sender != nil && !clean {
		x.sender.end(x.w)
	}
	if x.unwatch() && clean {
		l.backend.keep(l)
		return
	}
	l.close()
}

// drop ends the line without an answer.
func (x *exchange) drop() {
	x.complete = false
	x.finish()
	x.sender = nil
}
