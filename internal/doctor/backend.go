package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// backend is a Service and what is behind it. The zero value stands for no Service that was looked for.
type backend struct {
	service seen[*corev1.Service]
	slices  seen[[]discoveryv1.EndpointSlice]
	labels  seen[[]labels.Set] // of the Pods, if they were asked for
}

// port is the Service's TCP port with this number, nil if it has none.
func (b *backend) port(n int32) *corev1.ServicePort {
	for i, p := range b.service.value.Spec.Ports {
		if p.Port == n && (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP) {
			return &b.service.value.Spec.Ports[i]
		}
	}
	return nil
}

// ports says in words which ports the Service has.
func (b *backend) ports() string {
	var all []string
	for _, p := range b.service.value.Spec.Ports {
		all = append(all, fmt.Sprint(p.Port))
	}
	if len(all) == 0 {
		return "no port"
	}
	return "port " + strings.Join(all, ", ")
}

func (b *backend) headless() bool { return b.service.value.Spec.ClusterIP == corev1.ClusterIPNone }

// addresses are the Service's own, none if it is headless.
func (b *backend) addresses() []netip.Addr {
	var all []netip.Addr
	for _, text := range b.service.value.Spec.ClusterIPs {
		if ip, err := netip.ParseAddr(text); err == nil { // not "None"
			all = append(all, ip)
		}
	}
	return all
}

// any reports whether there is anything behind the Service, be it ready or not.
func (b *backend) any() bool {
	return slices.ContainsFunc(b.slices.value, func(s discoveryv1.EndpointSlice) bool { return len(s.Endpoints) > 0 })
}

// replica is where a connection to a Service ends.
type replica struct {
	pod     string // empty if it is not a Pod
	address string
	port    int32
}

// ready are the replicas behind a port of the Service that take connections, each Pod once.
func (b *backend) ready(port int32) []replica {
	var all []replica
	p := b.port(port)
	if b.headless() {
		p = nil
	}
	for _, slice := range b.slices.value {
		number := port // a headless Service does not translate ports
		for _, sp := range slice.Ports {
			if p != nil && sp.Port != nil && sp.Name != nil && *sp.Name == p.Name {
				number = *sp.Port
			}
		}
		if !slices.ContainsFunc(slice.Ports, func(sp discoveryv1.EndpointPort) bool { return sp.Port == nil || *sp.Port == number }) {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready || len(e.Addresses) == 0 {
				continue
			}
			to := replica{address: e.Addresses[0], port: number}
			if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
				to.pod = e.TargetRef.Name
			}
			if to.pod != "" && slices.ContainsFunc(all, func(other replica) bool { return other.pod == to.pod }) {
				continue // by its address of the other IP family
			}
			all = append(all, to)
		}
	}
	return all
}
