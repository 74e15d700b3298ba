package audit

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
)

// filterParameters are the parameters that every list takes.
var filterParameters = []string{"namespace", "pod", "outcome", "endpoint", "user", "from", "to"}

// positionParameters say where an answer begins. An empty one is the position of a caller who has none yet.
var positionParameters = []string{"cursor", "after"}

// parseFilter reads a filter from the query of an address. It allows the parameters of a filter and others, and
// no more: if it ignored one that is misspelt, the answer would hold everything.
func parseFilter(q url.Values, now time.Time, others ...string) (store.Filter, error) {
	var f store.Filter
	if err := checkParameters(q, slices.Concat(filterParameters, others)); err != nil {
		return f, err
	}
	f.Namespace = strings.TrimSpace(q.Get("namespace"))
	f.Pod = strings.ToLower(strings.TrimSpace(q.Get("pod")))
	f.Endpoint = strings.TrimSpace(q.Get("endpoint"))
	f.User = strings.TrimSpace(q.Get("user"))
	var err error
	if f.Outcomes, err = parseOutcomes(q["outcome"]); err != nil {
		return f, err
	}
	if f.From, err = parseTime("from", q.Get("from"), now); err != nil {
		return f, err
	}
	if f.To, err = parseTime("to", q.Get("to"), now); err != nil {
		return f, err
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return f, bad("parameters from and to: from has to be before to")
	}
	return f, nil
}

// parseQuery reads the query of an address. [url.URL.Query] leaves out what it cannot read: without a filter that is left
// out, the answer would hold everything.
func parseQuery(r *http.Request) (url.Values, error) {
	q := url.Values{}
	for i, part := range strings.Split(r.URL.RawQuery, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || strings.Contains(part, ";") || !utf8.ValidString(name) {
			return nil, bad("parameter %d of the query, %.60q, cannot be read: want name=value, with %%XX for what is not a letter or a digit", i+1, part)
		}
		if value, err = url.QueryUnescape(value); err != nil || !utf8.ValidString(value) {
			return nil, bad("parameter %.60s: its value cannot be read: want UTF-8, with %%XX for what is not a letter or a digit", name)
		}
		q.Add(name, value)
	}
	return q, nil
}

func checkParameters(q url.Values, allowed []string) error {
	for name, values := range q {
		if !slices.Contains(allowed, name) {
			return bad("unknown parameter %.60q: %s", name, known(allowed))
		}
		if len(values) > 1 && name != "outcome" {
			return bad("parameter %s: it is there %d times, want it once", name, len(values))
		}
		for _, v := range values {
			switch {
			case len(v) > maxText:
				return bad("parameter %s: it is longer than %d bytes", name, maxText)
			case v == "" && slices.Contains(positionParameters, name):
			case strings.Trim(v, " ,\t\r\n") == "":
				// A variable of the caller's was not set. It must not lead to more than was asked for.
				advice := "give it a value, or leave it out"
				if slices.Contains(filterParameters, name) {
					advice = "leave it out if you want all events"
				}
				return bad("parameter %s: it is empty: %s", name, advice)
			}
		}
	}
	return nil
}

// known says which parameters there are.
func known(allowed []string) string {
	switch len(allowed) {
	case 0:
		return "there is none here"
	case 1:
		return "there is " + allowed[0]
	}
	return "there are " + strings.Join(allowed, ", ")
}

// parseOutcomes reads outcomes that are separated by commas, or given one by one.
func parseOutcomes(lists []string) (all []string, err error) {
	for _, list := range lists {
		for o := range strings.SplitSeq(list, ",") {
			switch o = strings.TrimSpace(o); {
			case o == "":
			case !slices.Contains(outcome.All, o):
				return nil, bad("parameter outcome: %.40q is not an outcome: want one or several, separated by commas, of %s", o, strings.Join(outcome.All, ", "))
			case !slices.Contains(all, o):
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// parseTime reads a point in time, or how long ago it was.
func parseTime(name, v string, now time.Time) (time.Time, error) {
	if v = strings.TrimSpace(v); v == "" {
		return time.Time{}, nil
	}
	// A plus sign that was not escaped in the address has become a blank.
	t, err := time.Parse(time.RFC3339, strings.Replace(v, " ", "+", 1))
	if err != nil {
		ago, ok := events.ParseAgo(v)
		if !ok {
			return time.Time{}, bad("parameter %s: %.60q is not a time: want one as in RFC 3339 (2026-01-31T15:04:05Z), or how long ago (15m, 1h30m, 7d)", name, v)
		}
		t = now.Add(-ago)
	}
	// A store need not hold other times.
	if t.Year() < 1970 || t.Year() > 3000 {
		return time.Time{}, bad("parameter %s: want a time between the years 1970 and 3000", name)
	}
	return t, nil
}
