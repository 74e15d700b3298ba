package patch

import (
	"fmt"
	"slices"
	"strconv"
)

// fixed are the fields that no patch changes: what the Pod is, who owns it, and what is not its creator's
// to say.
var fixed = []pointer{
	{"apiVersion"},
	{"kind"},
	{"metadata", "name"},
	{"metadata", "generateName"},
	{"metadata", "namespace"},
	{"metadata", "ownerReferences"},
	{"metadata", "finalizers"},
	{"metadata", "deletionTimestamp"},
	{"spec", "ephemeralContainers"},
	{"status"},
}

// checkFixed fails a patch that changes one of the fixed fields.
func (a *application) checkFixed() error {
	for _, field := range fixed {
		before, after := a.before.get(field...), a.after.get(field...)
		if !same(before, after, 0) && !(empty(before) && empty(after)) {
			return a.blame(field, "a patch may not change %s: leave it as it is", dotted(field))
		}
	}
	return nil
}

// empty reports whether n is what the API server takes for absent in the fixed fields.
func empty(n *node) bool {
	switch {
	case n.null():
		return true
	case n.kind == '{':
		nothing := true
		n.each(func(string, *node) { nothing = false })
		return nothing
	case n.kind == '[':
		return len(n.list()) == 0
	}
	return n.kind == '"' && n.text() == ""
}

func dotted(p pointer) string {
	s := p[0]
	for _, segment := range p[1:] {
		s += "." + segment
	}
	return s
}

// checkDenied fails a patch that has to do with what AMP_PATCH_DENY lists: by an op at or under it, though
// it change nothing, or by an op above it that changes what is there. To read it (with a test, or as the
// source of a copy) is no harm.
func (a *application) checkDenied(deny []denied) error {
	for _, t := range a.touched {
		for i := range deny {
			if deny[i].leads(t.at) {
				return a.failDenied(t.number, &deny[i])
			}
		}
	}
	for i := range deny {
		if differs(deny[i].pointer, a.before, a.after) {
			return a.failDenied(a.last(deny[i].pointer), &deny[i])
		}
	}
	return nil
}

func (a *application) failDenied(number int, d *denied) error {
	return failure(number, &a.given[number-1], "AMP_PATCH_DENY lets no endpoint change %s", shown(d.text))
}

// differs reports whether there is a difference between two values at p, whose * stands for any key, and in
// lists for any element: the same one by its name if it has one, else by its index.
func differs(p pointer, before, after *node) bool {
	switch {
	case before == after:
		return false
	case len(p) == 0:
		return !same(before, after, 0) && !(before.null() && after.null())
	case p[0] != "*":
		return differs(p[1:], before.at(p[0]), after.at(p[0]))
	}
	was, is := before.children(), after.children()
	for key, child := range was {
		if differs(p[1:], child, is[key]) {
			return true
		}
	}
	for key, child := range is {
		if was[key] == nil && differs(p[1:], nil, child) {
			return true
		}
	}
	return false
}

// at is the child of n that the segment names, nil if there is none.
func (n *node) at(segment string) *node {
	if n == nil || n.kind != '[' {
		return n.get(segment)
	}
	if at, err := strconv.Atoi(segment); err == nil && 0 <= at && at < len(n.list()) {
		return n.list()[at]
	}
	return nil
}

// children are what is in n by what identifies it.
func (n *node) children() map[string]*node {
	found := map[string]*node{}
	n.each(func(key string, child *node) { found[key] = child })
	for i, e := range n.list() {
		key := "name " + e.get("name").text()
		if _, taken := found[key]; taken || e.get("name").text() == "" {
			key = "index " + strconv.Itoa(i)
		}
		found[key] = e
	}
	return found
}

// checkLabels fails a patch that takes a label from a controller's Pod or changes it. The controller finds
// its Pods by their labels; a ReplicaSet that does not find them makes new ones without end.
func (a *application) checkLabels() error {
	labels := a.before.get("metadata", "labels")
	if labels == a.after.get("metadata", "labels") || !controlled(a.before) {
		return nil
	}
	var changed []string
	labels.each(func(key string, value *node) {
		if !same(value, a.after.get("metadata", "labels", key), 0) {
			changed = append(changed, key)
		}
	})
	if len(changed) == 0 {
		return nil
	}
	return a.blame(pointer{"metadata", "labels", changed[0]}, "the Pod belongs to a controller that finds it by its labels, so %s must stay as is: only add labels", named(changed))
}

func controlled(pod *node) bool {
	return slices.ContainsFunc(pod.get("metadata", "ownerReferences").list(), func(owner *node) bool {
		controller := owner.get("controller")
		return controller != nil && controller.kind == 't'
	})
}

// last is the number of the last op that changed something at, above or under p; of the last op at all if
// none did.
func (a *application) last(p pointer) int {
	for _, t := range slices.Backward(a.touched) {
		if p.leads(t.at) || t.at.above(p) {
			return t.number
		}
	}
	return a.number
}

// blame is the failure of the last op that had to do with p.
func (a *application) blame(p pointer, format string, args ...any) error {
	number := a.last(p)
	return failure(number, &a.given[number-1], "%s", fmt.Sprintf(format, args...))
}

// above reports whether the place p is at or above one that the pattern q stands for.
func (p pointer) above(q pointer) bool {
	if len(p) > len(q) {
		return false
	}
	for i, segment := range p {
		if q[i] != "*" && q[i] != segment {
			return false
		}
	}
	return true
}
