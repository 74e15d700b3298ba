package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/txn2/amp/internal/serve"
)

func TestLabelsFor(t *testing.T) {
	for _, text := range []string{"", "a=b", "a in (b,c)", "a!=b", "a,!b", "a notin (b),c", "a>5,b<5", "a=b,a", "a,a!=x"} {
		s, err := labels.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if set, ok := labelsFor(s); !ok || !s.Matches(set) {
			t.Errorf("%q: %v", text, set)
		}
	}
	s, err := labels.Parse("a=b,a!=b")
	if err != nil {
		t.Fatal(err)
	}
	if podLike(s, "x") != nil {
		t.Error("a Pod matches what nothing matches")
	}
}

func TestDryRun(t *testing.T) {
	status := func(code int32, message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: message}}
	}
	const denied = `admission webhook "fail.amp.txn2.com" denied the request: `
	const mutated, validated = "amp: dry run, mutate: mutated, operations: 2", "amp: dry run, validate: validated"
	const another = `; and another step of the API server refuses it: admission webhook "x.example.com" denied the request: no`
	many := slices.Repeat([]string{strings.Repeat("w", 256)}, 16)
	quota := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("exceeded quota"))
	for name, test := range map[string]struct {
		namespace keys // labels and annotations that it also has
		run       dryRun
		status    Status
		message   string
		remedy    string // the beginning
	}{
		"through":                           {nil, dryRun{warnings: []string{mutated}}, OK, "a Pod was admitted: mutated, operations: 2", ""},
		"through, in shadow mode":           {nil, dryRun{warnings: []string{"amp: dry run, mutate: shadow mode, else unchanged"}}, OK, "a Pod was admitted: shadow mode, else unchanged", ""},
		"through, with another warning":     {nil, dryRun{warnings: []string{"would violate PodSecurity", mutated}}, OK, "a Pod was admitted: mutated, operations: 2; warnings: would violate PodSecurity", ""},
		"through, and validated":            {keys{"amp.txn2.com/validate": "true"}, dryRun{warnings: []string{mutated, validated}}, OK, "a Pod was admitted: mutated, operations: 2; validated", ""},
		"and amp was not asked":             {nil, dryRun{}, Skipped, "not checked: the API server does not reach amp", ""},
		"and amp was not asked to validate": {keys{"amp.txn2.com/validate": "true"}, dryRun{warnings: []string{mutated}}, Skipped, "not checked: the API server does not reach amp", ""},
		"unmutated under Ignore":            {nil, dryRun{warnings: []string{"amp: not mutated: answered 500 (endpoint http://a)"}}, Failed, "a Pod is admitted although its review failed: amp: not mutated: answered 500 (endpoint http://a)", "the endpoint must answer"},
		"and that is explained":             {nil, dryRun{warnings: []string{"amp: dry run, mutate: failed: endpoint http://a: answered 500", "amp: not mutated: answered 500 (endpoint http://a)"}}, Failed, "a Pod is admitted although its review failed: amp: not mutated: answered 500 (endpoint http://a)", "the endpoint must answer"},
		"a failure that shadow mode hides":  {nil, dryRun{warnings: []string{"amp: dry run, mutate: shadow mode, else failed: endpoint http://a: answered 500"}}, Failed, "a Pod is admitted although its review failed: shadow mode, else failed: endpoint http://a: answered 500", "the endpoint must answer"},
		"a refusal that shadow mode hides":  {nil, dryRun{warnings: []string{"amp: dry run, mutate: shadow mode, else denied: no GPUs left"}}, Warning, "the endpoint answers, and denies a plain Pod: shadow mode, else denied: no GPUs left", "nothing, if the endpoint is to deny"},
		"through, its patch odd":            {nil, dryRun{warnings: []string{"amp: op 1: unknown to amp's Kubernetes API", mutated}}, Warning, "amp admits a Pod with a warning: amp: op 1: unknown to amp's Kubernetes API", "correct the endpoint's patch"},
		"through, its events cut":           {nil, dryRun{warnings: []string{"amp: namespace a: annotation amp.txn2.com/events Full is more than AMP_EVENTS_LEVEL: reduced to Patch", mutated}}, OK, "a Pod was admitted: mutated, operations: 2", ""},
		"through, its time cut":             {nil, dryRun{warnings: []string{"amp: namespace a: annotation amp.txn2.com/timeout 5s is more than AMP_TIMEOUT: reduced to 1.5s", mutated}}, OK, "a Pod was admitted: mutated, operations: 2", ""},
		"failed":                            {nil, dryRun{err: status(500, denied+"amp: endpoint http://a: answered 500")}, Failed, "a Pod is refused: " + denied + "amp: endpoint http://a: answered 500", "the endpoint must answer"},
		"too late":                          {nil, dryRun{err: status(500, denied+"amp: endpoint http://a: no answer within 1.5s")}, Failed, "a Pod is refused: " + denied + "amp: endpoint http://a: no answer within 1.5s", "find out why it is slow"},
		"not there":                         {nil, dryRun{err: status(500, denied+"amp: endpoint http://a: connection refused: is it running?")}, Failed, "a Pod is refused: " + denied + "amp: endpoint http://a: connection refused: is it running?", "check that it runs"},
		"its circuit is open": {nil, dryRun{err: status(500, denied+"amp: endpoint http://a: not called: its circuit is open since 14:05:03Z, after 10 failures in a row, the last: connection refused: is it running?; amp tries again within 5s")}, Failed,
			"a Pod is refused: " + denied + "amp: endpoint http://a: not called: its circuit is open since 14:05:03Z, after 10 failures in a row, the last: connection refused: is it running?; amp tries again within 5s",
			"the endpoint is the problem, not amp: the message says since when, and why. amp calls it again within 5s after it answers.\ncheck that it runs"},
		"its circuit is open, under Ignore": {nil, dryRun{warnings: []string{"amp: not mutated: not called: its circuit is open since 14:05:03Z, after 10 failures in a row, the last: no answer within 1.5s (AMP_TIMEOUT); amp tries again within 5s (endpoint http://a)"}}, Failed,
			"a Pod is admitted although its review failed: amp: not mutated: not called: its circuit is open since 14:05:03Z, after 10 failures in a row, the last: no answer within 1.5s (AMP_TIMEOUT); amp tries again within 5s (endpoint http://a)",
			"the endpoint is the problem, not amp: the message says since when, and why. amp calls it again within 5s after it answers.\nfind out why it is slow"},
		"of another authority":           {nil, dryRun{err: status(500, denied+"amp: endpoint https://a: its certificate is signed by an authority")}, Failed, "a Pod is refused: " + denied + "amp: endpoint https://a: its certificate is signed by an authority", "check that its certificate"},
		"refused":                        {nil, dryRun{err: status(403, denied+"no GPUs left")}, Warning, "the endpoint answers, and denies a plain Pod: " + denied + "no GPUs left", "nothing, if the endpoint is to deny"},
		"refused, and that is explained": {nil, dryRun{err: status(403, denied+"no GPUs left"), warnings: []string{"amp: dry run, mutate: denied: no GPUs left"}}, Warning, "the endpoint answers, and denies a plain Pod: " + denied + "no GPUs left", "nothing, if the endpoint is to deny"},
		"failed, and that is explained":  {nil, dryRun{err: status(500, denied+"amp: endpoint http://a: answered 500"), warnings: []string{"amp: dry run, mutate: failed: endpoint http://a: answered 500"}}, Failed, "a Pod is refused: " + denied + "amp: endpoint http://a: answered 500", "the endpoint must answer"},
		"denied as a server's error":     {nil, dryRun{err: status(503, denied+"no GPUs left"), warnings: []string{"amp: dry run, mutate: denied: no GPUs left"}}, Warning, "the endpoint answers, and denies a plain Pod: " + denied + "no GPUs left", "nothing, if the endpoint is to deny"},
		"unmutated, then denied": {keys{"amp.txn2.com/validate": "true"}, dryRun{err: status(403, denied+"no GPUs left"), warnings: []string{
			"amp: dry run, mutate: failed: endpoint http://a: answered 500", "amp: not mutated: answered 500 (endpoint http://a)", "amp: dry run, validate: denied: no GPUs left"}},
			Failed, "a Pod's review failed: amp: not mutated: answered 500 (endpoint http://a); and an endpoint denies the Pod: " + denied + "no GPUs left", "the endpoint must answer"},
		// The API server asks all validating webhooks at the same time, and tells of one refusal.
		"its validation failed, and another webhook refused it": {keys{"amp.txn2.com/validate": "true"}, dryRun{err: status(403, `admission webhook "x.example.com" denied the request: no`), warnings: []string{
			mutated, "amp: dry run, validate: failed: endpoint http://v: no answer within 750ms"}},
			Failed, "a Pod's review failed: endpoint http://v: no answer within 750ms" + another, "find out why it is slow"},
		"its validation was denied, and another webhook refused it": {keys{"amp.txn2.com/validate": "true"}, dryRun{err: status(403, `admission webhook "x.example.com" denied the request: no`), warnings: []string{
			mutated, "amp: dry run, validate: denied: no GPUs left"}},
			Warning, "the endpoint answers, and denies a plain Pod: no GPUs left" + another, "nothing, if the endpoint is to deny"},
		"another webhook refused it, and amp did not say that it validated it": {keys{"amp.txn2.com/validate": "true"}, dryRun{err: status(403, `admission webhook "x.example.com" denied the request: no`), warnings: []string{mutated}},
			Skipped, "not checked whether amp validates: amp mutates the Pod (mutated, operations: 2)" + another, ""},
		"validated, and another webhook refused it": {keys{"amp.txn2.com/validate": "true"}, dryRun{err: status(403, `admission webhook "x.example.com" denied the request: no`), warnings: []string{mutated, validated}},
			OK, "amp admits a Pod (mutated, operations: 2; validated)" + another, ""},
		"with so many warnings that amp's validation has no room": {keys{"amp.txn2.com/validate": "true"}, dryRun{warnings: append([]string{mutated}, many...)},
			Skipped, "not checked: of so many warnings the API server passes on only some, and not all of amp's; warnings: " + strings.Join(many, "; "), ""},
		"validation has no endpoint":      {keys{"amp.txn2.com/validate": "true"}, dryRun{warnings: []string{mutated, "amp: dry run, validate: left alone"}}, OK, "a Pod was admitted: mutated, operations: 2", ""},
		"left alone":                      {nil, dryRun{warnings: []string{"amp: dry run, mutate: left alone"}}, Warning, "amp left a Pod alone (mutate): it called no endpoint there", "find out what changes a Pod"},
		"by a user who may not":           {keys{"amp.txn2.com/creators": "hub"}, dryRun{err: status(500, denied+"amp: me")}, Skipped, "no endpoint was called: amp.txn2.com/creators does not name me", "kubectl amp doctor --as hub"},
		"nor under Ignore":                {keys{"amp.txn2.com/creators": "hub"}, dryRun{warnings: []string{"amp: not mutated: me may not"}}, Skipped, "no endpoint was called: amp.txn2.com/creators does not name me", "kubectl amp doctor --as hub"},
		"failed, by one who may":          {keys{"amp.txn2.com/creators": "m*"}, dryRun{err: status(500, denied+"amp: x")}, Failed, "a Pod is refused: " + denied + "amp: x", "the endpoint must answer"},
		"over quota, amp not asked yet":   {nil, dryRun{err: quota}, Skipped, `not checked: the Pod is refused, but not by amp: pods "x" is forbidden: exceeded quota`, ""},
		"over quota, after amp":           {nil, dryRun{err: quota, warnings: []string{mutated}}, OK, `amp admits a Pod (mutated, operations: 2); and another step of the API server refuses it: pods "x" is forbidden: exceeded quota`, ""},
		"over quota, and unmutated":       {nil, dryRun{err: quota, warnings: []string{"amp: not mutated: answered 500 (endpoint http://a)"}}, Failed, "a Pod's review failed: amp: not mutated: answered 500 (endpoint http://a); and another step of the API server refuses it: " + quota.Error(), "the endpoint must answer"},
		"by another webhook":              {nil, dryRun{err: status(403, `admission webhook "x.example.com" denied the request: no`)}, Skipped, `not checked: the Pod is refused, but not by amp: admission webhook "x.example.com" denied the request: no`, ""},
		"amp was not reached":             {nil, dryRun{err: status(500, `Internal error occurred: failed calling webhook "fail.amp.txn2.com": EOF`)}, Skipped, "not checked: the API server does not reach amp", ""},
		"another webhook was not reached": {nil, dryRun{err: status(500, `Internal error occurred: failed calling webhook "x.example.com": EOF`)}, Skipped, `not checked: the Pod is refused, but not by amp: Internal error occurred: failed calling webhook "x.example.com": EOF`, ""},
		"none was tried":                  {nil, dryRun{untried: failedAbove}, Skipped, "no Pod was tried: fix what failed above first", ""},
	} {
		t.Run(name, func(t *testing.T) {
			of, annotations := keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a"}
			for k, v := range test.namespace {
				if of[k] = v; k == "amp.txn2.com/creators" {
					delete(of, k)
					annotations[k] = v
				}
			}
			c := judgeDryRun(team(t, of, annotations), &test.run, seen[string]{value: "me"})
			if c.Status != test.status || c.Message != test.message {
				t.Errorf("%s: %s\nwant %s: %s", c.Status, c.Message, test.status, test.message)
			}
			if !strings.HasPrefix(c.Remedy, test.remedy) || test.remedy == "" && c.Remedy != "" {
				t.Errorf("remedy %q, not %q…", c.Remedy, test.remedy)
			}
		})
	}
}

func TestCalls(t *testing.T) {
	n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a"})
	said := func(text string) *dryRun {
		return &dryRun{err: errors.New(`failed calling webhook "fail.amp.txn2.com": failed to call webhook: ` + text)}
	}
	asked := &dryRun{warnings: []string{"amp: dry run, mutate: unchanged"}}
	for name, test := range map[string]struct {
		runs            []*dryRun
		clientCA        bool
		message, remedy string // the beginnings
	}{
		"well":        {[]*dryRun{asked, nil, {untried: "x"}}, false, "", ""},
		"refused":     {[]*dryRun{asked, said("connection refused"), said("x")}, false, "the API server does not reach amp (tried in 2 namespaces): failed calling webhook", "let the API server reach the TLS port"},
		"failed open": {[]*dryRun{{}}, false, "the API server does not reach amp (tried in 1 namespace): Pods are admitted without it", "let the API server reach the TLS port"},
		"both":        {[]*dryRun{{}, said("EOF")}, false, "the API server does not reach amp (tried in 2 namespaces): failed calling webhook", "let the API server reach the TLS port"},
		"another CA":  {[]*dryRun{said("tls: failed to verify certificate: x509: certificate signed by unknown authority")}, false, "the API server does not reach amp", "amp writes the right CA"},
		"who it is":   {[]*dryRun{said("expected a client certificate signed by a CA in AMP_TLS_CLIENT_CA")}, true, "the API server does not reach amp", "AMP_TLS_CLIENT_CA demands a client certificate"},
		"who, unsaid": {[]*dryRun{{}}, true, "the API server does not reach amp", "AMP_TLS_CLIENT_CA demands a client certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &observed{dryRuns: dryRuns{of: map[string]*dryRun{}}, settings: settings{config: defaults()}, fix: remedies{namespace: "amp-system", deployment: "amp", tls: serve.TLSSelf}}
			if test.clientCA {
				s.settings.config.TLSClientCA = "/ca.crt"
			}
			for i, run := range test.runs {
				other := *n
				other.name += string(rune('0' + i))
				s.namespaces.value = append(s.namespaces.value, &other)
				s.dryRuns.of[other.name] = run
			}
			checks := checkCalls(s)
			if test.message == "" {
				if len(checks) > 0 {
					t.Errorf("%+v", checks)
				}
				return
			}
			if len(checks) != 1 || !strings.HasPrefix(checks[0].Message, test.message) || !strings.HasPrefix(checks[0].Remedy, test.remedy) {
				t.Errorf("%+v", checks)
			}
		})
	}
}

// Each text of amp about an endpoint leads to the remedy for its cause (internal/callout/failure.go).
func TestEndpointRemedies(t *testing.T) {
	for cause, want := range map[string]string{
		"its name was not looked up within 1.5s, the time it had: does DNS answer, and does a NetworkPolicy let amp ask it?": "mend the cluster's DNS",
		"its name cannot be looked up: no answer from DNS":                                                                   "mend the cluster's DNS",
		"its name cannot be looked up: DNS failed":                                                                           "mend the cluster's DNS",
		"its name cannot be looked up: no such host":                                                                         "correct the host",
		"no connection within 1.5s, the time it had: does it run at that address and port":                                   "check that it runs and listens there",
		"no HTTPS connection within 1.5s, the time it had: the handshake was not finished":                                   "check that it runs and listens there",
		"connection refused: is the endpoint running, on that port?":                                                         "check that it runs and listens there",
		"no answer within 1.5s, the time it had (AMP_TIMEOUT, amp.txn2.com/timeout)":                                         "find out why it is slow",
		"its answer was not complete within 1s, the time it had":                                                             "find out why it is slow",
		"no time was left to call it":                                                                                        "find out why it is slow",
		"its certificate is signed by an authority that amp does not know (AMP_ENDPOINT_CA)":                                 "check that its certificate is valid",
		"it does not speak TLS there: use http://, or its TLS port":                                                          "check that its certificate is valid",
		"answered 500 Internal Server Error":                                                                                 "the endpoint must answer with a JSON patch",
	} {
		if got := endpointRemedy("endpoint http://hook.hooks.svc/mutate: " + cause); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", cause, got)
		}
	}
}
