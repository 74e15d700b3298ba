package outbound_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/txn2/amp/internal/outbound"
)

// TestWhatTheSystemSays: the numbers of this system, and those of Windows.
func TestWhatTheSystemSays(t *testing.T) {
	for name, test := range map[string]struct {
		err                      error
		refused, noWay, timedOut bool
	}{
		"no error":                              {nil, false, false, false},
		"another error":                         {errors.New("x"), false, false, false},
		"the port is closed":                    {syscall.ECONNREFUSED, true, false, false},
		"the port is closed, Windows":           {syscall.Errno(10061), true, false, false},
		"no way leads to the host":              {syscall.EHOSTUNREACH, false, true, false},
		"no way leads to the host, Windows":     {syscall.Errno(10065), false, true, false},
		"no way leads to its network":           {syscall.ENETUNREACH, false, true, false},
		"no way leads to its network, Windows":  {syscall.Errno(10051), false, true, false},
		"no answer":                             {syscall.ETIMEDOUT, false, false, true},
		"no answer, Windows":                    {syscall.Errno(10060), false, false, true},
		"the server ends the connection":        {syscall.ECONNRESET, false, false, false},
		"the server ends the connection, there": {syscall.Errno(10054), false, false, false},
	} {
		err := test.err
		if number := syscall.Errno(0); errors.As(err, &number) {
			err = fmt.Errorf("calling: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", number)})
		}
		if outbound.Refused(err) != test.refused || outbound.NoWay(err) != test.noWay || outbound.TimedOut(err) != test.timedOut {
			t.Errorf("%s: refused %v, no way %v, timed out %v", name, outbound.Refused(err), outbound.NoWay(err), outbound.TimedOut(err))
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if _, err = net.Dial("tcp", listener.Addr().String()); !outbound.Refused(err) {
		t.Errorf("a closed port of this system: %v", err)
	}
}
