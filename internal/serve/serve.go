// Package serve puts amp together from its configuration, and serves it: on the functions framework, over
// TLS, which the framework cannot, and its metrics on an address of their own.
package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/emit"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/namespaces/cluster"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
)

// Kubernetes kills a Pod 30 s after it asked it to end. The longest that a drain waits for reviews to stop
// coming, and then for the event sink, leaves some of that.
const (
	drainLimit = 18 * time.Second
	flushLimit = 10 * time.Second
)

// App is amp, ready to be served.
type App struct {
	// Handler answers reviews and probes.
	Handler http.Handler

	plainPort    string     // where the framework is to serve it; empty: it is served over TLS only
	ended        chan error // why it is no longer served
	drain, flush func(context.Context)
}

// ListenAndServe serves amp as the configuration says. It returns when that fails.
func (a *App) ListenAndServe() error {
	if a.plainPort != "" {
		if os.Getenv("FUNCTION_TARGET") == "" {
			if err := os.Setenv("FUNCTION_TARGET", "amp"); err != nil {
				return err
			}
		}
		go func() { a.ended <- funcframework.Start(a.plainPort) }()
	}
	return <-a.ended
}

// Drain returns when no review is under way, no more come (see [proxy.Handler]) and no event is left to be
// delivered.
func (a *App) Drain() {
	within(drainLimit, a.drain)
	within(flushLimit, a.flush)
}

func within(limit time.Duration, f func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	f(ctx)
}

// New builds amp from the environment that getenv reads. It watches the cluster until ctx ends. Metrics, and
// amp itself where TLS is on, it serves from then on until the process ends, whatever the host is: none of
// them knows TLS.
func New(ctx context.Context, getenv func(string) string) (*App, error) {
	config, err := Load(getenv)
	if err != nil {
		return nil, err
	}
	log := NewLogger(config)
	klog.SetSlogLogger(log) // client-go's lines are JSON, too

	policies, ready, apiServer, err := openNamespaces(ctx, config, log)
	if err != nil {
		return nil, err
	}
	endpoints, err := callout.New(callout.Config{
		Allow:     config.EndpointAllow,
		CAFile:    config.EndpointCA,
		CertFile:  config.EndpointCert,
		KeyFile:   config.EndpointKey,
		TokenFile: config.EndpointTokenFile,
		MaxBytes:  config.EndpointMaxBytes,
		Source:    config.EventsSource,
		Version:   Version(),
		APIServer: apiServer,
		Log:       log,
	})
	if err != nil {
		return nil, err
	}
	patches, err := patch.New(config.PatchDeny)
	if err != nil {
		return nil, err
	}

	certificate, err := openCertificate(ctx, config, log)
	if err != nil {
		return nil, err
	}

	handler := &proxy.Handler{Version: Version(), Ready: ready}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	recorder := &emit.Recorder{Metrics: emit.NewMetrics(registry, Version(), handler.InFlight), Log: log}
	if config.Events != EventsOff && config.EventsLevel != review.LevelNone {
		recorder.Events, err = emit.NewEvents(emit.EventsConfig{
			Sink:      config.Sink,
			Overrides: config.SinkOverrides,
			CACerts:   config.SinkCA,
			Required:  config.Events == EventsRequired,
			Source:    config.EventsSource,
			Output:    os.Stdout,
			Version:   Version(),
			Metrics:   recorder.Metrics,
			Log:       log,
		})
		if err != nil {
			return nil, err
		}
	}
	handler.Proxy = &proxy.Proxy{
		Policies:      policies,
		Endpoints:     endpoints,
		Check:         patches.Check,
		Same:          patch.Same,
		Annotate:      patch.Annotate,
		Recorder:      recorder,
		Log:           log,
		Timeout:       config.Timeout,
		FailurePolicy: config.FailurePolicy,
	}
	if recorder.Events != nil {
		handler.Proxy.Events, handler.Proxy.EventsRequired = config.EventsLevel, config.Events == EventsRequired
	}
	app := &App{Handler: clientChecked(config, handler), ended: make(chan error, 2), drain: handler.Drain, flush: recorder.Events.Flush}
	if config.TLS == TLSOff || config.Knative {
		app.plainPort = config.Port
	}
	if certificate != nil {
		handler.Ready = func() bool { return ready() && certificate.ready() }
		registry.MustRegister(emit.NewCertificateMetric(certificate.notAfter))
		if err := serveTLS(config, certificate, log, app.Handler, app.ended); err != nil {
			return nil, err
		}
	}
	if err := serveMetrics(config.MetricsAddr, registry, log); err != nil {
		return nil, err
	}
	log.Info("amp has started", "version", Version(), "tls", config.TLS, "namespaces", source(config), "metrics", config.MetricsAddr)
	return app, nil
}

// NewLogger returns amp's logger: JSON lines on stderr.
func NewLogger(config *Config) *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: config.LogLevel}))
}

// openNamespaces opens the file of Namespaces or begins to watch the cluster's. It also returns the API
// server's address, which no endpoint may have.
func openNamespaces(ctx context.Context, config *Config, log *slog.Logger) (_ proxy.Policies, ready func() bool, apiServer []string, err error) {
	if config.NamespacesFile != "" {
		file, err := namespaces.OpenFile(config.NamespacesFile, log)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("AMP_NAMESPACES_FILE: %w", err)
		}
		return file, func() bool { return true }, nil, nil
	}
	rest, err := cluster.Config(config.Kubeconfig, "amp/"+Version())
	if err != nil {
		return nil, nil, nil, err
	}
	watched, err := cluster.New(rest)
	if err != nil {
		return nil, nil, nil, err
	}
	go watched.Run(ctx)
	return watched, watched.Ready, hostPort(rest.Host), nil
}

// hostPort is where the server at the URL host listens; in a Pod, where client-go takes it from, that is the
// ClusterIP of the Service kubernetes.
func hostPort(host string) []string {
	u, err := url.Parse(host)
	if err != nil || u.Host == "" {
		return nil
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return []string{net.JoinHostPort(u.Hostname(), port)}
}

func source(config *Config) string {
	if config.NamespacesFile != "" {
		return config.NamespacesFile
	}
	return "cluster"
}

// serveMetrics serves registry at addr, which may be empty.
func serveMetrics(addr string, registry *prometheus.Registry, log *slog.Logger) error {
	if addr == "" {
		return nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("AMP_METRICS_ADDR=%q: %w", addr, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	go func() {
		// It ends with the process; anything else is worth a line.
		log.Error("metrics are no longer served", "error", server.Serve(listener))
	}()
	return nil
}

// version is set by release builds: -ldflags "-X github.com/txn2/amp/internal/serve.version=v1.2.3".
var version string

// Version is that of the release, else what the Go toolchain recorded of the module, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	// Under a foreign main, amp is a dependency.
	for _, module := range append(info.Deps, &info.Main) {
		if module.Path == "github.com/txn2/amp" && module.Version != "" && module.Version != "(devel)" {
			return module.Version
		}
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && info.Main.Path == "github.com/txn2/amp" {
			return "devel-" + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "devel"
}
