package h2

import (
	"encoding/binary"
	"net/http"
	"slices"
)

// next reads a frame and does what it asks for.
func (c *conn) next() error {
	b, err := c.in.Peek(HeadBytes)
	if err != nil {
		return err
	}
	h := parseHead(b)
	c.in.Discard(HeadBytes)
	if h.length > frameMost {
		return &broken{CodeFrameSize, "a frame is too long"}
	}
	if c.block.open && (h.kind != FrameContinuation || h.id != c.block.id) {
		return &broken{CodeProtocol, "a header block is interrupted"}
	}
	switch h.kind {
	case FrameHeaders:
		return c.headers(h)
	case FrameContinuation:
		return c.continuation(h)
	case FrameData:
		return c.body(h)
	case FramePriority:
		return c.priority(h)
	case FramePushPromise:
		return &broken{CodeProtocol, "a client pushes"}
	}
	if h.kind > FrameContinuation {
		return c.skip(h.length)
	}
	if h.length > readBuffer { // of all others none is that long
		if h.kind == FrameSettings || h.kind == FrameGoAway {
			return c.longFrame(h)
		}
		return &broken{CodeFrameSize, "a frame is too long for its kind"}
	}
	if b, err = c.in.Peek(h.length); err != nil {
		return err
	}
	defer c.in.Discard(h.length)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch h.kind {
	case FrameRSTStream:
		return c.resetBy(h, b)
	case FrameSettings:
		return c.settings(h, b)
	case FramePing:
		return c.ping(h, b)
	case FrameWindowUpdate:
		return c.windowUpdate(h, b)
	}
	if h.id != 0 {
		return &broken{CodeProtocol, "a GOAWAY of a stream"}
	}
	return nil // GOAWAY: what is open is answered, and the client closes
}

// longFrame looks at a frame that the buffer does not hold.
func (c *conn) longFrame(h head) error {
	if h.kind == FrameGoAway {
		return c.skip(h.length)
	}
	return &broken{CodeCalm, "SETTINGS of hundreds of settings"}
}

// skip passes over n bytes.
func (c *conn) skip(n int) error {
	_, err := c.in.Discard(n)
	return err
}

// padded reads what a frame with padding begins with, and gives how much of it is not
// padding. The padding itself follows.
func (c *conn) padded(h head) (rest, padding int, err error) {
	if !h.has(FlagPadded) {
		return h.length, 0, nil
	}
	if h.length == 0 {
		return 0, 0, &broken{CodeFrameSize, "no padding where there should be"}
	}
	b, err := c.in.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	if int(b) > h.length-1 {
		return 0, 0, &broken{CodeProtocol, "more padding than frame"}
	}
	return h.length - 1 - int(b), int(b), nil
}

func (c *conn) headers(h head) error {
	if h.id == 0 || h.id&1 == 0 {
		return &broken{CodeProtocol, "HEADERS of no client's stream"}
	}
	n, padding, err := c.padded(h)
	if err != nil {
		return err
	}
	c.block.begin(h)
	if h.has(FlagPriority) {
		if n < 5 {
			return &broken{CodeFrameSize, "a priority is cut short"}
		}
		b, err := c.in.Peek(5)
		if err != nil {
			return err
		}
		c.block.ownParent = binary.BigEndian.Uint32(b)&^(1<<31) == h.id
		c.in.Discard(5)
		n -= 5
	}
	return c.fragment(h, n, padding)
}

func (c *conn) continuation(h head) error {
	if !c.block.open {
		return &broken{CodeProtocol, "CONTINUATION of nothing"}
	}
	return c.fragment(h, h.length, 0)
}

// fragment decodes n bytes of a header block, as they come.
func (c *conn) fragment(h head, n, padding int) error {
	if c.block.wire += HeadBytes + n; c.block.wire > blockMost*c.headerMost() {
		return &broken{CodeCalm, "a header block without an end"}
	}
	for n > 0 {
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
		b, _ := c.in.Peek(min(n, c.in.Buffered()))
		if _, err := c.dec.Write(b); err != nil {
			return &broken{CodeCompression, err.Error()}
		}
		c.in.Discard(len(b))
		n -= len(b)
	}
	if err := c.skip(padding); err != nil {
		return err
	}
	if !h.has(FlagEndHeaders) {
		return nil
	}
	if err := c.dec.Close(); err != nil {
		return &broken{CodeCompression, err.Error()}
	}
	c.block.open = false
	return c.headed()
}

// headed does what a whole header block asks for: a new request, or the end of one.
func (c *conn) headed() error {
	b := &c.block
	defer b.clear()
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[b.id]
	switch {
	case st != nil && st.remote:
		st.resets(CodeStreamClosed)
		c.aside()
		return nil
	case st != nil:
		return c.trailer(st)
	case b.id <= c.last:
		switch {
		case slices.Contains(c.resets[:], b.id):
			return nil
		case b.id == c.last:
			return &broken{CodeStreamClosed, "HEADERS of a stream that is closed"}
		}
		return &broken{CodeProtocol, "a stream's number goes back"}
	case c.deaf:
		return nil // as GOAWAY said
	}
	c.last = b.id
	if b.ownParent {
		return c.refuse(b.id, CodeProtocol)
	}
	if len(c.streams) >= c.server.StreamsMax {
		code := CodeProtocol // it knows how many it may
		if !c.acked {
			code = CodeRefusedStream
		}
		return c.refuse(b.id, code)
	}
	if len(c.streams) == 0 {
		c.hook(http.StateActive)
	}
	st, ok := c.request()
	if !ok {
		if len(c.streams) == 0 {
			c.rests()
		}
		return c.refuse(b.id, CodeProtocol)
	}
	c.streams[b.id] = st
	if c.running < c.server.StreamsMax {
		c.running++
		c.server.handlers.run(st)
		return nil
	}
	c.waiting = append(c.waiting, st) // those that were open before still run
	return nil
}

// refuse resets a stream that was never opened. c.mu is held.
func (c *conn) refuse(id uint32, code Code) error {
	c.sayReset(id, code)
	c.aside()
	return nil
}

// trailer takes the trailer of st's request. c.mu is held.
func (c *conn) trailer(st *stream) error {
	if !c.block.ends || !c.block.trails() {
		st.resets(CodeProtocol)
		c.aside()
		return nil
	}
	st.trailer = c.header()
	c.ends(st)
	return nil
}

// ends notes that the client has sent all of st's request. c.mu is held.
func (c *conn) ends(st *stream) {
	if st.declared >= 0 && st.came != st.declared {
		st.resets(CodeProtocol)
		c.aside()
		return
	}
	st.remote = true
	signal(st.readable)
	if st.local {
		c.remove(st)
	}
}

// body takes a DATA frame, as it comes.
func (c *conn) body(h head) error {
	if h.id == 0 {
		return &broken{CodeProtocol, "DATA of no stream"}
	}
	n, padding, err := c.padded(h)
	if err != nil {
		return err
	}
	c.mu.Lock()
	st := c.streams[h.id]
	err = c.mayData(st, h)
	if st != nil && (st.remote || st.err != nil) {
		st = nil
	}
	if err == nil && st != nil {
		st.recv -= int64(h.length)
		if st.came += int64(n); st.recv < 0 {
			st.resets(CodeFlowControl)
			st = nil
		} else if st.declared >= 0 && st.came > st.declared {
			st.resets(CodeProtocol)
			st = nil
		}
		c.read(st, h.length-n) // of padding
		c.aside()
	} else if err == nil {
		c.read(nil, h.length-n)
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	for n > 0 {
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
		b, _ := c.in.Peek(min(n, c.in.Buffered()))
		c.mu.Lock()
		if st == nil || st.err != nil || st.done {
			c.read(nil, len(b))
		} else {
			st.keep(b)
		}
		c.mu.Unlock()
		c.in.Discard(len(b))
		n -= len(b)
	}
	if err := c.skip(padding); err != nil {
		return err
	}
	if st != nil && h.has(FlagEndStream) {
		c.mu.Lock()
		if st.err == nil {
			c.ends(st)
		}
		c.mu.Unlock()
	}
	return nil
}

// mayData says whether a DATA frame may come; st is its stream, if it is open. Where
// that may not, it is reset. c.mu is held.
func (c *conn) mayData(st *stream, h head) error {
	if c.recv -= int64(h.length); c.recv < 0 {
		return &broken{CodeFlowControl, "more was sent than the connection takes"}
	}
	switch {
	case st == nil && h.id > c.last && c.deaf:
	case st == nil && h.id > c.last:
		return &broken{CodeProtocol, "DATA of a stream that was never opened"}
	case st != nil && st.remote:
		st.resets(CodeStreamClosed)
		c.aside()
	case st == nil && !slices.Contains(c.resets[:], h.id):
		return c.refuse(h.id, CodeStreamClosed)
	}
	return nil
}

func (c *conn) priority(h head) error {
	switch {
	case h.id == 0:
		return &broken{CodeProtocol, "PRIORITY of no stream"}
	case h.length != 5:
		if err := c.skip(h.length); err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.streamError(h.id, CodeFrameSize)
	}
	b, err := c.in.Peek(5)
	if err != nil {
		return err
	}
	own := binary.BigEndian.Uint32(b)&^(1<<31) == h.id
	c.in.Discard(5)
	if own {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.streamError(h.id, CodeProtocol)
	}
	return nil
}

// streamError resets a stream, open or not. c.mu is held.
func (c *conn) streamError(id uint32, code Code) error {
	if st := c.streams[id]; st != nil {
		st.resets(code)
		c.aside()
		return nil
	}
	return c.refuse(id, code)
}

// resetBy takes a RST_STREAM. c.mu is held, as below.
func (c *conn) resetBy(h head, b []byte) error {
	switch {
	case len(b) != 4:
		return &broken{CodeFrameSize, "RST_STREAM of another length"}
	case h.id == 0 || h.id > c.last && !c.deaf:
		return &broken{CodeProtocol, "RST_STREAM of no stream"}
	}
	if st := c.streams[h.id]; st != nil {
		st.lose(errReset)
		c.remove(st)
	}
	return nil
}

func (c *conn) settings(h head, b []byte) error {
	if h.id != 0 {
		return &broken{CodeProtocol, "SETTINGS of a stream"}
	}
	if h.has(FlagAck) {
		if len(b) > 0 {
			return &broken{CodeFrameSize, "an acknowledgment with settings"}
		}
		c.acked = true
		return nil
	}
	if len(b)%6 != 0 {
		return &broken{CodeFrameSize, "half a setting"}
	}
	initial := c.initial
	for ; len(b) > 0; b = b[6:] {
		v := binary.BigEndian.Uint32(b[2:])
		switch binary.BigEndian.Uint16(b) {
		case settingPush:
			if v > 1 {
				return &broken{CodeProtocol, "neither on nor off"}
			}
		case settingWindow:
			if v > windowMost {
				return &broken{CodeFlowControl, "a window that is too large"}
			}
			initial = int64(v)
		case settingFrameSize:
			if v < 16<<10 || v > 1<<24-1 {
				return &broken{CodeProtocol, "a frame size outside its bounds"}
			}
		}
	}
	if by := initial - c.initial; by != 0 {
		c.initial = initial
		for _, st := range c.streams {
			if st.window += by; st.window > windowMost {
				return &broken{CodeFlowControl, "a stream's window overflows"}
			}
			signal(st.wake)
		}
	}
	c.reply(0, FrameSettings, FlagAck, 0)
	c.aside()
	return nil
}

func (c *conn) ping(h head, b []byte) error {
	switch {
	case h.id != 0:
		return &broken{CodeProtocol, "PING of a stream"}
	case len(b) != 8:
		return &broken{CodeFrameSize, "PING of another length"}
	case h.has(FlagAck):
		return nil
	}
	c.reply(8, FramePing, FlagAck, 0)
	c.out = append(c.out, b...)
	c.aside()
	return nil
}

func (c *conn) windowUpdate(h head, b []byte) error {
	if len(b) != 4 {
		return &broken{CodeFrameSize, "WINDOW_UPDATE of another length"}
	}
	by := int64(binary.BigEndian.Uint32(b) &^ (1 << 31))
	if h.id == 0 {
		if by == 0 {
			return &broken{CodeProtocol, "a window opened by nothing"}
		}
		if c.window += by; c.window > windowMost {
			return &broken{CodeFlowControl, "the window overflows"}
		}
		c.ahead()
		return nil
	}
	st := c.streams[h.id]
	switch {
	case h.id > c.last && !c.deaf:
		return &broken{CodeProtocol, "WINDOW_UPDATE of a stream that was never opened"}
	case by == 0:
		return c.streamError(h.id, CodeProtocol)
	case st == nil:
		return nil
	}
	if st.window += by; st.window > windowMost {
		st.resets(CodeFlowControl)
		c.aside()
		return nil
	}
	signal(st.wake)
	return nil
}
