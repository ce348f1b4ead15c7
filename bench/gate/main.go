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
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

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

// costSpan is how long the cost of a packet is measured. It is well below a second, of which
// the kernel leaves ordinary programs a twentieth.
const costSpan = 500 * time.Millisecond

// cost gives the nanoseconds from one packet to the next where making,
// receiving and answering all have one core to themselves, ahead of all else, and nothing
// waits; alone: for making it alone.
func (c *contest) cost(w *world, alone bool) (float64, error) {
	down, err := c.prepare(w)
	if err != nil {
		return 0, err
	}
	defer down()
	before := received()
	sent, err := startFlood(w, "cost", fmt.Sprint(c.sources), fmt.Sprint(alone))
	if err != nil {
		return 0, err
	}
	made, err := sent()
	if err != nil {
		return 0, err
	}
	// What the ring had no room for cost nothing.
	if n := received() - before; !alone && n < made.Sent*99/100 {
		return 0, fmt.Errorf("of %d packets %d arrived: what one costs cannot be told", made.Sent, n)
	}
	return float64(made.Took) / float64(max(made.Sent, 1)), nil
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

const floodVariable = "DEICH_BENCH_GATE_FLOOD"

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES.
const liveFrames = 2

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
	if x := least["judged sources, xdp-native"]; x > 0 {
		fmt.Printf("a packet of a judged source, xdp-native: %.0f ns (wanted: at most 500)\n", x)
	}
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
