package callout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/txn2/amp/internal/jsonscan"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/spelling"
)

// wireOp is an op as the endpoint sent it. Names are case-sensitive as in the API server: OP is not op.
type wireOp struct {
	name, path, from member          // name is that of the op
	value            json.RawMessage // nil where absent, null where null
}

// readOp reads an element of the array of ops. If it is no object, it is an op without members.
func readOp(s *jsonscan.Scanner) (w wireOp) {
	s.Object(func(name string) {
		switch name {
		case "op":
			w.name = readMember(s)
		case "path":
			w.path = readMember(s)
		case "from":
			w.from = readMember(s)
		case "value":
			w.value = s.Raw()
		default:
			s.Skip()
		}
	})
	return w
}

// member is a member that should be a string.
type member struct {
	text string
	is   byte // the value's first byte, which tells its kind; 0 if there is no value
}

func readMember(s *jsonscan.Scanner) (m member) {
	if s.At('"') {
		return member{s.Text(), '"'}
	}
	if raw := s.Raw(); len(raw) > 0 {
		m.is = raw[0]
	}
	return m
}

// fault says what is wrong with a member that is not a string.
func (m *member) fault(name string) string {
	if m.is == 0 {
		return fmt.Sprintf("it has no %q", name)
	}
	return fmt.Sprintf("its %q is %s, not a string", name, kind([]byte{m.is}))
}

// parseOps reads an array of ops. It checks the form of each one; internal/patch checks whether it applies. The ops point into
// the array, which must not be written to afterwards.
func parseOps(array []byte) ([]review.Op, error) {
	if err := fewOps(array); err != nil {
		return nil, err
	}
	s := jsonscan.New(array)
	isArray, suspicious := s.At('['), false
	var ops []review.Op
	s.Array(func() {
		w := readOp(s)
		op, complaint := w.op()
		suspicious = suspicious || complaint != "" || w.missing() != ""
		ops = append(ops, op)
	})
	if !s.End() || !isArray {
		return nil, errors.New("a patch that is not a JSON array")
	}
	if suspicious {
		if err := faultOf(array); err != nil {
			return nil, err
		}
	}
	return ops, nil
}

// faultOf returns what is wrong with the form of an array of ops; nil if the ops may be right.
func faultOf(array []byte) error {
	i := 0
	for element := range elements(array) {
		if element[0] != '{' {
			return notObject(i, element)
		}
		i++
	}
	i = 0
	for element := range elements(array) {
		s := jsonscan.New(element)
		w := readOp(s)
		_ = s.End() // it is a part of valid JSON
		_, complaint := w.op()
		if err := w.bad(i, element, complaint); err != "" {
			return err
		}
		i++
	}
	return nil
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

// missing returns the member that the op needs and does not have, empty if it has all.
func (w *wireOp) missing() string {
	switch {
	case w.name.is == 0:
		return "op"
	case w.path.is == 0:
		return "path"
	case w.from.is == 0 && (w.name.text == "move" || w.name.text == "copy"):
		return "from"
	case w.value == nil && (w.name.text == "add" || w.name.text == "replace" || w.name.text == "test"):
		return "value"
	}
	return ""
}

// bad is the error of element i, which is the op of which op has the complaint; it is empty if nothing is wrong. If the member
// that is missing is there under a similar name, the error says so instead of the complaint.
func (w *wireOp) bad(i int, element []byte, complaint string) badOp {
	missing := w.missing()
	if missing != "" {
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
	op = review.Op{Op: w.name.text, Path: w.path.text, Value: w.value}
	switch op.Op {
	case "add", "remove", "replace", "test":
		// RFC 6902 says to ignore members that the op does not define, so From is not checked.
	case "move", "copy":
		if w.from.is != '"' {
			return op, fmt.Sprintf(" (%s): %s", op.Op, w.from.fault("from"))
		}
		op.From = w.from.text
	default:
		if w.name.is != '"' {
			return op, fmt.Sprintf(": %s; RFC 6902 knows %s", w.name.fault("op"), knownOps)
		}
		return op, fmt.Sprintf(" (%q %q): unknown op; RFC 6902 knows %s, in lower case", review.Clip(op.Op, 40), review.Clip(op.Path, 80), knownOps)
	}
	if w.path.is != '"' {
		return op, fmt.Sprintf(" (%s): %s", op.Op, w.path.fault("path"))
	}
	return op, ""
}
