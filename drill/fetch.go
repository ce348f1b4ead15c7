package drill

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// fetcher is one user's client: HTTP/1.1 over kept connections from the user's
// own address, with the cookies of one site. It follows nothing by itself. Not
// safe for concurrent use.
type fetcher struct {
	http    *http.Transport
	base    string // "http://host:port", or https
	agent   string
	cookies string // empty and unkept for programs
	keeps   bool
	bearer  string
}

// newFetcher makes a client that connects from one address to one listener only.
func newFetcher(from netip.Addr, at netip.AddrPort, agent string, cookies bool) *fetcher {
	d := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Control: latePort}
	to := at.String()
	return &fetcher{
		http: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "tcp", to)
			},
			MaxConnsPerHost:        6,
			MaxIdleConnsPerHost:    6,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
			WriteBufferSize:        2 << 10,
			ReadBufferSize:         4 << 10,
		},
		base: "http://" + to, agent: agent, keeps: cookies,
	}
}

// secure has it speak TLS, before its first request, with whoever has a
// certificate for the site by one of roots. It resumes sessions where it keeps
// cookies, as browsers do; the first handshake is a whole one.
func (f *fetcher) secure(roots *x509.CertPool) {
	f.base = strings.Replace(f.base, "http:", "https:", 1)
	f.http.TLSClientConfig = &tls.Config{RootCAs: roots, ServerName: site}
	f.http.TLSHandshakeTimeout = Deadline
	if f.keeps {
		f.http.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
}

// latePort lets the port be chosen at connect, so that many users can share an address.
func latePort(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { bindLate(int(fd)) })
}

func (f *fetcher) close() { f.http.CloseIdleConnections() }

// answer is what came back, as far as a client acts on it.
type answer struct {
	status   int
	body     []byte // at most BodyBytesMax
	reason   string // Deich-Reason
	act      string // Deich-Act, where it is told
	location string
	refresh  time.Duration // Refresh, of the header or the page; 0 is none
	retry    time.Duration // Retry-After; 0 is none
	puzzle   puzzle        // to be solved, with a token if there is one
}

// content says whether it is the origin's own content.
func (a *answer) content() bool { return a.reason == "" && a.status >= 200 && a.status < 400 }

// do sends one request and reads its answer whole.
func (f *fetcher) do(ctx context.Context, method, path, accept, form string) (answer, error) {
	var body io.Reader
	if form != "" {
		body = strings.NewReader(form)
	}
	req, err := http.NewRequestWithContext(ctx, method, f.base+path, body)
	if err != nil {
		return answer{}, err
	}
	f.dress(req, accept, form)
	resp, err := f.http.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := read(resp)
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, BodyBytesMax)); err != nil {
		return answer{}, err
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, AnswerBytesMax)); err != nil {
		return answer{}, err
	}
	if a.refresh == 0 && f.keeps && !a.content() {
		a.refresh = pageRefresh(a.body)
	}
	if f.keeps {
		var pairs [][]byte
		for _, line := range resp.Header["Set-Cookie"] {
			pair, _, _ := strings.Cut(line, ";")
			if strings.IndexByte(pair, '=') > 0 && len(pairs) < CookiesMax {
				pairs = append(pairs, []byte(pair))
			}
		}
		f.cookies = keepCookies(f.cookies, pairs)
	}
	return a, nil
}

func (f *fetcher) dress(req *http.Request, accept, form string) {
	req.Host = site
	h := req.Header
	h.Set("User-Agent", f.agent)
	h.Set("Accept", accept)
	if form != "" {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
		if strings.HasPrefix(form, "{") {
			h.Set("Content-Type", "application/json")
		}
	}
	if f.keeps {
		h.Set("Accept-Language", "de,en;q=0.7")
		dest, mode := "document", "navigate"
		if accept != acceptPage {
			dest, mode = "image", "no-cors"
		}
		h.Set("Sec-Fetch-Dest", dest)
		h.Set("Sec-Fetch-Mode", mode)
		h.Set("Sec-Fetch-Site", "same-origin")
	}
	if f.cookies != "" {
		h.Set("Cookie", f.cookies)
	}
	if f.bearer != "" {
		h.Set("Authorization", "Bearer "+f.bearer)
	}
}

const (
	acceptPage  = "text/html,application/xhtml+xml,*/*;q=0.8"
	acceptAsset = "image/avif,image/webp,*/*;q=0.8"
	acceptJSON  = "application/json"
)

func read(resp *http.Response) answer {
	h := resp.Header
	a := answer{
		status: resp.StatusCode, reason: h.Get("Deich-Reason"), act: h.Get("Deich-Act"), location: h.Get("Location"),
		refresh: seconds(h.Get("Refresh")), retry: seconds(h.Get("Retry-After")),
	}
	if p, ok := parsePuzzle(h.Get("Deich-Challenge")); ok {
		a.puzzle = p
	}
	return a
}

// seconds reads the number that Refresh ("5; url=/x") and Retry-After begin with.
func seconds(v string) time.Duration {
	v, _, _ = strings.Cut(v, ";")
	n, err := strconv.Atoi(strings.TrimSpace(v))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, refreshMax)
}

// pageRefresh reads what a page says instead of the header: in
// <meta http-equiv="refresh" content="5">.
func pageRefresh(page []byte) time.Duration {
	_, after, found := bytes.Cut(page[:min(len(page), HeadBytesMax)], []byte(`http-equiv="refresh" content="`))
	value, _, closed := bytes.Cut(after, []byte(`"`))
	if !found || !closed {
		return 0
	}
	return seconds(string(value))
}

// died names what a request without an answer died of.
func died(err error) string {
	var timeout net.Error
	var said *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	case errors.As(err, &said) && said.Op == "remote error": // so crypto/tls calls an alert
		return "TLS refused"
	}
	return "no answer"
}

// dropped says whether the connection was ended without an answer, as a drop does.
func dropped(word string) bool {
	return word == "connection reset" || word == "connection closed" || word == "TLS refused"
}
