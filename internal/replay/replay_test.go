package replay_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/txn2/amp/internal/replay"
	"github.com/txn2/amp/internal/review"
)

// TestVerdicts: of each pair of answers, the report says how the new one stands to the recorded one.
func TestVerdicts(t *testing.T) {
	const images = `[{"op":"replace","path":"/spec/containers/0/image","value":"registry.example/web:2"}]`
	cases := map[string]struct {
		before, after string
		want          replay.Verdict
	}{
		"the same":                       {labels, labels, replay.Same},
		"no change, twice":               {`[]`, `null`, replay.Same},
		"the same Pod by other ops":      {labels, `[{"op":"add","path":"/metadata/labels","value":{"app":"web","team":"red"}}]`, replay.Same},
		"another value":                  {labels, strings.Replace(labels, "red", "blue", 1), replay.Differs},
		"another place":                  {labels, images, replay.Differs},
		"no change any more":             {labels, `[]`, replay.Differs},
		"a change now":                   {`[]`, labels, replay.Differs},
		"denied now":                     {labels, denies, replay.NewlyDenied},
		"denied instead of failed":       {broken, denies, replay.NewlyDenied},
		"fails now":                      {labels, broken, replay.NewlyFails},
		"fails instead of a denial":      {denies, broken, replay.NewlyFails},
		"denied as before":               {denies, denies, replay.Same},
		"denied with another message":    {denies, strings.Replace(denies, "GPUs", "CPUs", 1), replay.Same},
		"admitted, and was denied":       {denies, labels, replay.NoLongerDenied},
		"admitted, and failed":           {broken, `[]`, replay.NoLongerFails},
		"fails as before":                {broken, broken, replay.StillFails},
		"a patch that amp does not take": {labels, `[{"op":"add","path":"/spec/hostNetwork","value":true}]`, replay.NewlyFails},
	}
	before, after := endpoint{}, endpoint{}
	var pods []json.RawMessage
	for name, c := range cases {
		before[name], after[name] = c.before, c.after
		pods = append(pods, aPod(strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(name)), name))
	}
	old, _ := before.serve(t)
	fresh, got := after.serve(t)
	for policy, annotations := range map[string]map[string]string{"": {"amp.txn2.com/ep": old}, "in shadow mode": {"amp.txn2.com/ep": old, "amp.txn2.com/mode": "shadow"}} {
		t.Run("recorded "+policy, func(t *testing.T) {
			report, err := ask(t, lines(record(t, review.LevelFull, annotations, pods...)...), nil, fresh)
			if err != nil {
				t.Fatal(err)
			}
			verdicts := map[string]replay.Verdict{}
			for _, g := range report.Groups {
				for _, e := range g.Examples {
					verdicts[strings.TrimPrefix(e.Pod, "team-a/")] = g.Verdict
					if len(e.Differences) == 0 || e.Event == "" {
						t.Errorf("%+v", e)
					}
				}
			}
			for name, c := range cases {
				pod := strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(name))
				verdict := verdicts[pod]
				if verdict == "" {
					verdict = replay.Same
				}
				if verdict != c.want {
					t.Errorf("%s: %s, want %s", name, verdict, c.want)
				}
			}
			if report.Replayed != len(cases) || report.Events != len(cases) || len(report.Left) > 0 || report.Stopped != "" || !report.Differ() {
				t.Errorf("%+v", report)
			}
			var text strings.Builder
			if err := report.WriteText(&text); err != nil || !strings.Contains(text.String(), "NEWLY DENIED") {
				t.Errorf("%v: %s", err, text.String())
			}
		})
	}
	if got.dryRun["false"] > 0 || got.dryRun["true"] != 2*len(cases) {
		t.Errorf("the new version was called with ce-dryrun %v", got.dryRun)
	}
	if len(got.users) != 1 || !got.users["jane in team-a"] {
		t.Errorf("as %v", got.users)
	}
}

// TestEveryCallIsADryRun: the endpoint gets no more calls than there are Pods, and each says that it must have no effect.
func TestEveryCallIsADryRun(t *testing.T) {
	old, before := endpoint{}.serve(t)
	var pods []json.RawMessage
	for i := range 50 {
		pods = append(pods, aPod(fmt.Sprintf("web-%d", i), ""))
	}
	events := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": old}, pods...)
	if before.dryRun["false"] != len(pods) {
		t.Fatalf("recorded with ce-dryrun %v", before.dryRun)
	}
	fresh, after := endpoint{}.serve(t)
	report, err := ask(t, lines(events...), nil, fresh)
	if err != nil || report.Pods[replay.Same] != len(pods) || report.Differ() {
		t.Errorf("%v: %+v", err, report)
	}
	if after.dryRun["true"] != len(pods) || len(after.dryRun) != 1 {
		t.Errorf("called with ce-dryrun %v", after.dryRun)
	}
	for _, g := range report.Groups {
		t.Errorf("%+v", g)
	}
}

// TestAChainStandsAgainstAChain: the endpoints are compared with all of the recorded ones together.
func TestAChainStandsAgainstAChain(t *testing.T) {
	first, _ := endpoint{}.serve(t)
	second, _ := endpoint{"": `[{"op":"add","path":"/metadata/annotations/x","value":"y"}]`}.serve(t)
	both, _ := endpoint{"": `[{"op":"add","path":"/metadata/annotations/x","value":"y"},{"op":"add","path":"/metadata/labels/team","value":"red"}]`}.serve(t)
	events := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": first + " " + second}, aPod("web", ""))
	for name, chain := range map[string][]string{"one for both": {both}, "both": {first, second}} {
		if report, err := ask(t, lines(events...), nil, chain...); err != nil || report.Pods[replay.Same] != 1 {
			t.Errorf("%s: %v: %+v", name, err, report)
		}
	}
	if report, err := ask(t, lines(events...), nil, first); err != nil || report.Pods[replay.Differs] != 1 {
		t.Errorf("half of it: %v: %+v", err, report)
	}
}

// TestLimit: no more Pods are asked about, and the report says that there are more.
func TestLimit(t *testing.T) {
	u, got := endpoint{}.serve(t)
	var pods []json.RawMessage
	for i := range 30 {
		pods = append(pods, aPod(fmt.Sprintf("web-%d", i), ""))
	}
	events := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, pods...)
	for limit, stopped := range map[int]string{7: "--limit 7: there are more events", 30: "", 0: ""} {
		got.dryRun["true"] = 0
		report, err := ask(t, lines(events...), func(c *replay.Config) { c.Limit = limit }, u)
		want := limit
		if limit == 0 {
			want = len(pods)
		}
		if err != nil || report.Replayed != want || report.Stopped != stopped || got.dryRun["true"] != want {
			t.Errorf("limit %d: %v: %+v, %d calls", limit, err, report, got.dryRun["true"])
		}
	}
}

// TestAnEndpointThatDoesNotAnswer: the replay does not wait for each Pod in turn.
func TestAnEndpointThatDoesNotAnswer(t *testing.T) {
	u, _ := endpoint{}.serve(t)
	var pods []json.RawMessage
	for i := range 200 {
		pods = append(pods, aPod(fmt.Sprintf("web-%d", i), ""))
	}
	events := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, pods...)

	if report, err := ask(t, lines(events...), nil, "http://127.0.0.1:1/"); report != nil || err == nil || !strings.HasPrefix(err.Error(), "the endpoint does not answer: ") {
		t.Errorf("%v: %+v", err, report)
	}
	var n atomic.Int64
	dies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) > 10 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(dies.Close)
	report, err := ask(t, lines(events...), nil, dies.URL)
	if err != nil || !report.Differ() || !strings.HasPrefix(report.Stopped, "the endpoint stopped to answer: 20 calls in a row") || report.Replayed >= len(pods) {
		t.Errorf("%v: %+v", err, report)
	}
}

// TestSecretsAreShownNowhere: a secret that a patch puts at a place where values are shown stays hidden, unless all values are
// to be shown. So do the names that it becomes.
func TestSecretsAreShownNowhere(t *testing.T) {
	const copied = `[{"op":"copy","from":"/spec/containers/0/env/0/value","path":"/metadata/labels/LABEL"}]`
	const moved = `[{"op":"add","path":"/spec/volumes","value":[]},{"op":"add","path":"/spec/volumes/-","value":{"name":"v","emptyDir":{}}},` +
		`{"op":"copy","from":"/spec/containers/0/env/0/value","path":"/spec/volumes/0/name"}]`
	for sentence, test := range map[string]struct{ old, fresh string }{
		"the new one copies it":    {labels, strings.Replace(copied, "LABEL", "team", 1)},
		"the old one copied it":    {strings.Replace(copied, "LABEL", "team", 1), labels},
		"both copy it":             {strings.Replace(copied, "LABEL", "a", 1), strings.Replace(copied, "LABEL", "b", 1)},
		"it becomes a name":        {labels, moved},
		"what has it as its name":  {moved, strings.Replace(moved, "emptyDir", "hostPath", 1)},
		"it was a name, and gone":  {moved, `[]`},
		"it is replaced elsewhere": {labels, `[{"op":"replace","path":"/spec/containers/0/env/0/value","value":"secret2"}]`},
	} {
		t.Run(sentence, func(t *testing.T) {
			old, _ := endpoint{"": test.old}.serve(t)
			fresh, _ := endpoint{"": test.fresh}.serve(t)
			events := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": old}, aPod("web", ""))
			for all, want := range map[bool]bool{false: false, true: true} {
				report, err := ask(t, lines(events...), func(c *replay.Config) { c.ShowValues = all }, fresh)
				if err != nil || report.Pods[replay.Differs] != 1 {
					t.Fatalf("%v: %+v", err, report)
				}
				text, err := json.Marshal(report)
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Contains(string(text), "secret"); got != want {
					t.Errorf("with --show-values=%t: %s", all, text)
				}
			}
		})
	}
}
