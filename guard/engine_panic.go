//go:build deichpanic

package guard

import (
	"net/netip"
	"os"
	"strings"

	"github.com/deichproject/deich"
)

// carry gives, in a build for tests alone (-tags deichpanic), an engine that
// panics in the methods named in DEICH_PANIC, separated by commas: decide,
// enter, turn, cancel, detach, done, tick, mint, aside.
func carry(e *deich.Engine) judge {
	b := broken{e, map[string]bool{}}
	for name := range strings.SplitSeq(os.Getenv("DEICH_PANIC"), ",") {
		b.in[name] = true
	}
	return b
}

type broken struct {
	judge
	in map[string]bool
}

func (b broken) fail(method string) {
	if b.in[method] {
		panic("forced by a test build: " + method)
	}
}

func (b broken) Decide(r *deich.Request) deich.Verdict {
	b.fail("decide")
	return b.judge.Decide(r)
}

func (b broken) Enter(at deich.Time, r *deich.Request, v deich.Verdict, out *deich.Out) (deich.Ticket, deich.State, deich.Reason) {
	b.fail("enter")
	return b.judge.Enter(at, r, v, out)
}

func (b broken) Turn(r *deich.Request, v deich.Verdict, why deich.Reason) deich.Verdict {
	b.fail("turn")
	return b.judge.Turn(r, v, why)
}

func (b broken) Cancel(at deich.Time, t deich.Ticket, out *deich.Out) bool {
	b.fail("cancel")
	return b.judge.Cancel(at, t, out)
}

func (b broken) Detach(at deich.Time, t deich.Ticket, out *deich.Out) bool {
	b.fail("detach")
	return b.judge.Detach(at, t, out)
}

func (b broken) Done(at deich.Time, t deich.Ticket, o deich.Outcome, out *deich.Out) {
	b.fail("done")
	b.judge.Done(at, t, o, out)
}

func (b broken) Tick(at deich.Time, out *deich.Out) {
	b.fail("tick")
	b.judge.Tick(at, out)
}

func (b broken) Mint(at deich.Time, client netip.Addr, how deich.Earned) bool {
	b.fail("mint")
	return b.judge.Mint(at, client, how)
}

func (b broken) Aside(r *deich.Request, vain bool) {
	b.fail("aside")
	b.judge.Aside(r, vain)
}
