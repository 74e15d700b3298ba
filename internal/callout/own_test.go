package callout_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/txn2/amp/internal/callout"
)

// TestOwnFaults separates what amp itself cannot do from what an endpoint does: only the second opens a circuit.
func TestOwnFaults(t *testing.T) {
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	deaf := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "udp", Err: syscall.ECONNREFUSED}
	}}
	token := write(t, []byte("token"), filepath.Join(t.TempDir(), "token"))

	for name, tt := range map[string]struct {
		config callout.Config
		before func()
		url    string
		own    bool
	}{
		"no server listens":         {config: local(), url: "http://" + refusing.Addr().String()},
		"no DNS for the endpoint":   {config: with(allowing("*"), func(c *callout.Config) { c.Resolver = deaf }), url: "http://hook.team.svc"},
		"no DNS for the API server": {config: with(local(), func(c *callout.Config) { c.Resolver, c.APIServer = deaf, []string{"api.example:443"} }), url: "https://127.0.0.1", own: true},
		"no token": {config: with(allowing("127.0.0.1", "127.0.0.0/8"), func(c *callout.Config) { c.TokenFile = token }),
			before: func() { os.Remove(token) }, url: "https://127.0.0.1", own: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, tt.config)
			if tt.before != nil {
				tt.before()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, failure := callUnder(ctx, t, c, tt.url, mutation())
			if failure == nil || failure.Own != tt.own {
				t.Errorf("failure %+v, want amp's own: %t", failure, tt.own)
			}
		})
	}
}
