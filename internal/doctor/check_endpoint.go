package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

// checkEndpoints judges whether the namespace names endpoints, and each of them. It also judges the candidate.
func checkEndpoints(s *observed, n *namespace) []Finding {
	if len(n.policy.Mutate)+len(n.policy.Validate) == 0 && n.policy.Err == nil {
		return []Finding{n.finding(Warning, n.annotate(namespaces.AnnotationEndpoint+"=http://SERVICE.NAMESPACE.svc/PATH"),
			"opted in without an endpoint: its Pods are created unchanged")}
	}
	mutation := namespaces.AnnotationEndpoint
	if _, ok := n.annotations[mutation]; !ok {
		mutation = namespaces.AnnotationMutationEndpoint
	}
	var findings []Finding
	for _, e := range n.policy.Mutate {
		findings = append(findings, checkEndpoint(s, n, mutation, e))
	}
	for _, e := range n.policy.Validate {
		findings = append(findings, checkEndpoint(s, n, namespaces.AnnotationValidation, e))
	}
	if n.policy.Candidate != nil {
		f := checkEndpoint(s, n, namespaces.AnnotationCandidate, *n.policy.Candidate)
		f.Message = "candidate " + f.Message
		if f.Status == Failed { // no Pod depends on it
			f.Status = Warning
		}
		findings = append(findings, f)
	}
	return findings
}

// endpointCheck judges one endpoint.
type endpointCheck struct {
	*destinations
	fix       remedies
	pending   string // revision that is to change AMP_ENDPOINT_ALLOW, empty if none is
	namespace *namespace
	key       string // annotation that names the endpoint
	endpoint  review.Endpoint
	host      string
	port      int32
}

// checkEndpoint judges whether amp may call an endpoint, and whether there is something that answers. Of a Service the
// cluster knows both. Of any other host, only the address is known, as it resolves where the doctor runs.
func checkEndpoint(s *observed, n *namespace, key string, e review.Endpoint) Finding {
	c := endpointCheck{&s.destinations, s.fix, s.pending("AMP_ENDPOINT_ALLOW"), n, key, e, e.URL.Hostname(), int32(outbound.Port(e.URL))}
	if b := c.service(c.host); b != nil {
		return c.ofService(b)
	}
	return c.ofHost()
}

func (c *endpointCheck) finding(status Status, remedy, format string, args ...any) Finding {
	f := c.namespace.finding(status, remedy, "%s: %s", c.endpoint.Name, fmt.Sprintf(format, args...))
	f.Subject = c.endpoint.Name
	return f
}

// another is the remedy of naming another URL.
func (c *endpointCheck) another() string {
	return c.namespace.replace(c.key, c.endpoint, "http://SERVICE.NAMESPACE.svc/PATH")
}

// ofService judges an endpoint that is a Service.
func (c *endpointCheck) ofService(b *backend) Finding {
	name, _, _ := serviceOf(c.resolve(c.host), c.ampNamespace)
	service := fmt.Sprintf("Service %s in namespace %s", name.Name, name.Namespace)
	switch {
	case apierrors.IsNotFound(b.service.err):
		return c.finding(Failed, c.another()+"\nor deploy it", "there is no %s", service)
	case b.service.err != nil:
		return c.finding(Skipped, "", "not checked: %v", b.service.err)
	case b.port(c.port) == nil && !b.headless():
		return c.finding(Failed, c.namespace.replace(c.key, c.endpoint, c.withPortOf(b)), "%s has %s, not %d", service, b.ports(), c.port)
	}
	ready := b.ready(c.port)
	if len(ready) == 0 && b.slices.err == nil {
		remedy := fmt.Sprintf("kubectl -n %s get pods", name.Namespace)
		switch want := b.service.value.Spec.Selector; {
		case len(want) > 0 && !b.any():
			remedy = fmt.Sprintf("no Pod that runs has its labels, %s: start one, or correct the Service's selector. This shows what there is:\nkubectl -n %s get deployments,pods --show-labels", selector(want), name.Namespace)
		case len(want) > 0:
			remedy += " -l " + selector(want)
		}
		return c.finding(Failed, remedy, "no Pod behind %s is ready on port %d", service, c.port)
	}
	to := b.addresses()
	if len(to) == 0 {
		for _, r := range ready {
			if ip, err := netip.ParseAddr(r.address); err == nil {
				to = append(to, ip)
			}
		}
	}
	if status, err := c.mayCallAny(to); err != nil {
		return c.finding(status, c.allow(to), "%v", err)
	}
	if b.slices.err != nil {
		return c.finding(Skipped, "", "whether a Pod behind %s is ready was not checked: %v", service, b.slices.err)
	}
	return c.finding(OK, "", "leads to %s, %s", service, count(len(ready), "ready Pod"))
}

// withPortOf is the endpoint's URL with the first port of its Service.
func (c *endpointCheck) withPortOf(b *backend) string {
	if len(b.service.value.Spec.Ports) == 0 {
		return c.endpoint.Name
	}
	u := *c.endpoint.URL
	u.Host = u.Hostname() + ":" + fmt.Sprint(b.service.value.Spec.Ports[0].Port)
	return review.NewEndpoint(&u).Name
}

// ofHost judges an endpoint that is not a Service.
func (c *endpointCheck) ofHost() Finding {
	host, where := c.resolve(c.host), ""
	var to []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		to = []netip.Addr{ip}
	} else {
		where = " (as it resolves from here)"
		found := c.hosts[host]
		if found.err != nil || len(found.value) == 0 {
			why := cmp.Or(found.err, errors.New("no address"))
			if err := c.unreadService(host); err != nil {
				return c.finding(Warning, c.another(), "its Service could not be read (%v), and it does not resolve from here: %v", err, why)
			}
			return c.finding(Warning, c.another(), "it is not a Service, and does not resolve from here (it may resolve in the cluster): %v", why)
		}
		to = found.value
	}
	if status, err := c.mayCallAny(to); err != nil {
		return c.finding(status, c.allow(to), "%v%s", err, where)
	}
	if err := c.apiServer.err; err != nil {
		return c.finding(Skipped, "", "amp may call %s%s, unless it is the API server, whose address is unknown: %v", to[0], where, err)
	}
	return c.finding(OK, "", "amp may call %s%s", to[0], where)
}

// mayCallAny says why amp may not call the endpoint at these addresses, and how bad that is: if AMP_ENDPOINT_ALLOW is
// unknown, only what it never allows has failed.
func (c *endpointCheck) mayCallAny(to []netip.Addr) (Status, error) {
	if c.mayCall != nil {
		return Failed, c.allowed(c.mayCall, to)
	}
	if err := c.allowed(c.mayName, to); err != nil {
		return Failed, err
	}
	return Skipped, errors.New("whether amp may call it is unknown: AMP_ENDPOINT_ALLOW cannot be seen, or is bad")
}

// allowed asks a rule about each address, as amp tries one after the other. It returns nil if one may be called or there
// is none, otherwise the error of the first.
func (c *endpointCheck) allowed(may rule, to []netip.Addr) error {
	var first error
	for _, ip := range to {
		err := may(c.host, netip.AddrPortFrom(ip, uint16(c.port)))
		if err == nil {
			return nil
		}
		first = cmp.Or(first, err)
	}
	return first
}

// allowedByDefault is what amp may call without AMP_ENDPOINT_ALLOW, as a list: the variable replaces the default, so that a
// list with one host alone would refuse every other endpoint. No range opens a cloud's metadata service. No glob is in the
// list: it would open public addresses, and credentials go to hosts that a glob names.
func allowedByDefault() string {
	var ranges []string
	for _, p := range outbound.Private {
		ranges = append(ranges, p.String())
	}
	return strings.Join(ranges, " ")
}

// allow says how to let amp call the endpoint. To call itself, its node or the cloud's metadata no setting allows: then
// the remedy is another endpoint.
func (c *endpointCheck) allow(to []netip.Addr) string {
	switch {
	case c.mayCall == nil:
		return ""
	case c.allowed(c.mayName, to) != nil:
		return c.another()
	case c.pending != "":
		return c.pending + " changes AMP_ENDPOINT_ALLOW: see why it is not rolled out, under replicas"
	}
	list := cmp.Or(c.fix.allow, allowedByDefault()) + " " + c.host
	return c.another() + "\nor, if amp is to call it:\n" + c.fix.set("AMP_ENDPOINT_ALLOW="+Quoted(list))
}
