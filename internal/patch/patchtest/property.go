package patchtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	kjson "sigs.k8s.io/json"

	"github.com/txn2/amp/internal/review"
)

// PlainApply does what the API server does with a patch: it applies ops with json-patch.v4, and decodes the Pod.
func PlainApply(pod json.RawMessage, ops []review.Op) (json.RawMessage, error) {
	text, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	decoded, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, err
	}
	result, err := decoded.Apply(pod)
	if err != nil {
		return nil, err
	}
	return result, Decode(result, &corev1.Pod{})
}

// Decode reads a Pod as the API server does. It takes unknown fields, which the API server drops.
func Decode(text []byte, pod *corev1.Pod) error {
	return kjson.UnmarshalCaseSensitivePreserveInts(text, pod)
}

// Property returns why a checked patch does not keep what the check promises, nil if it does: json-patch.v4 on
// the whole Pod and Go's types tell.
func Property(came json.RawMessage, checked review.Checked, deny []string) error {
	if len(checked.Ops) == 0 {
		if string(checked.Pod) != string(came) {
			return errors.New("no ops, but the Pod is not as it came")
		}
		return nil
	}
	// The API server encodes the Pod anew before it patches it.
	encoded, err := json.Marshal(came)
	if err != nil {
		return err
	}
	result, err := PlainApply(encoded, checked.Ops)
	if err != nil {
		return fmt.Errorf("the answered ops do not apply: %w", err)
	}
	if !json.Valid(checked.Pod) {
		return fmt.Errorf("the Pod is not valid JSON: %s", checked.Pod)
	}
	if diff := cmp.Diff(decoded(result), decoded(checked.Pod)); diff != "" {
		return fmt.Errorf("the Pod is another than the answered ops make (-ops +amp):\n%s", diff)
	}
	if cmp.Equal(decoded(came), decoded(checked.Pod)) {
		return errors.New("ops that change nothing")
	}

	var before, after corev1.Pod
	if err := Decode(came, &before); err != nil {
		return fmt.Errorf("the test's own Pod: %w", err)
	}
	if err := Decode(result, &after); err != nil {
		return fmt.Errorf("the result is not a Pod: %w", err)
	}
	return errors.Join(keeps(before, after), Denies(before, after, deny), Flaws(before, after))
}

// decoded keeps the digits of numbers.
func decoded(text []byte) any {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	return value
}

func keeps(before, after corev1.Pod) error {
	var errs []error
	keep := func(what string, a, b any) {
		if fmt.Sprint(a) != fmt.Sprint(b) && !cmp.Equal(a, b) {
			errs = append(errs, fmt.Errorf("%s changed from %v to %v", what, a, b))
		}
	}
	keep("type", before.TypeMeta, after.TypeMeta)
	keep("name", before.Name, after.Name)
	keep("generateName", before.GenerateName, after.GenerateName)
	keep("namespace", before.Namespace, after.Namespace)
	keep("finalizers", before.Finalizers, after.Finalizers)
	keep("ownerReferences", before.OwnerReferences, after.OwnerReferences)
	keep("deletionTimestamp", before.DeletionTimestamp, after.DeletionTimestamp)
	keep("ephemeralContainers", before.Spec.EphemeralContainers, after.Spec.EphemeralContainers)
	keep("status", before.Status, after.Status)
	for _, owner := range before.OwnerReferences {
		if owner.Controller != nil && *owner.Controller {
			for key, value := range before.Labels {
				if got, ok := after.Labels[key]; !ok || got != value {
					errs = append(errs, fmt.Errorf("label %q of a controller's Pod changed", key))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// Denies returns an error if a patch changed what the places of deny are about; nil if it did not, or without places. It knows the
// fields that the tests deny, and containers by their names.
func Denies(before, after corev1.Pod, deny []string) error {
	if deny == nil {
		return nil
	}
	securityContexts := func(pod corev1.Pod) map[string]*corev1.SecurityContext {
		found := map[string]*corev1.SecurityContext{}
		for _, c := range pod.Spec.Containers {
			if c.SecurityContext != nil {
				found[c.Name] = c.SecurityContext
			}
		}
		return found
	}
	if before.Spec.ServiceAccountName != after.Spec.ServiceAccountName || before.Spec.DeprecatedServiceAccount != after.Spec.DeprecatedServiceAccount ||
		before.Spec.NodeName != after.Spec.NodeName || !cmp.Equal(securityContexts(before), securityContexts(after)) {
		return errors.New("a denied field changed")
	}
	return nil
}

// Flaws returns what a patch introduced that the API server refuses in a Pod, nil if there is nothing.
func Flaws(before, after corev1.Pod) error {
	had := map[string]bool{}
	for _, bad := range badThings(before) {
		had[bad] = true
	}
	for _, bad := range badThings(after) {
		if !had[bad] {
			return fmt.Errorf("the patch introduced a bad thing: %q", bad)
		}
	}
	return nil
}

// badThings is what the API server refuses in a Pod and a patch may therefore not introduce.
func badThings(pod corev1.Pod) (bad []string) {
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		if volumes[v.Name] {
			bad = append(bad, "two volumes "+v.Name)
		}
		volumes[v.Name] = true
	}
	names := map[string]bool{}
	for _, c := range append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...) {
		if names[c.Name] {
			bad = append(bad, "two containers "+c.Name)
		}
		names[c.Name] = true
		paths := map[string]bool{}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				bad = append(bad, "no volume "+c.Name+m.Name)
			}
			if paths[m.MountPath] {
				bad = append(bad, "two paths "+c.Name+m.MountPath)
			}
			paths[m.MountPath] = true
		}
		for _, e := range c.Env {
			if len(validation.IsRelaxedEnvVarName(e.Name)) > 0 {
				bad = append(bad, "env "+c.Name+e.Name)
			}
		}
	}
	for key, value := range pod.Labels {
		if len(validation.IsQualifiedName(key)) > 0 {
			bad = append(bad, "label "+key)
		}
		if len(validation.IsValidLabelValue(value)) > 0 {
			bad = append(bad, "label value "+key+value)
		}
	}
	for key := range pod.Annotations {
		if len(validation.IsQualifiedName(strings.ToLower(key))) > 0 {
			bad = append(bad, "annotation "+key)
		}
	}
	return bad
}
