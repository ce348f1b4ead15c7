package sim

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestExam holds the engine against every strategy. DEICH_EXAM=N draws N fresh
// seeds instead of the fixed one; the log names them.
func TestExam(t *testing.T) {
	seeds := []uint64{1}
	if n, _ := strconv.Atoi(os.Getenv("DEICH_EXAM")); n > 0 {
		seeds = nil
		for i := range n {
			seeds = append(seeds, freshSeed()+uint64(i))
		}
	}
	var all []Report
	for _, seed := range seeds {
		for i, s := range Strategies() {
			if testing.Short() && i%5 != 0 {
				continue
			}
			t.Run(s.Name, func(t *testing.T) {
				rep := rehearse(t, s, seed)
				for _, u := range rep.Unmet {
					t.Errorf("seed %d: %s", seed, u)
				}
				all = append(all, rep)
			})
		}
	}
	var b strings.Builder
	if err := PrintTable(&b, all); err != nil {
		t.Fatal(err)
	}
	t.Logf("seeds %v\n%s", seeds, b.String())
}

func freshSeed() uint64 { return uint64(time.Now().UnixNano()) % 1e9 }
