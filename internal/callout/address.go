package callout

import "net/netip"

const (
	private = "private"
	public  = "public"
)

// classes are the addresses that are not ordinary public ones. The first match counts. A host glob does not allow an
// address of a class marked never: only an entry with the address itself, or with a range around it, does.
var classes = []struct {
	name   string
	never  bool
	ranges []netip.Prefix
}{
	// 100.100.100.200 is Alibaba's, fd00:ec2::254 Amazon's, fd20:ce::254 Google's. The others are
	// link-local (169.254.169.254, and Amazon's 169.254.170.2).
	{"cloud metadata", true, prefixes("100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128")},
	{"loopback", true, prefixes("127.0.0.0/8", "::1/128")},
	{"link-local", true, prefixes("169.254.0.0/16", "fe80::/10")},
	{"multicast", true, prefixes("224.0.0.0/4", "ff00::/8")},
	{"broadcast", true, prefixes("255.255.255.255/32")},
	// On Linux a connection to 0.0.0.0 or :: goes to the host itself. The rest of 0.0.0.0/8 is "this network" too
	// (RFC 791).
	{"unspecified", true, prefixes("0.0.0.0/8", "::/128")},
	// RFC 1918, RFC 6598, RFC 4193.
	{private, false, prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")},
}

func prefixes(ranges ...string) []netip.Prefix {
	ps := make([]netip.Prefix, len(ranges))
	for i, r := range ranges {
		ps[i] = netip.MustParsePrefix(r)
	}
	return ps
}

// classify returns the class of an address, empty for an ordinary public one, and whether no name may reach it.
func classify(ip netip.Addr) (class string, never bool) {
	for _, c := range classes {
		for _, p := range c.ranges {
			if p.Contains(ip) {
				return c.name, c.never
			}
		}
	}
	return "", false
}

// bare is the address that a connection really goes to: ::ffff:10.0.0.1 is 10.0.0.1, and a zone only says over which
// interface.
func bare(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixToFour  = netip.MustParsePrefix("2002::/16")    // RFC 3056
	compatible = netip.MustParsePrefix("::/96")        // RFC 4291, 2.5.5.1
)

// embedded returns the IPv4 address to which a translator or a tunnel sends what is meant for an IPv6 address.
func embedded(ip netip.Addr) (inner netip.Addr, ok bool) {
	if !ip.Is6() {
		return netip.Addr{}, false
	}
	b := ip.As16()
	switch {
	case nat64.Contains(ip), compatible.Contains(ip) && ip != netip.IPv6Unspecified() && ip != netip.IPv6Loopback():
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}
