package serve

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// Config is amp's configuration as [Load] reads it from the environment: parsed, checked, and with every default
// filled in. Its values are used as they are; no package parses them or fills in a default again.
type Config struct {
	// Port is where the functions framework serves plain HTTP (PORT); Load never leaves it empty.
	Port string
	// Knative reports whether amp runs as a Knative Service, whose proxy connects to Port (K_SERVICE); false means that
	// amp serves Port only if TLS is off.
	Knative bool

	// TLS is TLSOff, TLSFiles or TLSSelf (AMP_TLS); Load never leaves it empty.
	TLS string
	// TLSPort is where amp serves TLS (AMP_TLS_PORT); Load never leaves it empty.
	TLSPort string
	// TLSCert is the PEM file of the serving certificate (AMP_TLS_CERT); it is not empty with TLSFiles.
	TLSCert string
	// TLSKey is the PEM file of the certificate's key (AMP_TLS_KEY); it is not empty with TLSFiles.
	TLSKey string
	// TLSClientCA is the PEM file of the CA whose certificates clients must present (AMP_TLS_CLIENT_CA); empty means
	// that they need none.
	TLSClientCA string
	// TLSSecret is the name of the Secret of TLSSelf (AMP_TLS_SECRET); Load never leaves it empty.
	TLSSecret string
	// TLSDNSNames are the names on the certificate of TLSSelf (AMP_TLS_DNS_NAMES); empty means amp's Service in its own
	// namespace.
	TLSDNSNames []string
	// TLSLifetime is how long a certificate of TLSSelf is valid (AMP_TLS_LIFETIME); Load never leaves it 0.
	TLSLifetime time.Duration
	// Webhooks are the names of the webhook configurations of TLSSelf (AMP_WEBHOOKS); Load never leaves it empty.
	Webhooks []string

	// NamespacesFile is a file of Namespaces (AMP_NAMESPACES_FILE); empty means that they are the cluster's.
	NamespacesFile string
	// Kubeconfig is the file that says how to reach the cluster (KUBECONFIG); empty means that amp is a Pod in it.
	Kubeconfig string

	// FailurePolicy holds if neither the path nor the Namespace names one (AMP_FAILURE_POLICY); Load never leaves it
	// empty.
	FailurePolicy review.FailurePolicy
	// Timeout is the time for one mutating review (AMP_TIMEOUT); Load never leaves it 0.
	Timeout time.Duration

	// InFlightBytes is how much memory reviews in flight may hold together (AMP_IN_FLIGHT_BYTES); 0 means a part of the
	// memory of the process: see newMemory.
	InFlightBytes int64

	// EndpointAllow says where amp may call (AMP_ENDPOINT_ALLOW); the zero value allows private addresses only.
	EndpointAllow callout.Rules
	// EndpointCA is the PEM file of the CAs of endpoints (AMP_ENDPOINT_CA); empty means the system's roots.
	EndpointCA string
	// EndpointCert is the PEM file of amp's client certificate (AMP_ENDPOINT_CERT); empty means none.
	EndpointCert string
	// EndpointKey is the PEM file of that certificate's key (AMP_ENDPOINT_KEY); it is empty if EndpointCert is.
	EndpointKey string
	// EndpointTokenFile holds amp's bearer token for endpoints (AMP_ENDPOINT_TOKEN_FILE); empty means none.
	EndpointTokenFile string
	// EndpointMaxBytes is the most bytes of an endpoint's answer (AMP_ENDPOINT_MAX_BYTES); Load never leaves it 0.
	EndpointMaxBytes int64
	// Patches checks patches with the places of AMP_PATCH_DENY; Load never leaves it nil.
	Patches *patch.Checker

	// Sink is where events go (K_SINK); nil means stdout.
	Sink *url.URL
	// SinkRoots verify the sink's certificate (K_CA_CERTS); nil means the system's roots.
	SinkRoots *x509.CertPool
	// EventsTokenFile holds amp's bearer token for the sink (AMP_EVENTS_TOKEN_FILE); empty means none.
	EventsTokenFile string
	// EventsTokenInsecure allows that the token goes over http to a private address (AMP_EVENTS_TOKEN_INSECURE).
	EventsTokenInsecure bool
	// EventExtensions are attributes of every event (K_CE_OVERRIDES); nil means none.
	EventExtensions map[string]string
	// Events is EventsOff, EventsAsync or EventsRequired (AMP_EVENTS); Load never leaves it empty.
	Events string
	// EventsLevel is the most that an event tells (AMP_EVENTS_LEVEL); Load never leaves it empty.
	EventsLevel review.Level
	// EventsSource is the attribute source of all CloudEvents that amp sends (AMP_EVENTS_SOURCE); Load never leaves it
	// empty.
	EventsSource types.URIRef

	// MetricsAddr is where amp serves its metrics (AMP_METRICS_ADDR); empty means nowhere.
	MetricsAddr string
	// LogLevel is the lowest level that amp logs (AMP_LOG_LEVEL); the zero value is info.
	LogLevel slog.Level
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

// Bad is the error of a bad configuration.
type Bad struct {
	Variables []string // the names of the bad variables
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

// names reports whether one of the variables is bad.
func (b *Bad) names(variables ...string) bool {
	return slices.ContainsFunc(variables, func(name string) bool { return slices.Contains(b.Variables, name) })
}

// Load reads the configuration with getenv, which is like os.Getenv. An empty variable counts as unset, because
// Kubernetes and Knative set variables to empty strings. The error is a *[Bad]: it names every bad variable and what is
// allowed. The configuration is then the one that has the defaults in their place, for a program that looks at it
// without starting amp.
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
		switch {
		case v.allowed == "":
			text = err.Error()
		case review.MayHoldURL(value): // a part of it can be a secret
			text = fmt.Sprintf("%s: allowed: %s", v.name, v.allowed)
		}
		bad.add(text, v.name)
		if v.def != "" {
			_ = v.set(c, v.def) // a test makes sure that every default is good
		}
	}
	if c.Events == EventsRequired && c.EventsLevel == review.LevelNone {
		c.EventsLevel = review.LevelMetadata // a required record must hold something
	}
	c.validate(&bad)
	if len(bad.texts) > 0 {
		return c, &bad
	}
	return c, nil
}

// validate checks variables that depend on each other. It says nothing about variables that are bad by themselves.
func (c *Config) validate(bad *Bad) {
	together := func(ok bool, text string, variables ...string) {
		if !ok && !bad.names(variables...) {
			bad.add(text, variables...)
		}
	}
	together(c.TLS != TLSFiles || c.TLSCert != "" && c.TLSKey != "",
		"AMP_TLS=files needs AMP_TLS_CERT and AMP_TLS_KEY", "AMP_TLS_CERT", "AMP_TLS_KEY")
	together(c.TLSClientCA == "" || c.TLS != TLSOff,
		"AMP_TLS_CLIENT_CA needs AMP_TLS: without TLS no client presents a certificate", "AMP_TLS")
	together(!c.Knative || c.TLS == TLSOff || c.Port != c.TLSPort,
		"PORT and AMP_TLS_PORT are the same, and under Knative both are served", "AMP_TLS_PORT")
	together((c.EndpointCert == "") == (c.EndpointKey == ""),
		"AMP_ENDPOINT_CERT and AMP_ENDPOINT_KEY go together", "AMP_ENDPOINT_CERT", "AMP_ENDPOINT_KEY")
	together(c.EndpointCert == "" && c.EndpointTokenFile == "" || !c.EndpointAllow.Default(),
		"AMP_ENDPOINT_CERT and AMP_ENDPOINT_TOKEN_FILE need AMP_ENDPOINT_ALLOW: credentials go only to hosts that it names", "AMP_ENDPOINT_ALLOW")
	fault := c.tokenFault()
	together(fault == "", fault, "AMP_EVENTS_TOKEN_FILE", "AMP_EVENTS_TOKEN_INSECURE", "K_SINK")
	together(c.Events != EventsRequired || c.Sink != nil,
		"AMP_EVENTS=required needs K_SINK: the sink must accept each event", "K_SINK")
}

// tokenFault says why the token for the sink cannot be sent, or must not be.
func (c *Config) tokenFault() string {
	switch {
	case c.EventsTokenFile == "", c.Events == EventsOff:
	case c.Sink == nil:
		return "AMP_EVENTS_TOKEN_FILE needs K_SINK, to which amp sends the token"
	case c.Sink.User != nil:
		return "AMP_EVENTS_TOKEN_FILE and a K_SINK with userinfo exclude each other: a request has one of them"
	case c.Sink.Scheme != "https" && !(c.EventsTokenInsecure && mayBePrivate(c.Sink.Hostname())):
		return "AMP_EVENTS_TOKEN_FILE needs a K_SINK with https: amp sends the token over http only to a private address, and only with AMP_EVENTS_TOKEN_INSECURE=true"
	}
	return ""
}

// mayBePrivate reports whether a host is not an address that is public. A name's address is checked when amp connects.
func mayBePrivate(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err != nil || outbound.IsPrivate(ip)
}
