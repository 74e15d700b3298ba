package doctor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// TestRequests: each request names its group, version and namespace as the API server wants them, and each object that
// it sends names its kind. The server of the other tests looks at the last parts of a path only.
func TestRequests(t *testing.T) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sent metav1.TypeMeta
		_ = json.NewDecoder(r.Body).Decode(&sent) // the body of a GET is empty
		seen = append(seen, fmt.Sprintf("%s %s %s %s", r.Method, r.URL, sent.APIVersion, sent.Kind))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, "{}")
	}))
	defer server.Close()
	config := &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}} // protobuf is the default
	c, err := connect(Options{Config: config, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		ask  func()
		want []string
	}{
		"webhooks": {func() { c.webhooks(t.Context()) }, []string{
			"GET /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations  ",
			"GET /apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations  "}},
		"Deployments": {func() { c.deployments(t.Context(), "ns", nil) }, []string{"GET /apis/apps/v1/namespaces/ns/deployments  "}},
		"Pods":        {func() { _, _ = c.pods(t.Context(), "ns", keys{"app": "amp"}) }, []string{"GET /api/v1/namespaces/ns/pods?labelSelector=app%3Damp  "}},
		"a Service": {func() { c.backend(t.Context(), types.NamespacedName{Namespace: "ns", Name: "amp"}, false) }, []string{
			"GET /api/v1/namespaces/ns/services/amp  ",
			"GET /apis/discovery.k8s.io/v1/namespaces/ns/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Damp  "}},
		"a right": {func() { c.access(t.Context(), "ns", "amp", make([]authorizationv1.ResourceAttributes, 1)) }, []string{
			"POST /apis/authorization.k8s.io/v1/subjectaccessreviews authorization.k8s.io/v1 SubjectAccessReview"}},
		"the user": {func() { c.user(t.Context()) }, []string{
			"POST /apis/authentication.k8s.io/v1/selfsubjectreviews authentication.k8s.io/v1 SelfSubjectReview"}},
		"a dry run": {func() { c.create(t.Context(), "ns", new(corev1.Pod)) }, []string{
			"POST /api/v1/namespaces/ns/pods?dryRun=All v1 Pod"}},
	} {
		seen = nil
		if test.ask(); !slices.Equal(seen, test.want) {
			t.Errorf("%s: the doctor sent %q, not %q", name, seen, test.want)
		}
	}
}
