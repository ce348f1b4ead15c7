package drill

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAnotherShieldNeedsANamespace(t *testing.T) {
	o := Options{Loopback: true}
	_, err := Behind(t.Context(), o, shortScenario(), &Shield{Name: "other", Set: func(Place) ([]Program, error) {
		t.Error("it was set up on loopback")
		return nil, nil
	}})
	if !errors.Is(err, errOwnNamespace) {
		t.Errorf("%v", err)
	}
}

func TestBehindHoldsTheBounds(t *testing.T) {
	s := shortScenario()
	s.Attacks[0].Rate = 1e9
	if _, err := Behind(t.Context(), Options{}, s, nil); err == nil || !strings.Contains(err.Error(), "attacks[0].rate") {
		t.Errorf("%v", err)
	}
}

func TestAGroupIsCountedAndEndsWhole(t *testing.T) {
	c, err := launch("shell", nil, "/bin/sh", "-c", "sleep 600 & echo $!; exec sleep 600")
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	for c.out.String() == "" && !c.ended() {
		if !rest(t.Context(), 5*time.Millisecond) {
			t.Fatal("the test ended first")
		}
	}
	id, err := strconv.Atoi(c.out.String())
	if err != nil {
		t.Fatal(err)
	}
	one, err1 := usageOf(c.pid())
	all, err2 := usageOfGroups([]int{c.pid()})
	if err1 != nil || err2 != nil || all.rss <= one.rss {
		t.Errorf("one process %+v, its group %+v; %v, %v", one, all, err1, err2)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.stop()
	}()
	select {
	case <-ended:
	case <-time.After(2 * stopMax):
		t.Fatal("its end waits for what it started")
	}
	for begun := time.Now(); ; {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(id) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break // gone, or ended and not yet waited for by whoever it fell to
		}
		if time.Since(begun) > stopMax {
			t.Fatal("what it started still runs")
		}
		rest(t.Context(), 5*time.Millisecond)
	}
	if _, err := usageOfGroups([]int{1 << 30}); err == nil {
		t.Error("a group that is none has used something")
	}
}

func TestParseGroup(t *testing.T) {
	group, ended, err := parseGroup([]byte("42 (a) b) S 1 77 3 4 5 6 7 8 9 10 150 50 20 30 0 0"))
	if err != nil || group != 77 || ended != 500*time.Millisecond {
		t.Errorf("%d, %v, %v", group, ended, err)
	}
	if _, _, err := parseGroup([]byte("42 (short) S 1 2")); err == nil {
		t.Error("half a line was read")
	}
}
