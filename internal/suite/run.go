package suite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/txn2/amp/endpoints/jsonpointer"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/tryout"
)

// Options say how suites run.
type Options struct {
	Asker     *tryout.Asker // asks the endpoints; must be set
	Endpoints []string      // instead of those of the suite, if there are any
	Parallel  int           // cases at a time, at least 1
	// Timeout is for cases that name none, as AMP_TIMEOUT; 0 is its default.
	Timeout time.Duration
}

// Difference is one expectation that does not hold.
type Difference struct {
	What string `json:"what"` // a field of expect, for pod with the place
	Want any    `json:"want"`
	Got  any    `json:"got"`
}

// Result is what came of a case.
type Result struct {
	Name        string       `json:"name"`
	File        string       `json:"file"`
	Line        int          `json:"line"`
	Passed      bool         `json:"passed"`
	Differences []Difference `json:"differences,omitempty"`
	// Error says why the case could not be asked.
	Error string `json:"error,omitempty"`
	// Seen is what the Pod's creator reads, if the Pod is not admitted.
	Seen   string  `json:"seen,omitempty"`
	TookMS float64 `json:"tookMs"`

	answer *answer
}

// Run asks all cases. The results are in the order of the cases.
func Run(ctx context.Context, s *Suite, o Options) []Result {
	results := make([]Result, len(s.Cases))
	places := make(chan struct{}, max(1, o.Parallel))
	var done sync.WaitGroup
	for i, c := range s.Cases {
		places <- struct{}{}
		done.Go(func() {
			results[i] = c.run(ctx, s.File, o)
			<-places
		})
	}
	done.Wait()
	return results
}

// run asks one case and compares.
func (c *Case) run(ctx context.Context, file string, o Options) Result {
	r := Result{Name: c.Name, File: file, Line: c.Line}
	begin := time.Now()
	a, err := c.ask(ctx, o, c.want.idempotent != nil)
	r.TookMS = float64(time.Since(begin).Microseconds()) / 1000
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.answer, r.Seen = a, a.seen
	switch {
	case c.want.empty() && a.broken():
		r.Error = "nothing is expected, and the endpoint fails: let it run, or write expect: " + a.message
		return r
	case c.want.empty():
		r.Error = "nothing is expected: write expect, or let --update write it"
		return r
	}
	r.Differences = compare(&c.want, a)
	r.Passed = len(r.Differences) == 0
	// No server answers a denial, and none wants no change. Such a case must not pass because the endpoint did not start.
	if a.notThere && !(r.Passed && c.want.meansFailure()) {
		r.Passed, r.Error = false, a.message
	}
	return r
}

// ask asks in each phase for which the case names endpoints.
func (c *Case) ask(ctx context.Context, o Options, again bool) (*answer, error) {
	mutate, validate := c.endpoints, c.validation
	if len(o.Endpoints) > 0 {
		if len(mutate) == 0 && len(validate) > 0 {
			validate = o.Endpoints
		} else {
			mutate = o.Endpoints
		}
	}
	if len(mutate)+len(validate) == 0 {
		return nil, errors.New("no endpoint: write endpoint or validation in the suite, or use --endpoint URL")
	}
	q := &tryout.Question{
		Pod: c.pod.JSON, Namespace: c.pod.NamespaceOf(), Phase: review.Mutate, Endpoints: mutate, User: c.pod.User, Groups: c.pod.Groups, Creator: c.pod.Creator,
		DryRun: c.dryRun, FailurePolicy: c.policy, Timeout: cmp.Or(c.timeout, o.Timeout),
	}
	if c.user != "" {
		q.User, q.Groups, q.Creator = c.user, []string{"system:authenticated"}, ""
	}
	if c.groups != nil {
		q.Groups = c.groups
	}
	a := &answer{}
	if len(mutate) > 0 {
		result, err := o.Asker.Ask(ctx, q)
		if err != nil {
			return nil, err
		}
		a.add(result)
		a.mutation = result
		if again && !result.Failed() {
			if a.again, err = o.Asker.Again(ctx, q, result); err != nil {
				return nil, err
			}
			if a.again.NotThere {
				a.notThere, a.message = true, a.again.Message
			}
		}
		if !result.Allowed || len(validate) == 0 {
			return a, nil
		}
		q.Pod = result.Pod
	}
	q.Phase, q.Endpoints = review.Validate, validate
	result, err := o.Asker.Ask(ctx, q)
	if err != nil {
		return nil, err
	}
	a.add(result)
	return a, nil
}

// compare returns what does not hold.
func compare(e *expectation, a *answer) []Difference {
	var all []Difference
	differs := func(what string, want, got any) { all = append(all, Difference{what, want, got}) }
	got := got(a)
	// Any expectation but these is about a Pod that is admitted: a failure must not look like "no change".
	saysFailure := e.denied != nil || e.message != nil || e.outcome != nil
	if !saysFailure && a.failed {
		differs("outcome", "the Pod is admitted, and nothing fails", got.outcome+suffix(a.message))
	}
	if e.outcome != nil && *e.outcome != got.outcome {
		differs("outcome", *e.outcome, got.outcome+suffix(a.message))
	}
	if e.denied != nil && *e.denied != got.denied {
		differs("denied", *e.denied, fmt.Sprint(got.denied)+suffix(a.message))
	}
	if e.message != nil && (!strings.Contains(a.message, *e.message) || *e.message == "" && a.message != "") {
		differs("message", *e.message, a.message)
	}
	if e.unchanged != nil && *e.unchanged != got.unchanged {
		differs("unchanged", *e.unchanged, got.patch)
	}
	if e.warning != nil && !slices.ContainsFunc(a.warnings, func(w string) bool { return strings.Contains(w, *e.warning) }) {
		differs("warning", *e.warning, a.warnings)
	}
	if e.patch != nil && !same(*e.patch, got.patch) {
		differs("patch", *e.patch, got.patch)
	}
	switch {
	case e.idempotent == nil:
	case a.again == nil:
		differs("idempotent", *e.idempotent, "it was not asked again"+suffix(a.message))
	case a.again.Failed(): // that is no change, and not none
		differs("idempotent", *e.idempotent, "asked again: "+string(a.again.Outcome)+suffix(a.again.Message))
	case *e.idempotent != got.idempotent:
		differs("idempotent", *e.idempotent, opsOf(a.again))
	}
	for _, p := range e.pod {
		subset(p.place, p.value, at(got.pod, p.place), differs)
	}
	return all
}

// pointerOf is the place that a key of pod names: a JSON pointer, or a field of the Pod.
func pointerOf(key string) string {
	if strings.HasPrefix(key, "/") {
		return key
	}
	return jsonpointer.Format(key)
}

func suffix(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// normal is a value as encoding/json decodes it.
func normal(v any) (fresh any) {
	if text, err := json.Marshal(v); err == nil {
		_ = json.Unmarshal(text, &fresh)
	}
	return fresh
}

func same(a, b any) bool { return reflect.DeepEqual(normal(a), normal(b)) }

// at is the value at a JSON pointer, nil if there is none.
func at(v any, pointer string) any {
	keys, err := jsonpointer.Parse(pointer)
	if err != nil {
		return nil
	}
	for _, key := range keys {
		switch holder := v.(type) {
		case map[string]any:
			v = holder[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(holder) || strconv.Itoa(i) != key {
				return nil
			}
			v = holder[i]
		default:
			return nil
		}
	}
	return v
}

// subset compares: an object must have the fields of want, and may have more. A list must have as many elements, each of
// which is compared in the same way. null stands for no field.
func subset(place string, want, got any, differs func(string, any, any)) {
	switch want := want.(type) {
	case map[string]any:
		if have, ok := got.(map[string]any); ok {
			for _, key := range slices.Sorted(maps.Keys(want)) {
				subset(place+"/"+jsonpointer.Escape(key), want[key], have[key], differs)
			}
			return
		}
	case []any:
		if have, ok := got.([]any); ok && len(have) == len(want) {
			for i := range want {
				subset(fmt.Sprintf("%s/%d", place, i), want[i], have[i], differs)
			}
			return
		}
	}
	if !reflect.DeepEqual(want, got) {
		differs("pod "+place, want, got)
	}
}
