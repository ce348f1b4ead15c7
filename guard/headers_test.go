package guard

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/deichproject/deich"
	"pgregory.net/rapid"
)

// TestHeadersAsAsked reads headers at once, and as one asks a map for each.
func TestHeadersAsAsked(t *testing.T) {
	ring := testKeys().ring.Load()
	names := []string{"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Type", "Cookie", "Referer",
		"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Upgrade", "User-Agent", "X-Api-Key", "X-Requested-With",
		"Origin", "Dnt", "Te", "Deich-Member", "Deichsel"}
	rapid.Check(t, func(t *rapid.T) {
		h := make(http.Header)
		for name, values := range rapid.MapOfN(rapid.SampledFrom(names), rapid.SliceOfN(rapid.StringN(0, 20, 40), 0, 2), 0, len(names)).Draw(t, "headers") {
			h[name] = values
		}
		var got headers
		got.read(h, &ring.names, ring.credential)
		want, ours := uint32(0), false
		for name := range h {
			ours = ours || strings.HasPrefix(name, ownHeaderPrefix)
			switch name {
			case "Authorization", "Content-Type", "Cookie", "Referer", "Sec-Fetch-User", "Origin":
			default:
				want += textOf(name, ring.credential)
			}
		}
		if got.set != want || got.ours != ours {
			t.Fatalf("%v: names %d, ours %v; want %d, %v", h, got.set, got.ours, want, ours)
		}
		for name, value := range map[string]string{
			"Accept": got.accept, "Accept-Encoding": got.encoding, "Accept-Language": got.language, "Authorization": got.authorization,
			"Content-Type": got.contentType, "Referer": got.referer, "Sec-Fetch-Dest": got.dest, "Sec-Fetch-Mode": got.mode,
			"Sec-Fetch-Site": got.site, "Upgrade": got.upgrade, "User-Agent": got.agent, "X-Api-Key": got.apiKey,
			"X-Requested-With": got.requestedWith,
		} {
			if value != first(h, name) {
				t.Fatalf("%s: %q, want %q", name, value, first(h, name))
			}
		}
		if len(got.cookies) != len(h["Cookie"]) {
			t.Fatalf("cookies %q, want %q", got.cookies, h["Cookie"])
		}
	})
}

// FuzzAgentClass holds one look over a User-Agent against a search for each mark.
func FuzzAgentClass(f *testing.F) {
	f.Add("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	f.Add("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.1")
	f.Add("Chrome/1 Edg/2 Edg/3")
	f.Add("curl/8.5.0")
	f.Add("/")
	f.Fuzz(func(t *testing.T, agent string) {
		cut := agent[:min(len(agent), traitBytesMax)]
		want, _, _ := strings.Cut(cut, " ")
		for _, mark := range agentMarks {
			if i := strings.Index(cut, mark); i >= 0 {
				want = cut[i:]
				break
			}
		}
		if i := strings.IndexAny(want, ". ;)"); i >= 0 {
			want = want[:i]
		}
		if got := agentClass(agent); got != want {
			t.Fatalf("%q: %q, want %q", agent, got, want)
		}
	})
}

// TestReadAllocatesNothing: what rules may name is told without memory of its own.
func TestReadAllocatesNothing(t *testing.T) {
	s := &instant{deich.Verdict{}}
	h, err := newHandler(Options{Keys: testKeys(), Next: http.HandlerFunc(hello)}, s)
	if err != nil {
		t.Fatal(err)
	}
	r := get("/timeline?page=2", "User-Agent", "Mozilla/5.0 Firefox/140.0", "Accept", html, "Accept-Language", "de", "Referer", "https://example.org/")
	v := new(visit)
	v.begin(h, httptest.NewRecorder(), r)
	if n := testing.AllocsPerRun(100, func() { h.read(v) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
