package conform

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/review"
)

// exchange is one request and what came of it.
type exchange struct {
	shape  string
	review *review.Review
	answer review.Answer
	err    error // of the call; a *review.Failure
	took   time.Duration

	checked  review.Checked
	patchErr error // of the check of the patch; a *review.Failure

	raw raw // what came, if an answer came whole
}

// raw is an answer before amp reads it.
type raw struct {
	status int
	header http.Header
	body   []byte
}

// Answered is told of an answer as it came: see [callout.Config].
type Answered = func(ctx context.Context, status int, header http.Header, body []byte)

type rawKey struct{}

// keep keeps an answer for the exchange that waits for it.
func keep(ctx context.Context, status int, header http.Header, body []byte) {
	if into, ok := ctx.Value(rawKey{}).(*raw); ok {
		*into = raw{status, header, slices.Clone(body)}
	}
}

// ask makes one call as the proxy does, and checks the patch.
func (r *run) ask(ctx context.Context, shape string, of *review.Review, pod json.RawMessage) *exchange {
	e := &exchange{shape: shape, review: of}
	called, cancel := context.WithTimeout(context.WithValue(ctx, rawKey{}, &e.raw), r.config.Budget)
	defer cancel()
	r.requests.Add(1)
	start := time.Now()
	e.answer, e.err = r.client.Call(called, r.endpoint, of, 1, r.at, pod)
	e.took = time.Since(start)
	if e.err == nil && len(e.answer.Ops) > 0 {
		e.checked, e.patchErr = r.checker.Check(ctx, of.Namespace, pod, e.answer.Ops)
	}
	if e.patchErr == nil && len(e.checked.Ops) > 0 {
		// As the proxy answers it: with the annotation that names the event, as one patch.
		step := review.Step{Endpoint: r.endpoint, Ops: e.checked.Ops, Numbers: e.checked.Numbers}
		_, _, e.patchErr = r.checker.CheckWhole(ctx, of.Namespace, pod, []review.Step{step}, patch.Annotate(e.checked.Pod, review.StampAnnotation, of.UID))
	}
	return e
}

// askFor asks for a rule about a Pod that was asked about before. It returns nil if ctx has ended: what came then says nothing
// about the endpoint.
func (r *run) askFor(ctx context.Context, rule, shape string, of *review.Review, pod json.RawMessage) *exchange {
	e := r.ask(ctx, shape, of, pod)
	if ctx.Err() != nil {
		return nil
	}
	r.tried[rule] = true
	r.took = append(r.took, e.took)
	return e
}

// failed reports whether amp could not answer with what came.
func (e *exchange) failed() bool { return e.err != nil || e.patchErr != nil }

// says is what the endpoint answered, in a few words.
func (e *exchange) says() string {
	switch {
	case e.err != nil:
		return "failed: " + e.err.Error()
	case e.answer.Refused && e.answer.Message == "":
		return "a denial without a message"
	case e.answer.Refused:
		return "a denial: " + review.Clip(e.answer.Message, 80)
	case len(e.answer.Ops) == 0:
		return "no change"
	}
	ops := make([]string, 0, 4)
	for _, op := range e.answer.Ops {
		if len(ops) == 3 {
			ops = append(ops, "…")
			break
		}
		ops = append(ops, op.Op+" "+review.Clip(op.Path, 60))
	}
	return "a patch: " + strings.Join(ops, ", ")
}

// same reports whether two answers decide and change the same. Texts may differ: they may hold a time or the id of a log.
func (e *exchange) same(as *exchange) bool {
	if e.err != nil || as.err != nil {
		return (e.err == nil) == (as.err == nil)
	}
	return e.answer.Refused == as.answer.Refused && slices.EqualFunc(e.answer.Ops, as.answer.Ops, sameOp)
}

func sameOp(a, b review.Op) bool {
	return a.Op == b.Op && a.Path == b.Path && a.From == b.From && string(compact(a.Value)) == string(compact(b.Value))
}

// compact writes a value in one form: without white space, and with sorted members.
func compact(value json.RawMessage) []byte {
	var v any
	if len(value) == 0 || json.Unmarshal(value, &v) != nil {
		return value
	}
	text, err := json.Marshal(v)
	if err != nil {
		return value
	}
	return text
}
