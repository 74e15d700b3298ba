package serve_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/txn2/amp/internal/serve"
)

// BenchmarkReview sends a recorded review over HTTP through amp, with everything on except events, and through a bare
// forwarder, which decodes the envelope, POSTs the Pod and answers. Both call the same endpoint in the same run; amp/bare
// is the ratio of their throughputs.
func BenchmarkReview(b *testing.B) {
	const patch = `[{"op":"add","path":"/metadata/annotations/a","value":"b"},{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A","value":"b"}}]`
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, patch)
	}))
	b.Cleanup(endpoint.Close)

	indented, err := os.ReadFile("../review/testdata/jupyterhub-user.review.json")
	if err != nil {
		b.Fatal(err)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, indented); err != nil { // as the API server sends it
		b.Fatal(err)
	}

	file := filepath.Join(b.TempDir(), "namespaces.yaml")
	manifest := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: jhub\n  labels: {amp.txn2.com/enabled: \"true\"}\n  annotations: {amp.txn2.com/ep: %q}\n", endpoint.URL)
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		b.Fatal(err)
	}
	// amp writes the log line of each review, but not to this terminal.
	stderr := os.Stderr
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	os.Stderr = null
	app, err := serve.New(b.Context(), env(map[string]string{
		"AMP_NAMESPACES_FILE": file, "AMP_ENDPOINT_ALLOW": "127.0.0.0/8", "AMP_METRICS_ADDR": "off", "AMP_EVENTS": "off",
	}), nil)
	os.Stderr = stderr
	if err != nil {
		b.Fatal(err)
	}
	amp := httptest.NewServer(app.Handler)
	b.Cleanup(amp.Close)
	bare := httptest.NewServer(bareForwarder(endpoint.URL))
	b.Cleanup(bare.Close)

	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	send := func(b *testing.B, url string) time.Duration {
		start := time.Now()
		resp, err := client.Post(url, "application/json", bytes.NewReader(body.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"patch"`)) {
			b.Fatalf("%s %s %v", resp.Status, answer, err)
		}
		return time.Since(start)
	}
	// One after the other, in turns, so that other work of the machine slows both.
	var ampTook, bareTook time.Duration
	for b.Loop() {
		bareTook += send(b, bare.URL)
		ampTook += send(b, amp.URL+"/mutate/fail?timeout=2s")
	}
	b.ReportMetric(float64(ampTook.Microseconds())/float64(b.N), "amp-µs/review")
	b.ReportMetric(float64(bareTook.Microseconds())/float64(b.N), "bare-µs/review")
	b.ReportMetric(bareTook.Seconds()/ampTook.Seconds(), "amp/bare")
}

func bareForwarder(endpoint string) http.Handler {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		resp, err := client.Post(endpoint, "application/json", bytes.NewReader(review.Request.Object.Raw))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		patch, err := io.ReadAll(resp.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		patchType := admissionv1.PatchTypeJSONPatch
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, Patch: patch, PatchType: &patchType}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	})
}
