package guard

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/deichproject/deich"
	"github.com/gaissmai/bart"
)

// Config is guard's part of the configuration. The zero value is sane after
// Defaults; nothing must be set.
type Config struct {
	// BodyBuffer is how many bytes of one request's body are held before the
	// origin sees it (default 1 MiB); a longer body streams.
	BodyBuffer int64 `json:"body_buffer,omitempty"`
	// Bodies is how many bytes of bodies are held in all (default 64 MiB).
	Bodies int64 `json:"bodies,omitempty"`
	// BodyMax is the longest body let in; 0 sets no bound.
	BodyMax int64 `json:"body_max,omitempty"`
	// PassDays is how many days a pass holds without a visit (default 30).
	PassDays int `json:"pass_days,omitempty"`
	// API lists paths, as prefixes, that programs use: never challenged.
	API []string `json:"api,omitempty"`
	// Streams lists paths, as prefixes, whose answers are long-lived.
	Streams []string `json:"streams,omitempty"`
	// Partners are verified crawlers, monitors and callers with a key.
	Partners []Partner `json:"partners,omitempty"`
}

// Partner names a client by all that is set of it; at least one of Prefixes and
// KeySHA256 must be.
type Partner struct {
	Name string `json:"name"`
	// Prefixes are where it comes from, as its operator publishes them.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
	// Agent is a part of its User-Agent.
	Agent string `json:"agent,omitempty"`
	// KeySHA256 is the SHA-256, in hex, of the Authorization or X-Api-Key
	// header it sends.
	KeySHA256 string `json:"key_sha256,omitempty"`
}

// Defaults fills what is not set.
func (c Config) Defaults() Config {
	if c.BodyBuffer == 0 {
		c.BodyBuffer = bodyBufferDefault
	}
	if c.Bodies == 0 {
		c.Bodies = bodiesDefault
	}
	if c.PassDays == 0 {
		c.PassDays = int(passLifeDefault / (24 * time.Hour))
	}
	return c
}

// Validate gives every error at once, joined; each is a *deich.PolicyError.
func (c Config) Validate() error {
	var errs []error
	bad := func(path, format string, args ...any) {
		errs = append(errs, &deich.PolicyError{Path: path, Text: fmt.Sprintf(format, args...)})
	}
	if c.BodyBuffer < bodyChunkBytes || c.BodyBuffer > 1<<30 {
		bad("body_buffer", "%d bytes: between %d and %d", c.BodyBuffer, bodyChunkBytes, 1<<30)
	}
	if c.Bodies < c.BodyBuffer {
		bad("bodies", "%d bytes: at least body_buffer, %d", c.Bodies, c.BodyBuffer)
	}
	if c.BodyMax < 0 {
		bad("body_max", "%d bytes: 0 for no bound, or more", c.BodyMax)
	}
	if most := int(passLifeDefault / (24 * time.Hour)); c.PassDays < 1 || c.PassDays > most {
		bad("pass_days", "%d: between 1 and %d, for which keys are kept", c.PassDays, most)
	}
	for _, list := range []struct {
		path  string
		paths []string
	}{{"api", c.API}, {"streams", c.Streams}} {
		if len(list.paths) > pathsMax {
			bad(list.path, "%d paths: at most %d", len(list.paths), pathsMax)
		}
		for i, p := range list.paths {
			if !strings.HasPrefix(p, "/") {
				bad(fmt.Sprintf("%s[%d]", list.path, i), "%q: a path begins with /", p)
			}
		}
	}
	if len(c.Partners) > partnersMax {
		bad("partners", "%d: at most %d", len(c.Partners), partnersMax)
	}
	for i, p := range c.Partners {
		p.validate(func(field, format string, args ...any) {
			bad(fmt.Sprintf("partners[%d].%s", i, field), format, args...)
		})
	}
	return errors.Join(errs...)
}

func (p Partner) validate(bad func(field, format string, args ...any)) {
	if p.Name == "" {
		bad("name", "empty: give it the name you want to read in logs")
	}
	if len(p.Prefixes) == 0 && p.KeySHA256 == "" {
		bad("prefixes", "neither prefixes nor key_sha256: an agent's name alone proves nothing")
	}
	for i, prefix := range p.Prefixes {
		if !prefix.IsValid() {
			bad(fmt.Sprintf("prefixes[%d]", i), "not a prefix: write it like 192.0.2.0/24")
		}
	}
	if sum, err := hex.DecodeString(p.KeySHA256); p.KeySHA256 != "" && (err != nil || len(sum) != sha256.Size) {
		bad("key_sha256", "not a SHA-256 in hex: 64 digits, as `printf %%s 'Bearer …' | sha256sum` prints")
	}
}

// settings is a Config made ready for the hot path; it is replaced, never changed.
type settings struct {
	Config
	passLife time.Duration
	partners []partner
	keyed    bool // some partner has a key
}

type partner struct {
	name     string
	prefixes *bart.Lite // nil: anywhere
	agent    string
	key      *[sha256.Size]byte // nil: none needed
}

func newSettings(c Config) (*settings, error) {
	c = c.Defaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &settings{Config: c, passLife: time.Duration(c.PassDays) * 24 * time.Hour}
	for _, p := range c.Partners {
		ready := partner{name: p.Name, agent: p.Agent}
		if len(p.Prefixes) > 0 {
			ready.prefixes = new(bart.Lite)
			for _, prefix := range p.Prefixes {
				ready.prefixes.Insert(prefix.Masked())
			}
		}
		if p.KeySHA256 != "" {
			sum, _ := hex.DecodeString(p.KeySHA256) // validated
			ready.key = (*[sha256.Size]byte)(sum)
			s.keyed = true
		}
		s.partners = append(s.partners, ready)
	}
	return s, nil
}

// partner says whether the configuration names this client.
func (s *settings) partner(client netip.Addr, agent, credential string) bool {
	return len(s.partners) > 0 && s.partnerOf(client, agent, credential) != nil
}

// partnerOf gives the first partner that this client is; nil: none.
func (s *settings) partnerOf(client netip.Addr, agent, credential string) *partner {
	var key [sha256.Size]byte
	if s.keyed && credential != "" {
		key = sha256.Sum256([]byte(credential[:min(len(credential), credentialMax)]))
	}
	for i := range s.partners {
		p := &s.partners[i]
		if (p.prefixes == nil || p.prefixes.Contains(client)) &&
			(p.agent == "" || strings.Contains(agent, p.agent)) &&
			(p.key == nil || credential != "" && *p.key == key) {
			return p
		}
	}
	return nil
}

// anyPrefix says whether a path begins with one of the prefixes, and stays below it.
func anyPrefix(prefixes []string, path string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(path, p) {
			return !deich.Climbs(path)
		}
	}
	return false
}
