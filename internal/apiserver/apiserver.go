// Package apiserver knows the addresses at which the API server listens, so that amp never calls it for a tenant. The
// Service kubernetes has one address. Behind it, each API server has one of its own, which the API servers themselves
// write into the EndpointSlice kubernetes.
package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// slice is the EndpointSlice that the API servers keep: kubernetes, pkg/controlplane/reconcilers/endpointsadapter.go.
const slice = "kubernetes"

// interval is how long the addresses can be old. They change when a control plane is resized or replaced.
const interval = 30 * time.Second

// Addresses are where the API servers listen. They are empty until Run has read them.
type Addresses struct {
	client  dynamic.ResourceInterface
	log     *slog.Logger
	current atomic.Pointer[[]netip.AddrPort]
}

// New returns the addresses of the cluster that config leads to. It makes no request: see Run.
func New(config *rest.Config, log *slog.Logger) (*Addresses, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for the cluster: %w", err)
	}
	resource := schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
	return &Addresses{client: client.Resource(resource).Namespace(metav1.NamespaceDefault), log: log}, nil
}

// Current returns the addresses that were read last.
func (a *Addresses) Current() []netip.AddrPort {
	if all := a.current.Load(); all != nil {
		return *all
	}
	return nil
}

// Run reads the addresses until ctx ends. If a read fails, the addresses stay as they were. It logs a failure once.
func (a *Addresses) Run(ctx context.Context) {
	var logged string
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		all, err := a.read(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			a.current.Store(&all)
			logged = ""
		case err.Error() != logged:
			logged = err.Error()
			a.log.WarnContext(ctx, "the API server's own addresses are not known; amp knows only the one that it uses itself, and calls the others if AMP_ENDPOINT_ALLOW allows them",
				"error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (a *Addresses) read(ctx context.Context) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, interval/2)
	defer cancel()
	u, err := a.client.Get(ctx, slice, metav1.GetOptions{})
	if apierrors.IsForbidden(err) {
		return nil, fmt.Errorf("reading EndpointSlice %s in namespace default: %w; deploy/base/rbac.yaml grants it", slice, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading EndpointSlice %s in namespace default: %w", slice, err)
	}
	text, err := json.Marshal(u.Object)
	if err != nil {
		return nil, err
	}
	return parse(text)
}

// parse returns each address of an EndpointSlice with each of its ports. An endpoint that is not ready counts, too.
func parse(text []byte) ([]netip.AddrPort, error) {
	var s struct {
		Endpoints []struct{ Addresses []string }
		Ports     []struct{ Port *int32 }
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("reading EndpointSlice %s in namespace default: %w", slice, err)
	}
	var all []netip.AddrPort
	for _, e := range s.Endpoints {
		for _, address := range e.Addresses {
			ip, err := netip.ParseAddr(address)
			if err != nil {
				continue // the API of an EndpointSlice allows names, but the API servers write addresses
			}
			for _, p := range s.Ports {
				if p.Port != nil {
					all = append(all, netip.AddrPortFrom(ip.Unmap(), uint16(*p.Port)))
				}
			}
		}
	}
	return all, nil
}
