package drill

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deichproject/deich/drill/scenarios"
)

// flood is the attackers' side: one event loop over plain sockets, so that
// thousands of connections a second cost less than the platform that they are
// aimed at. Only its own goroutine touches it.
type flood struct {
	clock    clock
	epoll    int
	assaults []*assault
	to4, to6 unix.Sockaddr
	conns    []link
	free     []int32
	most     int
	out      []byte // a request being composed
	in       []byte // an answer being read
	now      strike // counts since the last handing over
	second   int
	sums     *strikes
	solvers  *solvers
	hello    []byte // what attackers begin TLS with, but for its random
}

// phase of a link's life.
type phase uint8

const (
	unused   phase = iota
	sending        // connecting, or the request is not written whole
	waiting        // for the answer
	idle           // kept for the next request
	dripping       // slow on purpose
	leaving        // connecting, and closed once it is
)

// link is one connection of an attacker.
type link struct {
	fd       int32
	age      uint32 // tells events of an earlier use of the place
	bot      int32
	assault  uint8
	phase    phase
	come     bool // its handshake has ended
	deadline time.Duration
	rest     []byte // of the request
	head     []byte // of the answer, while it is not whole
	skip     int    // bytes of the body still to come
	chunked  bool
	status   int
	reason   string
}

func newFlood(clock clock, s *scenarios.Scenario, box *sandbox, at netip.AddrPort, agents []string, search string, sums *strikes) (*flood, error) {
	f := &flood{clock: clock, in: make([]byte, 16<<10), sums: sums, most: min(scenarios.ConnectionsMax, raiseFiles()-FilesSpare)}
	if f.most < 100 {
		return nil, fmt.Errorf("drill: %d open files are too few for a flood: raise the limit (ulimit -n)", f.most+FilesSpare)
	}
	f.now.Endings = map[string]int64{}
	f.to4 = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	f.to6 = &unix.SockaddrInet6{Port: int(at.Port()), Addr: twin(at).Addr().As16()}
	for i, spec := range s.Attacks {
		if spec.Networks > 0 && box.kind != Namespace {
			return nil, fmt.Errorf("drill: %s needs IPv6 prefixes of its own, so a network namespace: %s", s.Name, box.why)
		}
		a := newAssault(spec, i, s, box.net, agents, search)
		if (spec.Manner == scenarios.Hello || spec.Manner == scenarios.Shake) && f.hello == nil {
			var err error
			if f.hello, err = clientHello(); err != nil {
				return nil, err
			}
		}
		if spec.Solve && f.solvers == nil {
			f.solvers = newSolvers(runtime.NumCPU())
		}
		f.assaults = append(f.assaults, a)
	}
	var err error
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("drill: epoll: %w", err)
	}
	return f, nil
}

// run floods until the flood phase is over or ctx ends, and closes everything.
func (f *flood) run(ctx context.Context) {
	defer f.close()
	events := make([]unix.EpollEvent, 512)
	f.second = f.clock.second()
	looked := f.clock.now()
	for round := 0; ctx.Err() == nil; round++ {
		now := f.clock.now()
		if f.over(now) {
			return
		}
		f.handOver(now)
		f.solved()
		for i := range f.assaults { // another first each time: who is first may take all the time there is
			f.advance((i+round)%len(f.assaults), now)
		}
		if now-looked >= 50*time.Millisecond {
			looked = now
			f.look(now)
		}
		n, err := unix.EpollWait(f.epoll, events, 1)
		if err != nil && err != unix.EINTR {
			f.now.Endings["epoll: "+err.Error()]++
			return
		}
		for _, e := range events[:max(n, 0)] {
			if l := &f.conns[e.Fd]; l.phase != unused && l.age == uint32(e.Pad) {
				f.event(e.Fd, e.Events)
			}
		}
	}
}

func (f *flood) over(now time.Duration) bool {
	for _, a := range f.assaults {
		if now < a.ends {
			return false
		}
	}
	return true
}

func (f *flood) close() {
	for i := range f.conns {
		if f.conns[i].phase != unused {
			f.drop(int32(i))
		}
	}
	f.now.Open = 0
	f.sums.add(f.second, f.now)
	unix.Close(f.epoll)
	if f.solvers != nil {
		f.solvers.close()
	}
}

// handOver gives the finished second's counts away.
func (f *flood) handOver(now time.Duration) {
	second := f.clock.second()
	if second == f.second {
		return
	}
	f.now.Open = f.open()
	f.sums.add(f.second, f.now)
	f.second = second
	f.now = strike{Endings: map[string]int64{}}
}

func (f *flood) open() int { return len(f.conns) - len(f.free) }

// advance begins the requests that are due.
func (f *flood) advance(number int, now time.Duration) {
	a := f.assaults[number]
	switch a.spec.Manner {
	case scenarios.SlowHeaders, scenarios.SlowBody:
		f.refill(number, now)
		return
	}
	rate := a.rate(now)
	a.due += rate * a.step(now).Seconds()
	planned := int64(a.due) - int64(a.begun)
	if late := a.due - a.begun - rate*backlogMax.Seconds(); late >= 1 {
		lost := float64(int64(late))
		a.begun += lost
		f.now.Planned += int64(lost)
		f.now.Unsent += int64(lost)
		planned = int64(a.due) - int64(a.begun)
	}
	if planned > 0 && !a.early(now) {
		f.sums.began(now)
	}
	for range planned {
		if f.clock.now()-now > 20*time.Millisecond {
			return // answers must be read as well
		}
		a.begun++
		f.now.Planned++
		if !f.begin(number, now) {
			f.now.Unsent++
		}
	}
}

// begin sends one request; false if there is no connection to be had for it.
func (f *flood) begin(number int, now time.Duration) bool {
	a := f.assaults[number]
	b := a.next()
	i := int32(none)
	if a.spec.Manner == scenarios.Keep && a.open >= a.spec.Connections {
		i = f.reuse(number)
	} else {
		i = f.dial(number, b)
	}
	if i == none {
		return false
	}
	switch l := &f.conns[i]; a.spec.Manner {
	case scenarios.Leave:
		l.phase, l.deadline = leaving, now+botPatience
	case scenarios.Hello, scenarios.Shake:
		l.rest = greeting(l.rest[:0], f.hello, a.rng)
		l.phase, l.deadline = sending, now+botPatience
		f.write(i)
	default:
		f.send(i, now)
	}
	return true
}

// reuse gives one of the attack's kept connections that has nothing to do.
func (f *flood) reuse(number int) int32 {
	a := f.assaults[number]
	for len(a.idle) > 0 {
		i := a.idle[len(a.idle)-1]
		a.idle = a.idle[:len(a.idle)-1]
		if l := &f.conns[i]; l.phase == idle && l.assault == uint8(number) {
			return i
		}
	}
	return none
}

// dial opens a connection from the bot's own address and gives its place.
func (f *flood) dial(number int, b int32) int32 {
	if f.open() >= f.most {
		return none
	}
	from := f.assaults[number].bots[b].from
	family, to := unix.AF_INET, f.to4
	if from.Is6() {
		family, to = unix.AF_INET6, f.to6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		f.ended("socket: " + err.Error())
		return none
	}
	if err := f.tie(fd, from); err != nil {
		unix.Close(fd)
		f.ended("bind: " + err.Error())
		return none
	}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		f.ended("connect: " + err.Error())
		return none
	}
	f.now.Opened++
	f.assaults[number].open++
	return f.place(fd, number, b)
}

// tie binds the socket to the source address. The port is chosen at connect,
// so that each address has them all, and a close sends a reset, so that no
// port waits for its second use.
func (f *flood) tie(fd int, from netip.Addr) error {
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	if from.Is6() {
		if err := unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_FREEBIND, 1); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrInet6{Addr: from.As16()})
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()})
}

func (f *flood) place(fd, number int, b int32) int32 {
	if len(f.free) == 0 {
		f.conns = append(f.conns, link{})
		f.free = append(f.free, int32(len(f.conns)-1))
	}
	i := f.free[len(f.free)-1]
	f.free = f.free[:len(f.free)-1]
	l := &f.conns[i]
	*l = link{fd: int32(fd), age: l.age + 1, bot: b, assault: uint8(number), phase: sending, rest: l.rest[:0], head: l.head[:0]}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: i, Pad: int32(l.age)}
	if err := unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		f.now.Endings["epoll: "+err.Error()]++
	}
	return i
}

// send composes the next request for the link and writes what it takes.
func (f *flood) send(i int32, now time.Duration) {
	l := &f.conns[i]
	a := f.assaults[l.assault]
	f.out = a.compose(f.out[:0], &a.bots[l.bot], now)
	l.rest = append(l.rest[:0], f.out...)
	l.head, l.skip, l.chunked, l.status = l.head[:0], 0, false, 0
	l.phase, l.deadline = sending, now+botPatience
	f.write(i)
}

func (f *flood) write(i int32) {
	l := &f.conns[i]
	n, err := unix.Write(int(l.fd), l.rest)
	if err == unix.EAGAIN || err == unix.ENOTCONN || err == unix.EINTR {
		return
	}
	f.came(l, err)
	if err != nil {
		f.finish(i, word(err))
		return
	}
	l.rest = l.rest[:copy(l.rest, l.rest[n:])]
	if len(l.rest) == 0 && l.phase == sending {
		l.phase = waiting
		f.now.Sent++
		if f.assaults[l.assault].spec.Manner == scenarios.Hello {
			f.finish(i, "left")
		}
	}
}

// came counts a connection that has come about, which is told by what was
// written to it or read from it, or by its reset.
func (f *flood) came(l *link, err error) {
	if !l.come && (err == nil || err == unix.ECONNRESET || err == unix.EPIPE) {
		l.come = true
		f.now.Come++
	}
}

func word(err error) string {
	switch err {
	case unix.ECONNRESET, unix.EPIPE:
		return "reset"
	case unix.ECONNREFUSED:
		return "refused"
	case unix.ETIMEDOUT:
		return "no handshake"
	}
	return err.Error()
}

func (f *flood) event(i int32, events uint32) {
	l := &f.conns[i]
	if l.phase == leaving && events&unix.EPOLLOUT != 0 && events&(unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		f.came(l, nil)
		f.now.Sent++
		f.finish(i, "left")
		return
	}
	if l.phase == sending && events&unix.EPOLLOUT != 0 {
		age := l.age
		f.write(i)
		if l.phase == unused || l.age != age {
			return
		}
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		f.read(i)
	}
}

// read takes in all that has arrived.
func (f *flood) read(i int32) {
	l := &f.conns[i]
	for age := l.age; l.phase != unused && l.age == age; {
		n, err := unix.Read(int(l.fd), f.in)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			return
		case err != nil:
			f.came(l, err)
			f.finish(i, word(err))
			return
		case n == 0:
			f.finish(i, "closed")
			return
		}
		f.took(i, f.in[:n])
		if n < len(f.in) {
			return
		}
	}
}

// took handles bytes of an answer.
func (f *flood) took(i int32, b []byte) {
	l := &f.conns[i]
	if f.assaults[l.assault].spec.Manner == scenarios.Shake {
		f.finish(i, greeted(b))
		return
	}
	if l.status != 0 {
		f.body(i, b)
		return
	}
	if len(l.head)+len(b) > HeadBytesMax && len(l.head) > 0 {
		b = b[:max(0, HeadBytesMax-len(l.head))]
	}
	l.head = append(l.head, b...)
	h, whole, ok := parseHead(l.head)
	switch {
	case !ok:
		f.finish(i, "not http")
	case !whole && len(l.head) >= HeadBytesMax:
		f.finish(i, "a head too long")
	case whole && h.status >= 200:
		f.answered(i, h)
	case whole:
		l.head = append(l.head[:0], l.head[h.size:]...) // an interim answer; the real one follows
	}
}

// answered handles a whole head.
func (f *flood) answered(i int32, h head) {
	l := &f.conns[i]
	a := f.assaults[l.assault]
	b := &a.bots[l.bot]
	l.status, l.reason = h.status, string(h.reason)
	if a.spec.Cookies && len(h.cookies) > 0 {
		b.cookies = keepCookies(b.cookies, h.cookies)
	}
	if a.spec.Solve && !b.solving && len(h.challenge) > 0 {
		if p, ok := parsePuzzle(string(h.challenge)); ok {
			b.solving = f.solvers.ask(l.assault, l.bot, p)
		}
	}
	keep := a.spec.Manner == scenarios.Keep && !h.closes && (h.length >= 0 || h.chunked)
	if !keep {
		f.finish(i, "")
		return
	}
	rest := l.head[h.size:]
	l.head = l.head[:0]
	l.skip, l.chunked = h.length, h.chunked
	f.body(i, rest)
}

// body skips a kept connection's answer up to its end.
func (f *flood) body(i int32, b []byte) {
	l := &f.conns[i]
	if l.chunked {
		// The last chunk's end is looked for, not each chunk: the bodies hold text.
		l.head = append(l.head[:0], tailOf(l.head, b, 5)...)
		if string(l.head) != "0\r\n\r\n" {
			return
		}
	} else {
		l.skip -= len(b)
		if l.skip > 0 {
			return
		}
	}
	f.note(l)
	l.phase, l.deadline = idle, 0
	a := f.assaults[l.assault]
	a.idle = append(a.idle, i)
}

// tailOf gives the last n bytes of a and b joined.
func tailOf(a, b []byte, n int) []byte {
	if len(b) >= n {
		return b[len(b)-n:]
	}
	joined := append(append([]byte(nil), a...), b...)
	return joined[max(0, len(joined)-n):]
}

// note counts an answer.
func (f *flood) note(l *link) {
	if l.status == 0 {
		return
	}
	if l.reason == "" && l.status < 500 && l.status != 429 {
		f.now.Reached++
	}
	text := strconv.Itoa(l.status)
	if l.reason != "" {
		text += " " + l.reason
	}
	f.ended(text)
}

func (f *flood) ended(word string) {
	if _, known := f.now.Endings[word]; !known && len(f.now.Endings) >= EndingsMax {
		word = "other"
	}
	f.now.Endings[word]++
}

// finish counts how the link ended and closes it; without a word it was answered.
func (f *flood) finish(i int32, word string) {
	l := &f.conns[i]
	switch {
	case l.status != 0 && l.phase != idle:
		f.note(l)
	case l.phase == idle: // closed between two requests
	default:
		f.ended(word)
	}
	f.drop(i)
}

func (f *flood) drop(i int32) {
	l := &f.conns[i]
	f.assaults[l.assault].open--
	unix.Close(int(l.fd))
	l.phase = unused
	f.free = append(f.free, i)
}

// look ends what waited too long and lets the slow ones drip.
func (f *flood) look(now time.Duration) {
	for i := range f.conns {
		l := &f.conns[i]
		if l.phase == unused || l.phase == idle || now < l.deadline {
			continue
		}
		if l.phase == dripping {
			f.drip(int32(i), now)
			continue
		}
		f.finish(int32(i), "timeout")
	}
}

// solved hands the finished proofs to their bots: their next request carries them.
func (f *flood) solved() {
	if f.solvers == nil {
		return
	}
	for {
		select {
		case s := <-f.solvers.answers:
			b := &f.assaults[s.assault].bots[s.bot]
			b.proof, b.solving = s.form, false
			f.now.Proofs++
		default:
			return
		}
	}
}
