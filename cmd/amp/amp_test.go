package main

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/txn2/amp/test/freeport"
)

// TestMain makes two programs of this test: amp, and one whose main knows only amp's import path, like the main that a
// buildpack writes.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"amp": main,
		"foreign": func() {
			if err := funcframework.Start(os.Getenv("PORT")); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
	})
}

// TestScripts runs the scripts in testdata: amp as a program, with a file of namespaces, and with endpoints that work or
// fail. The commands that they use:
//
//	freeport NAME...              sets each variable to a free port
//	endpoint NAME KIND [ARG...]   serves an endpoint on loopback, $NAME is its host:port; see startEndpoint
//	expand FILE                   replaces $variables in a file
//	certificate CERT KEY          writes a certificate for loopback, which the commands here trust, and its key
//	await URL STATUS              waits until URL answers with STATUS
//	review FILE URL [NAMESPACE]   posts a recorded review, as if made in NAMESPACE, and prints the answer, one line for
//	                              each thing it says
//	both FILE URL NAMESPACE       the same under both failure policies, to URL/fail and URL/ignore
//	begin NAME FILE URL [NAMESPACE]   posts a review and returns as soon as endpoint NAME, which waits, has it
//	finish NAME                   lets endpoint NAME answer, and prints the answer of the review
//	request METHOD URL [TYPE [FILE]]   makes any request and prints status and body
//	terminate                     sends SIGTERM to every program in the background
//	seen NAME                     prints the last request that endpoint NAME got
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: os.Getenv("AMP_UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("FUNCTION_TARGET", "") // as on a machine where it is not set
			env.Setenv("AMP_METRICS_ADDR", "off")
			env.Setenv("AMP_ENDPOINT_ALLOW", "127.0.0.0/8")
			env.Setenv("AMP_TIMEOUT", "10s") // unless a script is about late answers
			env.Values[serversKey{}] = servers{}
			cases, err := filepath.Glob("testdata/*.review.json")
			if err != nil {
				return err
			}
			for _, path := range cases {
				content, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(env.WorkDir, filepath.Base(path)), content, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"freeport":    setFreePorts,
			"endpoint":    startEndpoint,
			"expand":      expand,
			"await":       await,
			"certificate": certificate,
			"review":      postReview,
			"both":        postBoth,
			"begin":       begin,
			"finish":      finish,
			"request":     request,
			"terminate":   terminate,
			"seen":        seen,
		},
	})
}

// known is a server with the certificate that all servers of package httptest have.
var known = sync.OnceValue(func() *httptest.Server {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Close()
	return server
})

// trusting is a client that trusts it.
func trusting() *http.Client { return known().Client() }

func certificate(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: certificate CERT KEY")
	}
	pair := known().TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	ts.Check(err)
	for file, block := range map[string]*pem.Block{
		args[0]: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		args[1]: {Type: "PRIVATE KEY", Bytes: key},
	} {
		ts.Check(os.WriteFile(ts.MkAbs(file), pem.EncodeToMemory(block), 0o600))
	}
}

// servers are the endpoints of a script, by name.
type servers map[string]*server

type serversKey struct{}

func serversOf(ts *testscript.TestScript) servers { return ts.Value(serversKey{}).(servers) }

type server struct {
	addr string
	last string

	// For a server that waits: entered is closed when its request has arrived, release when it may answer; result is the
	// answer of the review.
	entered, release chan struct{}
	result           chan result
}

func setFreePorts(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		port, err := freeport.Get()
		ts.Check(err)
		ts.Setenv(name, port)
	}
}

// startEndpoint serves an endpoint of one of these kinds:
//
//	answers STATUS TYPE FILE      with the content of FILE
//	compresses STATUS TYPE FILE   the same, with gzip, whatever its caller accepts
//	waits FILE                    for `finish`, then answers its one request with the content of FILE, as JSON
//	hangs                         until its caller gives up
//	redirects                     to itself
//	is-huge                       more than 1 MiB
//	is-down                       no server listens there
//
// With -tls before its name it is served over TLS, and $NAME_CA is the PEM of the CA to trust.
func startEndpoint(ts *testscript.TestScript, _ bool, args []string) {
	start := (*httptest.Server).Start
	if len(args) > 0 && args[0] == "-tls" {
		start, args = (*httptest.Server).StartTLS, args[1:]
	}
	if len(args) < 2 {
		ts.Fatalf("usage: endpoint [-tls] NAME KIND [ARG...]")
	}
	s := &server{}
	var answer http.HandlerFunc
	switch kind := args[1]; kind {
	case "answers", "compresses":
		status, err := strconv.Atoi(args[2])
		ts.Check(err)
		content := ts.ReadFile(args[4])
		if kind == "compresses" {
			var b strings.Builder
			w := gzip.NewWriter(&b)
			_, _ = io.WriteString(w, content)
			ts.Check(w.Close())
			content = b.String()
		}
		answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", args[3])
			if kind == "compresses" {
				w.Header().Set("Content-Encoding", "gzip")
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, content)
		}
	case "waits":
		content := ts.ReadFile(args[2])
		s.entered, s.release, s.result = make(chan struct{}), make(chan struct{}), make(chan result, 1)
		answer = func(w http.ResponseWriter, r *http.Request) {
			close(s.entered)
			select {
			case <-s.release:
			case <-r.Context().Done():
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, content)
		}
	case "hangs":
		answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	case "redirects":
		answer = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?secret", http.StatusFound)
		}
	case "is-huge":
		answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte(" "), 2<<20)) }
	case "is-down":
		port, err := freeport.Get()
		ts.Check(err)
		s.addr = "127.0.0.1:" + port
	default:
		ts.Fatalf("unknown kind of endpoint: %s", kind)
	}
	if answer != nil {
		ready := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			s.last = describe(r, body)
			answer(w, r)
		}))
		ready.Config.ErrorLog = log.New(io.Discard, "", 0) // the scripts check whether amp trusts it
		start(ready)
		ts.Defer(ready.Close)
		s.addr = ready.Listener.Addr().String()
		if ca := ready.Certificate(); ca != nil {
			ts.Setenv(args[0]+"_CA", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})))
		}
	}
	ts.Setenv(args[0], s.addr)
	serversOf(ts)[args[0]] = s
}

// describe writes a request in the form that scripts compare: the headers that amp sets, and the body.
func describe(r *http.Request, body []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL.RequestURI())
	var names []string
	for name := range r.Header {
		if strings.HasPrefix(name, "Ce-") || strings.HasPrefix(name, "Trace") || name == "Content-Type" || name == "Accept-Encoding" || name == "Authorization" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "Ce-Time" {
			if _, err := time.Parse(time.RFC3339, value); err == nil {
				value = "RFC3339"
			}
		}
		fmt.Fprintf(&b, "%s: %s\n", strings.ToLower(name), value)
	}
	fmt.Fprintf(&b, "\n%s\n", body)
	return b.String()
}

func seen(ts *testscript.TestScript, _ bool, args []string) {
	_, _ = io.WriteString(ts.Stdout(), serversOf(ts)[args[0]].last)
}

func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, program := range ts.BackgroundCmds() {
		// An error means that the program has ended already, which the script checks.
		_ = program.Process.Signal(syscall.SIGTERM)
	}
}

func expand(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		content := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(content), 0o600))
	}
}

func await(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: await URL STATUS")
	}
	deadline := time.Now().Add(30 * time.Second)
	last := "no answer"
	for tick := time.NewTicker(20 * time.Millisecond); time.Now().Before(deadline); <-tick.C {
		resp, err := trusting().Get(args[0])
		if err != nil {
			last = err.Error()
			continue
		}
		_ = resp.Body.Close()
		if last = strconv.Itoa(resp.StatusCode); last == args[1] {
			return
		}
	}
	ts.Fatalf("%s never answered %s: %s", args[0], args[1], last)
}
