package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/serve"
)

// settings are amp's environment variables as its Deployment sets them.
type settings struct {
	vars map[string]string
	// elsewhere are those set from a Secret, of which nobody looks at the value, or from what cannot be read.
	elsewhere map[string]string
	// config is what amp makes of them; err is why it does not start with them, bad are those to blame, without
	// which config then is.
	config *serve.Config
	err    error
	bad    []string
}

// read makes settings of a container's environment. Nil stands for the default's.
func read(c *corev1.Container, configMaps map[string]map[string]string) settings {
	s := settings{vars: map[string]string{}, elsewhere: map[string]string{}}
	if c == nil {
		c = &corev1.Container{}
	}
	for _, from := range c.EnvFrom {
		if ref := from.ConfigMapRef; ref != nil {
			for k, v := range configMaps[ref.Name] {
				s.vars[from.Prefix+k] = v
			}
		}
	}
	for _, e := range c.Env {
		delete(s.vars, e.Name)
		from := e.ValueFrom
		if from == nil {
			s.vars[e.Name] = e.Value
			continue
		}
		if ref := from.ConfigMapKeyRef; ref != nil {
			if v, ok := configMaps[ref.Name][ref.Key]; ok {
				s.vars[e.Name] = v
				continue
			}
		}
		s.elsewhere[e.Name] = "set from elsewhere"
	}
	if s.config, s.err = serve.Load(func(name string) string { return s.vars[name] }); s.err == nil {
		return s
	}
	// The other variables may be good, and other checks go by them.
	for name := range s.vars {
		if strings.Contains("\n"+s.err.Error(), "\n"+name+"=") {
			s.bad = append(s.bad, name)
		}
	}
	slices.Sort(s.bad)
	var err error
	if s.config, err = serve.Load(func(name string) string {
		if slices.Contains(s.bad, name) {
			return ""
		}
		return s.vars[name]
	}); err != nil {
		s.config = byDefault()
	}
	return s
}

// byDefault is what amp goes by where nothing is set. That it loads is a test's matter.
func byDefault() *serve.Config {
	c, err := serve.Load(func(string) string { return "" })
	if err != nil {
		panic(err)
	}
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
	if s.err == nil {
		return c
	}
	text := strings.TrimPrefix(s.err.Error(), "reading the configuration:\n")
	// Two variables may go together of which one cannot be seen.
	for name := range s.elsewhere {
		if strings.Contains(text, name) {
			c.Status, c.Message = Skipped, name+" is set from a Secret or what cannot be read, so that nobody can tell: "+text
			return c
		}
	}
	c.Status, c.Message = Failed, "amp does not start with its environment variables: "+strings.ReplaceAll(text, "\n", "; ")
	c.Remedy = fix.set(strings.Join(s.bad, "=VALUE ") + "=VALUE")
	if len(s.bad) == 0 {
		c.Remedy = fix.set("NAME=VALUE")
	}
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
	case s.elsewhere[name] != "":
		c.Message = name + " is " + s.elsewhere[name]
	case s.config.EventsSource == byDefault().EventsSource:
		c.Status, c.Message = Warning, name+" is still the default: events do not say which cluster they are from"
		c.Remedy = fix.set(name + "=https://CLUSTER.example.com/amp")
	default:
		c.Message = "events say that they are from " + s.config.EventsSource
	}
	return c
}

// checkEventsSink says where events go. Stdout is a place like another.
func checkEventsSink(s settings, fix remedies) Check {
	c := Check{ID: "events-sink", Subject: "deployment/" + fix.deployment, Status: OK, Message: "events go to K_SINK"}
	switch {
	case s.config.Events == serve.EventsOff:
		c.Message = "AMP_EVENTS is off: there are no events"
	case cmp.Or(s.config.Sink, s.elsewhere["K_SINK"]) == "":
		c.Message = "K_SINK is not set: events go to stdout only, one JSON line each"
	case s.config.Sink != "":
		c.Message = fmt.Sprintf("events go to %s", shown(s.config.Sink))
	}
	return c
}
