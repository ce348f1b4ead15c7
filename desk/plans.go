package desk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// The forms that people send about what is planned.
type (
	// PlanRequest announces something.
	PlanRequest struct {
		Kind  incident.PlanKind `json:"kind"`
		Title incident.Text     `json:"title"`
		From  time.Time         `json:"from"`
		To    time.Time         `json:"to"`
		By    string            `json:"by"`
	}
	// CancelRequest calls it off.
	CancelRequest struct {
		By string `json:"by"`
	}
)

var errNoPlan = errors.New("no such plan")

// mountPlans is the private API's part about what is planned.
func (d *Desk) mountPlans(k *Keeper) {
	d.Mount("GET /api/v1/plans", d.answer(func(*http.Request) (any, error) { return k.plans() }))
	d.Mount("POST /api/v1/plans", d.answer(func(r *http.Request) (any, error) {
		var q PlanRequest
		if err := readForm(r, &q); err != nil {
			return nil, err
		}
		return k.plan(q, d.now())
	}))
	d.Mount("POST /api/v1/plans/{id}/cancel", d.answer(func(r *http.Request) (any, error) {
		var q CancelRequest
		if err := readForm(r, &q); err != nil {
			return nil, err
		}
		return k.cancel(r.PathValue("id"), q.By, d.now())
	}))
}

// plans gives all that is known, or says why it cannot be told.
func (k *Keeper) plans() ([]incident.Plan, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]incident.Plan{}, k.index.Book.Plans()...), k.readable()
}

// CrowdUntil says until when the people are expected who are expected now;
// zero where none are.
func (k *Keeper) CrowdUntil(now time.Time) time.Time {
	if !k.ready.Load() {
		return time.Time{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.index.Book.CrowdUntil(now)
}

func (k *Keeper) plan(q PlanRequest, now time.Time) (*incident.Plan, error) {
	p := &incident.Plan{UID: rand.Text(), Kind: q.Kind, Title: q.Title, From: q.From, To: q.To}
	if err := errors.Join(checkName(q.By), p.Check(now)); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var err error
	if p.ID, err = k.index.Book.NewPlanID(now); err != nil {
		return nil, err
	}
	return k.sayPlan(incident.Fact{At: now, Kind: incident.Planned, By: q.By, Plan: p})
}

func (k *Keeper) cancel(id, by string, now time.Time) (*incident.Plan, error) {
	if err := checkName(by); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.readable(); err != nil {
		return nil, err
	}
	switch p := k.planOf(id); {
	case p == nil:
		return nil, fmt.Errorf("%w: %q", errNoPlan, id)
	case p.Off:
		return nil, errors.New("it was called off before")
	case p.To.Before(now):
		return nil, errors.New("it is over")
	}
	return k.sayPlan(incident.Fact{At: now, Kind: incident.Cancelled, By: by, Plan: &incident.Plan{ID: id}})
}

// planOf gives one, or nil; k.mu is held.
func (k *Keeper) planOf(id string) *incident.Plan {
	all := k.index.Book.Plans()
	if i := slices.IndexFunc(all, func(p incident.Plan) bool { return p.ID == id }); i >= 0 {
		p := all[i]
		return &p
	}
	return nil
}

// sayPlan keeps a fact about a plan, and tells the public; k.mu is held.
func (k *Keeper) sayPlan(f incident.Fact) (*incident.Plan, error) {
	if err := k.keep([]incident.Fact{f}); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotKept, err)
	}
	k.publish(f.At)
	return k.planOf(f.Plan.ID), nil
}
