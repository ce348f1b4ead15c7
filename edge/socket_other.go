//go:build !linux

package edge

import "syscall"

// filesLimit cannot be asked here in one way for all systems.
func filesLimit() int { return filesDefault }

// unsent is not known here: whatever the kernel took counts as taken.
func (*accepted) unsent() int { return 0 }

// hungUp cannot be asked without reading.
func (*accepted) hungUp() bool { return false }

// wakeAt is not asked for here: what comes wakes the runtime's poller each time.
func (*accepted) wakeAt(int) {}

// probe cannot ask here; a connection that was closed is found out by use.
type probe struct{}

func newProbe(syscall.RawConn) *probe { return new(probe) }

func (*probe) quiet() bool { return true }
