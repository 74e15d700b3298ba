package main

import (
	"fmt"
	"slices"
	"time"
)

// usage is what a process has used.
type usage struct {
	cpu           time.Duration
	allocs, bytes float64
}

func (u usage) minus(v usage) usage {
	return usage{u.cpu - v.cpu, u.allocs - v.allocs, u.bytes - v.bytes}
}

func (p *process) usage() (usage, error) {
	allocs, err := p.metric("go_memstats_mallocs_total")
	if err != nil {
		return usage{}, err
	}
	bytes, err := p.metric("go_memstats_alloc_bytes_total")
	return usage{cpu(p.cmd.Process.Pid), allocs, bytes}, err
}

// sample is one round of one side.
type sample struct {
	report
	used usage // by the server
}

func (s sample) rate() float64   { return float64(s.Counted) / s.Seconds }
func (s sample) cost() float64   { return float64(s.used.cpu.Microseconds()) / float64(s.Total) }
func (s sample) allocs() float64 { return s.used.allocs / float64(s.Total) }
func (s sample) bytes() float64  { return s.used.bytes / float64(s.Total) }

// alternate runs the sides in turns, in another order each time, so that whatever else the machine does slows all of
// them alike. The result has the rounds of each side.
func alternate[T any](rounds int, sides ...func() (T, error)) ([][]T, error) {
	all := make([][]T, len(sides))
	for round := range rounds {
		for i := range sides {
			side := (i + round) % len(sides)
			s, err := sides[side]()
			if err != nil {
				return nil, err
			}
			all[side] = append(all[side], s)
		}
	}
	return all, nil
}

// ratios are a value of one side through that of the other, round by round.
func ratios[T any](a, b []T, of func(T) float64) []float64 {
	all := make([]float64, len(a))
	for i := range a {
		all[i] = of(a[i]) / of(b[i])
	}
	return all
}

func values[T any](rounds []T, of func(T) float64) []float64 {
	all := make([]float64, len(rounds))
	for i := range rounds {
		all[i] = of(rounds[i])
	}
	return all
}

// beside shows the medians of two sides.
func beside[T any](rounds [][]T, of func(T) float64, format string) string {
	return fmt.Sprintf(format+" and "+format, median(values(rounds[0], of)), median(values(rounds[1], of)))
}

func total(rounds []sample) (n float64) {
	for _, s := range rounds {
		n += float64(s.Total)
	}
	return n
}

func median(all []float64) float64 { return quantile(all, 0.5) }

// quantile is the value below which so many of all lie, 0 ≤ share ≤ 1.
func quantile(all []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	at := share * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// row is one line of the table.
type row struct {
	Group  string
	Name   string
	Unit   string `json:",omitempty"` // empty: a ratio
	Goal   goal   `json:",omitzero"`  // the zero value: there is none
	Values []float64
	Note   string `json:",omitempty"` // the figures of the two sides, which depend on the machine
}

func (r row) key() string { return r.Group + ": " + r.Name }

// spread is the range of the middle half of the rounds, and the median.
func (r row) spread() (low, mid, high float64) {
	return quantile(r.Values, 0.25), median(r.Values), quantile(r.Values, 0.75)
}

func (r row) String() string { return r.key() + " " + r.measured() + " " + r.verdict() }

// measured shows the median, and the range of the middle half of the rounds.
func (r row) measured() string {
	low, mid, high := r.spread()
	digits := "%.2f"
	if r.Unit != "" && high >= 100 {
		digits = "%.0f"
	}
	text := fmt.Sprintf(digits, mid)
	if len(r.Values) > 1 {
		text += fmt.Sprintf(" ("+digits+"–"+digits+")", low, high)
	}
	if r.Unit != "" {
		text += " " + r.Unit
	}
	return text
}

func (r row) verdict() string {
	_, mid, _ := r.spread()
	switch {
	case r.Goal == goal{}:
		return ""
	case r.Goal.met(mid):
		return "met"
	}
	return "**not met**"
}

// goal is a bound of a row's median.
type goal struct {
	Bound  string
	Number float64
}

func atLeast(n float64) goal { return goal{"≥", n} }
func atMost(n float64) goal  { return goal{"≤", n} }

func (g goal) met(n float64) bool {
	if g.Bound == "≥" {
		return n >= g.Number
	}
	return n <= g.Number
}

func (g goal) String() string {
	if g == (goal{}) {
		return ""
	}
	return fmt.Sprintf("%s %v", g.Bound, g.Number)
}
