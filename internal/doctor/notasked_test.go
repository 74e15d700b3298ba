package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// Each way in which a cluster cannot be asked has a cause, what was tried, and a remedy.
func TestNotAsked(t *testing.T) {
	says := func(code int, contentType, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		})
	}
	status := func(code int, reason, message string) http.Handler {
		return says(code, "application/json", fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":%q}`, reason, code, message))
	}
	well := says(200, "application/json", `{"gitVersion":"v1.36.3"}`)
	closed := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}()
	silent := make(chan struct{})
	serve := func(h http.Handler, start func(http.Handler) *httptest.Server) string {
		s := start(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	plain := func(h http.Handler) string { return serve(h, httptest.NewServer) }
	tls := func(h http.Handler) string { return serve(h, httptest.NewTLSServer) }
	other := func(u, scheme string) string { return scheme + u[strings.Index(u, "://"):] }
	for name, test := range map[string]struct {
		host          string
		cause, remedy string // beginnings; the cause comes after the server's name
	}{
		"nothing listens there":      {"https://" + closed, "cannot be asked: connection refused", "start the cluster, or name another cluster"},
		"its name is unknown":        {"https://nope.invalid", "cannot be asked: the name nope.invalid cannot be looked up", "check the network"},
		"it does not answer":         {plain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent })), "cannot be asked: no answer within 200ms", "check the network (a VPN"},
		"another CA":                 {tls(well), "cannot be asked: its certificate is signed by an authority that the kubeconfig does not hold", "get a new kubeconfig"},
		"HTTP called as HTTPS":       {other(plain(well), "https"), "cannot be asked: it does not speak TLS", "if that is the API server"},
		"HTTPS called as HTTP":       {other(tls(well), "http"), "cannot be asked: it speaks HTTPS, and was called with http://", "write https:// into server"},
		"it does not know the user":  {plain(status(401, "Unauthorized", "Unauthorized")), "cannot be asked: it does not accept these credentials (401)", "log in again"},
		"the user has no right":      {plain(status(403, "Forbidden", `User "me" cannot get path "/version"`)), `cannot be asked: User "me" cannot get path "/version" (403)`, "ask an administrator"},
		"it is ill":                  {plain(status(500, "InternalError", "etcd is gone")), "cannot be asked: it answers 500: etcd is gone", "wait until it is well"},
		"it is no API server":        {plain(says(404, "text/html", "<html>")), "cannot be asked: what answers there (404) is not a Kubernetes API server", "correct server in the kubeconfig"},
		"its answer is no version":   {plain(says(200, "text/html", "<html>")), "cannot be asked: what answers there is not a Kubernetes API server", "correct server in the kubeconfig"},
		"the URL is not valid":       {"https://me:secret@ x", "cannot be asked: its URL is not valid", "correct server in the kubeconfig"},
		"what it does not say twice": {"https://me:secret@" + closed + "/path?token=secret", "cannot be asked: connection refused", "start the cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Config: &rest.Config{Host: test.host}, Source: "kubeconfig /k, context c", Flags: "--context c", Timeout: 10 * time.Second, Version: "v1"}
			if name == "it does not answer" {
				o.Timeout = 200 * time.Millisecond
			}
			r, err := Run(t.Context(), o)
			var no *NotAsked
			if !errors.As(err, &no) {
				t.Fatalf("%v, %+v", err, r)
			}
			server := ""
			if u, err := url.Parse(test.host); err == nil {
				server = " " + u.Scheme + "://" + u.Host
			}
			if want := "the API server" + server + " " + test.cause; !strings.HasPrefix(no.Message, want) || !strings.HasSuffix(no.Message, " (kubeconfig /k, context c)") {
				t.Errorf("%q, not %q", no.Message, want)
			}
			if !strings.HasPrefix(no.Remedy, test.remedy) || strings.Contains(no.Remedy, "\nkubectl ") != strings.Contains(no.Remedy, "\nkubectl --context c ") {
				t.Errorf("the remedy is %q", no.Remedy)
			}
			var text strings.Builder
			if err := errors.Join(no.Report("v1").WriteJSON(&text), no.WriteText(&text)); err != nil || strings.Contains(text.String(), "secret") {
				t.Errorf("%v: %s", err, text.String())
			}
		})
	}
	close(silent) // the servers close once their requests have ended
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, Options{Config: &rest.Config{Host: "https://127.0.0.1:1"}, Timeout: time.Second})
	if no := (*NotAsked)(nil); !errors.As(err, &no) || no.Message != "interrupted before all was checked" {
		t.Errorf("%v", err)
	}
}

// A remedy goes to the cluster that was asked, also if that is not the current context's.
func TestRemediesNameTheCluster(t *testing.T) {
	a := newAPI(t)
	a.deployment.Spec.Replicas = new(int32)
	a.flags = "--context c"
	r, err := a.report(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Checks {
		if strings.Contains(strings.ReplaceAll(f.Remedy, "kubectl --context c ", ""), "kubectl") {
			t.Errorf("%+v", f)
		}
	}
	if got := withFlags("kubectl amp doctor -n x\nkubectl get x | kubectl apply -f -", "--context c"); got != "kubectl amp doctor --context c -n x\nkubectl --context c get x | kubectl --context c apply -f -" {
		t.Error(got)
	}
}
