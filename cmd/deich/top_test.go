package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/alert"
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

// What the console shows of a flood stands in the terminal, too, and moves no cursor.
func TestTopTellsWhatGoesOn(t *testing.T) {
	v := desk.Live{
		At: time.Now(), Sentence: "Flood.", Incident: &desk.LiveIncident{ID: "2026-03-07-1", Life: "identified", Sentence: "Began at 15:00:02 CET."},
		Alerts: []alert.Alert{{Name: "users_not_served", Severity: "page", Text: "Users are not served."}}, Rules: []desk.Rule{{ID: 4, Text: "900 requests/s\x1b[2J"}},
		Networks: []desk.Network{{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Operator: "AS 64510", Fates: desk.Fates{Acts: [6]uint64{10, 0, 0, 0, 500}}}}, NetworksAll: 7, NetworksSeconds: 10,
		Acts: []desk.Act{{Act: "allow"}, {Act: "keep"}, {Act: "wait"}, {Act: "challenge"}, {Act: "deny"}, {Act: "drop"}},
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	told, err := showSecond(&terminal{out: &out}, string(data), 1, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Incident 2026-03-07-1, identified: Began at 15:00:02 CET.\n", "Needs a person (page): Users are not served.\n", "Rule 4: 900 requests/s [2J\n",
		"Most comes from 203.0.113.0/24 AS 64510 (50/s refused); 7 networks in all.\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	if _, err := showSecond(&terminal{out: &out}, string(data), 2, told); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%v, and where nothing changed:\n%s", err, out.String())
	}
}
