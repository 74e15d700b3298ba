package replay_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/replay"
	"github.com/txn2/amp/internal/review"
)

// edit changes an event, or its data if the field begins with "data.".
func edit(t *testing.T, event string, fields map[string]any) string {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(event), &e); err != nil {
		t.Fatal(err)
	}
	for field, value := range fields {
		in := e
		if name, is := strings.CutPrefix(field, "data."); is {
			in, field = e["data"].(map[string]any), name
		}
		if in[field] = value; value == nil {
			delete(in, field)
		}
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestWhatIsNotReplayed: each event that cannot be replayed is counted, with the reason.
func TestWhatIsNotReplayed(t *testing.T) {
	u, got := endpoint{"denied": denies}.serve(t)
	ep := map[string]string{"amp.txn2.com/ep": u}
	recorded := record(t, review.LevelFull, ep, aPod("web", ""), aPod("db", "denied"))
	event, denied := recorded[0], recorded[1]
	for name, c := range map[string]struct {
		event string
		want  replay.Left // empty: it is replayed
	}{
		"as recorded":                         {event, ""},
		"with its data in Base64":             {edit(t, event, map[string]any{"data": nil, "data_base64": data(t, event)}), ""},
		"as the audit function shows one":     {`{"item":{},"event":` + event + `,"changes":[]}`, ""},
		"below level Full":                    {record(t, review.LevelPatch, ep, aPod("web", ""))[0], replay.LeftLevel},
		"at level Metadata":                   {record(t, review.LevelMetadata, ep, aPod("web", ""))[0], replay.LeftLevel},
		"without its Pod":                     {edit(t, denied, map[string]any{"data.object": nil}), replay.LeftNoPod},
		"a Pod that is none":                  {edit(t, denied, map[string]any{"data.object": []int{1}}), replay.LeftNoPod},
		"redacted":                            {strings.ReplaceAll(event, `"secret"`, `"[redacted]"`), replay.LeftRedacted},
		"a redacted patch":                    {strings.ReplaceAll(event, `"red"`, `"[redacted]"`), replay.LeftRedacted},
		"without an outcome":                  {edit(t, event, map[string]any{"data.outcome": nil}), replay.LeftNoOutcome},
		"of an outcome that no one knows":     {edit(t, event, map[string]any{"data.outcome": "frozen"}), replay.LeftNoOutcome},
		"validated":                           {edit(t, event, map[string]any{"type": "com.txn2.amp.pod.validated.v1", "data.operation": "validate", "data.outcome": "validated"}), replay.LeftValidate},
		"denied by a validation endpoint":     {edit(t, denied, map[string]any{"data.operation": "validate"}), replay.LeftValidate},
		"a candidate's":                       {edit(t, event, map[string]any{"type": "com.txn2.amp.pod.compared.v1"}), replay.LeftCompared},
		"the namespace had a bad value":       {edit(t, denied, map[string]any{"type": "com.txn2.amp.pod.rejected.v1", "data.outcome": "rejected", "data.endpoints": []any{}}), replay.LeftOutside},
		"the same, failed open":               {edit(t, denied, map[string]any{"type": "com.txn2.amp.pod.failedopen.v1", "data.outcome": "failedopen", "data.endpoints": []any{}}), replay.LeftOutside},
		"the same, in shadow mode":            {edit(t, denied, map[string]any{"type": "com.txn2.amp.pod.shadowed.v1", "data.outcome": "shadowed", "data.endpoints": []any{}}), replay.LeftOutside},
		"a patch that does not apply":         {strings.ReplaceAll(event, `/metadata/labels/team`, `/spec/nowhere/9`), replay.LeftBroken},
		"a line of amp's log":                 {`{"time":"2026-11-23T06:37:00Z","level":"INFO","msg":"review","uid":"1","event":"1"}`, replay.LeftLog},
		"another CloudEvent":                  {edit(t, event, map[string]any{"type": "com.example.other"}), replay.LeftUnreadable},
		"an event without an id":              {edit(t, event, map[string]any{"id": nil}), replay.LeftUnreadable},
		"data of another form":                {edit(t, event, map[string]any{"data": 7}), replay.LeftUnreadable},
		"half a line":                         {event[:len(event)/2], replay.LeftUnreadable},
		"text":                                {"Defaulted container", replay.LeftUnreadable},
		"a list of the audit function's page": {`{"items":[{"id":"uid-0000"}],"next":"x"}`, replay.LeftUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			clear(got.dryRun)
			report, err := ask(t, lines(c.event), nil, u)
			switch {
			case err != nil:
				t.Fatal(err)
			case c.want == "" && (report.Replayed != 1 || len(report.Left) > 0):
				t.Errorf("%+v", report)
			case c.want == "":
			case report.Replayed != 0 || len(report.Left) != 1 || report.Left[0].Kind != string(c.want) || len(got.dryRun) > 0:
				t.Errorf("%+v, called %v", report, got.dryRun)
			case len(report.Left[0].Examples) != 1 || report.Left[0].Examples[0].Event == "" && report.Left[0].Examples[0].Where != "line 1":
				t.Errorf("%+v", report.Left[0].Examples)
			}
		})
	}
}

// data is the data of an event.
func data(t *testing.T, event string) []byte {
	t.Helper()
	var e struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(event), &e); err != nil {
		t.Fatal(err)
	}
	return e.Data
}

// TestTheLastVerdictCounts: an event counts once, and a final verdict in place of the one that it supersedes.
func TestTheLastVerdictCounts(t *testing.T) {
	u, _ := endpoint{"other": `[]`}.serve(t)
	now, _ := endpoint{}.serve(t)
	event := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, aPod("web", "other"))[0]
	final := edit(t, event, map[string]any{"id": "uid-0000/final", "type": "com.txn2.amp.pod.rejected.v1", "data.outcome": "rejected", "data.patch": nil,
		"data.message": "amp: event sink http://sink gave no answer within 1s"})
	failed := edit(t, final, map[string]any{"data.endpoints": []any{map[string]any{"url": u, "durationMs": 1, "ops": 0, "error": "no answer"}}})
	elsewhere := edit(t, event, map[string]any{"source": "https://amp.example/b"})
	for name, c := range map[string]struct {
		events   []string
		verdicts map[replay.Verdict]int
		left     map[replay.Left]int
	}{
		"once":                               {[]string{event}, map[replay.Verdict]int{replay.Differs: 1}, nil},
		"twice":                              {[]string{event, event}, map[replay.Verdict]int{replay.Differs: 1}, map[replay.Left]int{replay.LeftDuplicate: 1}},
		"the same id of two sources":         {[]string{event, elsewhere}, map[replay.Verdict]int{replay.Differs: 2}, nil},
		"superseded later":                   {[]string{event, failed}, map[replay.Verdict]int{replay.NoLongerFails: 1}, map[replay.Left]int{replay.LeftSuperseded: 1}},
		"superseded before":                  {[]string{failed, event}, map[replay.Verdict]int{replay.NoLongerFails: 1}, map[replay.Left]int{replay.LeftSuperseded: 1}},
		"superseded, and again":              {[]string{failed, event, event, failed}, map[replay.Verdict]int{replay.NoLongerFails: 1}, map[replay.Left]int{replay.LeftSuperseded: 1, replay.LeftDuplicate: 2}},
		"by a sink that did not answer":      {[]string{event, final}, nil, map[replay.Left]int{replay.LeftSuperseded: 1, replay.LeftOutside: 1}},
		"not by the event of another source": {[]string{elsewhere, failed}, map[replay.Verdict]int{replay.Differs: 1, replay.NoLongerFails: 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			// One after the other and at the same time: the order in which answers come does not matter.
			for _, parallel := range []int{1, 8} {
				report, err := ask(t, lines(c.events...), func(config *replay.Config) { config.Parallel = parallel }, now)
				if err != nil {
					t.Fatal(err)
				}
				left := map[replay.Left]int{}
				for _, g := range report.Left {
					left[replay.Left(g.Kind)] = g.Count
				}
				if fmt.Sprint(left) != fmt.Sprint(c.left) && len(left)+len(c.left) > 0 || report.Events != len(c.events) {
					t.Errorf("%d at a time: left %v, want %v", parallel, left, c.left)
				}
				sum, examples := 0, 0
				for verdict, n := range report.Pods {
					if sum += n; n != c.verdicts[verdict] {
						t.Errorf("%d at a time: %d %s, want %d", parallel, n, verdict, c.verdicts[verdict])
					}
				}
				for _, g := range report.Groups {
					examples += len(g.Examples)
				}
				if sum != report.Replayed || examples != sum {
					t.Errorf("%d at a time: %+v", parallel, report)
				}
			}
		})
	}
}
