package main

import (
	"fmt"
	"net"
	"testing"
)

func TestThePortThatIsTakenIsNamed(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	addr := other.Addr().String()
	listener, err := listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, taken, _ := net.SplitHostPort(addr)
	_, got, _ := net.SplitHostPort(listener.Addr().String())
	want := fmt.Sprintf("Another program listens at port %s, so amp took the free port %s. To choose one: PORT=9090, or --addr 127.0.0.1:9090", taken, got)
	if said := portTaken(addr, listener); said != want {
		t.Errorf("it says %q, want %q", said, want)
	}
	for _, addr := range []string{listener.Addr().String(), "127.0.0.1:0"} {
		if said := portTaken(addr, listener); said != "" {
			t.Errorf("%s was asked for, and it says %q", addr, said)
		}
	}
}

func TestPORTIsTheDefault(t *testing.T) {
	t.Parallel()
	for port, want := range map[string]string{"": "127.0.0.1:8080", "9090": "127.0.0.1:9090"} {
		if got := defaultAddr(port); got != want {
			t.Errorf("PORT=%s: %s, want %s", port, got, want)
		}
	}
}

func TestAnAddressThatCannotBeServedIsAnError(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"8080", "192.0.2.1:8080"} {
		if listener, err := listen(addr); err == nil {
			listener.Close()
			t.Errorf("%s was taken", addr)
		}
	}
}
