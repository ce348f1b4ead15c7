package drill

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// usage is what a process has used.
type usage struct {
	cpu  time.Duration // since it began
	rss  int64         // bytes now
	peak int64         // bytes at most
}

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

func kilobytes(word []byte) int64 {
	n, err := strconv.ParseInt(string(word), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// busyOf gives the processor time that all of the machine has used since it
// started: everything but idling and waiting for disks.
func busyOf() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("drill: usage: %w", err)
	}
	return parseBusy(text)
}

func parseBusy(stat []byte) (time.Duration, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	f := bytes.Fields(line)
	if len(f) < 9 || string(f[0]) != "cpu" {
		return 0, errors.New("drill: usage: not the machine's stat")
	}
	var busy int64
	for i, word := range f[1:9] { // user nice system idle iowait irq softirq steal
		n, err := strconv.ParseInt(string(word), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("drill: usage: %w", err)
		}
		if i != 3 && i != 4 {
			busy += n
		}
	}
	return time.Duration(busy) * tick, nil
}
