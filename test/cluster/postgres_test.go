package cluster

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// database runs PostgreSQL in a Pod, with the password "secret" for its users audit and auditreader. Its programs are those
// of the machine, which the node of this cluster shares.
func (c *cluster) database(t *testing.T) {
	t.Helper()
	initdb, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(initdb) == 0 {
		if _, err := exec.LookPath("initdb"); err != nil {
			t.Fatal("this test needs PostgreSQL, which Debian has in its package postgresql")
		}
	}
	bin := filepath.Dir(initdb[len(initdb)-1])
	c.apply(t, `apiVersion: v1
kind: Namespace
metadata: {name: database}
---
apiVersion: v1
kind: Service
metadata: {name: postgres, namespace: database}
spec:
  selector: {app: postgres}
  ports: [{port: 5432}]
---
apiVersion: v1
kind: Pod
metadata: {name: postgres, namespace: database, labels: {app: postgres}}
spec:
  terminationGracePeriodSeconds: 5
  securityContext: {runAsUser: 65534, runAsGroup: 65534, fsGroup: 65534}
  containers:
  - name: postgres
    image: dev.local/probe:e2e
    command: [/bin/sh, -euc]
    args:
    - |
      `+bin+`/initdb --no-sync -D /data/db -U postgres --locale=C --encoding=UTF8 --auth-local=trust --auth-host=scram-sha-256 >/dev/null
      echo "host all all all scram-sha-256" >> /data/db/pg_hba.conf
      echo "CREATE ROLE audit LOGIN PASSWORD 'secret'; CREATE ROLE auditreader LOGIN PASSWORD 'secret';" > /data/roles
      `+bin+`/postgres --single -D /data/db postgres < /data/roles >/dev/null
      echo "CREATE DATABASE audit OWNER audit" | `+bin+`/postgres --single -D /data/db postgres >/dev/null
      exec `+bin+`/postgres -D /data/db -c fsync=off -c listen_addresses='*' -c unix_socket_directories=/data
    readinessProbe: {tcpSocket: {port: 5432}, periodSeconds: 1}
    volumeMounts:
    - {name: data, mountPath: /data}
    - {name: shm, mountPath: /dev/shm}
    - {name: etc, mountPath: /etc/passwd, subPath: passwd, readOnly: true}
    - {name: usr, mountPath: /usr, readOnly: true}
    - {name: usr, mountPath: /bin, subPath: bin, readOnly: true}
    - {name: usr, mountPath: /lib, subPath: lib, readOnly: true}
    - {name: usr, mountPath: /lib64, subPath: lib64, readOnly: true}
  volumes:
  - {name: data, emptyDir: {}}
  - {name: shm, emptyDir: {medium: Memory}}
  - {name: etc, hostPath: {path: /etc}}
  - {name: usr, hostPath: {path: /usr}}
`)
}

func (c *cluster) untilDatabase(t *testing.T) {
	t.Helper()
	if _, err := c.run("kubectl", "wait", "--namespace", "database", "pod/postgres", "--for=condition=Ready", "--timeout=180s"); err != nil {
		said, _ := c.run("kubectl", "logs", "--namespace", "database", "postgres")
		t.Fatalf("%v\n%s", err, said)
	}
}

// onPostgres checks that two replicas of the audit function have the same events, in the database that withCertManager starts.
func (c *cluster) onPostgres(t *testing.T, readme *written) {
	t.Setenv("password", "secret") // the commands use them
	t.Setenv("read_password", "secret")
	c.untilDatabase(t)
	if differs, err := readme.run("kubectl diff -k deploy/audit-postgres"); err != nil {
		t.Errorf("the chart has installed something else than deploy/audit-postgres: %v\n%s", err, differs)
	}
	readme.do(t, "kubectl apply -k deploy/audit-postgres", "kubectl apply -k deploy/network-policy/audit-postgres")
	readme.do(t, `kubectl -n amp-audit create secret generic audit-postgres --from-literal=url=postgres://audit@postgres.database.svc:5432/audit --from-literal=password="$password" --from-literal=read-url=postgres://auditreader@postgres.database.svc:5432/audit --from-literal=read-password="$read_password"`,
		"kubectl -n amp-audit patch deployment audit --patch-file deploy/audit-postgres/reader.yaml",
		"kubectl -n amp-audit rollout status deployment/audit")
	if expected, _ := c.budget(t, "amp-audit", "audit"); expected != 2 {
		t.Errorf("the PodDisruptionBudget is for %d Pods", expected)
	}
	c.optIn(t, "recorded", namespace("recorded"))
	c.untilMutated(t, "recorded")
	if _, err := c.createPod("recorded", "", alices); err != nil {
		t.Fatal(err)
	}
	stamp := c.stamp(t, "recorded", "jupyter-alice")
	eventually(t, func() error { // a Pod of before the rollout may still be ending: the list is read each time
		pods := c.pods(t, "amp-audit", "app.kubernetes.io/name=audit")
		if len(pods) != 2 {
			return fmt.Errorf("the audit function has the Pods %v", pods)
		}
		for _, pod := range pods {
			out, err := c.get("/api/v1/namespaces/amp-audit/pods/" + pod + ":8080/proxy/api/events?namespace=recorded")
			if err != nil || stamp == "" || !strings.Contains(string(out), stamp) {
				return fmt.Errorf("%s does not have %q: %s, %v", pod, stamp, out, err)
			}
		}
		return nil
	})
}

// wakesForEvents installs the audit function as a Knative Service with a database.
func (c *cluster) wakesForEvents(t *testing.T, readme *written) {
	t.Setenv("password", "secret") // the command uses it
	c.database(t)
	c.untilDatabase(t)
	readme.do(t, `kubectl -n amp-functions create secret generic audit-postgres --from-literal=url=postgres://audit@postgres.database.svc:5432/audit --from-literal=password="$password"`,
		"kubectl apply -k knative/audit-postgres", "kubectl -n amp-functions wait ksvc --all --for=condition=Ready --timeout=120s")
	recorded := func(pod string) func() error {
		id := c.stamp(t, "audited", pod)
		return func() error {
			event, err := c.ask(t, c.ingress(t), "audit.amp-functions.svc.cluster.local", "/api/events/"+id, "")
			if err == nil && !strings.Contains(event, `"com.txn2.amp.pod.mutated.v1"`) {
				err = fmt.Errorf("the event of %s is %s", pod, event)
			}
			return err
		}
	}
	c.isAtZero(t, "audit")
	eventually(t, func() error { _, _, err := c.create("audited", "jupyter-alice-wakes"); return err })
	eventually(t, func() error { // no request goes to it: amp's event starts it
		if pods := c.pods(t, "amp-functions", "serving.knative.dev/service=audit"); len(pods) == 0 {
			return errors.New("no Pod of the audit function was started")
		}
		return nil
	})
	eventually(t, recorded("jupyter-alice-wakes"))
	c.isAtZero(t, "audit")
	eventually(t, recorded("jupyter-alice-wakes")) // a reader wakes it, too
}
