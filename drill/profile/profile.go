// Package profile holds how real people used real sites, as figures only:
// which client came when, how popular the page was that it asked for, and what
// kind of agent it used. No address, path or agent of anyone is in it.
// README.md names the logs behind it and their terms; Derive makes it from them.
package profile

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

//go:embed visits.tsv
var embedded []byte

// Class is what kind of agent a client used.
type Class uint8

// The classes of agents.
const (
	Unknown Class = iota // no agent named, or a log without agents
	Desktop
	Mobile
	Feed
	Crawler
	Tool
	classes
)

// Visit is one page that was asked for.
type Visit struct {
	Offset int // seconds since the log began; in a log without usable times, its running number
	Rank   int // 1 is the most popular page
}

// Visitor is one client and its visits, in order.
type Visitor struct {
	Class  Class
	Visits []Visit
}

// Profile is what was derived from the two logs.
type Profile struct {
	Rates []Visitor // NASA-HTTP: real times; no agents
	Pages []Visitor // Elastic's web log: real agents and orders of pages; no usable times
}

const header = "# deich visits 1: log, client, offset, rank, class"

// The two logs' letters in the file.
const (
	rates = "n"
	pages = "e"
)

// Bounds of a profile's file; a longer one is refused.
const (
	// FileBytesMax bounds the file.
	FileBytesMax = 4 << 20
	// ClientsMax bounds the clients of each log.
	ClientsMax = 1 << 16
	// OffsetMax and RankMax bound the figures.
	OffsetMax = 1 << 30
	RankMax   = 1 << 20
)

// Load gives the profile that comes with Deich.
func Load() (*Profile, error) { return Parse(embedded) }

// Parse reads a profile's file. Clients are numbered from 0 without a gap, in
// the order in which they first came.
func Parse(text []byte) (*Profile, error) {
	if len(text) > FileBytesMax {
		return nil, fmt.Errorf("profile: %d bytes: at most %d", len(text), FileBytesMax)
	}
	p := &Profile{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		if n == 1 {
			if lines.Text() != header {
				return nil, errors.New("profile: line 1: not a profile of visits")
			}
			continue
		}
		if err := p.add(lines.Text()); err != nil {
			return nil, fmt.Errorf("profile: line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if len(p.Rates) == 0 || len(p.Pages) == 0 {
		return nil, errors.New("profile: one of the two logs is missing")
	}
	return p, nil
}

func (p *Profile) add(line string) error {
	var v [4]int
	log, rest, _ := strings.Cut(line, "\t")
	for i, most := range [4]int{ClientsMax - 1, OffsetMax, RankMax, int(classes) - 1} {
		word, after, more := strings.Cut(rest, "\t")
		n, err := strconv.Atoi(word)
		if err != nil || n < 0 || n > most || more != (i < len(v)-1) {
			return errors.New("not a log's letter and four figures")
		}
		v[i], rest = n, after
	}
	var in *[]Visitor
	switch log {
	case rates:
		in = &p.Rates
	case pages:
		in = &p.Pages
	default:
		return fmt.Errorf("there is no log %q", log)
	}
	client := v[0]
	if client > len(*in) {
		return fmt.Errorf("client %d comes before client %d", client, len(*in))
	}
	if client == len(*in) {
		*in = append(*in, Visitor{Class: Class(v[3])})
	}
	of := &(*in)[client]
	if k := len(of.Visits); k > 0 && of.Visits[k-1].Offset > v[1] {
		return errors.New("out of order")
	}
	of.Visits = append(of.Visits, Visit{Offset: v[1], Rank: v[2]})
	return nil
}
