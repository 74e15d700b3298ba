package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/txn2/amp/test/e2e/harness"
)

func rendered(t *testing.T, folder string) harness.Manifests {
	t.Helper()
	m, err := harness.Render(folder)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func overlay(t *testing.T, kustomization string) harness.Manifests {
	t.Helper()
	m, err := harness.RenderOverlay(t.TempDir(), kustomization)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func decode[T any](t *testing.T, m harness.Manifests, kind, name string) *T {
	t.Helper()
	into := new(T)
	if err := m.Decode(kind, name, into); err != nil {
		t.Fatal(err)
	}
	return into
}

// mentions are the objects that contain a word.
func mentions(t *testing.T, m harness.Manifests, word string) []string {
	t.Helper()
	var in []string
	for _, u := range m {
		b, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), word) {
			in = append(in, u.GetKind()+" "+u.GetName())
		}
	}
	return in
}

func TestDeployIntoAnotherNamespace(t *testing.T) {
	t.Run("one line renames it wherever it stands by itself", func(t *testing.T) {
		m := overlay(t, "resources: [REPO/deploy]\nnamespace: elsewhere\n")
		if in := mentions(t, m.Without("cert-manager.io").Without("admissionregistration.k8s.io"), "amp-system"); len(in) > 0 {
			t.Errorf("amp-system still stands in %q", in)
		}
		for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
			// Both kinds have the fields that are checked here.
			webhooks := decode[admissionv1.MutatingWebhookConfiguration](t, lenient(m, kind), "MutatingWebhookConfiguration", "amp").Webhooks
			if len(webhooks) != 2 {
				t.Fatalf("%s has %d webhooks", kind, len(webhooks))
			}
			for _, w := range webhooks {
				if w.ClientConfig.Service.Namespace != "elsewhere" {
					t.Errorf("%s calls namespace %s", w.Name, w.ClientConfig.Service.Namespace)
				}
				if out := leftOut(w.NamespaceSelector); !slices.Equal(out, []string{"kube-system", "elsewhere"}) {
					t.Errorf("%s leaves out the namespaces %q", w.Name, out)
				}
			}
		}
		binding := decode[rbacv1.ClusterRoleBinding](t, m, "ClusterRoleBinding", "amp")
		if binding.Subjects[0].Namespace != "elsewhere" {
			t.Errorf("the rights go to %+v", binding.Subjects)
		}
	})

	t.Run("with cert-manager a second one renames it within the certificate's names", func(t *testing.T) {
		m := overlay(t, "resources: [REPO/deploy/cert-manager]\nnamespace: elsewhere\ntransformers: [REPO/deploy/cert-manager/renamed]\n")
		if in := mentions(t, m, "amp-system"); len(in) > 0 {
			t.Errorf("amp-system still stands in %q", in)
		}
		for _, u := range m.Kind("Certificate") {
			if names, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "dnsNames"); u.GetName() == "amp" && !slices.Equal(names, []string{"amp.elsewhere.svc"}) {
				t.Errorf("the certificate is for %q", names)
			}
		}
		for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
			if from := m.Kind(kind)[0].GetAnnotations()["cert-manager.io/inject-ca-from"]; from != "elsewhere/amp" {
				t.Errorf("the CA of the %s comes from %s", kind, from)
			}
		}
	})

	t.Run("and the API server takes it all", func(t *testing.T) {
		m := overlay(t, "resources: [REPO/deploy]\nnamespace: elsewhere\n").Without("cert-manager.io")
		if err := harness.TryApply(t.Context(), world(t).API.Config(), m); err != nil {
			t.Error(err)
		}
	})
}

// lenient returns the configuration of the other kind as one of this kind, without the fields that only that kind
// has.
func lenient(m harness.Manifests, kind string) harness.Manifests {
	u := m.Kind(kind)[0].DeepCopy()
	u.SetKind("MutatingWebhookConfiguration")
	return harness.Manifests{u}
}

// leftOut are the namespaces that a selector excludes by name.
func leftOut(s *metav1.LabelSelector) []string {
	for _, e := range s.MatchExpressions {
		if e.Key == corev1.LabelMetadataName && e.Operator == metav1.LabelSelectorOpNotIn {
			return e.Values
		}
	}
	return nil
}

func TestDeployWithAnotherImage(t *testing.T) {
	m := overlay(t, "resources: [REPO/deploy]\nimages:\n- {name: ghcr.io/txn2/amp, newName: registry.example/amp, newTag: v9}\n")
	if image := decode[appsv1.Deployment](t, m, "Deployment", "amp").Spec.Template.Spec.Containers[0].Image; image != "registry.example/amp:v9" {
		t.Errorf("the image is %s", image)
	}
}

func TestTheOverlayOfTheReadme(t *testing.T) {
	readme, err := harness.Document("deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme, _, _ = strings.Cut(readme, "\n## ") // the overlay's parts come before the first section
	m := overlay(t, strings.ReplaceAll(strings.Join(blocks(readme, "yaml"), ""), "amp/deploy", "REPO/deploy"))
	d := decode[appsv1.Deployment](t, m, "Deployment", "amp")
	if env := d.Spec.Template.Spec.Containers[0].Env; d.Namespace != "elsewhere" || !slices.ContainsFunc(env, func(e corev1.EnvVar) bool {
		return e.Name == "AMP_EVENTS_SOURCE" && e.Value == "https://blue.example.com/amp"
	}) {
		t.Errorf("in %s amp has the environment %v", d.Namespace, env)
	}
}

func TestWhatIsDeployed(t *testing.T) {
	t.Run("takes less than the three seconds that JupyterHub gives a Pod", func(t *testing.T) {
		m := rendered(t, "deploy")
		for _, mutating := range decode[admissionv1.MutatingWebhookConfiguration](t, m, "MutatingWebhookConfiguration", "amp").Webhooks {
			for _, validating := range decode[admissionv1.ValidatingWebhookConfiguration](t, m, "ValidatingWebhookConfiguration", "amp").Webhooks {
				if sum := *mutating.TimeoutSeconds + *validating.TimeoutSeconds; sum > 3 {
					t.Errorf("%s and %s may take %d s", mutating.Name, validating.Name, sum)
				}
			}
		}
	})
}
