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

// The sink and the endpoints of bad tenants are the test binary in other roles.
const (
	roleVariable = "AMP_TEST_ROLE"
	sinkRole     = "sink"
	badRole      = "bad"
	toVariable   = "AMP_TEST_TO"
)

// play serves as a role at PORT. It returns only if that fails.
func play(role string) error {
	handler := map[string]http.Handler{sinkRole: sink(os.Getenv(toVariable)), badRole: http.HandlerFunc(bad)}[role]
	return http.ListenAndServe(":"+os.Getenv("PORT"), handler)
}

// bad answers as no endpoint should.
func bad(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	switch r.URL.Path {
	case "/hang":
		<-r.Context().Done()
	case "/nonsense":
		io.WriteString(w, "<html>")
	case "/large":
		w.Write(make([]byte, 4<<20))
	case "/quantity":
		io.WriteString(w, `[{"op":"add","path":"/spec/containers/0/resources","value":{"limits":{"cpu":"1e-99999999"}}}]`)
	case "/inserts":
		io.WriteString(w, `[{"op":"add","path":"/spec/tolerations","value":[]}`+strings.Repeat(`,{"op":"add","path":"/spec/tolerations/0","value":{}}`, 5000)+`]`)
	default:
		http.Error(w, "busy", http.StatusServiceUnavailable)
	}
}

// sink passes each event on to the audit function, and answers as that does, as a broker does that keeps nothing. It
// writes the id of each accepted event to stdout before it answers. What it wrote stays when it is killed.
func sink(to string) http.HandlerFunc {
	client := &http.Client{Timeout: 5 * time.Second}
	return func(w http.ResponseWriter, r *http.Request) {
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
	}
}

// Acknowledged are the ids of the events that the audit function has accepted, repeated ones included.
func (w *World) Acknowledged() []string { return strings.Fields(w.Sink.Output()) }
