// Package manifest reads manifests and returns the Pods that they stand for: a Pod itself, or the Pod that the
// controller of a Deployment, StatefulSet, DaemonSet, Job, CronJob, ReplicaSet or ReplicationController would create.
// It asks no cluster.
//
//	manifest.go   files, documents and lists
//	controller.go what a controller makes of a template
//	defaults.go   what the API server adds to a Pod
//	kustomize.go  kustomizations
package manifest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	yamlv3 "go.yaml.in/yaml/v3"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Object is a JSON object, with whole numbers as json.Number. Fields that no type of Go knows stay in it.
type Object = map[string]any

// Pod is a Pod as the API server hands it to a webhook, but for what only a cluster knows: its service account and that
// one's token, its priority class, and the name that is made of generateName.
type Pod struct {
	Source string // where it is from: "web.yaml, Deployment web"
	JSON   json.RawMessage
	User   string   // who creates such a Pod: its controller, or an administrator
	Groups []string // of that user
	// Creator is the kind and the name of the controller, empty if a user creates the Pod.
	Creator string
}

// Manifests are what was read.
type Manifests struct {
	Pods []Pod
	// Skipped names the objects that create no Pod: "web.yaml, Service web".
	Skipped []string
	// Files are what a kustomization was built of, or looked for, each with the time of its last change before that; zero if it
	// is missing.
	Files map[string]time.Time
}

// Read reads the files, - for stdin, and returns their Pods in order. Objects without a namespace get the one that is
// given; an object of another namespace than a given one is an error if strict is set.
func Read(files []string, stdin io.Reader, namespace string, strict bool) (*Manifests, error) {
	m := &Manifests{}
	for _, file := range files {
		content, err := Load(file, stdin)
		if err != nil {
			return nil, err
		}
		if file == "-" {
			file = "stdin"
		}
		if err := m.Add(file, content, namespace, strict); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// MaxBytes bounds a file, in bytes. An API server takes an object of at most 3 MiB.
const MaxBytes = 64 << 20

// Load returns the content of a file, - for stdin unless that is nil. A file of more than [MaxBytes] is an error.
func Load(file string, stdin io.Reader) ([]byte, error) {
	from := stdin
	if file != "-" || stdin == nil {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		from = opened
	}
	content, err := io.ReadAll(io.LimitReader(from, MaxBytes+1))
	switch {
	case errors.Is(err, context.Canceled):
		return nil, errors.New("interrupted")
	case err != nil:
		return nil, err
	case len(content) > MaxBytes:
		return nil, fmt.Errorf("%s: it is larger than %d MiB", file, MaxBytes>>20)
	}
	return content, nil
}

// Add reads the documents of content, which source names, YAML or JSON.
func (m *Manifests) Add(source string, content []byte, namespace string, strict bool) error {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	found := false
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: document %d: %w", source, n, err)
		}
		text, err := yaml.YAMLToJSON(document)
		if err != nil {
			return fmt.Errorf("%s: document %d: %w", source, n, err)
		}
		value, err := decode(text)
		if err == nil && hasMore(document) {
			err = errors.New("behind the first object there is more: begin each further object with a line ---")
		}
		if err != nil {
			return fmt.Errorf("%s: document %d: %w", source, n, err)
		}
		if value == nil { // only comments
			continue
		}
		object, ok := value.(Object)
		if !ok {
			return fmt.Errorf("%s: document %d: expected an object with apiVersion and kind", source, n)
		}
		found = true
		if err := m.add(source, object, namespace, strict); err != nil {
			return fmt.Errorf("%s: document %d: %w", source, n, err)
		}
	}
	if !found {
		return fmt.Errorf("%s: it holds no object", source)
	}
	return nil
}

// hasMore reports whether there is something behind the first value of a document, which is all that YAMLToJSON reads:
// another JSON object, or what stands behind "...".
func hasMore(document []byte) bool {
	values := yamlv3.NewDecoder(bytes.NewReader(document))
	var first, second yamlv3.Node
	if values.Decode(&first) != nil {
		return false
	}
	err := values.Decode(&second)
	return !errors.Is(err, io.EOF) && (err != nil || len(second.Content) > 0 && second.Content[0].Tag != "!!null")
}

// add adds an object, or what a list holds.
func (m *Manifests) add(source string, object Object, namespace string, strict bool) error {
	kind, _ := object["kind"].(string)
	version, _ := object["apiVersion"].(string)
	if kind == "" || version == "" {
		return errors.New("expected an object with apiVersion and kind")
	}
	if items, ok := object["items"].([]any); ok && version == "v1" && (kind == "List" || kind == "PodList") {
		for i, item := range items {
			inner, ok := item.(Object)
			if !ok {
				return fmt.Errorf("item %d: expected an object", i+1)
			}
			if kind == "PodList" {
				inner["apiVersion"], inner["kind"] = "v1", "Pod"
			}
			if err := m.add(source, inner, namespace, strict); err != nil {
				return fmt.Errorf("item %d: %w", i+1, err)
			}
		}
		return nil
	}
	metadata := child(object, "metadata")
	for _, field := range []string{"name", "generateName", "namespace"} {
		switch metadata[field].(type) {
		case nil, string:
		default:
			return fmt.Errorf("%s: metadata.%s is no text: put it in quotes", kind, field)
		}
	}
	name, _ := metadata["name"].(string)
	if name == "" {
		name, _ = metadata["generateName"].(string)
	}
	place := source + ", " + kind + " " + name
	pod, creator, err := podOf(version, kind, object)
	if errors.Is(err, errNoPod) {
		m.Skipped = append(m.Skipped, place)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind, name, err)
	}
	own, _ := metadata["namespace"].(string)
	switch {
	case own == "":
		own = namespace
	case strict && own != namespace:
		return fmt.Errorf("%s %s: its namespace is %s, and --namespace says %s", kind, name, own, namespace)
	}
	if own == "" {
		own = "default"
	}
	child(pod, "metadata")["namespace"] = own
	setDefaults(pod)
	text, err := json.Marshal(pod)
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind, name, err)
	}
	p := Pod{Source: place, JSON: text, User: "kubernetes-admin", Groups: []string{"kubeadm:cluster-admins", "system:authenticated"}}
	if creator.account != "" {
		p.User = "system:serviceaccount:kube-system:" + creator.account
		p.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"}
		p.Creator = creator.kind + " " + creator.name
	}
	m.Pods = append(m.Pods, p)
	return nil
}

// decode reads JSON, and keeps numbers as they are written.
func decode(text []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&value)
	return value, err
}

// child returns the object in a field, and makes it if there is none.
func child(object Object, field string) Object {
	inner, ok := object[field].(Object)
	if !ok {
		inner = Object{}
		object[field] = inner
	}
	return inner
}

// NamespaceOf returns the namespace of the Pod.
func (p *Pod) NamespaceOf() string {
	var pod struct {
		Metadata struct {
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(p.JSON, &pod); err != nil {
		return ""
	}
	return pod.Metadata.Namespace
}
