package patch_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/internal/fuzztest"
	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
)

// TestLargePatches times the worst patches that fit into an answer of 1 MiB. The limit is far above the time
// that they take, also with -race, but below what quadratic work would take.
func TestLargePatches(t *testing.T) {
	const n = 9_990 // leaves room for parents
	nested := strings.Repeat(`{"a":`, 99) + "1" + strings.Repeat("}", 99)
	for sentence, op := range map[string]func(i int) review.Op{
		"keys of a map":        func(i int) review.Op { return add(fmt.Sprintf("/metadata/annotations/k%d", i), `"v"`) },
		"elements at the end":  func(i int) review.Op { return add("/spec/volumes/-", fmt.Sprintf(`{"name":"x%d"}`, i)) },
		"elements at the head": func(i int) review.Op { return add("/spec/volumes/0", fmt.Sprintf(`{"name":"x%d"}`, i)) },
		"mounts": func(i int) review.Op {
			return add("/spec/containers/0/volumeMounts/-", fmt.Sprintf(`{"name":"v","mountPath":"/%d"}`, i))
		},
		"unknown fields": func(i int) review.Op { return add(fmt.Sprintf("/spec/k%d", i), `"v"`) },
		"parents":        func(i int) review.Op { return add(fmt.Sprintf("/spec/k%d"+strings.Repeat("/a", i%60), i%100), `{}`) },
		"deep values":    func(i int) review.Op { return add(fmt.Sprintf("/spec/k%d", i%5), nested) },
		"tests of a list": func(i int) review.Op {
			if i == 0 {
				return add("/metadata/labels/x", `"y"`)
			}
			return review.Op{Op: "test", Path: "/spec/containers/0/env", Value: json.RawMessage(`[{"name":"A","value":"secret"},{"name":"B","value":"s<t"}]`)}
		},
		"moves of what grows": func(i int) review.Op {
			switch i % 3 {
			case 0:
				return review.Op{Op: "move", From: "/spec/volumes", Path: "/spec/x"}
			case 1:
				return review.Op{Op: "move", From: "/spec/x", Path: "/spec/volumes"}
			}
			return add("/spec/volumes/-", fmt.Sprintf(`{"name":"x%d"}`, i))
		},
		"copies of what grows": func(i int) review.Op {
			if i%2 == 0 {
				return add(fmt.Sprintf("/metadata/annotations/k%d", i), `"v"`)
			}
			return review.Op{Op: "copy", From: "/metadata/annotations", Path: "/spec/x"}
		},
		"ever deeper moves": func(i int) review.Op {
			newer, older := "/spec/x", "/spec/y"
			if i/2%2 == 1 {
				newer, older = older, newer
			}
			if i < 3 || i%2 == 0 {
				return add(newer, `{"a":{"a":{"a":{}}}}`)
			}
			return review.Op{Op: "move", From: older, Path: newer + "/a/a/a/a"}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			var ops []review.Op
			size := 0
			for i := 0; i < n && size < 1<<20; i++ {
				ops = append(ops, op(i))
				size += len(ops[i].Path) + len(ops[i].From) + len(ops[i].Value) + 30
			}
			fuzztest.Within(t, 20*time.Second, 4<<30, func() {
				checked, err := patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(patchtest.Rich), ops)
				t.Logf("%d ops, %d bytes: %d answered, error %v", len(ops), size, len(checked.Ops), err)
			})
		})
	}
}
