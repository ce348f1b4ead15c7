// Command confined gives up its capabilities and prints what every thread, and
// a child, then has.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/deichproject/deich/gate"
)

func main() {
	// Some threads more than one.
	var hold, held sync.WaitGroup
	hold.Add(1)
	for range 4 {
		held.Add(1)
		go func() { runtime.LockOSThread(); held.Done(); hold.Wait() }()
	}
	held.Wait()
	if err := gate.Confine(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/status")
	for _, name := range tasks {
		b, err := os.ReadFile(name)
		if err == nil {
			fmt.Print(effective(string(b)))
		}
	}
	out, err := exec.Command("cat", "/proc/self/status").Output()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Print(effective(string(out)))
	hold.Done()
}

func effective(status string) string {
	_, rest, _ := strings.Cut(status, "CapEff:")
	caps, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(caps) + "\n"
}
