package e2e

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/txn2/amp/test/e2e/harness"
)

// failures are the ways in which an endpoint fails, each with what the user must be told in addition to its name.
var failures = map[string]struct {
	answer http.HandlerFunc // nil: there is no endpoint
	pod    func(*corev1.Pod)
	on     harness.On // what its namespace says in addition
	cause  string
}{
	"the endpoint is down": {cause: `connection refused`},
	// amp answers long before the API server, which waits for 2 s, has enough of it.
	"the endpoint is slow": {answer: harness.Hangs, on: harness.On{"amp.txn2.com/timeout": "500ms"}, cause: `no answer|timed? ?out|within|deadline`},
	"the endpoint says 500": {answer: harness.Fails(http.StatusInternalServerError, "the profiles are unreadable"),
		cause: `500.*the profiles are unreadable`},
	"the endpoint answers garbage": {answer: harness.Answers("<html>It works!</html>"), cause: `JSON`},
	"the endpoint answers nothing": {answer: harness.Answers(""), cause: `empty`},
	"the endpoint redirects": {answer: http.RedirectHandler("http://127.0.0.1/elsewhere", http.StatusFound).ServeHTTP,
		cause: `302|redirect`},
	"the patch cannot apply": {answer: harness.Answers(`[{"op":"remove","path":"/spec/containers/9"}]`),
		cause: `op 1 \(remove "/spec/containers/9"\): the Pod has 1 container`},
	"the patch gives the Pod another name": {answer: harness.Answers(`[{"op":"replace","path":"/metadata/name","value":"other"}]`),
		cause: `name`},
	"the patch names no operation of RFC 6902": {answer: harness.Answers(`[{"op":"upsert","path":"/metadata/labels/a","value":"b"}]`),
		cause: `upsert`},
	"the patch makes a Pod that is none": {answer: harness.Answers(`[{"op":"replace","path":"/spec/containers","value":"web"}]`),
		cause: `containers`},
	"the patch touches what amp is told to guard": {answer: harness.Answers(`[{"op":"add","path":"/spec/hostNetwork","value":true}]`),
		cause: `hostNetwork`},
	"the patch changes labels of a ReplicaSet's Pod": {answer: harness.Labels("app", "other"), pod: harness.Controlled,
		cause: `label`},
}

func TestFailures(t *testing.T) {
	w := world(t)
	for what, f := range failures {
		t.Run(what, func(t *testing.T) {
			endpoint := harness.Down()
			if f.answer != nil {
				endpoint = harness.Serve(t, f.answer).URL
			}
			pod := func() *corev1.Pod {
				p := harness.Pod("web", harness.Labelled("app", "web"))
				if f.pod != nil {
					f.pod(p)
				}
				return p
			}
			cause := regexp.MustCompile("(?i)" + f.cause)

			t.Run("under Fail: no Pod, and the user reads why", func(t *testing.T) {
				ns := w.Namespace(t, harness.Enabled(endpoint, f.on))
				c := ns.Create(pod())
				if c.Err == nil {
					t.Fatal("the Pod was created")
				}
				said, told := c.Err.Error(), ""
				if _, after, ok := strings.Cut(said, `admission webhook "fail.amp.txn2.com" denied the request: `); ok {
					told = after
				}
				if !strings.HasPrefix(told, "amp: endpoint "+endpoint) || !cause.MatchString(told) || strings.Contains(told, "\n") {
					t.Errorf("the user read: %s\nexpected one line that names %s and the cause: %s", said, endpoint, f.cause)
				}
				if ns.Stored("web") != nil {
					t.Error("the Pod is stored")
				}
			})

			t.Run("under Ignore: the Pod as it was, and one warning", func(t *testing.T) {
				ns := w.Namespace(t, harness.Enabled(endpoint, harness.Ignore, f.on))
				c := ns.MustCreate(pod())
				asGiven(t, ns, "web")
				if len(c.Warnings) != 1 {
					t.Fatalf("the user was warned %d times: %q", len(c.Warnings), c.Warnings)
				}
				warning := c.Warnings[0]
				if at := cause.FindStringIndex(warning); at == nil || strings.Index(warning, endpoint) < at[1] || utf8.RuneCountInString(warning) > 256 {
					t.Errorf("the user was warned: %s\nexpected at most 256 characters that name the cause, %s, and then %s", warning, f.cause, endpoint)
				}
			})

			t.Run("in shadow mode: the Pod as it was, and not a word", func(t *testing.T) {
				ns := w.Namespace(t, harness.Enabled(endpoint, harness.On{"amp.txn2.com/mode": "shadow"}, f.on))
				c := ns.MustCreate(pod())
				asGiven(t, ns, "web")
				if len(c.Warnings) > 0 {
					t.Errorf("the user was warned: %q", c.Warnings)
				}
			})
		})
	}

	t.Run("one endpoint of a chain fails: none of them changes the Pod", func(t *testing.T) {
		good, bad := harness.Serve(t, harness.Labels("changed", "yes")), harness.Serve(t, harness.Fails(500, "no"))
		ns := w.Namespace(t, harness.Enabled(good.URL+","+bad.URL, harness.Ignore))
		ns.MustCreate(harness.Pod("web", harness.Labelled("app", "web")))
		asGiven(t, ns, "web")
	})

	t.Run("the namespace has a bad value: the user reads which key, and what is allowed", func(t *testing.T) {
		for key, value := range map[string]string{
			"amp.txn2.com/mode":    "shadowy",
			"amp.txn2.com/timeout": "soon",
			"amp.txn2.com/pods":    "a==b==c",
			"amp.txn2.com/ep":      "ftp://files.example/patch",
			"amp.txn2.com/endpint": "http://10.0.0.1/",
		} {
			endpoint := harness.Serve(t, harness.Answers("[]"))
			c := w.Namespace(t, harness.Enabled(endpoint.URL, harness.On{key: value})).Create(harness.Pod("web"))
			if c.Err == nil || !strings.Contains(c.Err.Error(), key) {
				t.Errorf("%s=%s: the user read: %v", key, value, c.Err)
			}
		}
	})

	t.Run("the namespace opts in and names no endpoint: a warning", func(t *testing.T) {
		c := w.Namespace(t, harness.On{"amp.txn2.com/enabled": "true"}).MustCreate(harness.Pod("web"))
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "amp.txn2.com/ep") {
			t.Errorf("the user was warned: %q", c.Warnings)
		}
	})
}

// TestAmpIsDown ends with a new replica, for the tests after it.
func TestAmpIsDown(t *testing.T) {
	w := world(t)
	endpoint := harness.Serve(t, harness.Labels("changed", "yes"))
	strict, lenient := w.Namespace(t, harness.Enabled(endpoint.URL)), w.Namespace(t, harness.Enabled(endpoint.URL, harness.Ignore))
	mistyped := w.Namespace(t, harness.Enabled(endpoint.URL, harness.On{"amp.txn2.com/failure-policy": "ignore"}))
	strict.MustCreate(harness.Pod("before"))

	if err := w.StopReplicas(); err != nil {
		t.Fatalf("amp did not end as it should on SIGTERM: %v", err)
	}
	defer func() {
		if _, err := w.StartReplica(); err != nil {
			t.Fatalf("starting amp again: %v", err)
		}
		if c := strict.MustCreate(harness.Pod("after")); c.Labels["changed"] != "yes" {
			t.Errorf("after amp's return labels are %v", c.Labels)
		}
	}()

	t.Run("under Fail: no Pod, and the API server names the webhook", func(t *testing.T) {
		c := strict.Create(harness.Pod("web"))
		if c.Err == nil || !strings.Contains(c.Err.Error(), `failed calling webhook "fail.amp.txn2.com"`) {
			t.Errorf("the user read: %v", c.Err)
		}
	})
	t.Run("under a policy that is mistyped: no Pod", func(t *testing.T) {
		if c := mistyped.Create(harness.Pod("web")); c.Err == nil {
			t.Error("the Pod was created")
		}
	})
	t.Run("under Ignore: the Pod as it was", func(t *testing.T) {
		lenient.MustCreate(harness.Pod("web", harness.Labelled("app", "web")))
		asGiven(t, lenient, "web")
	})
	t.Run("the API server counts it by the names that the alert AmpUnreachable asks for", func(t *testing.T) {
		text, err := kubernetes.NewForConfigOrDie(w.API.Config()).RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`apiserver_admission_webhook_fail_open_count{name="ignore.amp.txn2.com",`,
			`apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error",name="fail.amp.txn2.com",`,
		} {
			if !bytes.Contains(text, []byte("\n"+want)) {
				t.Errorf("it has no %s…", want)
			}
		}
	})
	t.Run("namespaces that did not opt in do not notice", func(t *testing.T) {
		w.Namespace(t, nil).MustCreate(harness.Pod("web"))
	})
}

// asGiven checks that a Pod is stored unchanged: with the label app and nothing more.
func asGiven(t *testing.T, ns *harness.Namespace, name string) {
	t.Helper()
	pod := ns.Stored(name)
	if pod == nil {
		t.Fatal("the Pod is not stored")
	}
	if len(pod.Labels) != 1 || len(pod.Annotations) > 0 || len(pod.Spec.InitContainers)+len(pod.Spec.Volumes) > 0 || len(pod.Spec.Containers) != 1 {
		t.Errorf("the Pod was changed: labels %v, annotations %v, spec %+v", pod.Labels, pod.Annotations, pod.Spec)
	}
}
