package callout_test

import (
	"context"
	"testing"
	"time"

	"github.com/txn2/amp/internal/review"
)

// An endpoint that is only slow keeps the connections on which it answers others.
func TestSlowIsNotDead(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			made := slow(t, protocol)
			if made > 0 { // net/http gives up a connection if the machine lets it wait for 50 ms after an answer
				made = slow(t, protocol)
			}
			if made > 0 {
				t.Errorf("%d new connections after a slow answer", made)
			}
		})
	}
}

// slow has an endpoint that answers all calls but one, and returns how many new connections the calls after that one took.
func slow(t *testing.T, protocol string) int {
	t.Helper()
	b := newBehind(t, protocol)
	others, _ := b.wait(t)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	late := make(chan *review.Failure, 1)
	go func() {
		_, f := callUnder(ctx, t, b.client, b.url, mutation())
		late <- f
	}()
	b.until(t, 1)
	others()
	begin := time.Now()
	for done := false; !done; {
		if failed := b.inTurn(t, 1, time.Minute); failed > 0 {
			t.Error("a quick answer failed")
		}
		// Only now, because an answer must come in the second half of the late call.
		if time.Since(begin) > time.Second {
			giveUp()
		}
		select {
		case f := <-late:
			if done = true; f == nil || f.Result != review.ResultLate {
				t.Errorf("the slow answer: %v", f)
			}
		default:
		}
	}
	made := b.made()
	b.inTurn(t, 5, time.Minute)
	return b.made() - made
}
