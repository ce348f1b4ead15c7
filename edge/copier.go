package edge

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

// copier copies an answer's body to the client. What came is handed on before
// more is waited for, unless the length is known and it can be gathered.
type copier struct {
	x       *exchange
	buf     []byte
	control *http.ResponseController
	pipe    *pipe // of a stream of events; else nil

	blocked time.Duration // by the client, in all
	long    bool          // said to be long-lived
	timer   *time.Timer   // for one write at a time
	told    chan struct{} // closed when what it does is done
}

func (c *copier) run() error {
	resp, l := c.x.resp, c.x.line
	gather := resp.ContentLength >= 0
	unflushed := true // the header
	for {
		if !gather && unflushed && !ready(l) {
			unflushed = false
			if err := c.control.Flush(); err != nil {
				return err
			}
		}
		n, err := resp.Body.Read(c.buf)
		if n > 0 {
			if c.pipe != nil {
				c.pipe.touch()
			}
			if err := c.write(c.buf[:n]); err != nil {
				return err
			}
			unflushed = true
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ready says whether the next read of a chunked body will not block: a whole
// line of it, or of data, is here already.
func ready(l *line) bool {
	b, _ := l.br.Peek(l.br.Buffered())
	return bytes.IndexByte(b, '\n') >= 0
}

// write hands b to the client. One that makes the answer wait does not hold a
// place among the quick ones meanwhile.
func (c *copier) write(b []byte) error {
	if len(b) > quickWrite && !c.long {
		begun := time.Now()
		c.arm()
		defer func() {
			if c.long = !c.timer.Stop(); c.long {
				<-c.told // nobody may speak of this answer once it is over
			}
			if c.blocked += time.Since(begun); c.blocked > clientSlow && !c.long {
				c.long = true
				c.detach()
			}
		}()
	}
	_, err := c.x.w.Write(b)
	return err
}

// arm lets the answer count as long-lived if the next write takes too long.
func (c *copier) arm() {
	if c.timer == nil {
		c.told = make(chan struct{})
		c.timer = time.AfterFunc(clientSlow, func() {
			defer close(c.told)
			c.detach()
		})
		return
	}
	c.timer.Reset(clientSlow)
}

func (c *copier) detach() { c.x.proxy.streaming(c.x.w) }
