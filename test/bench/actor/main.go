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

// listen opens so many free ports on loopback and prints their addresses in one line, for which the parent waits.
func listen(ports int) ([]net.Listener, error) {
	var all []net.Listener
	var addresses []any
	for range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		all, addresses = append(all, l), append(addresses, l.Addr())
	}
	_, err := fmt.Println(addresses...)
	return all, err
}

// serve serves plain HTTP/1.1 on so many ports, as most endpoints and sinks within a cluster do.
func serve(ports int, h http.HandlerFunc) error {
	all, err := listen(ports)
	if err != nil {
		return err
	}
	ended := make(chan error)
	for _, l := range all {
		go func() { ended <- http.Serve(l, h) }()
	}
	return <-ended
}
