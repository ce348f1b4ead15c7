package h2

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// took is what a handler was given.
type took struct {
	Method, Host, URI, Path, Query, Body, Err string
	Length                                    int64
	Header, Trailer                           http.Header
}

// taking answers with what it was given.
func taking(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	g := took{r.Method, r.Host, r.RequestURI, r.URL.Path, r.URL.RawQuery, string(b), "", r.ContentLength, r.Header, r.Trailer}
	if err != nil {
		g.Err = err.Error()
	}
	json.NewEncoder(w).Encode(g)
}

// with changes a field, or takes it out where value is "-".
func with(fields []string, name, value string) []string {
	out := slices.Clone(fields)
	i := slices.Index(out, name)
	if value == "-" {
		return slices.Delete(out, i, i+2)
	}
	out[i+1] = value
	return out
}

// What is no request is reset, and reaches no handler.
func TestMalformedRequestsAreReset(t *testing.T) {
	s := newServer(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("a handler was given %v", r) })
	for name, fields := range map[string][]string{
		"no method":                with(get(), ":method", "-"),
		"no scheme":                with(get(), ":scheme", "-"),
		"no path":                  with(get(), ":path", "-"),
		"empty path":               with(get(), ":path", ""),
		"path without a slash":     with(get(), ":path", "a"),
		"absolute path":            with(get(), ":path", "http://b.example/"),
		"path with LF":             with(get(), ":path", "/\nx"),
		"path with CR":             with(get(), ":path", "/ HTTP/1.1\r\nHost: b"),
		"path with NUL":            with(get(), ":path", "/\x00"),
		"broken escape":            with(get(), ":path", "/%zz"),
		"method with a space":      with(get(), ":method", "GET / HTTP/1.1"),
		"method with LF":           with(get(), ":method", "GET\n"),
		"empty method":             with(get(), ":method", ""),
		"another scheme":           with(get(), ":scheme", "ftp"),
		"userinfo":                 with(get(), ":authority", "u@a.example"),
		"authority with a slash":   with(get(), ":authority", "a.example/b"),
		"authority with a space":   with(get(), ":authority", "a example"),
		"authority with LF":        with(get(), ":authority", "a\nb"),
		"method twice":             append([]string{":method", "GET"}, get()...),
		"path twice":               append([]string{":path", "/"}, get()...),
		"authority twice":          append([]string{":authority", "a.example"}, get()...),
		"unknown pseudo-header":    append([]string{":protocol", "websocket"}, get()...),
		"pseudo-header of answers": append([]string{":status", "200"}, get()...),
		"pseudo-header behind":     append(with(get("x", "1"), ":path", "-"), ":path", "/"),
		"upper case":               get("X-Up", "1"),
		"name with a space":        get("x y", "1"),
		"name with a colon":        get("x:y", "1"),
		"empty name":               get("", "1"),
		"name with LF":             get("x\ny", "1"),
		"value with LF":            get("x", "1\n2"),
		"value with CR":            get("x", "1\r2"),
		"value with NUL":           get("x", "1\x002"),
		"connection":               get("connection", "close"),
		"keep-alive":               get("keep-alive", "1"),
		"proxy-connection":         get("proxy-connection", "close"),
		"transfer-encoding":        get("transfer-encoding", "chunked"),
		"upgrade":                  get("upgrade", "h2c"),
		"te":                       get("te", "gzip"),
		"another host":             get("host", "b.example"),
		"host twice":               get("host", "a.example", "host", "a.example"),
		"host beside nothing":      with(get("host", "b.example"), ":authority", ""),
		"host with userinfo":       with(get("host", "u@b.example"), ":authority", "-"),
		"two lengths":              get("content-length", "0", "content-length", "1"),
		"length with a sign":       get("content-length", "+0"),
		"length with a space":      get("content-length", " 0"),
		"lengths in a list":        get("content-length", "0, 0"),
		"length and no body":       get("content-length", "1"),
		"negative length":          get("content-length", "-1"),
		"endless length":           get("content-length", "99999999999999999999"),
		"CONNECT with a path":      with(get(), ":method", "CONNECT"),
		"CONNECT to nothing":       {":method", "CONNECT"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s)
			if r := c.answer(c.open(true, fields...)); !r.reset || r.code != http2.ErrCodeProtocol {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRequestsAreTranslated(t *testing.T) {
	s := newServer(t, taking)
	c := dial(t, s)
	ask := func(send func() uint32) (g took) {
		t.Helper()
		r := c.answer(send())
		if err := json.Unmarshal(r.body, &g); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		return g
	}
	g := ask(func() uint32 {
		return c.open(true, with(get("cookie", "a=1", "cookie", "b=2", "x-new", "1", "x-new", "2", "te", "trailers"), ":path", "/a%2Fb?c=d&e")...)
	})
	if g.Method != "GET" || g.Host != "a.example" || g.URI != "/a%2Fb?c=d&e" || g.Path != "/a/b" || g.Query != "c=d&e" || g.Length != 0 ||
		!slices.Equal(g.Header["Cookie"], []string{"a=1; b=2"}) || !slices.Equal(g.Header["X-New"], []string{"1", "2"}) {
		t.Errorf("%+v", g)
	}
	if g = ask(func() uint32 { return c.open(true, get("host", "A.example")...) }); !strings.EqualFold(g.Host, "a.example") || g.Header["Host"] != nil {
		t.Errorf("host beside authority: %+v", g)
	}
	if g = ask(func() uint32 { return c.open(true, with(get("host", "b.example"), ":authority", "-")...) }); g.Host != "b.example" {
		t.Errorf("host alone: %+v", g)
	}
	g = ask(func() uint32 {
		id := c.open(false, post("content-length", "5", "expect", "100-continue")...)
		c.fr.WriteData(id, false, []byte("hel"))
		c.fr.WriteDataPadded(id, true, []byte("lo"), make([]byte, 9))
		return id
	})
	if g.Body != "hello" || g.Length != 5 || g.Header["Expect"] != nil {
		t.Errorf("a body: %+v", g)
	}
	g = ask(func() uint32 {
		id := c.open(false, post("trailer", "x-sum, content-length, host, transfer-encoding, bad name")...)
		c.fr.WriteData(id, false, []byte("hello"))
		c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: true, EndHeaders: true,
			BlockFragment: c.block("x-sum", "7", "content-length", "9", "host", "b.example", "x-not-announced", "1")})
		return id
	})
	if g.Body != "hello" || len(g.Trailer) != 1 || g.Trailer.Get("X-Sum") != "7" {
		t.Errorf("a trailer: %+v", g)
	}
	// A body of which the length says that there is none is not waited for.
	if g = ask(func() uint32 { return c.open(false, post("content-length", "0")...) }); g.Body != "" || g.Err != "" {
		t.Errorf("an end that does not come: %+v", g)
	}
}

// A body that is not what it was said to be resets its stream.
func TestBodiesAreWhatWasSaid(t *testing.T) {
	for name, send := range map[string]func(c *client, id uint32){
		"more":         func(c *client, id uint32) { c.fr.WriteData(id, false, []byte("123456")) },
		"fewer":        func(c *client, id uint32) { c.fr.WriteData(id, true, []byte("1234")) },
		"fewer, trail": func(c *client, id uint32) { trail(c, id, true, "x", "1") },
		"trailer without an end": func(c *client, id uint32) {
			c.fr.WriteData(id, false, []byte("12345"))
			trail(c, id, false, "x", "1")
		},
		"pseudo-header behind": func(c *client, id uint32) {
			c.fr.WriteData(id, false, []byte("12345"))
			trail(c, id, true, ":path", "/")
		},
		"connection behind": func(c *client, id uint32) {
			c.fr.WriteData(id, false, []byte("12345"))
			trail(c, id, true, "connection", "close")
		},
	} {
		t.Run(name, func(t *testing.T) {
			began, read := make(chan struct{}), make(chan error, 1)
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				close(began)
				_, err := io.Copy(io.Discard, r.Body)
				read <- err
			})
			c := dial(t, s)
			id := c.open(false, post("content-length", "5")...)
			<-began // else nobody would look at it
			send(c, id)
			if r := c.answer(id); !r.reset || r.code != http2.ErrCodeProtocol {
				t.Errorf("%+v", r)
			}
			if err := <-read; err == nil {
				t.Error("its handler has seen an end")
			}
		})
	}
}

func trail(c *client, id uint32, end bool, fields ...string) {
	c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: true, BlockFragment: c.block(fields...)})
}
