package doctor

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// changed is a rollout of a variable: revision 1 serves, and revision 2 has so many ready replicas and an unready Pod.
func changed(a *api, ready int32, name, value string) *corev1.Pod {
	old := revisionOf(&a.deployment, "1", 2-ready)
	container := &a.deployment.Spec.Template.Spec.Containers[0]
	container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: value})
	a.replicaSets = []appsv1.ReplicaSet{old, revisionOf(&a.deployment, "2", ready)}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "amp-new", Namespace: "amp-system", Labels: map[string]string{"app": "amp", "pod-template-hash": "2"}},
		Spec: *a.deployment.Spec.Template.Spec.DeepCopy(),
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "containers with unready status: [amp]"}}}}
	a.pods["amp-system"] = append(a.pods["amp-system"], pod)
	return &a.pods["amp-system"][2]
}

// While a rollout is not finished, the report says which revision serves, why the other one does not, and which settings
// hold.
func TestRollout(t *testing.T) {
	failed := func(set *appsv1.ReplicaSet, message string) {
		set.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Message: message}}
	}
	for name, test := range map[string]struct {
		change func(*api)
		want   []string // "status id: a part of the message"
		remedy string   // of replicas: the beginning
	}{
		"its new Pod says why it is not ready": {func(a *api) {
			changed(a, 0, "AMP_TIMEOUT", "1s")
			a.proxied["https:amp-new:8443/readyz"] = "waits until 12:00:03 UTC for the API servers to trust its CA"
		}, []string{
			"warning replicas: 2 of 2 ready, 2 of revision 1; the rollout of revision 2 is not finished: Pod amp-new is not ready: waits until 12:00:03 UTC for the API servers to trust its CA",
			"ok settings: valid; the ready replicas run with another value of AMP_TIMEOUT, until the rollout is finished",
		}, "its log says more:\nkubectl -n amp-system logs amp-new\nOr go back to revision 1:\nkubectl -n amp-system rollout undo deployment/amp --to-revision 1"},
		"its node says why it does not start": {func(a *api) {
			changed(a, 0, "AMP_TIMEOUT", "1s")
			a.events["amp-new"] = []corev1.Event{{Type: "Warning", Reason: "FailedMount", Message: `secret "amp-tls" not found`}}
		}, []string{`warning replicas: is not finished: Pod amp-new is not ready: FailedMount: secret "amp-tls" not found`}, "create what the volume needs, or take the volume out of your overlay. This says more:\nkubectl -n amp-system describe pod amp-new\nOr go back to revision 1:\nkubectl -n amp-system rollout undo deployment/amp --to-revision 1"},
		"only its status says something": {func(a *api) { changed(a, 0, "AMP_TIMEOUT", "1s") },
			[]string{"warning replicas: is not finished: Pod amp-new: containers with unready status: [amp]"}, "This says more:\nkubectl -n amp-system describe pod amp-new\nOr go back to revision 1:\n"},
		"one of two is ready": {func(a *api) { changed(a, 1, "AMP_TIMEOUT", "1s") },
			[]string{"warning replicas: 2 of 2 ready, 1 of revision 2 and 1 of revision 1; the rollout of revision 2 is not finished: Pod amp-new", "ok settings: environment variables are valid"}, "This says more"},
		"its Pods are refused": {func(a *api) {
			changed(a, 0, "AMP_TIMEOUT", "1s")
			a.pods["amp-system"] = a.pods["amp-system"][:2]
			failed(&a.replicaSets[1], `pods "amp-2-x" is forbidden: exceeded quota: few, requested: pods=1`)
		}, []string{`warning replicas: 2 of 2 ready, 2 of revision 1; the rollout of revision 2 is not finished: pods "amp-2-x" is forbidden: exceeded quota: few`},
			"let the quota of the namespace have room"},
		"the Deployment is paused": {func(a *api) {
			changed(a, 0, "AMP_EVENTS_SOURCE", "https://new.example.com")
			a.pods["amp-system"], a.replicaSets = a.pods["amp-system"][:2], a.replicaSets[:1]
			a.deployment.Spec.Paused = true
			a.configMaps["amp"] = nil
		}, []string{
			"warning replicas: 2 of 2 ready, 2 of revision 1: Deployment amp is paused: the Deployment's last change is not rolled out",
			"ok events-source: AMP_EVENTS_SOURCE is still the default in the ready replicas; the Deployment's last change, which is not rolled out yet, changes it",
			"ok settings: the ready replicas run with another value of AMP_EVENTS_SOURCE",
		}, "kubectl -n amp-system rollout resume deployment/amp"},
		"the Deployment is paused by the manifest, and nothing has changed": {func(a *api) {
			a.deployment.Spec.Paused = true
			a.deployment.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"spec":{"paused":true}}`}
		}, []string{"warning replicas: 2 of 2 ready: Deployment amp is paused: changes to it are not rolled out"}, "in your overlay of deploy, which installed amp, remove paused: true. Then\nkubectl apply -k OVERLAY"},
		"it does not start with its settings": {func(a *api) { changed(a, 0, "AMP_TIMEOUT", "soon") }, []string{
			"ok replicas: 2 of 2 ready, 2 of revision 1; revision 2 does not start, as settings says", `failed settings: AMP_TIMEOUT="soon"`}, ""},
		"it is to allow what an endpoint needs": {func(a *api) {
			a.namespaces[0].Annotations["amp.txn2.com/ep"] = "http://8.8.8.8/"
			changed(a, 0, "AMP_ENDPOINT_ALLOW", "8.8.8.8")
		}, []string{"failed endpoint: amp may not call 8.8.8.8 (public)"}, "This says more"},
		"what is behind is unknown": {func(a *api) { a.forbidden = ".*/replicasets" },
			[]string{"ok replicas: 2 of 2 ready; whether a rollout is under way is unknown: forbidden"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			test.change(a)
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
			for _, f := range r.Checks {
				if f.ID == "replicas" && !strings.HasPrefix(f.Remedy, test.remedy) {
					t.Errorf("the remedy is %q, not %q", f.Remedy, test.remedy)
				}
				if f.ID == "endpoint" && f.Status == Failed && !strings.HasSuffix(f.Remedy, "revision 2 changes AMP_ENDPOINT_ALLOW: see why it is not rolled out, under replicas") {
					t.Errorf("the remedy does not wait for the rollout: %q", f.Remedy)
				}
			}
		})
	}
}

// No Pod of amp can be created, or the single one is not ready.
func TestNoReplica(t *testing.T) {
	none := func(message string) func(*api) {
		return func(a *api) {
			a.deployment.Status.ReadyReplicas, a.pods["amp-system"] = 0, nil
			a.deployment.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: message}}
		}
	}
	for name, test := range map[string]struct {
		change         func(*api)
		status         Status
		message        string // a part
		remedy, before string // beginning and end of the remedy
	}{
		"a quota":           {none("exceeded quota: none"), Failed, "0 of 2 ready: exceeded quota: none", "let the quota", "rollout restart deployment/amp"},
		"no PriorityClass":  {none("no PriorityClass with name amp was found"), Failed, "0 of 2 ready: no PriorityClass with name amp was found", "apply again what installed amp", "rollout restart deployment/amp"},
		"no ServiceAccount": {none("error looking up service account amp-system/amp: serviceaccount \"amp\" not found"), Failed, "0 of 2 ready: error looking up service account", "apply again", "rollout restart deployment/amp"},
		"a limit range":     {none("maximum memory usage per Container is 100Mi, but limit is 256Mi"), Failed, "maximum memory usage", "let the limits of the namespace", "rollout restart deployment/amp"},
		"Pod Security":      {none(`violates PodSecurity "restricted:latest": hostNetwork`), Failed, "violates PodSecurity", "take out of your overlay", "rollout restart deployment/amp"},
		"another webhook":   {none(`admission webhook "x.example.com" denied the request: no`), Failed, "denied the request", "repair that webhook", "rollout restart deployment/amp"},
		"a policy":          {none(`ValidatingAdmissionPolicy 'x' with binding 'x' denied request: no`), Failed, "denied request: no", "correct that policy", "rollout restart deployment/amp"},
		"something else":    {none("the moon is full"), Failed, "0 of 2 ready: the moon is full", "this says more:\nkubectl -n amp-system describe replicasets", ""},
		"nothing said why":  {func(a *api) { none("")(a); a.deployment.Status.Conditions = nil }, Failed, "0 of 2 ready", "this says more:\nkubectl -n amp-system describe replicasets", ""},
		"it crashes": {func(a *api) {
			a.deployment.Status.ReadyReplicas = 1
			pod := &a.pods["amp-system"][1]
			pod.Status = corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "amp", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"}},
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled", Message: "too big"}}}}}
		}, Warning, "1 of 2 ready: Pod amp-2 is waiting: CrashLoopBackOff: back-off; it ended with exit code 137 (OOMKilled): too big", "its log says why it ended:\nkubectl -n amp-system logs amp-2 -c amp --previous", ""},
		"a single replica": {func(a *api) {
			one := int32(1)
			a.deployment.Spec.Replicas, a.deployment.Status.ReadyReplicas = &one, 1
		}, Warning, "1 of 1 ready: with a single replica, no Pod can be created in namespaces under Fail while that is replaced", "kubectl -n amp-system scale deployment/amp --replicas 2", ""},
		"a single replica in the manifest": {func(a *api) {
			one := int32(1)
			a.deployment.Spec.Replicas, a.deployment.Status.ReadyReplicas = &one, 1
			a.deployment.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"spec":{"replicas":1}}`}
		}, Warning, "1 of 1 ready: with a single replica", "in your overlay of deploy, which installed amp, set replicas: 2. Then\nkubectl apply -k OVERLAY", ""},
		"a single replica, by Helm": {func(a *api) {
			one := int32(1)
			a.deployment.Spec.Replicas, a.deployment.Status.ReadyReplicas = &one, 1
			a.deployment.Annotations = map[string]string{"meta.helm.sh/release-name": "amp", "meta.helm.sh/release-namespace": "default"}
		}, Warning, "1 of 1 ready: with a single replica", "in the values of release amp, set replicas (or, with autoscaling, autoscaling.minReplicas) to 2 or more. Then\nhelm upgrade amp CHART --namespace default", ""},
		"no Deployment, which Helm installed": {func(a *api) {
			for i := range a.mutating.Webhooks {
				a.mutating.Webhooks[i].ClientConfig.Service.Namespace = "elsewhere"
				a.validating.Webhooks[i].ClientConfig.Service.Namespace = "elsewhere"
			}
			a.mutating.Annotations = map[string]string{"meta.helm.sh/release-name": "amp", "meta.helm.sh/release-namespace": "default"}
		}, Failed, "there is no Deployment of amp", "apply the chart again that installed amp:\nhelm upgrade amp CHART --namespace default", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			test.change(a)
			r, err := a.report(t)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Checks {
				if f.ID == "replicas" && (f.Status != test.status || !strings.Contains(f.Message, test.message) || !strings.HasPrefix(f.Remedy, test.remedy) || !strings.HasSuffix(f.Remedy, test.before)) {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// amp's roles name its Secret and webhooks. Where variables name others, applying the roles again does not help.
func TestRightsOfOtherNames(t *testing.T) {
	a := newAPI(t)
	a.configMaps["amp"]["AMP_TLS_SECRET"], a.denied = "other", "get secrets"
	r, err := a.report(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Checks {
		if f.ID == "rbac" && (f.Message != "ServiceAccount amp may not get secrets other" || !strings.HasPrefix(f.Remedy, "in your overlay of deploy, which installed amp, let the roles of amp name")) {
			t.Errorf("%+v", f)
		}
	}
}

// The rights of a ServiceAccount that is missing are those of its name.
func TestMissingServiceAccount(t *testing.T) {
	a := newAPI(t)
	a.noAccount = true
	if got := message(t, a, "rbac"); got != "failed: there is no ServiceAccount amp in namespace amp-system: no Pod of amp can be created" {
		t.Error(got)
	}
	a = newAPI(t)
	a.forbidden = ".*/serviceaccounts/amp"
	if got := message(t, a, "rbac"); !strings.HasPrefix(got, "ok: ServiceAccount amp has the rights") {
		t.Error(got)
	}
}
