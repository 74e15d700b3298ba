package endpoints

import (
	"encoding/json"
	"fmt"
	"strings"

	kjson "sigs.k8s.io/json"

	"github.com/txn2/amp/endpoints/jsonpointer"
)

// PatchOperation is one operation of a JSON patch (RFC 6902).
type PatchOperation struct {
	// Op is add, remove, replace, move, copy or test.
	Op string
	// Path is a JSON pointer into the Pod. [Path] makes one and escapes its segments.
	Path string
	// From is the JSON pointer that move and copy take the value from.
	From string
	// Value is sent by add, replace and test; nil is sent as null. The other operations do not send it.
	Value any
}

// Path joins field names and indices into a JSON pointer:
//
//	Path("metadata", "annotations", "example.com/team") == "/metadata/annotations/example.com~1team"
func Path(segments ...string) string {
	return jsonpointer.Format(segments...)
}

// MarshalJSON writes only the members that the operation has. Struct tags cannot do this: with omitempty,
// a value of "", 0 or false would be dropped, and amp refuses an add without a value; without omitempty, a
// remove would have a value of null.
func (o PatchOperation) MarshalJSON() ([]byte, error) {
	switch o.Op {
	case "remove":
		return encode(struct {
			Op   string `json:"op"`
			Path string `json:"path"`
		}{o.Op, o.Path})
	case "move", "copy":
		return encode(struct {
			Op   string `json:"op"`
			From string `json:"from"`
			Path string `json:"path"`
		}{o.Op, o.From, o.Path})
	case "add", "replace", "test":
		b, err := encode(struct {
			Op    string `json:"op"`
			Path  string `json:"path"`
			Value any    `json:"value"`
		}{o.Op, o.Path, o.Value})
		if err != nil {
			return nil, fmt.Errorf("encoding the value of %s %q: %w", o.Op, o.Path, err)
		}
		return b, nil
	}
	return nil, fmt.Errorf("encoding op %q on %q: want add, remove, replace, move, copy or test", o.Op, o.Path)
}

// UnmarshalJSON reads an operation as MarshalJSON writes it. Whole numbers in the value become int64.
func (o *PatchOperation) UnmarshalJSON(data []byte) error {
	var wire struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		From  string `json:"from"`
		Value any    `json:"value"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &wire); err != nil {
		return err
	}
	*o = PatchOperation(wire)
	return nil
}

// encode is json.Marshal without the escaping of <, > and & for HTML, so that a person with curl can read
// the answer.
func encode(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
