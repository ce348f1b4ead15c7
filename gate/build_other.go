//go:build !linux

package gate

import (
	"errors"
	"net/netip"
)

var errElsewhere = errors.New("only Linux has what the gate is made of")

func build(Options, []netip.Prefix) (wall, string, error) { return nil, "", errElsewhere }

func foresee(Options, []netip.Prefix) (Outlook, error) { return Outlook{}, errElsewhere }

// Confine gives up every capability but those that a gate needs.
func Confine() error { return nil }

func resolvers() []netip.Prefix { return nil }

// Found gives, in words, what stands here of any Deich's gate, and what could not be looked at.
func Found() (found, unseen []string, err error) { return nil, nil, nil }

// Takeaway removes that, and gives what it removed.
func Takeaway() (gone, unseen []string, err error) { return nil, nil, nil }
