package outbound

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// Private are the private ranges (RFC 1918, RFC 6598, RFC 4193).
var Private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("fc00::/7"),
}

// IsPrivate reports whether an address is in a private range or this machine's own: what is sent there stays in the
// operator's network.
func IsPrivate(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsLoopback() || slices.ContainsFunc(Private, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// PrivateOnly returns a Control of a net.Dialer that keeps in the operator's network what would be sent in clear text, such as a
// token. It checks the address of the socket, after the name was looked up. text is the error for another address.
func PrivateOnly(text string) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err == nil && !IsPrivate(to.Addr()) {
			err = errors.New(text)
		}
		return err
	}
}
