package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/txn2/amp/test/e2e/harness"
)

// secret returns a value that must not be shown anywhere. All secrets begin with the same word, so that one search
// finds them, also within JSON in JSON and in base64.
func secret(place string) string { return "hunter2-" + place }

// secretive puts secrets into every place of a Pod where users put them.
func secretive(who string) func(*corev1.Pod) {
	s := func(place string) string { return secret(who + "-" + place) }
	return func(p *corev1.Pod) {
		probe := func(place string) *corev1.Probe {
			return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
				Path: "/live?token=" + s(place+"-path"), Port: intstr.FromInt32(8080),
				HTTPHeaders: []corev1.HTTPHeader{{Name: "Authorization", Value: s(place + "-header")}},
			}}}
		}
		exec := func(place string) *corev1.ExecAction { return &corev1.ExecAction{Command: []string{"check", s(place)}} }
		harness.Labelled("shown", "label-"+who)(p)
		harness.Annotated("example.com/token", s("annotation"))(p)
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "volume-" + who, VolumeSource: corev1.VolumeSource{
			CSI: &corev1.CSIVolumeSource{Driver: "secrets.example.com", VolumeAttributes: map[string]string{"password": s("csi")}},
		}})
		c := corev1.Container{
			Name: "container-" + who, Image: "registry.example/image-" + who + ":1",
			Command:       []string{"serve", s("command")},
			Args:          []string{"--password=" + s("arg")},
			Env:           []corev1.EnvVar{{Name: "TOKEN_" + strings.ToUpper(who), Value: s("env")}},
			VolumeMounts:  []corev1.VolumeMount{{Name: "volume-" + who, MountPath: "/mnt/mount-" + who}},
			LivenessProbe: probe("liveness"), ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: exec("readiness")}},
			Lifecycle: &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: exec("hook")}},
		}
		p.Spec.Containers = append(p.Spec.Containers, c)
	}
}

// of is a part of a Pod as JSON, for use as the value of an op.
func of(t *testing.T, part any) string {
	t.Helper()
	b, err := json.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSecretsAreSeenNowhere(t *testing.T) {
	w := anyWorld(t)
	sink := harness.NewSink(t)
	amp := w.With(t, "K_SINK="+sink.URL, "AMP_EVENTS_SOURCE="+source, "AMP_LOG_LEVEL=debug")

	patched := harness.Pod("patched", secretive("patch"))
	container, volume := patched.Spec.Containers[1], patched.Spec.Volumes[0]
	single := container
	single.Name = "single"
	single.VolumeMounts = []corev1.VolumeMount{{Name: "volume-patch", MountPath: "/mnt/mount-patch"}}

	// Each patch sets the same things at another depth of the Pod. The later patches fail, and their errors must not
	// quote the value.
	patches := map[string]string{
		"whole containers": fmt.Sprintf(`[{"op":"add","path":"/spec/volumes/-","value":%s},{"op":"add","path":"/spec/containers/-","value":%s},
			{"op":"add","path":"/metadata/annotations/example.com~1more","value":%q},{"op":"add","path":"/metadata/labels/more","value":"label-patch"}]`,
			of(t, volume), of(t, container), secret("patch-annotation")),
		"a whole spec": fmt.Sprintf(`[{"op":"replace","path":"/spec/containers","value":%s},{"op":"replace","path":"/spec/volumes","value":%s}]`,
			of(t, []corev1.Container{single}), of(t, []corev1.Volume{volume})),
		"single values": fmt.Sprintf(`[{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"TOKEN_PATCH","value":%[1]q}},
			{"op":"add","path":"/spec/containers/0/args","value":["--key",%[1]q]},{"op":"add","path":"/spec/containers/0/command","value":["run"]},
			{"op":"add","path":"/spec/containers/0/command/-","value":%[1]q},{"op":"replace","path":"/metadata/annotations","value":{"token":%[1]q}},
			{"op":"replace","path":"/spec/containers/1/livenessProbe/httpGet/httpHeaders/0/value","value":%[1]q},
			{"op":"replace","path":"/spec/volumes/0/csi/volumeAttributes/password","value":%[1]q},
			{"op":"test","path":"/spec/containers/1/env/0/value","value":%[2]q}]`, secret("single"), secret("pod-env")),
		"a test that fails":         fmt.Sprintf(`[{"op":"test","path":"/spec/containers/1/env/0/value","value":%q}]`, secret("tested")),
		"a string for a number":     fmt.Sprintf(`[{"op":"add","path":"/spec/terminationGracePeriodSeconds","value":%q}]`, secret("number")),
		"a string for a list":       fmt.Sprintf(`[{"op":"replace","path":"/spec/containers/1/env","value":%q}]`, secret("list")),
		"a string for an object":    fmt.Sprintf(`[{"op":"replace","path":"/metadata/annotations","value":%q}]`, secret("object")),
		"a value of no field":       fmt.Sprintf(`[{"op":"add","path":"/spec/containers/1/env/0/valeu","value":%q}]`, secret("unknown")),
		"an element of no list":     fmt.Sprintf(`[{"op":"add","path":"/spec/containers/7/env/-","value":{"name":"A","value":%q}}]`, secret("nowhere")),
		"an op that is none":        fmt.Sprintf(`[{"op":%q,"path":"/metadata/labels/a","value":"b"}]`, "upsert"),
		"no JSON":                   fmt.Sprintf(`[{"op":"add","path":"/metadata/annotations/a","value":%q`, secret("garbage")),
		"garbage":                   secret("garbage") + ": not found",
		"an object with other keys": fmt.Sprintf(`{"password":%q}`, secret("object")),
		"no change":                 `[]`,
	}
	applies := map[string]bool{"whole containers": true, "a whole spec": true, "single values": true, "a value of no field": true}
	for what, patch := range patches {
		endpoint := harness.Serve(t, harness.Answers(patch)).URL
		for _, more := range []harness.On{nil, harness.Ignore, {"amp.txn2.com/mode": "shadow", "amp.txn2.com/validate": "true"}} {
			url := strings.Replace(endpoint, "http://", "http://user:"+secret("userinfo")+"@", 1) + "/mutate?key=" + secret("query")
			ns := w.Namespace(t, harness.Enabled(url, more))
			ns.Create(harness.Pod("web", secretive("pod")))
			e := sink.Await("the event of "+what, func(e harness.Event) bool { return e.Data.Namespace == ns.Name && e.Data.Operation == "mutate" })
			if applies[what] && len(e.Data.Patch) == 0 {
				t.Errorf("%s: the patch was not taken: %s", what, e.Data.Message)
			}
		}
	}
	// amp must not show the user an HTML page that a proxy before the endpoint made.
	endpoint := harness.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprintf(w, "<p>%s</p>", secret("html"))
	}).URL
	c := w.Namespace(t, harness.Enabled(endpoint)).Create(harness.Pod("web", secretive("pod")))
	if c.Err == nil || strings.Contains(c.Err.Error(), "hunter2") {
		t.Errorf("the user read: %v", c.Err)
	}
	amp.Counts(t, "amp_events_queue", 0)

	metrics, err := amp.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	audit, err := w.API.AuditLog()
	if err != nil {
		t.Fatal(err)
	}
	var events strings.Builder
	for _, e := range sink.Events() {
		events.WriteString(e.Raw + "\n")
	}
	for where, text := range map[string]string{
		"amp's stderr": amp.Log(), "amp's stdout": amp.Output(), "the metrics": metrics,
		"the events at level Patch": events.String(), "the API server's audit log": string(audit),
	} {
		for _, form := range []string{"hunter2", "aHVudGVyM"} { // and in base64
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%s shows a secret, %d in all: …%s…", where, strings.Count(text, form), text[max(0, i-300):min(len(text), i+60)])
			}
		}
	}
	if len(sink.Events()) < 3*len(patches) || !strings.Contains(amp.Log(), `"outcome":"rejected"`) {
		t.Error("there is too little to judge by")
	}
	for _, shown := range []string{"container-patch", "registry.example/image-patch:1", "label-patch", "/mnt/mount-patch", "volume-patch",
		"TOKEN_PATCH", "secrets.example.com", "Authorization", "example.com~1more", "[redacted]"} {
		if !strings.Contains(events.String(), shown) {
			t.Errorf("no event shows %s", shown)
		}
	}
}
