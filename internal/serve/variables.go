package serve

import (
	"crypto/x509"
	"log/slog"
	"net/url"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/txn2/amp/internal/callout"
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
	set     setter
}

// variables is the table of all variables. Load, the help text and docs/config.md are made from it.
var variables = []variable{
	{"PORT", "8080", "", "a port number",
		"Plain HTTP on the functions framework. amp uses it with `AMP_TLS=off`, and always under Knative (`K_SERVICE` set), whose proxy connects to it",
		into(func(c *Config) *string { return &c.Port }, port)},

	{"AMP_TLS", TLSOff, "", "off, files and self",
		"`off`; `files`: amp uses `AMP_TLS_CERT` and `AMP_TLS_KEY`, and re-reads them when they change; `self`: amp makes and renews its own CA and certificate, keeps them in the Secret `AMP_TLS_SECRET`, and writes the CA into the webhook configurations `AMP_WEBHOOKS`",
		into(func(c *Config) *string { return &c.TLS }, oneOf(TLSOff, TLSFiles, TLSSelf))},
	{"AMP_TLS_PORT", "8443", "", "a port number",
		"TLS, when `AMP_TLS` is on",
		into(func(c *Config) *string { return &c.TLSPort }, port)},
	{"AMP_TLS_CERT", "", "", "a file name",
		"PEM file: the serving certificate and its chain",
		into(func(c *Config) *string { return &c.TLSCert }, text)},
	{"AMP_TLS_KEY", "", "", "a file name",
		"PEM file: the certificate's key",
		into(func(c *Config) *string { return &c.TLSKey }, text)},
	{"AMP_TLS_CLIENT_CA", "", "", "a file name",
		"PEM file. The client of a POST must present a certificate that this CA signed. Probes do not need one. Over plain HTTP no client can present one: under Knative amp then refuses every POST to `PORT`",
		into(func(c *Config) *string { return &c.TLSClientCA }, text)},
	{"AMP_TLS_SECRET", "amp-tls", "", "the name of a Secret",
		"The Secret of `AMP_TLS=self`, which all replicas share. It is in amp's own namespace: the Pod's or, with `KUBECONFIG`, that of its context, else `" + review.InstallNamespace + "`",
		into(func(c *Config) *string { return &c.TLSSecret }, objectName)},
	{"AMP_TLS_DNS_NAMES", "", "`amp.<own namespace>.svc`", "DNS names and IP addresses",
		"Names on the `self` certificate",
		into(func(c *Config) *[]string { return &c.TLSDNSNames }, hostNames)},
	{"AMP_TLS_LIFETIME", "2160h", "", "a Go duration from 10s to 87600h",
		"Lifetime of `self` certificates. amp renews a certificate when two thirds of its lifetime are over; a change holds from the next renewal on",
		into(func(c *Config) *time.Duration { return &c.TLSLifetime }, duration(10*time.Second, 87600*time.Hour))},
	{"AMP_WEBHOOKS", "amp", "", "names of webhook configurations",
		"The MutatingWebhookConfigurations and ValidatingWebhookConfigurations into which `AMP_TLS=self` writes its CA. For each name, both kinds must exist",
		into(func(c *Config) *[]string { return &c.Webhooks }, objectNames)},

	{"AMP_NAMESPACES_FILE", "", "", "a file name",
		"Namespaces from a file, without a cluster: a YAML file of Namespace manifests. amp re-reads it when it changes",
		into(func(c *Config) *string { return &c.NamespacesFile }, text)},
	{"KUBECONFIG", "", "in-cluster", "a file name",
		"File that says how to reach the cluster",
		into(func(c *Config) *string { return &c.Kubeconfig }, text)},
	{"AMP_FAILURE_POLICY", string(review.Fail), "", "Fail and Ignore",
		"The failure policy on the paths that do not name one (`/`, `/mutate`, `/validate`), for namespaces that do not set one: `Fail` or `Ignore`",
		into(func(c *Config) *review.FailurePolicy { return &c.FailurePolicy }, oneOf(review.Fail, review.Ignore))},
	{"AMP_TIMEOUT", "1500ms", "", "a Go duration from 10ms to 30s",
		"Per review, for all endpoints together; half of it in the validate phase",
		into(func(c *Config) *time.Duration { return &c.Timeout }, duration(10*time.Millisecond, 30*time.Second))},

	{"AMP_ENDPOINT_ALLOW", "", "private ranges", "",
		"Where amp may call: host globs, `host:port` and CIDRs. They replace the default, which is the private addresses (RFC 1918, RFC 4193, RFC 6598)",
		into(func(c *Config) *callout.Rules { return &c.EndpointAllow }, rules)},
	{"AMP_ENDPOINT_CA", "", "system roots", "a file name",
		"PEM file: the CAs that sign endpoints' certificates. amp re-reads it when it changes",
		into(func(c *Config) *string { return &c.EndpointCA }, text)},
	{"AMP_ENDPOINT_CERT", "", "", "a file name",
		"PEM file: amp's client certificate, for https endpoints on hosts that `AMP_ENDPOINT_ALLOW` names. amp re-reads it when it changes",
		into(func(c *Config) *string { return &c.EndpointCert }, text)},
	{"AMP_ENDPOINT_KEY", "", "", "a file name",
		"PEM file: the client certificate's key",
		into(func(c *Config) *string { return &c.EndpointKey }, text)},
	{"AMP_ENDPOINT_TOKEN_FILE", "", "", "a file name",
		"Bearer token (a projected, audience-bound ServiceAccount token), for https endpoints on hosts that `AMP_ENDPOINT_ALLOW` names. amp re-reads the file",
		into(func(c *Config) *string { return &c.EndpointTokenFile }, text)},
	{"AMP_ENDPOINT_MAX_BYTES", "1048576", "", "a number of bytes from 1 to 16777216",
		"The maximum size of an endpoint's answer",
		into(func(c *Config) *int64 { return &c.EndpointMaxBytes }, number(1, 16<<20))},
	{"AMP_PATCH_DENY", "/spec/serviceAccountName /spec/nodeName /spec/hostNetwork /spec/hostPID /spec/hostIPC", "", "",
		"JSON pointers that an endpoint must not touch. They are prefixes, and `*` stands for one segment. `none` means that there are no such pointers",
		into(func(c *Config) **patch.Checker { return &c.Patches }, checker)},

	{"K_SINK", "", "stdout", "",
		"Where events go, as Knative's SinkBinding sets it. On stdout each event is one JSON line",
		into(func(c *Config) **url.URL { return &c.Sink }, sink)},
	{"K_CE_OVERRIDES", "", "", "",
		"Extension attributes for every event, as SinkBinding sets them",
		into(func(c *Config) *map[string]string { return &c.EventExtensions }, extensions)},
	{"K_CA_CERTS", "", "system roots", "",
		"CAs (PEM, not a file name) by which amp verifies the sink's certificate besides the system's roots, as SinkBinding sets them",
		into(func(c *Config) **x509.CertPool { return &c.SinkRoots }, roots)},
	{"AMP_EVENTS", EventsAsync, "", "off, async and required",
		"`off`; `async`: no answer waits for an event; `required`: `K_SINK` must accept the event of a mutation before the API server gets its answer, otherwise the mutation has failed",
		into(func(c *Config) *string { return &c.Events }, oneOf(EventsOff, EventsAsync, EventsRequired))},
	{"AMP_EVENTS_LEVEL", string(review.LevelPatch), "", "None, Metadata, Patch and Full",
		"The most that an event tells: `None`, `Metadata`, `Patch` (an allow-list decides which values it shows) or `Full` (the Pod, and the operations without redaction)",
		into(func(c *Config) *review.Level { return &c.EventsLevel }, oneOf(review.Levels...))},
	{"AMP_EVENTS_SOURCE", "https://amp.txn2.com/proxy", "", "a URI",
		"The `source` attribute of all CloudEvents that amp sends. Set it per cluster",
		into(func(c *Config) *types.URIRef { return &c.EventsSource }, source)},

	{"AMP_METRICS_ADDR", ":2112", "", "host:port, :port or off",
		"Prometheus `/metrics`; `off`",
		into(func(c *Config) *string { return &c.MetricsAddr }, metricsAddr)},
	{"AMP_LOG_LEVEL", "info", "", "debug, info, warn and error",
		"JSON lines on stderr (slog): `debug`, `info`, `warn` or `error`",
		into(func(c *Config) *slog.Level { return &c.LogLevel }, logLevel)},
}
