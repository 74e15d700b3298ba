package callout

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/txn2/amp/internal/review"
)

// Rules say where amp may call, as the operator lists it (AMP_ENDPOINT_ALLOW). The zero value allows private
// addresses only. A Namespace names the endpoint, and amp trusts those who may change a Namespace less than itself:
// amp is inside the cluster's network, so that without rules the endpoint's URL would be a way to the cloud's metadata
// service, to the node or to the API server.
type Rules struct {
	entries []string // as they were written

	names    review.Globs     // hosts on any port
	services []service        // hosts on one port
	ranges   []netip.Prefix   // addresses on any port
	literals []netip.AddrPort // addresses that an entry names one by one; port 0: any
}

// service is a host on one port. The host of an operator's entry is a glob.
type service struct {
	host string
	port uint16
}

// AllowedEntries says what an entry of AMP_ENDPOINT_ALLOW may be, for the messages about a bad one.
const AllowedEntries = `allowed are host globs (*.svc), host:port, addresses and CIDRs (10.0.0.0/8)`

// ParseRules reads the entries of AMP_ENDPOINT_ALLOW: host globs, host:port, addresses and CIDRs. It ignores blank
// entries; without any other the rules are the default. The error names each bad entry, one a line. If one of the entries
// may be a URL, the error gives positions instead: the list may have been cut within a password.
func ParseRules(entries ...string) (Rules, error) {
	var r Rules
	var errs []error
	hide := slices.ContainsFunc(entries, review.MayHoldURL)
	for i, entry := range entries {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		if err := r.add(entry); err != nil {
			name := strconv.Quote(entry)
			if hide {
				name = fmt.Sprintf("entry %d of %d", i+1, len(entries))
				if !strings.Contains(entry, "://") {
					err = errors.New("is none of these")
				}
			}
			errs = append(errs, fmt.Errorf("AMP_ENDPOINT_ALLOW: %s %w; %s", name, err, AllowedEntries))
			continue
		}
		r.entries = append(r.entries, entry)
	}
	if err := errors.Join(errs...); err != nil {
		return Rules{}, err
	}
	return r, nil
}

// String returns the entries, separated by spaces; it is empty for the default rules.
func (r *Rules) String() string { return strings.Join(r.entries, " ") }

// Default reports whether the rules are the default, which allows private addresses only.
func (r *Rules) Default() bool { return len(r.entries) == 0 }

// add reads one entry. An error says what is wrong with it.
func (r *Rules) add(entry string) error {
	if strings.Contains(entry, "://") {
		return errors.New("is a URL")
	}
	if strings.Contains(entry, "/") {
		prefix, err := netip.ParsePrefix(entry)
		if err != nil {
			return errors.New("is not a valid CIDR")
		}
		if ip := prefix.Addr(); ip.Is4In6() {
			// Addresses are compared after they are unmapped: the range as it is written would contain none.
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

func (r *Rules) addLiteral(ip netip.Addr, port uint16) error {
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
		return "", 0, errors.New("is not host:port")
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("has a bad port %q (1 to 65535)", digits)
	}
	return host, uint16(n), nil
}

// checkGlob returns an error for a glob that can match no host name, so that a typing mistake does not pass as a rule.
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
	labels := strings.Split(host, ".")
	if slices.Contains(labels, "") {
		return errors.New("has an empty part between its dots")
	}
	// No top-level domain is a number. 10.0.0.256, 127.1 and 0x7f000001 were meant as addresses, and 10.* as a range.
	last := labels[len(labels)-1]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || isDigits(last) || strings.HasPrefix(last, "0x") {
		return errors.New("is neither an address nor a name")
	}
	parts := strings.FieldsFunc(host, func(c rune) bool { return c == '.' || c == '*' })
	if host != "*" && !slices.ContainsFunc(parts, func(part string) bool { return hasLetter(part) && !strings.HasPrefix(part, "0x") }) {
		return errors.New("has no letter, so it is no name; write a range of addresses as a CIDR")
	}
	return nil
}

func hasLetter(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return 'a' <= c && c <= 'z' })
}

// isDigits reports whether all of s is digits.
func isDigits(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < '0' || c > '9' })
}

// fold writes a host in the one form in which hosts are compared.
func fold(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// trusts reports whether an entry names this host, which is the condition for credentials: an entry with a range of
// addresses does not say who uses them.
func (r *Rules) trusts(host string, port uint16) bool {
	if ip, err := netip.ParseAddr(host); err == nil && r.literal(bare(ip), port) {
		return true
	}
	return r.named(host, port)
}

// trustsNone reports whether no entry names a host.
func (r *Rules) trustsNone() bool { return len(r.names)+len(r.services)+len(r.literals) == 0 }

// trustsAll reports whether an entry names every host: only the glob * matches this text.
func (r *Rules) trustsAll() bool { return r.names.Match("\x00") }

// named reports whether a glob matches this host. An IP address in a URL is a host too.
func (r *Rules) named(host string, port uint16) bool {
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

func (r *Rules) literal(ip netip.Addr, port uint16) bool {
	for _, l := range r.literals {
		if l.Addr() == ip && (l.Port() == 0 || l.Port() == port) {
			return true
		}
	}
	return false
}

// listed reports whether an entry lists the address itself. That allows any address, whatever its class; a cloud's metadata
// address must be listed by itself, not by a range around it.
func (r *Rules) listed(ip netip.Addr, port uint16) bool {
	return r.literal(ip, port) || !isMetadata(ip) && slices.ContainsFunc(r.ranges, func(p netip.Prefix) bool { return p.Contains(ip) })
}
