// Package patchtest is what the tests of the patch check share: Pods, tables of patches, and what the check
// promises of a patch. No program links it.
package patchtest

import (
	"encoding/json"
	"testing"

	"github.com/txn2/amp/internal/review"
)

// Bare is a Pod with as little as a Pod can have. Owned belongs to a ReplicaSet. Rich has something of each kind.
const (
	Bare  = `{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"w-","namespace":"ns"},"spec":{"containers":[{"name":"main","image":"i"}]}}`
	Owned = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w","namespace":"ns","labels":{"app":"w","hash":"1"},` +
		`"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"w","uid":"u","controller":true}]},"spec":{"containers":[{"name":"main","image":"i"}]}}`
	Rich = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w","namespace":"ns","labels":{"app":"w"},"annotations":{"a/b":"1","c~d":"2"}},` +
		`"spec":{"nodeName":"n","serviceAccountName":"sa","serviceAccount":"sa","hostNetwork":false,"priority":10,"securityContext":{},"tolerations":null,` +
		`"volumes":[{"name":"v","emptyDir":{}},{"name":"w","emptyDir":{}}],` +
		`"initContainers":[{"name":"init","image":"i"}],` +
		`"containers":[{"name":"main","image":"i","env":[{"name":"A","value":"secret"},{"name":"B","value":"s\u003ct"}],"volumeMounts":[{"name":"v","mountPath":"/v"}],"securityContext":{"privileged":false}},` +
		`{"name":"side","image":"i","securityContext":{"privileged":true}}]},"status":{}}`
)

// Ops reads a patch as amp reads an answer.
func Ops(t testing.TB, text string) []review.Op {
	t.Helper()
	var ops []review.Op
	if err := json.Unmarshal([]byte(text), &ops); err != nil {
		t.Fatalf("reading %s: %v", text, err)
	}
	return ops
}
