package engine_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/engine"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// named are the policies of one namespace, as a program has them that reads them from a file.
type named map[string]*review.Policy

func (n named) Policy(_ context.Context, namespace string) (*review.Policy, error) {
	return n[namespace], nil
}

// printer keeps the records, as a program does that prints them.
type printer struct{ records []*review.Record }

func (p *printer) Deliver(context.Context, *review.Record) (sent bool, err error) { return true, nil }
func (p *printer) Record(_ context.Context, record *review.Record) {
	p.records = append(p.records, record)
}
func (p *printer) Panicked()              {}
func (p *printer) BadRequest(int)         {}
func (p *printer) Shed(review.ShedReason) {}

// TestNewWithoutAServer puts a proxy together as a command-line tool does: no cluster, no TLS, no metrics.
func TestNewWithoutAServer(t *testing.T) {
	var source, agent string
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		source, agent = r.Header.Get("Ce-Source"), r.UserAgent()
		_, _ = io.WriteString(w, `[{"op":"add","path":"/metadata/labels/team","value":"red"}]`)
	}))
	t.Cleanup(endpoint.Close)
	loopback, err := callout.ParseRules("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}

	for name, test := range map[string]struct {
		change  func(*engine.Config)
		outcome review.Outcome
		message string // a part of it
	}{
		"a patch":                {func(*engine.Config) {}, review.OutcomeMutated, ""},
		"a place that is denied": {func(c *engine.Config) { c.Patches = checker(t, "/metadata/labels") }, review.OutcomeRejected, "AMP_PATCH_DENY"},
		// The zero values are the safe ones.
		"by default loopback is not called": {func(c *engine.Config) { c.Endpoints.Allow = callout.Rules{} }, review.OutcomeRejected, "amp may not call 127.0.0.1 (loopback)"},
		"by default an answer is empty":     {func(c *engine.Config) { c.Endpoints.MaxBytes = 0 }, review.OutcomeRejected, "more than 0 bytes"},
		"by default there is no time":       {func(c *engine.Config) { c.Timeout = 0 }, review.OutcomeRejected, "no time was left"},
		"by default failures reject":        {func(c *engine.Config) { c.FailurePolicy, c.Endpoints.MaxBytes = "", 0 }, review.OutcomeRejected, "more than 0 bytes"},
		"Ignore":                            {func(c *engine.Config) { c.FailurePolicy, c.Endpoints.MaxBytes = review.Ignore, 0 }, review.OutcomeFailedOpen, "more than 0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := &printer{}
			config := engine.Config{
				Policies: named{"jhub": namespaces.Parse("jhub", map[string]string{namespaces.LabelEnabled: "true"},
					map[string]string{namespaces.AnnotationEndpoint: endpoint.URL})},
				Recorder:      recorder,
				Log:           slog.New(slog.DiscardHandler),
				Endpoints:     callout.Config{Allow: loopback, MaxBytes: 1 << 20, Source: "https://amp.example", UserAgent: "amp/try"},
				Patches:       checker(t),
				Timeout:       10 * time.Second,
				FailurePolicy: review.Fail,
			}
			test.change(&config)
			proxy, err := engine.New(config)
			if err != nil {
				t.Fatal(err)
			}
			record, _ := proxy.Review(t.Context(), &review.Review{
				UID: "uid-1", Phase: review.Mutate, Namespace: "jhub", Name: "web", User: "jane",
				Pod: json.RawMessage(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"jhub","labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"b"}]}}`),
			}, time.Now(), 0)
			if v := record.Verdict; v.Outcome != test.outcome || !strings.Contains(v.Message, test.message) {
				t.Errorf("%s %q, want %s %q", v.Outcome, v.Message, test.outcome, test.message)
			}
			if len(recorder.records) != 1 || recorder.records[0] != record {
				t.Errorf("recorded %v", recorder.records)
			}
			if test.outcome == review.OutcomeMutated && (source != "https://amp.example" || agent != "amp/try") {
				t.Errorf("called as %q of %q", agent, source)
			}
		})
	}
}

func TestNewNamesFilesThatCannotBeUsed(t *testing.T) {
	_, err := engine.New(engine.Config{Endpoints: callout.Config{TokenFile: "/does/not/exist"}, Patches: checker(t)})
	if err == nil || !strings.HasPrefix(err.Error(), "AMP_ENDPOINT_TOKEN_FILE: ") {
		t.Errorf("error %v", err)
	}
}

func checker(t testing.TB, deny ...string) *patch.Checker {
	t.Helper()
	c, err := patch.New(deny)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
