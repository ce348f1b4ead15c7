//go:build !linux

package gate

import (
	"errors"
	"net/netip"
)

func build(Options, []netip.Prefix) (wall, string, error) {
	return nil, "", errors.New("only Linux has what the gate is made of")
}

// Confine gives up every capability but those that a gate needs.
func Confine() error { return nil }

func resolvers() []netip.Prefix { return nil }

// Found gives, in words, what stands here of any Deich's gate.
func Found() ([]string, error) { return nil, nil }

// Takeaway removes that, and gives what it removed.
func Takeaway() ([]string, error) { return nil, nil }
