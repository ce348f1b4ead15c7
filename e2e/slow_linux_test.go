package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// slowConnections are the attacker's, slowShed how long any of them may last.
	slowConnections = 800
	slowShed        = 15 * time.Second
	// phones are honest clients beside them, at phoneRate bytes a second.
	phones    = 8
	phoneRate = 2 << 10
)

// elsewhere is where honest clients come from: who sends hundreds of headers that never end is
// refused as a whole in time, where nobody has proven anything.
var elsewhere = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}

// phone is a connection from far away, by a thin line.
type phone struct{ net.Conn }

func dialPhone(ctx context.Context, _, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: elsewhere, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1460)
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10)
		})
	}}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &phone{nc}, nil
}

func (p *phone) Read(b []byte) (int, error) {
	time.Sleep(time.Second / 10)
	return p.Conn.Read(b[:min(len(b), phoneRate/10)])
}

func (p *phone) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		var m int
		m, err = p.Conn.Write(b[:min(len(b), phoneRate/10)])
		time.Sleep(time.Second / 10)
		n, b = n+m, b[m:]
	}
	return n, err
}

// slowhttptest opens slow connections by the hundred. All are shed in time, honest
// clients that are slow keep theirs, and the site answers throughout.
func TestSlowHTTPTest(t *testing.T) {
	need(t, "slowhttptest", "slowhttptest")
	const page = 40 * phoneRate
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
			return
		}
		w.Write(bytes.Repeat([]byte{'.'}, page))
	}))
	t.Cleanup(origin.Close)
	for name, args := range map[string]string{
		"headers": "-H -i 10", "body": "-B -i 10 -s 8192", "read": "-X -w 10 -y 20 -n 5 -z 32 -k 3",
	} {
		t.Run(name, func(t *testing.T) {
			p := build(t).protect(t, t.TempDir(), origin.URL)
			console := visitor(t) // one client: the console has few connections
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			slow := exec.CommandContext(ctx, "slowhttptest", append(strings.Fields(args),
				"-c", strconv.Itoa(slowConnections), "-r", "200", "-l", "40", "-p", "5", "-u", p.users+"/")...)
			slow.Dir = filepath.Clean(t.TempDir())
			if err := slow.Start(); err != nil {
				t.Fatal(err)
			}
			var honest sync.WaitGroup
			for n := range phones {
				honest.Go(func() {
					tr := &http.Transport{DialContext: dialPhone}
					defer tr.CloseIdleConnections()
					client := &http.Client{Transport: tr}
					r, err := client.Get(p.users + "/")
					want := page
					if n%2 == 0 {
						r, err = client.Post(p.users+"/", "text/plain", bytes.NewReader(make([]byte, page/2)))
						want = len(strconv.Itoa(page / 2))
					}
					if err != nil {
						t.Errorf("an honest slow client: %v", err)
						return
					}
					defer r.Body.Close()
					if b, err := io.ReadAll(r.Body); err != nil || len(b) != want || r.StatusCode != http.StatusOK {
						t.Errorf("an honest slow client: %s, %d of %d bytes, %v", r.Status, len(b), want, err)
					}
				})
			}
			away := net.Dialer{LocalAddr: elsewhere}
			fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: away.DialContext}, Timeout: 5 * time.Second}
			most, risen, shed, longest := 0, time.Now(), time.Duration(0), time.Duration(0)
			for begun := time.Now(); time.Since(begun) < 35*time.Second; time.Sleep(200 * time.Millisecond) {
				asked := time.Now()
				if r, err := fresh.Get(p.users + "/"); err != nil || r.StatusCode != http.StatusOK {
					t.Errorf("the site does not answer: %v %v", r, err)
				} else {
					io.Copy(io.Discard, r.Body)
					r.Body.Close()
				}
				longest = max(longest, time.Since(asked))
				n := int(p.metricBy(t, console, "deich_connections"))
				if n > most {
					most, risen = n, time.Now()
				}
				if most > slowConnections/4 && n <= phones+2 && shed == 0 {
					shed = time.Since(risen)
				}
			}
			slow.Process.Kill()
			slow.Wait()
			honest.Wait()
			t.Logf("%d open at most; all shed %v after the last was opened; the slowest answer meanwhile took %v", most, shed.Round(time.Second/10), longest)
			if shed == 0 || shed > slowShed {
				t.Errorf("%d open at most, shed after %v", most, shed)
			}
			p.stop(t)
		})
	}
}
