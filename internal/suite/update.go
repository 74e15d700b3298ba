package suite

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Update rewrites what the suite expects where the results differ, and writes the file if anything changed. It keeps
// comments and the order of fields. A case without an expectation gets one. It returns the names of the cases that it
// changed. A case that could not be asked keeps what it expects, and so does one whose endpoint fails, unless the case expects
// a failure: a bug of the endpoint must not become what is expected.
func Update(s *Suite, results []Result) (changed []string, err error) {
	for i, c := range s.Cases {
		r := &results[i]
		if r.Passed || r.answer == nil || r.answer.notThere || r.answer.broken() && !c.want.meansFailure() {
			continue
		}
		expect := valueIn(c.node, "expect")
		if expect == nil {
			expect = &yaml.Node{Kind: yaml.MappingNode}
			c.node.Content = append(c.node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "expect"}, expect)
		}
		err := own(expect)
		if err == nil {
			err = release(s.document, expect)
		}
		if err == nil {
			err = rewrite(expect, r)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", s.File, c.Line, err)
		}
		changed = append(changed, c.Name)
	}
	if len(changed) == 0 {
		return nil, nil
	}
	each(s.document, func(n *yaml.Node) {
		if n.Tag == "!!merge" { // the encoder would write it out
			n.Tag = ""
		}
	})
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(s.document); err != nil {
		return nil, fmt.Errorf("writing %s: %w", s.File, err)
	}
	info, err := os.Stat(s.File)
	if err != nil {
		return nil, err
	}
	return changed, os.WriteFile(s.File, b.Bytes(), info.Mode().Perm())
}

// valueIn is the value of a field, nil if there is none.
func valueIn(n *yaml.Node, field string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == field {
			return n.Content[i+1]
		}
	}
	return nil
}

// release makes a copy at each alias in the document that stands for a part of an expectation. That one can be rewritten then.
func release(document, expect *yaml.Node) error {
	var aliases []*yaml.Node
	anchored := map[*yaml.Node]bool{}
	each(expect, func(n *yaml.Node) { anchored[n] = n.Anchor != "" })
	each(document, func(n *yaml.Node) {
		if n.Kind == yaml.AliasNode && anchored[n.Alias] {
			aliases = append(aliases, n)
		}
	})
	for _, n := range aliases {
		if err := own(n); err != nil {
			return err
		}
	}
	return nil
}

// each calls f for a node and all in it. It does not follow aliases.
func each(n *yaml.Node, f func(*yaml.Node)) {
	f(n)
	for _, part := range n.Content {
		each(part, f)
	}
}

// rewrite sets each field of an expectation that differs to what came. It removes those for which the answer has no value.
func rewrite(expect *yaml.Node, r *Result) error {
	a := r.answer
	is := got(a)
	values := map[string]any{"outcome": is.outcome, "denied": is.denied}
	if a.again != nil {
		values["idempotent"] = is.idempotent
	}
	if a.message != "" {
		values["message"] = a.message
	}
	if len(a.warnings) > 0 {
		values["warning"] = a.warnings[0]
	}
	if !a.failed {
		values["patch"], values["unchanged"] = is.patch, is.unchanged
	}
	differ := map[string]bool{}
	for _, d := range r.Differences {
		field, _, _ := strings.Cut(d.What, " ")
		differ[field] = true
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(expect.Content); i += 2 {
		key, node := expect.Content[i], expect.Content[i+1]
		value, ok := values[key.Value]
		var err error
		switch {
		case !differ[key.Value]:
		case key.Value == "pod" && !a.failed:
			err = rewritePod(node, is.pod)
		case !ok:
			continue
		default:
			err = replace(node, value)
		}
		if err != nil {
			return err
		}
		kept = append(kept, key, node)
	}
	expect.Content = kept
	switch {
	case differ["outcome"] && valueIn(expect, "outcome") == nil: // it was denied, and nothing said that it may be
		if err := set(expect, "outcome", is.outcome); err != nil {
			return err
		}
		return set(expect, "message", a.message)
	case len(kept) > 0:
		return nil
	case len(is.patch) > 0 && !a.failed:
		return set(expect, "patch", is.patch)
	}
	return set(expect, "outcome", is.outcome)
}

// set gives a field a value, and adds it if it is not there.
func set(n *yaml.Node, field string, value any) error {
	node := valueIn(n, field)
	if node == nil {
		node = &yaml.Node{}
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: field}, node)
	}
	return replace(node, value)
}

// rewritePod rewrites the parts that differ.
func rewritePod(node *yaml.Node, pod any) error {
	if err := own(node); err != nil {
		return err
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if err := merge(node.Content[i+1], at(pod, pointerOf(node.Content[i].Value))); err != nil {
			return err
		}
	}
	return nil
}

// merge makes a part of a Pod what the Pod has there, where it differs. Fields that the suite does not name stay unnamed.
func merge(node *yaml.Node, value any) error {
	want, err := valueOf(node)
	if err != nil {
		return err
	}
	holds := true
	subset("", want, value, func(string, any, any) { holds = false })
	if holds {
		return nil
	}
	if err := own(node); err != nil {
		return err
	}
	if slices.ContainsFunc(node.Content, func(n *yaml.Node) bool { return n.ShortTag() == "!!merge" }) {
		// What is merged into it stands elsewhere.
		if err := replace(node, want); err != nil {
			return err
		}
	}
	switch value := value.(type) {
	case map[string]any:
		if node.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(node.Content); i += 2 {
				if err := merge(node.Content[i+1], value[node.Content[i].Value]); err != nil {
					return err
				}
			}
			return nil
		}
	case []any:
		if node.Kind == yaml.SequenceNode && len(node.Content) == len(value) {
			for i := range value {
				if err := merge(node.Content[i], value[i]); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return replace(node, value)
}

// replace gives a node another value, and keeps its comments.
func replace(node *yaml.Node, value any) error {
	var fresh yaml.Node
	if err := fresh.Encode(value); err != nil {
		return err
	}
	fresh.HeadComment, fresh.LineComment, fresh.FootComment = node.HeadComment, node.LineComment, node.FootComment
	if slices.Contains([]yaml.Kind{yaml.MappingNode, yaml.SequenceNode}, fresh.Kind) && fresh.Kind == node.Kind {
		fresh.Style = node.Style
	}
	*node = fresh
	return nil
}
