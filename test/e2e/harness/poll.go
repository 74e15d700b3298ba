package harness

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// patience is how long a test waits for what comes later, if nothing says how soon it must come.
const patience = time.Minute

// permanent marks an error that does not go away by waiting.
func permanent(err error) error { return permanentError{err} }

type permanentError struct{ error }

// poll calls a function until it returns no error, or until the time is up. Then it returns the last error.
func poll(limit time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
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
			return fmt.Errorf("not within %v: %w", limit, err)
		case <-tick.C:
		}
	}
}

// Eventually fails the test if the function still returns an error after all patience.
func Eventually(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	if err := poll(patience, ask); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
