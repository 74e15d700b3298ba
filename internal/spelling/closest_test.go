package spelling_test

import (
	"strings"
	"testing"

	"github.com/txn2/amp/internal/spelling"
)

func TestClosest(t *testing.T) {
	known := []string{"timeout", "failure-policy", "ep", "events"}
	for name, test := range map[string]struct {
		want string
		near bool
	}{
		"timeout": {"timeout", true}, "tiemout": {"timeout", true}, "TimeOut": {"timeout", true}, "policy": {"failure-policy", true},
		"event": {"events", true}, "eq": {"ep", true}, "events-level": {"events", true}, "größe": {"failure-policy", false},
		"": {"timeout", false}, strings.Repeat("x", 1000): {"timeout", false},
	} {
		if got, near := spelling.Closest(name, known); got != test.want && name != strings.Repeat("x", 1000) || near != test.near {
			t.Errorf("%.20q: %q, %v", name, got, near)
		}
	}
}
