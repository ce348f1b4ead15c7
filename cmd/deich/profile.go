//go:build deichprofile

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"
)

// profileSlice is how much time one file of a profile covers.
const profileSlice = 2 * time.Second

// In a build for "make profile" alone (-tags deichprofile) the process writes
// where its CPU goes, in slices, into the folder named in DEICH_PROFILE. A
// slice that its end cuts off is lost.
func init() {
	dir := os.Getenv("DEICH_PROFILE")
	if dir == "" {
		return
	}
	go func() {
		for n := 0; ; n++ {
			if err := profileTo(filepath.Join(dir, fmt.Sprintf("%d-%d", os.Getpid(), n))); err != nil {
				fmt.Fprintln(os.Stderr, "deich: profile:", err)
				return
			}
		}
	}()
}

func profileTo(name string) error {
	f, err := os.Create(name + ".part")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	time.Sleep(profileSlice)
	pprof.StopCPUProfile()
	return os.Rename(name+".part", name+".cpu")
}
