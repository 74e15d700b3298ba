package main

import (
	"encoding/json"
	"fmt"
	"image/color"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// auditFigure is what make audit-scale measures with one size of the database (endpoints/audit/internal/store/postgres).
type auditFigure struct {
	Events, Bytes int64
	P50, P99      map[string]float64 // ms that a question takes
}

// drawn are the questions of the plot: the table has all of them.
var drawn = []struct {
	question string
	color    color.Color
}{
	{"list, first view", color.RGBA{0x1f, 0x77, 0xb4, 0xff}},
	{"list, a user", color.RGBA{0xff, 0x7f, 0x0e, 0xff}},
	{"list, a whole Pod's name", color.RGBA{0xd6, 0x27, 0x28, 0xff}},
	{"one event", color.RGBA{0x94, 0x67, 0xbd, 0xff}},
	{"charts, a day", color.RGBA{0x2c, 0xa0, 0x2c, 0xff}},
	{"charts, all", color.RGBA{0x8c, 0x56, 0x4b, 0xff}},
}

// auditScale draws the figures in a file into folder, and writes them as a table into the document.
func auditScale(data, folder, document string) error {
	text, err := os.ReadFile(data)
	if err != nil {
		return err
	}
	var all []auditFigure
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	if len(all) == 0 {
		return fmt.Errorf("%s has no figures", data)
	}
	p := logarithmic("events", "ms")
	p.Title.Text = "Time of a question, 99th percentile"
	for _, d := range drawn {
		var points plotter.XYs
		for _, f := range all {
			points = append(points, plotter.XY{X: float64(f.Events), Y: f.P99[d.question]})
		}
		if err := add(p, d.question, d.color, points); err != nil {
			return err
		}
	}
	p.Y.Max *= 30 // room for the legend
	if err := p.Save(18*vg.Centimeter, 10*vg.Centimeter, filepath.Join(folder, "audit-scale.svg")); err != nil {
		return err
	}
	return between(document, "<!-- make audit-scale writes from here -->\n", auditTable(all))
}

func auditTable(all []auditFigure) string {
	var b strings.Builder
	row := func(name string, of func(auditFigure) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, f := range all {
			fmt.Fprintf(&b, " %s |", of(f))
		}
		b.WriteString("\n")
	}
	row("", func(f auditFigure) string { return thousands(int(f.Events)) + " events" })
	b.WriteString("|---|" + strings.Repeat("---|", len(all)) + "\n")
	for _, question := range slices.Sorted(maps.Keys(all[0].P50)) {
		row(question, func(f auditFigure) string {
			return short(f.P50[question]) + " / " + short(f.P99[question]) + " ms"
		})
	}
	row("on the disk", func(f auditFigure) string { return fmt.Sprintf("%.1f GB", float64(f.Bytes)/1e9) })
	row("on the disk, an event", func(f auditFigure) string { return fmt.Sprintf("%d bytes", f.Bytes/f.Events) })
	return b.String()
}

// short writes milliseconds with two figures or more.
func short(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f", ms)
	}
	return thousands(int(ms + 0.5))
}
