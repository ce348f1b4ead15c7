package gate

import "fmt"

// Reason is why a packet passed or was dropped.
type Reason uint8

// The order is that of the program in bpf/gate.c.
const (
	// PassOther: not for Deich's ports.
	PassOther Reason = iota
	// PassOdd: cut short or of an unusual build; not for the gate to judge.
	PassOdd
	// PassAllowed: on the allow list.
	PassAllowed
	// Pass: for Deich's ports, and nothing stands against it.
	Pass
	// PassCookie: a SYN, answered with a cookie in place of the stack.
	PassCookie
	// PassStale: Deich has not said for a while that it is alive; a pinned gate
	// then lets everything pass, unread.
	PassStale
	// DropSource: from a judged source.
	DropSource
	// DropPrefix: from a judged prefix.
	DropPrefix
	// DropReflection: UDP from a source port that is not wanted.
	DropReflection
	// DropFragment: a piece of a UDP packet that is not its first.
	DropFragment
	// DropLocked: not on the allow list, and only that may come in.
	DropLocked

	reasons
)

var reasonNames = [reasons]string{
	"other", "odd", "allowed", "pass", "cookie", "stale", "source", "prefix", "reflection", "fragment", "locked",
}

func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Drops says that packets are dropped for this reason.
func (r Reason) Drops() bool { return r >= DropSource }

// MarshalText gives the name.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads one.
func (r *Reason) UnmarshalText(b []byte) error {
	for i := range reasons {
		if i.String() == string(b) {
			*r = i
			return nil
		}
	}
	return fmt.Errorf("gate: %q is no reason", b)
}

// Reasons gives all of them, in their order.
func Reasons() (all []Reason) {
	for r := range reasons {
		all = append(all, r)
	}
	return all
}
