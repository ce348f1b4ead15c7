package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// explained is what `deich explain REFERENCE --json` says.
type explained struct {
	Reference struct {
		Act, Reason, Tier, Prefix string
		Rank, Cut                 int
	}
}

// rankOf asks for what is denied by hand, and gives the rank that the refusal
// tells of.
func rankOf(t *testing.T, b binary, p *process, c *http.Client) explained {
	t.Helper()
	r, _ := get(t, c, p.users+"/closed")
	if r.StatusCode != 403 || r.Header.Get("Deich-Reason") != "by_hand" {
		t.Fatalf("%s %s", r.Status, r.Header.Get("Deich-Reason"))
	}
	var is explained
	if err := json.Unmarshal([]byte(b.must(t, "explain", r.Header.Get("Deich-Reference"), "--json", "--data", p.data)), &is); err != nil {
		t.Fatal(err)
	}
	return is
}

// Whoever was served in peace is known after a restart, however Deich ended.
func TestRestartForgetsNobody(t *testing.T) {
	b := build(t)
	origin, data := platform(t, "hello"), filepath.Join(t.TempDir(), "state")
	known, stranger := from(127, 1, 2, 3), from(127, 9, 8, 7)
	p := b.protect(t, data, origin.URL)
	b.must(t, "deny", "/closed", "--data", data)
	get(t, known, p.users+"/")
	time.Sleep(1100 * time.Millisecond) // trust is counted in seconds
	before := rankOf(t, b, p, known).Reference.Rank
	if never := rankOf(t, b, p, stranger).Reference.Rank; before < 41 || never >= 41 {
		t.Fatalf("the known address ranks %d, one that was never served %d", before, never)
	}
	p.stop(t)
	onlyKept(t, data)

	p = b.protect(t, data, origin.URL)
	if after := rankOf(t, b, p, known).Reference.Rank; after < before {
		t.Errorf("it ranked %d, and %d after the restart", before, after)
	}
	if never := rankOf(t, b, p, from(127, 9, 8, 6)).Reference.Rank; never >= 41 {
		t.Errorf("a stranger ranks %d", never)
	}
	for _, line := range p.lines() {
		if line != "" && line[0] == 'd' { // deich: warnings begin so
			t.Errorf("it said %q", line)
		}
	}

	// Killed, it has no time to write anything; what was written before holds.
	p.signal(t, syscall.SIGKILL)
	p.end(t)
	writeFile(t, filepath.Join(data, "engine.state.new-1"), "half of it") // as a kill in the middle of writing leaves
	p = b.protect(t, data, origin.URL)
	if after := rankOf(t, b, p, known).Reference.Rank; after < before {
		t.Errorf("it ranked %d, and %d after a kill", before, after)
	}
	p.stop(t)
	onlyKept(t, data)
}
