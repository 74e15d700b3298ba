package serve

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUnknownVariables(t *testing.T) {
	environ := []string{
		"PATH=/bin", "AMP_TIMEOUT=1s", "AMP_TIMEOUTT=2s", "AMP_POLICY=Fail", "AMP_EVENT_LEVEL=Full", "AMP_ALLOW_ENDPOINT=*", "AMP_TLS_PROT=1", "AMP_TIMEOUTT=3s", "amp_timeout=1s", "AMPERE=1", "AMP_EMPTY= ",
		// What Kubernetes sets for Services called amp, amp-canary and amp-tls.
		"AMP_SERVICE_HOST=10.96.0.7", "AMP_SERVICE_PORT=443", "AMP_SERVICE_PORT_HTTPS=443", "AMP_PORT=tcp://10.96.0.7:443", "AMP_PORT_443_TCP=tcp://10.96.0.7:443", "AMP_PORT_443_TCP_PROTO=tcp",
		"AMP_PORT_443_TCP_PORT=443", "AMP_PORT_443_TCP_ADDR=10.96.0.7", "AMP_CANARY_SERVICE_HOST=10.96.0.8", "AMP_CANARY_PORT=udp://10.96.0.8:53", "AMP_CANARY_PORT_53_UDP_ADDR=10.96.0.8",
		// What other programs of the project read.
		"AMP_AUDIT_DB=/x", "AMP_AUDIT_RETENTION=1h", "AMP_JUPYTERHUB_PROFILES=x", "AMP_REQUIRE_REGISTRIES=x", "AMP_UPDATE=1",
		// A slip, not a link: its value is a port.
		"AMP_TLSS_PORT=8443",
	}
	want := []unknownVariable{
		{name: "AMP_ALLOW_ENDPOINT", nearest: "AMP_ENDPOINT_ALLOW"}, {name: "AMP_EVENT_LEVEL", nearest: "AMP_EVENTS_LEVEL"},
		{name: "AMP_POLICY", nearest: "AMP_FAILURE_POLICY"}, {name: "AMP_TIMEOUTT", nearest: "AMP_TIMEOUT"},
		{name: "AMP_TLSS_PORT", nearest: "AMP_TLS_PORT"}, {name: "AMP_TLS_PROT", nearest: "AMP_TLS_PORT"},
	}
	if diff := cmp.Diff(want, unknownVariables(environ), cmp.AllowUnexported(unknownVariable{})); diff != "" {
		t.Errorf("unknown variables (-want +got):\n%s", diff)
	}
}

// Every variable of the project is one of amp's, or known to be another program's.
func TestNoVariableOfTheProjectIsUnknown(t *testing.T) {
	name := regexp.MustCompile(`"(AMP_[A-Z_]+)"`)
	var environ []string
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, filepath.Join("internal", "serve")) {
			return err
		}
		content, err := os.ReadFile(path)
		for _, match := range name.FindAllStringSubmatch(string(content), -1) {
			environ = append(environ, match[1]+"=x")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(environ) < 20 || !slices.Contains(environ, "AMP_AUDIT_DB=x") {
		t.Fatalf("found only %v", environ)
	}
	if unknown := unknownVariables(environ); len(unknown) > 0 {
		t.Errorf("unknown: %v", unknown)
	}
}
