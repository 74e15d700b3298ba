package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/txn2/amp/test/e2e/harness"
)

// The bound of amp's queue.
const queued = 1024

func TestAsyncWhileTheSinkIsDown(t *testing.T) {
	w := anyWorld(t)
	sink := harness.NewSink(t)
	amp := w.With(t, "K_SINK="+sink.URL)
	ns := w.Namespace(t, harness.Enabled(harness.Serve(t, harness.Labels("changed", "yes")).URL))
	sink.Down()
	const beyond = 50
	stamps := map[string]bool{}
	for _, id := range ns.Many(queued + beyond) {
		stamps[id] = true
	}
	if len(stamps) != queued+beyond || stamps[""] {
		t.Fatalf("there are %d different stamps", len(stamps))
	}
	amp.Counts(t, "amp_events_queue", queued)
	amp.Counts(t, `amp_events_total{result="dropped"}`, beyond)
	lines, err := amp.Logged("msg", "event dropped")
	if err != nil {
		t.Fatal(err)
	}
	dropped := map[string]bool{}
	for _, l := range lines {
		id, _ := l["event"].(string)
		if dropped[id] || !stamps[id] {
			t.Errorf("the log says that %q was dropped", id)
		}
		dropped[id] = true
	}
	if len(dropped) != beyond {
		t.Errorf("the log names %d that were dropped", len(dropped))
	}

	sink.Up()
	amp.Counts(t, "amp_events_queue", 0)
	amp.Counts(t, `amp_events_total{result="delivered"}`, queued)
	for _, e := range sink.Of(ns.Name) {
		if dropped[e.ID] {
			t.Errorf("%s was dropped, and delivered", e.ID)
		}
		delete(stamps, e.ID)
	}
	maps.DeleteFunc(stamps, func(id string, _ bool) bool { return dropped[id] })
	if len(stamps) > 0 {
		t.Errorf("%d events were neither delivered nor dropped", len(stamps))
	}
}

func TestAsyncLosesNothingOnSIGTERM(t *testing.T) {
	w := anyWorld(t)
	sink := harness.NewSink(t)
	amp := w.With(t, "K_SINK="+sink.URL)
	ns := w.Namespace(t, harness.Enabled(harness.Serve(t, harness.Labels("changed", "yes")).URL))
	// The sink asks for a minute without requests. amp keeps all events until it must end.
	sink.Answers(func(_ harness.Event, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	const many = 200
	stamps := ns.Many(many)
	amp.Counts(t, "amp_events_queue", many)
	refused := len(sink.Events())
	sink.Answers(nil)

	if err := amp.Stop(); err != nil {
		t.Error(err)
	}
	have := map[string]bool{}
	for _, e := range sink.Events()[refused:] {
		have[e.ID] = true
	}
	for _, id := range stamps {
		if !have[id] {
			t.Errorf("event %s is lost", id)
		}
	}
	if refused == 0 || refused > many/2 {
		t.Errorf("amp sent %d events to a sink that asked for peace, where those under way were expected", refused)
	}
}

// TestSinkThatIsBusy checks what amp counts if a sink asks it to wait, and if a sink will never accept an event.
func TestSinkThatIsBusy(t *testing.T) {
	w := anyWorld(t)
	sink := harness.NewSink(t)
	amp := w.With(t, "K_SINK="+sink.URL)
	ns := w.Namespace(t, harness.Enabled(harness.Serve(t, harness.Labels("changed", "yes")).URL))
	var again atomic.Bool
	sink.Answers(func(e harness.Event, w http.ResponseWriter, _ *http.Request) {
		switch {
		case e.Data.Pod.Name == "never":
			w.WriteHeader(http.StatusBadRequest)
		case again.CompareAndSwap(false, true):
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	})
	id := ns.MustCreate(harness.Pod("later")).Annotations[stamp]
	amp.Counts(t, `amp_events_total{result="delivered"}`, 1)
	if all := sink.Of(ns.Name); len(all) != 2 || all[0].ID != id || all[1].ID != id || all[0].Raw != all[1].Raw {
		t.Errorf("the sink has %+v", all)
	}
	amp.Counts(t, `amp_events_total{result="retried"}`, 1)

	never := ns.MustCreate(harness.Pod("never")).Annotations[stamp]
	amp.Counts(t, `amp_events_total{result="dropped"}`, 1)
	harness.Eventually(t, "the log names it", func(context.Context) error {
		lines, err := amp.Logged("event", never)
		if err != nil || !slices.ContainsFunc(lines, func(l harness.LogLine) bool { return l["msg"] == "event dropped" }) {
			return fmt.Errorf("it has %v: %v", lines, err)
		}
		return nil
	})
	if tries := len(sink.Of(ns.Name)) - 2; tries != 1 {
		t.Errorf("an event that the sink will never take was sent %d times", tries)
	}
}
