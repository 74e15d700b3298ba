// Package freeport finds ports for programs that tests start. No program that is shipped links it.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// Get returns a port of loopback on which no program listens, each time another one: tests run side by side. It is below
// the range from which the kernel gives ports to connections and to servers of other tests.
func Get() (string, error) {
	const first, ports = 15_000, 15_000
	for range ports {
		port := strconv.Itoa(first + int(lastPort.Add(1)%ports))
		if listener, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			return port, listener.Close()
		}
	}
	return "", errors.New("no free port between 15000 and 30000 on loopback")
}

// lastPort begins anywhere: several runs of these tests may share the machine.
var lastPort = func() *atomic.Uint32 {
	var n atomic.Uint32
	n.Store(rand.Uint32())
	return &n
}()
