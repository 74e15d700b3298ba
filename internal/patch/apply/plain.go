package apply

import (
	"reflect"
	"strconv"

	"github.com/txn2/amp/internal/patch/jsontree"
)

// plain reports whether what the ops brought in n surely decodes as the schema says, and has no field that the schema does not
// have. It knows objects, lists, strings, booleans and whole numbers. For anything else, such as a quantity, null, or a number
// with an exponent, it returns false: then the API server's own decoder says. brought says that n is in something that an op
// brought.
func plain(n *jsontree.Node, s *Schema, brought bool) bool {
	brought = brought || n.Op() != 0
	if !brought && n.Untouched() {
		return true
	}
	if s.Opaque {
		return false
	}
	switch s.Type.Kind() {
	case reflect.Struct, reflect.Map:
		if n.Kind() != jsontree.Object || n.RepeatsKey() {
			return false
		}
		fits := true
		n.Each(func(key string, child *jsontree.Node) {
			of := s.Elem // of a map
			if of == nil {
				of = s.Fields[key]
			}
			fits = fits && (of != nil && plain(child, of, brought) || !brought && child.Untouched())
		})
		return fits
	case reflect.Slice:
		if n.Kind() != jsontree.List || s.Elem.Type.Kind() == reflect.Uint8 {
			return false
		}
		for _, element := range n.List() {
			if !plain(element, s.Elem, brought) {
				return false
			}
		}
		return true
	case reflect.String:
		return n.Kind() == jsontree.String
	case reflect.Bool:
		return n.Kind() == jsontree.True || n.Kind() == jsontree.False
	case reflect.Int32, reflect.Int64:
		_, err := strconv.ParseInt(n.Digits(), 10, s.Type.Bits())
		return err == nil
	}
	return false
}
