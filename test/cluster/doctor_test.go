package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
	c.ampIsUp(t)
	c.rolledOut(t, "amp-samples", "endpoints")

	redeploy := func(t *testing.T) { w.sh(t, "kubectl apply -k deploy") }
	const again = "apply again what installed amp: your overlay of deploy or, if there is none,\n"
	var remedy string
	byRemedy := func(t *testing.T) {
		lines := strings.Split(remedy, "\n")
		command := lines[slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "kubectl ") })]
		w.sh(t, command)
	}
	allByRemedy := func(t *testing.T) {
		for line := range strings.Lines(remedy) {
			if strings.HasPrefix(line, "kubectl ") {
				w.sh(t, line)
			}
		}
		c.ampIsUp(t)
	}
	noPods := func(t *testing.T) {
		c.remove(t, "/api/v1/namespaces/amp-system/pods?gracePeriodSeconds=0")
	}
	env := func(variables ...string) func(*testing.T) {
		return func(t *testing.T) {
			c.setEnv(t, variables...)
			c.ampIsUp(t)
		}
	}
	scale := func(t *testing.T, replicas string) {
		c.patch(t, ampDeployment, merge, `{"spec": {"replicas": `+replicas+`}}`)
	}
	started := time.Now()
	const quotas, bindings = "/api/v1/namespaces/amp-system/resourcequotas", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/"
	for _, test := range []struct {
		name   string
		harm   func(t *testing.T)
		want   []finding
		remedy string             // of the first of them: its beginning
		mend   func(t *testing.T) // nil: the next case goes on with what is broken
	}{
		{"events do not say which cluster they are from, as after every installation",
			func(*testing.T) {},
			[]finding{{"warning", "events-source", "", "AMP_EVENTS_SOURCE is still the default"}},
			"kubectl -n amp-system set env deployment/amp AMP_EVENTS_SOURCE=https://", env("AMP_EVENTS_SOURCE=https://test.example.com/amp")},
		{"the mutating webhooks are gone",
			func(t *testing.T) { c.remove(t, admission+"mutatingwebhookconfigurations/amp") },
			[]finding{{"failed", "webhooks", "", "MutatingWebhookConfiguration amp is missing"}}, again + "kubectl apply -k deploy", byRemedy},
		{"a webhook's failure policy is another, and its selector lacks the opting in",
			func(t *testing.T) {
				c.hooks(t, "mutating", `[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"},
					{"op": "remove", "path": "/webhooks/1/namespaceSelector/matchLabels"}]`)
			},
			[]finding{{"failed", "webhooks", "", "MutatingWebhookConfiguration amp is not as deployed: fail.amp.txn2.com: failurePolicy is Ignore instead of Fail. " +
				`ignore.amp.txn2.com: namespaceSelector lacks "amp.txn2.com/enabled=true"`}}, again + "kubectl apply -k deploy", byRemedy},
		{"a webhook's timeout is another",
			func(t *testing.T) {
				c.hooks(t, "validating", `[{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 10}]`)
			},
			[]finding{{"warning", "webhooks", "", "ValidatingWebhookConfiguration amp is not as deployed: validate.fail.amp.txn2.com: timeoutSeconds is 10 instead of 1"}},
			"nothing, if this is intended. Otherwise take it out of your overlay", redeploy},
		{"a foreign webhook is among amp's",
			func(t *testing.T) {
				c.hooks(t, "mutating", `[{"op": "add", "path": "/webhooks/-", "value": {"name": "x.example.com", "admissionReviewVersions": ["v1"],
					"sideEffects": "None", "failurePolicy": "Ignore", "clientConfig": {"url": "https://x.example.com"}}}]`)
			},
			[]finding{{"warning", "webhooks", "", "x.example.com is not one of amp's webhooks"}}, "nothing, if this is intended. Otherwise take it out of your overlay",
			func(t *testing.T) { c.hooks(t, "mutating", `[{"op": "remove", "path": "/webhooks/2"}]`) }},
		{"the Service selects no Pod",
			func(t *testing.T) {
				c.patch(t, "/api/v1/namespaces/amp-system/services/amp", merge, `{"spec": {"selector": {"app.kubernetes.io/component": "none"}}}`)
			},
			[]finding{{"failed", "service", "", "replicas are ready, but Service amp selects none of them"}}, again + "kubectl apply -k deploy", byRemedy},
		{"webhooks of an earlier installation are left over",
			func(t *testing.T) {
				text := c.kubectl(t, "get", "mutatingwebhookconfiguration", "amp", "--output", "json")
				text = strings.ReplaceAll(strings.Replace(text, `"name": "amp",`, `"name": "amp-old",`, 1), `"namespace": "amp-system"`, `"namespace": "amp-old"`)
				var old map[string]any
				if err := json.Unmarshal([]byte(text), &old); err != nil {
					t.Fatal(err)
				}
				old["metadata"] = map[string]any{"name": "amp-old"}
				manifest, err := json.Marshal(old)
				if err != nil {
					t.Fatal(err)
				}
				c.apply(t, string(manifest))
			},
			[]finding{{"failed", "webhooks", "", "amp-old (calls amp.amp-old.svc, which is gone)"}}, "delete what is left over:\nkubectl delete mutatingwebhookconfiguration amp-old", byRemedy},
		{"a quota lets no Pod in",
			func(t *testing.T) {
				c.post(t, quotas, `{"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}`)
				eventually(t, func() error {
					var quota struct {
						Status struct{ Hard map[string]string }
					}
					err := c.read(quotas+"/none", &quota)
					if err == nil && quota.Status.Hard["pods"] != "0" {
						err = errors.New("the quota is not in force")
					}
					return err
				})
				noPods(t)
			},
			[]finding{{"failed", "replicas", "", "0 of 2 ready: "}}, "let the quota of the namespace have room",
			func(t *testing.T) {
				if !strings.Contains(c.kubectl(t, "describe", "resourcequotas", "--namespace", "amp-system"), "none") {
					t.Error("the remedy does not show the quota")
				}
				c.remove(t, quotas+"/none")
				allByRemedy(t)
			}},
		{"the ServiceAccount is gone",
			func(t *testing.T) {
				c.remove(t, "/api/v1/namespaces/amp-system/serviceaccounts/amp")
				eventually(t, func() error { // admission still knows it for a moment, and would let a Pod in
					_, err := c.send(http.MethodPost, "/api/v1/namespaces/amp-system/pods?dryRun=All", "application/json",
						`{"metadata": {"name": "a"}, "spec": {"serviceAccountName": "amp", "containers": [{"name": "a", "image": "a"}]}}`)
					if err == nil || !strings.Contains(err.Error(), "service account") {
						return fmt.Errorf("the ServiceAccount is still known: %v", err)
					}
					return nil
				})
				noPods(t)
			},
			[]finding{{"failed", "rbac", "", "there is no ServiceAccount amp in namespace amp-system"}, {"failed", "replicas", "", `0 of 2 ready: pods "amp-`}}, again, allByRemedy},
		{"the Deployment is paused, and has changed",
			func(t *testing.T) {
				c.patch(t, ampDeployment, merge, `{"spec": {"paused": true}}`)
				c.setEnv(t, "AMP_TIMEOUT=1s")
			},
			[]finding{{"warning", "replicas", "", "Deployment amp is paused: the Deployment's last change is not rolled out"}}, "kubectl -n amp-system rollout resume deployment/amp", allByRemedy},
		{"a new Pod is not ready",
			func(t *testing.T) { c.setEnv(t, "AMP_TIMEOUT-", "AMP_TLS_SECRET=other") },
			[]finding{{"failed", "rbac", "", "secrets other"}, {"warning", "replicas", "", "is not finished: Pod amp-"}}, "in your overlay of deploy, which installed amp, let the roles of amp name", env("AMP_TLS_SECRET-")},
		{"the sink is gone", env("K_SINK=http://audit.amp-audit.svc"),
			[]finding{{"warning", "events-sink", "", "there is no such Service"}}, "deploy the sink, or name another:\nkubectl -n amp-system set env deployment/amp K_SINK=", env("K_SINK-")},
		{"there is a single replica",
			func(t *testing.T) { scale(t, "1") },
			[]finding{{"warning", "replicas", "", "1 of 1 ready: with a single replica"}}, "kubectl -n amp-system scale deployment/amp --replicas 2", allByRemedy},
		{"amp may not read Namespaces",
			func(t *testing.T) { c.remove(t, bindings+"amp") },
			[]finding{{"failed", "rbac", "", "ServiceAccount amp may not get, list, watch namespaces"}}, again + "kubectl apply -k deploy", byRemedy},
		{"the webhooks trust another CA, and amp may not put that right",
			func(t *testing.T) {
				c.remove(t, bindings+"amp-tls")
				eventually(t, func() error { // the API server still knows the right for a moment, and amp would use it
					may, err := c.send(http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", "application/json", `{"spec": {"user": "system:serviceaccount:amp-system:amp",
						"resourceAttributes": {"verb": "update", "group": "admissionregistration.k8s.io", "resource": "mutatingwebhookconfigurations", "name": "amp"}}}`)
					if err == nil && strings.Contains(string(may), `"allowed":true`) {
						err = errors.New("amp may still write into the webhooks")
					}
					return err
				})
				ca, _ := pair(t, time.Hour, time.Hour)
				c.bundle(t, ca)
			},
			[]finding{
				{"failed", "certificate", "", "holds another CA"},
				{"failed", "rbac", "", "mutatingwebhookconfigurations amp"},
			}, "amp writes the right CA within seconds", redeploy},
		{"the API server cannot call amp, in a cluster with Ignore in every namespace",
			env("AMP_TLS_CLIENT_CA=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"),
			[]finding{{"failed", "calls", "", "Pods are admitted without it, because the failure policy is Ignore"}}, "AMP_TLS_CLIENT_CA demands a client certificate",
			func(t *testing.T) {
				byRemedy(t)
				c.ampIsUp(t)
			}},
		{"a variable is bad, so that no new Pod starts",
			func(t *testing.T) { c.setEnv(t, "AMP_TIMEOUT=soon") },
			[]finding{{"failed", "settings", "", `AMP_TIMEOUT="soon": allowed: a Go duration`}}, "kubectl -n amp-system set env deployment/amp AMP_TIMEOUT=VALUE",
			env("AMP_TIMEOUT-")},
		{"amp is scaled to 0",
			func(t *testing.T) {
				scale(t, "0")
				c.untilAtMost(t, 0, "amp-system", "app.kubernetes.io/name=amp") // while it drains it still keeps its Secret
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
				scale(t, "2")
				c.ampIsUp(t)
			}},
	} {
		ok := t.Run(test.name, func(t *testing.T) {
			test.harm(t)
			checks := c.expect(t, test.want)
			if remedy = checks[0].Remedy; !strings.HasPrefix(remedy, test.remedy) {
				t.Errorf("the remedy is %q, not %q", remedy, test.remedy)
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
	text, _ := c.run("kubectl", "amp", "doctor")
	t.Logf("of an installation without faults:\n%s", text)

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
		var report doctorReport
		var code int
		eventually(t, func() error { // the API server learns of the rights a moment later
			if report, code = c.doctor(t, "--as", "looks"); code == 2 {
				return errors.New("looks may not look")
			}
			return nil
		})
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
