package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/deichproject/deich"
	"github.com/goccy/go-yaml"
)

// queries are what alert rules or a dashboard ask of Prometheus: all that
// stands under a key expr.
func queries(v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if text, ok := inner.(string); ok && key == "expr" {
				all = append(all, text)
			}
			all = append(all, queries(inner)...)
		}
	case []any:
		for _, inner := range v {
			all = append(all, queries(inner)...)
		}
	}
	return all
}

// board reads a file of rules or of a dashboard.
func board(t *testing.T, name string) (v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, "packaging", name))
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(name) == ".json" {
		err = json.Unmarshal(b, &v)
	} else {
		err = yaml.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

var (
	metricUse = regexp.MustCompile(`\b((?:deich|go|process)_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher   = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"([^"]*)"`)
)

// Every metric that alert rules and the dashboard ask for is one that Deich
// gives, with the labels that the page of metrics names and words that exist.
func TestDocsBoardsAskForWhatThereIs(t *testing.T) {
	page := reference(t, "metrics.md")
	words := map[string][]string{"act": nil, "reason": nil, "tier": nil, "cause": nil}
	for _, a := range deich.Acts() {
		words["act"] = append(words["act"], a.String())
	}
	for _, r := range deich.Reasons() {
		words["reason"] = append(words["reason"], r.String())
	}
	for _, r := range deich.Tiers() {
		words["tier"] = append(words["tier"], r.String())
	}
	used := map[string]bool{}
	for _, name := range []string{"prometheus/deich.rules.yaml", "grafana/deich.json"} {
		all := queries(board(t, name))
		if len(all) < 10 {
			t.Errorf("%s: only %d queries found", name, len(all))
		}
		for _, q := range all {
			if strings.Count(q, "(") != strings.Count(q, ")") || strings.Count(q, "{") != strings.Count(q, "}") {
				t.Errorf("%s: unbalanced: %s", name, q)
			}
			for _, m := range metricUse.FindAllStringSubmatch(q, -1) {
				metric := strings.TrimSuffix(m[1], "_bucket")
				used[metric] = true
				row := regexp.MustCompile("(?m)^\\| `" + metric + "` \\|.*$").FindString(page)
				if row == "" {
					t.Errorf("%s: there is no metric %s: %s", name, m[1], q)
					continue
				}
				for _, by := range matcher.FindAllStringSubmatch(m[2], -1) {
					if label := by[1]; !slices.Contains([]string{"instance", "job", "origin"}, label) && !strings.Contains(row, "`"+label+"`") {
						t.Errorf("%s: %s has no label %s", name, metric, label)
					}
					for word := range strings.SplitSeq(by[2], "|") {
						known := slices.ContainsFunc(words[by[1]], regexp.MustCompile("^(?:"+word+")$").MatchString)
						if len(words[by[1]]) > 0 && !known && metric != "deich_gate_packets_total" {
							t.Errorf("%s: %s: %s is never %q", name, metric, by[1], word)
						}
					}
				}
			}
		}
	}
	if len(used) < 20 {
		t.Errorf("only %d metrics are used", len(used))
	}
}

// Every alert says whom it wakes, what is so, what it means, and where more stands.
func TestDocsAlertsAreWhole(t *testing.T) {
	rules := board(t, "prometheus/deich.rules.yaml").(map[string]any)["groups"].([]any)[0].(map[string]any)["rules"].([]any)
	page := texts(t)["docs/operate/alerts.md"]
	n := 0
	for _, r := range rules {
		rule := r.(map[string]any)
		name, ok := rule["alert"].(string)
		if !ok {
			continue
		}
		n++
		said, _ := rule["annotations"].(map[string]any)
		labels, _ := rule["labels"].(map[string]any)
		severity, _ := labels["severity"].(string)
		if said["summary"] == nil || said["description"] == nil || severity != "page" && severity != "ticket" {
			t.Errorf("%s: %v %v", name, labels, said)
		}
		runbook, _ := said["runbook"].(string)
		if _, err := os.Stat(filepath.Join(top, runbook)); err != nil || runbook == "" {
			t.Errorf("%s: the runbook %q is none", name, runbook)
		}
		if !strings.Contains(page, "| `"+name+"` | "+severity+" |") {
			t.Errorf("alerts.md: no row for %s, a %s", name, severity)
		}
	}
	if n < 10 {
		t.Errorf("only %d alerts found", n)
	}
}
