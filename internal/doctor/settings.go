package doctor

import (
	"errors"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
)

// settings are amp's environment variables as its Deployment sets them.
type settings struct {
	vars map[string]string
	// unseen are those that are set and whose value nobody looks at or can: from a Secret, from what cannot be
	// read, or put together with others ($(NAME)).
	unseen map[string]bool
	// opaque: what cannot be seen may set any variable.
	opaque bool
	// config is what amp makes of them, without those that are bad, which err names.
	config *serve.Config
	err    error
}

// doubt says why the configuration does not tell what a variable is to amp; empty if it does.
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

// read makes settings of a container's environment, nil where that cannot be seen. The ConfigMaps are those that
// could be read.
func read(c *corev1.Container, configMaps map[string]map[string]string) settings {
	s := settings{vars: map[string]string{}, unseen: map[string]bool{}, opaque: c == nil}
	if c == nil {
		c = &corev1.Container{}
	}
	for _, from := range c.EnvFrom {
		var data map[string]string
		found := false
		if from.ConfigMapRef != nil {
			data, found = configMaps[from.ConfigMapRef.Name]
		}
		s.opaque = s.opaque || !found
		for k, v := range data {
			s.vars[from.Prefix+k] = v
		}
	}
	for _, e := range c.Env {
		value, found := e.Value, e.ValueFrom == nil
		if !found && e.ValueFrom.ConfigMapKeyRef != nil {
			value, found = configMaps[e.ValueFrom.ConfigMapKeyRef.Name][e.ValueFrom.ConfigMapKeyRef.Key]
		} else if found {
			found = !strings.Contains(value, "$(")
		}
		if delete(s.vars, e.Name); found {
			s.vars[e.Name] = value
		}
		s.unseen[e.Name] = !found
	}
	s.config, s.err = serve.Load(func(name string) string { return s.vars[name] })
	return s
}

// byDefault is what amp goes by where nothing is set.
func byDefault() *serve.Config {
	c, _ := serve.Load(func(string) string { return "" }) // which a test of serve's knows to be good
	return c
}

// references are the ConfigMaps that a container's environment comes from.
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
	return all
}

// checkSettings tells whether amp starts with its variables. Its error may quote a value, but none that came
// from a Secret.
func checkSettings(s settings, fix remedies) Check {
	c := Check{ID: "settings", Subject: "deployment/" + fix.deployment, Status: OK, Message: "amp's environment variables are good"}
	if s.opaque || slices.Contains(slices.Collect(maps.Values(s.unseen)), true) {
		c.Message += ", as far as they can be seen"
	}
	var bad *serve.Bad
	if !errors.As(s.err, &bad) {
		return c
	}
	text := strings.ReplaceAll(strings.TrimPrefix(s.err.Error(), "reading the configuration:\n"), "\n", "; ")
	// Two variables may go together of which one cannot be seen.
	for _, name := range bad.Variables {
		if _, set := s.vars[name]; !set && (s.unseen[name] || s.opaque) {
			c.Status, c.Message = Skipped, name+" may be set where it cannot be seen, so that nobody can tell: "+text
			return c
		}
	}
	c.Status, c.Message = Failed, "amp does not start with its environment variables: "+text
	c.Remedy = fix.set(strings.Join(bad.Variables, "=VALUE ") + "=VALUE")
	return c
}

// checkEventsSource warns where events do not say from which cluster they are: in a store that more than one
// cluster fills they are told apart by their source alone.
func checkEventsSource(s settings, fix remedies) Check {
	const name = "AMP_EVENTS_SOURCE"
	c := Check{ID: "events-source", Subject: "deployment/" + fix.deployment, Status: OK}
	switch {
	case s.config.Events == serve.EventsOff:
		c.Message = "AMP_EVENTS is off: there are no events"
	case s.doubt(name) != "":
		c.Status, c.Message = Skipped, "not looked at: "+name+" "+s.doubt(name)
	case s.config.EventsSource == byDefault().EventsSource:
		c.Status, c.Message = Warning, name+" is still the default: events do not say which cluster they are from"
		c.Remedy = fix.set(name + "=https://CLUSTER.example.com/amp")
	default:
		c.Message = "events say that they are from " + s.config.EventsSource.String()
	}
	return c
}

// checkEventsSink says where events go. Stdout is a place like another.
func checkEventsSink(s settings, fix remedies) Check {
	const name = "K_SINK"
	c := Check{ID: "events-sink", Subject: "deployment/" + fix.deployment, Status: OK}
	switch {
	case s.config.Events == serve.EventsOff:
		c.Message = "AMP_EVENTS is off: there are no events"
	case s.doubt(name) != "":
		c.Status, c.Message = Skipped, "not looked at: "+name+" "+s.doubt(name)
	case s.config.Sink != nil:
		c.Message = "events go to " + review.NewEndpoint(s.config.Sink).Name
	default:
		c.Message = name + " is not set: events go to stdout only, one JSON line each"
	}
	return c
}
