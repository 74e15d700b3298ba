package cluster

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/txn2/amp/internal/certificates"
)

// test/e2e tests the watches, the rights and all of it together against a real API server.

// answer is how the API server answers a request.
type answer struct {
	status int
	body   string
}

func status(code int, reason metav1.StatusReason, message string) answer {
	b, err := json.Marshal(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: int32(code), Reason: reason, Message: message})
	if err != nil {
		panic(err)
	}
	return answer{code, string(b)}
}

// objects are those of an API server that gives these answers, by method and path. It returns the last body sent, too.
func objects(t *testing.T, answers map[string]answer) (*Objects, *string) {
	t.Helper()
	sent := new(string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			a = status(http.StatusNotFound, metav1.StatusReasonNotFound, "not found")
		}
		if r.Method != http.MethodGet {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			*sent = string(b)
			if r.URL.Query().Get("fieldManager") != "amp" {
				t.Errorf("%s %s names the field manager %q", r.Method, r.URL.Path, r.URL.Query().Get("fieldManager"))
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		if _, err := io.WriteString(w, a.body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	o, err := New(&rest.Config{Host: server.URL}, "amp-system", "amp-tls", []string{"amp"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return o, sent
}

const (
	mutating   = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/amp"
	validating = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/amp"
	secret     = "/api/v1/namespaces/amp-system/secrets/amp-tls"

	// With fields that the client does not know.
	webhooks = `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":"amp","resourceVersion":"7"},
		"webhooks":[{"name":"a","clientConfig":{"caBundle":"b2xk","url":"https://x"},"timeoutSeconds":2,"newer":{"a":9007199254740993}},{"name":"b","clientConfig":{}},{"name":"c","clientConfig":{"caBundle":"?"}}]}`
)

func TestConfigurations(t *testing.T) {
	answers := map[string]answer{"GET " + mutating: {200, webhooks}, "PUT " + mutating: {200, webhooks}}
	o, sent := objects(t, answers)
	found, missing, err := o.Configurations(t.Context())
	if err != nil || len(found) != 1 || missing != nil {
		t.Fatalf("found %d, missing %q, %v", len(found), missing, err)
	}
	c := found[0]
	if c.Name != "MutatingWebhookConfiguration amp" || len(c.Bundles) != 3 || string(c.Bundles[0]) != "old" || len(c.Bundles[1])+len(c.Bundles[2]) != 0 {
		t.Errorf("%s has the bundles %q", c.Name, c.Bundles)
	}
	if err := c.Write(t.Context(), []byte("new")); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(*sent, `"caBundle":"`+base64.StdEncoding.EncodeToString([]byte("new"))+`"`); n != 3 {
		t.Errorf("written into %d webhooks:\n%s", n, *sent)
	}
	for _, kept := range []string{`"resourceVersion":"7"`, `"newer":{"a":9007199254740993}`, `"url":"https://x"`, `"timeoutSeconds":2`} {
		if !strings.Contains(*sent, kept) {
			t.Errorf("%s is lost:\n%s", kept, *sent)
		}
	}

	answers["PUT "+mutating] = status(http.StatusConflict, metav1.StatusReasonConflict, "changed")
	if err := c.Write(t.Context(), []byte("new")); !errors.Is(err, certificates.ErrConflict) {
		t.Errorf("a conflict: %v", err)
	}
	answers["PUT "+mutating] = status(http.StatusForbidden, metav1.StatusReasonForbidden, "no")
	if err := c.Write(t.Context(), []byte("new")); err == nil || err.Error() != "writing the CA into MutatingWebhookConfiguration amp: no; deploy/self/rbac.yaml grants it for the names amp and amp-tls" {
		t.Errorf("forbidden: %v", err)
	}
	answers["GET "+validating] = status(http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcd is away")
	if _, _, err := o.Configurations(t.Context()); err == nil || err.Error() != "reading ValidatingWebhookConfiguration amp: etcd is away" {
		t.Errorf("one of two cannot be read: %v", err)
	}

	none, _ := objects(t, nil)
	if found, missing, err := none.Configurations(t.Context()); err != nil || found != nil || len(missing) != 1 {
		t.Errorf("where there is none: found %d, missing %q, %v", len(found), missing, err)
	}
}

// TestWebhooksOfAnotherInstallation has webhooks that call Services. Only one of amp's own namespace can lead to this amp.
func TestWebhooksOfAnotherInstallation(t *testing.T) {
	calls := func(services ...string) answer {
		text := `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":"amp"},"webhooks":[`
		for i, s := range services {
			name, namespace, _ := strings.Cut(s, ".")
			text += strings.Repeat(",", min(i, 1)) + `{"name":"w","clientConfig":{"service":{"name":"` + name + `","namespace":"` + namespace + `"}}}`
		}
		return answer{200, text + "]}"}
	}
	answers := map[string]answer{}
	o, _ := objects(t, answers)
	var log strings.Builder
	o.log = slog.New(slog.NewTextHandler(&log, nil))
	for _, look := range []struct{ services, hosts, warning string }{
		{"amp.amp-system amp.amp-system", "amp.amp-system.svc amp.amp-system.svc", ""},
		{"amp.elsewhere amp.amp-system amp.elsewhere", "amp.amp-system.svc", "services=amp.elsewhere.svc namespace=amp-system"},
		{"amp.elsewhere", "", ""}, // it said so before
		{"amp.amp-system", "amp.amp-system.svc", ""},
		{"amp.elsewhere", "", "services=amp.elsewhere.svc namespace=amp-system"},
	} {
		log.Reset()
		answers["GET "+mutating] = calls(strings.Fields(look.services)...)
		found, _, err := o.Configurations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if hosts := strings.Join(found[0].Hosts, " "); hosts != look.hosts {
			t.Errorf("webhooks that call %s call this amp as %q, want %q", look.services, hosts, look.hosts)
		}
		if (log.Len() > 0) != (look.warning != "") || !strings.Contains(log.String(), look.warning) {
			t.Errorf("of webhooks that call %s it logs %q, want %q", look.services, log.String(), look.warning)
		}
	}
}

func TestSecret(t *testing.T) {
	answers := map[string]answer{"POST " + strings.TrimSuffix(secret, "/amp-tls"): {201, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"amp-tls"}}`}}
	o, sent := objects(t, answers)
	s, err := o.Secret(t.Context())
	if err != nil || s.Data != nil {
		t.Fatalf("where there is none: %v, %v", s.Data, err)
	}
	data := map[string][]byte{"tls.crt": []byte("c"), "tls.key": {}}
	if err := s.Write(t.Context(), data); err != nil || !strings.Contains(*sent, `"type":"kubernetes.io/tls"`) || !strings.Contains(*sent, `"data":{"tls.crt":"Yw==","tls.key":""}`) {
		t.Errorf("made: %v\n%s", err, *sent)
	}
	answers["POST "+strings.TrimSuffix(secret, "/amp-tls")] = status(http.StatusConflict, metav1.StatusReasonAlreadyExists, "exists")
	if err := s.Write(t.Context(), data); !errors.Is(err, certificates.ErrConflict) {
		t.Errorf("another replica has created it: %v", err)
	}
	answers["POST "+strings.TrimSuffix(secret, "/amp-tls")] = status(http.StatusNotFound, metav1.StatusReasonNotFound, "there is no such namespace")
	if err := s.Write(t.Context(), data); err == nil || errors.Is(err, certificates.ErrConflict) {
		t.Errorf("a namespace that does not exist: %v", err)
	}

	is := `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"amp-tls","labels":{"mine":"x"},"resourceVersion":"3"},"type":"Opaque","data":{"tls.crt":"Yw==","mine":"eA=="}}`
	answers["GET "+secret], answers["PUT "+secret] = answer{200, is}, answer{200, is}
	if s, err = o.Secret(t.Context()); err != nil || string(s.Data["tls.crt"]) != "c" || string(s.Data["mine"]) != "x" {
		t.Fatalf("%q, %v", s.Data, err)
	}
	s.Data["tls.crt"] = []byte("d")
	if err := s.Write(t.Context(), s.Data); err != nil {
		t.Fatal(err)
	}
	for _, kept := range []string{`"resourceVersion":"3"`, `"type":"Opaque"`, `"labels":{"mine":"x"}`, `"data":{"mine":"eA==","tls.crt":"ZA=="}`} {
		if !strings.Contains(*sent, kept) {
			t.Errorf("%s is lost:\n%s", kept, *sent)
		}
	}
}

func TestNamespace(t *testing.T) {
	write := func(context string) string {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte("apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {"+context+"}}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for context, want := range map[string]string{"namespace: elsewhere": "elsewhere", "": "amp-system"} {
		if ns, err := Namespace(write("cluster: c, user: u, " + context)); err != nil || ns != want {
			t.Errorf("%s: namespace %q, not %s: %v", context, ns, want, err)
		}
	}
	for what, path := range map[string]string{"no such file": filepath.Join(t.TempDir(), "none"), "no Pod": ""} {
		if ns, err := Namespace(path); err == nil || !strings.HasPrefix(err.Error(), "finding amp's own namespace: ") {
			t.Errorf("%s: namespace %q, %v", what, ns, err)
		}
	}
}
