package jsontree_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/patch/jsontree"
)

func TestSame(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":[true,null]}`, ` { "b" : [ true , null ] , "a" : 1 } `, true},
		{`{"a":1}`, `{"a":1,"b":null}`, false},
		{`{"a":1,"b":2}`, `{"a":1}`, false},
		{`[1,2]`, `[2,1]`, false},
		{`[1]`, `[1,1]`, false},
		{`"é"`, `"\u00e9"`, true},
		{`"\ud83d\ude00"`, `"😀"`, true},
		{`"a"`, `"b"`, false},
		{`1`, `1.0`, true},
		{`100`, `1e2`, true},
		{`0.5`, `5E-1`, true},
		{`-0`, `0`, true},
		{`-1`, `1`, false},
		{`9007199254740993`, `9007199254740992`, false},
		{`1e999999999999999999999`, `1e999999999999999999998`, false},
		{`{}`, `[]`, false},
		{`null`, `false`, false},
		{`true`, `false`, false},
		{`{"a":1,"a":2}`, `{"a":2}`, true},
		{`"1"`, `1`, false},
	} {
		if got := sameText(test.a, test.b); got != test.want {
			t.Errorf("Same(%s, %s) = %v", test.a, test.b, got)
		}
		if got := sameText(test.b, test.a); got != test.want {
			t.Errorf("Same(%s, %s) = %v", test.b, test.a, got)
		}
	}
}

func sameText(a, b string) bool {
	return jsontree.Same(jsontree.NewValue(a, 0), jsontree.NewValue(b, 0))
}

// FuzzSame compares Same with encoding/json.
func FuzzSame(f *testing.F) {
	f.Add(`{"a":[1,"x",null]}`, `{ "a" : [1.0,"\u0078",null]}`)
	f.Add("\"\xff\"", `"\ufffd"`)
	f.Fuzz(func(t *testing.T, a, b string) {
		var valueA, valueB any
		if json.Unmarshal([]byte(a), &valueA) != nil || json.Unmarshal([]byte(b), &valueB) != nil {
			return
		}
		if sameText(a, a) != true {
			t.Error("a value differs from itself")
		}
		if sameText(a, b) && !reflect.DeepEqual(valueA, valueB) {
			t.Error("amp takes for the same what encoding/json does not")
		}
		// Floats are coarser than digits: no conclusion from equal ones.
		if !sameText(a, b) && reflect.DeepEqual(valueA, valueB) && !strings.ContainsAny(a, "0123456789") {
			t.Error("amp takes for different what encoding/json does not")
		}
	})
}
