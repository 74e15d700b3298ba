package tryout

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestNotThere(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("calling: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)})
	}
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"no error":                       {nil, false},
		"the port is closed":             {dial(syscall.ECONNREFUSED), true},
		"the port is closed, Windows":    {dial(syscall.Errno(10061)), true},
		"no way leads to the host":       {dial(syscall.EHOSTUNREACH), true},
		"no way leads to its network":    {dial(syscall.ENETUNREACH), true},
		"the name has no address":        {&net.DNSError{IsNotFound: true}, true},
		"DNS does not answer":            {&net.DNSError{IsTimeout: true}, false},
		"the server ends the connection": {dial(syscall.ECONNRESET), false},
		"the answer is bad":              {errors.New("no JSON"), false},
	} {
		if got := notThere(test.err); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
