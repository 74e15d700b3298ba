package callout

import (
	"net/netip"

	"github.com/txn2/amp/internal/outbound"
)

const (
	loopback = "loopback"
	private  = "private"
	public   = "public"
)

// classes are the addresses that are not ordinary public ones, apart from [metadata]. The first match counts. A host glob
// does not allow an address of a class marked never: only an entry with the address itself, or with a range around it, does.
var classes = []struct {
	name   string
	never  bool
	ranges []netip.Prefix
}{
	{loopback, true, prefixes("127.0.0.0/8", "::1/128")},
	{"link-local", true, prefixes("169.254.0.0/16", "fe80::/10")},
	{"multicast", true, prefixes("224.0.0.0/4", "ff00::/8")},
	{"broadcast", true, prefixes("255.255.255.255/32")},
	// On Linux a connection to 0.0.0.0 or :: goes to the host itself. The rest of 0.0.0.0/8 is "this network" too
	// (RFC 791).
	{"unspecified", true, prefixes("0.0.0.0/8", "::/128")},
	{private, false, outbound.Private},
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
	if isMetadata(ip) {
		return "cloud metadata", true
	}
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
	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215
	sixToFour  = netip.MustParsePrefix("2002::/16")      // RFC 3056
	teredo     = netip.MustParsePrefix("2001::/32")      // RFC 4380
	compatible = netip.MustParsePrefix("::/96")          // RFC 4291, 2.5.5.1
)

// embedded returns the IPv4 addresses to which a translator or a tunnel may send what is meant for an IPv6 address; there
// are none for most. A NAT64 prefix that a network chose for itself cannot be recognized, and it may be a private one. Most
// have the IPv4 address at the end (RFC 6052, 3.3), and a metadata address does not stand there by chance.
func embedded(ip netip.Addr) []netip.Addr {
	if !ip.Is6() {
		return nil
	}
	b := ip.As16()
	v4 := func(at ...int) netip.Addr { return netip.AddrFrom4([4]byte{b[at[0]], b[at[1]], b[at[2]], b[at[3]]}) }
	switch {
	case nat64.Contains(ip), compatible.Contains(ip) && ip != netip.IPv6Unspecified() && ip != netip.IPv6Loopback():
		return []netip.Addr{v4(12, 13, 14, 15)}
	case localNAT64.Contains(ip):
		// The network chooses the length of the prefix, and so the place (RFC 6052, 2.2). A place that begins with 0 is
		// a part of the prefix.
		var all []netip.Addr
		for _, a := range []netip.Addr{v4(12, 13, 14, 15), v4(9, 10, 11, 12), v4(7, 9, 10, 11), v4(6, 7, 9, 10)} {
			if a.As4()[0] != 0 {
				all = append(all, a)
			}
		}
		return all
	case sixToFour.Contains(ip):
		return []netip.Addr{v4(2, 3, 4, 5)}
	case teredo.Contains(ip): // the tunnel's server, and the client with its bits inverted
		for i := 12; i < 16; i++ {
			b[i] = ^b[i]
		}
		return []netip.Addr{v4(12, 13, 14, 15), v4(4, 5, 6, 7)}
	case isMetadata(v4(12, 13, 14, 15)) && !isMetadata(ip):
		return []netip.Addr{v4(12, 13, 14, 15)}
	}
	return nil
}
