package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// curve shows how the cost of a review grows with one thing.
type curve struct {
	file   string // of the plot, without .svg
	title  string
	x      string // what the axis counts
	points []point
}

// point is one measurement of a curve, with an amp of its own.
type point struct {
	at float64
	setting
	cost float64 // of a review: µs of amp's CPU
	p50  float64 // ms until the answer
	heap float64 // bytes allocated for a review
	peak float64 // MiB of RSS at the peak
}

// alone is the setting of the curves: with one caller, nothing waits for anything else.
var alone = centre.with("alone", func(s *setting) { s.callers = 1 })

// curves are all of them. Each ends where a bound of amp begins, or past what clusters have.
func curves() []*curve {
	along := func(c curve, change func(*setting, int), at ...int) *curve {
		for _, n := range at {
			c.points = append(c.points, point{at: float64(n), setting: alone.with(fmt.Sprintf("%s %d", c.file, n), func(s *setting) { change(s, n) })})
		}
		return &c
	}
	return []*curve{
		along(curve{file: "pod-size", title: "Size of the Pod", x: "KB"}, func(s *setting, n int) { s.pod = n * 1000 }, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
		along(curve{file: "operations", title: "Operations of the patch", x: "operations"}, func(s *setting, n int) { s.ops = n }, 1, 3, 12, 50, 100, 200, 400, 800, 1600),
		along(curve{file: "chain", title: "Endpoints in a chain, each with one operation", x: "endpoints"}, func(s *setting, n int) { s.chain, s.endpoints, s.ops = n, n, 1 }, 1, 2, 4, 8, 16),
		along(curve{file: "namespaces", title: "Namespaces", x: "namespaces"}, func(s *setting, n int) { s.namespaces = n }, 1, 10, 100, 1000, 10_000),
		along(curve{file: "callers", title: "Callers at the same time", x: "callers"}, func(s *setting, n int) { s.callers = n }, 1, 2, 4, 8, 16, 32, 64, 128, 256),
		along(curve{file: "endpoints", title: "Different endpoints", x: "endpoints"}, func(s *setting, n int) { s.namespaces, s.endpoints = n, n }, 1, 10, 50, 100, 200, 400, 800),
	}
}

// plots measures the curves. It writes a plot of each into the folder, and their figures as a table into the document, if it
// is not empty.
func (b *bench) plots(folder, document string) error {
	b.rounds = 3
	all := curves()
	for _, c := range all {
		for i := range c.points {
			if err := b.measure(&c.points[i]); err != nil {
				return fmt.Errorf("%s %v: %w", c.file, c.points[i].at, err)
			}
			fmt.Fprintln(os.Stderr, c.title, c.points[i])
		}
		if err := c.draw(filepath.Join(folder, c.file+".svg")); err != nil {
			return err
		}
	}
	if document == "" {
		return nil
	}
	b.table.Machine += "; load average at the end " + loadAverage()
	return between(document, "<!-- make curves writes from here -->\n", figures(b.table.Machine, all))
}

func (b *bench) measure(p *point) error {
	started := len(b.running)
	defer func() {
		for _, p := range b.running[started:] {
			p.stop()
		}
	}()
	_, amp, err := b.pair(p.setting)
	if err != nil {
		return err
	}
	var rounds []sample
	side := b.side(amp, p.setting)
	for range b.rounds {
		s, err := side()
		if err != nil {
			return err
		}
		rounds = append(rounds, s)
	}
	p.cost, p.heap = median(values(rounds, sample.cost)), median(values(rounds, sample.bytes))
	p.p50 = median(values(rounds, func(s sample) float64 { return s.P50 }))
	p.peak, err = peakRSS(amp.cmd.Process.Pid)
	return err
}

func (p point) String() string {
	return fmt.Sprintf("%g: %.0f µs of CPU, %.2f ms until the answer, %.0f KB allocated, %.0f MiB RSS at the peak", p.at, p.cost, p.p50, p.heap/1000, p.peak)
}

// figures is the table of all curves.
func figures(machine string, all []*curve) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s.\n", machine)
	for _, c := range all {
		fmt.Fprintf(&b, "\n### %s\n\n![%s](pictures/%s.svg)\n\n| %s | CPU of a review | until the answer, median | allocated for a review | RSS at the peak |\n|---|---|---|---|---|\n", c.title, c.title, c.file, c.x)
		for _, p := range c.points {
			fmt.Fprintf(&b, "| %s | %.0f µs | %s | %.0f KB | %.0f MiB |\n", thousands(int(p.at)), p.cost, time.Duration(p.p50*float64(time.Millisecond)).Round(10*time.Microsecond), p.heap/1000, p.peak)
		}
	}
	return b.String()
}

// thousands writes n with a comma before each three digits.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
