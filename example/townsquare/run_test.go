package townsquare

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestRunKeepsWhatWasPosted(t *testing.T) {
	config := small()
	config.Data = filepath.Join(t.TempDir(), "not yet there")
	first := run(t, config)
	b := another(t, first.url)
	b.get("/healthz").want(t, 200).wantText(t, `{"ok":true}`)
	b.login("user0003")
	b.form("/messages", "text", "kept over a restart").want(t, http.StatusSeeOther)
	if err := first.stop(); err != nil {
		t.Fatalf("Run ended with %v", err)
	}
	b.base = run(t, config).url
	var list list
	b.get("/api/timeline?limit=50").want(t, 200).decode(t, &list)
	if got := list.Messages[0]; got.Text != "kept over a restart" || got.ID != int64(config.Posts)+1 {
		t.Fatalf("newest is %+v", got)
	}
}

func TestRunUsesOneCoreAndGivesItBack(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	one := run(t, small())
	if during := runtime.GOMAXPROCS(0); during != 1 {
		t.Errorf("GOMAXPROCS is %d while it runs, want 1", during)
	}
	if err := one.stop(); err != nil {
		t.Fatal(err)
	}
	if after := runtime.GOMAXPROCS(0); after != before {
		t.Errorf("GOMAXPROCS is %d after, want %d", after, before)
	}
}

func TestRunEndsWithStreamsOpenAndLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	platform := run(t, small())
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	stream, err := client.Get(platform.url + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if line, err := bufio.NewReader(stream.Body).ReadString('\n'); err != nil || line != "retry: 3000\n" {
		t.Fatalf("stream begins with %q, %v", line, err)
	}
	began := time.Now()
	if err := platform.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > drainMax {
		t.Errorf("ending took %v", took)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestStatsHaveAnAddressOfTheirOwn(t *testing.T) {
	config := small()
	config.Stats = "127.0.0.1:99999"
	if err := Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), "99999") {
		t.Errorf("an address that cannot be had: %v", err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config.Stats = free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	config.Connections = 1
	platform := run(t, config)
	only := another(t, platform.url)
	only.get("/").want(t, 200) // and its connection stays
	stats := another(t, "http://"+config.Stats)
	stats.get("/stats").want(t, 200).wantText(t, `"GET /{$}"`)
	stats.get("/healthz").want(t, 200)
	stats.get("/").want(t, 404)
}

func TestConfigErrorsAllAtOnce(t *testing.T) {
	err := Run(t.Context(), Config{
		Listen: "nowhere", Stats: "nowhere", Users: -1, Posts: PostsMax + 1, Searches: 1, Scan: -1,
		Procs: ProcsMax + 1, Connections: -1, PasswordCost: 99,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"listen", "stats", "users", "posts", "searches", "scan", "procs", "connections", "password cost"} {
		if !strings.Contains(err.Error(), "config: "+name) {
			t.Errorf("no error about %s in\n%v", name, err)
		}
	}
}

func TestSeedDecidesWhatIsMade(t *testing.T) {
	texts := func(seed uint64) string {
		config := small()
		config.Seed = seed
		s := newTest(t, config)
		all, err := s.store.timeline(t.Context(), page{size: config.Posts + 1})
		if err != nil || len(all) != config.Posts {
			t.Fatalf("%d messages, %v", len(all), err)
		}
		var b strings.Builder
		for i, p := range all {
			if i > 0 && p.At.After(all[i-1].At) {
				t.Fatalf("message %d is later than %d", p.ID, all[i-1].ID)
			}
			b.WriteString(p.Author + p.Display + p.Text + "\n")
		}
		return b.String()
	}
	one := texts(1)
	if one != texts(1) {
		t.Error("the same seed gave something else")
	}
	if one == texts(2) {
		t.Error("another seed gave the same")
	}
}
