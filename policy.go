package deich

import (
	"errors"
	"fmt"
)

// Policy is the engine's part of the configuration. The zero value is sane
// after Defaults; nothing must be set.
type Policy struct {
	// Origins is how many platforms stand behind; each has its own limit. Set by the caller.
	Origins int `json:"-"`
	// Observe judges, counts and explains, and lets everything pass.
	Observe bool `json:"observe,omitempty"`
	// NoChallenge uses the waiting room where a proof of work would be asked.
	NoChallenge bool `json:"no_challenge,omitempty"`
	// NoRules synthesises no rules, and takes back those in force: admission by
	// rank is all there is.
	NoRules bool `json:"no_rules,omitempty"`
	// Sources is how many sources the tables tell apart, a power of two (default 1048576,
	// which costs about 17 MiB); beyond it the least telling are forgotten.
	Sources int `json:"sources,omitempty"`
	// Streams is how many long-lived requests (WebSocket, server-sent events, large
	// transfers) an origin is given at once (default 4096).
	Streams int `json:"streams,omitempty"`
	// LimitMax caps the concurrent requests to one origin that the engine may find
	// useful (default 512).
	LimitMax int `json:"limit_max,omitempty"`
}

// Defaults fills what is not set.
func (p Policy) Defaults() Policy {
	if p.Origins == 0 {
		p.Origins = 1
	}
	if p.Sources == 0 {
		p.Sources = 1 << 20
	}
	if p.Streams == 0 {
		p.Streams = 4096
	}
	if p.LimitMax == 0 {
		p.LimitMax = 512
	}
	return p
}

// PolicyError says which field is wrong, by its path in the JSON form, and what to write instead.
type PolicyError struct {
	Path string
	Text string
}

func (e *PolicyError) Error() string { return e.Path + ": " + e.Text }

// Validate gives every error at once, joined; each is a *PolicyError.
func (p Policy) Validate() error {
	var errs []error
	bad := func(path, format string, args ...any) {
		errs = append(errs, &PolicyError{path, fmt.Sprintf(format, args...)})
	}
	if p.Origins < 1 || p.Origins > OriginsMax {
		bad("origins", "%d origins: between 1 and %d", p.Origins, OriginsMax)
	}
	if p.Sources < SourcesMin || p.Sources > SourcesMax || p.Sources&(p.Sources-1) != 0 {
		bad("sources", "%d: a power of two between %d and %d", p.Sources, SourcesMin, SourcesMax)
	}
	if p.Streams < 1 || p.Streams > StreamsMax {
		bad("streams", "%d: between 1 and %d", p.Streams, StreamsMax)
	}
	if p.LimitMax < 2 || p.LimitMax > PlacesMax {
		bad("limit_max", "%d: between 2 and %d", p.LimitMax, PlacesMax)
	}
	return errors.Join(errs...)
}
