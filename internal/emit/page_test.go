package emit_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/txn2/amp/internal/emit"
)

// described collects the names of metrics, also of those that have no series yet.
type described struct {
	prometheus.Registerer
	names []string
}

func (d *described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		found := make(chan *prometheus.Desc, 8)
		c.Describe(found)
		close(found)
		for desc := range found {
			d.names = append(d.names, regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(desc.String())[1])
		}
	}
}

// TestMetricsPage compares docs/metrics.md with the code: it has a row for each metric, and for nothing else.
func TestMetricsPage(t *testing.T) {
	d := &described{}
	emit.NewMetrics(d, "v0", func() int64 { return 0 })
	d.MustRegister(emit.NewMemoryMetric(nil), emit.NewCertificateMetric(nil))
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(amp_[a-z_]+)` ").FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, m[1])
	}
	for _, name := range d.names {
		if !slices.Contains(rows, name) {
			t.Errorf("docs/metrics.md has no row for %s", name)
		}
	}
	for _, name := range rows {
		if !slices.Contains(d.names, name) {
			t.Errorf("docs/metrics.md has a row for %s, which is no metric of amp", name)
		}
	}
}
