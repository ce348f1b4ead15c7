package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deichproject/deich/drill/scenarios"
)

// shortScenario is a rehearsal of a few seconds on the small platform.
func shortScenario() scenarios.Scenario {
	s, err := scenarios.Parse([]byte(`{"name":"short","title":"A short one",
		"phases":{"peace":"1500ms","flood":"2s","after":"500ms"},
		"groups":[
			{"name":"known","kind":"browser","count":8,"from":"-1400ms","gap":"300ms","target":0.9},
			{"name":"api","kind":"program","count":2,"from":"-1400ms","gap":"300ms"},
			{"name":"newcomers","kind":"plain","count":2,"from":"0s","over":"1s","gap":"300ms"}],
		"attacks":[{"name":"search","request":"search","sources":100,"rate":60}]}`))
	if err != nil {
		panic(err) // the text above is wrong
	}
	return s
}

func TestShortRehearsalOnLoopback(t *testing.T) {
	defer goleak.VerifyNone(t)
	needLoopback(t)
	var out bytes.Buffer
	o := Options{Out: &out, Loopback: true}.withDefaults()
	box := &sandbox{kind: Loopback, why: "a test", net: addresses{net: 127}}
	r, err := newRehearsal(&o, box, shortScenario(), true)
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.run(t.Context(), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	flood := f.Groups[0].Cells[1]
	if flood.Requests < 20 || flood.Success < 0.9 || flood.Users != 8 {
		t.Errorf("known users in the flood: %+v", flood)
	}
	if in := f.Groups[2].In; in == nil || in.Users != 2 || in.Ever != 2 {
		t.Errorf("newcomers: %+v", in)
	}
	if a := f.Attack; a.Sent < 90 || a.Sent > 130 || a.Reached < 60 || !a.Holding {
		t.Errorf("attack: %+v", a)
	}
	if len(f.Processes) != 3 || f.Processes[0].Peak == 0 || len(f.Origin) == 0 {
		t.Errorf("processes %+v, origin %+v", f.Processes, f.Origin)
	}
	if f.Capacity.Searches < 20 || f.Capacity.Searches > 100 {
		t.Errorf("the platform does 100 searches a second at most, measured %.0f", f.Capacity.Searches)
	}
	for _, c := range []*child{r.origin, r.shield} {
		if !c.ended() {
			t.Errorf("%s still runs", c.name)
		}
	}
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left behind", r.dir)
	}
	if text := out.String(); !strings.Contains(text, "attack/s") || strings.Count(text, "\n") < 3 {
		t.Errorf("progress:\n%s", text)
	}
}

func TestShortRehearsalOverTLS(t *testing.T) {
	defer goleak.VerifyNone(t)
	needLoopback(t)
	var out bytes.Buffer
	o := Options{Out: &out, Loopback: true}.withDefaults()
	s := shortScenario()
	s.Shield.TLS = true
	s.Groups[0].Anew = true
	s.Attacks = []scenarios.Attack{
		{Name: "readers", Request: scenarios.Page, Manner: scenarios.Shake, Sources: 50, Rate: 30},
		{Name: "leavers", Request: scenarios.Page, Manner: scenarios.Hello, Sources: 50, Rate: 30},
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	r, err := newRehearsal(&o, &sandbox{kind: Loopback, why: "a test", net: addresses{net: 127}}, s, true)
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.run(t.Context(), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, g := range f.Groups[:2] {
		if flood := g.Cells[1]; flood.Requests < 5 || flood.Success < 0.9 {
			t.Errorf("%s in the flood: %+v", g.Name, flood)
		}
	}
	if a := f.Attack; a.Endings["TLS answer"] < 40 || a.Endings["left"] < 40 || a.Reached != 0 {
		t.Errorf("attack: %+v", a)
	}
	if _, err := os.Stat(r.identity.key); !os.IsNotExist(err) {
		t.Errorf("%s is left behind", r.identity.key)
	}
}

// At the machine's own loopback no gate is put up.
func TestGateNeedsANamespace(t *testing.T) {
	s, box := shortScenario(), &sandbox{kind: Loopback, net: addresses{net: 127}}
	for mode, fits := range map[string]bool{"": true, "off": true, "auto": false, "nft": false} {
		if err := possible(&Options{Gate: mode}, &s, box, true); (err == nil) != fits {
			t.Errorf("%q: %v", mode, err)
		}
	}
}

func TestTLSNeedsDeichInFront(t *testing.T) {
	s := shortScenario()
	box := &sandbox{kind: Loopback, net: addresses{net: 127}}
	if err := possible(&Options{}, &s, box, false); err != nil {
		t.Error(err)
	}
	s.Shield.TLS = true
	if err := possible(&Options{}, &s, box, true); err != nil {
		t.Error(err)
	}
	if err := possible(&Options{}, &s, box, false); !errors.Is(err, errCannotHere) {
		t.Errorf("%v", err)
	}
}

// needLoopback skips where 127.0.0.0/8 is not all local.
func needLoopback(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc to read processes' use from")
	}
}

// shortDrill is what the test's binary does as its own subcommand: a drill that
// runs itself again in a namespace, and floods over IPv6 there.
func shortDrill(ctx context.Context, f map[string]string) error {
	o := Options{Out: os.Stdout}.withDefaults()
	_, err := enter(ctx, o, nil, func(box *sandbox, _ net.Listener) (Report, error) {
		rep := newReport(box)
		s := shortScenario()
		s.Attacks[0].Networks = 4
		found, err := rehearse(ctx, &o, box, s)
		if errors.Is(err, errCannotHere) {
			rep.Skipped = append(rep.Skipped, Skipped{s.Name, err.Error()})
			err = nil
		} else if err == nil {
			rep.Runs = append(rep.Runs, found)
			writeTable(o.Out, found)
		}
		return rep, errors.Join(err, rep.write(f["json"], f["html"]))
	})
	return err
}

func TestDrillInANamespace(t *testing.T) {
	dir := t.TempDir()
	report, page := filepath.Join(dir, "report.json"), filepath.Join(dir, "report.html")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "drill-short", "--json", report, "--html", page)
	cmd.WaitDelay = stopMax
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var rep Report
	text, err := os.ReadFile(report)
	if err == nil {
		err = json.Unmarshal(text, &rep)
	}
	if err != nil {
		t.Fatal(err)
	}
	if rep.Sandbox != Namespace {
		if len(rep.Skipped) != 1 || rep.Why == "" {
			t.Errorf("on loopback, without a word why: %+v", rep)
		}
		t.Skipf("this system allows no network namespace: %s", rep.Why)
	}
	if len(rep.Runs) != 1 || rep.Runs[0].Attack.Sent < 90 || rep.Runs[0].Groups[0].Cells[0].Success < 0.9 {
		t.Errorf("%s", text)
	}
	if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte("<svg")) || bytes.Contains(html, []byte("NaN")) {
		t.Errorf("the page is wrong: %v", err)
	}
}

func TestFurnishRefusesAForeignNamespace(t *testing.T) {
	if err := alone(); err == nil {
		t.Skip("nothing but lo is up here")
	}
	if err := furnish(); err == nil {
		t.Error("it changed a namespace that is not its own")
	}
}

func TestLocalRouteMessage(t *testing.T) {
	m := localRoute(netip.MustParsePrefix("10.0.0.0/8"), 1, 7)
	// Checked against what `ip route add local 10.0.0.0/8 dev lo` sends, little endian.
	want := "44 24 1285 7 | family 2 bits 8 table 255 type 2"
	e := func(b []byte) int { return int(b[0]) | int(b[1])<<8 }
	got := strings.Join([]string{itoa(len(m)), itoa(e(m[4:])), itoa(e(m[6:])), itoa(e(m[8:]))}, " ") +
		" | family " + itoa(int(m[16])) + " bits " + itoa(int(m[17])) + " table " + itoa(int(m[20])) + " type " + itoa(int(m[23]))
	if got != want || e(m) != len(m) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseUsage(t *testing.T) {
	stat := []byte("42 (a (strange) name) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 100 1 1")
	status := []byte("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n")
	u, err := parseUsage(stat, status)
	if err != nil {
		t.Fatal(err)
	}
	if u.cpu != 2*time.Second || u.rss != 1<<20 || u.peak != 2<<20 {
		t.Errorf("%+v", u)
	}
	if _, err := parseUsage([]byte("nothing"), nil); err == nil {
		t.Error("nonsense was read")
	}
}

func TestParseBusy(t *testing.T) {
	b, err := parseBusy([]byte("cpu  100 10 50 9999 8888 3 4 5 0 0\ncpu0 1 1\n"))
	if err != nil || b.processes != 1600*time.Millisecond || b.stolen != 50*time.Millisecond || b.interrupts != 70*time.Millisecond {
		t.Errorf("%+v, %v", b, err)
	}
	for _, text := range []string{"", "cpu 1 2", "intr 1 2 3 4 5 6 7 8 9", "cpu a b c d e f g h"} {
		if _, err := parseBusy([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func FuzzParseUsage(f *testing.F) {
	f.Add([]byte("42 (x) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0"), []byte("VmRSS:\t 1 kB\n"))
	f.Add([]byte(")"), []byte("VmRSS:"))
	f.Add([]byte("cpu  1 2 3 4 5 6 7 8 9 10\n"), []byte{})
	f.Fuzz(func(t *testing.T, stat, status []byte) {
		if u, err := parseUsage(stat, status); err == nil && len(stat) < 20 {
			t.Fatalf("%+v of %d bytes", u, len(stat))
		}
		if _, ended, err := parseGroup(stat); err != nil && ended != 0 {
			t.Fatalf("%v beside %v", ended, err)
		}
		if _, err := parseBusy(stat); err == nil && !bytes.HasPrefix(bytes.TrimSpace(stat), []byte("cpu")) {
			t.Fatalf("read as the machine's stat: %q", stat)
		}
	})
}

func TestChildEndsAndTells(t *testing.T) {
	defer goleak.VerifyNone(t)
	c, err := launch("shell", nil, "/bin/sh", "-c", "echo see http://127.0.0.1:2020/?token=abc; exec sleep 60")
	if err != nil {
		t.Fatal(err)
	}
	for c.out.link() == "" && !c.ended() {
		if !rest(t.Context(), 5*time.Millisecond) {
			t.Fatal("the test ended first")
		}
	}
	if got := c.out.link(); got != "http://127.0.0.1:2020/?token=abc" {
		t.Errorf("link %q", got)
	}
	c.stop()
	if !c.ended() {
		t.Error("it still runs")
	}
	c.stop() // a second time does nothing
}

func TestChildThatFailsIsToldOf(t *testing.T) {
	c, err := launch("shell", nil, "/bin/sh", "-c", "echo no disk left; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	err = c.ready(t.Context(), netip.MustParseAddrPort("127.0.0.1:1"))
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no disk left") {
		t.Errorf("%v", err)
	}
}

// TestAnotherProgramsListenerIsNotTaken: a process that ends since its port is
// taken is not believed to listen there.
func TestAnotherProgramsListenerIsNotTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := launch("shell", nil, "/bin/sh", "-c", "sleep .1; echo address in use; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	err = c.ready(t.Context(), l.Addr().(*net.TCPAddr).AddrPort())
	if err == nil || !strings.Contains(err.Error(), "another program listens") || !strings.Contains(err.Error(), "address in use") {
		t.Errorf("%v", err)
	}
}

// TestNothingIsSentToAPortThatNobodyHolds: on loopback a port that is free for a
// while may be given to another program.
func TestNothingIsSentToAPortThatNobodyHolds(t *testing.T) {
	for name, change := range map[string]func(*scenarios.Scenario){
		"the shield begins later": func(s *scenarios.Scenario) { s.Shield.Start = s.Phases.Flood / 2 },
		"the origin is killed":    func(s *scenarios.Scenario) { s.Origin.Down = true },
	} {
		for kind, fits := range map[string]bool{Loopback: false, Namespace: true} {
			s := shortScenario()
			change(&s)
			if err := possible(&Options{}, &s, &sandbox{kind: kind, net: addresses{net: 127}}, true); (err == nil) != fits || err != nil && !errors.Is(err, errCannotHere) {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
		}
	}
}

func TestChildOnOneCore(t *testing.T) {
	c, err := launch("cat", []int{0}, "/bin/cat", "/proc/self/status")
	if err != nil {
		t.Skipf("there is no /bin/cat: %v", err)
	}
	<-c.done
	if !strings.Contains(c.out.String(), "Cpus_allowed_list:\t0\n") {
		t.Errorf("not on core 0 alone:\n%s", c.out)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	tl := &tail{}
	for i := range 3 * TailBytesMax / 8 {
		if _, err := tl.Write([]byte(strconv.Itoa(10000000+i) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if len(tl.text) > 2*TailBytesMax || !strings.HasSuffix(tl.String(), strconv.Itoa(10000000+3*TailBytesMax/8-1)) {
		t.Errorf("%d bytes kept, ending %q", len(tl.text), tl.String()[len(tl.String())-10:])
	}
}
