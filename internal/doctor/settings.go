package doctor

import (
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/txn2/amp/internal/serve"
)

// settings are amp's environment variables, as its Deployment sets them.
type settings struct {
	vars map[string]string
	// unseen are variables that are set to a value which cannot be seen: it is from a Secret, from a ConfigMap that
	// could not be read, or put together with other variables ($(NAME)).
	unseen map[string]bool
	opaque bool    // something that cannot be seen may set any variable
	errs   []error // why ConfigMaps could not be read
	// config is what amp makes of vars, without the bad ones, which err names.
	config *serve.Config
	err    error
}

// readSettings makes settings of a container's environment. The container is nil if it is unknown.
func readSettings(c *corev1.Container, configMaps map[string]seen[*corev1.ConfigMap]) settings {
	s := settings{vars: map[string]string{}, unseen: map[string]bool{}, opaque: c == nil}
	if c == nil {
		c = &corev1.Container{}
	}
	for _, name := range references(c) {
		if err := configMaps[name].err; err != nil && !apierrors.IsNotFound(err) {
			s.errs = append(s.errs, err)
		}
	}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil {
			s.opaque = true
			continue
		}
		data, known := dataOf(configMaps, from.ConfigMapRef.Name)
		s.opaque = s.opaque || !known
		for k, v := range data {
			s.vars[from.Prefix+k] = v
		}
	}
	for _, e := range c.Env {
		value, known := e.Value, false
		switch {
		case e.ValueFrom == nil:
			known = !strings.Contains(value, "$(")
		case e.ValueFrom.ConfigMapKeyRef != nil:
			var data map[string]string
			data, _ = dataOf(configMaps, e.ValueFrom.ConfigMapKeyRef.Name)
			value, known = data[e.ValueFrom.ConfigMapKeyRef.Key]
		}
		if delete(s.vars, e.Name); known {
			s.vars[e.Name] = value
		}
		s.unseen[e.Name] = !known
	}
	s.config, s.err = serve.Load(func(name string) string { return s.vars[name] })
	return s
}

// dataOf is what a ConfigMap holds, and whether that is known. One that does not exist holds nothing.
func dataOf(all map[string]seen[*corev1.ConfigMap], name string) (data map[string]string, known bool) {
	m, found := all[name]
	switch {
	case !found:
		return nil, false
	case m.err == nil:
		return m.value.Data, true
	}
	return nil, apierrors.IsNotFound(m.err)
}

// references are the names of the ConfigMaps that a container's environment comes from, each once.
func references(c *corev1.Container) []string {
	if c == nil {
		return nil
	}
	var all []string
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil {
			all = append(all, from.ConfigMapRef.Name)
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
			all = append(all, e.ValueFrom.ConfigMapKeyRef.Name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// defaults are amp's settings where no variable is set.
func defaults() *serve.Config {
	c, _ := serve.Load(func(string) string { return "" }) // a test of serve shows that it is valid
	return c
}

// doubt says why config does not tell what amp makes of a variable, empty if it does.
func (s *settings) doubt(name string) string {
	var bad *serve.Bad
	_, set := s.vars[name]
	switch {
	case errors.As(s.err, &bad) && slices.Contains(bad.Variables, name):
		return "is bad"
	case set:
		return ""
	case s.unseen[name]:
		return "is set where it cannot be seen"
	case s.opaque:
		return "may be set where it cannot be seen"
	}
	return ""
}
