package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/deichproject/deich/drill"
	"github.com/deichproject/deich/drill/scenarios"
)

const (
	// judgedShare of its sources has to be under an order for a second to count.
	judgedShare = .95
	// judgedLeast is how many such seconds tell something.
	judgedLeast = 10
	// comeMost is the share of connections that may still come about, gatedCost what the flood may
	// cost with a gate, of what it costs without, and gatedKnown what known users are to be served.
	comeMost, gatedCost, gatedKnown = .05, 1. / 3, .995
)

// A botnet with a gate and without it, one after the other: once its sources are judged,
// what they send costs next to nothing, and known users are served all the time, also at twenty
// and fifty times of what the platform can do, on one core with it.
//
// What a flood costs is what Deich and interrupts use beyond what they do for the same
// users after it. Deich's own users are a large part of the whole, which is told beside it.
func TestBotnetAtTheGate(t *testing.T) {
	if os.Getenv("DEICH_EXAM") == "" {
		t.Skip("left to make exam: nine minutes of floods")
	}
	if os.Geteuid() != 0 {
		missing(t, "a gate is root's: run it as root")
	}
	need(t, "nft", "nftables")
	b := build(t)
	for _, scenario := range []string{"botnet", "botnet-20x-one-core", "botnet-50x-one-core"} {
		t.Run(scenario, func(t *testing.T) {
			var off, on atGate
			var quiet [2]bool
			for i, mode := range []string{"off", "auto"} {
				run, out, others := rehearsed(t, b, scenario, time.Minute, false, "--gate", mode)
				quiet[i] = others < othersMost
				*[]*atGate{&off, &on}[i] = reckonAtGate(t, run)
				for _, g := range run.Groups {
					if g.Name == "known" && g.Cells[1].Success < gatedKnown {
						t.Errorf("gate %s: known users were served %.2f %%\n%s", mode, 100*g.Cells[1].Success, out)
					}
				}
				if want := map[string]string{"off": "", "auto": "nft"}[mode]; run.Gate != want {
					t.Errorf("the gate is %q in place of %q", run.Gate, want)
				}
			}
			t.Logf("without a gate: %+v", off)
			t.Logf("with a gate:    %+v", on)
			t.Logf("of the connections %.2f %% come about; Deich with interrupts uses %.2f times as much in all, and %.2f for the flood",
				100*on.come/on.begun, on.cores/off.cores, (on.cores-on.users)/(off.cores-off.users))
			if off.seconds < judgedLeast || on.seconds < judgedLeast {
				t.Fatalf("%d and %d seconds in which the sources are judged", off.seconds, on.seconds)
			}
			if on.begun < .97*off.begun || off.begun < .97*on.begun {
				t.Errorf("%.0f connections a second are offered with a gate, %.0f without", on.begun, off.begun)
			}
			if on.come > comeMost*off.come {
				t.Errorf("%.0f of %.0f connections a second still come about", on.come, off.come)
			}
			switch cost := on.cores - on.users; {
			case !quiet[0] || !quiet[1]:
				t.Log("what it costs is not held against anything: others used the machine")
			case cost > gatedCost*(off.cores-off.users):
				t.Errorf("the flood costs %.3f cores with a gate, and %.3f without", cost, off.cores-off.users)
			}
		})
	}
}

// atGate are means a second, of those in which nearly all sources are judged.
type atGate struct {
	seconds     int
	begun, come float64 // attackers' connections
	cores       float64 // of Deich and interrupts
	users       float64 // of that, after the flood
}

func reckonAtGate(t *testing.T, run *drill.Finding) (a atGate) {
	t.Helper()
	s, err := scenarios.Find(run.Scenario)
	if err != nil {
		t.Fatal(err)
	}
	flood, after := run.Phases[1], 0
	for _, one := range run.Seconds {
		at := float64(one.At)
		switch {
		case one.Shield < 0 || one.Kernel < 0:
		case at >= flood.To+2: // what was under way has ended
			after++
			a.users += one.Shield + one.Kernel
		case at >= 0 && at < flood.To && float64(one.Judged) >= judgedShare*float64(s.Attacks[0].Sources):
			a.seconds++
			a.begun += float64(one.Begun)
			a.come += float64(one.Come)
			a.cores += one.Shield + one.Kernel
		}
	}
	n := float64(max(a.seconds, 1))
	a.begun, a.come, a.cores, a.users = a.begun/n, a.come/n, a.cores/n, a.users/float64(max(after, 1))
	return a
}
