package drill

import (
	"sync"
	"time"
)

// ending is how a user's request ended.
type ending uint8

const (
	served  ending = iota // the origin's own content, within the deadline
	late                  // the origin's own content, after the deadline
	refused               // the shield turned it away
	failed                // no answer: refused, reset, timed out
	broken                // an error of the origin
	endings
)

var endingNames = [endings]string{"served", "late", "refused", "failed", "broken"}

func (e ending) String() string { return endingNames[e] }

// need is what a user's request was for.
type need uint8

const (
	page need = iota
	asset
	call
)

// sample is one request of a user. Times are since the flood phase began.
type sample struct {
	began  time.Duration
	took   time.Duration
	user   uint16
	group  uint8
	need   need
	end    ending
	denied bool // met deny or drop
	lost   bool // nothing within Patience, the user's own retries included
	proved bool // a proof was solved on the way
	waited bool // a waiting room was on the way
	status uint16
	reason string // the shield's word, or what the connection died of
}

// tally collects the samples of all users. Safe for concurrent use.
type tally struct {
	mu      sync.Mutex
	samples []sample
	leftOut int
	closed  bool
	truth   truth
}

func (t *tally) add(s sample) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if len(t.samples) >= SamplesMax {
		t.leftOut++
		return
	}
	t.samples = append(t.samples, s)
}

// shut ends the counting: later samples are not kept.
func (t *tally) shut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// since gives the samples added after the first n; they are not to be changed.
func (t *tally) since(n int) []sample {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.samples[n:len(t.samples):len(t.samples)]
}
