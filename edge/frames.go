package edge

import "encoding/binary"

// Types, flags and error codes of HTTP/2's frames (RFC 9113, 6 and 7; RFC 9218, 7.1).
const (
	frameData           = 0x0
	frameHeaders        = 0x1
	framePriority       = 0x2
	frameRSTStream      = 0x3
	frameSettings       = 0x4
	framePing           = 0x6
	frameGoAway         = 0x7
	frameWindowUpdate   = 0x8
	frameContinuation   = 0x9
	framePriorityUpdate = 0x10

	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8

	codeNone          = 0x0
	codeProtocol      = 0x1
	codeFlowControl   = 0x3
	codeStreamClosed  = 0x5
	codeFrameSize     = 0x6
	codeRefusedStream = 0x7
	codeCalm          = 0xb

	frameHeadBytes = 9
	frameMoreBytes = 4 // of a payload, where it tells something
	prefaceBytes   = 24
)

// frame is what is looked at of one.
type frame struct {
	kind, flags uint8
	length      int    // of the payload
	stream      uint32 // 0: the connection
	more        [frameMoreBytes]byte
}

// code is why a stream is reset.
func (f *frame) code() uint32 { return binary.BigEndian.Uint32(f.more[:]) }

// carried is how many bytes of a DATA frame are data.
func (f *frame) carried() int {
	if f.flags&flagPadded == 0 {
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
	head [frameHeadBytes + frameMoreBytes]byte
}

// next takes bytes up to where a frame is told by its head; ok is false when
// p ends before. What follows is in rest.
func (f *framing) next(p []byte) (got frame, rest []byte, ok bool) {
	for {
		over := min(f.skip, len(p))
		f.skip -= over
		if p = p[over:]; f.skip > 0 || len(p) == 0 && f.n < max(f.want, frameHeadBytes) {
			return frame{}, nil, false
		}
		n := copy(f.head[f.n:max(f.want, frameHeadBytes)], p)
		f.n += n
		p = p[n:]
		if f.n < max(f.want, frameHeadBytes) {
			return frame{}, nil, false
		}
		got = frame{
			kind: f.head[3], flags: f.head[4],
			length: int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2]),
			stream: binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31),
		}
		if more := got.telling(); f.n == frameHeadBytes && more > 0 {
			f.want = frameHeadBytes + more
			continue
		}
		copy(got.more[:], f.head[frameHeadBytes:f.n])
		f.skip = got.length - (f.n - frameHeadBytes)
		f.n, f.want = 0, 0
		return got, p, true
	}
}

// telling is how many bytes of its payload are looked at.
func (f *frame) telling() int {
	switch {
	case f.kind == frameRSTStream:
		return min(f.length, frameMoreBytes)
	case f.kind == frameData && f.flags&flagPadded != 0:
		return min(f.length, 1)
	}
	return 0
}

// between says that the last frame is over and the next has not begun.
func (f *framing) between() bool { return f.skip == 0 && f.n == 0 }
