package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
)

const (
	fail   = "/mutate/fail"
	ignore = "/mutate/ignore"
)

// smallPod is an ordinary Pod.
const smallPod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","labels":{"app":"web"}},"spec":{"containers":[{"name":"main","image":"nginx","env":[{"name":"A","value":"b"}]}]}}`

// podOf is a Pod that takes n bytes.
func podOf(n int) string {
	return strings.Replace(smallPod, `"labels":`, `"annotations":{"a":"`+strings.Repeat("x", n)+`"},"labels":`, 1)
}

var reviews atomic.Int64

// reviewOf is the review of a Pod in a namespace, as an API server sends it.
func reviewOf(namespace, pod string) string {
	return fmt.Sprintf(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"00000000-0000-4000-8000-%012d",`+
		`"kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},`+
		`"namespace":%q,"name":"web","operation":"CREATE","userInfo":{"username":"mallory"},"dryRun":false,"object":%s}}`, reviews.Add(1), namespace, pod)
}

// answer is amp's answer to a review.
type answer struct {
	*admissionv1.AdmissionResponse
	pod  string
	size int // of the body
	took time.Duration
}

// ask posts the review of a Pod. An answer that is not a decision is an error.
func (p *process) ask(ctx context.Context, path, namespace, pod string) (*answer, error) {
	return p.askAt(ctx, p.url, path, namespace, pod)
}

func (p *process) askAt(ctx context.Context, url, path, namespace, pod string) (*answer, error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+path+"?timeout=10s", strings.NewReader(reviewOf(namespace, pod)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); resp.StatusCode != http.StatusOK || err != nil || review.Response == nil {
		return nil, fmt.Errorf("amp answered %d %.200s", resp.StatusCode, body)
	}
	return &answer{review.Response, pod, len(body), took}, nil
}

// review asks once and fails the row if there is no decision.
func (r *run) review(p *process, path, namespace, pod string) *answer {
	a, err := p.ask(r.ctx, path, namespace, pod)
	if err != nil {
		if p.hasEnded() || p.killed() {
			r.fail("amp ended: %v; killed for memory: %v", err, p.killed())
		}
		r.fail("no decision: %v", err)
	}
	return a
}

func (a *answer) message() string {
	if a.Result != nil {
		return a.Result.Message
	}
	return strings.Join(a.Warnings, " ")
}

// stored is the Pod after the patch, applied with the API server's own library, or the error that the API server would
// answer under either failure policy.
func (a *answer) stored() (string, error) {
	if len(a.Patch) == 0 {
		return a.pod, nil
	}
	patch, err := jsonpatch.DecodePatch(a.Patch)
	if err != nil {
		return "", err
	}
	after, err := patch.Apply([]byte(a.pod))
	return string(after), err
}

// patience is how long callers of API servers wait that give up early. amp's own deadline is half of it; on a busy machine
// the answer comes later.
const patience = 3 * time.Second

// inTime fails the row if the answer is too late.
func (r *run) inTime(a *answer) {
	if a.took > patience {
		r.fail("the answer took %v", a.took.Round(time.Millisecond))
	}
}

// failedBy asks under both policies and fails the row unless amp refuses the Pod under Fail, and admits it unchanged
// under Ignore, in time. It returns the message under Fail.
func (r *run) failedBy(p *process, namespace, pod string) string {
	closed, open := r.review(p, fail, namespace, pod), r.review(p, ignore, namespace, pod)
	r.inTime(closed)
	r.inTime(open)
	if closed.Allowed || !open.Allowed || len(open.Patch) > 0 || len(open.Warnings) == 0 {
		r.fail("under Fail: allowed %v, %.200s; under Ignore: allowed %v, %d bytes of patch, %.200s", closed.Allowed, closed.message(), open.Allowed, len(open.Patch), open.message())
	}
	return closed.message()
}

// outcome sums up many reviews.
type outcome struct {
	mu      sync.Mutex
	times   []time.Duration
	allowed int
	errors  []error
	refused string // the message of the first one that was not allowed
}

func (o *outcome) add(a *answer, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.errors = append(o.errors, err)
		return
	}
	o.times = append(o.times, a.took)
	if a.Allowed {
		o.allowed++
	} else if o.refused == "" {
		o.refused = a.message()
	}
}

// at is the time within which a part of the answers came, 0 < part <= 1.
func (o *outcome) at(part float64) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.times) == 0 {
		return 0
	}
	sorted := slices.Clone(o.times)
	slices.Sort(sorted)
	return sorted[max(0, int(part*float64(len(sorted)))-1)]
}

// together asks n times, so many at once.
func (p *process) together(ctx context.Context, n, atOnce int, path, namespace, pod string) *outcome {
	o := &outcome{}
	var next atomic.Int64
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for next.Add(1) <= int64(n) {
				o.add(p.ask(ctx, path, namespace, pod))
			}
		})
	}
	all.Wait()
	return o
}

// steadily asks at a rate, whether amp answers or not, until ctx ends. The time of an answer counts from when the
// question was due.
func (p *process) steadily(ctx context.Context, rate int, path, namespace, pod string) *outcome {
	o := &outcome{}
	every := time.Second / time.Duration(rate)
	var all sync.WaitGroup
	for due := time.Now(); ctx.Err() == nil; due = due.Add(every) {
		time.Sleep(time.Until(due))
		all.Go(func() {
			a, err := p.ask(context.WithoutCancel(ctx), path, namespace, pod)
			if err == nil {
				a.took = time.Since(due)
			}
			o.add(a, err)
		})
	}
	all.Wait()
	return o
}

// allDecided fails the row if a review got no decision.
func (r *run) allDecided(o *outcome, n int) {
	if len(o.errors) > 0 {
		r.fail("%d of %d reviews got no decision: %v", len(o.errors), n, o.errors[0])
	}
	if len(o.times) != n {
		r.fail("%d of %d reviews were answered", len(o.times), n)
	}
}
