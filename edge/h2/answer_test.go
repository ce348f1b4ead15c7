package h2

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// What handlers do, and what their clients get.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("0123456789", 1000)
	for _, tc := range []struct {
		name   string
		head   bool // the request's method
		handle func(w http.ResponseWriter, r *http.Request)
		is     func(r reply) bool
	}{
		{"nothing", false, func(http.ResponseWriter, *http.Request) {},
			func(r reply) bool {
				return r.status == "200" && r.ended && slices.Equal(r.header["content-length"], []string{"0"})
			}},
		{"short", false, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") },
			func(r reply) bool {
				return string(r.body) == "hello" && slices.Equal(r.header["content-length"], []string{"5"}) &&
					r.header["content-type"][0] == "text/plain; charset=utf-8" && len(r.header["date"]) == 1
			}},
		{"long", false, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a"); w.Write([]byte(long)) },
			func(r reply) bool { return string(r.body) == "a"+long && r.header["content-length"] == nil }},
		{"HEAD", true, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10000")
			io.WriteString(w, long)
		}, func(r reply) bool { return len(r.body) == 0 && r.header["content-length"][0] == "10000" }},
		{"204", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			w.WriteHeader(204)
			if _, err := io.WriteString(w, "abc"); !errors.Is(err, http.ErrBodyNotAllowed) {
				panic("it took a body")
			}
		}, func(r reply) bool { return r.status == "204" && len(r.body) == 0 && r.header["content-length"] == nil }},
		{"304", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			w.WriteHeader(304)
		}, func(r reply) bool {
			return r.status == "304" && len(r.body) == 0 && r.header["content-length"][0] == "3"
		}},
		{"hints", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
			w.WriteHeader(103)
			w.WriteHeader(201)
			w.WriteHeader(500)
		}, func(r reply) bool { return r.status == "201" && slices.Equal(r.informs, []string{"103", "103"}) }},
		{"trailer", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum, Host")
			io.WriteString(w, "hello")
			w.Header().Set("X-Sum", "7")
			w.Header().Set(http.TrailerPrefix+"X-More", "8")
			w.Header().Set(http.TrailerPrefix+"Content-Length", "9")
		}, func(r reply) bool {
			return string(r.body) == "hello" && len(r.trailer) == 2 && r.trailer["x-sum"][0] == "7" && r.trailer["x-more"][0] == "8"
		}},
		{"trailer without a body", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			w.WriteHeader(200)
			w.Header().Set("X-Sum", "7")
		}, func(r reply) bool { return r.trailer["x-sum"] != nil && r.ended }},
		{"flushed first", false, func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).Flush()
			w.Header().Set("X-Late", "1")
			io.WriteString(w, "hello")
		}, func(r reply) bool { return string(r.body) == "hello" && r.header["x-late"] == nil }},
		{"more than its length", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			if _, err := io.WriteString(w, "hello"); err == nil {
				panic("it took more")
			}
		}, func(r reply) bool { return r.reset && r.code == http2.ErrCodeInternal }},
		{"fewer than its length", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "hello")
		}, func(r reply) bool { return r.reset && r.code == http2.ErrCodeInternal }},
		{"a length that is none", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Length"] = []string{"+5"}
			io.WriteString(w, "hello")
		}, func(r reply) bool { return slices.Equal(r.header["content-length"], []string{"5"}) }},
		{"its length twice", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Length"] = []string{"5", "5"}
			io.WriteString(w, "hello")
		}, func(r reply) bool { return slices.Equal(r.header["content-length"], []string{"5"}) }},
		{"abort", false, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, long)
			panic(http.ErrAbortHandler)
		}, func(r reply) bool { return r.reset && r.code == http2.ErrCodeInternal && !r.ended }},
		{"panic", false, func(http.ResponseWriter, *http.Request) { panic("x") },
			func(r reply) bool { return r.reset && r.code == http2.ErrCodeInternal }},
		{"no status", false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(42) },
			func(r reply) bool { return r.reset && r.code == http2.ErrCodeInternal }},
		{"close", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Keep-Alive", "1")
			w.Header().Set("Transfer-Encoding", "chunked")
			w.Header().Set("Upgrade", "x")
			io.WriteString(w, "hello")
		}, func(r reply) bool {
			return string(r.body) == "hello" && r.gone != nil && r.gone.ErrCode == 0 && r.gone.LastStreamID == 1<<31-1 &&
				r.header["connection"] == nil && r.header["keep-alive"] == nil && r.header["transfer-encoding"] == nil && r.header["upgrade"] == nil
		}},
		{"a header of several frames", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat(long, 5))
		}, func(r reply) bool { return r.header["x-long"][0] == strings.Repeat(long, 5) }},
		{"what may not be in a header", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X-A"] = []string{"1\r\nX-B: 2", "\x00", "ok"}
			w.Header()["X y"] = []string{"1"}
			w.Header()[":status"] = []string{"500"}
		}, func(r reply) bool {
			return slices.Equal(r.header["x-a"], []string{"ok"}) && r.header["x y"] == nil && r.status == "200"
		}},
		{"no date, no type", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"], w.Header()["Content-Type"] = nil, nil
			io.WriteString(w, "hello")
		}, func(r reply) bool { return r.header["date"] == nil && r.header["content-type"] == nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newServer(t, tc.handle)
			c := dial(t, s, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
			c.fr.ReadMetaHeaders.SetMaxDynamicTableSize(0)
			fields := get()
			if tc.head {
				fields = with(fields, ":method", "HEAD")
			}
			if r := c.answer(c.open(true, fields...)); !tc.is(r) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A handler that ends before the body: its answer is whole, then the stream is
// reset without an error, and what is under way for it is nobody's fault.
func TestAnswerBeforeTheBody(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "no") })
	c := dial(t, s)
	var ids []uint32
	for range 100 {
		id := c.open(false, post()...)
		if r := c.answer(id); string(r.body) != "no" {
			t.Fatalf("%+v", r)
		}
		if r := c.answer(id); !r.reset || r.code != http2.ErrCodeNo {
			t.Fatalf("%+v", r)
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		c.fr.WriteData(id, false, make([]byte, 1000))
		trail(c, id, true, "x", "1")
	}
	id := c.open(true, get()...)
	for {
		switch f := c.read().(type) {
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			t.Fatalf("%v", f)
		case *http2.DataFrame:
			if f.StreamID == id {
				return
			}
		}
	}
}

// What is written after the handler has ended reaches nobody, and a body that was
// dropped does not look like its end.
func TestAfterTheHandler(t *testing.T) {
	var late http.ResponseWriter
	var body io.Reader
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) { late, body = w, r.Body })
	c := dial(t, s)
	id := c.open(false, post()...)
	c.fr.WriteData(id, true, []byte("hello"))
	c.answer(id)
	k := onlyConn(t, s)
	within(t, "its end", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.running == 0
	})
	if _, err := late.Write([]byte("x")); err == nil {
		t.Error("written")
	}
	if err := http.NewResponseController(late).Flush(); err == nil {
		t.Error("flushed")
	}
	late.WriteHeader(500)
	if n, err := body.Read(make([]byte, 9)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("read %d: %v", n, err)
	}
}

func TestContinue(t *testing.T) {
	s := newServer(t, taking)
	c := dial(t, s)
	id := c.open(false, post("expect", "100-continue")...)
	for {
		if f, ok := c.read().(*http2.MetaHeadersFrame); ok {
			if f.PseudoValue("status") != "100" {
				t.Fatalf("%v", f)
			}
			break
		}
	}
	c.fr.WriteData(id, true, []byte("hello"))
	if r := c.answer(id); r.status != "200" || !strings.Contains(string(r.body), "hello") {
		t.Errorf("%+v", r)
	}
}
