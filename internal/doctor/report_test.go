package doctor

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

var report = &Report{
	Version: "v1.0.0", Kubernetes: "v1.36.3", Namespace: "amp-system",
	Checks: []Finding{
		{"replicas", "", "deployment/amp", OK, "2 of 2 ready", "", false},
		{"events-source", "", "deployment/amp", Warning, "AMP_EVENTS_SOURCE is still the default: events do not say which cluster they are from", "set it, to something that tells your clusters apart\nkubectl set env " + strings.Repeat("x", 60), false},
		{"keys", "team-a", "namespace/team-a", OK, "labels and annotations are good", "", false},
		{"endpoint", "team-a", "http://a", Failed, "http://a: there is no Service", "kubectl annotate", false},
		{"validate", "team-a", "namespace/team-a", OK, "Pods are validated", "", false},
		{"dry-run", "team-b", "namespace/team-b", OK, "amp admits a Pod, and another step of the API server refuses it: exceeded quota", "", true},
		{"keys", "team-b", "namespace/team-b", OK, "labels and annotations are good", "", false},
	},
	Summary: Summary{5, 1, 1, 0},
}

func TestText(t *testing.T) {
	const want = `amp in namespace amp-system, Kubernetes v1.36.3, compared with what amp v1.0.0 deploys

Installation
  ok       replicas      2 of 2 ready
  warning  events-source AMP_EVENTS_SOURCE is still the default: events do not
                         say which cluster they are from
                         → set it, to something that tells your clusters apart
                           kubectl set env xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

Namespace team-a
  failed   endpoint      http://a: there is no Service
                         → kubectl annotate
  ok       keys, validate

Namespace team-b
  ok       dry-run       amp admits a Pod, and another step of the API server
                         refuses it: exceeded quota
  ok       keys

5 ok, 1 warning, 1 failed, 0 skipped
`
	var b bytes.Buffer
	if err := report.WriteText(&b, false); err != nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// Messages quote others, who must not control the reader's terminal.
func TestTextHoldsNoControlCharacters(t *testing.T) {
	var b bytes.Buffer
	r := Report{Kubernetes: "v1.36\x1b[2J", Checks: []Finding{{"dry-run", "team\u009b-a", "namespace/team-a", Failed, "the endpoint says \x1b[2J\u009b1m\rall is well", "look\nat\x1b[2J it", false}}}
	if err := r.WriteText(&b, false); err != nil || strings.ContainsAny(b.String(), "\x1b\u009b\r") {
		t.Errorf("%v\n%q", err, b.String())
	}
}

// Scripts read these names.
func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := (&Report{Version: "v", Kubernetes: "k", Namespace: "n", Checks: report.Checks[3:4], Summary: Summary{0, 0, 1, 0}}).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Compact(&got, b.Bytes()); err != nil {
		t.Fatal(err)
	}
	const want = `{"version":"v","kubernetes":"k","namespace":"n",` +
		`"checks":[{"id":"endpoint","namespace":"team-a","subject":"http://a","status":"failed","message":"http://a: there is no Service","remedy":"kubectl annotate"}],` +
		`"summary":{"ok":0,"warning":0,"failed":1,"skipped":0}}`
	if got.String() != want {
		t.Errorf("%s\nwant %s", got.String(), want)
	}
}
