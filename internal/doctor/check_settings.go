package doctor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
)

// checkSettings judges whether amp starts with the variables of its Deployment. The error may quote a value, but none of
// a Secret. It also says which of them the ready replicas do not run with.
func checkSettings(s *observed) Finding {
	set := &s.wanted
	f := Finding{Subject: s.fix.subject(), Status: OK, Message: "amp's environment variables are valid"}
	if set.opaque || slices.Contains(slices.Collect(maps.Values(set.unseen)), true) {
		f.Message += ", as far as they can be seen"
	}
	var unread []string
	for _, err := range set.errs {
		unread = append(unread, err.Error())
	}
	if len(unread) > 0 {
		f.Message += ": " + strings.Join(unread, "; ")
	}
	var bad *serve.Bad
	if !errors.As(set.err, &bad) {
		if names := s.differing(); len(names) > 0 {
			f.Message += "; the ready replicas run with another value of " + strings.Join(names, ", ") + ", until the rollout is finished"
		}
		return f
	}
	text := strings.ReplaceAll(strings.TrimPrefix(set.err.Error(), "reading the configuration:\n"), "\n", "; ")
	// A variable may depend on one that cannot be seen.
	for _, name := range bad.Variables {
		if _, known := set.vars[name]; !known && (set.unseen[name] || set.opaque) {
			f.Status, f.Message = Skipped, "not checked: "+name+" may be set where it cannot be seen"
			if len(unread) > 0 {
				f.Message += " (" + strings.Join(unread, "; ") + ")"
			}
			f.Message += "; without it: " + text
			return f
		}
	}
	f.Status, f.Message = Failed, "amp does not start with its environment variables: "+text
	var assignments []string
	for _, name := range bad.Variables {
		assignments = append(assignments, name+"=VALUE")
	}
	f.Remedy = s.fix.set(assignments...)
	return f
}

// differing are the variables that the ready replicas do not have as the Deployment says.
func (s *observed) differing() []string {
	all := map[string]bool{}
	for _, from := range []*settings{&s.settings, &s.wanted} {
		for name := range from.vars {
			all[name] = true
		}
		for name := range from.unseen {
			all[name] = true
		}
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool { return s.pending(name) == "" })
}

// checkEventsSource warns if events do not say which cluster they are from. In a store for several clusters, the source
// is all that tells them apart.
func checkEventsSource(s *observed) Finding {
	const name = "AMP_EVENTS_SOURCE"
	f, known := s.eventsFinding(name)
	switch {
	case !known:
	case s.settings.config.EventsSource.String() != defaults().EventsSource.String():
		f.Message = "events name " + s.settings.config.EventsSource.String() + " as their source"
	case s.pending(name) != "":
		f.Message = name + " is still the default in the ready replicas; " + s.pending(name) + ", which is not rolled out yet, changes it"
	default:
		f.Status, f.Message = Warning, name+" is still the default: events do not say which cluster they are from"
		f.Remedy = s.fix.set(name + "=https://CLUSTER.example.com/amp")
	}
	return f
}

// checkEventsSink says where events go. Stdout is as good as a sink. If the sink is a Service, it must be there: amp keeps
// events only for a while. With AMP_EVENTS=required no Pod is changed without the sink.
func checkEventsSink(s *observed) Finding {
	const name = "K_SINK"
	f, known := s.eventsFinding(name)
	switch {
	case !known:
		return f
	case s.settings.config.Sink == nil:
		f.Message = name + " is not set: events go to stdout only, one JSON line each"
		return f
	}
	f.Message = "events go to " + review.NewEndpoint(s.settings.config.Sink).Name
	missing := s.sinkMissing()
	if missing == "" {
		return f
	}
	f.Status, f.Message = Warning, f.Message+", but "+missing+": they are lost"
	if s.settings.config.Events == serve.EventsRequired {
		f.Status, f.Message = Failed, strings.TrimSuffix(f.Message, "they are lost")+"with AMP_EVENTS=required each mutation fails"
	}
	f.Remedy = "deploy the sink, or name another:\n" + s.fix.set(name+"=http://SERVICE.NAMESPACE.svc/PATH")
	if pending := s.pending(name); pending != "" {
		f.Remedy = pending + " changes " + name + ": see why it is not rolled out, under replicas"
	}
	return f
}

// sinkMissing is why nothing takes the events, empty if something does, or if that is unknown.
func (s *observed) sinkMissing() string {
	if s.sink == nil {
		return ""
	}
	port := int32(outbound.Port(s.settings.config.Sink))
	switch {
	case apierrors.IsNotFound(s.sink.service.err):
		return "there is no such Service"
	case s.sink.service.err != nil:
		return ""
	case s.sink.port(port) == nil && !s.sink.headless():
		return fmt.Sprintf("that Service has %s, not %d", s.sink.ports(), port)
	case s.sink.slices.err == nil && len(s.sink.ready(port)) == 0:
		return "no Pod behind that Service is ready"
	}
	return ""
}

// eventsFinding is what can be said of a variable of events without its value: that there are no events, or that the
// value is unknown. It reports true if the value is known.
func (s *observed) eventsFinding(name string) (Finding, bool) {
	f := Finding{Subject: s.fix.subject(), Status: OK}
	if s.settings.config.Events == serve.EventsOff {
		f.Message = "AMP_EVENTS is off: there are no events"
		return f, false
	}
	if doubt := s.settings.doubt(name); doubt != "" {
		f.Status, f.Message = Skipped, "not checked: "+name+" "+doubt
		return f, false
	}
	return f, true
}
