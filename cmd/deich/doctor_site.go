package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	// certificateWeak is how long a certificate should be valid still.
	certificateWeak = 14 * 24 * time.Hour
	// proxiesWide is the shortest prefix of public addresses that is believed to be one's own proxies.
	proxiesWide4 = 16
	proxiesWide6 = 32
)

// listened is an address of the configuration that users come in by.
type listened struct{ host, port string }

func (p *patient) listens() (all []listened) {
	if p.from == "" {
		return nil
	}
	for _, text := range p.settings.Listen {
		if _, rest, ok := strings.Cut(text, "://"); ok {
			text = strings.TrimSuffix(rest, "/")
		}
		if host, port, err := net.SplitHostPort(text); err == nil {
			all = append(all, listened{host, port})
		}
	}
	return all
}

func lookPorts(ctx context.Context, p *patient) (all []finding) {
	for _, a := range p.listens() {
		address := net.JoinHostPort(a.host, a.port)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		barred := errors.Is(err, syscall.EACCES) // said before it is said that it is taken
		taken := errors.Is(err, syscall.EADDRINUSE) || barred && answers(ctx, a.host, a.port) == nil
		switch {
		case err == nil:
			l.Close()
			all = append(all, good("%s is free.", address))
		case taken && p.running:
			all = append(all, good("%s is taken, and a Deich runs.", address))
		case taken && p.unseen != "":
			all = append(all, weak(asDeich, "%s is taken; whether by Deich cannot be told: %s.", address, p.unseen))
		case taken:
			all = append(all, bad("ss -ltnp tells by whom. Another program: end it, or listen elsewhere. Deich: name its folder, --data DIR.",
				"%s is taken, and no Deich runs with its data in %s.", address, p.settings.Data))
		case barred && (p.running || p.unseen != ""):
			all = append(all, weak(asDeich, "%s: this user may not listen there; whether Deich may cannot be told.", address))
		case barred:
			all = append(all, bad("the packages' unit, setcap cap_net_bind_service=+ep on the binary, or a higher port.", "%s: this user may not listen there.", address))
		default:
			all = append(all, bad("listen elsewhere.", "%s: %v.", address, err))
		}
	}
	return all
}

func lookTLS(ctx context.Context, p *patient) (all []finding) {
	if p.from == "" {
		return nil
	}
	for _, site := range p.settings.Sites {
		name := "the site without a name"
		if len(site.Names) > 0 {
			name = site.Names[0]
		}
		switch {
		case site.Certificate != "":
			all = append(all, certificateOf(site.Certificate, site.Key, site.Names, time.Now()))
		case site.ACME:
			all = append(all, leadsHere(ctx, site.Names)...)
		case site.Internal:
			all = append(all, good("%s: issued by Deich's own authority.", name))
		case len(p.settings.TrustedProxies) == 0:
			all = append(all, weak("acme: true, certificate and key, or a proxy in front that ends TLS.", "%s has no certificate: what users send can be read on the way.", name))
		default:
			all = append(all, good("%s: without, behind trusted proxies.", name))
		}
	}
	return all
}

// certificateOf judges a certificate's files.
func certificateOf(cert, key string, names []string, now time.Time) finding {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return bad("name files that fit each other.", "%s: %v.", cert, err)
	}
	leaf := pair.Leaf
	for _, name := range names {
		if err := leaf.VerifyHostname(strings.Replace(name, "*", "any", 1)); err != nil {
			return bad("have it issued for all names of the site.", "%s is not for %s.", cert, name)
		}
	}
	left := leaf.NotAfter.Sub(now)
	switch {
	case left < 0 || now.Before(leaf.NotBefore):
		return bad("renew it.", "%s is valid from %s to %s.", cert, leaf.NotBefore.Format(time.DateOnly), leaf.NotAfter.Format(time.DateOnly))
	case left < certificateWeak:
		return weak("renew it, or let Deich do so: acme: true.", "%s ends in %d days.", cert, int(left/(24*time.Hour)))
	}
	return good("%s is valid for %d days.", cert, int(left/(24*time.Hour)))
}

// leadsHere says whether names that an authority will look for can be found.
func leadsHere(ctx context.Context, names []string) (all []finding) {
	for _, name := range names {
		ctx, cancel := context.WithTimeout(ctx, doctorWait)
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		cancel()
		switch {
		case err != nil:
			all = append(all, bad("point its A and AAAA records here.", "%s cannot be found, so no authority will certify it: %v.", name, err))
		default:
			all = append(all, good("%s leads to %s.", name, list(addrs)))
		}
	}
	return all
}

func list(addrs []netip.Addr) string {
	var texts []string
	for _, a := range addrs {
		texts = append(texts, a.Unmap().String())
	}
	return strings.Join(texts, ", ")
}

func lookProxies(_ context.Context, p *patient) (all []finding) {
	if p.from == "" {
		return nil
	}
	inside := len(p.listens()) > 0
	for _, a := range p.listens() {
		addr, err := netip.ParseAddr(a.host)
		inside = inside && (a.host == "localhost" || err == nil && (addr.IsLoopback() || addr.IsPrivate()))
	}
	if len(p.settings.TrustedProxies) == 0 {
		if inside {
			return []finding{weak("trusted_proxies: name the proxy that hands requests on.", "Deich listens on inner addresses and believes no proxy: all users would share one address.")}
		}
		return []finding{good("none: clients come by themselves.")}
	}
	for _, text := range p.settings.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			continue // a single address
		}
		addr, wide := prefix.Addr(), proxiesWide6
		if addr.Is4() {
			wide = proxiesWide4
		}
		switch {
		case prefix.Bits() == 0:
			all = append(all, bad("name your own proxies alone.", "%s is everybody: whoever writes a header chooses the address that is judged.", text))
		case prefix.Bits() < wide && !addr.IsPrivate() && !addr.IsLoopback():
			all = append(all, weak("name your own proxies alone.", "%s is a wide range of public addresses.", text))
		}
	}
	if len(all) == 0 {
		all = append(all, good("%s.", strings.Join(p.settings.TrustedProxies, ", ")))
	}
	return all
}

// originAt gives where a platform is, as an address of the configuration says it.
func originAt(text string) (host, port string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return "", "", fmt.Errorf("%q is no origin like http://127.0.0.1:3000", text)
	}
	port = u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return u.Hostname(), port, nil
}

// answers says whether something listens at an address.
func answers(ctx context.Context, host, port string) error {
	ctx, cancel := context.WithTimeout(ctx, doctorWait)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err == nil {
		nc.Close()
	}
	return err
}

func lookOrigins(ctx context.Context, p *patient) (all []finding) {
	for _, site := range p.settings.Sites {
		for _, text := range site.Origins {
			host, port, err := originAt(text)
			if err == nil {
				err = answers(ctx, host, port)
			}
			if err != nil {
				all = append(all, bad("start it, or correct origins.", "%s cannot be reached from here: %v.", text, err))
				continue
			}
			all = append(all, good("%s can be reached from here.", text))
		}
	}
	return all
}

// lookExposure asks whether a platform can be reached around Deich, as far as that can
// be seen from this machine: then a flood needs to know only its address.
func lookExposure(ctx context.Context, p *patient) (all []finding) {
	for _, site := range p.settings.Sites {
		for _, text := range site.Origins {
			all = append(all, exposed(ctx, text, site.Names)...)
		}
	}
	return all
}

func exposed(ctx context.Context, text string, names []string) []finding {
	host, port, err := originAt(text)
	if err != nil {
		return []finding{bad("correct origins.", "%v.", err)}
	}
	looked, cancel := context.WithTimeout(ctx, doctorWait)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(looked, "ip", host)
	if err != nil {
		return []finding{weak("correct origins.", "%s cannot be found: %v.", text, err)}
	}
	mine := ownAddresses()
	for _, a := range addrs {
		a = a.Unmap()
		if same := nameAt(looked, names, a, mine); same != "" {
			return []finding{bad("point "+same+" at Deich alone, all its A and AAAA records.", "%s leads to the origin %s itself: users and floods pass Deich by.", same, a)}
		}
		switch {
		case a.IsLoopback() || mine[a]:
			if f, open := openHere(ctx, text, port, mine); open {
				return []finding{f}
			}
		case a.IsPrivate() || a.IsLinkLocalUnicast():
		default:
			return []finding{bad("let its firewall admit Deich alone, then run deich doctor --origin "+text+" where users are.", "%s is a public address: if it answers anyone but Deich, floods pass Deich by.", a)}
		}
	}
	return []finding{good("%s is within; deich doctor --origin URL, run where users are, says it for sure.", text)}
}

// nameAt gives the name of the site that leads to an origin's address which is not
// this machine's.
func nameAt(ctx context.Context, names []string, origin netip.Addr, mine map[netip.Addr]bool) string {
	if origin.IsLoopback() || mine[origin] {
		return ""
	}
	for _, name := range names {
		if strings.Contains(name, "*") {
			continue
		}
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		if err != nil {
			continue // said where certificates are looked at
		}
		for _, a := range addrs {
			if a.Unmap() == origin {
				return name
			}
		}
	}
	return ""
}

// openHere says whether an origin on this machine listens on its outer addresses, too.
func openHere(ctx context.Context, text, port string, mine map[netip.Addr]bool) (finding, bool) {
	for a := range mine {
		if a.IsLoopback() || a.IsLinkLocalUnicast() || answers(ctx, a.String(), port) != nil {
			continue
		}
		next := "have the platform listen on 127.0.0.1 alone, or close port " + port + " in the firewall."
		if a.IsPrivate() {
			return weak(next, "%s answers at %s, too: whoever is in that network passes Deich by.", text, net.JoinHostPort(a.String(), port)), true
		}
		return bad(next, "%s answers at %s, too: floods pass Deich by.", text, net.JoinHostPort(a.String(), port)), true
	}
	return finding{}, false
}

// ownAddresses are this machine's.
func ownAddresses() map[netip.Addr]bool {
	mine := make(map[netip.Addr]bool)
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return mine
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				mine[addr.Unmap()] = true
			}
		}
	}
	return mine
}

// lookFrom says whether an origin can be reached from where this runs.
func lookFrom(ctx context.Context, text string) finding {
	host, port, err := originAt(text)
	if err != nil {
		return bad("name it as the configuration does.", "%v.", err)
	}
	switch err := answers(ctx, host, port); {
	case err == nil:
		return bad("let its firewall admit Deich alone, and have it listen on inner addresses.", "%s answers here: whoever knows it passes Deich by.", text)
	case errors.Is(err, fs.ErrPermission):
		return weak("look from another machine.", "%s: this machine lets nobody try: %v.", text, err)
	default:
		return good("%s does not answer here: %v.", text, err)
	}
}
