package doctor

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/txn2/amp/internal/callout"
)

// destinations are what the endpoints of the namespaces lead to: Services, and addresses of other hosts.
type destinations struct {
	ampNamespace string // in which a name without dots is looked for
	services     map[types.NamespacedName]*backend
	hosts        map[string]seen[[]netip.Addr] // as they resolve where the doctor runs
	apiServer    seen[[]string]                // ip:port
	// mayCall is amp's rule about addresses as it is configured, nil if AMP_ENDPOINT_ALLOW is unknown. mayName is the
	// rule if AMP_ENDPOINT_ALLOW named every host: what it forbids, no setting allows.
	mayCall, mayName rule
}

// rule says why amp may not connect to an address that the host of a URL has resolved to.
type rule func(host string, to netip.AddrPort) error

// setRules makes the rules of the settings and apiServer, whose addresses have been parsed: they cannot be bad.
func (d *destinations) setRules(s *settings) {
	d.mayName, _ = callout.Allowed([]string{"*"}, d.apiServer.value)
	if s.doubt("AMP_ENDPOINT_ALLOW") == "" {
		d.mayCall, _ = s.config.EndpointAllow.Allowed(d.apiServer.value)
	}
}

// serviceOf is the Service that a host names. It is certain if the host says so (name.namespace.svc). It is not if the
// host can also be a name outside the cluster (hook.example), or in a cluster with another domain.
func serviceOf(host, ampNamespace string) (name types.NamespacedName, certain, ok bool) {
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

// maxAliases is how long a chain of ExternalNames is followed. Knative's has one.
const maxAliases = 4

// resolve follows the ExternalNames from host to the last name of the chain.
func (d *destinations) resolve(host string) string {
	for range maxAliases {
		name, _, ok := serviceOf(host, d.ampNamespace)
		b := d.services[name]
		if !ok || b == nil || b.service.err != nil || b.service.value.Spec.Type != corev1.ServiceTypeExternalName {
			break
		}
		host = b.service.value.Spec.ExternalName
	}
	return host
}

// service is the Service that a host leads to. It is nil if the host names none, and also if it is not certain that
// the host names one and none could be read.
func (d *destinations) service(host string) *backend {
	name, certain, ok := serviceOf(d.resolve(host), d.ampNamespace)
	b := d.services[name]
	if !ok || b == nil || b.service.err != nil && !certain {
		return nil
	}
	if b.service.err == nil && b.service.value.Spec.Type == corev1.ServiceTypeExternalName {
		return nil // the chain is too long
	}
	return b
}

// unreadService is why it is unknown whether a host names a Service, nil if it is known.
func (d *destinations) unreadService(host string) error {
	name, _, ok := serviceOf(host, d.ampNamespace)
	b := d.services[name]
	if !ok || b == nil || apierrors.IsNotFound(b.service.err) {
		return nil
	}
	return b.service.err
}
