package incident

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

func TestPlans(t *testing.T) {
	now := time.Date(2026, 3, 7, 15, 0, 0, 0, time.UTC)
	b := NewBook(time.UTC)
	make := func(kind PlanKind, in, long time.Duration) string {
		t.Helper()
		id, err := b.NewPlanID(now)
		if err != nil {
			t.Fatal(err)
		}
		p := Plan{ID: id, Kind: kind, Title: Text{English: "one"}, From: now.Add(in), To: now.Add(in + long)}
		if err := p.Check(now); err != nil {
			t.Fatal(err)
		}
		b.Apply(Fact{At: now, Kind: Planned, By: "ada", Plan: &p})
		return id
	}
	work, sale := make(Maintenance, 24*time.Hour, time.Hour), make(Crowd, time.Hour, 2*time.Hour)
	later := make(Crowd, 2*time.Hour, 3*time.Hour)
	if all := b.Plans(); len(all) != 3 || all[0].ID != sale || all[2].ID != work || all[0].By != "ada" {
		t.Fatalf("%+v", all)
	}
	for _, c := range []struct {
		in   time.Duration
		want time.Time
	}{{0, time.Time{}}, {time.Hour, now.Add(3 * time.Hour)}, {150 * time.Minute, now.Add(5 * time.Hour)}, {5 * time.Hour, time.Time{}}, {24 * time.Hour, time.Time{}}} {
		if got := b.CrowdUntil(now.Add(c.in)); !got.Equal(c.want) {
			t.Errorf("in %s: a crowd until %s, want %s", c.in, got, c.want)
		}
	}
	b.Apply(Fact{At: now, Kind: Cancelled, Plan: &Plan{ID: later}})
	b.Apply(Fact{At: now, Kind: Cancelled, Plan: &Plan{ID: "none"}})
	if got := b.CrowdUntil(now.Add(4 * time.Hour)); !got.IsZero() {
		t.Errorf("called off, and expected until %s", got)
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	again := NewBook(time.UTC)
	if err := json.Unmarshal(text, again); err != nil || fmt.Sprint(again.Plans()) != fmt.Sprint(b.Plans()) {
		t.Errorf("%v after a snapshot: %v", err, again.Plans())
	}
}

func TestPlansAreBounded(t *testing.T) {
	now := time.Date(2026, 3, 7, 15, 0, 0, 0, time.UTC)
	b := NewBook(time.UTC)
	for n := range PlansMax {
		b.Apply(Fact{At: now, Kind: Planned, Plan: &Plan{ID: fmt.Sprint("x", n), Kind: Crowd, From: now, To: now.Add(time.Duration(n+1) * time.Hour)}})
	}
	if _, err := b.NewPlanID(now); err == nil {
		t.Error("one more, where all lie ahead")
	}
	b.Apply(Fact{At: now, Kind: Planned, Plan: &Plan{ID: "more"}})
	if len(b.Plans()) != PlansMax {
		t.Errorf("%d plans", len(b.Plans()))
	}
	later := now.Add(90 * time.Minute)
	if _, err := b.NewPlanID(later); err != nil {
		t.Error(err)
	}
	b.Apply(Fact{At: later, Kind: Planned, Plan: &Plan{ID: "more", From: later, To: later.Add(time.Hour)}})
	if all := b.Plans(); len(all) != PlansMax || all[0].ID == "x0" {
		t.Errorf("%d plans, the first %s", len(all), all[0].ID)
	}
}

func TestPlansThatAreWrong(t *testing.T) {
	now := time.Date(2026, 3, 7, 15, 0, 0, 0, time.UTC)
	good := Plan{Kind: Crowd, Title: Text{German: "Verkauf"}, From: now, To: now.Add(time.Hour)}
	if err := good.Check(now); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*Plan){
		"kind": func(p *Plan) { p.Kind = "party" }, "title": func(p *Plan) { p.Title = Text{English: " "} }, "order": func(p *Plan) { p.To = p.From },
		"past": func(p *Plan) { p.From, p.To = now.Add(-2*time.Hour), now.Add(-time.Hour) }, "long": func(p *Plan) { p.To = now.Add(planMost + time.Hour) },
		"far": func(p *Plan) { p.From, p.To = now.Add(planAhead+time.Hour), now.Add(planAhead+2*time.Hour) }, "none": func(p *Plan) { p.From = time.Time{} },
	} {
		p := good
		spoil(&p)
		if p.Check(now) == nil {
			t.Errorf("%s: nothing is said", what)
		}
	}
}
