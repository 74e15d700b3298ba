package serve

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/txn2/amp/internal/connlimit"
)

// newRegistry returns a registry with the metrics of the process.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// serveMetrics serves registry at addr until the process ends. It returns where it listens.
func serveMetrics(addr string, registry *prometheus.Registry, log *slog.Logger) (net.Addr, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("AMP_METRICS_ADDR=%q: %w", addr, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", exposition(registry))
	server := &http.Server{
		ConnState:         connlimit.New(maxScrapers).BusyToo,
		Handler:           mux,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	go func() {
		// Serve returns only if the listener fails.
		log.Error("metrics are no longer served", "error", server.Serve(listener))
	}()
	return listener.Addr(), nil
}

// exposition answers with the metrics in the text format of Prometheus, which every scraper reads. Package promhttp would
// also link the other formats and compression.
//
// One caller after the other has its metrics gathered, so that many of them take no more memory than their answers.
func exposition(registry prometheus.Gatherer) http.HandlerFunc {
	turn := make(chan struct{}, 1)
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := gather(r.Context(), turn, registry)
		if err != nil {
			http.Error(w, "gathering metrics: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
		_, _ = w.Write(text) // an error here means that the caller is gone
	}
}

// gather returns the metrics as text, when it has its turn. Its error is that of ctx if the caller goes before that.
func gather(ctx context.Context, turn chan struct{}, registry prometheus.Gatherer) ([]byte, error) {
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-turn }()
	families, err := registry.Gather()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}
