package callout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// apiServer is where the API server listens. amp calls it only if an entry has that very address and port. The zero value
// is an API server that amp does not know.
type apiServer struct {
	addrs []netip.AddrPort
	names []service // their addresses are looked up for each connection to the port
	more  func() []netip.AddrPort
}

// parseAPIServer reads addresses in the form host:port.
func parseAPIServer(hostPorts []string) (apiServer, error) {
	var a apiServer
	var errs []error
	for _, hostPort := range hostPorts {
		host, port, err := splitPort(hostPort)
		if err != nil || host == "" {
			errs = append(errs, fmt.Errorf("the API server's address %q is not host:port", hostPort))
			continue
		}
		if ip, err := netip.ParseAddr(host); err == nil {
			a.addrs = append(a.addrs, netip.AddrPortFrom(bare(ip), port))
		} else {
			a.names = append(a.names, service{fold(host), port})
		}
	}
	return a, errors.Join(errs...)
}

// at returns the API server's addresses that matter for a connection to port. In a cluster the API server is known by
// addresses. A kubeconfig may give a name; then the addresses are also those that the name has now. Without them no
// connection to that port can be judged, hence the error.
func (a *apiServer) at(ctx context.Context, resolver *net.Resolver, port uint16) ([]netip.AddrPort, error) {
	addrs := slices.Clip(a.addrs)
	if a.more != nil {
		addrs = append(addrs, a.more()...)
	}
	for _, s := range a.names {
		if s.port != port {
			continue
		}
		ips, err := resolver.LookupNetIP(ctx, "ip", s.host)
		if err != nil {
			return nil, err
		}
		for _, ip := range ips {
			addrs = append(addrs, netip.AddrPortFrom(bare(ip), port))
		}
	}
	return addrs, nil
}

// Allowed returns the check that a [Client] with the rules makes for each connection, for a program that wants to
// know the result beforehand. The check says why amp may not connect to an address to which the host of a URL
// resolves; nil means that it may. The API server listens at the addresses apiServers (ip:port).
func (r *Rules) Allowed(apiServers []string) (func(host string, to netip.AddrPort) error, error) {
	api, err := parseAPIServer(apiServers)
	if err != nil {
		return nil, err
	}
	return func(host string, to netip.AddrPort) error { return r.check(host, to, api.addrs) }, nil
}

// Allowed is [ParseRules] followed by [Rules.Allowed]. Its error names every bad entry and every bad address.
func Allowed(entries, apiServers []string) (func(host string, to netip.AddrPort) error, error) {
	r, errRules := ParseRules(entries...)
	check, errAPI := r.Allowed(apiServers)
	if err := errors.Join(errRules, errAPI); err != nil {
		return nil, err
	}
	return check, nil
}

// refused is the error of an address that amp may not call. Its text is what the user sees.
type refused struct {
	text  string
	class string // of the address, if that is why
}

func (r refused) Error() string { return r.text }

// OnLoopback reports whether err, of [Client.Call], says that the endpoint was not called because it is on loopback.
func OnLoopback(err error) bool {
	var no refused
	return errors.As(err, &no) && no.class == loopback
}

// check returns why amp may not connect to an address to which host, as the URL has it, resolves; nil means that it
// may. It judges this address only, not the name's other addresses: a name server may answer differently each time.
// The API server is at the addresses api.
func (r *Rules) check(host string, to netip.AddrPort, api []netip.AddrPort) error {
	ip, port := bare(to.Addr()), to.Port()
	addr := netip.AddrPortFrom(ip, port)
	if slices.Contains(r.literals, addr) {
		return nil
	}
	inner := embedded(ip)
	if slices.Contains(api, addr) || slices.ContainsFunc(inner, func(ip netip.Addr) bool { return slices.Contains(api, netip.AddrPortFrom(ip, port)) }) {
		return refused{text: fmt.Sprintf("amp may not call %s (the API server); in AMP_ENDPOINT_ALLOW only an entry with this address and port opens it", addr)}
	}

	class, never := classify(ip)
	// A translator on the way connects to the IPv4 address inside, so that one is judged too.
	for _, in := range inner {
		if c, n := classify(in); n && !r.listed(in, port) {
			return refusal(ip, c+" "+in.String()+" inside")
		}
	}
	switch {
	case r.Default():
		if class == private && !never {
			return nil
		}
	case r.listed(ip, port), !never && r.named(host, port):
		return nil
	case !never:
		class = cmp.Or(class, public) + ", not listed"
	}
	return refusal(ip, cmp.Or(class, public))
}

func refusal(ip netip.Addr, class string) error {
	return refused{fmt.Sprintf("amp may not call %s (%s); AMP_ENDPOINT_ALLOW lists what it may call", ip, class), class}
}
