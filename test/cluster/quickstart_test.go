package cluster

import (
	"strings"
	"testing"
)

// quickstart runs the commands of docs/quickstart.md that were not run before, and looks at what they show. It leaves no replica of
// the samples.
func (c *cluster) quickstart(t *testing.T, readme *written) {
	readme.do(t, "kubectl -n amp-samples rollout status deployment/endpoints")
	if says := readme.do(t, "kubectl get namespace amp-example -o yaml"); !strings.Contains(says, "amp.txn2.com/ep: http://endpoints.amp-samples.svc/example") {
		t.Errorf("amp-example is\n%s", says)
	}
	readme.do(t, "kubectl -n amp-example run hello --image=docker.io/library/busybox:1.37 --annotations=amp.txn2.com/example=mutate --command -- sleep 3600")
	pod := readme.do(t, "kubectl -n amp-example get pod hello -o yaml")
	for _, part := range []string{"name: AMP_EXAMPLE", "mountPath: /amp-example", "amp.txn2.com/event:"} {
		if !strings.Contains(pod, part) {
			t.Errorf("the Pod does not have %q:\n%s", part, pod)
		}
	}
	readme.do(t, "kubectl -n amp-example run again --image=docker.io/library/busybox:1.37 --annotations=amp.txn2.com/example=mutate --command -- sleep 3600")
	stamp := c.stamp(t, "amp-example", "again")
	eventually(t, func() error { return c.audited("amp-example", "again", stamp) })

	readme.do(t, "kubectl -n amp-samples scale deployment endpoints --replicas=0",
		"kubectl -n amp-samples wait --for=delete pod --selector app.kubernetes.io/name=endpoints --timeout=60s")
	third := "kubectl -n amp-example run third --image=docker.io/library/busybox:1.37 --annotations=amp.txn2.com/example=mutate --command -- sleep 3600"
	if says := readme.do(t, third); !strings.Contains(says, "Warning: amp: not mutated: ") {
		t.Errorf("without the endpoint kubectl says %q", says)
	}
	c.remove(t, "/api/v1/namespaces/amp-example/pods")
}
