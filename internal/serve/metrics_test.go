package serve

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestExposition reads amp's metrics as a scraper does.
func TestExposition(t *testing.T) {
	registry := newRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "amp_test_total", Help: "A test's."}, []string{"host"})
	counter.WithLabelValues("a\n\"b").Add(3)
	registry.MustRegister(counter)
	w := httptest.NewRecorder()
	exposition(registry)(w, httptest.NewRequest("GET", "/metrics", nil))

	format := expfmt.ResponseFormat(w.Header())
	if w.Code != http.StatusOK || format.FormatType() != expfmt.TypeTextPlain {
		t.Fatalf("%d, %s", w.Code, w.Header())
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	own := families["amp_test_total"].GetMetric()
	if len(own) != 1 || own[0].GetCounter().GetValue() != 3 || own[0].GetLabel()[0].GetValue() != "a\n\"b" {
		t.Errorf("%v", own)
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

// broken is a collector whose metric cannot be gathered.
type broken struct{ *prometheus.Desc }

func (b broken) Describe(descs chan<- *prometheus.Desc) { descs <- b.Desc }

func (b broken) Collect(metrics chan<- prometheus.Metric) {
	metrics <- prometheus.NewInvalidMetric(b.Desc, errors.New("no"))
}

func TestExpositionFails(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(broken{prometheus.NewDesc("amp_test", "A test's.", nil, nil)})
	w := httptest.NewRecorder()
	exposition(registry)(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "gathering metrics: ") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
