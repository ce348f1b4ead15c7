package incident

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// PlanKind is what a plan is for.
type PlanKind string

const (
	Maintenance PlanKind = "maintenance" // something is worked on
	Crowd       PlanKind = "crowd"       // many people are expected
)

// Plan is something that people know ahead of time.
type Plan struct {
	ID    string    `json:"id"`
	UID   string    `json:"uid"` // nothing else in the world has it: calendars know it again
	Kind  PlanKind  `json:"kind"`
	Title Text      `json:"title"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	By    string    `json:"by,omitempty"`
	Said  time.Time `json:"said"`                // when it was last said or changed
	Off   bool      `json:"cancelled,omitempty"` // it was called off
}

// Check says all that is wrong with a plan that is made now.
func (p *Plan) Check(now time.Time) error {
	var wrong []error
	if p.Kind != Maintenance && p.Kind != Crowd {
		wrong = append(wrong, fmt.Errorf("kind: %q: %s or %s is wanted", p.Kind, Maintenance, Crowd))
	}
	if strings.TrimSpace(p.Title.English+p.Title.German) == "" || len(p.Title.English) > TitleMax || len(p.Title.German) > TitleMax {
		wrong = append(wrong, fmt.Errorf("title: in a few words, at most %d bytes", TitleMax))
	}
	switch {
	case p.From.IsZero() || p.To.IsZero():
		wrong = append(wrong, errors.New("from and to are needed"))
	case !p.From.Before(p.To):
		wrong = append(wrong, errors.New("to: a time after from is wanted"))
	case p.To.Before(now):
		wrong = append(wrong, errors.New("to: it lies in the past"))
	case p.To.Sub(p.From) > planMost:
		wrong = append(wrong, fmt.Errorf("to: at most %.0f days after from", planMost.Hours()/24))
	case p.From.Sub(now) > planAhead:
		wrong = append(wrong, fmt.Errorf("from: at most %.0f days ahead", planAhead.Hours()/24))
	}
	return errors.Join(wrong...)
}

// Runs says whether it is now.
func (p *Plan) Runs(now time.Time) bool { return !p.Off && !now.Before(p.From) && now.Before(p.To) }

// Plans gives all that is planned and was, by their begin.
func (b *Book) Plans() []Plan { return b.plan }

// NewPlanID gives the next plan's name; none is free where all plans lie ahead
// and there is no room for one more.
func (b *Book) NewPlanID(now time.Time) (string, error) {
	if len(b.plan) >= PlansMax && b.oldestPlan(now) < 0 {
		return "", fmt.Errorf("%d plans lie ahead, which is all that there is room for", PlansMax)
	}
	day := dayOf(now, b.zone)
	for n := 1; ; n++ {
		id := fmt.Sprintf("%s-p%d", day, n)
		if !slices.ContainsFunc(b.plan, func(p Plan) bool { return p.ID == id }) {
			return id, nil
		}
	}
}

// oldestPlan is the place of the one that was over first, or below zero.
func (b *Book) oldestPlan(now time.Time) int {
	oldest := -1
	for i := range b.plan {
		if p := &b.plan[i]; (p.Off || p.To.Before(now)) && (oldest < 0 || p.To.Before(b.plan[oldest].To)) {
			oldest = i
		}
	}
	return oldest
}

func (b *Book) takePlan(f Fact) {
	if f.Plan == nil {
		return
	}
	at := slices.IndexFunc(b.plan, func(p Plan) bool { return p.ID == f.Plan.ID })
	if f.Kind == Cancelled {
		if at >= 0 {
			b.plan[at].Off, b.plan[at].Said = true, f.At
		}
		return
	}
	if at >= 0 {
		return
	}
	if len(b.plan) >= PlansMax {
		old := b.oldestPlan(f.At)
		if old < 0 {
			return
		}
		b.plan = slices.Delete(b.plan, old, old+1)
	}
	p := *f.Plan
	p.By, p.Said, p.Off = f.By, f.At, false
	b.plan = append(b.plan, p)
	slices.SortStableFunc(b.plan, func(a, c Plan) int { return cmp.Or(a.From.Compare(c.From), cmp.Compare(a.ID, c.ID)) })
}

// CrowdUntil says until when many people are expected who are expected now;
// zero where none are.
func (b *Book) CrowdUntil(now time.Time) (until time.Time) {
	for i := range b.plan {
		if p := &b.plan[i]; p.Kind == Crowd && p.Runs(now) {
			until = latest(until, p.To)
		}
	}
	return until
}
