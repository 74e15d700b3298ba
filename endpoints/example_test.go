package endpoints_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/txn2/amp/endpoints"
	corev1 "k8s.io/api/core/v1"
)

// A first endpoint, whole: it says on each Pod who created it.
func Example() {
	endpoint := endpoints.Mutate(func(ctx context.Context, review *endpoints.Review, pod *corev1.Pod) error {
		pod.Annotations["example.com/created-by"] = review.User
		return nil
	})
	// A program ends here: http.ListenAndServe(":8080", endpoint)

	send(endpoint, `{"kind":"Pod","metadata":{"name":"web","annotations":{"a":"1"}}}`)
	// Output:
	// [{"op":"add","path":"/metadata/annotations/example.com~1created-by","value":"alice"}]
}

// Containers can be changed, added and put in any order: the patch holds the difference and no more.
func ExampleMutate() {
	endpoint := endpoints.Mutate(func(ctx context.Context, review *endpoints.Review, pod *corev1.Pod) error {
		if len(pod.Spec.Containers) > 9 {
			return endpoints.NewRefusal("a Pod may have nine containers here: split it")
		}
		review.Warn("a proxy was added")
		for i := range pod.Spec.Containers {
			c := &pod.Spec.Containers[i]
			c.Env = append(c.Env, corev1.EnvVar{Name: "HTTP_PROXY", Value: "http://localhost:3128"})
		}
		pod.Spec.Containers = append([]corev1.Container{{Name: "proxy", Image: "registry.example/proxy:1"}}, pod.Spec.Containers...)
		return nil
	})
	send(endpoint, `{"kind":"Pod","spec":{"containers":[{"name":"web"}]}}`)
	// Output:
	// {"allowed":true,"warnings":["a proxy was added"],"patch":[{"op":"add","path":"/spec/containers/0","value":{"image":"registry.example/proxy:1","name":"proxy","resources":{}}},{"op":"add","path":"/spec/containers/1/env","value":[{"name":"HTTP_PROXY","value":"http://localhost:3128"}]}]}
}

// With Handler the endpoint writes the patch itself. amp makes what is missing on the way to an added
// value, here the annotations.
func ExampleHandler() {
	endpoint := endpoints.Handler(func(ctx context.Context, review *endpoints.Review) (endpoints.Answer, error) {
		return endpoints.Patch(
			endpoints.PatchOperation{Op: "add", Path: endpoints.Path("metadata", "annotations", "example.com/cost-centre"), Value: review.Namespace},
			endpoints.PatchOperation{Op: "add", Path: "/spec/automountServiceAccountToken", Value: false},
		), nil
	})
	send(endpoint, `{"kind":"Pod","metadata":{"name":"web","namespace":"shop"}}`)
	// Output:
	// [{"op":"add","path":"/metadata/annotations/example.com~1cost-centre","value":"shop"},{"op":"add","path":"/spec/automountServiceAccountToken","value":false}]
}

// A refusal is an answer, not an error: an error says that the endpoint could not decide.
func ExampleRefuse() {
	endpoint := endpoints.Handler(func(ctx context.Context, review *endpoints.Review) (endpoints.Answer, error) {
		pod, err := review.Decode()
		if err != nil {
			return endpoints.Answer{}, err
		}
		if pod.Spec.HostNetwork {
			return endpoints.Refuse("hostNetwork is not for this namespace: remove it from the Pod"), nil
		}
		return endpoints.Patch(), nil
	})
	send(endpoint, `{"kind":"Pod","spec":{"hostNetwork":true}}`)
	send(endpoint, `{"kind":"Pod","spec":{}}`)
	// Output:
	// {"allowed":false,"status":{"message":"hostNetwork is not for this namespace: remove it from the Pod"}}
	// []
}

// send does what amp does: it posts a Pod and says in headers who creates it.
func send(endpoint http.HandlerFunc, pod string) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(pod))
	r.Header.Set("ce-authid", "alice")
	w := httptest.NewRecorder()
	endpoint(w, r)
	fmt.Print(w.Body)
}
