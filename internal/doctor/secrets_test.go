package doctor

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/txn2/amp/internal/namespaces/namespacestest"
)

// The report shows no part of a URL that can be a secret, in text or JSON, wherever the URL is: in annotations, in near
// misses of them, or in amp's variables.
func TestNoSecretIsShown(t *testing.T) {
	a := newAPI(t)
	a.namespaces = nil
	for i, value := range namespacestest.Secrets("hook.hooks.svc:80") {
		for j, annotations := range []keys{{"amp.txn2.com/ep": value}, {"validation.amp.txn2.com/ep": value, "amp.txn2.com/candidate": value}, {"amp.txn2.com/endpoint": value, "amp.tnx2.com/ep": value, "amp.txn2.com/mode": value}} {
			for _, enabled := range []string{"true", "no"} {
				a.namespaces = append(a.namespaces, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
					Name: "ns-" + strconv.Itoa(i) + "-" + strconv.Itoa(j) + "-" + enabled, Labels: keys{"amp.txn2.com/enabled": enabled}, Annotations: annotations}})
			}
		}
	}
	a.deployment.Spec.Template.Spec.Containers[0].Env = append(a.deployment.Spec.Template.Spec.Containers[0].Env,
		corev1.EnvVar{Name: "K_SINK", Value: "http://u:" + namespacestest.Mark + "@h:bad"}, corev1.EnvVar{Name: "AMP_ENDPOINT_ALLOW", Value: "http://u:a," + namespacestest.Mark + "@h"},
		corev1.EnvVar{Name: "AMP_TIMEOUT", Value: "http://h?" + namespacestest.Mark})
	r, err := a.report(t)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text, true); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for what, shown := range map[string]string{"text": text.String(), "JSON": string(asJSON)} {
		if i := strings.Index(shown, namespacestest.Mark); i >= 0 {
			t.Errorf("the %s shows …%s…", what, shown[max(0, i-300):i+20])
		}
		if !strings.Contains(shown, "ns-0-0-true") || !strings.Contains(shown, "K_SINK") {
			t.Errorf("the %s is not about the namespaces and the settings", what)
		}
	}
}
