package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// With replaces all replicas with one that has more variables in its environment. The replica stays when the test
// ends; the test waits until its events are delivered. The next test that calls With or AsDeployed ends it.
func (w *World) With(t *testing.T, environment ...string) *Replica {
	t.Helper()
	r, err := w.only(environment...)
	if err != nil {
		t.Fatal(err)
	}
	w.altered = true
	t.Cleanup(func() {
		for _, r := range w.running {
			if !r.process.ended() {
				r.Counts(t, "amp_events_queue", 0)
			}
		}
	})
	return r
}

// AsDeployed undoes With.
func (w *World) AsDeployed() error {
	if !w.altered {
		return nil
	}
	w.altered = false
	if _, err := w.only(); err != nil {
		return err
	}
	return w.UntilCalled() // the API server may have trusted another certificate
}

func (w *World) only(environment ...string) (*Replica, error) {
	r, err := w.StartReplica(environment...)
	if err != nil {
		return nil, err
	}
	return r, w.StopAllBut(r)
}

// Log is what the replica wrote to stderr so far.
func (r *Replica) Log() string { return content(r.process.log) }

// Output is what the replica wrote to stdout so far.
func (r *Replica) Output() string { return content(r.process.out) }

func content(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// LogLine is one line of amp's log.
type LogLine map[string]any

// Logged are the lines of the log that have an attribute with that value.
func (r *Replica) Logged(attribute, value string) ([]LogLine, error) {
	var some []LogLine
	for line := range bytes.Lines([]byte(r.Log())) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // the line is still being written
		}
		var l LogLine
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("a line of amp's log is no JSON: %s", line)
		}
		if l[attribute] == value {
			some = append(some, l)
		}
	}
	return some, nil
}

// Metrics is the text of the replica's /metrics.
func (r *Replica) Metrics() (string, error) {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + r.metrics + "/metrics")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// Metric is the value of one series, e.g. amp_events_total{result="dropped"}.
func (r *Replica) Metric(series string) (float64, error) {
	all, err := r.Metrics()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(all) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", series)
}

// Counts waits until a metric has a value.
func (r *Replica) Counts(t *testing.T, series string, want float64) {
	t.Helper()
	Eventually(t, series, func(context.Context) error {
		if got, err := r.Metric(series); err != nil || got != want {
			return fmt.Errorf("it is %v, not %v: %v", got, want, err)
		}
		return nil
	})
}

// Review posts a review to the replica, as the API server would. It is for reviews that this API server never sends.
func (w *World) Review(t *testing.T, r *Replica, path string, header http.Header, review string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+r.Address+path, strings.NewReader(review))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header.Clone()
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.Client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("amp answered %d %s: %v", resp.StatusCode, body, err)
	}
	return string(body)
}
