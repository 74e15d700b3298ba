package tryout_test

import (
	"os"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
	"github.com/txn2/amp/internal/tryout"
)

// The names in messages are those of the webhooks that amp installs, and the time is amp's own.
func TestAsInstalled(t *testing.T) {
	config, err := serve.Load(func(string) string { return "" })
	if err != nil || config.Timeout != review.DefaultTimeout {
		t.Errorf("%v, timeout %s", err, config.Timeout)
	}
	for _, phase := range []review.Phase{review.Mutate, review.Validate} {
		file := map[review.Phase]string{review.Mutate: "mutating", review.Validate: "validating"}[phase]
		manifest, err := os.ReadFile("../../deploy/base/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, policy := range []review.FailurePolicy{review.Fail, review.Ignore} {
			if name := tryout.Webhook(phase, policy); !strings.Contains(string(manifest), "- name: "+name+"\n") {
				t.Errorf("%s has no webhook %s", file, name)
			}
		}
	}
}

// What the webhooks of deploy/base leave out.
func TestNotAsked(t *testing.T) {
	const plain, out = `{"metadata":{"name":"web"}}`, `{"metadata":{"name":"web","labels":{"amp.txn2.com/enabled":"false"}}}`
	for name, test := range map[string]struct {
		q    tryout.Question
		want string
	}{
		"any Pod":                                      {tryout.Question{Pod: []byte(plain), Namespace: "a"}, ""},
		"a Pod that opts out":                          {tryout.Question{Pod: []byte(out), Namespace: "a"}, "the Pod has the label"},
		"a Pod of the cluster itself":                  {tryout.Question{Pod: []byte(plain), Namespace: "kube-system"}, "leave out the namespace kube-system"},
		"a real Namespace that has opted in":           {tryout.Question{Pod: []byte(plain), Namespace: "a", Labels: map[string]string{"amp.txn2.com/enabled": "true"}}, ""},
		"a real Namespace that has not":                {tryout.Question{Pod: []byte(plain), Namespace: "a", Labels: map[string]string{}}, "namespace a has not opted in"},
		"validation for a Namespace without its label": {tryout.Question{Pod: []byte(plain), Namespace: "a", Phase: review.Validate, Labels: map[string]string{"amp.txn2.com/enabled": "true"}}, "label amp.txn2.com/validate"},
		"validation for a Namespace with it":           {tryout.Question{Pod: []byte(plain), Namespace: "a", Phase: review.Validate, Labels: map[string]string{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true"}}, ""},
		"validation without a real Namespace":          {tryout.Question{Pod: []byte(plain), Namespace: "a", Phase: review.Validate}, ""},
		"a Pod of that label with another text":        {tryout.Question{Pod: []byte(strings.Replace(out, `"false"`, `"no"`, 1)), Namespace: "a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.q.NotAsked(); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// A question that no endpoint can be asked is an error; an endpoint that fails is a result.
func TestWhatCannotBeAsked(t *testing.T) {
	q := &tryout.Question{Pod: []byte(`{"metadata":{"name":"web"}}`), Namespace: "a", Phase: review.Mutate, Endpoints: []string{"ftp://host/secret"}}
	if _, err := asker(t).Ask(t.Context(), q); err == nil || !strings.HasPrefix(err.Error(), "endpoint: URL 1 of 1") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	for endpoint, want := range map[string]string{"http://127.0.0.1:1/": "127.0.0.1 is loopback", "http://[::1]:1/": "::1 is loopback", "http://8.8.8.8/": "8.8.8.8 is a public address", "http://10.0.0.1/": "", "nonsense": ""} {
		if got := tryout.NotInCluster(t.Context(), []string{endpoint}); !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q", endpoint, got)
		}
	}
}
