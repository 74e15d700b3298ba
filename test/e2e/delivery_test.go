package e2e

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/txn2/amp/test/e2e/harness"
)

// anyway accepts any result of a creation: while amp is killed, many fail.
func anyway(harness.Created) error { return nil }

// TestRequiredThroughKills checks the promise of AMP_EVENTS=required: no mutated Pod is stored without its event in
// the sink, whenever amp is killed.
func TestRequiredThroughKills(t *testing.T) {
	w := anyWorld(t)
	sink := harness.NewSink(t)
	environment := []string{"K_SINK=" + sink.URL, "AMP_EVENTS=required", "AMP_EVENTS_SOURCE=" + source}
	amp := w.With(t, environment...)
	endpoint := harness.Serve(t, harness.Labels("changed", "yes")).URL
	strict, lenient := w.Namespace(t, harness.Enabled(endpoint)), w.Namespace(t, harness.Enabled(endpoint, harness.Ignore))

	// The sink takes some time to note an event. It does not note the event of a sender that is gone by then. For
	// every fifth event it notes the event and breaks the connection, so that amp cannot know and sends the event
	// again.
	var before, after atomic.Pointer[func()]
	var count atomic.Int64
	sink.Notes(func(r *http.Request) bool {
		if kill := before.Swap(nil); kill != nil {
			(*kill)()
		}
		select {
		case <-time.After(30 * time.Millisecond):
			return true
		case <-r.Context().Done():
			return false
		}
	})
	sink.Answers(func(_ harness.Event, w http.ResponseWriter, _ *http.Request) {
		if kill := after.Swap(nil); kill != nil {
			(*kill)()
		}
		if count.Add(1)%5 == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusAccepted)
	})

	streams := []*harness.Stream{strict.Stream(anyway), lenient.Stream(anyway)}
	const kills = 10
	for n := range kills {
		for _, s := range streams {
			if err := s.Beyond(10); err != nil {
				t.Fatal(err)
			}
		}
		// The worst moments to kill amp: an event has reached the sink, which has not noted it yet; the sink has
		// noted it, and amp does not know that yet; or any other moment.
		killed, victim := make(chan struct{}), amp
		kill := func() { victim.Kill(); close(killed) }
		switch n % 3 {
		case 0:
			before.Store(&kill)
		case 1:
			after.Store(&kill)
		case 2:
			kill()
		}
		harness.Eventually(t, "an event during which amp is killed", func(context.Context) error {
			select {
			case <-killed:
				return nil
			default:
				return errors.New("none came")
			}
		})
		var err error
		if amp, err = w.StartReplica(environment...); err != nil {
			t.Fatal(err)
		}
	}
	created := 0
	for _, s := range streams {
		if err := s.Beyond(10); err != nil {
			t.Fatal(err)
		}
		done, failed := s.Stop()
		created += done - len(failed)
	}

	at := map[string]harness.Event{}
	duplicates := 0
	for _, e := range sink.Events() {
		key := e.Source + " " + e.ID
		if first, ok := at[key]; ok {
			duplicates++
			if first.Raw != e.Raw {
				t.Errorf("two events with the same source and id differ:\n%s\n%s", first.Raw, e.Raw)
			}
		}
		at[key] = e
	}
	mutated, records := 0, map[string]bool{} // of mutations, by id
	for _, e := range at {
		if e.Data.Outcome == "mutated" {
			records[e.ID] = true
		}
	}
	total := len(records)
	for _, ns := range []*harness.Namespace{strict, lenient} {
		for _, pod := range ns.All() {
			if pod.Labels["changed"] != "yes" {
				if ns == strict {
					t.Errorf("under Fail, %s is stored and not mutated", pod.Name)
				}
				continue
			}
			mutated++
			id := pod.Annotations[stamp]
			if e, ok := at[source+" "+id]; !ok || e.Data.Outcome != "mutated" || e.Subject != ns.Name+"/"+pod.Name {
				t.Errorf("%s/%s is stored mutated with the stamp %q, of which the sink has no such event: %+v", ns.Name, pod.Name, id, e)
			}
			delete(records, id)
		}
	}
	t.Logf("%d kills, %d Pods created, %d of them mutated; %d records of mutations, %d without a stored Pod; %d events came again",
		kills, created, mutated, total, len(records), duplicates)
	if mutated < 100 || duplicates == 0 {
		t.Error("there is too little to judge by")
	}
}

func TestRequired(t *testing.T) {
	w := anyWorld(t)
	sink := harness.NewSink(t)
	amp := w.With(t, "K_SINK="+sink.URL, "AMP_EVENTS=required")
	endpoint := harness.Serve(t, harness.Labels("changed", "yes")).URL
	strict := func(t *testing.T) *harness.Namespace { return w.Namespace(t, harness.Enabled(endpoint)) }
	lenient := func(t *testing.T) *harness.Namespace {
		return w.Namespace(t, harness.Enabled(endpoint, harness.Ignore))
	}
	labelled := harness.Labelled("app", "web")
	told := func(t *testing.T, text, cause string) {
		t.Helper()
		if !strings.Contains(text, "event sink "+sink.URL) || !strings.Contains(text, cause) {
			t.Errorf("the user read: %s\nexpected it to name the event sink and: %s", text, cause)
		}
	}

	t.Run("the sink is down", func(t *testing.T) {
		sink.Down()
		hard, soft := strict(t), lenient(t)
		if c := hard.Create(harness.Pod("web")); c.Err == nil {
			t.Error("under Fail the Pod was created")
		} else {
			told(t, c.Err.Error(), "cannot be reached")
		}
		if hard.Stored("web") != nil {
			t.Error("under Fail the Pod is stored")
		}
		c := soft.MustCreate(harness.Pod("web", labelled))
		asGiven(t, soft, "web")
		if len(c.Warnings) != 1 || utf8.RuneCountInString(c.Warnings[0]) > 256 {
			t.Errorf("under Ignore the user was warned: %q", c.Warnings)
		} else {
			told(t, c.Warnings[0], "cannot be reached")
		}
		w.Namespace(t, harness.Enabled(harness.Serve(t, harness.Answers("[]")).URL)).MustCreate(harness.Pod("unchanged"))

		sink.Up()
		for ns, outcome := range map[*harness.Namespace]string{hard: "rejected", soft: "failedopen"} {
			e := sink.Await("the event of what was answered", func(e harness.Event) bool { return e.Data.Namespace == ns.Name })
			if e.Data.Outcome != outcome || strings.HasSuffix(e.ID, "/final") || !strings.Contains(e.Data.Message, "event sink") {
				t.Errorf("the event is %s", e.Raw)
			}
		}
		amp.Counts(t, "amp_events_queue", 0)
	})

	t.Run("the sink refuses the event", func(t *testing.T) {
		sink.Answers(func(e harness.Event, w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no", http.StatusForbidden)
		})
		defer sink.Answers(nil)
		ns := strict(t)
		c := ns.Create(harness.Pod("web"))
		if c.Err == nil {
			t.Fatal("the Pod was created")
		}
		told(t, c.Err.Error(), "answered 403")
		if mine := sink.Of(ns.Name); len(mine) == 0 || mine[0].Data.Outcome != "mutated" {
			t.Errorf("events are %+v", mine)
		}
		amp.Counts(t, "amp_events_queue", 0)
	})

	t.Run("the sink answers late: another event supersedes the one it has", func(t *testing.T) {
		release := make(chan struct{})
		sink.Answers(func(e harness.Event, w http.ResponseWriter, _ *http.Request) {
			if e.Data.Outcome == "mutated" {
				<-release
			}
			w.WriteHeader(http.StatusAccepted)
		})
		defer sink.Answers(nil)
		defer close(release)
		hard, soft := strict(t), lenient(t)
		c := hard.Create(harness.Pod("web"))
		if c.Err == nil {
			t.Fatal("under Fail the Pod was created")
		}
		told(t, c.Err.Error(), "gave no answer within")
		if hard.Stored("web") != nil {
			t.Error("under Fail the Pod is stored")
		}
		c = soft.MustCreate(harness.Pod("web", labelled))
		asGiven(t, soft, "web")
		if len(c.Warnings) != 1 {
			t.Errorf("under Ignore the user was warned: %q", c.Warnings)
		} else {
			told(t, c.Warnings[0], "gave no")
		}
		for ns, outcome := range map[*harness.Namespace]string{hard: "rejected", soft: "failedopen"} {
			last := sink.Await("the last word", func(e harness.Event) bool {
				return e.Data.Namespace == ns.Name && strings.HasSuffix(e.ID, "/final")
			})
			first := sink.AwaitID(strings.TrimSuffix(last.ID, "/final"))
			if first.Data.Outcome != "mutated" || last.Data.Outcome != outcome || first.Data.UID != last.Data.UID || last.Time.Before(first.Time) {
				t.Errorf("the events are %s\nand %s", first.Raw, last.Raw)
			}
			entries, err := w.API.Audited(ns.Name)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(entries, func(a harness.Audited) bool {
				return a.Annotations["fail.amp.txn2.com/event"] == last.ID || a.Annotations["ignore.amp.txn2.com/event"] == last.ID
			}) {
				t.Errorf("the audit log does not name %s: %+v", last.ID, entries)
			}
		}
	})

	t.Run("a namespace cannot turn its events off", func(t *testing.T) {
		ns := w.Namespace(t, harness.Enabled(endpoint, harness.On{"amp.txn2.com/events": "None"}))
		id := ns.MustCreate(harness.Pod("web")).Annotations[stamp]
		if e := sink.AwaitID(id); e.Data.Level != "Metadata" {
			t.Errorf("the event is %s", e.Raw)
		}
	})

	t.Run("the event is there before the Pod", func(t *testing.T) {
		id := strict(t).MustCreate(harness.Pod("web")).Annotations[stamp]
		if !slices.ContainsFunc(sink.Events(), func(e harness.Event) bool { return e.ID == id }) {
			t.Error("the sink does not have it yet")
		}
	})

	t.Run("amp does not start without a sink", func(t *testing.T) {
		r, err := w.StartReplica("AMP_EVENTS=required")
		r.Kill()
		if err == nil || !strings.Contains(err.Error(), "K_SINK") {
			t.Errorf("amp said: %v", err)
		}
	})
}
