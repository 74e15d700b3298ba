package rules

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// The functions of this file say what to do about a value n of the wrong type, as the end of a sentence. What they return
// is empty if the type says it all. They do not show the value.

// listRemedy is for a value where the schema s wants a list.
func listRemedy(n *jsontree.Node, s *apply.Schema) string {
	switch {
	case holdsJSON(n):
		return textRemedy
	case n.Kind() == jsontree.Object:
		return `: write [{…}], or add one element at the end ("-")`
	case s.Elem.Type.Kind() == reflect.String:
		return `: write ["…"]`
	}
	return ""
}

// objectRemedy is for a value where an object is wanted, which is an element of a list or the value of a key if inside.
func objectRemedy(n *jsontree.Node, inside bool) string {
	switch {
	case holdsJSON(n):
		return textRemedy
	case n.Kind() == jsontree.List && inside:
		return ": one op adds one element"
	}
	return ""
}

// stringRemedy is for a value where a string is wanted.
func stringRemedy(n *jsontree.Node) string {
	switch n.Kind() {
	case jsontree.Number, jsontree.True, jsontree.False:
		return ": write it in quotes"
	}
	return ""
}

// plainRemedy is for a value where a number, true or false is wanted.
func plainRemedy(n *jsontree.Node) string {
	text := strings.TrimSpace(n.Text())
	if slices.Contains([]string{"true", "false"}, strings.ToLower(text)) || text != "" && strings.Trim(text, "0123456789") == "" {
		return ": write it without quotes"
	}
	return ""
}

const textRemedy = " that holds JSON: write the JSON itself, without quotes around it"

// holdsJSON reports whether n is a string that holds an object or a list.
func holdsJSON(n *jsontree.Node) bool {
	text := strings.TrimSpace(n.Text())
	return text != "" && (text[0] == '{' || text[0] == '[') && json.Valid([]byte(text))
}

// opaqueProblem says what is wrong with a value that the type of the schema s, which decodes itself, does not decode.
func opaqueProblem(n *jsontree.Node, s *apply.Schema) string {
	switch s.Type.Name() {
	case "Quantity":
		if n.Kind() != jsontree.String && n.Kind() != jsontree.Number {
			return `must be a quantity such as "500m" or "1Gi", not ` + kindName(n.Kind())
		}
		return "is not a valid quantity: " + quantityRemedy(n.Text())
	case "Time", "MicroTime":
		return `must be a time such as "2026-01-31T12:00:00Z"`
	case "IntOrString":
		return "must be a number or a string, not " + kindName(n.Kind())
	}
	return "is not a valid " + s.Type.Name()
}
