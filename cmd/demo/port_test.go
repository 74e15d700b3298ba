package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestThePortThatIsTakenIsNamed(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, port, _ := net.SplitHostPort(other.Addr().String())
	listener, said, err := listen("127.0.0.1:" + port)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, got, _ := net.SplitHostPort(listener.Addr().String())
	want := fmt.Sprintf("Another program listens at port %s, so amp took the free port %s. To choose one: PORT=9090, or --addr 127.0.0.1:9090", port, got)
	if said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
}

func TestThePortThatIsFreeIsNotCalledTaken(t *testing.T) {
	t.Parallel()
	free, err := closedPort()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free)
	for _, addr := range []string{free, "127.0.0.1:0" + port, "127.0.0.1:0", "127.0.0.1:"} {
		listener, said, err := listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		if said != "" {
			t.Errorf("%s was asked for, and it says %q", addr, said)
		}
	}
}

func TestPORTIsTheDefault(t *testing.T) {
	t.Parallel()
	const allowed = ": expected a number from 0 (any free port) to 65535; unset PORT, or give --addr"
	for port, want := range map[string]string{
		"": "127.0.0.1:8080", "9090": "127.0.0.1:9090", "08080": "127.0.0.1:8080", "0": "127.0.0.1:0", "65535": "127.0.0.1:65535",
		"tcp://10.0.0.1:8080": `PORT="tcp://10.0.0.1:8080"` + allowed, // Kubernetes sets such variables
		"abc":                 `PORT="abc"` + allowed,
		"65536":               `PORT="65536"` + allowed,
		"-1":                  `PORT="-1"` + allowed,
		"http":                `PORT="http"` + allowed,
		" 8080":               `PORT=" 8080"` + allowed,
	} {
		got, err := defaultAddr(port)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("PORT=%s: %s, want %s", port, got, want)
		}
	}
}

func TestAnAddressThatCannotBeServedIsAnError(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"8080":            `--addr "8080": expected host:port`,
		"192.0.2.1:8080":  "serving at 192.0.2.1:8080: ",
		"127.0.0.1:abc":   "serving at 127.0.0.1:abc: ",
		"127.0.0.1:65536": "serving at 127.0.0.1:65536: ",
	} {
		listener, _, err := listen(addr)
		if err == nil {
			listener.Close()
			t.Errorf("%s was taken", addr)
		} else if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", addr, err, want)
		}
	}
}

// TestInUse: the number of this system, and that of Windows.
func TestInUse(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{syscall.EADDRINUSE: true, syscall.Errno(10048): true, syscall.EACCES: false, syscall.Errno(10049): false, errors.New("x"): false} {
		if got := inUse(&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", err)}); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
