package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/txn2/amp/internal/review"
)

// Report is a result for people and for scripts. Times are in milliseconds.
type Report struct {
	Endpoint  string  `json:"endpoint"` // without userinfo and query
	Seconds   float64 `json:"seconds"`
	Requests  int     `json:"requests"`
	PerSecond float64 `json:"perSecond"`
	Denied    int     `json:"denied"`
	P50MS     float64 `json:"p50Ms"`
	P90MS     float64 `json:"p90Ms"`
	P99MS     float64 `json:"p99Ms"`
	MaxMS     float64 `json:"maxMs"`
	BudgetMS  float64 `json:"budgetMs"`
	// P50Share and P99Share are parts of the budget: 1 is all of it.
	P50Share  float64  `json:"p50Share"`
	P99Share  float64  `json:"p99Share"`
	Errors    []Errors `json:"errors"`
	Histogram []Bin    `json:"histogram"`
}

// Errors are the failed calls of one kind.
type Errors struct {
	Kind    string `json:"kind"`
	Count   int    `json:"count"`
	Example string `json:"example"`
}

// Bin counts the answers that took at most UpToMS, and longer than the bin before.
type Bin struct {
	UpToMS float64 `json:"upToMs"`
	Count  int     `json:"count"`
}

// NewReport puts a result into words and numbers.
func NewReport(endpoint review.Endpoint, r *Result, budget time.Duration) *Report {
	out := &Report{
		Endpoint: endpoint.Name, Seconds: r.Took.Seconds(), Requests: len(r.Times) + r.Failed(), Denied: r.Refused, BudgetMS: ms(budget),
		P50MS: ms(r.Percentile(50)), P90MS: ms(r.Percentile(90)), P99MS: ms(r.Percentile(99)), MaxMS: ms(r.Percentile(100)),
		P50Share: float64(r.Percentile(50)) / float64(budget), P99Share: float64(r.Percentile(99)) / float64(budget),
		Errors: []Errors{}, Histogram: bins(r.Times),
	}
	out.PerSecond = float64(out.Requests) / out.Seconds
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		out.Errors = append(out.Errors, Errors{string(kind), r.Errors[kind].Count, r.Errors[kind].Example})
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// bins counts sorted times. Each bin is twice as wide as the one before, because latencies spread over powers.
func bins(times []time.Duration) []Bin {
	all := []Bin{}
	if len(times) == 0 {
		return all
	}
	upTo := 100 * time.Microsecond
	for upTo < times[0] {
		upTo *= 2
	}
	for i := 0; i < len(times); upTo *= 2 {
		n := 0
		for ; i < len(times) && times[i] <= upTo; i++ {
			n++
		}
		all = append(all, Bin{ms(upTo), n})
	}
	return all
}

// barWidth is how many characters the longest bar has.
const barWidth = 50

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d requests in %.1f s, each a dry run\n\n", r.Endpoint, r.Requests, r.Seconds)
	fmt.Fprintf(&b, "%10s %10s %10s %10s %10s\n", "req/s", "p50", "p90", "p99", "max")
	fmt.Fprintf(&b, "%10.0f %7.2f ms %7.2f ms %7.2f ms %7.2f ms\n\n", r.PerSecond, r.P50MS, r.P90MS, r.P99MS, r.MaxMS)
	fmt.Fprintf(&b, "of a namespace's budget of %.0f ms the endpoint takes %.1f %% (p50), %.1f %% (p99)\n", r.BudgetMS, 100*r.P50Share, 100*r.P99Share)
	most := 1
	for _, bin := range r.Histogram {
		most = max(most, bin.Count)
	}
	if len(r.Histogram) > 0 {
		b.WriteByte('\n')
	}
	for _, bin := range r.Histogram {
		width := bin.Count * barWidth / most
		if bin.Count > 0 {
			width = max(width, 1)
		}
		fmt.Fprintf(&b, "%12s %9d %s\n", "<= "+time.Duration(bin.UpToMS*1e6).String(), bin.Count, strings.Repeat("█", width))
	}
	if r.Denied > 0 {
		fmt.Fprintf(&b, "\n%d answers are denials\n", r.Denied)
	}
	for _, e := range r.Errors {
		fmt.Fprintf(&b, "\nERROR  %d calls failed (%s), for example: %s\n", e.Count, e.Kind, e.Example)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
