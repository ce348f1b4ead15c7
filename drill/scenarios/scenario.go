// Package scenarios holds the rehearsals as data: who visits a platform, who
// floods it, for how long. The same scenario drives real sockets (package
// drill) and may drive a simulation. Nothing in a scenario names a target.
package scenarios

import (
	"fmt"
	"time"
)

// Scenario is one rehearsal. All times are relative to the beginning of the
// flood phase: peace lies before zero.
type Scenario struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Base    string   `json:"base,omitempty"` // a scenario whose fields hold where this one sets none
	Seed    uint64   `json:"seed,omitempty"` // of every draw (default 1)
	Phases  Phases   `json:"phases"`
	Origin  Origin   `json:"origin"`
	Shield  Shield   `json:"shield"`
	Pin     Pin      `json:"pin"`
	Groups  []Group  `json:"groups"`
	Attacks []Attack `json:"attacks,omitempty"`
	// Goodput is a target for what all users are given in the flood phase, as a
	// share of what the origin can do; for crowds that ask for more than that.
	Goodput float64 `json:"goodput,omitempty"`
}

// Phases are how long peace, flood and the time after it last.
type Phases struct {
	Peace Duration `json:"peace,omitempty"`
	Flood Duration `json:"flood,omitempty"`
	After Duration `json:"after,omitempty"`
}

// Origin says what the platform behind can do, and what befalls it during the flood phase.
type Origin struct {
	Searches int      `json:"searches,omitempty"` // about how many searches a second it can do
	Stall    float64  `json:"stall,omitempty"`    // the share of the flood phase in which it stands still, in short stops
	Fresh    Duration `json:"fresh,omitempty"`    // how long what everyone reads may be kept by caches, whole seconds
	Down     bool     `json:"down,omitempty"`     // killed when the flood phase begins, started again at its end
}

// Shield says how the shield is used.
type Shield struct {
	// Start is when it is started, if not before everything else. Until then nobody listens.
	Start Duration `json:"start,omitempty"`
	// TLS has users come over TLS, with a certificate made for the rehearsal.
	TLS bool `json:"tls,omitempty"`
}

// Pin names the processor cores that a process may use; none: all.
type Pin struct {
	Origin []int `json:"origin,omitempty"`
	Shield []int `json:"shield,omitempty"`
}

// Kind is what a user's client can do.
type Kind string

const (
	// Browser keeps cookies and runs scripts: it solves a proof at a phone's speed.
	Browser Kind = "browser"
	// Plain is a browser without JavaScript: it keeps cookies and follows Refresh.
	Plain Kind = "plain"
	// Program polls the JSON API, keeps no cookie and honours Retry-After.
	Program Kind = "program"
)

// Group is a number of alike users.
type Group struct {
	Name      string   `json:"name"`
	Kind      Kind     `json:"kind"`
	Count     int      `json:"count"`
	From      Duration `json:"from,omitempty"`      // when the first comes
	Over      Duration `json:"over,omitempty"`      // the others come evenly over this time
	Stay      Duration `json:"stay,omitempty"`      // how long each stays (default: to the end)
	Gap       Duration `json:"gap,omitempty"`       // mean time between two pages of one user (default 1.5s)
	Addresses int      `json:"addresses,omitempty"` // they share so many addresses (default: each its own)
	Token     bool     `json:"token,omitempty"`     // programs only: they log in first and send a bearer token
	Anew      bool     `json:"anew,omitempty"`      // each page comes by a new connection, as after a longer absence
	In        Duration `json:"in,omitempty"`        // newcomers are to be in within this time of their first request (default 3s)
	Target    float64  `json:"target,omitempty"`    // share of its requests that must succeed in the flood phase
}

// Request is what an attacker asks for.
type Request string

// The requests of attackers.
const (
	Page   Request = "page"   // the front page
	Search Request = "search" // a search for random words
	Post   Request = "post"   // a message, not logged in
	Login  Request = "login"  // a login with random names and passwords
	API    Request = "api"    // a search through the JSON API
)

// Manner is how an attacker uses connections.
type Manner string

const (
	// Each request has a connection of its own.
	Each Manner = "each"
	// Keep reuses connections.
	Keep Manner = "keep"
	// Leave opens a connection for each and closes it at once, without a request.
	Leave Manner = "leave"
	// Hello begins TLS in a connection for each and closes it at once.
	Hello Manner = "hello"
	// Shake begins TLS in a connection for each and closes it once the server has answered.
	Shake Manner = "shake"
	// SlowHeaders opens connections and never ends the headers.
	SlowHeaders Manner = "slow-headers"
	// SlowBody announces a body and sends it a byte at a time.
	SlowBody Manner = "slow-body"
)

// Attack is one kind of attackers.
type Attack struct {
	Name        string   `json:"name"`
	Request     Request  `json:"request,omitempty"`
	Manner      Manner   `json:"manner,omitempty"`
	Sources     int      `json:"sources"`               // how many addresses
	Rate        float64  `json:"rate,omitempty"`        // requests a second, all sources together
	Connections int      `json:"connections,omitempty"` // open at once (keep, slow-headers, slow-body)
	From        Duration `json:"from,omitempty"`        // when it begins (default: with the flood phase)
	Pulse       Pulse    `json:"pulse"`                 // in bursts, each with another face
	Networks    int      `json:"networks,omitempty"`    // IPv6: so many /48, another /64 for each request
	Behind      string   `json:"behind,omitempty"`      // shares the addresses of this group
	Tool        bool     `json:"tool,omitempty"`        // the agent of a tool instead of a browser's
	Cookies     bool     `json:"cookies,omitempty"`     // keeps cookies
	Solve       bool     `json:"solve,omitempty"`       // solves proofs with native code
	Bearer      bool     `json:"bearer,omitempty"`      // sends a random bearer token
	Early       Early    `json:"early"`                 // comes before the flood and behaves
}

// Pulse is a rhythm; zero is without a break.
type Pulse struct {
	On  Duration `json:"on,omitempty"`
	Off Duration `json:"off,omitempty"`
}

// Early lets every source behave before the attack: Visits front pages each, from From on until zero.
type Early struct {
	From   Duration `json:"from,omitempty"`
	Visits int      `json:"visits,omitempty"`
}

// Users is the number of users of all groups.
func (s *Scenario) Users() int {
	n := 0
	for i := range s.Groups {
		n += s.Groups[i].Count
	}
	return n
}

// Whole is the time from the first visit to the end.
func (s *Scenario) Whole() time.Duration {
	return s.Phases.Peace.D() + s.Phases.Flood.D() + s.Phases.After.D()
}

// Duration is a time.Duration written as in "1m30s".
type Duration time.Duration

// D gives it as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// MarshalText writes "1m30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "1m30s".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 1m30s", b)
	}
	*d = Duration(v)
	return nil
}
