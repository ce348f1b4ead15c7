package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What Put answers beside ErrDisk.
var (
	// ErrFull says that there is no room, for anybody or for this sender.
	ErrFull = errors.New("spool: full")
	// ErrOtherBody says that the key was used before, with another body.
	ErrOtherBody = errors.New("spool: the key was used with another body")
	// ErrDraining says that nothing new is kept, since an operator said so.
	ErrDraining = errors.New("spool: draining")
	errBusy     = errors.New("spool: it is on its way to the platform")
	errUnknown  = errors.New("spool: no such message")
)

// Store is what is kept: the log on disk and, in memory, what is known of each
// message without reading it. With a cluster new messages lie there, and what other
// edges keep is known here, too. It is safe for concurrent use.
type Store struct {
	log     *log
	cluster *cluster // nil: messages lie in the log
	dir     string
	now     func() time.Time // by the wall
	opened  int64            // when it was opened, Unix milliseconds
	passed  func() time.Duration
	shift   int64 // how far that was from the log's last record, in milliseconds
	alarm   func(error)

	maxBytes int64
	counts   counts
	paused   atomic.Bool
	draining atomic.Bool
	damaged  []damage
	wake     func(*queue) // a queue has something at its head; set by the courier
	lastFull atomic.Int64 // when it was last said that there is no room

	mu      sync.Mutex
	entries map[ID]*entry
	keyed   map[digest]*entry
	queues  map[queueKey]*queue
	senders map[principal]owed
	nets    map[netip.Prefix]owed // newcomers'
	bytes   int64                 // of messages that are not erased
	fresh   int64                 // of those, newcomers'
	waiting int
	seq     uint64
	names   map[string]string // each once

	turns      map[digest]*turn  // requests with a key that went to their platform
	turnsOf    map[principal]int // how many of them are whose
	turnsFresh int               // newcomers'
	answers    int64             // bytes of their answers in the log

	watchers map[ID][]chan struct{}

	withdrawn map[ID]bool // told to be not kept, while that is not certain
}

// entry is an Entry with where it lies.
type entry struct {
	Entry
	message place         // what is kept of it; none where that is erased
	state   place         // its newest record
	far     *far          // nil: it lies in the log
	queue   *queue        // while it waits
	ready   chan struct{} // closed once it is on disk; nil afterwards
	err     error         // why it never was; set before ready is closed
	busy    bool          // somebody sees to it
	tries   int           // how often in a row it had to wait
}

// queue is one sender's messages to one platform, in order.
type queue struct {
	key   queueKey
	list  []*entry
	taken bool // a lane has it; guarded by the lane's lock
}

type queueKey struct {
	principal principal
	host      string
}

// owed is what one sender, or the newcomers of one network, have here, whatever hosts they
// named.
type owed struct {
	messages int   // that wait
	bytes    int64 // of all whose texts are here, also of those that wait no more
}

// tally counts, and forgets whoever has nothing.
func tally[K comparable](of map[K]owed, who K, messages int, bytes int64) {
	o := of[who]
	o.messages, o.bytes = o.messages+messages, o.bytes+bytes
	if of[who] = o; o == (owed{}) {
		delete(of, who)
	}
}

type counts struct {
	kept, refused, other atomic.Uint64
	ended                [7]atomic.Uint64 // by the index in States
	damaged              atomic.Uint64
}

// Options is what a Store is made of.
type Options struct {
	// Config is the spool's part of the configuration.
	Config Config
	// Alarm takes what needs an operator; it must not block.
	Alarm func(error)
	// Now gives the wall time; nil: time.Now.
	Now func() time.Time
	// Secret seals what lies on a cluster; its edges are given the same.
	Secret [32]byte

	passed func() time.Duration // since the start, by the monotonic time
	again  time.Duration
	create func(string) (file, error)
	free   func(string) (int64, error)
}

const pausedName = "paused"

// Open reads what is kept in dir, or makes it there. What is damaged is
// reported by Alarm and passed over. Where the disk itself fails, or is full before anything
// was made, that is said by Alarm, too: the store then takes nothing but what goes to a cluster, and
// knows of nothing else, until it is opened anew. Its errors are for an operator to mend: of the configuration, and of keys that
// are missing, broken, or not for this user alone.
func Open(dir string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Alarm == nil {
		o.Alarm = func(error) {}
	}
	if o.passed == nil {
		start := o.Now() // with the monotonic time, by which Sub goes
		o.passed = func() time.Duration { return o.Now().Sub(start) }
	}
	s := newStore(dir, o)
	var p past
	l, bad, err := openLog(dir, o.Now(), func(r *record) { s.replay(r, &p) })
	if ofDisk(err) {
		without := "nothing is kept or delivered"
		if len(o.Config.NATS.Servers) > 0 {
			without = "new messages go to the cluster, and those that this edge kept on its own disk lie there undelivered"
		}
		o.Alarm(fmt.Errorf("%w: %s until Deich is started again and can read %s; everything else goes on. "+
			"Copy that folder to a sound disk, or move it away to start without what lies there", err, without, dir))
		// What was read is not all: a message may be in it without how it ended.
		s, p = newStore(dir, o), past{}
		l, err = shutLog(dir), nil
	}
	if err != nil {
		return nil, err
	}
	l.alarm = o.Alarm
	if o.create != nil {
		l.create = o.create
	}
	if o.again != 0 {
		l.again = o.again
	}
	if o.free != nil {
		l.free = o.free
	}
	s.log = l
	left := s.settle(p.last, bad)
	l.clock = s.clockText
	if err := s.tidyKeys(); err != nil {
		o.Alarm(err) // keys that nothing needs are forgotten another time
	}
	if _, err := os.Stat(filepath.Join(dir, pausedName)); err == nil {
		s.paused.Store(true)
	}
	if c := o.Config; len(c.NATS.Servers) > 0 {
		if s.cluster, err = join(c.NATS, o.Secret, o.Alarm, s.learnAll); err != nil {
			return nil, errors.Join(err, l.closeFiles())
		}
	}
	l.start()
	for _, p := range left {
		l.erase(p)
	}
	if s.cluster != nil {
		s.cluster.start()
	}
	return s, nil
}

func newStore(dir string, o Options) *Store {
	return &Store{
		dir: dir, now: o.Now, opened: millis(o.Now()), passed: o.passed, alarm: o.Alarm, maxBytes: o.Config.Defaults().Bytes, wake: func(*queue) {},
		entries: make(map[ID]*entry), keyed: make(map[digest]*entry), queues: make(map[queueKey]*queue),
		senders: make(map[principal]owed), nets: make(map[netip.Prefix]owed), names: make(map[string]string), watchers: make(map[ID][]chan struct{}),
		turns: make(map[digest]*turn), turnsOf: make(map[principal]int), withdrawn: make(map[ID]bool),
	}
}

// ofDisk says whether the system failed to do what it was asked for, and not for want of rights.
func ofDisk(err error) bool {
	var system syscall.Errno
	return errors.As(err, &system) && !errors.Is(err, fs.ErrPermission)
}

// Close ends the store; what was promised stays on disk.
func (s *Store) Close() error {
	if s.cluster != nil {
		s.cluster.close()
	}
	s.beat()
	return s.log.close()
}

func (s *Store) name(text string) string {
	if n, ok := s.names[text]; ok {
		return n
	}
	if len(s.names) > 10_000 {
		return text
	}
	s.names[text] = text
	return text
}

// enlist counts an entry in. The lock is held, or nobody else is there yet.
func (s *Store) enlist(e *entry) {
	s.entries[e.ID] = e
	if e.Key != (digest{}) && !e.State.frees() {
		s.keyed[e.Key] = e
	}
	s.refer(e, +1)
	s.load(e, int64(e.Size))
	if !e.State.waits() {
		return
	}
	s.waiting++
	s.owe(e, +1, 0)
	key := queueKey{e.Sender.principal(), e.Host}
	q := s.queues[key]
	if q == nil {
		q = &queue{key: key}
		s.queues[key] = q
	}
	q.list = append(q.list, e)
	e.queue = q
}

// delist takes an entry out of its queue: it does not wait any more.
func (s *Store) delist(e *entry) {
	q := e.queue
	if q == nil {
		return
	}
	e.queue = nil
	s.waiting--
	if i := slices.Index(q.list, e); i >= 0 {
		q.list = slices.Delete(q.list, i, i+1)
	}
	s.owe(e, -1, 0)
	if len(q.list) == 0 {
		delete(s.queues, q.key)
	}
}

// owe counts what an entry's sender has here, and where that is a newcomer, its network.
func (s *Store) owe(e *entry, messages int, bytes int64) {
	tally(s.senders, e.Sender.principal(), messages, bytes)
	if e.Net.IsValid() {
		tally(s.nets, e.Net, messages, bytes)
	}
}

// load counts the bytes of a message in, or out.
func (s *Store) load(e *entry, bytes int64) {
	s.bytes += bytes
	if e.Net.IsValid() {
		s.fresh += bytes
	}
	s.owe(e, 0, bytes)
}

// remove forgets an entry.
func (s *Store) remove(e *entry) {
	s.delist(e)
	s.unload(e)
	s.refer(e, -1)
	delete(s.entries, e.ID)
	if s.keyed[e.Key] == e {
		delete(s.keyed, e.Key)
	}
}

// unload counts the bytes of a message out: its text is not here any more.
func (s *Store) unload(e *entry) {
	s.load(e, -int64(e.Size))
	e.Size = 0
}

// refer counts the files that an entry needs.
func (s *Store) refer(e *entry, n int) {
	for _, p := range [...]place{e.message, e.state} {
		if p.seg != nil {
			p.seg.refs += n
		}
	}
}

// Put keeps a message and gives its receipt's id. It returns once the message
// is on the disk, or with an error once it is certain that it is not. again
// says that a message with the same key was kept before: it is that one's id.
func (s *Store) Put(m *Message) (id ID, again bool, err error) {
	e, rest, err := s.entryOf(m)
	if err != nil {
		return id, false, err
	}
	s.mu.Lock()
	if old := s.keyed[e.Key]; old != nil && e.Key != (digest{}) {
		ready := old.ready
		s.mu.Unlock()
		if ready != nil {
			<-ready
		}
		switch {
		case old.err != nil:
			return id, false, old.err
		case old.Body != e.Body:
			s.counts.other.Add(1)
			return id, false, ErrOtherBody
		}
		return old.ID, true, nil
	}
	if err := s.room(e); err != nil {
		s.mu.Unlock()
		s.counts.refused.Add(1)
		return id, false, err
	}
	e.ready = make(chan struct{})
	if s.cluster != nil {
		e.far = new(far)
		s.enlist(e)
		s.mu.Unlock()
		return s.putFar(e, rest)
	}
	s.seq++
	e.Seq = s.seq
	s.enlist(e)
	s.mu.Unlock()

	at, err := s.log.append(kindMessage, pack(&e.Entry, rest))
	s.mu.Lock()
	ready := e.ready
	e.ready = nil
	if err != nil {
		e.err = err
		s.remove(e)
	} else {
		e.message, e.state = at, at
		s.refer(e, +1)
		at.counted()
	}
	q, wake := e.queue, s.wake
	s.mu.Unlock()
	close(ready)
	if err != nil {
		s.counts.refused.Add(1)
		return id, false, err
	}
	s.counts.kept.Add(1)
	if e.State == Unconfirmed {
		s.counts.ended[slices.Index(States(), Unconfirmed)].Add(1)
	}
	if q != nil {
		wake(q)
	}
	return e.ID, false, nil
}

// StateOf gives the state of a message; "" where there is none.
func (s *Store) StateOf(id ID) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[id]; e != nil {
		return e.State
	}
	return ""
}

// Waits says whether a sender has messages here that are to arrive before a
// newer one.
func (s *Store) Waits(sender Sender, host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queues[queueKey{sender.principal(), host}] != nil
}

func (s *Store) entryOf(m *Message) (e *entry, rest []byte, err error) {
	now, runs := s.wall(), s.clock()
	if s.cluster != nil {
		runs = now
	}
	e = &entry{Entry: Entry{
		ID: newID(), State: Kept, At: now, Changed: now,
		Sender: m.Sender, Host: m.Host, Route: m.Route.Route,
		Body: digestOf(m.Body), Doubt: m.Sent, Language: languageOf(m.Language),
	}}
	e.Until = runs + m.Route.life().Milliseconds()
	if m.Newcomer {
		e.Net = networkOf(m.Client)
	}
	// The platform cannot be asked for what it was handed without a key.
	if m.Sent && (m.Route.doubtEnds() || m.Key == "" && m.Route.Unknown != atLeastOnce) {
		e.State, e.Until = Unconfirmed, e.At+textLife.Milliseconds()
	}
	e.Key = keyDigest(m.Sender, m.Host, m.Route.Route, m.Key)
	c := content{Method: m.Method, URI: m.URI, Host: m.Host, Secured: m.Secured, Client: m.Client, Header: m.Header, Key: m.Key}
	if c.Key == "" {
		d := digestOf([]byte("added key"), e.ID[:])
		c.Key, c.AddedKey = "deich-"+idCodec.EncodeToString(d[:]), true
	}
	if rest, err = packContent(&c, m.Body); err != nil {
		return nil, nil, err
	}
	e.Size = headBytes + tagBytes + 4 + len(rest) + 600 // what the entry takes, about
	return e, rest, nil
}

// room says whether a message fits; if not, that is said aloud now and then.
func (s *Store) room(e *entry) error {
	if s.draining.Load() {
		return ErrDraining
	}
	if e.Key != (digest{}) && s.turns[e.Key] == nil {
		// What the platform has answered could not be told from what it never saw.
		if err := s.noTurn(e.Sender.principal(), e.Net.IsValid()); err != nil {
			return err
		}
	}
	sender, net, size := s.senders[e.Sender.principal()], s.nets[e.Net], int64(e.Size)
	switch {
	case sender.messages >= senderMessagesMax || sender.bytes+size > senderBytesMax:
		return fmt.Errorf("%w: this sender has %d bytes here, and %d messages that wait", ErrFull, sender.bytes, sender.messages)
	case e.Net.IsValid() && (net.messages >= prefixMessagesMax || net.bytes+size > prefixBytesMax):
		return fmt.Errorf("%w: newcomers of %s have %d bytes here, and %d messages that wait", ErrFull, e.Net, net.bytes, net.messages)
	case e.Net.IsValid() && (s.fresh+size > s.maxBytes/2 || len(s.entries) >= entriesMax/2):
		return s.sayFull("newcomers have taken half of the room")
	case s.bytes+size > s.maxBytes:
		return s.sayFull(fmt.Sprintf("%d bytes are kept", s.bytes))
	case len(s.entries) >= entriesMax:
		return s.sayFull(fmt.Sprintf("%d messages and receipts are kept", len(s.entries)))
	case s.cluster != nil && s.cluster.tooLong(e.Size):
		return s.sayFull(fmt.Sprintf("the cluster's servers take records of at most %d bytes (max_payload)", s.cluster.recordMax()))
	case s.cluster != nil && s.cluster.takes():
		return nil
	case s.cluster != nil, s.log.rests() > 0:
		return ErrDisk
	}
	if free, err := s.log.free(s.dir); err == nil && free < diskFreeMin {
		s.sayFull(fmt.Sprintf("%d bytes are free on the disk", free))
		return ErrDisk
	}
	return nil
}

func (s *Store) sayFull(why string) error {
	now := s.clock() / 1000
	if last := s.lastFull.Load(); now-last >= 60 && s.lastFull.CompareAndSwap(last, now) {
		s.alarm(fmt.Errorf("spool: nothing more is kept: %s", why))
	}
	return fmt.Errorf("%w: %s", ErrFull, why)
}

// content reads what is kept of a message.
func (s *Store) content(e *entry) (c content, body []byte, err error) {
	s.mu.Lock()
	at, id, seq := e.message, e.ID, e.Seq
	s.mu.Unlock()
	if e.far != nil {
		return s.contentFar(id, seq)
	}
	text, err := s.log.read(at)
	if err != nil {
		return c, nil, err
	}
	_, rest, err := unpack(text)
	if err != nil {
		return c, nil, err
	}
	return unpackContent(rest)
}

// change writes an entry as it is after the change, and returns once that is on
// the disk. Where the disk fails, memory goes on with the change: a restart
// then finds the older state, and takes the message to be in doubt. Only a message that
// was to be delivered stays as it is: nothing of it is sent.
func (s *Store) change(e *entry, to func(*Entry)) error {
	if e.far != nil {
		return s.changeFar(e, to)
	}
	s.mu.Lock()
	next := e.Entry
	to(&next)
	next.Changed, next.Back = s.wall(), 0
	erased := next.Size == 0 && e.Size != 0
	s.mu.Unlock()

	at, err := s.log.append(kindState, next.marshal())
	if err != nil && next.State == Delivering {
		return err
	}

	s.mu.Lock()
	old := e.message
	if next.State != e.State && !next.State.waits() {
		s.counts.ended[slices.Index(States(), next.State)].Add(1)
	}
	s.refer(e, -1)
	hears := s.become(e, next)
	if err == nil {
		e.state = at
		if erased {
			e.message = place{}
		}
	}
	s.refer(e, +1)
	if err == nil {
		at.counted()
	}
	s.mu.Unlock()
	hear(hears)
	if err == nil && erased && old.seg != nil {
		s.log.erase(old)
	}
	return err
}

// become gives an entry its next state in memory, and who is to hear of it. The lock is held.
func (s *Store) become(e *entry, next Entry) (hears []chan struct{}) {
	if next.Size == 0 && e.Size != 0 {
		s.unload(e)
	}
	e.Entry = next
	if !e.State.waits() {
		s.delist(e)
	}
	if e.State.frees() && s.keyed[e.Key] == e {
		delete(s.keyed, e.Key)
	}
	return slices.Clone(s.watchers[e.ID])
}

func hear(hears []chan struct{}) {
	for _, c := range hears {
		select {
		case c <- struct{}{}:
		default: // it looks already
		}
	}
}

// hasText says whether an entry's text is kept. The lock is held.
func (e *entry) hasText() bool { return e.message.seg != nil || e.far != nil && e.Size != 0 }

// watch gives a channel that hears of changes, until stop is called; false
// where too many watch.
func (s *Store) watch(id ID) (changed chan struct{}, stop func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.watchers) >= watchersMax || len(s.watchers[id]) >= 8 {
		return nil, nil, false
	}
	changed = make(chan struct{}, 1)
	s.watchers[id] = append(s.watchers[id], changed)
	return changed, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		list := slices.DeleteFunc(s.watchers[id], func(c chan struct{}) bool { return c == changed })
		if s.watchers[id] = list; len(list) == 0 {
			delete(s.watchers, id)
		}
	}, true
}

// look gives the entry of a receipt to who may see it.
func (s *Store) look(id ID, who Sender) (e *entry, now Entry, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e = s.entries[id]
	if e == nil || e.ready != nil || !e.Sender.may(who) {
		return nil, now, false
	}
	return e, e.Entry, true
}
