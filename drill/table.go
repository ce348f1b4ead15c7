package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"text/tabwriter"
)

// write puts the report into the files that are named.
func (r *Report) write(jsonFile, htmlFile string) error {
	if jsonFile != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return fmt.Errorf("drill: report: %w", err)
		}
		if err := os.WriteFile(jsonFile, append(text, '\n'), 0o644); err != nil {
			return fmt.Errorf("drill: report: %w", err)
		}
	}
	if htmlFile == "" {
		return nil
	}
	f, err := os.Create(htmlFile)
	if err != nil {
		return fmt.Errorf("drill: report: %w", err)
	}
	if err := writePage(f, r); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("drill: report: %w", err)
	}
	return nil
}

// writeTable writes what one rehearsal found for a terminal.
func writeTable(out io.Writer, f Finding) {
	shield := f.Shield
	if f.Gate != "" {
		shield += ", gate: " + f.Gate
	}
	fmt.Fprintf(out, "\n%s, shield: %s. The origin can do %.0f searches a second, or %.0f of what users ask for.\n\n",
		f.Scenario, shield, f.Capacity.Searches, f.Capacity.Mix)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "group\tphase\trequests\tsuccess\tserved users\tp50\tp99\tgoodput\tdenied\tmitigated\trecovered\t")
	for _, g := range f.Groups {
		for _, c := range g.Cells {
			if c.Requests == 0 {
				continue
			}
			mitigated, recovered := "", ""
			switch {
			case c.Phase == "flood" && f.Attack.Sent > 0 && g.In == nil:
				mitigated = settledText(g.Mitigated)
			case c.Phase == "after":
				recovered = settledText(g.Recovered)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%.2f %%\t%d of %d\t%.0f ms\t%.0f ms\t%.1f/s\t%d\t%s\t%s\t\n", g.Name, c.Phase, c.Requests, 100*c.Success,
				c.UsersIn, c.Users, c.P50, c.P99, c.Goodput, c.Denied, mitigated, recovered)
		}
	}
	w.Flush()
	for _, g := range f.Groups {
		if g.In != nil && g.In.Users > 0 {
			p95 := "more than one in twenty never"
			if g.In.P95 >= 0 {
				p95 = fmt.Sprintf("%.1f s", g.In.P95)
			}
			fmt.Fprintf(out, "%s who came during the flood: %d of %d got in, %.0f %% within %.0f s, half of those in after %.1f s, 95 %% of all: %s; then %.2f %% of %d requests.\n",
				g.Name, g.In.Ever, g.In.Users, 100*g.In.Within, g.In.Limit, g.In.P50, p95, 100*g.In.After, g.In.Count)
		}
	}
	writeAttack(out, f)
	for _, c := range f.Checks {
		met := "met"
		if !c.Met {
			met = "MISSED"
		}
		note := ""
		if c.Note != "" {
			note = " (" + c.Note + ")"
		}
		fmt.Fprintf(out, "%s: %s: %.2f %%, target %.1f %%%s\n", met, c.What, 100*c.Got, 100*c.Target, note)
	}
	writeRecorded(out, f.Recorded, f.Truth)
	for _, note := range f.Notes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	fmt.Fprintln(out)
}

func writeAttack(out io.Writer, f Finding) {
	if a := f.Attack; a.Sent > 0 {
		fmt.Fprintf(out, "Attack: %d requests begun, %.0f a second, %d of them written whole; %d not begun in time; %d got the origin's content; %d of %d connections came about, at most %d open. %s\n",
			a.Begun(), a.Rate, a.Sent, a.Unsent, a.Reached, a.Come, a.Opened, a.OpenMost, counts(a.Endings))
	}
	for _, o := range f.Origin {
		fmt.Fprintf(out, "At the origin, %s: %.0f requests a second, p50 %.1f ms, p99 %.1f ms by its own clock, %.1f times what they take in peace, at most %d at once.\n",
			o.Phase, o.Rate, o.P50, o.P99, o.Slowdown, o.MostOpen)
	}
	if others, known := f.Others["flood"]; known {
		fmt.Fprintf(out, "other processes: %.2f cores in peace, %.2f in the flood; interrupts, which are nobody's: %.2f and %.2f; kept back by the host: %.2f and %.2f.\n",
			f.Others["peace"], others, f.Interrupts["peace"], f.Interrupts["flood"], f.Stolen["peace"], f.Stolen["flood"])
	}
	for _, p := range f.Processes {
		fmt.Fprintf(out, "%s: %.2f cores in peace, %.2f in the flood, %d MiB at most.\n", p.Name, p.Cores["peace"], p.Cores["flood"], p.Peak>>20)
	}
}

func settledText(v *float64) string {
	switch {
	case v == nil:
		return "never"
	case *v <= 1.0001:
		return "≤ 1 s"
	}
	return fmt.Sprintf("%.1f s", *v)
}

// counts writes a map of counts, the most frequent first.
func counts[N int | int64](m map[string]N) string {
	words := make([]string, 0, len(m))
	for word := range m {
		words = append(words, word)
	}
	sort.Slice(words, func(i, j int) bool {
		a, b := words[i], words[j]
		return m[a] > m[b] || m[a] == m[b] && a < b
	})
	for i, word := range words {
		words[i] = fmt.Sprintf("%s: %d", word, m[word])
	}
	return strings.Join(words, ", ")
}
