package gate

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// programName is how the kernel's tools show the gate.
const programName = "deich_gate"

// errRights is what is wrong where the kernel only says "not permitted".
var errRights = errors.New("it needs CAP_BPF and CAP_NET_ADMIN (in the unit: link gate.conf)")

// xdp is a program in the kernel, and the links that hold it at interfaces.
// Where they are not pinned, they end with this process, whatever ends it.
type xdp struct {
	objects kernelObjects
	without error             // why there are no SYN cookies; nil: there are
	links   map[int]link.Link // by the interface's number
	pins    *pins             // nil: nothing is pinned
	at      []string
	native  bool

	reader *ringbuf.Reader
	reads  sync.WaitGroup
	mu     sync.Mutex
	latest []timed
}

type timed struct {
	Sample
	at int64 // monotonic
}

// monotonic is the clock that verdicts in the kernel end by.
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // every Linux has that clock
	}
	return t.Nano()
}

// ticks is that clock as verdicts count it, in steps of 2^tickBits ns; one that ends
// within a step ends at its beginning. It goes round, so a difference alone tells.
func ticks(at int64) uint32 { return uint32(at >> tickBits) }

// tickBits is TICK in bpf/gate.c.
const tickBits = 26

// load puts program and maps into the kernel, in place of new ones those that p
// has; nothing is attached yet. p stays the caller's where that fails.
func load(o Options, allowed []netip.Prefix, mtu int, p *pins) (_ *xdp, err error) {
	spec, err := loadKernel()
	if err != nil {
		return nil, err
	}
	for name, size := range map[string]uint32{
		"source4": sourcesMax * 5 / 4, // it begins to forget a little before it is full
		"source6": sourcesMax * 5 / 4,
		"prefix4": prefixesMax, "prefix6": prefixesMax, "allow4": allowMax, "allow6": allowMax,
		"samples": samplesBytes,
	} {
		spec.Maps[name].MaxEntries = size
	}
	c, x := o.Config, &xdp{without: cookiesHere(), links: make(map[int]link.Link)}
	for name, value := range map[string]any{
		"dry": flag(c.DryRun), "locked": flag(c.Lock), "reflection": flag(len(c.Reflection) > 0),
		"cookies": flag(x.without == nil),
		"mss4":    uint16(min(max(mtu-40, 536), 65495)), "mss6": uint16(min(max(mtu-60, 1220), 65475)),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, err
		}
	}
	if o.sampled > 0 {
		if err := spec.Variables["sampled"].Set(o.sampled); err != nil {
			return nil, err
		}
	}
	if c.Pinned {
		if err := spec.Variables["lasts"].Set(uint64(cmp.Or(o.lasts, pinnedLasts))); err != nil {
			return nil, err
		}
	}
	left := p.replacements()
	switch err := spec.LoadAndAssign(&x.objects, &ebpf.CollectionOptions{MapReplacements: left}); {
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return nil, p.foreign()
	case err != nil:
		return nil, translated(err)
	}
	defer func() {
		if err != nil {
			x.close()
		}
	}()
	if len(left) > 0 { // there may be prefixes among them
		if err := x.objects.Prefixes.Set(uint32(1)); err != nil {
			return nil, err
		}
	}
	if err := setBits(x.objects.Own, portBits(o.Ports)); err != nil {
		return nil, err
	}
	if err := setBits(x.objects.Reflectors, reflectorBits(c.Reflection)); err != nil {
		return nil, err
	}
	if err := x.allow(allowed); err != nil {
		return nil, err
	}
	if x.reader, err = ringbuf.NewReader(x.objects.Samples); err != nil {
		return nil, err
	}
	x.reads.Go(x.read)
	x.pins = p
	return x, nil
}

// flag is how the program takes one.
func flag(on bool) uint8 {
	if on {
		return 1
	}
	return 0
}

// cookiesHere says why this kernel makes no SYN cookies for programs.
func cookiesHere() error {
	return errors.Join(
		features.HaveProgramHelper(ebpf.XDP, asm.FnTcpGenSyncookie),
		features.HaveProgramHelper(ebpf.XDP, asm.FnSkcLookupTcp))
}

// translated puts the kernel's errors into words that help.
func translated(err error) error {
	var refused *ebpf.VerifierError
	switch {
	case errors.Is(err, unix.EPERM): // EACCES is what a program gets that the verifier refuses
		return errRights
	case errors.As(err, &refused) && errors.Is(features.HaveProgramHelper(ebpf.XDP, asm.FnXdpLoadBytes), ebpf.ErrNotSupported):
		return errors.New("it needs Linux 5.18 or later")
	}
	return err
}

func portBits(ports []Port) map[uint32]uint64 {
	bits := make(map[uint32]uint64)
	for _, p := range ports {
		n := uint32(p.At.Port())
		if p.UDP {
			n |= 1 << 16
		}
		bits[n>>6] |= 1 << (n & 63)
	}
	return bits
}

func reflectorBits(ports []int) map[uint32]uint64 {
	bits := make(map[uint32]uint64)
	for _, p := range ports {
		bits[uint32(p)>>6] |= 1 << (p & 63)
	}
	return bits
}

func setBits(m *ebpf.Map, bits map[uint32]uint64) error {
	for word, set := range bits {
		if err := m.Put(word, set); err != nil {
			return fmt.Errorf("%v: %w", m, err)
		}
	}
	return nil
}

// spot is an interface where the program can stand: its packets are such as it
// can read, and nobody else's stands there.
type spot struct {
	index  int
	left   link.Link // that an earlier Deich pinned; nil: none
	native bool      // left's program is run by the driver
}

func place(name string, p *pins) (s spot, err error) {
	at, err := net.InterfaceByName(name)
	if err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	if at.Flags&net.FlagLoopback == 0 && len(at.HardwareAddr) != 6 {
		return s, fmt.Errorf("%s: its packets have no Ethernet headers", name)
	}
	there, err := programsAt(at.Index)
	if err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	s.index = at.Index
	if s.left, s.native, err = p.at(name, at.Index, there); err != nil {
		return s, err
	}
	if s.left == nil && len(there) > 0 {
		return s, fmt.Errorf("%s: %s stands there already", name, programText(there[0].id))
	}
	return s, nil
}

// attach holds the program at an interface.
func (x *xdp) attach(name string, native bool) error {
	at, err := place(name, x.pins)
	if err != nil {
		return err
	}
	flags, mode := link.XDPGenericMode, "generic"
	if native {
		flags, mode = link.XDPDriverMode, "native"
	}
	l := at.left
	switch {
	case l == nil:
		l, err = link.AttachXDP(link.XDPOptions{Program: x.objects.DeichGate, Interface: at.index, Flags: flags})
	case at.native != native:
		return cannot(name, mode) // as it turned out for the one before
	default:
		// One program takes the other's place: no packet passes between them.
		if err = l.Update(x.objects.DeichGate); err == nil {
			delete(x.pins.links, at.index)
		}
	}
	switch {
	case errors.Is(err, os.ErrPermission):
		return errRights
	case errors.Is(err, unix.EOPNOTSUPP):
		return cannot(name, mode)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%s: another program stands there already", name)
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	x.links[at.index] = l
	x.at = append(x.at, name+" ("+mode+")")
	return nil
}

func cannot(name, mode string) error { return fmt.Errorf("%s: its driver cannot (%s)", name, mode) }

func (x *xdp) name() string {
	if x.native {
		return Native
	}
	return Generic
}

func (x *xdp) interfaces() []string { return slices.Clone(x.at) }

func (x *xdp) pinned() string {
	if x.pins == nil {
		return ""
	}
	return x.pins.path
}

// key4 is an address as the program reads it from a packet.
func key4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.NativeEndian.Uint32(b[:])
}

func key6(a netip.Addr) (words [4]uint32) {
	b := a.As16()
	for i := range words {
		words[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	return words
}

func netOf4(p netip.Prefix) kernelNet4 {
	return kernelNet4{Bits: uint32(p.Bits()), Addr: key4(p.Addr())}
}

func netOf6(p netip.Prefix) kernelNet6 {
	return kernelNet6{Bits: uint32(p.Bits()), Addr: key6(p.Addr())}
}

func halfOf(p netip.Prefix) kernelHalf6 {
	w := key6(p.Addr())
	return kernelHalf6{Addr: [2]uint32{w[0], w[1]}}
}

// sorted are verdicts by the map that holds them.
type sorted struct {
	source4 []uint32
	source6 []kernelHalf6
	prefix4 []kernelNet4
	prefix6 []kernelNet6
	values  [4][]kernelVerdict
}

func (s *sorted) add(p netip.Prefix, v kernelVerdict) {
	i := 0
	switch is4 := p.Addr().Is4(); {
	case is4 && p.Bits() == 32:
		s.source4 = append(s.source4, key4(p.Addr()))
	case is4:
		i, s.prefix4 = 2, append(s.prefix4, netOf4(p))
	case p.Bits() == 64:
		i, s.source6 = 1, append(s.source6, halfOf(p))
	default:
		i, s.prefix6 = 3, append(s.prefix6, netOf6(p))
	}
	s.values[i] = append(s.values[i], v)
}

func (x *xdp) put(list []verdict) error {
	now := monotonic()
	var s sorted
	for _, v := range list {
		s.add(v.prefix, kernelVerdict{Expires: ticks(now + int64(v.lasts))})
	}
	o := &x.objects
	errs := []error{
		update(o.Source4, s.source4, s.values[0]), update(o.Source6, s.source6, s.values[1]),
		update(o.Prefix4, s.prefix4, s.values[2]), update(o.Prefix6, s.prefix6, s.values[3]),
	}
	if len(s.prefix4)+len(s.prefix6) > 0 {
		errs = append(errs, o.Prefixes.Set(uint32(1)))
	}
	return errors.Join(errs...)
}

func update[K any](m *ebpf.Map, keys []K, values []kernelVerdict) error {
	if len(keys) == 0 {
		return nil
	}
	if _, err := m.BatchUpdate(keys, values, nil); err != nil {
		return fmt.Errorf("%v: %w", m, err)
	}
	return nil
}

func (x *xdp) remove(list []netip.Prefix) error {
	var s sorted
	for _, p := range list {
		s.add(p, kernelVerdict{})
	}
	o := &x.objects
	return errors.Join(
		erase(o.Source4, s.source4), erase(o.Source6, s.source6),
		erase(o.Prefix4, s.prefix4), erase(o.Prefix6, s.prefix6))
}

func (x *xdp) clear(list []netip.Prefix) error { return x.remove(list) }

// erase deletes one by one: a batch would stop at the first that is not there.
func erase[K any](m *ebpf.Map, keys []K) (err error) {
	for _, k := range keys {
		if e := m.Delete(k); e != nil && !errors.Is(e, ebpf.ErrKeyNotExist) {
			err = fmt.Errorf("%v: %w", m, e)
		}
	}
	return err
}

// allow adds before it takes away, so that nobody on both lists is out meanwhile.
func (x *xdp) allow(list []netip.Prefix) error {
	want4, want6 := make(map[kernelNet4]bool), make(map[kernelNet6]bool)
	for _, p := range list {
		if p.Addr().Is4() {
			want4[netOf4(p)] = true
		} else {
			want6[netOf6(p)] = true
		}
	}
	return errors.Join(replace(x.objects.Allow4, want4), replace(x.objects.Allow6, want6))
}

func replace[K comparable](m *ebpf.Map, want map[K]bool) error {
	var gone []K
	var key K
	var value uint32
	all := m.Iterate()
	for all.Next(&key, &value) {
		if !want[key] {
			gone = append(gone, key)
		}
	}
	if err := all.Err(); err != nil {
		return fmt.Errorf("%v: %w", m, err)
	}
	// A full table has no room for both lists at once.
	if len(gone)+len(want) > int(m.MaxEntries()) {
		if err := erase(m, gone); err != nil {
			return err
		}
		gone = nil
	}
	for k := range want {
		if err := m.Put(k, uint32(1)); err != nil {
			return fmt.Errorf("%v: %w", m, err)
		}
	}
	return erase(m, gone)
}

func (x *xdp) hits(tell func(netip.Prefix, uint64)) error {
	return x.verdicts(func(p netip.Prefix, v kernelVerdict) {
		if v.Hits > 0 {
			tell(p, uint64(v.Hits))
		}
	})
}

func (x *xdp) inherited() (all []inherited, err error) {
	if x.pins == nil {
		return nil, nil
	}
	now := ticks(monotonic())
	err = x.verdicts(func(p netip.Prefix, v kernelVerdict) {
		all = append(all, inherited{verdict{p, time.Duration(int32(v.Expires-now)) << tickBits}, uint64(v.Hits)})
	})
	return all, err
}

// verdicts tells of every one that is there, whether or not it has ended.
func (x *xdp) verdicts(tell func(netip.Prefix, kernelVerdict)) error {
	o := &x.objects
	return errors.Join(
		each(o.Source4, func(k uint32) netip.Prefix { return netip.PrefixFrom(addr4(k), 32) }, tell),
		each(o.Source6, func(k kernelHalf6) netip.Prefix {
			return netip.PrefixFrom(addr6([4]uint32{k.Addr[0], k.Addr[1]}), 64)
		}, tell),
		each(o.Prefix4, func(k kernelNet4) netip.Prefix { return netip.PrefixFrom(addr4(k.Addr), int(k.Bits)) }, tell),
		each(o.Prefix6, func(k kernelNet6) netip.Prefix { return netip.PrefixFrom(addr6(k.Addr), int(k.Bits)) }, tell))
}

// each tells of every verdict of a map.
func each[K any](m *ebpf.Map, prefix func(K) netip.Prefix, tell func(netip.Prefix, kernelVerdict)) error {
	keys, values := make([]K, batchMax), make([]kernelVerdict, batchMax)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		for i := range n {
			tell(prefix(keys[i]), values[i])
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil // that was all
		}
		if err != nil {
			return fmt.Errorf("%v: %w", m, err)
		}
	}
}

func addr4(k uint32) netip.Addr {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], k)
	return netip.AddrFrom4(b)
}

func addr6(words [4]uint32) netip.Addr {
	var b [16]byte
	for i, w := range words {
		binary.NativeEndian.PutUint32(b[4*i:], w)
	}
	return netip.AddrFrom16(b)
}

func (x *xdp) counts() (all Counts, err error) {
	for r := range all {
		var each []kernelCount
		if err := x.objects.Counts.Lookup(uint32(r), &each); err != nil {
			return all, fmt.Errorf("counts: %w", err)
		}
		for _, c := range each {
			all[r].Packets += c.Packets
			all[r].Bytes += c.Bytes
		}
	}
	return all, nil
}

// read takes samples until the reader is closed.
func (x *xdp) read() {
	var record ringbuf.Record
	for {
		if err := x.reader.ReadInto(&record); err != nil {
			return // closed
		}
		if s, ok := readSample(record.RawSample); ok {
			x.mu.Lock()
			x.latest = append(x.latest, s)
			x.latest = x.latest[max(0, len(x.latest)-samplesKept):]
			x.mu.Unlock()
		}
	}
}

func readSample(b []byte) (s timed, ok bool) {
	var raw kernelSample
	if _, err := binary.Decode(b, binary.NativeEndian, &raw); err != nil {
		return s, false
	}
	s.at = int64(raw.At)
	s.Port, s.Bytes, s.Reason, s.Protocol = raw.Port, raw.Bytes, Reason(raw.Reason), "udp"
	if raw.Protocol == unix.IPPROTO_TCP {
		s.Protocol = "tcp"
	}
	if s.From = addr6(raw.From); raw.Family == 4 {
		s.From = addr4(raw.From[0])
	}
	return s, true
}

func (x *xdp) samples() []Sample {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := monotonic()
	all := make([]Sample, len(x.latest))
	for i, s := range x.latest {
		s.Ago = time.Duration(now - s.at)
		all[i] = s.Sample
	}
	return all
}

func (x *xdp) cookies() string {
	if x.without != nil {
		return "by the stack alone: this kernel makes none for programs"
	}
	switch set, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_syncookies"); strings.TrimSpace(string(set)) {
	case "0":
		return "never: net.ipv4.tcp_syncookies is 0, set it to 1"
	case "2":
		return "always: net.ipv4.tcp_syncookies is 2"
	}
	return "while a listener's queue is full"
}

func (x *xdp) beat() error {
	if x.pins == nil {
		return nil // the kernel knows when we die
	}
	return x.says(monotonic())
}

// says writes down whose gate it is, and when that was alive.
func (x *xdp) says(at int64) error {
	var owner uint64
	if x.pins != nil {
		owner = x.pins.owner
	}
	if err := x.objects.Pinned.Put(uint32(0), kernelStanding{Beat: uint64(at), Owner: owner, Layout: layout}); err != nil {
		return fmt.Errorf("beat: %w", err)
	}
	return nil
}

// close takes the gate away, what is pinned of it included.
func (x *xdp) close() error { return errors.Join(x.pins.end(), x.leave()) }

// leave lets go of it; what is pinned stands on.
func (x *xdp) leave() (err error) {
	for _, l := range x.links {
		err = errors.Join(err, l.Close())
	}
	if x.reader != nil {
		err = errors.Join(err, x.reader.Close())
	}
	x.reads.Wait()
	return errors.Join(err, x.objects.Close(), x.pins.leave())
}
