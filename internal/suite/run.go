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
	Endpoints []string // instead of those of the suite, if there are any
	Parallel  int      // cases at a time, at least 1
	// Timeout is for cases that name none, as AMP_TIMEOUT; 0 is its default.
	Timeout time.Duration
	Version string // of this program
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

// answer is what the endpoints said, of both phases together.
type answer struct {
	*tryout.Result // of the last phase
	mutation       *tryout.Result
	again          *tryout.Result // nil if it was not asked
	warnings       []string
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
	var e expectation
	if c.expect != nil {
		if err := c.expect.Decode(&e); err != nil {
			r.Error = err.Error()
			return r
		}
	}
	begin := time.Now()
	a, err := c.ask(ctx, o, e.Idempotent != nil)
	r.TookMS = float64(time.Since(begin).Microseconds()) / 1000
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.answer, r.Seen = a, a.Seen
	if c.expect == nil || len(c.expect.Content) == 0 {
		r.Error = "nothing is expected: write expect, or let --update write it"
		return r
	}
	r.Differences = compare(&e, a)
	r.Passed = len(r.Differences) == 0
	if !r.Passed && a.NotThere {
		r.Error = a.Message
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
		DryRun: c.dryRun, FailurePolicy: c.policy, Timeout: cmp.Or(c.timeout, o.Timeout), Version: o.Version,
	}
	if c.user != "" {
		q.User, q.Groups, q.Creator = c.user, []string{"system:authenticated"}, ""
	}
	if c.groups != nil {
		q.Groups = c.groups
	}
	a := &answer{}
	if len(mutate) > 0 {
		result, err := tryout.Ask(ctx, q)
		if err != nil {
			return nil, err
		}
		a.Result, a.mutation, a.warnings = result, result, result.Warnings
		if again && !result.Failed() {
			if a.again, err = tryout.Again(ctx, q, result); err != nil {
				return nil, err
			}
		}
		if !result.Allowed || len(validate) == 0 {
			return a, nil
		}
		q.Pod = result.Pod
	}
	q.Phase, q.Endpoints = review.Validate, validate
	result, err := tryout.Ask(ctx, q)
	if err != nil {
		return nil, err
	}
	a.Result, a.warnings = result, slices.Concat(a.warnings, result.Warnings)
	return a, nil
}

// compare returns what does not hold.
func compare(e *expectation, a *answer) []Difference {
	var all []Difference
	differs := func(what string, want, got any) { all = append(all, Difference{what, want, got}) }
	got := got(a)
	// Any expectation but these is about a Pod that is admitted: a failure must not look like "no change".
	saysFailure := e.Denied != nil || e.Message != nil || e.Outcome != nil
	if !saysFailure && a.Failed() {
		differs("outcome", "the Pod is admitted, and nothing fails", string(a.Outcome)+": "+a.Message)
	}
	if e.Outcome != nil && *e.Outcome != got.outcome {
		differs("outcome", *e.Outcome, got.outcome+suffix(a.Message))
	}
	if e.Denied != nil && *e.Denied != got.denied {
		differs("denied", *e.Denied, fmt.Sprint(got.denied)+suffix(a.Message))
	}
	if e.Message != nil && (!strings.Contains(a.Message, *e.Message) || *e.Message == "" && a.Message != "") {
		differs("message", *e.Message, a.Message)
	}
	if e.Unchanged != nil && *e.Unchanged != got.unchanged {
		differs("unchanged", *e.Unchanged, got.patch)
	}
	if e.Warning != nil && !slices.ContainsFunc(a.warnings, func(w string) bool { return strings.Contains(w, *e.Warning) }) {
		differs("warning", *e.Warning, a.warnings)
	}
	if e.Patch != nil && !same(*e.Patch, got.patch) {
		differs("patch", *e.Patch, got.patch)
	}
	if e.Idempotent != nil && *e.Idempotent != got.idempotent {
		var second any = a.Message
		if a.again != nil {
			second = opsOf(a.again)
		}
		differs("idempotent", *e.Idempotent, second)
	}
	pod := target(&e.Pod)
	for i := 0; i+1 < len(pod.Content); i += 2 {
		place := pointerOf(pod.Content[i].Value)
		want, err := valueOf(pod.Content[i+1])
		if err != nil { // Load has checked it
			differs("pod "+place, err.Error(), nil)
			continue
		}
		subset(place, want, at(got.pod, place), differs)
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

// facts is an answer in the terms of an expectation.
type facts struct {
	outcome                       string
	denied, unchanged, idempotent bool
	patch                         []op
	pod                           any
}

func got(a *answer) facts {
	f := facts{outcome: string(a.Outcome), denied: !a.Allowed, patch: []op{}}
	var pod json.RawMessage = a.Pod
	if a.mutation != nil {
		f.patch, pod = opsOf(a.mutation), a.mutation.Unstamped()
	}
	f.unchanged = a.Allowed && len(f.patch) == 0
	f.idempotent = a.again != nil && !a.again.Failed() && len(a.again.Ops) == 0
	_ = json.Unmarshal(pod, &f.pod)
	return f
}

func opsOf(r *tryout.Result) []op {
	all := []op{}
	for _, o := range r.Ops {
		one := op{Op: o.Op, Path: o.Path, From: o.From}
		_ = json.Unmarshal(o.Value, &one.Value)
		all = append(all, one)
	}
	return all
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
