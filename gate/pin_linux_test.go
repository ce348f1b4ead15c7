package gate

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// keeperPins has the keeper's gate be pinned.
const keeperPins = "DEICH_GATE_TEST_PINNED"

// pinned is a gate that outlives its process.
type pinned struct {
	At     string // the interface
	Owner  string
	Lasts  time.Duration
	Judged []netip.Prefix
}

func (p pinned) options() Options {
	at := netip.MustParseAddrPort("127.0.0.1:8080")
	return Options{
		Config: Config{Mode: XDP, Interfaces: []string{p.At}, Pinned: true}, Owner: p.Owner, lasts: p.Lasts,
		Ports: []Port{{At: at}, {At: at, UDP: true}},
	}
}

// keep starts a process that keeps it up.
func (p pinned) keep(t *testing.T, change func(*exec.Cmd)) *exec.Cmd {
	t.Helper()
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return keeperAs(t, change, XDP, keeperPins+"="+string(b))
}

func asItIs(*exec.Cmd) {}

func kill(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.Wait()
}

// bpfFolder mounts a bpf filesystem, the only one here.
func bpfFolder(t *testing.T) string {
	t.Helper()
	needPrograms(t)
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // for who is not root
		t.Fatal(err)
	}
	if err := unix.Mount("bpf", dir, "bpf", 0, "mode=0700"); err != nil {
		lack(t, "no bpf filesystem can be mounted here", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// pinsIn gives what is in a bpf filesystem, but for what the kernel puts there itself.
func pinsIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "maps.debug" && name != "progs.debug" {
			names = append(names, name)
		}
	}
	return names
}

// holdsNothing says that neither pins nor programs are left.
func holdsNothing(t *testing.T, dir string) {
	t.Helper()
	if left := pinsIn(t, dir); len(left) > 0 {
		t.Errorf("left in the bpf filesystem: %v", left)
	}
	if found, _, err := Found(); err != nil || len(found) > 0 {
		t.Errorf("found: %v, %v", found, err)
	}
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if there, err := programsAt(i.Index); err != nil || len(there) > 0 {
			t.Errorf("%s: %v, %v", i.Name, there, err)
		}
	}
}

// A pinned gate whose Deich was killed goes on dropping for as long as it
// believes in it, and lets everything pass afterwards.
func TestPinnedFailsOpenAfterAWhile(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := bpfFolder(t)
	own := echo(t, "127.0.0.1:8080")
	p := pinned{At: "lo", Lasts: 5 * time.Second, Judged: prefixes("127.0.0.2/32")}
	c := p.keep(t, asItIs)
	time.Sleep(p.Lasts + beatEvery) // it goes on as long as it lives
	if reaches("127.0.0.2", own.String()) || !reaches("127.0.0.3", own.String()) {
		t.Fatal("it does not stand")
	}
	kill(t, c)
	// The latest beat may be as old as a beat takes.
	for sure := time.Now().Add(p.Lasts - beatEvery - 500*time.Millisecond); ; {
		through := reaches("127.0.0.2", own.String())
		if time.Now().After(sure) {
			break
		}
		if through {
			t.Fatal("the judged source gets through at once")
		}
		if !reaches("127.0.0.3", own.String()) {
			t.Fatal("another source does not")
		}
	}
	within(t, p.Lasts, "after a while, the judged source gets through", true, func() bool { return reaches("127.0.0.2", own.String()) })

	// It stands there still, until somebody takes it away.
	if found, _, err := Found(); err != nil || len(found) != 2 || !strings.Contains(found[1], filepath.Join(dir, pinsName)) {
		t.Errorf("found: %v, %v", found, err)
	}
	if gone, _, err := Takeaway(); err != nil || len(gone) != 2 {
		t.Errorf("taken away: %v, %v", gone, err)
	}
	holdsNothing(t, dir)
}

// arrivals counts datagrams by where they come from.
type arrivals struct {
	judged, other atomic.Int64
}

// pour sends datagrams from a judged source and from another until the test ends or stop
// is called, and counts what arrives: one of each every half millisecond.
func pour(t *testing.T, p *peer, judged, other, to string) (a *arrivals, stop func()) {
	t.Helper()
	in, err := net.ListenPacket("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	a = new(arrivals)
	var all sync.WaitGroup
	all.Go(func() {
		b := make([]byte, 16)
		for {
			_, from, err := in.ReadFrom(b)
			if err != nil {
				return
			}
			switch from.(*net.UDPAddr).IP.String() {
			case judged:
				a.judged.Add(1)
			case other:
				a.other.Add(1)
			}
		}
	})
	dial := func(from string) (c net.Conn) {
		open := func() {
			d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
			c, err = d.Dial("udp", to)
		}
		if p != nil {
			p.do(open) // a socket stays in the namespace it was made in
		} else {
			open()
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, two := dial(judged), dial(other)
	done := make(chan struct{})
	all.Go(func() {
		tick := time.NewTicker(500 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				one.Write([]byte("judged"))
				two.Write([]byte("other"))
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); one.Close(); two.Close(); in.Close(); all.Wait() })
	t.Cleanup(stop)
	return a, stop
}

// Of a judged source not one packet passes while Deich is killed and started
// again, and while the next one stands on without having judged anybody.
func TestTakenOverWithoutAGap(t *testing.T) {
	for _, c := range []struct {
		name, at, judged, other, to string
		change                      func(*exec.Cmd)
	}{
		{"native", here, "10.99.0.2", "10.99.0.3", "10.99.0.1:8080", asItIs},
		{"generic", "lo", "127.0.0.2", "127.0.0.3", "127.0.0.1:8080", asItIs},
		{"generic, of two capabilities", "lo", "127.0.0.2", "127.0.0.3", "127.0.0.1:8080", as(unix.CAP_BPF, unix.CAP_NET_ADMIN)},
	} {
		if os.Getenv(inSpace) == "" && c.name != "native" {
			break // the process in the namespace does all of them
		}
		if !alone(t) {
			return
		}
		t.Run(c.name, func(t *testing.T) {
			dir := bpfFolder(t)
			if err := os.Chown(dir, 65534, 65534); err != nil {
				t.Fatal(err)
			}
			var far *peer
			if c.at == here {
				far = cable(t)
			}
			p := pinned{At: c.at, Owner: "one", Lasts: 6 * time.Second, Judged: prefixes(c.judged + "/32")}
			first := p.keep(t, c.change)
			a, stop := pour(t, far, c.judged, c.other, c.to)
			arrive := func(phase string) {
				t.Helper()
				before := a.other.Load()
				becomes(t, phase+": others arrive", true, func() bool { time.Sleep(time.Millisecond); return a.other.Load() > before+100 })
				if n := a.judged.Load(); n > 0 {
					t.Fatalf("%s: %d packets of the judged source got through", phase, n)
				}
			}
			arrive("the first Deich")
			kill(t, first)
			arrive("none")
			p.Judged = nil
			second := p.keep(t, c.change)
			arrive("the second Deich")
			kill(t, second)
			p.keep(t, c.change)
			time.Sleep(p.Lasts + beatEvery)
			arrive("the third, longer than the first's beat lasts")
			stop()
			if gone, _, err := Takeaway(); err != nil || len(gone) != 2 {
				t.Errorf("taken away: %v, %v", gone, err)
			}
			holdsNothing(t, dir)
		})
	}
}

// What was taken over is in the books: it is counted, cleared away where it
// ends, told of to the engine, and can be taken back though the engine did not
// order it.
func TestTakenOverVerdictsAreKnown(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := bpfFolder(t)
	own := echo(t, "127.0.0.1:8080")
	through := func(from string) func() bool { return func() bool { return reaches(from, own.String()) } }
	p := pinned{At: "lo", Owner: "one", Judged: prefixes("127.0.0.2/32", "127.0.0.3/32", "127.1.2.0/24", "fd99::/64", "fd99:1::/48")}
	kill(t, p.keep(t, asItIs))

	s := standWith(t, p.options())
	if st := s.Status(); st.Sources != 5 || st.Backend != Generic || st.Pinned != filepath.Join(dir, pinsName) || st.Missed != 0 {
		t.Fatalf("%+v", st)
	}
	if reaches("127.1.2.9", own.String()) {
		t.Error("a source in a judged prefix gets through")
	}
	if s.told("127.1.2.0/24", 5*time.Second) == 0 {
		t.Error("the engine did not hear that the judged prefix goes on")
	}
	s.order("127.0.0.3/32", time.Hour) // known to this engine, too
	s.order("127.0.0.4/32", time.Hour) // to it alone
	becomes(t, "a source judged by the second gets through", false, through("127.0.0.4"))
	s.Pardon(netip.MustParsePrefix("127.0.0.2/32"))
	if !reaches("127.0.0.2", own.String()) {
		t.Error("the pardoned source is still dropped")
	}
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		s.Pardon(netip.MustParsePrefix(all))
	}
	if !reaches("127.1.2.9", own.String()) {
		t.Error("the pardoned prefix is still dropped")
	}
	for _, known := range []string{"127.0.0.3", "127.0.0.4"} {
		if reaches(known, own.String()) {
			t.Errorf("%s, which the engine knows, was pardoned, too", known)
		}
	}
	if st := s.Status(); st.Sources != 2 || st.Trouble != "" {
		t.Errorf("%+v", st)
	}
	n := 0
	if err := s.wall.(*xdp).verdicts(func(netip.Prefix, kernelVerdict) { n++ }); err != nil || n != 2 {
		t.Errorf("%d verdicts are in the kernel, %v", n, err)
	}
}

// Whose it is not, or what is not whole, is refused with what to do about it, and
// stays as it is.
func TestPinsOfOthersAreRefused(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := bpfFolder(t)
	folder := filepath.Join(dir, pinsName)
	p := pinned{At: "lo", Owner: "one", Judged: prefixes("127.0.0.2/32")}
	refused := func(o Options, says string) {
		t.Helper()
		g, err := Open(o)
		if err == nil {
			g.Close()
			t.Fatalf("it was not refused: want %q", says)
		}
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	off := "deich gate off"

	other := p
	other.Owner = "two"
	living := p.keep(t, asItIs)
	refused(p.options(), "another Deich that runs")
	kill(t, living)
	refused(other.options(), "another data folder: start that one, or take it away ("+off)
	unpinned := p.options()
	unpinned.Config.Pinned = false
	refused(unpinned, off)

	change := func(f func(*kernelStanding)) {
		t.Helper()
		m, err := ebpf.LoadPinnedMap(filepath.Join(folder, standingName), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		var s kernelStanding
		if err = m.Lookup(uint32(0), &s); err == nil {
			f(&s)
			err = m.Put(uint32(0), s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change(func(s *kernelStanding) { s.Layout++ })
	refused(p.options(), "another version of Deich: take it away ("+off)
	change(func(s *kernelStanding) { s.Layout-- })

	if err := os.Rename(filepath.Join(folder, "source6"), filepath.Join(folder, "aside")); err != nil {
		t.Fatal(err)
	}
	refused(p.options(), "is not whole, without source6")
	if err := os.Rename(filepath.Join(folder, "aside"), filepath.Join(folder, "source6")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(folder, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	refused(p.options(), "another user's")
	if err := os.Chown(folder, 0, 0); err != nil {
		t.Fatal(err)
	}

	// After all that, it can still be taken over.
	g, err := Open(withClock(p.options()))
	if err != nil {
		t.Fatal(err)
	}
	if st := g.Status(); st.Sources != 1 {
		t.Errorf("%+v", st)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	holdsNothing(t, dir)
}

func withClock(o Options) Options {
	o.Now = (&standing{start: time.Now()}).now
	return o
}

// A stranger's program is refused, in place of the gate and in its very pins, and
// outlives all that Deich does.
func TestStrangerAmongThePins(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := bpfFolder(t)
	p := pinned{At: "lo", Owner: "one", Judged: prefixes("127.0.0.2/32")}
	first := strange(t, 1)
	if _, err := Open(p.options()); err == nil || !strings.Contains(err.Error(), `"stranger"`) {
		t.Errorf("%v", err)
	}
	if gone, _, err := Takeaway(); err != nil || len(gone) > 0 {
		t.Errorf("taken away: %v, %v", gone, err)
	}
	if left := pinsIn(t, dir); len(left) > 0 {
		t.Errorf("left in the bpf filesystem: %v", left)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	kill(t, p.keep(t, asItIs))
	l, err := link.LoadPinnedLink(filepath.Join(dir, pinsName, linkName+"1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	own, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "stranger", Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "MIT", Flags: unix.BPF_F_XDP_HAS_FRAGS, Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, xdpPass), asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if err := l.Update(own); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(p.options()); err == nil || !strings.Contains(err.Error(), `"stranger"`) || !strings.Contains(err.Error(), "deich gate off") {
		t.Errorf("%v", err)
	}
	if _, _, err := Takeaway(); err == nil || !strings.Contains(err.Error(), `"stranger"`) || !strings.Contains(err.Error(), "it stays") {
		t.Errorf("taken away: %v", err)
	}
	if there, err := programsAt(1); err != nil || len(there) != 1 || nameOf(there[0].id) != "stranger" {
		t.Errorf("the stranger's program: %v, %v", there, err)
	}
}

// With the default nothing is pinned, and a pinned gate that ends in order leaves
// nothing either, nor does one that hangs and is taken away.
func TestNothingIsLeftPinned(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := bpfFolder(t)
	own := echo(t, "127.0.0.1:8080")
	g, err := Open(Options{Config: Config{Mode: XDP, Interfaces: []string{"lo"}}, Ports: worldPorts})
	if err != nil {
		t.Fatal(err)
	}
	if left := pinsIn(t, dir); len(left) > 0 || g.Status().Pinned != "" {
		t.Errorf("it pins %v", left)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	kill(t, keeper(t, XDP))
	becomes(t, "the judged source gets through", true, func() bool { return reaches("127.0.0.2", own.String()) })
	holdsNothing(t, dir)

	p := pinned{At: "lo", Owner: "one", Judged: prefixes("127.0.0.2/32")}
	if g, err = Open(p.options()); err != nil {
		t.Fatal(err)
	}
	names := pinsIn(t, filepath.Join(dir, pinsName))
	if want := []string{linkName + "1", standingName, "prefix4", "prefix6", "source4", "source6"}; !slices.Equal(names, want) {
		t.Errorf("pinned: %v, want %v", names, want)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	holdsNothing(t, dir)

	c := p.keep(t, asItIs)
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if gone, _, err := Takeaway(); err != nil || len(gone) != 2 {
		t.Errorf("taken away: %v, %v", gone, err)
	}
	holdsNothing(t, dir)
	if !reaches("127.0.0.2", own.String()) {
		t.Error("the source is still refused")
	}
}

// An interface that is not asked for any more is left in peace, and one whose link
// holds nothing any more gets a new one.
func TestPinsFollowTheInterfaces(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := bpfFolder(t)
	cable(t)
	at, err := net.InterfaceByName(here)
	if err != nil {
		t.Fatal(err)
	}
	p := pinned{At: here, Owner: "one"}
	kill(t, p.keep(t, asItIs))
	p.At = "lo"
	kill(t, p.keep(t, asItIs))
	if there, err := programsAt(at.Index); err != nil || len(there) > 0 {
		t.Errorf("%s: %v, %v", here, there, err)
	}
	l, err := link.LoadPinnedLink(filepath.Join(dir, pinsName, linkName+"1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Detach(), l.Close()); err != nil {
		t.Fatal(err)
	}
	g, err := Open(withClock(p.options()))
	if err != nil {
		t.Fatal(err)
	}
	if there, err := programsAt(1); err != nil || len(there) != 1 {
		t.Errorf("lo: %v, %v", there, err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	holdsNothing(t, dir)
}

func TestPinnedIsForeseen(t *testing.T) {
	if !alone(t) {
		return
	}
	p := pinned{At: "lo", Owner: "one"}
	if v := Foresee(p.options()); v.Backend != None || !strings.Contains(v.Why, "mount -t bpf bpf /sys/fs/bpf") {
		t.Errorf("without a bpf filesystem: %+v", v)
	}
	dir := bpfFolder(t)
	folder := filepath.Join(dir, pinsName)
	if v := Foresee(p.options()); v.Backend != Generic || v.Pinned != folder || len(v.There) > 0 {
		t.Errorf("%+v", v)
	}
	holdsNothing(t, dir)
	kill(t, p.keep(t, asItIs))
	for range 2 { // looking changes nothing
		if v := Foresee(p.options()); v.Backend != Generic || v.Pinned != folder || len(v.There) != 1 || !v.There[0].Left {
			t.Errorf("%+v", v)
		}
	}
	p.Owner = "two"
	if v := Foresee(p.options()); v.Backend != None || !strings.Contains(v.Why, "another data folder") || len(v.There) != 1 || v.There[0].Left {
		t.Errorf("%+v", v)
	}
	if _, _, err := Takeaway(); err != nil {
		t.Error(err)
	}
	holdsNothing(t, dir)
}
