package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

// Fate is how far a request came.
type Fate uint8

const (
	// NoPlace: admission had none. Nothing was sent.
	NoPlace Fate = iota
	// NotSent: the platform could not be reached. Nothing was sent.
	NotSent
	// Lost: it was sent, at least in part, and no answer came, or one that broke off.
	Lost
	// Answered: the platform's answer came, to its end.
	Answered
)

// Answer is what came of a request to the platform.
type Answer struct {
	Fate       Fate
	Status     int
	Location   string
	RetryAfter time.Duration // 0: none was named
	Body       []byte        // its beginning, as much as was wanted
	Whole      bool          // that is all, and not encoded
}

// Request is what the platform is sent.
type Request struct {
	Method  string
	URI     string // path and query
	Host    string
	Secured bool
	Client  netip.Addr
	Header  http.Header
	Body    []byte
	Want    int // how much of the answer's body, in bytes

	added bool // its key is Deich's own
}

// Way is how a courier reaches platforms. Both are safe for concurrent use.
type Way struct {
	// Send takes a request to its platform with the lowest rank. It calls ready once
	// there is a place and before the first byte is sent; where that fails,
	// nothing is sent and NoPlace is given.
	Send func(ctx context.Context, r *Request, ready func() error) Answer
	// Lane gives the platform that a host's requests go to; messages to one
	// platform share one pace.
	Lane func(host string) string
}

// Courier delivers what a store keeps.
type Courier struct {
	store  *Store
	way    Way
	routes func() *Routes

	ctx     context.Context // until it ends something is begun
	sending context.Context // until it ends deliveries are waited for
	cut     context.CancelFunc
	going   sync.WaitGroup

	mu    sync.Mutex
	lanes map[string]*lane
	ended bool
}

// lane is the way to one platform.
type lane struct {
	c    *Courier
	name string

	mu      sync.Mutex
	queues  []*queue // that have something to deliver now
	window  float64
	away    int    // messages on their way
	up      bool   // it answered last
	probing bool   // somebody looks whether it does
	host    string // to ask for
	probe   string // path to ask for
}

// NewCourier makes one for a store; Run must run beside it. routes gives those
// in force.
func NewCourier(s *Store, way Way, routes func() *Routes) *Courier {
	c := &Courier{store: s, way: way, routes: routes, lanes: make(map[string]*lane)}
	c.sending, c.cut = context.WithCancel(context.Background())
	return c
}

// Cut breaks off what is on its way, after the context of Run has ended: nobody
// knows then whether it arrived, and that is written down before Run returns.
func (c *Courier) Cut() { c.cut() }

// Run delivers until ctx ends; then it begins nothing more, and waits for what is on its
// way, or for Cut. What lies on a cluster it delivers while it is the one edge that does.
func (c *Courier) Run(ctx context.Context) {
	far := c.store.cluster
	var seeking sync.WaitGroup
	c.mu.Lock()
	c.ctx = ctx
	c.mu.Unlock()
	c.store.mu.Lock()
	c.store.wake = c.offer
	var all []*queue
	for _, q := range c.store.queues {
		all = append(all, q)
	}
	c.store.mu.Unlock()
	for _, q := range all {
		c.offer(q)
	}
	seek, seeks := context.WithCancel(context.Background())
	defer seeks()
	if far != nil {
		seeking.Go(func() { far.seek(seek, func() bool { return !c.store.paused.Load() }, c.again) })
	}
	<-ctx.Done()
	if far != nil {
		far.depart()
	}
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.going.Wait()
	seeks()
	seeking.Wait()
	if far != nil {
		far.resign(context.Background())
	}
}

// again offers everything anew, after a pause of the operator's.
func (c *Courier) again() {
	c.store.mu.Lock()
	var all []*queue
	for _, q := range c.store.queues {
		all = append(all, q)
	}
	c.store.mu.Unlock()
	for _, q := range all {
		c.offer(q)
	}
}

// Resume lets the store deliver and keep again.
func (c *Courier) Resume() error {
	err := c.store.Resume()
	c.again()
	return err
}

// begin counts a goroutine in; false once the courier has ended.
func (c *Courier) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.ctx == nil {
		return false
	}
	c.going.Add(1)
	return true
}

// lane gives the lane of a host.
func (c *Courier) lane(host string) *lane {
	name := c.way.Lane(host)
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[name]
	if l == nil {
		l = &lane{c: c, name: name, window: 1}
		c.lanes[name] = l
	}
	return l
}

// offer hears that a queue has something to deliver.
func (c *Courier) offer(q *queue) {
	c.store.mu.Lock()
	due := c.store.due(q)
	c.store.mu.Unlock()
	if !due {
		return
	}
	l := c.lane(q.key.host)
	probe := c.probeOf(q)
	l.mu.Lock()
	l.host, l.probe = q.key.host, probe
	if !q.taken {
		q.taken = true
		l.queues = append(l.queues, q)
	}
	l.mu.Unlock()
	l.step()
}

func (c *Courier) probeOf(q *queue) string {
	c.store.mu.Lock()
	name := ""
	if len(q.list) > 0 {
		name = q.list[0].Route
	}
	c.store.mu.Unlock()
	if r := c.routes().Named(name); r != nil {
		return r.Probe
	}
	return "/"
}

// step sends what may go now.
func (l *lane) step() {
	if l.c.store.paused.Load() {
		return
	}
	for {
		l.mu.Lock()
		if len(l.queues) == 0 {
			l.mu.Unlock()
			return
		}
		if !l.up {
			start := !l.probing && l.c.begin()
			if start {
				l.probing = true
			}
			l.mu.Unlock()
			if start {
				go l.look()
			}
			return
		}
		if l.away >= int(l.window) || !l.c.begin() {
			l.mu.Unlock()
			return
		}
		q := l.queues[0]
		l.queues = l.queues[1:]
		l.away++
		l.mu.Unlock()
		go func() {
			defer l.c.going.Done()
			wait := l.c.one(l, q)
			l.back(q, wait)
		}()
	}
}

// back takes a queue after one of its messages went, or did not.
func (l *lane) back(q *queue, wait time.Duration) {
	s := l.c.store
	s.mu.Lock()
	more := s.due(q)
	s.mu.Unlock()
	l.mu.Lock()
	l.away--
	switch {
	case !more:
		q.taken = false
	case wait == 0:
		l.queues = append(l.queues, q)
	default:
		time.AfterFunc(wait, func() {
			l.mu.Lock()
			l.queues = append(l.queues, q)
			l.mu.Unlock()
			l.step()
		})
	}
	l.mu.Unlock()
	if !more {
		// One may have come between the look and the letting go.
		s.mu.Lock()
		more = s.due(q)
		s.mu.Unlock()
		if more {
			l.c.offer(q)
		}
	}
	l.step()
}

// look asks, ever more seldom, whether the platform answers.
func (l *lane) look() {
	defer l.c.going.Done()
	pause := probeFirst
	for {
		l.mu.Lock()
		r := &Request{Method: http.MethodGet, URI: l.probe, Host: l.host, Client: netip.IPv6Unspecified(),
			Header: http.Header{"Accept": {"*/*"}, "User-Agent": {"Deich (looks whether the service answers)"}}}
		l.mu.Unlock()
		a := l.c.way.Send(l.c.ctx, r, func() error { return nil })
		if a.Fate == Answered && !unable(a.Status) {
			l.mu.Lock()
			l.up, l.probing = true, false
			l.mu.Unlock()
			l.step()
			return
		}
		select {
		case <-time.After(jitter(pause)):
			pause = min(2*pause, probeLast)
		case <-l.c.ctx.Done():
			l.mu.Lock()
			l.probing = false
			l.mu.Unlock()
			return
		}
	}
}

// unable says whether a status tells that the platform does nothing now.
func unable(status int) bool { return status >= 502 && status <= 504 }

func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// went widens or narrows what is on its way at once.
func (l *lane) went(well bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if well {
		l.window = min(l.window+1/l.window, windowMax)
	} else {
		l.window = max(1, l.window/2)
	}
}

func (l *lane) fell() {
	l.mu.Lock()
	l.up, l.window = false, 1
	l.mu.Unlock()
}

// one sees to the message at the head of a queue, and says how long its queue
// should rest.
func (c *Courier) one(l *lane, q *queue) (wait time.Duration) {
	s := c.store
	s.mu.Lock()
	var e *entry
	if len(q.list) > 0 {
		e = q.list[0]
	}
	if e == nil || e.ready != nil || e.busy || !e.State.waits() {
		s.mu.Unlock()
		return noPlaceWait // it is being written, or seen to by others
	}
	if wait := s.notYet(e); wait > 0 {
		s.mu.Unlock()
		return wait
	}
	e.busy = true
	doubt, route, inherits := e.Doubt, e.Route, s.elsewhere(e)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		e.busy = false
		s.mu.Unlock()
	}()
	if inherits {
		if err := s.inherit(e); err != nil {
			return againFirst
		}
		return 0
	}
	r := c.routes().Named(route)
	if r == nil {
		// The policy does not name it any more: what was promised holds all the same.
		r = &Route{Route: route, Unknown: atMostOnce, Probe: "/"}
	}
	m, err := c.read(e)
	switch {
	case errors.Is(err, errDamaged):
		s.alarm(fmt.Errorf("spool: message %s cannot be read any more", e.ID))
		s.end(e, Damaged)
		return 0
	case err != nil && e.far != nil:
		s.cluster.went(err)
		return againFirst
	case err != nil:
		s.alarm(fmt.Errorf("spool: message %s: %w", e.ID, err))
		return jitter(c.backoff(e))
	case !doubt:
		return c.deliver(l, e, r, m)
	}
	uri, found, can := r.asks(m.Header.Get("Idempotency-Key"), m.added)
	switch {
	case can:
		return c.confirm(l, e, r, m, uri, found)
	case r.Unknown != atLeastOnce:
		s.end(e, Unconfirmed)
		return 0
	}
	return c.deliver(l, e, r, m)
}

// read gives the request that was kept.
func (c *Courier) read(e *entry) (*Request, error) {
	kept, body, err := c.store.content(e)
	if err != nil {
		return nil, err
	}
	m := &Request{Method: kept.Method, URI: kept.URI, Host: kept.Host, Secured: kept.Secured, Client: kept.Client, Header: kept.Header, Body: body, added: kept.AddedKey}
	if m.Header == nil {
		m.Header = make(http.Header)
	}
	m.Header["Idempotency-Key"] = []string{kept.Key}
	return m, nil
}

// deliver hands a message over. That it is on its way is on disk before its
// first byte leaves, so that a crash leaves doubt and no second copy. Where Run
// ends it is not handed over any more: it lies where it lay.
func (c *Courier) deliver(l *lane, e *entry, r *Route, m *Request) time.Duration {
	s := c.store
	a := c.way.Send(c.sending, m, func() error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		err := s.change(e, func(n *Entry) { n.State, n.Doubt = Delivering, true })
		if err == nil && e.far != nil && (!s.cluster.leads() || time.Since(began) > claimWait) {
			return errUnsure // another edge may believe by now that this one is gone
		}
		return err
	})
	switch a.Fate {
	case NoPlace:
		l.went(false)
		return jitter(c.restored(e, noPlaceWait))
	case NotSent:
		l.fell()
		return c.restored(e, noPlaceWait)
	case Lost:
		l.fell()
		return c.unknown(l, e, r, a)
	}
	switch kind := sort(a); kind {
	case taken:
		l.went(true)
		c.delivered(e, a)
		return 0
	case later:
		l.went(false)
		if unable(a.Status) {
			l.fell()
		}
		wait := jitter(c.backoff(e))
		if a.RetryAfter > 0 {
			wait = min(a.RetryAfter, askedWaitMax)
		}
		return c.restored(e, wait)
	case unclear:
		l.went(false)
		return c.unknown(l, e, r, a)
	default:
		l.went(true)
		c.refused(e, a, kind == loggedOut)
		return 0
	}
}

// verdict is what an answer says of a message.
type verdict uint8

const (
	taken verdict = iota
	later
	unwanted
	loggedOut
	unclear
)

// sort reads an answer. What redirects to a login, or asks for one, took
// nothing; a redirect that wants the request repeated elsewhere took nothing
// either.
func sort(a Answer) verdict {
	switch s := a.Status; {
	case s >= 200 && s < 300:
		return taken
	case s == http.StatusMovedPermanently, s == http.StatusTemporaryRedirect, s == http.StatusPermanentRedirect:
		return unwanted
	case s >= 300 && s < 400 && asksLogin(a.Location):
		return loggedOut
	case s >= 300 && s < 400:
		return taken
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
		return later
	case s == http.StatusRequestTimeout:
		return unclear
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return loggedOut
	case s >= 400 && s < 500:
		return unwanted
	}
	return unclear
}

// Taken says whether an answer tells that the platform took a message.
func Taken(status int, location string) bool {
	return sort(Answer{Status: status, Location: location}) == taken
}

// asksLogin says whether a redirect leads to a login, by what such pages are
// called.
func asksLogin(location string) bool {
	u, err := url.Parse(location)
	if err != nil {
		return false
	}
	base := strings.ToLower(path.Base(u.Path))
	for _, word := range []string{"login", "log-in", "log_in", "signin", "sign-in", "sign_in", "anmelden", "userlogin"} {
		if strings.Contains(base, word) || strings.Contains(strings.ToLower(u.Query().Get("title")), word) {
			return true
		}
	}
	return false
}

// restored takes back that a message is on its way: nothing of it was sent, or
// the platform said that it did nothing.
func (c *Courier) restored(e *entry, wait time.Duration) time.Duration {
	s := c.store
	s.mu.Lock()
	marked := e.State == Delivering
	s.mu.Unlock()
	if marked {
		if err := s.change(e, func(n *Entry) { n.State, n.Doubt = Kept, false }); err != nil {
			s.alarm(fmt.Errorf("spool: message %s waits again, but that is not on disk: %w", e.ID, err))
		}
	}
	return wait
}

func (c *Courier) backoff(e *entry) time.Duration {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	e.tries++
	return min(againFirst<<min(e.tries-1, 10), againLast)
}

// delivered ends a message well: its text is erased.
func (c *Courier) delivered(e *entry, a Answer) {
	s := c.store
	until := s.wall() + receiptLife.Milliseconds()
	location := a.Location
	if len(location) > locationBytesMax {
		location = ""
	}
	err := s.change(e, func(n *Entry) {
		n.State, n.Doubt, n.Status, n.Location, n.Size, n.Until = Delivered, false, a.Status, location, 0, until
	})
	if err != nil {
		s.alarm(fmt.Errorf("spool: message %s is delivered, but that is not on disk: %w", e.ID, err))
	}
}

// refused ends a message that the platform did not want; its text stays for
// the sender.
func (c *Courier) refused(e *entry, a Answer, login bool) {
	s := c.store
	until := s.wall() + textLife.Milliseconds()
	err := s.change(e, func(n *Entry) {
		n.State, n.Doubt, n.Status, n.Login, n.Until = Rejected, false, a.Status, login, until
	})
	if err != nil {
		s.alarm(fmt.Errorf("spool: message %s is rejected, but that is not on disk: %w", e.ID, err))
	}
}

// unknown goes on with a message that may have arrived, as the policy wants.
func (c *Courier) unknown(l *lane, e *entry, r *Route, a Answer) time.Duration {
	s := c.store
	s.mu.Lock()
	repeats := e.Repeats
	s.mu.Unlock()
	if r.doubtEnds() || r.Confirm == "" && repeats >= repeatsMax {
		until := s.wall() + textLife.Milliseconds()
		err := s.change(e, func(n *Entry) { n.State, n.Status, n.Until = Unconfirmed, a.Status, until })
		if err != nil {
			s.alarm(fmt.Errorf("spool: message %s is unconfirmed, but that is not on disk: %w", e.ID, err))
		}
		return 0
	}
	err := s.change(e, func(n *Entry) { n.State, n.Doubt, n.Status = Kept, true, a.Status; n.Repeats++ })
	if err != nil {
		s.alarm(fmt.Errorf("spool: message %s waits again, but that is not on disk: %w", e.ID, err))
	}
	return jitter(c.backoff(e))
}

// confirm asks the platform whether it has a message, and delivers it where it
// has not. A question changes nothing: where Run ends it is left, and asked again
// after the next start.
func (c *Courier) confirm(l *lane, e *entry, r *Route, m *Request, uri, found string) time.Duration {
	ask := &Request{Method: http.MethodGet, Host: m.Host, Secured: m.Secured, Client: m.Client, Header: m.Header.Clone(), URI: uri}
	if found != "" {
		ask.Want = foundWithinMax
	}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Idempotency-Key", "Origin"} {
		ask.Header.Del(name)
	}
	ask.Header.Set("Accept", "application/json, */*;q=0.5")
	a := c.way.Send(c.ctx, ask, func() error { return nil })
	switch {
	case a.Fate == NoPlace:
		l.went(false)
		return jitter(noPlaceWait)
	case a.Fate != Answered:
		l.fell()
		return jitter(c.backoff(e))
	case a.Status >= 200 && a.Status < 300 && bytes.Contains(a.Body, []byte(found)):
		l.went(true)
		c.delivered(e, Answer{Status: a.Status})
		return 0
	case a.Status >= 200 && a.Status < 300 && a.Whole:
		return c.deliver(l, e, r, m)
	case a.Status == http.StatusNotFound || a.Status == http.StatusGone:
		return c.deliver(l, e, r, m)
	case a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden:
		// Nobody may ask any more: nobody knows.
		until := c.store.wall() + textLife.Milliseconds()
		err := c.store.change(e, func(n *Entry) { n.State, n.Status, n.Login, n.Until = Unconfirmed, a.Status, true, until })
		if err != nil {
			c.store.alarm(fmt.Errorf("spool: message %s is unconfirmed, but that is not on disk: %w", e.ID, err))
		}
		return 0
	}
	l.went(false)
	return jitter(c.backoff(e))
}
