package jupyterhub

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"
)

// parse reads a profiles file. Its errors are Mistakes.
func parse(text []byte) (*profiles, error) {
	c := &checker{lines: map[string]int{}, texts: map[string]string{}}
	doc, err := c.document(text)
	switch {
	case err != nil:
		return nil, Mistakes{syntax(err)}
	case doc == nil && len(c.mistakes) == 0:
		return nil, Mistakes{{Text: "the file holds no profiles: want at least unknownUsers"}}
	case doc != nil:
		c.check(doc, reflect.TypeFor[profiles](), "")
	}
	p := new(profiles)
	if len(c.mistakes) == 0 {
		if err := kyaml.UnmarshalStrict(text, p); err != nil {
			var decoded any
			if kyaml.Unmarshal(text, &decoded) == nil {
				c.hidden(doc, decoded, "")
			}
			if len(c.mistakes) == 0 {
				// The checker knows every mistake that the decoder knows; this one it does not. The error's text may quote a value.
				c.bad(0, "", "the file does not decode: look for values of another type than Kubernetes documents")
			}
		} else {
			c.validate(p)
		}
	}
	if len(c.mistakes) > 0 {
		slices.SortStableFunc(c.mistakes, func(a, b Mistake) int { return cmp.Compare(a.Line, b.Line) })
		return nil, c.mistakes
	}
	return p, nil
}

// document returns what the first document of a file holds, nil if that is nothing. The decoder reads no other one, so
// another one that holds something is a mistake.
func (c *checker) document(text []byte) (first *yaml.Node, err error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	for n := 0; ; n++ {
		var doc yaml.Node
		if err := d.Decode(&doc); err == io.EOF {
			return first, nil
		} else if err != nil {
			return nil, err
		}
		switch content := doc.Content[0]; {
		case content.Tag == "!!null":
		case n > 0:
			c.bad(doc.Line, "", "a second document begins here: put all into one")
			return first, nil
		default:
			first = content
		}
	}
}

var yamlLine = regexp.MustCompile(`line (\d+): (did not find[^:]*|mapping values are not allowed[^:]*|found character that cannot start any token)?`)

// syntax keeps of a YAML error the line, and the text if it is one that quotes nothing.
func syntax(err error) Mistake {
	m := Mistake{Text: "not YAML: check indentation, brackets and quotes"}
	if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
		m.Line, _ = strconv.Atoi(found[1])
		if found[2] != "" {
			m.Text = "not YAML: " + found[2] + ": check indentation, brackets and quotes"
		}
	}
	return m
}

// at notes a mistake at a field.
func (c *checker) at(field, format string, args ...any) {
	c.bad(c.lines[field], field, format, args...)
}

func (c *checker) validate(p *profiles) {
	c.placeholders()
	if !slices.Contains([]string{"", "defaults", "refuse"}, p.UnknownUsers) {
		c.at("unknownUsers", "want defaults or refuse")
	}
	if !slices.Contains([]string{"", slugs6, slugs7}, p.Slugs) {
		c.at("slugs", "want %s or %s", slugs6, slugs7)
	}
	c.profile("defaults", &p.Defaults)
	for _, name := range sortedKeys(p.Groups) {
		g := p.Groups[name]
		c.profile("groups."+name, &g.profile)
	}
	for _, name := range sortedKeys(p.Users) {
		u := p.Users[name]
		c.profile("users."+name, &u.profile)
		for i, g := range u.Groups {
			if _, ok := p.Groups[g]; !ok {
				c.at(fmt.Sprintf("users.%s.groups[%d]", name, i), "there is no group %q: add it under groups", g)
			}
		}
	}
}

func (c *checker) profile(where string, p *profile) {
	for i, key := range p.Override {
		if !slices.Contains(overridable, key) {
			c.at(fmt.Sprintf("%s.override[%d]", where, i), "allowed are %s", strings.Join(overridable, ", "))
		}
	}
	unique(c, where+".volumes", "name", p.Volumes, volumeName)
	unique(c, where+".extraContainers", "name", p.ExtraContainers, containerName)
	unique(c, where+".extraInitContainers", "name", p.ExtraInitContainers, containerName)
	c.resources(where+".resources", p.Resources)
	for i := range p.ExtraContainers {
		c.resources(fmt.Sprintf("%s.extraContainers[%d].resources", where, i), &p.ExtraContainers[i].Resources)
	}
	for i := range p.ExtraInitContainers {
		c.resources(fmt.Sprintf("%s.extraInitContainers[%d].resources", where, i), &p.ExtraInitContainers[i].Resources)
	}
	c.additions(where, &p.additions)
	c.additions(where+".initContainers", &p.InitContainers)
	c.keys(where+".labels", p.Labels)
	c.keys(where+".annotations", p.Annotations)
	if p.PriorityClassName != "" && strings.ContainsAny(p.PriorityClassName, "{}") {
		c.at(where+".priorityClassName", "must not hold a placeholder: write the name of a PriorityClass")
	}
}

func (c *checker) additions(where string, a *additions) {
	unique(c, where+".env", "name", a.Env, envName)
	unique(c, where+".volumeMounts", "mountPath", a.VolumeMounts, mountPath)
}

// keys refuses the keys by which amp and this endpoint know a Pod and its user.
func (c *checker) keys(where string, m map[string]string) {
	for _, k := range sortedKeys(m) {
		if strings.HasPrefix(k, "hub.jupyter.org/") || strings.HasPrefix(k, "amp.txn2.com/") {
			c.at(where+"."+k, "a profile must not set keys of hub.jupyter.org and amp.txn2.com: take another prefix")
		}
	}
}

// unique checks that each element of a list has a key, and that no two have the same.
func unique[T any](c *checker, where, field string, list []T, key func(T) string) {
	seen := map[string]bool{}
	for i, v := range list {
		at := fmt.Sprintf("%s[%d]", where, i)
		switch k := key(v); {
		case k == "":
			c.at(at, "has no %s: add it", field)
		case seen[k]:
			c.at(at, "%q is there twice: remove one", k)
		default:
			seen[k] = true
		}
	}
}
