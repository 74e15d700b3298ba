package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAlternate checks that the sides take turns, and that no side is always the first.
func TestAlternate(t *testing.T) {
	var order string
	side := func(name string) func() (string, error) {
		return func() (string, error) {
			order += name
			return name, nil
		}
	}
	rounds, err := alternate(3, side("a"), side("b"))
	if err != nil || order != "abbaab" || strings.Join(rounds[0], "") != "aaa" || strings.Join(rounds[1], "") != "bbb" {
		t.Errorf("order %s, rounds %v, error %v", order, rounds, err)
	}
}

func TestRow(t *testing.T) {
	for name, test := range map[string]struct {
		row               row
		measured, verdict string
	}{
		"a ratio that meets its goal":    {row{Goal: atLeast(0.9), Values: []float64{1, 0.8, 0.95}}, "0.95 (0.88–0.97)", "met"},
		"a median at its goal":           {row{Goal: atMost(1.25), Values: []float64{1.2, 1.3}}, "1.25 (1.23–1.27)", "met"},
		"the median counts, not a round": {row{Goal: atMost(1.25), Values: []float64{1.2, 1.3, 1.4}}, "1.30 (1.25–1.35)", "**not met**"},
		"one figure has no spread":       {row{Unit: "MB", Values: []float64{19.567}}, "19.57 MB", ""},
		"a big figure has no decimals":   {row{Unit: "ms", Values: []float64{99, 100, 101}}, "100 (100–100) ms", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if m, v := test.row.measured(), test.row.verdict(); m != test.measured || v != test.verdict {
				t.Errorf("%q %q, want %q %q", m, v, test.measured, test.verdict)
			}
		})
	}
}

// TestDocument checks that a run replaces the table of docs/performance.md, again and again, and nothing else.
func TestDocument(t *testing.T) {
	original, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(path, original, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, machine := range []string{"one", "another"} {
		run := table{Machine: machine, Rows: []row{{Group: "A", Name: "x", Values: []float64{1}}, {Group: "B", Name: "y", Values: []float64{2}}, {Group: "A", Name: "z", Values: []float64{3}}}}
		if err := run.into(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(original), begin)
	_, after, _ := strings.Cut(rest, end)
	want := before + begin + `
Measured on another.

### A

| | median (middle half) | goal | | amp, and the other |
|---|---|---|---|---|
| x | 1.00 |  |  |  |
| z | 3.00 |  |  |  |

### B

| | median (middle half) | goal | | amp, and the other |
|---|---|---|---|---|
| y | 2.00 |  |  |  |

` + end + after
	if string(got) != want {
		t.Errorf("%s", got[len(before):])
	}
	if err := os.WriteFile(path, []byte("no place"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&table{}).into(path); err == nil {
		t.Error("no error without a place for the table")
	}
}
