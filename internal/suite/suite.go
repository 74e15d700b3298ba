// Package suite runs suites of cases: each hands a Pod to an endpoint as amp would, and compares what comes of it with
// what is expected. A suite is one YAML file.
//
//	folder.go  the suites of a folder
//	suite.go   the fields of a suite, and reading them
//	expect.go  what a case expects, and reading that
//	values.go  what a value is, with its aliases
//	run.go     a case, asked and compared
//	answer.go  what came of both phases
//	update.go  what is expected, written anew
//	report.go  the results, for people, JSON and JUnit
package suite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/txn2/amp/internal/manifest"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/spelling"
)

// Suite is one file of cases.
type Suite struct {
	File  string
	Cases []*Case

	document *yaml.Node
}

// given is what is the same for all cases unless a case says otherwise.
type given struct {
	endpoints, validation []string
	user, namespace       string
	groups                []string
	policy                review.FailurePolicy
	timeout               time.Duration
	dryRun                bool
}

// Case is one question, and what is expected of the answer.
type Case struct {
	Name string
	Line int

	given
	pod  manifest.Pod
	want expectation // empty if nothing is expected yet
	node *yaml.Node  // of the case
}

// Load reads the suite in a file. Its error names each thing that is wrong, one a line, as file:line: text.
func Load(file string) (*Suite, error) {
	content, err := manifest.Load(file, nil)
	if err != nil {
		return nil, err
	}
	s := &Suite{File: file, document: &yaml.Node{}}
	documents := yaml.NewDecoder(bytes.NewReader(content))
	if err := documents.Decode(s.document); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	r := reader{file: file}
	var second yaml.Node
	switch err := documents.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	default:
		r.bad(&second, "a second document: a suite is one, so take out the line ---, or make it a file of its own")
	}
	if len(s.document.Content) == 0 {
		return nil, fmt.Errorf("%s: it holds no suite: expected the field cases", file)
	}
	root := s.document.Content[0]
	var defaults given
	var cases *yaml.Node
	fields := r.given(&defaults)
	fields["cases"] = func(n *yaml.Node) { cases = n }
	r.fields(root, "", fields)
	switch {
	case cases == nil || cases.Kind != yaml.SequenceNode || len(cases.Content) == 0:
		if len(r.errs) == 0 {
			r.bad(root, "a suite needs cases: a list with at least one case")
		}
	default:
		for _, node := range cases.Content {
			s.Cases = append(s.Cases, r.oneCase(node, defaults))
		}
	}
	names := map[string]bool{}
	for _, c := range s.Cases {
		if names[c.Name] && c.Name != "" {
			r.bad(c.node, fmt.Sprintf("the name %q is there twice", c.Name))
		}
		names[c.Name] = true
	}
	return s, errors.Join(r.errs...)
}

// reader gathers what is wrong with a file.
type reader struct {
	file string
	errs []error
}

func (r *reader) bad(n *yaml.Node, text string) {
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %s", r.file, n.Line, text))
}

// nullable is the one field of which null is a value: that of an operation. Any other field without a value is an error, as
// it would look like a default or an expectation, and be none.
const nullable = "value"

// fields calls the function of each field. An unknown field is an error that names the nearest known one.
func (r *reader) fields(n *yaml.Node, within string, known map[string]func(*yaml.Node)) {
	if n = target(n); n.Kind != yaml.MappingNode {
		r.bad(n, strings.TrimPrefix(within+" is not an object: expected the fields "+strings.Join(slices.Sorted(maps.Keys(known)), ", "), " "))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := known[key.Value]
		switch {
		case seen[key.Value]:
			r.bad(key, fmt.Sprintf("%s is there twice", key.Value))
		case read != nil && key.Value != nullable && isNull(target(value)):
			r.bad(key, key.Value+": the field is empty: give it a value, or take it out")
		case read != nil:
			read(target(value))
		default:
			all := slices.Sorted(maps.Keys(known))
			nearest, near := spelling.Closest(key.Value, all)
			hint := "; did you mean " + nearest + "?"
			if !near {
				hint = "; known are " + strings.Join(all, ", ")
			}
			r.bad(key, key.Value+": the field is unknown"+hint)
		}
		seen[key.Value] = true
	}
}

// into returns what reads a value of v's type.
func (r *reader) into(name string, v any, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if err := n.Decode(v); err != nil || slices.ContainsFunc(n.Content, func(n *yaml.Node) bool { return isNull(target(n)) }) {
			r.bad(n, name+": expected "+what)
		}
	}
}

// given are the fields that a suite and a case share.
func (r *reader) given(g *given) map[string]func(*yaml.Node) {
	urls := func(name string, to *[]string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			*to = nil
			if n.Kind == yaml.ScalarNode {
				*to = []string{n.Value}
			} else {
				r.into(name, to, "a URL or a list of URLs")(n)
			}
			if len(*to) == 0 || slices.ContainsFunc(*to, func(u string) bool { return strings.TrimSpace(u) == "" }) {
				r.bad(n, name+": expected a URL or a list of URLs, and none of them empty")
			}
		}
	}
	return map[string]func(*yaml.Node){
		"endpoint":   urls("endpoint", &g.endpoints),
		"validation": urls("validation", &g.validation),
		"user":       r.into("user", &g.user, "a text"),
		"groups":     r.into("groups", &g.groups, "a list of texts"),
		"namespace":  r.into("namespace", &g.namespace, "a text"),
		"dryRun":     r.into("dryRun", &g.dryRun, "true or false"),
		"timeout": func(n *yaml.Node) {
			if n.Decode(&g.timeout) != nil || g.timeout <= 0 {
				r.bad(n, "timeout: expected a positive duration, e.g. 1500ms")
			}
		},
		"failurePolicy": func(n *yaml.Node) {
			if g.policy = review.FailurePolicy(n.Value); g.policy != review.Fail && g.policy != review.Ignore {
				r.bad(n, fmt.Sprintf("failurePolicy %q: allowed are Fail and Ignore", n.Value))
			}
		},
	}
}

// oneCase reads a case.
func (r *reader) oneCase(node *yaml.Node, defaults given) *Case {
	c := &Case{Line: node.Line, given: defaults, node: node}
	var pod, expect *yaml.Node
	file := ""
	fields := r.given(&c.given)
	fields["name"] = r.into("name", &c.Name, "a text")
	fields["pod"] = func(n *yaml.Node) { pod = n }
	fields["file"] = r.into("file", &file, "a path")
	fields["expect"] = func(n *yaml.Node) { expect = n }
	errs := len(r.errs)
	r.fields(node, "a case", fields)
	if len(r.errs) > errs {
		return c
	}
	if c.Name == "" {
		r.bad(node, "a case needs a name")
	}
	switch {
	case (pod == nil) == (file == ""):
		r.bad(node, "a case needs either pod (a Pod, or an object with a template) or file (a path, relative to the suite)")
	case pod != nil:
		content, err := textOf(pod)
		r.readPod(c, pod, "pod", content, err)
	default:
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(r.file), file)
		}
		content, err := manifest.Load(file, nil)
		r.readPod(c, node, file, content, err)
	}
	if expect != nil {
		c.want = r.expectation(expect)
	}
	return c
}

func (r *reader) readPod(c *Case, at *yaml.Node, source string, content []byte, err error) {
	m := &manifest.Manifests{}
	if err == nil {
		err = m.Add(source, content, c.namespace, false)
	}
	if err == nil && len(m.Pods) != 1 {
		err = fmt.Errorf("%s: expected one object that creates a Pod, not %d", source, len(m.Pods))
	}
	if err != nil {
		r.bad(at, err.Error())
		return
	}
	c.pod = m.Pods[0]
}
