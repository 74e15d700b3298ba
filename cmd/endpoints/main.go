// Command endpoints hosts the sample endpoints: the one that FUNCTION_TARGET names, or all of them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/txn2/amp/endpoints/audit"
	"github.com/txn2/amp/endpoints/example"
	"github.com/txn2/amp/endpoints/jupyterhub"
	"github.com/txn2/amp/endpoints/require"
	"github.com/txn2/amp/internal/connlimit"
)

// samples are the functions by their FUNCTION_TARGET. Their packages also register them with the functions
// framework, under the same names, for hosts that have a main of their own.
var samples = map[string]http.HandlerFunc{
	"audit":      audit.Handler,
	"example":    example.Handler,
	"jupyterhub": jupyterhub.Handler,
	"require":    require.Handler,
}

const usage = `Command endpoints hosts amp's sample endpoints and the auditor's function.

    endpoints jupyterhub check FILE [--user NAME | --pod FILE]

checks a profiles file, and says what a user's Pod would get: see endpoints jupyterhub --help.

    endpoints audit export FROM
    endpoints audit import INTO

move the events of audit functions: see endpoints audit --help. Without arguments the command serves. It reads these environment variables:

FUNCTION_TARGET          audit, example, jupyterhub or require: that function, at every path.
                         Unset: all of them, each at its name and below it (/example, /audit/).
PORT                     port to serve plain HTTP on (default 8080)
AMP_EXAMPLE_IMAGE        image of the example's init containers, any with a shell
                         (default docker.io/library/busybox:1.37)
AMP_JUPYTERHUB_PROFILES  file with what each user gets (default: a built-in sample)
AMP_METRICS_ADDR         address of Prometheus /metrics of audit and jupyterhub, as in :2112 (default: off)
AMP_REQUIRE_REGISTRIES   registries that images may come from, separated by spaces or commas
                         (default docker.io/library quay.io/jupyter registry.k8s.io)
AMP_AUDIT_DB             database of audit: the path of an SQLite file, for one process, or
                         postgres://USER@HOST:5432/DATABASE with libpq's parameters, for any number
                         (default: in memory, 256 MiB at most)
AMP_AUDIT_DB_PASSWORD_FILE
                         file with the password of that PostgreSQL user, read again with each connection
AMP_AUDIT_DB_READ, AMP_AUDIT_DB_READ_PASSWORD_FILE
                         the same for a user who may only read (default: AMP_AUDIT_DB)
AMP_AUDIT_RETENTION      how long audit keeps events (default 720h)
AMP_AUDIT_READ_TOKEN_FILE
                         file with the bearer token for reading from audit (default: no token is needed)
AMP_AUDIT_WRITE_TOKEN_FILE
                         file with the bearer tokens for posting to audit, one a line, each with the
                         sources that it is for behind it, or alone: for every source
                         (default: no token is needed)

GET /healthz answers 200. On SIGTERM, the program answers the requests in flight and ends.
`

// How long the program runs on after SIGTERM.
const (
	// lull is how long it still accepts new requests. It takes kube-proxy about as long to stop sending
	// requests to this Pod.
	lull = 2 * time.Second
	// patience is how long it then waits for the requests in flight. amp waits 1.5 s for an endpoint.
	patience = 10 * time.Second

	// maxCallers and maxScrapers are how many connections there may be, to the functions and for metrics. One takes about
	// 25 KB.
	maxCallers  = 2000
	maxScrapers = 64
	// maxHeaderBytes is the most that the headers of one request may have. Those of amp and of CloudEvents have a few KiB, the
	// cookies of a login proxy more.
	maxHeaderBytes = 64 << 10
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if len(os.Args) > 1 && os.Args[1] == "jupyterhub" {
		os.Exit(check(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == "audit" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := moveEvents(ctx, os.Args[2:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	if err := run(os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "endpoints:", err)
		os.Exit(1)
	}
}

// serveMetrics serves /metrics on an address, if it is set and not off.
func serveMetrics(address, target string) error {
	if address == "" || address == "off" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening on AMP_METRICS_ADDR %q: %w", address, err)
	}
	slog.Info("serving metrics", "address", listener.Addr().String())
	server := &http.Server{
		ConnState:         connlimit.New(maxScrapers).BusyToo,
		Handler:           metrics(target),
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	go func() { slog.Error("metrics ended", "err", server.Serve(listener)) }()
	return nil
}

// metrics serves those of the function target, or of all if target is empty.
func metrics(target string) http.Handler {
	registry := prometheus.NewRegistry()
	if target != "audit" {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "amp_jupyterhub_profiles_valid",
			Help: "1 if the profiles file as it is now is in force, 0 while the last good one is.",
		}, jupyterhub.Valid))
	}
	if target != "jupyterhub" {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "amp_audit_events_refused_total",
			Help: "Events that came with a write token that is not for their source.",
		}, audit.Refused))
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

func run(args []string, getenv func(string) string, stdout io.Writer) error {
	if len(args) > 0 {
		if isHelp(args[0]) {
			_, err := io.WriteString(stdout, usage)
			return err
		}
		return fmt.Errorf("reading arguments: unexpected %q: want jupyterhub check FILE, audit export, audit import, or none, see --help", args[0])
	}
	target := getenv("FUNCTION_TARGET")
	handler, err := host(target)
	if err != nil {
		return err
	}
	if target == "" || target == "jupyterhub" {
		if err := jupyterhub.Ready(); err != nil {
			return err
		}
	}
	if target == "" || target == "jupyterhub" || target == "audit" {
		if err := serveMetrics(getenv("AMP_METRICS_ADDR"), target); err != nil {
			return err
		}
	}
	port := getenv("PORT")
	if port == "" {
		port = "8080"
	}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return fmt.Errorf("listening on PORT %q: %w", port, err)
	}
	slog.Info("serving", "address", listener.Addr().String(), "target", target)
	// ^C comes from a person and not from a cluster, so the program does not wait for the lull.
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(interrupted, stop) // a second ^C ends the program at once
	terminated, stop := signal.NotifyContext(interrupted, syscall.SIGTERM)
	defer stop()
	return serve(terminated, interrupted, listener, handler)
}

func isHelp(argument string) bool {
	return slices.Contains([]string{"-h", "-help", "--help", "help"}, argument)
}

// host returns the handler for one function, or for all of them if target is empty.
func host(target string) (http.Handler, error) {
	names := slices.Sorted(maps.Keys(samples))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	if target == "" {
		for name, fn := range samples {
			mux.Handle("/"+name, fn)
			mux.Handle("/"+name+"/", fn) // audit has pages
		}
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the endpoints here are /"+strings.Join(names, ", /"), http.StatusNotFound)
		})
		return mux, nil
	}
	fn, ok := samples[target]
	if !ok {
		return nil, fmt.Errorf("reading FUNCTION_TARGET: there is no function %q: want %s; or unset it to serve all", target, strings.Join(names, ", "))
	}
	mux.Handle("/", fn)
	return mux, nil
}

// serve answers requests until terminated is done. Then it accepts new ones for the lull, which interrupted
// cuts short, and returns when the requests in flight are answered.
//
// The framework's own Start could serve the same functions, but it has no timeouts and does not drain: a
// SIGTERM breaks off the requests in flight, and each of them is a failed mutation.
func serve(terminated, interrupted context.Context, listener net.Listener, handler http.Handler) error {
	var draining atomic.Bool
	server := &http.Server{
		ConnState: connlimit.New(maxCallers).BusyToo,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if draining.Load() {
				w.Header().Set("Connection", "close") // so that the caller connects elsewhere
			}
			handler.ServeHTTP(w, r)
		}),
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-terminated.Done():
	}
	slog.Info("draining")
	// Not SetKeepAlivesEnabled: that would close idle connections under requests that are on their way.
	draining.Store(true)
	select {
	case <-time.After(lull):
	case <-interrupted.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("draining: requests were still in flight after %s", patience)
	} else if err != nil {
		return fmt.Errorf("draining: %w", err)
	}
	return nil
}
