package callout_test

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/review"
)

func TestNoProxyFromEnvironment(t *testing.T) {
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") })
	// net/http reads these once per process, and never uses a proxy for a loopback address: this proves
	// little, but would catch a proxy that is set for all.
	t.Setenv("HTTP_PROXY", proxy.URL)
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	if _, failure := call(t, newClient(t, local()), srv.URL); failure != nil {
		t.Error(failure)
	}
}

func TestForbidden(t *testing.T) {
	var asked atomic.Int32
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); w.WriteHeader(204) })
	address := srv.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	const loopback = "amp may not call 127.0.0.1 (loopback); AMP_ENDPOINT_ALLOW lists what it may call"
	apiServer := "amp may not call " + address + " (the API server); in AMP_ENDPOINT_ALLOW only an entry with this address and port opens it"

	for name, tt := range map[string]struct {
		config callout.Config
		url    string
		cause  string // empty: allowed
	}{
		"by default no loopback": {url: srv.URL, cause: loopback},
		"nor metadata": {url: "http://169.254.169.254/latest/meta-data",
			cause: "amp may not call 169.254.169.254 (cloud metadata); AMP_ENDPOINT_ALLOW lists what it may call"},
		"a name is not its address": {config: allowing("localhost"), url: "http://localhost:" + port, cause: loopback},
		"an address with its port":  {config: allowing(address), url: srv.URL},
		"another port":              {config: allowing("127.0.0.1:1"), url: srv.URL, cause: loopback},
		"a range":                   {config: local(), url: srv.URL},
		"mapped to IPv6":            {config: local(), url: "http://[::ffff:127.0.0.1]:" + port},
		"the API server":            {config: with(local(), func(c *callout.Config) { c.APIServer = []string{address} }), url: srv.URL, cause: apiServer},
		"another API server": {config: with(local(), func(c *callout.Config) {
			c.APIServers = func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(address)} }
		}), url: srv.URL, cause: apiServer},
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			_, failure := call(t, newClient(t, tt.config), tt.url)
			if tt.cause == "" {
				if failure != nil || asked.Load() != 1 {
					t.Errorf("failure %v, asked %d times", failure, asked.Load())
				}
				return
			}
			wantFailure(t, failure, review.ResultForbidden, tt.cause)
			if asked.Load() != 0 {
				t.Error("and it was asked nevertheless")
			}
		})
	}
}

// A name whose address changes reaches only addresses that amp may call.
func TestRebinding(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(204)
	})
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	var now atomic.Value
	var asked atomic.Int32
	resolver := dns(func(name string) []string {
		if name == "ep.example" {
			asked.Add(1)
			return strings.Fields(now.Load().(string))
		}
		return nil
	})
	c := newClient(t, with(allowing("ep.example", "127.0.0.1"), func(c *callout.Config) { c.Resolver = resolver }))

	for _, step := range []struct{ address, cause string }{
		{"127.0.0.1", ""},
		{"127.0.0.2", "amp may not call 127.0.0.2 (loopback); AMP_ENDPOINT_ALLOW lists what it may call"},
		{"169.254.169.254", "amp may not call 169.254.169.254 (cloud metadata); AMP_ENDPOINT_ALLOW lists what it may call"},
		{"169.254.169.254 127.0.0.1", ""}, // the one that may be called is
		{"127.0.0.1", ""},
	} {
		now.Store(step.address)
		_, failure := call(t, c, "http://ep.example:"+port)
		switch {
		case step.cause == "" && failure != nil:
			t.Errorf("%s: %v", step.address, failure)
		case step.cause != "":
			wantFailure(t, failure, review.ResultForbidden, step.cause)
		}
	}
	if n := asked.Load(); n != 5 {
		t.Errorf("%d look-ups for 5 connections: one that is checked must be the one that is used", n)
	}

	_, failure := call(t, c, "http://no.example:"+port)
	wantFailure(t, failure, review.ResultUnreachable, "its name cannot be looked up: no such host")

	// The first address is refused; at the second, no server listens.
	now.Store("127.0.0.2 127.0.0.1")
	_, failure = call(t, c, "http://ep.example:1")
	wantFailure(t, failure, review.ResultUnreachable, "connecting: no answer at any address that amp may call")
}

// A kubeconfig may give the API server's name. amp calls its addresses under no other name either.
func TestAPIServerByName(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	c := newClient(t, with(local(), func(c *callout.Config) {
		c.APIServer = []string{"api.example:" + port}
		c.Resolver = dns(func(name string) []string {
			if name == "api.example" {
				return []string{"127.0.0.1"}
			}
			return nil
		})
	}))
	for _, host := range []string{"127.0.0.1", "api.example"} {
		_, failure := call(t, c, "http://"+host+":"+port)
		wantFailure(t, failure, review.ResultForbidden, "amp may not call 127.0.0.1:"+port+" (the API server); in AMP_ENDPOINT_ALLOW only an entry with this address and port opens it")
	}
}
