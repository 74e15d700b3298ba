package patch_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/txn2/amp/endpoints/jsonpointer"
	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
)

// A refused patch is one that amp refuses although the API server's libraries apply it.
type refused struct {
	cause               string
	ops                 []review.Op
	came, made          json.RawMessage // the Pod, and what the libraries make of it
	before, after       corev1.Pod
	rawBefore, rawAfter map[string]any
}

// A clause is one thing that amp refuses and the API server's libraries do not. Its text is a part of the refusal.
type clause struct {
	text string
	// holds tells in its own way whether the refusal is right. nil: the text is all that there is.
	holds func(*refused) bool
}

// contract is all that amp may refuse although the API server's libraries apply it. What stands under "the API server"
// its admission plugins or its validation refuse later.
var contract = []clause{
	// The library is laxer than RFC 6902.
	{"op ", (*refused).opIsNotStrict},
	{"has the key ", func(r *refused) bool {
		return strings.Contains(r.cause, "twice in one object") && anyValue(r.ops, hasRepeatedKey)
	}},
	// amp bounds its work: nothing that is short is refused for it.
	{"no field of a Pod does", func(r *refused) bool {
		return anyValue(r.ops, func(v json.RawMessage) bool { return strings.Count(string(v), "[")+strings.Count(string(v), "{") > 90 }) || len(r.ops) > 30
	}},
	{"no field of a Pod is that deep", func(r *refused) bool {
		return slices.ContainsFunc(r.ops, func(op review.Op) bool { return strings.Count(op.Path+op.From, "/") > 64 })
	}},
	{"in all: do it once", (*refused).isLong},
	{"amp checks no more", (*refused).isLong},
	{"within lists, in all", (*refused).isLong},
	{"long lists so often", (*refused).isLong},
	{"reads it again for each level", (*refused).isLong},
	{"for amp to read them", (*refused).isLong},
	{"the limit is 10000", func(r *refused) bool { return len(r.ops) > 150 }}, // each may need 64 parents
	{"must be a quantity of at most 64", func(r *refused) bool { return brings(r, regexp.MustCompile(`[-+.\d\w]{62}|\\u`)) }},
	{"must not have an exponent of more", func(r *refused) bool { return brings(r, regexp.MustCompile(`[eE][-+]*\d{3}|\\u|[eE]..`)) }},
	// What is not an endpoint's.
	{"(AMP_PATCH_DENY)", (*refused).touchesDenied},
	{"a patch may not change the label ", func(r *refused) bool {
		return r.before.Labels[review.OptOutLabel] != r.after.Labels[review.OptOutLabel]
	}},
	{"a patch may not change the annotation ", func(r *refused) bool {
		return strings.Contains(string(r.came)+show(r.ops), review.StampAnnotation)
	}},
	{"a patch may not change ", func(r *refused) bool {
		_, rest, _ := strings.Cut(r.cause, "a patch may not change ")
		field, _, _ := strings.Cut(rest, ":")
		return !cmp.Equal(at(r.rawBefore, field), at(r.rawAfter, field))
	}},
	{"the Pod belongs to ", func(r *refused) bool {
		return slices.ContainsFunc(r.before.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Controller != nil && *o.Controller }) && !cmp.Equal(r.rawBefore, r.rawAfter)
	}},
	// The API server.
	{"the API server computes ", func(r *refused) bool {
		a, b := r.before.Spec, r.after.Spec
		return !cmp.Equal(a.Priority, b.Priority) || !cmp.Equal(a.PreemptionPolicy, b.PreemptionPolicy) || !cmp.Equal(a.Overhead, b.Overhead)
	}},
	{"is the old name of spec.serviceAccountName", func(r *refused) bool {
		return r.after.Spec.DeprecatedServiceAccount != r.after.Spec.ServiceAccountName
	}},
	{" would request ", func(r *refused) bool { return strings.Contains(string(r.made), `"requests"`) }},
	{"a hostPort other than its containerPort", func(r *refused) bool {
		return r.after.Spec.HostNetwork && strings.Contains(string(r.made), `"hostPort"`)
	}},
	{" malformed", (*refused).introducesFlaw},
	{`has no "name": write`, (*refused).introducesFlaw},
	{"the Pod would have two ", (*refused).introducesFlaw},
	{"would mount volume ", (*refused).introducesFlaw},
	{"would have two mounts at the same mountPath", (*refused).introducesFlaw},
}

// justified fails the test if amp refuses a patch that the API server's libraries apply, unless a clause of the contract
// says so and holds.
func justified(t *testing.T, came json.RawMessage, ops []review.Op, cause string) {
	t.Helper()
	made, err := plainly(came, ops)
	if err != nil {
		return // the API server refuses it too
	}
	r := &refused{cause: cause, ops: ops, came: came, made: made}
	for text, into := range map[string]any{string(came): &r.rawBefore, string(made): &r.rawAfter} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	for text, into := range map[string]*corev1.Pod{string(came): &r.before, string(made): &r.after} {
		if err := patchtest.Decode([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	named := false
	for _, c := range contract {
		if strings.Contains(cause, c.text) {
			if c.holds == nil || c.holds(r) {
				return
			}
			named = named || c.text != "op "
		}
	}
	if named {
		t.Errorf("the API server accepts it, and what the refusal says is not so: %s\n%s", cause, show(ops))
		return
	}
	t.Errorf("the API server accepts it, and no rule refuses it: %s\n%s", cause, show(ops))
}

// plainly does what the API server does with a patch, whatever it is.
func plainly(pod json.RawMessage, ops []review.Op) (after json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	encoded, err := json.Marshal(pod)
	if err != nil {
		return nil, err
	}
	return patchtest.PlainApply(encoded, ops)
}

var opNumber = regexp.MustCompile(`^op (\d+) `)

// opIsNotStrict reports whether the op that the cause names is one that RFC 6902 does not have, or does not let pass, and
// that the library takes nevertheless.
func (r *refused) opIsNotStrict() bool {
	found := opNumber.FindStringSubmatch(r.cause)
	if found == nil {
		return false
	}
	n, err := strconv.Atoi(found[1])
	if err != nil || n < 1 || n > len(r.ops) {
		return false
	}
	op := r.ops[n-1]
	if !isPointer(op.Path) {
		return true
	}
	switch op.Op {
	case "add", "replace", "test":
		return len(op.Value) == 0
	case "move", "copy":
		if !isPointer(op.From) || op.Op == "move" && strings.HasPrefix(op.Path, op.From+"/") {
			return true
		}
		state, err := plainly(r.came, r.ops[:n-1])
		if err != nil {
			return false
		}
		var doc map[string]any
		if json.Unmarshal(state, &doc) != nil {
			return false
		}
		keys, _ := jsonpointer.Parse(op.From)
		return op.Op == "copy" && !exists(doc, keys)
	}
	return false
}

func isPointer(text string) bool {
	_, err := jsonpointer.Parse(text)
	return err == nil && text != ""
}

// exists reports whether an object has a member by the keys, which may go through lists.
func exists(value any, keys []string) bool {
	for _, key := range keys {
		switch v := value.(type) {
		case map[string]any:
			inside, ok := v[key]
			if !ok {
				return false
			}
			value = inside
		case []any:
			i, err := strconv.Atoi(key)
			if i < 0 {
				i += len(v)
			}
			if err != nil || i < 0 || i >= len(v) {
				return false
			}
			value = v[i]
		default:
			return false
		}
	}
	return true
}

// at returns the field at a path such as metadata.name.
func at(pod map[string]any, field string) any {
	var value any = pod
	for key := range strings.SplitSeq(field, ".") {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

// isLong reports whether the patch and its Pod are of a size at which amp bounds its work.
func (r *refused) isLong() bool { return len(r.came)+len(show(r.ops)) > 50_000 }

func (r *refused) introducesFlaw() bool {
	return patchtest.Flaws(r.before, r.after) != nil
}

var deniedPath = regexp.MustCompile(`^/spec(/(nodeName|serviceAccountName|serviceAccount)(/.*)?|/containers(/[^/]*(/securityContext(/.*)?)?)?)?$`)

// touchesDenied reports whether an op writes to a denied place, or a container has another name and so another's context.
func (r *refused) touchesDenied() bool {
	return patchtest.Denies(r.before, r.after, denied) != nil || slices.ContainsFunc(r.ops, func(op review.Op) bool {
		return op.Op != "test" && (deniedPath.MatchString(op.Path) || op.Op == "move" && deniedPath.MatchString(op.From))
	})
}

// brings reports whether a value of the patch has such a text, or may get it from elsewhere in the Pod.
func brings(r *refused, text *regexp.Regexp) bool {
	return anyValue(r.ops, func(v json.RawMessage) bool { return text.Match(v) }) || text.Match(r.came) && slices.ContainsFunc(r.ops, func(op review.Op) bool { return op.Op == "move" || op.Op == "copy" })
}

func anyValue(ops []review.Op, is func(json.RawMessage) bool) bool {
	return slices.ContainsFunc(ops, func(op review.Op) bool { return is(op.Value) })
}

// hasRepeatedKey counts the members of each object as a decoder of tokens sees them.
func hasRepeatedKey(value json.RawMessage) bool {
	decoder := json.NewDecoder(strings.NewReader(string(value)))
	type level struct {
		seen map[string]bool // nil for a list
		key  bool            // the next token is one
	}
	var levels []level
	for {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		if n := len(levels); n > 0 && levels[n-1].seen != nil && levels[n-1].key {
			if name, ok := token.(string); ok {
				if levels[n-1].seen[name] {
					return true
				}
				levels[n-1].seen[name], levels[n-1].key = true, false
				continue
			}
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{map[string]bool{}, true})
			continue
		case json.Delim('['):
			levels = append(levels, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
		if n := len(levels); n > 0 {
			levels[n-1].key = true
		}
	}
}
