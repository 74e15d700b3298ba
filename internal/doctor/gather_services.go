package doctor

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// backend reads a Service and its EndpointSlices, and withPods also the labels of its Pods.
func (c *cluster) backend(ctx context.Context, name types.NamespacedName, withPods bool) *backend {
	b := new(backend)
	if b.service.value, b.service.err = ask[corev1.Service](ctx, c, c.request(http.MethodGet, corev1.SchemeGroupVersion, name.Namespace, "services").Name(name.Name)); b.service.err != nil {
		return b
	}
	service := b.service.value
	if service.Spec.Type != corev1.ServiceTypeExternalName {
		list, err := ask[discoveryv1.EndpointSliceList](ctx, c, c.request(http.MethodGet, discoveryv1.SchemeGroupVersion, name.Namespace, "endpointslices").
			Param("labelSelector", discoveryv1.LabelServiceName+"="+name.Name))
		if b.slices.err = err; err == nil {
			b.slices.value = list.Items
		}
	}
	if want := podSelector(service); withPods && len(want) > 0 {
		b.labels.value, b.labels.err = c.podLabels(ctx, name.Namespace, want)
	}
	return b
}

// sink is the Service that a sink's URL leads to, nil if the URL names none for certain.
func (c *cluster) sink(ctx context.Context, ampNamespace string, u *url.URL) *backend {
	if u == nil {
		return nil
	}
	d := destinations{ampNamespace: ampNamespace, services: map[types.NamespacedName]*backend{}}
	c.gatherServices(ctx, &d, []string{u.Hostname()}, nil)
	return d.service(u.Hostname())
}

// gone are the Services of targets that do not exist. One that may not be read is not gone.
func (c *cluster) gone(ctx context.Context, targets []target) map[types.NamespacedName]bool {
	missing := make([]bool, len(targets))
	each(targets, func(i int, t target) {
		if t.service.Name != "" {
			missing[i] = apierrors.IsNotFound(c.backend(ctx, t.service, false).service.err)
		}
	})
	all := map[types.NamespacedName]bool{}
	for i, t := range targets {
		if missing[i] {
			all[t.service] = true
		}
	}
	return all
}

// podSelector selects the Pods behind a Service. It is empty if they are unknown. A Knative Service's Service is an
// alias of the ingress and has no selector.
func podSelector(s *corev1.Service) map[string]string {
	if s.Spec.Type != corev1.ServiceTypeExternalName {
		return s.Spec.Selector
	}
	for _, owner := range s.OwnerReferences {
		if strings.HasPrefix(owner.APIVersion, "serving.knative.dev/") {
			return map[string]string{"serving.knative.dev/service": s.Name}
		}
	}
	return nil
}

// podLabels are the labels of the Pods that a Service selects or, if none runs now, of those that would be created.
func (c *cluster) podLabels(ctx context.Context, namespace string, want map[string]string) ([]labels.Set, error) {
	pods, err := c.pods(ctx, namespace, want)
	if err != nil {
		return nil, err
	}
	var all []labels.Set
	for _, pod := range pods {
		all = append(all, pod.Labels)
	}
	if len(all) > 0 {
		return all, nil
	}
	list, err := ask[appsv1.DeploymentList](ctx, c, c.request(http.MethodGet, appsv1.SchemeGroupVersion, namespace, "deployments"))
	if err != nil {
		return nil, err
	}
	for _, d := range withPodLabels(list.Items, want) {
		all = append(all, d.Spec.Template.Labels)
	}
	if len(all) == 0 {
		all = append(all, want) // any Pod of the Service has these
	}
	return all, nil
}

// destinations looks up what the endpoints of the namespaces lead to. ampNamespace is where a name without dots is
// looked for.
func (c *cluster) destinations(ctx context.Context, ampNamespace string, all []*namespace) destinations {
	d := destinations{ampNamespace: ampNamespace, services: map[types.NamespacedName]*backend{}, hosts: map[string]seen[[]netip.Addr]{}}
	own := map[types.NamespacedName]bool{} // Services that are endpoints of their own namespace
	var hosts []string
	for _, n := range all {
		called := slices.Concat(n.policy.Mutate, n.policy.Validate)
		if n.policy.Candidate != nil {
			called = append(called, *n.policy.Candidate)
		}
		for _, e := range called {
			host := e.URL.Hostname()
			hosts = append(hosts, host)
			if name, _, ok := serviceOf(host, ampNamespace); ok && name.Namespace == n.name {
				own[name] = true
			}
		}
	}
	c.gatherServices(ctx, &d, hosts, own)

	var names []string
	for _, host := range hosts {
		host = d.resolve(host)
		if _, err := netip.ParseAddr(host); err != nil && d.service(host) == nil && !slices.Contains(names, host) {
			names = append(names, host)
		}
	}
	found := make([]seen[[]netip.Addr], len(names))
	each(names, func(i int, host string) {
		ctx, cancel := context.WithTimeout(ctx, min(c.timeout, resolveTimeout))
		defer cancel()
		found[i].value, found[i].err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	})
	for i, host := range names {
		d.hosts[host] = found[i]
	}
	return d
}

// resolveTimeout is the time for a lookup in DNS. A whole review has less.
const resolveTimeout = 3 * time.Second

// gatherServices reads the Services that the hosts name, and then those for which they are aliases.
func (c *cluster) gatherServices(ctx context.Context, d *destinations, hosts []string, own map[types.NamespacedName]bool) {
	for round := 0; round < maxAliases && len(hosts) > 0; round++ {
		var names []types.NamespacedName
		for _, host := range hosts {
			if name, _, ok := serviceOf(host, d.ampNamespace); ok && d.services[name] == nil && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		found := make([]*backend, len(names))
		each(names, func(i int, name types.NamespacedName) { found[i] = c.backend(ctx, name, own[name]) })
		hosts = nil
		for i, name := range names {
			d.services[name] = found[i]
			if s := found[i].service.value; s != nil && s.Spec.Type == corev1.ServiceTypeExternalName {
				hosts = append(hosts, s.Spec.ExternalName)
			}
		}
	}
}

// apiServer are the addresses, as ip:port, at which Pods reach the API server: the Service kubernetes.
func (c *cluster) apiServer(ctx context.Context) seen[[]string] {
	b := c.backend(ctx, types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}, false)
	if b.service.err != nil {
		return seen[[]string]{err: b.service.err}
	}
	var all []string
	for _, ip := range b.addresses() {
		for _, p := range b.service.value.Spec.Ports {
			all = append(all, net.JoinHostPort(ip.String(), strconv.Itoa(int(p.Port))))
		}
	}
	return seen[[]string]{value: all}
}
