package doctor

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

// newDestinations has two Services with Pods, one without, an alias as Knative makes it, and one out of the cluster.
func newDestinations(t *testing.T) destinations {
	t.Helper()
	name := func(namespace, name string) types.NamespacedName {
		return types.NamespacedName{Namespace: namespace, Name: name}
	}
	alias := func(of string) *backend {
		return &backend{service: seen[*corev1.Service]{value: &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "kn", OwnerReferences: []metav1.OwnerReference{{APIVersion: "serving.knative.dev/v1", Kind: "Route"}}},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: of},
		}}}
	}
	d := destinations{ampNamespace: "amp-system", services: map[types.NamespacedName]*backend{
		name("hooks", "hook"):         serviceWith("hook", 80, "10.0.0.1", "10.1.0.1"),
		name("hooks", "headless"):     serviceWith("headless", 80, "None", "10.1.0.1"),
		name("hooks", "empty"):        serviceWith("empty", 80, "10.0.0.2"),
		name("hooks", "public"):       serviceWith("public", 80, "8.8.8.8", "10.1.0.1"),
		name("hooks", "gone"):         {service: seen[*corev1.Service]{err: missing}},
		name("team-a", "hook"):        serviceWith("hook", 80, "10.0.0.3", "10.1.0.2"),
		name("team-a", "kn"):          alias("ingress.ingress.svc.cluster.local"),
		name("hooks", "out"):          alias("hook.example.com"),
		name("ingress", "ingress"):    serviceWith("ingress", 80, "10.0.0.4", "10.1.0.3"),
		name("com", "example"):        {service: seen[*corev1.Service]{err: missing}},
		name("amp-system", "nothing"): {service: seen[*corev1.Service]{err: missing}},
	}, hosts: map[string]seen[[]netip.Addr]{
		"hook.example.com":    {value: []netip.Addr{netip.MustParseAddr("8.8.4.4")}},
		"private.example.com": {value: []netip.Addr{netip.MustParseAddr("10.9.9.9")}},
		"localhost":           {value: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
		"example.com":         {err: errors.New("no such host")},
	}}
	var err error
	if d.mayCall, err = callout.Allowed(nil, []string{"10.96.0.1:443"}); err != nil {
		t.Fatal(err)
	}
	if d.mayName, err = callout.Allowed([]string{"*"}, []string{"10.96.0.1:443"}); err != nil {
		t.Fatal(err)
	}
	return d
}

// Users paste remedies into a shell. A tenant who may annotate the namespace must not write commands there.
func TestHostsAreQuoted(t *testing.T) {
	s := &observed{destinations: newDestinations(t), fix: remedies{namespace: "amp-system", deployment: "amp"}}
	n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://a/"})
	n.policy.Mutate[0].URL.Host = "a'$(id)" // which amp does not take from an annotation
	s.destinations.hosts["a'$(id)"] = s.destinations.hosts["hook.example.com"]
	c := checkEndpoint(s, n, "amp.txn2.com/ep", n.policy.Mutate[0])
	if want := ` fc00::/7 a'\''$(id)'`; !strings.HasSuffix(c.Remedy, want) {
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
		"http://169.254.169.254/":                {Failed, "amp may not call 169.254.169.254 (cloud metadata)" + lists, "kubectl annotate"},
		"https://10.96.0.1/":                     {Failed, "amp may not call 10.96.0.1:443 (the API server); in AMP_ENDPOINT_ALLOW only an entry with this address and port opens it", "kubectl annotate"},
		"http://10.2.3.4/":                       {OK, "amp may call 10.2.3.4", ""},
		"https://hook.example.com/":              {Failed, "amp may not call 8.8.4.4 (public)" + lists + " (as it resolves from here)", "kubectl annotate"},
		"https://private.example.com/":           {OK, "amp may call 10.9.9.9 (as it resolves from here)", ""},
		"http://out.hooks.svc/":                  {Failed, "amp may not call 8.8.4.4 (public)" + lists + " (as it resolves from here)", "kubectl annotate"},
		"http://example.com/":                    {Warning, "it is not a Service, and does not resolve from here (it may resolve in the cluster): no such host", "kubectl annotate"},
		"http://nothing/":                        {Warning, "it is not a Service, and does not resolve from here (it may resolve in the cluster): no address", "kubectl annotate"},
	} {
		t.Run(url, func(t *testing.T) {
			n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": url})
			c := checkEndpoint(&observed{destinations: newDestinations(t), fix: remedies{namespace: "amp-system", deployment: "amp"}}, n, "amp.txn2.com/ep", n.policy.Mutate[0])
			if want := n.policy.Mutate[0].Name + ": " + test.message; c.Status != test.status || c.Message != want {
				t.Errorf("%s: %s\nwant %s: %s", c.Status, c.Message, test.status, want)
			}
			if !strings.HasPrefix(c.Remedy, test.remedy) || test.remedy == "" && c.Remedy != "" {
				t.Errorf("remedy %q, not %q…", c.Remedy, test.remedy)
			}
			// No remedy lets amp call its own address, the cloud's metadata or the API server.
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

// What an annotation holds in addition to the URL is neither lost nor shown.
func TestAnotherURL(t *testing.T) {
	for ep, want := range map[string]string{
		"https://hook.hooks.svc/m":               "kubectl annotate namespace team-a --overwrite amp.txn2.com/ep=https://hook.hooks.svc:80/m",
		"https://hook.hooks.svc/m?profile=gpu":   "kubectl edit namespace team-a\nin the annotation amp.txn2.com/ep, replace https://hook.hooks.svc/m by https://hook.hooks.svc:80/m",
		"https://u:p@hook.hooks.svc/m":           "kubectl edit namespace team-a\n",
		"https://hook.hooks.svc/m http://a/?x=y": "kubectl edit namespace team-a\n",
	} {
		n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": ep})
		c := checkEndpoint(&observed{destinations: newDestinations(t)}, n, "amp.txn2.com/ep", n.policy.Mutate[0])
		if c.Status != Failed || !strings.HasPrefix(c.Remedy, want) {
			t.Errorf("%s: %s, remedy %q", ep, c.Status, c.Remedy)
		}
	}
}

// AMP_ENDPOINT_ALLOW replaces the default. The list that the doctor suggests lets amp call the host, and otherwise what it
// calls without a list: who follows the remedy loses no other endpoint, and opens no metadata service.
func TestSuggestedListIsTheDefaultAndTheHost(t *testing.T) {
	c := checkEndpoint(&observed{destinations: newDestinations(t), fix: remedies{namespace: "amp-system", deployment: "amp"}},
		team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "https://hook.example.com/"}), "amp.txn2.com/ep", review.NewEndpoint(&url.URL{Scheme: "https", Host: "hook.example.com"}))
	_, list, found := strings.Cut(c.Remedy, "AMP_ENDPOINT_ALLOW='")
	list, _, ended := strings.Cut(list, "'")
	if !found || !ended {
		t.Fatalf("remedy %q names no list", c.Remedy)
	}
	suggested, err := callout.Allowed(strings.Fields(list), nil)
	if err != nil {
		t.Fatal(err)
	}
	byDefault, err := callout.Allowed(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{"100.100.100.200", "100.80.80.80", "fd00:ec2::254", "fd20:ce::254", "169.254.169.254", "127.0.0.1", "8.8.8.8", "2001:db8::1",
		"10.1.2.3", "100.64.0.1", "fd00::1", "64:ff9b::a01:203", "::ffff:192.168.1.1"}
	for _, p := range outbound.Private {
		addresses = append(addresses, p.Addr().String(), p.Addr().Prev().String(), p.Addr().Next().String())
	}
	for _, address := range addresses {
		to := netip.AddrPortFrom(netip.MustParseAddr(address), 80)
		for _, host := range []string{address, "other.example.com", "hook.hooks.svc", "hook.hooks.svc.cluster.local"} {
			if before, after := byDefault(host, to), suggested(host, to); (before == nil) != (after == nil) {
				t.Errorf("%s at %s: %v by default, %v with the list %s", host, address, before, after, list)
			}
		}
	}
	if err := suggested("hook.example.com", netip.MustParseAddrPort("8.8.8.8:443")); err != nil {
		t.Error(err)
	}
}

// If AMP_ENDPOINT_ALLOW is unknown, only what no setting allows fails.
func TestEndpointOfAnAMPThatCannotBeSeen(t *testing.T) {
	s := &observed{destinations: newDestinations(t)}
	s.destinations.mayCall = nil
	for url, want := range map[string]Status{"https://hook.example.com/": Skipped, "http://hook.hooks.svc/m": Skipped, "http://127.0.0.1/": Failed} {
		n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": url})
		if c := checkEndpoint(s, n, "amp.txn2.com/ep", n.policy.Mutate[0]); c.Status != want || c.Remedy != "" {
			t.Errorf("%s: %+v", url, c)
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
		"that would validate, and is not called": {nil, keys{"validation.amp.txn2.com/ep": "http://hook.team-a/"}, nil, false},
		"a Knative Service":                      {nil, keys{"amp.txn2.com/ep": "http://kn.team-a.svc/"}, nil, true},
		"under Ignore":                           {keys{"amp.txn2.com/failure-policy": "Ignore"}, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/"}, nil, false},
		"in shadow mode":                         {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/", "amp.txn2.com/mode": "shadow"}, nil, false},
		"of another namespace":                   {nil, keys{"amp.txn2.com/ep": "http://hook.hooks.svc/"}, nil, false},
		"whose Pods the selector excludes":       {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/", "amp.txn2.com/pods": "component=user"}, nil, false},
		"whose Pods the selector takes":          {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/", "amp.txn2.com/pods": "component=user"}, keys{"component": "user"}, true},
		"whose Pods have opted out":              {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/"}, keys{"amp.txn2.com/enabled": "false"}, false},
		"under Fail, its Pods are running still": {nil, keys{"amp.txn2.com/ep": "http://hook.team-a.svc/"}, keys{"app": "hook"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			of := keys{"amp.txn2.com/enabled": "true"}
			for k, v := range test.labels {
				of[k] = v
			}
			s := &observed{destinations: newDestinations(t)}
			services := s.destinations.services
			services[types.NamespacedName{Namespace: "team-a", Name: "kn"}].labels.value = []labels.Set{{"app": "kn"}}
			services[types.NamespacedName{Namespace: "team-a", Name: "hook"}].labels.value = []labels.Set{{"app": "hook"}}
			if test.pods != nil {
				services[types.NamespacedName{Namespace: "team-a", Name: "hook"}].labels.value = []labels.Set{test.pods}
			}
			if findings := checkDeadlock(s, team(t, of, test.annotations)); (len(findings) > 0) != test.deadlock {
				t.Errorf("%+v", findings)
			}
		})
	}
}

// TestTheCandidateIsJudged as an endpoint is, but no Pod depends on it.
func TestTheCandidateIsJudged(t *testing.T) {
	s := &observed{destinations: newDestinations(t), fix: remedies{namespace: "amp-system", deployment: "amp"}}
	for url, want := range map[string]Status{"http://hook.hooks.svc/": OK, "http://gone.hooks.svc/": Warning} {
		n := team(t, keys{"amp.txn2.com/enabled": "true"}, keys{"amp.txn2.com/ep": "http://hook.hooks.svc/", "amp.txn2.com/candidate": url})
		findings := checkEndpoints(s, n)
		last := findings[len(findings)-1]
		if len(findings) != 2 || last.Status != want || !strings.HasPrefix(last.Message, "candidate "+url+": ") {
			t.Errorf("%s: %+v", url, findings)
		}
	}
}
