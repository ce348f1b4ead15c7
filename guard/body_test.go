package guard

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deichproject/deich"
)

// echo answers with what it got of the body and how it was framed.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%d %d %v", r.ContentLength, len(b), err)
}

func TestBodiesAreInHandBeforeAPlace(t *testing.T) {
	const buffer = 16 << 10
	for _, c := range []struct {
		name     string
		body     string
		chunked  bool
		answer   string
		detached bool
	}{
		{"none", "", false, "0 0 <nil>", false},
		{"short", "hello", false, "5 5 <nil>", false},
		{"short, its length unknown", "hello", true, "5 5 <nil>", false},
		{"as long as the buffer", strings.Repeat("x", buffer), false, "16384 16384 <nil>", false},
		{"longer", strings.Repeat("x", 100_000), false, "100000 100000 <nil>", true},
		{"longer, its length unknown", strings.Repeat("x", 100_000), true, "-1 100000 <nil>", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			h := scripted(t, s, echo, func(o *Options) { o.Config.BodyBuffer = buffer })
			server := httptest.NewServer(h)
			defer server.Close()
			var body io.Reader = strings.NewReader(c.body)
			if c.chunked {
				body = io.MultiReader(body)
			}
			if c.body == "" {
				body = nil
			}
			r, _ := http.NewRequest("POST", server.URL, body)
			a, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(a.Body)
			a.Body.Close()
			if string(got) != c.answer {
				t.Errorf("origin got %q, want %q", got, c.answer)
			}
			server.Close() // every handler has returned
			if (s.detaches() == 1) != c.detached {
				t.Errorf("%d detached, want %t", s.detaches(), c.detached)
			}
			if held := h.bodies.held.Load(); held != 0 {
				t.Errorf("%d bytes still held", held)
			}
			s.check(t)
		})
	}
}

func TestBodyComesTwiceForARetry(t *testing.T) {
	s := newScript()
	h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
		first, _ := io.ReadAll(r.Body)
		again, err := r.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		second, _ := io.ReadAll(again)
		fmt.Fprintf(w, "%s %s", first, second)
	})
	a := ask(h, httptest.NewRequest("POST", "/", strings.NewReader("hello")))
	if got, _ := io.ReadAll(a.Body); string(got) != "hello hello" {
		t.Errorf("got %q", got)
	}
}

func TestTrailersSurviveTheBuffer(t *testing.T) {
	s := newScript()
	h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %s", r.ContentLength, r.Trailer.Get("Sum"))
	})
	server := httptest.NewServer(h)
	defer server.Close()
	conn := dial(t, server)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n5\r\nhello\r\n0\r\nSum: 42\r\n\r\n")
	if _, body := readAnswer(t, conn); body != "-1 42" {
		t.Errorf("origin got %q", body)
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  Config
		body    string
		tier    deich.Tier
		status  int
		reason  string
		reached bool
	}{
		{"too long", Config{BodyMax: 100}, strings.Repeat("x", 101), deich.Member, 413, "body_too_large", false},
		{"just not", Config{BodyMax: 100}, strings.Repeat("x", 100), deich.Member, 200, "", true},
		{"a stranger, half of the room", Config{BodyBuffer: 8192, Bodies: 8192}, strings.Repeat("x", 8000), deich.Stranger, 503, "buffers_full", false},
		{"a member, all of the room", Config{BodyBuffer: 8192, Bodies: 8192}, strings.Repeat("x", 8000), deich.Member, 200, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			s.verdict = refusing(deich.Verdict{Tier: c.tier})
			reached := false
			h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) { reached = true; io.Copy(io.Discard, r.Body) },
				func(o *Options) { o.Config = c.config })
			a := ask(h, httptest.NewRequest("POST", "/", strings.NewReader(c.body)))
			if a.StatusCode != c.status || a.Header.Get("Deich-Reason") != c.reason || reached != c.reached {
				t.Errorf("status %d, reason %q, reached %t", a.StatusCode, a.Header.Get("Deich-Reason"), reached)
			}
			if held := h.bodies.held.Load(); held != 0 {
				t.Errorf("%d bytes still held", held)
			}
			s.check(t)
		})
	}
}

// pipe is a server and one connection to it inside a synctest bubble.
func pipe(t *testing.T, h http.Handler) (client net.Conn, stop func()) {
	t.Helper()
	client, conn := net.Pipe()
	server := &http.Server{Handler: h}
	l := &oneListener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	return client, func() {
		client.Close()
		server.Close()
		<-done
	}
}

type oneListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneListener) Close() error   { close(l.closed); return nil }
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

func TestSlowBodies(t *testing.T) {
	for _, c := range []struct {
		name   string
		every  time.Duration
		piece  int
		pieces int
		status int
		within time.Duration
	}{
		{"a byte a second", time.Second, 1, 4_000, 408, 13 * time.Second},
		{"just slower than allowed", time.Second, 450, 200, 408, 130 * time.Second},
		{"just fast enough", time.Second, 520, 100, 200, 110 * time.Second},
		{"quick, then silent", 30 * time.Second, 20_000, 2, 408, 13 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript()
				h := scripted(t, s, echo)
				conn, stop := pipe(t, h)
				begun := time.Now()
				var writing sync.WaitGroup
				writing.Go(func() {
					fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", c.piece*c.pieces)
					for range c.pieces {
						if _, err := io.WriteString(conn, strings.Repeat("x", c.piece)); err != nil {
							return
						}
						time.Sleep(c.every) // virtual: this is the client's own slowness
					}
				})
				a, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				if a.StatusCode != c.status {
					t.Errorf("status %d, want %d", a.StatusCode, c.status)
				}
				if took := time.Since(begun); took > c.within {
					t.Errorf("after %v, want at most %v", took, c.within)
				}
				if c.status == 408 && len(s.outcomes) != 0 {
					t.Error("a slow body reached the origin")
				}
				stop()
				writing.Wait()
				synctest.Wait()
				s.check(t)
			})
		})
	}
}

// A stream takes no place among the quick ones, and its body has to come like others'. One
// whose length is announced comes before it, of others it may want the beginning.
func TestBodiesOfStreams(t *testing.T) {
	const buffer = 16 << 10
	for _, c := range []struct {
		name    string
		request string
		status  int
		answer  string // what the origin got
	}{
		{"a byte that never comes", "GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", 408, ""},
		{"short", "POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 200, "5 5 <nil>"},
		{"long", "POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20_000), 200, "20000 20000 <nil>"},
		{"its length unknown", "POST /live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, "-1 5 <nil>"},
		{"its length unknown, silent", "POST /live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 200, "-1 5 " + errBodySlow.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript()
				h := scripted(t, s, echo, func(o *Options) { o.Config = Config{Streams: []string{"/live"}, BodyBuffer: buffer} })
				conn, stop := pipe(t, h)
				begun := time.Now()
				var writing sync.WaitGroup
				writing.Go(func() { io.WriteString(conn, c.request) })
				a, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(a.Body)
				if a.StatusCode != c.status || c.answer != "" && string(got) != c.answer {
					t.Errorf("%d %q, want %d %q", a.StatusCode, got, c.status, c.answer)
				}
				if took := time.Since(begun); took > bodyGrace+time.Second {
					t.Errorf("after %v", took)
				}
				stop()
				writing.Wait()
				synctest.Wait()
				var want []deich.Kind
				if c.answer != "" {
					want = []deich.Kind{deich.Stream}
				}
				if !slices.Equal(s.entered, want) {
					t.Errorf("places were asked for %v, want %v", s.entered, want)
				}
				if held := h.bodies.held.Load(); held != 0 {
					t.Errorf("%d bytes still held", held)
				}
				s.check(t)
			})
		})
	}
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

func readAnswer(t *testing.T, conn net.Conn) (*http.Response, string) {
	t.Helper()
	a, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a, string(b)
}

func TestTextIsGivenBack(t *testing.T) {
	below := deich.Verdict{Act: deich.Wait, Reason: deich.BelowCut, Tier: deich.Visitor, RetryAfter: 2 * time.Second}
	form := "csrf=123&message=Dear+all%2C%0Athis+is+mine.&password=hunter2&title=Hello"
	for _, c := range []struct {
		name    string
		verdict deich.Verdict
		turned  bool // at the place, with the body in hand
		pass    bool
		kind    string
		form    string
		given   bool
	}{
		{"to the holder of a pass", below, false, true, "application/x-www-form-urlencoded", form, true},
		{"with the body in hand", below, true, true, "application/x-www-form-urlencoded; charset=utf-8", form, true},
		{"not to a stranger", below, false, false, "application/x-www-form-urlencoded", form, false},
		{"not of other types", below, false, true, "text/plain", form, false},
		{"not if it is long", below, false, true, "application/x-www-form-urlencoded", "m=" + strings.Repeat("x", textBackMax), false},
		{"not to the denied", deich.Verdict{Act: deich.Deny, Reason: deich.ByHand}, false, true, "application/x-www-form-urlencoded", form, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			if s.verdict = refusing(c.verdict); c.turned {
				s.verdict, s.turnAway = refusing(deich.Verdict{Tier: deich.Visitor}), deich.QueueFull
			}
			h := scripted(t, s, hello)
			server := httptest.NewServer(h)
			defer server.Close()
			r, _ := http.NewRequest("POST", server.URL+"/messages", strings.NewReader(c.form))
			r.Header.Set("Accept", html)
			r.Header.Set("Content-Type", c.kind)
			if c.pass {
				r.Header.Set("Cookie", "deich="+h.keys.ring.Load().writePass(freshPass(h.now(), deich.Served), r.Host, h.now()))
			}
			a, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Body.Close()
			b, _ := io.ReadAll(a.Body)
			body := string(b)
			if a.StatusCode < 400 {
				t.Errorf("status %d", a.StatusCode)
			}
			if got := strings.Contains(body, "this is mine.") && strings.Contains(body, "Hello"); got != c.given {
				t.Errorf("given back: %t, want %t", got, c.given)
			}
			if strings.Contains(body, "hunter2") || strings.Contains(body, ">123") {
				t.Error("a secret stands on the page")
			}
		})
	}
}

// What a person sent and the platform has not seen, the browser sends again:
// by itself only where a page of this site had sent it.
func TestUnsentIsSentAgain(t *testing.T) {
	below := deich.Verdict{Act: deich.Wait, Reason: deich.BelowCut, RetryAfter: 2 * time.Second}
	asked := deich.Verdict{Act: deich.Challenge, Reason: deich.Unproven, Bits: 13, Place: 7, RetryAfter: 2 * time.Second}
	const form, parts = "application/x-www-form-urlencoded", "multipart/form-data; boundary=xx"
	own := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "document", "Sec-Fetch-Mode", "navigate"}
	for _, c := range []struct {
		name    string
		verdict deich.Verdict
		pass    bool
		kind    string
		bytes   int
		header  []string
		page    string // its class; "": none
		bits    string
	}{
		{"a form", below, false, form, 100, own, "resend", "12"},
		{"of the holder of a pass", below, true, form, 100, own, "resend", "0"},
		{"in parts", below, false, parts, 100, own, "resend", "12"},
		{"a large one", below, false, parts, 2 << 20, own, "resend", "12"},
		{"a large one that a script sends", below, false, parts, 2 << 20, []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "empty"}, "", ""},
		{"in answer to a challenge", asked, false, form, 100, own, "resend", "13"},
		{"an older browser's", below, false, form, 100, []string{"Origin", "http://example.com"}, "resend", "12"},
		{"another site's, by an older browser", below, false, form, 100, []string{"Origin", "http://example.org"}, "unsent", ""},
		{"another site's", below, false, form, 100, []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://example.com"}, "unsent", ""},
		{"nobody knows whose", below, false, form, 100, nil, "unsent", ""},
		{"not of the denied", deich.Verdict{Act: deich.Deny, Reason: deich.ByHand}, false, form, 100, own, "refusal", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			s.verdict = refusing(c.verdict)
			h := scripted(t, s, func(http.ResponseWriter, *http.Request) { t.Error("reached the origin") })
			r := httptest.NewRequest("POST", "/messages", strings.NewReader(strings.Repeat("x", c.bytes)))
			r.Header.Set("Accept", html)
			r.Header.Set("Content-Type", c.kind)
			for i := 0; i < len(c.header); i += 2 {
				r.Header.Set(c.header[i], c.header[i+1])
			}
			if c.pass {
				r.Header.Set("Cookie", "deich="+h.keys.ring.Load().writePass(freshPass(h.now(), deich.Served), r.Host, h.now()))
			}
			a := ask(h, r)
			b, _ := io.ReadAll(a.Body)
			body := string(b)
			if c.page == "" {
				if strings.Contains(body, "<html") {
					t.Errorf("a page: %s", body)
				}
				return
			}
			if !strings.Contains(body, `<body class="`+c.page+`">`) {
				t.Errorf("not the page %s: %s", c.page, body)
			}
			if strings.Contains(body, "http-equiv") {
				t.Error("it comes again by itself, without what was sent")
			}
			if got := strings.Contains(body, "<script"); got != (c.page == "resend") {
				t.Errorf("a script: %t", got)
			}
			if c.bits != "" && !strings.Contains(body, `data-bits="`+c.bits+`"`) {
				t.Errorf("not %s bits: %s", c.bits, body)
			}
		})
	}
}

func TestPartsAreGivenBack(t *testing.T) {
	const form = "--xx\r\nContent-Disposition: form-data; name=\"wpTextbox1\"\r\n\r\nDear all,\r\nthis is mine.\r\n" +
		"--xx\r\nContent-Disposition: form-data; name=\"wpEditToken\"\r\n\r\n123\r\n" +
		"--xx\r\nContent-Disposition: form-data; name=\"wpUploadFile\"; filename=\"a.txt\"\r\n\r\nof a file\r\n" +
		"--xx\r\nContent-Disposition: form-data; name=\"wpSummary\"\r\n\r\nHello\r\n--xx--\r\n"
	if got, want := partsText([]byte(form), "xx"), "Dear all,\r\nthis is mine.\n\nHello"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := partsText([]byte(form[:60]+"x"), "xx"), ""; got != want {
		t.Errorf("of a part of a form: %q", got)
	}
	if got := partsText([]byte(form), ""); got != "" {
		t.Errorf("without a boundary: %q", got)
	}
}

func FuzzPartsText(f *testing.F) {
	f.Add([]byte("--xx\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--xx--"), "xx")
	f.Add([]byte("--x--"), "x")
	f.Fuzz(func(t *testing.T, form []byte, boundary string) {
		if got := partsText(form, boundary); len(got) > 3*len(form) {
			t.Fatalf("%d bytes became %d", len(form), len(got))
		}
	})
}

func FuzzFormText(f *testing.F) {
	f.Add("a=b&c=d+e")
	f.Add("password=x&m=%00%ff")
	f.Add("&&==&%zz=1")
	f.Fuzz(func(t *testing.T, form string) {
		if got := formText(form); len(got) > 3*len(form) {
			t.Fatalf("%d bytes became %d", len(form), len(got))
		}
	})
}
