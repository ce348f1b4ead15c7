package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// openLog reads what is there and gives each record to take, in order. What is
// damaged is named and passed over. Files are read and their records opened side
// by side, as many as there are cores, readersMax at most; a file's bytes are let go before the
// next one is read in their place. Nothing is ever added to a file of before:
// numbers are nonces.
func openLog(dir string, now time.Time, take func(*record)) (*log, []damage, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	names, err := segmentNames(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	l := newLog(dir)
	if l.keys, err = openKeys(dir, len(names) > 0, now); err != nil {
		return nil, nil, err
	}
	readers := make(chan *reader, min(readersMax, runtime.GOMAXPROCS(0)))
	for range cap(readers) {
		readers <- new(reader)
	}
	ready := make([]chan *reader, len(names))
	for i := range ready {
		ready[i] = make(chan *reader, 1)
	}
	go func() {
		for i, n := range names {
			r := <-readers
			go func() {
				r.load(l, n, i == len(names)-1)
				ready[i] <- r
			}()
		}
	}()
	var bad []damage
	var failed error
	for i, n := range names {
		r := <-ready[i]
		if failed = errors.Join(failed, r.err); r.seg != nil {
			l.segments = append(l.segments, r.seg)
		}
		for j := range r.found {
			take(&r.found[j])
		}
		bad = append(bad, r.bad...)
		l.next = n + 1
		readers <- r
	}
	if failed != nil {
		return nil, bad, errors.Join(failed, l.closeFiles())
	}
	return l, bad, nil
}

func newLog(dir string) *log {
	return &log{
		dir: dir, create: createFile, free: diskFree, again: diskAgain, alarm: func(error) {},
		in: make(chan *write, writesMax), ended: make(chan struct{}), begun: time.Now(), next: 1,
	}
}

// shutLog is one that takes nothing, since what is there cannot be read.
func shutLog(dir string) *log {
	l := newLog(dir)
	l.shut, l.keys = true, new(keys)
	l.failed.Store(true)
	return l
}

const segmentSuffix = ".spool"

func segmentName(n uint64) string { return fmt.Sprintf("%016x%s", n, segmentSuffix) }

func segmentNames(dir string) (all []uint64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		base, is := strings.CutSuffix(e.Name(), segmentSuffix)
		if n, err := strconv.ParseUint(base, 16, 64); is && err == nil && len(base) == 16 {
			all = append(all, n)
		}
		if strings.HasPrefix(e.Name(), keysName+".new-") {
			os.Remove(filepath.Join(dir, e.Name())) // of a Deich that was killed meanwhile
		}
	}
	slices.Sort(all)
	return all, nil
}

// reader reads one file after another; what it found is good until the next.
type reader struct {
	bytes []byte

	seg   *segment // nil: nothing is in the file, or nothing can be read
	found []record
	bad   []damage
	err   error
}

// load reads a file. last says that it is the newest.
func (r *reader) load(l *log, n uint64, last bool) {
	clear(r.found) // what was taken over is not held on to
	r.seg, r.found, r.bad = nil, r.found[:0], nil
	name := filepath.Join(l.dir, segmentName(n))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err == nil {
		err = r.fill(f)
	}
	if err == nil {
		err = r.open(l, f, n, last)
	}
	if r.err = nil; err != nil {
		r.err = fmt.Errorf("spool: %w", err)
	}
	if r.seg == nil {
		f.Close() // also of a nil file; nothing was written to it
	}
}

// fill takes a whole file into the reader's bytes.
func (r *reader) fill(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	n := int(info.Size())
	r.bytes = slices.Grow(r.bytes[:0], n)[:n]
	_, err = io.ReadFull(f, r.bytes)
	return err
}

// open finds the records of a file that is read.
func (r *reader) open(l *log, f *os.File, n uint64, last bool) error {
	b, name := r.bytes, f.Name()
	h, ok := readFileHead(b)
	if !ok && last && len(b) <= fileHeadBytes {
		return os.Remove(name) // being begun when Deich was killed: nothing is in it
	}
	if !ok {
		r.bad = []damage{{File: name, Bytes: int64(len(b)), seg: n}}
		return l.setAside(name)
	}
	c, err := l.keys.sealer(h.key, h.salt[:])
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.seg = &segment{number: n, name: name, f: f, c: c, key: h.key, begun: h.at}
	r.seg.size.Store(int64(len(b)))
	r.bad = r.seg.scan(b, last, func(k kind, text []byte, p place) {
		r.found = append(r.found, readRecord(k, text, p))
	})
	return nil
}

// setAside keeps a file that cannot be read at all out of the way.
func (l *log) setAside(name string) error { return os.Rename(name, name+".damaged") }

// scan gives every whole record, whose text is good until the next, and names the
// rest. That a file is cut off is told once, while it is the newest: it was being
// written when Deich was killed.
func (s *segment) scan(b []byte, last bool, each func(kind, []byte, place)) (bad []damage) {
	var text []byte
	at := int64(fileHeadBytes)
	for at < int64(len(b)) {
		rest := int64(len(b)) - at
		h, ok := readHead(b[at:])
		if !ok {
			skip := nextHead(b[at:])
			if rest >= headBytes || last {
				bad = append(bad, damage{File: s.name, At: at, Bytes: skip, seg: s.number, end: skip == rest})
			}
			at += skip
			continue
		}
		length := int64(headBytes + h.length)
		if h.kind == kindErased {
			at += length
			continue
		}
		if text, ok = unseal(text[:0], b[at:], s.c, h); ok {
			each(h.kind, text, place{s, at, h.number, int(length)})
		} else if length <= rest || last {
			bad = append(bad, damage{File: s.name, At: at, Bytes: min(length, rest), Number: h.number, seg: s.number, end: length >= rest})
		}
		at += length
	}
	return bad
}

// nextHead gives how far the next head of a record is, or the end.
func nextHead(b []byte) int64 {
	for at := 1; ; {
		i := bytes.Index(b[min(at, len(b)):], []byte(recordMagic))
		if i < 0 {
			return int64(len(b))
		}
		at += i
		if _, ok := readHead(b[at:]); ok {
			return int64(at)
		}
		at++
	}
}
