package suite

import (
	"encoding/json"
	"errors"

	"go.yaml.in/yaml/v3"
	k8syaml "sigs.k8s.io/yaml"
)

// target is what an alias stands for, and every other node itself.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// isNull reports whether a value is null, as one that is not there is.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// textOf is a value with what its aliases stand for, as YAML.
func textOf(n *yaml.Node) ([]byte, error) {
	whole, err := expand(n)
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(whole)
}

// valueOf is a value as the API server's YAML has it: keys are texts, and so is a date.
func valueOf(n *yaml.Node) (value any, err error) {
	text, err := textOf(n)
	if err == nil {
		text, err = k8syaml.YAMLToJSONStrict(text)
	}
	if err == nil {
		err = json.Unmarshal(text, &value)
	}
	return value, err
}

// own makes a copy of what an alias stands for: another case keeps what it expects.
func own(n *yaml.Node) error {
	if n.Kind != yaml.AliasNode {
		return nil
	}
	whole, err := expand(n)
	if err == nil {
		whole.HeadComment, whole.LineComment, whole.FootComment = n.HeadComment, n.LineComment, n.FootComment
		*n = *whole
	}
	return err
}

// maxNodes is how many values one value may hold, aliases included: some that stand for each other can be very many.
const maxNodes = 100_000

// expand is a copy of a node, without anchors and aliases.
func expand(n *yaml.Node) (*yaml.Node, error) {
	left := maxNodes
	return expandMost(n, &left)
}

// expandMost is expand for at most so many nodes as are left.
func expandMost(n *yaml.Node, left *int) (*yaml.Node, error) {
	if *left--; *left < 0 {
		return nil, errors.New("it holds too many values, or an alias of itself")
	}
	if n.Kind == yaml.AliasNode {
		return expandMost(n.Alias, left)
	}
	whole := *n
	whole.Anchor, whole.Content = "", make([]*yaml.Node, len(n.Content))
	for i, part := range n.Content {
		var err error
		if whole.Content[i], err = expandMost(part, left); err != nil {
			return nil, err
		}
	}
	return &whole, nil
}
