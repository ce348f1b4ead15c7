package gate

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"github.com/deichproject/deich"
)

// The modes of Config.Mode.
const (
	Off  = "off"
	Auto = "auto"
	XDP  = "xdp"
	NFT  = "nft"
)

// Config is the gate's part of the configuration. It cannot change while
// running, but for Allow.
type Config struct {
	// Mode is off, auto, xdp or nft (off).
	Mode string `json:"mode"`
	// Interfaces are those it stands at; none: those that hold the addresses
	// Deich listens on, or a default route.
	Interfaces []string `json:"interfaces"`
	// Allow are addresses and prefixes whose packets are never dropped. Trusted
	// proxies, the system's resolvers and what is allowed by hand are besides.
	Allow []string `json:"allow"`
	// Reflection are UDP source ports whose packets are dropped, whatever they
	// are sent to, with stray fragments of UDP; none: UDP to other ports is not
	// looked at.
	Reflection []int `json:"reflection"`
	// Lock has only the allow list come in to Deich's ports.
	Lock bool `json:"lock"`
	// DryRun has it count what it would drop, and drop nothing.
	DryRun bool `json:"dry_run"`
	// Pinned has what was judged stay so while Deich is started anew: the program
	// outlives its process for ten seconds, and the next Deich takes it over.
	Pinned bool `json:"pinned"`
}

// Defaults fills what is not set.
func (c Config) Defaults() Config {
	if c.Mode == "" {
		c.Mode = Off
	}
	return c
}

// Validate gives every error at once, joined; each is a *deich.PolicyError.
func (c Config) Validate() error {
	var errs []error
	add := func(path, format string, args ...any) {
		errs = append(errs, &deich.PolicyError{Path: path, Text: fmt.Sprintf(format, args...)})
	}
	if !slices.Contains([]string{Off, Auto, XDP, NFT}, c.Mode) {
		add("mode", "%q: write %s, %s, %s or %s", c.Mode, Off, Auto, XDP, NFT)
	}
	if c.Pinned && c.Mode == NFT {
		add("pinned", "only XDP can be pinned: write mode %s or %s", Auto, XDP)
	}
	if len(c.Interfaces) > interfacesMax {
		add("interfaces", "%d: at most %d", len(c.Interfaces), interfacesMax)
	}
	for i, name := range c.Interfaces {
		if !plainName(name) {
			add(fmt.Sprintf("interfaces[%d]", i), "%q: write an interface's name, as in eth0", name)
		}
	}
	if len(c.Allow) > allowMax {
		add("allow", "%d: at most %d", len(c.Allow), allowMax)
	}
	for i, text := range c.Allow {
		if _, err := ReadPrefix(text); err != nil {
			add(fmt.Sprintf("allow[%d]", i), "%q: write an address or a prefix like 10.0.0.0/8", text)
		}
	}
	if len(c.Reflection) > reflectionMax {
		add("reflection", "%d: at most %d", len(c.Reflection), reflectionMax)
	}
	for i, port := range c.Reflection {
		if port < 1 || port > 1<<16-1 {
			add(fmt.Sprintf("reflection[%d]", i), "%d: between 1 and 65535", port)
		}
	}
	return errors.Join(errs...)
}

// Same says whether d may take c's place while a gate stands.
func (c Config) Same(d Config) bool {
	c.Allow, d.Allow = nil, nil
	return reflect.DeepEqual(c, d)
}

// plainName takes what the kernel may call an interface and nft does not misread.
func plainName(name string) bool {
	if name == "" || len(name) > 15 {
		return false
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' || c == '@') {
			return false
		}
	}
	return true
}

// ReadPrefix reads an address or a prefix, and gives what it covers.
func ReadPrefix(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return plain(p)
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return plain(netip.PrefixFrom(a, a.BitLen()))
}

// plain gives a prefix as the gate keeps it: masked, without a zone, and IPv4
// as such.
func plain(p netip.Prefix) (netip.Prefix, error) {
	a, bits := p.Addr(), p.Bits()
	if a.Is4In6() {
		a, bits = a.Unmap(), bits-96
	}
	return a.WithZone("").Prefix(bits)
}
