package e2e

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/txn2/amp/test/e2e/harness"
)

// A copy of a mutated Pod (kubectl debug --copy-to, a restore) comes with the stamp of the original. It leads to one Pod.
func TestACopyLosesTheStampOfItsOriginal(t *testing.T) {
	w := anyWorld(t)
	sink := harness.NewSink(t)
	w.With(t, "K_SINK="+sink.URL, "AMP_EVENTS_SOURCE="+source)
	once := harness.Serve(t, func(rw http.ResponseWriter, r *http.Request) { // as an endpoint does that finds its work done
		body, err := io.ReadAll(r.Body)
		if err != nil || bytes.Contains(body, []byte(`"changed":"yes"`)) {
			harness.Answers("[]")(rw, r)
			return
		}
		harness.Labels("changed", "yes")(rw, r)
	})
	ns := w.Namespace(t, harness.Enabled(once.URL, harness.On{"amp.txn2.com/validate": "true"}))
	original := ns.MustCreate(harness.Pod("web")).Pod
	id := original.Annotations[stamp]
	if id == "" {
		t.Fatal("the original has no stamp")
	}

	duplicate := func(name string, annotations map[string]string) *corev1.Pod {
		return harness.Pod(name, func(p *corev1.Pod) { p.Labels, p.Annotations = original.Labels, annotations })
	}
	for name, options := range map[string]metav1.CreateOptions{"web-copy": {}, "web-dry": {DryRun: []string{metav1.DryRunAll}}} {
		c := ns.MustCreate(duplicate(name, original.Annotations), options)
		if got, stamped := c.Annotations[stamp]; stamped || len(c.Warnings) > 0 {
			t.Errorf("%s: the stamp is %q, the warnings are %q", name, got, c.Warnings)
		}
	}
	if c := ns.MustCreate(duplicate("web-kept", map[string]string{stamp: id, "a": "b"})); c.Annotations["a"] != "b" || c.Annotations[stamp] != "" {
		t.Errorf("annotations are %v", c.Annotations)
	}
	// One that is mutated itself has a stamp of its own.
	if c := ns.MustCreate(harness.Pod("web-other", harness.Annotated(stamp, id))); c.Annotations[stamp] == id || c.Annotations[stamp] == "" {
		t.Errorf("the stamp is %q", c.Annotations[stamp])
	}
	unchanged := sink.Await("the copy's event", func(e harness.Event) bool {
		return e.Subject == ns.Name+"/web-copy" && e.Type == "com.txn2.amp.pod.unchanged.v1"
	})
	if len(unchanged.Data.Patch) > 0 {
		t.Errorf("it has a patch: %s", unchanged.Raw)
	}
	for _, e := range sink.Of(ns.Name) {
		if e.Data.Mutation == id && e.Data.Pod.Name != "web" {
			t.Errorf("the event leads to another Pod, too: %s", e.Raw)
		}
	}
}
