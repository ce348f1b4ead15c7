package atlas

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oschwald/maxminddb-golang/v2"
)

// told is what one file tells.
type told struct {
	operators4, countries4 spans[uint32]
	operators6, countries6 spans[uint64]
	names                  map[uint32]string
	kind                   string
	built                  time.Time
}

// record is what is read of an entry. DB-IP and MaxMind write the first three
// and a country with its parts, IPinfo the others.
type record struct {
	Number       any    `maxminddb:"autonomous_system_number"`
	Organization string `maxminddb:"autonomous_system_organization"`
	Country      any    `maxminddb:"country"`
	Registered   any    `maxminddb:"registered_country"`
	ASN          any    `maxminddb:"asn"`
	ASName       string `maxminddb:"as_name"`
	CountryCode  string `maxminddb:"country_code"`
}

// entry is what a record says.
type entry struct{ operator, country uint32 }

func read(name string) (*told, error) {
	b, err := readFile(name)
	if err != nil {
		return nil, err
	}
	db, err := maxminddb.OpenBytes(b)
	if err != nil {
		return nil, errors.New("not a whole MaxMind database")
	}
	defer db.Close()
	t := &told{names: make(map[uint32]string), kind: db.Metadata.DatabaseType, built: time.Unix(int64(db.Metadata.BuildEpoch), 0).UTC()}
	var operators4, countries4 filler[uint32]
	var operators6, countries6 filler[uint64]
	known := make(map[uintptr]entry)
	for r := range db.Networks() {
		if err := r.Err(); err != nil {
			return nil, fmt.Errorf("broken: %w", err)
		}
		e, seen := known[r.Offset()]
		if !seen {
			var what record
			if err := r.Decode(&what); err != nil {
				return nil, fmt.Errorf("broken, or of another kind: %w", err)
			}
			e = t.entry(&what)
			known[r.Offset()] = e
		}
		p := plain(r.Prefix())
		ordered := true
		if p.Addr().Is4() {
			first := key4(p.Addr())
			last := first | (uint32(1)<<(32-p.Bits()) - 1)
			ordered = operators4.add(first, last, e.operator) && countries4.add(first, last, e.country)
		} else {
			first := key6(p.Addr())
			last := first | (uint64(1)<<max(64-p.Bits(), 0) - 1)
			ordered = operators6.add(first, last, e.operator) && countries6.add(first, last, e.country)
		}
		if !ordered {
			return nil, fmt.Errorf("broken: %s is not in its place", p)
		}
		if max(len(operators4.starts), len(countries4.starts), len(operators6.starts), len(countries6.starts)) > spansMax {
			return nil, fmt.Errorf("more than %d stretches of addresses", spansMax)
		}
	}
	t.operators4, t.countries4, t.operators6, t.countries6 = operators4.done(), countries4.done(), operators6.done(), countries6.done()
	if t.operators4.empty() && t.operators6.empty() && t.countries4.empty() && t.countries6.empty() {
		return nil, fmt.Errorf("a %s, which names neither operators of networks nor countries", t.kind)
	}
	return t, nil
}

// readFile reads a file that is one and not too long.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name) // first: to open a pipe would be to wait
	switch {
	case err != nil:
		return nil, reason(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("not a file")
	case info.Size() > fileBytesMax:
		return nil, fmt.Errorf("%d bytes: at most %d", info.Size(), fileBytesMax)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, reason(err)
	}
	return b, nil
}

// reason is an error without the path, which whoever reports it has.
func reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// plain gives IPv4 networks as such, wherever in a file of IPv6 they stand.
func plain(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4() || p.Bits() < 96 {
		return p
	}
	b := p.Addr().As16()
	if binary.BigEndian.Uint64(b[:8]) != 0 || binary.BigEndian.Uint32(b[8:12]) != 0 {
		return p
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[12:])), p.Bits()-96)
}

// entry gives what a record says, and notes the operator's name.
func (t *told) entry(r *record) (e entry) {
	e.operator = number(r.Number)
	name := r.Organization
	if e.operator == 0 {
		e.operator, name = number(r.ASN), r.ASName
	}
	if e.operator != 0 && t.names[e.operator] == "" {
		t.names[e.operator] = tidy(name)
	}
	for _, code := range []string{codeOf(r.Country), r.CountryCode, codeOf(r.Registered)} {
		if e.country = letters(code); e.country != 0 {
			break
		}
	}
	return e
}

// number reads an autonomous system's number, 64500 or "AS64500"; 0 for none.
func number(v any) uint32 {
	switch n := v.(type) {
	case uint64:
		if n < 1<<32-1 {
			return uint32(n)
		}
	case uint32:
		return n
	case uint16:
		return uint32(n)
	case int32:
		return uint32(max(n, 0))
	case int:
		return uint32(max(n, 0))
	case string:
		if n, err := strconv.ParseUint(strings.TrimPrefix(n, "AS"), 10, 32); err == nil && n < 1<<32-1 {
			return uint32(n)
		}
	}
	return 0
}

// codeOf reads a country that is a code, or has one.
func codeOf(v any) string {
	switch c := v.(type) {
	case string:
		return c
	case map[string]any:
		code, _ := c["iso_code"].(string)
		return code
	}
	return ""
}

// letters packs a country's two letters; 0 where they are not two.
func letters(code string) uint32 {
	if len(code) != 2 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return 0
	}
	return uint32(code[0])<<8 | uint32(code[1])
}

// tidy makes a name fit for a line of text.
func tidy(name string) string {
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || r == utf8.RuneError }), " ")
	if len(name) > nameBytesMax {
		name = strings.ToValidUTF8(name[:nameBytesMax], "")
	}
	return strings.Clone(name)
}
