package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inFront is the page whose configurations are tried here as they stand there.
const inFront = "../docs/operate/in-front-and-behind.md"

// snippet reads a section's block in one language from the page, and fills in
// this test's ports and folders: pairs of what stands there and what is to
// stand there. What is to be replaced must be there.
func snippet(t *testing.T, section, language string, pairs ...string) string {
	t.Helper()
	page, err := os.ReadFile(inFront)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n## "+section+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	_, block, fenced := strings.Cut(rest, "\n```"+language+"\n")
	block, _, ended := strings.Cut(block, "\n```")
	if !found || !fenced || !ended {
		t.Fatalf("%s: no block of %s under %q", inFront, language, section)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(block, pairs[i]) {
			t.Fatalf("%s, %s: there is no %q in\n%s", section, language, pairs[i], block)
		}
	}
	return strings.NewReplacer(pairs...).Replace(block) + "\n"
}

// standing runs Deich with a configuration from the page.
func standing(t *testing.T, config string) *process {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "deich.yaml"), config+"console: 127.0.0.1:0\ndata: state\n")
	return build(t).start(t, filepath.Join(dir, "state"), "run", "--config", filepath.Join(dir, "deich.yaml"))
}

func (p *process) port(t *testing.T) string {
	t.Helper()
	return p.users[strings.LastIndexByte(p.users, ':')+1:]
}

// caller is somebody at one of this machine's addresses, who comes to at
// whatever the site's name is.
type caller struct {
	*http.Client
	url string
}

func personAt(t *testing.T, from, scheme, to string, roots *x509.CertPool) caller {
	t.Helper()
	c := visitor(t)
	tr := c.Transport.(*http.Transport)
	tr.DisableKeepAlives = true
	if roots != nil {
		tr.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, to)
	}
	return caller{c, scheme + "://www.example.org/"}
}

// sees asks for a page and holds what the origin said against want.
func (p caller) sees(t *testing.T, status int, want string, header ...string) {
	t.Helper()
	r, body := request(t, p.Client, "GET", p.url, "", header...)
	if r.StatusCode != status || status == 200 && body != want {
		t.Errorf("%s %q, want %d %q", r.Status, body, status, want)
	}
}

// mirror is a platform that tells who it was told the client is.
func mirror(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Header.Get("X-Real-IP"), r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// secure gives a certificate for the page's site: files, both in one, and who
// believes it.
func secure(t *testing.T) (cert, key, both string, roots *x509.CertPool) {
	t.Helper()
	cert, key, _ = certificate(t, "www.example.org")
	both = filepath.Join(t.TempDir(), "both.pem")
	roots = x509.NewCertPool()
	var all []byte
	for _, name := range []string{cert, key} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	roots.AppendCertsFromPEM(all)
	writeFile(t, both, string(all))
	return cert, key, both, roots
}

// denied says that what an operator lists for an address meets who comes from
// there, and nobody else: it is the engine that knows the client.
func denied(t *testing.T, p *process, address string, with, without func(status int)) {
	t.Helper()
	build(t).must(t, "deny", address, "--data", p.data)
	with(403)
	without(200)
}

// ready waits until somebody listens.
func ready(t *testing.T, at string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nobody listens at %s", at)
}

func startHAProxy(t *testing.T, config, at string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "haproxy.cfg")
	writeFile(t, name, config)
	runApp(t, "haproxy", "-db", "-f", name)
	ready(t, at)
}

// startNginx runs one with blocks of http, and others beside them.
func startNginx(t *testing.T, http, beside, at string) {
	t.Helper()
	dir := t.TempDir()
	module := ""
	if beside != "" {
		module = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
	}
	paths := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	name := filepath.Join(dir, "nginx.conf")
	writeFile(t, name, fmt.Sprintf("%sdaemon off;\nworker_processes 1;\npid %s/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n%s%s}\n%s",
		module, dir, paths, http, beside))
	runApp(t, "nginx", "-p", dir, "-e", "stderr", "-c", name)
	ready(t, at)
}

func TestInFront(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"Behind a CDN":                       behindCDN,
		"the lock before a CDN's origin":     locked,
		"Behind HAProxy":                     func(t *testing.T) { behindHAProxy(t, "send-proxy-v2") },
		"Behind HAProxy, version 1":          func(t *testing.T) { behindHAProxy(t, "send-proxy") },
		"Behind nginx's stream":              behindStream,
		"Behind a proxy that ends TLS":       behindEndOfTLS,
		"In front of nginx":                  inFrontOfNginx,
		"In front of several origins":        inFrontOfSeveral,
		"With IPv6":                          withIPv6,
		"the header of a proxy that is none": headerOfNone,
	} {
		t.Run(name, test)
	}
}

func behindCDN(t *testing.T) {
	cert, key, _, roots := secure(t)
	p := standing(t, snippet(t, "Behind a CDN", "yaml", "https://:443", "https://127.0.0.1:0", "http://127.0.0.1:3000", mirror(t),
		"tls/www.example.org.pem", cert, "tls/www.example.org.key", key, "198.51.100.0/24", "127.0.0.2"))
	at := "127.0.0.1:" + p.port(t)
	cdn, stranger := personAt(t, "127.0.0.2", "https", at, roots), personAt(t, "127.0.0.3", "https", at, roots)
	cdn.sees(t, 200, "192.0.2.7 https", "X-Forwarded-For", "192.0.2.7")
	cdn.sees(t, 200, "192.0.2.7 https", "X-Forwarded-For", "203.0.113.99, 192.0.2.7") // what the client wrote itself
	cdn.sees(t, 200, "2001:db8::7 https", "X-Forwarded-For", "2001:db8::7", "CF-Connecting-IP", "192.0.2.1")
	stranger.sees(t, 200, "127.0.0.3 https", "X-Forwarded-For", "192.0.2.7", "Forwarded", "for=192.0.2.7", "X-Real-IP", "192.0.2.7")
	denied(t, p, "192.0.2.7",
		func(status int) { cdn.sees(t, status, "", "X-Forwarded-For", "192.0.2.7") },
		func(status int) {
			cdn.sees(t, status, "192.0.2.8 https", "X-Forwarded-For", "192.0.2.8")
			stranger.sees(t, status, "127.0.0.3 https", "X-Forwarded-For", "192.0.2.7")
		})
	p.stop(t)
}

// locked tries the page's packet filter in a network of its own.
func locked(t *testing.T) {
	for program, debian := range map[string]string{"nft": "nftables", "ip": "iproute2", "curl": "curl", "python3": "python3", "unshare": "util-linux"} {
		need(t, program, debian)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "lock.nft"), snippet(t, "Behind a CDN", "nft"))
	out, err := output(t, dir, nil, "unshare", "--net", "sh", "-c", `set -e
		ip link set lo up
		for a in 203.0.113.1/32 198.51.100.5/32 192.0.2.5/32; do ip addr add $a dev lo; done
		for a in 2001:db8:1::1/128 2001:db8:c0de::5/128 2001:db8:bad::5/128; do ip addr add $a dev lo nodad; done
		echo hello >page
		python3 -m http.server 443 --bind 203.0.113.1 >/dev/null 2>&1 & four=$!
		python3 -m http.server 443 --bind 2001:db8:1::1 >/dev/null 2>&1 & six=$!
		trap 'kill $four $six' EXIT
		ask() { curl --silent --max-time "$3" --interface "$1" "http://$2:443/page"; }
		for from in 192.0.2.5 198.51.100.5; do
			for i in $(seq 100); do ask $from 203.0.113.1 5 && break; sleep .1; done
			for i in $(seq 100); do ask 2001:db8:bad::5 '[2001:db8:1::1]' 5 && break; sleep .1; done
		done >before
		nft -f lock.nft
		ask 198.51.100.5 203.0.113.1 5; ask 2001:db8:c0de::5 '[2001:db8:1::1]' 5
		if ask 192.0.2.5 203.0.113.1 1; then echo "a stranger came in"; fi
		if ask 2001:db8:bad::5 '[2001:db8:1::1]' 1; then echo "a stranger came in by IPv6"; fi
		cat before`)
	if err != nil && os.Getuid() != 0 {
		missing(t, "a network of its own takes root: "+out)
	}
	if err != nil || out != strings.Repeat("hello\n", 6) {
		t.Errorf("%v\n%s", err, out)
	}
}

// announcing are the page's lines for a Deich behind a TCP load balancer.
func announcing(t *testing.T, origin string) (p *process, roots *x509.CertPool) {
	t.Helper()
	cert, key, _, roots := secure(t)
	return standing(t, snippet(t, "Behind HAProxy", "yaml", "127.0.0.1:8443", "127.0.0.1:0", "http://127.0.0.1:3000", origin,
		"tls/www.example.org.pem", cert, "tls/www.example.org.key", key)), roots
}

func behindHAProxy(t *testing.T, send string) {
	need(t, "haproxy", "haproxy")
	p, roots := announcing(t, mirror(t))
	front := loopback(freePort(t))
	startHAProxy(t, snippet(t, "Behind HAProxy", "haproxy", "bind :443", "bind "+front, "127.0.0.1:8443", "127.0.0.1:"+p.port(t), "send-proxy-v2", send), front)
	behindBalancer(t, p, roots, front)
}

func behindStream(t *testing.T) {
	need(t, "nginx", "nginx-light")
	if _, err := os.Stat("/usr/lib/nginx/modules/ngx_stream_module.so"); err != nil {
		missing(t, "nginx's stream module is not installed (Debian: apt-get install libnginx-mod-stream, or make deps)")
	}
	p, roots := announcing(t, mirror(t))
	front := loopback(freePort(t))
	startNginx(t, "", snippet(t, "Behind nginx as a TCP load balancer", "nginx", "listen 443", "listen "+front, "127.0.0.1:8443", "127.0.0.1:"+p.port(t)), front)
	behindBalancer(t, p, roots, front)
}

func behindBalancer(t *testing.T, p *process, roots *x509.CertPool, front string) {
	seven, eight := personAt(t, "127.0.0.7", "https", front, roots), personAt(t, "127.0.0.8", "https", front, roots)
	seven.sees(t, 200, "127.0.0.7 https", "X-Forwarded-For", "192.0.2.7")
	denied(t, p, "127.0.0.7",
		func(status int) { seven.sees(t, status, "") },
		func(status int) { eight.sees(t, status, "127.0.0.8 https") })
	p.stop(t)
}

// headerOfNone is the page's table of those who do not agree with Deich.
func headerOfNone(t *testing.T) {
	p, roots := announcing(t, mirror(t))
	at := "127.0.0.1:" + p.port(t)
	const header = "PROXY TCP4 192.0.2.7 127.0.0.1 1 443\r\n"
	saying := func(from, first string) caller {
		who := personAt(t, from, "https", at, roots)
		tr := who.Transport.(*http.Transport)
		dial := tr.DialContext
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			if err == nil {
				_, err = io.WriteString(c, first)
			}
			return c, err
		}
		return who
	}
	saying("127.0.0.1", header).sees(t, 200, "192.0.2.7 https")
	saying("127.0.0.1", "PROXY UNKNOWN\r\n").sees(t, 200, "127.0.0.1 https")
	saying("127.0.0.9", "").sees(t, 200, "127.0.0.9 https")
	for from, first := range map[string]string{"127.0.0.1": "", "127.0.0.9": header} {
		who := saying(from, first)
		if r, err := who.Get(who.url); err == nil {
			r.Body.Close()
			t.Errorf("%s, beginning with %q: %s", from, first, r.Status)
		}
	}
	p.hear(t, "a trusted proxy did not begin with a PROXY protocol header")
	p.stop(t)
}

func behindEndOfTLS(t *testing.T) {
	need(t, "haproxy", "haproxy")
	need(t, "nginx", "nginx-light")
	const section = "Behind a proxy that ends TLS"
	cert, key, both, roots := secure(t)
	p := standing(t, snippet(t, section, "yaml", "127.0.0.1:8080", "127.0.0.1:0", "http://127.0.0.1:3000", mirror(t)))
	to := "127.0.0.1:" + p.port(t)
	byHAProxy, byNginx := loopback(freePort(t)), loopback(freePort(t))
	startHAProxy(t, snippet(t, section, "haproxy", "bind :443", "bind "+byHAProxy, "/etc/haproxy/www.example.org.pem", both, "127.0.0.1:8080", to), byHAProxy)
	startNginx(t, snippet(t, section, "nginx", "listen 443", "listen "+byNginx, "/etc/nginx/tls/www.example.org.pem", cert,
		"/etc/nginx/tls/www.example.org.key", key, "http://127.0.0.1:8080", "http://"+to), "", byNginx)
	for last, front := range map[string]string{"7": byHAProxy, "8": byNginx} {
		who := personAt(t, "127.0.0."+last, "https", front, roots)
		who.sees(t, 200, "127.0.0."+last+" https", "X-Forwarded-For", "192.0.2.7")
		r, _ := request(t, who.Client, "GET", who.url, "")
		if cookieOf(r, "__Host-deich") == "" {
			t.Errorf("no pass for https: %v", r.Header["Set-Cookie"])
		}
		denied(t, p, "127.0.0."+last,
			func(status int) { who.sees(t, status, "") },
			func(status int) { personAt(t, "127.0.0.9", "https", front, roots).sees(t, status, "127.0.0.9 https") })
	}
	// Past the proxy: a stranger's word about https and addresses is none.
	personAt(t, "127.0.0.9", "http", to, nil).sees(t, 200, "127.0.0.9 http", "X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "https")
	p.stop(t)
}

func inFrontOfNginx(t *testing.T) {
	need(t, "nginx", "nginx-light")
	origin := loopback(freePort(t))
	startNginx(t, snippet(t, "In front of nginx, or of an application", "nginx", "listen 127.0.0.1:3000", "listen "+origin,
		"root /var/www/html;", "location / { return 200 $remote_addr; }"), "", origin)
	p := standing(t, "listen: [\"127.0.0.1:0\"]\nsites: [{origins: [\"http://"+origin+"\"]}]\n")
	personAt(t, "127.0.0.7", "http", "127.0.0.1:"+p.port(t), nil).sees(t, 200, "127.0.0.7", "X-Real-IP", "192.0.2.7")
	p.stop(t)
}

func inFrontOfSeveral(t *testing.T) {
	first, second, api := platform(t, "first"), platform(t, "second"), platform(t, "api")
	p := standing(t, snippet(t, "In front of several origins", "yaml", ":8080", "127.0.0.1:0",
		"http://10.0.1.5:3000", first.URL, "http://10.0.1.6:3000", second.URL, "http://10.0.2.5:4000", api.URL))
	who := personAt(t, "127.0.0.1", "http", "127.0.0.1:"+p.port(t), nil)
	answers := func(n int) map[string]int {
		by := map[string]int{}
		for range n {
			r, body := request(t, who.Client, "GET", who.url, "")
			if r.StatusCode != 200 {
				t.Fatalf("%s", r.Status)
			}
			by[body]++
		}
		return by
	}
	if by := answers(20); by["first"] != 10 || by["second"] != 10 {
		t.Errorf("in turn while both are free: %v", by)
	}
	first.CloseClientConnections()
	first.Close()
	if by := answers(20); by["second"] != 20 {
		t.Errorf("with one of them gone: %v", by)
	}
	who.url = "http://api.example.org/"
	who.sees(t, 200, "api")
	p.stop(t)
}

func withIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		missing(t, "this machine has no IPv6: "+err.Error())
	}
	origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Header.Get("X-Real-IP"), r.Header.Get("X-Forwarded-For"))
	}))
	origin.Listener.Close()
	origin.Listener = l
	origin.Start()
	t.Cleanup(origin.Close)
	config := snippet(t, "With IPv6", "yaml", "http://[::1]:8080", "http://[::1]:0", "http://[::1]:3000", origin.URL)
	p := standing(t, config)
	personAt(t, "::1", "http", "[::1]:"+p.port(t), nil).sees(t, 200, "::1 ::1")
	p.stop(t)
	// The same behind a proxy, for clients at addresses of all kinds.
	p = standing(t, config+"trusted_proxies: [\"::1\"]\n")
	for said, client := range map[string]string{
		"2001:db8:1:2::3": "2001:db8:1:2::3", "[2001:db8:1:2::3]:443": "2001:db8:1:2::3", "::ffff:192.0.2.1": "192.0.2.1",
	} {
		personAt(t, "::1", "http", "[::1]:"+p.port(t), nil).sees(t, 200, client+" "+said+", ::1", "X-Forwarded-For", said)
	}
	p.stop(t)
}
