package describe_test

import (
	"encoding/json"
	"testing"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/events/describe"
)

func TestOperationsInWords(t *testing.T) {
	t.Parallel()
	const pod = `{"metadata":{"name":"p","labels":{"app":"x"}},"spec":{"nodeName":"n","containers":[
		{"name":"notebook","image":"a:1","env":[{"name":"OLD","value":"1"}],"resources":{"limits":{"cpu":"1"}}},{"name":"side"}],
		"initContainers":[{"name":"wait"}],"volumes":[{"name":"tmp"}],"tolerations":[{"key":"gpu"}]}}`
	v := func(s string) json.RawMessage { return json.RawMessage(s) }
	for want, op := range map[string]events.Op{
		`adds environment variable X to container notebook`:                               {Op: "add", Path: "/spec/containers/0/env/-", Value: v(`{"name":"X","value":"1"}`)},
		`adds environment variables A, B and C to container side`:                         {Op: "add", Path: "/spec/containers/1/env", Value: v(`[{"name":"A"},{"name":"B"},{"name":"C"}]`)},
		`adds an empty list of environment variables to container side`:                   {Op: "add", Path: "/spec/containers/1/env", Value: v(`[]`)},
		`sets optional of environment variable OLD on container notebook to true`:         {Op: "add", Path: "/spec/containers/0/env/0/optional", Value: v(`true`)},
		`changes value of environment variable OLD of container notebook from "1" to "2"`: {Op: "replace", Path: "/spec/containers/0/env/0/value", Value: v(`"2"`)},
		`removes environment variable OLD from container notebook`:                        {Op: "remove", Path: "/spec/containers/0/env/0"},
		`changes image of container notebook from "a:1" to "b:2"`:                         {Op: "replace", Path: "/spec/containers/0/image", Value: v(`"b:2"`)},
		`changes cpu limit of container notebook from "1" to "2"`:                         {Op: "add", Path: "/spec/containers/0/resources/limits/cpu", Value: v(`"2"`)},
		`sets nvidia.com/gpu limit on container notebook to 1`:                            {Op: "add", Path: "/spec/containers/0/resources/limits/nvidia.com~1gpu", Value: v(`1`)},
		`adds mount of volume home at /home to container notebook`:                        {Op: "add", Path: "/spec/containers/0/volumeMounts/-", Value: v(`{"name":"home","mountPath":"/home"}`)},
		`adds port 8080 to container side`:                                                {Op: "add", Path: "/spec/containers/1/ports/-", Value: v(`{"containerPort":8080}`)},
		`adds environment from Secret s to container side`:                                {Op: "add", Path: "/spec/containers/1/envFrom/-", Value: v(`{"secretRef":{"name":"s"}}`)},
		`adds init container fetch`:                                                       {Op: "add", Path: "/spec/initContainers/-", Value: v(`{"name":"fetch"}`)},
		`removes init container wait`:                                                     {Op: "remove", Path: "/spec/initContainers/0"},
		`adds volume home`:                                                                {Op: "add", Path: "/spec/volumes/-", Value: v(`{"name":"home"}`)},
		`replaces the tolerations with toleration spot`:                                   {Op: "add", Path: "/spec/tolerations", Value: v(`[{"key":"spot"}]`)},
		`sets annotation amp.txn2.com/event to "u"`:                                       {Op: "add", Path: "/metadata/annotations/amp.txn2.com~1event", Value: v(`"u"`)},
		`sets annotation secret`:                                                          {Op: "add", Path: "/metadata/annotations/secret", Value: v(`"[redacted]"`)},
		`changes label app from "x" to "y"`:                                               {Op: "replace", Path: "/metadata/labels/app", Value: v(`"y"`)},
		`removes label app`:                                                               {Op: "remove", Path: "/metadata/labels/app"},
		`sets node selector pool to "gpu"`:                                                {Op: "add", Path: "/spec/nodeSelector/pool", Value: v(`"gpu"`)},
		`sets spec.priorityClassName to "high"`:                                           {Op: "add", Path: "/spec/priorityClassName", Value: v(`"high"`)},
		`sets spec.securityContext.fsGroup to 100`:                                        {Op: "add", Path: "/spec/securityContext/fsGroup", Value: v(`100`)},
		`sets securityContext.privileged on container side to true`:                       {Op: "add", Path: "/spec/containers/1/securityContext/privileged", Value: v(`true`)},
		`requires that label app is "x"`:                                                  {Op: "test", Path: "/metadata/labels/app", Value: v(`"x"`)},
		`copies container side to spec.containers[end]`:                                   {Op: "copy", From: "/spec/containers/1", Path: "/spec/containers/-"},
		`moves label app to metadata.labels.role`:                                         {Op: "move", From: "/metadata/labels/app", Path: "/metadata/labels/role"},
		`changes the whole Pod`:                                                           {Op: "replace", Path: "", Value: v(`{"a":1}`)},
	} {
		t.Run(want, func(t *testing.T) {
			got := describe.Changes(&events.Data{Object: v(pod), Patch: []events.Op{op}})
			if got[0].Words != want {
				t.Errorf("it is %q", got[0].Words)
			}
		})
	}
}

func TestWordsWithoutThePod(t *testing.T) {
	t.Parallel()
	v := func(s string) json.RawMessage { return json.RawMessage(s) }
	d := &events.Data{Outcome: "mutated", Endpoints: []events.Endpoint{{Ops: 2}, {Ops: 1}}, Patch: []events.Op{
		{Step: 1, Op: "add", Path: "/spec/containers/0/env/-", Value: v(`{"name":"X","value":"[redacted]"}`)},
		{Step: 1, Op: "add", Path: "/spec/initContainers", Value: v(`[{"name":"a"}]`)},
		// What the patch brought has a name from then on.
		{Step: 2, Op: "add", Path: "/spec/initContainers/-", Value: v(`{"name":"b"}`)},
		{Step: 0, Op: "add", Path: "/metadata/annotations/amp.txn2.com~1event", Value: v(`"u"`)},
	}}
	changes := describe.Changes(d)
	for i, want := range []string{"adds environment variable X to container [0]", "adds init container a", "adds init container b", `sets annotation amp.txn2.com/event to "u"`} {
		if changes[i].Words != want || changes[i].Redacted != (i == 0) {
			t.Errorf("%d: %q, redacted %v, want %q", i, changes[i].Words, changes[i].Redacted, want)
		}
	}
	if got, want := describe.Gist(d), "3 changes: env X, init container a, +1"; got != want {
		t.Errorf("gist %q, want %q", got, want)
	}
	d.Patch = nil
	if got := describe.Gist(d); got != "3 changes" {
		t.Errorf("at level Metadata: %q", got)
	}
}

func TestTheGistSaysWhatDecided(t *testing.T) {
	calls := []events.Endpoint{{URL: "http://a.svc/x", Ops: 1}, {URL: "http://b.svc/x"}}
	for name, tc := range map[string]struct {
		data events.Data
		want string
	}{
		"a denial, in the endpoint's words":       {events.Data{Outcome: "denied", Message: "amp: is my name, too", Endpoints: calls}, "amp: is my name, too"},
		"a failure of amp's own":                  {events.Data{Outcome: "rejected", Message: "amp: the sink did not answer", Endpoints: calls}, "amp: the sink did not answer"},
		"a failure under Ignore":                  {events.Data{Outcome: "failedopen", Message: "amp: endpoint http://c.svc: late", Endpoints: append(calls, events.Endpoint{Error: "late"})}, "late"},
		"shadow mode that would not have changed": {events.Data{Outcome: "shadowed", Message: "no GPUs on Sundays", Endpoints: calls}, "no GPUs on Sundays"},
		"no change":      {events.Data{Outcome: "unchanged"}, "no change"},
		"validated":      {events.Data{Outcome: "validated"}, "let it pass"},
		"level Metadata": {events.Data{Outcome: "mutated", Endpoints: calls}, "1 change"},
	} {
		if got := describe.Gist(&tc.data); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestTheGistOfAFailureLeavesOutWhatStandsBesideIt(t *testing.T) {
	t.Parallel()
	d := &events.Data{Outcome: "rejected", Message: "amp: endpoint http://a.svc/x: op 3 (remove \"/a\"): no", Endpoints: []events.Endpoint{{URL: "http://a.svc/x", Error: "op 3 (remove \"/a\"): no"}}}
	if got, want := describe.Gist(d), `op 3 (remove "/a"): no`; got != want {
		t.Errorf("it is %q, want %q", got, want)
	}
}
