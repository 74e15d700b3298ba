package serve

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// variable is one environment variable.
type variable struct {
	name    string
	def     string // the default, a value of the variable; empty if it has none
	unset   string // what holds instead if there is no default, for the help
	allowed string // for the error of a bad value; empty if the error of set says it
	help    string
	set     func(c *Config, value string) error // value is not empty
}

// variables is the table of all variables. Load, the help text and docs/config.md are made from it.
var variables = []variable{
	{"PORT", "8080", "", "a port number",
		"Plain HTTP on the functions framework. amp uses it with `AMP_TLS=off`, and always under Knative (`K_SERVICE` set), whose proxy connects to it",
		func(c *Config, v string) (err error) { c.Port, err = port(v); return err }},

	{"AMP_TLS", TLSOff, "", "off, files and self",
		"`off`; `files`: amp uses `AMP_TLS_CERT` and `AMP_TLS_KEY`, and re-reads them when they change; `self`: amp makes and renews its own CA and certificate, keeps them in the Secret `AMP_TLS_SECRET`, and writes the CA into the webhook configurations `AMP_WEBHOOKS`",
		func(c *Config, v string) (err error) { c.TLS, err = oneOf(v, TLSOff, TLSFiles, TLSSelf); return err }},
	{"AMP_TLS_PORT", "8443", "", "a port number",
		"TLS, when `AMP_TLS` is on",
		func(c *Config, v string) (err error) { c.TLSPort, err = port(v); return err }},
	{"AMP_TLS_CERT", "", "", "a file name",
		"PEM file: the serving certificate and its chain",
		func(c *Config, v string) (err error) { c.TLSCert, err = fileName(v); return err }},
	{"AMP_TLS_KEY", "", "", "a file name",
		"PEM file: the certificate's key",
		func(c *Config, v string) (err error) { c.TLSKey, err = fileName(v); return err }},
	{"AMP_TLS_CLIENT_CA", "", "", "a file name",
		"PEM file. The client of a POST must present a certificate that this CA signed. Probes do not need one. Over plain HTTP no client can present one: under Knative amp then refuses every POST to `PORT`",
		func(c *Config, v string) (err error) { c.TLSClientCA, err = fileName(v); return err }},
	{"AMP_TLS_SECRET", "amp-tls", "", "the name of a Secret",
		"The Secret of `AMP_TLS=self`, which all replicas share. It is in amp's own namespace. In a Pod, that is the Pod's namespace. With `KUBECONFIG`, it is the namespace of the context, or `" + review.InstallNamespace + "` if the context has none",
		func(c *Config, v string) (err error) { c.TLSSecret, err = objectName(v); return err }},
	{"AMP_TLS_DNS_NAMES", "", "`amp.<own namespace>.svc`", "DNS names and IP addresses",
		"Names on the `self` certificate",
		func(c *Config, v string) (err error) { c.TLSDNSNames, err = hostNames(v); return err }},
	{"AMP_TLS_LIFETIME", "2160h", "", "a Go duration from 10s to 87600h",
		"Lifetime of `self` certificates. amp renews a certificate when two thirds of its lifetime are over; a change holds from the next renewal on",
		func(c *Config, v string) (err error) {
			c.TLSLifetime, err = duration(v, 10*time.Second, 87600*time.Hour)
			return err
		}},
	{"AMP_WEBHOOKS", "amp", "", "names of webhook configurations",
		"The MutatingWebhookConfigurations and ValidatingWebhookConfigurations into which `AMP_TLS=self` writes its CA. For each name, both kinds must exist",
		func(c *Config, v string) (err error) { c.Webhooks, err = objectNames(v); return err }},

	{"AMP_NAMESPACES_FILE", "", "", "a file name",
		"Namespaces from a file, without a cluster: a YAML or JSON file of Namespace manifests, or of lists as `kubectl get ns -o yaml` prints them. amp re-reads it when it changes",
		func(c *Config, v string) (err error) { c.NamespacesFile, err = fileName(v); return err }},
	{"KUBECONFIG", "", "in-cluster", "a file name",
		"File that says how to reach the cluster",
		func(c *Config, v string) (err error) { c.Kubeconfig, err = fileName(v); return err }},
	{"AMP_FAILURE_POLICY", string(review.Fail), "", "Fail and Ignore",
		"The failure policy on the paths that do not name one (`/`, `/mutate`, `/validate`), for namespaces that do not set one: `Fail` or `Ignore`",
		func(c *Config, v string) (err error) {
			c.FailurePolicy, err = oneOf(v, review.Fail, review.Ignore)
			return err
		}},
	{"AMP_TIMEOUT", fmt.Sprintf("%dms", review.DefaultTimeout.Milliseconds()), "", "a Go duration from 10ms to 30s",
		"Per review, for all endpoints together; half of it in the validate phase",
		func(c *Config, v string) (err error) {
			c.Timeout, err = duration(v, 10*time.Millisecond, 30*time.Second)
			return err
		}},

	{"AMP_IN_FLIGHT_BYTES", "", "a quarter of `GOMEMLIMIT`, else 64 MiB", "a number of bytes of at least 8388608: one review of 7 MiB and its answer must fit",
		"How much memory reviews in flight may hold together: their bodies, and the endpoints' answers. A review that does not fit waits for a tenth of its time. Then amp decides it by the failure policy, without an endpoint. One namespace holds at most half",
		func(c *Config, v string) (err error) {
			c.InFlightBytes, err = number(v, minInFlightBytes, math.MaxInt64)
			return err
		}},

	{"AMP_ENDPOINT_ALLOW", "", "private ranges", "",
		"Where amp may call: host globs, `host:port` and CIDRs. They replace the default, which is the private addresses (RFC 1918, RFC 4193, RFC 6598)",
		func(c *Config, v string) (err error) { c.EndpointAllow, err = rules(v); return err }},
	{"AMP_ENDPOINT_CA", "", "system roots", "a file name",
		"PEM file: the CAs that sign endpoints' certificates. amp re-reads it when it changes",
		func(c *Config, v string) (err error) { c.EndpointCA, err = fileName(v); return err }},
	{"AMP_ENDPOINT_CERT", "", "", "a file name",
		"PEM file: amp's client certificate, for https endpoints on hosts that `AMP_ENDPOINT_ALLOW` names. amp re-reads it when it changes",
		func(c *Config, v string) (err error) { c.EndpointCert, err = fileName(v); return err }},
	{"AMP_ENDPOINT_KEY", "", "", "a file name",
		"PEM file: the client certificate's key",
		func(c *Config, v string) (err error) { c.EndpointKey, err = fileName(v); return err }},
	{"AMP_ENDPOINT_TOKEN_FILE", "", "", "a file name",
		"Bearer token (a projected, audience-bound ServiceAccount token), for https endpoints on hosts that `AMP_ENDPOINT_ALLOW` names. amp re-reads the file",
		func(c *Config, v string) (err error) { c.EndpointTokenFile, err = fileName(v); return err }},
	{"AMP_ENDPOINT_MAX_BYTES", "1048576", "", "a number of bytes from 1 to 16777216",
		"The maximum size of an endpoint's answer",
		func(c *Config, v string) (err error) { c.EndpointMaxBytes, err = number(v, 1, 16<<20); return err }},
	{"AMP_PATCH_DENY", strings.Join(patch.DefaultDeny(), " "), "", "",
		"JSON pointers that an endpoint must not touch. They are prefixes, and `*` stands for one segment. Each must name a field that a Pod has. `none` means that there are no such pointers",
		func(c *Config, v string) (err error) { c.Patches, err = checker(v); return err }},

	{"K_SINK", "", "stdout", "",
		"Where events go, as Knative's SinkBinding sets it. On stdout each event is one JSON line",
		func(c *Config, v string) (err error) { c.Sink, err = sink(v); return err }},
	{"K_CE_OVERRIDES", "", "", "",
		"Extension attributes for every event, as SinkBinding sets them: `{\"extensions\":{\"name\":\"value\"}}`. A name is of a to z and 0 to 9, and not one that amp's events have already",
		func(c *Config, v string) (err error) { c.EventExtensions, err = extensions(v); return err }},
	{"K_CA_CERTS", "", "system roots", "",
		"CAs (PEM, not a file name) by which amp verifies the sink's certificate besides the system's roots, as SinkBinding sets them",
		func(c *Config, v string) (err error) { c.SinkRoots, err = roots(v); return err }},
	{"AMP_EVENTS", EventsAsync, "", "off, async and required",
		"`off`; `async`: no answer waits for an event; `required`: `K_SINK` must accept the event of a mutation before the API server gets its answer, otherwise the mutation has failed",
		func(c *Config, v string) (err error) {
			c.Events, err = oneOf(v, EventsOff, EventsAsync, EventsRequired)
			return err
		}},
	{"AMP_EVENTS_LEVEL", string(review.LevelPatch), "", "None, Metadata, Patch and Full",
		"The most that an event tells: `None`, `Metadata`, `Patch` (an allow-list decides which values it shows) or `Full` (the Pod, and the operations without redaction)",
		func(c *Config, v string) (err error) { c.EventsLevel, err = oneOf(v, review.Levels...); return err }},
	{"AMP_EVENTS_SOURCE", "https://amp.txn2.com/proxy", "", "",
		"The `source` attribute of all CloudEvents that amp sends: a URI without userinfo. Set it per cluster",
		func(c *Config, v string) (err error) { c.EventsSource, err = source(v); return err }},

	{"AMP_EVENTS_TOKEN_FILE", "", "", "a file name",
		"Bearer token for the sink. amp re-reads the file. amp sends the token over https. It sends the token over http only to a private address, and only with `AMP_EVENTS_TOKEN_INSECURE=true`",
		func(c *Config, v string) (err error) { c.EventsTokenFile, err = fileName(v); return err }},
	{"AMP_EVENTS_TOKEN_INSECURE", "false", "", "true and false",
		"`true`: the token may go over http, where others on the network can read it, to a private address. amp then uses no proxy for the sink",
		func(c *Config, v string) (err error) {
			v, err = oneOf(v, "true", "false")
			c.EventsTokenInsecure = v == "true"
			return err
		}},

	{"AMP_METRICS_ADDR", ":2112", "", "host:port, :port or off",
		"Prometheus `/metrics`; `off`",
		func(c *Config, v string) (err error) { c.MetricsAddr, err = metricsAddr(v); return err }},
	{"AMP_LOG_LEVEL", "info", "", "debug, info, warn and error",
		"JSON lines on stderr (slog): `debug`, `info`, `warn` or `error`",
		func(c *Config, v string) (err error) { c.LogLevel, err = logLevel(v); return err }},
}
