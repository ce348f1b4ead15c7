package sim

import (
	"time"

	"github.com/deichproject/deich/drill/profile"
)

// A client that replays comes when a visitor of the NASA log came, asks for
// pages as popular, with the same gaps. The log's thirteen hours are folded
// into the group's Over, so that its quiet and its busy hours meet.

// revives has a client be the i-th visitor.
func (r *run) revives(c *client, i int) {
	all := r.world.hours
	c.like = uint16(i % min(len(all), 1<<16))
	over := int64(r.scenario.Groups[c.group].Over)
	again := int64(i/len(all)) * int64(copyShift) // more than the log has: the same once more, a little later
	c.came = min(r.flood+int64(r.scenario.Groups[c.group].From)+(offset(r.like(c)[0])+again)%max(over, 1), r.end)
}

func (r *run) like(c *client) []profile.Visit { return r.world.hours[c.like].Visits }

func offset(v profile.Visit) int64 { return int64(v.Offset) * int64(time.Second) }

// replays gives what the visitor asks for now.
func (r *run) replays(c *client) (route uint16, page uint32) {
	v := r.like(c)[c.next]
	if v.Rank == 1 {
		return routeFront, 1
	}
	return routePost, uint32(v.Rank)
}

// replayed gives when the next visit is, from now; the log has whole seconds.
func (r *run) replayed(c *client) int64 {
	v := r.like(c)
	if int(c.next)+1 >= len(v) {
		return r.end
	}
	c.next++
	return offset(v[c.next]) - offset(v[c.next-1]) + int64(r.users.Float64()*1e9)
}
