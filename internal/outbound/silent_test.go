package outbound

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// An HTTP/2 connection with as many calls as it takes is not among the kept ones when one of the calls stays silent.
// It must not come back to them.
func TestSilentAtTheLimit(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := NewTransport(nil)
	transport.TLSClientConfig.InsecureSkipVerify = true // the server is the test's own
	transport.DialContext = new(net.Dialer).DialContext
	pool := NewPool(transport)
	defer pool.Close()

	c, _, err := pool.Get(t.Context(), u, false)
	if err != nil {
		t.Fatal(err)
	}
	if other, _, err := pool.Get(t.Context(), u, false); err != nil || other != c {
		t.Fatalf("%v: the calls do not share one connection", err)
	}
	pool.mu.Lock()
	pool.unlist(c) // as take does at the limit
	pool.mu.Unlock()
	c.Silent(time.Now())
	if other, _, err := pool.Get(t.Context(), u, false); err != nil || other == c {
		t.Errorf("%v: a call takes the silent connection", err)
	}
	c.Release(false)
	for end := time.Now().Add(20 * time.Second); c.client.Err() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the silent connection stays open after its last call")
		}
	}
}
