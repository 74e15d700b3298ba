package cluster

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDoctor breaks an installation in one way after the other. Each time, `kubectl amp doctor` must report what is
// broken, with the remedy, and nothing else. If the remedy is a command, the test runs it to repair the installation.
func TestDoctor(t *testing.T) {
	c := up(t)
	defer c.diagnose(t)
	c.image(t, "amp", root(t), "./cmd/amp")
	c.image(t, "endpoints", root(t), "./cmd/endpoints")
	plugin(t)
	w := c.asWritten(t, "deploy/README.md")
	w.do(t, "kubectl apply -k deploy", "kubectl apply -k deploy/samples")
	c.kubectl(t, "set", "env", "--namespace", "amp-system", "deployment/amp", "AMP_EVENTS_SOURCE=https://test.example.com/amp")
	c.ampIsUp(t)
	c.kubectl(t, "rollout", "status", "--namespace", "amp-samples", "deployment/endpoints", "--timeout=90s")
	c.healthy(t)
	text, _ := c.run("kubectl", "amp", "doctor")
	t.Logf("of an installation without faults:\n%s", text)

	redeploy := func(t *testing.T) { w.sh(t, "kubectl apply -k deploy") }
	var remedy string
	byRemedy := func(t *testing.T) {
		lines := strings.Split(remedy, "\n")
		command := lines[slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "kubectl ") })]
		w.sh(t, command)
	}
	hooks := func(t *testing.T, kind, patch string) {
		c.kubectl(t, "patch", kind+"webhookconfiguration", "amp", "--type", "json", "--patch", patch)
	}
	started := time.Now()
	for _, test := range []struct {
		name   string
		harm   func(t *testing.T)
		want   []finding
		remedy string             // of the first of them: its beginning
		mend   func(t *testing.T) // nil: the next case goes on with what is broken
	}{
		{"the mutating webhooks are gone",
			func(t *testing.T) { c.kubectl(t, "delete", "mutatingwebhookconfiguration", "amp") },
			[]finding{{"failed", "webhooks", "", "MutatingWebhookConfiguration amp is missing"}}, "kubectl apply -k deploy\n", byRemedy},
		{"a webhook's failure policy is another, and its selector lacks the opting in",
			func(t *testing.T) {
				hooks(t, "mutating", `[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"},
					{"op": "remove", "path": "/webhooks/1/namespaceSelector/matchLabels"}]`)
			},
			[]finding{{"failed", "webhooks", "", "MutatingWebhookConfiguration amp is not as deployed: fail.amp.txn2.com: failurePolicy is Ignore instead of Fail. " +
				`ignore.amp.txn2.com: namespaceSelector lacks "amp.txn2.com/enabled=true"`}}, "kubectl apply -k deploy\n", byRemedy},
		{"a webhook's timeout is another",
			func(t *testing.T) {
				hooks(t, "validating", `[{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 10}]`)
			},
			[]finding{{"warning", "webhooks", "", "ValidatingWebhookConfiguration amp is not as deployed: validate.fail.amp.txn2.com: timeoutSeconds is 10 instead of 1"}},
			"if this is not intended:\nkubectl edit validatingwebhookconfiguration amp", redeploy},
		{"a foreign webhook is among amp's",
			func(t *testing.T) {
				hooks(t, "mutating", `[{"op": "add", "path": "/webhooks/-", "value": {"name": "x.example.com", "admissionReviewVersions": ["v1"],
					"sideEffects": "None", "failurePolicy": "Ignore", "clientConfig": {"url": "https://x.example.com"}}}]`)
			},
			[]finding{{"warning", "webhooks", "", "x.example.com is not one of amp's webhooks"}}, "if this is not intended:\nkubectl edit mutatingwebhookconfiguration amp",
			func(t *testing.T) { hooks(t, "mutating", `[{"op": "remove", "path": "/webhooks/2"}]`) }},
		{"the Service selects no Pod",
			func(t *testing.T) {
				c.kubectl(t, "patch", "service", "--namespace", "amp-system", "amp", "--patch", `{"spec": {"selector": {"app.kubernetes.io/component": "none"}}}`)
			},
			[]finding{{"failed", "service", "", "replicas are ready, but Service amp selects none of them"}}, "kubectl apply -k deploy\n", byRemedy},
		{"amp may not read Namespaces",
			func(t *testing.T) { c.kubectl(t, "delete", "clusterrolebinding", "amp") },
			[]finding{{"failed", "rbac", "", "ServiceAccount amp may not get, list, watch namespaces"}}, "kubectl apply -k deploy\n", byRemedy},
		{"the webhooks trust another CA, and amp may not put that right",
			func(t *testing.T) {
				c.kubectl(t, "delete", "clusterrolebinding", "amp-tls")
				ca, _ := pair(t, time.Hour, time.Hour)
				c.bundle(t, ca)
			},
			[]finding{
				{"failed", "certificate", "", "holds another CA"},
				{"failed", "rbac", "", "mutatingwebhookconfigurations amp"},
			}, "amp writes the right CA within seconds", redeploy},
		{"the API server cannot call amp, in a cluster with Ignore in every namespace",
			func(t *testing.T) {
				c.kubectl(t, "set", "env", "--namespace", "amp-system", "deployment/amp", "AMP_TLS_CLIENT_CA=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
				c.ampIsUp(t)
			},
			[]finding{{"failed", "calls", "", "Pods are admitted without it, because the failure policy is Ignore"}}, "AMP_TLS_CLIENT_CA demands a client certificate", byRemedy},
		{"events do not say which cluster they are from",
			func(t *testing.T) {
				c.kubectl(t, "set", "env", "--namespace", "amp-system", "deployment/amp", "AMP_EVENTS_SOURCE-")
			},
			[]finding{{"warning", "events-source", "", "AMP_EVENTS_SOURCE is still the default"}},
			"kubectl -n amp-system set env deployment/amp AMP_EVENTS_SOURCE=https://", nil},
		{"and a variable is bad, so that no new Pod starts",
			func(t *testing.T) {
				c.kubectl(t, "set", "env", "--namespace", "amp-system", "deployment/amp", "AMP_TIMEOUT=soon", "AMP_EVENTS_SOURCE=https://test.example.com/amp")
			},
			[]finding{{"failed", "settings", "", `AMP_TIMEOUT="soon": allowed: a Go duration`}}, "kubectl -n amp-system set env deployment/amp AMP_TIMEOUT=VALUE",
			func(t *testing.T) {
				c.kubectl(t, "set", "env", "--namespace", "amp-system", "deployment/amp", "AMP_TIMEOUT-")
				c.ampIsUp(t)
			}},
		{"amp is scaled to 0",
			func(t *testing.T) {
				c.kubectl(t, "scale", "--namespace", "amp-system", "deployment/amp", "--replicas", "0")
				// While it drains it still keeps its Secret.
				c.kubectl(t, "wait", "--namespace", "amp-system", "--for=delete", "pods", "--selector", "app.kubernetes.io/name=amp", "--timeout=60s")
			},
			[]finding{{"failed", "replicas", "", "Deployment amp is scaled to 0"}}, "kubectl -n amp-system scale deployment/amp --replicas 2", nil},
		{"and its certificate is near its end",
			func(t *testing.T) {
				ca, secret := pair(t, 80*24*time.Hour, 10*24*time.Hour)
				c.secret(t, secret)
				c.bundle(t, ca)
			},
			[]finding{{"warning", "certificate", "", "its renewal is overdue"}, {"failed", "replicas", "", ""}}, "amp renews it after two thirds of its lifetime", nil},
		{"and has expired",
			func(t *testing.T) {
				ca, secret := pair(t, 90*24*time.Hour, -time.Hour)
				c.secret(t, secret)
				c.bundle(t, ca)
			},
			[]finding{{"failed", "certificate", "", "the certificate is not valid now"}, {"failed", "replicas", "", ""}}, "amp renews it after two thirds of its lifetime",
			func(t *testing.T) {
				c.kubectl(t, "scale", "--namespace", "amp-system", "deployment/amp", "--replicas", "2")
				c.ampIsUp(t)
			}},
	} {
		ok := t.Run(test.name, func(t *testing.T) {
			test.harm(t)
			checks := c.expect(t, test.want)
			if remedy = checks[0].Remedy; !strings.HasPrefix(remedy, test.remedy) {
				t.Errorf("the remedy is %q, not %q", remedy, test.remedy)
			}
			text, err := c.run("kubectl", "amp", "doctor")
			t.Logf("\n%s", text)
			if failed := slices.ContainsFunc(test.want, func(f finding) bool { return f.status == "failed" }); exitCode(t, err) != map[bool]int{true: 1, false: 0}[failed] {
				t.Errorf("exit code %d", exitCode(t, err))
			}
			if test.mend != nil {
				test.mend(t)
				c.healthy(t)
			}
		})
		if !ok {
			return // the next case needs an installation without faults
		}
	}
	t.Logf("amp broken and mended in %v", time.Since(started).Round(time.Second))

	t.Run("namespaces go wrong in every way at once", func(t *testing.T) { c.badNamespaces(t) })

	t.Run("a user with few rights is told what was not checked", func(t *testing.T) {
		c.apply(t, `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: looks}
rules:
- {apiGroups: [admissionregistration.k8s.io], resources: [mutatingwebhookconfigurations, validatingwebhookconfigurations], verbs: [list]}
- {apiGroups: ["", apps, discovery.k8s.io], resources: [namespaces, services, endpointslices, deployments, pods], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: looks}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: looks}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: looks}]
`)
		report, code := c.doctor(t, "--as", "looks")
		skipped := map[string]string{}
		for _, check := range report.Checks {
			if check.Status == "skipped" {
				skipped[check.ID] = check.Message
			}
		}
		if code != 0 || len(skipped) != 3 || report.Summary.OK < 9 {
			t.Errorf("exit code %d, %+v", code, report)
		}
		for id, why := range map[string]string{"rbac": "cannot create resource", "dry-run": "cannot create resource", "certificate": `secrets "amp-tls" is forbidden`} {
			if !strings.Contains(skipped[id], why) {
				t.Errorf("%s is skipped because %q, which does not say %q", id, skipped[id], why)
			}
		}
		if _, code := c.doctor(t, "--as", "nobody"); code != 2 {
			t.Errorf("for a user who may read nothing the exit code is %d", code)
		}
	})
}

// badNamespaces makes namespaces that are wrong each in a way of its own.
func (c *cluster) badNamespaces(t *testing.T) {
	const good = "http://endpoints.amp-samples.svc/example"
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
			[]finding{{"failed", "endpoint", "", "no Pod behind Service empty in namespace no-pods-behind is ready"}}, "kubectl -n no-pods-behind get pods -l app=none"},
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
		c.kubectl(t, "annotate", "namespace", name, "amp.txn2.com/ep="+good)
		c.kubectl(t, "label", "namespace", name, "amp.txn2.com/enabled=true")
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
			c.kubectl(t, "delete", "namespace", check.Namespace, "--wait=false")
		}
	}
	c.kubectl(t, "annotate", "namespace", "by-annotation", "amp.txn2.com/enabled-")
	c.kubectl(t, "annotate", "namespace", "kube-system", "amp.txn2.com/ep-")
	// Now it is called, and denies the image.
	c.expect(t, []finding{{"warning", "dry-run", "never-validated", "the endpoint answers, and denies a plain Pod: "}})
	c.kubectl(t, "delete", "namespace", "never-validated", "--wait=false")
	c.expect(t, nil)
}
