package townsquare

import (
	"cmp"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestScore(t *testing.T) {
	const text = "The ferry crew has found a blue bicycle on the dike. Ferry, ferry!"
	for query, want := range map[string]int{
		"ferry":        12,
		"FERRY":        12,
		"ferr":         6,
		"fery":         0, // four bytes are too short for a typo
		"bicycel":      0, // two bytes changed
		"bycicle":      0,
		"bicicle":      1,
		"bicycl":       2, // begins with it
		"bicyycle":     1,
		"blue bicycle": 8,
		"blue boat":    0,
		"dike ferry":   16,
		"!?":           0,
	} {
		if got := score(words(text), words(query)); got != want {
			t.Errorf("score of %q is %d, want %d", query, got, want)
		}
	}
}

func TestBestKeepsTheBest(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 7))
	var all, kept []hit
	for id := range int64(500) {
		h := hit{message{ID: id}, dice.IntN(20)}
		all, kept = append(all, h), best(kept, h)
	}
	slices.SortFunc(all, func(a, b hit) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.ID, a.ID)) })
	if !slices.Equal(kept, all[:hitsMax]) {
		t.Errorf("kept %v, want %v", kept, all[:hitsMax])
	}
}

func FuzzOneTypo(f *testing.F) {
	for _, pair := range [][2]string{{"bicycle", "bicicle"}, {"bicycle", "bicyycle"}, {"ferry", "ferr"}, {"", ""}, {"straße", "strasse"}, {"\xff\xff\xff\xff\xff", "ferry"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if oneTypo(a, b) != oneTypo(b, a) {
			t.Fatalf("oneTypo(%q, %q) depends on the order", a, b)
		}
		if oneTypo(a, b) && (len(a)-len(b) > 1 || len(b)-len(a) > 1 || a[0] != b[0]) {
			t.Fatalf("oneTypo(%q, %q) is too kind", a, b)
		}
	})
}

func TestSearchReadsTheLatestMessagesOnly(t *testing.T) {
	s := newTest(t, small())
	b := newBrowser(t, s)
	bearer := b.token("user0001")
	b.do("POST", "/api/messages", `{"text":"a zeppelin over the market"}`, bearer...).want(t, 201)
	var result struct {
		Scanned int
		Hits    []hit
	}
	ask := func(query string) {
		t.Helper()
		result.Hits = nil
		b.get("/api/search?q="+url.QueryEscape(query)).want(t, 200).decode(t, &result)
	}
	if ask("Zepelin market"); len(result.Hits) != 1 || result.Hits[0].Author != "user0001" || result.Scanned != s.scan {
		t.Fatalf("found %+v", result)
	}
	b.get("/search?q=zeppelin").want(t, 200).wantText(t, "a zeppelin over the market")
	for range s.scan {
		if _, _, err := s.store.post(t.Context(), member{ID: 1}, "nothing new", "", result.Hits[0].At); err != nil {
			t.Fatal(err)
		}
	}
	if ask("zeppelin"); len(result.Hits) != 0 {
		t.Errorf("found beyond what is read: %+v", result)
	}
}

func TestSearchRefused(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	b.get("/search").want(t, 200).wantText(t, "one or more words")
	b.get("/search?q=%20%21").want(t, 200).wantText(t, "one or more words")
	b.get("/api/search?q=").want(t, 400)
	for _, query := range []string{"%ff%fe", strings.Repeat("x", queryBytesMax+1)} {
		b.get("/search?q="+query).want(t, 400)
		b.get("/api/search?q="+query).want(t, 400)
	}
	b.get("/search?q="+strings.Repeat("ab+", queryBytesMax/3)).want(t, 200)
	b.get("/search?q=%25%27%22_").want(t, 200)
}

func TestCalibrateReadsAsMuchAsItTakes(t *testing.T) {
	scan := func(searches int) int {
		config := small()
		config.Scan, config.Searches = 0, searches
		s := newTest(t, config)
		var posts int
		if err := s.store.db.QueryRow(`SELECT count(*) FROM messages`).Scan(&posts); err != nil || posts < s.scan {
			t.Fatalf("%d messages for a search of %d, %v", posts, s.scan, err)
		}
		if s.searchCost <= requestCost {
			t.Fatalf("a search costs %v", s.searchCost)
		}
		return s.scan
	}
	// The machine may be busy with other tests, so this is coarse.
	if fast, slow := scan(1000), scan(50); slow < 4*fast {
		t.Errorf("50 searches a second read %d messages each, 1000 read %d", slow, fast)
	}
}

func BenchmarkSearch(b *testing.B) {
	config := small()
	config.Posts, config.Scan = 1000, 1000
	s := newTest(b, config)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.trySearch(b.Context(), "blue bicycle"); err != nil {
			b.Fatal(err)
		}
	}
}
