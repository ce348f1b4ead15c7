package townsquare

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a platform that is quickly there.
func small() Config {
	return Config{Listen: "127.0.0.1:0", Users: 20, Posts: 120, Scan: 100, PasswordCost: bcrypt.MinCost}
}

// newTest gives a server without a listener; it ends with the test.
func newTest(t testing.TB, config Config) *server {
	t.Helper()
	config.Data = t.TempDir()
	config.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	config = config.withDefaults()
	st, err := openStore(t.Context(), config.Data, config.Procs)
	if err != nil {
		t.Fatal(err)
	}
	s, err := prepare(t.Context(), config, st)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.close()
		if err := st.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// running is a platform as Run serves it.
type running struct {
	url  string
	stop func() error
}

// run starts Run and ends it with the test.
func run(t *testing.T, config Config) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	config.Ready = func(addr string) { ready <- addr }
	go func() { ended <- Run(ctx, config) }()
	var stopped error
	done := false
	stop := func() error {
		if !done {
			cancel()
			stopped, done = <-ended, true
		}
		return stopped
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	select {
	case addr := <-ready:
		return running{"http://" + addr, stop}
	case err := <-ended:
		done = true
		t.Fatalf("Run ended with %v", err)
	}
	return running{}
}

// browser is a client with cookies that follows no redirects.
type browser struct {
	t    testing.TB
	http *http.Client
	base string
}

// newBrowser opens the server to a new client.
func newBrowser(t testing.TB, s *server) *browser {
	t.Helper()
	web := httptest.NewServer(s.handler)
	t.Cleanup(web.Close)
	return another(t, web.URL)
}

// another gives a client of its own for the same address.
func another(t testing.TB, base string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, &http.Client{
		Jar: jar, Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, base}
}

// answered is an answer with its body read.
type answered struct {
	*http.Response
	body string
}

// do sends a request; head holds pairs of header names and values.
func (b *browser) do(method, path, body string, head ...string) answered {
	b.t.Helper()
	a, err := b.try(method, path, body, head...)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// try is do for other goroutines than the test's.
func (b *browser) try(method, path, body string, head ...string) (answered, error) {
	r, err := http.NewRequest(method, b.base+path, strings.NewReader(body))
	if err != nil {
		return answered{}, err
	}
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	response, err := b.http.Do(r)
	if err != nil {
		return answered{}, err
	}
	text, err := io.ReadAll(response.Body)
	return answered{response, string(text)}, errors.Join(err, response.Body.Close())
}

func (b *browser) get(path string, head ...string) answered {
	b.t.Helper()
	return b.do("GET", path, "", head...)
}

// form posts fields given as pairs.
func (b *browser) form(path string, fields ...string) answered {
	b.t.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return b.do("POST", path, values.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// login logs a member of the first start in.
func (b *browser) login(name string) {
	b.t.Helper()
	b.form("/login", "name", name, "password", DemoPassword).want(b.t, http.StatusSeeOther)
}

// token gives the headers of a member of the first start.
func (b *browser) token(name string) []string {
	b.t.Helper()
	var granted struct{ Token string }
	b.do("POST", "/api/tokens", `{"name":"`+name+`","password":"`+DemoPassword+`"}`).
		want(b.t, http.StatusCreated).decode(b.t, &granted)
	return []string{"Authorization", "Bearer " + granted.Token}
}

func (a answered) want(t testing.TB, status int) answered {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d\n%s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.body)
	}
	return a
}

func (a answered) wantHeader(t testing.TB, name, value string) answered {
	t.Helper()
	if got := a.Header.Get(name); got != value {
		t.Fatalf("%s %s: %s is %q, want %q", a.Request.Method, a.Request.URL.Path, name, got, value)
	}
	return a
}

func (a answered) wantText(t testing.TB, text string) answered {
	t.Helper()
	if !strings.Contains(a.body, text) {
		t.Fatalf("%s %s: no %q in\n%s", a.Request.Method, a.Request.URL.Path, text, a.body)
	}
	return a
}

func (a answered) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%s %s: %v\n%s", a.Request.Method, a.Request.URL.Path, err, a.body)
	}
}
