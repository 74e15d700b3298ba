package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/txn2/amp/internal/jsonscan"
	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/review"
)

const (
	// MaxLevels bounds how deep the value of an op may nest. The deepest field of a Pod is a dozen levels down;
	// json-patch.v4 reads a value again for each level of it.
	MaxLevels = 100
	// maxCopied is how many bytes the API server allows all copies of one patch to add: its limit for a request.
	maxCopied = 3 << 20
	// maxShifted is how many elements all insertions and removals of one patch may move within lists. amp takes time for
	// each; the lists of a real Pod have some dozens.
	maxShifted = 1_000_000
	// maxCopiedElements is how many elements of lists json-patch.v4 may copy. It makes a new list for each insertion before
	// an index and each removal, also at the end.
	maxCopiedElements = 20 * maxShifted
	// maxVisited is how many values amp may go through to learn how deep what a patch moves nests.
	maxVisited = 1_000_000
	// maxValues is how many values the ops may bring, copy and move, and have beside the places that they change: the two bytes of
	// a "{}" become some hundred bytes of memory.
	maxValues = 100_000
)

func init() {
	// The library has no options but these variables. It is set as the API server sets it.
	jsonpatch.AccumulatedCopySizeLimit = maxCopied
}

// A ValueRule returns what is wrong with the value of an op, "" if nothing is.
type ValueRule func(value *jsontree.Node) (fault string)

// Apply applies ops to the Pod and returns the change. The rules judge the value of each op before Apply uses
// it. The Pod must be valid JSON. The change points into the Pod and into the values of the ops, which must not be written to
// afterwards. The error is an [*Error], of the first op that does not apply, or says that ctx ended.
func Apply(ctx context.Context, pod json.RawMessage, ops []review.Op, rules []ValueRule) (*Change, error) {
	before := jsontree.NewDocument(jsonscan.String(pod))
	if before.Kind() != jsontree.Object {
		return nil, &review.Failure{Result: review.ResultPatch, Cause: "the Pod is not a JSON object"}
	}
	a := applier{
		rules: rules,
		change: Change{
			Given: ops, Before: before, After: before, Simple: true,
			// Most patches need few parents.
			Ops: make([]review.Op, 0, len(ops)+2), Numbers: make([]int, 0, len(ops)+2), Touched: make([]Touch, 0, len(ops)),
		},
	}
	for i := range ops {
		a.number, a.op = i+1, &ops[i]
		if err := Late(ctx, len(ops)); err != nil {
			return nil, err
		}
		if err := a.apply(); err != nil {
			return nil, err
		}
	}
	return &a.change, nil
}

// An applier is a patch on its way through a Pod. It goes op by op, so that it knows which op failed and
// what that op found.
type applier struct {
	rules  []ValueRule
	change Change // so far
	copied int    // bytes, by all copies

	// What the ops cost, each with a limit.
	shifted        int // elements of lists, by all insertions and removals
	copiedElements int // of lists, by json-patch.v4 for these
	visited        int // values, to measure what is moved
	values         int // that the ops bring, copy and move, and in the lists and objects that they open

	op     *review.Op // the current one
	number int        // of op, from 1
}

// apply applies the current op.
func (a *applier) apply() error {
	switch a.op.Op {
	case "add", "remove", "replace", "move", "copy", "test":
	default:
		return a.fail("it is not an op of RFC 6902: use add, remove, replace, move, copy or test, in lower case")
	}
	path, err := a.pointer("path", a.op.Path)
	if err != nil {
		return err
	}
	if a.op.Op == "move" || a.op.Op == "copy" || a.op.Op == "test" {
		a.change.Simple = false
	}
	switch a.op.Op {
	case "add":
		err = a.add(path)
	case "remove":
		err = a.remove(path)
	case "replace":
		err = a.replace(path)
	case "move":
		err = a.move(path)
	case "copy":
		err = a.copy(path)
	case "test":
		err = a.test(path)
	}
	if err == nil {
		a.answer(*a.op)
	}
	return err
}

// answer adds an op to those that amp answers.
func (a *applier) answer(op review.Op) {
	a.change.Ops = append(a.change.Ops, op)
	a.change.Numbers = append(a.change.Numbers, a.number)
}

func (a *applier) touch(place jsontree.Pointer) {
	a.change.Touched = append(a.change.Touched, Touch{a.number, place})
}

func (a *applier) add(path jsontree.Pointer) error {
	value, err := a.value()
	if err != nil {
		return err
	}
	parent, err := a.open(path, a.op.Path, creating)
	if err != nil {
		return err
	}
	if parent.Kind() == jsontree.Object {
		a.noteDropped(path, parent.Get(path[len(path)-1]), value)
	}
	return a.put(parent, path, value)
}

func (a *applier) remove(path jsontree.Pointer) error {
	parent, err := a.open(path, a.op.Path, changing)
	if err != nil {
		return err
	}
	if _, err := a.take(parent, path, a.op.Path); err != nil {
		return err
	}
	a.touch(path)
	return nil
}

func (a *applier) replace(path jsontree.Pointer) error {
	value, err := a.value()
	if err != nil {
		return err
	}
	parent, err := a.open(path, a.op.Path, changing)
	if err != nil {
		return err
	}
	if parent.Kind() == jsontree.Object {
		a.noteDropped(path, parent.Get(path[len(path)-1]), value)
		return a.put(parent, path, value) // also if there is nothing to replace: json-patch.v4 allows that
	}
	at, err := a.element(parent, path, len(path)-1, a.op.Path, len(parent.List()))
	if err != nil {
		return err
	}
	if isPodContainer(path) {
		a.noteDropped(path, parent.Child(at), value)
	}
	parent.Replace(at, value)
	a.touch(path)
	return nil
}

func (a *applier) move(path jsontree.Pointer) error {
	from, err := a.pointer("from", a.op.From)
	if err != nil {
		return err
	}
	if len(from) < len(path) && slices.Equal(from, path[:len(from)]) {
		return a.fail("a value cannot be moved into itself")
	}
	parent, err := a.open(from, a.op.From, changing)
	if err != nil {
		return err
	}
	value, err := a.take(parent, from, a.op.From)
	if err != nil {
		return err
	}
	a.touch(from)
	if err := a.fits(value, path); err != nil {
		return err
	}
	if value.Op() == 0 && value.Length() > alwaysSmall { // what came with an op was counted then
		if err := a.count(value.Values()); err != nil {
			return err
		}
	}
	value.NeedWhole()
	if parent, err = a.open(path, a.op.Path, changing); err != nil {
		return err
	}
	return a.put(parent, path, value.MovedBy(a.number))
}

func (a *applier) copy(path jsontree.Pointer) error {
	from, err := a.pointer("from", a.op.From)
	if err != nil {
		return err
	}
	source, err := a.look(from, a.op.From)
	if err != nil {
		return err
	}
	if source == nil {
		return a.missing(a.op.From, a.op.From)
	}
	if err := a.fits(source, path); err != nil {
		return err
	}
	source.NeedWhole()
	parent, err := a.open(path, a.op.Path, changing)
	if err != nil {
		return err
	}
	text := source.AppendJSON(nil)
	if compact, err := json.Marshal(json.RawMessage(text)); err == nil {
		text = compact // as the library writes it, and counts its bytes
	}
	if a.copied += len(text); a.copied > maxCopied {
		return a.fail("the patch copies more than 3 MiB in all, which is the API server's limit")
	}
	brought := string(text)
	if err := a.count(jsontree.Values(brought)); err != nil {
		return err
	}
	return a.put(parent, path, jsontree.NewValue(brought, a.number))
}

func (a *applier) test(path jsontree.Pointer) error {
	value, err := a.value()
	if err != nil {
		return err
	}
	found, err := a.look(path, a.op.Path)
	if err != nil {
		return err
	}
	if found == nil {
		if value.IsNull() {
			return nil // to json-patch.v4, what is absent is null
		}
		return a.missing(a.op.Path, a.op.Path)
	}
	if err := a.fits(found, path); err != nil {
		return err
	}
	found.NeedWhole()
	if !jsontree.Same(found, value) {
		return a.fail("the test failed: the value there is different")
	}
	return nil
}

// value returns the value of the current op, which the rules have judged.
func (a *applier) value() (*jsontree.Node, error) {
	if len(a.op.Value) == 0 {
		return nil, a.fail(`it has no "value": write null if that is meant`)
	}
	if !jsonscan.Valid(a.op.Value) {
		return nil, a.fail("its value is not valid JSON")
	}
	text := jsonscan.String(a.op.Value)
	if err := a.count(jsontree.Values(text)); err != nil {
		return nil, err
	}
	value := jsontree.NewValue(text, a.number)
	if value.IsNull() {
		a.change.Simple = false
	}
	for _, rule := range a.rules {
		if fault := rule(value); fault != "" {
			return nil, a.fail("%s", fault)
		}
	}
	return value, nil
}

// fits fails the current op if n, moved, copied or tested at a place, makes work that is out of proportion.
func (a *applier) fits(n *jsontree.Node, place jsontree.Pointer) error {
	levels := n.LevelsWithin(&a.visited, maxVisited)
	if a.visited > maxVisited {
		return a.fail("the patch moves, copies and tests more than 1,000,000 values in all: do it once for each list or object")
	}
	if len(place)+levels > MaxLevels+maxSegments {
		return a.fail("the result nests deeper than %d levels; no field of a Pod does", MaxLevels)
	}
	return nil
}

// count counts values that the current op brings.
func (a *applier) count(values int) error {
	if a.values += values; a.values > maxValues {
		return a.fail("the patch brings or moves more than 100,000 values, or changes lists and objects that hold as many, and amp checks no more: bring fewer")
	}
	return nil
}

// fail returns the error of the current op.
func (a *applier) fail(format string, args ...any) error {
	return &Error{Number: a.number, Op: a.op, Text: fmt.Sprintf(format, args...)}
}
