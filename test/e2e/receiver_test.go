package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/test/e2e/harness"
)

// TestAnotherSDKReadsEveryEvent makes the CloudEvents SDK for JavaScript read each kind of event, at level Full.
func TestAnotherSDKReadsEveryEvent(t *testing.T) {
	w := anyWorld(t)
	receiver := w.NewReceiver(t)
	// A URI cannot hold a space or an ö, only their encoding, whose % the binding encodes again.
	const source, cluster, user = "https://amp.txn2.com/clusters/Z%C3%BCrich%20Nord", `Zürich "Nord" 100% 日本`, `jörg "the hub" müller`
	amp := w.With(t, "K_SINK="+receiver.URL, "AMP_EVENTS_LEVEL=Full", "AMP_EVENTS_SOURCE="+source,
		"K_CE_OVERRIDES="+fmt.Sprintf(`{"extensions":{"cluster":%q}}`, cluster))

	before := time.Now()
	subjects := map[string]string{} // by type
	create := func(outcome string, answer http.HandlerFunc, more harness.On) {
		ns := w.Namespace(t, harness.Enabled(harness.Serve(t, answer).URL, more))
		ns.As(user).Create(harness.Pod("web", harness.Annotated("who", user)))
		subjects["com.txn2.amp.pod."+outcome+".v1"] = ns.Name + "/web"
	}
	create("mutated", harness.Labels("changed", "yes"), nil)
	create("unchanged", harness.Answers("[]"), nil)
	create("shadowed", harness.Labels("changed", "yes"), harness.On{"amp.txn2.com/mode": "shadow"})
	create("denied", harness.Answers(`{"allowed":false,"status":{"message":"für \"Zürich\" nicht"}}`), nil)
	create("rejected", harness.Fails(500, "broken"), nil)
	create("failedopen", harness.Fails(500, "broken"), harness.Ignore)
	create("validated", harness.Answers("[]"), harness.On{"amp.txn2.com/validate": "true", "validation.amp.txn2.com/ep": harness.Serve(t, harness.Answers(`{"allowed":true}`)).URL})
	// The API server would refuse such names, but it calls its webhooks first.
	ns, name, trace := w.Namespace(t, harness.Enabled(harness.Serve(t, harness.Answers("[]")).URL)), `jörg's "pod" 100% 日本`, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	const uid = "2f0cfa42-0000-4000-8000-00000000e002"
	w.Review(t, amp, "/mutate/fail", http.Header{"Traceparent": {trace}}, review(t, ns.Name, uid, name))

	const sent = 9 // with the mutated event of the Pod that is validated
	var all []harness.Received
	harness.Eventually(t, "the receiver has all events", func(context.Context) (err error) {
		if all, err = receiver.Received(); err == nil && len(all) < sent {
			err = fmt.Errorf("it has %d", len(all))
		}
		return err
	})
	if len(all) != sent {
		t.Errorf("the receiver had %d requests", len(all))
	}
	odd := false
	for _, r := range all {
		if r.Refused != "" {
			t.Errorf("the SDK did not take it: %s %s\n%s", r.Refused, r.Errors, r.Body)
			continue
		}
		e := r.Event
		data, _ := e["data"].(map[string]any)
		kind, _ := e["type"].(string)
		outcome, _ := e["outcome"].(string)
		namespace, _ := e["namespace"].(string)
		if e["specversion"] != "1.0" || e["source"] != source || e["cluster"] != cluster || e["datacontenttype"] != "application/json" ||
			e["id"] != data["uid"] || kind != "com.txn2.amp.pod."+outcome+".v1" || data["outcome"] != outcome || data["namespace"] != namespace {
			t.Errorf("the SDK read %v", e)
		}
		at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(e["time"]))
		if err != nil || at.Before(before.Truncate(time.Millisecond)) || at.After(time.Now()) {
			t.Errorf("time is %v: %v", e["time"], err)
		}
		if e["id"] == uid {
			odd = true
			if e["subject"] != ns.Name+"/"+name || e["traceparent"] != trace {
				t.Errorf("the SDK read %v", e)
			}
			continue
		}
		if data["user"] != user || !strings.HasSuffix(fmt.Sprint(e["subject"]), "/web") {
			t.Errorf("the SDK read %v", e)
		}
		if outcome == "denied" && !strings.Contains(fmt.Sprint(data["message"]), `für "Zürich" nicht`) {
			t.Errorf("the message is %v", data["message"])
		}
		if subjects[kind] == e["subject"] {
			delete(subjects, kind)
		}
	}
	if len(subjects) > 0 || !odd {
		t.Errorf("there was no event of type %v, or not that of %s", slices.Sorted(maps.Keys(subjects)), uid)
	}
}
