package callout

import (
	"net/netip"
	"strings"
	"testing"
)

// call is one connection as the dialer asks about it: the host of the URL and what it resolved to.
func call(host, to string) [2]string { return [2]string{host, to} }

func TestCheck(t *testing.T) {
	const refer = "; AMP_ENDPOINT_ALLOW lists what it may call"
	tests := []struct {
		name  string
		allow string // separated by white space
		api   string
		yes   [][2]string
		no    map[[2]string]string // why: what stands in brackets after the address
	}{
		{
			name: "by default private addresses and no other",
			yes: [][2]string{
				call("ep.default.svc", "10.0.0.1:80"), call("ep", "172.16.0.1:1"), call("ep", "172.31.255.255:80"),
				call("ep", "192.168.1.1:80"), call("ep", "100.64.0.1:80"), call("ep", "100.127.255.254:80"),
				call("ep", "[fd12:3456::1]:80"), call("10.0.0.1", "10.0.0.1:80"), call("ep", "[::ffff:10.0.0.1]:80"),
			},
			no: map[[2]string]string{
				call("ep", "8.8.8.8:80"):                "8.8.8.8 (public)",
				call("ep", "172.32.0.1:80"):             "172.32.0.1 (public)",
				call("ep", "100.128.0.1:80"):            "100.128.0.1 (public)",
				call("ep", "[2606:4700::1]:80"):         "2606:4700::1 (public)",
				call("ep", "127.0.0.1:80"):              "127.0.0.1 (loopback)",
				call("ep", "127.9.9.9:80"):              "127.9.9.9 (loopback)",
				call("ep", "[::1]:80"):                  "::1 (loopback)",
				call("ep", "169.254.169.254:80"):        "169.254.169.254 (cloud metadata)",
				call("ep", "[fe80::1%eth0]:80"):         "fe80::1 (link-local)",
				call("ep", "224.0.0.1:80"):              "224.0.0.1 (multicast)",
				call("ep", "[ff02::1]:80"):              "ff02::1 (multicast)",
				call("ep", "255.255.255.255:80"):        "255.255.255.255 (broadcast)",
				call("ep", "0.0.0.0:80"):                "0.0.0.0 (unspecified)",
				call("ep", "[::]:80"):                   ":: (unspecified)",
				call("ep", "100.100.100.200:80"):        "100.100.100.200 (cloud metadata)",
				call("ep", "[fd00:ec2::254]:80"):        "fd00:ec2::254 (cloud metadata)",
				call("ep", "[fd20:ce::254]:80"):         "fd20:ce::254 (cloud metadata)",
				call("ep", "[::ffff:127.0.0.1]:80"):     "127.0.0.1 (loopback)",
				call("ep", "[::ffff:8.8.8.8]:80"):       "8.8.8.8 (public)",
				call("ep", "[64:ff9b::a9fe:a9fe]:80"):   "64:ff9b::a9fe:a9fe (cloud metadata 169.254.169.254 inside)",
				call("ep", "[64:ff9b::a00:1]:80"):       "64:ff9b::a00:1 (public)",
				call("ep", "[fd00:64::a9fe:a9fe]:80"):   "fd00:64::a9fe:a9fe (cloud metadata 169.254.169.254 inside)",
				call("ep", "[fd00::5efe:6464:64c8]:80"): "fd00::5efe:6464:64c8 (cloud metadata 100.100.100.200 inside)",
				call("ep", "[2002:7f00:1::]:80"):        "2002:7f00:1:: (loopback 127.0.0.1 inside)",
				call("ep", "[::127.0.0.1]:80"):          "::7f00:1 (loopback 127.0.0.1 inside)",
				call("localhost", "127.0.0.1:80"):       "127.0.0.1 (loopback)",
				call("rebound.example", "127.0.0.1:80"): "127.0.0.1 (loopback)",
			},
		},
		{
			name:  "a list replaces the default",
			allow: "ep.example",
			yes:   [][2]string{call("ep.example", "8.8.8.8:80"), call("EP.Example.", "10.0.0.1:9")},
			no: map[[2]string]string{
				call("other.example", "10.0.0.1:80"): "10.0.0.1 (private, not listed)",
				call("10.0.0.1", "10.0.0.1:80"):      "10.0.0.1 (private, not listed)",
				call("other.example", "8.8.8.8:80"):  "8.8.8.8 (public, not listed)",
			},
		},
		{
			name:  "a name allows the name only",
			allow: "localhost *.svc METADATA.google.internal * host:8080",
			yes:   [][2]string{call("a.b.svc", "10.0.0.1:80"), call("any", "8.8.8.8:80"), call("8.8.8.8", "8.8.8.8:443")},
			no: map[[2]string]string{
				call("localhost", "127.0.0.1:80"):                      "127.0.0.1 (loopback)",
				call("localhost", "[::1]:80"):                          "::1 (loopback)",
				call("metadata.google.internal", "169.254.169.254:80"): "169.254.169.254 (cloud metadata)",
				call("a.svc", "100.100.100.200:80"):                    "100.100.100.200 (cloud metadata)",
				call("a.svc", "[fd00:ec2::254]:80"):                    "fd00:ec2::254 (cloud metadata)",
				call("a.svc", "0.0.0.0:80"):                            "0.0.0.0 (unspecified)",
				call("a.svc", "224.0.0.1:80"):                          "224.0.0.1 (multicast)",
				call("a.svc", "[64:ff9b::7f00:1]:80"):                  "64:ff9b::7f00:1 (loopback 127.0.0.1 inside)",
				call("host", "127.0.0.1:8080"):                         "127.0.0.1 (loopback)",
				call("169.254.169.254", "169.254.169.254:80"):          "169.254.169.254 (cloud metadata)",
			},
		},
		{
			name:  "a host on one port",
			allow: "*.svc.:8080 EP:443",
			yes:   [][2]string{call("a.svc", "10.0.0.1:8080"), call("ep", "10.0.0.1:443")},
			no: map[[2]string]string{
				call("a.svc", "10.0.0.1:80"): "10.0.0.1 (private, not listed)",
				call("ep", "10.0.0.1:8080"):  "10.0.0.1 (private, not listed)",
			},
		},
		{
			name:  "a range allows what is in it, whatever the name and whatever it is",
			allow: "127.0.0.0/8 169.254.1.0/24 fd00::/8 10.1.2.3/16",
			yes: [][2]string{
				call("localhost", "127.0.0.1:80"), call("x", "169.254.1.2:80"), call("x", "[fd00:ec2::1]:80"),
				call("x", "10.1.255.1:80"), call("x", "[::ffff:127.0.0.1]:80"),
			},
			no: map[[2]string]string{
				call("x", "169.254.2.1:80"):         "169.254.2.1 (link-local)",
				call("x", "10.2.0.1:80"):            "10.2.0.1 (private, not listed)",
				call("x", "[::1]:80"):               "::1 (loopback)",
				call("x", "169.254.170.2:80"):       "169.254.170.2 (cloud metadata)",
				call("x", "[64:ff9b::7f00:1]:80"):   "64:ff9b::7f00:1 (public, not listed)",
				call("x", "[64:ff9b::a9fe:201]:80"): "64:ff9b::a9fe:201 (link-local 169.254.2.1 inside)",
			},
		},
		{
			name:  "a range of translated addresses allows none that must be listed itself",
			allow: "64:ff9b::/96 2002::/16 ::ffff:0:0:0/96",
			yes:   [][2]string{call("x", "[64:ff9b::808:808]:80")},
			no: map[[2]string]string{
				call("x", "[64:ff9b::7f00:1]:80"):    "64:ff9b::7f00:1 (loopback 127.0.0.1 inside)",
				call("x", "[2002:a9fe:a9fe::]:80"):   "2002:a9fe:a9fe:: (cloud metadata 169.254.169.254 inside)",
				call("x", "[::ffff:0:a9fe:a9fe]:80"): "::ffff:0:a9fe:a9fe (cloud metadata 169.254.169.254 inside)",
			},
		},
		{
			name:  "a range of mapped addresses is one of IPv4",
			allow: "::ffff:10.0.0.0/104 ::ffff:127.0.0.1",
			yes:   [][2]string{call("x", "10.9.9.9:80"), call("x", "127.0.0.1:80")},
			no:    map[[2]string]string{call("x", "11.0.0.1:80"): "11.0.0.1 (public, not listed)"},
		},
		{
			name:  "an address, on a port or on any",
			allow: "127.0.0.1:8081 10.0.0.5 [::1]:9090 [fd00::5] fd00::6",
			yes: [][2]string{
				call("127.0.0.1", "127.0.0.1:8081"), call("localhost", "127.0.0.1:8081"), call("x", "10.0.0.5:1"),
				call("::1", "[::1]:9090"), call("fd00::5", "[fd00::5]:80"), call("fd00::6", "[fd00::6]:80"),
			},
			no: map[[2]string]string{
				call("127.0.0.1", "127.0.0.1:8082"): "127.0.0.1 (loopback)",
				call("::1", "[::1]:80"):             "::1 (loopback)",
				call("x", "10.0.0.6:1"):             "10.0.0.6 (private, not listed)",
			},
		},
		{
			name:  "a range or a name opens no cloud metadata",
			allow: "* 169.254.0.0/16 169.254.169.254/32 100.64.0.0/10 fd00::/8 168.63.129.16/30 192.0.0.0/24",
			yes:   [][2]string{call("x", "169.254.1.1:80"), call("x", "100.64.0.1:80")},
			no: map[[2]string]string{
				call("x", "169.254.169.254:80"):     "169.254.169.254 (cloud metadata)",
				call("x", "100.100.100.200:80"):     "100.100.100.200 (cloud metadata)",
				call("x", "100.96.0.96:80"):         "100.96.0.96 (cloud metadata)",
				call("x", "100.80.80.80:80"):        "100.80.80.80 (cloud metadata)",
				call("x", "[fd00:ec2::23]:80"):      "fd00:ec2::23 (cloud metadata)",
				call("x", "[fd00:42::42]:80"):       "fd00:42::42 (cloud metadata)",
				call("x", "168.63.129.16:80"):       "168.63.129.16 (cloud metadata)",
				call("x", "192.0.0.192:80"):         "192.0.0.192 (cloud metadata)",
				call("x", "[64:ff9b::a83f:8110]:1"): "64:ff9b::a83f:8110 (cloud metadata 168.63.129.16 inside)",
			},
		},
		{
			name:  "its own address does",
			allow: "169.254.169.254 [fd00:ec2::254]:80",
			yes:   [][2]string{call("x", "169.254.169.254:80"), call("x", "[fd00:ec2::254]:80")},
			no:    map[[2]string]string{call("x", "[fd00:ec2::254]:81"): "fd00:ec2::254 (cloud metadata)"},
		},
		{
			name:  "addresses of IPv4 inside IPv6 are judged, wherever they stand",
			allow: "*",
			yes:   [][2]string{call("x", "[64:ff9b:1::808:808]:80"), call("x", "[2001:0:808:808::f7f7:f7f7]:80")},
			no: map[[2]string]string{
				call("x", "[64:ff9b:1::a9fe:a9fe]:80"):        "64:ff9b:1::a9fe:a9fe (cloud metadata 169.254.169.254 inside)",
				call("x", "[64:ff9b:1:0:a9:fea9:fe00:0]:80"):  "64:ff9b:1:0:a9:fea9:fe00:0 (cloud metadata 169.254.169.254 inside)",
				call("x", "[64:ff9b:1:a9:fe:a9fe::]:80"):      "64:ff9b:1:a9:fe:a9fe:: (cloud metadata 169.254.169.254 inside)",
				call("x", "[64:ff9b:1:a9fe:a9:fe00::]:80"):    "64:ff9b:1:a9fe:a9:fe00:: (link-local 169.254.0.0 inside)",
				call("x", "[2001:0:808:808::5601:5601]:80"):   "2001:0:808:808::5601:5601 (cloud metadata 169.254.169.254 inside)",
				call("x", "[2001:0:7f00:1:0:0:f7f7:f7f7]:80"): "2001:0:7f00:1::f7f7:f7f7 (loopback 127.0.0.1 inside)",
			},
		},
		{
			name:  "not the API server",
			allow: "* 10.96.0.1 10.96.0.1:80 10.96.0.0/12 64:ff9b::/96",
			api:   "10.96.0.1:443",
			yes:   [][2]string{call("ep", "10.96.0.1:80"), call("ep", "10.96.0.2:443")},
			no: map[[2]string]string{
				call("kubernetes.default.svc", "10.96.0.1:443"): "API",
				call("10.96.0.1", "10.96.0.1:443"):              "API",
				call("x", "[::ffff:10.96.0.1]:443"):             "API",
				call("x", "[64:ff9b::a60:1]:443"):               "API",
			},
		},
		{
			name:  "but by its own address and port",
			allow: "10.96.0.1:443",
			api:   "10.96.0.1:443",
			yes:   [][2]string{call("kubernetes.default.svc", "10.96.0.1:443"), call("x", "[::ffff:10.96.0.1]:443")},
			no:    map[[2]string]string{call("x", "[64:ff9b::a60:1]:443"): "API"},
		},
		{
			name: "nor by default",
			api:  "10.96.0.1:443",
			yes:  [][2]string{call("ep", "10.96.0.2:443")},
			no:   map[[2]string]string{call("x", "10.96.0.1:443"): "API"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			may, err := Allowed(strings.Fields(tt.allow), strings.Fields(tt.api))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range tt.yes {
				if err := may(c[0], netip.MustParseAddrPort(c[1])); err != nil {
					t.Errorf("%s at %s: %v", c[0], c[1], err)
				}
			}
			for c, why := range tt.no {
				want := "amp may not call " + why + refer
				if why == "API" {
					to := netip.MustParseAddrPort(c[1])
					want = "amp may not call " + netip.AddrPortFrom(to.Addr().Unmap(), to.Port()).String() + " (the API server); in AMP_ENDPOINT_ALLOW only an entry with this address and port opens it"
				}
				if err := may(c[0], netip.MustParseAddrPort(c[1])); err == nil || err.Error() != want {
					t.Errorf("%s at %s:\n got %v\nwant %s", c[0], c[1], err, want)
				}
			}
		})
	}
}

func TestTrusts(t *testing.T) {
	tests := []struct {
		name    string
		allow   string
		yes, no []string // host:port
	}{
		{name: "by default no host", no: []string{"ep.svc:443", "10.0.0.1:443"}},
		{name: "a range names no host", allow: "10.0.0.0/8 10.0.0.5/32", no: []string{"10.0.0.5:443", "ep.svc:443"}},
		{name: "a glob", allow: "*.svc", yes: []string{"a.svc:443", "A.SVC.:8443"}, no: []string{"svc:443", "a.svc.example:443"}},
		{name: "a host on a port", allow: "ep.svc:8443", yes: []string{"ep.svc:8443"}, no: []string{"ep.svc:443"}},
		{name: "an address", allow: "10.0.0.5", yes: []string{"10.0.0.5:443", "[::ffff:10.0.0.5]:443"}, no: []string{"10.0.0.6:443", "ep:443"}},
		{name: "an address on a port", allow: "[::1]:8443 127.0.0.1:443", yes: []string{"[::1]:8443", "127.0.0.1:443"}, no: []string{"[::1]:443"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := ParseRules(strings.Fields(tt.allow)...)
			if err != nil {
				t.Fatal(err)
			}
			for want, hosts := range map[bool][]string{true: tt.yes, false: tt.no} {
				for _, s := range hosts {
					host, port, err := splitPort(s)
					if err != nil {
						t.Fatal(err)
					}
					if got := r.trusts(host, port); got != want {
						t.Errorf("%s: %t, want %t", s, got, want)
					}
				}
			}
		})
	}
}

func TestBadRules(t *testing.T) {
	const end = `; allowed are host globs (*.svc), host:port, addresses and CIDRs (10.0.0.0/8)`
	for entry, want := range map[string]string{
		"http://ep.svc":     `AMP_ENDPOINT_ALLOW: entry 2 of 3 is a URL` + end,
		"10.0.0.0/33":       `AMP_ENDPOINT_ALLOW: "10.0.0.0/33" is not a valid CIDR` + end,
		"ep.svc/mutate":     `AMP_ENDPOINT_ALLOW: "ep.svc/mutate" is not a valid CIDR` + end,
		"::ffff:0.0.0.0/90": `AMP_ENDPOINT_ALLOW: "::ffff:0.0.0.0/90" is a CIDR around IPv4-mapped addresses; write it as IPv4` + end,
		"ep:0":              `AMP_ENDPOINT_ALLOW: "ep:0" has a bad port "0" (1 to 65535)` + end,
		"ep:99999":          `AMP_ENDPOINT_ALLOW: "ep:99999" has a bad port "99999" (1 to 65535)` + end,
		"ep:*":              `AMP_ENDPOINT_ALLOW: "ep:*" has a bad port "*" (1 to 65535)` + end,
		":8080":             `AMP_ENDPOINT_ALLOW: ":8080" has no host` + end,
		"a:b:c":             `AMP_ENDPOINT_ALLOW: "a:b:c" is not host:port` + end,
		"fe80::1%eth0":      `AMP_ENDPOINT_ALLOW: "fe80::1%eth0" is an address with a zone` + end,
		"ep svc":            `AMP_ENDPOINT_ALLOW: "ep svc" has the character ' ' in its host` + end,
		"user@ep":           `AMP_ENDPOINT_ALLOW: entry 2 of 3 is none of these` + end,
		"bücher.example":    `AMP_ENDPOINT_ALLOW: "bücher.example" has the character 'ü' in its host; write the name as DNS has it (xn--…)` + end,
		"10.*":              `AMP_ENDPOINT_ALLOW: "10.*" has no letter, so it is no name; write a range of addresses as a CIDR` + end,
		"*.*:80":            `AMP_ENDPOINT_ALLOW: "*.*:80" has no letter, so it is no name; write a range of addresses as a CIDR` + end,
		"a..b":              `AMP_ENDPOINT_ALLOW: "a..b" has an empty part between its dots` + end,
		".svc":              `AMP_ENDPOINT_ALLOW: ".svc" has an empty part between its dots` + end,
		"0x7f000001":        `AMP_ENDPOINT_ALLOW: "0x7f000001" is neither an address nor a name` + end,
		"0x7f.*":            `AMP_ENDPOINT_ALLOW: "0x7f.*" has no letter, so it is no name; write a range of addresses as a CIDR` + end,
		"127.0.0.0x1":       `AMP_ENDPOINT_ALLOW: "127.0.0.0x1" is neither an address nor a name` + end,
		"10.0.0.256":        `AMP_ENDPOINT_ALLOW: "10.0.0.256" is neither an address nor a name` + end,
		"127.1:80":          `AMP_ENDPOINT_ALLOW: "127.1:80" is neither an address nor a name` + end,
	} {
		_, err := ParseRules("good.svc", entry, " ")
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", entry, err, want)
		}
	}
	if _, err := Allowed([]string{"a://", "b/"}, []string{"10.96.0.1"}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three mistakes: %v, want each on a line", err)
	}
}
