package record

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Read gives visit every line from a place on, in order, up to another one
// (zero: to the end), the lines that begin files left out. A Place of a file
// that was removed means the oldest that there is. An unfinished line at the
// end is left out. It may run while a Log of the same folder is appended to.
func Read(dir string, from, to Place, visit func(Line) error) error {
	err := read(dir, from, to, func(l Line, _ *Damage) error {
		if l.Payload == nil || bytes.HasPrefix(l.Payload, []byte(beginning)) {
			return nil
		}
		return visit(l)
	})
	var torn tornError
	if err != nil && !errors.As(err, &torn) {
		return fmt.Errorf("record: read: %w", err)
	}
	return nil
}

// Damage is a place where the log is not what was written.
type Damage struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // within the file, from 1
	Offset int64  `json:"offset"`
	Number uint64 `json:"number"` // 0: not to be read
	What   string `json:"what"`
}

func (d Damage) String() string {
	return fmt.Sprintf("%s, line %d (offset %d): %s", d.File, d.Line, d.Offset, d.What)
}

// Report is what Verify found.
type Report struct {
	Files  int      `json:"files"`
	Lines  uint64   `json:"lines"`
	First  uint64   `json:"first"` // number of the oldest line; more than 1 where older files were removed
	Last   uint64   `json:"last"`
	Head   string   `json:"head"` // hash of the last line
	Torn   int      `json:"torn"` // bytes of an unfinished last line: no damage, the next Open sets them aside
	Damage []Damage `json:"damage"`
	// Noted says whether the hash that was asked for stands in the chain.
	Noted bool `json:"noted"`
}

// damageShown bounds the places in one report.
const damageShown = 100

// Verify reads everything and says where it was changed since it was written.
// noted is a hash that somebody wrote down, or "": a chain written anew as a
// whole does not hold it.
func Verify(dir, noted string) (Report, error) {
	r := Report{Damage: []Damage{}}
	before := ""
	err := read(dir, Place{}, Place{}, func(l Line, d *Damage) error {
		if d != nil && len(r.Damage) < damageShown {
			r.Damage = append(r.Damage, *d)
		}
		if l.Payload == nil {
			return nil
		}
		if name := fileName("", l.At.File); name != before {
			before = name
			r.Files++
		}
		if r.First == 0 {
			r.First = l.Number
		}
		r.Lines++
		r.Last, r.Head = l.Number, l.Hash
		r.Noted = r.Noted || strings.EqualFold(noted, l.Hash)
		return nil
	})
	var torn tornError
	if errors.As(err, &torn) {
		r.Torn, err = int(torn), nil
	}
	if err != nil {
		return r, fmt.Errorf("record: verify: %w", err)
	}
	return r, nil
}

// tornError ends a reading at an unfinished last line.
type tornError int

func (t tornError) Error() string { return fmt.Sprintf("%d bytes of an unfinished line", int(t)) }

// read visits each line with what is wrong about it. A line that cannot be
// taken apart comes without payload.
func read(dir string, from, to Place, visit func(Line, *Damage) error) error {
	files, err := list(dir)
	if err != nil {
		return err
	}
	c := chainReader{visit: visit, to: to}
	for i, first := range files {
		if first < from.File {
			continue
		}
		if to != (Place{}) && first > to.File {
			break
		}
		c.newest = i == len(files)-1
		offset := int64(0)
		if first == from.File {
			offset = from.Offset
		}
		if err := c.file(dir, first, offset); err != nil {
			return err
		}
	}
	return nil
}

type chainReader struct {
	visit  func(Line, *Damage) error
	to     Place
	before []byte // hash of the line before; nil: not known
	number uint64 // its number
	newest bool
}

func (c *chainReader) file(dir string, first uint64, offset int64) error {
	name := fileName(dir, first)
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	if offset > 0 {
		c.before = nil // begun in the middle: the first line's hash is believed
	}
	in := bufio.NewReaderSize(f, 256<<10)
	for at, row := offset, 1; ; row++ {
		if c.to.File == first && at >= c.to.Offset {
			return nil
		}
		line, err := readLine(in)
		if len(line) == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			if c.newest {
				return c.torn(name, first, row, at, line)
			}
			err = nil // unfinished within the log: damage, found below
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		next := at + int64(len(line))
		if err := c.line(name, first, row, at, next, bytes.TrimSuffix(line, []byte{'\n'}), line[len(line)-1] != '\n'); err != nil {
			return err
		}
		at = next
	}
}

// torn tells an unfinished last line from a whole one whose end was changed.
func (c *chainReader) torn(name string, first uint64, row int, at int64, line []byte) error {
	if c.before != nil {
		if n := wholeButEnd(&parsed{hash: c.before}, line); n > 0 {
			return c.line(name, first, row, at, at+int64(len(line)), line[:n], true)
		}
	}
	return tornError(len(line))
}

func (c *chainReader) line(name string, first uint64, row int, at, next int64, text []byte, unended bool) error {
	l := Line{At: Place{first, at}, Next: Place{first, next}}
	damage := func(what string, args ...any) *Damage {
		return &Damage{name, row, at, l.Number, fmt.Sprintf(what, args...)}
	}
	p := parse(text)
	if p == nil {
		c.before, c.number = nil, 0
		return c.visit(l, damage("is no line of a record"))
	}
	l.Number, l.Hash, l.Payload = p.number, hex.EncodeToString(p.hash), p.payload
	var wrong *Damage
	if at == 0 {
		wrong = c.opening(p, first, damage)
	}
	before := c.before
	switch {
	case wrong != nil:
	case unended:
		wrong = damage("is not ended by a line feed")
	case c.number != 0 && p.number != c.number+1:
		wrong = damage("is number %d where %d is due: lines are missing, or the number was changed", p.number, c.number+1)
	case before != nil:
		if sum := chain(before, p.body); !bytes.Equal(sum[:], p.hash) {
			wrong = damage("its hash is not that of the line and the one before: one of them was changed")
		}
	}
	l.Broken = wrong != nil
	c.before, c.number = p.hash, p.number
	return c.visit(l, wrong)
}

// opening checks a file's first line, which names the hash before it.
func (c *chainReader) opening(p *parsed, first uint64, damage func(string, ...any) *Damage) *Damage {
	said, ok := strings.CutPrefix(string(p.payload), beginning)
	hash, err := hex.DecodeString(said)
	switch {
	case !ok || err != nil || p.number != first:
		return damage("does not begin the file that it stands in")
	case c.before != nil && !bytes.Equal(hash, c.before):
		return damage("names another hash before it than the file before ends with")
	}
	c.before = hash
	return nil
}

// readLine gives a line with its line feed, or what is left without one and io.EOF.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	all := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = in.ReadSlice('\n')
		if all = append(all, line...); len(all) > lineMax {
			return nil, fmt.Errorf("a line of more than %d bytes", lineMax)
		}
	}
	return all, err
}
