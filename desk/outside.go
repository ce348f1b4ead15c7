package desk

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/desk/probe"
	"github.com/deichproject/deich/desk/status"
)

// Outside is what probes found, and where they agree.
type Outside struct {
	Views   []probe.View   `json:"views"`
	Reports []probe.Report `json:"reports"`
}

// mountOutside is the private API's part about looks from outside.
func (d *Desk) mountOutside(k *Keeper) {
	d.Mount("GET /api/v1/probes", d.answer(func(*http.Request) (any, error) {
		reports := append([]probe.Report{}, probe.Read(k.data)...)
		return Outside{probe.Agree(reports, d.now()), reports}, nil
	}))
	d.Mount("POST /api/v1/probes", d.answer(func(r *http.Request) (any, error) {
		var q probe.Report
		if err := readForm(r, &q); err != nil {
			return nil, err
		}
		q.At = d.now() // as it arrives: clocks elsewhere may be wrong
		k.probing.Lock()
		defer k.probing.Unlock()
		if err := probe.Write(k.data, q); err != nil {
			return nil, err
		}
		return probe.Agree(probe.Read(k.data), q.At), nil
	}))
}

// outside gives what probes agree on, read anew every outsideEvery; k.mu is held.
func (k *Keeper) outside(now time.Time) []probe.View {
	if now.Sub(k.looked).Abs() >= outsideEvery {
		k.views, k.looked = probe.Agree(probe.Read(k.data), now), now
	}
	return k.views
}

// ofOutside is what incidents see of that.
func ofOutside(views []probe.View) (all []incident.Outside) {
	for _, v := range views {
		o := incident.Outside{Name: v.Name, Down: v.Agreed, Up: v.Well, Since: v.Since}
		if v.Agreed {
			o.Text = evidence(&v)
		}
		all = append(all, o)
	}
	return all
}

// evidence says which probes found something down, and what they saw.
func evidence(v *probe.View) incident.Text {
	var said []string
	for _, f := range v.Found[:min(len(v.Found), foundNamed)] {
		said = append(said, f.By+" ("+f.Text+")")
	}
	all, n := strings.Join(said, ", "), len(v.Found)
	t := incident.Text{
		English: fmt.Sprintf("%d of %d probes find it down: %s.", n, v.Probes, all),
		German:  fmt.Sprintf("%d von %d Sonden finden es ausgefallen: %s.", n, v.Probes, all),
	}
	if more := n - len(said); more > 0 {
		t.English += fmt.Sprintf(" So do %d more.", more)
		t.German += fmt.Sprintf(" So auch %d weitere.", more)
	}
	return t
}

// seenFromOutside puts in what probes say: of what Deich stands in front of, that
// it is down, and all else that they look at as what the platform needs.
func seenFromOutside(parts []status.Component, views []probe.View) []status.Component {
	for _, v := range views {
		at := slices.IndexFunc(parts, func(c status.Component) bool {
			return c.Name == v.Name || c.Name == "" && v.Name == incident.Nameless
		})
		if at < 0 {
			c := status.Component{Name: v.Name, State: status.Up, Needed: true}
			if v.Probes == 0 {
				c.State = status.Unknown
			}
			parts = append(parts, c)
			at = len(parts) - 1
		}
		if v.Agreed {
			parts[at].State = status.Down
		}
	}
	return parts
}
