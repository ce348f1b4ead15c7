package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tableName is the one table that the gate has in nftables.
const tableName = "deich_gate"

// table is the gate in nftables, spoken to through the program nft. Its rules
// match Deich's own ports only while those stand in sets whose elements end
// within seconds: a Deich that dies leaves rules behind that match nothing.
type table struct {
	options Options
	at      []string
	allowed []netip.Prefix
	beaten  time.Time       // when nft was last told that Deich is alive
	widths  map[string]bool // sets of prefixes that are there
	read    Counts          // when they were last read
	before  Counts          // of tables that others have taken away
	told    time.Time       // then
	took    time.Duration   // reading all that was to be told
	met     uint64          // packets that had met a verdict when each was last told of
}

// openTable puts up a new one.
func openTable(o Options, allowed []netip.Prefix, at []string) (wall, error) {
	t, err := newTable(o, at)
	if err != nil {
		return nil, err
	}
	t.allowed = allowed
	if err := t.stand(); err != nil {
		return nil, err
	}
	return t, nil
}

// stand puts the rules up, all anew.
func (t *table) stand() error {
	clear(t.widths)
	return t.do(t.rules(t.allowed))
}

// newTable checks that nobody else's gate stands here.
func newTable(o Options, at []string) (*table, error) {
	t := &table{options: o, at: at, widths: make(map[string]bool)}
	if live, err := livePorts(); err != nil {
		return nil, err
	} else if len(live) > 0 && !slices.Equal(live, t.portsOf(false)) {
		return nil, fmt.Errorf("the table %s of another Deich stands there already", tableName)
	}
	return t, nil
}

// do has nft do what text says, and with it hear that Deich is alive: a run may take a
// while, and be one of many.
func (t *table) do(text string) error {
	began := time.Now()
	if err := script(text + t.beatText()); err != nil {
		return err
	}
	t.beaten = began
	return nil
}

// script has nft do all that text says, or nothing of it.
func script(text string) error {
	_, err := nft(text, "-f", "-")
	return err
}

// errMissing is what a listing gives of a table that is not there.
var errMissing = errors.New("nft: the table is not there")

// What nft comes to without the right to ask or change anything, and where it is not installed.
var (
	errNetAdmin = errors.New("it needs CAP_NET_ADMIN")
	errNoNFT    = errors.New("the program nft is not here (package nftables)")
)

// nft runs it once.
func nft(input string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), nftWait)
	defer cancel()
	c := exec.CommandContext(ctx, nftPath(), args...)
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(input), &out, &errs
	if os.Geteuid() != 0 {
		c.SysProcAttr = &syscall.SysProcAttr{AmbientCaps: []uintptr{unix.CAP_NET_ADMIN}}
	}
	err := c.Run()
	switch {
	case err == nil:
		return out.Bytes(), nil
	case errors.Is(err, os.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return nil, errNoNFT
	case errors.Is(err, os.ErrPermission), strings.Contains(errs.String(), "Operation not permitted"):
		return nil, errNetAdmin
	case strings.Contains(errs.String(), "No such file or directory"):
		return nil, errMissing
	case ctx.Err() != nil:
		return nil, fmt.Errorf("nft: no answer within %s", nftWait)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
	return nil, fmt.Errorf("nft: %w: %s", err, first)
}

// nftPath is where nft is, also for who has no sbin in the path.
func nftPath() string {
	if p, err := exec.LookPath("nft"); err == nil {
		return p
	}
	return "/usr/sbin/nft"
}

// rules is everything anew.
func (t *table) rules(allowed []netip.Prefix) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	drop := "drop"
	if t.options.Config.DryRun {
		drop = "accept"
	}
	line("table inet %s", tableName)
	line("delete table inet %s", tableName)
	line("table inet %s {", tableName)
	// Counters are elements of small sets: to list a named counter, nft reads
	// every set of the table, which takes seconds where there are many sources.
	for r := range reasons {
		line("set n_%s { typeof meta nfproto; counter; elements = { ipv4, ipv6 }; }", r)
	}
	line("set own_tcp { type inet_service; flags timeout; }")
	line("set own_udp { type inet_service; flags timeout; }")
	line("set reflectors { type inet_service; }")
	line("set allow4 { type ipv4_addr; flags interval; auto-merge; }")
	line("set allow6 { type ipv6_addr; flags interval; auto-merge; }")
	line("set source4 { type ipv4_addr; size %d; flags timeout; counter; }", sourcesMax*5/4)
	line("set source6 { type ipv6_addr; size %d; flags timeout; counter; }", sourcesMax*5/4)
	line("chain friends {")
	line("ip saddr @allow4 meta nfproto @n_allowed accept")
	line("ip6 saddr @allow6 meta nfproto @n_allowed accept")
	line("}")
	line("chain wide {}")
	line("chain unasked {")
	line("udp sport @reflectors meta nfproto @n_reflection %s", drop)
	line("}")
	line("chain ours {")
	line("jump friends")
	line("ip saddr @source4 meta nfproto @n_source %s", drop)
	line("ip6 saddr & ffff:ffff:ffff:ffff:: @source6 meta nfproto @n_source %s", drop)
	line("jump wide")
	reflection := len(t.options.Config.Reflection) > 0
	if reflection {
		line("meta l4proto udp jump unasked")
	}
	if t.options.Config.Lock {
		line("meta nfproto @n_locked %s", drop)
	} else {
		line("meta nfproto @n_pass accept")
	}
	line("}")
	line("chain other_udp {")
	line("jump friends")
	line("jump unasked")
	line("}")
	line("chain stray {")
	line("jump friends")
	line("meta nfproto @n_fragment %s", drop)
	line("}")
	// Where a fragment has no ports, nft reads some from its content.
	line("chain pieces {")
	if reflection {
		line("meta l4proto udp jump stray")
	}
	line("meta nfproto @n_other accept")
	line("}")
	line("chain gate {")
	line("type filter hook prerouting priority raw; policy accept;")
	line("iifname != { %s } accept", quoted(t.at))
	line("ip frag-off & 0x1fff != 0 goto pieces")
	line("exthdr frag exists frag frag-off != 0 goto pieces")
	line("tcp dport @own_tcp goto ours")
	line("udp dport @own_udp goto ours")
	if reflection {
		line("meta l4proto udp jump other_udp")
	}
	line("meta nfproto @n_other accept")
	line("}")
	line("}")
	line("%s", t.allowText(allowed))
	if reflection {
		line("add element inet %s reflectors { %s }", tableName, listed(t.options.Config.Reflection))
	}
	return b.String()
}

func quoted(names []string) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = `"` + n + `"`
	}
	return strings.Join(all, ", ")
}

func listed[T any](all []T) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(all)), ", "), "[]")
}

// allowText replaces the allow list.
func (t *table) allowText(list []netip.Prefix) string {
	var b strings.Builder
	for _, set := range []string{"allow4", "allow6"} {
		fmt.Fprintf(&b, "flush set inet %s %s\n", tableName, set)
		var of []netip.Prefix
		for _, p := range list {
			if p.Addr().Is4() == (set == "allow4") {
				of = append(of, p)
			}
		}
		if len(of) > 0 {
			fmt.Fprintf(&b, "add element inet %s %s { %s }\n", tableName, set, listed(of))
		}
	}
	return b.String()
}

// portsOf gives Deich's own, sorted.
func (t *table) portsOf(udp bool) (list []int) {
	for _, p := range t.options.Ports {
		if p.UDP == udp {
			list = append(list, int(p.At.Port()))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (t *table) beatText() string {
	var b strings.Builder
	for set, ports := range map[string][]int{"own_tcp": t.portsOf(false), "own_udp": t.portsOf(true)} {
		var list []element
		for _, p := range ports {
			list = append(list, element{fmt.Sprint(p), beatLasts})
		}
		b.WriteString(putText(set, list))
	}
	return b.String()
}

// element is one of a set, and how long it stays.
type element struct {
	key   string
	lasts time.Duration
}

// putText puts elements in place of those with the same keys. An element that
// is there cannot be added with another end, and one that is not there cannot
// be deleted: so it is added, deleted and added, all at once.
func putText(set string, list []element) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(eraseText(set, list))
	all := make([]string, len(list))
	for i, e := range list {
		all[i] = fmt.Sprintf("%s timeout %dms", e.key, max(1, e.lasts.Milliseconds()))
	}
	fmt.Fprintf(&b, "add element inet %s %s { %s }\n", tableName, set, strings.Join(all, ", "))
	return b.String()
}

func eraseText(set string, list []element) string {
	keys := make([]string, len(list))
	for i, e := range list {
		keys[i] = e.key
	}
	all := strings.Join(keys, ", ")
	return fmt.Sprintf("add element inet %s %s { %s }\ndelete element inet %s %s { %s }\n", tableName, set, all, tableName, set, all)
}

func (t *table) name() string         { return Table }
func (t *table) interfaces() []string { return slices.Clone(t.at) }
func (t *table) pinned() string       { return "" }
func (t *table) samples() []Sample    { return nil }
func (t *table) cookies() string      { return "by the stack alone" }

// inherited gives nothing: a table is made anew.
func (t *table) inherited() ([]inherited, error) { return nil, nil }

// setOf gives the set that holds a prefix. There is one for every width in use.
func setOf(p netip.Prefix) string {
	switch is4 := p.Addr().Is4(); {
	case is4 && p.Bits() == 32:
		return "source4"
	case is4:
		return fmt.Sprintf("prefix4_%d", p.Bits())
	case p.Bits() == 64:
		return "source6"
	}
	return fmt.Sprintf("prefix6_%d", p.Bits())
}

// widthText makes the set of a width, and the rule that asks it.
func (t *table) widthText(set string, p netip.Prefix) string {
	drop, family, kind := "drop", "ip6", "ipv6_addr"
	if t.options.Config.DryRun {
		drop = "accept"
	}
	ones := netip.AddrFrom16([16]byte(bytes.Repeat([]byte{255}, 16)))
	if p.Addr().Is4() {
		family, kind, ones = "ip", "ipv4_addr", netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	mask, _ := ones.Prefix(p.Bits())
	return fmt.Sprintf("add set inet %s %s { type %s; size %d; flags timeout; counter; }\n"+
		"add rule inet %s wide %s saddr & %s @%s meta nfproto @n_prefix %s\n",
		tableName, set, kind, prefixesMax*5/4, tableName, family, mask.Addr(), set, drop)
}

func (t *table) put(list []verdict) error {
	sets := make(map[string][]element)
	var b strings.Builder
	made := make(map[string]bool)
	for _, v := range list {
		set := setOf(v.prefix)
		if wide := set != "source4" && set != "source6"; wide && !t.widths[set] && !made[set] {
			b.WriteString(t.widthText(set, v.prefix))
			made[set] = true
		}
		sets[set] = append(sets[set], element{v.prefix.Addr().String(), v.lasts})
	}
	for set, list := range sets {
		b.WriteString(putText(set, list))
	}
	if err := t.do(b.String()); err != nil {
		return err
	}
	for set := range made {
		t.widths[set] = true
	}
	return nil
}

func (t *table) remove(list []netip.Prefix) error {
	sets := make(map[string][]element)
	for _, p := range list {
		if set := setOf(p); set == "source4" || set == "source6" || t.widths[set] {
			sets[set] = append(sets[set], element{key: p.Addr().String()})
		}
	}
	if len(sets) == 0 {
		return nil
	}
	var b strings.Builder
	for set, list := range sets {
		b.WriteString(eraseText(set, list))
	}
	return t.do(b.String())
}

// clear has nothing to do: elements go when their time is over.
func (t *table) clear([]netip.Prefix) error { return nil }

func (t *table) allow(list []netip.Prefix) error {
	if err := t.do(t.allowText(list)); err != nil {
		return err
	}
	t.allowed = list
	return nil
}

func (t *table) beat() error {
	err := t.do("")
	if !errors.Is(err, errMissing) {
		return err
	}
	if _, err := nft("", "list", "table", "inet", tableName); err == nil {
		return errAway // an empty one is there
	}
	t.before = t.read
	if err := t.stand(); err != nil {
		return err
	}
	return errAnew
}

// hits reads the counts each time, and the sets of sources now and then where
// something met them: with many sources that takes nft a while.
func (t *table) hits(tell func(netip.Prefix, uint64)) error {
	if err := t.count(); err != nil {
		return err
	}
	met := t.read[DropSource].Packets + t.read[DropPrefix].Packets
	if met == t.met || time.Since(t.told) < max(nftHitsEvery, nftHitsRest*t.took) {
		return nil
	}
	t.told = time.Now()
	defer func() { t.took = time.Since(t.told) }()
	sets := []string{"source4", "source6"}
	for set := range t.widths {
		sets = append(sets, set)
	}
	for _, set := range sets {
		if err := t.do(""); err != nil { // to list one may take most of what a beat lasts
			return err
		}
		elements, err := elementsOf(set)
		if err != nil {
			return err
		}
		bits := 32
		if set == "source6" {
			bits = 64
		}
		if _, width, wide := strings.Cut(set, "_"); wide {
			fmt.Sscan(width, &bits)
		}
		for _, e := range elements {
			var a netip.Addr
			if json.Unmarshal(e.Value, &a) == nil && e.Counter.Packets > 0 {
				tell(netip.PrefixFrom(a, bits), e.Counter.Packets)
			}
		}
	}
	t.met = met
	return nil
}

// The forms of nft -j, as far as they are read here.
type (
	listing struct {
		Objects []listedObject `json:"nftables"`
	}
	listedObject struct {
		Set *struct{ Elem []json.RawMessage }
	}
	listedElement struct {
		Value   json.RawMessage `json:"val"`
		Counter Count           `json:"counter"`
	}
)

func list(what ...string) (l listing, err error) {
	b, err := nft("", append([]string{"-j", "list"}, what...)...)
	if err == nil {
		err = json.Unmarshal(b, &l)
	}
	return l, err
}

func elementsOf(set string) (all []listedElement, err error) {
	l, err := list("set", "inet", tableName, set)
	for _, o := range l.Objects {
		if o.Set == nil {
			continue
		}
		for _, raw := range o.Set.Elem {
			var wrapped struct{ Elem *listedElement }
			if json.Unmarshal(raw, &wrapped) == nil && wrapped.Elem != nil {
				all = append(all, *wrapped.Elem)
			}
		}
	}
	return all, err
}

// counts are those of the last collection.
func (t *table) counts() (Counts, error) { return t.read, nil }

// count reads those that this configuration can move.
func (t *table) count() error {
	c := t.options.Config
	for r, counted := range map[Reason]bool{
		PassOther: true, PassAllowed: true, Pass: !c.Lock, DropLocked: c.Lock, DropSource: true, DropPrefix: len(t.widths) > 0,
		DropReflection: len(c.Reflection) > 0, DropFragment: len(c.Reflection) > 0,
	} {
		if !counted {
			continue
		}
		if time.Since(t.beaten) >= beatEvery {
			if err := t.do(""); err != nil {
				return err
			}
		}
		elements, err := elementsOf("n_" + r.String())
		if err != nil {
			return err
		}
		t.read[r] = t.before[r]
		for _, e := range elements {
			t.read[r].Packets += e.Counter.Packets
			t.read[r].Bytes += e.Counter.Bytes
		}
	}
	return nil
}

func (t *table) close() error {
	err := script("delete table inet " + tableName)
	if errors.Is(err, errMissing) {
		return nil // another program has taken it away
	}
	return err
}

// tableStands says whether there is one, be its Deich alive or not. Of all
// listings only that of one small set is quick.
func tableStands() (bool, error) {
	_, err := list("set", "inet", tableName, "own_tcp")
	if errors.Is(err, errMissing) {
		return false, nil
	}
	return err == nil, err
}

// livePorts gives the ports of a gate whose Deich was alive a moment ago.
func livePorts() (ports []int, err error) {
	if stands, err := tableStands(); err != nil || !stands {
		return nil, err
	}
	all, err := elementsOf("own_tcp")
	for _, e := range all {
		var p int
		if json.Unmarshal(e.Value, &p) == nil {
			ports = append(ports, p)
		}
	}
	slices.Sort(ports)
	return ports, err
}

// sweepTable finds the table, and takes it away where that is asked for. It leaves an empty
// one, by which a Deich that lives on knows not to put its own up again.
func sweepTable(away bool) ([]string, error) {
	stands, err := tableStands()
	if err != nil || !stands {
		return nil, err
	}
	if away {
		if err := script("delete table inet " + tableName + "\nadd table inet " + tableName); err != nil {
			return nil, err
		}
	}
	return []string{"nftables: table inet " + tableName}, nil
}
