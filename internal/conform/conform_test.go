package conform_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/require"
	"github.com/txn2/amp/internal/conform"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/shapes"
)

// patience is a budget that no test waits for.
const patience = 20 * time.Second // other tests run beside it

// serve serves an endpoint until the test ends.
func serve(t *testing.T, handler http.Handler) *url.URL {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/mutate?token=secret")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// run runs conform with a few shapes, which is enough for faults that every shape shows, and with patience.
func run(t *testing.T, handler http.Handler, config conform.Config) *conform.Report {
	t.Helper()
	config.Endpoint = serve(t, handler)
	if config.Budget == 0 {
		config.Budget = patience
	}
	if config.Shapes == nil {
		all, err := shapes.All(review.Mutate)
		if err != nil {
			t.Fatal(err)
		}
		config.Shapes = all[:4]
	}
	report, err := conform.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

const add = `[{"op":"add","path":"/metadata/annotations/example.com~1team","value":"a"}]`

// answer is an endpoint with one answer.
func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if text, _ := io.ReadAll(r.Body); r.Method != http.MethodPost || !strings.HasPrefix(string(text), `{`) || !strings.HasSuffix(string(text), `}`) {
			http.Error(w, "want a POST of a Pod", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func json(body string) http.HandlerFunc { return answer(200, "application/json", body) }

// alternately answers each other request with one answer, and those between with another one.
func alternately(first, second http.Handler) http.Handler {
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 1 {
			first.ServeHTTP(w, r)
		} else {
			second.ServeHTTP(w, r)
		}
	})
}

// when answers with one endpoint if the request is so, and else with the other.
func when(is func(*http.Request) bool, yes, no http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if is(r) {
			yes.ServeHTTP(w, r)
		} else {
			no.ServeHTTP(w, r)
		}
	})
}

func hijack(then func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			then(conn)
			_ = conn.Close()
		}
	}
}

// TestFaults sends a wrong endpoint of each kind through conform: the fault is found and named, with the remedy.
func TestFaults(t *testing.T) {
	t.Parallel()
	dry := func(r *http.Request) bool { return r.Header.Get("Ce-Dryrun") == "true" }
	for name, c := range map[string]struct {
		endpoint         http.Handler
		severity         conform.Severity
		rule, came, does string
	}{
		"an empty body":             {json(""), conform.Error, "answer", "an empty body; where nothing is to change, answer [], null or status 204", "JSON array of operations"},
		"an object without a key":   {json(`{"hello":1}`), conform.Error, "answer", "none of allowed, status, warnings, patch", "JSON array of operations"},
		"a whole AdmissionReview":   {json(`{"kind":"AdmissionReview","response":{"allowed":true}}`), conform.Error, "answer", "a whole AdmissionReview; answer its response only", "JSON array of operations"},
		"a whole Pod":               {json(`{"kind":"Pod","metadata":{},"spec":{}}`), conform.Error, "answer", "a Pod; expected a JSON array", "JSON array of operations"},
		"a Pod without kind":        {json(`{"metadata":{},"spec":{}}`), conform.Error, "answer", "a Pod; expected a JSON array", "JSON array of operations"},
		"status 500 with a text":    {answer(500, "text/plain", "no database"), conform.Error, "answer", "answered 500 Internal Server Error: no database", "answer with a 2xx status"},
		"a JSON error":              {answer(422, "application/json", `{"detail":"no team"}`), conform.Error, "answer", "no team", "answer with a 2xx status"},
		"a redirect":                {http.RedirectHandler("/elsewhere", http.StatusFound), conform.Error, "answer", "amp does not follow redirects", "answer with a 2xx status"},
		"an answer that is too big": {json(`[` + strings.Repeat(" ", 2<<20) + `]`), conform.Error, "answer", "answered more than 1048576 bytes", "JSON array of operations"},
		"a late answer":             {http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() }), conform.Error, "time", "no answer within", "answer in time"},
		"not JSON":                  {json(`{'op': 'add'}`), conform.Error, "answer", "json.dumps", "JSON array of operations"},
		"not UTF-8":                 {json("[\"\xff\xfe\"]"), conform.Error, "answer", "UTF-8", "JSON array of operations"},
		"a compressed answer": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			json("\x1f\x8b\x08\x00")(w, r)
		}), conform.Error, "answer", "gzip", "JSON array of operations"},
		"an op that RFC 6902 does not know":  {json(`[{"op":"set","path":"/a","value":1}]`), conform.Error, "answer", `unknown op; RFC 6902 knows add, remove`, "JSON array of operations"},
		"a slash in a key":                   {json(`[{"op":"add","path":"/metadata/annotations/example.com/team","value":"a"}]`), conform.Error, "patch", "~1", "change the operation"},
		"a message beside allowed":           {json(`{"allowed":false,"message":"no"}`), conform.Error, "answer", "put it in status.message", `answer {"allowed":false`},
		"a connection closed without answer": {hijack(func(net.Conn) {}), conform.Error, "answer", "the connection was closed before an answer", "the endpoint's own log"},
		"half an answer": {hijack(func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")
		}), conform.Error, "answer", "in the middle of the answer", "the endpoint's own log"},

		"a field that does not exist":                    {json(`[{"op":"add","path":"/spec/contianers","value":[]}]`), conform.Error, "fields", "contianers", "the Kubernetes API has it"},
		"a denied place":                                 {json(`[{"op":"add","path":"/spec/nodeName","value":"n"}]`), conform.Error, "patch", "AMP_PATCH_DENY", "change the operation"},
		"another name of the Pod":                        {json(`[{"op":"replace","path":"/metadata/namespace","value":"n"}]`), conform.Error, "patch", "namespace", "change the operation"},
		"a label of the controller's":                    {json(`[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]`), conform.Error, "patch", "ReplicaSet", "change the operation"},
		"what the API server rejects":                    {json(`[{"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptyDir":{}}},{"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptyDir":{}}}]`), conform.Error, "patch", `"x"`, "change the operation"},
		"a lost list":                                    {json(`[{"op":"add","path":"/spec/tolerations","value":[{"key":"a","operator":"Exists"}]}]`), conform.Advice, "warnings", "node.kubernetes.io/not-ready", "elements at the end of a list"},
		"a member of an op, misspelt":                    {json(`[{"op":"add","path":"/metadata/annotations/a","value":"a","form":"/b"}]`), conform.Error, "members", `"form" in an operation`, "take it out"},
		"a member beside allowed":                        {json(`{"allowed":true,"traceId":"7"}`), conform.Error, "members", `"traceId" in the answer`, "take it out"},
		"a member of an op, in base64":                   {json(`{"allowed":true,"patch":"` + base64.StdEncoding.EncodeToString([]byte("\ufeff"+`[{"op":"add","path":"/metadata/annotations/a","value":"a","form":"/b"}]`)) + `"}`), conform.Error, "members", `"form" in an operation`, "take it out"},
		"a message beside allowed that looks like amp's": {json(`{"allowed":false,"message":"no (amp: x)"}`), conform.Error, "answer", "put it in status.message", `answer {"allowed":false`},
		"a fault beside a reason of amp's form":          {json(`{"allowed":false,"status":{"message":"no (amp: x)"},"warnings":7}`), conform.Error, "answer", "(amp: it answered", `answer {"allowed":false`},
		"another content type":                           {answer(200, "text/html", add), conform.Advice, "content-type", "text/html", "application/json"},
		"a denial without a reason":                      {json(`{"allowed":false}`), conform.Advice, "texts", "without a reason", "status.message"},
		"a long warning":                                 {json(`{"warnings":["` + strings.Repeat("a", 300) + `"]}`), conform.Advice, "texts", "256 characters", "shorter warnings"},
		"many warnings":                                  {json(`{"warnings":["a"` + strings.Repeat(`,"a"`, 40) + `]}`), conform.Advice, "texts", "41 warnings", "few warnings"},
		"a counter":                                      {alternately(json(add), json(`[]`)), conform.Error, "repeatable", "first a patch: add /metadata/annotations/example.com~1team; then no change", "no counters"},
		"a patch of a dry run only":                      {when(dry, json(add), json(`[]`)), conform.Error, "dry-run", "as a dry run a patch: add /metadata/annotations/example.com~1team; as a real review no change", "leave out only the side effects"},
		"a failure of a dry run":                         {when(dry, answer(500, "text/plain", "dry"), json(add)), conform.Error, "dry-run", "as a dry run failed", "leave out only the side effects"},
		"a second volume the second time":                {json(`[{"op":"add","path":"/spec/containers/-","value":{"name":"agent","image":"a"}}]`), conform.Error, "idempotent", `"agent"`, "add an element only if none has its name"},
		"a list that grows":                              {json(`[{"op":"add","path":"/spec/containers/0/args/-","value":"-v"}]`), conform.Error, "idempotent", "a patch: add /spec/containers/0/args/-", "add an element only if none has its name"},
		"a failure under load": {func() http.Handler {
			const alone, atOnce = 4 * 4, 4 // requests about 4 shapes, each of which gets a patch
			var asked, inFlight atomic.Int64
			others := make(chan struct{})
			come := sync.OnceFunc(func() { close(others) })
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer inFlight.Add(-1)
				n := asked.Add(1)
				if inFlight.Add(1) > 1 {
					come()
					json(`[]`)(w, r)
					return
				}
				if n > alone && n <= alone+atOnce { // the others come while this one waits
					select {
					case <-others:
					case <-time.After(2 * time.Second): // there are none
					}
				}
				json(add)(w, r)
			})
		}(), conform.Error, "parallel", "among others", "keep nothing between requests"},
		"a crash by a broken body": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if text, _ := io.ReadAll(r.Body); !strings.HasSuffix(string(text), "}") {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, add)
		}), conform.Advice, "wrong-requests", "closed without an answer", "answer 4xx"},
		"a 500 for a broken body": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if text, _ := io.ReadAll(r.Body); !strings.HasSuffix(string(text), "}") {
				http.Error(w, "traceback", 500)
				return
			}
			_, _ = io.WriteString(w, add)
		}), conform.Advice, "wrong-requests", "status 500", "answer 4xx"},
		"a handler that waits": {when(func(r *http.Request) bool { return r.Method == http.MethodGet },
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), json(add)), conform.Error, "wrong-requests", "no answer within", "answer every request"},
		"a handler that a wrong request breaks": {func() http.Handler {
			var broken atomic.Bool
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if broken.Load() {
					http.Error(w, "broken", 500)
					return
				}
				if r.Method == http.MethodGet {
					broken.Store(true)
				}
				json(add)(w, r)
			})
		}(), conform.Error, "wrong-requests", "after failed: answered 500", "end only the request that is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // two wait for the end of the budget
			var config conform.Config
			switch {
			case c.rule == "time":
				config.Budget, config.Shapes = 2*time.Second, all(t, review.Mutate)[:1]
			case name == "a handler that waits":
				config.Budget = 2 * time.Second
			}
			if strings.Contains(name, "controller") {
				config.Shapes = all(t, review.Mutate)
			}
			report := run(t, c.endpoint, config)
			if c.severity == conform.Error && report.Errors() == 0 {
				t.Error("the report has no error")
			}
			var found strings.Builder
			for _, f := range report.Findings {
				if f.Rule == c.rule && f.Severity == c.severity && strings.Contains(f.Came, c.came) && strings.Contains(f.Fix, c.does) {
					return
				}
				fmt.Fprintln(&found, f.Severity, f.Text())
			}
			t.Errorf("no finding of %s has %q and %q; there are:\n%s", c.rule, c.came, c.does, found.String())
		})
	}
}

// TestManyWrongRequests promises one finding for all wrong requests that get the same answer.
func TestManyWrongRequests(t *testing.T) {
	report := run(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text, _ := io.ReadAll(r.Body); !strings.HasSuffix(string(text), "}") {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, add)
	}), conform.Config{})
	if len(report.Findings) != 1 || report.Findings[0].Sent != "GET; HEAD; POST without a body; POST of JSON that is cut off; POST of null; POST of text" {
		_ = report.WriteText(t.Output())
		t.Errorf("%d findings", len(report.Findings))
	}
}

// TestGood sends all shapes to endpoints that keep the contract: nothing is found, and each rule was tried.
func TestGood(t *testing.T) {
	report := run(t, json(add), conform.Config{Shapes: all(t, review.Mutate)})
	if len(report.Findings) != 0 || report.Answers.Patched != report.Shapes || report.Note != "" {
		t.Errorf("%+v", report)
		_ = report.WriteText(t.Output())
	}
	for _, rule := range report.Rules {
		if rule.Result != "ok" {
			t.Errorf("%s: %s", rule.Rule, rule.Result)
		}
	}
	if strings.Contains(report.Endpoint, "secret") {
		t.Errorf("the report shows the query: %s", report.Endpoint)
	}
}

func all(t *testing.T, phase review.Phase) []shapes.Shape {
	t.Helper()
	all, err := shapes.All(phase)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestValidating(t *testing.T) {
	images, err := require.New("registry.example")
	if err != nil {
		t.Fatal(err)
	}
	report := run(t, images, conform.Config{Phase: review.Validate, Shapes: all(t, review.Validate)})
	if report.Errors() != 0 || report.Answers.Denied == 0 || report.Answers.Unchanged == 0 {
		_ = report.WriteText(t.Output())
		t.Errorf("%+v", report.Answers)
	}
	if report := run(t, json(add), conform.Config{Phase: review.Validate}); report.Errors() == 0 {
		t.Error("a patch passes as the answer to a validating review")
	}
}

// TestDefaultBudget sends nothing.
func TestDefaultBudget(t *testing.T) {
	for phase, want := range map[review.Phase]float64{"": 1500, review.Mutate: 1500, review.Validate: 750} {
		report, err := conform.Run(t.Context(), conform.Config{Endpoint: serve(t, json(add)), Phase: phase, Shapes: []shapes.Shape{}})
		if err != nil || report.BudgetMS != want {
			t.Errorf("phase %q: %v, %+v; want %v ms", phase, err, report, want)
		}
	}
}

// TestOnlyDryRuns promises that no request with a Pod is a real review.
func TestOnlyDryRuns(t *testing.T) {
	var real atomic.Int64
	run(t, when(func(r *http.Request) bool {
		if r.ContentLength > 0 && r.Header.Get("Ce-Dryrun") != "true" {
			real.Add(1)
		}
		return true
	}, json(add), nil), conform.Config{OnlyDryRuns: true})
	if n := real.Load(); n != 0 {
		t.Errorf("%d requests are real reviews", n)
	}
}

func TestNotAsked(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &url.URL{Scheme: "http", Host: listener.Addr().String()}
	_ = listener.Close()
	_, err = conform.Run(t.Context(), conform.Config{Endpoint: u, Budget: patience})
	var not *conform.NotAsked
	if !errors.As(err, &not) || !strings.Contains(not.Cause, "connection refused") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := conform.Run(ctx, conform.Config{Endpoint: serve(t, json(add))}); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was cancelled: %v", err)
	}
}

// TestStops promises that an endpoint that hangs does not cost the budget for each shape.
func TestStops(t *testing.T) {
	t.Parallel() // it waits for the end of the budget
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() })
	report := run(t, hang, conform.Config{Shapes: all(t, review.Mutate), Budget: 2 * time.Second})
	if report.Requests != 3 || !strings.Contains(report.Note, "were not sent") {
		t.Errorf("%d requests, note %q", report.Requests, report.Note)
	}
}
