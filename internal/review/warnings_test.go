package review_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/txn2/amp/internal/review"
)

const eventID = "6dd84eb1-9610-42c8-9379-4f4257fa319f"

// ignored is the warning of a review that failed under Ignore.
func ignored(t testing.TB, endpointURL, cause, event string) string {
	t.Helper()
	run := review.Run{Err: errors.New(cause)}
	if endpointURL != "" {
		run = review.Run{Steps: []review.Step{{Endpoint: endpoint(t, endpointURL), Err: errors.New(cause), Warnings: []string{"of the step"}}}}
	}
	v := review.Decide(&review.Review{Phase: review.Mutate}, &review.Plan{Policy: &review.Policy{}, FailurePolicy: review.Ignore, Event: event}, &run)
	if len(v.Warnings) != 1 {
		t.Fatalf("warnings %q", v.Warnings)
	}
	return v.Warnings[0]
}

func TestIgnoredWarning(t *testing.T) {
	const begin = "amp: not mutated: "
	x := func(n int) string { return strings.Repeat("x", n) }
	long := "http://" + strings.Repeat("very-", 60) + "long.team-a.svc.cluster.local:8080/mutate"
	for sentence, test := range map[string]struct{ endpoint, cause, event, want string }{
		"the cause, the endpoint and the event": {"http://u:p@a/m?q", "answered 500", eventID, begin + "answered 500 (endpoint http://a/m, event " + eventID + ")"},
		"without an event":                      {"http://a/m", "answered 500", "", begin + "answered 500 (endpoint http://a/m)"},
		"without an endpoint":                   {"", "reading namespace x", eventID, begin + "reading namespace x (event " + eventID + ")"},
		"with neither":                          {"", "reading namespace x", "", begin + "reading namespace x"},
		"a cause in lines":                      {"http://a/m", "one\ntwo\x00\tthree", "", begin + "one two three (endpoint http://a/m)"},
		"today's worst": {"http://127.0.0.1:33359/nodename",
			`op 1 (add "/spec/nodeName"): an endpoint may not change "/spec/nodeName" (AMP_PATCH_DENY)`, eventID,
			begin + `op 1 (add "/spec/nodeName"): an endpoint may not change "/spec/nodeName" (AMP_PATCH_DENY) (endpoint http://127.0.0.1:33359/nodename, event ` + eventID + ")"},
		"an event that does not fit is left out": {"http://a/m", x(190), eventID, begin + x(190) + " (endpoint http://a/m)"},
		"an endpoint that does not fit is cut in its middle": {long, x(100), eventID,
			begin + x(100) + " (endpoint http://very-very-very-very-very-very-very-very-very-very-very-v…-very-very-very-very-long.team-a.svc.cluster.local:8080/mutate)"},
		"an endpoint without room is left out, the event may fit": {long, x(205), "e-1", begin + x(205) + " (event e-1)"},
		"with no room for either":                                 {long, x(230), eventID, begin + x(230)},
		"a cause that just fits":                                  {"http://a/m", x(256 - len(begin)), eventID, begin + x(256-len(begin))},
		"a cause that does not is cut":                            {"http://a/m", x(300), eventID, begin + x(256-len(begin)-1) + "…"},
		"characters count, not bytes":                             {"http://a/m", strings.Repeat("ö", 200), "", begin + strings.Repeat("ö", 200) + " (endpoint http://a/m)"},
		"a cut is never within a character":                       {"http://a/m", strings.Repeat("日", 300), "", begin + strings.Repeat("日", 256-len(begin)-1) + "…"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ignored(t, test.endpoint, test.cause, test.event)); diff != "" {
				t.Errorf("warning (-want +got):\n%s", diff)
			}
		})
	}
}

// An answer has at most 32 warnings of at most 256 characters, and says how many more there were.
func TestWarningsAreBounded(t *testing.T) {
	many := func(n int) []string { return strings.Split(strings.TrimSuffix(strings.Repeat("w,", n), ","), ",") }
	step := func(n, more int) review.Step { return review.Step{Warnings: many(n), MoreWarnings: more} }
	for sentence, test := range map[string]struct {
		plan    []string
		steps   []review.Step
		explain bool
		count   int
		last    string
	}{
		"as many as may be":                       {nil, []review.Step{step(32, 0)}, false, 32, "w"},
		"one too many":                            {nil, []review.Step{step(32, 1)}, false, 32, "amp: 2 more warnings"},
		"of a chain":                              {nil, []review.Step{step(20, 0), step(20, 0)}, false, 32, "amp: 9 more warnings"},
		"of a chain of which both have too many":  {nil, []review.Step{step(32, 100), step(32, 8)}, false, 32, "amp: 141 more warnings"},
		"with amp's own":                          {[]string{"amp: own"}, []review.Step{step(32, 0)}, false, 32, "amp: 2 more warnings"},
		"with an explanation, for which one goes": {nil, []review.Step{step(32, 0)}, true, 32, "amp: 2 more warnings"},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := &review.Review{Phase: review.Mutate, DryRun: test.explain, Explain: test.explain}
			v := review.Decide(r, &review.Plan{Policy: &review.Policy{}, Warnings: test.plan}, &review.Run{Steps: test.steps})
			if len(v.Warnings) != test.count || v.Warnings[len(v.Warnings)-1] != test.last {
				t.Errorf("%d warnings: %q", len(v.Warnings), v.Warnings)
			}
			if len(test.plan) > 0 && v.Warnings[0] != test.plan[0] {
				t.Errorf("amp's own is not the first: %q", v.Warnings)
			}
			if test.explain && v.Warnings[0] != "amp: dry run, mutate: unchanged" {
				t.Errorf("the explanation is not the first: %q", v.Warnings)
			}
		})
	}
	long := review.Bounded([]string{strings.Repeat("日", 300), strings.Repeat("日", 256)}, 0, review.MaxWarnings)
	if long[0] != strings.Repeat("日", 255)+"…" || long[1] != strings.Repeat("日", 256) {
		t.Errorf("long warnings: %q", long)
	}
	if one := review.Bounded([]string{"w"}, 1, review.MaxWarnings); len(one) != 2 || one[1] != "amp: 1 more warning" {
		t.Errorf("one that was left out before: %q", one)
	}
}
