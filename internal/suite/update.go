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
// changed. A case that could not be asked keeps what it expects.
func Update(s *Suite, results []Result) (changed []string, err error) {
	for i, c := range s.Cases {
		r := &results[i]
		if r.Passed || r.answer == nil || r.answer.NotThere {
			continue
		}
		if c.expect == nil {
			c.expect = &yaml.Node{Kind: yaml.MappingNode}
			c.node.Content = append(c.node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "expect"}, c.expect)
		}
		if err := rewrite(c.expect, r.answer); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", s.File, c.Line, err)
		}
		changed = append(changed, c.Name)
	}
	if len(changed) == 0 {
		return nil, nil
	}
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

// rewrite sets each field of an expectation to what came. Fields that the answer has no value for are removed.
func rewrite(expect *yaml.Node, a *answer) error {
	is := got(a)
	values := map[string]any{"outcome": is.outcome, "denied": is.denied, "unchanged": is.unchanged, "patch": is.patch}
	if a.again != nil {
		values["idempotent"] = is.idempotent
	}
	if a.Message != "" {
		values["message"] = a.Message
	}
	if len(a.warnings) > 0 {
		values["warning"] = a.warnings[0]
	}
	if a.Failed() {
		delete(values, "patch")
		delete(values, "unchanged")
		for _, field := range []string{"outcome", "message"} {
			require(expect, field)
		}
	}
	if len(expect.Content) == 0 {
		field := "patch"
		if len(is.patch) == 0 {
			field = "outcome"
		}
		require(expect, field)
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(expect.Content); i += 2 {
		key, node := expect.Content[i], expect.Content[i+1]
		value, ok := values[key.Value]
		switch {
		case key.Value == "pod" && !a.Failed():
			if err := own(node); err != nil {
				return err
			}
			for j := 0; j+1 < len(node.Content); j += 2 {
				place := pointerOf(node.Content[j].Value)
				if err := merge(node.Content[j+1], at(is.pod, place)); err != nil {
					return err
				}
			}
		case !ok:
			continue
		default:
			var old any
			_ = node.Decode(&old)
			// A part of a text that still holds stays a part.
			part, isText := old.(string)
			if text, _ := value.(string); isText && part != "" && strings.Contains(text, part) || same(old, value) {
				break
			}
			if err := replace(node, value); err != nil {
				return err
			}
		}
		kept = append(kept, key, node)
	}
	expect.Content = kept
	return nil
}

// require adds a field without a value, if it is not there.
func require(expect *yaml.Node, field string) {
	for i := 0; i+1 < len(expect.Content); i += 2 {
		if expect.Content[i].Value == field {
			return
		}
	}
	expect.Content = append(expect.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: field}, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"})
}

// merge makes a part of a Pod what the Pod has there. Fields that the suite does not name stay unnamed.
func merge(node *yaml.Node, value any) error {
	if err := own(node); err != nil {
		return err
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
	var old any
	_ = node.Decode(&old)
	if same(old, value) {
		return nil
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
