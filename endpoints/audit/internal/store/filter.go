package store

import (
	"slices"
	"strings"
	"time"
)

// A Filter says which events are wanted. Its zero value wants all.
type Filter struct {
	// Namespace, Endpoint and User are whole values or, where no event has such a value, parts of one, in which the letters
	// A to Z may be large or small.
	Namespace, Endpoint, User string
	// Pod is a part of a Pod's name, in lower case. One or two characters are the beginning of the name, or of a part behind a
	// dash or a dot. A whole name also finds what was answered before the API server made that name from a generateName.
	Pod      string
	Outcomes []string  // any of them
	From, To time.Time // From is part of the range, To is not; zero: no bound
}

// Whole says for which values of a filter there are events with exactly that value, so that parts do not count.
type Whole struct{ Namespace, Endpoint, User bool }

// All reports whether the filter wants every event of its range of time.
func (f *Filter) All() bool {
	return f.Namespace == "" && f.Pod == "" && len(f.Outcomes) == 0 && f.Endpoint == "" && f.User == ""
}

// Match reports whether an event is wanted. A store uses it for events as they arrive: it cannot know the names that the
// API server has yet to make.
func (f *Filter) Match(item *Item, whole Whole) bool {
	at := item.Time.UnixMicro()
	return (f.From.IsZero() || at >= f.From.UnixMicro()) && (f.To.IsZero() || at < f.To.UnixMicro()) &&
		(f.Namespace == "" || matchText(item.Namespace, f.Namespace, whole.Namespace)) &&
		(f.User == "" || matchText(item.User, f.User, whole.User)) &&
		(len(f.Outcomes) == 0 || slices.Contains(f.Outcomes, item.Outcome)) &&
		(f.Endpoint == "" || slices.ContainsFunc(item.Endpoints, func(c Call) bool { return f.MatchCall(c.URL, whole) })) &&
		(f.Pod == "" || MatchPod(PodKey(item), f.Pod))
}

// MatchCall reports whether calls of the endpoint with a URL are wanted.
func (f *Filter) MatchCall(url string, whole Whole) bool {
	return f.Endpoint == "" || matchText(url, f.Endpoint, whole.Endpoint)
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
