package emit

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/review"
)

func TestEventsAreDelivered(t *testing.T) {
	r := newReceiver(t)
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL), Extensions: map[string]string{"cluster": "größe a"}})
	var want []string
	for i := range 300 {
		rec := numbered(t, i)
		rec.Plan.Level = []review.Level{review.LevelMetadata, review.LevelPatch, review.LevelFull}[i%3]
		w.Record(t.Context(), rec)
		want = append(want, rec.Plan.Event)
	}
	left := aMutation(t)
	left.Plan.Event = ""
	w.Record(t.Context(), left)
	w.flush(t)
	w.want(t, 300, 0, 0, 0)
	if diff := cmp.Diff(want, r.ids()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if extensions := r.events[0].Extensions(); extensions["cluster"] != "größe a" || extensions["empty"] != nil || extensions["namespace"] != "jhub" {
		t.Error(extensions)
	}

	w.Record(t.Context(), numbered(t, 301))
	w.want(t, 300, 0, 1, 0)
	if !strings.Contains(w.log.String(), `msg="event dropped" event=uid-0301`) {
		t.Error(w.log)
	}
}

func TestWithoutASinkEachEventIsALine(t *testing.T) {
	w := open(t, EventsConfig{Extensions: map[string]string{"cluster": "a"}})
	for i := range 100 {
		rec := numbered(t, i)
		rec.Plan.Level = review.LevelFull
		w.Record(t.Context(), rec)
	}
	w.flush(t)
	w.want(t, 100, 0, 0, 0)
	lines := strings.Split(strings.TrimSuffix(w.out.String(), "\n"), "\n")
	for i, line := range lines {
		var e event.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		checkEvent(t, e)
		if e.ID() != fmt.Sprintf("uid-%04d", i) || e.Extensions()["cluster"] != "a" {
			t.Errorf("line %d: %s", i, e)
		}
	}
	if len(lines) != 100 {
		t.Errorf("%d lines", len(lines))
	}
}

func TestAnswersOfTheSink(t *testing.T) {
	for name, test := range map[string]struct {
		script                      []func(http.ResponseWriter, *http.Request)
		delivered, retried, dropped int
		log                         string
	}{
		"200":                        {script: nil, delivered: 1},
		"204":                        {script: []func(http.ResponseWriter, *http.Request){status(204)}, delivered: 1},
		"503, then well":             {script: []func(http.ResponseWriter, *http.Request){status(503), status(503)}, delivered: 1, retried: 2, log: "answered 503"},
		"too much to do":             {script: []func(http.ResponseWriter, *http.Request){status(429, "Retry-After", "0")}, delivered: 1, retried: 1},
		"request timeout":            {script: []func(http.ResponseWriter, *http.Request){status(408)}, delivered: 1, retried: 1},
		"too early":                  {script: []func(http.ResponseWriter, *http.Request){status(425)}, delivered: 1, retried: 1},
		"500":                        {script: []func(http.ResponseWriter, *http.Request){status(500)}, delivered: 1, retried: 1},
		"the connection breaks":      {script: []func(http.ResponseWriter, *http.Request){hangUp}, delivered: 1, retried: 1, log: "closed the connection without an answer"},
		"400 will never succeed":     {script: []func(http.ResponseWriter, *http.Request){status(400)}, dropped: 1, log: `msg="event dropped" event=uid-0000 sink=URL cause="answered 400"`},
		"401":                        {script: []func(http.ResponseWriter, *http.Request){status(401)}, dropped: 1, log: "answered 401"},
		"404":                        {script: []func(http.ResponseWriter, *http.Request){status(404)}, dropped: 1, log: "answered 404"},
		"413":                        {script: []func(http.ResponseWriter, *http.Request){status(413)}, dropped: 1, log: "answered 413"},
		"a redirect is not followed": {script: []func(http.ResponseWriter, *http.Request){status(307, "Location", "/")}, dropped: 1, log: "answered 307"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, test.script...)
			w := open(t, EventsConfig{Sink: parseURL(t, strings.Replace(r.URL, "//", "//user:s3cret@", 1)+"?s3cret")})
			w.Record(t.Context(), numbered(t, 0))
			w.flush(t)
			w.want(t, test.delivered, test.retried, test.dropped, 0)
			if log := strings.ReplaceAll(w.log.String(), r.URL, "URL"); !strings.Contains(log, test.log) || strings.Contains(log, "s3cret") {
				t.Errorf("log, want %s:\n%s", test.log, log)
			}
			if tries, want := r.tries.Load(), int64(test.retried+1); tries != want {
				t.Errorf("%d tries, want %d", tries, want)
			}
		})
	}
}

func TestUserinfoAndQueryOfTheSink(t *testing.T) {
	var user, password, query, path string
	r := newReceiver(t, func(w http.ResponseWriter, req *http.Request) {
		user, password, _ = req.BasicAuth()
		query, path = req.URL.RawQuery, req.URL.Path
	})
	w := open(t, EventsConfig{Sink: parseURL(t, strings.Replace(r.URL, "//", "//user:s3cret@", 1)+"/a?b=c")})
	w.Record(t.Context(), numbered(t, 0))
	w.flush(t)
	if got := []string{user, password, query, path}; !slices.Equal(got, []string{"user", "s3cret", "b=c", "/a"}) {
		t.Error(got)
	}
}

func TestCACerts(t *testing.T) {
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(r.handler(t))
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	r.EnableHTTP2 = true
	r.StartTLS()
	defer r.Close()
	ca := x509.NewCertPool()
	ca.AddCert(r.Certificate())
	w := open(t, EventsConfig{Sink: parseURL(t, r.URL), Roots: ca})
	if _, err := w.Deliver(t.Context(), required(t, 0)); err != nil {
		t.Error(err)
	}

	w = open(t, EventsConfig{Sink: parseURL(t, r.URL)})
	// Tries go on until then. The last one must have time for a handshake on a busy machine.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	sent, err := w.Deliver(ctx, required(t, 0))
	if err == nil || !strings.Contains(err.Error(), "cannot be reached: tls: failed to verify certificate") {
		t.Error(err)
	}
	if sent {
		t.Error("sent")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, " 7 ": 7 * time.Second, "-1": 0, "x": 0, "3600": time.Minute, "99999999999999999999": 0, "18446744073709551615": time.Minute,
		"Mon, 23 Nov 2026 10:00:05 GMT": 5 * time.Second, "Mon, 23 Nov 2026 09:00:05 GMT": 0, "Tue, 24 Nov 2026 09:00:05 GMT": time.Minute,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
