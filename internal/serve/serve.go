// Package serve reads amp's configuration, builds amp from it and serves it: on the functions framework, over TLS,
// which the framework does not know, and its metrics on an address of their own. internal/engine puts the proxy
// together.
package serve

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"k8s.io/klog/v2"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/emit"
	"github.com/txn2/amp/internal/engine"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// By default Kubernetes kills a Pod 30 s after it asked it to end. A drain takes 28 s at most.
const (
	drainLimit = 15 * time.Second // until no more reviews come
	stopLimit  = 3 * time.Second  // then for the last callers to leave
	flushLimit = 10 * time.Second // then for the event sink
)

// App is amp, ready to be served.
type App struct {
	// Handler answers reviews and probes.
	Handler http.Handler

	plainPort string     // where the framework serves it; empty: it is served over TLS only
	ended     chan error // why it is no longer served
	about     []any      // what Started logs
	log       *slog.Logger

	drain, stop, flush func(context.Context) // the steps of Drain
}

// New builds amp from the environment that getenv reads, and of which environ is the whole (NAME=value). It watches the
// cluster until ctx ends. New itself serves the metrics and, if TLS is on, amp, until the process ends: a program that hosts
// the function, such as the framework, does not serve TLS.
func New(ctx context.Context, getenv func(string) string, environ []string) (*App, error) {
	config, err := Load(getenv)
	log := newLogger(config)
	warnOfUnknown(environ, log) // also if amp does not start: a misspelt variable may be the reason
	if err != nil {
		return nil, err
	}
	klog.SetSlogLogger(log) // client-go's lines are JSON, too
	keepHeadroom()

	// Every file that a variable names is read before an error ends the start, so that all errors are reported.
	namespaces, namespacesErr := openNamespaces(config, log)
	handler := &proxy.Handler{Version: Version(), Memory: newMemory(config), NotReady: namespaces.notReady}
	registry := newRegistry()
	registry.MustRegister(emit.NewMemoryMetric(handler.Memory.Used))
	processors := share.NewProcessors(runtime.GOMAXPROCS(0))
	crowd := spreadCrowds(ctx)
	processors.OnCrowd(crowd)
	recorder, sinkErr := newRecorder(config, emit.NewMetrics(registry, Version(), handler.InFlight), processors, log)
	var endpointsErr error
	handler.Proxy, endpointsErr = newProxy(config, namespaces, recorder, processors, log)
	certificate, certificateErr := openCertificate(config, log)
	tlsConfig, clientsErr := newTLS(config, certificate, log)
	if namespacesErr != nil && config.NamespacesFile == "" && config.TLS == TLSSelf {
		certificateErr = nil // the same cluster cannot be found
	}
	if err := errors.Join(namespacesErr, sinkErr, endpointsErr, certificateErr, clientsErr); err != nil {
		return nil, err
	}

	app := &App{
		Handler: clientChecked(config, handler), ended: make(chan error, 2),
		drain: handler.Drain, stop: func(context.Context) {}, flush: recorder.Events.Flush,
		about: []any{"version", Version(), "namespaces", namespaces.name, "tls", config.TLS}, log: log,
	}
	if config.TLS == TLSOff || config.Knative {
		app.plainPort = config.Port
	}
	if config.MetricsAddr != "" {
		at, err := serveMetrics(config.MetricsAddr, registry, log)
		if err != nil {
			return nil, err
		}
		app.about = append(app.about, "metrics", at.String())
	}
	if config.TLS != TLSOff {
		handler.NotReady = func() error { return cmp.Or(namespaces.notReady(), certificate.notReady()) }
		registry.MustRegister(emit.NewCertificateMetric(certificate.notAfter))
		var at net.Addr
		if at, app.stop, err = serveTLS(config, tlsConfig, log, app.Handler, crowd, app.ended); err != nil {
			return nil, err
		}
		app.about = append(app.about, "https", at.String())
	}
	// Only now: an amp that cannot use its files or these ports asks nothing of the cluster, and changes nothing in it.
	go namespaces.watch(ctx)
	if certificate != nil {
		go certificate.keep(ctx)
	}
	return app, nil
}

// Started logs that amp has started, and where it listens. A program that hosts the function calls it once; ListenAndServe does
// so itself.
func (a *App) Started() { a.log.Info("amp has started", a.about...) }

// newLogger returns amp's logger: JSON lines on stderr.
func newLogger(config *Config) *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: config.LogLevel}))
}

// eventsLevel is the most that an event tells, empty if events are off.
func (c *Config) eventsLevel() review.Level {
	if c.Events == EventsOff {
		return ""
	}
	return c.EventsLevel
}

// newRecorder returns what takes the records of reviews, also with an error. It starts to deliver events, if there are any.
func newRecorder(config *Config, metrics *emit.Metrics, processors *share.Processors, log *slog.Logger) (*emit.Recorder, error) {
	recorder := &emit.Recorder{Metrics: metrics, Log: log}
	if level := config.eventsLevel(); level == "" || level == review.LevelNone {
		return recorder, nil
	}
	var token func() (string, error)
	if config.EventsTokenFile != "" {
		file, err := outbound.Token("AMP_EVENTS_TOKEN_FILE", config.EventsTokenFile, func(err error) {
			log.Warn("token for the event sink not renewed", "variable", "AMP_EVENTS_TOKEN_FILE", "error", err)
		})
		if err != nil {
			return recorder, err
		}
		token = file.Load
	}
	recorder.Events = emit.NewEvents(emit.EventsConfig{
		Sink:       config.Sink,
		Roots:      config.SinkRoots,
		Token:      token,
		Source:     config.EventsSource,
		Extensions: config.EventExtensions,
		Output:     os.Stdout,
		UserAgent:  outbound.UserAgent(Version()),
		Processors: processors,
		Metrics:    metrics,
		Log:        log,
	})
	return recorder, nil
}

func newProxy(config *Config, namespaces *namespaceSource, recorder *emit.Recorder, processors *share.Processors, log *slog.Logger) (*proxy.Proxy, error) {
	return engine.New(engine.Config{
		Policies: namespaces.policies,
		Recorder: recorder,
		Log:      log,
		Endpoints: callout.Config{
			Allow:      config.EndpointAllow,
			APIServer:  namespaces.apiServer,
			APIServers: namespaces.apiServers,
			CAFile:     config.EndpointCA,
			CertFile:   config.EndpointCert,
			KeyFile:    config.EndpointKey,
			TokenFile:  config.EndpointTokenFile,
			MaxBytes:   config.EndpointMaxBytes,
			Source:     config.EventsSource.String(),
			UserAgent:  outbound.UserAgent(Version()),
			Log:        log,
		},
		CircuitChanged:  recorder.Metrics.CircuitChanged,
		Compared:        recorder.Compared,
		CandidateMemory: newCandidateMemory(),
		Patches:         config.Patches,
		Processors:      processors,
		Timeout:         config.Timeout,
		FailurePolicy:   config.FailurePolicy,
		EventsLevel:     config.eventsLevel(),
		EventsRequired:  config.Events == EventsRequired,
	})
}

// ListenAndServe serves amp as the configuration says. It returns when that fails.
func (a *App) ListenAndServe() error {
	if a.plainPort != "" {
		at, err := a.startFramework()
		if err != nil {
			return err
		}
		a.about = append(a.about, "http", at.String())
	}
	a.Started()
	return <-a.ended
}

// Drain returns when no review is in flight, no more reviews come (see [proxy.Handler]), amp is no longer served over TLS,
// and every event is delivered or given up.
func (a *App) Drain() {
	within(drainLimit, a.drain)
	within(stopLimit, a.stop)
	within(flushLimit, a.flush)
}

func within(limit time.Duration, f func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	f(ctx)
}
