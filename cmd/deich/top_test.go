package main

import (
	"testing"

	"github.com/deichproject/deich/desk"
)

func TestTopTellsOfSpoolAndGate(t *testing.T) {
	for want, s := range map[string]desk.Spool{
		"Spool: nothing waits.": {Keeping: true},
		"Spool: 3 messages waiting, the oldest for 1m5s, 1.5 MiB. Delivery is paused.": {Keeping: true, Paused: true, Waiting: 3, OldestSeconds: 65, Bytes: 3 << 19},
		"Spool: 1 message waiting, the oldest for 2s, 0.0 MiB. Nothing new is kept.":   {Keeping: true, Draining: true, Waiting: 1, OldestSeconds: 2.9},
		"Spool: nothing waits. The disk takes nothing new.":                            {Paused: true},
	} {
		if got := topSpool(&s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	packets := []desk.GatePackets{{Reason: "pass", Packets: 90}, {Reason: "source", Packets: 12, Dropped: true}, {Reason: "locked", Dropped: true}}
	for want, g := range map[string]desk.Gate{
		"Gate: none.": {Backend: "none"},
		"Gate: xdp, 1 source judged. Packets dropped: source 12.": {Backend: "xdp", Sources: 1, Packets: packets},
		"Gate: nft, 0 sources judged.":                            {Backend: "nft", Packets: packets[:1]},
	} {
		if got := topGate(&g); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
