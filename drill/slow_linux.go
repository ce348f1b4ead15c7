package drill

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/deichproject/deich/drill/scenarios"
)

const (
	// dripHeaders and dripBody are how often a slow attacker sends a little more.
	dripHeaders = 4 * time.Second
	dripBody    = 2 * time.Second
	// refillRate is how many slow connections a second are opened, again after they were shed.
	refillRate = 500
)

// refill keeps as many slow connections open as the attack has.
func (f *flood) refill(number int, now time.Duration) {
	a := f.assaults[number]
	step := a.step(now).Seconds()
	if a.early(now) || now >= a.ends {
		return
	}
	a.due = min(a.due+refillRate*step, refillRate*backlogMax.Seconds())
	for ; a.due >= 1 && a.open < a.spec.Connections; a.due-- {
		f.sums.began(now)
		f.now.Planned++
		i := f.dial(number, a.next())
		if i == none {
			f.now.Unsent++
			continue
		}
		f.openSlowly(i, now)
	}
}

// openSlowly begins a request that will not end.
func (f *flood) openSlowly(i int32, now time.Duration) {
	l := &f.conns[i]
	a := f.assaults[l.assault]
	b := &a.bots[l.bot]
	l.phase = dripping
	if a.spec.Manner == scenarios.SlowHeaders {
		l.rest = a.fields(append(l.rest[:0], "GET /"...), b, "text/html")
	} else {
		l.rest = a.fields(append(l.rest[:0], "POST /login"...), b, "text/html")
		l.rest = append(l.rest, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 4096\r\n\r\nname="...)
	}
	l.deadline = now + dripEvery(a)
	f.now.Sent++
	f.push(i)
}

func dripEvery(a *assault) time.Duration {
	if a.spec.Manner == scenarios.SlowHeaders {
		return dripHeaders
	}
	return dripBody
}

// drip sends a little more.
func (f *flood) drip(i int32, now time.Duration) {
	l := &f.conns[i]
	a := f.assaults[l.assault]
	l.deadline = now + dripEvery(a)
	if len(l.rest) == 0 {
		if a.spec.Manner == scenarios.SlowHeaders {
			l.rest = append(l.rest, "X-More: 1\r\n"...)
		} else {
			l.rest = append(l.rest, 'x')
		}
	}
	f.push(i)
}

// push writes what the link has left; what does not go now goes with the next drip.
func (f *flood) push(i int32) {
	l := &f.conns[i]
	n, err := unix.Write(int(l.fd), l.rest)
	switch err {
	case nil:
		l.rest = l.rest[:copy(l.rest, l.rest[n:])]
	case unix.EAGAIN, unix.ENOTCONN, unix.EINTR:
	default:
		f.finish(i, "shed: "+word(err))
	}
}
