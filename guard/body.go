package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
)

// bodies bounds what is held of all requests' bodies together.
type bodies struct{ held atomic.Int64 }

// take reserves n bytes of at most limit.
func (b *bodies) take(n, limit int64) bool {
	if b.held.Add(n) > limit {
		b.held.Add(-n)
		return false
	}
	return true
}

func (b *bodies) give(n int64) { b.held.Add(-n) }

// heldBody is a request's body in hand: whole, or for a long one its beginning
// with the rest still to come.
type heldBody struct {
	head   bytes.Reader // over data
	bodies *bodies
	taken  int64 // reserved
	data   []byte
	rest   *pacedBody // nil: data is whole
}

func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.head.Read(p)
	if err == io.EOF && b.rest != nil {
		b.free() // its beginning went on
		return b.rest.Read(p)
	}
	return n, err
}

// WriteTo lets a whole body go out without a buffer in between.
func (b *heldBody) WriteTo(w io.Writer) (int64, error) {
	n, err := b.head.WriteTo(w)
	if err == nil && b.rest != nil {
		b.free()
		var m int64
		m, err = io.Copy(w, b.rest)
		n += m
	}
	return n, err
}

func (b *heldBody) Close() error { return nil }

func (b *heldBody) free() {
	if n := b.taken; n != 0 {
		b.taken = 0
		b.bodies.give(n)
	}
}

var (
	errBodySlow  = fmt.Errorf("guard: body: too slow: %w", os.ErrDeadlineExceeded)
	errBodyFull  = errors.New("guard: body: buffers full")
	errBodyLong  = errors.New("guard: body: too long")
	errBodyBreak = errors.New("guard: body: broken off")
)

// bodyReason is the reason a failed body is refused with.
func bodyReason(err error) deich.Reason {
	switch {
	case errors.Is(err, errBodySlow):
		return deich.SlowClient
	case errors.Is(err, errBodyFull):
		return deich.BuffersFull
	case errors.Is(err, errBodyLong):
		return deich.BodyTooLarge
	default:
		return deich.BadRequest
	}
}

// hold takes the body of an allowed request in hand before it asks for a
// place: a slow one never holds a place at the origin. A stream's of no announced
// length may go on as long as its answer, which it cannot wait for: it only has to keep coming.
func (h *Handler) hold(v *visit) error {
	r := v.r
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	most := v.set.BodyMax
	if most > 0 && r.ContentLength > most {
		return errBodyLong
	}
	in := &pacedBody{src: r.Body, control: http.NewResponseController(v.w), now: h.now, begun: h.now(), most: most}
	streams := v.req.Kind == deich.Stream
	if streams && r.ContentLength < 0 {
		r.Body = in
		return nil
	}
	b := &heldBody{bodies: &h.bodies}
	v.body = b
	whole, err := b.fill(in, r.ContentLength, v.set.BodyBuffer, h.bodiesFor(v))
	if err != nil {
		b.free()
		return err
	}
	b.head.Reset(b.data)
	in.release()
	if !whole {
		b.rest = in
		if !streams {
			v.req.Kind = deich.Upload
		}
		r.Body = b
		return nil
	}
	r.Body = b
	if len(r.Trailer) == 0 {
		r.ContentLength, r.TransferEncoding = int64(len(b.data)), nil
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.data)), nil }
	return nil
}

// bodiesFor is how much of all bodies' room this client may fill: strangers
// have half.
func (h *Handler) bodiesFor(v *visit) int64 {
	if v.verdict.Tier == deich.Stranger && !v.failopen {
		return v.set.Bodies / 2
	}
	return v.set.Bodies
}

// fill reads up to most bytes, in pieces that grow with what has come. whole
// says that nothing follows.
func (b *heldBody) fill(in *pacedBody, announced, most, limit int64) (whole bool, err error) {
	for size := int64(bodyChunkBytes); ; size *= 2 {
		if announced > 0 {
			size = min(size, announced)
		}
		size = min(size, most)
		if !b.bodies.take(size-b.taken, limit) {
			return false, errBodyFull
		}
		b.taken = size
		data := make([]byte, size)
		n := copy(data, b.data)
		b.data = data
		for n < len(data) {
			m, err := in.Read(data[n:])
			n += m
			if err == io.EOF {
				b.data = data[:n]
				return true, nil
			}
			if err != nil {
				return false, err
			}
		}
		if size == announced {
			return true, in.end()
		}
		if size == most {
			return false, nil
		}
	}
}

// pacedBody reads a body that must keep coming: after bodyGrace at
// bodyRateMin, and never with a pause longer than bodyPauseMax.
type pacedBody struct {
	src     io.ReadCloser
	control *http.ResponseController
	now     func() deich.Time
	begun   deich.Time
	set     deich.Time // the deadline in force; 0: none
	got     int64
	most    int64 // 0: no bound
}

func (p *pacedBody) Read(b []byte) (int, error) {
	p.pace()
	n, err := p.src.Read(b)
	p.got += int64(n)
	switch {
	case err == nil:
		if p.most > 0 && p.got > p.most {
			return n, errBodyLong
		}
		return n, nil
	case err == io.EOF:
		p.release()
		return n, err
	case p.set != 0 && p.now() >= p.set:
		return n, errBodySlow
	default:
		return n, errors.Join(errBodyBreak, err)
	}
}

// Close lets it go unread.
func (p *pacedBody) Close() error { return p.src.Close() }

// pace moves the deadline on, where the bytes that came have earned it.
func (p *pacedBody) pace() {
	now := p.now()
	earned := p.begun.Add(bodyGrace + time.Duration(p.got)*time.Second/bodyRateMin)
	due := min(earned, now.Add(bodyPauseMax))
	if p.set != 0 && due.Sub(p.set) < time.Second && p.set.Sub(now) > time.Second {
		return // not worth moving
	}
	p.set = due
	// Where the connection has no deadlines, the server's own hold.
	_ = p.control.SetReadDeadline(time.Now().Add(due.Sub(now)))
}

// release lifts the deadline: it would end the request's context.
func (p *pacedBody) release() {
	if p.set != 0 {
		p.set = 0
		_ = p.control.SetReadDeadline(time.Time{})
	}
}

// end reads what follows the last announced byte: nothing but the end.
func (p *pacedBody) end() error {
	var one [1]byte
	if n, err := p.Read(one[:]); n == 0 && err == io.EOF {
		return nil
	} else if err != nil {
		return err
	}
	return errBodyBreak
}

// spurn readies the connection of a refused request whose body nobody wants:
// a short one may come within a second, so that the connection lives.
func (v *visit) spurn() {
	r := v.r
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody || v.body != nil {
		return
	}
	if r.ContentLength < 0 || r.ContentLength > bodyDiscardMax {
		if r.ProtoMajor == 1 {
			v.w.Header()["Connection"] = v.h.plain.closing
		}
		return
	}
	_ = http.NewResponseController(v.w).SetReadDeadline(time.Now().Add(bodyDiscardTime))
}
