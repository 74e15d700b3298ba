package cluster

import (
	"strings"
	"testing"
	"time"
)

// stream is a Pod that creates Pods.
type stream struct {
	c    *cluster
	told int // how many of its failures were reported
}

func (c *cluster) startStream(t *testing.T) *stream {
	t.Helper()
	c.apply(t, strings.ReplaceAll(namespace("stream"), "    amp.txn2.com/pods: component=singleuser-server\n", "")+`---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: creator, namespace: stream}
rules: [{apiGroups: [""], resources: [pods], verbs: [create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: creator, namespace: stream}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: creator}
subjects: [{kind: ServiceAccount, name: creator, namespace: creators}]
---
apiVersion: v1
kind: Namespace
metadata: {name: creators}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: creator, namespace: creators}
---
apiVersion: v1
kind: Pod
metadata: {name: creator, namespace: creators}
spec:
  serviceAccountName: creator
  containers:
  - name: probe
    image: dev.local/probe:e2e
    args: [stream]
    env: [{name: STREAM, value: stream}]
    readinessProbe: {httpGet: {path: /report, port: 8080}, periodSeconds: 1}
`)
	c.untilReady(t, "creators", "creator")
	return &stream{c: c}
}

type report struct {
	Done   int
	Failed []string
}

// ask asks the Pod for its report, or to stop and then report.
func (s *stream) ask(t *testing.T, what string) (r report) {
	t.Helper()
	if err := s.c.read("/api/v1/namespaces/creators/pods/creator:8080/proxy/"+what, &r); err != nil {
		t.Fatalf("the stream reports: %v", err)
	}
	return r
}

// beyond waits until another n Pods have been created, or have failed.
func (s *stream) beyond(t *testing.T, n int) {
	t.Helper()
	goal, end := s.ask(t, "report").Done+n, time.Now().Add(patience)
	for {
		is := s.ask(t, "report").Done
		if is >= goal {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the stream stands at %d of %d", is, goal)
		}
		time.Sleep(pause)
	}
}

// unharmed checks that no creation has failed since the last question.
func (s *stream) unharmed(t *testing.T) {
	t.Helper()
	r := s.ask(t, "report")
	t.Logf("%d Pods were created", r.Done)
	for _, f := range r.Failed[s.told:] {
		t.Error(f)
	}
	s.told = len(r.Failed)
}

// untilDrained waits until amp's replaced Pods are gone.
func (s *stream) untilDrained(t *testing.T) {
	t.Helper()
	for len(s.c.pods(t, "amp-system", "app.kubernetes.io/name=amp")) > 2 {
		s.beyond(t, 5)
	}
}
