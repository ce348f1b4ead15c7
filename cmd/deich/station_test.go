package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/edge"
	"go.uber.org/goleak"
)

// Where a station starts the status page's process, the test's own binary is that, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "status" {
		os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// standing opens and serves a station in front of an origin, until the test ends.
func standing(t *testing.T, data string, change ...func(*settings)) *station {
	t.Helper()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	c := protectCommand{To: origin.URL, Listen: []string{"127.0.0.1:0"}, Console: "127.0.0.1:0", Data: data}
	first, err := c.settings()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&first)
	}
	heard := &signalled{words: "Ctrl-C ends it", heard: make(chan struct{})}
	s, err := openStation(&terminal{heard, heard}, first, c.settings)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("end: %v", err)
		}
		origin.Close()
	})
	select {
	case <-heard.heard:
	case err := <-ended:
		ended <- err
		t.Fatalf("it ended: %v", err)
	}
	return s
}

// signalled is a terminal that tells when words were said.
type signalled struct {
	words string
	heard chan struct{}
}

func (s *signalled) Write(b []byte) (int, error) {
	if strings.Contains(string(b), s.words) {
		close(s.heard)
	}
	return len(b), nil
}

// call asks the station's private API.
func call(s *station, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+s.token)
	w := httptest.NewRecorder()
	s.desk.Handler().ServeHTTP(w, r)
	return w
}

func TestPrivateAPI(t *testing.T) {
	s := standing(t, t.TempDir())
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"list", "POST", "/api/v1/hand", `{"act":"deny","target":"203.0.113.7","for":"1h"}`, 200, `"id":1`},
		{"list a path", "POST", "/api/v1/hand", `{"act":"allow","target":"/health"}`, 200, `"target":"/health"`},
		{"list an act that is none", "POST", "/api/v1/hand", `{"act":"burn","target":"203.0.113.7"}`, 400, "allow"},
		{"list an act of others", "POST", "/api/v1/hand", `{"act":"drop","target":"203.0.113.7"}`, 422, "allow and deny"},
		{"list a name", "POST", "/api/v1/hand", `{"act":"deny","target":"example.org"}`, 422, "no address"},
		{"list bits beyond", "POST", "/api/v1/hand", `{"act":"deny","target":"10.0.0.1/8"}`, 422, "10.0.0.0/8"},
		{"list for no time", "POST", "/api/v1/hand", `{"act":"deny","target":"203.0.113.7","for":"-1h"}`, 422, "10m"},
		{"list with a key too many", "POST", "/api/v1/hand", `{"act":"deny","target":"203.0.113.7","note":"x"}`, 400, "note"},
		{"list two", "POST", "/api/v1/hand", `{"act":"deny","target":"203.0.113.7"}{}`, 400, "more than one"},
		{"list nothing", "POST", "/api/v1/hand", ``, 400, "JSON"},
		{"list too much", "POST", "/api/v1/hand", `{"act":"deny","target":"` + strings.Repeat("x", 1<<17) + `"}`, 413, "too long"},
		{"rules", "GET", "/api/v1/hand", ``, 200, `"target":"203.0.113.7"`},
		{"explain an address", "GET", "/api/v1/explain/203.0.113.7", ``, 200, `"act":"deny"`},
		{"explain one that is not listed", "GET", "/api/v1/explain/203.0.113.8", ``, 200, `"hand":[]`},
		{"explain a forged reference", "GET", "/api/v1/explain/" + strings.Repeat("a", 76), ``, 404, "no reference"},
		{"explain with slashes", "GET", "/api/v1/explain/../../etc/passwd", ``, 307, ""},
		{"undo", "DELETE", "/api/v1/hand/1", ``, 204, ""},
		{"undo again", "DELETE", "/api/v1/hand/1", ``, 404, "nothing is listed"},
		{"undo nonsense", "DELETE", "/api/v1/hand/x", ``, 404, "nothing is listed"},
		{"bypass", "POST", "/api/v1/bypass", `{"for":"5m"}`, 200, `"until"`},
		{"bypass for ever", "POST", "/api/v1/bypass", `{"for":"1000h"}`, 422, "at most 24h"},
		{"bypass for no time", "POST", "/api/v1/bypass", `{}`, 422, "span"},
		{"end it", "DELETE", "/api/v1/bypass", ``, 204, ""},
		{"reload", "POST", "/api/v1/reload", ``, 204, ""},
		{"state", "GET", "/api/v1/state", ``, 200, `"origins":[{"name":"http://127.0.0.1`},
		{"wrong method", "PUT", "/api/v1/hand", ``, 405, ""},
	} {
		w := call(s, c.method, c.path, c.body)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s, want %d and %q", c.name, w.Code, w.Body, c.status, c.want)
		}
	}
	if s.engine.BypassUntil() > s.now() {
		t.Error("bypass is still on")
	}
}

func TestHandSurvives(t *testing.T) {
	data := t.TempDir()
	t.Run("listed", func(t *testing.T) {
		s := standing(t, data)
		for _, body := range []string{
			`{"act":"deny","target":"203.0.113.0/24","for":"1h"}`, `{"act":"allow","target":"/health"}`, `{"act":"deny","target":"2001:db8::1"}`,
		} {
			if w := call(s, "POST", "/api/v1/hand", body); w.Code != 200 {
				t.Fatal(w.Body)
			}
		}
		call(s, "DELETE", "/api/v1/hand/2", "")
	})
	t.Run("after a restart", func(t *testing.T) {
		s := standing(t, data)
		var is rulesView
		if err := json.Unmarshal(call(s, "GET", "/api/v1/hand", "").Body.Bytes(), &is); err != nil {
			t.Fatal(err)
		}
		if len(is.Hand) != 2 || is.Hand[0].ID != 1 || is.Hand[0].Target != "203.0.113.0/24" || is.Hand[0].Until.IsZero() ||
			is.Hand[1].ID != 3 || is.Hand[1].Target != "2001:db8::1" || !is.Hand[1].Until.IsZero() {
			t.Errorf("%+v", is.Hand)
		}
	})
	for name, text := range map[string]string{
		"broken":      `[{"act":"deny"`,
		"unknown act": `[{"id":1,"act":"burn","path":"/"}]`,
		"no target":   `[{"id":1,"act":"deny"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, handFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c := protectCommand{To: "http://127.0.0.1:9", Listen: []string{"127.0.0.1:0"}, Console: consoleOff, Data: dir}
			first, err := c.settings()
			if err != nil {
				t.Fatal(err)
			}
			_, err = openStation(&terminal{io.Discard, io.Discard}, first, c.settings)
			var said bytes.Buffer
			complain(&said, err)
			if err == nil || !strings.Contains(said.String(), handFile) || !strings.Contains(said.String(), "hint: ") {
				t.Errorf("%v: %s", err, said.String())
			}
			if b, _ := os.ReadFile(filepath.Join(dir, handFile)); string(b) != text {
				t.Error("the file was changed")
			}
		})
	}
}

func TestListingsThatEndedAreForgotten(t *testing.T) {
	engine, err := deich.New(deich.Policy{Sources: deich.SourcesMin}, [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	lines := []handLine{
		{ID: 1, Act: deich.Deny, Path: "/late", Until: time.Now().Add(-time.Minute)},
		{ID: 2, Act: deich.Deny, Path: "/now", Until: time.Now().Add(time.Minute)},
	}
	b, _ := json.Marshal(lines)
	os.WriteFile(filepath.Join(dir, handFile), b, 0o600)
	h := handList{data: &dataDir{path: dir}, engine: engine, now: newClock()}
	if err := h.load(); err != nil {
		t.Fatal(err)
	}
	if all := engine.Listed(h.now()); len(all) != 1 || all[0].Path != "/now" || all[0].ID != 2 {
		t.Errorf("%+v", all)
	}
}

// Where the disk takes nothing, what was listed or taken back is so until the
// restart, and both languages say that; as they do when there is no room for more.
func TestListingsThatAreNotOnDisk(t *testing.T) {
	engine, err := deich.New(deich.Policy{Sources: deich.SourcesMin}, [32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	h := handList{data: &dataDir{path: filepath.Join(t.TempDir(), "gone")}, engine: engine, now: newClock()}
	in := func(err error) string { return strings.Join(incident.AllWrong(err, "de"), "") }
	id, err := h.list(deich.Hand{Act: deich.Deny, Path: "/a"})
	if id == 0 || err == nil || !strings.Contains(err.Error(), "a restart will forget it: ") || !strings.Contains(in(err), "ein Neustart wird es vergessen: ") {
		t.Errorf("listed: %v; %s", err, in(err))
	}
	found, err := h.undo(id, deich.NewOut())
	if !found || err == nil || !strings.Contains(err.Error(), "taken back") || !strings.Contains(in(err), "ist zurückgenommen") {
		t.Errorf("taken back: %v; %s", err, in(err))
	}
	for n := 0; ; n++ {
		id, err = h.list(deich.Hand{Act: deich.Deny, Path: fmt.Sprintf("/%d", n)})
		if id == 0 {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "undo some first") || !strings.Contains(in(err), "nehmen Sie erst etwas zurück") {
		t.Errorf("no room: %v; %s", err, in(err))
	}
}

// A disk that takes no file any more is no reason to leave the platform without a dike.
func TestStandsWhereNothingCanBeWritten(t *testing.T) {
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, consoleFile), 0o700); err != nil { // in whose place no file can be put
		t.Fatal(err)
	}
	s := standing(t, data)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + s.edge.Addrs()[0].String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if b, err := io.ReadAll(answer.Body); err != nil || string(b) != "hello" {
		t.Errorf("%s %q %v", answer.Status, b, err)
	}
	if w := call(s, "GET", "/healthz", ""); w.Code != 200 {
		t.Errorf("the console: %d", w.Code)
	}
}

func TestDataFolderIsHeld(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	first, err := openData(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if _, err := openData(dir); err == nil || !strings.Contains(err.Error(), "another Deich") {
		t.Errorf("a second one: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	// What a Deich that was killed left half written goes; what is kept stays.
	half, kept := filepath.Join(dir, stateFile+newMark+"17"), filepath.Join(dir, handFile)
	for _, name := range []string{half, kept} {
		if err := os.WriteFile(name, []byte("[]"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second, err := openData(dir)
	if err != nil {
		t.Fatalf("after the first: %v", err)
	}
	defer second.close()
	if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half of a file stays: %v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func TestWriteReplacesAsAWhole(t *testing.T) {
	d := &dataDir{path: t.TempDir()}
	for _, text := range []string{"one", "another, longer one", ""} {
		if err := d.write("x", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(d.file("x")); err != nil || string(b) != text {
			t.Errorf("%q %v", b, err)
		}
	}
	if entries, _ := os.ReadDir(d.path); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	gone := &dataDir{path: filepath.Join(d.path, "gone")}
	if err := gone.write("x", nil); err == nil {
		t.Error("wrote into a folder that is not there")
	}
}

// TestWhatWasLearnedSaysOfWhom: the numbers of platforms follow the configuration's
// order at a start, what was learned follows the platforms.
func TestWhatWasLearnedSaysOfWhom(t *testing.T) {
	names, learned := cutOrigins(append(headOrigins([]string{"http://a", "http://b", ""}), "deich\n\x03"...))
	if string(learned) != "deich\n\x03" {
		t.Errorf("learned %q", learned)
	}
	if got := placesOf([]string{"http://new", "http://a", "http://b", ""}, names); !slices.Equal(got, []int{-1, 0, 1, -1}) {
		t.Errorf("places %v", got)
	}
	for _, old := range []string{"deich\x03 and more\n", "origins [1]\nx", "origins []", ""} { // of before there was such a line
		if names, learned := cutOrigins([]byte(old)); names != nil || string(learned) != old || placesOf([]string{"http://a"}, names) != nil {
			t.Errorf("%q: %q of %q", old, learned, names)
		}
	}
}

func TestOriginsKeepTheirNumbers(t *testing.T) {
	site := func(origins ...string) edge.Site { return edge.Site{Origins: origins} }
	names := nameOrigins(nil, []edge.Site{site("b", "a"), site("c"), site("a", "b")}, 2)
	if !slices.Equal(names, []string{"a, b", "c"}) {
		t.Fatalf("%q", names)
	}
	names = nameOrigins(names, []edge.Site{site("d"), site("c")}, 2)
	if !slices.Equal(names, []string{"d", "c"}) {
		t.Errorf("one in the place of another: %q", names)
	}
	names = nameOrigins(names, []edge.Site{site("c")}, 2)
	if !slices.Equal(names, []string{"", "c"}) {
		t.Errorf("one gone: %q", names)
	}
}

func TestSentencesOfEvents(t *testing.T) {
	var c chronicle
	prefix := netip.MustParsePrefix("203.0.113.0/24")
	second := deich.Time(time.Second)
	for _, e := range []struct {
		event deich.Event
		loud  bool
		want  string
	}{
		{deich.Event{Kind: deich.PressureBegan, Value: 9.63}, true, "9.6 times as much"},
		{deich.Event{Kind: deich.PressureBegan, Value: .1}, true, "asked at once"},
		{deich.Event{Kind: deich.PressureEnded}, true, "keeps up"},
		{deich.Event{Kind: deich.OneAddress, Value: .97, Prefix: netip.MustParsePrefix("10.0.0.1/32")}, true, "97 % of requests come from one address, 10.0.0.1."},
		{deich.Event{Kind: deich.OriginFailing, Origin: 1, At: second}, true, "does not answer"},
		{deich.Event{Kind: deich.SourceJudged, At: second, Prefix: prefix}, false, "203.0.113.0/24 kept sending"},
		{deich.Event{Kind: deich.SourceJudged, At: 2 * second, Prefix: prefix, Value: 300}, false, ""},
		{deich.Event{Kind: deich.SourceJudged, At: 3 * second, Prefix: prefix}, false, ""},
		{deich.Event{Kind: deich.SourceJudged, At: 11 * second, Prefix: prefix}, false, "302 sources kept sending"},
	} {
		loud, text := c.sentence(e.event)
		if loud != e.loud || !strings.Contains(text.English, e.want) || (e.want == "") != (text.English+text.German == "") || text.English != "" && text.German == "" {
			t.Errorf("%v: %v %q, want %v %q", e.event.Kind, loud, text, e.loud, e.want)
		}
	}
	if c.failingSince(1).IsZero() || !c.failingSince(0).IsZero() {
		t.Error("it does not remember which origin fails")
	}
	if c.sentence(deich.Event{Kind: deich.OriginBack, Origin: 1}); !c.failingSince(1).IsZero() {
		t.Error("it does not forget that the origin failed")
	}
}

// Every reason that a page can show has words for the operator.
func TestEveryReasonIsExplained(t *testing.T) {
	silent := []deich.Reason{deich.NoReason, deich.Called, deich.Lottery, deich.Bypassed, deich.Observed, deich.Cached} // nobody is refused for these
	for _, r := range deich.Reasons() {
		if words := reasonWords(r.String()).English; strings.HasPrefix(words, "The reason is") && !slices.Contains(silent, r) {
			t.Errorf("%v: %s", r, words)
		}
	}
}

func TestReachable(t *testing.T) {
	for given, want := range map[string]string{
		"127.0.0.1:2020": "127.0.0.1:2020", "0.0.0.0:2020": "127.0.0.1:2020", "[::]:2020": "localhost:2020", "[::1]:2020": "[::1]:2020",
	} {
		if got := reachable(address(given)); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// Every command explains itself with an example that names it.
func TestEveryCommandHasAnExample(t *testing.T) {
	for _, name := range []string{"demo", "protect", "run", "config check", "config show", "top", "explain", "allow", "deny",
		"bypass", "rules", "undo", "reload", "drill", "version", "alert list", "alert take", "alert test"} {
		var out, errs bytes.Buffer
		if code := command(append(strings.Fields(name), "--help"), &out, &errs); code != 0 || !strings.Contains(out.String(), "  deich "+name) {
			t.Errorf("%s: exit %d\n%s%s", name, code, out.String(), errs.String())
		}
	}
	var out bytes.Buffer
	if code := command(nil, &out, &out); code != 0 || strings.Contains(out.String(), "townsquare") {
		t.Errorf("exit %d:\n%s", code, out.String())
	}
}
