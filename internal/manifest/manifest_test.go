package manifest_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/manifest"
)

// Each kind becomes the Pod that its controller would create: these texts are in it.
func TestEachKind(t *testing.T) {
	const template = `template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, image: "r.example/a:1"}]}}`
	for name, test := range map[string]struct {
		yaml, user string
		want       []string
	}{
		"Pod":                   {`{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {future: 1, containers: [{name: a, image: b}]}}`, "kubernetes-admin", []string{`"future":1`, `"imagePullPolicy":"Always"`, `"restartPolicy":"Always"`, `"namespace":"team-a"`}},
		"Deployment":            {`{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {` + template + `}}`, "replicaset-controller", []string{`"kind":"ReplicaSet","name":"web-`, `"pod-template-hash":`, `"generateName":"web-`, `"imagePullPolicy":"IfNotPresent"`}},
		"ReplicaSet":            {`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web}, spec: {` + template + `}}`, "replicaset-controller", []string{`"kind":"ReplicaSet","name":"web"`, `"generateName":"web-"`}},
		"ReplicationController": {`{apiVersion: v1, kind: ReplicationController, metadata: {name: web}, spec: {` + template + `}}`, "replication-controller", []string{`"kind":"ReplicationController"`}},
		"StatefulSet":           {`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: web}, spec: {` + template + `}}`, "statefulset-controller", []string{`"name":"web-0"`, `"statefulset.kubernetes.io/pod-name":"web-0"`, `"hostname":"web-0"`}},
		"DaemonSet":             {`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: web}, spec: {` + template + `}}`, "daemon-set-controller", []string{`"matchFields"`, `node.kubernetes.io/pid-pressure`, `"pod-template-generation":"1"`}},
		"Job":                   {`{apiVersion: batch/v1, kind: Job, metadata: {name: web}, spec: {` + template + `}}`, "job-controller", []string{`"job-name":"web"`, `"generateName":"web-"`, `"finalizers":["batch.kubernetes.io/job-tracking"]`}},
		"CronJob":               {`{apiVersion: batch/v1, kind: CronJob, metadata: {name: web}, spec: {jobTemplate: {spec: {` + template + `}}}}`, "job-controller", []string{`"kind":"Job","name":"web-29`, `"job-name":"web-29`}},
		"List":                  {`{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {generateName: web-}, spec: {}}]}`, "kubernetes-admin", []string{`"generateName":"web-"`}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &manifest.Manifests{}
			if err := m.Add("f", []byte("# a comment\n---\n"+test.yaml), "team-a", false); err != nil {
				t.Fatal(err)
			}
			if len(m.Pods) != 1 || !json.Valid(m.Pods[0].JSON) || !strings.HasSuffix(m.Pods[0].User, test.user) {
				t.Fatalf("%+v", m)
			}
			for _, want := range test.want {
				if !strings.Contains(string(m.Pods[0].JSON), want) {
					t.Errorf("no %s in %s", want, m.Pods[0].JSON)
				}
			}
		})
	}
}

func TestWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct{ yaml, want string }{
		"no object":         {"# nothing\n", "f: it holds no object"},
		"not YAML":          {"a: [", "f: document 1: "},
		"a text":            {"hello", "expected an object with apiVersion and kind"},
		"no kind":           {"apiVersion: v1", "expected an object with apiVersion and kind"},
		"no name":           {"{apiVersion: v1, kind: Pod}", "neither metadata.name nor"},
		"no template":       {"{apiVersion: batch/v1, kind: Job, metadata: {name: x}}", "Job x: it has no template"},
		"another namespace": {"{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: b}}", "its namespace is b, and --namespace says team-a"},
		"a second object in JSON": {`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a"}]}}` + "\n" + `{"apiVersion":"v1","kind":"Pod"}`,
			"f: document 1: behind the first object there is more"},
		"a name of digits":      {"{apiVersion: v1, kind: Pod, metadata: {name: 1}}", "Pod: metadata.name is no text: put it in quotes"},
		"a namespace of digits": {"{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: 1}}", "Pod: metadata.namespace is no text"},
		"more behind the end":   {"{apiVersion: v1, kind: Service, metadata: {name: web}}\n...\ngarbage: [", "f: document 1: behind the first object there is more"},
		"an old version":        {"{apiVersion: extensions/v1beta1, kind: Deployment, metadata: {name: x}}", "no longer has apiVersion"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &manifest.Manifests{}
			if err := m.Add("f", []byte(test.yaml), "team-a", true); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
	m := &manifest.Manifests{}
	if err := m.Add("f", []byte("{apiVersion: v1, kind: Service, metadata: {name: web}}"), "", false); err != nil || len(m.Skipped) != 1 || m.Skipped[0] != "f, Service web" {
		t.Errorf("%v, %v", m.Skipped, err)
	}
}

// TestLoad: a file without an end is an error, and not all the memory.
func TestLoad(t *testing.T) {
	const without = "/dev/zero"
	if _, err := manifest.Load(without, nil); err == nil || err.Error() != without+": it is larger than 64 MiB" {
		t.Errorf("error %v", err)
	}
	if content, err := manifest.Load("-", strings.NewReader("a: b")); err != nil || string(content) != "a: b" {
		t.Errorf("%s, %v", content, err)
	}
	if _, err := manifest.Load("-", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file with the name -: %v", err)
	}
}

func TestKustomize(t *testing.T) {
	dir := t.TempDir()
	for file, content := range map[string]string{
		"kustomization.yaml": "resources: [pod.yaml]\nnamePrefix: my-\n",
		"pod.yaml":           "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: a, image: b}]}}",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := manifest.Kustomize(dir, "", false)
	if err != nil || len(m.Pods) != 1 || !strings.Contains(string(m.Pods[0].JSON), `"name":"my-web"`) {
		t.Errorf("%+v, %v", m, err)
	}
}
