// Package patch decides whether the patch of an endpoint may go to the API server, and completes it where
// parents are missing. It takes nothing from the network and knows no failure policy: a patch is good or it
// is a [review.Failure] that says why.
//
// START HERE: [Checker.Check] is the order of the steps. pointer.go reads paths; tree.go is the Pod, read
// no further than needed (scan.go) and compared by what it means (same.go); apply.go applies the ops and
// makes parents, whose types schema.go knows; verify.go has the API server's own libraries do the same;
// rules.go and introduced.go judge the result; warn.go says what is allowed but hardly meant.
package patch

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/txn2/amp/internal/review"
)

// Checker checks patches. It may be used by many goroutines at once.
type Checker struct {
	deny []denied
}

// A denied place is one that no endpoint may change.
type denied struct {
	pointer
	text string // as AMP_PATCH_DENY has it
}

// serviceAccount has two fields: the API server reads the second where the first is empty.
var serviceAccount = [2]string{"serviceAccountName", "serviceAccount"}

// New returns a Checker for the JSON pointers of AMP_PATCH_DENY, in which * stands for any one segment. No
// endpoint may change what is at or under one of them. Its error names each bad pointer.
func New(deny []string) (*Checker, error) {
	c := &Checker{}
	var errs []error
	for _, text := range deny {
		p, err := parsePointer(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%q is no JSON pointer such as /spec/nodeName or /spec/containers/*/securityContext: %w", text, err))
			continue
		}
		c.deny = append(c.deny, denied{p, text})
		for i, name := range serviceAccount {
			if len(p) == 2 && p[0] == "spec" && p[1] == name {
				c.deny = append(c.deny, denied{pointer{"spec", serviceAccount[1-i]}, text})
			}
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// Check applies ops to the Pod as the API server would and returns them completed, with what they make of
// it; its error is a *review.Failure, which counts the ops from 1. The Pod must be valid JSON, as
// [review.Read] has seen to.
//
// What the ops have nothing to do with keeps its bytes, and mostly is not even read.
func (c *Checker) Check(pod json.RawMessage, ops []review.Op) (review.Checked, error) {
	unchanged := review.Checked{Pod: pod}
	if len(ops) > maxOps {
		return review.Checked{}, tooMany("the patch has %d ops", len(ops))
	}
	if len(ops) == 0 {
		return unchanged, nil
	}
	before := newNode(string(pod), 0)
	before.base = before
	if before.kind != '{' {
		return review.Checked{}, &review.Failure{Result: review.ResultPatch, Cause: "the Pod is no JSON object"}
	}

	a := &application{given: ops, before: before, after: before}
	for i := range ops {
		if err := a.apply(i+1, &ops[i]); err != nil {
			return review.Checked{}, err
		}
	}
	if len(a.done) > maxOps {
		return review.Checked{}, tooMany("the patch has %d ops with those that make missing parents", len(a.done))
	}
	if err := a.checkDenied(c.deny); err != nil {
		return review.Checked{}, err
	}
	if same(a.before, a.after, 0) {
		return unchanged, nil
	}

	for _, check := range []func() error{a.verify, a.checkFixed, a.checkLabels, a.checkIntroduced} {
		if err := check(); err != nil {
			return review.Checked{}, err
		}
	}
	return review.Checked{Ops: a.done, Pod: a.after.appendJSON(make([]byte, 0, len(pod)+len(pod)/4)), Warnings: a.warnings}, nil
}

func tooMany(format string, n int) error {
	return &review.Failure{
		Result: review.ResultPatch,
		Cause:  fmt.Sprintf(format+"; the most is %d, the API server's own limit for a PATCH", n, maxOps),
	}
}
