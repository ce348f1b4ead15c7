package drill

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deichproject/deich/drill/profile"
	"github.com/deichproject/deich/drill/scenarios"
)

// identified makes an identity and the server's side of it.
func identified(t *testing.T) (*identity, *tls.Config) {
	t.Helper()
	id, err := newIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(id.certificate, id.key)
	if err != nil {
		t.Fatal(err)
	}
	return id, &tls.Config{Certificates: []tls.Certificate{cert}}
}

// signing counts signatures: a server makes one once keys are exchanged.
type signing struct {
	crypto.Signer
	done *atomic.Int64
}

func (s signing) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	s.done.Add(1)
	return s.Signer.Sign(r, digest, o)
}

// The standard library's server takes what attackers say for a ClientHello, exchanges
// keys and signs, for those who leave at once as well.
func TestFloodOfClientHellos(t *testing.T) {
	needLoopback(t)
	for manner, ending := range map[string]string{"hello": "left", "shake": "TLS answer"} {
		t.Run(manner, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			var hellos, asked, signed, whole atomic.Int64
			_, config := identified(t)
			cert := &config.Certificates[0]
			cert.PrivateKey = signing{cert.PrivateKey.(crypto.Signer), &signed}
			config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				hellos.Add(1)
				if h.ServerName == site && h.SupportedVersions[0] == tls.VersionTLS13 {
					asked.Add(1)
				}
				return nil, nil
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			serving.Go(func() {
				for {
					nc, err := l.Accept()
					if errors.Is(err, net.ErrClosed) {
						return
					}
					if err != nil {
						continue
					}
					serving.Go(func() {
						defer nc.Close()
						if tls.Server(nc, config).Handshake() == nil {
							whole.Add(1)
						}
					})
				}
			})
			a := floodAt(t, l.Addr(), `{"name":"a","manner":"`+manner+`","sources":50,"rate":200}`, `,"shield":{"tls":true}`)
			time.Sleep(100 * time.Millisecond) // who left is still computed for
			l.Close()
			serving.Wait()
			if a.Planned < 170 || a.Planned > 201 || a.Sent < 170 || a.Endings[ending] < 170 || a.Reached != 0 {
				t.Errorf("planned %d, sent %d: %v", a.Planned, a.Sent, a.Endings)
			}
			if hellos.Load() < 170 || asked.Load() != hellos.Load() || signed.Load() < 170 || whole.Load() != 0 {
				t.Errorf("%d hellos, %d of TLS 1.3 for the site, %d signed, %d went on", hellos.Load(), asked.Load(), signed.Load(), whole.Load())
			}
		})
	}
}

func TestNoTwoGreetingsAreAlike(t *testing.T) {
	hello, err := clientHello()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	a, b := greeting([]byte("x"), hello, rng)[1:], greeting(nil, hello, rng)
	for name, at := range map[string]int{"random": helloRandom, "session": helloSession} {
		if bytes.Equal(a[at:at+helloField], b[at:at+helloField]) || bytes.Equal(a[at:at+helloField], hello[at:at+helloField]) {
			t.Errorf("the same %s twice", name)
		}
		for _, one := range [][]byte{a, b} {
			copy(one[at:], hello[at:at+helloField])
		}
	}
	if !bytes.Equal(a, hello) || !bytes.Equal(b, hello) {
		t.Error("something else differs")
	}
	for begin, want := range map[byte]string{22: "TLS answer", 21: "TLS alert", 'H': "not TLS"} {
		if got := greeted([]byte{begin, 3, 3}); got != want {
			t.Errorf("%d: %s, want %s", begin, got, want)
		}
	}
}

// securedUser visits a server over TLS that tells of each request whether its session was
// resumed, and how many connections were opened.
func securedUser(t *testing.T, kind scenarios.Kind, config *tls.Config, id *identity) (u *user, told func() (resumed []bool, opened int)) {
	t.Helper()
	var mu sync.Mutex
	var resumed []bool
	opened := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		resumed = append(resumed, r.TLS.DidResume)
		io.WriteString(w, "a page")
	}))
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if s == http.StateNew {
			opened++
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	u, _ = userAt(t, server, kind)
	u.client.secure(id.roots)
	return u, func() ([]bool, int) {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(resumed), opened
	}
}

func TestUsersOverTLS(t *testing.T) {
	id, config := identified(t)
	for kind, resumes := range map[scenarios.Kind]bool{scenarios.Browser: true, scenarios.Plain: true, scenarios.Program: false} {
		u, told := securedUser(t, kind, config.Clone(), id)
		for n := range 6 { // two over each connection
			if !u.want(t.Context(), page, "/") {
				t.Fatalf("%s: %+v", kind, u.tally.samples)
			}
			if n%2 == 1 {
				u.client.close()
			}
		}
		if got, opened := told(); opened != 3 || len(got) != 6 || got[0] || got[2] != resumes || got[4] != resumes {
			t.Errorf("%s: %d connections, resumed %v", kind, opened, got)
		}
	}
	other, _ := identified(t)
	u, _ := securedUser(t, scenarios.Browser, config.Clone(), other)
	var verification *tls.CertificateVerificationError
	if _, err := u.client.do(t.Context(), "GET", "/", acceptPage, ""); !errors.As(err, &verification) {
		t.Errorf("another authority's certificate: %v", err)
	}
}

func TestARefusedHandshakeIsADenial(t *testing.T) {
	id, config := identified(t)
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("no turn") }
	u, _ := securedUser(t, scenarios.Browser, config, id)
	s, _ := u.attempt(t.Context(), page, "/", 0)
	if s.end != failed || s.reason != "TLS refused" || !s.denied {
		t.Errorf("%+v", s)
	}
}

// Who comes anew has a connection for each page; others keep theirs.
func TestUsersWhoComeAnew(t *testing.T) {
	p, err := profile.Load()
	if err != nil {
		t.Fatal(err)
	}
	id, config := identified(t)
	for _, anew := range []bool{true, false} {
		u, told := securedUser(t, scenarios.Browser, config.Clone(), id)
		u.spec.Anew = anew
		u.walk = newSessions(p).walk(0, 50*time.Millisecond)
		u.asks = &asks{page: func(int) string { return "/" }, picture: func(int) string { return "" }}
		u.clock = newClock(0)
		u.leaves = 600 * time.Millisecond
		u.live(t.Context())
		if pages, opened := told(); len(pages) < 3 || anew && opened < len(pages) || !anew && opened != 1 {
			t.Errorf("anew %v: %d pages over %d connections", anew, len(pages), opened)
		}
	}
}
