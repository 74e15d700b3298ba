package store

import (
	"slices"
	"strings"
	"time"
)

// A Filter says which events are wanted. Its zero value wants all.
type Filter struct {
	Namespace string // a whole one
	// Pod is the beginning of a Pod's name, or of one of its parts, in lower case. A whole name also finds what
	// was answered before the API server made that name from a generateName.
	Pod      string
	Outcomes []string // any of them
	// Endpoint and User are whole values or, where no event has such a value, parts of one, in which the letters A to Z may
	// be large or small.
	Endpoint, User string
	From, To       time.Time // From is part of the range, To is not; zero: no bound
}

// All reports whether the filter wants every event of its range of time.
func (f *Filter) All() bool {
	return f.Namespace == "" && f.Pod == "" && len(f.Outcomes) == 0 && f.Endpoint == "" && f.User == ""
}

// Match reports whether an event is wanted. wholeEndpoint and wholeUser say that there are events with
// exactly the values of Endpoint and User, so that parts do not count. A store uses it for events as they
// arrive: it cannot know the names that the API server has yet to make.
func (f *Filter) Match(item *Item, wholeEndpoint, wholeUser bool) bool {
	at := item.Time.UnixMicro()
	return (f.From.IsZero() || at >= f.From.UnixMicro()) && (f.To.IsZero() || at < f.To.UnixMicro()) &&
		(f.Namespace == "" || item.Namespace == f.Namespace) &&
		(f.User == "" || matchText(item.User, f.User, wholeUser)) &&
		(len(f.Outcomes) == 0 || slices.Contains(f.Outcomes, item.Outcome)) &&
		(f.Endpoint == "" || slices.ContainsFunc(item.Endpoints, func(c Call) bool { return matchText(c.URL, f.Endpoint, wholeEndpoint) })) &&
		(f.Pod == "" || MatchPod(PodKey(item), f.Pod))
}

func matchText(value, want string, whole bool) bool {
	return value == want || !whole && strings.Contains(Fold(value), Fold(want))
}

// Fold makes the letters A to Z small, and no others: so does the function lower of SQL in SQLite. A store that folds by itself
// uses it, because a list must find what the stream shows.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
