//go:build linux || darwin

package spool

import "golang.org/x/sys/unix"

// diskFree gives the bytes that are free for this process.
func diskFree(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
