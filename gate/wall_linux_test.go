package gate

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/deichproject/deich"
	"golang.org/x/sys/unix"
)

// standing is an open gate with a clock, and what it told the engine.
type standing struct {
	*Gate
	start time.Time

	mu   sync.Mutex
	seen map[netip.Prefix]uint64
}

func (s *standing) now() deich.Time { return deich.Time(1e18).Add(time.Since(s.start)) }

func (s *standing) until(d time.Duration) deich.Time { return s.now().Add(d) }

// told waits until the engine heard of a source.
func (s *standing) told(p string, within time.Duration) uint64 {
	for end := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		n := s.seen[netip.MustParsePrefix(p)]
		s.mu.Unlock()
		if n > 0 || time.Now().After(end) {
			return n
		}
	}
}

func stand(t *testing.T, c Config, ports []Port, allow func() []netip.Prefix) *standing {
	t.Helper()
	return standWith(t, Options{Config: c, Ports: ports, Allow: allow})
}

func standWith(t *testing.T, o Options) *standing {
	t.Helper()
	s := &standing{start: time.Now(), seen: make(map[netip.Prefix]uint64)}
	o.Now, o.Seen = s.now, func(all []deich.Count) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range all {
			s.seen[c.Prefix] += c.N
		}
	}
	var err error
	s.Gate, err = Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left, _, err := Found(); err != nil || len(left) > 0 {
			t.Errorf("after the end: %v, %v", left, err)
		}
	})
	return s
}

func (s *standing) order(p string, d time.Duration) {
	s.Carry([]deich.Order{{Prefix: netip.MustParsePrefix(p), Until: s.until(d)}})
}

// becomes waits for something that is to happen soon; how soon, on a busy
// machine, is not what is tested.
func becomes(t *testing.T, what string, want bool, is func() bool) {
	t.Helper()
	within(t, 10*time.Second, what, want, is)
}

func within(t *testing.T, span time.Duration, what string, want bool, is func() bool) {
	t.Helper()
	for end := time.Now().Add(span); ; {
		got := is()
		if got == want {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%s: %v", what, got)
			return
		}
	}
}

func needNFT(t *testing.T) {
	t.Helper()
	if _, err := tableStands(); err != nil {
		lack(t, "nftables", err)
	}
}

// story is what every way of dropping has to do on a cable: drop judged sources
// at Deich's port alone, let everybody else and all else pass, and forget.
func story(t *testing.T, p *peer, c Config, backend string) {
	own, other := echo(t, "[::]:8080"), echo(t, "[::]:2222")
	var mu sync.Mutex
	var friends []netip.Prefix
	s := stand(t, c, []Port{{At: own}}, func() []netip.Prefix { mu.Lock(); defer mu.Unlock(); return friends })
	if st := s.Status(); st.Backend != backend {
		t.Fatalf("it is %s (%s), want %s", st.Backend, st.Why, backend)
	}
	at := func(a string, port netip.AddrPort) string { return fmt.Sprintf("%s:%d", a, port.Port()) }
	reach := func(from, to string) func() bool { return func() bool { return p.reaches(from, to) } }
	for _, from := range []string{"10.99.0.2", "10.99.0.3"} {
		if !p.reaches(from, at("10.99.0.1", own)) {
			t.Fatalf("in peace, from %s: refused", from)
		}
	}
	if !p.reaches("fd99::2", at("[fd99::1]", own)) || !p.reaches("fd98::2", at("[fd98::1]", own)) {
		t.Fatal("in peace, by IPv6: refused")
	}

	s.order("10.99.0.2/32", time.Hour)
	s.order("fd99::/64", time.Hour)
	becomes(t, "the judged source gets through", false, reach("10.99.0.2", at("10.99.0.1", own)))
	becomes(t, "the judged network gets through", false, reach("fd99::2", at("[fd99::1]", own)))
	for _, free := range []struct{ why, from, to string }{
		{"another source", "10.99.0.3", at("10.99.0.1", own)},
		{"another network", "fd98::2", at("[fd98::1]", own)},
		{"another port", "10.99.0.2", at("10.99.0.1", other)},
		{"another port, IPv6", "fd99::2", at("[fd99::1]", other)},
	} {
		if !p.reaches(free.from, free.to) {
			t.Errorf("%s: refused", free.why)
		}
	}
	if n := s.told("10.99.0.2/32", nftHitsEvery+5*time.Second); n == 0 {
		t.Error("the engine did not hear that the judged source goes on")
	}
	if st := s.Status(); st.Sources != 2 || st.Counts[DropSource].Packets == 0 || st.Missed != 0 || st.Trouble != "" {
		t.Errorf("%+v", st)
	}

	// Taken back, and by an end of its own.
	s.order("10.99.0.2/32", -1)
	becomes(t, "the source that was pardoned gets through", true, reach("10.99.0.2", at("10.99.0.1", own)))
	s.order("10.99.0.0/24", 4*time.Second)
	becomes(t, "the judged prefix gets through", false, reach("10.99.0.3", at("10.99.0.1", own)))
	within(t, 8*time.Second, "the prefix whose verdict ended gets through", true, reach("10.99.0.3", at("10.99.0.1", own)))

	// The allow list stands above everything.
	s.order("10.99.0.2/32", time.Hour)
	becomes(t, "the judged source gets through", false, reach("10.99.0.2", at("10.99.0.1", own)))
	mu.Lock()
	friends = prefixes("10.99.0.2/32")
	mu.Unlock()
	within(t, collectEvery+2*time.Second, "the allowed source gets through", true, reach("10.99.0.2", at("10.99.0.1", own)))
}

func TestNativeOnACable(t *testing.T) {
	needPrograms(t)
	if alone(t) {
		story(t, cable(t), Config{Mode: Auto}, Native)
	}
}

func TestGenericWhereTheDriverCannot(t *testing.T) {
	needPrograms(t)
	if alone(t) {
		// A driver that takes no program: auto would go to nft.
		s := stand(t, Config{Mode: XDP, Interfaces: []string{"lo"}}, worldPorts, nil)
		if st := s.Status(); st.Backend != Generic || !strings.Contains(st.Why, "lo: its driver cannot (native)") {
			t.Errorf("%s: %s", st.Backend, st.Why)
		}
	}
}

func TestTableOnACable(t *testing.T) {
	if alone(t) {
		needNFT(t)
		story(t, cable(t), Config{Mode: NFT}, Table)
	}
}

// A firewall that is loaded anew sweeps the table away: it stands again, with every
// verdict, and its end is no failure.
func TestTableStandsAgain(t *testing.T) {
	if !alone(t) {
		return
	}
	needNFT(t)
	own := echo(t, "127.0.0.1:8080")
	s := stand(t, Config{Mode: NFT, Interfaces: []string{"lo"}, Allow: []string{"127.0.0.5"}}, []Port{{At: own}}, nil)
	through := func(from string) func() bool { return func() bool { return reaches(from, own.String()) } }
	s.order("127.0.0.2/32", time.Hour)
	s.order("127.0.0.0/28", time.Hour)
	becomes(t, "the judged source gets through", false, through("127.0.0.2"))
	becomes(t, "the judged prefix gets through", false, through("127.0.0.3"))
	becomes(t, "it was counted", true, func() bool { return s.Status().Counts[DropPrefix].Packets > 0 })
	before := s.Status().Counts
	run(t, "nft", "flush", "ruleset")
	becomes(t, "the judged source gets through afterwards", false, through("127.0.0.2"))
	becomes(t, "the judged prefix gets through afterwards", false, through("127.0.0.3"))
	if !reaches("127.0.0.5", own.String()) || !reaches("127.0.0.77", own.String()) {
		t.Error("who is allowed, or was not judged, is refused afterwards")
	}
	s.order("127.0.0.2/32", -1)
	s.order("127.0.0.0/28", -1)
	becomes(t, "the pardoned source gets through", true, through("127.0.0.2"))
	becomes(t, "there is trouble", false, func() bool { return s.Status().Trouble != "" })
	if c := s.Status().Counts; c[DropSource].Packets < before[DropSource].Packets || c[DropPrefix].Packets < before[DropPrefix].Packets {
		t.Errorf("what was counted has become less: %v, then %v", before, c)
	}
	run(t, "nft", "flush", "ruleset")
	if err := s.Close(); err != nil {
		t.Errorf("the end of what is not there: %v", err)
	}
}

// As long as nft does anything for it, it hears that Deich is alive, be there time for a
// beat or not.
func TestWorkIsABeat(t *testing.T) {
	if !alone(t) {
		return
	}
	needNFT(t)
	w, err := openTable(Options{Ports: worldPorts}, worldAllowed, []string{"lo"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	for what, do := range map[string]func() error{
		"puts":    func() error { return w.put(worldVerdicts) },
		"removes": func() error { return w.remove(prefixes("198.51.100.7/32")) },
		"counts":  func() error { return w.hits(func(netip.Prefix, uint64) {}) },
		"allows":  func() error { return w.allow(worldAllowed) },
	} {
		if err := w.beat(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(beatLasts + beatEvery/2); time.Now().Before(end); time.Sleep(beatEvery * 2 / 3) {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		if live, err := livePorts(); err != nil || len(live) == 0 {
			t.Errorf("while it %s, its rules match nothing: %v, %v", what, live, err)
		}
	}
}

// wire sends frames as they are from the peer's end.
func (p *peer) wire(t *testing.T, frames ...[]byte) {
	t.Helper()
	p.do(func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		index, err := os.ReadFile("/proc/thread-self/net/dev_snmp6/" + there)
		if err != nil {
			t.Error(err)
			return
		}
		var i int
		fmt.Sscanf(string(index), "ifIndex %d", &i)
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: i, Halen: 6}); err != nil {
				t.Error(err)
			}
		}
	})
}

// The table of verdicts holds for packets on a real cable, too, whatever stands
// at its end.
func TestVerdictsOnACable(t *testing.T) {
	if !alone(t) {
		return
	}
	p := cable(t)
	for _, way := range []string{Table, Native, Generic} {
		for _, m := range modes {
			t.Run(way+" "+m.name, func(t *testing.T) {
				var w wall
				var err error
				o := Options{Config: m.config, Ports: worldPorts}
				if way == Table {
					needNFT(t)
					w, err = openTable(o, worldAllowed, []string{here})
				} else {
					needPrograms(t)
					var x *xdp
					if x, err = load(o, worldAllowed, 1500, nil); err == nil {
						err = x.attach(here, way == Native)
						w = x
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				defer w.close()
				if err := w.put(worldVerdicts); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond) // what had to end has ended
				if err := w.beat(); err != nil {
					t.Fatal(err)
				}
				var want Counts
				var frames [][]byte
				for _, c := range verdictCases {
					if !c.only {
						want[m.want(c)].Packets++
						frames = append(frames, c.packet.frame())
					}
				}
				p.wire(t, frames...)
				var got Counts
				arrived := func() (n uint64) {
					for r := range reasons {
						if got[r].Packets < want[r].Packets {
							n += want[r].Packets - got[r].Packets
						}
					}
					return n
				}
				for end := time.Now().Add(2 * time.Second); ; {
					if got = countsOf(t, w); arrived() == 0 || time.Now().After(end) {
						break
					}
				}
				for r := range reasons {
					n, right := got[r].Packets, want[r].Packets
					// The cable has its own life: neighbours are looked for.
					if n != right && (r != PassOther || n < right) {
						t.Errorf("%s: %d packets, want %d", r, n, right)
					}
				}
			})
		}
	}
}

func TestGateOfTwoCapabilities(t *testing.T) {
	needPrograms(t)
	if !alone(t, as(unix.CAP_BPF, unix.CAP_NET_ADMIN)) {
		return
	}
	if os.Getuid() == 0 {
		t.Fatal("it is root")
	}
	own, other := echo(t, "127.0.0.1:8080"), echo(t, "127.0.0.1:2222")
	s := stand(t, Config{Mode: XDP}, []Port{{At: own}}, nil)
	if st := s.Status(); st.Backend != Generic || !slices.Equal(st.Interfaces, []string{"lo (generic)"}) {
		t.Fatalf("%+v", st)
	}
	s.order("127.0.0.2/32", time.Hour)
	becomes(t, "the judged source gets through", false, func() bool { return reaches("127.0.0.2", own.String()) })
	if !reaches("127.0.0.3", own.String()) || !reaches("127.0.0.2", other.String()) {
		t.Error("who is not judged is refused")
	}
	s.order("127.0.0.2/32", -1)
	becomes(t, "the pardoned source gets through", true, func() bool { return reaches("127.0.0.2", own.String()) })
}

// as has a test run as nobody with the capabilities given, and no other.
func as(caps ...uintptr) func(*exec.Cmd) {
	return func(c *exec.Cmd) {
		c.Path = "/proc/self/exe" // nobody may not look into the folder of the test's binary
		c.Dir = "/"
		c.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		c.SysProcAttr.AmbientCaps = caps
	}
}

func TestOneCapabilityIsNotEnough(t *testing.T) {
	if !alone(t, as(unix.CAP_NET_ADMIN)) {
		return
	}
	needNFT(t)
	_, err := Open(Options{Config: Config{Mode: XDP}, Ports: []Port{{At: netip.MustParseAddrPort("127.0.0.1:80")}}})
	if err == nil || !strings.Contains(err.Error(), "CAP_BPF and CAP_NET_ADMIN") {
		t.Errorf("%v", err)
	}
	// The table needs no more than this one.
	g, err := Open(Options{Config: Config{Mode: Auto}, Ports: []Port{{At: netip.MustParseAddrPort("127.0.0.1:80")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if st := g.Status(); st.Backend != Table || !strings.Contains(st.Why, "CAP_BPF and CAP_NET_ADMIN") {
		t.Errorf("%s: %s", st.Backend, st.Why)
	}
}

func TestNoCapabilityIsNoGate(t *testing.T) {
	if !alone(t, as()) {
		return
	}
	g, err := Open(Options{Config: Config{Mode: Auto, Interfaces: []string{"lo"}}, Ports: worldPorts})
	if err != nil {
		t.Fatal(err)
	}
	st := g.Status()
	if st.Backend != None || !strings.Contains(st.Why, "CAP_BPF and CAP_NET_ADMIN") || !strings.Contains(st.Why, "nft: it needs CAP_NET_ADMIN") {
		t.Errorf("%s: %s", st.Backend, st.Why)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// strange attaches somebody else's program to an interface.
func strange(t *testing.T, index int) link.Link {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "stranger", Type: ebpf.XDP, License: "MIT", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, xdpPass), asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: index})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestStrangersProgramStays(t *testing.T) {
	needPrograms(t)
	if !alone(t) {
		return
	}
	strange(t, 1) // lo
	o := Options{Config: Config{Mode: XDP, Interfaces: []string{"lo"}}, Ports: worldPorts}
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), `"stranger"`) {
		t.Errorf("it was not refused by name: %v", err)
	}
	needNFT(t)
	o.Config.Mode = Auto
	g, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if st := g.Status(); st.Backend != Table || !strings.Contains(st.Why, `"stranger"`) {
		t.Errorf("%s: %s", st.Backend, st.Why)
	}
	if gone, _, err := Takeaway(); err != nil || len(gone) != 1 || !strings.Contains(gone[0], tableName) {
		t.Errorf("taken away: %v, %v", gone, err)
	}
	if ids, err := programsAt(1); err != nil || len(ids) != 1 || nameOf(ids[0].id) != "stranger" {
		t.Errorf("the stranger's program: %v, %v", ids, err)
	}
}

// Whatever orders arrive: other ports, the allow list and those who were not
// judged stay in reach.
func TestNobodyIsLockedOut(t *testing.T) {
	if !alone(t) {
		return
	}
	own, other := echo(t, "127.0.0.1:8080"), echo(t, "127.0.0.1:2020")
	for _, mode := range []string{XDP, NFT} {
		t.Run(mode, func(t *testing.T) {
			if mode == XDP {
				needPrograms(t)
			} else {
				needNFT(t)
			}
			s := stand(t, Config{Mode: mode, Interfaces: []string{"lo"}, Allow: []string{"127.0.0.5"}}, []Port{{At: own}}, nil)
			var all []deich.Order
			for _, p := range []string{
				"0.0.0.0/0", "::/0", "127.0.0.0/8", "127.0.0.0/23", "::ffff:127.0.0.0/104", "::ffff:0.0.0.0/96", "2000::/3", "::1/128", "fe80::/10",
				"127.0.0.0/24", "127.0.0.5/32", "127.0.0.5/24", "::ffff:127.0.0.3/128", "127.0.0.2/32",
			} {
				all = append(all, deich.Order{Prefix: netip.MustParsePrefix(p), Until: s.until(1000 * time.Hour)})
			}
			all = append(all, deich.Order{}, deich.Order{Prefix: netip.PrefixFrom(netip.MustParseAddr("fe80::1%lo"), 64), Until: s.until(time.Hour)},
				deich.Order{Prefix: netip.PrefixFrom(netip.MustParseAddr("127.0.0.1"), 77), Until: s.until(time.Hour)})
			s.Carry(all)
			becomes(t, "a judged source gets through", false, func() bool { return reaches("127.0.0.2", own.String()) })
			for _, each := range []struct {
				who, from string
				to        netip.AddrPort
				want      bool
			}{
				{"in a judged prefix", "127.0.0.77", own, false},
				{"on the allow list", "127.0.0.5", own, true},
				{"beside every prefix that may be judged", "127.0.1.1", own, true},
				{"judged, at another port", "127.0.0.2", other, true},
			} {
				if got := reaches(each.from, each.to.String()); got != each.want {
					t.Errorf("%s: %t", each.who, got)
				}
			}
			if st := s.Status(); st.Missed < 8 || st.Trouble != "" {
				t.Errorf("%d missed, %s", st.Missed, st.Trouble)
			}
			if mode == NFT {
				return
			}
			// What is more than may wait is missed, and what was there stays.
			all = all[:0]
			for i := range pendingMax + 10 {
				all = append(all, deich.Order{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 32), Until: s.until(time.Hour)})
			}
			missed := s.Status().Missed
			s.Carry(all)
			within(t, 10*time.Second, "they are held", true, func() bool { return s.Status().Sources >= pendingMax })
			if n := s.Status().Missed - missed; n != 10 {
				t.Errorf("%d missed, want 10", n)
			}
			if reaches("127.0.0.2", own.String()) || !reaches("127.0.0.5", own.String()) {
				t.Error("what was there has changed")
			}
		})
	}
}

// Where packets begin with IP there is nothing for the program to read.
func TestWithoutEthernetThereIsNoProgram(t *testing.T) {
	needPrograms(t)
	if !alone(t) {
		return
	}
	if out, err := exec.Command("ip", "tuntap", "add", "dev", "tun0", "mode", "tun").CombinedOutput(); err != nil {
		t.Skipf("left out: no tunnel can be made here: %v: %s", err, out)
	}
	_, err := Open(Options{Config: Config{Mode: XDP, Interfaces: []string{"tun0"}}, Ports: worldPorts})
	if err == nil || !strings.Contains(err.Error(), "tun0: its packets have no Ethernet headers") {
		t.Errorf("%v", err)
	}
}

const keeperMode = "DEICH_GATE_TEST_KEEPER"

// TestMain may be a process that keeps a gate up until it is killed.
func TestMain(m *testing.M) {
	if mode := os.Getenv(keeperMode); mode != "" {
		if err := keep(mode); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func keep(mode string) error {
	start := time.Now()
	now := func() deich.Time { return deich.Time(1e18).Add(time.Since(start)) }
	o := Options{
		Config: Config{Mode: mode, Interfaces: []string{"lo"}, Lock: os.Getenv("LOCK") != ""},
		Ports:  []Port{{At: netip.MustParseAddrPort("127.0.0.1:8080")}}, Now: now,
	}
	judged := []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	if text := os.Getenv(keeperPins); text != "" {
		var p pinned
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return err
		}
		o, judged = p.options(), p.Judged
		o.Now = now
	}
	g, err := Open(o)
	if err != nil {
		return err
	}
	for _, p := range judged {
		g.Carry([]deich.Order{{Prefix: p, Until: now().Add(time.Hour)}})
	}
	if err := g.carry(); err != nil {
		return err
	}
	fmt.Println("stands")
	g.Run(context.Background())
	return nil
}

// keeper starts that process.
func keeper(t *testing.T, mode string, more ...string) *exec.Cmd {
	t.Helper()
	return keeperAs(t, func(*exec.Cmd) {}, mode, more...)
}

func keeperAs(t *testing.T, change func(*exec.Cmd), mode string, more ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(append(os.Environ(), keeperMode+"="+mode), more...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	change(c)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "stands\n" {
		t.Fatalf("the gate's process: %q", line)
	}
	return c
}

// A Deich that is killed leaves nobody out: at once, or once nft has missed it
// for a while.
func TestKilledItFailsOpen(t *testing.T) {
	if !alone(t) {
		return
	}
	own := echo(t, "127.0.0.1:8080")
	through := func(from string) func() bool { return func() bool { return reaches(from, own.String()) } }
	for _, each := range []struct {
		mode string
		span time.Duration
		need func(*testing.T)
	}{{XDP, 500 * time.Millisecond, func(t *testing.T) { needPrograms(t) }}, {NFT, beatLasts + time.Second, needNFT}} {
		for _, lock := range []string{"", "LOCK=1"} {
			t.Run(each.mode+lock, func(t *testing.T) {
				each.need(t)
				c := keeper(t, each.mode, lock)
				if reaches("127.0.0.2", own.String()) {
					t.Fatal("the judged source gets through")
				}
				if reaches("127.0.0.3", own.String()) != (lock == "") {
					t.Fatal("the lock does not hold, or too much is locked")
				}
				if each.mode == NFT && lock == "" {
					time.Sleep(beatEvery + beatLasts) // it goes on as long as it lives
					if reaches("127.0.0.2", own.String()) {
						t.Fatal("the judged source gets through after a while")
					}
				}
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				c.Wait()
				within(t, each.span, "after the kill, the judged source gets through", true, through("127.0.0.2"))
				within(t, each.span, "after the kill, another source gets through", true, through("127.0.0.3"))
				if each.mode == NFT {
					// What is left is taken over by the next one.
					keeper(t, each.mode, lock)
					if reaches("127.0.0.2", own.String()) {
						t.Error("the next one does not stand")
					}
					if gone, _, err := Takeaway(); err != nil || len(gone) != 1 {
						t.Errorf("taken away: %v, %v", gone, err)
					}
				}
			})
		}
	}
}

// What hangs can be taken away without asking it.
func TestTakenAwayFromAHungProcess(t *testing.T) {
	if !alone(t) {
		return
	}
	own := echo(t, "127.0.0.1:8080")
	for mode, need := range map[string]func(*testing.T){XDP: func(t *testing.T) { needPrograms(t) }, NFT: needNFT} {
		t.Run(mode, func(t *testing.T) {
			need(t)
			c := keeper(t, mode)
			if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if reaches("127.0.0.2", own.String()) {
				t.Fatal("the judged source gets through")
			}
			if found, _, err := Found(); err != nil || len(found) != 1 {
				t.Errorf("found: %v, %v", found, err)
			}
			if gone, _, err := Takeaway(); err != nil || len(gone) != 1 {
				t.Errorf("taken away: %v, %v", gone, err)
			}
			if !reaches("127.0.0.2", own.String()) {
				t.Error("the source is still refused")
			}
			if found, _, err := Found(); err != nil || len(found) != 0 {
				t.Errorf("found afterwards: %v, %v", found, err)
			}
			if err := c.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * beatEvery) // nothing tells of what does not happen
			if found, _, err := Found(); err != nil || len(found) != 0 || !reaches("127.0.0.2", own.String()) {
				t.Errorf("found once it goes on: %v, %v", found, err)
			}
			if mode == NFT {
				if out := run(t, "nft", "list", "ruleset"); strings.Contains(out, tableName) {
					t.Errorf("something is left of it: %s", out)
				}
			}
		})
	}
}

func TestAnotherDeichsGateStays(t *testing.T) {
	needPrograms(t)
	if !alone(t) {
		return
	}
	o := Options{Config: Config{Mode: XDP, Interfaces: []string{"lo"}}, Ports: worldPorts, Now: func() deich.Time { return 0 }}
	first, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "the gate of another Deich") {
		t.Errorf("%v", err)
	}
	needNFT(t)
	o.Config.Mode = Auto
	second, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if st := second.Status(); st.Backend != Table {
		t.Errorf("%s: %s", st.Backend, st.Why)
	}
	o.Ports = o.Ports[:1]
	third, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if st := third.Status(); st.Backend != None || !strings.Contains(st.Why, "another Deich") {
		t.Errorf("%s: %s", st.Backend, st.Why)
	}
}
