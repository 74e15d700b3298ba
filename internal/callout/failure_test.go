package callout

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1499700 * time.Microsecond: "1.5s",
		1234 * time.Millisecond:    "1.23s",
		749800 * time.Microsecond:  "750ms",
		1300 * time.Microsecond:    "1ms",
	} {
		if got := short(d); got != want {
			t.Errorf("%d ns: %s, want %s", d, got, want)
		}
	}
}

func TestOwn(t *testing.T) {
	dial := func(call string, errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError(call, errno)}
	}
	for name, tt := range map[string]struct {
		err error
		own bool
	}{
		"amp has no file left":         {dial("socket", syscall.EMFILE), true},
		"the machine has no file left": {dial("socket", syscall.ENFILE), true},
		"no port is left":              {dial("connect", syscall.EADDRNOTAVAIL), true},
		"no memory is left":            {dial("socket", syscall.ENOMEM), true},
		"where the API server is":      {noAPIServer{&net.DNSError{}}, true},
		"its name":                     {&net.DNSError{}, false},
		"refused":                      {dial("connect", syscall.ECONNREFUSED), false},
		"no route":                     {dial("connect", syscall.EHOSTUNREACH), false},
		"closed":                       {io.EOF, false},
	} {
		if f, _ := connectFailure(t.Context(), tt.err, time.Second); f.Own != tt.own {
			t.Errorf("%s: amp's own %t, want %t", name, f.Own, tt.own)
		}
	}
}
