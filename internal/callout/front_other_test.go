//go:build !linux

package callout_test

import (
	"net"
	"testing"
)

func deafen(t testing.TB, _ *net.TCPConn) { t.Skip("only Linux can drop the packets of a connection") }

func unreachable(t *testing.T) string {
	t.Skip("only Linux drops attempts to connect to a full queue")
	return ""
}
