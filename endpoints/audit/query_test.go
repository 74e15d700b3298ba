package audit

import (
	"cmp"
	"net/http"
	"strings"
	"testing"
)

// TestAQueryThatDoesNotParseIsRefused on every route: if a filter were left out, the answer would hold everything.
func TestAQueryThatDoesNotParseIsRefused(t *testing.T) {
	t.Parallel()
	const all = "leave it out if you want all events"
	s := newServer(t, Config{})
	cluster(t, s)
	for name, tc := range map[string]struct{ query, want string }{
		"an escape that is none":           {"NAME=%zz", "parameter NAME: its value cannot be read"},
		"half an escape":                   {"NAME=a%2", "parameter NAME: its value cannot be read"},
		"bytes that are no text":           {"NAME=%ff", "parameter NAME: its value cannot be read"},
		"a name that cannot be read":       {"%zz=a", `parameter 1 of the query, \"%zz=a\", cannot be read`},
		"a semicolon":                      {"NAME=alice;x=y", `parameter 1 of the query, \"NAME=alice;x=y\", cannot be read`},
		"a bad one behind a good one":      {"NAME=alice&x=%", "parameter x: its value cannot be read"},
		"there twice":                      {"NAME=a&NAME=b", "parameter NAME: it is there 2 times, want it once"},
		"an unknown one":                   {"usr=alice", `unknown parameter \"usr\": there `},
		"an unknown one without a value":   {"usr", `unknown parameter \"usr\": there `},
		"a known one, spelt in upper case": {"USER=alice", `unknown parameter \"USER\": there `},
		"too long":                         {"NAME=" + strings.Repeat("x", maxText+1), "parameter NAME: it is longer than 4096 bytes"},
	} {
		for route, parameters := range map[string][]string{
			"/api/events": {"namespace", "pod", "endpoint", "user", "from", "to", "limit", "cursor", "format"}, "/api/events/stream": {"user", "after"}, "/api/stats": {"user", "to"},
			"/api/events/a": {"source"}, "/api/values": {"user"},
		} {
			for _, parameter := range parameters {
				t.Run(name+", "+parameter+" of "+route, func(t *testing.T) {
					w := do(t, s, "GET", route+"?"+strings.ReplaceAll(tc.query, "NAME", parameter), nil, nil)
					want := strings.ReplaceAll(tc.want, "NAME", parameter)
					if route == "/api/values" && !strings.Contains(tc.want, "cannot be read") {
						want = "unknown parameter"
					}
					if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
						t.Errorf("%d %s, want %s", w.Code, w.Body, want)
					}
				})
			}
		}
	}
	for target, want := range map[string]string{
		"events?user=": all, "events?user=%20": all, "events?outcome=,": all, "events?outcome=": all, "events?namespace=&user=alice": all, "events?pod=+": all, "events?from=": all, "events?endpoint": all,
		"events?cursor=+": "", "events?limit=": "", "events?format=": "", "events?format=ndjson&limit=": "",
		"events/stream?user=": all, "events/a?source=": "", "export?after=%09": "", "stats?to=": all,
	} {
		w := do(t, s, "GET", "/api/"+target, nil, nil)
		if want = cmp.Or(want, "give it a value, or leave it out"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), ": it is empty: "+want) {
			t.Errorf("%s: %d %s, want it to be empty: %s", target, w.Code, w.Body, want)
		}
	}
	for with, without := range map[string]string{"events?cursor=": "events", "events?cursor&limit=2": "events?limit=2", "export?after=": "export", "export?after": "export"} {
		got, want := do(t, s, "GET", "/api/"+with, nil, nil), do(t, s, "GET", "/api/"+without, nil, nil)
		if got.Code != http.StatusOK || got.Body.String() != want.Body.String() {
			t.Errorf("%s: %d %s, want %s", with, got.Code, got.Body, want.Body)
		}
	}
}
