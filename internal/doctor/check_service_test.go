package doctor

import (
	"slices"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var missing = apierrors.NewNotFound(schema.GroupResource{Resource: "services"}, "x")

// serviceWith is a Service with one port, as many Pods ready behind it, and one that is not.
func serviceWith(name string, port int32, clusterIP string, addresses ...string) *backend {
	number, portName, isReady := int32(8080), "http", true
	b := &backend{service: seen[*corev1.Service]{value: &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{ClusterIP: clusterIP, ClusterIPs: []string{clusterIP}, Selector: map[string]string{"app": name},
			Ports: []corev1.ServicePort{{Name: portName, Port: port}}},
	}}}
	slice := discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{{Name: &portName, Port: &number}}}
	for _, a := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: &isReady},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "pod-" + a}})
	}
	not := false
	slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.1.9.9"}, Conditions: discoveryv1.EndpointConditions{Ready: &not}})
	b.slices.value = []discoveryv1.EndpointSlice{slice}
	return b
}

func TestService(t *testing.T) {
	calls := func(namespace string, port int32) admissionv1.WebhookClientConfig {
		return admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: namespace, Name: "amp", Port: &port}}
	}
	type targets = []admissionv1.WebhookClientConfig
	to, elsewhere, odd, url := calls("amp-system", 443), calls("old", 443), calls("amp-system", 8443), "https://amp.example.com"
	for name, test := range map[string]struct {
		to       targets
		behind   *backend
		replicas bool
		status   Status
		message  string
	}{
		"leads to amp":         {targets{to}, serviceWith("amp", 443, "10.0.0.1", "10.1.0.1", "10.1.0.2"), true, OK, "amp.amp-system.svc:443 leads to 2 ready replicas"},
		"missing":              {targets{to}, &backend{service: seen[*corev1.Service]{err: missing}}, true, Failed, "Service amp, which the webhooks call, is missing in namespace amp-system"},
		"not to be seen":       {targets{to}, &backend{service: seen[*corev1.Service]{err: forbidden}}, true, Skipped, "not checked: things is forbidden: <nil>"},
		"another port":         {targets{odd}, serviceWith("amp", 443, "10.0.0.1", "10.1.0.1"), true, Failed, "the webhooks call port 8443 of Service amp, which has port 443"},
		"selects no replica":   {targets{to}, serviceWith("amp", 443, "10.0.0.1"), true, Failed, "replicas are ready, but Service amp selects none of them on one of their ports"},
		"no replica to select": {targets{to}, serviceWith("amp", 443, "10.0.0.1"), false, Skipped, "not checked: no replica is ready"},
		"another namespace":    {targets{elsewhere}, &backend{service: seen[*corev1.Service]{err: missing}}, true, Failed, "the webhooks call Service amp in namespace old, not in amp-system"},
		"two addresses":        {targets{to, odd}, serviceWith("amp", 443, "10.0.0.1", "10.1.0.1"), true, Failed, "the webhooks call different addresses: amp.amp-system.svc:443, amp.amp-system.svc:8443"},
		"a URL":                {targets{{URL: &url}}, &backend{}, true, OK, "the webhooks call https://amp.example.com"},
		"no webhook at hand":   {nil, &backend{}, true, Skipped, "not checked: no webhook says which Service is called"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &observed{service: *test.behind, fix: remedies{namespace: "amp-system"}}
			for _, config := range test.to {
				s.mutating.value = append(s.mutating.value, configuration{hooks: []admissionv1.MutatingWebhook{{ClientConfig: config}}})
			}
			if test.replicas {
				s.pods.value = []corev1.Pod{{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}}
			}
			c := checkService(s)[0]
			if c.Status != test.status || c.Message != test.message || (c.Status == Failed) != (c.Remedy != "") {
				t.Errorf("%s: %s (%s)\nwant %s: %s", c.Status, c.Message, c.Remedy, test.status, test.message)
			}
		})
	}
	if got := serviceWith("amp", 443, "10.0.0.1", "10.1.0.1").ready(443); !slices.Equal(got, []replica{{"pod-10.1.0.1", "10.1.0.1", 8080}}) {
		t.Errorf("behind the Service is %v", got)
	}
	dual := serviceWith("amp", 443, "10.0.0.1", "10.1.0.1")
	dual.slices.value = append(dual.slices.value, dual.slices.value[0])
	if got := dual.ready(443); len(got) != 1 {
		t.Errorf("with an address of each IP family one Pod is %v", got)
	}
}
