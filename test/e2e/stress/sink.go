package stress

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// The sink is the test binary in another role.
const (
	roleVariable = "AMP_TEST_ROLE"
	sinkRole     = "sink"
	toVariable   = "AMP_TEST_TO"
)

// runSink passes each event on to the audit function, and answers as that does, as a broker does that keeps nothing. It
// writes the id of each accepted event to stdout before it answers. What it wrote stays when it is killed.
func runSink() error {
	to := os.Getenv(toVariable)
	client := &http.Client{Timeout: 5 * time.Second}
	listener, err := listen(os.Getenv("PORT"))
	if err != nil {
		return err
	}
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		on, err := http.NewRequestWithContext(r.Context(), http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		for name, values := range r.Header {
			if lower := strings.ToLower(name); lower == "content-type" || strings.HasPrefix(lower, "ce-") {
				on.Header[name] = values
			}
		}
		resp, err := client.Do(on)
		if err != nil {
			http.Error(w, "the audit function cannot be reached", http.StatusBadGateway)
			return
		}
		resp.Body.Close()
		if resp.StatusCode/100 == 2 {
			fmt.Fprintln(os.Stdout, r.Header.Get("ce-id"))
		}
		w.WriteHeader(resp.StatusCode)
	}))
}

// Acknowledged are the ids of the events that the audit function has accepted, repeated ones included.
func (w *World) Acknowledged() []string { return strings.Fields(w.Sink.Output()) }
