package emit

import (
	"crypto/x509"
	"io"
	"log/slog"
	"net/url"

	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/txn2/amp/internal/share"
)

// EventsConfig is what [Events] need. Its values are ready to be used: Events fill in no default.
type EventsConfig struct {
	// Sink is the http or https URL that takes the events (K_SINK); nil sends them to Output.
	Sink *url.URL
	// Roots verify the sink's certificate (K_CA_CERTS); nil is the system's roots.
	Roots *x509.CertPool

	// Token returns the value of the header Authorization for the sink (AMP_EVENTS_TOKEN_FILE); nil sends none. Over http
	// it goes to private addresses only, and past no proxy.
	Token func() (string, error)

	// Source is the CloudEvents attribute source of each event (AMP_EVENTS_SOURCE); it must not be empty.
	Source types.URIRef
	// Extensions are attributes that every event has besides its own (K_CE_OVERRIDES); nil for none.
	Extensions map[string]string

	// Output takes each event as one line of JSON if there is no Sink; only then it must not be nil.
	Output io.Writer
	// UserAgent is the header of that name in the requests to Sink; if it is empty, the header is not sent.
	UserAgent string
	// Processors are shared with the work for reviews: a large event waits for its turn. Nil means that none waits.
	Processors *share.Processors
	// Metrics count events; it must not be nil.
	Metrics *Metrics
	// Log gets a line for each event that is dropped and for a sink that fails; it must not be nil.
	Log *slog.Logger
}

// NewEvents starts to deliver events, until [Events.Flush].
func NewEvents(config EventsConfig) *Events {
	e := &Events{
		source:     config.Source,
		overrides:  config.Extensions,
		metrics:    config.Metrics,
		log:        config.Log,
		queue:      newQueue(config.Metrics.setQueue),
		processors: config.Processors,
	}
	if config.Sink == nil {
		e.to = writer{config.Output}
		e.start(1) // so that lines do not mix
		return e
	}
	s := newSink(config.Sink, config.Roots, config.UserAgent, config.Token)
	e.to, e.name = s, s.name
	e.start(concurrency)
	return e
}
