package doctor

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
)

// checkSettings judges whether amp starts with its variables. The error may quote a value, but none of a Secret.
func checkSettings(s *observed) Finding {
	set := &s.settings
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
	f.Remedy = s.fix.set(strings.Join(bad.Variables, "=VALUE ") + "=VALUE")
	return f
}

// checkEventsSource warns if events do not say which cluster they are from. In a store for several clusters, the source
// is all that tells them apart.
func checkEventsSource(s *observed) Finding {
	const name = "AMP_EVENTS_SOURCE"
	f, known := s.eventsFinding(name)
	switch {
	case !known:
	case s.settings.config.EventsSource.String() == defaults().EventsSource.String():
		f.Status, f.Message = Warning, name+" is still the default: events do not say which cluster they are from"
		f.Remedy = s.fix.set(name + "=https://CLUSTER.example.com/amp")
	default:
		f.Message = "events name " + s.settings.config.EventsSource.String() + " as their source"
	}
	return f
}

// checkEventsSink says where events go. Stdout is as good as a sink.
func checkEventsSink(s *observed) Finding {
	const name = "K_SINK"
	f, known := s.eventsFinding(name)
	switch {
	case !known:
	case s.settings.config.Sink != nil:
		f.Message = "events go to " + review.NewEndpoint(s.settings.config.Sink).Name
	default:
		f.Message = name + " is not set: events go to stdout only, one JSON line each"
	}
	return f
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
