package drill

import (
	"strconv"
	"time"

	"github.com/deichproject/deich/drill/profile"
)

// What townsquare has after its first start: so many members and messages, and
// words that its messages hold.
const (
	squareMembers  = 500
	squareMessages = 6000
	squarePassword = "by-the-sea-2026"
)

var squareWords = [...]string{"bicycle", "harbour", "concert", "bread", "ferry", "choir", "library", "lighthouse", "tomatoes", "storm"}

// square maps the rank of a page in the profile to a page of townsquare: the
// most popular is the timeline, one in eight is a search, the others are
// messages and members.
func square(rank int) string {
	switch {
	case rank <= 1:
		return "/"
	case rank%8 == 5:
		return "/search?q=" + squareWords[rank/8%len(squareWords)]
	case rank%2 == 0:
		return "/p/" + strconv.Itoa(1+(rank*37)%squareMessages)
	default:
		return "/u/" + member(rank*13)
	}
}

func member(n int) string {
	return "user" + strconv.Itoa(10001 + n%squareMembers)[1:]
}

// squareAssets are what a browser loads with its first page.
var squareAssets = [...]string{"/static/style.css", "/static/app.js", "/static/logo.svg"}

// hasAvatar says whether a page comes with a picture that is not in the cache yet.
func hasAvatar(rank int) bool { return rank%3 == 0 }

// avatar is that picture.
func avatar(rank int) string { return "/static/avatar/" + strconv.Itoa(rank%32) + ".svg" }

// squareAsks are what users and attackers ask of townsquare.
func squareAsks() asks {
	picture := func(rank int) string {
		if hasAvatar(rank) {
			return avatar(rank)
		}
		return ""
	}
	return asks{page: square, assets: squareAssets[:], picture: picture, call: callPath, search: "/search?q="}
}

// callPath gives what a program asks for: mostly the timeline, now and then a search or a profile.
func callPath(n int) string {
	switch n % 10 {
	case 4:
		return "/api/u/" + member(n)
	case 9:
		return "/api/search?q=" + squareWords[n/10%len(squareWords)]
	}
	return "/api/timeline"
}

// step is one page of a session: how long after the one before, and which.
type step struct {
	gap  time.Duration
	rank int
}

// Bounds of how the log's times are squeezed into a rehearsal's.
const (
	gapLeast = 0.2 // of the mean
	gapMost  = 4.0 // of the mean
	// gapPause is the gap in a log that ends a visit; it is not replayed.
	gapPause = 30 * 60
	// visitsLeast is how many pages a client must have asked for to be worth following.
	visitsLeast = 4
)

// sessions are what users follow.
type sessions struct {
	gaps    [][]float64 // each NASA visitor's, as multiples of the mean
	ranks   [][]int     // each Elastic reader's pages
	desktop float64     // share of desktop agents among readers
}

func newSessions(p *profile.Profile) *sessions {
	s := &sessions{}
	sum, n := 0.0, 0
	for _, v := range p.Rates {
		if len(v.Visits) < visitsLeast {
			continue
		}
		var gaps []float64
		for i := 1; i < len(v.Visits); i++ {
			if g := v.Visits[i].Offset - v.Visits[i-1].Offset; g < gapPause {
				gaps = append(gaps, float64(g))
				sum, n = sum+float64(g), n+1
			}
		}
		if len(gaps) > 0 {
			s.gaps = append(s.gaps, gaps)
		}
	}
	mean := sum / float64(n)
	clipped := 0.0
	for _, gaps := range s.gaps {
		for i := range gaps {
			gaps[i] = min(max(gaps[i]/mean, gapLeast), gapMost)
			clipped += gaps[i]
		}
	}
	// Clipping moved the mean; what is left has mean one again.
	for _, gaps := range s.gaps {
		for i := range gaps {
			gaps[i] *= float64(n) / clipped
		}
	}
	s.readers(p)
	return s
}

func (s *sessions) readers(p *profile.Profile) {
	desktop, people := 0, 0
	for _, v := range p.Pages {
		if v.Class != profile.Desktop && v.Class != profile.Mobile {
			continue
		}
		people++
		if v.Class == profile.Desktop {
			desktop++
		}
		ranks := make([]int, len(v.Visits))
		for i, visit := range v.Visits {
			ranks[i] = visit.Rank
		}
		s.ranks = append(s.ranks, ranks)
	}
	s.desktop = float64(desktop) / float64(max(people, 1))
}

// walk is one user's way through the sessions: from the n-th on, without an end.
type walk struct {
	of             *sessions
	gapper, reader int
	gap, rank      int
	mean           time.Duration
}

func (s *sessions) walk(n int, mean time.Duration) *walk {
	return &walk{of: s, gapper: n * 7 % len(s.gaps), reader: n * 11 % len(s.ranks), mean: mean}
}

// next gives the next page. A visitor whose log is over is followed by the next visitor's.
func (w *walk) next() step {
	gaps, ranks := w.of.gaps[w.gapper], w.of.ranks[w.reader]
	st := step{gap: time.Duration(gaps[w.gap] * float64(w.mean)), rank: ranks[w.rank]}
	if w.gap++; w.gap == len(gaps) {
		w.gap, w.gapper = 0, (w.gapper+1)%len(w.of.gaps)
	}
	if w.rank++; w.rank == len(ranks) {
		w.rank, w.reader = 0, (w.reader+1)%len(w.of.ranks)
	}
	return st
}
