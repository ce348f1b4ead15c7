package townsquare

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// ask sends a request to a handler without a network.
func ask(h http.Handler, method, target, body string, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5"
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// evil is text that would do something if it were not escaped.
const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}</textarea>`

func TestPagesEscape(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	b.form("/signup", "name", "mallory", "display", evil[:displayRunesMax], "password", "a horse on the dike").want(t, 303)
	to := b.form("/messages", "text", evil).want(t, 303).Header.Get("Location")
	query := url.QueryEscape(evil)
	b.http.Jar = nil
	for path, a := range map[string]answered{
		"timeline":       b.get("/"),
		"profile":        b.get("/u/mallory"),
		"post":           b.get(to),
		"search":         b.get("/search?q=" + query),
		"search refused": b.get("/search?q=" + strings.Repeat(query, 3)),
		"login":          b.get("/login?next=/" + query),
		"login refused":  b.form("/login", "name", evil, "next", "/"+evil),
		"signup refused": b.form("/signup", "name", evil, "display", evil),
		"text back":      b.form("/messages", "text", evil),
		"missing":        b.get("/" + url.PathEscape(evil)),
	} {
		scripts := 0
		z := html.NewTokenizer(strings.NewReader(a.body))
		for z.Next() != html.ErrorToken {
			token := z.Token()
			if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
				continue
			}
			if token.Data == "script" {
				scripts++
			}
			for _, attr := range token.Attr {
				if strings.HasPrefix(attr.Key, "on") || attr.Key == "style" || attr.Key == "src" && !strings.HasPrefix(attr.Val, "/static/") {
					t.Errorf("%s: attribute %s=%q", path, attr.Key, attr.Val)
				}
			}
		}
		if scripts != 1 {
			t.Errorf("%s: %d scripts, want 1", path, scripts)
		}
		a.wantHeader(t, "X-Content-Type-Options", "nosniff")
		if csp := a.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
}

func TestAPINeverLooksLikeAPage(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	a := b.do("POST", "/api/messages", `{"text":"<script>alert(1)</script>"}`, b.token("user0001")...).want(t, 201)
	a.wantHeader(t, "Content-Type", "application/json").wantHeader(t, "X-Content-Type-Options", "nosniff")
	if strings.Contains(a.body, "<script>") {
		t.Errorf("unescaped: %s", a.body)
	}
}

func TestAssetsAreKeptForLong(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	for path, kind := range map[string]string{
		"/static/style.css":     "text/css; charset=utf-8",
		"/static/app.js":        "text/javascript; charset=utf-8",
		"/static/logo.svg":      "image/svg+xml",
		"/static/avatar/0.svg":  "image/svg+xml",
		"/static/avatar/31.svg": "image/svg+xml",
	} {
		b.get(path).want(t, 200).wantHeader(t, "Content-Type", kind).
			wantHeader(t, "Cache-Control", "public, max-age=31536000, immutable")
	}
	for _, path := range []string{"/static/", "/static/avatar/32.svg", "/static/../templates/login.html", "/static/%2e%2e/doc.go"} {
		if a := b.get(path); a.StatusCode < 300 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
}

func TestMissingAndOtherMethods(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	b.get("/nowhere").want(t, 404).wantHeader(t, "Content-Type", "text/html; charset=utf-8")
	b.get("/api/nowhere").want(t, 404).wantHeader(t, "Content-Type", "application/problem+json")
	b.do("PUT", "/login", "x").want(t, 405).wantHeader(t, "Allow", "GET, HEAD, POST")
	b.do("DELETE", "/api/me", "").want(t, 405).wantHeader(t, "Allow", "GET, HEAD")
	if a := b.do("HEAD", "/", "").want(t, 200); a.body != "" || a.ContentLength <= 0 {
		t.Errorf("HEAD: %d bytes said, %q", a.ContentLength, a.body)
	}
}

// FuzzRoutes: whatever is asked, the answer is the platform's own and never
// says that something is broken.
func FuzzRoutes(f *testing.F) {
	config := small()
	config.Posts = 40
	s := newTest(f, config)
	for _, rt := range s.routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		path = strings.NewReplacer("{$}", "", "{name}", "user0001", "{id}", "1").Replace(path)
		f.Add(method, path, "q=ferry&before=3&limit=2", "name=user0001&password=x", "Bearer x", "k")
		f.Add(method, path, "q=%ff&before=x", `{"name":"user0001","text":"x"}`, "", "")
	}
	f.Add("PATCH", "//x/../y", "%", "\x00", "Basic", "\x7f")
	f.Fuzz(func(t *testing.T, method, path, query, body, authorization, key string) {
		if path == "/stream" {
			return // it does not end by itself
		}
		r := httptest.NewRequest("GET", "/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: path, RawQuery: query}
		r.Header = http.Header{"Authorization": {authorization}, "Idempotency-Key": {key}, "Cookie": {sessionCookie + "=" + key}}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s %q?%q: %d %s", method, path, query, w.Code, w.Body)
		}
	})
}
