package edge

import (
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
)

// health remembers when a platform last gave an answer of its own. Its fields
// are times (deich.Time); a lost update costs a moment's precision.
type health struct {
	good   atomic.Int64 // the last good answer
	bad    atomic.Int64 // the last failure
	before atomic.Int64 // the last good answer before the latest outage
	back   atomic.Int64 // when that ended
}

// outageLeast is how long nothing must have come for it to be an outage.
const outageLeast = time.Second

func (h *health) answered(now deich.Time, failed bool) {
	if failed {
		h.bad.Store(int64(now))
		return
	}
	good := deich.Time(h.good.Load())
	if deich.Time(h.bad.Load()) > good && now.Sub(good) > outageLeast {
		h.before.Store(int64(good))
		h.back.Store(int64(now))
	}
	if now.Sub(good) > time.Millisecond {
		h.good.Store(int64(now))
	}
}

// takeOver is for a platform that goes on with other backends, so that an outage does. Of
// several that were one platform's, the one that answered last counts.
func (h *health) takeOver(old *health) {
	good := old.good.Load()
	if good <= h.good.Load() {
		return
	}
	h.good.Store(good)
	h.bad.Store(old.bad.Load())
	h.before.Store(old.before.Load())
	h.back.Store(old.back.Load())
}

// answers says whether the platform's last word was a good one.
func (h *health) answers() bool { return h.good.Load() > h.bad.Load() }

// outlives says whether an answer that came at got may still be given to who
// would otherwise get none: it is no older than a copy is held, or was not when
// the platform fell silent.
func (h *health) outlives(got, now deich.Time) bool {
	held := now.Sub(got)
	switch {
	case held <= copyHeld:
		return true
	case held > outageHeld:
		return false
	case deich.Time(h.good.Load()).Sub(got) <= copyHeld:
		return true
	}
	return now.Sub(deich.Time(h.back.Load())) <= returnHeld && deich.Time(h.before.Load()).Sub(got) <= copyHeld
}
