package gate

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

func foresee(o Options, allowed []netip.Prefix) (v Outlook, err error) {
	v.Lacks = lacks()
	var f foreseen
	v.Backend, v.Why, v.Interfaces, err = choose(o, func(way string, at []string) (err error) {
		if way == Table {
			return foreseeTable(o, allowed, at)
		}
		f, err = foreseeXDP(o, allowed, at, way == Native)
		return err
	})
	if err == nil && v.Backend == Native {
		v.Why += cmp.Or(f.unsure, ", as far as its driver tells")
	}
	if err != nil || v.Backend == Table {
		f = foreseen{} // of a way that is not taken
	}
	v.Pinned = f.pinned
	return v, errors.Join(err, v.look(f.left))
}

// foreseen is what foreseeXDP found out.
type foreseen struct {
	unsure string   // what only attaching would tell
	pinned string   // where it would be pinned; "": nowhere
	left   []string // interfaces where an earlier Deich's stands, to be taken over
}

// foreseeXDP does all that openXDP does but attach and pin.
func foreseeXDP(o Options, allowed []netip.Prefix, at []string, native bool) (f foreseen, err error) {
	mtu, err := leastMTU(at)
	if err != nil {
		return f, err
	}
	p, err := openPins(o, true)
	if err != nil {
		return f, err
	}
	x, err := load(o, allowed, mtu, p)
	if err != nil {
		return f, errors.Join(err, p.leave())
	}
	defer func() { err = errors.Join(err, x.leave()) }()
	f.pinned = x.pinned()
	for _, name := range at {
		s, err := place(name, p)
		if err != nil {
			return f, err
		}
		if s.left != nil {
			f.left = append(f.left, name)
			if native && !s.native {
				return f, cannot(name, "native")
			}
		}
		if !native || s.left != nil {
			continue
		}
		switch takes, err := driverTakes(s.index); {
		case err != nil:
			f.unsure = ", if the driver of " + name + " takes programs, which this kernel does not tell"
		case !takes:
			return f, cannot(name, "native")
		}
	}
	return f, nil
}

// foreseeTable has nft check the rules as if they were to be put in force.
func foreseeTable(o Options, allowed []netip.Prefix, at []string) error {
	t, err := newTable(o, at)
	if err != nil {
		return err
	}
	_, err = nft(t.rules(allowed), "--check", "-f", "-")
	return err
}

// look fills There; left are the interfaces where what stands is to be taken over.
func (v *Outlook) look(left []string) (err error) {
	for _, name := range v.Interfaces {
		at, e := net.InterfaceByName(name)
		if e != nil {
			continue // Why says so
		}
		there, e := programsAt(at.Index)
		err = errors.Join(err, e)
		for _, p := range there {
			s := Standing{Text: programText(p.id), At: name, Ours: nameOf(p.id) == programName}
			if slices.Contains(left, name) {
				s.Text, s.Ours, s.Left = fmt.Sprintf("what an earlier Deich left pinned (XDP program %d)", p.id), true, true
			}
			v.There = append(v.There, s)
		}
	}
	if stands, e := tableStands(); e == nil && stands { // who may not ask nft has no table either
		v.There = append(v.There, Standing{Text: "the table " + tableName + " of nftables", Ours: true})
	}
	return err
}

// lacks gives the capabilities of a gate that this process does not have.
func lacks() (all []string) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return nil // every Linux tells a process its own
	}
	for _, c := range []struct {
		number int
		name   string
	}{{unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}} {
		if sets[c.number/32].Permitted&(1<<(c.number%32)) == 0 {
			all = append(all, c.name)
		}
	}
	return all
}

// The kernel's family "netdev" of generic netlink, from Linux 6.3 on
// (include/uapi/linux/netdev.h).
const (
	netdevGet      = 1
	netdevIndex    = 1
	netdevFeatures = 3
	featureBasic   = 1 // the driver runs programs, and does what they say
)

var errUntold = errors.New("gate: the kernel does not tell what drivers can")

// driverTakes asks the kernel whether an interface's driver runs programs.
func driverTakes(index int) (bool, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return false, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(netlinkWait.Seconds())})
	family, err := asked(fd, unix.GENL_ID_CTRL, unix.CTRL_CMD_GETFAMILY, unix.CTRL_ATTR_FAMILY_NAME, []byte("netdev\x00"))
	if err != nil {
		return false, err
	}
	id := family[unix.CTRL_ATTR_FAMILY_ID]
	if len(id) < 2 {
		return false, errUntold
	}
	device, err := asked(fd, binary.NativeEndian.Uint16(id), netdevGet, netdevIndex, binary.NativeEndian.AppendUint32(nil, uint32(index)))
	if err != nil {
		return false, err
	}
	features := device[netdevFeatures]
	if len(features) < 8 {
		return false, errUntold
	}
	return binary.NativeEndian.Uint64(features)&featureBasic != 0, nil
}

// asked sends one question of generic netlink, with one attribute, and gives
// the attributes of the answer.
func asked(fd int, family uint16, command uint8, attribute uint16, value []byte) (map[uint16][]byte, error) {
	native := binary.NativeEndian
	size := unix.SizeofNlMsghdr + unix.GENL_HDRLEN + unix.SizeofNlAttr + len(value)
	b := native.AppendUint32(nil, uint32((size+3)&^3))
	b = native.AppendUint16(b, family)
	b = native.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // number and sender
	b = append(b, command, 1, 0, 0)
	b = native.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = native.AppendUint16(b, attribute)
	b = append(b, value...)
	b = append(b, make([]byte, (size+3)&^3-size)...)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	in := make([]byte, netlinkBytesMax)
	n, _, err := unix.Recvfrom(fd, in, 0)
	if err != nil {
		return nil, os.NewSyscallError("recvfrom", err)
	}
	in = in[:n]
	if len(in) < unix.SizeofNlMsghdr+unix.GENL_HDRLEN || native.Uint16(in[4:]) == unix.NLMSG_ERROR {
		return nil, errUntold
	}
	in = in[:min(len(in), int(native.Uint32(in)))]
	return attributes(in[min(len(in), unix.SizeofNlMsghdr+unix.GENL_HDRLEN):]), nil
}

// attributes cuts them apart; of several of a kind the last one is given.
func attributes(b []byte) map[uint16][]byte {
	all := make(map[uint16][]byte)
	for len(b) >= unix.SizeofNlAttr {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if size < unix.SizeofNlAttr || size > len(b) {
			break
		}
		all[kind&^unix.NLA_F_NESTED] = slices.Clone(b[unix.SizeofNlAttr:size])
		b = b[min(len(b), (size+3)&^3):]
	}
	return all
}
