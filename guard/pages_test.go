package guard

import (
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
	markup "golang.org/x/net/html"
)

// pageBytesMax is how much a page may weigh without the sender's own text.
const pageBytesMax = 4 << 10

var pageNames = []string{"challenge", "wait", "refusal", "origin", "given_back", "resend", "unsent"}

func testPages(t testing.TB) *pages {
	t.Helper()
	p, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// everyPage gives each page in each language for each reason, as guard fills it.
func everyPage() (all []page) {
	for _, name := range pageNames {
		for _, lang := range spokenLanguages {
			for _, reason := range deich.Reasons() {
				pg := page{
					Name: name, Lang: lang, Reason: reason, Status: statusOf(deich.Verdict{Reason: reason}),
					Reference: strings.Repeat("a", referenceChars), RetryAfter: 40 * time.Second, Return: "/posts?page=2&q=a+b",
				}
				switch name {
				case "challenge":
					pg.Token, pg.Bits = strings.Repeat("T", tokenChars), 14
				case "given_back":
					pg.Text = "Sandbags are at the sports ground."
				}
				all = append(all, pg)
			}
		}
	}
	return all
}

func written(p *pages, pg page) *http.Response {
	w := httptest.NewRecorder()
	p.write(w, pg)
	return w.Result()
}

func body(t testing.TB, p *pages, pg page) string {
	t.Helper()
	w := httptest.NewRecorder()
	p.write(w, pg)
	return w.Body.String()
}

func TestPagesAnswer(t *testing.T) {
	p := testPages(t)
	for _, pg := range everyPage() {
		what := fmt.Sprintf("%s %s %s", pg.Name, pg.Lang, pg.Reason)
		answer := written(p, pg)
		text := body(t, p, pg)
		for header, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Content-Language": pg.Lang, "Cache-Control": "no-store",
			"Vary": "Accept, Accept-Language, Cookie", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Content-Length": strconv.Itoa(len(text)),
		} {
			if got := answer.Header.Get(header); got != want {
				t.Errorf("%s: %s: %q, want %q", what, header, got, want)
			}
		}
		policy := answer.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") ||
			strings.Contains(policy, "script-src") != (pg.Name == "challenge" || pg.Name == "resend") {
			t.Errorf("%s: policy %q", what, policy)
		}
		if answer.StatusCode != pg.Status {
			t.Errorf("%s: status %d, want %d", what, answer.StatusCode, pg.Status)
		}
		if len(text) > pageBytesMax {
			t.Errorf("%s: %d bytes, more than %d", what, len(text), pageBytesMax)
		}
		for _, want := range []string{"<code>" + pg.Reason.String() + "</code>", pg.Reference, `<html lang="` + pg.Lang + `">`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: does not hold %q", what, want)
			}
		}
		for _, never := range []string{markPrefix, "{", "<style", " style=", "onclick", "http://", "https://", "ZgotmplZ"} {
			if strings.Contains(text, never) {
				t.Errorf("%s: holds %q", what, never)
			}
		}
	}
}

// What is not known is said in words that are always there.
func TestPagesFallBack(t *testing.T) {
	p := testPages(t)
	want := body(t, p, page{Name: "refusal", Lang: "en", Status: 503})
	if got := body(t, p, page{Name: "nonesuch", Lang: "tlh", Status: 503}); got != want {
		t.Errorf("an unknown page is\n%s", got)
	}
}

func TestPagesSayHowLong(t *testing.T) {
	p := testPages(t)
	for _, c := range []struct {
		name, lang string
		after      time.Duration
		want       string
	}{
		{"wait", "en", 0, "You are in the queue: a moment."},
		{"wait", "en", time.Second, "You are in the queue: about 1\u00a0second."},
		{"wait", "en", 9500 * time.Millisecond, "about 10\u00a0seconds."},
		{"wait", "en", 37 * time.Second, "about 40\u00a0seconds."},
		{"wait", "en", 91 * time.Second, "about 2\u00a0minutes."},
		{"wait", "de", 0, "Sie stehen in der Warteschlange: noch einen Moment."},
		{"wait", "de", 40 * time.Second, "Sie stehen in der Warteschlange: noch etwa 40\u00a0Sekunden."},
		{"wait", "de", time.Second, "noch etwa 1\u00a0Sekunde."},
		{"refusal", "en", 30 * time.Second, "Please try again in about 30\u00a0seconds."},
		{"refusal", "en", -time.Second, "Please try again in a moment."},
		{"refusal", "de", 5 * time.Minute, "Bitte versuchen Sie es in etwa 5\u00a0Minuten noch einmal."},
		{"wait", "en", 0, `http-equiv="refresh" content="2"`},
		{"wait", "en", 7 * time.Second, `http-equiv="refresh" content="7"`},
		{"wait", "en", time.Hour, `http-equiv="refresh" content="30"`},
		{"challenge", "en", 7 * time.Second, `<noscript><meta http-equiv="refresh" content="7"></noscript>`},
	} {
		if got := body(t, p, page{Name: c.name, Lang: c.lang, Status: 503, RetryAfter: c.after}); !strings.Contains(got, c.want) {
			t.Errorf("%s %s after %v: no %q in\n%s", c.name, c.lang, c.after, c.want, got)
		}
	}
}

// Both languages say the same things: what one has words for, so has the other.
func TestPagesLanguagesMatch(t *testing.T) {
	en, de := english(), german()
	for name, texts := range en.pages {
		for reason, says := range texts {
			other, known := de.pages[name][reason]
			if !known || len(other.Says) != len(says.Says) || other.Again != says.Again {
				t.Errorf("%s %s: %+v and %+v", name, reason, says, other)
			}
		}
		if len(texts) != len(de.pages[name]) {
			t.Errorf("%s: German has words for other reasons", name)
		}
	}
	if len(en.pages) != len(pageNames) || len(de.pages) != len(pageNames) {
		t.Errorf("%d and %d pages, want %d", len(en.pages), len(de.pages), len(pageNames))
	}
	for _, w := range []words{en, de} {
		for _, part := range []any{w.common, w.times} {
			v := reflect.ValueOf(part)
			for i := range v.NumField() {
				if v.Field(i).IsZero() {
					t.Errorf("%s has no words", v.Type().Field(i).Name)
				}
			}
		}
	}
}

// hostile are values that try to break out of where they stand.
var hostile = []string{
	"", `"><script>alert(1)</script>`, "' onmouseover='alert(1)", "</textarea><script>x</script>", "\n\nfirst line kept",
	"javascript:alert(1)", "//evil.example/", `/\evil.example`, "/a?b=c&d=+e%zz%41", "/\t/evil.example", "\x00\xff\xfe", "&amp;&#34;",
	"--><!--", "/ä\u2028</title>", "DeichMarkA", "{text}",
}

// The words that a request brings are escaped exactly as html/template would.
func TestPagesEscapeAsTemplatesDo(t *testing.T) {
	p := testPages(t)
	for _, value := range hostile {
		checkEscapes(t, p, value)
	}
}

func FuzzPagesEscape(f *testing.F) {
	for _, value := range hostile {
		f.Add(value)
	}
	p := testPages(f)
	f.Fuzz(func(t *testing.T, value string) { checkEscapes(t, p, value) })
}

var byTemplate = template.Must(template.New("").Parse(
	`{{define "text"}}<p title="{{.}}">{{.}}</p><textarea>{{.}}</textarea>{{end}}{{define "link"}}<a href="{{.}}">{{end}}`))

func checkEscapes(t *testing.T, p *pages, value string) {
	t.Helper()
	rendered := func(name string) string {
		var b strings.Builder
		if err := byTemplate.ExecuteTemplate(&b, name, value); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	own := string(appendText(nil, value))
	if got, want := `<p title="`+own+`">`+own+`</p><textarea>`+own+`</textarea>`, rendered("text"); got != want {
		t.Errorf("%q as text:\n%s\nby html/template:\n%s", value, got, want)
	}
	if link := string(appendLink(nil, value)); link != "" {
		if got, want := `<a href="`+link+`">`, rendered("link"); got != want {
			t.Errorf("%q as a link:\n%s\nby html/template:\n%s", value, got, want)
		}
	} else if strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "//") && !strings.HasPrefix(value, `/\`) {
		t.Errorf("%q is a path and leads nowhere", value)
	}
	checkShape(t, p, value)
}

// checkShape says that a page with the value has the elements and attributes of
// one without, and that the value arrives as it was sent.
func checkShape(t *testing.T, p *pages, value string) {
	t.Helper()
	for _, name := range pageNames {
		plain := page{Name: name, Lang: "en", Status: 503}
		full := plain
		full.Reference, full.Token, full.Return, full.Text = value, value, value, value
		before, after := outline(t, body(t, p, plain)), outline(t, body(t, p, full))
		if before.shape != after.shape {
			t.Fatalf("%q changes the page %s:\n%s\nwithout it:\n%s", value, name, after.shape, before.shape)
		}
		for _, href := range after.links {
			if strings.HasPrefix(href, "//") || strings.HasPrefix(href, `/\`) || href != "" && href[0] != '/' && href != "data:," {
				t.Errorf("%q makes the page %s lead to %q", value, name, href)
			}
		}
		if name == "given_back" && after.text != asBrowsersRead(value) {
			t.Errorf("%q comes back as %q", value, after.text)
		}
	}
}

// asBrowsersRead is what a parser of HTML makes of characters that it does not take.
func asBrowsersRead(s string) string {
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	return regexp.MustCompile(`\r\n?`).ReplaceAllString(s, "\n")
}

type shape struct {
	shape string
	links []string
	text  string // of the textarea
}

// outline walks a page as a browser reads it.
func outline(t *testing.T, page string) (o shape) {
	t.Helper()
	root, err := markup.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == markup.CommentNode {
			b.WriteString("comment\n")
		}
		if n.Type != markup.ElementNode {
			continue
		}
		b.WriteString(n.Data)
		for _, a := range n.Attr {
			b.WriteString(" " + a.Key)
			if a.Key == "href" {
				o.links = append(o.links, a.Val)
			}
		}
		b.WriteByte('\n')
		if n.Data == "textarea" && n.FirstChild != nil {
			o.text = n.FirstChild.Data
		}
	}
	o.shape = b.String()
	return o
}

func TestPagesAssets(t *testing.T) {
	p := testPages(t)
	get := func(address string, headers ...string) *http.Response {
		r := httptest.NewRequest("GET", address, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		if !p.asset(w, r, strings.TrimPrefix(r.URL.Path, wellKnown)) {
			return nil
		}
		return w.Result()
	}
	// What the challenge asks for is there, and may be kept for good.
	text := body(t, p, page{Name: "challenge", Lang: "en", Status: 503})
	named := regexp.MustCompile(`(?:href|src)="(/[^"]*\?v=[^"]*)"`).FindAllStringSubmatch(text, -1)
	if len(named) != 2 {
		t.Fatalf("the page names %q, want style and script", named)
	}
	for _, m := range named {
		answer := get(m[1])
		if answer == nil || answer.StatusCode != 200 || answer.ContentLength == 0 {
			t.Fatalf("%s: %+v", m[1], answer)
		}
		if got := answer.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %q", m[1], got)
		}
		stale := get(strings.Replace(m[1], "?v=", "?v=0", 1))
		if got := stale.Header.Get("Cache-Control"); got != "public, max-age=300" {
			t.Errorf("another version of %s: %q", m[1], got)
		}
		if again := get(m[1], "If-None-Match", answer.Header.Get("Etag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %d", m[1], again.StatusCode)
		}
	}
	for _, name := range []string{"", "frame.html", "../pages.go", "challenge.html", "challenge.js/"} {
		if get(wellKnown+name) != nil {
			t.Errorf("%q is given out", name)
		}
	}
}

func TestPagesPreview(t *testing.T) {
	preview, err := Preview()
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]int{
		"/challenge": 503, "/refusal?reason=by_hand&lang=de": 403, "/refusal?reason=nonesuch&seconds=x": 503,
		"/.well-known/deich/style.css": 200, "/": 404, "/frame": 404, "/.well-known/deich/none": 404,
	} {
		w := httptest.NewRecorder()
		preview.ServeHTTP(w, httptest.NewRequest("GET", address, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", address, w.Code, want)
		}
	}
}

// void takes an answer and keeps nothing, as a connection would.
type void struct{ header http.Header }

func (v void) Header() http.Header         { return v.header }
func (v void) Write(b []byte) (int, error) { return len(b), nil }
func (v void) WriteHeader(int)             {}

var benchPage = page{
	Name: "challenge", Lang: "de", Reason: deich.Unproven, Status: 503, Reference: strings.Repeat("a", referenceChars),
	RetryAfter: 40 * time.Second, Token: strings.Repeat("T", tokenChars), Bits: 14, Return: "/posts?page=2&q=flood",
}

func TestPagesAllocations(t *testing.T) {
	p := testPages(t)
	w := void{make(http.Header)}
	if n := testing.AllocsPerRun(1000, func() { p.write(w, benchPage) }); n > 3 {
		t.Errorf("%v allocations for a page, want 3 at most", n)
	}
}

func BenchmarkPagesWrite(b *testing.B) {
	p := testPages(b)
	w := void{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		p.write(w, benchPage)
	}
}
