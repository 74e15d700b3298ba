package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/txn2/amp/internal/apiserver"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/namespaces/cluster"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/proxy"
)

// namespaceSource is where Namespaces come from: a file or the cluster.
type namespaceSource struct {
	policies  proxy.Policies
	notReady  func() error // why no Namespace could be read; nil: one could
	apiServer []string     // host:port, where endpoints must not be; empty if there is no cluster
	// apiServers returns further such addresses; nil if there is no cluster.
	apiServers func() []netip.AddrPort
	watch      func(ctx context.Context) // follows the cluster until ctx ends
	name       string                    // for the log
}

// openNamespaces reads the file of Namespaces, or returns a source that is to watch the cluster's. With an error, it returns a
// source of nothing.
func openNamespaces(config *Config, log *slog.Logger) (*namespaceSource, error) {
	if config.NamespacesFile != "" {
		file, err := namespaces.OpenFile(config.NamespacesFile, log)
		if err != nil {
			return &namespaceSource{}, fmt.Errorf("AMP_NAMESPACES_FILE: %w", err)
		}
		return &namespaceSource{policies: file, notReady: func() error { return nil }, watch: func(context.Context) {}, name: config.NamespacesFile}, nil
	}
	rest, err := cluster.Config(config.Kubeconfig, outbound.UserAgent(Version()))
	if err != nil {
		return &namespaceSource{}, err
	}
	watched, err := cluster.New(rest)
	if err != nil {
		return &namespaceSource{}, err
	}
	servers, err := apiserver.New(rest, log)
	if err != nil {
		return &namespaceSource{}, err
	}
	watch := func(ctx context.Context) {
		go servers.Run(ctx)
		watched.Run(ctx)
	}
	return &namespaceSource{policies: watched, notReady: watched.NotReady, apiServer: hostPort(rest.Host), apiServers: servers.Current, watch: watch, name: "cluster"}, nil
}

// hostPort returns where the server at the URL host listens. In a Pod that is the ClusterIP of the Service kubernetes:
// client-go takes it from there.
func hostPort(host string) []string {
	u, err := url.Parse(host)
	if err != nil || u.Host == "" {
		return nil
	}
	return []string{net.JoinHostPort(u.Hostname(), strconv.Itoa(int(outbound.Port(u))))}
}
