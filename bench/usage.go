//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of CPU times in /proc: USER_HZ, 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

var errStat = errors.New("not a process's stat")

// stat is what a run reads of /proc/PID/stat.
type stat struct {
	parent int
	cpu    time.Duration // of all threads, user and system
}

func parseStat(b []byte) (stat, error) {
	// The name stands in parentheses and may hold anything.
	end := bytes.LastIndexByte(b, ')')
	f := bytes.Fields(b[end+1:])
	if end < 0 || len(f) < 13 {
		return stat{}, errStat
	}
	var n [3]int
	for i, at := range [3]int{1, 11, 12} {
		var err error
		if n[i], err = strconv.Atoi(string(f[at])); err != nil || n[i] < 0 {
			return stat{}, errStat
		}
	}
	return stat{n[0], time.Duration(n[1]+n[2]) * tick}, nil
}

// cpuOf is what a process and its children that run have used.
func cpuOf(pid int) (time.Duration, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	all := make(map[int]stat)
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		s, err := parseStat(b)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(name))) // by the pattern a number
		all[id] = s
	}
	if _, ok := all[pid]; !ok {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	sum := time.Duration(0)
	for id := range all {
		for up := id; up > 1; up = all[up].parent {
			if up == pid {
				sum += all[id].cpu
				break
			}
		}
	}
	return sum, nil
}

// busy is what the machine has used since it started, by core, interrupts included.
func busy() ([]time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return nil, err
	}
	return parseBusy(b)
}

func parseBusy(b []byte) ([]time.Duration, error) {
	var cores []time.Duration
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) < 9 || !bytes.HasPrefix(f[0], []byte("cpu")) || len(f[0]) == 3 {
			continue
		}
		sum := time.Duration(0)
		for _, at := range [...]int{1, 2, 3, 6, 7, 8} { // user nice system irq softirq steal
			n, err := strconv.Atoi(string(f[at]))
			if err != nil || n < 0 {
				return nil, errors.New("not the machine's stat")
			}
			sum += time.Duration(n) * tick
		}
		cores = append(cores, sum)
	}
	if len(cores) == 0 {
		return nil, errors.New("not the machine's stat")
	}
	return cores, nil
}

// pin binds every thread of this process to one core; threads and processes
// that they start inherit it.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, each := range threads {
		id, err := strconv.Atoi(each.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
			return fmt.Errorf("bind to core %d: %w", core, err)
		}
	}
	return nil
}
