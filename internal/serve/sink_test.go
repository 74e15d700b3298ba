package serve_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/serve"
)

// What Knative's SinkBinding sets, and what else says where events go and what they carry.
func TestLoadOfTheEventSink(t *testing.T) {
	authority := httptest.NewTLSServer(nil)
	authority.Close()
	certificate := authority.Certificate()
	for name, test := range map[string]struct {
		env  map[string]string
		want func(*serve.Config) bool // nil: it is bad
		bad  []string                 // how the error's lines begin
	}{
		"nothing set": {want: func(c *serve.Config) bool { return c.Sink == nil && c.SinkRoots == nil && c.EventExtensions == nil }},
		"empty as Knative sets it": {env: map[string]string{"K_SINK": "http://broker/", "K_CE_OVERRIDES": "", "K_CA_CERTS": ""},
			want: func(c *serve.Config) bool {
				return c.Sink.String() == "http://broker/" && c.SinkRoots == nil && c.EventExtensions == nil
			}},
		"userinfo, path and query of the sink": {env: map[string]string{"K_SINK": "https://user:s3cret@broker:8443/a%2Fb?c=d"},
			want: func(c *serve.Config) bool { return c.Sink.String() == "https://user:s3cret@broker:8443/a%2Fb?c=d" }},
		"certificates besides the system's": {env: map[string]string{"K_CA_CERTS": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))},
			want: func(c *serve.Config) bool {
				_, err := certificate.Verify(x509.VerifyOptions{Roots: c.SinkRoots})
				return err == nil && !c.SinkRoots.Equal(x509.NewCertPool())
			}},
		"an override that is empty is left out": {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":{"cluster":"größe a","empty":""}}`},
			want: func(c *serve.Config) bool {
				return cmp.Equal(c.EventExtensions, map[string]string{"cluster": "größe a"})
			}},
		"overrides with nothing": {env: map[string]string{"K_CE_OVERRIDES": `{}`}, want: func(c *serve.Config) bool { return c.EventExtensions == nil }},
		"overrides with null":    {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":null}`}, want: func(c *serve.Config) bool { return c.EventExtensions == nil }},

		"a sink that is not a URL":    {env: map[string]string{"K_SINK": "http://a b/"}, bad: []string{"K_SINK: the URL holds white space or a control character"}},
		"a sink without scheme":       {env: map[string]string{"K_SINK": "user:s3cret@broker:80"}, bad: []string{"K_SINK"}},
		"a sink of another kind":      {env: map[string]string{"K_SINK": "ftp://broker"}, bad: []string{"K_SINK"}},
		"a sink without a host":       {env: map[string]string{"K_SINK": "http:///x"}, bad: []string{"K_SINK"}},
		"a sink with a bad port":      {env: map[string]string{"K_SINK": "http://user:s3cret"}, bad: []string{"K_SINK: the URL has a bad port"}},
		"a sink with a bad escape":    {env: map[string]string{"K_SINK": "http://user:s3cret%zz@broker/"}, bad: []string{"K_SINK: the URL has a %"}},
		"a source with a password":    {env: map[string]string{"AMP_EVENTS_SOURCE": "https://user:s3cret@amp.example"}, bad: []string{"AMP_EVENTS_SOURCE"}},
		"overrides of another shape":  {env: map[string]string{"K_CE_OVERRIDES": `{"cluster":"s3cret"}`}, bad: []string{`K_CE_OVERRIDES: allowed: JSON like {"extensions":{"name":"value"}}`}},
		"overrides beside extensions": {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":{"a":"b"},"cluster":"s3cret"}`}, bad: []string{"K_CE_OVERRIDES: allowed: JSON"}},
		"overrides misspelt":          {env: map[string]string{"K_CE_OVERRIDES": `{"Extensions":{"a":"b"}}`}, bad: []string{"K_CE_OVERRIDES: allowed: JSON"}},
		"overrides that are null":     {env: map[string]string{"K_CE_OVERRIDES": `null`}, bad: []string{"K_CE_OVERRIDES: allowed: JSON"}},
		"overrides in an array":       {env: map[string]string{"K_CE_OVERRIDES": `[{"extensions":{}}]`}, bad: []string{"K_CE_OVERRIDES: allowed: JSON"}},
		"overrides as a string":       {env: map[string]string{"K_CE_OVERRIDES": `"{}"`}, bad: []string{"K_CE_OVERRIDES: allowed: JSON"}},
		"extensions in an array":      {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":["s3cret"]}`}, bad: []string{"K_CE_OVERRIDES: allowed: JSON"}},
		"two JSON values":             {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":{}} {}`}, bad: []string{"K_CE_OVERRIDES: allowed: JSON"}},
		"overrides of amp's own attributes": {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":{"outcome":"s3cret","namespace":"","traceparent":"x","cluster":"a","type":"x","a-b":"c"}}`}, bad: []string{
			`K_CE_OVERRIDES: extension "a-b": allowed: names of a to z and 0 to 9`,
			`K_CE_OVERRIDES: extension "namespace": amp sets this attribute itself`, `K_CE_OVERRIDES: extension "outcome": amp sets`,
			`K_CE_OVERRIDES: extension "traceparent": amp sets`, `K_CE_OVERRIDES: extension "type": amp sets`}},
		"an extension that is a URL":  {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":{"http://u:s3cret@h":"b"}}`}, bad: []string{"K_CE_OVERRIDES: extension: allowed"}},
		"overrides that are not JSON": {env: map[string]string{"K_CE_OVERRIDES": `s3cret`}, bad: []string{"K_CE_OVERRIDES"}},
		"an override of a number":     {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":{"a":1}}`}, bad: []string{"K_CE_OVERRIDES"}},
		"an override with a dash":     {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":{"a-b":"1"}}`}, bad: []string{`K_CE_OVERRIDES: extension "a-b"`}},
		"an override in capitals":     {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":{"A":"1"}}`}, bad: []string{"K_CE_OVERRIDES"}},
		"an override of the id":       {env: map[string]string{"K_CE_OVERRIDES": `{"extensions":{"id":"1"}}`}, bad: []string{`K_CE_OVERRIDES: extension "id"`}},
		"no certificate":              {env: map[string]string{"K_SINK": "https://broker", "K_CA_CERTS": "s3cret"}, bad: []string{"K_CA_CERTS"}},
		"required, no sink":           {env: map[string]string{"AMP_EVENTS": "required"}, bad: []string{"AMP_EVENTS=required needs K_SINK"}},
		"all wrong": {env: map[string]string{"K_SINK": "x", "K_CA_CERTS": "y", "K_CE_OVERRIDES": "z", "AMP_EVENTS_SOURCE": "\x00"},
			bad: []string{"K_SINK", "K_CE_OVERRIDES", "K_CA_CERTS", "AMP_EVENTS_SOURCE"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := serve.Load(env(test.env))
			if err == nil {
				if test.want == nil || !test.want(c) {
					t.Errorf("no error, configuration %+v", c)
				}
				return
			}
			lines := strings.Split(err.Error(), "\n")[1:]
			if len(lines) != len(test.bad) || strings.Contains(err.Error(), "s3cret") {
				t.Fatalf("error %q, want %q", lines, test.bad)
			}
			for i, want := range test.bad {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("error %q, want %q", lines[i], want)
				}
			}
		})
	}
}
