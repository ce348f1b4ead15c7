package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Place is where a line stands: its file, by the number of the first line
// there, and the offset in it. The zero Place is before everything.
type Place struct {
	File   uint64 `json:"file"`
	Offset int64  `json:"offset"`
}

// Before says whether p stands before q.
func (p Place) Before(q Place) bool {
	return p.File < q.File || p.File == q.File && p.Offset < q.Offset
}

// Line is one line as it was read.
type Line struct {
	Number  uint64
	Hash    string // in hex
	Payload []byte // valid until the next line is read
	At      Place
	Next    Place // where the line behind it begins
	// Broken says that the hash is not that of the line and its predecessor.
	Broken bool
}

// Log is open for appending. It is safe for concurrent use.
type Log struct {
	mu     sync.Mutex
	dir    string
	file   *os.File
	first  uint64 // number of the file's first line
	size   int64
	number uint64 // of the last line
	head   [sha256.Size]byte
	failed error
}

// Repair is what was found at the end of a log that was not closed in peace.
type Repair struct {
	Torn  int    // bytes of an unfinished line, which were set aside
	Aside string // the file they are in now
	Ended bool   // the last line was whole but for its line feed, which it has again
}

const (
	ending     = ".log"
	tornEnding = ".torn"
	beginning  = "begin " // payload of a file's first line, followed by the hash before it
)

// ErrFailed is wrapped by what Append gives after a write that failed: what is
// on disk is not known then, and nothing more is written until the log is
// opened anew.
var ErrFailed = errors.New("record: an earlier write failed")

// Open opens the log in dir for appending, and makes it where there is none.
// An unfinished last line (the process, or the machine, was killed while it
// was written; nobody was told that it is kept) is set aside.
func Open(dir string) (*Log, Repair, error) {
	l := &Log{dir: dir}
	repair, err := l.open()
	if err != nil {
		return nil, repair, fmt.Errorf("record: open: %w", err)
	}
	return l, repair, nil
}

func (l *Log) open() (repair Repair, err error) {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return repair, err
	}
	for {
		files, err := list(l.dir)
		if err != nil {
			return repair, err
		}
		if len(files) == 0 {
			return repair, l.begin()
		}
		l.first = files[len(files)-1]
		if l.file, err = os.OpenFile(l.name(l.first), os.O_RDWR|os.O_APPEND, 0); err != nil {
			return repair, err
		}
		last, end, torn, err := tail(l.file)
		if err == nil && torn > 0 {
			repair, err = l.repair(last, end, torn)
		}
		if err == nil && repair.Ended {
			last, end, _, err = tail(l.file)
		}
		if err != nil {
			return repair, errors.Join(err, l.file.Close())
		}
		if last != nil {
			l.size, l.number = end, last.number
			copy(l.head[:], last.hash)
			return repair, nil
		}
		// A file without one whole line: it was just being begun.
		err = errors.Join(l.file.Close(), os.Remove(l.name(l.first)))
		if err != nil {
			return repair, err
		}
	}
}

// repair takes an unfinished line out of the log and keeps it beside. One that
// is whole but for its line feed gets that.
func (l *Log) repair(last *parsed, end int64, torn int) (Repair, error) {
	rest := make([]byte, torn)
	if _, err := l.file.ReadAt(rest, end); err != nil {
		return Repair{}, err
	}
	if n := wholeButEnd(last, rest); n > 0 {
		if err := l.file.Truncate(end + int64(n)); err != nil {
			return Repair{}, err
		}
		if _, err := l.file.Write([]byte{'\n'}); err != nil {
			return Repair{}, err
		}
		return Repair{Ended: true}, l.file.Sync()
	}
	aside := l.name(l.first) + tornEnding
	if err := os.WriteFile(aside, rest, 0o600); err != nil {
		return Repair{}, err
	}
	if err := l.file.Truncate(end); err != nil {
		return Repair{}, err
	}
	return Repair{Torn: torn, Aside: aside}, l.file.Sync()
}

// wholeButEnd says how long the line is that rest holds, if its hash is right
// and only its line feed is missing or was changed; else 0.
func wholeButEnd(last *parsed, rest []byte) int {
	if last == nil {
		return 0
	}
	for _, n := range []int{len(rest), len(rest) - 1} {
		if p := parse(rest[:n]); p != nil {
			if sum := chain(last.hash, p.body); bytes.Equal(sum[:], p.hash) {
				return n
			}
		}
	}
	return 0
}

// begin starts the next file; the caller holds l.mu, or nobody else knows l.
func (l *Log) begin() error {
	first := l.number + 1
	f, err := os.OpenFile(l.name(first), os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	line := l.line([]byte(beginning + hex.EncodeToString(l.head[:])))
	if _, err = f.Write(line); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(l.dir)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if l.file != nil {
		err = l.file.Close()
	}
	l.file, l.first, l.size = f, first, int64(len(line))
	return err
}

// line makes the next line and takes it for the last one.
func (l *Log) line(payload []byte) []byte {
	l.number++
	body := append(strconv.AppendUint(nil, l.number, 10), ' ')
	body = append(body, payload...)
	l.head = chain(l.head[:], body)
	line := hex.AppendEncode(make([]byte, 0, 2*len(l.head)+len(body)+2), l.head[:])
	line = append(append(line, ' '), body...)
	return append(line, '\n')
}

func chain(before, body []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(before)
	h.Write(body)
	return [sha256.Size]byte(h.Sum(nil))
}

// Append writes payloads, a line each, and gives where each stands once all
// are on disk. After an error none of them may be shown.
func (l *Log) Append(payloads ...[]byte) ([]Place, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return nil, fmt.Errorf("%w: %w", ErrFailed, l.failed)
	}
	for _, p := range payloads {
		if len(p) == 0 || len(p) > payloadMax || bytes.IndexByte(p, '\n') >= 0 {
			return nil, fmt.Errorf("record: append: a payload of %d bytes: one line of 1 to %d is wanted", len(p), payloadMax)
		}
	}
	places, err := l.append(payloads)
	if err != nil {
		l.failed = err
		return nil, fmt.Errorf("record: append: %w", err)
	}
	return places, nil
}

func (l *Log) append(payloads [][]byte) (places []Place, err error) {
	if l.size >= fileBytesMax {
		if err := l.begin(); err != nil {
			return nil, err
		}
	}
	var all []byte
	for _, p := range payloads {
		places = append(places, Place{l.first, l.size + int64(len(all))})
		all = append(all, l.line(p)...)
	}
	if _, err := l.file.Write(all); err != nil {
		return nil, err
	}
	l.size += int64(len(all))
	return places, l.file.Sync()
}

// End gives where the next line will stand, and the number and hash of the last.
func (l *Log) End() (at Place, number uint64, hash string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Place{l.first, l.size}, l.number, hex.EncodeToString(l.head[:])
}

// Retain removes the oldest files whose last line was written before a time,
// and those that make all of them larger than bytes. The newest file stays. It
// says how many went.
func (l *Log) Retain(before time.Time, bytes int64) (removed int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	files, err := list(l.dir)
	if err != nil {
		return 0, fmt.Errorf("record: retain: %w", err)
	}
	var size int64
	keep := len(files) - 1
	for i := len(files) - 1; i >= 0; i-- {
		info, err := os.Stat(l.name(files[i]))
		if err != nil {
			return 0, fmt.Errorf("record: retain: %w", err)
		}
		if size += info.Size(); size > bytes || info.ModTime().Before(before) {
			break
		}
		keep = i
	}
	for _, first := range files[:max(0, min(keep, len(files)-1))] {
		if err := os.Remove(l.name(first)); err != nil {
			return removed, fmt.Errorf("record: retain: %w", err)
		}
		os.Remove(l.name(first) + tornEnding) // mostly there is none
		removed++
	}
	return removed, nil
}

// Close closes the file; everything appended is on disk already.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = errors.New("record: closed")
	return l.file.Close()
}

func (l *Log) name(first uint64) string { return fileName(l.dir, first) }

func fileName(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%012d%s", first, ending))
}

// list gives the files of a log by their first lines' numbers, rising.
func list(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []uint64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ending)
		if n, err := strconv.ParseUint(name, 10, 64); ok && err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// parsed is a line taken apart.
type parsed struct {
	hash    []byte
	body    []byte
	number  uint64
	payload []byte
}

// parse takes a line apart; nil where it is none.
func parse(line []byte) *parsed {
	const digits = 2 * sha256.Size
	if len(line) < digits+4 || line[digits] != ' ' {
		return nil
	}
	p := &parsed{hash: make([]byte, sha256.Size), body: line[digits+1:]}
	for _, c := range line[:digits] {
		if c >= 'A' && c <= 'F' { // one spelling, lest a changed byte mean the same
			return nil
		}
	}
	if _, err := hex.Decode(p.hash, line[:digits]); err != nil {
		return nil
	}
	number, payload, ok := bytes.Cut(p.body, []byte{' '})
	if !ok || len(number) > 19 {
		return nil
	}
	n, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return nil
	}
	p.number, p.payload = n, payload
	return p
}

// tail finds the last whole line of a file, where it ends, and how many bytes
// of an unfinished one follow.
func tail(f *os.File) (last *parsed, end int64, torn int, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, 0, err
	}
	end = info.Size()
	from := max(0, end-2*lineMax)
	b := make([]byte, end-from)
	if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, 0, err
	}
	whole := bytes.LastIndexByte(b, '\n') + 1
	torn = len(b) - whole
	if torn > lineMax {
		return nil, 0, 0, fmt.Errorf("%s: %d bytes at its end are no line", f.Name(), torn)
	}
	if whole == 0 {
		return nil, 0, torn, nil
	}
	begins := bytes.LastIndexByte(b[:whole-1], '\n') + 1
	if last = parse(b[begins : whole-1]); last == nil {
		return nil, 0, 0, fmt.Errorf("%s: offset %d: not a line of a record: deich incident verify says more", f.Name(), from+int64(begins))
	}
	return last, end - int64(torn), torn, nil
}
