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
	ended  time.Duration // of children that have ended
}

func parseStat(b []byte) (stat, error) {
	// The name stands in parentheses and may hold anything.
	end := bytes.LastIndexByte(b, ')')
	f := bytes.Fields(b[end+1:])
	if end < 0 || len(f) < 15 {
		return stat{}, errStat
	}
	var n [5]int
	for i, at := range [...]int{1, 11, 12, 13, 14} {
		var err error
		if n[i], err = strconv.Atoi(string(f[at])); err != nil || n[i] < 0 {
			return stat{}, errStat
		}
	}
	return stat{n[0], time.Duration(n[1]+n[2]) * tick, time.Duration(n[3]+n[4]) * tick}, nil
}

// processes is what every process of the machine has used, by id.
type processes map[int]stat

func readProcesses() (processes, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := make(processes)
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		s, err := parseStat(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(name))) // by the pattern a number
		all[id] = s
	}
	return all, nil
}

// within says whether a process is root or a descendant of it.
func (p processes) within(id, root int) bool {
	for up := id; up > 1; up = p[up].parent {
		if up == root {
			return true
		}
	}
	return false
}

// of is what a process and its children that run have used.
func (p processes) of(root int) (time.Duration, error) {
	if _, ok := p[root]; !ok {
		return 0, fmt.Errorf("process %d has ended", root)
	}
	sum := time.Duration(0)
	for id, s := range p {
		if p.within(id, root) {
			sum += s.cpu
		}
	}
	return sum, nil
}

// others is what all have used since before that do not descend from root,
// children that ended meanwhile included. The kernel's count by core would say
// less: it samples, and load in short bursts escapes it.
func (p processes) others(before processes, root int) time.Duration {
	sum := time.Duration(0)
	for id, s := range p {
		if !p.within(id, root) {
			was := before[id]
			sum += s.cpu - was.cpu + s.ended - was.ended
		}
	}
	return max(sum, 0)
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
