package emit

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// TestALargeEventWaitsForAProcessor: it takes as long as a large check, and both at the same time would leave no processor for
// the reviews of others on a small machine.
func TestALargeEventWaitsForAProcessor(t *testing.T) {
	large := func(rec *review.Record) *review.Record {
		rec.Review.Pod = json.RawMessage(`{"metadata":{"annotations":{"a":"` + strings.Repeat("x", share.Large) + `"}}}`)
		return rec
	}
	synctest.Test(t, func(t *testing.T) {
		processors := share.NewProcessors(2) // one of them for large work
		w := open(t, EventsConfig{Processors: processors})
		check, err := processors.Take(t.Context(), "other", share.Large+1)
		if err != nil {
			t.Fatal(err)
		}
		w.Record(t.Context(), large(numbered(t, 1)))
		w.Record(t.Context(), numbered(t, 2))
		go func() { _ = answered(t.Context(), w.Recorder, large(required(t, 3))) }()
		synctest.Wait()
		if out := w.out.String(); strings.Contains(out, "uid-0001") || !strings.Contains(out, "uid-0002") || strings.Contains(out, "uid-0003") {
			t.Errorf("during the check there are: %.300s", out)
		}
		check.Release()
		synctest.Wait()
		if out := w.out.String(); !strings.Contains(out, "uid-0001") || !strings.Contains(out, "uid-0003") {
			t.Errorf("after the check there are: %.300s", out)
		}
		w.want(t, 3, 0, 0, 0)
	})
}
