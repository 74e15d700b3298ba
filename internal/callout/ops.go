package callout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	sjson "sigs.k8s.io/json"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/spelling"
)

// wireOp is an op as the endpoint sent it. Names are case-sensitive as in the API server: OP is not op.
type wireOp struct {
	Op    member          `json:"op"`
	Path  member          `json:"path"`
	From  member          `json:"from"`
	Value json.RawMessage `json:"value"` // nil where absent, null where null
}

// member is a member that should be a string. If it is something else, decoding does not fail: the decoder's error
// would not say in which element of an array it is.
type member struct {
	text string
	is   byte // the value's first byte, which tells its kind; 0 if there is no value
}

// UnmarshalJSON implements [json.Unmarshaler].
func (m *member) UnmarshalJSON(value []byte) error {
	m.text, m.is = "", value[0]
	if m.is != '"' {
		return nil
	}
	if inside := value[1 : len(value)-1]; bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) {
		m.text = string(inside)
		return nil
	}
	return json.Unmarshal(value, &m.text)
}

// missing says what is wrong with a member that is not a string.
func (m *member) missing(name string) string {
	if m.is == 0 {
		return fmt.Sprintf("it has no %q", name)
	}
	return fmt.Sprintf("its %q is %s, not a string", name, kind([]byte{m.is}))
}

// parseOps reads an array of ops. It checks the form of each one; internal/patch checks whether it applies.
func parseOps(array []byte) ([]review.Op, error) {
	if err := fewOps(array); err != nil {
		return nil, err
	}
	var wire []wireOp
	if err := sjson.UnmarshalCaseSensitivePreserveInts(array, &wire); err != nil {
		var elements []json.RawMessage
		if err := json.Unmarshal(array, &elements); err != nil {
			return nil, errors.New("a patch that is not a JSON array")
		}
		for i, element := range elements {
			if element[0] != '{' {
				return nil, notObject(i, element)
			}
		}
		return nil, errors.New("a patch that amp cannot read")
	}
	if len(wire) == 0 {
		return nil, nil
	}
	ops := make([]review.Op, len(wire))
	for i := range wire {
		op, complaint := wire[i].op()
		if complaint != "" || op.Value == nil {
			if err := wire[i].bad(i, array, complaint); err != "" {
				return nil, err
			}
		}
		ops[i] = op
	}
	return ops, nil
}

// fewOps returns an error if an array has more elements than a patch may have. Each takes a hundred bytes once it is decoded,
// and the shortest has two.
func fewOps(array []byte) error {
	if len(array) <= 2*review.MaxOps || !validJSON(array) {
		return nil
	}
	n := 0
	for range elements(bytes.Trim(array, jsonSpace)) {
		n++
	}
	if n <= review.MaxOps {
		return nil
	}
	return badOp(fmt.Sprintf("the patch has %d ops; the limit is %d, as for a PATCH request to the API server", n, review.MaxOps))
}

func notObject(i int, element []byte) badOp {
	switch {
	case element[0] == '[':
		return badOp(fmt.Sprintf("op %d is an array, not an object; answer one array of all operations", i+1))
	case element[0] == '"' && holdsJSON(element):
		return badOp(fmt.Sprintf("op %d is a string that holds JSON, not an object; encode it once", i+1))
	}
	return badOp(fmt.Sprintf("op %d is %s, not an object", i+1, kind(element)))
}

// bad is the error of op i of the array, of which op has the complaint; it is empty if nothing is wrong. If the member
// that is missing is there under a similar name, the error says so instead of the complaint.
func (w *wireOp) bad(i int, array []byte, complaint string) badOp {
	var missing string
	switch {
	case w.Op.is == 0:
		missing = "op"
	case w.Path.is == 0:
		missing = "path"
	case w.From.is == 0 && (w.Op.text == "move" || w.Op.text == "copy"):
		missing = "from"
	case w.Value == nil && (w.Op.text == "add" || w.Op.text == "replace" || w.Op.text == "test"):
		missing = "value"
	}
	if missing != "" {
		element := elementAt(array, i)
		if element[0] != '{' { // null, which decodes as an op without members
			return notObject(i, element)
		}
		for name := range members(element) {
			if folded := spelling.Fold(name); missing == "op" && (folded == "allowed" || folded == "patch") {
				return badOp(fmt.Sprintf(`op %d: it has %s instead of "op": it is an answer, not an operation; answer the object itself, without [ ]`, i+1, quoted(name)))
			}
			if meantInOp(name) == missing {
				return badOp(fmt.Sprintf("op %d: it has %s instead of %q", i+1, quoted(name), missing))
			}
		}
	}
	if complaint == "" {
		return ""
	}
	return badOp(fmt.Sprintf("op %d%s", i+1, complaint))
}

func elementAt(array []byte, i int) []byte {
	for element := range elements(array) {
		if i--; i < 0 {
			return element
		}
	}
	return nil
}

// meantInOp returns the member of an op that name is meant as, which is absent; it is empty if there is none.
func meantInOp(name string) string {
	switch name = spelling.Fold(name); {
	case name == "op", name == "operation", name == "ops":
		return "op"
	case spelling.Distance(name, "path") <= 1, name == "pointer":
		return "path"
	case name == "from", name == "source":
		return "from"
	case spelling.Distance(name, "value") <= 2, name == "val":
		return "value"
	}
	return ""
}

// knownOps are the ops of RFC 6902, section 4.
const knownOps = "add, remove, replace, move, copy, test"

// op checks the form of the op. A complaint continues a sentence that begins with the op's number.
func (w *wireOp) op() (op review.Op, complaint string) {
	op = review.Op{Op: w.Op.text, Path: w.Path.text, Value: w.Value}
	switch op.Op {
	case "add", "remove", "replace", "test":
		// RFC 6902 says to ignore members that the op does not define, so From is not checked.
	case "move", "copy":
		if w.From.is != '"' {
			return op, fmt.Sprintf(" (%s): %s", op.Op, w.From.missing("from"))
		}
		op.From = w.From.text
	default:
		if w.Op.is != '"' {
			return op, fmt.Sprintf(": %s; RFC 6902 knows %s", w.Op.missing("op"), knownOps)
		}
		return op, fmt.Sprintf(" (%q %q): unknown op; RFC 6902 knows %s, in lower case", review.Clip(op.Op, 40), review.Clip(op.Path, 80), knownOps)
	}
	if w.Path.is != '"' {
		return op, fmt.Sprintf(" (%s): %s", op.Op, w.Path.missing("path"))
	}
	return op, ""
}
