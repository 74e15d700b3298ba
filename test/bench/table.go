package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// table is the result of a run.
type table struct {
	Machine string
	Rows    []row
}

// The table stands between these lines of the document.
const (
	begin = "<!-- make bench writes from here -->\n"
	end   = "<!-- to here -->\n"
)

func (t *table) print(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Measured on %s.\n", t.Machine)
	done := map[string]bool{}
	for _, first := range t.Rows {
		if done[first.Group] {
			continue
		}
		done[first.Group] = true
		fmt.Fprintf(&b, "\n### %s\n\n| | median (middle half) | goal | | amp, and the other |\n|---|---|---|---|---|\n", first.Group)
		for _, r := range t.Rows {
			if r.Group == first.Group {
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.Name, r.measured(), r.Goal, r.verdict(), r.Note)
			}
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// into replaces the table of a document.
func (t *table) into(path string) error {
	var b bytes.Buffer
	if err := t.print(&b); err != nil {
		return err
	}
	return between(path, begin, b.String())
}

// between replaces what a document has from the line begin to the next line end.
func between(path, begin, text string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(document), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s does not have the lines %q and %q", path, begin, end)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+text+"\n"+end+after), 0o644)
}

func (t *table) save(path string) error {
	text, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, append(text, '\n'), 0o644))
}

// compareFiles shows two runs side by side. Rows agree if the ranges of the middle half of their
// rounds overlap.
func compareFiles(paths []string) error {
	if len(paths) != 2 {
		return errors.New("expected two files: -compare before.json after.json")
	}
	var runs [2]table
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &runs[i]); err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
	}
	second := map[string]row{}
	for _, r := range runs[1].Rows {
		second[r.key()] = r
	}
	for _, a := range runs[0].Rows {
		b, ok := second[a.key()]
		if !ok {
			fmt.Printf("%-100s only in %s\n", a.key(), paths[0])
			continue
		}
		low, _, high := a.spread()
		low2, _, high2 := b.spread()
		agree := "agree"
		if low > high2 || low2 > high {
			agree = "DIFFER"
		}
		fmt.Printf("%-100s %-24s %-24s %s\n", a.key(), a.measured(), b.measured(), agree)
	}
	return nil
}

// machine says where and when.
func machine() string {
	model := "an unknown processor"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	commit, _ := exec.Command("git", "describe", "--always", "--dirty").Output()
	return fmt.Sprintf("%s: %d × %s, %s/%s, %s, amp at %s; load average at the start %s", time.Now().UTC().Format("2006-01-02 15:04 MST"),
		runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version(), strings.TrimSpace(string(commit)), loadAverage())
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
