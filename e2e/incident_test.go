package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// regulars visit until they are told to stop, and count what they were not given.
type regulars struct {
	stop        chan struct{}
	all         sync.WaitGroup
	asked, lost atomic.Int64
}

const (
	regularsCount = 10
	// regularsPause is how long each of them reads.
	regularsPause = 250 * time.Millisecond
	// measuredWithin is how far a measured time may lie from what happened.
	measuredWithin = 2 * time.Second
)

func visits(t *testing.T, address string) *regulars {
	r := &regulars{stop: make(chan struct{})}
	for range regularsCount {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := visitor(t)
		c.Jar = jar
		r.all.Go(func() {
			for first := true; ; first = false {
				select {
				case <-r.stop:
					return
				case <-time.After(regularsPause):
				}
				response, err := c.Get(address + "/")
				well := err == nil && response.StatusCode == http.StatusOK
				if err == nil {
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
				if first { // nobody knew them yet
					continue
				}
				r.asked.Add(1)
				if !well {
					r.lost.Add(1)
				}
			}
		})
	}
	return r
}

func (r *regulars) leave() {
	close(r.stop)
	r.all.Wait()
}

var statusLine = regexp.MustCompile(`status +(http://\S+)/`)

// An outage is noticed, measured and told: to the operator, on the status page
// and in the dossier. The page outlives a Deich that is killed, and the record
// tells when it was changed.
func TestIncidentIsMeasuredAndTold(t *testing.T) {
	b, m, data := build(t), newMoody(t), t.TempDir()
	m.be(t, wellAnswer)
	origin := "http://" + m.addr
	p := b.protect(t, data, origin, "--status", "127.0.0.1:0")
	var page string
	for _, line := range p.lines() {
		if found := statusLine.FindStringSubmatch(line); found != nil {
			page = found[1]
		}
	}
	if page == "" {
		t.Fatal("no status page was named")
	}
	people := visits(t, p.users)
	time.Sleep(12 * time.Second) // what is usual is learned
	if out := b.must(t, "incident", "list", "--data", data); out != "No incident is known.\n" {
		t.Errorf("in peace: %s", out)
	}
	began := time.Now()
	m.die()
	time.Sleep(8 * time.Second)
	drafted, draft := get(t, visitor(t), page+"/")
	if drafted.StatusCode != 200 || !strings.Contains(draft, "many users cannot read or send messages") || strings.Contains(draft, origin) {
		t.Errorf("%s after it began, the status page says: %s", time.Since(began), draft[strings.Index(draft, "<main"):])
	}
	ended := time.Now()
	m.be(t, wellAnswer)
	time.Sleep(9 * time.Second)
	people.leave()

	var all []struct {
		ID                         string
		Begin, Mitigated, Restored time.Time
		Asked, Lost                int64
		Cause                      string
	}
	if err := json.Unmarshal([]byte(b.must(t, "incident", "list", "--data", data, "--json")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%d incidents", len(all))
	}
	i := all[0]
	t.Logf("begin %v off, mitigated %v off, %d lost as counted by users, %d as measured", i.Begin.Sub(began), i.Mitigated.Sub(ended), people.lost.Load(), i.Lost)
	for what, off := range map[string]time.Duration{"begin": i.Begin.Sub(began), "mitigated": i.Mitigated.Sub(ended), "restored": i.Restored.Sub(ended)} {
		if off.Abs() > measuredWithin {
			t.Errorf("%s is %v off", what, off)
		}
	}
	if lost := people.lost.Load(); i.Lost*50 < lost*49 || i.Lost*50 > lost*51 {
		t.Errorf("users counted %d lost requests, and %d were measured: more than 2 %% apart", lost, i.Lost)
	}
	if i.Cause != "origin_fault" {
		t.Errorf("cause: %s", i.Cause)
	}
	t.Run("claims", func(t *testing.T) {
		claim := []string{"incident", "claim", "latest", "--data", data, "--by", "ada", "--who", "<script>alert(1)</script>", "--vector", "http", "--outage",
			"--from", i.Begin.Format(time.RFC3339), "--to", i.Mitigated.Format(time.RFC3339), "--about", "--purpose", "a test"}
		if out := b.must(t, claim...); !strings.Contains(out, "is contradicted.") || !strings.Contains(out, "Consistent is not attribution") {
			t.Errorf("%s", out)
		}
		if out := b.must(t, "incident", "import", "example:x-2025-05-24", "--data", data); !strings.Contains(out, "DieNet claims is not verifiable.") {
			t.Errorf("%s", out)
		}
	})
	t.Run("looks", func(t *testing.T) { deskLooks(t, b, p, page, data) })
	t.Run("prints", func(t *testing.T) { deskPrints(t, p, page) })
	t.Run("outlives", func(t *testing.T) { outlives(t, b, p, page, data, origin) })
	t.Run("verify", func(t *testing.T) { changedByte(t, b, data) })
}

// deskLooks looks at the pages as people see them.
func deskLooks(t *testing.T, b binary, p *process, page, data string) {
	console, _, _ := strings.Cut(p.link, "/?")
	var list []struct {
		ID       string
		Imported bool
	}
	if err := json.Unmarshal([]byte(b.must(t, "incident", "list", "--data", data, "--json")), &list); err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, i := range list {
		if i.Imported {
			told = i.ID
		}
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, lang := range []string{"en", "de"} {
			for name, address := range map[string]string{"status": page + "/", "incident": console + "/incidents/latest", "claim-x": console + "/incidents/" + told} {
				tab := newTab(t)
				tab.prefer(scheme, true)
				tab.speak(lang + "-XX, fr;q=0.5")
				if name != "status" {
					tab.do(chromedp.Navigate(p.link))
				}
				before := len(tab.asked())
				tab.do(chromedp.Navigate(address))
				name += "-" + lang + "-" + scheme
				tab.look(name, lang)
				if asked := tab.asked()[before:]; len(asked) != 1 {
					t.Errorf("%s: %d requests: %q", name, len(asked), asked)
				}
				tab.axe(name)
				tab.shoot(name)
				if (lang == "en") == (scheme == "light") { // one of each, lest there be too many pictures
					tab.view(1000, 1400)
					tab.shoot(name + "-wide")
				}
				for _, fault := range tab.complaints(address[:strings.Index(address[7:], "/")+7]) {
					t.Errorf("%s: %s", name, fault)
				}
			}
		}
	}
	tab := newTab(t)
	tab.do(chromedp.Navigate(p.link))
	tab.waitFor(`!document.getElementById("incident").hidden && document.getElementById("incident-text").textContent.includes("Began at") &&
		document.getElementById("incident-timeline").textContent.includes("A claim was noted: <script>alert(1)</script>.")`)
	// By its name, not by its place: the sentences above it change as it is aimed at.
	ask[bool](tab, `(document.getElementById("incident-link").click(), true)`)
	tab.waitFor(`document.title.startsWith("Dossier")`)
}

// outlives kills Deich and looks for the page; the next Deich takes it over,
// and ends it with itself.
func outlives(t *testing.T, b binary, p *process, page, data, origin string) {
	p.cmd.Process.Kill()
	<-p.ended
	time.Sleep(3 * time.Second)
	if r, body := get(t, visitor(t), page+"/"); r.StatusCode != 200 || !regexp.MustCompile(`Last heard ([3-9]|1\d) seconds ago`).MatchString(body) {
		t.Errorf("after a kill: %s", r.Status)
	}
	again := b.protect(t, data, origin, "--status", "127.0.0.1:0")
	again.hear(t, "outlived the last Deich")
	time.Sleep(2 * time.Second)
	if r, body := get(t, visitor(t), page+"/"); r.StatusCode != 200 || !regexp.MustCompile(`Last heard [0-5] seconds? ago`).MatchString(body) {
		t.Errorf("taken over: %s", r.Status)
	}
	if out := b.must(t, "incident", "list", "--data", data); strings.Count(out, "\n") != 3 {
		t.Errorf("after the kill there is:\n%s", out)
	}
	again.signal(t, syscall.SIGTERM)
	if code := again.end(t); code != 0 {
		t.Errorf("exit %d", code)
	}
	for end := time.Now().Add(patience); ; time.Sleep(aMoment) {
		r, err := visitor(t).Get(page + "/")
		if err != nil {
			break
		}
		r.Body.Close()
		if time.Now().After(end) {
			t.Fatal("the page goes on after Deich was ended")
		}
	}
	out := t.TempDir()
	b.must(t, "status", "publish", out, "--data", data)
	if text, err := os.ReadFile(filepath.Join(out, "de.html")); err != nil || !bytes.Contains(text, []byte("Stand: ")) {
		t.Errorf("published: %v", err)
	}
}

// changedByte changes one byte of the record.
func changedByte(t *testing.T, b binary, data string) {
	b.must(t, "incident", "verify", "--data", data)
	names, err := filepath.Glob(filepath.Join(data, "incidents", "*.log"))
	if err != nil || len(names) == 0 {
		t.Fatal("no record")
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte(`"kind":"opened"`))
	text[at+20]++
	if err := os.WriteFile(names[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	line := 1 + bytes.Count(text[:at], []byte{'\n'})
	if out, errs, code := b.run(t, "incident", "verify", "--data", data); code != 1 || !strings.Contains(out, names[0]+", line ") || !strings.Contains(errs, "1 place") {
		t.Errorf("line %d was changed; exit %d\n%s%s", line, code, out, errs)
	}
}
