package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/txn2/amp/test/e2e/harness"
)

// overlays are the folders of deploy/ that can be applied, each with the folders that it is applied after.
var overlays = map[string][]string{
	"deploy":                               nil,
	"deploy/cert-manager":                  nil,
	"deploy/alerts":                        {"deploy"},
	"deploy/audit":                         nil,
	"deploy/audit-postgres":                nil,
	"deploy/autoscaling":                   {"deploy"},
	"deploy/dashboards":                    {"deploy"},
	"deploy/network-policy":                {"deploy"},
	"deploy/network-policy/audit":          {"deploy/audit", "deploy"},
	"deploy/network-policy/audit-postgres": {"deploy/audit-postgres", "deploy"},
	"deploy/network-policy/samples":        {"deploy/samples", "deploy"},
	"deploy/no-way-out":                    nil,
	"deploy/samples":                       nil,
	"knative/alerts":                       {"deploy"},
}

func TestOverlays(t *testing.T) {
	w := world(t)
	define(t, w,
		"../cluster/testdata/cert-manager github.com/cert-manager/cert-manager deploy/crds/*.yaml",
		"../cluster/testdata/prometheus-operator github.com/prometheus-operator/prometheus-operator example/prometheus-operator-crd/monitoring.coreos.com_p*m*.yaml")

	t.Run("are all that deploy/ has", func(t *testing.T) {
		parts := []string{"deploy/base", "deploy/self", "deploy/cert-manager/renamed"} // parts of other folders
		var found []string
		err := filepath.WalkDir("../../deploy", func(path string, d fs.DirEntry, err error) error {
			if d.Name() == "kustomization.yaml" {
				found = append(found, strings.TrimPrefix(filepath.Dir(path), "../../"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range found {
			if _, ok := overlays[folder]; !ok && !slices.Contains(parts, folder) {
				t.Errorf("%s is in no test", folder)
			}
		}
	})

	for folder, before := range overlays {
		t.Run(folder+" is taken by the API server field by field", func(t *testing.T) {
			var namespaces harness.Manifests
			for _, b := range before {
				namespaces = append(namespaces, rendered(t, b).Kind("Namespace")...)
			}
			if err := harness.Apply(t.Context(), w.API.Config(), namespaces); err != nil {
				t.Fatal(err)
			}
			m := rendered(t, folder)
			if len(m) == 0 {
				t.Fatal("it has nothing in it")
			}
			if err := harness.TryApply(t.Context(), w.API.Config(), m); err != nil {
				t.Error(err)
			}
		})

		t.Run(folder+" runs under Pod Security's level restricted, without a warning", func(t *testing.T) {
			for _, u := range rendered(t, folder).Kind("Deployment") {
				d := decode[appsv1.Deployment](t, harness.Manifests{u}, "Deployment", u.GetName())
				ns := w.Namespace(t, nil)
				ns.Label("pod-security.kubernetes.io/enforce", "restricted")
				ns.Label("pod-security.kubernetes.io/warn", "restricted")
				pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
				pod.Name = u.GetName()
				if c := ns.MustCreate(pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); len(c.Warnings) > 0 {
					t.Errorf("%s: %q", u.GetName(), c.Warnings)
				}
			}
		})

		t.Run(folder+" opts in no namespace whose Pods amp may need", func(t *testing.T) {
			m := rendered(t, folder)
			for _, d := range m.Kind("Deployment") {
				for _, ns := range m.Kind("Namespace") {
					if ns.GetName() == d.GetNamespace() && ns.GetLabels()["amp.txn2.com/enabled"] != "" {
						t.Errorf("%s, where %s runs, is opted in", ns.GetName(), d.GetName())
					}
				}
			}
		})
	}

	t.Run("a patch asks for a token to read the audit function's events", func(t *testing.T) {
		patch, err := harness.Document("deploy/audit/read-token.yaml")
		if err != nil {
			t.Fatal(err)
		}
		m := overlay(t, "resources: [REPO/deploy/audit]\npatches:\n- target: {kind: Deployment}\n  patch: |\n    "+
			strings.ReplaceAll("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: audit}\n"+patch, "\n", "\n    ")+"\n")
		if err := harness.TryApply(t.Context(), w.API.Config(), m); err != nil {
			t.Fatal(err)
		}
		pod := decode[appsv1.Deployment](t, m, "Deployment", "audit").Spec.Template.Spec
		for _, e := range pod.Containers[0].Env {
			if e.Name == "AMP_AUDIT_READ_TOKEN_FILE" && slices.ContainsFunc(pod.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool {
				return m.MountPath+"/token" == e.Value
			}) {
				return
			}
		}
		t.Errorf("it mounts %v and says %v", pod.Containers[0].VolumeMounts, pod.Containers[0].Env)
	})
}

// TestNetworkPolicies checks that the labels and ports of the policies exist: a label that no Pod has would block or
// allow traffic without an error. There is no network plugin here that enforces policies.
func TestNetworkPolicies(t *testing.T) {
	for folder, of := range map[string]string{
		"deploy/network-policy": "deploy", "deploy/network-policy/samples": "deploy/samples", "deploy/network-policy/audit": "deploy/audit",
		"deploy/network-policy/audit-postgres": "deploy/audit-postgres",
	} {
		t.Run(folder, func(t *testing.T) {
			amp, at := template(t, rendered(t, "deploy"))
			pod, namespace := template(t, rendered(t, of))
			for _, u := range rendered(t, folder).Kind("NetworkPolicy") {
				p := decode[networkingv1.NetworkPolicy](t, harness.Manifests{u}, "NetworkPolicy", u.GetName())
				if p.Namespace != namespace || !selects(t, &p.Spec.PodSelector, pod.Labels) {
					t.Errorf("%s does not select the Pods of %s", p.Name, of)
				}
				if len(p.Spec.PolicyTypes) != 2 {
					t.Errorf("%s is for %v only", p.Name, p.Spec.PolicyTypes)
				}
				scraped := false
				for _, in := range p.Spec.Ingress {
					for _, port := range in.Ports {
						// The functions serve metrics only if they are told to, at amp's port for that.
						metrics := port.Port.IntVal == 2112 || port.Port.StrVal == "metrics"
						if port.Port.IntVal != 2112 && !slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == port.Port.StrVal }) {
							t.Errorf("%s lets in to %s, which is not a port", p.Name, port.Port)
						}
						for _, from := range in.From {
							if metrics {
								scraped = selects(t, from.PodSelector, map[string]string{"app.kubernetes.io/name": "prometheus"}) && selects(t, from.NamespaceSelector, nil)
							} else if !selects(t, from.PodSelector, amp.Labels) || !selects(t, from.NamespaceSelector, map[string]string{corev1.LabelMetadataName: at}) {
								t.Errorf("%s does not let amp in", p.Name)
							}
						}
					}
				}
				if !scraped {
					t.Errorf("%s does not let Prometheus in", p.Name)
				}
			}
		})
	}
}

// template is the Pod template of the one Deployment, with its namespace.
func template(t *testing.T, m harness.Manifests) (corev1.PodTemplateSpec, string) {
	t.Helper()
	all := m.Kind("Deployment")
	if len(all) != 1 {
		t.Fatalf("there are %d Deployments", len(all))
	}
	d := decode[appsv1.Deployment](t, all, "Deployment", all[0].GetName())
	return d.Spec.Template, d.Namespace
}

func selects(t *testing.T, s *metav1.LabelSelector, l map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(labels.Set(l))
}

// define installs CRDs that come with Go modules. Each entry is the folder of a go.mod, the module there and the
// files in the module.
func define(t *testing.T, w *harness.World, from ...string) {
	t.Helper()
	var crds harness.Manifests
	for _, f := range from {
		part := strings.Fields(f)
		cmd := exec.Command("go", "mod", "download", "-json", part[1])
		cmd.Dir, cmd.Stderr = part[0], os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("downloading %s: %v\n%s", part[1], err, out)
		}
		var module struct{ Dir string }
		if err := json.Unmarshal(out, &module); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(module.Dir, part[2]))
		if err != nil || len(files) == 0 {
			t.Fatalf("there are no %s: %v", part[2], err)
		}
		for _, file := range files {
			crds = append(crds, documents(t, file)...)
		}
	}
	w.Define(t, crds)
}

// documents are the objects in a file.
func documents(t *testing.T, file string) (all harness.Manifests) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	reader := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		u := &unstructured.Unstructured{}
		if err := reader.Decode(&u.Object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(u.Object) > 0 {
			all = append(all, u)
		}
	}
}
