package sim

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// publicCase is a situation that the public knows of: testdata/cases/README.md.
type publicCase struct {
	Name    string                        `json:"name"`
	Title   string                        `json:"title"`
	Public  []struct{ Said, Read string } `json:"public"`
	Assumed []string                      `json:"assumed"`
	Expect  struct {
		Causes     []deich.Cause `json:"causes"`
		Never      []deich.Cause `json:"never"`
		Within     any           `json:"within"` // nanoseconds once read, as in the scenario
		Confidence [2]float64    `json:"confidence"`
		Note       string        `json:"note"`
	} `json:"expect"`
	Scenario Scenario `json:"scenario"`
}

// readCase reads one, with durations as Go writes them.
func readCase(t *testing.T, file string) (c publicCase) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	spans(tree["scenario"])
	spans(tree["expect"])
	if text, err = json.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	c.Scenario.Name, c.Scenario.Title, c.Scenario.Truth = c.Name, c.Title, c.Expect.Causes
	return c
}

// spans turns durations in words into nanoseconds, throughout.
func spans(tree any) {
	switch x := tree.(type) {
	case map[string]any:
		for k, v := range x {
			if s, ok := v.(string); ok {
				if d, err := time.ParseDuration(s); err == nil {
					x[k] = d
				}
			} else {
				spans(v)
			}
		}
	case []any:
		for _, v := range x {
			spans(v)
		}
	}
}

// TestCases replays the public cases: the expected cause is said in time and
// with the expected confidence, and none of those that it must not be.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("../../testdata/cases/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	for _, file := range files {
		c := readCase(t, file)
		t.Run(c.Name, func(t *testing.T) {
			if len(c.Public) == 0 || len(c.Assumed) == 0 || len(c.Expect.Causes) == 0 {
				t.Fatal("a case says what is public, what is assumed and what is expected")
			}
			within := time.Duration(c.Expect.Within.(float64)).Seconds()
			for _, seed := range []uint64{1, 2, 3} {
				rep := rehearse(t, c.Scenario, seed)
				why := rep.Cause
				if why.After < 0 || why.After > within {
					t.Errorf("seed %d: right after %.1f s, expected within %.0f s; mostly %v", seed, why.After, within, why.Mostly)
				}
				if why.Sure < c.Expect.Confidence[0] || why.Sure > c.Expect.Confidence[1] {
					t.Errorf("seed %d: confidence %.2f, expected %v", seed, why.Sure, c.Expect.Confidence)
				}
				for _, said := range why.Said {
					if slices.Contains(c.Expect.Never, said) {
						t.Errorf("seed %d: said %v, which is wrong: %v", seed, said, why.Wrong)
					}
				}
				t.Logf("seed %d: %v after %.1f s, confidence %.2f; said %v", seed, c.Expect.Causes[0], why.After, why.Sure, why.Said)
			}
		})
	}
}
