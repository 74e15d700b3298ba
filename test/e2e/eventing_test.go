package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/txn2/amp/test/e2e/harness"
)

// Knative Eventing is not installed here, only its CRDs. The manifests of knative/eventing are checked against them.
// The scripts of cmd/amp show what K_SINK, which a SinkBinding sets, does to amp.

// definitions installs Eventing's CRDs from the folder that AMP_EVENTING_CRDS names.
func definitions(t *testing.T, w *harness.World) {
	t.Helper()
	folder := os.Getenv("AMP_EVENTING_CRDS")
	if folder == "" {
		t.Skip("SKIPPED: this test needs the CRDs of Knative Eventing's Broker, Trigger and SinkBinding, which are " +
			"in config/core/resources of its repository. AMP_EVENTING_CRDS must name a folder with these YAML files.")
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crds harness.Manifests
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crds = append(crds, object(t, string(text)))
	}
	for _, crd := range crds {
		closeSchema(crd.Object)
		// There is no webhook here to convert between versions, and only one version is used.
		unstructured.RemoveNestedField(crd.Object, "spec", "conversion")
	}
	w.Define(t, crds)
}

// closeSchema makes a schema refuse unknown fields. Eventing keeps unknown fields in some places, for experimental
// features, and its own webhook checks them.
func closeSchema(in any) {
	switch in := in.(type) {
	case map[string]any:
		if _, declared := in["properties"].(map[string]any); declared {
			delete(in, "x-kubernetes-preserve-unknown-fields")
		}
		for _, v := range in {
			closeSchema(v)
		}
	case []any:
		for _, v := range in {
			closeSchema(v)
		}
	}
}

// object reads one manifest.
func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// triggers are the Triggers in docs/events.md.
func triggers(t *testing.T) harness.Manifests {
	t.Helper()
	text, err := harness.Document("docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	var found harness.Manifests
	for _, block := range blocks(text, "yaml") {
		found = append(found, object(t, block))
	}
	if found = found.Kind("Trigger"); len(found) == 0 {
		t.Fatal("docs/events.md shows no Trigger")
	}
	return found
}

func TestEventing(t *testing.T) {
	t.Run("its parts and those of knative/ name one another", func(t *testing.T) {
		m := rendered(t, "knative/eventing")
		all := slices.Concat(m, rendered(t, "knative"), rendered(t, "knative/functions"))
		for _, at := range []struct {
			kind string
			path []string
		}{
			{"SinkBinding", []string{"spec", "subject"}},
			{"SinkBinding", []string{"spec", "sink", "ref"}},
			{"Trigger", []string{"spec", "subscriber", "ref"}},
		} {
			for _, u := range m.Kind(at.kind) {
				ref, _, err := unstructured.NestedStringMap(u.Object, at.path...)
				if err != nil {
					t.Fatal(err)
				}
				if ref["namespace"] == "" {
					ref["namespace"] = u.GetNamespace()
				}
				if !slices.ContainsFunc(all, func(o *unstructured.Unstructured) bool {
					return o.GetAPIVersion() == ref["apiVersion"] && o.GetKind() == ref["kind"] && o.GetName() == ref["name"] && o.GetNamespace() == ref["namespace"]
				}) {
					t.Errorf("%s %s: %s is %v, which nothing is", u.GetKind(), u.GetName(), strings.Join(at.path, "."), ref)
				}
			}
		}
		for _, u := range m.Kind("Trigger") {
			broker, _, _ := unstructured.NestedString(u.Object, "spec", "broker")
			if brokers := m.Kind("Broker"); len(brokers) != 1 || brokers[0].GetName() != broker || brokers[0].GetNamespace() != u.GetNamespace() {
				t.Errorf("Trigger %s subscribes to Broker %q of its namespace, which there is not", u.GetName(), broker)
			}
			filters, _, _ := unstructured.NestedSlice(u.Object, "spec", "filters")
			if want := "[map[prefix:map[type:com.txn2.amp.]]]"; fmt.Sprint(filters) != want {
				t.Errorf("Trigger %s filters by %v, not %s", u.GetName(), filters, want)
			}
		}
	})

	t.Run("its API takes them field by field", func(t *testing.T) {
		w := anyWorld(t)
		definitions(t, w)
		there := rendered(t, "knative").Kind("Namespace")
		take := func(m ...*unstructured.Unstructured) error {
			return harness.TryApply(t.Context(), w.API.Config(), slices.Concat(there, m))
		}
		if err := take(rendered(t, "knative/eventing")...); err != nil {
			t.Error(err)
		}
		if err := take(triggers(t)...); err != nil {
			t.Errorf("docs/events.md: %v", err)
		}

		// That the API server accepted them means something only if it refuses this.
		for _, typo := range []struct {
			kind        string
			right, made []string
		}{
			{"SinkBinding", []string{"spec", "sink", "ref"}, []string{"spec", "sink", "reference"}},
			{"SinkBinding", []string{"spec", "subject", "name"}, []string{"spec", "subject", "nmae"}},
			{"Broker", []string{"spec", "delivery", "retry"}, []string{"spec", "delivery", "retries"}},
			{"Trigger", []string{"spec", "broker"}, []string{"spec", "brokre"}},
			{"Trigger", []string{"spec", "subscriber", "ref", "name"}, []string{"spec", "subscriber", "ref", "nmae"}},
		} {
			u := rendered(t, "knative/eventing").Kind(typo.kind)[0]
			value, found, err := unstructured.NestedFieldCopy(u.Object, typo.right...)
			if !found || err != nil {
				t.Fatalf("%s has no %s: %v", typo.kind, strings.Join(typo.right, "."), err)
			}
			unstructured.RemoveNestedField(u.Object, typo.right...)
			if err := unstructured.SetNestedField(u.Object, value, typo.made...); err != nil {
				t.Fatal(err)
			}
			last := typo.made[len(typo.made)-1]
			if err := take(u); err == nil || !strings.Contains(err.Error(), last) {
				t.Errorf("%s with %s was taken: %v", typo.kind, strings.Join(typo.made, "."), err)
			}
		}
		misspelt := triggers(t)[0]
		if err := unstructured.SetNestedSlice(misspelt.Object, []any{map[string]any{"exat": map[string]any{"type": "x"}}}, "spec", "filters"); err != nil {
			t.Fatal(err)
		}
		if err := take(misspelt); err == nil || !strings.Contains(err.Error(), "exat") {
			t.Errorf("a Trigger with a misspelt filter was taken: %v", err)
		}
	})
}
