//go:build linux

// Command gate measures what the kernel gate is worth: a client and a flood on
// one link, and at its other end one core that has both the network's interrupts
// and a web server to itself. It does so in network namespaces of its own, as
// root; nothing leaves them. Contests are interleaved, and what counts are
// ratios.
//
// The flood are frames that the kernel makes (BPF_PROG_TEST_RUN, live frames),
// since what programs send reaches a cable's XDP as something that no network
// card hands over, copied first.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/deichproject/deich"
	"github.com/deichproject/deich/gate"
	"golang.org/x/sys/unix"
)

const (
	victimCore, otherCore = 1, 0

	here, there = "victim0", "world0"
	hereAddr    = "10.99.0.1"
	thereAddr   = "10.99.0.2"
	port        = 8080
	target      = hereAddr + ":8080"

	judgedSources = 100_000
	// firstSource is 11.0.0.0: nobody who takes part.
	firstSource = 11 << 24
	// burst is how many frames come at once: one by one, each would wake the
	// network's thread, as no card does under load.
	burst = 32
	// rateMax bounds -rate: more would only fill the ring.
	rateMax = 2_000_000

	probesEach = 5 * time.Millisecond // 200 new connections a second
	probeWait  = 2 * time.Second
)

var (
	span   = flag.Duration("for", 3*time.Second, "how long one contest floods, at most 30s")
	rounds = flag.Int("rounds", 3, "how often each contest is run")
	rate   = flag.Int("rate", 500_000, "packets a second that are offered")
	gentle = flag.Bool("gentle", false, "leave the network's thread at an ordinary priority: for trying it out beside others")
	only   = flag.String("only", "", "contests whose names contain this")
)

const roleVariable = "DEICH_BENCH_GATE_ROLE"

func main() {
	flag.Parse()
	if *span > 30*time.Second || *rate < 1 || *rate > rateMax || *rounds < 1 || *rounds > 10 {
		fail(fmt.Errorf("-for is at most 30s, -rate at most %d, -rounds at most 10", rateMax))
	}
	var err error
	switch os.Getenv(roleVariable) {
	case "":
		err = outside()
	case "victim":
		err = victim()
	case "client":
		err = client()
	case "flood":
		err = flood()
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench-gate:", err)
	os.Exit(1)
}

// pin has this thread, and all that it starts, run on one core.
func pin(core int) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(core)
	return unix.SchedSetaffinity(0, &set)
}

// child is this program in another role.
func child(role string, more ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(append(os.Environ(), roleVariable+"="+role), more...)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// outside starts the victim in namespaces of its own.
func outside() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("it makes network namespaces: run it as root")
	}
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("it needs two cores")
	}
	if err := pin(victimCore); err != nil {
		return err
	}
	c := child("victim")
	c.Stdout = os.Stdout
	c.SysProcAttr.Cloneflags = unix.CLONE_NEWNET | unix.CLONE_NEWNS
	return c.Run()
}

// world is a thread in the namespace at the far end, on the other core.
type world struct {
	work chan func()
	tid  int
}

func newWorld() (*world, error) {
	w := &world{work: make(chan func())}
	ready := make(chan error)
	go func() {
		err := pin(otherCore)
		if err == nil {
			err = unix.Unshare(unix.CLONE_NEWNET)
		}
		w.tid = unix.Gettid()
		ready <- err
		for f := range w.work {
			f()
		}
	}()
	return w, <-ready
}

func (w *world) do(f func() error) error {
	done := make(chan error)
	w.work <- func() { done <- f() }
	return <-done
}

func system(line string, args ...any) error {
	words := strings.Fields(fmt.Sprintf(line, args...))
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, out)
	}
	return nil
}

// first runs all in order until one fails.
func first(all ...func() error) error {
	for _, f := range all {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func sh(line string, args ...any) func() error {
	return func() error { return system(line, args...) }
}

func set(file, value string) func() error {
	return func() error { return os.WriteFile(file, []byte(value), 0) }
}

func victim() error {
	if err := first(
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("sysfs", "/sys", "sysfs", 0, "") }, // of this namespace
	); err != nil {
		return err
	}
	w, err := newWorld()
	if err != nil {
		return err
	}
	fmt.Printf("one core for network and server, one for flood and client; %s of %d packets/s, %d rounds\n\n", *span, *rate, *rounds)
	var all []*contest
	for _, c := range contests() {
		if strings.Contains(c.name, *only) {
			all = append(all, &c)
		}
	}
	for round := range *rounds {
		for _, c := range all {
			if err := c.once(w, round); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	report(all)
	return nil
}

// once runs a contest, and measures what a packet costs where that is asked of it.
func (c *contest) once(w *world, round int) error {
	r, err := c.run(w)
	if err != nil {
		return err
	}
	c.results = append(c.results, r)
	fmt.Fprintf(os.Stderr, "round %d  %-28s %s\n", round+1, c.name, r)
	if !c.flooded {
		return nil
	}
	each, err := c.cost(w, false)
	if err != nil {
		return err
	}
	alone, err := c.cost(w, true)
	if err != nil {
		return err
	}
	c.each = append(c.each, each-alone)
	fmt.Fprintf(os.Stderr, "         %-28s %.0f ns for a packet, beside %.0f for making it\n", "", each-alone, alone)
	return nil
}

// contest is one way to meet one flood.
type contest struct {
	name    string
	flooded bool
	sources int         // of the flood
	config  gate.Config // mode off: no gate
	judged  bool        // the sources are
	results []result
	each    []float64 // nanoseconds of one core for a packet
}

func contests() []contest {
	const many = 1 << 24
	xdp, nft, off := gate.Config{Mode: gate.XDP}, gate.Config{Mode: gate.NFT}, gate.Config{Mode: gate.Off}
	return []contest{
		{name: "peace, no gate", config: off},
		{name: "peace, xdp-native", config: xdp},
		{name: "SYN flood, no gate", flooded: true, sources: many, config: off},
		{name: "SYN flood, xdp-native", flooded: true, sources: many, config: xdp},
		{name: "judged sources, no gate", flooded: true, sources: judgedSources, config: off},
		{name: "judged sources, nft", flooded: true, sources: judgedSources, config: nft, judged: true},
		{name: "judged sources, xdp-native", flooded: true, sources: judgedSources, config: xdp, judged: true},
	}
}

// result is one run of a contest.
type result struct {
	Offered, Handled float64 // packets a second
	CPU              float64 // of the core, what the network's thread took
	Served           float64 // share of the client's connections
	P50, P99         time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("offered %7.0f/s  handled %7.0f/s  network %3.0f %%  served %6.2f %%  p50 %-8s p99 %s",
		r.Offered, r.Handled, r.CPU*100, r.Served*100, r.P50.Round(10*time.Microsecond), r.P99.Round(10*time.Microsecond))
}

// prepare lays a cable and puts up what the contest is about.
func (c *contest) prepare(w *world) (down func(), err error) {
	var all []func()
	down = func() {
		for _, f := range slices.Backward(all) {
			f()
		}
	}
	if err := lay(w); err != nil {
		return nil, err
	}
	all = append(all, func() { system("ip link del %s", here) })
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })}
	l, err := net.Listen("tcp", target)
	if err != nil {
		down()
		return nil, err
	}
	go server.Serve(l)
	all = append(all, func() { server.Close() })
	up, err := c.gate()
	if err != nil {
		down()
		return nil, err
	}
	all = append(all, up)
	if c.config.Mode == gate.XDP {
		away, err := far(w)
		if err != nil {
			down()
			return nil, err
		}
		all = append(all, away)
	}
	return down, nil
}

// costSpan is how long the cost of a packet is measured.
const costSpan = 500 * time.Millisecond

// cost gives the nanoseconds from one packet to the next where making,
// receiving and answering all have one core to themselves and nothing waits;
// alone: for making it alone.
func (c *contest) cost(w *world, alone bool) (float64, error) {
	down, err := c.prepare(w)
	if err != nil {
		return 0, err
	}
	defer down()
	sent, err := startFlood(w, "cost", fmt.Sprint(c.sources), fmt.Sprint(alone))
	if err != nil {
		return 0, err
	}
	made, err := sent()
	return float64(made.Took) / float64(max(made.Sent, 1)), err
}

// run floods, and gives what a client had of the server meanwhile.
func (c *contest) run(w *world) (r result, err error) {
	down, err := c.prepare(w)
	if err != nil {
		return r, err
	}
	defer down()
	napi, err := thread()
	if err != nil {
		return r, err
	}
	before, packets, begin := cpuOf(napi), received(), time.Now()
	client, err := startClient(w)
	if err != nil {
		return r, err
	}
	sent := func() (made, error) { return made{}, nil }
	if c.flooded {
		if sent, err = startFlood(w, "pace", fmt.Sprint(c.sources), "false"); err != nil {
			return r, err
		}
	}
	seen, err := client()
	if err != nil {
		return r, err
	}
	n, err := sent()
	if err != nil {
		return r, err
	}
	took := time.Since(begin).Seconds()
	cpu, handled := float64(cpuOf(napi)-before), float64(received()-packets)
	return result{
		Offered: float64(n.Sent) / span.Seconds(), Handled: handled / took, CPU: cpu / 1e9 / took,
		Served: seen.Served, P50: seen.P50, P99: seen.P99,
	}, nil
}

// lay makes the cable, with the network's thread of the near end on the victim's core.
func lay(w *world) error {
	const mac1, mac2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
	space := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), w.tid)
	system("ip link del %s", here) // of a run that was cut off
	return first(
		sh("ip link set lo up"),
		sh("ip link add %s address %s type veth peer name %s address %s netns %s", here, mac1, there, mac2, space),
		sh("ip address add %s/24 dev %s", hereAddr, here),
		set("/proc/sys/net/ipv4/conf/all/rp_filter", "0"),
		set("/proc/sys/net/ipv4/conf/"+here+"/rp_filter", "0"),
		set("/proc/sys/net/ipv4/tcp_syncookies", "1"),
		// Receiving packets as a network card has them, without a program too.
		func() error { return offload(here, unix.ETHTOOL_SGRO, 1) },
		sh("ip link set %s up", here),
		sh("ip neigh replace %s lladdr %s dev %s", thereAddr, mac2, here),
		sh("ip route replace default via %s", thereAddr),
		func() error {
			return w.do(func() error {
				return first(
					sh("ip address add %s/24 dev %s", thereAddr, there),
					func() error { return offload(there, unix.ETHTOOL_STSO, 0) },
					sh("ip link set %s up", there),
					sh("ip neigh replace %s lladdr %s dev %s", hereAddr, mac1, there),
				)
			})
		},
	)
}

// offload switches a feature of an interface.
func offload(name string, what, value uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return ethtool(fd, name, what, value)
}

// gate puts up what the contest is about, and gives what takes it away.
func (c *contest) gate() (func(), error) {
	if c.config.Mode == gate.Off {
		return func() {}, nil
	}
	start := time.Now()
	now := func() deich.Time { return deich.Time(1e18).Add(time.Since(start)) }
	g, err := gate.Open(gate.Options{
		Config: c.config, Now: now,
		Ports: []gate.Port{{At: netip.AddrPortFrom(netip.MustParseAddr(hereAddr), port)}},
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	down := func() { stop(); running.Wait(); g.Close() }
	if want := map[string]string{gate.XDP: gate.Native, gate.NFT: gate.Table}[c.config.Mode]; g.Status().Backend != want {
		down()
		return nil, fmt.Errorf("the gate is %s: %s", g.Status().Backend, g.Status().Why)
	}
	if !c.judged {
		return down, nil
	}
	list := make([]deich.Order, 0, judgedSources)
	for i := range uint32(judgedSources) {
		a := netip.AddrFrom4([4]byte{byte((firstSource + i) >> 24), byte((firstSource + i) >> 16), byte((firstSource + i) >> 8), byte(i)})
		list = append(list, deich.Order{Prefix: netip.PrefixFrom(a, 32), Until: now().Add(time.Hour)})
	}
	for part := range slices.Chunk(list, 10_000) {
		held := g.Status().Sources
		g.Carry(part)
		for end := time.Now().Add(20 * time.Second); g.Status().Sources < held+len(part); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				down()
				return nil, fmt.Errorf("%d of %d sources are held: %s", g.Status().Sources, judgedSources, g.Status().Trouble)
			}
		}
	}
	return down, nil
}

// far has the other end throw answers to nobody away, and be ready for what a
// program sends back.
func far(w *world) (away func(), err error) {
	err = w.do(func() error {
		objects, err := loadFloodWith(nil)
		if err != nil {
			return err
		}
		at, err := net.InterfaceByName(there)
		if err != nil {
			return err
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: objects.DeichFar, Interface: at.Index, Flags: link.XDPDriverMode})
		away = func() { l.Close(); objects.Close() }
		return err
	})
	return away, err
}

// loadFloodWith loads the flood's programs with their constants set.
func loadFloodWith(constants map[string]any) (*floodObjects, error) {
	spec, err := loadFlood()
	if err != nil {
		return nil, err
	}
	to := netip.MustParseAddr(thereAddr).As4()
	if err := spec.Variables["client"].Set(native(to[:])); err != nil {
		return nil, err
	}
	if err := spec.Variables["sources"].Set(uint32(1)); err != nil {
		return nil, err
	}
	for name, value := range constants {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, err
		}
	}
	objects := new(floodObjects)
	return objects, spec.LoadAndAssign(objects, nil)
}

// thread finds the near end's, and sees to it that it runs where and how it should.
func thread() (pid int, err error) {
	if err := set("/sys/class/net/"+here+"/threaded", "1")(); err != nil {
		return 0, err
	}
	all, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range all {
		b, _ := os.ReadFile(name)
		if !strings.HasPrefix(string(b), "napi/"+here) {
			continue
		}
		pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(name)))
		var set unix.CPUSet
		set.Set(victimCore)
		if err := unix.SchedSetaffinity(pid, &set); err != nil {
			return 0, err
		}
		if *gentle {
			return pid, nil
		}
		// As a softirq is: ahead of every program.
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 50}
		return pid, unix.SchedSetAttr(pid, &attr, 0)
	}
	return 0, fmt.Errorf("the network's thread of %s is not there", here)
}

// cpuOf gives the nanoseconds that a thread ran.
func cpuOf(pid int) uint64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	text, _, _ := strings.Cut(string(b), " ")
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

// received gives how many packets the near end took.
func received() uint64 {
	b, _ := os.ReadFile("/sys/class/net/" + here + "/statistics/rx_packets")
	n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// seen is what the client saw.
type seen struct {
	Served   float64
	P50, P99 time.Duration
}

func startClient(w *world) (func() (seen, error), error) {
	var c *exec.Cmd
	var out io.ReadCloser
	err := w.do(func() (err error) {
		c = child("client")
		if out, err = c.StdoutPipe(); err == nil {
			err = c.Start()
		}
		return err
	})
	return func() (s seen, err error) {
		err = json.NewDecoder(out).Decode(&s)
		if e := c.Wait(); e != nil {
			err = e
		}
		return s, err
	}, err
}

// client opens connections at a steady pace, whatever becomes of them.
func client() error {
	var mu sync.Mutex
	var took []time.Duration
	ok, n := 0, int(*span/probesEach)
	var all sync.WaitGroup
	tick := time.NewTicker(probesEach)
	defer tick.Stop()
	time.Sleep(100 * time.Millisecond) // the flood begins meanwhile
	for range n {
		<-tick.C
		all.Go(func() {
			begin := time.Now()
			good := probe()
			mu.Lock()
			defer mu.Unlock()
			if good {
				ok++
			}
			took = append(took, time.Since(begin))
		})
	}
	all.Wait()
	slices.Sort(took)
	return json.NewEncoder(os.Stdout).Encode(seen{float64(ok) / float64(n), took[n/2], took[n*99/100]})
}

func probe() bool {
	end := time.Now().Add(probeWait)
	d := net.Dialer{Deadline: end}
	c, err := d.Dial("tcp", target)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(end)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", hereAddr)
	b, err := io.ReadAll(c)
	return err == nil && strings.HasPrefix(string(b), "HTTP/1.1 200")
}

// made is what a flood sent, and in how many nanoseconds.
type made struct{ Sent, Took uint64 }

const floodVariable = "DEICH_BENCH_GATE_FLOOD"

// startFlood starts one, in words: pace or cost, how many sources, and whether
// it is to make packets alone and send none.
func startFlood(w *world, words ...string) (func() (made, error), error) {
	var c *exec.Cmd
	var out io.ReadCloser
	err := w.do(func() (err error) {
		c = child("flood", floodVariable+"="+strings.Join(words, " "))
		if out, err = c.StdoutPipe(); err == nil {
			err = c.Start()
		}
		return err
	})
	return func() (m made, err error) {
		err = json.NewDecoder(out).Decode(&m)
		if e := c.Wait(); e != nil {
			err = e
		}
		return m, err
	}, err
}

// flood sends SYNs into the cable until its time is over.
func flood() error {
	var kind string
	var sources int
	var mute bool
	if _, err := fmt.Sscan(os.Getenv(floodVariable), &kind, &sources, &mute); err != nil {
		return err
	}
	at, err := net.InterfaceByName(there)
	if err != nil {
		return err
	}
	lasts, every, quiet := *span, uint64(time.Second)*burst/uint64(*rate), uint8(0)
	if kind == "cost" {
		lasts, every = costSpan, 0
	}
	if mute {
		quiet = 1
	}
	objects, err := loadFloodWith(map[string]any{
		"out": uint32(at.Index), "first": uint32(firstSource), "sources": uint32(sources),
		"every": every, "burst": uint32(burst), "mute": quiet,
	})
	if err != nil {
		return err
	}
	defer objects.Close()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	if err := objects.Until.Set(uint64(now.Nano() + lasts.Nanoseconds())); err != nil {
		return err
	}
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		// Each call has a fixed cost of some 25 ms: few and long ones.
		if _, err := objects.DeichFlood.Run(&ebpf.RunOptions{Data: frame(), Repeat: 4 << 20, Flags: liveFrames}); err != nil {
			return err
		}
	}
	var m made
	var begun, ended uint64
	for v, to := range map[*ebpf.Variable]*uint64{objects.Sent: &m.Sent, objects.Begun: &begun, objects.Ended: &ended} {
		if err := v.Get(to); err != nil {
			return err
		}
	}
	m.Took = ended - begun
	return json.NewEncoder(os.Stdout).Encode(m)
}

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES.
const liveFrames = 2

// frame is a SYN to the victim; the program draws its source.
func frame() []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 44, 0, 1, 0x40, 0, 64, 6, 0, 0, 11, 0, 0, 0, 10, 99, 0, 1,
		0, 0, port >> 8, port & 255, 0, 0, 0, 0, 0, 0, 0, 0, 6 << 4, 2, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4}
	return append(b, 0, 0) // as short as a frame on a wire may be
}

// report prints the middle of each contest's runs, and what they are held
// against. What a packet costs is the least of them: whatever else ran made it more.
func report(all []*contest) {
	fmt.Printf("%-28s %10s %10s %8s %9s %10s %10s %10s\n", "contest", "offered/s", "handled/s", "network", "served", "p50", "p99", "ns/packet")
	least := make(map[string]float64)
	for _, c := range all {
		each := "-"
		if len(c.each) > 0 {
			least[c.name] = slices.Min(c.each)
			each = fmt.Sprintf("%.0f", least[c.name])
		}
		span := func(of func(result) time.Duration) time.Duration {
			return time.Duration(mid(c.results, func(r result) float64 { return float64(of(r)) })).Round(10 * time.Microsecond)
		}
		fmt.Printf("%-28s %10.0f %10.0f %7.0f%% %8.2f%% %10s %10s %10s\n", c.name,
			mid(c.results, func(r result) float64 { return r.Offered }), mid(c.results, func(r result) float64 { return r.Handled }),
			mid(c.results, func(r result) float64 { return r.CPU * 100 }), mid(c.results, func(r result) float64 { return r.Served * 100 }),
			span(func(r result) time.Duration { return r.P50 }), span(func(r result) time.Duration { return r.P99 }), each)
	}
	ratio := func(what, a, b string, most float64) {
		if x, y := least[a], least[b]; x > 0 && y > 0 {
			fmt.Printf("%s: %.2f (wanted: at most %.2f)\n", what, x/y, most)
		}
	}
	fmt.Println()
	ratio("a packet of a judged source, xdp-native over nft", "judged sources, xdp-native", "judged sources, nft", .6)
	ratio("a SYN, xdp-native over the stack's cookies", "SYN flood, xdp-native", "SYN flood, no gate", .15)
}

func mid(all []result, of func(result) float64) float64 {
	values := make([]float64, len(all))
	for i, r := range all {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
