package callout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/txn2/amp/internal/review"
)

// rules say where amp may call. A Namespace names the endpoint, and who may write to a Namespace is trusted
// less than amp, which sits inside the cluster's network: without rules its URL would be a way to the cloud's
// metadata service, the node or the API server.
type rules struct {
	// private is the default: private addresses, and the rest of the fields are empty.
	private bool

	names    review.Globs     // hosts on any port
	services []service        // hosts on one port
	ranges   []netip.Prefix   // addresses on any port
	literals []netip.AddrPort // addresses that an entry names one by one; port 0: any

	// The API server's addresses, refused whatever else is listed.
	apiAddrs []netip.AddrPort
	apiNames []service // whose addresses are looked up when they matter
}

// service is a host on one port. Its host is a glob where it is the operator's.
type service struct {
	host string
	port uint16
}

// allowed says what an entry of AMP_ENDPOINT_ALLOW may be, for the messages about one that is not.
const allowed = `allowed are host globs (*.svc), host:port, addresses and CIDRs (10.0.0.0/8)`

func newRules(entries, apiServers []string) (*rules, error) {
	r := &rules{}
	var errs []error
	for _, entry := range entries {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		if err := r.add(entry); err != nil {
			errs = append(errs, fmt.Errorf("AMP_ENDPOINT_ALLOW: %q %w; %s", entry, err, allowed))
		}
	}
	for _, server := range apiServers {
		host, port, err := splitPort(server)
		if err != nil || host == "" {
			errs = append(errs, fmt.Errorf("the API server's address %q is not host:port", server))
			continue
		}
		if ip, err := netip.ParseAddr(host); err == nil {
			r.apiAddrs = append(r.apiAddrs, netip.AddrPortFrom(bare(ip), port))
		} else {
			r.apiNames = append(r.apiNames, service{fold(host), port})
		}
	}
	r.private = len(r.names)+len(r.services)+len(r.ranges)+len(r.literals) == 0
	return r, errors.Join(errs...)
}

// Allowed returns what tells why amp, configured with these entries of AMP_ENDPOINT_ALLOW, may not connect to
// an address that the host of a URL has resolved to; nil means that it may. It is for whoever wants to know
// beforehand: a [Client] asks at each connection. The API server listens at the addresses apiServers (ip:port).
func Allowed(entries, apiServers []string) (func(host string, to netip.AddrPort) error, error) {
	r, err := newRules(entries, apiServers)
	if err != nil {
		return nil, err
	}
	return func(host string, to netip.AddrPort) error { return r.check(host, to, r.apiAddrs) }, nil
}

// add takes in one entry. An error says what is wrong with it.
func (r *rules) add(entry string) error {
	if strings.Contains(entry, "://") {
		return errors.New("is a URL")
	}
	if strings.Contains(entry, "/") {
		prefix, err := netip.ParsePrefix(entry)
		if err != nil {
			return errors.New("is no CIDR")
		}
		if ip := prefix.Addr(); ip.Is4In6() {
			// Addresses are unmapped before they are compared: as it stands, the range would hold none.
			if prefix.Bits() < 96 {
				return errors.New("is a CIDR around IPv4-mapped addresses; write it as IPv4")
			}
			prefix = netip.PrefixFrom(ip.Unmap(), prefix.Bits()-96)
		}
		r.ranges = append(r.ranges, prefix.Masked())
		return nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		return r.addLiteral(ip, 0)
	}
	if !strings.Contains(entry, ":") {
		if err := checkGlob(entry); err != nil {
			return err
		}
		r.names = append(r.names, fold(entry))
		return nil
	}
	host, port, err := splitPort(entry)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return r.addLiteral(ip, port)
	}
	if err := checkGlob(host); err != nil {
		return err
	}
	r.services = append(r.services, service{fold(host), port})
	return nil
}

func (r *rules) addLiteral(ip netip.Addr, port uint16) error {
	if ip.Zone() != "" {
		return errors.New("is an address with a zone")
	}
	r.literals = append(r.literals, netip.AddrPortFrom(ip.Unmap(), port))
	return nil
}

// splitPort is net.SplitHostPort with a port that is a number and not 0.
func splitPort(s string) (host string, port uint16, err error) {
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, errors.New("is no host:port")
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("has a bad port %q (1 to 65535)", digits)
	}
	return host, uint16(n), nil
}

// checkGlob rejects what can match no host name, so that a slip of the pen does not read as a rule.
func checkGlob(glob string) error {
	host := fold(glob)
	if host == "" {
		return errors.New("has no host")
	}
	for _, c := range host {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.ContainsRune("-._*", c):
		case c > 0x7e:
			return fmt.Errorf("has the character %q in its host; write the name as DNS has it (xn--…)", c)
		default:
			return fmt.Errorf("has the character %q in its host", c)
		}
	}
	// No top-level domain is a number: 10.0.0.256 or 127.1 were meant as addresses.
	if _, err := strconv.Atoi(host[strings.LastIndexByte(host, '.')+1:]); err == nil {
		return errors.New("is neither an address nor a name")
	}
	return nil
}

// fold writes a host the one way in which hosts are compared.
func fold(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// bare is the address that a connection goes to: ::ffff:10.0.0.1 is 10.0.0.1, and the zone only says over
// which interface.
func bare(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }

// trusts reports whether an entry names this host, which is what credentials need: who lists a range of
// addresses has not said who is there.
func (r *rules) trusts(host string, port uint16) bool {
	if ip, err := netip.ParseAddr(host); err == nil && r.literal(bare(ip), port) {
		return true
	}
	return r.named(host, port)
}

// named reports whether a glob matches this host. An IP address in a URL is a host like any other.
func (r *rules) named(host string, port uint16) bool {
	host = fold(host)
	if r.names.Match(host) {
		return true
	}
	for _, s := range r.services {
		if s.port == port && (review.Globs{s.host}).Match(host) {
			return true
		}
	}
	return false
}

func (r *rules) literal(ip netip.Addr, port uint16) bool {
	for _, l := range r.literals {
		if l.Addr() == ip && (l.Port() == 0 || l.Port() == port) {
			return true
		}
	}
	return false
}

// listed reports whether the address itself is listed, which holds for any address there is.
func (r *rules) listed(ip netip.Addr, port uint16) bool {
	return r.literal(ip, port) || slices.ContainsFunc(r.ranges, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// api returns the API server's addresses that matter for a connection to port. In a cluster the API server
// is an address; a kubeconfig may give a name, and then its addresses are those of the moment. Without them
// nothing on that port can be judged, hence the error.
func (r *rules) api(ctx context.Context, resolver *net.Resolver, port uint16) ([]netip.AddrPort, error) {
	addrs := r.apiAddrs
	for _, s := range r.apiNames {
		if s.port != port {
			continue
		}
		ips, err := resolver.LookupNetIP(ctx, "ip", s.host)
		if err != nil {
			return nil, err
		}
		addrs = slices.Clip(addrs)
		for _, ip := range ips {
			addrs = append(addrs, netip.AddrPortFrom(bare(ip), port))
		}
	}
	return addrs, nil
}

// refused is the error of an address that amp may not call. Its text is what the user sees.
type refused string

func (r refused) Error() string { return string(r) }

// check reports why amp may not connect to the address that host, as the URL has it, has resolved to; nil
// means that it may. It asks only about the address, never about the name's other ones: who answers for a
// name may answer differently each time. The API server is at the addresses api.
func (r *rules) check(host string, to netip.AddrPort, api []netip.AddrPort) error {
	ip, port := bare(to.Addr()), to.Port()
	addr := netip.AddrPortFrom(ip, port)
	inner, translated := embedded(ip)
	if slices.Contains(api, addr) || translated && slices.Contains(api, netip.AddrPortFrom(inner, port)) {
		return refused(fmt.Sprintf("amp may not call %s (the API server), whatever AMP_ENDPOINT_ALLOW lists", addr))
	}

	class, never := classify(ip)
	if translated {
		// A translator on the way makes it the IPv4 address inside, which is judged as well.
		if c, n := classify(inner); n && !r.listed(inner, port) {
			return refusal(ip, c+" "+inner.String()+" inside")
		}
	}
	switch {
	case r.private:
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
	return refused(fmt.Sprintf("amp may not call %s (%s); AMP_ENDPOINT_ALLOW lists what it may call", ip, class))
}

const (
	private = "private"
	public  = "public"
)

// classes are the addresses that are not simply somebody's on the internet. The first match counts. Those
// marked never are out of a name's reach: only an entry with the address, or a range around it, allows them.
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
	// Linux connects 0.0.0.0 and :: to the host itself. The rest of 0.0.0.0/8 is "this network" too (RFC 791).
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

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixToFour  = netip.MustParsePrefix("2002::/16")    // RFC 3056
	compatible = netip.MustParsePrefix("::/96")        // RFC 4291, 2.5.5.1
)

// embedded returns the IPv4 address that a translator or a tunnel makes of an IPv6 address.
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
