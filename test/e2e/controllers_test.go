package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/txn2/amp/test/e2e/harness"
)

// The patches below make a Pod one that its controller does not recognize. Without amp's rule (controllers in
// internal/patch/rules) the Pod is stored, and the controller creates Pods without end, or deletes and creates them in
// turn; under claimsLost it tries without end to update a Pod.
const (
	nodeLost = `[{"op":"add","path":"/spec/affinity","value":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
		{"nodeSelectorTerms":[{"matchExpressions":[{"key":"pool","operator":"In","values":["a"]}]}]}}}}]`
	labelsLost      = `[{"op":"replace","path":"/metadata/labels","value":{"team":"a"}}]`
	annotationsLost = `[{"op":"add","path":"/metadata/annotations","value":{"team":"a"}}]`
	revisionChanged = `[{"op":"replace","path":"/metadata/labels/controller-revision-hash","value":"mine"}]`
	claimsLost      = `[{"op":"replace","path":"/spec/volumes","value":[{"name":"data","emptyDir":{}}]}]`

	// harmless is what injectors add.
	harmless = `[{"op":"add","path":"/metadata/labels/team","value":"a"},
		{"op":"add","path":"/metadata/annotations/team","value":"a"},
		{"op":"add","path":"/spec/affinity/podAntiAffinity","value":{"preferredDuringSchedulingIgnoredDuringExecution":
			[{"weight":1,"podAffinityTerm":{"topologyKey":"zone","labelSelector":{"matchLabels":{"team":"a"}}}}]}},
		{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"TEAM","value":"a"}},
		{"op":"add","path":"/spec/volumes/-","value":{"name":"scratch","emptyDir":{}}},
		{"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"scratch","mountPath":"/scratch"}},
		{"op":"add","path":"/spec/initContainers/-","value":{"name":"agent","image":"registry.example/agent:1","restartPolicy":"Always"}}]`
)

// controlled is an object whose controllers make Pods.
type controlled struct {
	kind     string // of the Pods' owner
	pods     int    // that are wanted
	manifest string
}

const container = `containers: [{name: app, image: "registry.example/app:1"}]`

var (
	daemonSet = controlled{"DaemonSet", 1, `apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {` + container + `}}`}
	deployment = controlled{"ReplicaSet", 2, `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {` + container + `}}`}
	replicationController = controlled{"ReplicationController", 2, `apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 2
  selector: {app: web}
  template: {metadata: {labels: {app: web}}, spec: {` + container + `}}`}
	// Parallel: nothing here makes a Pod ready, and in order the controller would wait for the first one.
	statefulSet = controlled{"StatefulSet", 2, `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  replicas: 2
  serviceName: web
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {` + container + `}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]`}
	job = controlled{"Job", 2, `apiVersion: batch/v1
kind: Job
metadata: {name: web}
spec:
  parallelism: 2
  completions: 2
  template: {spec: {restartPolicy: Never, ` + container + `}}`}
	indexedJob = controlled{"Job", 2, strings.Replace(job.manifest, "spec:", "spec:\n  completionMode: Indexed", 1)}
	// It runs once a year, and misses its time once: see missed. So its controller makes one Job, at once.
	cronJob = controlled{"Job", 2, `apiVersion: batch/v1
kind: CronJob
metadata: {name: web}
spec:
  schedule: 0 0 1 1 *
  jobTemplate: {spec: {parallelism: 2, completions: 2, template: {spec: {restartPolicy: Never, ` + container + `}}}}`}
)

// TestControllersRecognizeTheirPods runs the controllers of Kubernetes that make Pods, all at once. amp refuses a patch
// after which a controller would not recognize the Pod, so that no Pod is stored; and what injectors do passes, so that
// there are as many Pods as are wanted. The test counts all Pods that are created within 20 s, also those that are
// deleted again.
func TestControllersRecognizeTheirPods(t *testing.T) {
	w := world(t)
	client := kubernetes.NewForConfigOrDie(w.API.Config())
	oneNode(t, client)
	tests := map[string]struct {
		controlled
		patch string
		must  string // what the message says; empty: the Pods are stored
	}{
		"a DaemonSet's node":                {daemonSet, nodeLost, "finds it by its node: keep matchFields metadata.name"},
		"a DaemonSet's labels":              {daemonSet, labelsLost, "finds it by its labels: keep "},
		"a Deployment's labels":             {deployment, labelsLost, "finds it by its labels: keep "},
		"a ReplicationController's labels":  {replicationController, labelsLost, "finds it by its labels: keep "},
		"a StatefulSet's revision":          {statefulSet, revisionChanged, "finds it by its labels: keep "},
		"a StatefulSet's claims":            {statefulSet, claimsLost, "finds it by the volumes of its claims: keep "},
		"a Job's labels":                    {job, labelsLost, "finds it by its labels: keep "},
		"an Indexed Job's index":            {indexedJob, annotationsLost, "finds it by its index: keep "},
		"a CronJob's labels":                {cronJob, labelsLost, "finds it by its labels: keep "},
		"harmless: a DaemonSet":             {daemonSet, harmless, ""},
		"harmless: a Deployment":            {deployment, harmless, ""},
		"harmless: a ReplicationController": {replicationController, harmless, ""},
		"harmless: a StatefulSet":           {statefulSet, harmless, ""},
		"harmless: a Job":                   {job, harmless, ""},
		"harmless: an Indexed Job":          {indexedJob, harmless, ""},
		"harmless: a CronJob":               {cronJob, harmless, ""},
	}
	namespaces := map[string]*harness.Namespace{}
	for name, test := range tests {
		ns := w.Namespace(t, harness.Enabled(harness.Serve(t, harness.Answers(test.patch)).URL))
		made := object(t, test.manifest)
		made.SetNamespace(ns.Name)
		if err := harness.Apply(t.Context(), w.API.Config(), harness.Manifests{made}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if made.GetKind() == "CronJob" {
			missed(t, client, ns.Name)
		}
		namespaces[name] = ns
	}
	created := countPods(t, client)
	w.StartControllers(t, "daemonset-controller", "deployment-controller", "replicaset-controller", "replicationcontroller-controller",
		"statefulset-controller", "job-controller", "cronjob-controller")
	harness.Eventually(t, "the controllers run", func(context.Context) error {
		for name, test := range tests {
			if n := created(namespaces[name].Name); test.must == "" && n < test.pods {
				return fmt.Errorf("%s: %d Pods were created, want %d", name, n, test.pods)
			}
		}
		return nil
	})
	// The test is about what does not happen in this time.
	half := map[string]int{}
	time.Sleep(10 * time.Second)
	for name := range tests {
		half[name] = created(namespaces[name].Name)
	}
	time.Sleep(10 * time.Second)

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ns, wanted := namespaces[name], test.pods
			if test.must != "" {
				wanted = 0
			}
			if n := created(ns.Name); n != wanted {
				t.Fatalf("%d Pods were created, %d of them in the last 10 s, want %d", n, n-half[name], wanted)
			}
			for _, pod := range ns.All() {
				if pod.Labels["team"] != "a" || pod.Annotations["team"] != "a" || len(pod.Spec.InitContainers) != 1 {
					t.Errorf("a Pod was not mutated: %+v", pod)
				}
			}
			if test.must != "" {
				harness.Eventually(t, "the event says why", func(ctx context.Context) error {
					return refusedBecause(ctx, client, ns.Name, "the Pod belongs to "+test.kind+" ", test.must)
				})
			}
		})
	}
}

// oneNode gives DaemonSets a node until the test ends.
func oneNode(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	nodes := client.CoreV1().Nodes()
	if _, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// The API server taints a new node until it is ready.
	untainted := []byte(`{"spec":{"taints":null}}`)
	if _, err := nodes.Patch(t.Context(), "node-1", types.MergePatchType, untainted, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nodes.Delete(context.Background(), "node-1", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// missed makes the CronJob of a namespace one that ran last a year ago.
func missed(t *testing.T, client kubernetes.Interface, namespace string) {
	t.Helper()
	jobs := client.BatchV1().CronJobs(namespace)
	made, err := jobs.Get(t.Context(), "web", metav1.GetOptions{})
	if err == nil {
		made.Status.LastScheduleTime = &metav1.Time{Time: time.Now().AddDate(-1, 0, 0)}
		_, err = jobs.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// countPods counts the Pods that are created from now on, by namespace, until the test ends.
func countPods(t *testing.T, client kubernetes.Interface) (created func(namespace string) int) {
	t.Helper()
	pods := client.CoreV1().Pods("")
	list, err := pods.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := pods.Watch(context.Background(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var stopping bool
	seen := map[string]map[types.UID]bool{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for event := range watcher.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok && event.Type == watch.Added {
				mu.Lock()
				if seen[pod.Namespace] == nil {
					seen[pod.Namespace] = map[types.UID]bool{}
				}
				seen[pod.Namespace][pod.UID] = true
				mu.Unlock()
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if !stopping {
			t.Error("the watch of Pods ended: some were not counted")
		}
	}()
	t.Cleanup(func() {
		mu.Lock()
		stopping = true
		mu.Unlock()
		watcher.Stop()
		<-ended
	})
	return func(namespace string) int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen[namespace])
	}
}

// refusedBecause returns no error if a controller's event says why amp refused a Pod.
func refusedBecause(ctx context.Context, client kubernetes.Interface, namespace string, why ...string) error {
	events, err := client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var messages []string
	for _, event := range events.Items {
		missing := event.Reason != "FailedCreate"
		for _, text := range why {
			missing = missing || !strings.Contains(event.Message, text)
		}
		if !missing {
			return nil
		}
		messages = append(messages, event.Reason+": "+event.Message)
	}
	return fmt.Errorf("no event FailedCreate says %q, there are %q", why, messages)
}
