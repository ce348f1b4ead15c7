package desk

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// What changed in a range stands first, the surest above; chance stays out.
func TestChangesAreRanked(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	stranger, member := slices.Index(tiers[:], "stranger"), slices.Index(tiers[:], "member")
	var all []Second
	for i := range 600 {
		s := Second{At: int64(i) * 1000, Limit: 24, Flight: 5 + random.IntN(4)}
		s.Asked[member] = uint32(90 + random.IntN(20))
		s.Served[member] = s.Asked[member]
		s.Asked[stranger] = uint32(random.IntN(6))
		if i >= 300 && i < 360 { // a flood, which members feel a little
			s.Asked[stranger] += uint32(2500 + random.IntN(500))
			s.Acts[slices.Index(acts[:], "challenge")] = s.Asked[stranger]
			s.Served[member] -= 20
			s.Cut = 74
		}
		all = append(all, s)
	}
	list, ok := changed(all, 300_000, 360_000)
	var said []string
	for _, c := range list {
		said = append(said, c.Name+" "+c.Kind)
	}
	if !ok || len(list) != 4 || list[0].Kind != "cut" || !slices.Contains(said[1:3], "stranger asked") || !slices.Contains(said[1:3], "challenge act") || said[3] != "member served" {
		t.Errorf("%q, %v", said, ok)
	}
	if list, ok := changed(all, 500_000, 560_000); !ok || len(list) > 0 {
		t.Errorf("in peace %v, %v", list, ok)
	}
	for _, r := range [][2]int64{{0, 60_000}, {599_000, 600_000}, {900_000, 960_000}, {-5, -1}} {
		if list, ok := changed(all, r[0], r[1]); ok || list != nil {
			t.Errorf("%v: %v", r, list)
		}
	}
}

// The range is the page's address; a broken one is none.
func TestPageShowsWhatChanged(t *testing.T) {
	at := time.Date(2025, 5, 24, 15, 0, 0, 0, time.UTC)
	var states []State
	n := uint64(0)
	for i := range 240 {
		n += 100
		if i >= 120 {
			n += 400
		}
		states = append(states, State{Served: []Served{{"regular", n, 0}}})
	}
	d := script(t, states...)
	from := at.Add(2 * time.Minute).UnixMilli()
	page := ask(d, fmt.Sprintf("/?lang=de&from=%d&to=%d", from, from+60_000)).Body.String()
	for _, want := range []string{"Stammgast, gestellt", "<td class=\"n\">100</td><td class=\"n\">500</td>", fmt.Sprintf(`<option value="%d" selected>`, from)} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	if page := ask(d, fmt.Sprintf("/?from=%d&to=%d", from-600_000, from-590_000)).Body.String(); !strings.Contains(page, "too short") {
		t.Error("a range of which nothing is known")
	}
	for _, bad := range []string{"/", "/?from=x&to=y", "/?from=1", "/?from=%3Cscript%3E&to=9223372036854775808"} {
		if w := ask(d, bad); w.Code != 200 || strings.Contains(w.Body.String(), `id="changes"`) {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
}
