package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTryJudgesAsTheProxyDoes: amp's rules about volumes and controllers see the Pod that the controller would create.
func TestTryJudgesAsTheProxyDoes(t *testing.T) {
	const template = `template: {metadata: {labels: {app: db}}, spec: {restartPolicy: RESTART, containers: [{name: db, image: "db:1"}]}}`
	const set = `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: team-a}, spec: {serviceName: db, volumeClaimTemplates: [{metadata: {name: data}, spec: {}}], ` + template + `}}`
	const job = `{apiVersion: batch/v1, kind: Job, metadata: {name: db, namespace: team-a}, spec: {completionMode: Indexed, completions: 2, ` + template + `}}`
	for name, test := range map[string]struct {
		manifest, answer string
		code             int
		want             string
	}{
		"a sidecar that mounts the claim of a StatefulSet": {set, `[{"op":"add","path":"/spec/containers/-","value":{"name":"backup","image":"b:1","volumeMounts":[{"name":"data","mountPath":"/data"}]}}]`, 0, "backup"},
		"volumes without the claim of a StatefulSet":       {set, `[{"op":"add","path":"/spec/volumes","value":[]}]`, 1, `the Pod belongs to StatefulSet "db", which finds it by the volumes of its claims`},
		"another subdomain for a StatefulSet":              {set, `[{"op":"add","path":"/spec/subdomain","value":"x"}]`, 1, `which gives it a DNS name of its own`},
		"no index of an Indexed Job":                       {job, `[{"op":"add","path":"/metadata/annotations","value":{"a":"b"}}]`, 1, `the Pod belongs to Job "db", which finds it by its index`},
		"another hostname for an Indexed Job":              {job, `[{"op":"add","path":"/spec/hostname","value":"x"}]`, 1, `which gives it a DNS name of its own`},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answers(200, "application/json", test.answer))
			t.Cleanup(server.Close)
			restart := map[string]string{set: "Always", job: "Never"}[test.manifest]
			file := write(t, t.TempDir(), "f.yaml", strings.ReplaceAll(test.manifest, "RESTART", restart))
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"try", "-f", file, "--endpoint", server.URL, "--timeout", patience}, &out, &errs); code != test.code || !strings.Contains(out.String(), test.want) {
				t.Errorf("exit code %d, no %q in\n%s%s", code, test.want, out.String(), errs.String())
			}
		})
	}
}
