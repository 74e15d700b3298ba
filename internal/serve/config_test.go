package serve_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

// defaultDeny is the default of AMP_PATCH_DENY.
var defaultDeny = []string{"/spec/serviceAccountName", "/spec/nodeName", "/spec/hostNetwork", "/spec/hostPID", "/spec/hostIPC"}

// denied returns which places in a Pod an endpoint must not touch, of those in defaultDeny and one other.
func denied(c *patch.Checker) (pointers []string) {
	const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"a","image":"b"}]}}`
	for _, pointer := range append([]string{"/spec/hostname"}, defaultDeny...) {
		value := `"x"`
		if strings.HasPrefix(pointer, "/spec/host") && pointer != "/spec/hostname" {
			value = "true"
		}
		_, err := c.Check(context.Background(), "ns", json.RawMessage(pod), []review.Op{{Op: "add", Path: pointer, Value: json.RawMessage(value)}})
		if err != nil && strings.Contains(err.Error(), "AMP_PATCH_DENY") {
			pointers = append(pointers, pointer)
		}
	}
	return pointers
}

func TestLoadOfAnEmptyEnvironmentGivesTheDefaults(t *testing.T) {
	want := &serve.Config{
		Port: "8080", TLS: serve.TLSOff, TLSPort: "8443",
		TLSSecret: "amp-tls", TLSLifetime: 90 * 24 * time.Hour, Webhooks: []string{"amp"},
		FailurePolicy: review.Fail, Timeout: 1500 * time.Millisecond,
		EndpointMaxBytes: 1 << 20,
		Events:           serve.EventsAsync, EventsLevel: review.LevelPatch,
		EventsSource: *types.ParseURIRef("https://amp.txn2.com/proxy"), MetricsAddr: ":2112", LogLevel: slog.LevelInfo,
	}
	for name, values := range map[string]map[string]string{
		"unset": {},
		"empty": {"PORT": "", "AMP_TLS": "", "AMP_TIMEOUT": " ", "K_SERVICE": ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := serve.Load(env(values))
			if err != nil {
				t.Fatal(err)
			}
			exported := cmp.Exporter(func(reflect.Type) bool { return true })
			if diff := cmp.Diff(want, got, exported, cmpopts.IgnoreFields(serve.Config{}, "Patches")); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(defaultDeny, denied(got.Patches)); diff != "" {
				t.Errorf("denied places (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	for name, test := range map[string]struct {
		env   map[string]string
		check func(c *serve.Config) bool
	}{
		"no patch is denied": {map[string]string{"AMP_PATCH_DENY": "none"}, func(c *serve.Config) bool { return denied(c.Patches) == nil }},
		"no metrics":         {map[string]string{"AMP_METRICS_ADDR": "off"}, func(c *serve.Config) bool { return c.MetricsAddr == "" }},
		"a list in lines and commas": {map[string]string{"AMP_ENDPOINT_ALLOW": "*.svc, 10.0.0.0/8\nhook:8080"},
			func(c *serve.Config) bool {
				return c.EndpointAllow.String() == "*.svc 10.0.0.0/8 hook:8080"
			}},
		"under Knative, plain HTTP beside TLS": {map[string]string{"K_SERVICE": "amp", "AMP_TLS": "self", "PORT": "9000"},
			func(c *serve.Config) bool { return c.TLS == serve.TLSSelf && c.Port == "9000" && c.Knative }},
		"names and addresses for the certificate": {map[string]string{"AMP_TLS": "self", "AMP_TLS_DNS_NAMES": "amp.amp-system.svc,127.0.0.1 ::1"},
			func(c *serve.Config) bool {
				return cmp.Equal(c.TLSDNSNames, []string{"amp.amp-system.svc", "127.0.0.1", "::1"})
			}},
		"several webhook configurations": {map[string]string{"AMP_WEBHOOKS": "amp amp-knative"},
			func(c *serve.Config) bool { return cmp.Equal(c.Webhooks, []string{"amp", "amp-knative"}) }},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := serve.Load(env(test.env))
			if err != nil {
				t.Fatal(err)
			}
			if !test.check(c) {
				t.Errorf("configuration %+v", c)
			}
		})
	}
}

func TestLoadNamesEveryBadVariableAndWhatIsAllowed(t *testing.T) {
	_, err := serve.Load(env(map[string]string{
		"PORT":                    "http",
		"AMP_TLS":                 "on",
		"AMP_TLS_PORT":            "0",
		"AMP_TLS_SECRET":          "amp-tls other",
		"AMP_TLS_DNS_NAMES":       "*.svc",
		"AMP_TLS_LIFETIME":        "90d",
		"AMP_WEBHOOKS":            ",",
		"AMP_FAILURE_POLICY":      "fail",
		"AMP_TIMEOUT":             "2",
		"AMP_ENDPOINT_MAX_BYTES":  "1MB",
		"AMP_IN_FLIGHT_BYTES":     "8388607",
		"AMP_EVENTS":              "on",
		"AMP_EVENTS_LEVEL":        "full",
		"AMP_EVENTS_SOURCE":       "my cluster",
		"AMP_METRICS_ADDR":        "2112",
		"AMP_LOG_LEVEL":           "loud",
		"AMP_ENDPOINT_CERT":       "cert.pem",
		"AMP_ENDPOINT_TOKEN_FILE": "token",
		"AMP_TLS_CLIENT_CA":       "ca.pem",
		"AMP_PATCH_DENY":          "/spec/a spec/b",
		"K_SINK":                  "me:secret@sink",
		"K_CE_OVERRIDES":          "{",
		"K_CA_CERTS":              "none",
	}))
	want := `reading the configuration:
PORT="http": allowed: a port number
AMP_TLS="on": allowed: off, files and self
AMP_TLS_PORT="0": allowed: a port number
AMP_TLS_SECRET="amp-tls other": allowed: the name of a Secret
AMP_TLS_DNS_NAMES="*.svc": allowed: DNS names and IP addresses
AMP_TLS_LIFETIME="90d": allowed: a Go duration from 10s to 87600h
AMP_WEBHOOKS=",": allowed: names of webhook configurations
AMP_FAILURE_POLICY="fail": allowed: Fail and Ignore
AMP_TIMEOUT="2": allowed: a Go duration from 10ms to 30s
AMP_IN_FLIGHT_BYTES="8388607": allowed: a number of bytes of at least 8388608: one review of 7 MiB and its answer must fit
AMP_ENDPOINT_MAX_BYTES="1MB": allowed: a number of bytes from 1 to 16777216
AMP_PATCH_DENY: "/spec/a" names no field of a Pod: /spec has no "a"; the nearest known is /spec/nodeName
AMP_PATCH_DENY: "spec/b" is not a JSON pointer such as /spec/nodeName or /spec/containers/*/securityContext: it must begin with a slash
K_SINK: the URL does not begin with http:// or https://; allowed: an http or https URL
K_CE_OVERRIDES: allowed: JSON like {"extensions":{"name":"value"}}
K_CA_CERTS: allowed: certificates in PEM; it holds none
AMP_EVENTS="on": allowed: off, async and required
AMP_EVENTS_LEVEL="full": allowed: None, Metadata, Patch and Full
AMP_EVENTS_SOURCE: allowed: a URI without userinfo
AMP_METRICS_ADDR="2112": allowed: host:port, :port or off
AMP_LOG_LEVEL="loud": allowed: debug, info, warn and error
AMP_ENDPOINT_CERT and AMP_ENDPOINT_KEY go together
AMP_ENDPOINT_CERT and AMP_ENDPOINT_TOKEN_FILE need AMP_ENDPOINT_ALLOW: credentials go only to hosts that it names`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

// A program that looks at a configuration without starting amp sees the good variables.
func TestLoadOfABadEnvironmentGivesTheDefaultsInItsPlace(t *testing.T) {
	for name, test := range map[string]struct {
		env   map[string]string
		blame []string
		check func(*serve.Config) bool
	}{
		"a bad value": {map[string]string{"AMP_TIMEOUT": "soon", "AMP_PATCH_DENY": "spec", "AMP_EVENTS": "off"}, []string{"AMP_TIMEOUT", "AMP_PATCH_DENY"},
			func(c *serve.Config) bool {
				return c.Timeout == 1500*time.Millisecond && len(denied(c.Patches)) == 5 && c.Events == serve.EventsOff
			}},
		"two that go together": {map[string]string{"AMP_ENDPOINT_CERT": "c", "AMP_ENDPOINT_ALLOW": "*.svc", "AMP_TIMEOUT": "1s"}, []string{"AMP_ENDPOINT_CERT", "AMP_ENDPOINT_KEY"},
			func(c *serve.Config) bool { return c.Timeout == time.Second }},
		"a list that is bad is not missing": {map[string]string{"AMP_ENDPOINT_TOKEN_FILE": "t", "AMP_ENDPOINT_ALLOW": "http://a"}, []string{"AMP_ENDPOINT_ALLOW"},
			func(c *serve.Config) bool { return c.EndpointAllow.Default() }},
		"a sink that is bad is not missing": {map[string]string{"AMP_EVENTS": "required", "K_SINK": "audit.svc"}, []string{"K_SINK"},
			func(c *serve.Config) bool { return c.Sink == nil }},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := serve.Load(env(test.env))
			var bad *serve.Bad
			if !errors.As(err, &bad) || !cmp.Equal(bad.Variables, test.blame) {
				t.Fatalf("%v blames %v, not %v", err, bad, test.blame)
			}
			if !test.check(c) {
				t.Errorf("configuration %+v", c)
			}
		})
	}
}

// A list without an entry would stand for something: the default, or nothing at all.
func TestListsWithoutAnEntry(t *testing.T) {
	for _, name := range []string{"AMP_ENDPOINT_ALLOW", "AMP_PATCH_DENY", "AMP_TLS_DNS_NAMES", "AMP_WEBHOOKS"} {
		for _, value := range []string{",", " , ,\n"} {
			_, err := serve.Load(env(map[string]string{name: value}))
			var bad *serve.Bad
			if !errors.As(err, &bad) || !cmp.Equal(bad.Variables, []string{name}) || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "allowed") {
				t.Errorf("%s=%q: %v", name, value, err)
			}
		}
	}
}

func TestTLSWithoutItsFiles(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string]string
		want string
	}{
		"files without a key":            {map[string]string{"AMP_TLS": "files", "AMP_TLS_CERT": "c"}, "AMP_TLS=files needs AMP_TLS_CERT and AMP_TLS_KEY"},
		"required events without a sink": {map[string]string{"AMP_EVENTS": "required"}, "AMP_EVENTS=required needs K_SINK: the sink must accept each event"},
		"one port for two":               {map[string]string{"K_SERVICE": "amp", "AMP_TLS": "self", "PORT": "8443"}, "PORT and AMP_TLS_PORT are the same, and under Knative both are served"},
		"a client CA without TLS":        {map[string]string{"AMP_TLS_CLIENT_CA": "c"}, "AMP_TLS_CLIENT_CA needs AMP_TLS: without TLS no client presents a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := serve.Load(env(test.env)); err == nil || err.Error() != "reading the configuration:\n"+test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestLoadOfBadRulesForEndpoints(t *testing.T) {
	_, err := serve.Load(env(map[string]string{"AMP_ENDPOINT_ALLOW": "http://x, *.svc 10.0.0.0/33", "AMP_ENDPOINT_MAX_BYTES": "-1"}))
	const allowed = "; allowed are host globs (*.svc), host:port, addresses and CIDRs (10.0.0.0/8)"
	want := `reading the configuration:
AMP_ENDPOINT_ALLOW: entry 1 of 3 is a URL` + allowed + `
AMP_ENDPOINT_ALLOW: entry 3 of 3 is none of these` + allowed + `
AMP_ENDPOINT_MAX_BYTES="-1": allowed: a number of bytes from 1 to 16777216`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
