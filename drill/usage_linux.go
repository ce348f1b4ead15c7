package drill

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// tick is the unit of CPU times in /proc: USER_HZ, 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// usageOf reads what a process has used from /proc.
func usageOf(pid int) (usage, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return usage{}, fmt.Errorf("drill: usage: %w", err)
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return usage{}, fmt.Errorf("drill: usage: %w", err)
	}
	return parseUsage(stat, status)
}

func parseUsage(stat, status []byte) (usage, error) {
	// The name stands in parentheses and may hold anything.
	end := bytes.LastIndexByte(stat, ')')
	f := bytes.Fields(stat[end+1:])
	if end < 0 || len(f) < 13 {
		return usage{}, errors.New("drill: usage: not a process's stat")
	}
	user, err1 := strconv.ParseInt(string(f[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(f[12]), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return usage{}, fmt.Errorf("drill: usage: %w", err)
	}
	u := usage{cpu: time.Duration(user+system) * tick}
	for _, line := range bytes.Split(status, []byte("\n")) {
		switch f := bytes.Fields(line); {
		case len(f) < 2:
		case string(f[0]) == "VmRSS:":
			u.rss = kilobytes(f[1])
		case string(f[0]) == "VmHWM:":
			u.peak = kilobytes(f[1])
		}
	}
	return u, nil
}

// usageOfGroups sums up every process of the groups that these processes lead,
// with what their ended children have used. A member that ends meanwhile counts
// with the parent that waited for it.
func usageOfGroups(leaders []int) (usage, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return usage{}, fmt.Errorf("drill: usage: %w", err)
	}
	var sum usage
	seen := 0
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		group, ended, err := parseGroup(stat)
		if err != nil || !slices.Contains(leaders, group) {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		if err != nil {
			continue
		}
		u, err := parseUsage(stat, status)
		if err != nil {
			return usage{}, err
		}
		seen++
		sum.cpu += u.cpu + ended
		sum.rss += u.rss
		sum.peak += u.peak
	}
	if seen == 0 {
		return usage{}, fmt.Errorf("drill: usage: none of the groups %v runs", leaders)
	}
	return sum, nil
}

// parseGroup gives a process's group and what its ended children have used.
func parseGroup(stat []byte) (group int, ended time.Duration, err error) {
	end := bytes.LastIndexByte(stat, ')')
	f := bytes.Fields(stat[end+1:])
	if end < 0 || len(f) < 15 {
		return 0, 0, errors.New("drill: usage: not a process's stat")
	}
	group, err1 := strconv.Atoi(string(f[2]))
	user, err2 := strconv.ParseInt(string(f[13]), 10, 64)
	system, err3 := strconv.ParseInt(string(f[14]), 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, 0, fmt.Errorf("drill: usage: %w", err)
	}
	return group, time.Duration(user+system) * tick, nil
}

func kilobytes(word []byte) int64 {
	n, err := strconv.ParseInt(string(word), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// busyOf gives what the whole machine has used since it started: by its
// processes, by interrupts, and what its host kept from it. The kernel does most of its work on loopback
// connections in soft interrupts, which no process is charged with.
func busyOf() (busy, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return busy{}, fmt.Errorf("drill: usage: %w", err)
	}
	return parseBusy(text)
}

func parseBusy(stat []byte) (busy, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	f := bytes.Fields(line)
	if len(f) < 9 || string(f[0]) != "cpu" {
		return busy{}, errors.New("drill: usage: not the machine's stat")
	}
	var ticks [8]int64 // user nice system idle iowait irq softirq steal
	for i := range ticks {
		n, err := strconv.ParseInt(string(f[i+1]), 10, 64)
		if err != nil {
			return busy{}, fmt.Errorf("drill: usage: %w", err)
		}
		ticks[i] = n
	}
	return busy{
		processes:  time.Duration(ticks[0]+ticks[1]+ticks[2]) * tick,
		interrupts: time.Duration(ticks[5]+ticks[6]) * tick,
		stolen:     time.Duration(ticks[7]) * tick,
	}, nil
}
