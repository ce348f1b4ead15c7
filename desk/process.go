package desk

import (
	counters "runtime/metrics"
	"time"
)

// process is what this process uses of its machine; what cannot be had here is
// below zero.
type process struct {
	goroutines  float64
	descriptors float64 // open: files, sockets, pipes
	resident    float64 // bytes of memory in use, as the system counts them
	live        float64 // bytes of heap that the last collection found in use
	collections float64 // of garbage, since the start
	cpu         float64 // seconds of processors, since the start
}

// readProcess takes some microseconds; collecting and stopping are not needed
// for any of it.
func readProcess() process {
	s := []counters.Sample{{Name: "/sched/goroutines:goroutines"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	counters.Read(s)
	p := process{
		goroutines: float64(s[0].Value.Uint64()), live: float64(s[1].Value.Uint64()), collections: float64(s[2].Value.Uint64()),
		descriptors: -1, resident: -1, cpu: -1,
	}
	p.readSystem()
	return p
}

// writeProcess gives it under the names that Prometheus' own libraries use, so
// that ready-made boards and alarms find it.
func (m metrics) writeProcess(p process, started time.Time) {
	for _, one := range []struct {
		name, kind, help string
		v                float64
	}{
		{"go_goroutines", "gauge", "Goroutines.", p.goroutines},
		{"go_gc_heap_live_bytes", "gauge", "Heap that the last collection found in use.", p.live},
		{"go_gc_cycles_total_gc_cycles_total", "counter", "Collections of garbage.", p.collections},
		{"process_open_fds", "gauge", "Open descriptors.", p.descriptors},
		{"process_resident_memory_bytes", "gauge", "Memory in use, as the system counts it.", p.resident},
		{"process_cpu_seconds_total", "counter", "Processors' time used.", p.cpu},
		{"process_start_time_seconds", "gauge", "When this process started, Unix time.", float64(started.Unix())},
	} {
		if one.v >= 0 {
			m.single(one.name, one.kind, one.help, one.v)
		}
	}
}
