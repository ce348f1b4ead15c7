package atlas

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"
)

// Country is the two letters of ISO 3166 in a word; 0 is "cannot be told".
type Country uint16

const (
	// Unlisted is the operator of an address of which the files know none. No
	// network has the number (RFC 7300).
	Unlisted uint32 = 1<<32 - 1
	// Nowhere is the country of an address of which the files know none.
	Nowhere Country = '-'<<8 | '-'
)

// String gives the two letters; "" where it cannot be told.
func (c Country) String() string {
	if c == 0 {
		return ""
	}
	return string([]byte{byte(c >> 8), byte(c)})
}

// Source is a file that something was taken from.
type Source struct {
	Type      string    // as the file says it: "DBIP-ASN-Lite"
	Built     time.Time // when it was made, as it says
	Operators bool      // it names operators
	Countries bool      // it names countries
}

// Credit is what the publisher of a file asks to be said where its data is
// shown, and an address to lead to; "" where nothing is known to be asked.
func (s *Source) Credit() (text, link string) {
	switch kind := strings.ToLower(s.Type); {
	case strings.HasPrefix(kind, "dbip"):
		return "IP Geolocation by DB-IP", "https://db-ip.com"
	case strings.HasPrefix(kind, "ipinfo"):
		return "IP address data powered by IPinfo", "https://ipinfo.io"
	case strings.HasPrefix(kind, "geolite"), strings.HasPrefix(kind, "geoip"):
		return "Includes GeoLite Data created by MaxMind", "https://www.maxmind.com"
	}
	return "", ""
}

// Atlas knows networks. It never changes and is safe for concurrent use; nil
// knows nothing.
type Atlas struct {
	operators4, countries4 spans[uint32]
	operators6, countries6 spans[uint64]
	names                  map[uint32]string
	sources                []Source
}

// Open reads files. What several of them tell is taken from the first that does,
// for IPv4 and IPv6 apart. On an error, bad is which file it is about.
func Open(files []string) (a *Atlas, bad int, err error) {
	if len(files) == 0 {
		return nil, 0, nil
	}
	if len(files) > FilesMax {
		return nil, FilesMax, fmt.Errorf("%d files: at most %d", len(files), FilesMax)
	}
	a = &Atlas{names: make(map[uint32]string)}
	for i, name := range files {
		t, err := read(name)
		if err != nil {
			return nil, i, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		a.take(t)
	}
	return a, 0, nil
}

// take adds what a file tells and those before it do not.
func (a *Atlas) take(t *told) {
	named := fill(&a.operators4, &t.operators4)
	named = fill(&a.operators6, &t.operators6) || named
	placed := fill(&a.countries4, &t.countries4)
	placed = fill(&a.countries6, &t.countries6) || placed
	if named {
		for number, name := range t.names {
			if a.names[number] == "" {
				a.names[number] = name
			}
		}
	}
	if named || placed {
		a.sources = append(a.sources, Source{Type: t.kind, Built: t.built, Operators: named, Countries: placed})
	}
}

// fill takes spans where there are none.
func fill[K key](to, from *spans[K]) bool {
	if !to.empty() || from.empty() {
		return false
	}
	*to = *from
	return true
}

// Find gives the number of the autonomous system that an address belongs to,
// and its country: Unlisted and Nowhere where the files know none, 0 where no
// file tells of such. It does not allocate.
func (a *Atlas) Find(of netip.Addr) (operator uint32, country Country) {
	switch {
	case a == nil:
		return 0, 0
	case of.Is4() || of.Is4In6():
		k := key4(of)
		return orUnlisted(a.operators4.find(k), &a.operators4), orNowhere(a.countries4.find(k), &a.countries4)
	case of.Is6():
		k := key6(of)
		return orUnlisted(a.operators6.find(k), &a.operators6), orNowhere(a.countries6.find(k), &a.countries6)
	}
	return 0, 0
}

func orUnlisted[K key](found uint32, in *spans[K]) uint32 {
	if found == 0 && !in.empty() {
		return Unlisted
	}
	return found
}

func orNowhere[K key](found uint32, in *spans[K]) Country {
	if found == 0 && !in.empty() {
		return Nowhere
	}
	return Country(found)
}

// Name gives an operator's name; "" where none is known.
func (a *Atlas) Name(operator uint32) string {
	if a == nil {
		return ""
	}
	return a.names[operator]
}

// Sources are the files of which something is used.
func (a *Atlas) Sources() []Source {
	if a == nil {
		return nil
	}
	return a.sources
}

// Operators says whether operators can be told at all.
func (a *Atlas) Operators() bool {
	return a != nil && !(a.operators4.empty() && a.operators6.empty())
}

// Countries says whether countries can be told at all.
func (a *Atlas) Countries() bool {
	return a != nil && !(a.countries4.empty() && a.countries6.empty())
}
