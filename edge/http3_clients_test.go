package edge

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// installed gives where a program of Debian's is; without it the test is
// skipped, in CI it fails.
func installed(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not installed, and CI needs it: apt-get install %s", program, debian)
	}
	t.Skipf("left out: %s is not installed (Debian: apt-get install %s)", program, debian)
	return ""
}

// Another implementation of both QUIC and TLS: ngtcp2 with GnuTLS.
func TestHTTP3OtherClient(t *testing.T) {
	name := installed(t, "gtlsclient", "ngtcp2-client")
	told := make(chan facts, 4)
	s, _ := startQUIC(t, hello, telling(told))
	_, port := hostPort(s.Addrs()[0])
	seen := relayed(t, port)
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, "--quiet", "--exit-on-all-streams-close", "--no-quic-dump", "--download="+dir,
		relayHost, strconv.Itoa(port), fmt.Sprintf("https://a.test:%d/answer", port)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if body, err := os.ReadFile(filepath.Join(dir, "answer")); err != nil || string(body) != "hello" {
		t.Errorf("%q %v\n%s", body, err, out)
	}
	seen.says(t, <-told)
}

// A real browser is led from TCP to QUIC by Alt-Svc alone, and stays there.
func TestHTTP3Chromium(t *testing.T) {
	name := installed(t, "chromium", "chromium")
	if testing.Short() {
		t.Skip("left out: browsers take more than -short allows")
	}
	told, done := make(chan facts, 256), make(chan url.Values, 1)
	certFile, keyFile, _ := selfSigned(t, "a.test")
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, ledPage)
		case "/done":
			select {
			case done <- r.URL.Query():
			default:
			}
		}
	})
	s := startKeeping(t, Config{
		Listen: []string{"https://127.0.0.1:0"},
		Sites:  []Site{{Origins: []string{up}, Certificate: certFile, Key: keyFile}},
	}, t.TempDir(), telling(told))
	_, port := hostPort(s.Addrs()[0])
	seen := relayed(t, port)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
		"--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0", "--user-data-dir="+t.TempDir(),
		"--host-resolver-rules=MAP a.test "+relayHost+", MAP * ~NOTFOUND", "--ignore-certificate-errors-spki-list="+spkiOf(t, certFile),
		// Over QUIC it wants a public authority's certificate, but for a host that
		// stands here; the port is another, so that it is not forced to QUIC.
		"--origin-to-force-quic-on=a.test:1",
		fmt.Sprintf("https://a.test:%d/", port))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it then ends its helpers too
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ways url.Values
	select {
	case ways = <-done:
	case <-ctx.Done():
	}
	cancel()
	cmd.Wait()
	if ways == nil {
		t.Fatalf("the page's script never ended\n%s", &out)
	}
	if first, last := ways.Get("first"), ways.Get("last"); first != "h2" || last != "h3" {
		t.Fatalf("the page came by %q, the last request by %q\n%s", first, last, &out)
	}
	t.Logf("requests until one came by h3: %s", ways.Get("asked"))
	seen.says(t, <-told)
}

// ledPage asks the site until an answer came by HTTP/3, and tells it how.
const ledPage = `<!doctype html><title>led</title><script type="module">
const how = url => performance.getEntriesByName(url)[0]?.nextHopProtocol
const first = performance.getEntriesByType("navigation")[0].nextHopProtocol
let last = "", asked = 0
while (last != "h3" && asked < 50) {
  const r = await fetch("/try?" + ++asked, {cache: "no-store"})
  await r.text()
  await new Promise(go => setTimeout(go, 100))
  last = how(r.url)
}
await fetch("/done?" + new URLSearchParams({first, last, asked}))
</script>`

// spkiOf gives the digest of a certificate's public key as Chromium wants it.
func spkiOf(t *testing.T, certFile string) string {
	t.Helper()
	text, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// relayHost is where relays stand: every address of 127.0.0.0/8 is this
// machine, so that a relay has the server's own ports.
const relayHost = "127.0.0.2"

// relay stands before a server on TCP and UDP, and keeps what each client's
// first datagrams were.
type relay struct {
	mu     sync.Mutex
	firsts map[string][][]byte
}

func relayed(t *testing.T, port int) *relay {
	t.Helper()
	at, to := net.JoinHostPort(relayHost, strconv.Itoa(port)), net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	recordAt(t, at, to)
	udp, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{firsts: make(map[string][][]byte)}
	var running sync.WaitGroup
	t.Cleanup(func() { udp.Close(); running.Wait() })
	running.Go(func() {
		ways := make(map[string]net.Conn)
		defer func() {
			for _, way := range ways {
				way.Close()
			}
		}()
		for buf := make([]byte, 1<<16); ; {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			way := ways[from.String()]
			if way == nil {
				if way, err = net.Dial("udp", to); err != nil {
					t.Error(err)
					return
				}
				ways[from.String()] = way
				running.Go(func() {
					for buf := make([]byte, 1<<16); ; {
						n, err := way.Read(buf)
						if err != nil {
							return
						}
						udp.WriteTo(buf[:n], from)
					}
				})
			}
			r.keep(from.String(), buf[:n])
			way.Write(buf[:n])
		}
	})
	return r
}

// keep keeps as many datagrams as a ClientHello may fill.
func (r *relay) keep(from string, datagram []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.firsts[from]) < 8 {
		r.firsts[from] = append(r.firsts[from], slices.Clone(datagram))
	}
}

// says holds what the server was told of a client against what that sent.
func (r *relay) says(t *testing.T, f facts) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var want []string
	for _, datagrams := range r.firsts {
		hello := helloOfDatagrams(t, datagrams)
		want = append(want, "q"+ja4OfBytes(t, append(make([]byte, 5), hello...))[1:])
	}
	if !f.validated || !strings.HasPrefix(f.fingerprint, "q13d") || !slices.Contains(want, f.fingerprint) {
		t.Errorf("told of %+v; the bytes say %q", f, want)
	} else {
		t.Log(f.fingerprint)
	}
}

// helloOfDatagrams gives the ClientHello in the first datagrams of a QUIC
// client, whose keys everyone can make from its first packet (RFC 9001, 5.2).
func helloOfDatagrams(t *testing.T, datagrams [][]byte) []byte {
	t.Helper()
	var keys *initialKeys
	var hello []byte
	have := 0
	for _, packet := range datagrams {
		for len(packet) > 0 && packet[0]&0xf0 == 0xc0 { // a long header, of type Initial
			var destination, source, token cryptobyte.String
			var version uint32
			in := cryptobyte.String(packet[1:])
			if !in.ReadUint32(&version) || version != 1 || !in.ReadUint8LengthPrefixed(&destination) || !in.ReadUint8LengthPrefixed(&source) ||
				!in.ReadBytes((*[]byte)(&token), int(varint(&in))) {
				t.Fatalf("no Initial of version 1: % x", packet[:16])
			}
			if keys == nil {
				keys = newInitialKeys(t, destination)
			}
			length := int(varint(&in))
			end := len(packet) - len(in) + length
			for frames := cryptobyte.String(keys.open(t, packet[:end], end-length)); len(frames) > 0; {
				switch kind := varint(&frames); kind {
				case 0, 1: // PADDING, PING
				case 2: // ACK
					varint(&frames)
					varint(&frames)
					ranges := varint(&frames)
					for range 1 + 2*ranges {
						varint(&frames)
					}
				case 6: // CRYPTO, in any order
					at, n := int(varint(&frames)), int(varint(&frames))
					if at+n > len(hello) {
						hello = append(hello, make([]byte, at+n-len(hello))...)
					}
					have += copy(hello[at:at+n], frames)
					frames = frames[n:]
				default:
					t.Fatalf("a frame of type %d in an Initial", kind)
				}
			}
			packet = packet[end:]
			if len(hello) >= 4 && have >= 4+(int(hello[1])<<16|int(hello[2])<<8|int(hello[3])) {
				return hello
			}
		}
	}
	t.Fatalf("%d bytes of a ClientHello in %d datagrams", have, len(datagrams))
	return nil
}

// varint reads an integer (RFC 9000, 16); 0 where there is none.
func varint(in *cryptobyte.String) uint64 {
	var first uint8
	if !in.ReadUint8(&first) {
		return 0
	}
	v := uint64(first & 0x3f)
	for range 1<<(first>>6) - 1 {
		var next uint8
		in.ReadUint8(&next)
		v = v<<8 | uint64(next)
	}
	return v
}

type initialKeys struct {
	seal   cipher.AEAD
	header cipher.Block
	iv     []byte
}

func newInitialKeys(t *testing.T, destination []byte) *initialKeys {
	t.Helper()
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	expand := func(secret []byte, label string, n int) []byte {
		label = "tls13 " + label
		info := append([]byte{0, byte(n), byte(len(label))}, label...)
		return must(hkdf.Expand(sha256.New, secret, string(append(info, 0)), n))
	}
	salt := []byte("\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a")
	secret := expand(must(hkdf.Extract(sha256.New, destination, salt)), "client in", 32)
	block, err := aes.NewCipher(expand(secret, "quic key", 16))
	if err != nil {
		t.Fatal(err)
	}
	k := &initialKeys{iv: expand(secret, "quic iv", 12)}
	if k.seal, err = cipher.NewGCM(block); err != nil {
		t.Fatal(err)
	}
	if k.header, err = aes.NewCipher(expand(secret, "quic hp", 16)); err != nil {
		t.Fatal(err)
	}
	return k
}

// open takes the protection off a packet whose number begins at (RFC 9001, 5.3
// and 5.4), and gives its frames.
func (k *initialKeys) open(t *testing.T, packet []byte, at int) []byte {
	t.Helper()
	packet = slices.Clone(packet)
	var mask [16]byte
	k.header.Encrypt(mask[:], packet[at+4:at+20])
	packet[0] ^= mask[0] & 0x0f
	n := int(packet[0]&3) + 1
	var number [8]byte
	for i := range n {
		packet[at+i] ^= mask[1+i]
		number[8-n+i] = packet[at+i]
	}
	nonce := slices.Clone(k.iv)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^binary.BigEndian.Uint64(number[:]))
	frames, err := k.seal.Open(nil, nonce, packet[at+n:], packet[:at+n])
	if err != nil {
		t.Fatal(err)
	}
	return frames
}
