package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Manifests are the objects that a kustomization renders, in its order.
type Manifests []*unstructured.Unstructured

// Render renders a folder of the repository, e.g. "deploy", as `kubectl kustomize` does.
func Render(folder string) (Manifests, error) {
	root, _, err := folders()
	if err != nil {
		return nil, err
	}
	return render(filepath.Join(root, folder))
}

// RenderOverlay renders a kustomization in dir, as a user would write it. In its text, REPO is the path of the
// repository.
func RenderOverlay(dir, kustomization string) (Manifests, error) {
	root, _, err := folders()
	if err != nil {
		return nil, err
	}
	repo, err := filepath.Rel(dir, root)
	if err != nil {
		return nil, err
	}
	text := strings.ReplaceAll(kustomization, "REPO", repo)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	return render(dir)
}

func render(dir string) (Manifests, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", dir, err)
	}
	var all Manifests
	for _, r := range resources.Resources() {
		b, err := r.MarshalJSON()
		if err != nil {
			return nil, err
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(b); err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// Without leaves out the objects of an API group, for example because this API server has no CRD for them.
func (m Manifests) Without(group string) Manifests {
	var rest Manifests
	for _, u := range m {
		if u.GroupVersionKind().Group != group {
			rest = append(rest, u)
		}
	}
	return rest
}

// Kind are the objects of a kind.
func (m Manifests) Kind(kind string) Manifests {
	var some Manifests
	for _, u := range m {
		if u.GetKind() == kind {
			some = append(some, u)
		}
	}
	return some
}

// Decode reads the one object of a kind into its Go type.
func (m Manifests) Decode(kind, name string, into any) error {
	for _, u := range m.Kind(kind) {
		if u.GetName() == name {
			return runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, into, true)
		}
	}
	return fmt.Errorf("no %s named %s was rendered", kind, name)
}

// through makes the webhooks call an address on loopback, because there is no cluster network in which
// amp.amp-system.svc has an address. Everything else is as it is rendered.
func (m Manifests) through(address string) error {
	for _, u := range m {
		if u.GroupVersionKind().Group != "admissionregistration.k8s.io" {
			continue
		}
		webhooks, _, err := unstructured.NestedSlice(u.Object, "webhooks")
		if err != nil {
			return err
		}
		for _, w := range webhooks {
			w := w.(map[string]any)
			path, _, err := unstructured.NestedString(w, "clientConfig", "service", "path")
			if err != nil {
				return err
			}
			w["clientConfig"] = map[string]any{"url": "https://" + address + path}
		}
		if err := unstructured.SetNestedSlice(u.Object, webhooks, "webhooks"); err != nil {
			return err
		}
	}
	return nil
}

// Apply applies the objects as `kubectl apply --server-side --validate=strict` does: an unknown or repeated field is
// an error.
func Apply(ctx context.Context, config *rest.Config, all Manifests) error {
	return apply(ctx, config, all, metav1.PatchOptions{})
}

// TryApply is a dry run of Apply. The objects get names of their own, so that they are not merged with objects that
// were applied. The namespaces are really created: without them the API server would not check the objects in them.
func TryApply(ctx context.Context, config *rest.Config, all Manifests) error {
	if err := Apply(ctx, config, all.Kind("Namespace")); err != nil {
		return err
	}
	var renamed Manifests
	for _, u := range all {
		if u.GetKind() != "Namespace" {
			u = u.DeepCopy()
			u.SetName("try-" + u.GetName())
			renamed = append(renamed, u)
		}
	}
	return apply(ctx, config, renamed, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
}

func apply(ctx context.Context, config *rest.Config, all Manifests, options metav1.PatchOptions) error {
	options.Force, options.FieldValidation, options.FieldManager = new(true), metav1.FieldValidationStrict, "amp-e2e"
	return each(config, all, func(client dynamic.ResourceInterface, u *unstructured.Unstructured) error {
		body, err := u.MarshalJSON()
		if err != nil {
			return err
		}
		_, err = client.Patch(ctx, u.GetName(), types.ApplyPatchType, body, options)
		return err
	})
}

// Define installs CRDs, and waits until their kinds are served.
func (w *World) Define(t *testing.T, crds Manifests) {
	t.Helper()
	if err := Apply(t.Context(), w.API.Config(), crds); err != nil {
		t.Fatal(err)
	}
	client := dynamic.NewForConfigOrDie(w.API.Config()).Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	Eventually(t, "the new kinds are served", func(ctx context.Context) error {
		for _, crd := range crds {
			is, err := client.Get(ctx, crd.GetName(), metav1.GetOptions{})
			if err != nil {
				return err
			}
			conditions, _, _ := unstructured.NestedSlice(is.Object, "status", "conditions")
			if !slices.ContainsFunc(conditions, func(c any) bool {
				return c.(map[string]any)["type"] == "Established" && c.(map[string]any)["status"] == "True"
			}) {
				return fmt.Errorf("%s is not", crd.GetName())
			}
		}
		return nil
	})
}

// remove deletes the objects.
func remove(ctx context.Context, config *rest.Config, all Manifests) error {
	return each(config, all, func(client dynamic.ResourceInterface, u *unstructured.Unstructured) error {
		return client.Delete(ctx, u.GetName(), metav1.DeleteOptions{})
	})
}

// each calls a function for each object, with the client for its kind. It asks the API server which client that is.
func each(config *rest.Config, all Manifests, do func(dynamic.ResourceInterface, *unstructured.Unstructured) error) error {
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	groups, err := restmapper.GetAPIGroupResources(disco)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, u := range all {
		gvk := u.GroupVersionKind()
		mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			return err
		}
		// For the dynamic client, an empty namespace means "not in a namespace".
		if err := do(client.Resource(mapping.Resource).Namespace(u.GetNamespace()), u); err != nil {
			return fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
	return nil
}

// environment is the environment that the rendered Deployment gives amp, so that the tests run with what is shipped.
func (m Manifests) environment() ([]string, error) {
	var d appsv1.Deployment
	if err := m.Decode("Deployment", "amp", &d); err != nil {
		return nil, err
	}
	var env []string
	for _, e := range d.Spec.Template.Spec.Containers[0].Env {
		env = append(env, e.Name+"="+e.Value)
	}
	return env, nil
}
