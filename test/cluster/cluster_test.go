// Package cluster tests amp in a real cluster, where Pods run: installed from deploy/, called through its Service,
// with endpoints that are Pods, and with the default address rule.
package cluster

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestInARealCluster(t *testing.T) {
	c := up(t)
	defer c.diagnose(t)
	c.image(t, "amp", root(t), "./cmd/amp")
	c.image(t, "endpoints", root(t), "./cmd/endpoints")
	c.image(t, "probe", ".", "./testdata/probe")
	c.image(t, "cert-manager", "testdata/cert-manager", ".", "-gcflags="+os.Getenv("AMP_TEST_GCFLAGS"))
	readme := c.asWritten(t, "README.md", "deploy/README.md", "docs/quickstart.md", "docs/jupyterhub.md")

	t.Run("one command installs amp, and nothing else is needed", func(t *testing.T) {
		start := time.Now()
		readme.do(t, "kubectl apply -k deploy", "kubectl -n amp-system rollout status deployment/amp")
		t.Logf("amp is ready after %v", time.Since(start).Round(100*time.Millisecond))
	})
	if t.Failed() {
		return
	}

	t.Run("the samples and the audit function come from their overlays", func(t *testing.T) {
		c.volume(t)
		readme.do(t, "kubectl apply -k deploy/samples", "kubectl apply -k deploy/audit",
			"kubectl -n amp-audit rollout status deployment/audit",
			"kubectl -n amp-system set env deployment/amp K_SINK=http://audit.amp-audit.svc")
		c.rolledOut(t, "amp-samples", "endpoints")
		// A user who installs a newer version does not repeat this step.
		readme.do(t, "kubectl apply -k deploy", "kubectl -n amp-system rollout status deployment/amp")
		if sink := c.variable(t, "K_SINK"); sink != "http://audit.amp-audit.svc" {
			t.Errorf("K_SINK is %q once deploy is applied again", sink)
		}
		c.untilReached(t)
	})
	if t.Failed() {
		return
	}

	t.Run("the quick start ends in a Pod that is changed, on the audit page too", func(t *testing.T) { c.quickstart(t, readme) })

	t.Run("the page for JupyterHub leads to a user's Pod, whose process sees what the profiles hold", func(t *testing.T) { c.jupyterHub(t, readme) })

	plugin(t)
	t.Run("the doctor finds nothing wrong with it", func(t *testing.T) {
		if said := readme.do(t, "kubectl amp doctor"); !strings.Contains(said, " 0 failed") {
			t.Error(said)
		}
	})

	t.Run("the auditor finds that, and still does when the audit function's Pod is another", func(t *testing.T) {
		stamp := c.stamp(t, "jhub", "jupyter-alice")
		eventually(t, func() error { return c.audited("jhub", "jupyter-alice", stamp) })
		c.onThePage(t, "jupyter-alice")
		c.kubectl(t, "delete", "pod", "--namespace", "amp-audit", "--selector", "app.kubernetes.io/name=audit", "--timeout=60s")
		readme.do(t, "kubectl -n amp-audit rollout status deployment/audit")
		eventually(t, func() error { return c.audited("jhub", "jupyter-alice", stamp) })
	})

	t.Run("a token closes the audit function, whose volume goes over to the new Pod", func(t *testing.T) {
		token := `kubectl -n amp-audit get secret audit-read -o go-template='{{.data.token | base64decode}}'`
		readme.do(t, `kubectl -n amp-audit create secret generic audit-read --from-literal=token="$(openssl rand -hex 24)"`,
			"kubectl -n amp-audit patch deployment audit --patch-file deploy/audit/read-token.yaml")
		// As a user does who upgrades.
		readme.do(t, "kubectl apply -k deploy/audit", "kubectl -n amp-audit rollout status deployment/audit")
		eventually(t, func() error {
			if _, err := c.get(audit + "/api/events"); err == nil || !strings.Contains(err.Error(), "401 Unauthorized") {
				return fmt.Errorf("without the token the events are there: %v", err)
			}
			return nil
		})
		address := c.address(t, "amp-audit", "audit")
		eventually(t, func() error {
			list, err := c.run("in", "curl", "-sS", "-H", "Authorization: Bearer "+readme.do(t, token), "http://"+address+"/api/events?pod=jupyter-alice")
			if err == nil && !strings.Contains(list, `"mutated"`) {
				err = fmt.Errorf("with the token: %s", list)
			}
			return err
		})
	})

	t.Run("another token lets only amp post", func(t *testing.T) {
		const writeToken = "0123456789abcdef0123456789abcdef"
		t.Setenv("token", writeToken) // the commands use it
		readme.do(t, `kubectl -n amp-system create secret generic audit-write --from-literal=token="$token"`,
			`kubectl -n amp-audit create secret generic audit-write --from-literal=token="$token"`,
			"kubectl -n amp-system patch deployment amp --patch-file deploy/audit/send-token.yaml",
			"kubectl -n amp-system rollout status deployment/amp")
		readme.write(t, "writers.txt", writeToken+" https://amp.txn2.com/proxy\n")
		readme.do(t, "kubectl -n amp-audit create secret generic audit-write --from-file=token=writers.txt --dry-run=client -o yaml | kubectl apply -f -",
			"kubectl -n amp-audit patch deployment audit --patch-file deploy/audit/write-token.yaml",
			"kubectl -n amp-audit rollout status deployment/audit")
		address := c.address(t, "amp-audit", "audit")
		eventually(t, func() error {
			answer, err := c.run("in", "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-H", "Content-Type: application/json", "-d", "{}", "http://"+address+"/")
			if err == nil && answer != "401" {
				err = fmt.Errorf("a stranger's event is answered %s", answer)
			}
			return err
		})
		forged := `{"specversion":"1.0","id":"1","source":"https://west.example/amp","type":"com.txn2.amp.pod.mutated.v1","time":"2026-11-29T10:00:00Z","data":{"namespace":"team-a","pod":{"name":"web"},"outcome":"mutated"}}`
		if answer, err := c.run("in", "curl", "-sS", "-X", "POST", "-H", "Content-Type: application/cloudevents+json", "-H", "Authorization: Bearer "+writeToken,
			"-d", forged, "http://"+address+"/"); err != nil || !strings.Contains(answer, "https://west.example/amp") {
			t.Errorf("an event of another cluster is answered: %s, %v", answer, err)
		}
		c.untilAtMost(t, 2, "amp-system", "app.kubernetes.io/name=amp") // a replica that ends has no token
		c.asHub(t, "jupyter-alice--again", "alice")
		read := readme.do(t, `kubectl -n amp-audit get secret audit-read -o go-template='{{.data.token | base64decode}}'`)
		eventually(t, func() error {
			list, err := c.run("in", "curl", "-sS", "-H", "Authorization: Bearer "+read, "http://"+address+"/api/events?pod=jupyter-alice--again")
			if err == nil && !strings.Contains(list, `"mutated"`) {
				err = fmt.Errorf("amp's event is not there: %s", list)
			}
			return err
		})
	})

	t.Run("a Deployment's Pods do too", func(t *testing.T) {
		c.optIn(t, "jhub-deployment", namespace("jhub-deployment"))
		c.workspaces(t, "jhub-deployment")
		c.untilMutated(t, "jhub-deployment")
		c.apply(t, `apiVersion: apps/v1
kind: Deployment
metadata: {name: notebooks, namespace: jhub-deployment}
spec:
  replicas: 2
  selector: {matchLabels: {component: singleuser-server}}
  template:
    metadata:
      labels: {component: singleuser-server}
      annotations: {hub.jupyter.org/username: alice}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {fsGroup: 100}
      containers: [{name: notebook, image: "dev.local/probe:e2e", args: [serve]}]
`)
		c.rolledOut(t, "jhub-deployment", "notebooks")
		pods := c.pods(t, "jhub-deployment", "component=singleuser-server")
		if len(pods) != 2 {
			t.Fatalf("the Deployment of 2 has the Pods %q: does its ReplicaSet know its own?", pods)
		}
		for _, pod := range pods {
			isAlices(t, c.seen(t, "jhub-deployment", pod))
		}
	})

	t.Run("a Pod in the samples' own namespace comes out changed", func(t *testing.T) {
		// A dry run, because the image of the sample's init containers is not available here.
		out := c.kubectl(t, "run", "web", "--namespace", "amp-example", "--image", "dev.local/probe:e2e", "--dry-run=server",
			"--annotations", "amp.txn2.com/example=mutate", "-o", "jsonpath={.spec.initContainers[*].name}")
		if !strings.Contains(out, "amp-example") {
			t.Errorf("its init containers are %q", out)
		}
	})

	t.Run("an endpoint's refusal is what the user reads, and every alert asks for metrics that there are", func(t *testing.T) {
		c.optIn(t, "strict", strings.ReplaceAll(namespace("strict"), "/jupyterhub", "/require"))
		eventually(t, func() error {
			_, err := c.createPod("strict", "", `{"name": "web", "labels": {"component": "singleuser-server"}}`)
			if err == nil || !strings.Contains(err.Error(), "dev.local") {
				return fmt.Errorf("the sample that requires registries says %v", err)
			}
			return nil
		})
		c.haveMetrics(t)
	})

	t.Run("a namespace opts in as written, and under Ignore does not wait for amp", func(t *testing.T) {
		c.post(t, "/api/v1/namespaces", `{"metadata": {"name": "team-a"}}`)
		readme.do(t, "kubectl annotate namespace team-a amp.txn2.com/ep=http://hook.team-hooks.svc.cluster.local/mutate",
			"kubectl label namespace team-a amp.txn2.com/failure-policy=Ignore",
			"kubectl label namespace team-a amp.txn2.com/enabled=true",
			"kubectl label namespace team-a amp.txn2.com/failure-policy=Ignore --overwrite")
		// This endpoint does not exist.
		explain := "kubectl -n team-a run web --image=nginx --annotations=amp.txn2.com/explain=true --dry-run=server"
		if said := readme.do(t, explain); !strings.Contains(said, "Warning: amp: not mutated: ") || !strings.Contains(said, "(endpoint http://hook.team-hooks") {
			t.Errorf("of a dry run amp says %q", said)
		}
		if said := readme.do(t, `kubectl -n amp-system logs -l app.kubernetes.io/name=amp --prefix --tail=-1 | grep '"outcome":"failedopen"'`); !strings.Contains(said, `"namespace":"team-a"`) {
			t.Errorf("the log of what failed open is %q", said)
		}
		c.patch(t, "/api/v1/namespaces/team-a", merge, `{"metadata": {"annotations": {"amp.txn2.com/ep": "http://endpoints.amp-samples.svc/example"}}}`)
		eventually(t, func() error {
			if said := readme.do(t, explain); !strings.Contains(said, "Warning: amp: dry run, mutate: unchanged") {
				return fmt.Errorf("of a dry run amp says %q", said)
			}
			return nil
		})
		c.kubectl(t, "run", "web", "--namespace", "team-a", "--image", "dev.local/probe:e2e")
	})

	t.Run("what is installed besides changes nothing of that", func(t *testing.T) {
		c.prometheusOperator(t)
		readme.do(t, "kubectl apply -k deploy/alerts", "kubectl apply -k deploy/network-policy",
			"kubectl apply -k deploy/network-policy/samples", "kubectl apply -k deploy/network-policy/audit", "kubectl apply -k deploy/dashboards",
			"kubectl apply -k deploy/no-way-out")
		eventually(t, func() error {
			_, err := c.createPod("first", "?dryRun=All", `{"name": "round", "labels": {"amp.txn2.com/enabled": "false"}}`)
			if err == nil || !strings.Contains(err.Error(), "is not allowed on Pods of this namespace") {
				return fmt.Errorf("a Pod that goes round amp: %v", err)
			}
			return nil
		})
		c.untilReached(t)
	})

	c.certManager(t) // before the stream: it takes what the machine has
	s := c.startStream(t)

	t.Run("no create fails while amp's Pods are deleted one by one, nor in a rollout", func(t *testing.T) {
		s.beyond(t, 40)
		for _, name := range c.pods(t, "amp-system", "app.kubernetes.io/name=amp") {
			c.remove(t, "/api/v1/namespaces/amp-system/pods/"+name)
			eventually(t, func() error { // the deleted one may still drain
				ready := slices.DeleteFunc(c.list(t, "amp-system", "app.kubernetes.io/name=amp"), func(p pod) bool { return !p.isReady() })
				if len(ready) != 2 {
					return fmt.Errorf("%d of 2 are ready", len(ready))
				}
				return nil
			})
			s.beyond(t, 40)
		}
		c.kubectl(t, "rollout", "restart", "--namespace", "amp-system", "deployment/amp")
		c.ampIsUp(t)
		s.untilDrained(t)
		s.unharmed(t)
	})

	t.Run("nor while certificates are renewed every few seconds, and the Secret is deleted", func(t *testing.T) {
		before, err := c.certificate()
		if err != nil {
			t.Fatal(err)
		}
		// Another name makes amp renew at once, and not in 60 days.
		c.setEnv(t, "AMP_TLS_LIFETIME=12s", "AMP_TLS_DNS_NAMES=amp.amp-system.svc amp.amp-system.svc.cluster.local")
		c.ampIsUp(t)
		seen := map[string]bool{}
		renewed := func(n int) {
			for end := time.Now().Add(time.Minute); len(seen) < n; {
				certificate, err := c.certificate()
				if err == nil && certificate != before {
					seen[certificate] = true
				} else if err != nil && !strings.Contains(err.Error(), "404 Not Found") { // it was deleted a moment ago
					t.Fatal(err)
				}
				if time.Now().After(end) {
					t.Fatalf("in a minute there were %d certificates", len(seen))
				}
				time.Sleep(pause)
			}
		}
		renewed(2)
		s.untilDrained(t)
		c.remove(t, "/api/v1/namespaces/amp-system/secrets/amp-tls")
		renewed(5)
		c.setEnv(t, "AMP_TLS_LIFETIME-", "AMP_TLS_DNS_NAMES-")
		c.ampIsUp(t)
		s.untilDrained(t)
		// While a short one is served, API servers have no more than 0.6 s to learn of the next CA (docs/adr/20261123-own-certificates.md).
		// What comes now keeps the API server too busy for that.
		start := time.Now()
		eventually(t, c.longCertificate)
		t.Logf("the last certificate of 12 s is replaced %v after its replicas", time.Since(start).Round(100*time.Millisecond))
		s.beyond(t, 20)
		s.unharmed(t)
	})

	t.Run("nor from amp's own certificate to cert-manager's and back", func(t *testing.T) {
		readme.do(t, "kubectl -n amp-system apply -f deploy/cert-manager/certificate.yaml",
			"kubectl -n amp-system wait --for=condition=Ready certificate/amp --timeout=60s",
			"kubectl apply -k deploy/cert-manager",
			"kubectl -n amp-system rollout status deployment/amp",
			"kubectl -n amp-system delete -f deploy/self/rbac.yaml")
		s.untilDrained(t)
		s.unharmed(t)
		if from := c.variable(t, "AMP_TLS"); from != "files" {
			t.Errorf("AMP_TLS is %s", from)
		}
		report, _ := c.doctor(t)
		for _, check := range report.Checks {
			if check.Namespace == "" && check.Status == "failed" { // this test itself makes the namespaces that are wrong
				t.Errorf("the doctor says of %s: %s", check.Subject, check.Message)
			}
		}
		readme.do(t, "kubectl apply -k deploy", "kubectl -n amp-system rollout status deployment/amp",
			"kubectl -n amp-system delete -f deploy/cert-manager/certificate.yaml")
		s.untilDrained(t)
		s.unharmed(t)
	})

	t.Run("two commands uninstall amp, and meanwhile no create fails either", func(t *testing.T) {
		readme.do(t, "kubectl delete --ignore-not-found mutatingwebhookconfigurations,validatingwebhookconfigurations amp", "kubectl delete --ignore-not-found -k deploy")
		s.beyond(t, 20)
		for _, f := range s.ask(t, "stop").Failed {
			if !strings.Contains(f, "HTTP 201") { // created, and no longer mutated
				t.Error(f)
			}
		}
		if left := c.kubectl(t, "get", kinds, "--selector", "app.kubernetes.io/name=amp", "-o", "name"); left != "" {
			t.Errorf("left behind: %s", left)
		}
	})

	t.Run("amp moves to another namespace; no create fails, and none passes it by", func(t *testing.T) { c.moves(t, readme) })

	t.Run("by Helm amp installs, is upgraded, goes back, gets another certificate and is removed, and no create fails", func(t *testing.T) { c.byHelm(t, readme) })

	t.Run("with cert-manager amp installs on a fresh cluster, too; and if its namespace alone is deleted, one command lets Pods through", func(t *testing.T) {
		c.withCertManager(t, readme)
	})

	t.Run("by one command of Helm amp installs with all that there is besides, the audit function on PostgreSQL", func(t *testing.T) {
		c.byHelmWithAll(t, readme)
	})

	t.Run("every command of the READMEs was run", func(t *testing.T) {
		// The first does not end, and uses a fixed port. The others need no cluster: TestReadmeCommands in cmd/kubectl-amp, TestJupyterHub in docs.
		for _, command := range readme.left("kubectl -n amp-audit port-forward service/audit 8080:80",
			"kubectl amp try -f deployment.yaml --endpoint http://127.0.0.1:9000/", "kubectl amp test tests.yaml --endpoint http://127.0.0.1:9000/",
			"kubectl amp replay --events events.ndjson --endpoint http://127.0.0.1:9000/", "kubectl amp test profiles-test.yaml") {
			t.Errorf("not run: %s", command)
		}
	})
}
