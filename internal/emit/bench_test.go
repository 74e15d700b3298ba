package emit

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/workload"
)

// BenchmarkEvent makes an event and encodes it for the sink.
func BenchmarkEvent(b *testing.B) {
	for _, level := range []review.Level{review.LevelMetadata, review.LevelPatch, review.LevelFull} {
		for _, c := range workload.Cases {
			b.Run("level="+string(level)+"/"+c.String(), func(b *testing.B) {
				r, err := review.Read(workload.Review(c.Pod), review.Mutate)
				if err != nil {
					b.Fatal(err)
				}
				var ops []review.Op
				if err := json.Unmarshal(workload.Patch(c.Ops), &ops); err != nil {
					b.Fatal(err)
				}
				rec := aMutation(b)
				rec.Review, rec.Plan.Level = r, level
				rec.Run.Steps = rec.Run.Steps[:1]
				rec.Run.Steps[0].Ops, rec.Run.Patch, rec.Verdict.Patch = ops, ops, ops
				to := &sink{header: http.Header{"User-Agent": {"amp"}}}
				var m *message
				b.ReportAllocs()
				for b.Loop() {
					e, err := newEvent(rec, aSource, nil)
					if err != nil {
						b.Fatal(err)
					}
					if m, err = to.encode(&e); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(m.size()), "B/event")
			})
		}
	}
}
