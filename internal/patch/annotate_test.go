package patch_test

import (
	"encoding/json"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"

	"github.com/txn2/amp/internal/patch"
	"github.com/txn2/amp/internal/patch/jsontree"
)

func TestAnnotate(t *testing.T) {
	for name, test := range map[string]struct {
		pod string
		ops int
	}{
		"a Pod with annotations":      {`{"metadata":{"annotations":{"a":"b"}}}`, 1},
		"one that has been there":     {`{"metadata":{"annotations":{"amp.txn2.com/e~nt":"old"}}}`, 1},
		"a Pod without annotations":   {`{"metadata":{}}`, 2},
		"a Pod with null annotations": {`{"metadata":{"annotations":null}}`, 2},
		"a Pod without metadata":      {`{}`, 3},
		"a Pod with null metadata":    {`{"metadata":null}`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			ops := patch.Annotate(json.RawMessage(test.pod), "amp.txn2.com/e~nt", "a \"quoted\" <id>")
			if len(ops) != test.ops {
				t.Errorf("%d ops, want %d", len(ops), test.ops)
			}
			text, err := json.Marshal(ops)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := jsonpatch.DecodePatch(text)
			if err != nil {
				t.Fatal(err)
			}
			result, err := decoded.Apply([]byte(test.pod))
			if err != nil {
				t.Fatal(err)
			}
			var pod corev1.Pod
			if err := json.Unmarshal(result, &pod); err != nil {
				t.Fatal(err)
			}
			if got := pod.Annotations["amp.txn2.com/e~nt"]; got != "a \"quoted\" <id>" {
				t.Errorf("the annotation is %q", got)
			}
		})
	}
}

func TestUnannotate(t *testing.T) {
	for name, test := range map[string]struct{ pod, want string }{
		"a Pod that has it":           {`{"metadata":{"annotations":{"a":"b","amp.txn2.com/e~nt":"old"},"name":"x"}}`, `{"metadata":{"annotations":{"a":"b"},"name":"x"}}`},
		"a Pod that has nothing else": {`{"metadata":{"annotations":{"amp.txn2.com/e~nt":"old"}}}`, `{"metadata":{"annotations":{}}}`},
		"a Pod that has it empty":     {`{"metadata":{"annotations":{"amp.txn2.com/e~nt":""}}}`, `{"metadata":{"annotations":{}}}`},
		"a Pod that has others":       {`{"metadata":{"annotations":{"a":"b"}}}`, ""},
		"a Pod without annotations":   {`{"metadata":{}}`, ""},
		"null annotations":            {`{"metadata":{"annotations":null}}`, ""},
		"a Pod without metadata":      {`{}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ops := patch.Unannotate(json.RawMessage(test.pod), "amp.txn2.com/e~nt")
			if test.want == "" {
				if ops != nil {
					t.Errorf("ops = %v, want none", ops)
				}
				return
			}
			text, err := json.Marshal(ops)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := jsonpatch.DecodePatch(text)
			if err != nil {
				t.Fatal(err)
			}
			result, err := decoded.Apply([]byte(test.pod))
			if err != nil {
				t.Fatal(err)
			}
			if !jsontree.Same(jsontree.NewValue(string(result), 0), jsontree.NewValue(test.want, 0)) {
				t.Errorf("the API server's library makes %s, want %s", result, test.want)
			}
		})
	}
}
