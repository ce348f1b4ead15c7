package gate

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// The verdicts of the kernel about a packet.
const (
	xdpDrop = 1
	xdpPass = 2
	xdpTX   = 3
)

// loaded gives the world's gate in the kernel, attached to nothing.
func loaded(t testing.TB, c Config) *xdp {
	t.Helper()
	needPrograms(t)
	x, err := load(Options{Config: c, Ports: worldPorts, sampled: 1}, worldAllowed, 1500, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.close(); err != nil {
			t.Error(err)
		}
	})
	if err := x.put(worldVerdicts); err != nil {
		t.Fatal(err)
	}
	return x
}

// passed sends a frame through the program, and gives the kernel's verdict, the
// frame afterwards and the one reason that was counted.
func passed(t testing.TB, x *xdp, frame []byte) (verdict uint32, out []byte, why Reason) {
	t.Helper()
	before := countsOf(t, x)
	o := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}
	verdict, err := x.objects.DeichGate.Run(&o)
	if err != nil {
		t.Fatalf("%x: %v", frame, err)
	}
	n := 0
	for r, c := range countsOf(t, x) {
		if d := c.Packets - before[r].Packets; d > 0 {
			why = Reason(r)
			n += int(d)
			if bytes := c.Bytes - before[r].Bytes; why != PassCookie && bytes != uint64(len(frame)) {
				t.Errorf("%d bytes counted of a packet of %d", bytes, len(frame))
			}
		}
	}
	if n != 1 {
		t.Fatalf("%x: counted %d times", frame, n)
	}
	return verdict, o.DataOut, why
}

func countsOf(t testing.TB, w wall) Counts {
	t.Helper()
	if n, ok := w.(*table); ok {
		if err := n.count(); err != nil {
			t.Fatal(err)
		}
	}
	c, err := w.counts()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func fate(r Reason) uint32 {
	if r.Drops() {
		return xdpDrop
	}
	return xdpPass
}

func TestPrograms(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			x := loaded(t, m.config)
			for _, c := range verdictCases {
				frame, want := c.packet.frame(), m.want(c)
				verdict, out, why := passed(t, x, frame)
				if why != want || verdict != fate(want) {
					t.Errorf("%s: %s (%d), want %s", c.name, why, verdict, want)
				}
				if string(out) != string(frame) {
					t.Errorf("%s: the packet was changed", c.name)
				}
				if is := model(frame, m.config); is != want {
					t.Errorf("%s: the model says %s, want %s", c.name, is, want)
				}
			}
		})
	}
}

// Every reason to pass or drop has a row that meets it.
func TestTableKnowsEveryReason(t *testing.T) {
	met := map[Reason]bool{PassOdd: true, PassCookie: true, PassStale: true} // by truncation, TestCookies and TestStaleGatePasses
	for _, m := range modes {
		for _, c := range verdictCases {
			met[m.want(c)] = true
		}
	}
	for r := range reasons {
		if !met[r] {
			t.Errorf("no case for %s", r)
		}
	}
}

func TestDryRunDropsNothing(t *testing.T) {
	c := Config{DryRun: true, Reflection: worldReflects, Lock: true}
	x := loaded(t, c)
	for _, each := range verdictCases {
		frame := each.packet.frame()
		verdict, _, why := passed(t, x, frame)
		if want := model(frame, c); why != want || verdict != xdpPass {
			t.Errorf("%s: %s (%d), want %s and to pass", each.name, why, verdict, want)
		}
	}
}

// However short a packet is cut, the program says what the model says, and
// what has no port is never dropped for one.
func TestTruncatedEverywhere(t *testing.T) {
	for _, m := range modes {
		x := loaded(t, m.config)
		for _, c := range verdictCases {
			whole := c.packet.frame()
			for n := 14; n < len(whole); n++ { // the kernel runs nothing shorter
				frame := whole[:n]
				verdict, _, why := passed(t, x, frame)
				if want := model(frame, m.config); why != want || verdict != fate(want) {
					t.Fatalf("%s, %s, cut to %d bytes: %s (%d), want %s", m.name, c.name, n, why, verdict, want)
				}
			}
		}
	}
}

func FuzzPacket(f *testing.F) {
	for _, c := range verdictCases {
		f.Add(c.packet.frame())
	}
	needPrograms(f)
	var all []*xdp
	for _, m := range modes {
		all = append(all, loaded(f, m.config))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < 14 || len(frame) > 3000 {
			return
		}
		for i, m := range modes {
			verdict, _, why := passed(t, all[i], frame)
			if want := model(frame, m.config); why != want || verdict != fate(want) {
				t.Fatalf("%s: %s (%d), want %s", m.name, why, verdict, want)
			}
		}
	})
}

func TestVerdictsExpireAndAreTakenBack(t *testing.T) {
	x := loaded(t, Config{})
	var now []Reason
	look := func(from string) Reason {
		p := v4(from, tcp, 1, 443)
		if netip.MustParseAddr(from).Is6() {
			p = v6(from, tcp, 1, 443)
		}
		_, _, why := passed(t, x, p.frame())
		now = append(now, why)
		return why
	}
	if err := x.put([]verdict{
		{netip.MustParsePrefix("100.64.0.1/32"), 300 * time.Millisecond}, {netip.MustParsePrefix("100.64.1.0/24"), 300 * time.Millisecond},
		{netip.MustParsePrefix("fd00::/64"), 300 * time.Millisecond}, {netip.MustParsePrefix("fd01::/48"), time.Hour},
	}); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]Reason{"100.64.0.1": DropSource, "100.64.1.9": DropPrefix, "fd00::1": DropSource, "fd01::1": DropPrefix} {
		if why := look(from); why != want {
			t.Errorf("%s: %s, want %s", from, why, want)
		}
	}
	time.Sleep(400 * time.Millisecond)
	for _, from := range []string{"100.64.0.1", "100.64.1.9", "fd00::1"} {
		if why := look(from); why != Pass {
			t.Errorf("%s, after its end: %s", from, why)
		}
	}
	if err := x.remove(prefixes("198.51.100.7/32", "203.0.113.0/24", "2001:db8:1:2::/64", "fd01::/48", "100.99.0.0/32")); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"198.51.100.7", "203.0.113.1", "2001:db8:1:2::1", "fd01::1"} {
		if why := look(from); why != Pass {
			t.Errorf("%s, taken back: %s", from, why)
		}
	}
}

// Without a beat a pinned gate lets everything pass, whatever it is; with one it is
// like any other.
func TestStaleGatePasses(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			m.config.Pinned = true
			x := loaded(t, m.config)
			for _, each := range []struct {
				name  string
				ago   time.Duration // the beat
				stale bool
			}{
				{"none yet", time.Duration(monotonic()), true}, {"just now", 0, false}, {"ahead of the coarse clock", -time.Second, false},
				{"a while ago", pinnedLasts / 2, false}, {"too long ago", pinnedLasts + time.Second, true},
			} {
				if each.name != "none yet" { // else as the map begins
					if err := x.says(monotonic() - int64(each.ago)); err != nil {
						t.Fatal(err)
					}
				}
				for _, c := range verdictCases {
					want := m.want(c)
					if each.stale {
						want = PassStale
					}
					if verdict, _, why := passed(t, x, c.packet.frame()); why != want || verdict != fate(want) {
						t.Errorf("beat %s: %s: %s (%d), want %s", each.name, c.name, why, verdict, want)
					}
				}
			}
		})
	}
}

func TestHitsAreCountedByVerdict(t *testing.T) {
	x := loaded(t, Config{})
	want := map[netip.Prefix]uint64{
		netip.MustParsePrefix("198.51.100.7/32"): 3, netip.MustParsePrefix("203.0.113.0/24"): 2,
		netip.MustParsePrefix("2001:db8:1:2::/64"): 2, netip.MustParsePrefix("2001:db8:9::/48"): 1,
	}
	for _, p := range []packet{
		v4("198.51.100.7", tcp, 1, 443), v4("198.51.100.7", tcp, 1, 80), v4("198.51.100.7", udp, 1, 443), v4("198.51.100.7", tcp, 1, 22),
		v4("203.0.113.5", tcp, 1, 443), v4("203.0.113.6", tcp, 1, 443), v4("203.0.113.9", tcp, 1, 443),
		v6("2001:db8:1:2::1", tcp, 1, 443), v6("2001:db8:1:2::2", tcp, 1, 443), v6("2001:db8:9::2", tcp, 1, 443),
	} {
		passed(t, x, p.frame())
	}
	got := map[netip.Prefix]uint64{}
	if err := x.hits(func(p netip.Prefix, n uint64) { got[p] += n }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSamplesTellOfDrops(t *testing.T) {
	x := loaded(t, Config{})
	passed(t, x, v4("198.51.100.7", tcp, 1, 443).frame())
	passed(t, x, v4("198.51.100.1", tcp, 1, 443).frame())
	passed(t, x, v6("2001:db8:9::7", udp, 1, 443).frame())
	var got []Sample
	for end := time.Now().Add(5 * time.Second); len(got) < 2 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		got = x.samples()
	}
	if len(got) != 2 {
		t.Fatalf("%d samples: %+v", len(got), got)
	}
	a, b := got[0], got[1]
	if a.From != netip.MustParseAddr("198.51.100.7") || a.Port != 443 || a.Protocol != "tcp" || a.Reason != DropSource || a.Bytes != 58 ||
		b.From != netip.MustParseAddr("2001:db8:9::7") || b.Protocol != "udp" || b.Reason != DropPrefix {
		t.Errorf("%+v", got)
	}
}

func TestAllowListIsReplaced(t *testing.T) {
	x := loaded(t, Config{})
	if err := x.allow(prefixes("198.51.100.7/32", "2001:db8:1:2::/64")); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]Reason{"198.51.100.7": PassAllowed, "198.51.100.8": DropSource, "203.0.113.9": DropPrefix, "192.0.2.1": Pass} {
		if _, _, why := passed(t, x, v4(from, tcp, 1, 443).frame()); why != want {
			t.Errorf("%s: %s, want %s", from, why, want)
		}
	}
	if _, _, why := passed(t, x, v6("2001:db8:1:2::1", tcp, 1, 443).frame()); why != PassAllowed {
		t.Error(why)
	}
	full := make([]netip.Prefix, allowMax)
	for i := range full {
		full[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32)
	}
	if err := x.allow(full); err != nil {
		t.Fatalf("a full list: %v", err)
	}
	for i := range full {
		full[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}), 32)
	}
	if err := x.allow(full); err != nil {
		t.Fatalf("another full list: %v", err)
	}
}

func BenchmarkPrograms(b *testing.B) {
	for _, c := range verdictCases[:8] {
		b.Run(c.name, func(b *testing.B) {
			x := loaded(b, Config{})
			frame := c.packet.frame()
			b.ResetTimer()
			_, each, err := x.objects.DeichGate.Benchmark(frame, max(b.N, 1), nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(each.Nanoseconds()), "ns/packet")
		})
	}
}

// BenchmarkJudged measures the program's own share of what a packet of a judged
// source costs: of one source, whose verdict is in the processor's caches, and of
// one of 100,000 after the other in any order. A program before it draws the source;
// what that takes alone is subtracted.
func BenchmarkJudged(b *testing.B) {
	const first, judged = 0x0a010000, 100_000
	needPrograms(b)
	x, err := load(Options{Ports: worldPorts}, worldAllowed, 1500, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer x.close()
	list := make([]verdict, judged)
	for i := range list {
		var a [4]byte
		be.PutUint32(a[:], first+uint32(i))
		list[i] = verdict{netip.PrefixFrom(netip.AddrFrom4(a), 32), time.Hour}
	}
	for part := range slices.Chunk(list, batchMax) {
		if err := x.put(part); err != nil {
			b.Fatal(err)
		}
	}
	drops, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: ebpf.AttachXDP, Flags: unix.BPF_F_XDP_HAS_FRAGS, License: "MIT", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, xdpDrop), asm.Return(),
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer drops.Close()
	for _, sources := range []int32{1, judged} {
		b.Run(fmt.Sprint(sources), func(b *testing.B) {
			alone := drawing(b, first, sources, drops)
			whole := drawing(b, first, sources, x.objects.DeichGate)
			frame := v4("10.1.0.0", tcp, 40000, 443).frame()
			n := max(b.N, 1)
			b.ResetTimer()
			ret, all, err := whole.Benchmark(frame, n, nil)
			if err != nil || ret != xdpDrop {
				b.Fatal(ret, err)
			}
			_, made, err := alone.Benchmark(frame, n, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64((all - made).Nanoseconds()), "ns/packet")
		})
	}
}

// drawing gives a program that writes a source into the packet and goes on with another program.
func drawing(b *testing.B, first uint32, sources int32, then *ebpf.Program) *ebpf.Program {
	b.Helper()
	next, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { next.Close() })
	draws, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: ebpf.AttachXDP, Flags: unix.BPF_F_XDP_HAS_FRAGS, License: "MIT", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.FnGetPrandomU32.Call(),
		asm.Mod.Imm32(asm.R0, sources),
		asm.Add.Imm32(asm.R0, int32(first)),
		asm.HostTo(asm.BE, asm.R0, asm.Word),
		asm.StoreMem(asm.RFP, -4, asm.R0, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, 14+12),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, -4),
		asm.Mov.Imm(asm.R4, 4),
		asm.FnXdpStoreBytes.Call(),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, next.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { draws.Close() })
	if err := next.Put(uint32(0), then); err != nil {
		b.Fatal(err)
	}
	return draws
}
