package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// result is what one contest came to.
type result struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Figure  string   `json:"figure"`
	Asks    string   `json:"asks"`
	Over    string   `json:"over"`
	Target  float64  `json:"target"`
	Wanted  float64  `json:"wanted,omitempty"`
	Machine machined `json:"machine"`
	LeftOut []string `json:"left_out,omitempty"`
	Trials  []trial  `json:"trials"`
}

// machined says where and with what a contest was held.
type machined struct {
	Date     string            `json:"date"`
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Kernel   string            `json:"kernel"`
	Versions map[string]string `json:"versions"`
}

// trial is one contender measured once.
type trial struct {
	Contender string         `json:"contender"`
	Round     int            `json:"round"`
	Figure    float64        `json:"figure"` // what the contest compares
	Outcomes  map[string]int `json:"outcomes"`
	Held      int            `json:"held,omitempty"` // not sent, since all connections were busy
	Seconds   float64        `json:"seconds"`
	Rate      float64        `json:"requests_per_second"`
	ProxyCPU  float64        `json:"proxy_cpu_seconds"` // of all its processes
	OriginCPU float64        `json:"origin_cpu_seconds"`
	OtherCPU  float64        `json:"other_cpu_share"` // used by anybody else, in cores
	P50       float64        `json:"p50_ms"`
	P99       float64        `json:"p99_ms"`
}

// names gives the contenders in the order of their first trials.
func (r *result) names() []string {
	var list []string
	for _, t := range r.Trials {
		if !slices.Contains(list, t.Contender) {
			list = append(list, t.Contender)
		}
	}
	return list
}

// median of what f gives for a contender's trials; 0 without any.
func (r *result) median(contender string, f func(*trial) float64) float64 {
	var values []float64
	for i := range r.Trials {
		if r.Trials[i].Contender == contender {
			values = append(values, f(&r.Trials[i]))
		}
	}
	return median(values)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

func figureOf(t *trial) float64 { return t.Figure }

// over is the median of a contender's figure over that of the one all are held
// against, round by round: a moment in which the host was busy then counts for
// both or for neither. 0 where either is missing in each round.
func (r *result) over(contender string) float64 {
	base := make(map[int]float64)
	for _, t := range r.Trials {
		if t.Contender == r.Over && t.Figure > 0 {
			base[t.Round] = t.Figure
		}
	}
	var ratios []float64
	for _, t := range r.Trials {
		if b := base[t.Round]; t.Contender == contender && b > 0 {
			ratios = append(ratios, t.Figure/b)
		}
	}
	return median(ratios)
}

// ratio is Deich's, who is the first in each contest; 0 where that is missing.
func (r *result) ratio() float64 {
	if len(r.Trials) == 0 {
		return 0
	}
	return r.over(r.Trials[0].Contender)
}

// results are those of all contests that were ever held here.
type results struct {
	file string
	List []*result `json:"contests"`
}

func openResults(file string) (*results, error) {
	rs := &results{file: file}
	return rs, readBack(file, rs)
}

// readBack fills in what was written before; nothing yet is no error.
func readBack(file string, into any) error {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// put takes a result over, in the place of the contest's last one.
func (rs *results) put(r *result) {
	for i := range rs.List {
		if rs.List[i].Name == r.Name {
			rs.List[i] = r
			return
		}
	}
	rs.List = append(rs.List, r)
}

// write writes the trials, the table and the plot.
func (rs *results) write(dir string) error {
	b, err := json.MarshalIndent(rs, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	plot, err := rs.plot()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(rs.file, append(b, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.md"), rs.table(), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.svg"), plot, 0o644),
	)
}
