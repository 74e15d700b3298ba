package manifest

import (
	"fmt"
	"os"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Kustomize builds the kustomization in a folder, as `kubectl apply -k` does, and returns its Pods. It runs no plugins. With an
// error, it returns only the Files.
func Kustomize(folder, namespace string, strict bool) (*Manifests, error) {
	m := &Manifests{Files: map[string]time.Time{}}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(noting{filesys.MakeFsOnDisk(), m.Files}, folder)
	if err != nil {
		return m, fmt.Errorf("building the kustomization %s: %w", folder, err)
	}
	content, err := built.AsYaml()
	if err != nil {
		return m, fmt.Errorf("building the kustomization %s: %w", folder, err)
	}
	return m, m.Add(folder, content, namespace, strict)
}

// Changed returns when a file changed last, the zero time if there is none.
func Changed(file string) time.Time {
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// noting notes the files that a kustomization is made of. They may be anywhere: it names bases by their path.
type noting struct {
	filesys.FileSystem
	files map[string]time.Time
}

func (n noting) ReadFile(name string) ([]byte, error) {
	n.files[name] = Changed(name)
	return n.FileSystem.ReadFile(name)
}

// CleanedAbs is what kustomize asks first of a path. It notes one that is missing.
func (n noting) CleanedAbs(path string) (filesys.ConfirmedDir, string, error) {
	dir, file, err := n.FileSystem.CleanedAbs(path)
	if err != nil {
		n.files[path] = Changed(path)
	}
	return dir, file, err
}
