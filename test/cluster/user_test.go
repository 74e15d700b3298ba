package cluster

import (
	"encoding/json"
	"fmt"
	"testing"
)

// namespace returns the manifest of a namespace in which the sample for JupyterHub mutates the users' Pods.
func namespace(name string) string {
	return `apiVersion: v1
kind: Namespace
metadata:
  name: ` + name + `
  labels:
    amp.txn2.com/enabled: "true"
  annotations:
    amp.txn2.com/ep: http://endpoints.amp-samples.svc/jupyterhub
    amp.txn2.com/pods: component=singleuser-server
`
}

// optIn applies the manifest of one namespace. It takes a moment until its Pods reach amp: see untilMutated.
func (c *cluster) optIn(t *testing.T, name, manifest string) {
	t.Helper()
	c.patch(t, "/api/v1/namespaces/"+name+"?fieldManager=test", "application/apply-patch+yaml", manifest)
}

// untilAtMost waits until no more than so many of the Pods are left.
func (c *cluster) untilAtMost(t *testing.T, most int, namespace, selector string) {
	t.Helper()
	eventually(t, func() error {
		if pods := c.pods(t, namespace, selector); len(pods) > most {
			return fmt.Errorf("of %d Pods that should be left there are %q", most, pods)
		}
		return nil
	})
}

// seen is what a Pod's process sees.
type seen struct {
	Env    map[string]string
	Mounts map[string]bool // by path, whether the process can write there
}

func (c *cluster) seen(t *testing.T, namespace, pod string) (s seen) {
	t.Helper()
	eventually(t, func() error { // a Pod without a readiness probe is ready before its process has said anything
		log, err := c.get("/api/v1/namespaces/" + namespace + "/pods/" + pod + "/log")
		if err != nil {
			return err
		}
		if err := json.Unmarshal(log, &s); err != nil {
			return fmt.Errorf("%s logged %q: %w", pod, log, err)
		}
		return nil
	})
	return s
}

// isAlices checks that a process sees what the sample's profiles hold for alice.
func isAlices(t *testing.T, s seen) {
	t.Helper()
	for name, want := range map[string]string{
		"WORKSPACE": "/home/jovyan/workspace", // from the defaults
		"CATALOGUE": "/data/astronomy",        // from her group
		"S3_PREFIX": "home/alice",             // from her own entry
	} {
		if s.Env[name] != want {
			t.Errorf("the environment has %s=%q, not %q", name, s.Env[name], want)
		}
	}
	for path, writable := range map[string]bool{"/home/jovyan/workspace": true, "/data/astronomy": false} {
		if is, mounted := s.Mounts[path]; !mounted || is != writable {
			t.Errorf("%s is mounted: %v, writable: %v; expected true, %v", path, mounted, is, writable)
		}
	}
}
