package edge

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// errClientBody wraps what went wrong with reading a body from the client.
type errClientBody struct{ err error }

func (e errClientBody) Error() string { return "edge: the client's body: " + e.err.Error() }
func (e errClientBody) Unwrap() error { return e.err }

// sender sends a long body to the origin while its answer is awaited, so that
// an origin that answers before it has read everything is heard. It is the one
// goroutine of a request, and it ends before the request's handler does.
type sender struct {
	line    *line
	body    io.Reader
	remote  bool        // body is read from the client as it is sent, not in hand
	length  int64       // -1: chunked
	trailer http.Header // filled when the body has ended
	failure atomic.Pointer[errClientBody]
	done    chan struct{}
	ending  atomic.Bool // its last piece is being written
	sent    bool        // after done: the whole body
}

// start begins to send, with a buffer that is given back.
func (s *sender) start(pool *buffers) {
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		buf := pool.take()
		defer pool.give(buf)
		err := s.run(*buf)
		s.sent = err == nil
		var client errClientBody
		if errors.As(err, &client) {
			s.failure.Store(&client)
			s.line.hangUp() // there will be no answer worth waiting for
			return
		}
		// Sent, or the origin stopped listening: it may have said why.
		s.line.answerDue()
	}()
}

func (s *sender) run(buf []byte) error {
	if s.length >= 0 {
		return s.sendPlain(buf)
	}
	return s.sendChunked(buf)
}

func (s *sender) sendPlain(buf []byte) error {
	left := s.length
	for left > 0 {
		n, err := s.body.Read(buf[:min(int64(len(buf)), left)])
		if n > 0 {
			s.ending.Store(int64(n) == left)
			if err := s.write(buf[:n]); err != nil {
				return err
			}
			left -= int64(n)
		}
		if err != nil && left > 0 {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return errClientBody{err}
		}
	}
	return nil
}

// chunkHead is the room in front of a chunk for its length and behind it for
// its end.
const chunkHead, chunkTail = 10, 2

func (s *sender) sendChunked(buf []byte) error {
	for {
		n, err := s.body.Read(buf[chunkHead : len(buf)-chunkTail])
		if n > 0 {
			if err := s.write(asChunk(buf, n)); err != nil {
				return err
			}
		}
		if err == io.EOF {
			s.ending.Store(true)
			return s.write(appendTrailer(append(buf[:0], "0\r\n"...), s.trailer))
		}
		if err != nil {
			return errClientBody{err}
		}
	}
}

// asChunk frames the n bytes that stand in buf behind chunkHead.
func asChunk(buf []byte, n int) []byte {
	var digits [chunkHead]byte
	size := append(strconv.AppendInt(digits[:0], int64(n), 16), "\r\n"...)
	start := chunkHead - len(size)
	copy(buf[start:], size)
	end := chunkHead + n
	copy(buf[end:], "\r\n")
	return buf[start : end+chunkTail]
}

func (s *sender) write(b []byte) error {
	s.line.tcp.SetWriteDeadline(time.Now().Add(s.line.backend.timeouts.Load().FirstByte.Duration))
	return s.line.send(b)
}

// finished says whether the whole body was sent. An origin can answer before
// its last write has come back here; that is waited for.
func (s *sender) finished() bool {
	if s.ending.Load() {
		s.settle()
	}
	select {
	case <-s.done:
		return s.sent
	default:
		return false
	}
}

// settle waits a little for what is about to end by itself.
func (s *sender) settle() {
	late := time.NewTimer(senderEnd)
	defer late.Stop()
	select {
	case <-s.done:
	case <-late.C:
	}
}

// end makes sure that nothing of the body is read or sent any more. The line
// is lost if the body was not finished.
func (s *sender) end(w http.ResponseWriter) {
	select {
	case <-s.done:
		return
	default:
	}
	s.line.hangUp()
	if !s.remote {
		<-s.done
		return
	}
	// The client may be slow to send what nobody waits for; its connection
	// cannot be used again, since the rest of the body stands in the way.
	_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	<-s.done
}
