package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const ampDeployment = "/apis/apps/v1/namespaces/amp-system/deployments/amp"

// rolledOut waits until a Deployment is as wanted, by the rules of `kubectl rollout status`.
func (c *cluster) rolledOut(t *testing.T, namespace, name string) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); ; {
		var is struct {
			Metadata struct{ Generation int }
			Spec     struct{ Replicas int }
			Status   struct{ ObservedGeneration, Replicas, UpdatedReplicas, AvailableReplicas int }
		}
		if err := c.read("/apis/apps/v1/namespaces/"+namespace+"/deployments/"+name, &is); err != nil {
			t.Fatal(err)
		}
		s := is.Status
		if s.ObservedGeneration >= is.Metadata.Generation && s.UpdatedReplicas >= is.Spec.Replicas && s.Replicas <= s.UpdatedReplicas && s.AvailableReplicas >= s.UpdatedReplicas {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Deployment %s is not rolled out: %+v", name, is)
		}
		time.Sleep(pause)
	}
}

func (c *cluster) ampIsUp(t *testing.T) {
	t.Helper()
	c.rolledOut(t, "amp-system", "amp")
}

// setEnv changes variables of amp as `kubectl set env` does: NAME=value sets one, and NAME- removes it.
func (c *cluster) setEnv(t *testing.T, variables ...string) {
	t.Helper()
	var env []map[string]string
	for _, variable := range variables {
		if name, value, set := strings.Cut(variable, "="); set {
			env = append(env, map[string]string{"name": name, "value": value})
		} else {
			env = append(env, map[string]string{"name": strings.TrimSuffix(variable, "-"), "$patch": "delete"})
		}
	}
	text, err := json.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	c.patch(t, ampDeployment, strategic, `{"spec": {"template": {"spec": {"containers": [{"name": "amp", "env": `+string(text)+`}]}}}}`)
}

// variable is what amp's Deployment gives it, or "".
func (c *cluster) variable(t *testing.T, name string) string {
	t.Helper()
	var amp struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Env []struct{ Name, Value string }
					}
				}
			}
		}
	}
	if err := c.read(ampDeployment, &amp); err != nil {
		t.Fatal(err)
	}
	for _, variable := range amp.Spec.Template.Spec.Containers[0].Env {
		if variable.Name == name {
			return variable.Value
		}
	}
	return ""
}

// pod is what the tests read of a Pod.
type pod struct {
	Metadata struct {
		Name              string
		Annotations       map[string]string
		DeletionTimestamp string
	}
	Status struct {
		Phase      string
		Conditions []condition
	}
}

type condition struct{ Type, Status string }

func (p pod) isReady() bool {
	return p.Metadata.DeletionTimestamp == "" && slices.Contains(p.Status.Conditions, condition{"Ready", "True"})
}

func (c *cluster) pod(t *testing.T, namespace, name string) (p pod) {
	t.Helper()
	if err := c.read("/api/v1/namespaces/"+namespace+"/pods/"+name, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// list returns the Pods, with those that are ending.
func (c *cluster) list(t *testing.T, namespace, selector string) []pod {
	t.Helper()
	var list struct{ Items []pod }
	if err := c.read("/api/v1/namespaces/"+namespace+"/pods?labelSelector="+url.QueryEscape(selector), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// pods are the names of the Pods, with those that are ending.
func (c *cluster) pods(t *testing.T, namespace, selector string) (names []string) {
	t.Helper()
	for _, pod := range c.list(t, namespace, selector) {
		names = append(names, pod.Metadata.Name)
	}
	return names
}

// stamp is the id of the event of a Pod's mutation.
func (c *cluster) stamp(t *testing.T, namespace, name string) string {
	t.Helper()
	return c.pod(t, namespace, name).Metadata.Annotations["amp.txn2.com/event"]
}

// untilSucceeded waits until a Pod has run.
func (c *cluster) untilSucceeded(t *testing.T, namespace, name string) {
	t.Helper()
	eventually(t, func() error {
		if is := c.pod(t, namespace, name).Status; is.Phase != "Succeeded" {
			return fmt.Errorf("Pod %s is %+v", name, is)
		}
		return nil
	})
}

// untilReady waits until a Pod is ready.
func (c *cluster) untilReady(t *testing.T, namespace, name string) {
	t.Helper()
	eventually(t, func() error {
		if is := c.pod(t, namespace, name); !is.isReady() {
			return fmt.Errorf("Pod %s is %+v", name, is)
		}
		return nil
	})
}

// createPod creates a Pod, or only tries to if the query is "?dryRun=All", and returns what it becomes. Its metadata are JSON.
func (c *cluster) createPod(namespace, query, metadata string) (string, error) {
	body, err := c.send(http.MethodPost, "/api/v1/namespaces/"+namespace+"/pods"+query, "application/json",
		`{"apiVersion": "v1", "kind": "Pod", "metadata": `+metadata+`, "spec": {"containers": [{"name": "web", "image": "dev.local/probe:e2e"}]}}`)
	return string(body), err
}

// address is the IP of a Service.
func (c *cluster) address(t *testing.T, namespace, service string) string {
	t.Helper()
	var is struct{ Spec struct{ ClusterIP string } }
	if err := c.read("/api/v1/namespaces/"+namespace+"/services/"+service, &is); err != nil {
		t.Fatal(err)
	}
	return is.Spec.ClusterIP
}

// node is the name of the only node.
func (c *cluster) node(t *testing.T) string {
	t.Helper()
	var nodes struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	if err := c.read("/api/v1/nodes", &nodes); err != nil {
		t.Fatal(err)
	}
	return nodes.Items[0].Metadata.Name
}

// budget is for how many Pods a PodDisruptionBudget is, and how many of them it lets go now.
func (c *cluster) budget(t *testing.T, namespace, name string) (expected, allowed int) {
	t.Helper()
	var is struct {
		Status struct{ ExpectedPods, DisruptionsAllowed int }
	}
	if err := c.read("/apis/policy/v1/namespaces/"+namespace+"/poddisruptionbudgets/"+name, &is); err != nil {
		t.Fatal(err)
	}
	return is.Status.ExpectedPods, is.Status.DisruptionsAllowed
}
