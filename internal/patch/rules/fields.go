package rules

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// A mismatch is a value in a Pod that does not have the type of its field, or a field that a Pod does not have.
type mismatch struct {
	field   string // as spec.containers[0].env
	op      int    // the number of the op that put it there, 0 for none
	problem string // "" if a Pod has no such field

	// Of a field that a Pod does not have: its name, and the schema of what it is in.
	name string
	in   *apply.Schema
}

// mismatches calls report with each mismatch in the Pod that an op put there.
func mismatches(pod *jsontree.Node, report func(mismatch)) {
	m := matcher{report}
	m.match(pod, apply.PodSchema(), "", 0)
}

// A matcher walks along a value and its schema.
type matcher struct{ report func(mismatch) }

// match reports the mismatches of n, which is at a field. The op that put what is above n there has the number
// op, 0 for none.
func (m matcher) match(n *jsontree.Node, s *apply.Schema, field string, op int) {
	if n.Op() != 0 {
		op = n.Op()
	}
	if n.IsNull() || op == 0 && n.Untouched() {
		return
	}
	problem := func(text string) { m.report(mismatch{field: field, op: op, problem: text}) }
	if s.Opaque {
		if !decodes(n, s) {
			problem(opaqueProblem(n, s))
		}
		return
	}
	switch s.Type.Kind() {
	case reflect.Struct, reflect.Map:
		if n.Kind() != jsontree.Object {
			problem("must be an object, not " + kindName(n.Kind()) + objectRemedy(n, strings.HasSuffix(field, "]")))
			return
		}
		n.Each(func(key string, child *jsontree.Node) { m.matchMember(key, child, s, field, op) })
	case reflect.Slice:
		switch {
		case n.Kind() == jsontree.List:
			for i, element := range n.List() {
				m.match(element, s.Elem, field+"["+strconv.Itoa(i)+"]", op)
			}
		case n.Kind() == jsontree.String && s.Elem.Type.Kind() == reflect.Uint8: // base64
		default:
			problem("must be a list, not " + kindName(n.Kind()) + listRemedy(n, s))
		}
	case reflect.String:
		if n.Kind() != jsontree.String {
			problem("must be a string, not " + kindName(n.Kind()) + stringRemedy(n))
		}
	case reflect.Bool:
		if n.Kind() != jsontree.True && n.Kind() != jsontree.False {
			problem("must be true or false, not " + kindName(n.Kind()) + plainRemedy(n))
		}
	default: // the numbers of a Pod are whole
		if n.Kind() != jsontree.Number {
			problem("must be a number, not " + kindName(n.Kind()) + plainRemedy(n))
		} else if !decodes(n, s) {
			problem("must be a whole number of " + strconv.Itoa(s.Type.Bits()) + " bits")
		}
	}
}

// matchMember matches a member of an object, which is at a field and has the schema s of a map or struct.
func (m matcher) matchMember(key string, n *jsontree.Node, s *apply.Schema, field string, op int) {
	if s.Elem != nil {
		m.match(n, s.Elem, field+"["+apply.Quote(key)+"]", op)
		return
	}
	at := strings.TrimPrefix(field+"."+apply.Key(key), ".")
	if known := s.Fields[key]; known != nil {
		m.match(n, known, at, op)
	} else if op = max(op, n.Op()); op != 0 {
		m.report(mismatch{field: at, op: op, name: key, in: s})
	}
}

// decodes reports whether the type of the schema decodes n, in a short time.
func decodes(n *jsontree.Node, s *apply.Schema) bool {
	if s.Type == quantityType && slow(quantityText(n)) != "" { // which the Pod came with
		return false
	}
	return json.Unmarshal(n.AppendJSON(nil), reflect.New(s.Type).Interface()) == nil
}

func kindName(kind jsontree.Kind) string {
	switch kind {
	case jsontree.Object:
		return "an object"
	case jsontree.List:
		return "a list"
	case jsontree.String:
		return "a string"
	case jsontree.True, jsontree.False:
		return "true or false"
	}
	return "a number"
}
