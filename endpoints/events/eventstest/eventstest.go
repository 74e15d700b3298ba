// Package eventstest holds events against their schema, for tests. It is no part of any binary.
package eventstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/txn2/amp/endpoints/events"
)

// Check fails the test unless data is that of an event by [events.Schema].
func Check(t testing.TB, data []byte) {
	t.Helper()
	if err := Validate(data); err != nil {
		t.Errorf("the event's data is not as its schema says: %v\n%s", err, data)
	}
}

// Validate returns what of data is not as [events.Schema] says, nil if nothing is.
func Validate(data []byte) error { return ValidateSchema(events.Schema, data) }

// ValidateSchema holds data against a schema of the keywords that events.Schema uses. It stands in for a
// library: a keyword that it does not know is an error, so that no part of a schema passes unread.
func ValidateSchema(schema, data []byte) error {
	root, err := decode(schema)
	if err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	value, err := decode(data)
	if err != nil {
		return fmt.Errorf("reading the data: %w", err)
	}
	var v validator
	v.root = root
	v.check(root, value, "")
	return errors.Join(v.errs...)
}

func decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

type validator struct {
	root any
	errs []error
}

func (v *validator) fail(at, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("at %q: %s", at, fmt.Sprintf(format, args...)))
}

// valid reports whether value goes with schema, without a record of why it does not.
func (v *validator) valid(schema, value any) bool {
	sub := validator{root: v.root}
	sub.check(schema, value, "")
	return len(sub.errs) == 0
}

func (v *validator) check(schema, value any, at string) {
	if allowed, ok := schema.(bool); ok {
		if !allowed {
			v.fail(at, "not allowed here")
		}
		return
	}
	s := schema.(map[string]any)
	for _, keyword := range slices.Sorted(maps.Keys(s)) {
		v.keyword(s, keyword, s[keyword], value, at)
	}
}

func (v *validator) keyword(s map[string]any, keyword string, arg, value any, at string) {
	switch keyword {
	case "$schema", "$id", "$defs", "title", "description", "then", "else":
	case "$ref":
		name, ok := strings.CutPrefix(arg.(string), "#/$defs/")
		def := v.root.(map[string]any)["$defs"].(map[string]any)[name]
		if !ok || def == nil {
			panic("eventstest: no such $ref: " + arg.(string))
		}
		v.check(def, value, at)
	case "allOf":
		for _, sub := range arg.([]any) {
			v.check(sub, value, at)
		}
	case "if":
		branch := "else"
		if v.valid(arg, value) {
			branch = "then"
		}
		if sub, ok := s[branch]; ok {
			v.check(sub, value, at)
		}
	case "const":
		if !reflect.DeepEqual(arg, value) {
			v.fail(at, "is %v, want %v", value, arg)
		}
	case "enum":
		if !slices.ContainsFunc(arg.([]any), func(one any) bool { return reflect.DeepEqual(one, value) }) {
			v.fail(at, "is %v, want one of %v", value, arg)
		}
	case "type":
		if kind := kindOf(value); kind != arg && !(arg == "number" && kind == "integer") {
			v.fail(at, "is of type %s, want %v", kind, arg)
		}
	case "minLength":
		if text, ok := value.(string); ok && rat(arg).Cmp(big.NewRat(int64(utf8.RuneCountInString(text)), 1)) > 0 {
			v.fail(at, "%q is too short", text)
		}
	case "pattern":
		if text, ok := value.(string); ok && !regexp.MustCompile(arg.(string)).MatchString(text) {
			v.fail(at, "%q does not match %v", text, arg)
		}
	case "minimum":
		if n, ok := value.(json.Number); ok && rat(n).Cmp(rat(arg)) < 0 {
			v.fail(at, "%v is less than %v", n, arg)
		}
	case "maximum":
		if n, ok := value.(json.Number); ok && rat(n).Cmp(rat(arg)) > 0 {
			v.fail(at, "%v is more than %v", n, arg)
		}
	case "minItems":
		if list, ok := value.([]any); ok && rat(arg).Cmp(big.NewRat(int64(len(list)), 1)) > 0 {
			v.fail(at, "has too few items")
		}
	case "items":
		if list, ok := value.([]any); ok {
			for i, item := range list {
				v.check(arg, item, fmt.Sprintf("%s/%d", at, i))
			}
		}
	case "properties":
		if object, ok := value.(map[string]any); ok {
			for name, sub := range arg.(map[string]any) {
				if member, ok := object[name]; ok {
					v.check(sub, member, at+"/"+name)
				}
			}
		}
	case "additionalProperties":
		known, _ := s["properties"].(map[string]any)
		if object, ok := value.(map[string]any); ok {
			for name, member := range object {
				if _, ok := known[name]; !ok {
					v.check(arg, member, at+"/"+name)
				}
			}
		}
	case "required":
		if object, ok := value.(map[string]any); ok {
			for _, name := range arg.([]any) {
				if _, ok := object[name.(string)]; !ok {
					v.fail(at, "has no %v", name)
				}
			}
		}
	default:
		panic("eventstest: unknown keyword " + keyword)
	}
}

func rat(number any) *big.Rat {
	r, ok := new(big.Rat).SetString(string(number.(json.Number)))
	if !ok {
		panic(fmt.Sprintf("eventstest: no number: %v", number))
	}
	return r
}

func kindOf(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if rat(value).IsInt() {
			return "integer"
		}
		return "number"
	}
	panic(fmt.Sprintf("eventstest: no JSON: %T", value))
}
