package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// badNamespaces makes namespaces that are wrong each in a way of its own.
func (c *cluster) badNamespaces(t *testing.T) {
	const good, namespaces = "http://endpoints.amp-samples.svc/example", "/api/v1/namespaces/"
	type ways struct {
		labels, annotations map[string]string
		want                []finding
		remedy              string // of the first finding: its beginning; a whole command without a placeholder is run
	}
	all := map[string]ways{
		"bad-value": {nil, map[string]string{"amp.txn2.com/ep": good, "amp.txn2.com/timeout": "soon"},
			[]finding{{"failed", "keys", "", `annotation amp.txn2.com/timeout "soon": allowed is a positive Go duration`}}, "kubectl edit namespace bad-value"},
		"unknown-key": {nil, map[string]string{"amp.txn2.com/ep": good, "amp.txn2.com/endpoints": "x"},
			[]finding{{"failed", "keys", "", "the key is unknown"}}, "kubectl edit namespace unknown-key"},
		"no-service": {nil, map[string]string{"amp.txn2.com/ep": "http://me:secret@gone.amp-samples.svc/example?token=secret"},
			[]finding{{"failed", "endpoint", "", "http://gone.amp-samples.svc/example: there is no Service gone in namespace amp-samples"}},
			"kubectl edit namespace no-service\n"},
		"no-pods": {nil, map[string]string{"amp.txn2.com/ep": "http://empty.no-pods-behind.svc/"},
			[]finding{{"failed", "endpoint", "", "no Pod behind Service empty in namespace no-pods-behind is ready"}}, "no Pod that runs has its labels, app=none"},
		"another-port": {nil, map[string]string{"amp.txn2.com/ep": "http://endpoints.amp-samples.svc:8080/example"},
			[]finding{{"failed", "endpoint", "", "Service endpoints in namespace amp-samples has port 80, not 8080"}},
			"kubectl annotate namespace another-port --overwrite amp.txn2.com/ep=http://endpoints.amp-samples.svc:80/example"},
		"public": {nil, map[string]string{"amp.txn2.com/ep": "http://8.8.8.8/"},
			[]finding{{"failed", "endpoint", "", "amp may not call 8.8.8.8 (public)"}}, "kubectl annotate namespace public --overwrite amp.txn2.com/ep=http://SERVICE"},
		"loopback": {nil, map[string]string{"amp.txn2.com/ep": "http://127.0.0.1:8080/"},
			[]finding{{"failed", "endpoint", "", "amp may not call 127.0.0.1 (loopback)"}}, "kubectl annotate namespace loopback --overwrite amp.txn2.com/ep=http://SERVICE"},
		"never-validated": {nil, map[string]string{"validation.amp.txn2.com/ep": "http://endpoints.amp-samples.svc/require"},
			[]finding{{"failed", "validate", "", "names an endpoint that is never called"}}, "kubectl label namespace never-validated --overwrite amp.txn2.com/validate=true"},
		"nonsense": {nil, map[string]string{"amp.txn2.com/ep": "http://endpoints.amp-samples.svc/nowhere"},
			[]finding{{"failed", "dry-run", "", "answered 404 Not Found"}}, "the endpoint must answer"},
		"nonsense-ignored": {map[string]string{"amp.txn2.com/failure-policy": "Ignore"}, map[string]string{"amp.txn2.com/ep": "http://endpoints.amp-samples.svc/nowhere"},
			[]finding{{"failed", "dry-run", "", "amp: not mutated: "}}, "the endpoint must answer"},
		"nonsense-shadowed": {nil, map[string]string{"amp.txn2.com/ep": "http://endpoints.amp-samples.svc/nowhere", "amp.txn2.com/mode": "shadow"},
			[]finding{{"failed", "dry-run", "", "shadow mode, else failed: endpoint http://endpoints.amp-samples.svc/nowhere: answered 404"}}, "the endpoint must answer"},
		"second-of-two": {nil, map[string]string{"amp.txn2.com/ep": good + "?profile=secret, http://endpoints.amp-samples.svc:8080/example"},
			[]finding{{"failed", "endpoint", "", "Service endpoints in namespace amp-samples has port 80, not 8080"}}, "kubectl edit namespace second-of-two\n"},
		"by-annotation": {map[string]string{"amp.txn2.com/enabled": ""}, map[string]string{"amp.txn2.com/ep": good, "amp.txn2.com/enabled": "true"},
			[]finding{{"warning", "opt-in", "", "amp.txn2.com/enabled is an annotation and has to be a label"}}, "kubectl label namespace by-annotation --overwrite amp.txn2.com/enabled=true"},
		"too-slow": {nil, map[string]string{"amp.txn2.com/ep": good, "amp.txn2.com/timeout": "5s"},
			[]finding{{"warning", "timeout", "", "but amp's limit is 1.5s"}}, "kubectl annotate namespace too-slow --overwrite amp.txn2.com/timeout=1.5s"},
		"no-endpoint": {nil, nil,
			[]finding{{"warning", "endpoint", "", "opted in without an endpoint"}}, "kubectl annotate namespace no-endpoint --overwrite amp.txn2.com/ep=http://SERVICE"},
		// There is nothing wrong with these.
		"picky":        {map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}, map[string]string{"amp.txn2.com/ep": good, "amp.txn2.com/pods": "app in (a, b), !other"}, nil, ""},
		"hubs":         {nil, map[string]string{"amp.txn2.com/ep": good, "amp.txn2.com/creators": "system:serviceaccount:hubs:hub"}, nil, ""},
		"hubs-ignored": {map[string]string{"amp.txn2.com/failure-policy": "Ignore"}, map[string]string{"amp.txn2.com/ep": good, "amp.txn2.com/creators": "system:serviceaccount:hubs:hub"}, nil, ""},
		"quota":        {nil, map[string]string{"amp.txn2.com/ep": good}, nil, ""},
	}
	var manifests strings.Builder
	var want []finding
	for name, w := range all {
		labels := map[string]string{"amp.txn2.com/enabled": "true"}
		for k, v := range w.labels {
			if labels[k] = v; v == "" {
				delete(labels, k)
			}
		}
		meta, err := json.Marshal(map[string]any{"name": name, "labels": labels, "annotations": w.annotations})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&manifests, "---\n{apiVersion: v1, kind: Namespace, metadata: %s}\n", meta)
		for _, f := range w.want {
			f.namespace = name
			want = append(want, f)
		}
	}
	manifests.WriteString(`---
{apiVersion: v1, kind: Namespace, metadata: {name: no-pods-behind}}
---
{apiVersion: v1, kind: Service, metadata: {name: empty, namespace: no-pods-behind}, spec: {selector: {app: none}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: ResourceQuota, metadata: {name: none, namespace: quota}, spec: {hard: {pods: "0"}}}
`)
	c.apply(t, manifests.String())
	// Two that exist already: the one whose Pods are the endpoint, and the one that the webhooks exclude.
	for _, name := range []string{"amp-samples", "kube-system"} {
		c.patch(t, namespaces+name, merge, `{"metadata": {"labels": {"amp.txn2.com/enabled": "true"}, "annotations": {"amp.txn2.com/ep": "`+good+`"}}}`)
	}
	want = append(want, finding{"failed", "deadlock", "amp-samples", "is served by Pods of this namespace, which under Fail cannot start"},
		finding{"failed", "selected", "kube-system", "the webhooks exclude this namespace"})

	checks := c.expect(t, want)
	text, _ := c.run("kubectl", "amp", "doctor")
	t.Logf("\n%s", text)
	for _, check := range checks {
		remedy := all[check.Namespace].remedy
		if !strings.HasPrefix(check.Remedy, remedy) || check.Remedy == "" {
			t.Errorf("namespace %s: the remedy is %q, not %q", check.Namespace, check.Remedy, remedy)
		}
		if strings.Contains(check.Message+check.Remedy+check.Subject, "secret") || strings.Contains(text, "secret") {
			t.Errorf("namespace %s: userinfo or query is shown: %+v", check.Namespace, check)
		}
	}

	// Run the remedies that are whole commands.
	for _, check := range checks {
		command, _, _ := strings.Cut(check.Remedy, "\n")
		switch check.Namespace {
		case "another-port", "never-validated", "by-annotation", "too-slow", "kube-system":
			c.kubectl(t, strings.Fields(command)[1:]...)
		case "amp-samples": // the first line is prose
			c.kubectl(t, strings.Fields(strings.Split(check.Remedy, "\n")[1])[1:]...)
		default:
			c.remove(t, namespaces+check.Namespace)
		}
	}
	c.patch(t, namespaces+"by-annotation", merge, `{"metadata": {"annotations": {"amp.txn2.com/enabled": null}}}`)
	c.patch(t, namespaces+"kube-system", merge, `{"metadata": {"annotations": {"amp.txn2.com/ep": null}}}`)
	// Now it is called, and denies the image.
	c.expect(t, []finding{{"warning", "dry-run", "never-validated", "the endpoint answers, and denies a plain Pod: "}})
	c.remove(t, namespaces+"never-validated")
	c.expect(t, nil)
}
