package guard

import (
	"net/netip"

	"github.com/deichproject/deich"
)

// judge is the engine as guard calls it. The second implementation are the
// tests' scripts and, under the build tag deichpanic, an engine that breaks.
type judge interface {
	Slots() int
	Decide(*deich.Request) deich.Verdict
	Enter(deich.Time, *deich.Request, deich.Verdict, *deich.Out) (deich.Ticket, deich.State, deich.Reason)
	Turn(*deich.Request, deich.Verdict, deich.Reason) deich.Verdict
	Spared(*deich.Request, *deich.Verdict)
	Aside(r *deich.Request, vain bool)
	Cancel(deich.Time, deich.Ticket, *deich.Out) bool
	Detach(deich.Time, deich.Ticket, *deich.Out) bool
	Done(deich.Time, deich.Ticket, deich.Outcome, *deich.Out)
	Tick(deich.Time, *deich.Out)
	Adopt(deich.Time, deich.Rules, *deich.Out)
	MayProve(deich.Time, netip.Addr) bool
	Mint(deich.Time, netip.Addr, deich.Earned) bool
	Pulse(uint16) deich.Pulse
}
