package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// yieldCPU has this process's threads, and those that they start, give way to
// whatever else wants to run: the page is asked most when the platform has the
// most to do. They get a smaller part of the processor, and what wakes them up takes
// it from nobody who has it (SCHED_BATCH, sched(7)).
func yieldCPU() error {
	for range 3 { // a thread that began meanwhile is met the next time
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("the status page takes as much of the machine as the platform: %w", err)
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err == nil {
				err = unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: pageNice}, 0)
			}
			if err != nil && err != unix.ESRCH { // it has ended
				return fmt.Errorf("the status page takes as much of the machine as the platform: %w", err)
			}
		}
	}
	return nil
}
