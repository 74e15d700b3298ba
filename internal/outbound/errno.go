package outbound

import (
	"errors"
	"syscall"
)

// What the system says of a connection that did not come about. Windows has numbers of its own for it (those of Winsock), and
// there the numbers of package syscall are invented. No other system has numbers as large, so each system may compare with both.
var (
	refused  = []syscall.Errno{syscall.ECONNREFUSED, 10061}
	noWay    = []syscall.Errno{syscall.EHOSTUNREACH, 10065, syscall.ENETUNREACH, 10051}
	timedOut = []syscall.Errno{syscall.ETIMEDOUT, 10060}
)

// Refused reports whether no server listens at the port.
func Refused(err error) bool { return anyOf(err, refused) }

// NoWay reports whether no way leads to the host or to its network.
func NoWay(err error) bool { return anyOf(err, noWay) }

// TimedOut reports whether the system gave up a connection.
func TimedOut(err error) bool { return anyOf(err, timedOut) }

func anyOf(err error, numbers []syscall.Errno) bool {
	for _, number := range numbers {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}
