//go:build !linux

package outbound

import "net"

// watch does nothing: only Linux has a way to notice at once that packets vanish. See [Conn.Silent].
func watch(net.Conn) {}
