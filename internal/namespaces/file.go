package namespaces

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
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

func parseFile(content []byte) (map[string]*review.Policy, error) {
	policies := map[string]*review.Policy{}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for n := 1; ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return policies, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		var ns *corev1.Namespace
		if err := yaml.Unmarshal(document, &ns); err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		switch {
		case ns == nil: // a document that holds only comments is not counted
			continue
		case ns.APIVersion != "v1" || ns.Kind != "Namespace" || ns.Name == "":
			return nil, fmt.Errorf("document %d: expected apiVersion v1, kind Namespace and a metadata.name; this is apiVersion %q, kind %q, name %q", n, ns.APIVersion, ns.Kind, ns.Name)
		case policies[ns.Name] != nil:
			return nil, fmt.Errorf("document %d: namespace %s is there twice", n, ns.Name)
		}
		policies[ns.Name] = Parse(ns.Name, ns.Labels, ns.Annotations)
		n++
	}
}
