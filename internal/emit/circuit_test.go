package emit

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/review"
)

const circuitHeader = `
# HELP amp_endpoint_circuit_open 1 while a circuit of the host is open: amp does not call the endpoint. 0 once it has closed.
# TYPE amp_endpoint_circuit_open gauge
`

// counted is a Recorder with its metrics.
func counted() (*Recorder, *prometheus.Registry) {
	reg := prometheus.NewPedanticRegistry()
	return &Recorder{Metrics: NewMetrics(reg, "v1", func() int64 { return 0 }), Log: slog.New(slog.DiscardHandler)}, reg
}

func TestCircuitMetric(t *testing.T) {
	recorder, reg := counted()
	want := func(lines string) {
		t.Helper()
		if err := testutil.GatherAndCompare(reg, strings.NewReader(circuitHeader+lines), "amp_endpoint_circuit_open"); err != nil {
			t.Error(err)
		}
	}
	change := recorder.Metrics.CircuitChanged
	if n, err := testutil.GatherAndCount(reg, "amp_endpoint_circuit_open"); n != 0 || err != nil {
		t.Errorf("%d series (%v) without a circuit", n, err)
	}
	change("hook", true)  // of http
	change("hook", true)  // of https
	change("hook", false) // one of the two
	change("other-hook", true)
	change("other-hook", false)
	want("amp_endpoint_circuit_open{host=\"hook\"} 1\namp_endpoint_circuit_open{host=\"other-hook\"} 0\n")

	for i := range 300 {
		change(fmt.Sprintf("hook-%d", i), true)
	}
	for i := range 299 {
		change(fmt.Sprintf("hook-%d", i), false)
	}
	if n, err := testutil.GatherAndCount(reg, "amp_endpoint_circuit_open"); n != 201 || err != nil {
		t.Errorf("%d series (%v), want 200 hosts and other", n, err)
	}
	open := func() float64 { return testutil.ToFloat64(recorder.Metrics.circuitOpen.WithLabelValues(otherHost)) }
	if open() != 1 {
		t.Error("other is 0 while one of its circuits is open")
	}
	if change("hook-299", false); open() != 0 {
		t.Error("other is 1 although all of its circuits have closed")
	}
}

// An endpoint that was not called counts as a failure, and not as time that an endpoint took. It takes no label.
func TestCallsThatTheCircuitPrevents(t *testing.T) {
	recorder, reg := counted()
	rec := aMutation(t)
	step := &rec.Run.Steps[0]
	step.Result, step.Status, step.Ops = review.ResultCircuit, 0, nil
	step.Err = &review.Failure{Result: review.ResultCircuit, Cause: "not called: its circuit is open since 14:05:03Z"}
	rec = review.NewRecord(rec.Review, rec.Plan, review.Run{Steps: rec.Run.Steps[:1]}, rec.Time)
	recorder.Record(t.Context(), rec)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP amp_endpoint_requests_total Calls of endpoints, by host and result; all but ok and refused are failures.
# TYPE amp_endpoint_requests_total counter
amp_endpoint_requests_total{host="other",result="circuit"} 1
`), "amp_endpoint_requests_total", "amp_endpoint_request_duration_seconds"); err != nil {
		t.Error(err)
	}

	rec.Plan.Event, rec.Plan.Level = "uid-1", review.LevelPatch
	e, err := newEvent(rec, aSource, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkEvent(t, e)
	var data events.Data
	if err := e.DataAs(&data); err != nil {
		t.Fatal(err)
	}
	if got := data.Endpoints[0]; got.Error != "not called: its circuit is open since 14:05:03Z" || got.Status != 0 || got.Ops != 0 {
		t.Errorf("the event shows %+v", got)
	}
}
