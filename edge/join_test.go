package edge

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
)

// joined gives what joins the writes to a connection, without TLS between them,
// and the client's end.
func joined(t testing.TB) (*joint, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	set := newConns(Limits{}.defaults(), func() deich.Time { return deich.Time(time.Now().UnixNano()) }, false)
	c := newConn(near.(*net.TCPConn), set, near.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(), false)
	set.add(c)
	t.Cleanup(c.abort)
	far.SetDeadline(time.Now().Add(patience))
	return &joint{conn: c, to: c}, far.(*net.TCPConn)
}

// overH2 runs a server with TLS in front of a platform, and gives a client of it.
func overH2(t testing.TB, up string) *http.Client {
	t.Helper()
	file, key := certifyFiles(t, t.TempDir(), "a.example")
	s := startUncached(t, Config{Listen: []string{"https://127.0.0.1:0"},
		Sites: []Site{{Names: []string{"a.example"}, Origins: []string{up}, Certificate: file, Key: key}}})
	return secured(t, s, true, file)
}

// TestJoinedWritesKeepTheirOrder writes pieces of all lengths, with pauses and
// without, and closes behind the last one as TLS does: all of it arrives.
func TestJoinedWritesKeepTheirOrder(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		j, far := joined(t)
		var sent bytes.Buffer
		got := make(chan []byte)
		go func() {
			all, err := io.ReadAll(far)
			if err != nil {
				t.Error(err)
			}
			got <- all
		}()
		for range 200 {
			p := make([]byte, 1+r.IntN(40))
			switch r.IntN(10) {
			case 0:
				p = make([]byte, joinBytes-20+r.IntN(40))
			case 1, 2, 3:
				p = make([]byte, r.IntN(4096))
			}
			for i := range p {
				p[i] = byte(r.Uint32())
			}
			sent.Write(p)
			if n, err := j.Write(p); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
			if r.IntN(20) == 0 {
				time.Sleep(time.Duration(r.IntN(int(time.Millisecond))))
			}
		}
		if seed%3 == 1 {
			runtime.Gosched()
		}
		j.writeLast()
		if seed%3 == 0 { // as tls.Conn.Close
			j.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(j.conn, "bye")
			sent.WriteString("bye")
			j.conn.SetWriteDeadline(time.Now())
		}
		if err := j.conn.Close(); err != nil {
			t.Fatal(err)
		}
		if all := <-got; !bytes.Equal(all, sent.Bytes()) {
			t.Fatalf("seed %d: %d bytes arrived of %d, or others", seed, len(all), sent.Len())
		}
	}
}

// TestHeldIsWrittenThoughNothingFollows: what is held waits for nobody.
func TestHeldIsWrittenThoughNothingFollows(t *testing.T) {
	j, far := joined(t)
	for range 100 {
		if _, err := io.WriteString(j, "alone"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(far, got); err != nil || string(got) != "alone" {
			t.Fatalf("%q %v", got, err)
		}
	}
}

// blocked fills the connection by pieces of a size until a write is under way.
// ended is closed when it has ended.
func blocked(t *testing.T, j *joint, far *net.TCPConn, size int) (ended chan struct{}) {
	t.Helper()
	far.SetReadBuffer(4 << 10)
	c := j.conn
	c.tcp.SetWriteBuffer(4 << 10)
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		p := make([]byte, size)
		for {
			if _, err := j.Write(p); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		c.abort()
		<-ended
	})
	last := -1
	within(t, "the connection is full", func() bool {
		now := unsent(c.tcp)
		same := now > 0 && now == last
		last = now
		time.Sleep(20 * time.Millisecond)
		if !same || !j.mu.TryLock() {
			return same
		}
		j.mu.Unlock()
		return false
	})
	return ended
}

// TestCloseEndsAWriteUnderWay: a client that takes nothing does not hold up
// the end, whether it comes from here or with a deadline.
func TestCloseEndsAWriteUnderWay(t *testing.T) {
	for name, end := range map[string]func(*conn){
		"close":    func(c *conn) { c.Close() }, // as tls.Conn.Close beside a write
		"abort":    func(c *conn) { c.abort() },
		"deadline": func(c *conn) { c.SetWriteDeadline(time.Now()) },
	} {
		for what, size := range map[string]int{"held": joinLong / 2, "at once": joinBytes / 2} {
			t.Run(name+" "+what, func(t *testing.T) {
				j, far := joined(t)
				ended := blocked(t, j, far, size)
				begun := time.Now()
				j.writeLast()
				end(j.conn)
				select {
				case <-ended:
				case <-time.After(patience):
					t.Fatal("the write goes on")
				}
				if took := time.Since(begun); took > writeWindow/2 {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}

// TestFailureOfAHeldWriteIsTold to the next write, and to who reads.
func TestFailureOfAHeldWriteIsTold(t *testing.T) {
	j, far := joined(t)
	c := j.conn
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	c.tcp.SetWriteDeadline(time.Now()) // as at the end of a window in which the client took nothing
	c.window = time.Now().Add(time.Hour)
	c.acked = 1 << 40
	if n, err := io.WriteString(j, "held"); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	select {
	case err := <-read:
		if err != io.EOF {
			t.Errorf("the reader was told %v", err)
		}
	case <-time.After(patience):
		t.Error("the reader was told nothing")
	}
	if _, err := io.WriteString(j, "more"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the writer was told %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if c.set.size() != 0 {
		t.Error("the connection is still counted")
	}
	if all, err := io.ReadAll(far); err != nil || len(all) != 0 {
		t.Errorf("%q %v", all, err)
	}
}

// TestJudgedGetsNothingOfWhatIsHeld: the judgement came before it was written.
func TestJudgedGetsNothingOfWhatIsHeld(t *testing.T) {
	j, far := joined(t)
	c := j.conn
	j.mu.Lock() // the goroutine that writes has not come round
	j.held = joinPool.Get().(*[]byte)
	*j.held = append(*j.held, "held"...)
	j.mu.Unlock()
	c.judge()
	j.writeSoon()
	if _, err := io.WriteString(j, "more"); !errors.Is(err, errJudged) {
		t.Error(err)
	}
	c.abort()
	if all, _ := io.ReadAll(far); len(all) != 0 {
		t.Errorf("%q", all)
	}
}

// TestEventsOverHTTP2AreHandedOnAtOnce: the header before the first event, and
// each event before the next.
func TestEventsOverHTTP2AreHandedOnAtOnce(t *testing.T) {
	next := make(chan struct{})
	o := play(t, func(c *playedConn) {
		if c.request() == nil {
			return
		}
		c.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		for i := range 100 {
			<-next // told by the client that it has all so far
			c.say(chunk(fmt.Sprintf("data: %d\n\n", i)))
		}
	})
	resp, err := overH2(t, o.url()).Get("https://a.example/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	for i := range 100 {
		next <- struct{}{}
		line, err := br.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); line != want {
			t.Fatalf("%q %v, want %q", line, err, want)
		}
		br.ReadString('\n')
	}
}

// TestEarlyHintsOverHTTP2ComeFirst: the client has them while the platform
// still thinks.
func TestEarlyHintsOverHTTP2ComeFirst(t *testing.T) {
	hinted := make(chan struct{})
	o := play(t, func(c *playedConn) {
		if c.request() == nil {
			return
		}
		c.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
		<-hinted
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code != http.StatusEarlyHints || h.Get("Link") != "</a.css>" {
			t.Error(code, h)
		}
		close(hinted)
		return nil
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "https://a.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := overH2(t, o.url()).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "ok" {
		t.Fatalf("%q %v", body, err)
	}
}

// TestBodiesOverHTTP2Together: answers of all lengths over one connection at
// once, each whole and unmixed.
func TestBodiesOverHTTP2Together(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		if n%2 == 0 {
			w.Header().Set("Content-Length", fmt.Sprint(n))
		}
		w.Write(bytes.Repeat([]byte{byte(n)}, n))
	})
	c := overH2(t, up)
	var all sync.WaitGroup
	for _, n := range []int{0, 1, 1000, 4095, 4096, 16383, 16385, 20001, 65536, 1<<20 + 1} {
		for range 2 {
			all.Go(func() {
				resp, err := c.Get(fmt.Sprintf("https://a.example/%d", n))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || len(body) != n || slices.ContainsFunc(body, func(b byte) bool { return b != byte(n) }) {
					t.Errorf("%d: %d bytes, %v", n, len(body), err)
				}
			})
		}
	}
	all.Wait()
}

// TestShutdownWritesWhatIsHeld: an answer that was given is received, although
// the server ends behind it.
func TestShutdownWritesWhatIsHeld(t *testing.T) {
	file, key := certifyFiles(t, t.TempDir(), "a.example")
	asked := make(chan struct{})
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		io.WriteString(w, "last words")
	})
	s := startWith(t, Config{Listen: []string{"https://127.0.0.1:0"},
		Sites: []Site{{Names: []string{"a.example"}, Origins: []string{up}, Certificate: file, Key: key}}}, guard.Config{})
	c := secured(t, s, true, file)
	ended := make(chan error)
	go func() {
		<-asked
		ended <- s.Shutdown(t.Context())
	}()
	if _, body := get(t, c, "https://a.example/"); body != "last words" {
		t.Errorf("%q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
