package load_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/txn2/amp/internal/conform"
	"github.com/txn2/amp/internal/load"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/shapes"
)

// config measures a handler.
func config(t *testing.T, handler http.HandlerFunc) load.Config {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/?token=secret")
	if err != nil {
		t.Fatal(err)
	}
	client, err := conform.Client("", "", 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := shapes.All(review.Mutate)
	if err != nil {
		t.Fatal(err)
	}
	return load.Config{Endpoint: review.NewEndpoint(u), Client: client, Shapes: all[:3], Timeout: 10 * time.Second, Concurrency: 4, Duration: time.Minute, Requests: 100}
}

func report(t *testing.T, c load.Config) (*load.Report, string) {
	t.Helper()
	result, err := load.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r := load.NewReport(c.Endpoint, result, c.Timeout)
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	return r, text.String()
}

func TestCounts(t *testing.T) {
	var asked, real, inFlight, most atomic.Int64
	c := config(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Ce-Dryrun") != "true" {
			real.Add(1)
		}
		n := inFlight.Add(1)
		defer inFlight.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		w.WriteHeader(http.StatusNoContent)
	})
	r, text := report(t, c)
	if r.Requests != 100 || asked.Load() != 101 || real.Load() != 0 || most.Load() > 4 {
		t.Errorf("%d requests reported, %d sent (one to begin with), %d of them real reviews, %d at once", r.Requests, asked.Load(), real.Load(), most.Load())
	}
	total := 0
	for _, bin := range r.Histogram {
		total += bin.Count
	}
	if total != 100 || r.P50MS > r.P99MS || r.P99MS > r.MaxMS || r.MaxMS == 0 || strings.Contains(text, "secret") {
		t.Errorf("%+v\n%s", r, text)
	}
}

// TestInTurn promises that each Pod is sent as often as the others, however many workers send them, and each time as a review of
// its own: an endpoint may know one again by its ce-id.
func TestInTurn(t *testing.T) {
	for name, rate := range map[string]float64{"as fast as it goes": 0, "at a rate": 5000} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			pods, ids := map[string]int{}, map[string]bool{}
			c := config(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				mu.Lock()
				defer mu.Unlock()
				pods[r.Header.Get("Ce-Subject")]++
				ids[r.Header.Get("Ce-Id")] = true
				w.WriteHeader(http.StatusNoContent)
			})
			c.Shapes, c.Concurrency, c.Requests, c.Rate = nil, 8, 16, rate
			for i := range 8 {
				shape, err := shapes.Read(fmt.Sprint(i), fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"pod-%d"}}`, i), review.Mutate)
				if err != nil {
					t.Fatal(err)
				}
				c.Shapes = append(c.Shapes, shape)
			}
			report(t, c)
			for i := range 8 {
				if name, want := fmt.Sprintf("default/pod-%d", i), 2; pods[name] != want && (i > 0 || pods[name] != want+1) { // one to begin with
					t.Errorf("%s was sent %d times", name, pods[name])
				}
			}
			if len(ids) != 17 {
				t.Errorf("%d requests have %d ids", 17, len(ids))
			}
		})
	}
}

func TestErrorsByKind(t *testing.T) {
	var n atomic.Int64
	r, text := report(t, config(t, func(w http.ResponseWriter, _ *http.Request) {
		switch n.Add(1) % 3 {
		case 0:
			http.Error(w, "no database", http.StatusInternalServerError)
		case 1:
			fmt.Fprint(w, `{"allowed":false,"status":{"message":"no"}}`)
		default:
			fmt.Fprint(w, "nonsense")
		}
	}))
	if len(r.Errors) != 2 || r.Denied == 0 || r.Errors[0].Kind != "invalid" || r.Errors[1].Kind != "status" || r.Errors[0].Count+r.Errors[1].Count+r.Denied != 100 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(text, "calls failed (status), for example: answered 500 Internal Server Error: no database") {
		t.Error(text)
	}
}

// TestDuration promises that a measurement ends by itself, and that its end is not counted as an error.
func TestDuration(t *testing.T) {
	c := config(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c.Requests, c.Duration = 0, 500*time.Millisecond
	if r, _ := report(t, c); r.Requests == 0 || len(r.Errors) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestRate promises that the rate is kept, and that a request which had to wait counts from when it was due.
func TestRate(t *testing.T) {
	c := config(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c.Rate, c.Requests = 200, 20
	if r, _ := report(t, c); r.Seconds < 0.09 {
		t.Errorf("20 requests at 200 a second took %.3f s", r.Seconds)
	}
	// One worker, and answers that take four times as long as the pace: the last of 10 waits for the ones before.
	c = config(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		w.WriteHeader(http.StatusNoContent)
	})
	c.Rate, c.Requests, c.Concurrency = 200, 10, 1
	if r, _ := report(t, c); r.MaxMS < 100 {
		t.Errorf("the slowest answer took %.1f ms; with its wait it is more than 100 ms", r.MaxMS)
	}
}

func TestNoServer(t *testing.T) {
	c := config(t, nil)
	c.Endpoint.URL.Host = "127.0.0.1:1"
	if _, err := load.Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v", err)
	}
}
