package main

import (
	"bytes"
	"fmt"
	"strings"
)

// table writes the overview and each scenario's figures as Markdown.
func (ks *keeps) table() []byte {
	var b bytes.Buffer
	b.WriteString("# Users kept\n\n")
	b.WriteString("Written by `bench users`; do not edit. The drill's users and attackers, the same platform, one shield after the other. *Kept* is\n")
	fmt.Fprintf(&b, "the share of real users' requests that got the platform's own content within 5 s while the flood or the crowd lasted: the mean of\nthe first two runs that agree (within %.0f points, and %.0f %% of what users were given a second); where none do, the median, marked ≈.\n", 100*keptOff, 100*goodputOff)
	b.WriteString("[How it is measured, what each was given, what it says and what not](../../docs/internals/users-kept.md). All runs are in\n`users.json`, the configurations in `../config/users`.\n\n![Users kept](users.svg)\n\n")
	ks.overview(&b)
	for _, r := range ks.List {
		r.table(&b, ks.order)
	}
	return b.Bytes()
}

// overview is a row for each peer, a column for each scenario.
func (ks *keeps) overview(b *bytes.Buffer) {
	b.WriteString("| users kept |")
	for _, r := range ks.List {
		fmt.Fprintf(b, " %s |", r.Scenario)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(ks.List)) + "\n")
	for _, peer := range ks.order {
		cells, any := "", false
		for _, r := range ks.List {
			list := r.of(peer)
			any = any || len(list) > 0
			cells += " " + keptText(list) + " |"
		}
		if any {
			fmt.Fprintf(b, "| %s |%s\n", peer, cells)
		}
	}
}

func keptText(list []*keptTrial) string {
	if len(list) == 0 {
		return "–"
	}
	mark := ""
	if _, _, ok := agreed(list); !ok {
		mark = "≈ "
	}
	return fmt.Sprintf("%s%.1f %%", mark, 100*figure(list, keptOf))
}

func (r *keptResult) table(b *bytes.Buffer, order []string) {
	fmt.Fprintf(b, "\n## %s\n\n%s. %.0f s of it counted.\n\n", r.Scenario, r.Title, r.Flood)
	b.WriteString("| shield | kept | from – to |")
	for _, g := range r.groups() {
		fmt.Fprintf(b, " %s |", g)
	}
	b.WriteString(" users with 95 % | denied | proofs | served/s | mitigated | after | shield's cores | platform's/s | others | host | runs |\n")
	b.WriteString("| --- |" + strings.Repeat(" ---: |", 13+len(r.groups())) + "\n")
	for _, peer := range r.peers(order) {
		r.row(b, peer)
	}
	b.WriteString("\n")
	for _, peer := range r.peers(order) {
		fmt.Fprintf(b, "- %s: %s.\n", peer, endingsText(r.of(peer)))
	}
	for _, missing := range r.LeftOut {
		fmt.Fprintf(b, "- Left out: %s.\n", missing)
	}
	fmt.Fprintf(b, "\n%s.\n", r.Machine.text())
}

func (r *keptResult) row(b *bytes.Buffer, peer string) {
	list := r.of(peer)
	mean := func(of func(*keptTrial) float64) float64 { return figure(list, of) }
	low, high := spread(list, keptOf)
	fmt.Fprintf(b, "| %s | **%s** | %.1f – %.1f |", peer, keptText(list), 100*low, 100*high)
	for _, name := range r.groups() {
		fmt.Fprintf(b, " %.1f %% |", 100*mean(func(t *keptTrial) float64 {
			g := t.group(name)
			if g == nil {
				return 0
			}
			return part(g.Served, g.Requests)
		}))
	}
	counted := func(of func(*keptGroup) int) func(*keptTrial) float64 {
		return func(t *keptTrial) float64 { return float64(t.count(of)) }
	}
	fmt.Fprintf(b, " %.0f of %.0f | %.0f | %.0f | %.0f | %s | %.1f %% | %.2f | %.0f | %.2f | %.2f | %s |\n",
		mean(counted(func(g *keptGroup) int { return g.UsersIn })), mean(counted(func(g *keptGroup) int { return g.Users })),
		mean(counted(func(g *keptGroup) int { return g.Denied })), mean(counted(func(g *keptGroup) int { return g.Challenged })),
		mean(goodputOf), r.mitigated(list), 100*mean(func(t *keptTrial) float64 { return t.After }),
		mean(func(t *keptTrial) float64 { return t.Cores }), mean(func(t *keptTrial) float64 { return t.Mix }),
		mean(func(t *keptTrial) float64 { return t.Others }),
		mean(func(t *keptTrial) float64 { return t.Stolen }), runsText(list))
}

// mitigated gives each run's time, in the order of the runs.
func (r *keptResult) mitigated(list []*keptTrial) string {
	if !r.Attacked {
		return "–"
	}
	var words []string
	for _, t := range list {
		word := "never"
		if t.Mitigated != nil {
			word = fmt.Sprintf("%.1f s", *t.Mitigated)
		}
		if len(words) == 0 || words[len(words)-1] != word {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

func runsText(list []*keptTrial) string {
	if _, _, ok := agreed(list); ok {
		return fmt.Sprintf("%d, agree", len(list))
	}
	if len(list) == 1 {
		return "1 only"
	}
	return fmt.Sprintf("%d, do not agree", len(list))
}

// endingsText says what became of all users' requests, over all runs.
func endingsText(list []*keptTrial) string {
	sum, all := map[string]int{}, 0
	for _, t := range list {
		for _, g := range t.Groups {
			for word, n := range g.Endings {
				sum[word] += n
				all += n
			}
		}
	}
	return shares(sum, all)
}
