package main

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"time"
)

// pageBytes is how long the origin's one answer is.
const pageBytes = 1 << 10

// serveOrigin answers every request with the same small page, so that what is
// measured is the proxy. With a rate it answers only so many in a second, four
// at once, and lets the others wait: an origin that is small, but does not use
// the core that the proxy is measured on.
func serveOrigin(addr string, rate int) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	body := strings.Repeat("All is well behind the dike. ", pageBytes/29+1)[:pageBytes]
	whole := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"+
		"Content-Length: %d\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nCache-Control: no-cache\r\n\r\n%s", len(body), body)
	o := &origin{answer: whole}
	if rate > 0 {
		o.places = make(chan struct{}, originPlaces)
		o.takes = originPlaces * time.Second / time.Duration(rate)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go o.serve(c)
	}
}

// originPlaces is how many requests a small origin works on at once.
const originPlaces = 4

type origin struct {
	answer []byte
	places chan struct{} // nil: as many as come
	takes  time.Duration
}

func (o *origin) serve(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4<<10)
	n := 0
	for n < len(buf) {
		m, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		if n += m; !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			continue // only requests without a body come here, one at a time
		}
		n = 0
		if o.places != nil {
			o.places <- struct{}{}
			time.Sleep(o.takes)
			<-o.places
		}
		if _, err := c.Write(o.answer); err != nil {
			return
		}
	}
}
