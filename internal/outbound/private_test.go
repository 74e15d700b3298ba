package outbound_test

import (
	"net/netip"
	"testing"

	"github.com/txn2/amp/internal/outbound"
)

func TestIsPrivate(t *testing.T) {
	for text, want := range map[string]bool{
		"10.0.0.1": true, "172.31.255.255": true, "192.168.1.1": true, "100.64.0.1": true, "127.0.0.1": true, "::1": true, "fd00::1": true,
		"::ffff:10.0.0.1": true, "172.32.0.1": false, "100.128.0.1": false, "8.8.8.8": false, "169.254.169.254": false, "fe80::1": false,
		"64:ff9b::a00:1": false, "2002:a00:1::": false, "0.0.0.0": false, "::": false, "2001:db8::1": false, "::ffff:8.8.8.8": false,
	} {
		if got := outbound.IsPrivate(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
