package spool

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// BenchmarkReopen tells how long a start takes with 100,000 messages of a KiB in the
// folder, in seconds, and how much memory it holds afterwards. Where half of them are
// delivered, those have two records more each, and their texts are erased.
func BenchmarkReopen(b *testing.B) {
	for _, name := range []string{"kept", "half delivered"} {
		b.Run(name, func(b *testing.B) {
			const n = 100_000
			dir := b.TempDir()
			s := open(b, dir, Options{})
			c := &Courier{store: s}
			body := strings.Repeat("x", 1024)
			var going sync.WaitGroup
			for w := range 256 {
				going.Go(func() {
					for i := w; i < n; i += 256 {
						id, _, err := s.Put(letter(uint64(i/10+1), fmt.Sprint(i), body))
						if err != nil {
							b.Error(err)
							return
						}
						if name != "kept" && i%2 == 0 {
							e := s.entry(id)
							if err := s.change(e, func(n *Entry) { n.State, n.Doubt = Delivering, true }); err != nil {
								b.Error(err)
							}
							c.delivered(e, Answer{Status: 201})
						}
					}
				})
			}
			going.Wait()
			s.Close()
			before := heapBytes()
			var held int64
			for b.Loop() {
				s, err := Open(dir, Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				held = heapBytes() - before
				s.Close()
				b.StartTimer()
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/start")
			b.ReportMetric(float64(held>>20), "MiB")
		})
	}
}
