package rules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/txn2/amp/internal/patch/apply"
	"github.com/txn2/amp/internal/patch/jsontree"
)

// Places are JSON pointers that no endpoint may change, nor what is under them.
type Places []place

type place struct {
	pattern jsontree.Pointer
	prefix  string // with which the last segment begins; empty: any
	text    string // as AMP_PATCH_DENY has it
}

// ParsePlaces reads the JSON pointers of AMP_PATCH_DENY, in which * stands for any one segment. Its error
// names each bad one, one a line, also one of a field that a Pod does not have: it would deny nothing.
func ParsePlaces(texts []string) (Places, error) {
	var places Places
	var errs []error
	for _, text := range texts {
		pattern, err := apply.ParsePointer(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%q is not a JSON pointer such as /spec/nodeName or /spec/containers/*/securityContext: %w", text, err))
			continue
		}
		if fault := apply.NoField(pattern); fault != "" {
			errs = append(errs, fmt.Errorf("%s names no field of a Pod: %s", apply.Quote(text), fault))
			continue
		}
		places = append(places, place{pattern: pattern, text: text})
		places = append(places, otherNames(pattern, text)...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return places, nil
}

// denied refuses a patch that changes a place of AMP_PATCH_DENY: with an op at or under it, even if that op changes
// nothing, or with an op above it that changes what is there. Reading is allowed: a test, or the source of a copy.
func denied(c *apply.Change, s *Settings) []Finding {
	refuseAt := func(op int, p *place) []Finding {
		return refuse(op, fmt.Sprintf("an endpoint may not change %s (AMP_PATCH_DENY)", apply.Quote(p.text)))
	}
	for _, touch := range c.Touched {
		for i := range s.Deny {
			if p := &s.Deny[i]; p.contains(touch.Place) {
				return refuseAt(touch.Op, p)
			}
		}
	}
	for i := range s.Deny {
		if p := &s.Deny[i]; p.differs(p.pattern, apply.PodSchema(), c.Before, c.After) {
			return refuseAt(c.LastOp(p.pattern), p)
		}
	}
	return nil
}

// contains reports whether an op that touches a place touches p, or what is under it.
func (p *place) contains(touched jsontree.Pointer) bool {
	return p.pattern.Contains(touched) && p.begins(touched[len(p.pattern)-1])
}

func (p *place) begins(segment string) bool { return strings.HasPrefix(segment, p.prefix) }

// differs reports whether two values, of which s is the schema, differ at the pattern, which is the rest of that of p. Its *
// compares each key of an object, and each element of a list: with the one of the same name if it has a name, else with the
// one at the same index.
func (p *place) differs(pattern jsontree.Pointer, s *apply.Schema, before, after *jsontree.Node) bool {
	if before == after {
		return false
	}
	segment, rest := pattern[0], pattern[1:]
	differ := func(key string, was, is *jsontree.Node) bool {
		if len(rest) > 0 {
			return p.differs(rest, s.Below(key), was, is)
		}
		// In a map of texts, null is the empty text. Elsewhere it is as if it were absent.
		return p.begins(key) && !jsontree.Same(was, is) && (s.IsMap() || !was.IsNull() || !is.IsNull())
	}
	if segment != "*" {
		return differ(segment, childAt(before, segment), childAt(after, segment))
	}
	was, is := children(before), children(after)
	for key, child := range was {
		if differ(key, child, is[key]) {
			return true
		}
	}
	for key, child := range is {
		if was[key] == nil && differ(key, nil, child) {
			return true
		}
	}
	return false
}

// childAt returns the child of n that a segment names, nil if there is none.
func childAt(n *jsontree.Node, segment string) *jsontree.Node {
	if n.Kind() != jsontree.List {
		return n.Get(segment)
	}
	list := n.List()
	if at, err := strconv.Atoi(segment); err == nil && 0 <= at && at < len(list) {
		return list[at]
	}
	return nil
}

// children returns the children of n by what identifies them.
func children(n *jsontree.Node) map[string]*jsontree.Node {
	found := map[string]*jsontree.Node{}
	n.Each(func(key string, child *jsontree.Node) { found[key] = child })
	for i, element := range n.List() {
		name := element.Get("name").Text()
		key := "name " + name
		if _, taken := found[key]; taken || name == "" {
			key = "index " + strconv.Itoa(i)
		}
		found[key] = element
	}
	return found
}
