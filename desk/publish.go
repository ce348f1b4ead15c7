package desk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/status"
)

// components says how each thing that users know does.
func components(s *State, sample *incident.Sample) []status.Component {
	var all []status.Component
	for i, o := range s.Origins {
		c := status.Component{Name: o.Public, State: status.Up}
		switch {
		case o.Failing:
			c.State = status.Down
		case o.Pressure || sample.Row.Hurt > 0 && i == 0 && len(s.Origins) == 1:
			c.State = status.Slow
		}
		all = append(all, c)
	}
	return all
}

// publish writes the status page's file where it is due: at once when something
// changed, and every postEvery so that the page knows that Deich lives; k.mu is
// held. It is not synced: after a crash of the machine nobody reads it. Where the
// record could not be read, what the page says stays, and it says how old that is.
func (k *Keeper) publish(now time.Time) {
	if k.unread {
		return
	}
	d := status.From(k.index.Book, k.parts, now, k.zone)
	heard := d.Heard
	d.Heard = time.Time{}
	what, err := json.Marshal(d)
	if err == nil && bytes.Equal(what, k.post) && now.Sub(k.posted) < postEvery {
		return
	}
	d.Heard = heard
	b, err := json.Marshal(d)
	if err == nil {
		err = writeWhole(filepath.Join(k.data, status.File), b, false)
	}
	if err != nil {
		if k.post != nil || k.posted.IsZero() {
			k.warn(fmt.Sprintf("the status page is not told: %v", err))
		}
		k.post = nil
	} else {
		k.post = what
	}
	k.posted = now
}

// sayEnded tells the status page that Deich was ended in peace.
func (k *Keeper) sayEnded(now time.Time) error {
	d := status.From(k.index.Book, k.parts, now, k.zone)
	d.Ended = true
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(k.data, status.File), b, true)
}
