package gate

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// choose tries the ways that the mode names, best first, and says why it took
// the one it gives. auto takes xdp-generic last: there every packet of the
// interface takes a longer way, those of other services too, and a dropped one
// costs no less than with nft.
func choose(o Options, try func(way string, at []string) error) (way, why string, at []string, err error) {
	if len(o.Ports) > portsMax {
		return "", "", nil, fmt.Errorf("%d ports: at most %d", len(o.Ports), portsMax)
	}
	if at, err = interfacesFor(o); err != nil {
		return "", "", nil, err
	}
	var before tried
	for _, way := range map[string][]string{
		Auto: {Native, Table, Generic},
		XDP:  {Native, Generic},
		NFT:  {Table},
	}[o.Config.Mode] {
		err := try(way, at)
		if err == nil {
			why := "it can be had here"
			if len(before) > 0 {
				why = "not " + before.String()
			}
			return way, why, at, nil
		}
		before.add(way, err)
	}
	return "", "", at, errors.New(before.String())
}

func build(o Options, allowed []netip.Prefix) (w wall, why string, err error) {
	_, why, _, err = choose(o, func(way string, at []string) (err error) {
		if way == Table {
			w, err = openTable(o, allowed, at)
		} else {
			w, err = openXDP(o, allowed, at, way == Native)
		}
		return err
	})
	return w, why, err
}

// openXDP attaches at every interface: natively, or where that cannot be,
// behind the driver.
func openXDP(o Options, allowed []netip.Prefix, at []string, native bool) (wall, error) {
	mtu, err := leastMTU(at)
	if err != nil {
		return nil, err
	}
	p, err := openPins(o, false)
	if err != nil {
		return nil, err
	}
	x, err := load(o, allowed, mtu, p)
	if err != nil {
		return nil, errors.Join(err, p.leave())
	}
	x.native = native
	err = x.beat() // first: without one a pinned gate lets everything pass
	for _, name := range at {
		if err != nil {
			break
		}
		err = x.attach(name, true)
		if err != nil && !native {
			err = x.attach(name, false)
		}
	}
	if err != nil {
		// What an earlier Deich left stays as it is; it goes stale by itself.
		return nil, errors.Join(err, x.leave())
	}
	if p != nil {
		if err := p.hold(&x.objects.kernelMaps, x.links); err != nil {
			return nil, errors.Join(err, x.close())
		}
	}
	return x, nil
}

func leastMTU(at []string) (int, error) {
	least := 1 << 16
	for _, name := range at {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		least = min(least, i.MTU)
	}
	return least, nil
}

// interfacesFor gives those that packets to Deich's ports arrive at.
func interfacesFor(o Options) ([]string, error) {
	if named := o.Config.Interfaces; len(named) > 0 {
		return named, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var found []string
	anywhere := false
	for _, p := range o.Ports {
		if a := p.At.Addr().Unmap(); a.IsUnspecified() {
			anywhere = true
		} else if name := holder(all, a); name != "" {
			found = append(found, name)
		}
	}
	if anywhere {
		found = append(found, defaultRoutes()...)
	}
	slices.Sort(found)
	found = slices.Compact(found)
	switch {
	case len(found) == 0:
		return nil, errors.New("no interface has a default route: name them in gate.interfaces")
	case len(found) > interfacesMax:
		return nil, fmt.Errorf("%d interfaces: at most %d", len(found), interfacesMax)
	}
	return found, nil
}

func holder(all []net.Interface, a netip.Addr) string {
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, each := range addrs {
			// 127.0.0.2 is of lo, though only 127.0.0.1/8 stands there.
			if n, ok := each.(*net.IPNet); ok && (n.IP.Equal(a.AsSlice()) || a.IsLoopback() && n.Contains(a.AsSlice())) {
				return i.Name
			}
		}
	}
	return ""
}

// defaultRoutes gives the interfaces that strangers' packets can come by.
func defaultRoutes() (names []string) {
	read := func(file string, name func(fields []string) string) {
		f, err := os.Open(file)
		if err != nil {
			return // no IPv6, perhaps
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if n := name(strings.Fields(lines.Text())); n != "" && n != "lo" {
				names = append(names, n)
			}
		}
	}
	read("/proc/thread-self/net/route", func(f []string) string {
		if len(f) > 7 && f[1] == "00000000" && f[7] == "00000000" {
			return f[0]
		}
		return ""
	})
	read("/proc/thread-self/net/ipv6_route", func(f []string) string {
		if len(f) < 10 || f[1] != "00" {
			return ""
		}
		if to, err := hex.DecodeString(f[0]); err != nil || slices.Max(to) != 0 {
			return ""
		}
		return f[9]
	})
	return names
}

// resolvers are who answers the host's own questions: their packets come from
// port 53, and are no reflection.
func resolvers() (list []netip.Prefix) {
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan() && len(list) < allowMax; {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if p, err := ReadPrefix(fields[1]); err == nil {
			list = append(list, p)
		}
	}
	return list
}
