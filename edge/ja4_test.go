package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

func codes(t *testing.T, list string) (all []uint16) {
	t.Helper()
	for _, code := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		v, err := strconv.ParseUint(code, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, uint16(v))
	}
	return all
}

// The first and the fourth are the specification's own, the second is from its
// authors' captures, the rest from what others published of known browsers.
func TestJA4Published(t *testing.T) {
	const grease = "0a0a,fafa,"
	for name, c := range map[string]struct {
		transport                       byte
		ciphers, extensions, signatures string
		versions                        string
		protocols                       []string
		want                            string
	}{
		"specification": {'t', "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035",
			"001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015",
			"0403,0804,0401,0503,0805,0501,0806,0601", "0304,0303", []string{"h2", "http/1.1"},
			"t13d1516h2_8daaf6152771_e5627efa2ab1"},
		"chrome over QUIC": {'q', "1301,1302,1303", "0000,0010,000a,000d,001b,002b,002d,0033,0039,4469",
			"0403,0804,0401,0503,0805,0501,0806,0601,0201", "0304", []string{"h3"},
			"q13d0310h3_55b375c5d22e_cd85d2d88918"},
		"resumed over QUIC": {'q', "1301,1302,1303", "0000,0010,000a,000d,0029,002a,002b,002d,0033,0039",
			"0403,0804,0401,0503,0805,0501,0201,0807,0808", "0304", []string{"h3"},
			"q13d0310h3_55b375c5d22e_43a52939c45c"},
		"no signature algorithms": {'t', "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035",
			"001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015",
			"", "0304,0303", []string{"h2", "http/1.1"}, "t13d1516h2_8daaf6152771_6d807ffa2a79"},
		"chrome 142": {'t', "002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9",
			"0000,0010,0005,000a,000b,000d,0012,0017,001b,0023,002b,002d,0033,44cd,fe0d,ff01",
			"0403,0804,0401,0503,0805,0501,0806,0601", "0304,0303", []string{"h2", "http/1.1"},
			"t13d1516h2_8daaf6152771_d8a2da3f94cd"},
		"chrome 150, to an address": {'t', "002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9",
			"0010,0005,000a,000b,000d,0012,0017,001b,0023,002b,002d,0033,44cd,fe0d,ff01",
			"0904,0905,0906,0403,0804,0401,0503,0805,0501,0806,0601", "0304,0303", []string{"h2", "http/1.1"},
			"t13i1515h2_8daaf6152771_806a8c22fdea"},
		"nothing": {'t', "", "", "", "0301", nil, "t10i000000_000000000000_000000000000"},
	} {
		t.Run(name, func(t *testing.T) {
			hello := &tls.ClientHelloInfo{
				CipherSuites: codes(t, grease+c.ciphers), Extensions: codes(t, grease+c.extensions),
				SupportedVersions: codes(t, grease+c.versions), SupportedProtos: c.protocols,
			}
			for _, v := range codes(t, c.signatures) {
				hello.SignatureSchemes = append(hello.SignatureSchemes, tls.SignatureScheme(v))
			}
			if got := ja4(hello, c.transport); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestJA4ProtocolCharacters(t *testing.T) {
	for first, want := range map[string]string{
		"": "00", "h2": "h2", "http/1.1": "h1", "x": "xx", "\xab": "ab", "\xab\xcd": "ad", "0\xab": "3b",
		"01\xab\xcd": "3d", "0\xab\xcd1": "01",
	} {
		if got := string(appendALPN(nil, []string{first})); got != want {
			t.Errorf("%q: %q, want %q", first, got, want)
		}
	}
}

func FuzzJA4(f *testing.F) {
	f.Add([]byte{0x13, 0x01, 0x0a, 0x0a}, []byte{0, 0, 0, 16}, []byte{4, 3}, "h2")
	f.Add(bytes.Repeat([]byte{1, 2}, 400), bytes.Repeat([]byte{3, 4}, 400), bytes.Repeat([]byte{5, 6}, 400), "\xff")
	f.Fuzz(func(t *testing.T, ciphers, extensions, signatures []byte, protocol string) {
		pairs := func(b []byte) (all []uint16) {
			for ; len(b) > 1; b = b[2:] {
				all = append(all, uint16(b[0])<<8|uint16(b[1]))
			}
			return all
		}
		hello := &tls.ClientHelloInfo{CipherSuites: pairs(ciphers), Extensions: pairs(extensions), SupportedProtos: []string{protocol}}
		for _, s := range pairs(signatures) {
			hello.SignatureSchemes = append(hello.SignatureSchemes, tls.SignatureScheme(s))
		}
		got := ja4(hello, 't')
		if len(got) != 36 || got[10] != '_' || got[23] != '_' {
			t.Fatalf("%q", got)
		}
		slices.Reverse(hello.CipherSuites)
		slices.Reverse(hello.Extensions)
		if again := ja4(hello, 't'); again != got {
			t.Fatalf("another order of suites and extensions: %q, then %q", got, again)
		}
	})
}

// ja4OfBytes computes JA4 a second time, from the bytes of a ClientHello in
// its record, and by the words of the specification alone.
func ja4OfBytes(t *testing.T, record []byte) string {
	t.Helper()
	var body, session, suites, compressions, extensions cryptobyte.String
	var version uint16
	in := cryptobyte.String(record)
	if !in.Skip(9) || !in.ReadUint16(&version) || !in.Skip(32) || !in.ReadUint8LengthPrefixed(&session) ||
		!in.ReadUint16LengthPrefixed(&suites) || !in.ReadUint8LengthPrefixed(&compressions) || !in.ReadUint16LengthPrefixed(&extensions) {
		t.Fatalf("no ClientHello: % x", record[:min(64, len(record))])
	}
	plain := func(v uint16) bool { return v&0x0f0f != 0x0a0a }
	list := func(in cryptobyte.String) (all []string) {
		for v := uint16(0); in.ReadUint16(&v); {
			if plain(v) {
				all = append(all, fmt.Sprintf("%04x", v))
			}
		}
		return all
	}
	ciphers := list(suites)
	sni, alpn, count := "i", "00", 0
	var kept, signatures []string
	for v := uint16(0); extensions.ReadUint16(&v) && extensions.ReadUint16LengthPrefixed(&body); {
		if !plain(v) {
			continue
		}
		count++
		var inner cryptobyte.String
		switch v {
		case 0:
			sni = "d"
		case 16:
			var first cryptobyte.String
			if body.ReadUint16LengthPrefixed(&inner) && inner.ReadUint8LengthPrefixed(&first) {
				alpn = string(first[:1]) + string(first[len(first)-1:])
			}
		case 13:
			body.ReadUint16LengthPrefixed(&inner)
			signatures = list(inner)
		case 43:
			body.ReadUint8LengthPrefixed(&inner)
			if offered := list(inner); len(offered) > 0 {
				fmt.Sscanf(slices.Max(offered), "%04x", &version)
			}
		}
		if v != 0 && v != 16 {
			kept = append(kept, fmt.Sprintf("%04x", v))
		}
	}
	a := fmt.Sprintf("t%s%s%02d%02d%s", map[uint16]string{0x304: "13", 0x303: "12"}[version], sni, len(ciphers), count, alpn)
	slices.Sort(ciphers)
	slices.Sort(kept)
	c := strings.Join(kept, ",")
	if len(signatures) > 0 {
		c += "_" + strings.Join(signatures, ",")
	}
	return a + "_" + digest12(strings.Join(ciphers, ",")) + "_" + digest12(c)
}

// helloRecorder stands before a server and keeps the first message of every connection.
type helloRecorder struct {
	net.Listener
	mu     sync.Mutex
	hellos [][]byte
	open   sync.WaitGroup
}

func record(t *testing.T, to string) *helloRecorder { return recordAt(t, "127.0.0.1:0", to) }

func recordAt(t *testing.T, at, to string) *helloRecorder {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	r := &helloRecorder{Listener: l}
	r.open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.open.Go(func() { r.carry(c, to) })
		}
	})
	t.Cleanup(func() { l.Close(); r.open.Wait() })
	return r
}

func (r *helloRecorder) carry(c net.Conn, to string) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	head := make([]byte, 5)
	if _, err := io.ReadFull(c, head); err != nil {
		return
	}
	hello := append(head, make([]byte, int(head[3])<<8|int(head[4]))...)
	if _, err := io.ReadFull(c, hello[5:]); err != nil {
		return
	}
	r.mu.Lock()
	r.hellos = append(r.hellos, hello)
	r.mu.Unlock()
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer up.Close()
	up.Write(hello)
	go func() {
		io.Copy(up, c)
		up.Close()
	}()
	io.Copy(c, up)
}

// Real clients, each seen twice: by the server in its log, and in the bytes
// that they sent.
func TestJA4RealClients(t *testing.T) {
	certFile, keyFile, _ := selfSigned(t, "deich.test", "127.0.0.1")
	logFile := filepath.Join(t.TempDir(), "access.json")
	up := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	s := start(t, Config{
		Listen:    []string{"https://127.0.0.1:0"},
		Sites:     []Site{{Origins: []string{up}, Certificate: certFile, Key: keyFile}},
		AccessLog: logFile, AccessLogFormat: formatJSON, HTTP3: switchOff,
	})
	asked := make(map[string]*helloRecorder)
	for name, ask := range realClients(t) {
		r := record(t, s.Addrs()[0].String())
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if out, err := ask(ctx, r.Addr().String(), "/"+name); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		cancel()
		asked["/"+name] = r
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	s.Shutdown(ctx) // the log is then complete
	text, err := os.ReadFile(logFile)
	if err != nil {
		t.Fatal(err)
	}
	logged := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		var e struct{ Target, JA4 string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		logged[e.Target] = e.JA4
	}
	for name, r := range asked {
		var want []string
		for _, hello := range r.hellos {
			want = append(want, ja4OfBytes(t, hello))
		}
		if got := logged[name]; got == "" || !slices.Contains(want, got) {
			t.Errorf("%s: logged %q, its bytes say %q", name, got, want)
		} else {
			t.Logf("%-10s %s", name[1:], got)
		}
	}
	if len(asked) < 1 {
		t.Fatal("no client")
	}
}

func realClients(t *testing.T) map[string]func(ctx context.Context, addr, path string) ([]byte, error) {
	all := map[string]func(context.Context, string, string) ([]byte, error){
		"go": func(ctx context.Context, addr, path string) ([]byte, error) {
			c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
			defer c.CloseIdleConnections()
			r, err := http.NewRequestWithContext(ctx, "GET", "https://"+addr+path, nil)
			if err != nil {
				return nil, err
			}
			resp, err := c.Do(r)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			return io.ReadAll(resp.Body)
		},
	}
	command := func(name, stdin string, args ...string) func(context.Context, string, string) ([]byte, error) {
		return func(ctx context.Context, addr, path string) ([]byte, error) {
			_, port, _ := net.SplitHostPort(addr)
			fill := strings.NewReplacer("ADDR", addr, "PORT", port, "PATH", path)
			filled := slices.Clone(args)
			for i := range filled {
				filled[i] = fill.Replace(filled[i])
			}
			cmd := exec.CommandContext(ctx, name, filled...)
			cmd.Stdin = strings.NewReader(fill.Replace(stdin))
			out, err := cmd.CombinedOutput()
			if err == nil && !bytes.Contains(out, []byte("hello")) {
				err = fmt.Errorf("no answer of the origin")
			}
			return out, err
		}
	}
	const python = "import ssl,urllib.request;c=ssl._create_unverified_context();print(urllib.request.urlopen('https://ADDRPATH',context=c).read())"
	for name, ask := range map[string]func(context.Context, string, string) ([]byte, error){
		"curl":     command("curl", "", "-sk", "--resolve", "deich.test:PORT:127.0.0.1", "https://deich.test:PORTPATH"),
		"openssl":  command("openssl", "GET PATH HTTP/1.1\r\nHost: deich.test\r\nConnection: close\r\n\r\n", "s_client", "-quiet", "-servername", "deich.test", "-connect", "ADDR"),
		"python3":  command("python3", "", "-c", python),
		"chromium": command("chromium", "", "--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--user-data-dir="+t.TempDir(), "--dump-dom", "https://ADDRPATH"),
	} {
		if name == "chromium" && testing.Short() {
			continue
		}
		if _, err := exec.LookPath(name); err != nil && os.Getenv("CI") != "" {
			t.Errorf("%s is not installed, and CI needs it", name)
			continue
		} else if err != nil {
			t.Logf("%s is left out: it is not installed", name)
			continue
		}
		all[name] = ask
	}
	return all
}
