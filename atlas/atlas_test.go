package atlas

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// written writes a file and gives its name.
func written(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t testing.TB, files ...string) *Atlas {
	t.Helper()
	a, bad, err := Open(files)
	if err != nil {
		t.Fatalf("file %d: %v", bad, err)
	}
	return a
}

// An address is in the network that its file says, up to its very ends, and
// IPv4 is the same inside IPv6; of others it is said that they are not listed.
func TestFind(t *testing.T) {
	a := opened(t, "testdata/operators.mmdb", "testdata/countries.mmdb")
	for _, c := range []struct {
		address  string
		operator uint32
		country  string
	}{
		{"192.0.2.0", 64500, "DE"}, {"192.0.2.255", 64500, "DE"}, {"192.0.1.255", Unlisted, "--"}, {"192.0.3.0", Unlisted, "--"},
		{"198.51.100.127", 64501, "FR"}, {"198.51.100.128", 64502, "FR"}, {"203.0.113.9", Unlisted, "BR"},
		{"0.0.0.0", Unlisted, "--"}, {"255.255.255.255", Unlisted, "--"}, {"127.127.255.255", 64510, "DE"}, {"127.128.0.0", 64511, "US"},
		{"::ffff:192.0.2.7", 64500, "DE"}, {"2001:db8::1", 64500, "DE"}, {"2001:db8:7fff:ffff::1", 64500, "DE"},
		{"2001:db8:8000::", 64501, "FR"}, {"2001:db8:80ff:ffff:ffff::", 64501, "FR"}, {"2001:db8:8100::", 64501, "--"},
		{"2001:db9::", Unlisted, "--"}, {"::", Unlisted, "--"}, {"ffff:ffff:ffff:ffff::", Unlisted, "--"},
	} {
		operator, country := a.Find(netip.MustParseAddr(c.address))
		if operator != c.operator || country.String() != c.country {
			t.Errorf("%s: AS %d in %s, want %d in %s", c.address, operator, country, c.operator, c.country)
		}
	}
	if a.Name(64502) != "Réseau d’exemple" || a.Name(1) != "" {
		t.Errorf("%q, %q", a.Name(64502), a.Name(1))
	}
	if got := a.Sources(); len(got) != 2 || got[0].Type != "Example-ASN-Lite" || !got[0].Operators || got[0].Countries || !got[1].Countries ||
		!got[1].Built.Equal(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", got)
	}
	if operator, country := a.Find(netip.Addr{}); operator != 0 || country != 0 {
		t.Error("no address is somewhere")
	}
}

// What no file tells of cannot be told, which is something else than not listed.
func TestHalfAnAtlas(t *testing.T) {
	var none *Atlas
	if o, c := none.Find(netip.MustParseAddr("192.0.2.1")); o != 0 || c != 0 || none.Name(64500) != "" || none.Operators() || none.Countries() || none.Sources() != nil {
		t.Error("without a file something is known")
	}
	a := opened(t, "testdata/countries.mmdb")
	if o, c := a.Find(netip.MustParseAddr("192.0.2.1")); o != 0 || c.String() != "DE" || a.Operators() || !a.Countries() {
		t.Errorf("AS %d in %s", o, c)
	}
	four := opened(t, written(t, "4.mmdb", mmdb(t, "x", 32, operatedBy[:3])))
	if o, _ := four.Find(netip.MustParseAddr("2001:db8::1")); o != 0 {
		t.Errorf("AS %d, from a file that knows IPv4 alone", o)
	}
	both := opened(t, written(t, "4.mmdb", mmdb(t, "x", 32, operatedBy[:3])), "testdata/operators.mmdb")
	if o, _ := both.Find(netip.MustParseAddr("2001:db8::1")); o != 64500 || len(both.Sources()) != 2 {
		t.Errorf("AS %d of %+v: IPv6 is taken from the file that has it", o, both.Sources())
	}
}

// Every way in which publishers write the same is read.
func TestFormats(t *testing.T) {
	for name, record := range map[string]map[string]any{
		"flat":       {"asn": "AS64500", "as_name": "Example Net", "country": "Germany", "country_code": "DE"},
		"code":       {"asn": "AS64500", "as_name": "Example Net", "country": "DE", "country_name": "Germany"},
		"number":     {"asn": uint32(64500), "as_name": "Example\tNet\n", "country_code": "DE"},
		"registered": {"autonomous_system_number": uint32(64500), "autonomous_system_organization": "Example Net", "registered_country": map[string]any{"iso_code": "DE"}},
	} {
		a := opened(t, written(t, "x.mmdb", mmdb(t, name, 28, []network{{"192.0.2.0/24", record}})))
		if o, c := a.Find(netip.MustParseAddr("192.0.2.1")); o != 64500 || c.String() != "DE" || a.Name(64500) != "Example Net" {
			t.Errorf("%s: AS %d %q in %s", name, o, a.Name(o), c)
		}
	}
	long := strings.Repeat("ä", 100)
	a := opened(t, written(t, "x.mmdb", mmdb(t, "x", 24, []network{operated("192.0.2.0/24", 1, long), operated("192.0.3.0/24", 2, strings.Repeat("x", 400))})))
	if got := a.Name(1); got != long[:nameBytesMax] || len(a.Name(2)) != nameBytesMax {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

// A file that is none, or not whole, is an error that says which and why.
func TestBrokenFiles(t *testing.T) {
	whole := made(t)["operators.mmdb"]
	good := "testdata/operators.mmdb"
	for name, c := range map[string]struct {
		file, want string
	}{
		"missing":   {filepath.Join(t.TempDir(), "none.mmdb"), "none.mmdb: no such file"},
		"a folder":  {t.TempDir(), "not a file"},
		"a device":  {"/dev/zero", "zero: not a file"},
		"empty":     {written(t, "e.mmdb", nil), "not a whole MaxMind database"},
		"cut short": {written(t, "c.mmdb", whole[:len(whole)/2]), "not a whole MaxMind database"},
		"other":     {written(t, "o.mmdb", mmdb(t, "City-Names", 24, []network{{"192.0.2.0/24", map[string]any{"city": "Bonn"}}})), "a City-Names, which names neither"},
	} {
		a, bad, err := Open([]string{good, c.file})
		if a != nil || bad != 1 || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %d: %v, want %q", name, bad, err, c.want)
		}
	}
	if _, _, err := Open(make([]string, FilesMax+1)); err == nil {
		t.Error("more files than may be")
	}
}

// Spans say the same as a walk over the networks they were made of.
func TestSpansAreTheNetworks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []network
	want := map[netip.Prefix]uint32{}
	for at := uint32(1 << 24); at < 3<<24; {
		bits := 16 + random.IntN(14)
		size := uint32(1) << (32 - bits)
		at = (at + size - 1) &^ (size - 1)
		if random.IntN(3) > 0 {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)}), bits)
			want[p] = 1 + random.Uint32N(50)
			all = append(all, operated(p.String(), want[p], fmt.Sprint("operator ", want[p])))
		}
		at += size
	}
	a := opened(t, written(t, "x.mmdb", mmdb(t, "x", 28, all)))
	for p, number := range want {
		first := key4(p.Addr())
		last := first + 1<<(32-p.Bits()) - 1
		for _, k := range []uint32{first, first + (last-first)/2, last} {
			if got := a.operators4.find(k); got != number {
				t.Fatalf("%x of %s: %d, want %d", k, p, got, number)
			}
		}
	}
	listed := func(k uint32) bool {
		for p := range want {
			if p.Contains(netip.AddrFrom4([4]byte{byte(k >> 24), byte(k >> 16), byte(k >> 8), byte(k)})) {
				return true
			}
		}
		return false
	}
	for range 300 {
		if k := 1<<24 + random.Uint32N(3<<24); (a.operators4.find(k) != 0) != listed(k) {
			t.Fatalf("%x: %d, listed: %v", k, a.operators4.find(k), listed(k))
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, b := range made(f) {
		f.Add(b)
		f.Add(b[:len(b)-7])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, _, err := Open([]string{written(t, "x.mmdb", b)})
		if err != nil {
			return
		}
		for _, text := range []string{"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1", "ffff::"} {
			a.Find(netip.MustParseAddr(text))
		}
	})
}

// BenchmarkFind looks random addresses up in as many networks as the tables of
// the whole internet have.
func BenchmarkFind(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []network
	operators := make([]network, 20_000)
	for i := range operators {
		operators[i] = operated("0.0.0.0/0", uint32(i+1), fmt.Sprint("operator ", i))
	}
	for i := range 500_000 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(1 + i>>16), byte(i >> 8), byte(i), 0}), 24)
		all = append(all, network{p.String(), operators[random.IntN(len(operators))].record})
	}
	for i := range 150_000 {
		p := netip.PrefixFrom(netip.AddrFrom16([16]byte{0x2a, byte(i >> 14), byte(i >> 6), byte(i << 2), 0, byte(i)}), 48)
		all = append(all, network{p.String(), operators[random.IntN(len(operators))].record})
	}
	name := written(b, "x.mmdb", mmdb(b, "x", 28, all))
	began := time.Now()
	a := opened(b, name)
	b.Logf("%d networks read in %s: %d and %d spans", len(all), time.Since(began), len(a.operators4.starts), len(a.operators6.starts))
	for kind, of := range map[string]func() netip.Addr{
		"IPv4": func() netip.Addr {
			n := 1<<24 + random.Uint32N(500_000<<8)
			return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		},
		"IPv6": func() netip.Addr {
			n := random.IntN(150_000)
			return netip.AddrFrom16([16]byte{0x2a, byte(n >> 14), byte(n >> 6), byte(n << 2), 0, byte(n), 1})
		},
	} {
		b.Run(kind, func(b *testing.B) {
			var addresses [1 << 12]netip.Addr
			for i := range addresses {
				addresses[i] = of()
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				a.Find(addresses[i%len(addresses)])
				i++
			}
		})
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	a := opened(t, "testdata/operators.mmdb", "testdata/countries.mmdb")
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() { a.Find(four); a.Find(six) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
