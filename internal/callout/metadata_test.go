package callout

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	manifest "sigs.k8s.io/yaml"
)

// TestNetworkPolicyLeavesOutMetadata: no block of addresses that the network policy opens has an address of metadata.
func TestNetworkPolicyLeavesOutMetadata(t *testing.T) {
	text, err := os.ReadFile("../../deploy/network-policy/amp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var policy networkingv1.NetworkPolicy
	if err := manifest.UnmarshalStrict(text, &policy); err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, rule := range policy.Spec.Egress {
		for _, to := range rule.To {
			if to.IPBlock == nil {
				continue
			}
			blocks++
			open := netip.MustParsePrefix(to.IPBlock.CIDR)
			for _, m := range metadata {
				if !open.Contains(m.addr) {
					continue
				}
				left := true
				for _, except := range to.IPBlock.Except {
					left = left && !netip.MustParsePrefix(except).Contains(m.addr)
				}
				if left {
					t.Errorf("%s opens %s (%s)", open, m.addr, m.cloud)
				}
			}
		}
	}
	if blocks < 6 {
		t.Errorf("only %d blocks of addresses", blocks)
	}
}

// TestMetadataHasSources: each address has a cloud and a source, and is in the list once.
func TestMetadataHasSources(t *testing.T) {
	seen := map[netip.Addr]bool{}
	for _, m := range metadata {
		if m.cloud == "" || !strings.HasPrefix(m.source, "https://") || seen[m.addr] {
			t.Errorf("%s: cloud %q, source %q, twice: %t", m.addr, m.cloud, m.source, seen[m.addr])
		}
		seen[m.addr] = true
	}
}
