package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// kernelLeast is the oldest kernel that Deich is tried on.
	kernelLeastMajor, kernelLeastMinor = 5, 15
	// filesLeast is how many files let tens of thousands of clients in.
	filesLeast = 1 << 16
	// backlogLeast is how many clients should be able to wait for an accept.
	backlogLeast = 4096
	// diskLeast and diskWeak are the room that keys, lists and what is learned need.
	diskLeast = 64 << 20
	diskWeak  = 1 << 30
)

func lookKernel(context.Context, *patient) []finding {
	release := readWord("/proc/sys/kernel/osrelease")
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n < 2 {
		return []finding{weak("tell where this runs: uname -a.", "the kernel does not say its version: %q.", release)}
	}
	if major < kernelLeastMajor || major == kernelLeastMajor && minor < kernelLeastMinor {
		return []finding{weak(fmt.Sprintf("take a kernel from %d.%d on.", kernelLeastMajor, kernelLeastMinor), "Linux %s is older than what Deich is tried on.", release)}
	}
	return []finding{good("Linux %s.", release)}
}

// Capabilities that matter here, by number (capability.h).
var capabilityNames = map[int]string{10: "NET_BIND_SERVICE", 12: "NET_ADMIN", 39: "BPF"}

func lookCapabilities(_ context.Context, p *patient) []finding {
	user, mask, err := rights(p.process())
	switch {
	case err != nil:
		return []finding{weak("look at its process: grep -e Uid -e Cap /proc/PID/status.", "what the running Deich may do cannot be read: %v.", err)}
	case user == 0 && p.running:
		return []finding{weak("run it as the packages' unit does: a user of its own with CAP_NET_BIND_SERVICE.", "Deich runs as root, which it never needs.")}
	case user == 0:
		return []finding{good("root asks, which says nothing of Deich's user: the packages' unit gives it one of its own, with what it needs.")}
	}
	var have []string
	for _, n := range []int{10, 12, 39} {
		if mask&(1<<n) != 0 {
			have = append(have, capabilityNames[n])
		}
	}
	low, _ := strconv.Atoi(readWord("/proc/sys/net/ipv4/ip_unprivileged_port_start"))
	for _, a := range p.listens() {
		port, _ := strconv.Atoi(a.port)
		switch lacks := port > 0 && port < low && mask&(1<<10) == 0; {
		case !lacks || p.running: // then it listens there already
		case p.unseen != "":
			return []finding{weak(asDeich, "port %s needs NET_BIND_SERVICE, which this user does not have; whether Deich's has it cannot be told.", a.port)}
		default:
			return []finding{bad("setcap cap_net_bind_service=+ep on the binary, the packages' unit, or a higher port.", "port %s needs NET_BIND_SERVICE, which this user does not have.", a.port)}
		}
	}
	if len(have) == 0 {
		return []finding{good("none, and none is needed.")}
	}
	return []finding{good("%s.", strings.Join(have, ", "))}
}

// rights gives the user as whom a process acts, and its effective capabilities.
func rights(process string) (user int, mask uint64, err error) {
	b, err := os.ReadFile("/proc/" + process + "/status")
	if err != nil {
		return 0, 0, err
	}
	user = -1
	for line := range strings.Lines(string(b)) {
		what, text, _ := strings.Cut(line, ":")
		switch f := strings.Fields(text); {
		case what == "Uid" && len(f) == 4: // real, effective, saved, for files
			user, err = strconv.Atoi(f[1])
		case what == "CapEff" && len(f) == 1:
			mask, err = strconv.ParseUint(f[0], 16, 64)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if user < 0 {
		return 0, 0, errors.New("it does not name its user")
	}
	return user, mask, nil
}

// Requests of ethtool(8), linux/ethtool.h.
const (
	ethtoolGetFlags = 0x25
	ethtoolGetGRO   = 0x2b
	ethtoolLRO      = 1 << 15
)

// ethtool asks an interface's driver for one value.
func ethtool(socket int, name string, request uint32) (uint32, error) {
	value := struct{ cmd, data uint32 }{request, 0}
	ifreq := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(ifreq.name[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifreq))); errno != 0 {
		return 0, errno
	}
	return value.data, nil
}

func lookOffloads(context.Context, *patient) []finding {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return []finding{weak("look with ethtool -k.", "interfaces cannot be asked: %v.", err)}
	}
	defer unix.Close(socket)
	links, err := net.Interfaces()
	if err != nil {
		return []finding{weak("look with ethtool -k.", "interfaces cannot be listed: %v.", err)}
	}
	var all []finding
	for _, l := range links {
		if l.Flags&net.FlagLoopback != 0 || l.Flags&net.FlagUp == 0 {
			continue
		}
		flags, err := ethtool(socket, l.Name, ethtoolGetFlags)
		gro, err2 := ethtool(socket, l.Name, ethtoolGetGRO)
		switch {
		case errors.Join(err, err2) != nil:
			all = append(all, weak("look with ethtool -k "+l.Name+".", "%s does not tell its offloads.", l.Name))
		case flags&ethtoolLRO != 0:
			all = append(all, weak("ethtool -K "+l.Name+" lro off.", "%s joins packets by LRO, which keeps programs out of its driver.", l.Name))
		case gro == 0:
			all = append(all, weak("ethtool -K "+l.Name+" gro on.", "%s does not join packets by GRO: each costs its own way through the kernel.", l.Name))
		default:
			all = append(all, good("%s: GRO on, LRO off.", l.Name))
		}
	}
	if len(all) == 0 {
		all = append(all, good("there is no interface but loopback."))
	}
	return all
}

func lookFiles(_ context.Context, p *patient) []finding {
	// A unit gives its service other limits than this shell has.
	where := "in what is started from here"
	if p.running {
		where = "in the Deich that runs"
	}
	most, err := filesMost(p.process())
	switch {
	case err != nil:
		return []finding{weak("look with grep files /proc/PID/limits.", "how many files may be open %s cannot be read: %v.", where, err)}
	case most < filesLeast:
		return []finding{weak(fmt.Sprintf("LimitNOFILE=%d in the unit, as the packages' has it, or ulimit -Hn.", 1<<20),
			"%d files may be open %s (the hard limit), and every client is one.", most, where)}
	}
	return []finding{good("%d files may be open %s, and every client is one.", most, where)}
}

// filesMost gives a process's hard limit of open files.
func filesMost(process string) (uint64, error) {
	b, err := os.ReadFile("/proc/" + process + "/limits")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "Max open files"); ok {
			if f := strings.Fields(text); len(f) > 1 { // soft, hard, unit
				return strconv.ParseUint(f[1], 10, 64)
			}
		}
	}
	return 0, errors.New("it does not name them")
}

func lookBacklog(context.Context, *patient) []finding {
	n, err := strconv.Atoi(readWord("/proc/sys/net/core/somaxconn"))
	switch {
	case err != nil:
		return []finding{weak("look with sysctl net.core.somaxconn.", "it cannot be read here.")}
	case n < backlogLeast:
		return []finding{weak(fmt.Sprintf("sysctl -w net.core.somaxconn=%d, and the same in /etc/sysctl.d.", backlogLeast), "%d connections may wait for an accept: a burst of clients is more.", n)}
	}
	return []finding{good("%d connections may wait for an accept.", n)}
}

func lookCookies(context.Context, *patient) []finding {
	switch v := readWord("/proc/sys/net/ipv4/tcp_syncookies"); v {
	case "1":
		return []finding{good("on: a flood of SYNs does not fill the queue.")}
	case "2":
		return []finding{weak("sysctl -w net.ipv4.tcp_syncookies=1.", "on for every connection, which costs all of them options of TCP.")}
	case "0":
		return []finding{bad("sysctl -w net.ipv4.tcp_syncookies=1, and the same in /etc/sysctl.d.", "off: a few thousand SYNs keep everybody out.")}
	default:
		return []finding{weak("look with sysctl net.ipv4.tcp_syncookies on the host.", "it cannot be read here (%q).", v)}
	}
}

func lookClock(context.Context, *patient) []finding {
	var x unix.Timex
	state, err := unix.Adjtimex(&x)
	switch {
	case err != nil:
		return []finding{weak("look with timedatectl.", "the clock cannot be asked: %v.", err)}
	case state == unix.TIME_ERROR || x.Status&unix.STA_UNSYNC != 0:
		return []finding{weak("systemctl enable --now systemd-timesyncd, or chrony.", "nobody keeps it right: certificates, passes and logs are dated by it.")}
	}
	return []finding{good("kept right, to %d ms at most.", x.Maxerror/1000)}
}

func lookDisk(_ context.Context, p *patient) []finding {
	dir := p.settings.Data
	for { // the folder itself may still have to be made
		if info, err := os.Stat(dir); err == nil {
			if !info.IsDir() {
				return []finding{bad("name another folder: data.", "%s is no folder.", dir)}
			}
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return []finding{bad("name another folder: data.", "%s: %v.", dir, err)}
	}
	free := fs.Bavail * uint64(fs.Bsize)
	switch {
	case fs.Flags&unix.ST_RDONLY != 0:
		return []finding{bad("name another folder: data.", "%s can only be read.", dir)}
	case free < diskLeast:
		return []finding{bad("make room there, or name another folder: data.", "%d MiB are free at %s: keys and what is learned cannot be kept.", free>>20, dir)}
	case free < diskWeak:
		return []finding{weak("make room there; an access log grows by a gigabyte in some million requests.", "%d MiB are free at %s.", free>>20, dir)}
	}
	return []finding{good("%d GiB are free at %s.", free>>30, dir)}
}
