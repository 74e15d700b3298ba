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

// stampAnnotation names the event of a mutation on the Pod. It is amp's: no endpoint may change it. A Pod has it already if
// it is a copy of one that amp mutated.
const stampAnnotation = "amp.txn2.com/event"

// Mutate makes an endpoint of a function that changes a Pod. The patch holds only what the function changed.
// A field that this package's Kubernetes API does not know keeps its value and its place, also inside a
// container that has moved in its list. So does the annotation amp.txn2.com/event, which is amp's.
//
// The Pod's Labels, Annotations and NodeSelector are never nil, so the function can assign to them. The
// function refuses the Pod by returning a [*Refusal], warns with [Review.Warn], and fails with any other
// error. If it returns an error, and in the validate phase, its changes to the Pod are dropped.
//
// Elements of a list are recognized by the key that Kubernetes merges that list by (a container's name, a
// mount's mountPath). If the function changes the key, it makes another element.
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
		// An empty map is encoded like a nil map, so this does not change the patch.
		for _, m := range []*map[string]string{&pod.Labels, &pod.Annotations, &pod.Spec.NodeSelector} {
			if *m == nil {
				*m = map[string]string{}
			}
		}
		stamp, stamped := pod.Annotations[stampAnnotation]
		if err := change(ctx, review, pod); err != nil {
			return Answer{}, err
		}
		if stamped { // the function may have set all annotations anew
			if pod.Annotations == nil {
				pod.Annotations = map[string]string{}
			}
			pod.Annotations[stampAnnotation] = stamp
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

// diff returns the patch that makes the change from before to after in raw. Both before and after were
// decoded and encoded by the same Kubernetes API. That drops fields and adds fields (creationTimestamp,
// resources: {}) in both of them, so such fields are not in the patch.
func diff(raw, before, after []byte) ([]PatchOperation, error) {
	if bytes.Equal(before, after) {
		return nil, nil
	}
	var trees [3]any
	for i, b := range [][]byte{raw, before, after} {
		if err := kjson.UnmarshalCaseSensitivePreserveInts(b, &trees[i]); err != nil {
			return nil, fmt.Errorf("comparing the Pod with the changed Pod: %w", err)
		}
	}
	var d differ
	d.value(nil, "", trees[0], trees[1], trees[2])
	return d.ops, nil
}
