package deploy_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// TestWebhooksSelect: each namespace is reviewed by exactly the webhook of its failure policy, in each phase that it asks for.
func TestWebhooksSelect(t *testing.T) {
	var mutating admissionv1.MutatingWebhookConfiguration
	var validating admissionv1.ValidatingWebhookConfiguration
	read(t, "base/mutating.yaml", &mutating)
	read(t, "base/validating.yaml", &validating)
	type labelsOf = map[string]string

	for name, test := range map[string]struct {
		namespace, pod labelsOf
		want           []string
	}{
		"an opted-in namespace":                        {labelsOf{"amp.txn2.com/enabled": "true"}, nil, []string{"fail.amp.txn2.com"}},
		"one with Ignore":                              {labelsOf{"amp.txn2.com/enabled": "true", "amp.txn2.com/failure-policy": "Ignore"}, nil, []string{"ignore.amp.txn2.com"}},
		"one with Fail":                                {labelsOf{"amp.txn2.com/enabled": "true", "amp.txn2.com/failure-policy": "Fail"}, nil, []string{"fail.amp.txn2.com"}},
		"one with a mistyped policy":                   {labelsOf{"amp.txn2.com/enabled": "true", "amp.txn2.com/failure-policy": "ignore"}, nil, []string{"fail.amp.txn2.com"}},
		"one that validates":                           {labelsOf{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true"}, nil, []string{"fail.amp.txn2.com", "validate.fail.amp.txn2.com"}},
		"one that validates with Ignore":               {labelsOf{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true", "amp.txn2.com/failure-policy": "Ignore"}, nil, []string{"ignore.amp.txn2.com", "validate.ignore.amp.txn2.com"}},
		"one that only validates":                      {labelsOf{"amp.txn2.com/validate": "true"}, nil, nil},
		"one that did not opt in":                      {nil, nil, nil},
		"one that opted out":                           {labelsOf{"amp.txn2.com/enabled": "false"}, nil, nil},
		"amp's own":                                    {labelsOf{"amp.txn2.com/enabled": "true", corev1.LabelMetadataName: "amp-system"}, nil, nil},
		"the cluster's own":                            {labelsOf{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true", corev1.LabelMetadataName: "kube-system"}, nil, nil},
		"a Pod that opts out":                          {labelsOf{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true"}, labelsOf{"amp.txn2.com/enabled": "false"}, nil},
		"a Pod with any other value of the same label": {labelsOf{"amp.txn2.com/enabled": "true"}, labelsOf{"amp.txn2.com/enabled": "no"}, []string{"fail.amp.txn2.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, w := range mutating.Webhooks {
				if selects(t, w.NamespaceSelector, test.namespace) && selects(t, w.ObjectSelector, test.pod) {
					got = append(got, w.Name)
				}
			}
			for _, w := range validating.Webhooks {
				if selects(t, w.NamespaceSelector, test.namespace) && selects(t, w.ObjectSelector, test.pod) {
					got = append(got, w.Name)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("it is reviewed by %v, want %v", got, test.want)
			}
		})
	}
}

// TestWebhooksCall: a webhook's path says the same phase and failure policy as the webhook, and the API server asks once, for
// new Pods only, within the time that JupyterHub waits.
func TestWebhooksCall(t *testing.T) {
	var mutating admissionv1.MutatingWebhookConfiguration
	var validating admissionv1.ValidatingWebhookConfiguration
	read(t, "base/mutating.yaml", &mutating)
	read(t, "base/validating.yaml", &validating)
	paths := map[string]string{
		"fail.amp.txn2.com": "/mutate/fail", "ignore.amp.txn2.com": "/mutate/ignore",
		"validate.fail.amp.txn2.com": "/validate/fail", "validate.ignore.amp.txn2.com": "/validate/ignore",
	}
	check := func(name string, c admissionv1.WebhookClientConfig, policy *admissionv1.FailurePolicyType, timeout *int32, most int32, effects *admissionv1.SideEffectClass, rules []admissionv1.RuleWithOperations) {
		if s := c.Service; s == nil || s.Name != "amp" || s.Namespace != "amp-system" || *s.Port != 443 || *s.Path != paths[name] {
			t.Errorf("%s calls %+v", name, s)
		}
		delete(paths, name)
		if want := strings.Contains(name, "fail."); (*policy == admissionv1.Fail) != want {
			t.Errorf("%s has the policy %s", name, *policy)
		}
		if *timeout > most {
			t.Errorf("%s may take %d s", name, *timeout)
		}
		if *effects != admissionv1.SideEffectClassNoneOnDryRun {
			t.Errorf("%s has side effects: %s", name, *effects)
		}
		if len(rules) != 1 || !slices.Equal(rules[0].Operations, []admissionv1.OperationType{admissionv1.Create}) || !slices.Equal(rules[0].Resources, []string{"pods"}) {
			t.Errorf("%s is for %v", name, rules)
		}
	}
	for _, w := range mutating.Webhooks {
		check(w.Name, w.ClientConfig, w.FailurePolicy, w.TimeoutSeconds, 2, w.SideEffects, w.Rules)
		if *w.ReinvocationPolicy != admissionv1.NeverReinvocationPolicy {
			t.Errorf("%s is called again: %s", w.Name, *w.ReinvocationPolicy)
		}
	}
	for _, w := range validating.Webhooks {
		check(w.Name, w.ClientConfig, w.FailurePolicy, w.TimeoutSeconds, 1, w.SideEffects, w.Rules)
	}
	if len(paths) > 0 {
		t.Errorf("there are no webhooks %v", paths)
	}
}

// TestWhatPointsAtPods: each selector in these folders selects a Pod of theirs, and each port by name is one of its ports.
func TestWhatPointsAtPods(t *testing.T) {
	templates := map[string]corev1.PodTemplateSpec{} // by file
	objects := map[string][][]byte{}                 // by kind
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if path == "chart" {
			return fs.SkipDir // it has the same objects: test/chart
		}
		if err != nil || filepath.Ext(path) != ".yaml" || strings.HasSuffix(path, "kustomization.yaml") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			var meta metav1.TypeMeta
			if yaml.Unmarshal(document, &meta) != nil {
				continue // a JSON patch, which is a list
			}
			objects[meta.Kind] = append(objects[meta.Kind], document)
			var d appsv1.Deployment
			if err := yaml.Unmarshal(document, &d); meta.Kind == "Deployment" && err == nil && len(d.Spec.Template.Labels) > 0 {
				templates[path] = d.Spec.Template
				if !selects(t, d.Spec.Selector, d.Spec.Template.Labels) {
					t.Errorf("%s: Deployment %s does not select its own Pods", path, d.Name)
				}
				probed(t, path, d.Spec.Template.Spec.Containers[0])
				for _, c := range d.Spec.Template.Spec.TopologySpreadConstraints {
					if !selects(t, c.LabelSelector, d.Spec.Template.Labels) {
						t.Errorf("%s: Deployment %s spreads other Pods than its own", path, d.Name)
					}
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// selected returns the container of the one template that the selector selects.
	selected := func(t *testing.T, of string, s *metav1.LabelSelector) corev1.Container {
		var all []corev1.PodTemplateSpec
		for _, template := range templates {
			if selects(t, s, template.Labels) {
				all = append(all, template)
			}
		}
		if len(all) != 1 {
			t.Fatalf("%s selects %d Deployments' Pods", of, len(all))
		}
		return all[0].Spec.Containers[0]
	}

	counted := 0
	for _, document := range objects["Service"] {
		var s corev1.Service
		must(t, yaml.Unmarshal(document, &s))
		c := selected(t, "Service "+s.Name, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		for _, port := range s.Spec.Ports {
			if !hasPort(c, port.TargetPort.String()) {
				t.Errorf("Service %s leads to %s, which is not a port of its Pods", s.Name, port.TargetPort.String())
			}
		}
		counted++
	}
	for _, document := range objects["NetworkPolicy"] {
		var p networkingv1.NetworkPolicy
		must(t, yaml.Unmarshal(document, &p))
		c := selected(t, "NetworkPolicy "+p.Name, &p.Spec.PodSelector)
		for _, in := range p.Spec.Ingress {
			for _, port := range in.Ports {
				// The functions serve metrics at this port if AMP_METRICS_ADDR says so.
				if !hasPort(c, port.Port.String()) && port.Port.String() != "2112" {
					t.Errorf("NetworkPolicy %s lets in to %s, which is not a port of its Pods", p.Name, port.Port.String())
				}
			}
		}
		counted++
	}
	for _, document := range objects["PodDisruptionBudget"] {
		var b policyv1.PodDisruptionBudget
		must(t, yaml.Unmarshal(document, &b))
		selected(t, "PodDisruptionBudget "+b.Name, b.Spec.Selector)
		counted++
	}
	if len(templates) < 3 || counted < 7 {
		t.Errorf("only %d Deployments and %d objects that select Pods were found", len(templates), counted)
	}
}

// probed checks that a container's probes ask ports that it has.
func probed(t *testing.T, path string, c corev1.Container) {
	t.Helper()
	for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if p != nil && !hasPort(c, p.HTTPGet.Port.String()) {
			t.Errorf("%s: a probe asks %s, which is not a port of %s", path, p.HTTPGet.Port.String(), c.Name)
		}
	}
	if c.ReadinessProbe == nil {
		t.Errorf("%s: %s has no readiness probe", path, c.Name)
	}
}

func hasPort(c corev1.Container, name string) bool {
	return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
}

// read decodes a file of this folder, and is strict about its fields.
func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, yaml.UnmarshalStrict(text, into))
}

func selects(t *testing.T, s *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	must(t, err)
	return selector.Matches(labels.Set(of))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
