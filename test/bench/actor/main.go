// The actor is every program of a measurement except amp: the endpoint, the event sink, the bare forwarder and the load.
// It is a binary of its own, so that the forwarder links no more than such a program needs.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "actor:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("expected endpoint, sink, forwarder or load")
	}
	switch args[0] {
	case "endpoint":
		return endpoint(args[1:])
	case "sink":
		return sink(args[1:])
	case "forwarder":
		return forwarder(args[1:])
	case "load":
		return load(args[1:])
	}
	return fmt.Errorf("expected endpoint, sink, forwarder or load, not %q", args[0])
}

// listen opens a free port on loopback and prints its address, for which the parent waits.
func listen() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, err = fmt.Println(l.Addr())
	return l, err
}

// serve serves plain HTTP/1.1, as most endpoints and sinks within a cluster do.
func serve(h http.HandlerFunc) error {
	l, err := listen()
	if err != nil {
		return err
	}
	return http.Serve(l, h)
}
