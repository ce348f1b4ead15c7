package drill

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// loopbackIndex is the index of lo: the first interface of every namespace.
const loopbackIndex = 1

// alone says whether nothing but lo is here.
func alone() error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("drill: interfaces: %w", err)
	}
	for _, i := range all {
		if i.Index != loopbackIndex && i.Flags&net.FlagUp != 0 {
			return fmt.Errorf("drill: the interface %s is up: this is no namespace of its own", i.Name)
		}
	}
	return nil
}

// routes speaks rtnetlink (rtnetlink(7)), as far as one kind of route needs it.
type routes struct {
	fd  int
	seq uint32
}

func openRoutes() (*routes, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("drill: rtnetlink: %w", err)
	}
	return &routes{fd: fd}, nil
}

func (r *routes) close() { unix.Close(r.fd) }

// local makes every address of the prefix one of this namespace.
func (r *routes) local(prefix netip.Prefix, link uint32) error {
	r.seq++
	if err := unix.Sendto(r.fd, localRoute(prefix, link, r.seq), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("drill: local route to %s: %w", prefix, err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(r.fd, answer, 0)
	if err == nil {
		err = acknowledged(answer[:n])
	}
	if err != nil {
		return fmt.Errorf("drill: local route to %s: %w", prefix, err)
	}
	return nil
}

// localRoute is the message for `ip route add local PREFIX dev LINK`.
func localRoute(prefix netip.Prefix, link, seq uint32) []byte {
	family := byte(unix.AF_INET)
	if prefix.Addr().Is6() {
		family = unix.AF_INET6
	}
	e := binary.NativeEndian
	m := make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg)
	e.PutUint16(m[4:], unix.RTM_NEWROUTE)
	e.PutUint16(m[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	e.PutUint32(m[8:], seq)
	rt := m[unix.SizeofNlMsghdr:]
	rt[0], rt[1] = family, byte(prefix.Bits())
	rt[4], rt[5], rt[6], rt[7] = unix.RT_TABLE_LOCAL, unix.RTPROT_STATIC, unix.RT_SCOPE_HOST, unix.RTN_LOCAL
	m = attribute(m, unix.RTA_DST, prefix.Masked().Addr().AsSlice())
	m = attribute(m, unix.RTA_OIF, e.AppendUint32(nil, link))
	e.PutUint32(m, uint32(len(m)))
	return m
}

func attribute(m []byte, kind uint16, value []byte) []byte {
	e := binary.NativeEndian
	m = e.AppendUint16(m, uint16(unix.SizeofRtAttr+len(value)))
	m = e.AppendUint16(m, kind)
	m = append(m, value...)
	for len(m)%unix.NLMSG_ALIGNTO != 0 {
		m = append(m, 0)
	}
	return m
}

// acknowledged reads the kernel's answer: nil for an acknowledgement.
func acknowledged(m []byte) error {
	e := binary.NativeEndian
	if len(m) < unix.SizeofNlMsghdr+4 || e.Uint16(m[4:]) != unix.NLMSG_ERROR {
		return errors.New("no acknowledgement")
	}
	if code := int32(e.Uint32(m[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
