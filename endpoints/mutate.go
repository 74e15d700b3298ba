package endpoints

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"
)

// Mutate makes an endpoint of a function that changes a Pod. The package works out the patch from what
// the function changed and from nothing else: a field that this package's Kubernetes API does not know
// keeps its value and its place, also inside a container that has moved in its list.
//
// The Pod's Labels, Annotations and NodeSelector are never nil, so that they can be assigned to. The
// function may refuse by returning a [*Refusal], warn with [Review.Warn], and fail with any other error;
// then, and when validating, what it did to the Pod is dropped.
//
// What belongs to a list element is kept by the key that Kubernetes merges that list by (a container's
// name, a mount's mountPath). A changed key is another element.
func Mutate(change func(ctx context.Context, review *Review, pod *corev1.Pod) error) http.HandlerFunc {
	return Handler(func(ctx context.Context, review *Review) (Answer, error) {
		pod, err := review.Decode()
		if err != nil {
			return Answer{}, err
		}
		before, err := json.Marshal(pod)
		if err != nil {
			return Answer{}, fmt.Errorf("encoding the Pod: %w", err)
		}
		// Empty, they are encoded like nil ones: this changes nothing.
		for _, m := range []*map[string]string{&pod.Labels, &pod.Annotations, &pod.Spec.NodeSelector} {
			if *m == nil {
				*m = map[string]string{}
			}
		}
		if err := change(ctx, review, pod); err != nil {
			return Answer{}, err
		}
		after, err := json.Marshal(pod)
		if err != nil {
			return Answer{}, fmt.Errorf("encoding the changed Pod: %w", err)
		}
		ops, err := diff(review.Pod, before, after)
		if err != nil {
			return Answer{}, err
		}
		return Patch(ops...), nil
	})
}

// diff returns the patch that does to raw what turned before into after. The latter two are raw as one
// Kubernetes API decodes and encodes it, so whatever that does to a Pod, fields it drops and those it adds
// (creationTimestamp, resources: {}), is in both and hence in no patch.
func diff(raw, before, after []byte) ([]PatchOperation, error) {
	if bytes.Equal(before, after) {
		return nil, nil
	}
	var trees [3]any
	for i, b := range [][]byte{raw, before, after} {
		if err := kjson.UnmarshalCaseSensitivePreserveInts(b, &trees[i]); err != nil {
			return nil, fmt.Errorf("comparing the Pod with its changed self: %w", err)
		}
	}
	var d differ
	d.value(nil, "", trees[0], trees[1], trees[2])
	return d.ops, nil
}
