package login

import (
	"os"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// root is the root of the repository.
const root = "../.."

// manifests are those of docs/audit-login.md.
type manifests struct {
	config     corev1.ConfigMap
	deployment appsv1.Deployment
	service    corev1.Service
	policy     networkingv1.NetworkPolicy
}

// readManifests reads them strictly: a field that Kubernetes does not know is an error.
func readManifests(t *testing.T) *manifests {
	t.Helper()
	page, err := os.ReadFile(root + "/docs/audit-login.md")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, block := range regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindAllStringSubmatch(string(page), -1) {
		texts = append(texts, strings.Split(block[1], "\n---\n")...)
	}
	m := &manifests{}
	into := []any{&m.config, &m.deployment, &m.service, &m.policy}
	if len(texts) != len(into) {
		t.Fatalf("docs/audit-login.md has %d manifests, want %d", len(texts), len(into))
	}
	for i, text := range texts {
		if err := yaml.UnmarshalStrict([]byte(text), into[i]); err != nil {
			t.Fatalf("manifest %d of docs/audit-login.md: %v\n%s", i+1, err, text)
		}
	}
	return m
}

// container is the proxy's.
func (m *manifests) container() *corev1.Container {
	return &m.deployment.Spec.Template.Spec.Containers[0]
}

// TestManifestsFitTogether compares what the manifests say of each other, of the folder deploy/audit, and of the program that
// TestReadersLogIn runs.
func TestManifestsFitTogether(t *testing.T) {
	m := readManifests(t)
	pod := m.deployment.Spec.Template
	for _, selector := range []map[string]string{m.deployment.Spec.Selector.MatchLabels, m.service.Spec.Selector,
		m.policy.Spec.Ingress[0].From[0].PodSelector.MatchLabels} {
		if len(selector) != 1 || selector["app.kubernetes.io/name"] != pod.Labels["app.kubernetes.io/name"] {
			t.Errorf("%v does not select the proxy's Pods, which have %v", selector, pod.Labels)
		}
	}
	if config := pod.Spec.Volumes[0].ConfigMap; config == nil || config.Name != m.config.Name {
		t.Errorf("the Deployment does not mount the ConfigMap %s", m.config.Name)
	}
	audit := read(t, root+"/deploy/audit/audit.yaml")
	for _, want := range []string{"matchLabels: {app.kubernetes.io/name: audit}", "namespace: " + m.deployment.Namespace, "- name: http\n          containerPort"} {
		if !strings.Contains(audit, want) {
			t.Errorf("deploy/audit/audit.yaml has no %q", want)
		}
	}
	for _, object := range []string{m.config.Namespace, m.service.Namespace, m.policy.Namespace} {
		if object != m.deployment.Namespace {
			t.Errorf("an object is in the namespace %q, the proxy in %q", object, m.deployment.Namespace)
		}
	}
	if m.policy.Spec.PodSelector.MatchLabels["app.kubernetes.io/name"] != "audit" {
		t.Error("the NetworkPolicy is not about the audit function")
	}
	if token := m.container().Env[0].ValueFrom.SecretKeyRef; !strings.Contains(read(t, root+"/deploy/README.md"), "create secret generic "+token.Name+" --from-literal="+token.Key+"=") {
		t.Errorf("deploy/README.md makes no Secret %s with the key %s", token.Name, token.Key)
	}
	_, version, _ := strings.Cut(m.container().Image, ":")
	if !strings.Contains(read(t, "go.mod"), "github.com/oauth2-proxy/oauth2-proxy/v7 "+version+" ") {
		t.Errorf("the page has oauth2-proxy %s, go.mod another one", version)
	}
	if !strings.Contains(read(t, root+"/docs/audit-login.md"), "(https://oauth2-proxy.github.io/oauth2-proxy/) "+version+" ") {
		t.Errorf("the text of the page has another version than its manifest, %s", version)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
