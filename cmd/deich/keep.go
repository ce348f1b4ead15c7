package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/edge"
	"github.com/deichproject/deich/guard"
	"github.com/deichproject/deich/spool"
)

// spoolFolder is where kept messages lie, in the data folder.
const spoolFolder = "spool"

// keeping wires the spool to guard and edge: guard says when a message is
// kept, the spool keeps it, the edge takes it to its platform.
type keeping struct {
	store    *spool.Store
	courier  *spool.Courier
	receipts *spool.Receipts
	routes   atomic.Pointer[spool.Routes]
	observe  func() bool
	edge     *edge.Server // set before anything runs

	running sync.WaitGroup
	cancel  context.CancelFunc
}

// openKeeping opens the spool where a route is kept, or where messages of
// before lie; else nil. secret seals what lies on a cluster.
func openKeeping(dir string, c spool.Config, secret [32]byte, observe func() bool, alarm func(error)) (*keeping, error) {
	if _, err := os.Stat(dir); len(c.Keep) == 0 && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err := forbidCores(); err != nil {
		alarm(err)
	}
	k := &keeping{observe: observe}
	if err := k.swap(c); err != nil {
		return nil, err
	}
	var err error
	if k.store, err = spool.Open(dir, spool.Options{Config: c, Secret: secret, Alarm: alarm}); err != nil {
		return nil, hint(err, "nothing was changed; repair it, or move the folder %s away to start with nothing kept", dir)
	}
	if k.receipts, err = spool.NewReceipts(k.store, guard.Words, guard.Language); err != nil {
		return nil, errors.Join(err, k.store.Close())
	}
	k.courier = spool.NewCourier(k.store, spool.Way{Send: k.send, Lane: k.lane}, k.routes.Load)
	return k, nil
}

// swap puts other routes in force.
func (k *keeping) swap(c spool.Config) error {
	routes, err := spool.NewRoutes(c)
	if err == nil {
		k.routes.Store(routes)
	}
	return err
}

// keeper is what guard is given.
func (k *keeping) keeper() *guard.Keeper {
	if k == nil {
		return nil
	}
	return &guard.Keeper{
		Route: func(r *http.Request) int64 {
			if route := k.routes.Load().Of(r); route != nil && !k.observe() {
				return route.BodyMax
			}
			return 0
		},
		Begin: k.begin, Keep: k.keep,
		Receipt: func(w http.ResponseWriter, r *http.Request, name string, who guard.Sender) {
			k.receipts.ServeReceipt(w, r, name, spool.Sender(who))
		},
	}
}

// start delivers what is kept, until stop.
func (k *keeping) start() {
	if k == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	k.running.Go(func() { k.store.Run(ctx) })
	k.running.Go(func() { k.courier.Run(ctx) })
}

// stop ends the delivery, and streams of events, which would hold up the end of
// the edge. What is on its way is waited for until drain ends, and then cut: else a
// platform that takes connections and hangs would hold Deich up until it is killed.
func (k *keeping) stop(drain context.Context) {
	if k == nil || k.cancel == nil {
		return
	}
	k.receipts.Close()
	k.cancel()
	defer context.AfterFunc(drain, k.courier.Cut)()
	k.running.Wait()
}

func (k *keeping) close() error {
	if k == nil {
		return nil
	}
	return k.store.Close()
}

// message is a letter as the spool keeps it; nil where it cannot be: its key
// or its headers are too long.
func (k *keeping) message(l *guard.Letter) *spool.Message {
	r, routes := l.Request, k.routes.Load()
	route := routes.Of(r)
	if route == nil {
		return nil
	}
	key, ok := route.KeyOf(r.Header, l.Body)
	header, fits := routes.Header(r.Header)
	if !ok || !fits {
		return nil
	}
	return &spool.Message{
		Sender: spool.Sender(l.Sender), Newcomer: l.Newcomer, Sent: l.Sent, Route: route,
		Method: r.Method, URI: r.URL.RequestURI(), Host: r.Host, Secured: l.Secured, Client: l.Client,
		Language: r.Header.Get("Accept-Language"), Header: header, Key: key, Body: l.Body,
	}
}

// begin lets a message go to its platform, unless it was sent before, or its
// sender has others here that must arrive first.
func (k *keeping) begin(w http.ResponseWriter, l *guard.Letter) (end func(*guard.Answer), done bool) {
	m := k.message(l)
	if m == nil {
		return nil, false
	}
	first, done := k.known(w, l, m)
	if done {
		return nil, true
	}
	if k.store.Waits(m.Sender, m.Host) {
		id, _, err := k.store.Put(m)
		switch {
		case err == nil:
			forget(first)
			k.answer(w, l, id)
			return nil, true
		case errors.Is(err, spool.ErrFull):
			forget(first)
			l.Full = true
			return nil, false
		}
	}
	if first == nil {
		return nil, false
	}
	return func(a *guard.Answer) {
		if !spool.Taken(a.Status, a.Header.Get("Location")) {
			first(nil)
			return
		}
		first(&spool.Replay{Status: a.Status, Header: a.Header, Body: bytes.Clone(a.Body), Whole: a.Whole})
	}, false
}

// known answers a message that was sent before, and says so. Else first, where it
// is not nil, is to hear how this one is answered.
func (k *keeping) known(w http.ResponseWriter, l *guard.Letter, m *spool.Message) (first func(*spool.Replay), done bool) {
	b, err := k.store.Begin(l.Request.Context(), m)
	switch {
	case errors.Is(err, spool.ErrOtherBody):
		otherBody(w)
	case err != nil: // its sender has left
	case b.Kept:
		k.answer(w, l, b.ID)
	case b.Answer != nil:
		replay(w, b.Answer)
	default:
		return b.End, false
	}
	return nil, true
}

// keep puts a message on disk in place of a refusal. What never went to its
// platform is looked for among what did: it may be a repetition.
func (k *keeping) keep(w http.ResponseWriter, l *guard.Letter) bool {
	m := k.message(l)
	if m == nil {
		return false
	}
	if !l.Begun {
		first, done := k.known(w, l, m)
		if done {
			return true
		}
		defer forget(first)
	}
	return k.put(w, l, m)
}

func forget(first func(*spool.Replay)) {
	if first != nil {
		first(nil)
	}
}

func (k *keeping) put(w http.ResponseWriter, l *guard.Letter, m *spool.Message) bool {
	id, _, err := k.store.Put(m)
	switch {
	case errors.Is(err, spool.ErrOtherBody):
		otherBody(w)
	case err != nil:
		return false // counted there, and said where an operator is needed
	default:
		k.answer(w, l, id)
	}
	return true
}

// answer shows the receipt. 202 is said of nothing but what waits for its
// delivery.
func (k *keeping) answer(w http.ResponseWriter, l *guard.Letter, id spool.ID) {
	status := http.StatusAccepted
	switch state := k.store.StateOf(id); {
	case state == spool.Delivered:
		status = http.StatusOK
	case state == spool.Unconfirmed && l.Sent:
		status = http.StatusBadGateway
	case !state.Waits():
		status = http.StatusConflict
	}
	k.receipts.Answer(w, l.Request, id, spool.Sender(l.Sender), status)
}

// otherBody answers whoever used a key twice.
func otherBody(w http.ResponseWriter) {
	problem(w, http.StatusUnprocessableEntity, "This Idempotency-Key was used before, with another body.")
}

func problem(w http.ResponseWriter, status int, detail string) {
	b, err := json.Marshal(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail})
	if err != nil {
		panic(err) // unreachable: texts and a number
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // who asked may have gone
}

// replay gives an answer again.
func replay(w http.ResponseWriter, a *spool.Replay) {
	if !a.Whole {
		what := "It is still being answered."
		if a.Status != http.StatusConflict {
			what = fmt.Sprintf("It was answered with %d before; that answer is too long to be given again.", a.Status)
		}
		problem(w, http.StatusConflict, "This request was sent before. "+what)
		return
	}
	h := w.Header()
	for name, values := range a.Header {
		h[name] = values
	}
	h.Set("Idempotent-Replayed", "true")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // who asked may have gone
}

// lane names the platform of a host.
func (k *keeping) lane(host string) string {
	if n, ok := k.edge.OriginOf(host); ok {
		return strconv.Itoa(int(n))
	}
	return "no site " + host
}

// send takes a kept message to its platform as its sender's own request would
// have come there.
func (k *keeping) send(ctx context.Context, m *spool.Request, ready func() error) spool.Answer {
	target, err := url.ParseRequestURI(m.URI)
	if err != nil {
		return spool.Answer{Fate: spool.Answered, Status: http.StatusBadRequest}
	}
	client := m.Client
	if client.IsUnspecified() || !client.IsValid() {
		client = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	r := &http.Request{
		Method: m.Method, URL: target, RequestURI: m.URI, Host: m.Host, Header: m.Header.Clone(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: netip.AddrPortFrom(client, 0).String(),
		ContentLength: int64(len(m.Body)), Body: http.NoBody,
	}
	if len(m.Body) > 0 {
		r.Body = readCloser{bytes.NewReader(m.Body)}
	}
	if m.Secured {
		r.TLS = new(tls.ConnectionState)
	}
	w := &answered{header: make(http.Header), want: m.Want}
	d := k.edge.Guard().Deliver(w, r.WithContext(edge.FreshLine(ctx)), ready)
	switch {
	case !d.Placed:
		return spool.Answer{Fate: spool.NoPlace}
	case w.status == 0 && d.Unsent:
		return spool.Answer{Fate: spool.NotSent}
	case w.status == 0 || d.Failed != deich.NoReason:
		return spool.Answer{Fate: spool.Lost} // what broke off says nothing, whatever it began with
	}
	a := spool.Answer{Fate: spool.Answered, Status: w.status, Location: w.header.Get("Location"), Body: w.body}
	a.Whole = len(w.body) == w.bytes && w.header.Get("Content-Encoding") == ""
	if seconds, err := strconv.Atoi(w.header.Get("Retry-After")); err == nil && seconds > 0 {
		a.RetryAfter = time.Duration(min(seconds, 86_400)) * time.Second
	}
	return a
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// answered takes the platform's answer, and of its body as much as is wanted.
type answered struct {
	header http.Header
	status int
	want   int
	body   []byte
	bytes  int // of the body, in all
}

func (a *answered) Header() http.Header { return a.header }

// Flush is for answers that come in pieces: without it they would be taken for broken off.
func (a *answered) Flush() {}

func (a *answered) WriteHeader(status int) {
	if status >= 200 && a.status == 0 {
		a.status = status
	}
}

func (a *answered) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, b[:min(len(b), a.want-len(a.body))]...)
	a.bytes += len(b)
	return len(b), nil
}
