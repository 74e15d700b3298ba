package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/internal/namespaces/namespacestest"
	"github.com/txn2/amp/test/freeport"
)

// echo is an endpoint that tells in each of its answers all that its URL held, as error pages do.
func echo(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	said := fmt.Sprintf("Cannot POST %s for %s with %s (%s)", r.URL.RequestURI(), user, password, r.URL.RawQuery)
	text, _ := json.Marshal(said)
	answer := func(status int, mediaType, body string) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	switch strings.SplitN(r.URL.Path, ",", 2)[0] {
	case "/plain":
		answer(500, "text/plain", said+"\nAuthorization: "+r.Header.Get("Authorization"))
	case "/page":
		answer(404, "text/html", "<!DOCTYPE html><title>Error</title><pre>"+strings.ReplaceAll(said, "&", "&amp;")+"</pre>")
	case "/json":
		answer(400, "application/json", `{"detail":`+string(text)+`}`)
	case "/moved":
		w.Header().Set("Location", "http://"+r.Host+r.URL.RequestURI()+"#"+password)
		answer(302, "text/plain", said)
	case "/denied":
		answer(200, "application/json", `{"allowed":false,"status":{"message":`+string(text)+`}}`)
	case "/warned":
		answer(200, "application/json", `{"warnings":[`+string(text)+`]}`)
	case "/quoted":
		answer(200, "application/json", `{"allowd":true,`+string(text)+`:1}`)
	case "/closed":
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 "+said+"\r\n\r\n")
			_ = conn.Close()
		}
	case "/ok":
		answer(200, "application/json", `[{"op":"add","path":"/metadata/labels/x","value":"y"}]`)
	default:
		answer(200, "application/json", said)
	}
}

// TestNoSecretIsShown runs amp with Namespaces whose annotations hold URLs with a secret, valid or not, and looks for the
// secret in all that amp says: answers with their messages, warnings and audit annotations, log, events on stdout and in a
// sink, and metrics.
func TestNoSecretIsShown(t *testing.T) {
	endpoint := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(endpoint.Close)
	var events lockedBuffer
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = events.Write(fmt.Appendf(nil, "%v\n%s\n", r.Header, body))
	}))
	t.Cleanup(sink.Close)
	broken := httptest.NewServer(http.HandlerFunc(echo))
	broken.Close()

	values := namespacestest.Secrets(endpoint.Listener.Addr().String())
	var file bytes.Buffer
	type object = map[string]any
	for i, value := range values {
		annotations := map[string]string{"amp.txn2.com/ep": value, "validation.amp.txn2.com/ep": value}
		switch i % 7 {
		case 1:
			annotations["amp.txn2.com/candidate"] = value
		case 2:
			annotations = map[string]string{"mutation.amp.txn2.com/ep": value, "amp.txn2.com/mode": "shadow"}
		case 3:
			annotations["amp.txn2.com/endpoint"] = value
		}
		ns, err := json.Marshal(object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "ns-" + strconv.Itoa(i),
			"labels": map[string]string{"amp.txn2.com/enabled": "true"}, "annotations": annotations}})
		if err != nil {
			t.Fatal(err)
		}
		file.Write(append(ns, '\n'))
	}
	path := filepath.Join(t.TempDir(), "namespaces.json")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	review, err := os.ReadFile("testdata/dry-run.review.json")
	if err != nil {
		t.Fatal(err)
	}
	real := strings.Replace(string(review), `"dryRun": true`, `"dryRun": false`, 1)

	for name, sinkURL := range map[string]string{
		"events on stdout":              "",
		"events to a sink":              strings.Replace(sink.URL, "http://", "http://u:"+namespacestest.Mark+"@", 1) + "/?" + namespacestest.Mark + "#" + namespacestest.Mark,
		"events to a sink that is down": strings.Replace(broken.URL, "http://", "http://u:"+namespacestest.Mark+"@", 1) + "/?" + namespacestest.Mark,
		"events to a sink that echoes":  strings.Replace(endpoint.URL, "http://", "http://u:"+namespacestest.Mark+"@", 1) + "/moved?" + namespacestest.Mark,
	} {
		t.Run(name, func(t *testing.T) {
			var ports [2]string
			for i := range ports {
				var err error
				if ports[i], err = freeport.Get(); err != nil {
					t.Fatal(err)
				}
			}
			var said lockedBuffer
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			amp := exec.CommandContext(ctx, "amp") // which testscript.Main has put on the path
			amp.Env = append(os.Environ(), "PORT="+ports[0], "AMP_METRICS_ADDR=127.0.0.1:"+ports[1], "AMP_NAMESPACES_FILE="+path, "AMP_TIMEOUT=1s",
				"AMP_ENDPOINT_ALLOW=127.0.0.0/8", "AMP_LOG_LEVEL=debug", "AMP_EVENTS_LEVEL=Patch", "K_SINK="+sinkURL, "FUNCTION_TARGET=", "K_SERVICE=")
			amp.Stdout, amp.Stderr = &said, &said
			if err := amp.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = amp.Process.Kill(); _ = amp.Wait() }()
			url := "http://127.0.0.1:" + ports[0]
			for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
				if resp, err := http.Get(url + "/readyz"); err == nil {
					_ = resp.Body.Close()
					if resp.StatusCode == http.StatusOK {
						break
					}
				}
				if ctx.Err() != nil {
					t.Fatalf("amp is not ready: %s", said.String())
				}
			}
			var all sync.WaitGroup
			free := make(chan struct{}, 16)
			for i := range values {
				for _, at := range []string{"/mutate/fail", "/mutate/ignore", "/validate/fail"} {
					free <- struct{}{}
					all.Go(func() {
						defer func() { <-free }()
						for _, body := range []string{string(review), real} {
							answer, err := send(body, url+at, "ns-"+strconv.Itoa(i))
							if err != nil {
								t.Error(err)
							}
							noSecret(t, fmt.Sprintf("the answer of %s about %q", at, values[i]), answer)
						}
					})
				}
			}
			all.Wait()
			delivers := sinkURL == "" || strings.Contains(sinkURL, sink.Listener.Addr().String())
			for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
				resp, err := http.Get("http://127.0.0.1:" + ports[1] + "/metrics")
				if err != nil {
					t.Fatal(err)
				}
				metrics, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || !bytes.Contains(metrics, []byte("amp_reviews_total")) || ctx.Err() != nil {
					t.Fatalf("metrics: %v", err)
				}
				if !delivers || bytes.Contains(metrics, []byte("\namp_events_queue 0\n")) {
					noSecret(t, "the metrics", string(metrics))
					break
				}
			}
			noSecret(t, "the log and stdout", said.String())
			if !strings.Contains(said.String(), `"msg":"review"`) || sinkURL == "" && !strings.Contains(said.String(), `"specversion"`) {
				t.Errorf("there is no log or no event")
			}
		})
	}
	noSecret(t, "the events in the sink", strings.ReplaceAll(events.String(), base64.StdEncoding.EncodeToString([]byte("u:"+namespacestest.Mark)), ""))
	if !strings.Contains(events.String(), "Ce-Id") {
		t.Error("the sink got no event")
	}
}

// noSecret checks that a text holds the secret in no form.
func noSecret(t *testing.T, what, text string) {
	t.Helper()
	for _, form := range []string{namespacestest.Mark, base64.StdEncoding.EncodeToString([]byte("u:" + namespacestest.Mark))} {
		if i := strings.Index(text, form); i >= 0 {
			t.Errorf("%s shows the secret: …%s…", what, text[max(0, i-300):min(len(text), i+100)])
		}
	}
}

// lockedBuffer is a buffer that several goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
