package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// largeReview is a review of a Pod in a namespace, of a megabyte.
func largeReview(namespace, request string) string {
	return fmt.Sprintf(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{%s"resource":{"group":"","version":"v1","resource":"pods"},"name":"p","namespace":%q,`+
		`"operation":"CREATE","userInfo":{"username":"u"},"object":{"x":"%s"}}}`, request, namespace, strings.Repeat("x", 1<<20))
}

// watched is a body that does not tell its length. It sees how much memory the reviews hold while it is read, at most.
type watched struct {
	io.Reader
	memory *share.Pool
	most   int64
}

func (w *watched) Read(p []byte) (int, error) {
	w.most = max(w.most, w.memory.Used())
	return w.Reader.Read(p)
}

// fullFor is a handler with 8 MiB of memory, of which namespace a holds all that it may.
func fullFor(t *testing.T, w *world) (*proxy.Handler, *share.Hold) {
	t.Helper()
	h := handler(w)
	h.Memory = share.NewBytes(8<<20, proxy.MaxReview)
	hold := h.Memory.Hold("a", 0)
	if err := hold.Grow(t.Context(), 4<<20); err != nil {
		t.Fatal(err)
	}
	return h, hold
}

func TestAReviewWithoutMemoryIsDecidedByItsFirstBytes(t *testing.T) {
	const uid = `"uid":"u",`
	for name, test := range map[string]struct {
		path, body string
		status     int
		allowed    bool
		outcome    review.Outcome
		shed       []review.ShedReason
	}{
		"Fail":                         {"/mutate/fail", largeReview("a", uid), 200, false, review.OutcomeRejected, []review.ShedReason{review.ShedBody}},
		"Ignore":                       {"/mutate/ignore", largeReview("a", uid), 200, true, review.OutcomeFailedOpen, []review.ShedReason{review.ShedBody}},
		"the default":                  {"/mutate", largeReview("a", uid), 200, false, review.OutcomeRejected, []review.ShedReason{review.ShedBody}},
		"validate":                     {"/validate/ignore", largeReview("a", uid), 200, true, review.OutcomeFailedOpen, []review.ShedReason{review.ShedBody}},
		"a small one":                  {"/mutate/fail", strings.Replace(largeReview("a", uid), strings.Repeat("x", 1<<20), "", 1), 200, false, review.OutcomeRejected, []review.ShedReason{review.ShedBody}},
		"of a node":                    {"/mutate/fail", strings.Replace(largeReview("a", uid), `"username":"u"`, `"username":"u","groups":["system:nodes"]`, 1), 200, true, review.OutcomeSkipped, nil},
		"an UPDATE":                    {"/mutate/fail", strings.Replace(largeReview("a", uid), `"CREATE"`, `"UPDATE"`, 1), 200, true, review.OutcomeSkipped, nil},
		"no uid in its first bytes":    {"/mutate/fail", largeReview("a", ""), 503, false, "", []review.ShedReason{review.ShedUnread}},
		"another namespace has memory": {"/mutate/fail", largeReview("b", uid), 200, true, review.OutcomeMutated, nil},
	} {
		run(t, name, func(t *testing.T) {
			w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, "http://a")}, answers: map[string]review.Answer{"http://a": patch("/x")}, events: review.LevelPatch}
			h, hold := fullFor(t, w)
			if test.status == 503 { // then amp does not know that it is of namespace b
				if err := h.Memory.Hold("", 0).Grow(t.Context(), 2<<20); err != nil {
					t.Fatal(err)
				}
			}
			before, start := h.Memory.Used(), time.Now()
			body := &watched{Reader: strings.NewReader(test.body), memory: h.Memory}
			resp := ask(h, "POST", test.path, "application/json", body)
			text := bodyOf(t, resp)
			if resp.StatusCode != test.status || !slices.Equal(w.shed, test.shed) {
				t.Fatalf("%s %s, shed %v", resp.Status, text, w.shed)
			}
			if h.Memory.Used() != before {
				t.Errorf("%d bytes are held afterwards", h.Memory.Used()-before)
			}
			hold.Release()
			if test.shed != nil {
				if patience := w.proxy().Timeout / 10; time.Since(start) > patience || time.Since(start) < patience/2 {
					t.Errorf("waited %v", time.Since(start))
				}
				if !strings.Contains(text, "shed: no memory for ") || !strings.Contains(text, "AMP_IN_FLIGHT_BYTES") {
					t.Errorf("answered %s", text)
				}
			}
			if test.status != 200 {
				return
			}
			var answer admissionv1.AdmissionReview
			if err := json.Unmarshal([]byte(text), &answer); err != nil {
				t.Fatal(err)
			}
			rec := w.records[0]
			if answer.Response.UID != "u" || answer.Response.Allowed != test.allowed || rec.Verdict.Outcome != test.outcome {
				t.Errorf("%s: %s", rec.Verdict.Outcome, text)
			}
			if rec.Review.PodName() != "p" || rec.Review.User != "u" && test.outcome != review.OutcomeSkipped {
				t.Errorf("recorded %+v", rec.Review)
			}
			if test.outcome == review.OutcomeMutated {
				return
			}
			if len(w.calls) != 0 || rec.Plan.Event != "" || body.most != before {
				t.Errorf("calls %v, event %q; %d bytes were held", w.calls, rec.Plan.Event, body.most-before)
			}
		})
	}
}

// TestAnAnnouncedBodyIsNotKeptWithoutMemory: there is room for a review, but not for this body.
func TestAnAnnouncedBodyIsNotKeptWithoutMemory(t *testing.T) {
	run(t, "", func(t *testing.T) {
		w := &world{policy: &review.Policy{}}
		h := handler(w)
		h.Memory = share.NewBytes(8<<20, proxy.MaxReview)
		if err := h.Memory.Hold("a", 0).Grow(t.Context(), 7<<19); err != nil {
			t.Fatal(err)
		}
		text := largeReview("a", `"uid":"u",`)
		body := &watched{Reader: strings.NewReader(text), memory: h.Memory}
		req := httptest.NewRequest("POST", "/mutate/fail", body)
		req.ContentLength = int64(len(text))
		req.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, req)
		if answer.Code != 200 || !slices.Equal(w.shed, []review.ShedReason{review.ShedBody}) || body.most != 7<<19+proxy.ReviewBytes || h.Memory.Used() != 7<<19 {
			t.Errorf("%d %s, shed %v; %d bytes were held, now %d", answer.Code, answer.Body, w.shed, body.most, h.Memory.Used())
		}
	})
}

// TestALargeReviewFitsWithoutItsLength: a body that does not tell its length takes no more than the largest one that does.
func TestALargeReviewFitsWithoutItsLength(t *testing.T) {
	const most = 7 << 20
	head := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","resource":{"group":"","version":"v1","resource":"pods"},"name":"p","namespace":"a",` +
		`"operation":"CREATE","userInfo":{"username":"u"},"object":{"x":"`
	const end = `"}}}`
	for name, test := range map[string]struct {
		size, length int
		status       int
	}{
		"6 MiB, announced":               {6 << 20, 6 << 20, 200},
		"6 MiB, in chunks":               {6 << 20, -1, 200},
		"the largest, announced":         {most, most, 200},
		"the largest, in chunks":         {most, -1, 200},
		"a byte more than it, in chunks": {most + 1, -1, 413},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{policy: &review.Policy{}}
			h := handler(w)
			h.Memory = share.NewBytes(8<<20, proxy.MaxReview)
			body := &watched{Reader: strings.NewReader(head + strings.Repeat("x", test.size-len(head)-len(end)) + end), memory: h.Memory}
			req := httptest.NewRequest("POST", "/mutate/fail", body)
			req.ContentLength = int64(test.length)
			req.Header.Set("Content-Type", "application/json")
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, req)
			if answer.Code != test.status || len(w.shed) > 0 || body.most > proxy.MaxReview || h.Memory.Used() != 0 {
				t.Errorf("%d %s, shed %v; %d bytes were held, now %d", answer.Code, answer.Body, w.shed, body.most, h.Memory.Used())
			}
		})
	}
}

// TestTheCallerCanSendAllAndUseItsConnectionAgain: a caller that still sends when amp has decided must get the answer.
func TestTheCallerCanSendAllAndUseItsConnectionAgain(t *testing.T) {
	w := &world{policy: &review.Policy{}}
	h, _ := fullFor(t, w)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	for i, reused := range []bool{false, true} {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if info.Reused != reused {
				t.Errorf("review %d reuses the connection: %v", i, info.Reused)
			}
		}})
		req, err := http.NewRequestWithContext(ctx, "POST", server.URL+"/mutate/fail", strings.NewReader(largeReview("a", `"uid":"u",`)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if text := bodyOf(t, resp); resp.StatusCode != 200 || !strings.Contains(text, "shed") {
			t.Errorf("%s %s", resp.Status, text)
		}
		_ = resp.Body.Close()
	}
}

// TestACallerThatStopsSendingGetsTheAnswer: the first bytes decide, so a body that never ends does not delay the answer.
func TestACallerThatStopsSendingGetsTheAnswer(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			w := &world{policy: &review.Policy{}}
			h, _ := fullFor(t, w)
			server := httptest.NewUnstartedServer(h)
			server.EnableHTTP2 = protocol == "HTTP/2.0"
			server.StartTLS()
			t.Cleanup(server.Close)
			text := largeReview("a", `"uid":"u",`)
			rest, more := io.Pipe()
			t.Cleanup(func() { _ = more.Close() })
			ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second) // amp waits 10 s for a body
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "POST", server.URL+"/mutate/fail", io.MultiReader(strings.NewReader(text[:64<<10]), rest))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = int64(len(text))
			req.Header.Set("Content-Type", "application/json")
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if text := bodyOf(t, resp); resp.Proto != protocol || resp.StatusCode != 200 || !strings.Contains(text, "shed") {
				t.Errorf("%s %s %s", resp.Proto, resp.Status, text)
			}
		})
	}
}

// TestAReviewWaitsForMemory: for a tenth of its time. What comes free then is enough.
func TestAReviewWaitsForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, "http://a")}, answers: map[string]review.Answer{"http://a": patch("/x")}}
		h, hold := fullFor(t, w)
		time.AfterFunc(149*time.Millisecond, hold.Release)
		resp := ask(h, "POST", "/mutate", "application/json", strings.NewReader(largeReview("a", `"uid":"u",`)))
		if resp.StatusCode != 200 || len(w.records) != 1 || w.records[0].Verdict.Outcome != review.OutcomeMutated {
			t.Errorf("%s: %+v", resp.Status, w.records)
		}
		// Its clock ran while it waited.
		if left := w.calls[0].Budget; left != 1351*time.Millisecond {
			t.Errorf("the endpoint has %v", left)
		}
	})
}

// TestAPanicGivesTheMemoryBack: also one that the barrier catches.
func TestAPanicGivesTheMemoryBack(t *testing.T) {
	for _, place := range []string{"policy", "call", "check", "record"} {
		w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, "http://a")}, answers: map[string]review.Answer{"http://a": patch("/x")}, panics: place}
		h := handler(w)
		h.Memory = share.NewBytes(8<<20, 0)
		if resp := ask(h, "POST", "/mutate", "application/json", strings.NewReader(largeReview("a", `"uid":"u",`))); resp.StatusCode != 200 || h.Memory.Used() != 0 {
			t.Errorf("%s: %s, %d bytes are held", place, resp.Status, h.Memory.Used())
		}
	}
}
