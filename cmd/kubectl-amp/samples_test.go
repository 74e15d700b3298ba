package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/txn2/amp/endpoints/example"
	"github.com/txn2/amp/endpoints/jupyterhub"
	"github.com/txn2/amp/endpoints/require"
)

// TestTheSamplesPassTheirSuites runs the suites that stand beside the samples, as their authors would.
func TestTheSamplesPassTheirSuites(t *testing.T) {
	images, err := require.New(require.DefaultRegistries...)
	if err != nil {
		t.Fatal(err)
	}
	for name, handler := range map[string]http.Handler{"example": example.New(example.DefaultImage), "jupyterhub": jupyterhub.New(""), "require": images} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"test", "../../endpoints/" + name + "/tests.yaml", "--endpoint", server.URL, "--timeout", "20s"}, &out, &errs); code != 0 {
				t.Errorf("exit code %d\n%s%s", code, out.String(), errs.String())
			}
		})
	}
}
