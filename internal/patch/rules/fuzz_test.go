package rules_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/txn2/amp/internal/fuzztest"
	"github.com/txn2/amp/internal/patch/patchtest"
	"github.com/txn2/amp/internal/review"
)

// hugeExponent is a power of ten that takes Kubernetes' parser long. Zeros before it do not count, and there must be a number
// that it multiplies.
var hugeExponent = regexp.MustCompile(`\d[^eE]*[eE][-+]*0*[1-9]\d{2}`)

// FuzzQuantity has any text where a quantity belongs: what amp accepts, Kubernetes' own parser reads within a bound, and
// what that parser can read amp accepts, unless it is too long or has a huge exponent.
func FuzzQuantity(f *testing.F) {
	for _, text := range []string{"1", "500m", "1Gi", "1.5e3", "1e-99999999", "-1.5e+0000999", "1e0003", "1E", "1Ei", "9223372036854775808", "0.000000000001", ".5", "5.", "1,5 GB", "1e99", "1e-99", strings.Repeat("1", 65), "+1e+2", "1ee5", "1e+-5", "e313", ".e999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		ops := []review.Op{{Op: "add", Path: "/spec/containers/0/resources/limits/cpu", Value: quoted}}
		if json.Unmarshal(quoted, &text) != nil { // what is not UTF-8 is replaced
			t.Fatalf("%q is not JSON", quoted)
		}
		fuzztest.Within(t, time.Second, 8<<20, func() {
			_, err = patchtest.NewChecker(t).Check(t.Context(), "ns", json.RawMessage(patchtest.Bare), ops)
		})
		var failure *review.Failure
		if err != nil && !errors.As(err, &failure) {
			t.Fatalf("error of type %T", err)
		}
		if len(text) > 64 || hugeExponent.MatchString(text) {
			// The parser must not even try.
			if err == nil {
				t.Errorf("%q is accepted", text)
			}
			return
		}
		var parsed error
		fuzztest.Within(t, time.Second, 1<<20, func() { parsed = new(resource.Quantity).UnmarshalJSON(quoted) })
		if (err == nil) != (parsed == nil) {
			t.Errorf("%q: amp says %v, Kubernetes' parser %v", text, err, parsed)
		}
	})
}
