package sim

import (
	"os"
	"testing"
)

// TestDay holds a day of the platform against its promises, with -short one that
// is told within an hour, with DEICH_EXAM by a fresh seed.
func TestDay(t *testing.T) {
	name, seed := "day-hour", uint64(1)
	if os.Getenv("DEICH_EXAM") != "" {
		name, seed = "day", freshSeed()
	} else if !testing.Short() {
		name = "day"
	}
	rep := rehearse(t, scenario(t, name), seed)
	for _, u := range rep.Unmet {
		t.Errorf("seed %d: %s", seed, u)
	}
	if rep.Calm.Requests < 10_000 || rep.Calm.Reloads < 100 {
		t.Errorf("seed %d: only %d requests while nothing happened, and %d reloads", seed, rep.Calm.Requests, rep.Calm.Reloads)
	}
	t.Logf("seed %d: %d events in %v", seed, rep.Events, rep.Took)
}
