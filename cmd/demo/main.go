// Command demo shows amp without a cluster: the proxy, the sample endpoints and the audit page, through which it sends
// one recorded review of a JupyterHub user's Pod. It then goes on serving, so that its curl commands can be tried.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/txn2/amp/endpoints/audit"
	"github.com/txn2/amp/endpoints/jupyterhub"
	"github.com/txn2/amp/endpoints/require"
	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/emit"
	"github.com/txn2/amp/internal/engine"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
)

// recorded is what a kube-apiserver sends when JupyterHub creates alice's Pod in the namespace jhub.
//
//go:embed jupyterhub-user.review.json
var recorded string

// auditPath is the path to which events go, and where a browser shows them.
const auditPath = "/audit/"

// source is the attribute source of all events of the demo.
const source = "https://amp.txn2.com/demo"

// version is what the demo says instead of a version of amp.
const version = "demo"

// The namespaces of the demo. The same Pod is created in each.
const (
	works   = "jhub"
	broken  = "broken"  // its endpoint is down
	refuses = "refuses" // its validation endpoint refuses the Pod's image
)

func main() {
	addr := flag.String("addr", "", "where amp serves, 127.0.0.1:8080 by default; $PORT is the port; if another program has it, any free one")
	endpoint := flag.String("endpoint", "", "URL of your own endpoint, instead of the sample")
	pod := flag.String("pod", "", "file with your own Pod, or with an object that has a template, instead of the recorded one")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Shows amp without a cluster: proxy, sample endpoints and a recorded review.\n\nusage: demo [flags]\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unknown argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	// The samples' own log lines would appear above the screen.
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *addr == "" {
		*addr, err = defaultAddr(os.Getenv("PORT"))
	}
	if err == nil {
		err = run(ctx, os.Stdout, *addr, *endpoint, *pod)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run shows the screen and serves until ctx ends.
func run(ctx context.Context, out io.Writer, addr, endpoint, pod string) error {
	shown, err := shownReview(pod)
	if err != nil {
		return err
	}
	auditor, err := audit.New(audit.Config{}) // in memory
	if err != nil {
		return err
	}
	defer func() { _ = auditor.Close() }()
	listener, taken, err := listen(addr)
	if err != nil {
		return err
	}
	samples, err := serveSamples(ctx)
	if err != nil {
		return err
	}
	if endpoint == "" {
		endpoint = samples + "/jupyterhub"
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" {
		return fmt.Errorf("--endpoint %q: expected an http or https URL", endpoint)
	}
	down, err := closedPort()
	if err != nil {
		return err
	}
	d := &demo{shown: shown, url: "http://" + listener.Addr().String(), recorder: recorder{out: out}, port: taken}
	d.policies = map[string]*review.Policy{
		works:   policy(works, namespaces.AnnotationEndpoint, endpoint),
		broken:  policy(broken, namespaces.AnnotationEndpoint, "http://"+down+"/mutate"),
		refuses: policy(refuses, namespaces.AnnotationValidation, samples+"/require"),
	}
	log := slog.New(slog.DiscardHandler) // the recorder prints what is worth seeing
	if err := d.build(log); err != nil {
		return err
	}

	if err := d.show(out); err != nil {
		return err
	}
	d.recorder.live = true

	mux := http.NewServeMux()
	mux.HandleFunc("GET /demo/{namespace}", d.serveReview)
	mux.Handle(auditPath, auditor)
	mux.Handle("/", &proxy.Handler{Proxy: d.proxy, Version: version, NotReady: func() error { return nil }})
	return serve(ctx, listener, mux)
}

// build puts the proxy together, with the namespaces that d already has.
func (d *demo) build(log *slog.Logger) error {
	// Everything here is on loopback, which amp does not call by default. Your own endpoint may be anywhere.
	allow, err := callout.ParseRules("*", "127.0.0.0/8", "::1/128")
	if err != nil {
		return err
	}
	patches, err := patch.New(nil)
	if err != nil {
		return err
	}
	page, err := url.Parse(d.url + auditPath)
	if err != nil {
		return err
	}
	metrics := emit.NewMetrics(prometheus.NewRegistry(), version, func() int64 { return 0 })
	events := emit.NewEvents(emit.EventsConfig{
		Sink: page, Source: *types.ParseURIRef(source), UserAgent: outbound.UserAgent(version), Metrics: metrics, Log: log,
	})
	d.recorder.Recorder = emit.Recorder{Metrics: metrics, Log: log, Events: events}
	d.proxy, err = engine.New(engine.Config{
		Policies: d,
		Recorder: &d.recorder,
		Log:      log,
		Endpoints: callout.Config{
			Allow: allow, MaxBytes: 1 << 20, Source: source, UserAgent: outbound.UserAgent(version), Log: log,
		},
		Patches:       patches,
		Timeout:       review.DefaultTimeout,
		FailurePolicy: review.Fail,
		EventsLevel:   review.LevelFull,
	})
	return err
}

// serve serves until ctx ends.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// demo is a proxy with namespaces of its own instead of a cluster's.
type demo struct {
	proxy    *proxy.Proxy
	shown    shown
	recorder recorder
	policies map[string]*review.Policy
	url      string // of the proxy and the audit page
	port     string // why it is not the port that was asked for; empty if it is
}

// Policy returns the policy of one of the demo's namespaces.
func (d *demo) Policy(_ context.Context, namespace string) (*review.Policy, error) {
	if p := d.policies[namespace]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("reading namespace %s: the demo has only %s, %s and %s", namespace, works, broken, refuses)
}

func policy(namespace, key, endpoint string) *review.Policy {
	return namespaces.Parse(namespace, map[string]string{namespaces.LabelEnabled: "true"}, map[string]string{key: endpoint})
}

// ask sends the recorded review through the proxy as if the Pod were created in namespace.
func (d *demo) ask(namespace string, phase review.Phase, policy review.FailurePolicy) (*review.Record, error) {
	r, err := review.Read([]byte(d.shown.in(namespace)), phase)
	if err != nil {
		return nil, err
	}
	r.UID, r.FailurePolicy = uuid.NewString(), policy // an API server gives each review a uid of its own
	rec, _ := d.proxy.Review(context.Background(), r, time.Now(), 0)
	return rec, nil
}

// serveSamples serves the sample endpoints on a free port and returns the URL that their paths follow.
func serveSamples(ctx context.Context) (string, error) {
	images, err := require.New("registry.example")
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.Handle("/jupyterhub", jupyterhub.New("")) // with its built-in profiles
	mux.Handle("/require", images)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("serving the sample endpoints: %w", err)
	}
	go func() {
		if err := serve(ctx, listener, mux); err != nil {
			slog.Error("the sample endpoints are no longer served", "error", err)
		}
	}()
	return "http://" + listener.Addr().String(), nil
}

// closedPort returns an address where no server listens.
func closedPort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
