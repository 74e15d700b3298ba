package doctor

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// message is that of the first finding of a check.
func message(t *testing.T, a *api, id string) string {
	t.Helper()
	r, err := a.report(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Checks {
		if f.ID == id {
			return string(f.Status) + ": " + f.Message
		}
	}
	return ""
}

// What is read is more than what the checks are to see.
func TestGather(t *testing.T) {
	for name, test := range map[string]struct {
		change   func(*api)
		id, want string
	}{
		"Pods that have ended do not count": {func(a *api) {
			ended := a.pods["amp-system"][0]
			ended.Spec.Containers = []corev1.Container{{Name: "amp", Image: "amp:0"}}
			ended.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}
			a.pods["amp-system"] = append(a.pods["amp-system"], ended)
		}, "images", "ok: amp:1"},
		"a Deployment at 0 counts if it is the only one": {func(a *api) {
			none := int32(0)
			a.deployment.Spec.Replicas, a.deployment.Status.ReadyReplicas = &none, 0
		}, "replicas", "failed: Deployment amp is scaled to 0"},
		"a container beside amp's does not count": {func(a *api) {
			spec := &a.deployment.Spec.Template.Spec
			spec.Containers = append([]corev1.Container{{Name: "mesh", Image: "mesh:1", Env: []corev1.EnvVar{{Name: "AMP_EVENTS", Value: "off"}}}}, spec.Containers...)
		}, "events-sink", "ok: K_SINK is not set"},
		"with AMP_TLS=self, the Secret that is mounted is another": {func(a *api) {
			a.deployment.Spec.Template.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "endpoint-ca"}}}}
		}, "certificate", "ok: secret/amp-tls holds"},
		"with AMP_TLS=files, it is the one that is mounted": {func(a *api) {
			spec := &a.deployment.Spec.Template.Spec
			spec.Containers[0].Env = []corev1.EnvVar{{Name: "AMP_TLS", Value: "files"}, {Name: "AMP_TLS_CERT", Value: "/tls.crt"}, {Name: "AMP_TLS_KEY", Value: "/tls.key"}}
			spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "mounted"}}}}
		}, "certificate", "ok: secret/mounted holds"},
		"amp is looked for where the webhooks call": {func(a *api) {
			for i := range a.mutating.Webhooks {
				a.mutating.Webhooks[i].ClientConfig.Service.Namespace = "elsewhere"
				a.validating.Webhooks[i].ClientConfig.Service.Namespace = "elsewhere"
			}
		}, "replicas", "failed: there is no Deployment of amp in namespace elsewhere"},
		"a Service that leads to another port of the replicas": {func(a *api) { *a.services["amp-system/amp"].slices.value[0].Ports[0].Port = 9 },
			"service", "failed: amp.amp-system.svc:443 leads to port 9 of the replicas, where amp does not listen: its ports are 8443"},
		"and its certificate": {func(a *api) { *a.services["amp-system/amp"].slices.value[0].Ports[0].Port = 9 },
			"certificate", "skipped: not checked: the Service leads to a port where amp does not listen"},
		"of a Service that is an alias, the last one counts": {func(a *api) {
			alias := serviceWith("alias", 80, "")
			alias.service.value.Spec.Type, alias.service.value.Spec.ExternalName = corev1.ServiceTypeExternalName, "hook.hooks.svc.cluster.local"
			a.services["hooks/alias"] = alias
			a.namespaces[0].Annotations["amp.txn2.com/ep"] = "http://alias.hooks.svc/"
		}, "endpoint", "ok: http://alias.hooks.svc/: leads to Service hook in namespace hooks, 1 ready Pod"},
		"Pods that are not there yet can wait for themselves": {func(a *api) {
			a.services["team-a/hook"] = a.services["hooks/hook"]
			a.namespaces[0].Annotations["amp.txn2.com/ep"] = "http://hook.team-a.svc/"
		}, "deadlock", "failed: http://hook.team-a.svc/ is served by Pods of this namespace"},
		"Pods that opted out wait for nothing": {func(a *api) {
			a.services["team-a/hook"] = a.services["hooks/hook"]
			a.namespaces[0].Annotations["amp.txn2.com/ep"] = "http://hook.team-a.svc/"
			a.pods["team-a"] = []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Labels: keys{"amp.txn2.com/enabled": "false"}}}}
		}, "deadlock", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			test.change(a)
			if got := message(t, a, test.id); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("%s: %q, not %q…", test.id, got, test.want)
			}
		})
	}
}
