package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/txn2/amp/internal/certificates"
	"github.com/txn2/amp/internal/certificates/cluster"
	namespacescluster "github.com/txn2/amp/internal/namespaces/cluster"
	"github.com/txn2/amp/internal/reload"
)

// certificate is the serving certificate as it is now.
type certificate struct {
	get      func() *tls.Certificate
	notAfter func() time.Time // when what get returns ends; the zero time: it is none that anybody trusts
	ready    func() bool      // whether the API server can verify it
}

// openCertificate reads the certificate's files or begins to keep one in the cluster. It returns nil where
// no TLS is wanted.
func openCertificate(ctx context.Context, config *Config, log *slog.Logger) (*certificate, error) {
	switch config.TLS {
	case TLSFiles:
		return filesCertificate(config, log)
	case TLSSelf:
		c, err := selfCertificate(ctx, config, log)
		if err != nil {
			return nil, fmt.Errorf("AMP_TLS=self: %w", err)
		}
		return c, nil
	}
	return nil, nil
}

func filesCertificate(config *Config, log *slog.Logger) (*certificate, error) {
	files, err := reload.New(func(pem [][]byte) (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(pem[0], pem[1])
		return &pair, err
	}, kept(log, "AMP_TLS_CERT, AMP_TLS_KEY"), config.TLSCert, config.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("AMP_TLS_CERT, AMP_TLS_KEY: %w", err)
	}
	return &certificate{
		get:      files.Get,
		notAfter: func() time.Time { return files.Get().Leaf.NotAfter },
		ready:    func() bool { return true }, // whoever made it made the API server trust it
	}, nil
}

func selfCertificate(ctx context.Context, config *Config, log *slog.Logger) (*certificate, error) {
	rest, err := namespacescluster.Config(config.Kubeconfig, "amp/"+Version())
	if err != nil {
		return nil, err
	}
	namespace, err := cluster.Namespace(config.Kubeconfig)
	if err != nil {
		return nil, err
	}
	objects, err := cluster.New(rest, namespace, config.TLSSecret, config.Webhooks, log)
	if err != nil {
		return nil, err
	}
	names := config.TLSDNSNames
	if len(names) == 0 {
		names = []string{"amp." + namespace + ".svc"} // by which the API server calls
	}
	reconciler, err := certificates.NewReconciler(objects, certificates.Config{Names: names, Lifetime: config.TLSLifetime}, log)
	if err != nil {
		return nil, err
	}
	go reconciler.Run(ctx, objects.Watch(ctx))
	return &certificate{reconciler.Certificate, reconciler.NotAfter, reconciler.Ready}, nil
}

// serveTLS serves handler over TLS until the process ends; anything else is sent to ended.
func serveTLS(config *Config, c *certificate, log *slog.Logger, handler http.Handler, ended chan<- error) error {
	tlsConfig, err := newTLS(config, c, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("", config.TLSPort))
	if err != nil {
		return fmt.Errorf("AMP_TLS_PORT=%s: %w", config.TLSPort, err)
	}
	go func() {
		err := newServer(tlsConfig, log, handler).ServeTLS(listener, "", "")
		log.Error("TLS is no longer served", "error", err)
		ended <- fmt.Errorf("serving TLS: %w", err)
	}()
	return nil
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

func newTLS(config *Config, c *certificate, log *slog.Logger) (*tls.Config, error) {
	base := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
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

// clientChecked wants a verified client certificate of every POST, if the configuration names a CA for it. It
// is part of the function, not of the listener: what comes over plain HTTP, by Knative's proxy or under a
// foreign main, has none and must not pass for that.
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
