//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// loadFloodWith loads the flood's programs with their constants set.
func loadFloodWith(constants map[string]any) (*floodObjects, error) {
	spec, err := loadFlood()
	if err != nil {
		return nil, err
	}
	to := netip.MustParseAddr(thereAddr).As4()
	if err := spec.Variables["client"].Set(native(to[:])); err != nil {
		return nil, err
	}
	if err := spec.Variables["sources"].Set(uint32(1)); err != nil {
		return nil, err
	}
	for name, value := range constants {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, err
		}
	}
	objects := new(floodObjects)
	return objects, spec.LoadAndAssign(objects, nil)
}

// thread finds the near end's, and sees to it that it runs where and how it should.
func thread() (pid int, err error) {
	if err := set("/sys/class/net/"+here+"/threaded", "1")(); err != nil {
		return 0, err
	}
	all, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range all {
		b, _ := os.ReadFile(name)
		if !strings.HasPrefix(string(b), "napi/"+here) {
			continue
		}
		pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(name)))
		var set unix.CPUSet
		set.Set(victimCore)
		if err := unix.SchedSetaffinity(pid, &set); err != nil {
			return 0, err
		}
		return pid, ahead(pid)
	}
	return 0, fmt.Errorf("the network's thread of %s is not there", here)
}

// ahead has a thread run ahead of every ordinary program, as a softirq does; 0 is the
// one that calls it.
func ahead(thread int) error {
	if *gentle {
		return nil
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 50}
	return unix.SchedSetAttr(thread, &attr, 0)
}

// cpuOf gives the nanoseconds that a thread ran.
func cpuOf(pid int) uint64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	text, _, _ := strings.Cut(string(b), " ")
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

// received gives how many packets the near end took.
func received() uint64 {
	b, _ := os.ReadFile("/sys/class/net/" + here + "/statistics/rx_packets")
	n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// made is what a flood sent, and in how many nanoseconds.
type made struct{ Sent, Took uint64 }

// startFlood starts one, in words: pace or cost, how many sources, and whether
// it is to make packets alone and send none.
func startFlood(w *world, words ...string) (func() (made, error), error) {
	var c *exec.Cmd
	var out io.ReadCloser
	err := w.do(func() (err error) {
		c = child("flood", floodVariable+"="+strings.Join(words, " "))
		if out, err = c.StdoutPipe(); err == nil {
			err = c.Start()
		}
		return err
	})
	return func() (m made, err error) {
		err = json.NewDecoder(out).Decode(&m)
		if e := c.Wait(); e != nil {
			err = e
		}
		return m, err
	}, err
}

// flood sends SYNs into the cable until its time is over.
func flood() error {
	var kind string
	var sources int
	var mute bool
	if _, err := fmt.Sscan(os.Getenv(floodVariable), &kind, &sources, &mute); err != nil {
		return err
	}
	at, err := net.InterfaceByName(there)
	if err != nil {
		return err
	}
	lasts, every, quiet := *span, uint64(time.Second)*burst/uint64(*rate), uint8(0)
	if kind == "cost" {
		lasts, every = costSpan, 0
		// What is measured is time from packet to packet: were others given the core in
		// between, theirs would be counted, too.
		runtime.LockOSThread()
		if err := ahead(0); err != nil {
			return err
		}
	}
	if mute {
		quiet = 1
	}
	objects, err := loadFloodWith(map[string]any{
		"out": uint32(at.Index), "first": uint32(firstSource), "sources": uint32(sources),
		"every": every, "burst": uint32(burst), "mute": quiet,
	})
	if err != nil {
		return err
	}
	defer objects.Close()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	if err := objects.Until.Set(uint64(now.Nano() + lasts.Nanoseconds())); err != nil {
		return err
	}
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		// Each call has a fixed cost of some 25 ms: few and long ones.
		if _, err := objects.DeichFlood.Run(&ebpf.RunOptions{Data: frame(), Repeat: 4 << 20, Flags: liveFrames}); err != nil {
			return err
		}
	}
	var m made
	var begun, ended uint64
	for v, to := range map[*ebpf.Variable]*uint64{objects.Sent: &m.Sent, objects.Begun: &begun, objects.Ended: &ended} {
		if err := v.Get(to); err != nil {
			return err
		}
	}
	m.Took = ended - begun
	return json.NewEncoder(os.Stdout).Encode(m)
}

// frame is a SYN to the victim; the program draws its source.
func frame() []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 44, 0, 1, 0x40, 0, 64, 6, 0, 0, 11, 0, 0, 0, 10, 99, 0, 1,
		0, 0, port >> 8, port & 255, 0, 0, 0, 0, 0, 0, 0, 0, 6 << 4, 2, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4}
	return append(b, 0, 0) // as short as a frame on a wire may be
}
