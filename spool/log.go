package spool

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrDisk says that the disk failed, or has too little room: nothing was kept.
var ErrDisk = errors.New("spool: the disk takes nothing")

// errClosed says that the spool has ended.
var errClosed = errors.New("spool: closed")

// file is what the log needs of one. The second implementation are the tests'
// files that fail.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(int64) error
}

func createFile(name string) (file, error) {
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// log is an append-only run of files. One goroutine writes: whatever waits
// when the disk is free is written at once and synced once, and each of its
// writers then hears of it.
type log struct {
	dir    string
	keys   *keys
	create func(name string) (file, error)
	alarm  func(error)
	clock  func() []byte                   // what time it is, as a record's text; nil: none is written
	again  time.Duration                   // how long nothing is written after a failure
	free   func(dir string) (int64, error) // bytes free on the disk

	in      chan *write
	closing sync.RWMutex // held for reading while in is sent to
	closed  bool
	ended   chan struct{}

	current *segment     // the writer's alone
	begun   time.Time    // with the monotonic time
	badTill atomic.Int64 // nanoseconds since begun
	next    uint64       // number of the next file
	failed  atomic.Bool
	shut    bool // it never takes anything

	zeros     []place   // to be erased; the writer's, as all here
	zerosRest time.Time // until when none is tried, after one that failed
	unerased  bool      // it was said that some are left

	mu       sync.Mutex
	segments []*segment // oldest first
}

// segment is one file of the log.
type segment struct {
	number uint64
	name   string
	f      file
	c      cipher.AEAD
	key    uint32
	begun  time.Time
	size   atomic.Int64 // what is whole
	wrote  uint64       // records; the writer's alone
	refs   int          // entries that need a record here; guarded by Store.mu
	held   atomic.Int32 // records that are on the disk, and not counted there yet
}

// place is where a record lies; without a segment it is none.
type place struct {
	seg    *segment
	at     int64
	number uint64
	length int // with its head
}

// write is one wish to the writer: a record, or one to be erased.
type write struct {
	kind  kind
	text  []byte
	erase place
	put   place
	done  chan error
}

// damage is a part of a file that cannot be read.
type damage struct {
	File   string
	At     int64
	Bytes  int64
	Number uint64 // of the record; 0 where its head is damaged too
	seg    uint64
	end    bool // nothing readable follows in its file: perhaps only cut off while it was written
}

func (d damage) Error() string {
	what := "a record"
	if d.Number != 0 {
		what = fmt.Sprintf("record %d", d.Number)
	}
	why := ""
	if d.end {
		why = "; nothing follows it, so it may have been cut off while it was written, before anything was promised"
	}
	return fmt.Sprintf("spool: %s: %s at byte %d is damaged (%d bytes)%s", d.File, what, d.At, d.Bytes, why)
}

// start lets the writer run.
func (l *log) start() { go l.run() }

// append puts a record on the disk; it returns when it is there. Its file stays until
// counted is called of the place, once it is known who needs it.
func (l *log) append(k kind, text []byte) (place, error) {
	w, err := newWrite(k, text)
	if err != nil {
		return place{}, err
	}
	if !l.send(w) {
		return place{}, errClosed
	}
	err = <-w.done
	return w.put, err
}

func newWrite(k kind, text []byte) (*write, error) {
	if len(text)+tagBytes > recordBytesMax {
		return nil, fmt.Errorf("spool: a record of %d bytes: at most %d", len(text), recordBytesMax-tagBytes)
	}
	return &write{kind: k, text: text, done: make(chan error, 1)}, nil
}

// appendSoon is append for whoever cannot wait: where the log takes nothing at
// once, or is not done after most, it gives an error. Then the record may or may not
// come to be on the disk, and nobody needs it.
func (l *log) appendSoon(k kind, text []byte, most time.Duration) (place, error) {
	w, err := newWrite(k, text)
	if err != nil {
		return place{}, err
	}
	if !l.offer(w) {
		return place{}, ErrDisk
	}
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case err := <-w.done:
		return w.put, err
	case <-late.C:
		go func() {
			if <-w.done == nil {
				w.put.counted()
			}
		}()
		return place{}, ErrDisk
	}
}

// offer is send where there is room at once.
func (l *log) offer(w *write) bool {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.closed {
		return false
	}
	select {
	case l.in <- w:
		return true
	default:
		return false
	}
}

// appendAll is append for many; it returns when all are there, or one is not: then nobody
// needs the others.
func (l *log) appendAll(k kind, texts [][]byte) (all []place, err error) {
	var wishes []*write
	for _, text := range texts {
		w, werr := newWrite(k, text)
		if werr == nil && !l.send(w) {
			werr = errClosed
		}
		if werr != nil {
			err = werr
			break
		}
		wishes = append(wishes, w)
	}
	for _, w := range wishes {
		werr := <-w.done
		if werr == nil {
			all = append(all, w.put)
		}
		err = errors.Join(err, werr)
	}
	if err != nil {
		for _, p := range all {
			p.counted()
		}
		return nil, err
	}
	return all, nil
}

// counted lets go of the file of a record that was put there: from now on it stays for
// those who need it, or goes.
func (p place) counted() { p.seg.held.Add(-1) }

// erase overwrites a record. It does not wait: what a crash, or a disk that fails,
// leaves is erased at the next start.
func (l *log) erase(p place) { l.send(&write{erase: p}) }

func (l *log) send(w *write) bool {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.closed {
		return false
	}
	l.in <- w
	return true
}

// close writes what waits and ends the writer.
func (l *log) close() error {
	l.closing.Lock()
	if l.closed {
		l.closing.Unlock()
		return nil
	}
	l.closed = true
	close(l.in)
	l.closing.Unlock()
	<-l.ended
	return l.closeFiles()
}

func (l *log) closeFiles() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, s := range l.segments {
		errs = append(errs, s.f.Close())
	}
	l.segments = nil
	return errors.Join(errs...)
}

func (l *log) run() {
	defer close(l.ended)
	var batch []*write
	for first := range l.in {
		batch = batch[:0]
		size := 0
		take := func(w *write) {
			if w.erase.seg != nil {
				l.zeros = append(l.zeros, w.erase)
				return
			}
			batch = append(batch, w)
			size += len(w.text)
		}
		take(first)
	gather:
		for size < batchBytesMax {
			select {
			case w, more := <-l.in:
				if !more {
					break gather
				}
				take(w)
			default:
				break gather
			}
		}
		if len(batch) > 0 {
			err := l.commit(batch)
			for i, w := range batch {
				w.done <- err
				batch[i] = nil
			}
		}
		l.overwrite()
	}
}

// commit writes a batch, or says why none of it is kept. After a failure the
// file is not trusted any more: it is cut to what was synced, and a new one is
// begun once the disk has had time.
func (l *log) commit(batch []*write) error {
	if l.rests() > 0 {
		return ErrDisk
	}
	err := l.attempt(batch, time.Now())
	if err == nil {
		l.failed.Store(false)
		return nil
	}
	l.badTill.Store(int64(time.Since(l.begun) + l.again))
	l.failed.Store(true)
	if s := l.current; s != nil {
		l.current = nil
		// What was not promised must not come back after a restart.
		if terr := errors.Join(s.f.Truncate(s.size.Load()), s.f.Sync()); terr != nil {
			err = errors.Join(err, terr)
		}
	}
	l.alarm(fmt.Errorf("spool: %w: nothing is kept for now, everything else goes on", err))
	return errors.Join(ErrDisk, err)
}

// rests gives for how long nothing is written, after a failure; a clock that is set
// changes nothing of that.
func (l *log) rests() time.Duration {
	if l.shut {
		return l.again
	}
	return max(0, time.Duration(l.badTill.Load())-time.Since(l.begun))
}

func (l *log) attempt(batch []*write, now time.Time) error {
	if err := l.ensure(now); err != nil {
		return err
	}
	var b []byte
	s := l.current
	for _, w := range batch {
		s.wrote++
		at := len(b)
		b = seal(b, s.c, w.kind, s.wrote, w.text)
		w.put = place{s, s.size.Load() + int64(at), s.wrote, len(b) - at}
	}
	if _, err := s.f.WriteAt(b, s.size.Load()); err != nil {
		return err
	}
	if err := s.f.Sync(); err != nil {
		return err
	}
	s.size.Add(int64(len(b)))
	s.held.Add(int32(len(batch))) // before another file can be begun, and this one go
	return nil
}

// overwrite erases what nobody needs any more. It comes after the batch was answered, lest
// its failure be taken for one of what was written: it is told, and tried again
// with a later write.
func (l *log) overwrite() {
	now := time.Now()
	if len(l.zeros) == 0 || now.Before(l.zerosRest) {
		return
	}
	ends := make(map[*segment]error)
	for _, p := range l.zeros {
		if ends[p.seg] == nil {
			ends[p.seg] = p.zero()
		}
	}
	var failed error
	for s, err := range ends {
		if err == nil && s != l.current { // that one is synced with the next record
			err = s.f.Sync()
		}
		if errors.Is(err, os.ErrClosed) {
			err = nil // its file is gone, and what was in it
		}
		ends[s], failed = err, errors.Join(failed, err)
	}
	l.zeros = slices.DeleteFunc(l.zeros, func(p place) bool { return ends[p.seg] == nil })
	if failed == nil {
		l.unerased = false
		return
	}
	l.zerosRest = now.Add(l.again)
	if more := len(l.zeros) - erasuresMax; more > 0 {
		l.zeros = slices.Delete(l.zeros, 0, more)
	}
	if !l.unerased {
		l.unerased = true
		l.alarm(fmt.Errorf("spool: %w: texts that are not needed any more are not erased; it is tried again", failed))
	}
}

// zero overwrites a record, and leaves a head that says so.
func (p place) zero() error {
	empty := make([]byte, p.length)
	head{kindErased, p.length - headBytes, p.number}.append(empty[:0])
	_, err := p.seg.f.WriteAt(empty, p.at)
	return err
}

// ensure sees to it that there is a file with room.
func (l *log) ensure(now time.Time) error {
	if s := l.current; s != nil && s.size.Load() < segmentBytesMax && now.Sub(s.begun) < 24*time.Hour {
		return nil
	}
	line, err := l.keys.current(now)
	if err != nil {
		l.alarm(err) // the present key goes on
	}
	h := fileHead{key: line.ID, at: now}
	rand.Read(h.salt[:])
	c, err := l.keys.sealer(h.key, h.salt[:])
	if err != nil {
		return err
	}
	name := filepath.Join(l.dir, segmentName(l.next))
	f, err := l.create(name)
	if err != nil {
		return err
	}
	s := &segment{number: l.next, name: name, f: f, c: c, key: h.key, begun: now}
	b := h.append(nil)
	if l.clock != nil {
		s.wrote = 1
		b = seal(b, c, kindClock, s.wrote, l.clock())
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(l.dir)
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(name))
	}
	s.size.Store(int64(len(b)))
	l.next++
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	l.current = s
	return nil
}

var errDamaged = errors.New("spool: the record is damaged")

// read gives the text of a record.
func (l *log) read(p place) ([]byte, error) {
	if p.seg == nil {
		return nil, errors.New("spool: the record is erased")
	}
	b := make([]byte, p.length)
	if _, err := p.seg.f.ReadAt(b, p.at); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	h, ok := readHead(b)
	if !ok || h.number != p.number || h.kind == kindErased {
		return nil, errDamaged
	}
	text, ok := unseal(nil, b, p.seg.c, h)
	if !ok {
		return nil, errDamaged
	}
	return text, nil
}

// bytes is how much the files take.
func (l *log) bytes() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		n += s.size.Load()
	}
	return n
}

// oldest gives the oldest file, if a younger one is there.
func (l *log) oldest() *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) < 2 {
		return nil
	}
	return l.segments[0]
}

// drop removes the oldest file, and the keys that nothing needs any more.
func (l *log) drop(s *segment) error {
	l.mu.Lock()
	if len(l.segments) < 2 || l.segments[0] != s {
		l.mu.Unlock()
		return nil
	}
	l.segments = l.segments[1:]
	l.mu.Unlock()
	return errors.Join(os.Remove(s.name), s.f.Close())
}
