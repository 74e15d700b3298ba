package doctor

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/txn2/amp/internal/emit"
)

// metricsOf are the metrics of a replica with these circuits open, as amp writes them.
func metricsOf(t *testing.T, open ...string) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	metrics := emit.NewMetrics(registry, "v1.0.0", func() int64 { return 0 })
	metrics.CircuitChanged("closed.again.svc", true)
	metrics.CircuitChanged("closed.again.svc", false)
	for _, host := range open {
		metrics.CircuitChanged(host, true)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

func TestOpenCircuit(t *testing.T) {
	const is = "http://hook.hooks.svc/mutate: its circuit is open at "
	const does = ": amp does not call it, because it did not answer of late, and decides its reviews by the failure policy"
	for name, test := range map[string]struct {
		change  func(*api)
		message string // empty: no finding
	}{
		"at one replica": {func(a *api) {
			a.proxied["http:amp-1:2112/metrics"], a.proxied["http:amp-2:2112/metrics"] = metricsOf(t), metricsOf(t, "hook.hooks.svc")
		}, is + "1 of 2 replicas (amp-2)" + does},
		"at both": {func(a *api) {
			a.proxied["http:amp-1:2112/metrics"], a.proxied["http:amp-2:2112/metrics"] = metricsOf(t, "hook.hooks.svc", "x"), metricsOf(t, "hook.hooks.svc")
		}, is + "2 of 2 replicas (amp-1, amp-2)" + does},
		"at one, and the other does not answer": {func(a *api) {
			a.proxied["http:amp-1:2112/metrics"] = metricsOf(t, "hook.hooks.svc")
		}, is + "1 of 1 replica (amp-1)" + does},
		"on another port": {func(a *api) {
			a.configMaps["amp"]["AMP_METRICS_ADDR"] = ":9999"
			a.proxied["http:amp-1:9999/metrics"] = metricsOf(t, "hook.hooks.svc")
		}, is + "1 of 1 replica (amp-1)" + does},
		"of another endpoint": {func(a *api) {
			a.proxied["http:amp-1:2112/metrics"] = metricsOf(t, "hook.hooks.svc:8080", "other")
		}, ""},
		"there are no metrics": {func(a *api) {
			a.configMaps["amp"]["AMP_METRICS_ADDR"] = "off"
			a.proxied["http:amp-1:2112/metrics"] = metricsOf(t, "hook.hooks.svc")
		}, ""},
		"they cannot be read": {func(*api) {}, ""},
		"they are another's": {func(a *api) {
			a.proxied["http:amp-1:2112/metrics"] = "amp_endpoint_circuit_open{host=\"hook.hooks.svc\"} 1\n"
		}, ""},
		"they are not metrics": {func(a *api) { a.proxied["http:amp-1:2112/metrics"] = "<html>" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			test.change(a)
			a.dryRun = answer(http.StatusCreated, "amp: dry run, mutate: mutated, operations: 1")
			report, err := a.report(t)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(report.Checks, func(f Finding) bool { return f.ID == "circuit" })
			if i < 0 {
				if test.message != "" {
					t.Error("no finding")
				}
				return
			}
			f := report.Checks[i]
			if f.Message != test.message || f.Status != Warning || f.Namespace != "team-a" || f.Subject != "http://hook.hooks.svc/mutate" ||
				!strings.HasPrefix(f.Remedy, "mend the endpoint: ") || !strings.Contains(f.Remedy, "kubectl -n amp-system logs amp-") {
				t.Errorf("%+v", f)
			}
		})
	}
}
