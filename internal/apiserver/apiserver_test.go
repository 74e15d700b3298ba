package apiserver

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

const two = `{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"kubernetes","namespace":"default"},
	"addressType":"IPv4","endpoints":[{"addresses":["172.18.0.2"],"conditions":{"ready":true}},{"addresses":["172.18.0.3"],"conditions":{"ready":false}}],
	"ports":[{"name":"https","protocol":"TCP","port":6443}]}`

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []netip.AddrPort
	}{
		"two API servers, one not ready": {two, []netip.AddrPort{netip.MustParseAddrPort("172.18.0.2:6443"), netip.MustParseAddrPort("172.18.0.3:6443")}},
		"IPv6":                           {`{"endpoints":[{"addresses":["fd00::1"]}],"ports":[{"port":443},{"port":6443}]}`, []netip.AddrPort{netip.MustParseAddrPort("[fd00::1]:443"), netip.MustParseAddrPort("[fd00::1]:6443")}},
		"none":                           {`{"endpoints":null,"ports":null}`, nil},
		"a name, and a port for all":     {`{"endpoints":[{"addresses":["api.example"]}],"ports":[{}]}`, nil},
	} {
		if got, err := parse([]byte(test.text)); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestRun: the addresses are read again and again, a failure keeps them, and the log says it once.
func TestRun(t *testing.T) {
	var status atomic.Int32
	status.Store(http.StatusOK)
	api := handler{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(status.Load()))
		if status.Load() != http.StatusOK {
			w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"no"}`))
			return
		}
		w.Write([]byte(two))
	})}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a, err := New(&rest.Config{Host: "http://api", Transport: api}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { a.Run(ctx); close(done) }()
		synctest.Wait()
		if got := a.Current(); len(got) != 2 {
			t.Errorf("read %v", got)
		}
		status.Store(http.StatusForbidden)
		after(2 * interval)
		if got := a.Current(); len(got) != 2 {
			t.Errorf("after a failure: %v", got)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "deploy/base/rbac.yaml grants it") {
			t.Errorf("the log says it %d times: %s", n, log.String())
		}
		cancel()
		<-done
	})
}

// handler answers requests without a network, so that virtual time passes.
type handler struct{ http.Handler }

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// after lets virtual time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
