package main

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lockedThread keeps a thread to itself.
func lockedThread(ready, hold chan struct{}) {
	runtime.LockOSThread()
	close(ready)
	<-hold
}

// Every thread gives way, those that begin later, too. It is tried in a process
// of its own: what is given away cannot be taken back.
func TestEveryThreadGivesWay(t *testing.T) {
	if os.Getenv("DEICH_TEST_YIELD") != "" {
		if err := yieldCPU(); err != nil {
			t.Fatal(err)
		}
		hold := make(chan struct{})
		defer close(hold)
		for range 4 {
			ready := make(chan struct{})
			go lockedThread(ready, hold)
			<-ready
		}
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil || len(threads) < 5 {
			t.Fatalf("%d threads, %v", len(threads), err)
		}
		for _, thread := range threads {
			b, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/stat")
			if err != nil {
				t.Fatal(err)
			}
			_, after, _ := strings.Cut(string(b), ") ")
			if fields := strings.Fields(after); fields[16] != strconv.Itoa(pageNice) { // nice is the 19th of all
				t.Errorf("thread %s has %s", thread.Name(), fields[16])
			} else if fields[38] != strconv.Itoa(unix.SCHED_BATCH) { // the policy is the 41st
				t.Errorf("thread %s has policy %s", thread.Name(), fields[38])
			}
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestEveryThreadGivesWay$", "-test.v")
	cmd.Env = append(os.Environ(), "DEICH_TEST_YIELD=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
