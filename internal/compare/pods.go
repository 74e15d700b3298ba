package compare

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/txn2/amp/internal/jsonscan"
	"github.com/txn2/amp/internal/patch/jsontree"
	"github.com/txn2/amp/internal/patch/listnames"
	"github.com/txn2/amp/internal/review"
)

// maxDepth is how far down a Pod is looked at for single differences. The deepest field of a Pod is a dozen levels down.
const maxDepth = 64

// A comparer collects the differences of two Pods.
type comparer struct{ found Comparison }

func (c *comparer) pods(first, second json.RawMessage) {
	c.values(nil, nil, jsontree.NewDocument(jsonscan.String(first)), jsontree.NewDocument(jsonscan.String(second)))
}

// values compares two values, each at its place in its Pod. nil and null are absent.
func (c *comparer) values(p, q Place, first, second *jsontree.Node) {
	switch {
	case first.IsNull() && second.IsNull():
	case second.IsNull():
		c.add(OnlyFirst, Value{p, raw(first)}, Value{})
	case first.IsNull():
		c.add(OnlySecond, Value{}, Value{q, raw(second)})
	case first.Raw() == second.Raw():
	case len(p) < maxDepth && first.Kind() == jsontree.Object && second.Kind() == jsontree.Object:
		c.objects(p, q, first, second)
	case len(p) < maxDepth && ofObjects(first) && ofObjects(second):
		c.lists(p, q, first.List(), second.List())
	case !jsontree.Same(first, second):
		c.add(OtherValue, Value{p, raw(first)}, Value{q, raw(second)})
	}
}

// raw returns the text of a value. Like all that a Comparison holds, it is in memory of its own, so that it does not keep the
// Pods in memory.
func raw(n *jsontree.Node) json.RawMessage { return json.RawMessage(n.Raw()) }

// ofObjects reports whether n is a list of objects. A list of plain values, like args, is compared as a whole.
func ofObjects(n *jsontree.Node) bool {
	return n.Kind() == jsontree.List && !slices.ContainsFunc(n.List(), func(element *jsontree.Node) bool { return element.Kind() != jsontree.Object })
}

func (c *comparer) add(kind Kind, first, second Value) {
	if len(c.found.Differences) == MaxDifferences {
		c.found.More++
		return
	}
	c.found.Differences = append(c.found.Differences, Difference{kind, first.own(), second.own()})
}

func (c *comparer) objects(p, q Place, first, second *jsontree.Node) {
	keys := map[string]bool{}
	for _, object := range []*jsontree.Node{first, second} {
		object.Each(func(key string, _ *jsontree.Node) { keys[key] = true })
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := Segment{Key: key}
		inner := p.with(at)
		switch {
		case isPlace(inner, "metadata", "annotations", review.StampAnnotation):
		case isPlace(inner, "metadata", "annotations"):
			c.values(inner, q.with(at), withoutStamp(first.Get(key)), withoutStamp(second.Get(key)))
		default:
			c.values(inner, q.with(at), first.Get(key), second.Get(key))
		}
	}
}

func isPlace(p Place, keys ...string) bool {
	return slices.EqualFunc(p, keys, func(s Segment, key string) bool { return s.Key == key })
}

// withoutStamp returns nil for annotations that are nothing but amp's stamp, which may have created them.
func withoutStamp(annotations *jsontree.Node) *jsontree.Node {
	others := 0
	annotations.Each(func(key string, _ *jsontree.Node) {
		if key != review.StampAnnotation {
			others++
		}
	})
	if others == 0 && annotations.Kind() == jsontree.Object {
		return nil
	}
	return annotations
}

// lists compares two lists of objects. Elements of the same name are one element: those with the same text first, and then in
// their order. Elements without a name are as if they had the same one.
func (c *comparer) lists(p, q Place, first, second []*jsontree.Node) {
	field := ""
	if len(p) > 0 {
		field = p[len(p)-1].Key
	}
	ps, qs := segments(field, first), segments(field, second)
	other := pairs(first, second, ps, qs)
	taken, last, ordered := make([]bool, len(second)), -1, true
	for i, j := range other {
		if j < 0 {
			c.values(p.with(ps[i]), nil, first[i], nil)
			continue
		}
		taken[j] = true
		ordered, last = ordered && j > last, j
		c.values(p.with(ps[i]), q.with(qs[j]), first[i], second[j])
	}
	for j := range second {
		if !taken[j] {
			c.values(nil, q.with(qs[j]), nil, second[j])
		}
	}
	if !ordered {
		c.add(OtherOrder, Value{Place: p}, Value{Place: q})
	}
}

// segments are the last segments of the places of a list's elements.
func segments(field string, elements []*jsontree.Node) []Segment {
	all := make([]Segment, len(elements))
	for i, element := range elements {
		name, at := listnames.Of(field, element)
		all[i] = Segment{Key: strconv.Itoa(i), List: true, Name: name, NameAt: at}
		if name != "" {
			all[i].NameJSON = raw(element.Get(at...))
		}
	}
	return all
}

// pairs returns for each element of first the index of the same one in second, -1 if there is none.
func pairs(first, second []*jsontree.Node, ps, qs []Segment) []int {
	other := make([]int, len(first))
	for i := range other {
		other[i] = -1
	}
	taken := make([]bool, len(second))
	type key struct{ name, text string }
	match := func(of func(s Segment, n *jsontree.Node) key) {
		free := map[key][]int{} // indexes in second
		for j, element := range second {
			if !taken[j] {
				k := of(qs[j], element)
				free[k] = append(free[k], j)
			}
		}
		for i, element := range first {
			if other[i] >= 0 {
				continue
			}
			if k := of(ps[i], element); len(free[k]) > 0 {
				other[i] = free[k][0]
				taken[other[i]] = true
				free[k] = free[k][1:]
			}
		}
	}
	match(func(s Segment, n *jsontree.Node) key { return key{s.Name, n.Raw()} })
	match(func(s Segment, _ *jsontree.Node) key { return key{s.Name, ""} })
	return other
}
