package serve

import (
	"net"
	"os"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
)

// startFramework lets the functions framework serve amp, and returns where it listens, once it does. The framework itself does
// not say that. So the port must be free before, and must take a connection after.
func (a *App) startFramework() (net.Addr, error) {
	if os.Getenv("FUNCTION_TARGET") == "" {
		if err := os.Setenv("FUNCTION_TARGET", "amp"); err != nil {
			return nil, err
		}
	}
	free, err := net.Listen("tcp", ":"+a.plainPort)
	if err != nil {
		return nil, err
	}
	at := free.Addr()
	if err := free.Close(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- funcframework.Start(a.plainPort) }()
	for tick := time.Tick(5 * time.Millisecond); ; {
		select {
		case err := <-ended:
			return nil, err
		case <-tick:
		}
		if conn, err := net.DialTimeout("tcp", "localhost:"+a.plainPort, time.Second); err == nil {
			go func() { a.ended <- <-ended }()
			return at, conn.Close()
		}
	}
}
