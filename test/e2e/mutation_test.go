package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/txn2/amp/test/e2e/harness"
)

func TestPodsAreMutated(t *testing.T) {
	w := world(t)

	t.Run("by a sample, when their namespace names it", func(t *testing.T) {
		ns := w.Namespace(t, harness.Enabled(w.Samples+"/example"))
		ns.MustCreate(harness.Pod("web", harness.Annotated("amp.txn2.com/example", "mutate")))
		ns.MustCreate(harness.Pod("plain"))

		pod := ns.Stored("web")
		if len(pod.Spec.InitContainers) == 0 || len(pod.Spec.Volumes) == 0 || len(pod.Spec.Containers[0].Env) == 0 ||
			len(pod.Spec.Containers[0].VolumeMounts) == 0 || len(pod.Spec.Containers[0].Resources.Limits)+len(pod.Spec.Containers[0].Resources.Requests) == 0 {
			t.Errorf("the sample's init container, volume, environment, mount and resources are not all there: %+v", pod.Spec)
		}
		if plain := ns.Stored("plain"); len(plain.Spec.InitContainers) != 0 {
			t.Errorf("the sample changed a Pod without its annotation: %+v", plain.Spec)
		}
	})

	t.Run("by a chain of endpoints, each of which sees what the last one made", func(t *testing.T) {
		first := harness.Serve(t, harness.Labels("first", "was"))
		second := harness.Serve(t, harness.Labels("second", "too"))
		ns := w.Namespace(t, harness.Enabled(first.URL+" "+second.URL))
		ns.MustCreate(harness.Pod("web"))

		labels := ns.Stored("web").Labels
		if labels["first"] != "was" || labels["second"] != "too" {
			t.Errorf("labels are %v", labels)
		}
		if asked := second.Asked(); len(asked) != 1 || !strings.Contains(asked[0].Pod, `"first":"was"`) {
			t.Errorf("the second endpoint did not see the first one's label: %+v", asked)
		}
	})

	t.Run("not in a namespace without the label", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
		ns := w.Namespace(t, harness.On{"amp.txn2.com/ep": endpoint.URL})
		ns.MustCreate(harness.Pod("web"))
		if _, changed := ns.Stored("web").Labels["changed"]; changed || len(endpoint.Asked()) > 0 {
			t.Error("amp acted in a namespace that did not opt in")
		}
	})

	t.Run("when the API server has yet to make their name", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
		ns := w.Namespace(t, harness.Enabled(endpoint.URL))
		pod := ns.MustCreate(harness.Pod("worker-"))
		if stored := ns.Stored(pod.Name); stored.Labels["changed"] != "yes" {
			t.Errorf("labels of %s are %v", pod.Name, stored.Labels)
		}
		if subject := endpoint.Asked()[0].Header.Get("ce-subject"); !strings.HasPrefix(subject, ns.Name+"/worker-") {
			t.Errorf("the endpoint was told subject %q", subject)
		}
	})

	t.Run("in a dry run too, which the endpoint is told of", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
		ns := w.Namespace(t, harness.Enabled(endpoint.URL))
		pod := ns.MustCreate(harness.Pod("web"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if pod.Labels["changed"] != "yes" {
			t.Errorf("the dry run answers labels %v", pod.Labels)
		}
		if ns.Stored("web") != nil {
			t.Error("the dry run stored a Pod")
		}
		ns.MustCreate(harness.Pod("web"))
		var told []string
		for _, asked := range endpoint.Asked() {
			told = append(told, asked.Header.Get("ce-dryrun"))
		}
		if fmt.Sprint(told) != "[true false]" {
			t.Errorf("ce-dryrun was %v", told)
		}
	})

	t.Run("not in shadow mode, though the endpoint is asked", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
		ns := w.Namespace(t, harness.Enabled(endpoint.URL, harness.On{"amp.txn2.com/mode": "shadow"}))
		created := ns.MustCreate(harness.Pod("web"))
		if labels := ns.Stored("web").Labels; len(labels) > 0 || len(created.Warnings) > 0 {
			t.Errorf("shadow mode showed: labels %v, warnings %q", labels, created.Warnings)
		}
		if len(endpoint.Asked()) != 1 {
			t.Errorf("the endpoint was asked %d times", len(endpoint.Asked()))
		}
	})

	t.Run("of JupyterHub only the users' ones, where the selector says so", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
		ns := w.Namespace(t, harness.Enabled(endpoint.URL, harness.On{"amp.txn2.com/pods": "component=singleuser-server"}))
		ns.MustCreate(harness.Pod("hub", harness.Labelled("component", "hub")))
		ns.MustCreate(harness.Pod("jupyter-alice", harness.Labelled("component", "singleuser-server")))
		if _, changed := ns.Stored("hub").Labels["changed"]; changed {
			t.Error("the hub itself was changed")
		}
		if ns.Stored("jupyter-alice").Labels["changed"] != "yes" {
			t.Error("the user's Pod was not changed")
		}
		if len(endpoint.Asked()) != 1 {
			t.Errorf("the endpoint was asked %d times", len(endpoint.Asked()))
		}
	})

	t.Run("for the creators that the namespace lists, and refused to others", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
		ns := w.Namespace(t, harness.Enabled(endpoint.URL, harness.On{"amp.txn2.com/creators": "system:serviceaccount:*:hub"}))
		if hubs := ns.As("system:serviceaccount:jhub:hub").MustCreate(harness.Pod("jupyter-alice")); hubs.Labels["changed"] != "yes" {
			t.Errorf("the hub's Pod has labels %v", hubs.Labels)
		}
		forged := ns.As("mallory").Create(harness.Pod("jupyter-bob"))
		if forged.Err == nil || !strings.Contains(forged.Err.Error(), "mallory") {
			t.Errorf("to mallory the API server said: %v", forged.Err)
		}
		asked := endpoint.Asked()
		if len(asked) != 1 || asked[0].Header.Get("ce-authid") != "system:serviceaccount:jhub:hub" {
			t.Errorf("the endpoint was asked %+v", asked)
		}
	})

	t.Run("in a namespace that was created a moment ago", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
		for range 20 {
			ns := w.Namespace(t, harness.Enabled(endpoint.URL))
			if pod := ns.MustCreate(harness.Pod("web")); pod.Labels["changed"] != "yes" {
				t.Fatalf("the first Pod of %s has labels %v", ns.Name, pod.Labels)
			}
		}
	})

	t.Run("as their namespace says now, soon after it changed", func(t *testing.T) {
		before, after := harness.Serve(t, harness.Labels("by", "before")), harness.Serve(t, harness.Labels("by", "after"))
		ns := w.Namespace(t, harness.Enabled(before.URL))
		if pod := ns.MustCreate(harness.Pod("first")); pod.Labels["by"] != "before" {
			t.Fatalf("labels are %v", pod.Labels)
		}
		ns.Annotate("amp.txn2.com/ep", after.URL)
		untilMutatedBy(t, ns, "after")
	})
}

// untilMutatedBy waits until a new Pod has this value of the label "by".
func untilMutatedBy(t *testing.T, ns *harness.Namespace, value string) {
	t.Helper()
	harness.Eventually(t, "the Pods are mutated by the endpoint "+value, func(context.Context) error {
		if pod := ns.MustCreate(harness.Pod("later-")); pod.Labels["by"] != value {
			return fmt.Errorf("labels are %v", pod.Labels)
		}
		return nil
	})
}

func TestPodsPassAmpBy(t *testing.T) {
	w := world(t)
	refused := harness.Answers(`{"allowed":false,"status":{"message":"amp asked the endpoint"}}`)

	t.Run("that say so with the label, as their creators may", func(t *testing.T) {
		ns := w.Namespace(t, harness.Enabled(harness.Serve(t, refused).URL))
		ns.MustCreate(harness.Pod("web", harness.Labelled("amp.txn2.com/enabled", "false")))
		if c := ns.Create(harness.Pod("other", harness.Labelled("amp.txn2.com/enabled", "true"))); c.Err == nil {
			t.Error("a Pod with another value passed too")
		}
	})

	t.Run("no longer, where the policy against it is installed", func(t *testing.T) {
		if err := w.Install(t, "deploy/no-way-out"); err != nil {
			t.Fatal(err)
		}
		ns := w.Namespace(t, harness.Enabled(harness.Serve(t, harness.Answers("[]")).URL))
		harness.Eventually(t, "the policy is in force", func(context.Context) error {
			c := ns.Create(harness.Pod("web-", harness.Labelled("amp.txn2.com/enabled", "false")))
			if c.Err == nil || !strings.Contains(c.Err.Error(), "amp.txn2.com/enabled") {
				return fmt.Errorf("the user read: %v", c.Err)
			}
			return nil
		})
		ns.MustCreate(harness.Pod("other"))
		w.Namespace(t, nil).MustCreate(harness.Pod("web", harness.Labelled("amp.txn2.com/enabled", "false")))
	})

	t.Run("that a node makes, but not those that only look like it", func(t *testing.T) {
		ns := w.Namespace(t, harness.Enabled(harness.Serve(t, refused).URL))
		mirror := func(p *corev1.Pod) {
			harness.Annotated(corev1.MirrorPodAnnotationKey, "1")(p)
			p.Spec.NodeName = "node-1"
		}
		ns.As("system:node:node-1", "system:nodes").MustCreate(harness.Pod("etcd-node-1", mirror))
		if c := ns.As("mallory").Create(harness.Pod("mine", mirror)); c.Err == nil {
			t.Error("the mirror annotation is a way round amp for any tenant")
		}
	})

	t.Run("in kube-system and in amp's own namespace, even where someone labels these", func(t *testing.T) {
		endpoint := harness.Serve(t, refused)
		for _, name := range []string{"kube-system", "amp-system"} {
			ns := w.Existing(t, name)
			ns.Label("amp.txn2.com/enabled", "true")
			ns.Annotate("amp.txn2.com/ep", endpoint.URL)
			ns.MustCreate(harness.Pod("critical", harness.Restricted), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		}
		if len(endpoint.Asked()) > 0 {
			t.Errorf("the endpoint was asked %d times", len(endpoint.Asked()))
		}
	})

	t.Run("when the endpoint wants no change", func(t *testing.T) {
		for body, answer := range map[string]http.HandlerFunc{
			"an empty patch": harness.Answers("[]"),
			"null":           harness.Answers("null"),
			"no content":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
			"allowed":        harness.Answers(`{"allowed":true}`),
		} {
			ns := w.Namespace(t, harness.Enabled(harness.Serve(t, answer).URL))
			if c := ns.MustCreate(harness.Pod("web")); len(c.Labels)+len(c.Annotations)+len(c.Warnings) > 0 {
				t.Errorf("%s: labels %v, annotations %v, warnings %q", body, c.Labels, c.Annotations, c.Warnings)
			}
		}
	})
}

func TestEndpointsSpeakToTheUser(t *testing.T) {
	w := world(t)

	t.Run("by refusing a Pod, under either policy", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Answers(`{"allowed":false,"status":{"message":"no GPUs on Sundays","code":403}}`))
		for _, more := range []harness.On{nil, harness.Ignore} {
			c := w.Namespace(t, harness.Enabled(endpoint.URL, more)).Create(harness.Pod("web"))
			if c.Err == nil || !strings.Contains(c.Err.Error(), "no GPUs on Sundays") {
				t.Errorf("%v: the user read: %v", more, c.Err)
			}
		}
	})

	t.Run("by warning while they patch", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Answers(`{"allowed":true,"warnings":["this image is old"],"patch":[{"op":"add","path":"/metadata/labels/old","value":"yes"}]}`))
		c := w.Namespace(t, harness.Enabled(endpoint.URL)).MustCreate(harness.Pod("web"))
		if c.Labels["old"] != "yes" || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "this image is old") {
			t.Errorf("labels %v, warnings %q", c.Labels, c.Warnings)
		}
	})

	t.Run("and amp does, of a field that no Pod has", func(t *testing.T) {
		endpoint := harness.Serve(t, harness.Answers(`[{"op":"add","path":"/spec/nodeSelektor","value":{"a":"b"}}]`))
		c := w.Namespace(t, harness.Enabled(endpoint.URL)).MustCreate(harness.Pod("web"))
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "nodeSelektor") {
			t.Errorf("warnings %q", c.Warnings)
		}
	})

	t.Run("and amp does, of a dry run that asks, however it ends and however much the endpoint says", func(t *testing.T) {
		// The API server passes on half of these.
		long := `"` + strings.Repeat("w", 250)
		many := make([]string, 32)
		for i := range many {
			many[i] = fmt.Sprintf(`%s %d"`, long, i)
		}
		for _, test := range []struct {
			answer string
			more   harness.On
			want   string
		}{
			{`{"allowed":true,"warnings":[` + strings.Join(many, ",") + `],"patch":[{"op":"add","path":"/metadata/labels/old","value":"yes"}]}`, nil, "amp: dry run, mutate: mutated, operations: "},
			{`{"allowed":false,"status":{"message":"no GPUs on Sundays"}}`, nil, "amp: dry run, mutate: denied: no GPUs on Sundays"},
			{`{}`, nil, "amp: dry run, mutate: failed: endpoint "},
			{`{}`, harness.Ignore, "amp: dry run, mutate: failed: endpoint "},
		} {
			ns := w.Namespace(t, harness.Enabled(harness.Serve(t, harness.Answers(test.answer)).URL, test.more))
			c := ns.Create(harness.Pod("web", harness.Annotated("amp.txn2.com/explain", "true")), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if len(c.Warnings) == 0 || !strings.HasPrefix(c.Warnings[0], test.want) {
				t.Errorf("the first of %d warnings does not begin with %q: %q", len(c.Warnings), test.want, c.Warnings)
			}
		}
	})
}
