package main

import (
	"strings"
	"testing"

	"github.com/deichproject/deich/gate"
)

// What is asked for and cannot be had is told with what to do about it; what nobody asked
// for is no weakness.
func TestDoctorTellsOfTheGate(t *testing.T) {
	none := gate.Outlook{Backend: gate.None, Why: "xdp-native: no rights", Lacks: []string{"CAP_BPF", "CAP_NET_ADMIN"}}
	table := gate.Outlook{Backend: gate.Table, Why: "not xdp-native: a stranger", Interfaces: []string{"eth0"},
		There: []gate.Standing{{Text: `the XDP program "stranger" (7)`, At: "eth0"}}}
	left := gate.Outlook{Backend: gate.None, Why: "it stands already", There: []gate.Standing{{Text: "the gate of another Deich (XDP program 8)", At: "eth0", Ours: true}}}
	pinned := gate.Outlook{Backend: gate.Native, Why: "it can be had here", Interfaces: []string{"eth0"}, Pinned: "/sys/fs/bpf/deich_gate",
		There: []gate.Standing{{Text: "what an earlier Deich left pinned (XDP program 9)", At: "eth0", Ours: true, Left: true}}}
	for _, c := range []struct {
		name, mode string
		running    bool
		outlook    gate.Outlook
		states     string
		says       string
	}{
		{"off, none to be had", "", false, none, stateGood, "lacks CAP_BPF and CAP_NET_ADMIN: xdp-native: no rights"},
		{"auto, none to be had", gate.Auto, false, none, stateWeak, "gate.conf"},
		{"xdp, none to be had", gate.XDP, false, none, stateBad, "does not start"},
		{"off, beside a stranger", gate.Off, false, table, stateGood + " " + stateGood, `"stranger" (7) at eth0`},
		{"auto, beside a stranger", gate.Auto, false, table, stateGood + " " + stateWeak, "ip link set dev eth0 xdp off"},
		{"left behind", gate.Auto, false, left, stateWeak + " " + stateWeak, "deich gate off takes it away"},
		{"pinned", gate.XDP, false, pinned, stateGood + " " + stateGood, "at eth0, pinned in /sys/fs/bpf/deich_gate, for this user"},
		{"to be taken over", gate.XDP, false, pinned, stateGood + " " + stateGood, "(XDP program 9) at eth0: the next start takes it over."},
		{"running without", gate.Auto, true, none, stateWeak + " " + stateWeak, "the running Deich has none"},
	} {
		all := foreseenGate(c.mode, c.running, c.outlook)
		var states, text []string
		for _, f := range all {
			states, text = append(states, f.State), append(text, f.Found, f.Next)
		}
		if got := strings.Join(states, " "); got != c.states || !strings.Contains(strings.Join(text, "\n"), c.says) {
			t.Errorf("%s: %s, want %s and %q: %+v", c.name, got, c.states, c.says, all)
		}
	}
	// What a running one was asked for by a flag stands in no file.
	for why, want := range map[string]bool{"nft: no rights": true, gate.NotAsked: false} {
		p := &patient{running: true, gate: &gate.Status{Backend: gate.None, Why: why}}
		told := false
		for _, f := range lookGate(t.Context(), p) {
			told = told || strings.Contains(f.Found, "the running Deich has none")
		}
		if told != want {
			t.Errorf("%s: told %v", why, told)
		}
	}
	s := gate.Status{Backend: gate.Native, Why: "it can be had here", Interfaces: []string{"eth0 (native)"}}
	s.Counts[gate.DropSource].Packets = 12
	if f := standingGate(s); f.State != stateGood || !strings.Contains(f.Found, "packets dropped: source 12") {
		t.Errorf("%+v", f)
	}
	if s.Pinned = "/sys/fs/bpf/deich_gate"; !strings.Contains(standingGate(s).Found, "eth0 (native), pinned in /sys/fs/bpf/deich_gate stands") {
		t.Errorf("%+v", standingGate(s))
	}
	if s.Trouble = "the disk is on fire"; standingGate(s).State != stateWeak {
		t.Errorf("%+v", standingGate(s))
	}
}
