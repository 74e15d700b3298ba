package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// defaultAddr is where the demo serves without --addr: at the port that the variable PORT names. It may be set for another
// program: Kubernetes gives Pods such variables, and not always with a port.
func defaultAddr(port string) (string, error) {
	if port == "" {
		port = "8080"
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("PORT=%q: expected a number from 0 (any free port) to 65535; unset PORT, or give --addr", port)
	}
	return net.JoinHostPort("127.0.0.1", strconv.FormatUint(number, 10)), nil
}

// listen listens at addr or, if another program has its port, at a free port of the same host. taken says so; it is empty if
// the port is the one that was asked for.
func listen(addr string) (listener net.Listener, taken string, err error) {
	host, wanted, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, "", fmt.Errorf("--addr %q: expected host:port", addr)
	}
	listener, err = net.Listen("tcp", addr)
	if inUse(err) {
		if listener, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err == nil {
			_, got, _ := net.SplitHostPort(listener.Addr().String())
			taken = fmt.Sprintf("Another program listens at port %s, so amp took the free port %s. To choose one: PORT=9090, or --addr 127.0.0.1:9090", wanted, got)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("serving at %s: %w", addr, err)
	}
	return listener, taken, nil
}

// inUse reports whether another program has the port. Windows has a number of its own for it (that of Winsock), and there the
// number of package syscall is invented. No other system has numbers as large, so each may compare with both.
func inUse(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.Errno(10048))
}
