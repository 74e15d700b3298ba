package emit

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/jsonpointer"
)

// redactedJSON is what stands for a value that is not shown.
var redactedJSON = strconv.Quote(events.Redacted)

// redact returns value, which an op puts at the JSON pointer path of a Pod, as the level Patch shows it: by
// what each part of it is in the Pod, so that it makes no difference whether an op adds a whole spec or a
// single leaf of it.
//
//	at the place of           a string is                     anything else is
//	------------------------  ------------------------------  -----------------------------------------
//	a name, image, label …    shown                           as at a field amp does not know
//	an enumeration            shown if Kubernetes defines it   as at a field amp does not know
//	any other string          redacted                        redacted
//	a number or boolean       redacted                        as at a field amp does not know
//	a field amp knows not     redacted                        shown; of a list the elements, unless they
//	                                                          are lists again; an object is redacted as a
//	                                                          whole, since its keys may be data
//
// The keys of objects that amp knows are shown: fields, and the names of labels, annotations, resources and
// the attributes of drivers. So is the path of an op.
func redact(path string, value json.RawMessage) json.RawMessage {
	if !json.Valid(value) {
		return json.RawMessage(redactedJSON)
	}
	return appendRedacted(make([]byte, 0, len(value)+len(redactedJSON)), gjson.ParseBytes(value), placeOf(path))
}

// placeOf is the place that a JSON pointer names, nil where amp knows none.
func placeOf(pointer string) *place {
	before, pointer, found := strings.Cut(pointer, "/")
	if before != "" {
		return nil // no pointer
	}
	at := pod
	for found && at != nil {
		var segment string
		segment, pointer, found = strings.Cut(pointer, "/")
		at = at.within(jsonpointer.Unescape(segment))
	}
	return at
}

func (p *place) within(segment string) *place {
	switch {
	case p.fields != nil:
		return p.fields[segment]
	case p.values != nil:
		return p.values
	case p.elem != nil:
		if _, err := strconv.Atoi(segment); err == nil || segment == "-" {
			return p.elem
		}
	case p.text == textSecret:
		return p
	}
	return nil
}

// appendRedacted appends v, which is valid JSON, as it is shown at the place p.
func appendRedacted(dst []byte, v gjson.Result, p *place) []byte {
	if p == nil {
		p = number
	}
	switch {
	case v.IsObject():
		return appendObject(dst, v, p)
	case v.IsArray():
		return appendArray(dst, v, p)
	case v.Type == gjson.Null:
		return append(dst, "null"...)
	case v.Type != gjson.String && p.text != textSecret,
		v.Type == gjson.String && p.text == textShown,
		v.Type == gjson.String && p.text == textWord && words[v.Str]:
		return append(dst, v.Raw...)
	}
	return append(dst, redactedJSON...)
}

func appendArray(dst []byte, v gjson.Result, p *place) []byte {
	elem := p.elem
	if p.text == textSecret {
		elem = p
	}
	dst = append(dst, '[')
	first := true
	v.ForEach(func(_, e gjson.Result) bool {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if p.elem == nil && e.IsArray() {
			// Going deeper only where a Pod does bounds the work: each level is scanned again.
			dst = append(dst, redactedJSON...)
		} else {
			dst = appendRedacted(dst, e, elem)
		}
		return true
	})
	return append(dst, ']')
}

func appendObject(dst []byte, v gjson.Result, p *place) []byte {
	if p.fields == nil && p.values == nil {
		if strings.Trim(v.Raw, "{ \t\r\n}") == "" {
			return append(dst, "{}"...)
		}
		return append(dst, redactedJSON...)
	}
	dst = append(dst, '{')
	first := true
	v.ForEach(func(key, value gjson.Result) bool {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(dst, key.Raw...), ':')
		dst = appendRedacted(dst, value, p.within(key.Str))
		return true
	})
	return append(dst, '}')
}
