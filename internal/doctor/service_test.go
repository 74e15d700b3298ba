package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/txn2/amp/internal/serve"
)

var missing = apierrors.NewNotFound(schema.GroupResource{Resource: "services"}, "x")

func deployment(wanted, ready int32) appsv1.Deployment {
	return appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "amp"},
		Spec:       appsv1.DeploymentSpec{Replicas: &wanted, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "amp"}}},
		Status:     appsv1.DeploymentStatus{ReadyReplicas: ready},
	}
}

func TestReplicas(t *testing.T) {
	crashing := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "amp-1"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 10s"}}},
	}}}
	unscheduled := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "amp-2"}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/1 nodes are available"},
	}}}
	stuck := deployment(2, 2)
	stuck.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Message: "x"},
		{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota"}}
	starting := corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}}}}
	for name, test := range map[string]struct {
		found   seen[[]appsv1.Deployment]
		pods    []corev1.Pod
		status  Status
		message string
	}{
		"all ready":              {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2)}}, nil, OK, "2 of 2 ready"},
		"revisions of Knative":   {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2), deployment(1, 1)}}, nil, OK, "3 of 3 ready"},
		"scaled to 0":            {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(0, 0)}}, nil, Failed, "Deployment amp is scaled to 0: nobody answers the API server"},
		"crashing":               {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 0)}}, []corev1.Pod{crashing}, Failed, "0 of 2 ready: Pod amp-1 is waiting: CrashLoopBackOff: back-off 10s"},
		"a rollout is stuck":     {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2)}}, []corev1.Pod{crashing}, Warning, "2 of 2 ready, but a new one does not start: Pod amp-1 is waiting: CrashLoopBackOff: back-off 10s"},
		"a rollout has no place": {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2)}}, []corev1.Pod{unscheduled}, Warning, "2 of 2 ready, but a new one does not start: Pod amp-2 has no node: 0/1 nodes are available"},
		"a rollout makes no Pod": {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{stuck}}, nil, Warning, "2 of 2 ready, but a new one does not start: exceeded quota"},
		"a rollout is under way": {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 2)}}, []corev1.Pod{starting}, OK, "2 of 2 ready"},
		"one has no place":       {seen[[]appsv1.Deployment]{value: []appsv1.Deployment{deployment(2, 1)}}, []corev1.Pod{unscheduled}, Warning, "1 of 2 ready: Pod amp-2 has no node: 0/1 nodes are available"},
		"none":                   {seen[[]appsv1.Deployment]{}, nil, Failed, "no Deployment of amp is in namespace amp-system"},
		"not to be seen":         {seen[[]appsv1.Deployment]{err: forbidden}, nil, Skipped, "not looked at: things is forbidden: <nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			c := checkReplicas(test.found, test.pods, remedies{namespace: "amp-system", deployment: "amp"})
			if c.Status != test.status || c.Message != test.message || (c.Status == Failed) && c.Remedy == "" {
				t.Errorf("%s: %s (%s)\nwant %s: %s", c.Status, c.Message, c.Remedy, test.status, test.message)
			}
		})
	}
}

func TestImages(t *testing.T) {
	pod := func(image string) corev1.Pod {
		return corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "queue-proxy", Image: "q"}, {Name: "user-container", Image: image}}}}
	}
	going := pod("amp:old")
	going.DeletionTimestamp = &metav1.Time{}
	if status, message := the(t, checkImages([]corev1.Pod{pod("amp:1"), pod("amp:1"), going}, remedies{})...); status != OK || message != "amp:1" {
		t.Errorf("%s: %s", status, message)
	}
	if status, message := the(t, checkImages([]corev1.Pod{pod("amp:2"), pod("amp:1")}, remedies{})...); status != Warning || message != "replicas run different images: amp:1, amp:2" {
		t.Errorf("%s: %s", status, message)
	}
}

// serviceWith is a Service with one port, as many Pods ready behind it, and one that is not.
func serviceWith(name string, port int32, clusterIP string, addresses ...string) *backend {
	number, portName, isReady := int32(8080), "http", true
	b := &backend{service: &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{ClusterIP: clusterIP, ClusterIPs: []string{clusterIP}, Selector: map[string]string{"app": name},
			Ports: []corev1.ServicePort{{Name: portName, Port: port}}},
	}}
	slice := discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{{Name: &portName, Port: &number}}}
	for _, a := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: &isReady},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "pod-" + a}})
	}
	not := false
	slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.1.9.9"}, Conditions: discoveryv1.EndpointConditions{Ready: &not}})
	b.slices = []discoveryv1.EndpointSlice{slice}
	return b
}

func TestService(t *testing.T) {
	to := called{service: types.NamespacedName{Namespace: "amp-system", Name: "amp"}, port: 443, host: "amp.amp-system.svc"}
	elsewhere, odd := to, to
	elsewhere.service.Namespace, odd.port = "old", 8443
	for name, test := range map[string]struct {
		to       []called
		behind   *backend
		replicas bool
		status   Status
		message  string
	}{
		"leads to amp":       {[]called{to}, serviceWith("amp", 443, "10.0.0.1", "10.1.0.1", "10.1.0.2"), true, OK, "amp.amp-system.svc:443 leads to 2 ready replicas"},
		"missing":            {[]called{to}, &backend{err: missing}, true, Failed, "Service amp, which the webhooks call, is missing in namespace amp-system"},
		"not to be seen":     {[]called{to}, &backend{err: forbidden}, true, Skipped, "not looked at: things is forbidden: <nil>"},
		"another port":       {[]called{odd}, serviceWith("amp", 443, "10.0.0.1", "10.1.0.1"), true, Failed, "the webhooks call port 8443 of Service amp, which has port 443"},
		"selects nobody":     {[]called{to}, serviceWith("amp", 443, "10.0.0.1"), true, Failed, "replicas are ready, but Service amp selects none of them on a port of theirs"},
		"nobody to select":   {[]called{to}, serviceWith("amp", 443, "10.0.0.1"), false, Skipped, "no replica is ready that it could lead to"},
		"another namespace":  {[]called{elsewhere}, &backend{err: missing}, true, Failed, "the webhooks call Service amp in namespace old, not in amp-system"},
		"of two minds":       {[]called{to, odd}, serviceWith("amp", 443, "10.0.0.1", "10.1.0.1"), true, Failed, "the webhooks do not all call the same: amp.amp-system.svc:443, amp.amp-system.svc:8443"},
		"a URL":              {[]called{{url: "https://amp.example.com"}}, &backend{}, true, OK, "the webhooks call https://amp.example.com"},
		"no webhook at hand": {nil, &backend{}, true, Skipped, "not looked at: no webhook says which Service is called"},
	} {
		t.Run(name, func(t *testing.T) {
			c := checkService(test.to, *test.behind, test.replicas, remedies{namespace: "amp-system"})
			if c.Status != test.status || c.Message != test.message || (c.Status == Failed) != (c.Remedy != "") {
				t.Errorf("%s: %s (%s)\nwant %s: %s", c.Status, c.Message, c.Remedy, test.status, test.message)
			}
		})
	}
	if got := serviceWith("amp", 443, "10.0.0.1", "10.1.0.1").ready(443); !slices.Equal(got, []target{{"pod-10.1.0.1", "10.1.0.1", 8080}}) {
		t.Errorf("behind the Service is %v", got)
	}
	dual := serviceWith("amp", 443, "10.0.0.1", "10.1.0.1")
	dual.slices = append(dual.slices, dual.slices[0])
	if got := dual.ready(443); len(got) != 1 {
		t.Errorf("with an address of each IP family one Pod is %v", got)
	}
}

func TestAccess(t *testing.T) {
	config := byDefault()
	files := needed("amp-system", config)
	if len(files) != 3 || files[0].Resource != "namespaces" || files[0].Namespace != "" {
		t.Errorf("without a certificate of its own amp needs %v", files)
	}
	config.TLS, config.TLSSecret, config.Webhooks = serve.TLSSelf, "other", []string{"one", "two"}
	var secrets, hooks int
	for _, a := range needed("amp-system", config) {
		switch {
		case a.Resource == "secrets" && a.Namespace == "amp-system" && (a.Name == "other" || a.Name == "" && a.Verb == "create"):
			secrets++
		case a.Group == "admissionregistration.k8s.io" && a.Namespace == "" && (a.Name == "one" || a.Name == "two"):
			hooks++
		case a.Resource != "namespaces":
			t.Errorf("needed: %+v", a.ResourceAttributes)
		}
	}
	if secrets < 2 || hooks < 8 || hooks%4 != 0 {
		t.Errorf("needed are %d verbs on Secrets and %d on webhooks", secrets, hooks)
	}

	if c := checkAccess("amp", files, remedies{tls: serve.TLSFiles}); c.Status != Failed || c.Message != "ServiceAccount amp may not get, list, watch namespaces" {
		t.Errorf("%s: %s", c.Status, c.Message)
	}
	for i := range files {
		files[i].allowed = true
	}
	if c := checkAccess("amp", files, remedies{tls: serve.TLSFiles}); c.Status != OK {
		t.Errorf("%s: %s", c.Status, c.Message)
	}
	files[1].err = errors.New("no")
	if c := checkAccess("amp", files, remedies{tls: serve.TLSFiles}); c.Status != Skipped || c.Message != "not looked at: no" {
		t.Errorf("%s: %s", c.Status, c.Message)
	}
}

// What a container's env says holds against what a ConfigMap says, even where nobody may see it.
func TestSettingsFromASecretHideThoseOfAConfigMap(t *testing.T) {
	s := read(&corev1.Container{
		Env:     []corev1.EnvVar{{Name: "AMP_TIMEOUT", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{}}}},
		EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "m"}}}},
	}, map[string]map[string]string{"m": {"AMP_TIMEOUT": "1s"}})
	if s.config.Timeout != byDefault().Timeout || s.doubt("AMP_TIMEOUT") == "" {
		t.Errorf("%+v", s)
	}
}

// A whole Secret, or a ConfigMap that cannot be read, may set anything.
func TestSettingsThatNobodySees(t *testing.T) {
	for name, c := range map[string]*corev1.Container{
		"a Secret":    {EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{}}}},
		"a ConfigMap": {EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "x"}}}}},
		"everything":  nil,
	} {
		s, fix := read(c, nil), remedies{}
		for _, check := range []Check{checkEventsSource(s, fix), checkEventsSink(s, fix)} {
			if check.Status != Skipped || !strings.HasSuffix(check.Message, "may be set where it cannot be seen") {
				t.Errorf("%s: %+v", name, check)
			}
		}
		if check := checkSettings(s, fix); check.Status != OK || !strings.HasSuffix(check.Message, "as far as they can be seen") {
			t.Errorf("%s: %+v", name, check)
		}
		if c != nil {
			c.Env = []corev1.EnvVar{{Name: "AMP_EVENTS_SOURCE", Value: "https://a"}}
			if check := checkEventsSource(read(c, nil), fix); check.Status != OK {
				t.Errorf("what the container says itself is hidden by %s: %+v", name, check)
			}
		}
	}
}

func TestSettings(t *testing.T) {
	from := func(key string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "m"}, Key: key}}
	}
	secret := &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{}}
	maps := map[string]map[string]string{"m": {"source": "https://a.example/amp", "AMP_TIMEOUT": "1s"}}
	for name, test := range map[string]struct {
		env     []corev1.EnvVar
		id      string
		status  Status
		message string
	}{
		"nothing set":           {nil, "settings", OK, "amp's environment variables are good"},
		"a bad value":           {[]corev1.EnvVar{{Name: "AMP_EVENTS", Value: "never"}}, "settings", Failed, `amp does not start with its environment variables: AMP_EVENTS="never": allowed: off, async and required`},
		"another is good":       {[]corev1.EnvVar{{Name: "AMP_EVENTS", Value: "never"}, {Name: "AMP_EVENTS_SOURCE", Value: "https://b.example"}}, "events-source", OK, "events say that they are from https://b.example"},
		"a sink in a Secret":    {[]corev1.EnvVar{{Name: "AMP_EVENTS", Value: "required"}, {Name: "K_SINK", ValueFrom: secret}}, "settings", Skipped, "K_SINK may be set where it cannot be seen, so that nobody can tell: AMP_EVENTS=required needs K_SINK: the sink must accept each event"},
		"the default source":    {nil, "events-source", Warning, "AMP_EVENTS_SOURCE is still the default: events do not say which cluster they are from"},
		"another source":        {[]corev1.EnvVar{{Name: "AMP_EVENTS_SOURCE", ValueFrom: from("source")}}, "events-source", OK, "events say that they are from https://a.example/amp"},
		"a source unknown":      {[]corev1.EnvVar{{Name: "AMP_EVENTS_SOURCE", ValueFrom: from("gone")}}, "events-source", Skipped, "not looked at: AMP_EVENTS_SOURCE is set where it cannot be seen"},
		"a source put together": {[]corev1.EnvVar{{Name: "AMP_EVENTS_SOURCE", Value: "https://$(CLUSTER)/amp"}}, "events-source", Skipped, "not looked at: AMP_EVENTS_SOURCE is set where it cannot be seen"},
		"names put together":    {[]corev1.EnvVar{{Name: "AMP_TLS_DNS_NAMES", Value: "amp.$(POD_NAMESPACE).svc"}}, "settings", OK, "amp's environment variables are good, as far as they can be seen"},
		"two that go together":  {[]corev1.EnvVar{{Name: "AMP_TLS", Value: "files"}}, "settings", Failed, "amp does not start with its environment variables: AMP_TLS=files needs AMP_TLS_CERT and AMP_TLS_KEY"},
		"what a step judges":    {[]corev1.EnvVar{{Name: "AMP_PATCH_DENY", Value: "spec"}, {Name: "K_SINK", Value: "u:p@sink"}}, "settings", Failed, `amp does not start with its environment variables: AMP_PATCH_DENY: "spec" is not a JSON pointer such as /spec/nodeName or /spec/containers/*/securityContext: it must begin with a slash; K_SINK: allowed: an http or https URL`},
		"a sink that is bad":    {[]corev1.EnvVar{{Name: "K_SINK", Value: "u:p@sink"}}, "events-sink", Skipped, "not looked at: K_SINK is bad"},
		"a sink unknown":        {[]corev1.EnvVar{{Name: "K_SINK", ValueFrom: secret}}, "events-sink", Skipped, "not looked at: K_SINK is set where it cannot be seen"},
		"no events":             {[]corev1.EnvVar{{Name: "AMP_EVENTS", Value: "off"}}, "events-source", OK, "AMP_EVENTS is off: there are no events"},
		"no sink":               {nil, "events-sink", OK, "K_SINK is not set: events go to stdout only, one JSON line each"},
		"a sink with password":  {[]corev1.EnvVar{{Name: "K_SINK", Value: "http://u:p@broker.svc/x?t=y"}}, "events-sink", OK, "events go to http://broker.svc/x"},
	} {
		t.Run(name, func(t *testing.T) {
			s := read(&corev1.Container{Env: test.env, EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "m"}}}}}, maps)
			if s.err == nil && s.config.Timeout.String() != "1s" {
				t.Errorf("the ConfigMap counts for nothing: %s", s.config.Timeout)
			}
			fix := remedies{namespace: "amp-system", deployment: "amp"}
			for _, c := range []Check{checkSettings(s, fix), checkEventsSource(s, fix), checkEventsSink(s, fix)} {
				if c.ID == test.id && (c.Status != test.status || c.Message != test.message) {
					t.Errorf("%s: %s\nwant %s: %s", c.Status, c.Message, test.status, test.message)
				}
				if strings.Contains(c.Message, "u:p") || strings.Contains(c.Message, "t=y") {
					t.Errorf("%s shows what nobody may see", c.Message)
				}
			}
		})
	}
}
