package doctor

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
)

// api is an API server with an installation of amp that is well, and the namespace team-a that uses it. A test changes
// it and looks at the report.
type api struct {
	mutating       admissionv1.MutatingWebhookConfiguration
	others         []admissionv1.MutatingWebhookConfiguration // before mutating
	validating     admissionv1.ValidatingWebhookConfiguration
	deployment     appsv1.Deployment
	services       map[string]*backend // by namespace/name
	replicaSets    []appsv1.ReplicaSet // nil: the Deployment's one, whatever a test made of that
	noAccount      bool                // there is no ServiceAccount
	pods           map[string][]corev1.Pod
	proxied        map[string]string // what Pods answer, by "scheme:name:port/path"
	events         map[string][]corev1.Event
	configMaps     map[string]map[string]string // in amp-system, by name
	secret         []byte                       // tls.crt of amp-tls
	namespaces     []metav1.PartialObjectMetadata
	denied         string // a verb and a resource that amp's ServiceAccount lacks, as in "watch namespaces"
	evaluation     string // why the API server could not fully judge that
	dryRun         func(w http.ResponseWriter)
	forbidden      string // regexp of requests, as in "GET /api/v1/pods", that the doctor may not make
	flags          string // of the doctor's Options
	mu             sync.Mutex
	requests, made []string // all, and those that are not reads
}

// newAPI makes the API server of a well installation.
func newAPI(t *testing.T) *api {
	t.Helper()
	ca := newAuthority(t)
	a := &api{
		services: map[string]*backend{
			"amp-system/amp":     serviceWith("amp", 443, "10.0.0.1", "10.1.0.1", "10.1.0.2"),
			"default/kubernetes": serviceWith("kubernetes", 443, "10.96.0.1", "192.168.0.1"),
			"hooks/hook":         serviceWith("hook", 80, "10.0.0.2", "10.1.1.1"),
		},
		pods:       map[string][]corev1.Pod{},
		proxied:    map[string]string{},
		events:     map[string][]corev1.Event{},
		configMaps: map[string]map[string]string{"amp": {"AMP_EVENTS_SOURCE": "https://test.example.com/amp"}},
		namespaces: []metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{Name: "team-a",
			Labels: keys{"amp.txn2.com/enabled": "true"}, Annotations: keys{"amp.txn2.com/ep": "http://hook.hooks.svc/mutate"}}}},
		dryRun: answer(http.StatusCreated, "amp: dry run, mutate: mutated, operations: 1"),
	}
	*a.services["amp-system/amp"].slices.value[0].Ports[0].Port = 8443
	unmarshal("base/mutating.yaml", &a.mutating)
	unmarshal("base/validating.yaml", &a.validating)
	for i := range 2 {
		a.mutating.Webhooks[i].ClientConfig.CABundle = ca.bundle(t)
		a.validating.Webhooks[i].ClientConfig.CABundle = ca.bundle(t)
	}
	a.deployment = deployment(2, 2)
	a.deployment.Namespace, a.deployment.UID = "amp-system", "amp"
	a.deployment.Spec.Template.Labels = map[string]string{"app": "amp"}
	a.deployment.Spec.Template.Spec = corev1.PodSpec{ServiceAccountName: "amp", Containers: []corev1.Container{{Name: "amp", Image: "amp:1",
		Ports:          []corev1.ContainerPort{{Name: "https", ContainerPort: 8443}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromString("https"), Scheme: corev1.URISchemeHTTPS}}},
		Env:            []corev1.EnvVar{{Name: "AMP_TLS", Value: "self"}},
		EnvFrom:        []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "amp"}}}},
	}}}
	for _, name := range []string{"amp-1", "amp-2"} {
		a.pods["amp-system"] = append(a.pods["amp-system"], corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "amp"}}, Spec: a.deployment.Spec.Template.Spec,
			Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
		})
	}
	template := ca.serving(t, "amp.amp-system.svc")[0]
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
	leaf := sign(t, template, ca.certificate, &key(t).PublicKey, ca.key)
	a.secret = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	return a
}

// answer is what the API server says of a Pod of a dry run: a status with warnings.
func answer(code int, warnings ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for _, warning := range warnings {
			w.Header().Add("Warning", fmt.Sprintf("299 - %q", warning))
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		if code < 300 {
			fmt.Fprint(w, `{"kind":"Pod","apiVersion":"v1"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
			Code: int32(code), Message: `admission webhook "fail.amp.txn2.com" denied the request: amp: endpoint http://hook.hooks.svc/mutate: answered 500`})
	}
}

// report is what the doctor says of the installation.
func (a *api) report(t *testing.T) (*Report, error) {
	t.Helper()
	server := httptest.NewServer(a)
	defer server.Close()
	return Run(t.Context(), Options{Config: &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, Flags: a.flags, Timeout: 10 * time.Second, Version: "v1.0.0"})
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := r.Method + " " + r.URL.Path
	a.mu.Lock()
	a.requests = append(a.requests, request)
	if r.Method != http.MethodGet {
		a.made = append(a.made, request+"?"+r.URL.RawQuery)
	}
	a.mu.Unlock()
	if a.forbidden != "" && regexp.MustCompile("^(?:"+a.forbidden+")$").MatchString(request) {
		a.fail(w, http.StatusForbidden, metav1.StatusReasonForbidden, "forbidden: "+request)
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if parts[0] == "api" {
		parts = parts[2:] // api/v1
	} else if parts[0] == "apis" {
		parts = parts[3:] // apis/group/version
	}
	namespace := ""
	if parts[0] == "namespaces" && len(parts) > 1 {
		namespace, parts = parts[1], parts[2:]
	}
	resource, name := parts[0], ""
	if len(parts) > 1 {
		name = parts[1]
	}
	var object any
	switch {
	case resource == "pods" && len(parts) > 3 && parts[2] == "proxy":
		text, ok := a.proxied[name+"/"+strings.Join(parts[3:], "/")]
		if !ok {
			a.fail(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "error trying to reach service: dial tcp")
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, text)
		return
	case resource == "pods" && name != "": // to forward a port
	case resource == "pods" && r.Method == http.MethodPost:
		a.dryRun(w)
		return
	default:
		object = a.read(resource, namespace, name, r)
	}
	if object == nil {
		a.fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, "not found: "+request)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object)
}

func (a *api) fail(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message})
}

// read is the object or the list that a request asks for, nil if there is none.
func (a *api) read(resource, namespace, name string, r *http.Request) any {
	object := func(kind, version string, fields map[string]any) any {
		fields["kind"], fields["apiVersion"] = kind, version
		return fields
	}
	switch resource {
	case "version":
		return map[string]string{"gitVersion": "v1.36.3"}
	case "mutatingwebhookconfigurations":
		return object("MutatingWebhookConfigurationList", "admissionregistration.k8s.io/v1", map[string]any{"items": append(slices.Clone(a.others), a.mutating)})
	case "validatingwebhookconfigurations":
		return object("ValidatingWebhookConfigurationList", "admissionregistration.k8s.io/v1", map[string]any{"items": []any{a.validating}})
	case "services":
		if b := a.services[namespace+"/"+name]; b != nil {
			return object("Service", "v1", map[string]any{"metadata": b.service.value.ObjectMeta, "spec": b.service.value.Spec})
		}
	case "endpointslices":
		if b := a.services[namespace+"/"+strings.TrimPrefix(r.URL.Query().Get("labelSelector"), discoveryv1.LabelServiceName+"=")]; b != nil {
			return object("EndpointSliceList", "discovery.k8s.io/v1", map[string]any{"items": b.slices.value})
		}
	case "deployments":
		items := []any{}
		if namespace == a.deployment.Namespace {
			items = append(items, a.deployment)
		}
		return object("DeploymentList", "apps/v1", map[string]any{"items": items})
	case "replicasets":
		sets := a.replicaSets
		if sets == nil {
			sets = []appsv1.ReplicaSet{revisionOf(&a.deployment, "1", a.deployment.Status.ReadyReplicas)}
		}
		return object("ReplicaSetList", "apps/v1", map[string]any{"items": sets})
	case "serviceaccounts":
		if !a.noAccount {
			return object("ServiceAccount", "v1", map[string]any{})
		}
	case "events":
		_, name, _ := strings.Cut(r.URL.Query().Get("fieldSelector"), "involvedObject.name=")
		return object("EventList", "v1", map[string]any{"items": a.events[name]})
	case "pods":
		return object("PodList", "v1", map[string]any{"items": a.pods[namespace]})
	case "configmaps":
		if data, ok := a.configMaps[name]; ok {
			return object("ConfigMap", "v1", map[string]any{"data": data})
		}
	case "secrets":
		return object("Secret", "v1", map[string]any{"data": map[string][]byte{"tls.crt": a.secret}})
	case "namespaces":
		return object("PartialObjectMetadataList", "meta.k8s.io/v1", map[string]any{"items": a.namespaces})
	case "selfsubjectreviews":
		return object("SelfSubjectReview", "authentication.k8s.io/v1", map[string]any{"status": map[string]any{"userInfo": map[string]any{"username": "me"}}})
	case "subjectaccessreviews":
		var review struct {
			Spec struct {
				ResourceAttributes struct{ Verb, Resource string }
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&review)
		right := review.Spec.ResourceAttributes.Verb + " " + review.Spec.ResourceAttributes.Resource
		return object("SubjectAccessReview", "authorization.k8s.io/v1", map[string]any{"status": map[string]any{
			"allowed": right != a.denied, "evaluationError": a.evaluation}})
	}
	return nil
}
