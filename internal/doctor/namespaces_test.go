package doctor

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/serve"
)

type keys = map[string]string

func team(t *testing.T, of, annotations keys) *namespace {
	t.Helper()
	all := concerned([]metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{Name: "team-a", Labels: of, Annotations: annotations}}})
	if len(all) != 1 {
		t.Fatalf("the namespace is none of amp's")
	}
	return &all[0]
}

func TestConcerned(t *testing.T) {
	meta := func(name string, of, annotations keys) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: of, Annotations: annotations}}
	}
	going := meta("going", keys{"amp.txn2.com/enabled": "true"}, nil)
	going.DeletionTimestamp = &metav1.Time{}
	var names []string
	for _, n := range concerned([]metav1.PartialObjectMetadata{
		meta("z", keys{"amp.txn2.com/enabled": "true"}, nil), meta("annotated", nil, keys{"validation.amp.txn2.com/ep": "x"}),
		meta("other", keys{"example.com/enabled": "true"}, keys{"xamp.txn2.com/ep": ""}), going,
	}) {
		names = append(names, n.name)
	}
	if !slices.Equal(names, []string{"annotated", "z"}) {
		t.Errorf("concerned are %v", names)
	}
}

// world0 has two Services with Pods, one without, an alias as Knative makes it, and one out of the cluster.
func world0(t *testing.T) *world {
	t.Helper()
	name := func(namespace, name string) types.NamespacedName {
		return types.NamespacedName{Namespace: namespace, Name: name}
	}
	alias := func(of string) *backend {
		return &backend{service: &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "kn", OwnerReferences: []metav1.OwnerReference{{APIVersion: "serving.knative.dev/v1", Kind: "Route"}}},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: of},
		}}
	}
	w := &world{amp: "amp-system", services: map[types.NamespacedName]*backend{
		name("hooks", "hook"):         serviceWith("hook", 80, "10.0.0.1", "10.1.0.1"),
		name("hooks", "headless"):     serviceWith("headless", 80, "None", "10.1.0.1"),
		name("hooks", "empty"):        serviceWith("empty", 80, "10.0.0.2"),
		name("hooks", "public"):       serviceWith("public", 80, "8.8.8.8", "10.1.0.1"),
		name("hooks", "gone"):         {err: missing},
		name("team-a", "hook"):        serviceWith("hook", 80, "10.0.0.3", "10.1.0.2"),
		name("team-a", "kn"):          alias("ingress.ingress.svc.cluster.local"),
		name("hooks", "out"):          alias("hook.example.com"),
		name("ingress", "ingress"):    serviceWith("ingress", 80, "10.0.0.4", "10.1.0.3"),
		name("com", "example"):        {err: missing},
		name("amp-system", "nothing"): {err: missing},
	}, hosts: map[string]seen[[]netip.Addr]{
		"hook.example.com":    {value: []netip.Addr{netip.MustParseAddr("8.8.4.4")}},
		"private.example.com": {value: []netip.Addr{netip.MustParseAddr("10.9.9.9")}},
		"localhost":           {value: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
		"example.com":         {err: errors.New("no such host")},
	}}
	var err error
	if w.mayCall, err = callout.Allowed(nil, []string{"10.96.0.1:443"}); err != nil {
		t.Fatal(err)
	}
	if w.mayName, err = callout.Allowed([]string{"*"}, []string{"10.96.0.1:443"}); err != nil {
		t.Fatal(err)
	}
	return w
}

// Whoever may annotate a namespace does not write what its doctor pastes into a shell.
func TestHostsAreQuoted(t *testing.T) {
	w := world0(t)
	n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a'$(id)/"})
	w.hosts["a'$(id)"] = w.hosts["hook.example.com"]
	c := checkEndpoint(n, "amp.txn2.com/ep", n.policy.Mutate[0], w, remedies{namespace: "amp-system", deployment: "amp"})
	if want := ` *.svc.cluster.local a'\''$(id)'`; !strings.HasSuffix(c.Remedy, want) {
		t.Errorf("remedy %q does not end with %s", c.Remedy, want)
	}
}

func TestEndpoint(t *testing.T) {
	const lists = "; AMP_ENDPOINT_ALLOW lists what it may call"
	for url, test := range map[string]struct {
		status          Status
		message, remedy string // the remedy's beginning
	}{
		"http://hook.hooks.svc/m":                {OK, "leads to Service hook in namespace hooks, 1 ready Pod", ""},
		"http://hook.hooks.svc.cluster.local./m": {OK, "leads to Service hook in namespace hooks, 1 ready Pod", ""},
		"http://hook.hooks/m":                    {OK, "leads to Service hook in namespace hooks, 1 ready Pod", ""},
		"http://headless.hooks.svc:8080/m":       {OK, "leads to Service headless in namespace hooks, 1 ready Pod", ""},
		"http://headless.hooks.svc/m":            {Failed, "no Pod behind Service headless in namespace hooks is ready on port 80", "kubectl -n hooks get pods -l app=headless"},
		"http://kn.team-a.svc/":                  {OK, "leads to Service ingress in namespace ingress, 1 ready Pod", ""},
		"http://gone.hooks.svc/m":                {Failed, "there is no Service gone in namespace hooks", "kubectl annotate namespace team-a --overwrite amp.txn2.com/ep="},
		"http://empty.hooks.svc/m":               {Failed, "no Pod behind Service empty in namespace hooks is ready on port 80", "kubectl -n hooks get pods -l app=empty"},
		"https://hook.hooks.svc/m":               {Failed, "Service hook in namespace hooks has port 80, not 443", "kubectl annotate namespace team-a --overwrite amp.txn2.com/ep=https://hook.hooks.svc:80/m"},
		"https://hook.hooks.svc/$(id)'m":         {Failed, "Service hook in namespace hooks has port 80, not 443", `kubectl annotate namespace team-a --overwrite 'amp.txn2.com/ep=https://hook.hooks.svc:80/$(id)'\''m'`},
		"http://public.hooks.svc/":               {Failed, "amp may not call 8.8.8.8 (public)" + lists, "kubectl annotate"},
		"http://127.0.0.1:1/":                    {Failed, "amp may not call 127.0.0.1 (loopback)" + lists, "kubectl annotate"},
		"http://u:p@localhost/?q=r":              {Failed, "amp may not call 127.0.0.1 (loopback)" + lists + " (as it resolves from here)", "kubectl edit"},
		"http://169.254.169.254/":                {Failed, "amp may not call 169.254.169.254 (link-local)" + lists, "kubectl annotate"},
		"https://10.96.0.1/":                     {Failed, "amp may not call 10.96.0.1:443 (the API server), whatever AMP_ENDPOINT_ALLOW lists", "kubectl annotate"},
		"http://10.2.3.4/":                       {OK, "amp may call it", ""},
		"https://hook.example.com/":              {Failed, "amp may not call 8.8.4.4 (public)" + lists + " (as it resolves from here)", "kubectl annotate"},
		"https://private.example.com/":           {OK, "amp may call 10.9.9.9 (as it resolves from here)", ""},
		"http://out.hooks.svc/":                  {Failed, "amp may not call 8.8.4.4 (public)" + lists + " (as it resolves from here)", "kubectl annotate"},
		"http://example.com/":                    {Warning, "it names no Service, and does not resolve from here (amp may see more): no such host", "kubectl annotate"},
		"http://nothing/":                        {Warning, "it names no Service, and does not resolve from here (amp may see more): no address", "kubectl annotate"},
	} {
		t.Run(url, func(t *testing.T) {
			n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": url})
			c := checkEndpoint(n, "amp.txn2.com/ep", n.policy.Mutate[0], world0(t), remedies{namespace: "amp-system", deployment: "amp"})
			if want := n.policy.Mutate[0].Name + ": " + test.message; c.Status != test.status || c.Message != want {
				t.Errorf("%s: %s\nwant %s: %s", c.Status, c.Message, test.status, want)
			}
			if !strings.HasPrefix(c.Remedy, test.remedy) || test.remedy == "" && c.Remedy != "" {
				t.Errorf("remedy %q, not %q…", c.Remedy, test.remedy)
			}
			// amp's own address, the cloud's metadata and the API server are nothing to be let through.
			if strings.Contains(c.Remedy, "AMP_ENDPOINT_ALLOW=") != strings.Contains(test.message, "(public)") {
				t.Errorf("remedy %q", c.Remedy)
			}
			if strings.Contains(c.Message+c.Remedy+c.Subject, "u:p") || strings.Contains(c.Message+c.Remedy+c.Subject, "q=r") {
				t.Errorf("shows userinfo or query: %+v", c)
			}
		})
	}
}

func TestServiceOf(t *testing.T) {
	for host, want := range map[string]string{
		"a.b.svc": "b/a sure", "a.b.svc.cluster.local": "b/a sure", "A.B.SVC.": "b/a sure", "a.b.svc.example.com": "b/a", "pod-0.a.b.svc": "b/a sure",
		"a.b": "b/a", "a": "amp-system/a", "a.b.c": "", "10.0.0.1": "", "::1": "", "svc.b": "b/svc",
	} {
		name, sure, ok := serviceOf(host, "amp-system")
		got := ""
		if ok {
			if got = name.String(); sure {
				got += " sure"
			}
		}
		if got != want {
			t.Errorf("%s is the Service %q, not %q", host, got, want)
		}
	}
}

func TestDeadlock(t *testing.T) {
	for name, test := range map[string]struct {
		labels, annotations, pods keys
		deadlock                  bool
	}{
		"under Fail":                             {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/"}, nil, true},
		"that validates":                         {keys{"amp.txn2.com/validate": "true"}, keys{"validation.amp.txn2.com/ep": "http://hook.team-a/"}, nil, true},
		"that would validate, and is not asked":  {nil, keys{"validation.amp.txn2.com/ep": "http://hook.team-a/"}, nil, false},
		"a Knative Service":                      {nil, keys{"amp.txn2.com/ep": "http://kn.team-a.svc/"}, nil, true},
		"under Ignore":                           {keys{"amp.txn2.com/failure-policy": "Ignore"}, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/"}, nil, false},
		"in shadow mode":                         {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/", "amp.txn2.com/mode": "shadow"}, nil, false},
		"of another namespace":                   {nil, keys{"amp.txn2.com/ep": "http://hook.hooks.svc/"}, nil, false},
		"whose Pods the selector leaves out":     {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/", "amp.txn2.com/pods": "component=user"}, nil, false},
		"whose Pods the selector takes":          {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/", "amp.txn2.com/pods": "component=user"}, keys{"component": "user"}, true},
		"whose Pods have taken the way out":      {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/"}, keys{"amp.txn2.com/enabled": "false"}, false},
		"under Fail, its Pods are running still": {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/"}, keys{"app": "hook"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			of := keys{"amp.txn2.com/enabled": "true"}
			for k, v := range test.labels {
				of[k] = v
			}
			w := world0(t)
			w.services[types.NamespacedName{Namespace: "team-a", Name: "kn"}].labels = []labels.Set{{"app": "kn"}}
			w.services[types.NamespacedName{Namespace: "team-a", Name: "hook"}].labels = []labels.Set{{"app": "hook"}}
			if test.pods != nil {
				w.services[types.NamespacedName{Namespace: "team-a", Name: "hook"}].labels = []labels.Set{test.pods}
			}
			if checks := checkDeadlock(team(t, of, test.annotations), w); (len(checks) > 0) != test.deadlock {
				t.Errorf("%+v", checks)
			}
		})
	}
}

// What people get wrong on a Namespace itself, each with what it is told.
func TestNamespace(t *testing.T) {
	m, _ := shipped()
	for name, test := range map[string]struct {
		labels, annotations keys
		want                []string // status id: the message's beginning
	}{
		"good": {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a"}, []string{"ok keys: labels and annotations are good"}},
		"a bad value": {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "ftp://a"},
			[]string{`failed keys: annotation amp.txn2.com/ep "ftp://a": allowed are http and https URLs`}},
		"an unknown key":         {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a", "amp.txn2.com/endpoint": "x"}, []string{`failed keys: annotation amp.txn2.com/endpoint "x": the key is unknown`}},
		"no endpoint":            {keys{"amp.txn2.com/enabled": "true"}, nil, []string{"ok keys", "warning endpoint: opted in without an endpoint"}},
		"never validated":        {keys{"amp.txn2.com/enabled": "true"}, keys{"validation.amp.txn2.com/ep": "http://a"}, []string{"ok keys", "failed validate: validation.amp.txn2.com/ep names an endpoint that is never asked"}},
		"validated":              {keys{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true"}, keys{"validation.amp.txn2.com/ep": "http://a"}, []string{"ok keys", "ok validate: Pods are validated"}},
		"validated by nobody":    {keys{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true"}, nil, []string{"ok keys", "warning endpoint", "warning validate: Pods are to be validated, but"}},
		"not validated any more": {keys{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "false"}, keys{"validation.amp.txn2.com/ep": "http://a"}, []string{"ok keys", "ok validate: Pods are not validated: the label"}},
		"validated, it seems":    {keys{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "yes"}, keys{"validation.amp.txn2.com/ep": "http://a"}, []string{"failed keys: label amp.txn2.com/validate"}},
		"recorded":               {keys{"amp.txn2.com/enabled": "true", "amp.txn2.com/validate": "true"}, keys{"amp.txn2.com/ep": "http://a"}, []string{"ok keys", "ok validate: validates only to record"}},
		"too much time":          {keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a", "amp.txn2.com/timeout": "5s"}, []string{"ok keys", "warning timeout: amp.txn2.com/timeout is 5s, of which amp gives 1.5s"}},
		"left out":               {keys{"amp.txn2.com/enabled": "true", "kubernetes.io/metadata.name": "kube-system"}, keys{"amp.txn2.com/ep": "http://a"}, []string{"ok keys", "failed selected: opted in, but the webhooks leave this namespace out"}},
		"opted out":              {keys{"amp.txn2.com/enabled": "false"}, keys{"amp.txn2.com/ep": "http://a"}, nil},
		"opted in half":          {keys{"amp.txn2.com/enabled": "yes"}, nil, []string{`warning opt-in: not opted in: the label amp.txn2.com/enabled is "yes", and only "true" opts in`}},
		"opted in by annotation": {nil, keys{"amp.txn2.com/enabled": "true"}, []string{"warning opt-in: not opted in: amp.txn2.com/enabled is an annotation and has to be a label"}},
		"not opted in":           {nil, keys{"amp.txn2.com/ep": "http://a"}, []string{"warning opt-in: not opted in: it has keys of amp's, but not the label"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := team(t, test.labels, test.annotations)
			checks := checkOptIn(n)
			if n.policy.Enabled {
				checks = slices.Concat(checks, []Check{checkKeys(n)}, checkSelected(n, m), checkEndpoints(n), checkValidate(n), checkTimeout(n, byDefault().Timeout))
			}
			var got []string
			for _, c := range checks {
				got = append(got, string(c.Status)+" "+c.ID+": "+c.Message)
				if (c.Status == Failed || c.Status == Warning) && !strings.Contains(c.Remedy, "kubectl ") {
					t.Errorf("%s: remedy %q", c.Message, c.Remedy)
				}
			}
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("%q\nwant %q", got, test.want)
			}
		})
	}
}

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
	quota := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("exceeded quota"))
	for name, test := range map[string]struct {
		namespace keys // labels and annotations that it has besides
		run       dryRun
		status    Status
		message   string
		remedy    string // the beginning
	}{
		"through":                           {nil, dryRun{warnings: []string{mutated}}, OK, "a Pod went through: mutated, operations: 2", ""},
		"through, in shadow mode":           {nil, dryRun{warnings: []string{"amp: dry run, mutate: shadow mode, else unchanged"}}, OK, "a Pod went through: shadow mode, else unchanged", ""},
		"through, somebody warns":           {nil, dryRun{warnings: []string{"would violate PodSecurity", mutated}}, OK, "a Pod went through: mutated, operations: 2; warnings: would violate PodSecurity", ""},
		"through, and validated":            {keys{"amp.txn2.com/validate": "true"}, dryRun{warnings: []string{mutated, validated}}, OK, "a Pod went through: mutated, operations: 2; validated", ""},
		"and amp was not asked":             {nil, dryRun{}, Skipped, "not judged: the API server does not reach amp", ""},
		"and amp was not asked to validate": {keys{"amp.txn2.com/validate": "true"}, dryRun{warnings: []string{mutated}}, Skipped, "not judged: the API server does not reach amp", ""},
		"unmutated under Ignore":            {nil, dryRun{warnings: []string{"amp: not mutated: http://a: answered 500"}}, Failed, "a Pod goes through, but not as its endpoint would have it: amp: not mutated: http://a: answered 500", "the endpoint has to answer"},
		"a failure that shadow mode hides":  {nil, dryRun{warnings: []string{"amp: dry run, mutate: shadow mode, else failed: endpoint http://a: answered 500"}}, Failed, "a Pod goes through, but not as its endpoint would have it: shadow mode, else failed: endpoint http://a: answered 500", "the endpoint has to answer"},
		"a refusal that shadow mode hides":  {nil, dryRun{warnings: []string{"amp: dry run, mutate: shadow mode, else denied: no GPUs left"}}, Warning, "the endpoint answers, and refuses a plain Pod: shadow mode, else denied: no GPUs left", "it may well be right"},
		"through, its patch odd":            {nil, dryRun{warnings: []string{"amp: op 1: unknown to amp's Kubernetes API", mutated}}, Warning, "amp says of a Pod that goes through: amp: op 1: unknown to amp's Kubernetes API", "the endpoint's patch"},
		"through, its time cut":             {nil, dryRun{warnings: []string{"amp: namespace a: annotation amp.txn2.com/timeout 5s is more than amp gives: cut to 1.5s", mutated}}, OK, "a Pod went through: mutated, operations: 2", ""},
		"failed":                            {nil, dryRun{err: status(500, denied+"amp: endpoint http://a: answered 500")}, Failed, "a Pod is refused: " + denied + "amp: endpoint http://a: answered 500", "the endpoint has to answer"},
		"too late":                          {nil, dryRun{err: status(500, denied+"amp: endpoint http://a: no answer within 1.5s")}, Failed, "a Pod is refused: " + denied + "amp: endpoint http://a: no answer within 1.5s", "see why it is slow"},
		"not there":                         {nil, dryRun{err: status(500, denied+"amp: endpoint http://a: connection refused: is it running?")}, Failed, "a Pod is refused: " + denied + "amp: endpoint http://a: connection refused: is it running?", "see that it runs"},
		"of another authority":              {nil, dryRun{err: status(500, denied+"amp: endpoint https://a: its certificate is signed by an authority")}, Failed, "a Pod is refused: " + denied + "amp: endpoint https://a: its certificate is signed by an authority", "see that its certificate"},
		"refused":                           {nil, dryRun{err: status(403, denied+"no GPUs left")}, Warning, "the endpoint answers, and refuses a plain Pod: " + denied + "no GPUs left", "it may well be right"},
		"by somebody who may not":           {keys{"amp.txn2.com/creators": "hub"}, dryRun{user: "me", err: status(500, denied+"amp: me")}, Skipped, "no endpoint was asked: amp.txn2.com/creators does not name me", "kubectl amp doctor --as hub"},
		"nor under Ignore":                  {keys{"amp.txn2.com/creators": "hub"}, dryRun{user: "me", warnings: []string{"amp: not mutated: me may not"}}, Skipped, "no endpoint was asked: amp.txn2.com/creators does not name me", "kubectl amp doctor --as hub"},
		"failed, by one who may":            {keys{"amp.txn2.com/creators": "m*"}, dryRun{user: "me", err: status(500, denied+"amp: x")}, Failed, "a Pod is refused: " + denied + "amp: x", "the endpoint has to answer"},
		"over quota, amp not asked yet":     {nil, dryRun{err: quota}, Skipped, `not amp's doing: pods "x" is forbidden: exceeded quota`, ""},
		"over quota, after amp":             {nil, dryRun{err: quota, warnings: []string{mutated}}, OK, `amp lets a Pod through (mutated, operations: 2), which somebody else refuses: pods "x" is forbidden: exceeded quota`, ""},
		"over quota, and unmutated":         {nil, dryRun{err: quota, warnings: []string{"amp: not mutated: http://a: answered 500"}}, Failed, "a Pod goes through, but not as its endpoint would have it: amp: not mutated: http://a: answered 500", "the endpoint has to answer"},
		"by somebody else's webhook":        {nil, dryRun{err: status(403, `admission webhook "x.example.com" denied the request: no`)}, Skipped, `not amp's doing: admission webhook "x.example.com" denied the request: no`, ""},
		"amp was not reached":               {nil, dryRun{err: status(500, `Internal error occurred: failed calling webhook "fail.amp.txn2.com": EOF`)}, Skipped, "not judged: the API server does not reach amp", ""},
		"somebody else's not reached":       {nil, dryRun{err: status(500, `Internal error occurred: failed calling webhook "x.example.com": EOF`)}, Skipped, `not amp's doing: Internal error occurred: failed calling webhook "x.example.com": EOF`, ""},
		"none was tried":                    {nil, dryRun{untried: "what failed above comes first"}, Skipped, "no Pod was tried: what failed above comes first", ""},
	} {
		t.Run(name, func(t *testing.T) {
			of, annotations := keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a"}
			for k, v := range test.namespace {
				if of[k] = v; k == "amp.txn2.com/creators" {
					delete(of, k)
					annotations[k] = v
				}
			}
			c := checkDryRun(team(t, of, annotations), &test.run)
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
		"refused":     {[]*dryRun{asked, said("connection refused"), said("x")}, false, "the API server does not reach amp (2 namespaces tried so): failed calling webhook", "let the API server reach the TLS port"},
		"failed open": {[]*dryRun{{}}, false, "the API server does not reach amp (1 namespace tried so): Pods go through as if there were no amp", "let the API server reach the TLS port"},
		"both":        {[]*dryRun{{}, said("EOF")}, false, "the API server does not reach amp (2 namespaces tried so): failed calling webhook", "let the API server reach the TLS port"},
		"another CA":  {[]*dryRun{said("tls: failed to verify certificate: x509: certificate signed by unknown authority")}, false, "the API server does not reach amp", "amp writes the right CA"},
		"who it is":   {[]*dryRun{said("expected a client certificate signed by a CA in AMP_TLS_CLIENT_CA")}, true, "the API server does not reach amp", "AMP_TLS_CLIENT_CA lets in only who"},
		"who, unsaid": {[]*dryRun{{}}, true, "the API server does not reach amp", "AMP_TLS_CLIENT_CA lets in only who"},
	} {
		t.Run(name, func(t *testing.T) {
			all := make([]*namespace, len(test.runs))
			for k := range all {
				all[k] = n
			}
			checks := checkCalls(all, test.runs, remedies{namespace: "amp-system", deployment: "amp", tls: serve.TLSSelf}, test.clientCA)
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

// What an annotation holds besides the one URL is neither lost nor shown.
func TestAnotherURL(t *testing.T) {
	for ep, want := range map[string]string{
		"https://hook.hooks.svc/m":               "kubectl annotate namespace team-a --overwrite amp.txn2.com/ep=https://hook.hooks.svc:80/m",
		"https://hook.hooks.svc/m?profile=gpu":   "kubectl edit namespace team-a\nin the annotation amp.txn2.com/ep: https://hook.hooks.svc:80/m in the place of https://hook.hooks.svc/m",
		"https://u:p@hook.hooks.svc/m":           "kubectl edit namespace team-a\n",
		"https://hook.hooks.svc/m http://a/?x=y": "kubectl edit namespace team-a\n",
	} {
		n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": ep})
		c := checkEndpoint(n, "amp.txn2.com/ep", n.policy.Mutate[0], world0(t), remedies{})
		if c.Status != Failed || !strings.HasPrefix(c.Remedy, want) {
			t.Errorf("%s: %s, remedy %q", ep, c.Status, c.Remedy)
		}
	}
}

// What the doctor would have amp allow besides leads to no metadata service.
func TestSuggestedListIsNoWiderThanTheDefault(t *testing.T) {
	may, err := callout.Allowed(strings.Fields(orDefault+" hook.example.com"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range []string{"100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "169.254.169.254", "127.0.0.1", "8.8.8.8"} {
		for _, host := range []string{ip, "evil.example.com", "x.svc"} {
			if err := may(host, netip.AddrPortFrom(netip.MustParseAddr(ip), 80)); err == nil && !(host == "x.svc" && ip == "8.8.8.8") {
				t.Errorf("%s at %s is allowed", host, ip)
			}
		}
	}
	for host, ip := range map[string]string{"10.1.2.3": "10.1.2.3", "hook.hooks.svc": "100.64.0.1", "hook.hooks.svc.cluster.local": "fd00::1", "hook.example.com": "8.8.8.8"} {
		if err := may(host, netip.AddrPortFrom(netip.MustParseAddr(ip), 80)); err != nil {
			t.Errorf("%s at %s: %v", host, ip, err)
		}
	}
}

// Where nobody can tell what amp may call, that is said and nothing else.
func TestEndpointOfAnAMPThatCannotBeSeen(t *testing.T) {
	w := world0(t)
	w.mayCall = nil
	for url, want := range map[string]Status{"https://hook.example.com/": Skipped, "http://hook.hooks.svc/m": Skipped, "http://127.0.0.1/": Failed} {
		n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": url})
		if c := checkEndpoint(n, "amp.txn2.com/ep", n.policy.Mutate[0], w, remedies{}); c.Status != want || c.Remedy != "" {
			t.Errorf("%s: %+v", url, c)
		}
	}
}
