package chart

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// toAudit is what `kubectl set env deployment/amp K_SINK=…` does (deploy/README.md).
const toAudit = `
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: amp, namespace: amp-system}
    spec: {template: {spec: {containers: [{name: amp, env: [{name: K_SINK, value: "http://audit.amp-audit.svc"}]}]}}}
`

// patched makes the patch of a file that `kubectl patch` takes into one of kustomize.
func patched(t *testing.T, file, deployment, namespace string) string {
	t.Helper()
	return "\n- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: " + deployment + ", namespace: " + namespace + "}\n    " +
		strings.ReplaceAll(read(t, file), "\n", "\n    ") + "\n"
}

// TestSame: what the chart renders is what the folders of deploy render, object by object, by default and with each switch.
func TestSame(t *testing.T) {
	for name, test := range map[string]struct{ values, kustomization string }{
		"by default":                       {"", "resources: [REPO/deploy]"},
		"in the namespace of the release":  {"--namespace=amp-system", "resources: [REPO/deploy]"},
		"in another namespace":             {"--namespace=elsewhere", "resources: [REPO/deploy]\nnamespace: elsewhere"},
		"in another namespace, by a value": {"--set=namespace=elsewhere", "resources: [REPO/deploy]\nnamespace: elsewhere"},
		"with cert-manager":                {"--set=certificates=cert-manager", "resources: [REPO/deploy/cert-manager]"},
		"with cert-manager, and elsewhere": {"--set=certificates=cert-manager,namespace=elsewhere", "resources: [REPO/deploy/cert-manager]\nnamespace: elsewhere\ntransformers: [REPO/deploy/cert-manager/renamed]"},
		"with alerts":                      {"--set=alerts.enabled=true", "resources: [REPO/deploy, REPO/deploy/alerts]"},
		"with autoscaling": {"--set=autoscaling.enabled=true", "resources: [REPO/deploy, REPO/deploy/autoscaling]\npatches:\n" +
			"- {target: {kind: Deployment, name: amp}, patch: '[{\"op\": \"remove\", \"path\": \"/spec/replicas\"}]'}"},
		"with the dashboard":                {"--set=dashboards.enabled=true", "resources: [REPO/deploy, REPO/deploy/dashboards]"},
		"with network policies":             {"--set=networkPolicies.enabled=true", "resources: [REPO/deploy, REPO/deploy/network-policy]"},
		"without a way round":               {"--set=noWayOut.enabled=true", "resources: [REPO/deploy, REPO/deploy/no-way-out]"},
		"with samples":                      {"--set=samples.enabled=true", "resources: [REPO/deploy, REPO/deploy/samples]"},
		"with samples and network policies": {"--set=samples.enabled=true,networkPolicies.enabled=true", "resources: [REPO/deploy, REPO/deploy/samples, REPO/deploy/network-policy, REPO/deploy/network-policy/samples]"},
		"with the audit function": {"--set=audit.enabled=true",
			"resources: [REPO/deploy, REPO/deploy/audit]\npatches:" + toAudit},
		"with the audit function, and network policies": {"--set=audit.enabled=true,networkPolicies.enabled=true",
			"resources: [REPO/deploy, REPO/deploy/audit, REPO/deploy/network-policy, REPO/deploy/network-policy/audit]\npatches:" + toAudit},
		"with the audit function on PostgreSQL": {"--set=audit.enabled=true,audit.store=postgres",
			"resources: [REPO/deploy, REPO/deploy/audit-postgres]\npatches:" + toAudit},
		"with the audit function on PostgreSQL, and network policies": {"--set=audit.enabled=true,audit.store=postgres,networkPolicies.enabled=true",
			"resources: [REPO/deploy, REPO/deploy/audit-postgres, REPO/deploy/network-policy, REPO/deploy/network-policy/audit-postgres]\npatches:" + toAudit},
		"with a reader of PostgreSQL": {"--set=audit.enabled=true,audit.store=postgres,audit.postgres.reader=true",
			"resources: [REPO/deploy, REPO/deploy/audit-postgres]\npatches:" + toAudit + patched(t, "deploy/audit-postgres/reader.yaml", "audit", "amp-audit")},
		"with a token for reading": {"--set=audit.enabled=true,audit.tokens.read=true",
			"resources: [REPO/deploy, REPO/deploy/audit]\npatches:" + toAudit + patched(t, "deploy/audit/read-token.yaml", "audit", "amp-audit")},
		"with a token for posting": {"--set=audit.enabled=true,audit.tokens.write=true",
			"resources: [REPO/deploy, REPO/deploy/audit]\npatches:" + patched(t, "deploy/audit/write-token.yaml", "audit", "amp-audit") + patched(t, "deploy/audit/send-token.yaml", "amp", "amp-system")},
	} {
		t.Run(name, func(t *testing.T) {
			want := kustomize(t, test.kustomization)
			withBoth(t, func(t *testing.T, helm string) { compare(t, rendered(t, helm, strings.Fields(test.values)...), want) })
		})
	}
}

// compare compares objects. The order of environment variables and volumes has no meaning in these manifests.
func compare(t *testing.T, got, want objects) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] == nil {
			t.Errorf("the chart has no %s", name)
			continue
		}
		sorted(got[name])
		sorted(want[name])
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s is\n%s\nwant\n%s", name, indented(got[name]), indented(want[name]))
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("only the chart has %s", name)
		}
	}
	if len(want) == 0 {
		t.Error("there is nothing to compare")
	}
}

func sorted(deployment map[string]any) {
	containers, _ := at(deployment, "spec.template.spec.containers").([]any)
	lists := []any{at(deployment, "spec.template.spec.volumes")}
	for _, c := range containers {
		lists = append(lists, at(c, "env"), at(c, "volumeMounts"))
	}
	for _, list := range lists {
		if list, ok := list.([]any); ok {
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(at(a, "name").(string), at(b, "name").(string)) })
		}
	}
}

func indented(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}
