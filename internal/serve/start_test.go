package serve

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// An amp that cannot use its files or its ports asks nothing of the cluster, and changes nothing in it.
func TestAnAmpThatCannotStartLeavesTheClusterAlone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ variable, value string }{
		"a file is bad":                {"AMP_TLS_CLIENT_CA", empty},
		"the port of TLS is taken":     {"AMP_TLS_PORT", port},
		"the port of metrics is taken": {"AMP_METRICS_ADDR", ":" + port},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
			text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [{"name": "c", "cluster": {"server": %q}}],
				"contexts": [{"name": "c", "context": {"cluster": "c", "namespace": "amp-system"}}]}`, cluster.URL)
			if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			environment := map[string]string{"KUBECONFIG": kubeconfig, "AMP_TLS": TLSSelf, "AMP_METRICS_ADDR": "off", "AMP_LOG_LEVEL": "error"}
			environment[test.variable] = test.value
			_, err := New(t.Context(), func(name string) string { return environment[name] }, nil)
			if err == nil || !strings.Contains(err.Error(), test.variable) {
				t.Errorf("amp starts, or says %v", err)
			}
			// What goes on asking would be a goroutine of one of these functions, though it may not have asked yet.
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			for _, asks := range []string{"internal/serve.openNamespaces", "internal/serve.selfCertificate"} {
				if bytes.Contains(stacks, []byte(asks)) {
					t.Errorf("a goroutine of %s runs", asks)
				}
			}
			cluster.Close() // after all requests were answered
			if n := asked.Load(); n != 0 {
				t.Errorf("the cluster was asked %d times", n)
			}
		})
	}
}
