package doctor

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// the returns the only finding, as status and text.
func the(t *testing.T, checks ...Finding) (Status, string) {
	t.Helper()
	if len(checks) != 1 {
		t.Fatalf("%d checks, not one: %+v", len(checks), checks)
	}
	return checks[0].Status, checks[0].Message
}

// installed is an installation in a namespace of which nothing else is known.
func installed(namespace string) *observed {
	return &observed{fix: remedies{namespace: namespace, deployment: "amp"}}
}

// forbidden is the API server's answer to a user without rights.
var forbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "", nil)

func TestWebhooks(t *testing.T) {
	type webhook = admissionv1.MutatingWebhook
	ignore, always := admissionv1.Ignore, admissionv1.IfNeededReinvocationPolicy
	ten, path, url := int32(10), "/mutate", "https://amp.example.com/mutate/fail"
	for name, test := range map[string]struct {
		change  func(fail *webhook)
		status  Status
		message string // after the beginning that all have
	}{
		"as deployed": {func(*webhook) {}, OK, ""},
		"more namespaces excluded": {func(w *webhook) {
			w.NamespaceSelector.MatchExpressions[1].Values = []string{"amp-system", "kube-system", "knative-serving"}
		}, OK, ""},
		"called at a URL, with a CA": {func(w *webhook) {
			w.ClientConfig = admissionv1.WebhookClientConfig{URL: &url, CABundle: []byte("x")}
		}, OK, ""},
		"in another order": {func(w *webhook) { slices.Reverse(w.NamespaceSelector.MatchExpressions) }, OK, ""},
		"another policy":   {func(w *webhook) { w.FailurePolicy = &ignore }, Failed, "failurePolicy is Ignore instead of Fail"},
		"another path":     {func(w *webhook) { w.ClientConfig.Service.Path = &path }, Failed, "path is /mutate instead of /mutate/fail"},
		"called again":     {func(w *webhook) { w.ReinvocationPolicy = &always }, Failed, "reinvocationPolicy is IfNeeded instead of Never"},
		"another timeout":  {func(w *webhook) { w.TimeoutSeconds = &ten }, Warning, "timeoutSeconds is 10 instead of 2"},
		"updates too": {func(w *webhook) { w.Rules[0].Operations = append(w.Rules[0].Operations, "UPDATE") }, Failed,
			`rules is CREATE,UPDATE of pods in "" v1, scope Namespaced instead of CREATE of pods in "" v1, scope Namespaced`},
		"no opting in": {func(w *webhook) { w.NamespaceSelector.MatchLabels = nil }, Failed, `namespaceSelector lacks "amp.txn2.com/enabled=true"`},
		"narrower":     {func(w *webhook) { w.NamespaceSelector.MatchLabels["team"] = "a" }, Warning, `namespaceSelector also has "team=a"`},
		"every namespace": {func(w *webhook) { w.NamespaceSelector = nil }, Failed, `namespaceSelector lacks "amp.txn2.com/enabled=true"; ` +
			`namespaceSelector lacks "amp.txn2.com/failure-policy notin (Ignore)"; namespaceSelector does not exclude kube-system; namespaceSelector does not exclude amp-system`},
		"no way out": {func(w *webhook) { w.ObjectSelector = nil }, Failed, `objectSelector lacks "amp.txn2.com/enabled notin (false)"`},
		"a condition on top": {func(w *webhook) {
			w.MatchConditions = []admissionv1.MatchCondition{{Name: "x", Expression: "request.dryRun"}}
		}, Warning, `matchConditions also has "request.dryRun"`},
		"of an old version": {func(w *webhook) { w.AdmissionReviewVersions = []string{"v1beta1"} }, Failed, "admissionReviewVersions lacks v1"},
	} {
		t.Run(name, func(t *testing.T) {
			want, _ := deployed()
			is, _ := deployed()
			test.change(&is.hooks[0])
			status, message := the(t, installed("amp-system").checkConfigurations(seen[[]configuration]{value: []configuration{is}}, want))
			text := "MutatingWebhookConfiguration amp is as deployed"
			if test.message != "" {
				text = "MutatingWebhookConfiguration amp is not as deployed: fail.amp.txn2.com: " + test.message
			}
			if status != test.status || message != text {
				t.Errorf("%s: %s\nwant %s: %s", status, message, test.status, text)
			}
		})
	}
}

func TestWebhooksThatAreNotThere(t *testing.T) {
	_, want := deployed()
	one, other, less := want, want, want
	other.name, less.hooks = "amp-old", want.hooks[:1]
	for name, test := range map[string]struct {
		found   seen[[]configuration]
		status  Status
		message string
	}{
		"missing":        {seen[[]configuration]{}, Failed, "ValidatingWebhookConfiguration amp is missing: no Pod reaches amp through it"},
		"one of two":     {seen[[]configuration]{value: []configuration{less}}, Failed, "ValidatingWebhookConfiguration amp is not as deployed: validate.ignore.amp.txn2.com is missing"},
		"twice":          {seen[[]configuration]{value: []configuration{one, other}}, Failed, "ValidatingWebhookConfigurations amp (calls amp.amp-system.svc) and amp-old (calls amp.amp-system.svc) hold webhooks of the same names: each Pod goes to all of them"},
		"not to be seen": {seen[[]configuration]{err: forbidden}, Skipped, "not checked: things is forbidden: <nil>"},
		"foreign":        {seen[[]configuration]{value: withWebhooksOf(want, []configuration{{kind: validating, hooks: []admissionv1.MutatingWebhook{{Name: "x.example.com"}}}})}, Failed, "ValidatingWebhookConfiguration amp is missing: no Pod reaches amp through it"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, message := the(t, installed("amp-system").checkConfigurations(test.found, want)); status != test.status || message != test.message {
				t.Errorf("%s: %s\nwant %s: %s", status, message, test.status, test.message)
			}
		})
	}
}

// What an earlier installation left behind calls a Service that is gone. The remedy takes that away, and touches nothing
// of the installation that works: not its certificate, and not its Service.
func TestLeftOverWebhooks(t *testing.T) {
	for name, gone := range map[string]bool{"its Service is gone": true, "its Service is there": false} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			old := a.mutating.DeepCopy()
			old.Name = "amp-old"
			for i := range old.Webhooks {
				old.Webhooks[i].ClientConfig.Service.Namespace = "amp-old"
			}
			a.others = append(a.others, *old)
			if !gone {
				a.services["amp-old/amp"] = a.services["amp-system/amp"]
			}
			r, err := a.report(t)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Checks {
				switch {
				case f.ID == "webhooks" && f.Status == Failed:
					text, remedy := "MutatingWebhookConfigurations amp-old (calls amp.amp-old.svc, which is gone) and amp (calls amp.amp-system.svc) hold webhooks of the same names: each Pod goes to all of them", "delete what is left over:\nkubectl delete mutatingwebhookconfiguration amp-old"
					if !gone {
						text, remedy = strings.Replace(text, ", which is gone", "", 1), "delete the one that amp no longer uses:\nkubectl delete mutatingwebhookconfiguration NAME"
					}
					if f.Message != text || f.Remedy != remedy {
						t.Errorf("%+v", f)
					}
				case gone && f.Status != OK && f.ID != "dry-run", strings.Contains(f.Remedy, "AMP_TLS_DNS_NAMES"):
					t.Errorf("another check goes by what is left over: %+v", f)
				}
			}
			if ids(r, Failed) == "" || gone && ids(r, Failed) != "webhooks" {
				t.Errorf("%+v", r)
			}
		})
	}
}

// One of amp's own webhooks calls a Service that is gone.
func TestAWebhookCallsAnother(t *testing.T) {
	a := newAPI(t)
	a.mutating.Webhooks[0].ClientConfig.Service.Name = "gone"
	r, err := a.report(t)
	if err != nil {
		t.Fatal(err)
	}
	if ids(r, Failed) != "service" {
		t.Errorf("%s failed: %+v", ids(r, Failed), r)
	}
}

// Applying the manifests again does not remove what was added.
func TestForeignWebhooks(t *testing.T) {
	want, _ := deployed()
	is, _ := deployed()
	is.hooks = append(is.hooks, admissionv1.MutatingWebhook{Name: "x.example.com"})
	all := withWebhooksOf(want, []configuration{is})
	f := installed("amp-system").checkConfigurations(seen[[]configuration]{value: all}, want)
	if status, message := the(t, f); status != Warning || !strings.HasSuffix(message, "x.example.com is not one of amp's webhooks") {
		t.Errorf("%s: %s", status, message)
	}
	if remedy := f.Remedy; !strings.HasPrefix(remedy, "nothing, if this is intended. ") || !strings.HasSuffix(remedy, "\nkubectl edit mutatingwebhookconfiguration amp") {
		t.Errorf("the remedy is %q", remedy)
	}
	if len(all[0].hooks) != 2 {
		t.Errorf("what foreign webhooks call counts: %+v", all[0].hooks)
	}
}

// In an overlay that says `namespace: elsewhere`, the webhooks exclude that namespace.
func TestWebhooksOfARenamedInstallation(t *testing.T) {
	want, _ := deployed()
	is, _ := deployed()
	found := seen[[]configuration]{value: []configuration{is}}
	if status, message := the(t, installed("elsewhere").checkConfigurations(found, want)); status != Failed || !strings.HasSuffix(message, "namespaceSelector does not exclude elsewhere") {
		t.Errorf("%s: %s", status, message)
	}
	for i := range is.hooks {
		is.hooks[i].NamespaceSelector.MatchExpressions[1].Values[1] = "elsewhere"
		is.hooks[i].ClientConfig.Service.Namespace = "elsewhere"
	}
	if status, message := the(t, installed("elsewhere").checkConfigurations(found, want)); status != OK {
		t.Errorf("%s: %s", status, message)
	}
}

// The comparison assumes that the API server has no default to fill in.
func TestDeployedWebhooksSetEveryDefault(t *testing.T) {
	m, v := deployed()
	for _, c := range []configuration{m, v} {
		if len(c.hooks) != 2 {
			t.Errorf("%s has %d webhooks", c.kind, len(c.hooks))
		}
		for _, h := range c.hooks {
			value := reflect.ValueOf(h)
			for i := range value.NumField() {
				name := value.Type().Field(i).Name
				if name == "MatchConditions" { // has no default
					continue
				}
				if value.Field(i).IsZero() && (name != "ReinvocationPolicy" || c.kind == mutating) {
					t.Errorf("%s of %s is not set", name, h.Name)
				}
			}
			if s := h.ClientConfig.Service; s == nil || s.Port == nil || s.Path == nil {
				t.Errorf("%s: clientConfig is %+v", h.Name, h.ClientConfig)
			}
			for _, r := range h.Rules {
				if r.Scope == nil {
					t.Errorf("%s: a rule has no scope", h.Name)
				}
			}
		}
	}
}

func TestTarget(t *testing.T) {
	port, service, url := int32(8443), &admissionv1.ServiceReference{Name: "amp-tls", Namespace: "x"}, "https://amp.example.com:8443/mutate/fail"
	if to := targetOf(admissionv1.WebhookClientConfig{Service: service}); to.host != "amp-tls.x.svc" || to.port != 443 || to.service.Name != "amp-tls" {
		t.Errorf("%+v", to)
	}
	if to := targetOf(admissionv1.WebhookClientConfig{URL: &url}); to.host != "amp.example.com" || to.port != port || to.service.Name != "" {
		t.Errorf("%+v", to)
	}
}
