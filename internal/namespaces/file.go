package namespaces

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/txn2/amp/internal/reload"
	"github.com/txn2/amp/internal/review"
)

// File is a file of Namespace manifests that replaces the cluster.
type File struct {
	path     string
	policies *reload.Files[map[string]*review.Policy]
}

// OpenFile reads the YAML file of Namespaces at path, and again when it changes. Its error says which
// document is not a Namespace. If a later version does not parse, File logs that and keeps what it read
// before.
func OpenFile(path string, log *slog.Logger) (*File, error) {
	policies, err := reload.New(func(contents [][]byte) (map[string]*review.Policy, error) {
		return parseFile(contents[0])
	}, func(err error) {
		log.Error("the file of namespaces changed and does not parse; amp keeps what it read before", "file", path, "error", err)
	}, path)
	if err != nil {
		return nil, fmt.Errorf("reading namespaces from %s: %w", path, err)
	}
	return &File{path, policies}, nil
}

// Policy returns what the Namespace called name says. If the file does not hold the Namespace, that is an
// error, as it is for a Namespace that a cluster does not have.
func (f *File) Policy(_ context.Context, name string) (*review.Policy, error) {
	p := f.policies.Get()[name]
	if p == nil {
		return nil, fmt.Errorf("reading namespace %s: it is not in %s", name, f.path)
	}
	return p, nil
}

// parseFile reads the documents of a file: Namespaces, and lists of them. They may be YAML or JSON.
func parseFile(content []byte) (map[string]*review.Policy, error) {
	policies := parsed{}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for n := 1; ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return policies, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		objects, err := objectsOf(document)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		for _, object := range objects {
			if string(object) == "null" { // a document that holds only comments is not counted
				continue
			}
			if err := policies.add(fmt.Sprintf("document %d", n), object, metav1.TypeMeta{}); err != nil {
				return nil, err
			}
			n++
		}
	}
}

// objectsOf returns the JSON of what a document holds. Of JSON there may be several values, one after the other, as
// kubectl reads and jq writes them.
func objectsOf(document []byte) ([]json.RawMessage, error) {
	if trimmed := bytes.TrimSpace(document); len(trimmed) > 0 && trimmed[0] == '{' {
		var all []json.RawMessage
		for dec := json.NewDecoder(bytes.NewReader(trimmed)); ; {
			var one json.RawMessage
			err := dec.Decode(&one)
			if errors.Is(err, io.EOF) {
				return all, nil
			}
			if err != nil {
				break // YAML in braces
			}
			all = append(all, one)
		}
	}
	object, err := yaml.YAMLToJSON(document)
	return []json.RawMessage{object}, err
}

// parsed are the policies of a file, by the names of the Namespaces.
type parsed map[string]*review.Policy

// maxLists is how deep lists may stand in lists.
const maxLists = 10

// add reads a Namespace or a list at a place of the file. byDefault is the type of an object that names none: items of a
// NamespaceList, as the API server writes it, have none.
func (p parsed) add(place string, object json.RawMessage, byDefault metav1.TypeMeta) error {
	kind := byDefault
	if err := json.Unmarshal(object, &kind); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	var itemType metav1.TypeMeta
	switch {
	case kind.APIVersion == "v1" && kind.Kind == "NamespaceList":
		itemType = metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}
	case kind.APIVersion == "v1" && kind.Kind == "List":
	default:
		return p.addNamespace(place, object, kind)
	}
	if strings.Count(place, "item") == maxLists {
		return fmt.Errorf("%s: more than %d lists stand in lists", place, maxLists)
	}
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(object, &list); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	for i, item := range list.Items {
		if err := p.add(fmt.Sprintf("%s, item %d", place, i+1), item, itemType); err != nil {
			return err
		}
	}
	return nil
}

func (p parsed) addNamespace(place string, object json.RawMessage, kind metav1.TypeMeta) error {
	var ns metav1.PartialObjectMetadata
	if err := json.Unmarshal(object, &ns); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	switch {
	case kind.APIVersion != "v1" || kind.Kind != "Namespace" || ns.Name == "":
		return fmt.Errorf("%s: expected apiVersion v1, kind Namespace and a metadata.name, or a List of such; this is apiVersion %q, kind %q, name %q", place,
			review.Clip(kind.APIVersion, 60), review.Clip(kind.Kind, 60), review.Clip(ns.Name, 60))
	case p[ns.Name] != nil:
		return fmt.Errorf("%s: namespace %s is there twice", place, ns.Name)
	}
	p[ns.Name] = Parse(ns.Name, ns.Labels, ns.Annotations)
	return nil
}
