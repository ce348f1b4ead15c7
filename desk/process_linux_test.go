package desk

import (
	"os"
	"testing"
	"time"
)

// What the metrics say of the process follows what the process does.
func TestProcessIsMeasured(t *testing.T) {
	before := readProcess()
	if before.resident < 1<<20 || before.goroutines < 1 || before.descriptors < 3 || before.cpu < 0 {
		t.Fatalf("%+v", before)
	}
	const more = 50
	end := make(chan struct{})
	defer close(end)
	for range more {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		go func() { <-end }()
	}
	for spun := time.Now(); time.Since(spun) < 50*time.Millisecond; {
	}
	after := readProcess()
	// Other goroutines and descriptors of this process come and go.
	if d := after.descriptors - before.descriptors; d < more-5 || d > more+5 {
		t.Errorf("%v more descriptors, %d were opened", d, more)
	}
	if d := after.goroutines - before.goroutines; d < more-5 || d > more+5 {
		t.Errorf("%v more goroutines, %d were started", d, more)
	}
	if after.cpu <= before.cpu {
		t.Errorf("processors' time: %v, then %v", before.cpu, after.cpu)
	}
	// Both ways of counting agree, wherever the kernel knows the quick one.
	d, err := os.ReadDir("/proc/self/fd")
	if n := float64(len(d) - 1); err != nil || after.descriptors-n > 5 || n-after.descriptors > 5 {
		t.Errorf("%v descriptors, one by one %v, %v", after.descriptors, n, err)
	}
}
