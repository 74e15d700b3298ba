package serve

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/emit"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// Config is amp's configuration, read from the environment by [Load].
type Config struct {
	Port    string // of plain HTTP
	Knative bool   // whether amp runs as a Knative Service, whose proxy speaks plain HTTP to it

	TLS         string // TLSOff, TLSFiles or TLSSelf
	TLSPort     string
	TLSCert     string // file names
	TLSKey      string
	TLSClientCA string // empty: no client certificates wanted
	TLSSecret   string // and the rest: of TLSSelf
	TLSDNSNames []string
	TLSLifetime time.Duration
	Webhooks    []string // names of webhook configurations

	NamespacesFile string // empty: the Namespaces are the cluster's
	Kubeconfig     string // empty: amp runs in the cluster

	FailurePolicy review.FailurePolicy
	Timeout       time.Duration

	EndpointAllow     []string // empty: private addresses
	EndpointCA        string   // file names; empty: the system's roots, no certificate, no token
	EndpointCert      string
	EndpointKey       string
	EndpointTokenFile string
	EndpointMaxBytes  int64
	PatchDeny         []string // JSON pointers

	Sink          string // URL where events go; empty: stdout
	SinkOverrides string // JSON of CloudEvents overrides, as Knative's SinkBinding sets it
	SinkCA        string // PEM itself, not a file name
	Events        string // EventsOff, EventsAsync or EventsRequired
	EventsLevel   review.Level
	EventsSource  string

	MetricsAddr string // empty: no metrics
	LogLevel    slog.Level
}

// The values of AMP_TLS.
const (
	TLSOff   = "off"
	TLSFiles = "files"
	TLSSelf  = "self"
)

// The values of AMP_EVENTS.
const (
	EventsOff      = "off"
	EventsAsync    = "async"
	EventsRequired = "required"
)

// variable is one environment variable. The table of them is all there is: Load, the help text and
// docs/config.md come from it.
type variable struct {
	name, def string
	allowed   string // what a bad value's error says, unless set's own says that; then empty
	help      string
	set       func(c *Config, value string) error
}

var errBad = errors.New("bad value")

var variables = []variable{
	{"PORT", "8080", "a port number", "plain HTTP on the functions framework: with `AMP_TLS=off`, and always under Knative (`K_SERVICE` set), whose proxy speaks to it",
		port(func(c *Config) *string { return &c.Port })},
	{"AMP_TLS", TLSOff, "off, files and self", "`off`; `files`: HTTPS with `AMP_TLS_CERT` and `AMP_TLS_KEY`, re-read when they change; `self`: amp makes and renews its own CA and certificate, keeps them in the Secret `AMP_TLS_SECRET`, and writes the CA into the webhook configurations `AMP_WEBHOOKS`",
		oneOf(func(c *Config, v string) { c.TLS = v }, TLSOff, TLSFiles, TLSSelf)},
	{"AMP_TLS_PORT", "8443", "a port number", "HTTPS, when `AMP_TLS` is on",
		port(func(c *Config) *string { return &c.TLSPort })},
	{"AMP_TLS_CERT", "", "a file name", "PEM file: the serving certificate and its chain",
		text(func(c *Config) *string { return &c.TLSCert })},
	{"AMP_TLS_KEY", "", "a file name", "PEM file: the certificate's key",
		text(func(c *Config) *string { return &c.TLSKey })},
	{"AMP_TLS_CLIENT_CA", "", "a file name", "PEM file: whoever POSTs must present a certificate it signed (probes need none), which nobody can over plain HTTP: on `PORT`, under Knative, every POST is then refused",
		text(func(c *Config) *string { return &c.TLSClientCA })},
	{"AMP_TLS_SECRET", "amp-tls", "the name of a Secret", "the Secret of `AMP_TLS=self`, which all replicas share, in amp's own namespace: the Pod's or, with `KUBECONFIG`, that of its context, else `amp-system`",
		names(func(c *Config, v []string) { c.TLSSecret = v[0] }, 1, false)},
	{"AMP_TLS_DNS_NAMES", "", "DNS names and IP addresses", "names on the certificate of `AMP_TLS=self`; unset: `amp.<own namespace>.svc`",
		names(func(c *Config, v []string) { c.TLSDNSNames = v }, 100, true)},
	{"AMP_TLS_LIFETIME", "2160h", "a Go duration from 10s to 87600h", "how long a certificate of `AMP_TLS=self` is good; it is renewed when two thirds of that are over, and a change counts from then on", setLifetime},
	{"AMP_WEBHOOKS", "amp", "names of webhook configurations", "the MutatingWebhookConfigurations and ValidatingWebhookConfigurations into which `AMP_TLS=self` writes its CA; of each name there must be one of either kind",
		names(func(c *Config, v []string) { c.Webhooks = v }, 100, false)},
	{"AMP_NAMESPACES_FILE", "", "a file name", "YAML file of Namespace manifests that takes the cluster's place, re-read when it changes",
		text(func(c *Config) *string { return &c.NamespacesFile })},
	{"KUBECONFIG", "", "a file name", "how to reach the cluster; unset: as a Pod in it",
		text(func(c *Config) *string { return &c.Kubeconfig })},
	{"AMP_FAILURE_POLICY", string(review.Fail), "Fail and Ignore", "on `/`, `/mutate` and `/validate` only, for namespaces that do not say: `Fail` or `Ignore`",
		oneOf(func(c *Config, v string) { c.FailurePolicy = review.FailurePolicy(v) }, string(review.Fail), string(review.Ignore))},
	{"AMP_TIMEOUT", "1500ms", "a Go duration from 10ms to 30s", "per review, all endpoints together; half of it when validating", setTimeout},
	{"AMP_ENDPOINT_ALLOW", "", "", "where amp may call: host globs, `host:port` and CIDRs; unset: private addresses (RFC 1918, RFC 4193, RFC 6598)", setEndpointAllow},
	{"AMP_ENDPOINT_CA", "", "a file name", "PEM file: the CAs that endpoints' certificates are verified with, re-read when it changes; unset: the system's roots",
		text(func(c *Config) *string { return &c.EndpointCA })},
	{"AMP_ENDPOINT_CERT", "", "a file name", "PEM file: client certificate for endpoints that `AMP_ENDPOINT_ALLOW` names, re-read when it changes",
		text(func(c *Config) *string { return &c.EndpointCert })},
	{"AMP_ENDPOINT_KEY", "", "a file name", "PEM file: the client certificate's key",
		text(func(c *Config) *string { return &c.EndpointKey })},
	{"AMP_ENDPOINT_TOKEN_FILE", "", "a file name", "bearer token for https endpoints that `AMP_ENDPOINT_ALLOW` names, re-read when it changes",
		text(func(c *Config) *string { return &c.EndpointTokenFile })},
	{"AMP_ENDPOINT_MAX_BYTES", "1048576", "a number of bytes from 1 to 16777216", "the most bytes of an endpoint's answer", setMaxBytes},
	{"AMP_PATCH_DENY", "/spec/serviceAccountName /spec/nodeName /spec/hostNetwork /spec/hostPID /spec/hostIPC", "",
		"JSON pointers (prefixes, `*` for one segment) that no endpoint may touch; `none`", setPatchDeny},
	{"K_SINK", "", "", "where events go, as Knative's SinkBinding sets it; unset: one JSON line each on stdout",
		parsed(func(c *Config) *string { return &c.Sink }, emit.ParseSink)},
	{"K_CE_OVERRIDES", "", "", "extension attributes for every event, as SinkBinding sets them",
		parsed(func(c *Config) *string { return &c.SinkOverrides }, emit.ParseOverrides)},
	{"K_CA_CERTS", "", "", "CAs (PEM, not a file name) that the sink's certificate is verified with besides the system's roots, as SinkBinding sets them",
		parsed(func(c *Config) *string { return &c.SinkCA }, emit.ParseCAs)},
	{"AMP_EVENTS", EventsAsync, "off, async and required", "`off`; `async`: the answer never waits; `required`: a mutation whose event `K_SINK` has not accepted has failed",
		oneOf(func(c *Config, v string) { c.Events = v }, EventsOff, EventsAsync, EventsRequired)},
	{"AMP_EVENTS_LEVEL", string(review.LevelPatch), "None, Metadata, Patch and Full", "the most an event tells: `None`, `Metadata`, `Patch` (values by an allow-list) or `Full` (the Pod and the operations in clear)",
		oneOf(func(c *Config, v string) { c.EventsLevel = review.Level(v) }, string(review.LevelNone), string(review.LevelMetadata), string(review.LevelPatch), string(review.LevelFull))},
	{"AMP_EVENTS_SOURCE", "https://amp.txn2.com/proxy", "a URI", "the CloudEvents attribute `source` of all that amp sends; set it per cluster", setSource},
	{"AMP_METRICS_ADDR", ":2112", "host:port, :port or off", "Prometheus `/metrics`; `off`", setMetricsAddr},
	{"AMP_LOG_LEVEL", "info", "debug, info, warn and error", "JSON lines on stderr: `debug`, `info`, `warn` or `error`",
		func(c *Config, v string) error { return c.LogLevel.UnmarshalText([]byte(v)) }},
}

// Bad is the error of a configuration.
type Bad struct {
	Variables []string // to blame, by name
	texts     []string
}

func (b *Bad) Error() string {
	return "reading the configuration:\n" + strings.Join(b.texts, "\n")
}

func (b *Bad) add(text string, variables ...string) {
	b.texts = append(b.texts, text)
	for _, name := range variables {
		if !slices.Contains(b.Variables, name) {
			b.Variables = append(b.Variables, name)
		}
	}
}

// Load reads the configuration with getenv, which is os.Getenv's like. An empty variable is an unset one,
// as Kubernetes and Knative set them. The error is a *[Bad] that names every bad variable with what is allowed;
// the configuration is then what it were if these had their defaults, for whoever looks at it without starting
// amp.
func Load(getenv func(string) string) (*Config, error) {
	c := &Config{Knative: getenv("K_SERVICE") != ""}
	var bad Bad
	for _, v := range variables {
		value := strings.TrimSpace(getenv(v.name))
		if value == "" {
			value = v.def
		}
		if value == "" {
			continue
		}
		err := v.set(c, value)
		if err == nil {
			continue
		}
		text := fmt.Sprintf("%s=%q: allowed: %s", v.name, review.Clip(value, 100), v.allowed)
		if v.allowed == "" {
			text = err.Error()
		}
		bad.add(text, v.name)
		if v.def != "" {
			_ = v.set(c, v.def) // which a test knows to be good
		}
	}
	if c.Events == EventsRequired && c.EventsLevel == review.LevelNone {
		c.EventsLevel = review.LevelMetadata // a record is required: it has to say something
	}
	c.validate(&bad)
	if len(bad.texts) > 0 {
		return c, &bad
	}
	return c, nil
}

// validate holds the variables against each other, but for those that are bad already.
func (c *Config) validate(bad *Bad) {
	together := func(ok bool, text string, variables ...string) {
		if !ok && !slices.ContainsFunc(variables, func(name string) bool { return slices.Contains(bad.Variables, name) }) {
			bad.add(text, variables...)
		}
	}
	together(c.TLS != TLSFiles || c.TLSCert != "" && c.TLSKey != "", "AMP_TLS=files needs AMP_TLS_CERT and AMP_TLS_KEY", "AMP_TLS_CERT", "AMP_TLS_KEY")
	together(c.TLSClientCA == "" || c.TLS != TLSOff, "AMP_TLS_CLIENT_CA needs AMP_TLS: without TLS nobody presents a certificate", "AMP_TLS")
	together(!c.Knative || c.TLS == TLSOff || c.Port != c.TLSPort, "PORT and AMP_TLS_PORT are the same, and under Knative both are served", "AMP_TLS_PORT")
	together((c.EndpointCert == "") == (c.EndpointKey == ""), "AMP_ENDPOINT_CERT and AMP_ENDPOINT_KEY go together", "AMP_ENDPOINT_CERT", "AMP_ENDPOINT_KEY")
	named := c.EndpointCert == "" && c.EndpointTokenFile == "" || len(c.EndpointAllow) > 0
	together(named, "AMP_ENDPOINT_CERT and AMP_ENDPOINT_TOKEN_FILE need AMP_ENDPOINT_ALLOW: credentials go only to hosts that it names", "AMP_ENDPOINT_ALLOW")
	together(c.Events != EventsRequired || c.Sink != "", "AMP_EVENTS=required needs K_SINK: somebody has to accept the events", "K_SINK")
}

func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error { *field(c) = v; return nil }
}

// parsed is text that parse can read: what it makes of it is for whoever uses the field.
func parsed[T any](field func(*Config) *string, parse func(string) (T, error)) func(*Config, string) error {
	return func(c *Config, v string) error {
		_, err := parse(v)
		if err == nil {
			*field(c) = v
		}
		return err
	}
}

// split splits at white space and commas.
func split(v string) []string { return strings.Fields(strings.ReplaceAll(v, ",", " ")) }

// names sets a list of at most n names of objects or, with ips, of hosts.
func names(set func(*Config, []string), n int, ips bool) func(*Config, string) error {
	return func(c *Config, v string) error {
		all := split(v)
		for _, name := range all {
			if len(validation.IsDNS1123Subdomain(name)) > 0 && !(ips && net.ParseIP(name) != nil) {
				return errBad
			}
		}
		if len(all) == 0 || len(all) > n {
			return errBad
		}
		set(c, all)
		return nil
	}
}

func oneOf(set func(*Config, string), allowed ...string) func(*Config, string) error {
	return func(c *Config, v string) error {
		for _, a := range allowed {
			if v == a {
				set(c, v)
				return nil
			}
		}
		return errBad
	}
}

func port(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error {
		if n, err := strconv.ParseUint(v, 10, 16); err != nil || n == 0 {
			return errBad
		}
		*field(c) = v
		return nil
	}
}

func setTimeout(c *Config, v string) (err error) {
	if c.Timeout, err = time.ParseDuration(v); err == nil && (c.Timeout < 10*time.Millisecond || c.Timeout > 30*time.Second) {
		return errBad
	}
	return err
}

func setLifetime(c *Config, v string) (err error) {
	if c.TLSLifetime, err = time.ParseDuration(v); err == nil && (c.TLSLifetime < 10*time.Second || c.TLSLifetime > 87600*time.Hour) {
		return errBad
	}
	return err
}

func setMaxBytes(c *Config, v string) (err error) {
	if c.EndpointMaxBytes, err = strconv.ParseInt(v, 10, 64); err == nil && (c.EndpointMaxBytes < 1 || c.EndpointMaxBytes > 16<<20) {
		return errBad
	}
	return err
}

func setEndpointAllow(c *Config, v string) error {
	_, err := callout.Allowed(split(v), nil)
	if err == nil {
		c.EndpointAllow = split(v)
	}
	return err
}

func setPatchDeny(c *Config, v string) error {
	if v == "none" {
		c.PatchDeny = nil
		return nil
	}
	if _, err := patch.New(split(v)); err != nil {
		return fmt.Errorf("AMP_PATCH_DENY: %w", err)
	}
	c.PatchDeny = split(v)
	return nil
}

func setSource(c *Config, v string) error {
	if u, err := url.Parse(v); err != nil || v != u.String() {
		return errBad
	}
	c.EventsSource = v
	return nil
}

func setMetricsAddr(c *Config, v string) error {
	if v == "off" {
		return nil
	}
	if _, _, err := net.SplitHostPort(v); err != nil {
		return errBad
	}
	c.MetricsAddr = v
	return nil
}

// WriteHelp writes the table of variables for a terminal.
func WriteHelp(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range variables {
		def := v.def
		if def == "" {
			def = "-"
		}
		// A long default would push every other line's text off the screen.
		if len(def) > 30 {
			fmt.Fprintf(tw, "  %s\t\t%s\n  \t\tdefault %s\n", v.name, plain(v.help), def)
			continue
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", v.name, def, plain(v.help))
	}
	return tw.Flush()
}

func plain(s string) string { return strings.ReplaceAll(s, "`", "") }

// WriteMarkdown writes the table of variables as docs/config.md has it.
func WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| variable | default | |\n|---|---|---|\n")
	for _, v := range variables {
		def := ""
		if v.def != "" {
			def = "`" + v.def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.name, def, v.help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
