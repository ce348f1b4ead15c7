package scenarios

import "time"

// Every bound of a rehearsal, by name. A scenario beyond one is refused before
// anything starts.
const (
	// FileBytesMax bounds a scenario's file.
	FileBytesMax = 64 << 10
	// PhaseMax bounds each phase.
	PhaseMax = 10 * time.Minute
	// GroupsMax and AttacksMax bound what one scenario joins.
	GroupsMax  = 12
	AttacksMax = 8
	// UsersMax bounds the users of a scenario, all groups together.
	UsersMax = 2000
	// SourcesMax bounds the addresses of an attack.
	SourcesMax = 20000
	// RateMax bounds the attack requests a second, all attacks together.
	RateMax = 10000
	// ConnectionsMax bounds the attackers' open connections, all attacks together; when all
	// are open, further requests are not sent and counted as not sent.
	ConnectionsMax = 8000
	// SearchesMax bounds what the origin is set to do a second.
	SearchesMax = 5000
)
