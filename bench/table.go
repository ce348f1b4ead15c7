package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// table writes everything as one Markdown table, with what is needed to read it.
func (rs *results) table() []byte {
	var b bytes.Buffer
	b.WriteString("# Deich beside its peers\n\n")
	b.WriteString("Written by `make bench`; do not edit. The same origin, the same clients, one machine: proxy and origin share one\n")
	b.WriteString("core, the load has another. Each contender is measured in interleaved rounds; figures are medians, with the lowest and\n")
	b.WriteString("the highest behind them. *Over* is the median of the ratios of each round, which is not the ratio of the medians. CPU is what all processes of the proxy used (`/proc/PID/stat`), over what clients really got.\n")
	b.WriteString("*Cores* is the proxy's CPU over time. *Others* is what anybody else used of the machine meanwhile, in percent of one core:\n")
	b.WriteString("how disturbed the run was. All trials are in `bench.json`, the configurations in `../config`.\n\n![Deich over its peers](bench.svg)\n\n")
	b.WriteString("| contest | contender | median | from – to | over | target | requests/s | cores | p50 ms | p99 ms | others % | what clients got |\n")
	b.WriteString("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n")
	for _, r := range rs.List {
		for i, name := range r.names() {
			r.row(&b, name, i == 0)
		}
	}
	b.WriteString("\n## How each was asked\n\n")
	for _, r := range rs.List {
		fmt.Fprintf(&b, "- **%s** (%s): %s.", r.Title, r.Figure, r.Asks)
		for _, missing := range r.LeftOut {
			fmt.Fprintf(&b, " Left out: %s.", missing)
		}
		fmt.Fprintf(&b, " %s.\n", r.Machine.text())
	}
	return b.Bytes()
}

func (r *result) row(b *bytes.Buffer, name string, first bool) {
	var low, high float64
	outcomes := make(map[string]int)
	all := 0
	for _, t := range r.Trials {
		if t.Contender != name {
			continue
		}
		if low == 0 || t.Figure < low {
			low = t.Figure
		}
		high = max(high, t.Figure)
		for what, n := range t.Outcomes {
			outcomes[what] += n
			all += n
		}
	}
	title, over, target := "", "", ""
	if first {
		title = "**" + r.Title + "**, " + r.Figure
		target = fmt.Sprintf("≤ %.2f", r.Target)
		if r.Wanted != 0 {
			target += fmt.Sprintf(" (%.2f)", r.Wanted)
		}
	}
	if times := r.over(name); times != 0 {
		if over = fmt.Sprintf("%.2f", times); first {
			over = "**" + over + "** " + verdict(times, r.Target)
		}
	}
	cores := r.median(name, func(t *trial) float64 { return t.ProxyCPU / t.Seconds })
	fmt.Fprintf(b, "| %s | %s | %s | %s – %s | %s | %s | %.0f | %s | %s | %s | %.0f | %s |\n", title, name,
		short(r.median(name, figureOf)), short(low), short(high), over, target,
		r.median(name, func(t *trial) float64 { return t.Rate }), orDash(cores),
		orDash(r.median(name, func(t *trial) float64 { return t.P50 })), orDash(r.median(name, func(t *trial) float64 { return t.P99 })),
		100*r.median(name, func(t *trial) float64 { return t.OtherCPU }), shares(outcomes, all))
}

// verdict says in a word whether a ratio meets its target.
func verdict(ratio, target float64) string {
	if ratio <= target {
		return "met"
	}
	return "missed"
}

func shares(outcomes map[string]int, all int) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(outcomes)) {
		parts = append(parts, fmt.Sprintf("%s %.1f %%", what, 100*float64(outcomes[what])/float64(max(all, 1))))
	}
	return strings.Join(parts, ", ")
}

func short(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func orDash(v float64) string {
	if v == 0 {
		return "–"
	}
	return short(v)
}

func (m machined) text() string {
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(m.Versions)) {
		versions = append(versions, name+" "+m.Versions[name])
	}
	return fmt.Sprintf("%s; %s, %d cores; Linux %s; %s", m.Date, m.CPU, m.Cores, m.Kernel, strings.Join(versions, ", "))
}
