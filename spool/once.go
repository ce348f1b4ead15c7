package spool

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Once remembers how requests with a key were answered, so that a browser's or
// an app's own retry, or a second click, gets the answer of the first. It is
// in memory: what it knows ends with the process. It is safe for concurrent
// use.
type Once struct {
	now   func() time.Time
	alarm func(error)

	mu    sync.Mutex
	known map[digest]*turn
	order []*turn // oldest first; those that ended otherwise are passed over
	bytes int
	told  time.Time
}

// turn is one request with its key.
type turn struct {
	key    digest
	body   digest
	done   chan struct{}
	at     time.Time
	answer *Replay // nil: it is not answered, or nothing is remembered of it
	gone   bool
}

// Replay is an answer that is given again. Whole says that its body is there.
type Replay struct {
	Status int
	Header http.Header // Content-Type and Location
	Body   []byte
	Whole  bool
}

// NewOnce makes an empty one. alarm must not block.
func NewOnce(alarm func(error)) *Once {
	return &Once{now: time.Now, alarm: alarm, known: make(map[digest]*turn)}
}

// Len is how many requests are remembered.
func (o *Once) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.known)
}

// Begin says how a request with a key goes on: end is set where it is the
// first and is to be called with its answer, or nil where nothing is to be
// remembered; answer where it was answered before. Both are nil where it passes
// as if it had no key: it has none, or the table is full. ErrOtherBody says
// that the key was used with another body. While the first one is under way the
// second waits for it.
func (o *Once) Begin(ctx context.Context, sender Sender, host, route, key string, body []byte) (end func(*Replay), answer *Replay, err error) {
	k := keyDigest(sender, host, route, key)
	if k == (digest{}) {
		return nil, nil, nil
	}
	sum := digestOf(body)
	late := time.NewTimer(onceWait)
	defer late.Stop()
	for {
		o.mu.Lock()
		t := o.known[k]
		if t != nil && o.now().Sub(t.at) > onceLife {
			o.forget(t)
			t = nil
		}
		if t == nil {
			end, err = o.first(k, sum)
			o.mu.Unlock()
			return end, nil, err
		}
		o.mu.Unlock()
		if t.body != sum {
			return nil, nil, ErrOtherBody
		}
		select {
		case <-t.done:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-late.C:
			return nil, &Replay{Status: http.StatusConflict}, nil
		}
		o.mu.Lock()
		answer = t.answer
		o.mu.Unlock()
		if answer != nil {
			return nil, answer, nil
		}
	}
}

// first takes a new key in. The lock is held.
func (o *Once) first(k, sum digest) (end func(*Replay), err error) {
	now := o.now()
	for len(o.order) > 0 && (o.order[0].gone || now.Sub(o.order[0].at) > onceLife) {
		o.forget(o.order[0])
		o.order = o.order[1:]
	}
	if len(o.order) >= 2*onceMax { // many that ended otherwise stand behind an older one
		o.order = slices.DeleteFunc(o.order, func(t *turn) bool { return t.gone })
	}
	if len(o.known) >= onceMax {
		if now.Sub(o.told) > time.Minute {
			o.told = now
			o.alarm(errOnceFull)
		}
		return nil, nil
	}
	t := &turn{key: k, body: sum, done: make(chan struct{}), at: now}
	o.known[k] = t
	o.order = append(o.order, t)
	return func(answer *Replay) {
		o.mu.Lock()
		defer o.mu.Unlock()
		switch {
		case answer == nil:
			o.forget(t)
		case !t.gone: // else it took longer than anything is remembered
			if !answer.Whole || len(answer.Body) > onceAnswerMax || o.bytes+len(answer.Body) > onceBytesMax {
				answer.Body, answer.Whole = nil, false
			}
			o.bytes += len(answer.Body)
			t.answer, t.at = answer, o.now()
		}
		close(t.done)
	}, nil
}

// forget takes a turn out. The lock is held.
func (o *Once) forget(t *turn) {
	if t.gone {
		return
	}
	t.gone = true
	if o.known[t.key] == t {
		delete(o.known, t.key)
	}
	if t.answer != nil {
		o.bytes -= len(t.answer.Body)
	}
}
