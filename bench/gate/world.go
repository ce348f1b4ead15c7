//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// outside starts the victim in namespaces of its own.
func outside() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("it makes network namespaces: run it as root")
	}
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("it needs two cores")
	}
	if err := pin(victimCore); err != nil {
		return err
	}
	c := child("victim")
	c.Stdout = os.Stdout
	c.SysProcAttr.Cloneflags = unix.CLONE_NEWNET | unix.CLONE_NEWNS
	return c.Run()
}

// world is a thread in the namespace at the far end, on the other core.
type world struct {
	work chan func()
	tid  int
}

func newWorld() (*world, error) {
	w := &world{work: make(chan func())}
	ready := make(chan error)
	go func() {
		err := pin(otherCore)
		if err == nil {
			err = unix.Unshare(unix.CLONE_NEWNET)
		}
		w.tid = unix.Gettid()
		ready <- err
		for f := range w.work {
			f()
		}
	}()
	return w, <-ready
}

func (w *world) do(f func() error) error {
	done := make(chan error)
	w.work <- func() { done <- f() }
	return <-done
}

func system(line string, args ...any) error {
	words := strings.Fields(fmt.Sprintf(line, args...))
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, out)
	}
	return nil
}

// first runs all in order until one fails.
func first(all ...func() error) error {
	for _, f := range all {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func sh(line string, args ...any) func() error {
	return func() error { return system(line, args...) }
}

func set(file, value string) func() error {
	return func() error { return os.WriteFile(file, []byte(value), 0) }
}

func victim() error {
	if err := first(
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("sysfs", "/sys", "sysfs", 0, "") }, // of this namespace
	); err != nil {
		return err
	}
	w, err := newWorld()
	if err != nil {
		return err
	}
	fmt.Printf("one core for network and server, one for flood and client; %s of %d packets/s, %d rounds\n\n", *span, *rate, *rounds)
	var all []*contest
	for _, c := range contests() {
		if strings.Contains(c.name, *only) {
			all = append(all, &c)
		}
	}
	for round := range *rounds {
		for _, c := range all {
			if err := c.once(w, round); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	report(all)
	return nil
}

// lay makes the cable, with the network's thread of the near end on the victim's core.
func lay(w *world) error {
	const mac1, mac2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
	space := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), w.tid)
	system("ip link del %s", here) // of a run that was cut off
	return first(
		sh("ip link set lo up"),
		sh("ip link add %s address %s type veth peer name %s address %s netns %s", here, mac1, there, mac2, space),
		sh("ip address add %s/24 dev %s", hereAddr, here),
		set("/proc/sys/net/ipv4/conf/all/rp_filter", "0"),
		set("/proc/sys/net/ipv4/conf/"+here+"/rp_filter", "0"),
		set("/proc/sys/net/ipv4/tcp_syncookies", "1"),
		// Receiving packets as a network card has them, without a program too.
		func() error { return offload(here, unix.ETHTOOL_SGRO, 1) },
		sh("ip link set %s up", here),
		sh("ip neigh replace %s lladdr %s dev %s", thereAddr, mac2, here),
		sh("ip route replace default via %s", thereAddr),
		func() error {
			return w.do(func() error {
				return first(
					sh("ip address add %s/24 dev %s", thereAddr, there),
					func() error { return offload(there, unix.ETHTOOL_STSO, 0) },
					sh("ip link set %s up", there),
					sh("ip neigh replace %s lladdr %s dev %s", hereAddr, mac1, there),
				)
			})
		},
	)
}

// offload switches a feature of an interface.
func offload(name string, what, value uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return ethtool(fd, name, what, value)
}

// far has the other end throw answers to nobody away, and be ready for what a
// program sends back.
func far(w *world) (away func(), err error) {
	err = w.do(func() error {
		objects, err := loadFloodWith(nil)
		if err != nil {
			return err
		}
		at, err := net.InterfaceByName(there)
		if err != nil {
			return err
		}
		l, err := link.AttachXDP(link.XDPOptions{Program: objects.DeichFar, Interface: at.Index, Flags: link.XDPDriverMode})
		away = func() { l.Close(); objects.Close() }
		return err
	})
	return away, err
}
