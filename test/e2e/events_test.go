package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/txn2/amp/test/e2e/harness"
)

const (
	stamp  = "amp.txn2.com/event"
	source = "https://amp.txn2.com/clusters/e2e"

	replicaSets = "system:serviceaccount:kube-system:replicaset-controller"
)

// team answers with a patch that is also allowed for a ReplicaSet's Pod.
var team = harness.Answers(`[{"op":"add","path":"/metadata/annotations/team","value":"data"}]`)

// A Deployment's Pod has no name yet when it is mutated. Its stamp leads to all records of the mutation.
func TestOfADeploymentsPodAllIsFound(t *testing.T) {
	w := anyWorld(t)
	sink := harness.NewSink(t)
	amp := w.With(t, "K_SINK="+sink.URL, "AMP_EVENTS_SOURCE="+source)
	ns := w.Namespace(t, harness.Enabled(harness.Serve(t, team).URL, harness.On{"amp.txn2.com/validate": "true"}))
	var names []string
	for range 3 {
		names = append(names, ns.As(replicaSets).MustCreate(harness.Pod("web-7d9c5b-", harness.Controlled)).Name)
	}
	pod := ns.Stored(names[1])
	id := pod.Annotations[stamp]

	mutated := sink.AwaitID(id)
	validated := sink.Await("the event of the validation", func(e harness.Event) bool {
		return e.Type == "com.txn2.amp.pod.validated.v1" && e.Data.Mutation == id
	})
	entries, err := w.API.Audited(ns.Name)
	if err != nil {
		t.Fatal(err)
	}
	entries = slices.DeleteFunc(entries, func(a harness.Audited) bool { return a.Annotations["fail.amp.txn2.com/event"] != id })
	lines, err := amp.Logged("event", id)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("from the Pod: the event of its mutation", func(t *testing.T) {
		d := mutated.Data
		if mutated.Type != "com.txn2.amp.pod.mutated.v1" || mutated.Subject != ns.Name+"/web-7d9c5b-*" || d.Pod.GenerateName != "web-7d9c5b-" ||
			d.Pod.Name != "" || d.User != replicaSets || d.Controller == nil || d.Controller.Kind != "ReplicaSet" || d.Controller.Name != "rs" {
			t.Errorf("it is %+v", mutated)
		}
	})
	t.Run("from the Pod: the event of its validation, with the name and uid that it got", func(t *testing.T) {
		if p := validated.Data.Pod; p.Name != pod.Name || p.UID != string(pod.UID) || validated.Subject != ns.Name+"/"+pod.Name {
			t.Errorf("it is %+v, the Pod is %s, uid %s", validated, pod.Name, pod.UID)
		}
	})
	t.Run("from the Pod: the API server's audit record", func(t *testing.T) {
		if len(entries) != 1 {
			t.Fatalf("there are %d: %+v", len(entries), entries)
		}
		a := entries[0]
		if a.Annotations["fail.amp.txn2.com/outcome"] != "mutated" || a.Annotations["fail.amp.txn2.com/endpoint"] != mutated.Data.Endpoints[0].URL ||
			a.Annotations["validate.fail.amp.txn2.com/event"] != validated.ID || a.ImpersonatedUser.Username != replicaSets || a.ResponseStatus.Code != http.StatusCreated {
			t.Errorf("it is %+v", a)
		}
	})
	t.Run("from the Pod: amp's line in the log", func(t *testing.T) {
		if len(lines) != 1 {
			t.Fatalf("there are %d: %v", len(lines), lines)
		}
		if l := lines[0]; l["namespace"] != ns.Name || l["outcome"] != "mutated" || l["user"] != replicaSets {
			t.Errorf("it is %v", l)
		}
	})
	t.Run("and back, from each of these: the Pod", func(t *testing.T) {
		back := map[string]any{"the event": mutated.ID, "the validated event": validated.Data.Mutation}
		if len(entries) == 1 && len(lines) == 1 {
			back["the audit record"], back["the log"] = entries[0].Annotations["fail.amp.txn2.com/event"], lines[0]["event"]
		}
		for from, id := range back {
			var found []string
			for _, p := range ns.All() {
				if p.Annotations[stamp] == id {
					found = append(found, p.Name)
				}
			}
			if len(found) != 1 || found[0] != pod.Name {
				t.Errorf("%s leads to the Pods %v, not to %s", from, found, pod.Name)
			}
		}
	})
}

// kinds holds the ways in which a review can end: what the namespace says, and what the event must say. The sink
// checks for each event that type, outcome, id, subject and namespace agree and that all is valid by the schema.
var kinds = map[string]struct {
	answer  http.HandlerFunc
	on      harness.On
	refused bool
	outcome string
	says    string // in the message
	steps   int
	ops     int // of the patch
}{
	"a patch is answered":         {answer: harness.Labels("changed", "yes"), outcome: "mutated", steps: 1, ops: 4},
	"no change is wanted":         {answer: harness.Answers("[]"), outcome: "unchanged", steps: 1},
	"in shadow mode":              {answer: harness.Labels("changed", "yes"), on: harness.On{"amp.txn2.com/mode": "shadow"}, outcome: "shadowed", steps: 1, ops: 2},
	"the endpoint refuses":        {answer: harness.Answers(`{"allowed":false,"status":{"message":"no GPUs on Sundays"}}`), outcome: "denied", refused: true, says: "no GPUs on Sundays", steps: 1},
	"the endpoint fails, Fail":    {answer: harness.Fails(500, "broken"), outcome: "rejected", refused: true, says: "answered 500", steps: 1},
	"the endpoint fails, Ignore":  {answer: harness.Fails(500, "broken"), on: harness.Ignore, outcome: "failedopen", says: "answered 500", steps: 1},
	"the namespace has a bad key": {answer: harness.Answers("[]"), on: harness.On{"amp.txn2.com/mode": "bad"}, outcome: "rejected", refused: true, says: "amp.txn2.com/mode"},
	"validation lets it pass": {answer: harness.Answers(`{"allowed":true}`), outcome: "validated", steps: 1,
		on: harness.On{"amp.txn2.com/ep": "", "validation.amp.txn2.com/ep": "HERE", "amp.txn2.com/validate": "true"}},
}

func TestEvents(t *testing.T) {
	w := anyWorld(t)
	sink := harness.NewSink(t)
	cluster := `Zürich "Nord" 100%`
	amp := w.With(t, "K_SINK="+sink.URL, "AMP_EVENTS_SOURCE="+source,
		"K_CE_OVERRIDES="+fmt.Sprintf(`{"extensions":{"cluster":%q}}`, cluster))

	for what, k := range kinds {
		t.Run("tell of a Pod, when "+what, func(t *testing.T) {
			endpoint := harness.Serve(t, k.answer).URL
			on := harness.Enabled(endpoint, k.on)
			for key, value := range on {
				if value == "HERE" {
					on[key] = endpoint
				}
				if value == "" {
					delete(on, key)
				}
			}
			ns := w.Namespace(t, on)
			before := time.Now()
			c := ns.As("jörg müller").Create(harness.Pod("web"))
			if (c.Err != nil) != k.refused {
				t.Fatalf("creating the Pod: %v", c.Err)
			}
			after := time.Now()
			e := sink.Await("its event", func(e harness.Event) bool { return e.Data.Namespace == ns.Name })
			policy := "Fail"
			if on["amp.txn2.com/failure-policy"] == "Ignore" {
				policy = "Ignore"
			}
			d := e.Data
			if e.Source != source || e.Extensions["cluster"] != cluster || d.Outcome != k.outcome || d.Level != "Patch" ||
				d.User != "jörg müller" || d.Pod.Name != "web" || d.FailurePolicy != policy || e.Time.Before(before) || e.Time.After(after) {
				t.Errorf("the event is %s", e.Raw)
			}
			if !strings.Contains(d.Message, k.says) || (d.Message == "") != (k.says == "") {
				t.Errorf("its message is %q", d.Message)
			}
			if len(d.Endpoints) != k.steps || k.steps == 1 && d.Endpoints[0].URL != endpoint {
				t.Errorf("its endpoints are %+v", d.Endpoints)
			}
			if k.outcome == "mutated" {
				if c.Annotations[stamp] != e.ID {
					t.Errorf("the Pod carries the stamp %q, its event is %s", c.Annotations[stamp], e.ID)
				}
			} else if c.Pod != nil && c.Annotations[stamp] != "" {
				t.Errorf("a Pod that is not mutated carries the stamp %q", c.Annotations[stamp])
			}
			if (len(d.Patch) > 0) != (k.ops > 0) || !strings.Contains(fmt.Sprint(d.Patch), "/metadata/labels") && k.ops > 0 {
				t.Errorf("its patch is %+v", d.Patch)
			}
			if all := sink.Of(ns.Name); len(all) != 1 {
				t.Errorf("there are %d events", len(all))
			}
		})
	}

	t.Run("carry the trace of the request, and any name", func(t *testing.T) {
		ns := w.Namespace(t, harness.Enabled(harness.Serve(t, harness.Answers("[]")).URL))
		// The API server would refuse such a Pod, but it calls its webhooks first.
		name, trace := `jörg's "pod" 100% 日本`, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		w.Review(t, amp, "/mutate/fail", http.Header{"Traceparent": {trace}}, review(t, ns.Name, "2f0cfa42-0000-4000-8000-00000000e001", name))
		e := sink.AwaitID("2f0cfa42-0000-4000-8000-00000000e001")
		if e.Subject != ns.Name+"/"+name || e.Extensions["traceparent"] != trace {
			t.Errorf("the event is %+v", e)
		}
	})

	t.Run("are none of what amp left alone, nor of dry runs", func(t *testing.T) {
		answered := harness.Serve(t, harness.Labels("changed", "yes"))
		dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
		on := harness.Enabled(answered.URL, harness.On{"amp.txn2.com/pods": "app=forwarded"})
		forwarded := harness.Labelled("app", "forwarded")
		ns := w.Namespace(t, on)
		if c := ns.MustCreate(harness.Pod("dry", forwarded), dryRun); c.Labels["changed"] != "yes" || c.Annotations[stamp] != "" {
			t.Errorf("the dry run answers labels %v, annotations %v", c.Labels, c.Annotations)
		}
		refusing := w.Namespace(t, harness.Enabled(harness.Down()))
		if c := refusing.Create(harness.Pod("dry"), dryRun); c.Err == nil {
			t.Error("the dry run passed an endpoint that is down")
		}
		ns.MustCreate(harness.Pod("unselected"))
		ns.MustCreate(harness.Pod("out", forwarded, harness.Labelled("amp.txn2.com/enabled", "false")))
		ns.As("system:node:node-1", "system:nodes").MustCreate(harness.Pod("mirror", forwarded, harness.Annotated(corev1.MirrorPodAnnotationKey, "1"),
			func(p *corev1.Pod) { p.Spec.NodeName = "node-1" }))
		w.Namespace(t, harness.On{"amp.txn2.com/enabled": "true"}).MustCreate(harness.Pod("web"))
		w.Namespace(t, nil).MustCreate(harness.Pod("web"))

		id := ns.MustCreate(harness.Pod("last", forwarded)).Annotations[stamp]
		sink.AwaitID(id)
		amp.Counts(t, "amp_events_queue", 0)
		if all := sink.Of(ns.Name); len(all) != 1 || len(sink.Of(refusing.Name)) > 0 {
			t.Errorf("there are other events than the last Pod's: %+v", all)
		}
		delivered, err := amp.Metric(`amp_events_total{result="delivered"}`)
		if err != nil || int(delivered) != len(sink.Events()) {
			t.Errorf("the sink has %d events, amp counts %v: %v", len(sink.Events()), delivered, err)
		}
	})

	t.Run("have the ids of their namespace only", func(t *testing.T) {
		seen := map[string]bool{}
		for _, e := range sink.Events() {
			if seen[e.Source+" "+e.ID] {
				t.Errorf("%s came twice though the sink took it at once", e.ID)
			}
			seen[e.Source+" "+e.ID] = true
		}
	})
}

// review returns an AdmissionReview as the API server sends it.
func review(t *testing.T, namespace, uid, name string) string {
	t.Helper()
	pod := map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": name, "namespace": namespace},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": "app", "image": "registry.example/app:1"}}},
	}
	b, err := json.Marshal(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": map[string]any{
			"uid": uid, "operation": "CREATE", "namespace": namespace, "name": name,
			"kind":     map[string]any{"group": "", "version": "v1", "kind": "Pod"},
			"resource": map[string]any{"group": "", "version": "v1", "resource": "pods"},
			"userInfo": map[string]any{"username": "alice"},
			"object":   pod,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEventLevels checks each level that amp can have, with each level that a namespace lowers it to.
func TestEventLevels(t *testing.T) {
	w := anyWorld(t)
	sink := harness.NewSink(t)
	endpoint := harness.Serve(t, harness.Answers(`[{"op":"add","path":"/metadata/labels/changed","value":"yes"},
		{"op":"add","path":"/metadata/annotations/token","value":"of-the-patch"}]`))
	order := []string{"None", "Metadata", "Patch", "Full"}

	for most, environment := range map[string][]string{
		"None": {"AMP_EVENTS_LEVEL=None"}, "Metadata": {"AMP_EVENTS_LEVEL=Metadata"}, "Patch": nil, "Full": {"AMP_EVENTS_LEVEL=Full"},
		"off": {"AMP_EVENTS=off"},
	} {
		amp := w.With(t, append(environment, "K_SINK="+sink.URL)...)
		for _, lowered := range append(order, "") {
			on := harness.Enabled(endpoint.URL, harness.On{"amp.txn2.com/validate": "true"})
			if lowered != "" {
				on["amp.txn2.com/events"] = lowered
			}
			want := most
			if i := slices.Index(order, lowered); lowered != "" && i < slices.Index(order, most) {
				want = lowered
			}
			what := fmt.Sprintf("AMP_EVENTS_LEVEL %s, namespace %q", most, lowered)
			ns := w.Namespace(t, on)
			c := ns.MustCreate(harness.Pod("web", harness.Annotated("was", "of-the-pod")))
			if c.Labels["changed"] != "yes" {
				t.Errorf("%s: labels are %v", what, c.Labels)
			}
			id := c.Annotations[stamp]
			if want == "None" || want == "off" {
				amp.Counts(t, "amp_events_queue", 0)
				if all := sink.Of(ns.Name); len(all) > 0 || id != "" {
					t.Errorf("%s: there are %d events, the Pod carries the stamp %q", what, len(all), id)
				}
				continue
			}
			e := sink.AwaitID(id)
			validated := sink.Await("the validated event", func(v harness.Event) bool { return v.Data.Mutation == id })
			for _, e := range []harness.Event{e, validated} {
				if e.Data.Level != want || e.Data.User == "" || e.Data.DurationMS <= 0 {
					t.Errorf("%s: the event is %s", what, e.Raw)
				}
			}
			if len(e.Data.Endpoints) != 1 || e.Data.Endpoints[0].Status != 200 || e.Data.Endpoints[0].Ops < 2 {
				t.Errorf("%s: endpoints are %+v", what, e.Data.Endpoints)
			}
			has := func(text string) bool { return strings.Contains(e.Raw, text) }
			shows := map[string]bool{
				"the patch": len(e.Data.Patch) > 0, "a label's value": has(`"yes"`), "an annotation's value": has("of-the-patch"),
				"[redacted]": has("[redacted]"), "the Pod": len(e.Data.Object) > 0, "an annotation of the Pod": has("of-the-pod"),
			}
			expect := map[string]bool{
				"the patch": want != "Metadata", "a label's value": want != "Metadata", "an annotation's value": want == "Full",
				"[redacted]": want == "Patch", "the Pod": want == "Full", "an annotation of the Pod": want == "Full",
			}
			if fmt.Sprint(shows) != fmt.Sprint(expect) {
				t.Errorf("%s: it shows %v\n%s", what, shows, e.Raw)
			}
			if want == "Full" && bytes.Contains(e.Data.Object, []byte("of-the-patch")) {
				t.Errorf("%s: the Pod is not as it came: %s", what, e.Data.Object)
			}
		}
	}
}

// TestEventsWithoutASink also reads what amp printed in all the other tests.
func TestEventsWithoutASink(t *testing.T) {
	w := anyWorld(t)
	amp := w.With(t)
	ns := w.Namespace(t, harness.Enabled(harness.Serve(t, team).URL))
	stamps := map[string]bool{}
	for range 5 {
		stamps[ns.MustCreate(harness.Pod("web-")).Annotations[stamp]] = true
	}
	amp.Counts(t, "amp_events_queue", 0)
	events, err := amp.Printed()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		delete(stamps, e.ID)
	}
	if len(events) != 5 || len(stamps) > 0 {
		t.Errorf("stdout holds %d lines and not those of %v:\n%s", len(events), stamps, amp.Output())
	}
}
