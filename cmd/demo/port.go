package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// defaultAddr is where the demo serves without --addr: at the port that the variable PORT names.
func defaultAddr(port string) string {
	return net.JoinHostPort("127.0.0.1", cmp.Or(port, "8080"))
}

// portTaken says why a listener has another port than addr asks for. It is empty if the port is the same, or if addr asks for
// any.
func portTaken(addr string, listener net.Listener) string {
	_, wanted, _ := net.SplitHostPort(addr)
	_, got, _ := net.SplitHostPort(listener.Addr().String())
	if wanted == got || wanted == "0" {
		return ""
	}
	return fmt.Sprintf("Another program listens at port %s, so amp took the free port %s. To choose one: PORT=9090, or --addr 127.0.0.1:9090", wanted, got)
}

// listen listens at addr or, if another program has its port, at a free port of the same host.
func listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--addr %q: expected host:port", addr)
	}
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	return listener, err
}
