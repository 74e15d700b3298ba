package replay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/txn2/amp/internal/callout"
	"github.com/txn2/amp/internal/emit"
	"github.com/txn2/amp/internal/engine"
	"github.com/txn2/amp/internal/namespaces"
	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/replay"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/tryout"
)

// endpoint is a version of an endpoint: it answers by the Pod's annotation case. Without an entry for that, it adds a label.
type endpoint map[string]string

const (
	labels = `[{"op":"add","path":"/metadata/labels/team","value":"red"}]`
	denies = `{"allowed":false,"status":{"message":"no GPUs left"}}`
	broken = `{"oops":1}`
)

// calls are the requests that an endpoint got.
type calls struct {
	mutex  sync.Mutex
	dryRun map[string]int // by the header ce-dryrun
	users  map[string]bool
}

func (e endpoint) serve(t testing.TB) (string, *calls) {
	t.Helper()
	c := &calls{dryRun: map[string]int{}, users: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mutex.Lock()
		c.dryRun[r.Header.Get("Ce-Dryrun")]++
		c.users[r.Header.Get("Ce-Authid")+" in "+r.Header.Get("Ce-Namespace")] = true
		c.mutex.Unlock()
		var pod struct {
			Metadata struct{ Annotations map[string]string }
		}
		if err := json.NewDecoder(r.Body).Decode(&pod); err != nil {
			t.Error(err)
		}
		answer, ok := e[pod.Metadata.Annotations["case"]]
		if !ok {
			answer = labels
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/", c
}

// aPod is a Pod of a case.
func aPod(name, which string) json.RawMessage {
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"namespace":"team-a","annotations":{"case":%q},"labels":{"app":"web"}},`+
		`"spec":{"containers":[{"name":"web","image":"registry.example/web:1","env":[{"name":"A","value":"secret"}]}]}}`, name, which)
}

// output is what a proxy prints its events to.
type output struct {
	mutex sync.Mutex
	bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.Buffer.Write(p)
}

// record lets a proxy review Pods with endpoints, and returns the events that it prints, one a line.
func record(t testing.TB, level review.Level, annotations map[string]string, pods ...json.RawMessage) []string {
	t.Helper()
	loopback, err := callout.ParseRules("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	checker, err := patch.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	out := &output{}
	metrics := emit.NewMetrics(prometheus.NewRegistry(), "v1", func() int64 { return 0 })
	events := emit.NewEvents(emit.EventsConfig{Source: *types.ParseURIRef("https://amp.example/a"), Output: out, Metrics: metrics, Log: slog.New(slog.DiscardHandler)})
	proxy, err := engine.New(engine.Config{
		Policies: policies{namespaces.Parse("team-a", map[string]string{namespaces.LabelEnabled: "true"}, annotations)},
		Recorder: &emit.Recorder{Metrics: metrics, Log: slog.New(slog.DiscardHandler), Events: events}, Log: slog.New(slog.DiscardHandler),
		Endpoints: callout.Config{Allow: loopback, MaxBytes: 1 << 20, Source: "https://amp.example/a"},
		Patches:   checker, Timeout: 20 * time.Second, FailurePolicy: review.Fail, EventsLevel: level,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, pod := range pods {
		body := fmt.Appendf(nil, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"uid-%04d","resource":{"version":"v1","resource":"pods"},`+
			`"namespace":"team-a","operation":"CREATE","userInfo":{"username":"jane"},"object":%s}}`, i, pod)
		r, err := review.Read(body, review.Mutate)
		if err != nil {
			t.Fatal(err)
		}
		proxy.Review(t.Context(), r, time.Now(), 0)
	}
	events.Flush(t.Context())
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

type policies struct{ policy *review.Policy }

func (p policies) Policy(context.Context, string) (*review.Policy, error) { return p.policy, nil }

// ask replays events through endpoints.
func ask(t testing.TB, source replay.Source, change func(*replay.Config), endpoints ...string) (*replay.Report, error) {
	t.Helper()
	chain, err := tryout.NewChain(tryout.ChainConfig{Endpoints: endpoints, Timeout: 20 * time.Second, Source: "https://amp.example/replay"})
	if err != nil {
		t.Fatal(err)
	}
	config := replay.Config{Source: source, Chain: chain, Parallel: 4}
	if change != nil {
		change(&config)
	}
	return replay.Run(t.Context(), config)
}

func lines(events ...string) replay.Source {
	return replay.NewReader(strings.NewReader(strings.Join(events, "\n") + "\n"))
}
