package spool

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkPut keeps messages of a KiB from as many senders at once; besides
// the time of one it tells messages a second and the 99th percentile. sync is
// what this disk needs for one fsync of 4 KiB alone, for comparison.
func BenchmarkPut(b *testing.B) {
	body := strings.Repeat("x", 1024)
	atOnce(b, func(s *Store, i int) error {
		_, _, err := s.Put(letter(uint64(i+1), "", body))
		return err
	})
}

// BenchmarkAnswered is what a request with a key that goes to its platform waits for
// besides: that what was answered is on disk.
func BenchmarkAnswered(b *testing.B) {
	answer := []byte(strings.Repeat("x", 256))
	atOnce(b, func(s *Store, i int) error {
		begun, err := s.Begin(b.Context(), letter(uint64(i+1), "key", "text"))
		if err == nil && begun.End != nil {
			begun.End(&Replay{Status: 201, Body: answer, Whole: true})
		}
		return err
	})
}

func atOnce(b *testing.B, do func(s *Store, i int) error) {
	for _, senders := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(senders), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{})
			one := syncTime(b)
			var mu sync.Mutex
			var all []time.Duration
			b.ResetTimer()
			begun := time.Now()
			var going sync.WaitGroup
			for w := range senders {
				going.Go(func() {
					var own []time.Duration
					for i := w; i < b.N; i += senders {
						at := time.Now()
						if err := do(s, i); err != nil {
							b.Error(err)
							return
						}
						own = append(own, time.Since(at))
					}
					mu.Lock()
					all = append(all, own...)
					mu.Unlock()
				})
			}
			going.Wait()
			took := time.Since(begun)
			b.StopTimer()
			if len(all) > 0 {
				slices.Sort(all)
				b.ReportMetric(float64(len(all))/took.Seconds(), "msg/s")
				b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(float64(one.Microseconds())/1000, "sync-ms")
			}
		})
	}
}

func syncTime(b *testing.B) time.Duration {
	f, err := os.CreateTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var all []time.Duration
	for range 20 {
		at := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Since(at))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// A hundred thousand messages are kept, and are there again after a restart,
// in bounded memory. How long that takes is told, not asserted.
func TestHundredThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("short: 100,000 messages")
	}
	const n = 100_000
	dir := t.TempDir()
	s := open(t, dir, Options{})
	body := strings.Repeat("x", 1024)
	var going sync.WaitGroup
	begun := time.Now()
	for w := range 256 {
		going.Go(func() {
			for i := w; i < n; i += 256 {
				if _, _, err := s.Put(letter(uint64(i/10+1), fmt.Sprint(i), body)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	going.Wait()
	t.Logf("%d kept in %v", n, time.Since(begun))
	s.Close()
	before := heapBytes()
	begun = time.Now()
	s = open(t, dir, Options{})
	took := time.Since(begun)
	if _, got := s.List(false); got != n {
		t.Fatalf("%d messages after the restart", got)
	}
	held := heapBytes() - before
	t.Logf("there again after %v; %d MiB of memory", took, held>>20)
	if held > entriesMax*1500 {
		t.Errorf("%d bytes of memory: more than 1,500 for each", held)
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
