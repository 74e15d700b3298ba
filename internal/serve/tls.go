package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/txn2/amp/internal/certificates"
	"github.com/txn2/amp/internal/certificates/cluster"
	namespacescluster "github.com/txn2/amp/internal/namespaces/cluster"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/reload"
)

// certificate is the serving certificate as it is now.
type certificate struct {
	get      func() *tls.Certificate
	notAfter func() time.Time          // when the certificate of get ends; the zero time if no caller can trust it
	notReady func() error              // why the API server cannot verify it; nil: it can
	keep     func(ctx context.Context) // keeps it in the cluster until ctx ends
}

// openCertificate reads the certificate's files (TLSFiles), or returns one that is to be kept in the cluster (TLSSelf). With TLSOff
// there is none.
func openCertificate(config *Config, log *slog.Logger) (*certificate, error) {
	switch config.TLS {
	case TLSOff:
		return nil, nil
	case TLSFiles:
		return filesCertificate(config, log)
	}
	c, err := selfCertificate(config, log)
	if err != nil {
		return nil, fmt.Errorf("AMP_TLS=self: %w", err)
	}
	return c, nil
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
		notReady: func() error { return nil }, // the operator who made it also made the API server trust it
		keep:     func(context.Context) {},
	}, nil
}

func selfCertificate(config *Config, log *slog.Logger) (*certificate, error) {
	rest, err := namespacescluster.Config(config.Kubeconfig, outbound.UserAgent(Version()))
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
		names = []string{"amp." + namespace + ".svc"} // the name by which the API server calls amp
	}
	reconciler, err := certificates.NewReconciler(objects, certificates.Config{Names: names, Lifetime: config.TLSLifetime}, log)
	if err != nil {
		return nil, err
	}
	return &certificate{reconciler.Certificate, reconciler.NotAfter, reconciler.NotReady, func(ctx context.Context) {
		reconciler.Run(ctx, objects.Watch(ctx))
	}}, nil
}

// serveTLS serves handler over TLS until stop is called (see run), and returns where it listens. If the listener fails, it
// sends the error to ended.
func serveTLS(config *Config, tlsConfig *tls.Config, log *slog.Logger, handler http.Handler, crowd func(), ended chan<- error) (at net.Addr, stop func(context.Context), err error) {
	listener, err := listen(net.JoinHostPort("", config.TLSPort), crowd)
	if err != nil {
		return nil, nil, fmt.Errorf("AMP_TLS_PORT=%s: %w", config.TLSPort, err)
	}
	return listener.Addr(), run(newServer(tlsConfig, log, handler), listener, func(err error) {
		log.Error("TLS is no longer served", "error", err)
		ended <- fmt.Errorf("serving TLS: %w", err)
	}), nil
}

// newServer returns a server with a limit on everything for which it waits for the caller.
func newServer(tlsConfig *tls.Config, log *slog.Logger, handler http.Handler) *http.Server {
	return &http.Server{
		ConnState:         boundConnections(),
		HTTP2:             http2Bounds(),
		Handler:           handler,
		TLSConfig:         tlsConfig,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      40 * time.Second, // the API server gives all webhooks together 34 s
		// Longer than the 90 s after which the API server itself closes an idle connection: if amp closed one while a
		// request was on its way, that review would fail.
		IdleTimeout: 3 * time.Minute,
		// These lines are about handshakes that failed, that is, about callers.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// newTLS returns TLS settings that serve the certificate as it is at each handshake.
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
		pool, err := outbound.CAs("it", pem[0]) // what is around its error names the path
		if err != nil {
			return nil, err
		}
		withCA := base.Clone()
		// Probes come to the same port without a certificate; clientChecked asks for one where the method is POST.
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

// kept returns a function that logs why changed files cannot be used.
func kept(log *slog.Logger, variables string) func(error) {
	return func(err error) {
		log.Error("files changed and cannot be used; amp goes on with what it read before", "variables", variables, "error", err)
	}
}

// clientChecked refuses a POST without a verified client certificate, if the configuration names a CA for it. It is part
// of the function and not of the listener: a POST over plain HTTP, which comes from Knative's proxy or under a foreign
// main, has no certificate, and so must not pass.
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
