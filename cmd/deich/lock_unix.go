//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockNow takes the file's lock or says that another process holds it. The
// kernel frees it however the process ends.
func lockNow(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}
