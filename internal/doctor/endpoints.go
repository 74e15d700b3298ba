package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/review"
)

// world is what is around the namespaces: Services, and what names resolve to from here.
type world struct {
	amp      string // amp's namespace, in which a name without dots is looked for
	services map[types.NamespacedName]*backend
	hosts    map[string]seen[[]netip.Addr]
	// mayCall is amp's rule about addresses as it is configured, nil if nobody can tell; mayName is what it would be at
	// most if AMP_ENDPOINT_ALLOW named every host.
	mayCall, mayName rule
}

// rule tells why amp may not connect to an address that the host of a URL has resolved to.
type rule func(host string, to netip.AddrPort) error

// serviceOf is the Service that a host names. It is sure where the host says so (name.namespace.svc); where it
// might as well be a name of the world outside (hook.example), or of a cluster with a domain of its own, it
// is not.
func serviceOf(host, ampNamespace string) (name types.NamespacedName, sure, ok bool) {
	if _, err := netip.ParseAddr(host); err == nil {
		return name, false, false
	}
	parts := strings.Split(strings.ToLower(strings.TrimSuffix(host, ".")), ".")
	switch i := slices.Index(parts, "svc"); {
	case i >= 2:
		domain := strings.Join(parts[i+1:], ".")
		return types.NamespacedName{Namespace: parts[i-1], Name: parts[i-2]}, domain == "" || domain == "cluster.local", true
	case len(parts) == 1:
		return types.NamespacedName{Namespace: ampNamespace, Name: parts[0]}, false, true
	case len(parts) == 2:
		return types.NamespacedName{Namespace: parts[1], Name: parts[0]}, false, true
	}
	return name, false, false
}

// service is what is known of the Service that a host names, following names that stand for other names; nil
// where it names none.
func (w *world) service(host string) *backend {
	for range maxAliases {
		name, sure, ok := serviceOf(host, w.amp)
		b := w.services[name]
		if !ok || b == nil || b.err != nil && !sure {
			return nil
		}
		if b.err != nil || b.service.Spec.Type != corev1.ServiceTypeExternalName {
			return b
		}
		host = b.service.Spec.ExternalName
	}
	return nil
}

// maxAliases bounds how long a chain of ExternalNames is followed. Knative's is one.
const maxAliases = 4

// outside is the host that is left when a chain of ExternalNames leads out of the cluster, or host itself.
func (w *world) outside(host string) string {
	for range maxAliases {
		name, _, ok := serviceOf(host, w.amp)
		b := w.services[name]
		if !ok || b == nil || b.err != nil || b.service.Spec.Type != corev1.ServiceTypeExternalName {
			break
		}
		host = b.service.Spec.ExternalName
	}
	return host
}

func portOf(u *url.URL) int32 {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return int32(n)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// checkEndpoint tells whether amp may call an endpoint and whether somebody is there to answer. Of a Service
// the cluster knows; of any other host only that amp's rules allow what it resolves to, and that from here.
func checkEndpoint(n *namespace, key string, e review.Endpoint, w *world, fix remedies) Check {
	c := n.check("endpoint", Failed, "", "")
	c.Subject = e.Name
	say := func(status Status, remedy, format string, args ...any) Check {
		c.Status, c.Message, c.Remedy = status, e.Name+": "+fmt.Sprintf(format, args...), remedy
		return c
	}
	another := n.replace(key, e, "http://SERVICE.NAMESPACE.svc/PATH")
	host, port := e.URL.Hostname(), portOf(e.URL)
	b := w.service(host)
	if b == nil {
		return checkHost(say, host, w.outside(host), port, w, another, fix)
	}
	name, _, _ := serviceOf(w.outside(host), w.amp)
	switch {
	case apierrors.IsNotFound(b.err):
		return say(Failed, another+"\nor deploy it", "there is no Service %s in namespace %s", name.Name, name.Namespace)
	case b.err != nil:
		return say(Skipped, "", "its Service could not be looked at: %v", b.err)
	case b.port(port) == nil && b.service.Spec.ClusterIP != corev1.ClusterIPNone:
		return say(Failed, n.replace(key, e, withPort(e, b)), "Service %s in namespace %s has %s, not %d", name.Name, name.Namespace, b.ports(), port)
	}
	ready := b.ready(port)
	if len(ready) == 0 {
		remedy := fmt.Sprintf("kubectl -n %s get pods", name.Namespace)
		if s := b.service.Spec.Selector; len(s) > 0 {
			remedy += " -l " + selector(s)
		}
		return say(Failed, remedy, "no Pod behind Service %s in namespace %s is ready on port %d", name.Name, name.Namespace, port)
	}
	var to []netip.Addr
	for _, text := range b.service.Spec.ClusterIPs {
		if ip, err := netip.ParseAddr(text); err == nil { // not "None"
			to = append(to, ip)
		}
	}
	if len(to) == 0 {
		for _, r := range ready {
			if ip, err := netip.ParseAddr(r.address); err == nil {
				to = append(to, ip)
			}
		}
	}
	if status, err := w.mayBeCalled(host, to, port); err != nil {
		return say(status, w.allow(host, to, port, another, fix), "%v", err)
	}
	return say(OK, "", "leads to Service %s in namespace %s, %s", name.Name, name.Namespace, count(len(ready), "ready Pod"))
}

// withPort is the endpoint's URL on the first port of its Service.
func withPort(e review.Endpoint, b *backend) string {
	if len(b.service.Spec.Ports) == 0 {
		return e.Name
	}
	u := *e.URL
	u.Host = u.Hostname() + ":" + fmt.Sprint(b.service.Spec.Ports[0].Port)
	return review.NewEndpoint(&u).Name
}

// checkHost is checkEndpoint for a host that is no Service.
func checkHost(say func(Status, string, string, ...any) Check, host, outside string, port int32, w *world, another string, fix remedies) Check {
	if ip, err := netip.ParseAddr(outside); err == nil {
		to := []netip.Addr{ip}
		if status, err := w.mayBeCalled(host, to, port); err != nil {
			return say(status, w.allow(host, to, port, another, fix), "%v", err)
		}
		return say(OK, "", "amp may call it")
	}
	found := w.hosts[outside]
	if found.err != nil || len(found.value) == 0 {
		why := "no address"
		if found.err != nil {
			why = found.err.Error()
		}
		return say(Warning, another, "it names no Service, and does not resolve from here (amp may see more): %s", why)
	}
	if status, err := w.mayBeCalled(host, found.value, port); err != nil {
		return say(status, w.allow(host, found.value, port, another, fix), "%v (as it resolves from here)", err)
	}
	return say(OK, "", "amp may call %s (as it resolves from here)", found.value[0])
}

// mayBeCalled says why amp may not call a host that resolves to these addresses, and how bad that is: where nobody can
// tell what AMP_ENDPOINT_ALLOW is, only what it never allows has failed.
func (w *world) mayBeCalled(host string, to []netip.Addr, port int32) (Status, error) {
	if w.mayCall != nil {
		return Failed, allowed(w.mayCall, host, to, port)
	}
	if err := allowed(w.mayName, host, to, port); err != nil {
		return Failed, err
	}
	return Skipped, errors.New("whether amp may call it nobody can tell here: AMP_ENDPOINT_ALLOW cannot be seen, or is bad")
}

// allowed asks a rule of amp's about each address, of which amp would try one after the other. The error is of
// the first, and nil if any may be called.
func allowed(may rule, host string, to []netip.Addr, port int32) error {
	var first error
	for _, ip := range to {
		err := may(host, netip.AddrPortFrom(ip, uint16(port)))
		if err == nil {
			return nil
		}
		first = cmp.Or(first, err)
	}
	return first
}

// orDefault is what a list begins with that is to allow a host besides what amp may call by default. Of the private
// ranges it has those without a cloud's metadata service, which a range would let amp call, and the names of all
// Services.
const orDefault = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 *.svc *.svc.cluster.local"

// allow says how amp comes to call a host. That it should call itself, its node or the cloud's metadata is no
// advice to give: then only another endpoint helps.
func (w *world) allow(host string, to []netip.Addr, port int32, another string, fix remedies) string {
	if w.mayCall == nil {
		return ""
	}
	if allowed(w.mayName, host, to, port) != nil {
		return another
	}
	return another + "\nor, if amp is to call it:\n" + fix.set("AMP_ENDPOINT_ALLOW="+quoted(cmp.Or(fix.allow, orDefault)+" "+host))
}

// checkDeadlock tells of endpoints that are Pods of the namespace whose Pods wait for them: once they are
// down, nothing lets them start again. Where an endpoint's Pods are not amp's business, nothing waits.
func checkDeadlock(n *namespace, w *world) []Check {
	if !n.fails() || n.policy.Shadow {
		return nil
	}
	var checks []Check
	for _, e := range n.asked() {
		name, _, ok := serviceOf(e.URL.Hostname(), w.amp)
		b := w.services[name]
		if !ok || b == nil || b.err != nil || name.Namespace != n.name {
			continue
		}
		waiting := slices.ContainsFunc(b.labels, func(of labels.Set) bool {
			return of[namespaces.LabelEnabled] != "false" && (n.policy.Pods == nil || n.policy.Pods.Matches(of))
		})
		if !waiting {
			continue
		}
		c := n.check("deadlock", Failed, e.Name+" is served by Pods of this namespace, which under Fail cannot start while it is down",
			"move it to a namespace that has not opted in, or\n"+
				n.label(namespaces.LabelFailurePolicy+"=Ignore")+"\n"+
				"or label its Pods amp.txn2.com/enabled: \"false\" in their template")
		c.Subject = e.Name
		checks = append(checks, c)
	}
	return checks
}

// backing selects the Pods behind a Service; nil if nobody can tell. A Knative Service's is an alias of the
// ingress and has no selector.
func backing(s *corev1.Service) map[string]string {
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		for _, owner := range s.OwnerReferences {
			if strings.HasPrefix(owner.APIVersion, "serving.knative.dev/") {
				return map[string]string{"serving.knative.dev/service": s.Name}
			}
		}
		return nil
	}
	return s.Spec.Selector
}
