package patch

import (
	"errors"
	"testing"

	"github.com/txn2/amp/internal/share"
)

// TestAPanicIsTheCallers: the barrier against panics is around the caller.
func TestAPanicIsTheCallers(t *testing.T) {
	s := share.NewProcessors(2)
	for range 3 {
		func() {
			defer func() {
				if p := recover(); p != "a bug" {
					t.Errorf("recovered %v", p)
				}
			}()
			_, _ = run(t.Context(), s, "a", share.Large+1, 1, func() (int, error) { panic("a bug") })
		}()
	}
	if value, err := run(t.Context(), s, "a", share.Large+1, 1, func() (int, error) { return 7, errors.ErrUnsupported }); value != 7 || err != errors.ErrUnsupported {
		t.Errorf("%d, %v", value, err)
	}
}
