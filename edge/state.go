package edge

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/deichproject/deich"
)

// state is what a Config says of names, origins and trust, made ready for the
// hot path. It is replaced by a Swap, never changed.
type state struct {
	config       Config
	names        map[string]*site // exact names
	wild         map[string]*site // "example.org" for "*.example.org"
	other        *site            // answers to every other name; nil: nobody does
	groups       []*group
	certs        map[string]*credential // by name, as names and wild together
	cert         *credential            // for names that none is for
	files        []*tls.Certificate     // those that were read from files
	issued       map[string]bool        // names with issued certificates; true: by ACME
	keeper       *keeper                // has the issued ones
	trusted      trusted
	clientHeader string
}

// site is one platform under its names.
type site struct {
	group      *group
	originHost string
	secured    bool   // has certificates
	cache      string // when it is answered from memory
	trustVary  bool
	kept       string // begins the key of what is kept for it
}

// newState makes a state, with those groups of an old one that stay. origins is
// how many groups the engine has places for.
func newState(c Config, old *state, origins int) (*state, error) {
	st := &state{
		config: c, clientHeader: c.ClientHeader,
		names: make(map[string]*site), wild: make(map[string]*site), certs: make(map[string]*credential),
		issued: c.managedNames(),
	}
	var err error
	if st.trusted, err = newTrusted(c.TrustedProxies); err != nil {
		return nil, fmt.Errorf("edge: trusted proxies: %w", err)
	}
	if err := st.makeGroups(old, origins); err != nil {
		return nil, err
	}
	for _, each := range c.Sites {
		cert, err := each.certificate()
		if err != nil {
			return nil, fmt.Errorf("edge: certificate: %w", err)
		}
		if cert != nil {
			st.files = append(st.files, cert)
		}
		if st.cert == nil || len(each.Names) == 0 && cert != nil {
			st.cert = each.credential(cert)
		}
		s := &site{group: st.groupOf(each.groupKey()), originHost: each.OriginHost, secured: each.secured(), cache: each.Cache, trustVary: each.CacheTrustVary, kept: keptAnew()}
		if len(each.Names) == 0 {
			st.other = s
		}
		for _, name := range each.Names {
			st.name(siteName(name), s, each.credentialFor(siteName(name), cert))
		}
	}
	if old != nil {
		st.keepOn(old)
	}
	return st, nil
}

func (st *state) name(name string, s *site, cert *credential) {
	if cert != nil {
		st.certs[name] = cert
	}
	if parent, ok := strings.CutPrefix(name, "*."); ok {
		st.wild[parent] = s
		return
	}
	st.names[name] = s
}

// makeGroups keeps the groups that the old state had, under their numbers, and
// gives new ones the numbers that are free. One whose file of authorities holds
// others by now is made anew, under its number.
func (st *state) makeGroups(old *state, origins int) error {
	timeouts := st.config.Timeouts
	taken := make(map[uint16]bool)
	if old != nil {
		for _, g := range old.groups {
			at := slices.IndexFunc(st.config.Sites, func(s Site) bool { return s.groupKey() == g.key })
			if at < 0 {
				continue
			}
			now, err := newGroup(st.config.Sites[at], g.index, &timeouts, st.config.Limits)
			if err != nil {
				return err
			}
			if !now.authorities.Equal(g.authorities) {
				g = now
			}
			st.groups = append(st.groups, g)
			taken[g.index] = true
		}
	}
	next := uint16(0)
	for _, s := range st.config.Sites {
		if st.groupOf(s.groupKey()) != nil {
			continue
		}
		for taken[next] {
			next++
		}
		if int(next) >= origins {
			return noRoom(origins)
		}
		g, err := newGroup(s, next, &timeouts, st.config.Limits)
		if err != nil {
			return err
		}
		taken[next] = true
		st.groups = append(st.groups, g)
	}
	return nil
}

// noRoom says that there are more groups than the engine was made for.
func noRoom(origins int) error {
	return &deich.PolicyError{
		Path: "sites", Text: fmt.Sprintf("more than %d different origins: restart, so that the engine has room for them", origins),
	}
}

// inForce tells the groups what holds from now on, and retires those of the
// old state that are gone.
func (st *state) inForce(old *state) {
	timeouts := st.config.Timeouts
	for _, g := range st.groups {
		g.timeouts.Store(&timeouts)
	}
	if old == nil {
		return
	}
	for _, g := range old.groups {
		if st.groupOf(g.key) != g {
			g.retire()
		}
	}
}

func (st *state) groupOf(key string) *group {
	for _, g := range st.groups {
		if g.key == key {
			return g
		}
	}
	return nil
}

// site gives the one that answers to a Host header; nil where none does.
func (st *state) site(host string) *site {
	if len(st.names) == 0 && len(st.wild) == 0 {
		return st.other
	}
	if s := st.names[host]; s != nil {
		return s
	}
	name := hostName(host)
	if s := st.names[name]; s != nil {
		return s
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		if s := st.wild[parent]; s != nil {
			return s
		}
	}
	return st.other
}

// hostName is a Host header without port, brackets, case and final dot.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}
