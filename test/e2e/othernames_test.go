package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/test/e2e/harness"
)

// TestDeniedFieldsHaveOtherNames shows that the API server sets a field also from another place, after amp: so amp refuses
// that place, too, if AMP_PATCH_DENY lists the field.
func TestDeniedFieldsHaveOtherNames(t *testing.T) {
	w := anyWorld(t)
	for what, test := range map[string]struct {
		deny, patch string
		is          func(corev1.PodSpec) string // the denied field of the stored Pod
		want        string                      // if it is not denied
	}{
		"the ServiceAccount, by its old name": {
			"/spec/serviceAccountName", `[{"op":"add","path":"/spec/serviceAccount","value":"robot"}]`,
			func(s corev1.PodSpec) string { return s.ServiceAccountName }, "robot"},
		"a container's AppArmor profile, by an annotation": {
			"/spec/containers/*/securityContext",
			`[{"op":"add","path":"/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1app","value":"unconfined"}]`,
			func(s corev1.PodSpec) string {
				if c := s.Containers[0].SecurityContext; c != nil && c.AppArmorProfile != nil {
					return string(c.AppArmorProfile.Type)
				}
				return ""
			}, "Unconfined"},
	} {
		t.Run(what, func(t *testing.T) {
			on := harness.Enabled(harness.Serve(t, harness.Answers(test.patch)).URL)

			w.With(t, "AMP_PATCH_DENY=none")
			ns := w.Namespace(t, on)
			ns.MustCreate(harness.Pod("web"))
			if is := test.is(ns.Stored("web").Spec); is != test.want {
				t.Errorf("if nothing is denied, %s is %q, and not %q", test.deny, is, test.want)
			}

			w.With(t, "AMP_PATCH_DENY="+test.deny)
			ns = w.Namespace(t, on)
			if c := ns.Create(harness.Pod("web")); c.Err == nil || !strings.Contains(c.Err.Error(), "AMP_PATCH_DENY") {
				t.Errorf("if %s is denied: %v", test.deny, c.Err)
			}
		})
	}
}
