package h1

import (
	"net/http"
	"sync/atomic"
	"time"
)

// exchange is one request and its answer. It is made anew for each: contexts, bodies
// and writers are kept by who should not, and must then not be another's.
type exchange struct {
	life
	body  body
	r     *http.Request
	taken atomic.Bool // everything that was read of the client belongs to this request, and that is whole
	unmet bool        // it expects what is not known
	response
}

// newExchange readies r, whose header has come, to be answered.
func newExchange(c *conn, r *http.Request) *exchange {
	x := new(exchange)
	x.life.Context, x.life.c, x.life.x = c.ctx, c, x
	if r.Body == nil || r.Body == http.NoBody {
		*r = *r.WithContext(&x.life) // nobody else has it, so that it need not be another
	} else {
		r = r.WithContext(&x.life) // its body writes into the first what trailers come unannounced
	}
	r.RemoteAddr, r.TLS = c.remote, c.tls
	x.r = r
	x.response.begin(x)
	x.body.x = x
	if r.Body == nil || r.Body == http.NoBody {
		x.took()
	} else {
		x.body.src, x.body.left = r.Body, r.ContentLength
		r.Body = &x.body
		if r.ContentLength < 0 || r.ContentLength > int64(c.in.Buffered()) {
			c.waits(time.Time{}) // a body may take as long as the handler lets it
		}
	}
	if expect := first(r.Header["Expect"]); expect != "" {
		x.expects = hasToken(expect, "100-continue")
		x.unmet = !x.expects
		// Whether anything comes behind the header is told by its length alone.
		x.expects = x.expects && r.ProtoAtLeast(1, 1) && r.ContentLength != 0 && x.body.src != nil
		x.body.expects.Store(x.expects)
	}
	return x
}

// took notes that the request has been read whole.
func (x *exchange) took() {
	if x.life.c.in.Buffered() > 0 {
		return // the next one has begun to come
	}
	x.taken.Store(true)
	if x.life.c.armed.Load() {
		x.life.c.looks(x)
	}
}

// finish sends what is left of the answer. again says that the connection may go on.
func (x *exchange) finish() (again bool) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	x.emit(nil, true)
	if x.r.MultipartForm != nil {
		x.r.MultipartForm.RemoveAll()
	}
	switch {
	case x.closes, x.failed != nil:
		return false
	case x.length >= 0 && x.wrote != x.length && x.r.Method != http.MethodHead && allowsBody(x.status):
		return false // it is not what was announced
	}
	return x.body.discard() == nil
}

// release gives the buffers back.
func (x *exchange) release() {
	if p := x.buf; p != nil {
		x.buf = nil
		x.life.c.server.recycle(p)
	}
}

// scratch is what an answer is put together in.
type scratch struct {
	head []byte // its header, and then whatever is written
	body []byte // what is gathered of its body
}

func (s *Server) scratch() *scratch {
	if p, ok := s.scratches.Get().(*scratch); ok {
		return p
	}
	return &scratch{head: make([]byte, 0, 1<<10), body: make([]byte, 0, bodyBuffer)}
}

func (s *Server) recycle(p *scratch) {
	if cap(p.head) <= outKept {
		p.head, p.body = p.head[:0], p.body[:0]
		s.scratches.Put(p)
	}
}
