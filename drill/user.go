package drill

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/drill/scenarios"
)

// user is one real user: a person with a browser, or a program.
type user struct {
	number   int // among all
	group    int
	spec     *scenarios.Group
	clock    clock
	tally    *tally
	client   *fetcher
	asks     *asks
	walk     *walk
	rng      *rand.Rand
	solvers  chan struct{} // a place for each proof computed at once
	slow     *atomic.Int64 // counts proofs that took longer than on a phone
	shielded bool
	comes    time.Duration
	leaves   time.Duration
	cached   bool // the site's assets are in its cache
	known    bool // it was given the origin's own content before the flood began
	served   bool // and at any time
	calls    int
}

// live visits the site from the time the user comes to when it leaves.
func (u *user) live(ctx context.Context) {
	defer u.client.close()
	if !u.clock.until(ctx, u.comes) {
		return
	}
	ctx, cancel := context.WithDeadline(ctx, u.clock.zero.Add(u.leaves))
	defer cancel()
	if u.spec.Token {
		u.fetchToken(ctx)
	}
	for ctx.Err() == nil {
		s := u.walk.next()
		if u.spec.Kind == scenarios.Program {
			u.calls++
			u.want(ctx, call, u.asks.call(u.number+u.calls))
		} else {
			u.open(ctx, s.rank)
		}
		if u.spec.Anew {
			u.client.close()
		}
		if !rest(ctx, s.gap) {
			return
		}
	}
}

// open opens a page and loads what belongs to it.
func (u *user) open(ctx context.Context, rank int) {
	if !u.want(ctx, page, u.asks.page(rank)) {
		return
	}
	if !u.cached {
		u.cached = true
		for _, path := range u.asks.assets {
			u.once(ctx, asset, path, u.clock.now())
		}
	}
	if path := u.asks.picture(rank); path != "" {
		u.once(ctx, asset, path, u.clock.now())
	}
}

// want asks for something until it is there, as a person does or a program
// that honours Retry-After. It gives up after Patience; then it is lost.
func (u *user) want(ctx context.Context, n need, path string) bool {
	wanted := u.clock.now()
	for {
		s, after := u.attempt(ctx, n, path, wanted)
		done := s.end == served || s.end == late
		if ctx.Err() != nil && !done {
			return false // the rehearsal ended first: it counts as nothing
		}
		waited := u.clock.now() - wanted
		s.lost = !done && waited+after >= Patience
		u.tally.add(s)
		if done {
			return true
		}
		if s.lost || !rest(ctx, after) {
			return false
		}
	}
}

// once asks for something that nobody asks for a second time.
func (u *user) once(ctx context.Context, n need, path string, wanted time.Duration) {
	if s, _ := u.attempt(ctx, n, path, wanted); ctx.Err() == nil || s.end == served {
		u.tally.add(s)
	}
}

// attempt is one request with all that the client does by itself: redirects,
// a proof, a waiting room's refresh. after is when it would be tried again.
func (u *user) attempt(ctx context.Context, n need, path string, wanted time.Duration) (s sample, after time.Duration) {
	began := u.clock.now()
	s = sample{began: began, user: uint16(u.number), group: uint8(u.group), need: n}
	var a answer
	var err error
	for solves := 0; ; {
		asked := u.clock.now()
		a, err = u.get(ctx, n, path)
		if well := err == nil && a.content() && u.clock.now()-asked <= Deadline; well || ctx.Err() == nil {
			u.tally.meet(asked, u, well)
			u.known, u.served = u.known || well && asked < 0, u.served || well
		}
		if err != nil || a.content() {
			break
		}
		left := Patience - (u.clock.now() - wanted)
		if n == page && u.spec.Kind == scenarios.Browser && a.puzzle.token != "" && solves < SolvesMax {
			solves++
			s.proved = true
			if u.prove(ctx, a.puzzle, path) {
				continue
			}
			break
		}
		if n == page && a.refresh > 0 && a.refresh <= left {
			s.waited = true
			if rest(ctx, a.refresh) {
				continue
			}
		}
		break
	}
	s.took = u.clock.now() - began
	u.judge(&s, a, err)
	return s, u.pause(a)
}

// get sends the request and follows redirects.
func (u *user) get(ctx context.Context, n need, path string) (answer, error) {
	accept := acceptPage
	switch n {
	case asset:
		accept = acceptAsset
	case call:
		accept = acceptJSON
	}
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	for range RedirectsMax {
		a, err := u.client.do(ctx, "GET", path, accept, "")
		if err != nil || a.status < 301 || a.status > 308 || !strings.HasPrefix(a.location, "/") {
			return a, err
		}
		path = a.location
	}
	return answer{status: 508}, nil
}

// prove solves the puzzle, as slowly as a phone does, and hands the proof in.
func (u *user) prove(ctx context.Context, p puzzle, path string) bool {
	began := u.clock.now()
	select {
	case u.solvers <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	answers, hashes := deich.SolveProof(deich.ProofSeed(p.token), p.bits)
	<-u.solvers
	spent := u.clock.now() - began
	phone := min(time.Duration(float64(hashes)/phoneHashes*float64(time.Second)), phoneMax)
	if spent > phone {
		u.slow.Add(1)
	}
	if !rest(ctx, phone-spent) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	a, err := u.client.do(ctx, "POST", "/.well-known/deich/challenge", acceptPage, proofFields(p, answers, path))
	return err == nil && (a.status == 303 || a.status == 204)
}

// judge says how the request ended.
func (u *user) judge(s *sample, a answer, err error) {
	s.status, s.reason = uint16(a.status), a.reason
	switch {
	case err != nil:
		s.end, s.reason = failed, died(err)
		s.denied = u.shielded && dropped(s.reason)
	case a.content() && s.took <= Deadline:
		s.end = served
	case a.content():
		s.end = late
	case a.reason != "" || a.status == 429 || a.status == 403:
		s.end = refused
		s.denied = deniedBy(a)
	default:
		s.end = broken
	}
}

// deniedBy says whether a refusal was a denial, not a wait: nothing in it lets
// the client in later by itself.
func deniedBy(a answer) bool {
	if a.act != "" {
		return a.act == deich.Deny.String() || a.act == deich.Drop.String()
	}
	if a.puzzle.token != "" || a.refresh > 0 {
		return false
	}
	switch a.reason {
	case deich.OriginDown.String(), deich.OriginSlow.String():
		return false // the origin's own failure, told by the shield
	}
	return a.status == 403 || a.status == 429 || a.retry == 0
}

// pause is how long the client waits before it tries again.
func (u *user) pause(a answer) time.Duration {
	if u.spec.Kind == scenarios.Program {
		return max(a.retry, time.Second)
	}
	person := time.Duration(1500+u.rng.IntN(2000)) * time.Millisecond
	return max(min(a.retry, 10*time.Second), person)
}

// fetchToken logs the program in, once; without a token it goes on without.
func (u *user) fetchToken(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	login, err := json.Marshal(map[string]string{"Name": member(u.number), "Password": squarePassword})
	if err != nil {
		return
	}
	a, err := u.client.do(ctx, "POST", "/api/tokens", acceptJSON, string(login))
	if err != nil || !a.content() {
		return
	}
	var got struct{ Token string }
	if json.Unmarshal(a.body, &got) == nil {
		u.client.bearer = got.Token
	}
}
