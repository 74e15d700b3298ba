package apply

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/txn2/amp/endpoints/jsonpointer"
	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/spelling"
)

// maxMeant is how long a path is at most that amp tries to mend, which takes the time of many paths.
const maxMeant = 1_000

// maxFixes is how many mistakes in one path amp mends. A path with more is not meant as a Pod's.
const maxFixes = 4

// meant returns what the author of a pointer probably did wrong, as the end of a sentence: ": did you mean …". The hint
// is empty if a Pod can have a value at that place, or if amp cannot tell. If it is whole, it is a sentence of its own,
// and no other cause is worth a word. It looks at nothing but the types of a Pod.
func meant(text string) (hint string, whole bool) {
	if len(text) > maxMeant {
		return "", false
	}
	p, err := ParsePointer(text)
	if err == nil {
		known, at := follow(p)
		switch {
		case known == len(p):
			return "", false
		case at.inMap && strings.Join(p[known:], "") != "":
			return "a / in a key is written ~1: " + quoteLong(jsonpointer.Format(joinKey(p, known)...)), true
		}
		if fixed := mend(p, maxFixes); fixed != nil {
			return didYouMean(fixed), false
		}
		if near := at.schema.Nearest(p[known]); near != "" {
			return ": did you mean " + Quote(near) + "?", false
		}
		return "", false
	}
	switch {
	case errors.Is(err, jsonpointer.ErrEscape):
		p = strings.Split(text[1:], "/")
		for i := range p {
			p[i] = jsonpointer.Unescape(p[i])
		}
	case errors.Is(err, jsonpointer.ErrNoSlash):
		p = fromOther(PodSchema(), text)
	}
	if p = mend(p, maxFixes); len(p) == 0 {
		return "", false
	}
	return didYouMean(p), false
}

func didYouMean(p jsontree.Pointer) string {
	return ": did you mean " + quoteLong(jsonpointer.Format(p...)) + "?"
}

// isKnown reports whether a Pod can have a value at the place that a pointer names.
func isKnown(text string) bool {
	p, err := ParsePointer(text)
	known, _ := follow(p)
	return err == nil && known == len(p)
}

// isListAt reports whether a Pod has a list at the place that a pointer names.
func isListAt(text string) bool {
	p, err := ParsePointer(text)
	known, at := follow(p)
	return err == nil && known == len(p) && at.schema.Type.Kind() == reflect.Slice
}

// Meant returns the path that the author of a pointer probably meant, "" if a Pod can have a value at that place or
// amp cannot tell.
func Meant(text string) string {
	p, err := ParsePointer(text)
	if err != nil || len(text) > maxMeant || isKnown(text) {
		return ""
	}
	if fixed := mend(p, maxFixes); fixed != nil {
		return jsonpointer.Format(fixed...)
	}
	return ""
}

// Nearest returns the field of s that a name is probably meant as, "" if s has none.
func (s *Schema) Nearest(name string) string {
	if s == nil || s.Fields == nil {
		return ""
	}
	return spelling.Nearest(name, slices.Collect(maps.Keys(s.Fields)))
}

// A spot is where a pointer leads to in the types of a Pod.
type spot struct {
	schema *Schema
	inMap  bool // the value of a key that the Pod's author chose, as a label's
}

// follow returns how many segments of p lead to something that a Pod can have, and where the last of these leads.
func follow(p jsontree.Pointer) (known int, at spot) {
	at.schema = PodSchema()
	for i, segment := range p {
		child := at.schema.child(segment)
		if child == nil {
			return i, at
		}
		at = spot{child, at.schema.Type.Kind() == reflect.Map && child.isText()}
	}
	return len(p), at
}

// child returns the schema of what a key or an index leads to, nil if nothing can be there.
func (s *Schema) child(segment string) *Schema {
	switch {
	case s.Fields != nil:
		return s.Fields[segment]
	case s.Elem == nil && !s.isText():
		return s // any JSON
	case s.Elem == nil:
		return nil
	case s.Type.Kind() == reflect.Map:
		return s.Elem
	}
	if _, err := strconv.Atoi(segment); err == nil || segment == "-" {
		return s.Elem
	}
	return nil
}

// isText reports whether the values of s are strings, numbers or booleans, below which nothing can be. Of the types that
// decode themselves, only FieldsV1 (of managedFields) is not.
func (s *Schema) isText() bool {
	return s.Elem == nil && s.Fields == nil && s.Type.Name() != "FieldsV1"
}

// joinKey returns p with the segments from the one before stray on as one key, which its author did not escape.
func joinKey(p jsontree.Pointer, stray int) jsontree.Pointer {
	return append(slices.Clone(p[:stray-1]), strings.TrimRight(strings.Join(p[stray-1:], "/"), "/"))
}

// mend returns the pointer that the author of p meant, nil if amp cannot tell. It makes at most fixes changes, of which
// each must leave less of the pointer unknown.
func mend(p jsontree.Pointer, fixes int) jsontree.Pointer {
	known, at := follow(p)
	switch {
	case known == len(p):
		return p
	case at.inMap:
		return joinKey(p, known)
	case fixes == 0:
		return nil
	}
	for _, candidate := range candidates(p, known, at.schema) {
		if further, _ := follow(candidate); len(candidate)-further >= len(p)-known {
			continue
		}
		if fixed := mend(candidate, fixes-1); fixed != nil {
			return fixed
		}
	}
	return nil
}

// candidates returns what p may be meant as, the likeliest first; s is the schema of what its first known segments lead
// to, and the next one is not known.
func candidates(p jsontree.Pointer, known int, s *Schema) []jsontree.Pointer {
	before, stray, rest := p[:known], p[known], p[known:]
	var all [][]jsontree.Pointer // each in its parts
	add := func(parts ...jsontree.Pointer) { all = append(all, parts) }

	switch {
	case strings.ContainsAny(stray, ".[]"): // containers[0], spec.containers
		add(before, fromOther(s, strings.Join(rest, "/")))
	case stray == "" && len(rest) == 1 && s.Type.Kind() == reflect.Slice: // /spec/volumes/
		add(before, jsontree.Pointer{"-"})
	case stray == "": // //spec, /spec/
		add(before, rest[1:])
	case s.Type.Kind() == reflect.Slice && s.Elem.child(stray) != nil: // /spec/containers/env
		add(before, jsontree.Pointer{"0"}, rest)
	}
	if s.Type.Kind() == reflect.Slice {
		return joined(all)
	}
	near := s.Nearest(stray)
	slip := spelling.Distance(spelling.Fold(stray), spelling.Fold(near)) <= 1
	if near != "" && slip {
		add(before, jsontree.Pointer{near}, rest[1:])
	}
	// The path is that in an object which holds a Pod or a template of one: /object/spec, /spec/template/spec.
	for i := 1; i+1 < len(rest); i++ {
		if rest[i] == "spec" || rest[i] == "metadata" {
			add(rest[i:])
		}
	}
	// Another parent is meant: /labels, /spec/labels, /spec/containers/0/volumes, /spec/env.
	add(jsontree.Pointer{"spec"}, rest)
	add(jsontree.Pointer{"metadata"}, rest)
	add(jsontree.Pointer{"spec", "containers", "0"}, rest)
	// A parent is left out: /spec/containers/0/limits. If there are several, amp cannot tell which.
	var parents []string
	for name, inner := range s.Fields {
		if inner.Fields[stray] != nil {
			parents = append(parents, name)
		}
	}
	if len(parents) == 1 {
		add(before, jsontree.Pointer{parents[0]}, rest)
	}
	if near != "" && !slip {
		add(before, jsontree.Pointer{near}, rest[1:])
	}
	return joined(all)
}

// joined returns each pointer of which the parts are given.
func joined(all [][]jsontree.Pointer) []jsontree.Pointer {
	pointers := make([]jsontree.Pointer, len(all))
	for i, parts := range all {
		pointers[i] = slices.Concat(parts...)
	}
	return pointers
}

// fromOther reads a path in another notation than a JSON pointer's, as it begins at a value of the schema. These are
// frequent: spec.containers[0].env, $.metadata.labels['app'], spec/containers.
func fromOther(at *Schema, text string) (p jsontree.Pointer) {
	text = strings.TrimLeft(strings.TrimSpace(text), "#$./")
	for text != "" && len(p) <= maxSegments {
		if at != nil && at.Elem != nil && at.Type.Kind() == reflect.Map && at.Elem.isText() {
			// All the rest is one key, dots and slashes included.
			return append(p, jsonpointer.Unescape(strings.Trim(text, `[]"'`)))
		}
		end := strings.IndexAny(text, "./[]")
		if end < 0 {
			end = len(text)
		}
		if segment := strings.Trim(text[:end], `"'`); segment != "" {
			p = append(p, jsonpointer.Unescape(segment))
			if at != nil {
				at = at.child(segment)
			}
		}
		text = text[min(end+1, len(text)):]
	}
	return p
}
