package drill

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/drill/profile"
)

func loadSessions(t *testing.T) *sessions {
	p, err := profile.Load()
	if err != nil {
		t.Fatal(err)
	}
	return newSessions(p)
}

// The users' mix of pages: searches are a part of it, and not most of it.
func TestMixOfPages(t *testing.T) {
	s := loadSessions(t)
	kinds := map[string]int{}
	const each, users = 50, 200
	for u := range users {
		w := s.walk(u, time.Second)
		for range each {
			path := square(w.next().rank)
			kinds[strings.SplitN(path+"/", "/", 3)[1][:min(1, len(path)-1)]]++
		}
	}
	for kind, most := range map[string]float64{"": 0.5, "s": 0.2, "p": 0.7, "u": 0.7} {
		if got := float64(kinds[kind]) / (each * users); got < 0.03 || got > most {
			t.Errorf("pages that begin with %q: %.3f of all", kind, got)
		}
	}
}

func TestWalkKeepsTheMean(t *testing.T) {
	s := loadSessions(t)
	sum, n := 0.0, 0
	for u := range 300 {
		w := s.walk(u, time.Second)
		for range 60 {
			st := w.next()
			if st.gap <= 0 || st.gap > 10*time.Second {
				t.Fatalf("a gap of %s", st.gap)
			}
			sum, n = sum+st.gap.Seconds(), n+1
		}
	}
	if mean := sum / float64(n); math.Abs(mean-1) > 0.25 {
		t.Errorf("mean gap %.2f s, want about 1", mean)
	}
}

func TestWalkIsTheSameAgain(t *testing.T) {
	a, b := loadSessions(t).walk(7, time.Second), loadSessions(t).walk(7, time.Second)
	for range 100 {
		if x, y := a.next(), b.next(); x != y {
			t.Fatalf("%+v and %+v", x, y)
		}
	}
}
