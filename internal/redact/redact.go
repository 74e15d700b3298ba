// Package redact says what of a Pod an event at the level Patch may show. The answer goes by a value's place in
// the Pod, never by the path of the op that put it there: an op that adds a whole spec shows no more than one
// that sets a single image.
//
// places.go is the table of all places: look there for what is shown of a field, and add a field there.
package redact

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/jsonpointer"
)

// redacted is what stands for a value that is not shown, as JSON.
var redacted = strconv.Quote(events.Redacted)

// valueAt returns value, which an op puts at the JSON pointer path of a Pod, as the level Patch shows it. It
// returns valid JSON whatever value is. n says where the value has been before, nil for nowhere.
//
//	at the place of         a string is                      a number or boolean is
//	----------------------  -------------------------------  ----------------------
//	a name, image, label …  shown                            shown
//	an enumeration          shown if Kubernetes defines it   shown
//	a number or boolean     redacted                         shown
//	an unknown field        redacted                         shown
//	anything else           redacted                         redacted
//
// An object or a list at any other place than its own is treated so: an object is redacted as a whole, since its
// keys may be data; the elements of a list are shown like the value of an unknown field, but a list in that list is
// redacted.
//
// An unknown field is one that the table does not have: it is newer than amp, or misspelt. The keys of objects
// that the table has are shown: fields, and the names of labels, annotations, resources and the attributes of
// drivers. So is the path of an op.
func valueAt(path string, value json.RawMessage, n *node) json.RawMessage {
	if !json.Valid(value) {
		return json.RawMessage(redacted)
	}
	p := placeOf(path)
	if n != nil {
		p = *n.been
	}
	return appendValue(make([]byte, 0, len(value)+len(redacted)), gjson.ParseBytes(value), p, n)
}

// root is the place of the whole Pod.
var root place = &pod

// placeOf is the place that a JSON pointer names.
func placeOf(pointer string) place {
	before, pointer, found := strings.Cut(pointer, "/")
	if before != "" {
		return unknown // not a pointer
	}
	at := root
	for found {
		var segment string
		segment, pointer, found = strings.Cut(pointer, "/")
		at = within(at, jsonpointer.Unescape(segment))
	}
	return at
}

// appendValue appends v, which is valid JSON, as it is shown at the place p. n says what of it has been at other places,
// nil for nothing.
func appendValue(dst []byte, v gjson.Result, p place, n *node) []byte {
	shown := false
	switch v.Type {
	case gjson.Null:
		shown = true
	case gjson.JSON:
		if v.IsArray() || isObject(p) {
			return appendInside(dst, v, p, n)
		}
		if strings.Trim(v.Raw, "{ \t\r\n}") == "" {
			return append(dst, "{}"...)
		}
	case gjson.String:
		shown = textAt(p).showsString(v.Str)
	default:
		shown = textAt(p).showsNumbers()
	}
	if shown {
		return append(dst, v.Raw...)
	}
	return append(dst, redacted...)
}

// appendInside appends a list, or an object at the place of one.
func appendInside(dst []byte, v gjson.Result, p place, n *node) []byte {
	isObject := v.IsObject()
	flat := !isObject && !isList(p)
	if flat {
		p = min(textAt(p), unknown)
	}
	i := 0
	dst = append(dst, v.Raw[0])
	v.ForEach(func(key, inside gjson.Result) bool {
		if i > 0 {
			dst = append(dst, ',')
		}
		name := "-"
		if isObject {
			name = key.Str
			dst = append(append(dst, key.Raw...), ':')
		}
		in, at := n.inner(p, name, i)
		if flat && inside.IsArray() {
			// Going deeper only where a Pod does bounds the work: each level is scanned again.
			dst = append(dst, redacted...)
		} else {
			dst = appendValue(dst, inside, at, in)
		}
		i++
		return true
	})
	if isObject {
		return append(dst, '}')
	}
	return append(dst, ']')
}
