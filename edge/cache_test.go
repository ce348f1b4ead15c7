package edge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func TestParseControl(t *testing.T) {
	none := control{maxAge: -1, sharedMaxAge: -1, whileRevalidate: -1, ifError: -1}
	with := func(f func(*control)) control { c := none; f(&c); return c }
	for _, each := range []struct {
		lines string
		want  control
	}{
		{"", none},
		{", ,,=,", none},
		{"max-age=60", with(func(c *control) { c.maxAge = time.Minute })},
		{"MAX-AGE = 60", with(func(c *control) { c.maxAge = time.Minute })},
		{`max-age="60"`, with(func(c *control) { c.maxAge = time.Minute })},
		{"max-age='60'", with(func(c *control) { c.maxAge = 0 })},
		{"max-age=-1", with(func(c *control) { c.maxAge = 0 })},
		{"max-age=60.5", with(func(c *control) { c.maxAge = 0 })},
		{"max-age", with(func(c *control) { c.maxAge = 0 })},
		{"max-age=60, max-age=5", with(func(c *control) { c.maxAge = 5 * time.Second })},
		{"max-age=99999999999999999999", with(func(c *control) { c.maxAge = deltaMax })},
		{`x="max-age=60, private", s-maxage=1`, with(func(c *control) { c.sharedMaxAge = time.Second })},
		{`x="\", no-store", private`, with(func(c *control) { c.private = true })},
		{`x="unclosed, no-store`, none},
		{"no-store|private", with(func(c *control) { c.noStore, c.private = true, true })},
		{`private="Set-Cookie"`, with(func(c *control) { c.private = true })},
		{`no-cache=Foo`, with(func(c *control) { c.noCache = true })},
		{"proxy-revalidate", with(func(c *control) { c.mustRevalidate = true })},
		{"must-understand, stale-while-revalidate=1, stale-if-error=2", with(func(c *control) {
			c.mustUnderstand, c.whileRevalidate, c.ifError = true, time.Second, 2*time.Second
		})},
		{"xno-store, no-stores", none},
	} {
		if got := parseControl(strings.Split(each.lines, "|")); got != each.want {
			t.Errorf("%s: %+v, want %+v", each.lines, got, each.want)
		}
	}
}

// Whatever is sent, parsing ends, times are in bounds, and no directive is
// found that is not spelled out.
func FuzzParseControl(f *testing.F) {
	for _, seed := range []string{"max-age=60", `private="a,b", no-store`, `x="\"", s-maxage=1`, "no-cache,,,=\"", "stale-if-error=18446744073709551616"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c := parseControl([]string{line})
		for _, d := range []time.Duration{c.maxAge, c.sharedMaxAge, c.whileRevalidate, c.ifError} {
			if d < -1 || d > deltaMax {
				t.Fatalf("%v", d)
			}
		}
		lower := strings.ToLower(line)
		for word, found := range map[string]bool{
			"no-store": c.noStore, "private": c.private, "no-cache": c.noCache, "-revalidate": c.mustRevalidate,
			"max-age": c.maxAge >= 0, "s-maxage": c.sharedMaxAge >= 0,
		} {
			if found && !strings.Contains(lower, word) {
				t.Fatalf("%s found", word)
			}
		}
		// A strict directive in front holds, whatever follows it.
		if !parseControl([]string{"no-store, " + line}).noStore {
			t.Fatal("no-store lost")
		}
	})
}

func header(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestFreshness(t *testing.T) {
	now := deich.Time(time.Date(2026, 5, 2, 15, 4, 5, 0, time.UTC).UnixNano())
	date := func(d time.Duration) string { return wallTime(now.Add(d)).Format(http.TimeFormat) }
	for _, each := range []struct {
		name  string
		h     http.Header
		fresh time.Duration // how long it still is; negative: it is not
	}{
		{"says nothing", header(), -1},
		{"max-age", header("Cache-Control", "max-age=60"), 60 * time.Second},
		{"s-maxage goes first", header("Cache-Control", "max-age=60, s-maxage=5"), 5 * time.Second},
		{"Age counts", header("Cache-Control", "max-age=60", "Age", "50"), 10 * time.Second},
		{"an Age that is none", header("Cache-Control", "max-age=60", "Age", "x"), -1},
		{"two Ages", header("Cache-Control", "max-age=60", "Age", "0", "Age", "0"), -1},
		{"Date counts", header("Cache-Control", "max-age=60", "Date", date(-50*time.Second)), 10 * time.Second},
		{"a Date to come", header("Cache-Control", "max-age=60", "Date", date(time.Hour)), 60 * time.Second},
		{"Expires", header("Expires", date(30*time.Second), "Date", date(0)), 30 * time.Second},
		{"Expires in the past", header("Expires", date(-30*time.Second), "Date", date(0)), -1},
		{"Expires: 0", header("Expires", "0", "Date", date(0)), -1},
		{"max-age goes before Expires", header("Cache-Control", "max-age=0", "Expires", date(time.Hour), "Date", date(0)), -1},
		{"a validator alone", header("Etag", `"a"`, "Last-Modified", date(-24*time.Hour)), -1},
		{"no-cache", header("Cache-Control", "no-cache, max-age=60"), -1},
	} {
		e := newEntry(200, each.h, nil, now, now)
		if each.fresh < 0 {
			if e.fresh(now) {
				t.Errorf("%s: fresh", each.name)
			}
			continue
		}
		if !e.fresh(now.Add(each.fresh-time.Second)) || e.fresh(now.Add(each.fresh)) {
			t.Errorf("%s: fresh for %v, want %v", each.name, e.lifetime-e.age, each.fresh)
		}
	}
}

func TestShareable(t *testing.T) {
	for _, each := range []struct {
		name   string
		status int
		h      http.Header
		want   bool
	}{
		{"plain", 200, header(), true},
		{"not found", 404, header(), true},
		{"a part", 206, header(), false},
		{"a cookie", 200, header("Cache-Control", "public, max-age=60", "Set-Cookie", "a=b"), false},
		{"private", 200, header("Cache-Control", "max-age=60, private"), false},
		{"no-store", 200, header("Cache-Control", "NO-STORE"), false},
		{"a member's", 200, header("Deich-Member", "7"), false},
		{"in Deich's name", 200, header("Deich-Reason", "x"), false},
		{"asks for credentials", 401, header("Www-Authenticate", "Basic", "Cache-Control", "max-age=60"), false},
		{"a stream", 200, header("Content-Type", "text/event-stream"), false},
		{"must be understood and is not", 299, header("Cache-Control", "must-understand, max-age=60"), false},
	} {
		c := parseControl(each.h["Cache-Control"])
		if got := shareable(each.status, each.h, &c); got != each.want {
			t.Errorf("%s: %v", each.name, got)
		}
	}
}

func TestAnonymous(t *testing.T) {
	st, err := newState(Config{Sites: []Site{{Origins: []string{"http://127.0.0.1:1"}, Cache: cachePressure}}}.Defaults(), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	site, trusting := *st.other, *st.other
	trusting.trustVary = true
	for _, each := range []struct {
		name       string
		h          http.Header
		strict, tv bool
	}{
		{"plain", header(), true, true},
		{"a browser", header("User-Agent", "x", "Accept", "*/*", "Sec-Fetch-Dest", "document", "Sec-Ch-Ua-Mobile", "?0", "Referer", "x"), true, true},
		{"Deich's cookies", header("Cookie", "deich=a; deich-place=b", "Cookie", "__Host-deich=c"), true, true},
		{"a session", header("Cookie", "deich=a; session=b"), false, false},
		{"a cookie that begins like ours", header("Cookie", "deichgraf=a"), false, false},
		{"a nameless cookie", header("Cookie", "secret"), false, false},
		{"an empty cookie", header("Cookie", ""), false, false},
		{"credentials", header("Authorization", "Bearer x"), false, false},
		{"an API key", header("X-Api-Key", "x"), false, false},
		{"an upgrade", header("Upgrade", "websocket"), false, false},
		{"trailers for this hop", header("Connection", "keep-alive, TE", "Te", "trailers"), true, true},
		{"a header for this hop alone", header("Connection", "keep-alive, accept-language", "Accept-Language", "de"), false, false},
		{"a header not known here", header("X-Auth-Token", "x"), false, true},
		{"fetch by a script", header("X-Requested-With", "XMLHttpRequest"), false, true},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = each.h
		if got := st.anonymous(r, &site); got != each.strict {
			t.Errorf("%s: %v", each.name, got)
		}
		if got := st.anonymous(r, &trusting); got != each.tv {
			t.Errorf("%s, Vary trusted: %v", each.name, got)
		}
	}
	fat := httptest.NewRequest("GET", "/", strings.NewReader("a=b"))
	if own := httptest.NewRequest("GET", "/.well-known/deich/challenge", nil); st.anonymous(fat, &site) || st.anonymous(own, &site) {
		t.Error("a body, or a path of Deich's own, is nobody's in particular")
	}
}

func TestVaryAndSelection(t *testing.T) {
	for vary, want := range map[string]string{
		"": "[] true", "*": "[] false", "Foo, *": "[] false", ",Foo ,foo, Bar,": "[Bar Foo] true",
		"X-Forwarded-For": "[] false", "a b": "[] false", "A,B,C,D,E,F,G,H,I": "[] false",
	} {
		if names, ok := varyOf(header("Vary", vary)); fmt.Sprint(names, ok) != want {
			t.Errorf("%q: %v %v, want %s", vary, names, ok, want)
		}
	}
	pick := func(h http.Header) string {
		return string(appendSelection(nil, []string{"Accept-Encoding", "Cookie", "Foo"}, h))
	}
	a := pick(header("Accept-Encoding", "gzip, deflate, br;q=0.5", "Cookie", "deich=1", "Foo", " a"))
	if b := pick(header("Accept-Encoding", "br,GZIP", "Foo", "a")); a != b {
		t.Errorf("%q and %q select differently", a, b)
	}
	for _, other := range []http.Header{
		header("Accept-Encoding", "br, gzip;q=0", "Foo", "a"), header("Accept-Encoding", "br, gzip", "Foo", "b"),
		header("Accept-Encoding", "br, gzip"), header("Accept-Encoding", "br, gzip", "Foo", "a", "Foo", ""),
	} {
		if b := pick(other); a == b {
			t.Errorf("%v selects the same", other)
		}
	}
}

// The store holds no more than it may, and a flood of what is asked for once
// does not push out what is asked for often.
func TestStoreIsBounded(t *testing.T) {
	const bytes = 4 << 20
	s := newStore(bytes)
	body := make([]byte, 4<<10)
	put := func(key string) { s.put([]byte(key), newEntry(200, header("Content-Type", "x"), body, 1, 1)) }
	has := func(key string) bool { e, _, _ := s.find([]byte(key), nil); return e != nil }
	var often []string
	for i := range 100 {
		often = append(often, fmt.Sprint("often ", i))
		put(often[i])
	}
	missed := 0
	for i := range 20_000 {
		put(fmt.Sprint("once ", i))
		if key := often[i/10%len(often)]; i%10 == 0 && !has(key) {
			put(key) // as its reader does
			if i > 10_000 {
				missed++
			}
		}
	}
	held, keys := s.size()
	if held > bytes || keys*len(body) > bytes || keys < bytes/len(body)/2 {
		t.Errorf("%d bytes, %d keys", held, keys)
	}
	if missed > 0 {
		t.Errorf("of 1000 asked for again and again %d were pushed out", missed)
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sum := int64(0)
		for _, q := range []*fifo{&sh.small, &sh.main} {
			n := int64(0)
			for r := q.oldest; r != nil; r = r.newer {
				n += r.bytes
			}
			if n != q.bytes {
				t.Errorf("a queue counts %d bytes and holds %d", q.bytes, n)
			}
			sum += n
		}
		if sum != sh.bytes {
			t.Errorf("a shard counts %d bytes and holds %d", sh.bytes, sum)
		}
	}
	big := newEntry(200, header(), make([]byte, bytes), 1, 1)
	if s.put([]byte("big"), big); has("big") {
		t.Error("an entry beyond all bounds is held")
	}
}

func TestVariantsAreBounded(t *testing.T) {
	s := newStore(1 << 20)
	for i := range 3 * variantsMax {
		h := header("Foo", fmt.Sprint(i))
		e := newEntry(200, header("Vary", "Foo"), []byte{byte(i)}, 1, 1)
		e.names = []string{"Foo"}
		e.selects = string(appendSelection(nil, e.names, h))
		s.put([]byte("k"), e)
		if got, names, _ := s.find([]byte("k"), h); got != e || !slices.Equal(names, e.names) {
			t.Fatalf("%d: %v by %v", i, got, names)
		}
	}
	if got, _, _ := s.find([]byte("k"), header("Foo", "0")); got != nil {
		t.Error("more variants than variantsMax")
	}
	if got, _, _ := s.find([]byte("k"), header()); got != nil {
		t.Error("none was stored for a request without Foo")
	}
}

func TestHealthOutlives(t *testing.T) {
	var h health
	at := func(d time.Duration) deich.Time { return deich.Time(1<<50) + deich.Time(d) }
	h.answered(at(0), false)
	copied := at(-30 * time.Second)
	for d := time.Second; d <= time.Hour; d *= 2 {
		h.answered(at(d), true)
		if !h.outlives(copied, at(d)) {
			t.Fatalf("after %v of outage the copy is gone", d)
		}
	}
	if h.outlives(at(-2*time.Minute), at(2*time.Minute)) {
		t.Error("what was not read in the last minute before is held")
	}
	if h.outlives(copied, at(outageHeld)) {
		t.Error("held for longer than outageHeld")
	}
	back := at(2 * time.Hour)
	h.answered(back, false)
	h.answered(back.Add(2*time.Millisecond), false)
	if !h.outlives(copied, back.Add(time.Second)) || h.outlives(copied, back.Add(returnHeld+time.Second)) {
		t.Error("after the return copies serve for returnHeld, and no longer")
	}
}
