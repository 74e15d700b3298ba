package doctor

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ids are the checks of the findings with a status, in the order of the report.
func ids(r *Report, status Status) string {
	var all []string
	for _, f := range r.Checks {
		if f.Status == status {
			all = append(all, f.ID)
		}
	}
	return strings.Join(all, " ")
}

func TestWellInstallation(t *testing.T) {
	a := newAPI(t)
	a.namespaces = append(a.namespaces,
		metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "half", Annotations: keys{"amp.txn2.com/ep": "http://hook.hooks.svc/mutate"}}},
		metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "other"}})
	r, err := a.report(t)
	if err != nil {
		t.Fatal(err)
	}
	const want = "webhooks webhooks service replicas images certificate rbac settings events-source events-sink keys endpoint dry-run"
	if got := ids(r, OK); got != want || ids(r, Warning) != "opt-in" || r.Summary != (Summary{OK: 13, Warning: 1}) {
		t.Errorf("%s are ok, not %s: %+v", got, want, r)
	}
	if last := r.Checks[len(r.Checks)-1]; last.ID != "opt-in" || last.Namespace != "half" {
		t.Errorf("a namespace that has not opted in comes last: %+v", last)
	}
	if r.Version != "v1.0.0" || r.Kubernetes != "v1.36.3" || r.Namespace != "amp-system" {
		t.Errorf("%+v", r)
	}
	for _, request := range a.made {
		if !strings.Contains(request, "subjectaccessreviews?") && !strings.Contains(request, "selfsubjectreviews?") &&
			!strings.Contains(request, "/portforward?") && request != "POST /api/v1/namespaces/team-a/pods?dryRun=All" {
			t.Errorf("it changes the cluster: %s", request)
		}
	}
}

// An error must not get lost: not the reason why something was not checked, and not a failure that the rest of what was
// read still shows.
func TestErrorsAreNotLost(t *testing.T) {
	const secondAnswer = "GET /apis/discovery.k8s.io/v1/namespaces/"
	endpoint := func(url string) func(*api) {
		return func(a *api) { a.namespaces[0].Annotations["amp.txn2.com/ep"] = url }
	}
	for name, test := range map[string]struct {
		forbidden string
		change    func(*api)
		want      []string // "status id: a part of the message"
	}{
		"the Pods of amp": {"GET /api/v1/namespaces/amp-system/pods", nil, []string{
			"ok replicas: 2 of 2 ready; not all Pods could be read: forbidden", "skipped images: forbidden", "ok service: 2 ready replicas"}},
		"the Pods of amp, which the Service does not select": {"GET /api/v1/namespaces/amp-system/pods",
			func(a *api) { a.services["amp-system/amp"].slices.value[0].Endpoints = nil }, []string{
				"failed service: replicas are ready, but Service amp selects none of them", "skipped images: forbidden"}},
		"the Pods of amp, of which some are not ready": {"GET /api/v1/namespaces/amp-system/pods",
			func(a *api) { a.deployment.Status.ReadyReplicas = 1 }, []string{"warning replicas: 1 of 2 ready; not all Pods could be read: forbidden"}},
		"the Deployments": {"GET /apis/apps/v1/namespaces/amp-system/deployments", nil, []string{
			"skipped replicas: forbidden", "skipped rbac: forbidden", "skipped settings: forbidden", "skipped events-source: forbidden", "skipped events-sink: forbidden"}},
		"the Deployments, and the Service selects no Pod": {"GET /apis/apps/v1/namespaces/amp-system/deployments",
			func(a *api) { a.services["amp-system/amp"].slices.value[0].Endpoints = nil }, []string{"skipped service: forbidden"}},
		"the Service": {"GET /api/v1/namespaces/amp-system/services/amp", nil, []string{"skipped service: forbidden", "ok certificate: no replica was asked: forbidden"}},
		"what is behind the Service": {secondAnswer + "amp-system/endpointslices", nil, []string{
			"skipped service: forbidden", "ok replicas: 2 of 2 ready", "ok certificate: no replica was asked: forbidden"}},
		"what is behind a Service that lacks the port": {secondAnswer + "amp-system/endpointslices",
			func(a *api) { a.services["amp-system/amp"].service.value.Spec.Ports[0].Port = 8443 }, []string{
				"failed service: the webhooks call port 443 of Service amp, which has port 8443"}},
		"the certificate": {"GET /api/v1/namespaces/amp-system/secrets/amp-tls", nil, []string{"skipped certificate: port-forward", "skipped certificate: forbidden: GET"}},
		"a ConfigMap": {"GET /api/v1/namespaces/amp-system/configmaps/amp", nil, []string{
			"ok settings: as far as they can be seen: forbidden", "skipped events-source: may be set where it cannot be seen"}},
		"a ConfigMap that can hold what a variable needs": {"GET /api/v1/namespaces/amp-system/configmaps/amp",
			func(a *api) {
				a.deployment.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "AMP_EVENTS", Value: "required"}}
			}, []string{"skipped settings: K_SINK may be set where it cannot be seen (forbidden"}},
		"a ConfigMap that can hold the time limit": {"GET /api/v1/namespaces/amp-system/configmaps/amp",
			func(a *api) { a.namespaces[0].Annotations["amp.txn2.com/timeout"] = "5s" }, []string{"skipped timeout: AMP_TIMEOUT may be set where it cannot be seen"}},
		"the rights": {"POST /apis/authorization.k8s.io/v1/subjectaccessreviews", nil, []string{"skipped rbac: forbidden"}},
		"why a right is missing": {"", func(a *api) { a.denied, a.evaluation = "watch namespaces", `clusterrole "amp" not found` },
			[]string{`failed rbac: ServiceAccount amp may not watch namespaces (clusterrole "amp" not found)`}},
		"one kind of webhooks":  {".*/mutatingwebhookconfigurations", nil, []string{"skipped webhooks: forbidden", "ok webhooks: ValidatingWebhookConfiguration amp is as deployed"}},
		"the Namespaces":        {"GET /api/v1/namespaces", nil, []string{"skipped namespaces: forbidden"}},
		"an endpoint's Service": {"GET /api/v1/namespaces/hooks/services/hook", nil, []string{"skipped endpoint: forbidden"}},
		"what is behind it":     {secondAnswer + "hooks/endpointslices", nil, []string{"skipped endpoint: whether a Pod behind Service hook in namespace hooks is ready was not checked: forbidden"}},
		"behind the wrong port": {secondAnswer + "hooks/endpointslices", endpoint("http://hook.hooks.svc:8080/"), []string{"failed endpoint: Service hook in namespace hooks has port 80, not 8080"}},
		"behind a public Service": {secondAnswer + "hooks/endpointslices", func(a *api) { a.services["hooks/hook"].service.value.Spec.ClusterIPs = []string{"8.8.8.8"} },
			[]string{"failed endpoint: amp may not call 8.8.8.8 (public)"}},
		"the API server's address": {"GET /api/v1/namespaces/default/services/kubernetes", endpoint("http://10.9.9.9/"),
			[]string{"skipped endpoint: amp may call 10.9.9.9, unless it is the API server, whose address is unknown: forbidden"}},
		"the API server's address, of a public endpoint": {"GET /api/v1/namespaces/default/services/kubernetes", endpoint("http://8.8.8.8/"),
			[]string{"failed endpoint: amp may not call 8.8.8.8 (public)"}},
		"whether an endpoint's Pods wait for it": {"GET /api/v1/namespaces/team-a/pods", func(a *api) {
			a.services["team-a/hook"] = a.services["hooks/hook"]
			endpoint("http://hook.team-a.svc/")(a)
		}, []string{"skipped deadlock: forbidden", "ok endpoint: leads to Service hook in namespace team-a, 1 ready Pod"}},
		"whether those that would be created wait for it": {"GET /apis/apps/v1/namespaces/team-a/deployments", func(a *api) {
			a.services["team-a/hook"] = a.services["hooks/hook"]
			endpoint("http://hook.team-a.svc/")(a)
		}, []string{"skipped deadlock: forbidden", "ok endpoint: leads to Service hook"}},
		"who the doctor is": {"POST /apis/authentication.k8s.io/v1/selfsubjectreviews", func(a *api) {
			a.namespaces[0].Annotations["amp.txn2.com/creators"] = "me"
			a.dryRun = answer(http.StatusInternalServerError)
		}, []string{"failed dry-run: answered 500", "failed dry-run: whether amp.txn2.com/creators names you is unknown: forbidden"}},
		"a Pod": {"POST /api/v1/namespaces/team-a/pods", nil, []string{"skipped dry-run: the Pod is refused, but not by amp: forbidden"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.forbidden = test.forbidden
			if test.change != nil {
				test.change(a)
			}
			r, err := a.report(t)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				head, text, _ := strings.Cut(want, ": ")
				if !slices.ContainsFunc(r.Checks, func(f Finding) bool {
					return string(f.Status)+" "+f.ID == head && strings.Contains(f.Message, text)
				}) {
					t.Errorf("%q is not in the report:\n%+v", want, r.Checks)
				}
			}
		})
	}
}

// Some rights could not be asked for, and another one is missing.
func TestMissingRightBesideAnError(t *testing.T) {
	s := &observed{fix: remedies{namespace: "amp-system"}, wanted: settings{config: defaults()}, access: []access{{allowed: true}, {err: forbidden}, {}}}
	s.deployments.value = append(s.deployments.value, deployment(2, 2))
	s.access[2].Verb, s.access[2].Resource = "get", "namespaces"
	status, message := the(t, checkAccess(s)...)
	if status != Failed || !strings.HasPrefix(message, "ServiceAccount default may not get namespaces; other rights could not be checked: things is forbidden") {
		t.Errorf("%s: %s", status, message)
	}
}

// It is not certain that hook.hooks is a Service. If that cannot be read, the report says so.
func TestUnreadServiceOfAHost(t *testing.T) {
	d := newDestinations(t)
	n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://unread.hooks/"})
	name, _, _ := serviceOf("unread.hooks", "amp-system")
	d.services[name] = &backend{service: seen[*corev1.Service]{err: forbidden}}
	f := checkEndpoint(&observed{destinations: d}, n, "amp.txn2.com/ep", n.policy.Mutate[0])
	if f.Status != Warning || !strings.Contains(f.Message, "its Service could not be read (things is forbidden") {
		t.Errorf("%+v", f)
	}
}

func TestNothingCanBeRead(t *testing.T) {
	for forbidden, want := range map[string]string{"GET /version": " cannot be asked: forbidden: ", ".*webhookconfigurations": " does not list its webhook configurations: forbidden: "} {
		a := newAPI(t)
		a.forbidden = forbidden
		if r, err := a.report(t); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %+v", forbidden, err, r)
		}
	}
}

// Dry runs depend on what the other checks found.
func TestNoPodIsTried(t *testing.T) {
	tried := func(a *api) bool {
		return slices.ContainsFunc(a.made, func(request string) bool { return strings.HasSuffix(request, "/pods?dryRun=All") })
	}
	for name, test := range map[string]struct {
		change func(*api)
		want   string
	}{
		"the installation is broken": {func(a *api) { a.deployment.Status.ReadyReplicas = 0 }, "no Pod was tried in any namespace: fix what failed above first"},
		"the namespace is broken":    {func(a *api) { a.namespaces[0].Annotations["amp.txn2.com/mode"] = "x" }, "no Pod was tried: fix what failed above first"},
		"no namespace has opted in":  {func(a *api) { a.namespaces = nil }, "no Pod was tried in any namespace: no namespace has opted in"},
		"no labels are found": {func(a *api) { a.namespaces[0].Annotations["amp.txn2.com/pods"] = "a=b,a!=b" },
			"no Pod was tried: the doctor found no labels that amp.txn2.com/pods selects"},
	} {
		a := newAPI(t)
		test.change(a)
		r, err := a.report(t)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(r.Checks, func(f Finding) bool { return f.ID == "dry-run" })
		if i < 0 || r.Checks[i].Status != Skipped || r.Checks[i].Message != test.want || tried(a) {
			t.Errorf("%s: %+v", name, r.Checks)
		} else if opt := strings.Contains(r.Checks[i].Remedy, "kubectl label namespace NAMESPACE amp.txn2.com/enabled=true"); opt != (a.namespaces == nil) {
			t.Errorf("%s: the next step is %q", name, r.Checks[i].Remedy)
		}
	}
	a := newAPI(t)
	a.configMaps["amp"]["AMP_NAMESPACES_FILE"] = "/namespaces.yaml"
	if r, err := a.report(t); err != nil || ids(r, Skipped) != "namespaces" || tried(a) {
		t.Errorf("with a file of Namespaces: %v, %+v", err, r)
	}
}

// The Pods of one Deployment of two cannot be read, as with two revisions of a Knative Service.
func TestPodsOfOneDeployment(t *testing.T) {
	s := &observed{pods: seen[[]corev1.Pod]{err: forbidden}}
	s.deployments.value = append(s.deployments.value, deployment(1, 0), deployment(1, 0))
	if ready, err := s.replicasReady(); ready || err != nil {
		t.Errorf("by the Deployments none is ready: %v, %v", ready, err)
	}
	s.pods.value = append(s.pods.value, corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "amp", Image: "amp:1"}}}})
	if status, _ := the(t, checkImages(s)...); status != Skipped {
		t.Errorf("all images are unknown: %s", status)
	}
	other := s.pods.value[0]
	other.Spec.Containers = []corev1.Container{{Name: "amp", Image: "amp:2"}}
	s.pods.value = append(s.pods.value, other)
	if status, _ := the(t, checkImages(s)...); status != Warning {
		t.Errorf("two images were seen: %s", status)
	}
}

// An endpoint may start only when it is called: the first failure does not count.
func TestAPodIsTriedTwice(t *testing.T) {
	a := newAPI(t)
	answers := []func(http.ResponseWriter){answer(http.StatusInternalServerError), answer(http.StatusCreated, "amp: dry run, mutate: unchanged")}
	a.dryRun = func(w http.ResponseWriter) {
		answers[0](w)
		answers = answers[1:]
	}
	if r, err := a.report(t); err != nil || r.Summary.Failed > 0 || len(answers) > 0 {
		t.Errorf("%v, %+v", err, r)
	}
}
