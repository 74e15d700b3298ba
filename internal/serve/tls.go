package serve

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/txn2/amp/internal/reload"
)

// ListenAndServeTLS serves handler over TLS with the configured certificate, which is re-read when it
// changes. It returns when serving fails; the function itself ends the process once it has drained.
func ListenAndServeTLS(config *Config, log *slog.Logger, handler http.Handler) error {
	tlsConfig, err := newTLS(config, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("", config.TLSPort))
	if err != nil {
		return fmt.Errorf("AMP_TLS_PORT=%s: %w", config.TLSPort, err)
	}
	return newServer(tlsConfig, log, clientChecked(config, handler)).ServeTLS(listener, "", "")
}

// newServer returns a server that no caller can hold on to.
func newServer(tlsConfig *tls.Config, log *slog.Logger, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		TLSConfig:         tlsConfig,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      40 * time.Second, // the API server gives all webhooks together 34 s
		// Longer than the 90 s after which the API server itself gives up an idle connection: one that is
		// closed under a request is a failed review.
		IdleTimeout: 3 * time.Minute,
		// What it has to say is of handshakes that failed, i.e. of callers.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

func newTLS(config *Config, log *slog.Logger) (*tls.Config, error) {
	certificate, err := reload.New(func(pem [][]byte) (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(pem[0], pem[1])
		return &pair, err
	}, kept(log, "AMP_TLS_CERT, AMP_TLS_KEY"), config.TLSCert, config.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("AMP_TLS_CERT, AMP_TLS_KEY: %w", err)
	}
	base := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return certificate.Get(), nil
		},
	}
	if config.TLSClientCA == "" {
		return base, nil
	}
	clientCA, err := reload.New(func(pem [][]byte) (*tls.Config, error) {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem[0]) {
			return nil, errors.New("it holds no certificate in PEM form")
		}
		withCA := base.Clone()
		// Probes come without a certificate, to the same port; clientChecked wants one of whoever POSTs.
		withCA.ClientCAs, withCA.ClientAuth = pool, tls.VerifyClientCertIfGiven
		return withCA, nil
	}, kept(log, "AMP_TLS_CLIENT_CA"), config.TLSClientCA)
	if err != nil {
		return nil, fmt.Errorf("AMP_TLS_CLIENT_CA=%q: %w", config.TLSClientCA, err)
	}
	withCA := base.Clone()
	withCA.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return clientCA.Get(), nil }
	return withCA, nil
}

// kept logs that files have changed to something amp cannot use.
func kept(log *slog.Logger, variables string) func(error) {
	return func(err error) {
		log.Error("files changed and cannot be used; amp goes on with what it read before", "variables", variables, "error", err)
	}
}

// clientChecked wants a verified client certificate of every POST, if the configuration names a CA for it.
func clientChecked(config *Config, next http.Handler) http.Handler {
	if config.TLSClientCA == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0) {
			http.Error(w, "expected a client certificate signed by a CA in AMP_TLS_CLIENT_CA", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
