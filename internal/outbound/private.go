package outbound

import "net/netip"

var shared = netip.MustParsePrefix("100.64.0.0/10")

// IsPrivate reports whether an address is private (RFC 1918, RFC 4193, RFC 6598) or this machine's own: what is sent there
// stays in the operator's network.
func IsPrivate(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsPrivate() || ip.IsLoopback() || shared.Contains(ip.WithZone(""))
}
