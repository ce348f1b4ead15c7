package sim

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func mustRun(t *testing.T, name string, seed uint64) Report {
	t.Helper()
	s, ok := Find(name)
	if !ok {
		t.Fatalf("no scenario %q", name)
	}
	rep, err := Run(s, seed)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestDev(t *testing.T) {
	name := os.Getenv("SIM")
	for _, s := range Scenarios() {
		if name != "" && name != s.Name {
			continue
		}
		s.Control = Control(os.Getenv("CONTROL"))
		rep, err := Run(s, 1)
		if err != nil {
			t.Error(err)
			continue
		}
		rep.Print(os.Stdout)
		if os.Getenv("PULSES") != "" {
			rep.PrintPulses(os.Stdout)
		}
	}
	_ = runtime.NumCPU
	_ = time.Second
}

// TestExpectations holds every scenario to the bounds that stand in it.
func TestExpectations(t *testing.T) {
	for _, s := range Scenarios() {
		if large := len(s.Attacks) > 0 && s.Attacks[0].Rate*s.Flood.Seconds() > 5e6; large && testing.Short() {
			continue
		} else if s.Name == "ten-million" {
			continue // TestTenMillionSources
		}
		t.Run(s.Name, func(t *testing.T) {
			rep := rehearse(t, s, 1)
			for _, u := range rep.Unmet {
				t.Error(u)
			}
			if t.Failed() {
				rep.Print(t.Output())
			}
		})
	}
}

