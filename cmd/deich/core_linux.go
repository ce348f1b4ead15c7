package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// forbidCores keeps this process's memory, through which messages pass, out of
// core files, whatever the system does with those, and from other processes of
// the same user.
func forbidCores() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("a core file of this process would show what is kept: %w", err)
	}
	return nil
}
