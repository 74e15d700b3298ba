package serve

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
)

// startFramework lets the functions framework serve amp, and returns where it listens, once it does. The framework itself does
// not say that. So the port must be free before, and must take a connection after.
//
// The error of a port that is not free names PORT. Any other is the framework's.
func (a *App) startFramework() (net.Addr, error) {
	if os.Getenv("FUNCTION_TARGET") == "" {
		if err := os.Setenv("FUNCTION_TARGET", "amp"); err != nil {
			return nil, err
		}
	}
	address := ":" + a.plainPort
	free, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("PORT=%s: %w", a.plainPort, err)
	}
	at := free.Addr()
	if err := free.Close(); err != nil {
		return nil, err
	}
	go func() { a.ended <- funcframework.Start(a.plainPort) }()
	for tick := time.Tick(5 * time.Millisecond); ; {
		select {
		case err := <-a.ended:
			return nil, err
		case <-tick:
		}
		// Without a host, this is the machine itself.
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			return at, conn.Close()
		}
	}
}
