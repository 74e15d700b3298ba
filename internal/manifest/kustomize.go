package manifest

import (
	"fmt"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Kustomize builds the kustomization in a folder, as `kubectl apply -k` does, and returns its Pods. It runs no plugins.
func Kustomize(folder, namespace string, strict bool) (*Manifests, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, fmt.Errorf("building the kustomization %s: %w", folder, err)
	}
	content, err := built.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("building the kustomization %s: %w", folder, err)
	}
	m := &Manifests{}
	return m, m.Add(folder, content, namespace, strict)
}
