package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/txn2/amp/internal/outbound"
)

// wrong is a request that is no review, or one in a way that amp does not send it.
type wrong struct {
	sent   string
	method string
	body   string
	header map[string]string
	// right says that the request is one that an endpoint should answer: a person with curl sends it.
	right bool
}

// wrongRequests sends what amp does not send, and then a review again. An endpoint is reached by others too: by probes,
// scanners, and people with curl.
func (r *run) wrongRequests(ctx context.Context) {
	var sound *exchange
	for _, e := range r.firsts {
		if e.err == nil {
			sound = e
			break
		}
	}
	if sound == nil {
		return
	}
	pod := string(sound.review.Pod)
	extra := map[string]string{"X-Forwarded-For": "10.0.0.1", "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Ce-Unknown": "1", "X-Long": strings.Repeat("x", 4000)}
	for _, w := range []wrong{
		{sent: "GET", method: http.MethodGet},
		{sent: "HEAD", method: http.MethodHead},
		{sent: "PUT of a Pod", method: http.MethodPut, body: pod},
		{sent: "POST without a body", method: http.MethodPost},
		{sent: "POST of JSON that is cut off", method: http.MethodPost, body: pod[:len(pod)/2]},
		{sent: "POST of null", method: http.MethodPost, body: "null"},
		{sent: "POST of text", method: http.MethodPost, body: "hello"},
		{sent: "a Pod without ce- headers, as curl sends it", method: http.MethodPost, body: pod, right: true},
		{sent: "a Pod with more headers than amp sends", method: http.MethodPost, body: pod, header: extra, right: true},
	} {
		if r.config.OnlyDryRuns {
			if w.right && w.header == nil {
				continue // without ce- headers it cannot be a dry run
			}
			w.header = maps.Clone(w.header)
			if w.header == nil {
				w.header = map[string]string{}
			}
			w.header["Ce-Dryrun"] = "true"
		}
		status, err := r.send(ctx, w)
		if ctx.Err() != nil {
			return
		}
		r.tried[ruleWrong] = true
		r.judgeWrong(w, sound, status, err)
	}
	after := r.ask(ctx, sound.shape, sound.review, sound.review.Pod)
	if ctx.Err() == nil && !after.same(sound) && !r.found(ruleRepeat, sound.shape) {
		r.find(ruleWrong, Error, sound, "the Pod after requests that are no reviews", "before "+sound.says()+"; after "+after.says(), "end only the request that is wrong: a handler must not stop the server or change what it keeps")
	}
}

// judgeWrong judges what came of one of them.
func (r *run) judgeWrong(w wrong, sound *exchange, status int, err error) {
	problem := func(severity Severity, came, fix string) { r.find(ruleWrong, severity, sound, w.sent, came, fix) }
	method := w.method != http.MethodPost
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		problem(Error, "no answer within "+r.config.Budget.String(), "answer every request, and bound what you wait for: a handler that waits for the rest of a body waits for ever")
	case err != nil:
		problem(Advice, "the connection was closed without an answer", fixCrash)
	case w.right && status >= 400:
		problem(Advice, answered(status), "answer it: ce- headers may be absent or more than you know")
	case w.right, status < 500 && method, status == http.StatusNotImplemented && method: // a page for GET is fine
	case status >= 500:
		problem(Advice, answered(status), "answer 4xx (400, or 405 for another method) with one line of text: 5xx says that the endpoint is broken")
	case status < 400 && w.body != "" && w.body != "null":
		problem(Advice, answered(status), "answer 400: if a body ever arrives cut off, a Pod must not pass unread")
	}
}

func answered(status int) string { return fmt.Sprintf("status %d %s", status, http.StatusText(status)) }

// send sends one request on a connection of its own.
func (r *run) send(ctx context.Context, w wrong) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Budget)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, w.method, r.endpoint.URL.String(), bytes.NewReader([]byte(w.body)))
	if err != nil {
		return 0, err
	}
	if w.method != http.MethodGet && w.method != http.MethodHead {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range w.header {
		req.Header.Set(name, value)
	}
	outbound.SetBasicAuth(req.Header, req.URL.User)
	r.requests.Add(1)
	resp, err := r.direct.RoundTrip(req) // not a Client, which follows redirects
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, r.config.MaxBytes)); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

// direct returns a transport that makes a connection for each request.
func direct(caFile string) (*http.Transport, error) {
	roots, err := outbound.CAsOf(caFile)
	if err != nil {
		return nil, err
	}
	t := outbound.NewTransport(roots)
	t.DisableKeepAlives = true
	return t, nil
}

// found reports whether a rule has a finding about a shape.
func (r *run) found(rule, shape string) bool {
	for _, f := range r.findings {
		if f.Rule == rule && slices.Contains(f.Shapes, shape) {
			return true
		}
	}
	return false
}
