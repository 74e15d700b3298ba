package soak

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/test/e2e/stress"
)

// sample is what the replica aside held and did at a time.
type sample struct {
	at time.Duration
	stress.Use
	rate float64 // reviews a second of the good tenant, since the last sample
	p99  time.Duration
}

// mark is a fault on the plot.
type mark struct {
	from, to time.Duration
	name     string
}

// measures are what is plotted and put into the table. Those with a slack must be flat.
var measures = []struct {
	name  string
	of    func(sample) float64
	slack float64 // that the last quarter may be above the second one, beside a quarter
}{
	{"RSS, MiB", func(s sample) float64 { return s.RSS / (1 << 20) }, 16},
	{"live heap, MiB", func(s sample) float64 { return s.Live / (1 << 20) }, 16},
	{"goroutines", func(s sample) float64 { return s.Goroutines }, 40},
	{"descriptors", func(s sample) float64 { return s.Descriptors }, 20},
	{"reviews a second", func(s sample) float64 { return s.rate }, 0},
	{"p99, ms", func(s sample) float64 { return float64(s.p99.Microseconds()) / 1000 }, 0},
}

func quarter(samples []sample, n int, of func(sample) float64) float64 {
	var values []float64
	for _, s := range samples[len(samples)*(n-1)/4 : len(samples)*n/4] {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// flat says what has grown: of what must be flat, the median in the last quarter of the time is above that in the second
// quarter by more than a quarter and the slack. The median does not see floods and faults, which are short. The first
// quarter is left out: pools and heap grow to their size in it.
func flat(samples []sample) (grown []error) {
	if len(samples) < 40 {
		return []error{fmt.Errorf("%d samples are too few to judge by", len(samples))}
	}
	for _, m := range measures {
		second, last := quarter(samples, 2, m.of), quarter(samples, 4, m.of)
		if limit := second*1.25 + m.slack; m.slack > 0 && last > limit {
			grown = append(grown, fmt.Errorf("%s: the median was %.1f in the second quarter and %.1f in the last, more than %.1f", m.name, second, last, limit))
		}
	}
	return grown
}

func TestFlat(t *testing.T) {
	series := func(rss, goroutines, descriptors func(i int) float64) (all []sample) {
		for i := range 400 {
			all = append(all, sample{Use: stress.Use{RSS: rss(i) * (1 << 20), Goroutines: goroutines(i), Descriptors: descriptors(i)}})
		}
		return all
	}
	level := func(v float64) func(int) float64 {
		return func(i int) float64 { return v + float64(i%7) }
	}
	spikes := func(i int) float64 {
		if i%4 == 0 {
			return 5000
		}
		return 60
	}
	for what, test := range map[string]struct {
		samples []sample
		grown   int
	}{
		"level, with noise":           {series(level(40), level(60), level(30)), 0},
		"short spikes":                {series(spikes, spikes, spikes), 0},
		"growth in the first quarter": {series(func(i int) float64 { return min(float64(i), 100) }, level(60), level(30)), 0},
		"a leak of memory":            {series(func(i int) float64 { return 40 + 0.2*float64(i) }, level(60), level(30)), 1},
		"a goroutine a sample":        {series(level(40), func(i int) float64 { return 60 + float64(i) }, level(30)), 1},
		"a connection a sample":       {series(level(40), func(i int) float64 { return 60 + 2*float64(i) }, func(i int) float64 { return 30 + float64(i) }), 2},
		"too little":                  {series(level(1), level(1), level(1))[:10], 1},
	} {
		if grown := flat(test.samples); len(grown) != test.grown {
			t.Errorf("%s: %v", what, grown)
		}
	}
}

// table is the figures, as Markdown.
func table(samples []sample, c counts, o *others, rate, most float64, faults int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | median, 1st quarter | 2nd | 3rd | 4th | most |\n|---|---|---|---|---|---|\n")
	if len(samples) >= 4 {
		for _, m := range measures {
			fmt.Fprintf(&b, "| %s |", m.name)
			for n := range 4 {
				fmt.Fprintf(&b, " %.1f |", quarter(samples, n+1, m.of))
			}
			top := m.of(slices.MaxFunc(samples, func(x, y sample) int { return int(m.of(x) - m.of(y)) }))
			fmt.Fprintf(&b, " %.1f |\n", top)
		}
	}
	fmt.Fprintf(&b, `
- amp answered %.0f reviews a second at the start; %.0f a second were due: %d sent, %d of them answered with a patch, %d
  not sent because %d were in flight
- %d faults; %d Pods created by way of the API server, %d not
- %d reviews of bad tenants, %d in floods, %d big Pods, %d requests that are no reviews
`, most, rate, c.sent, c.patched, c.missed, workers, faults, o.created.Load(), o.uncreated.Load(),
		o.asked.Load(), o.floods.Load(), o.big.Load(), o.nonsense.Load())
	return b.String()
}

// plot draws the measures over time, one below the other, with the faults behind them.
func plot(samples []sample, marks []mark, length time.Duration) string {
	const width, height, left, gap = 900, 110, 90, 40
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		left+width+20, len(measures)*(height+gap)+20)
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="white"/>`)
	x := func(at time.Duration) float64 { return left + width*min(1, at.Seconds()/length.Seconds()) }
	for n, m := range measures {
		top := float64(n*(height+gap) + 25)
		most := 1.0
		for _, s := range samples {
			most = max(most, m.of(s))
		}
		for _, f := range marks {
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.0f" width="%.1f" height="%d" fill="#fdd"><title>%s</title></rect>`+"\n",
				x(f.from), top, max(1, x(f.to)-x(f.from)), height, f.name)
		}
		fmt.Fprintf(&b, `<text x="%d" y="%.0f">%s</text><text x="%d" y="%.0f" text-anchor="end">%.0f</text><text x="%d" y="%.0f" text-anchor="end">0</text>`+"\n",
			left, top-6, m.name, left-6, top+10, most, left-6, top+height)
		fmt.Fprintf(&b, `<path d="M%d %.0fv%dh%d" fill="none" stroke="#888"/>`+"\n", left, top, height, width)
		var points strings.Builder
		for _, s := range samples {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(s.at), top+height*(1-m.of(s)/most))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="#236" stroke-width="1.2"/>`+"\n", strings.TrimSpace(points.String()))
	}
	for n := range 5 {
		at := length * time.Duration(n) / 4
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="middle">%v</text>`+"\n", x(at), len(measures)*(height+gap)+10, at.Round(time.Second))
	}
	fmt.Fprintln(&b, "</svg>")
	return b.String()
}
