package drill

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/drill/scenarios"
)

// smallOne is a platform that is small, and not Townsquare.
func smallOne() Platform {
	return Platform{
		Name: "small", Pages: []string{"/", "/second"}, Calls: []string{"/call"}, Search: "/search?q=",
		Set: func(s Site) ([]Program, error) {
			self, err := os.Executable()
			return []Program{{Path: self, Args: []string{"townsquare", "--listen", s.Listen.String(), "--stats", "127.0.0.1:0"}}}, err
		},
	}
}

func TestAnotherPlatformNeedsANamespace(t *testing.T) {
	p := smallOne()
	p.Set = func(Site) ([]Program, error) {
		t.Error("it was set up on loopback")
		return nil, nil
	}
	if _, err := Of(t.Context(), Options{Loopback: true}, shortScenario(), p); !errors.Is(err, errOwnNamespace) {
		t.Errorf("%v", err)
	}
}

func TestOfRefusesWhatOnlyTownsquareCan(t *testing.T) {
	for want, change := range map[string]func(*whole){
		"attacks[0].rate":     func(r *whole) { r.s.Attacks[0].Rate = 1e9 },
		"Search are needed":   func(r *whole) { r.p.Search = "" },
		"asks for what only":  func(r *whole) { r.s.Attacks[0].Request = "login" },
		"logs in, which only": func(r *whole) { r.s.Groups[1].Token = true },
		"started again":       func(r *whole) { r.s.Origin.Down = true },
	} {
		r := whole{s: shortScenario(), p: smallOne()}
		change(&r)
		if _, err := Of(t.Context(), Options{}, r.s, r.p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// What the drill does with another platform, on loopback: its users and its
// attackers ask for its pages, and whoever visits beside them is called.
func TestAnotherPlatformIsRehearsed(t *testing.T) {
	needLoopback(t)
	for _, fails := range []bool{false, true} {
		var out bytes.Buffer
		o := Options{Out: &out, Loopback: true}.withDefaults()
		r, err := newRehearsal(&o, &sandbox{kind: Loopback, why: "a test", net: addresses{net: 127}}, shortScenario(), true)
		if err != nil {
			t.Fatal(err)
		}
		p, wrong := smallOne(), errors.New("it went wrong")
		visited := make(chan Site, 1)
		p.Visit = func(ctx context.Context, s Site, flood time.Time) error {
			visited <- s
			if fails {
				return wrong
			}
			<-ctx.Done()
			return nil
		}
		r.platform, r.asks = &p, p.asks()
		f, err := r.run(t.Context(), nil)
		if fails {
			if !errors.Is(err, wrong) {
				t.Errorf("%v", err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		if s := <-visited; s.Users == s.Listen || !s.Users.IsValid() {
			t.Errorf("the visitor is sent to %+v", s)
		}
		if flood := f.Groups[0].Cells[1]; flood.Requests < 20 || flood.Success < 0.9 {
			t.Errorf("known users in the flood: %+v", flood)
		}
		if a := f.Attack; a.Sent < 90 || a.Reached < 60 {
			t.Errorf("attack: %+v", a)
		}
	}
}

// whole is what Of is given.
type whole struct {
	s scenarios.Scenario
	p Platform
}
