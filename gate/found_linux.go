package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attached is an XDP program that stands at an interface.
type attached struct {
	id     ebpf.ProgramID
	native bool // the driver runs it
}

// programsAt gives the XDP programs that stand at an interface.
func programsAt(index int) ([]attached, error) {
	rib, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("interfaces: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, fmt.Errorf("interfaces: %w", err)
	}
	for i := range messages {
		m := &messages[i]
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg ||
			int(binary.NativeEndian.Uint32(m.Data[4:])) != index {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			return nil, fmt.Errorf("interfaces: %w", err)
		}
		for _, a := range attrs {
			if a.Attr.Type&^unix.NLA_F_NESTED == unix.IFLA_XDP {
				return programsIn(a.Value), nil
			}
		}
	}
	return nil, nil
}

// programsIn reads the nested attribute that tells of XDP.
func programsIn(b []byte) (all []attached) {
	for len(b) >= 4 {
		size := int(binary.NativeEndian.Uint16(b))
		kind := binary.NativeEndian.Uint16(b[2:])
		if size < 4 || size > len(b) {
			return all
		}
		switch kind {
		case unix.IFLA_XDP_DRV_PROG_ID, unix.IFLA_XDP_SKB_PROG_ID, unix.IFLA_XDP_HW_PROG_ID:
			if size >= 8 {
				all = append(all, attached{ebpf.ProgramID(binary.NativeEndian.Uint32(b[4:])), kind != unix.IFLA_XDP_SKB_PROG_ID})
			}
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return all
}

// nameOf gives a program's name; "" where only root may know it, or where it is gone.
func nameOf(id ebpf.ProgramID) string {
	name, _ := askName(id)
	return name
}

func askName(id ebpf.ProgramID) (string, error) {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return "", err
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return "", err
	}
	return info.Name, nil
}

func programText(id ebpf.ProgramID) string {
	switch name := nameOf(id); name {
	case "":
		return fmt.Sprintf("the XDP program %d (bpftool prog show id %d names it)", id, id)
	case programName:
		return fmt.Sprintf("the gate of another Deich (XDP program %d; deich gate off takes it away where that has died)", id)
	default:
		return fmt.Sprintf("the XDP program %q (%d)", name, id)
	}
}

// Found gives, in words, what stands in this network namespace of any Deich's
// gate, be its process alive or not; and what this process has no right to look
// at, each with what it would need.
func Found() (found, unseen []string, err error) { return sweep(false) }

// Takeaway removes that, and gives what it removed, and what it could not look
// at. It does not ask the process: it works where that hangs or has died. What
// others put up stays. It needs root.
func Takeaway() (gone, unseen []string, err error) { return sweep(true) }

func sweep(away bool) (found, unseen []string, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, nil, err
	}
	for _, at := range all {
		there, e := programsAt(at.Index)
		err = errors.Join(err, e)
		for _, p := range there {
			id := p.id
			name, e := askName(id)
			if errors.Is(e, fs.ErrPermission) {
				unseen = append(unseen, fmt.Sprintf("whose XDP program %d at %s is (root)", id, at.Name))
			}
			if name != programName {
				continue
			}
			if away {
				if e := detach(id, at.Index); e != nil {
					err = errors.Join(err, fmt.Errorf("%s: %w", at.Name, e))
					continue
				}
			}
			found = append(found, fmt.Sprintf("%s: XDP program %s (%d)", at.Name, programName, id))
		}
	}
	pinned, hidden, e := sweepPins(away)
	found, unseen, err = append(found, pinned...), append(unseen, hidden...), errors.Join(err, e)
	table, e := sweepTable(away)
	switch {
	case errors.Is(e, errNetAdmin):
		unseen = append(unseen, "the tables of nftables (CAP_NET_ADMIN)")
	case !errors.Is(e, errNoNFT): // without it no Deich has put up a table either
		err = errors.Join(err, e)
	}
	return append(found, table...), unseen, err
}

// detach takes a program off an interface, through the link that holds it.
func detach(id ebpf.ProgramID, index int) error {
	all := new(link.Iterator)
	defer all.Close()
	for all.Next() {
		info, err := all.Link.Info()
		if err != nil || info.Program != id || info.XDP() == nil || int(info.XDP().Ifindex) != index {
			continue
		}
		return all.Link.Detach()
	}
	return errors.Join(fmt.Errorf("no link holds program %d", id), all.Err())
}
