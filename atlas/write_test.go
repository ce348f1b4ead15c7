package atlas

import (
	"bytes"
	"encoding/binary"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the files in testdata anew")

// network is one that a file of a test tells of.
type network struct {
	prefix string
	record map[string]any
}

// mmdb writes a file in MaxMind's DB format (its specification, version 2.0),
// with records of so many bits. Networks do not overlap.
func mmdb(t testing.TB, kind string, bits int, networks []network) []byte {
	t.Helper()
	const free = -1
	type node [2]int // a node's number; free; or -2 less the place of a record
	nodes := []node{{free, free}}
	var data bytes.Buffer
	places := map[string]int{}
	for _, n := range networks {
		var one bytes.Buffer
		encode(&one, n.record)
		place, known := places[one.String()]
		if !known {
			place = data.Len()
			places[one.String()] = place
			data.Write(one.Bytes())
		}
		p := netip.MustParsePrefix(n.prefix)
		b, length := p.Addr().As16(), p.Bits()
		if p.Addr().Is4() {
			four := p.Addr().As4()
			b, length = [16]byte{}, length+96
			copy(b[12:], four[:])
		}
		at := 0
		for i := range length {
			side := int(b[i/8]>>(7-i%8)) & 1
			if i == length-1 {
				nodes[at][side] = -2 - place
				break
			}
			if nodes[at][side] < 0 {
				nodes = append(nodes, node{free, free})
				nodes[at][side] = len(nodes) - 1
			}
			at = nodes[at][side]
		}
	}
	var out bytes.Buffer
	for _, n := range nodes {
		var v [2]uint32
		for side, to := range n {
			switch {
			case to == free:
				v[side] = uint32(len(nodes))
			case to < free:
				v[side] = uint32(len(nodes) + 16 - 2 - to)
			default:
				v[side] = uint32(to)
			}
		}
		four := func(x uint32) (b [4]byte) { binary.BigEndian.PutUint32(b[:], x); return b }
		l, r := four(v[0]), four(v[1])
		switch bits {
		case 24:
			out.Write(slices.Concat(l[1:], r[1:]))
		case 28:
			out.Write(slices.Concat(l[1:], []byte{l[0]<<4 | r[0]}, r[1:]))
		case 32:
			out.Write(slices.Concat(l[:], r[:]))
		default:
			t.Fatalf("records of %d bits", bits)
		}
	}
	out.Write(make([]byte, 16))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	encode(&out, map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Unix()), "database_type": kind,
		"description": map[string]any{"en": "made for tests"}, "ip_version": uint16(6), "languages": []any{"en"},
		"node_count": uint32(len(nodes)), "record_size": uint16(bits),
	})
	return out.Bytes()
}

// encode writes a value of the format's data section.
func encode(to *bytes.Buffer, v any) {
	head := func(kind, size int) {
		var more []byte
		switch {
		case size >= 285:
			size, more = 30, []byte{byte((size - 285) >> 8), byte(size - 285)}
		case size >= 29:
			size, more = 29, []byte{byte(size - 29)}
		}
		if kind > 7 {
			to.Write([]byte{byte(size), byte(kind - 7)})
		} else {
			to.WriteByte(byte(kind<<5 | size))
		}
		to.Write(more)
	}
	whole := func(kind int, n uint64) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n)
		short := bytes.TrimLeft(b[:], "\x00")
		head(kind, len(short))
		to.Write(short)
	}
	switch v := v.(type) {
	case string:
		head(2, len(v))
		to.WriteString(v)
	case uint16:
		whole(5, uint64(v))
	case uint32:
		whole(6, uint64(v))
	case uint64:
		whole(9, v)
	case []any:
		head(11, len(v))
		for _, one := range v {
			encode(to, one)
		}
	case map[string]any:
		head(7, len(v))
		var names []string
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			encode(to, name)
			encode(to, v[name])
		}
	}
}

func operated(prefix string, number uint32, name string) network {
	return network{prefix, map[string]any{"autonomous_system_number": number, "autonomous_system_organization": name}}
}

func placed(prefix, code string) network {
	return network{prefix, map[string]any{"country": map[string]any{"iso_code": code, "names": map[string]any{"en": "Some country"}}}}
}

// Networks for documentation (RFC 5737, RFC 3849), and this machine's own, so
// that a Deich on a developer's machine has something to show.
var operatedBy = []network{
	operated("127.0.0.0/9", 64510, "Example Home"),
	operated("127.128.0.0/9", 64511, "Example Hosting"),
	operated("192.0.2.0/24", 64500, "Example Net"),
	operated("198.51.100.0/25", 64501, "Beispielnetz GmbH"),
	operated("198.51.100.128/25", 64502, "Réseau d’exemple"),
	operated("2001:db8::/33", 64500, "Example Net"),
	operated("2001:db8:8000::/33", 64501, "Beispielnetz GmbH"),
}

var placedIn = []network{
	placed("127.0.0.0/9", "DE"), placed("127.128.0.0/9", "US"),
	placed("192.0.2.0/24", "DE"), placed("198.51.100.0/24", "FR"), placed("203.0.113.0/24", "BR"),
	placed("2001:db8::/33", "DE"), placed("2001:db8:8000::/40", "FR"),
}

// made are the files in testdata, which other packages' tests read too.
func made(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"operators.mmdb": mmdb(t, "Example-ASN-Lite", 24, operatedBy),
		"countries.mmdb": mmdb(t, "Example-Country-Lite", 28, placedIn),
	}
}

func TestFilesAreWhatIsMade(t *testing.T) {
	for name, b := range made(t) {
		path := filepath.Join("testdata", name)
		if *rewrite {
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		is, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(is, b) {
			t.Errorf("%s is not what is made: go test ./atlas -run FilesAre -rewrite", path)
		}
	}
}
