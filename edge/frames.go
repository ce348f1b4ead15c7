package edge

import (
	"encoding/binary"

	"github.com/deichproject/deich/edge/h2"
)

// frameMoreBytes is how much of a payload is looked at, where it tells something.
const frameMoreBytes = 4

// frame is what is looked at of one.
type frame struct {
	kind, flags uint8
	length      int    // of the payload
	stream      uint32 // 0: the connection
	more        [frameMoreBytes]byte
}

// code is why a stream is reset.
func (f *frame) code() h2.Code { return h2.Code(binary.BigEndian.Uint32(f.more[:])) }

// carried is how many bytes of a DATA frame are data.
func (f *frame) carried() int {
	if f.flags&h2.FlagPadded == 0 {
		return f.length
	}
	return max(f.length-1-int(f.more[0]), 0)
}

// framing follows one direction of a connection from frame to frame, in
// whatever pieces it comes. It keeps nothing of what frames carry.
type framing struct {
	skip int // bytes that are not looked at
	n    int // bytes in head
	want int // bytes wanted there
	head [h2.HeadBytes + frameMoreBytes]byte
}

// next takes bytes up to where a frame is told by its head; ok is false when
// p ends before. What follows is in rest.
func (f *framing) next(p []byte) (got frame, rest []byte, ok bool) {
	for {
		over := min(f.skip, len(p))
		f.skip -= over
		if p = p[over:]; f.skip > 0 || len(p) == 0 && f.n < max(f.want, h2.HeadBytes) {
			return frame{}, nil, false
		}
		n := copy(f.head[f.n:max(f.want, h2.HeadBytes)], p)
		f.n += n
		p = p[n:]
		if f.n < max(f.want, h2.HeadBytes) {
			return frame{}, nil, false
		}
		got = frame{
			kind: f.head[3], flags: f.head[4],
			length: int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2]),
			stream: binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31),
		}
		if more := got.telling(); f.n == h2.HeadBytes && more > 0 {
			f.want = h2.HeadBytes + more
			continue
		}
		copy(got.more[:], f.head[h2.HeadBytes:f.n])
		f.skip = got.length - (f.n - h2.HeadBytes)
		f.n, f.want = 0, 0
		return got, p, true
	}
}

// telling is how many bytes of its payload are looked at.
func (f *frame) telling() int {
	switch {
	case f.kind == h2.FrameRSTStream:
		return min(f.length, frameMoreBytes)
	case f.kind == h2.FrameData && f.flags&h2.FlagPadded != 0:
		return min(f.length, 1)
	}
	return 0
}

// between says that the last frame is over and the next has not begun.
func (f *framing) between() bool { return f.skip == 0 && f.n == 0 }
