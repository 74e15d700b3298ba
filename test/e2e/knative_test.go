package e2e

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/txn2/amp/test/e2e/harness"
)

// These tests read the manifests of knative/. test/cluster shows what Knative makes of them.

// ofKnative is the container of a Knative Service and the labels of its Pods.
func ofKnative(t *testing.T, m harness.Manifests, name string) (c corev1.Container, labels map[string]string) {
	t.Helper()
	for _, u := range m.Kind("Service") {
		if u.GetName() != name || u.GroupVersionKind().Group != "serving.knative.dev" {
			continue
		}
		containers, _, err := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
		if err != nil || len(containers) != 1 {
			t.Fatalf("%s has the containers %v: %v", name, containers, err)
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(containers[0].(map[string]any), &c, true); err != nil {
			t.Fatal(err)
		}
		labels, _, _ = unstructured.NestedStringMap(u.Object, "spec", "template", "metadata", "labels")
		return c, labels
	}
	t.Fatalf("there is no Knative Service %s", name)
	return c, nil
}

func TestKnative(t *testing.T) {
	m := rendered(t, "knative")
	container, labels := ofKnative(t, m, "amp")

	t.Run("runs amp as deploy/ does, but for what Knative decides", func(t *testing.T) {
		plain := decode[appsv1.Deployment](t, rendered(t, "deploy"), "Deployment", "amp").Spec.Template.Spec.Containers[0]
		if container.Image != plain.Image {
			t.Errorf("the image is %s, not %s", container.Image, plain.Image)
		}
		if !equality.Semantic.DeepEqual(container.Resources, plain.Resources) {
			t.Errorf("the resources are %v, not %v", container.Resources, plain.Resources)
		}
		for _, e := range plain.Env {
			if !slices.Contains(container.Env, e) {
				t.Errorf("the environment lacks %v", e)
			}
		}
		for name, probes := range map[string][2]*corev1.Probe{
			"liveness": {container.LivenessProbe, plain.LivenessProbe}, "readiness": {container.ReadinessProbe, plain.ReadinessProbe},
		} {
			is, want := probes[0].DeepCopy(), probes[1].DeepCopy()
			is.HTTPGet, want.HTTPGet = nil, nil // it uses another port
			if probes[0].HTTPGet.Path != probes[1].HTTPGet.Path || !equality.Semantic.DeepEqual(is, want) {
				t.Errorf("the %s probe is %v, not %v", name, probes[0], probes[1])
			}
		}
	})

	t.Run("leads the webhooks to the revisions' Pods, by a name that their certificate has", func(t *testing.T) {
		for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
			for _, w := range decode[admissionv1.MutatingWebhookConfiguration](t, lenient(m, kind), "MutatingWebhookConfiguration", "amp").Webhooks {
				to := w.ClientConfig.Service
				service := decode[corev1.Service](t, m.Without("serving.knative.dev"), "Service", to.Name)
				if service.Spec.Selector["serving.knative.dev/service"] != "amp" || len(service.Spec.Selector) != 1 {
					t.Errorf("%s calls the Pods with %v", w.Name, service.Spec.Selector)
				}
				if want := (corev1.EnvVar{Name: "AMP_TLS_DNS_NAMES", Value: to.Name + "." + to.Namespace + ".svc"}); !slices.Contains(container.Env, want) {
					t.Errorf("%s calls %s, and the certificate is not for it", w.Name, want.Value)
				}
			}
		}
	})

	t.Run("asks neither Knative nor its ingress to wait for amp", func(t *testing.T) {
		for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
			for _, w := range decode[admissionv1.MutatingWebhookConfiguration](t, lenient(m, kind), "MutatingWebhookConfiguration", "amp").Webhooks {
				var out []string
				for _, e := range w.NamespaceSelector.MatchExpressions {
					if e.Key == corev1.LabelMetadataName {
						out = append(out, e.Values...)
					}
				}
				for _, namespace := range []string{"kube-system", "amp-system", "knative-serving", "knative-eventing", "kourier-system", "istio-system", "contour-external", "contour-internal", "traefik"} {
					if !slices.Contains(out, namespace) {
						t.Errorf("%s does not leave out %s", w.Name, namespace)
					}
				}
			}
		}
	})

	t.Run("has no more than one of its Pods taken at a time", func(t *testing.T) {
		for _, u := range m.Kind("PodDisruptionBudget") {
			selector, _, _ := unstructured.NestedStringMap(u.Object, "spec", "selector", "matchLabels")
			for key, value := range selector {
				if labels[key] != value {
					t.Errorf("the PodDisruptionBudget is for Pods with %v, amp's have %v", selector, labels)
				}
			}
		}
	})

	t.Run("goes into another namespace with two lines", func(t *testing.T) {
		m := overlay(t, "resources: [REPO/knative]\nnamespace: elsewhere\ntransformers: [REPO/knative/renamed]\n")
		if in := mentions(t, m, "amp-system"); len(in) > 0 {
			t.Errorf("amp-system still stands in %q", in)
		}
	})

	t.Run("opts in no namespace in which a function runs", func(t *testing.T) {
		m := rendered(t, "knative/functions")
		for _, f := range m.Kind("Service") {
			for _, ns := range m.Kind("Namespace") {
				if ns.GetName() == f.GetNamespace() && ns.GetLabels()["amp.txn2.com/enabled"] != "" {
					t.Errorf("%s, where %s runs, is opted in", ns.GetName(), f.GetName())
				}
			}
		}
	})

	t.Run("is scraped at a port that Knative lets no Pod declare", func(t *testing.T) {
		m := rendered(t, "knative/alerts")
		if rules := m.Kind("PrometheusRule"); len(rules) != 1 {
			t.Errorf("there are %d PrometheusRules", len(rules))
		}
		ends, _, err := unstructured.NestedSlice(m.Kind("PodMonitor")[0].Object, "spec", "podMetricsEndpoints")
		if err != nil || len(ends) != 1 {
			t.Fatalf("the PodMonitor asks %v: %v", ends, err)
		}
		var end struct {
			Port        string
			Relabelings []struct {
				SourceLabels                    []string
				Regex, Replacement, TargetLabel string
			}
		}
		text, err := json.Marshal(ends[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &end); err != nil || end.Port != "user-port" {
			t.Fatalf("the PodMonitor asks port %q: %v", end.Port, err)
		}
		for ip, want := range map[string]string{"10.244.0.9": "10.244.0.9:2112", "fd00::9": "[fd00::9]:2112"} {
			address := ""
			for _, r := range end.Relabelings {
				// As in Prometheus, the whole value must match.
				if re := regexp.MustCompile("^(?:" + r.Regex + ")$"); r.TargetLabel == "__address__" && re.MatchString(ip) {
					address = re.ReplaceAllString(ip, r.Replacement)
				}
			}
			if address != want {
				t.Errorf("a Pod at %s is asked at %q", ip, address)
			}
		}
	})

	t.Run("is taken by the API server, as far as it knows the kinds", func(t *testing.T) {
		for _, folder := range []string{"knative", "knative/functions", "knative/audit-postgres"} {
			if err := harness.TryApply(t.Context(), anyWorld(t).API.Config(), rendered(t, folder).Without("serving.knative.dev")); err != nil {
				t.Errorf("%s: %v", folder, err)
			}
		}
	})
}
