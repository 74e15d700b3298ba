package outbound

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// ackTimeout is how long the kernel of the other side may leave bytes on a kept connection unacknowledged. It
// acknowledges them at once, however slow the server is. The kernel here sends them again after 200 ms, and counts
// from then on: a call learns of a dead path after half a second, of the 1.5 s that a review has by default.
const ackTimeout = 300 * time.Millisecond

// watch makes the kernel end a connection on which packets vanish (TCP_USER_TIMEOUT, RFC 5482). It is for connections
// that are kept: the path of a new one was alive a moment ago, and what is wrongly given up over a kept one is tried
// again over a new one. If it fails, such a connection is noticed later ([Conn.Silent]).
func watch(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ackTimeout.Milliseconds()))
		})
	}
}
