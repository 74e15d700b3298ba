package rules_test

import (
	"testing"

	"github.com/txn2/amp/internal/patch/patchtest"
)

// TestRemediesForTypes is about values of the wrong type, each with what to do.
func TestRemediesForTypes(t *testing.T) {
	at := func(path, value, cause string) patchtest.Refusal {
		return patchtest.Refusal{patchtest.Rich, `[{"op":"add","path":"` + path + `","value":` + value + `}]`, `op 1 (add "` + path + `"): ` + cause}
	}
	const env, envs, json = "/spec/containers/0/env/-", "/spec/containers/0/env", " that holds JSON: write the JSON itself, without quotes around it"
	patchtest.Refused(t, map[string]patchtest.Refusal{
		"a variable that is a number":     at(env, `{"name":"PORT","value":8080}`, `spec.containers[0].env[2].value must be a string, not a number: write it in quotes`),
		"a variable that is true":         at(env, `{"name":"DEBUG","value":true}`, `spec.containers[0].env[2].value must be a string, not true or false: write it in quotes`),
		"a variable that is an object":    at(env, `{"name":"DEBUG","value":{}}`, `spec.containers[0].env[2].value must be a string, not an object`),
		"a list as JSON in a string":      at(envs, `"[{\"name\":\"secret\"}]"`, `spec.containers[0].env must be a list, not a string`+json),
		"an object as JSON in a string":   at(env, `"{\"name\":\"secret\"}"`, `spec.containers[0].env[2] must be an object, not a string`+json),
		"a map as JSON in a string":       at("/metadata/labels", `"{\"a\":\"secret\"}"`, `metadata.labels must be an object, not a string`+json),
		"a command in one string":         at("/spec/containers/0/command", `"echo secret"`, `spec.containers[0].command must be a list, not a string: write ["…"]`),
		"variables as a map":              at(envs, `{"A":"secret"}`, `spec.containers[0].env must be a list, not an object: write [{…}], or add one element at the end ("-")`),
		"one variable for all":            at(envs, `{"name":"A","value":"secret"}`, `spec.containers[0].env must be a list, not an object: write [{…}], or add one element at the end ("-")`),
		"all variables for one":           at(env, `[{"name":"A","value":"secret"}]`, `spec.containers[0].env[2] must be an object, not a list: one op adds one element`),
		"a port in quotes":                at("/spec/containers/0/ports/-", `{"containerPort":"8080"}`, `spec.containers[0].ports[0].containerPort must be a number, not a string: write it without quotes`),
		"a port by a word":                at("/spec/containers/0/ports/-", `{"containerPort":"secret"}`, `spec.containers[0].ports[0].containerPort must be a number, not a string`),
		"ports in a string":               at("/spec/containers/0/ports", `"8080:80"`, `spec.containers[0].ports must be a list, not a string`),
		"a flag in quotes":                at("/spec/hostPID", `"True"`, `spec.hostPID must be true or false, not a string: write it without quotes`),
		"a user's number in quotes":       at("/spec/securityContext/runAsUser", `"1000"`, `spec.securityContext.runAsUser must be a number, not a string: write it without quotes`),
		"a port of a probe that is a map": at("/spec/containers/0/livenessProbe", `{"tcpSocket":{"port":{}}}`, `spec.containers[0].livenessProbe.tcpSocket.port must be a number or a string, not an object`),
		"a time that is a word":           at("/metadata/creationTimestamp", `"secret"`, `metadata.creationTimestamp must be a time such as "2026-01-31T12:00:00Z"`),
		"a quantity that is a flag":       at("/spec/containers/0/resources/limits/cpu", `true`, `spec.containers[0].resources.limits["cpu"] must be a quantity such as "500m" or "1Gi", not true or false`),
		"an escape in a label's value":    at("/metadata/labels", `{"app":"w","example.com~1team":"secret"}`, `label key "example.com~1team" is malformed: a / is ~1 in a path, and / itself in a value`),
		"a URL's escape in a path":        at("/metadata/annotations/example.com%2Fteam", `"secret"`, `annotation key "example.com%2Fteam" is malformed: a / is ~1 in a path, and / itself in a value`),
		"an escape of an escape":          at("/metadata/annotations/example.com~01team", `"secret"`, `annotation key "example.com~1team" is malformed: a / is ~1 in a path, and / itself in a value`),
	})
}
