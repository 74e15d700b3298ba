package harness

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// permanent marks an error that waiting does not mend.
func permanent(err error) error { return permanentError{err} }

type permanentError struct{ error }

// poll asks until there is no error; the last one is returned when the patience ends.
func poll(patience time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil || errors.As(err, new(permanentError)) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %v: %w", patience, err)
		case <-tick.C:
		}
	}
}

// Eventually fails the test if what it waits for has not come to be in 20 s.
func Eventually(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	if err := poll(20*time.Second, ask); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
