package redact

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/workload"
)

func BenchmarkPatch(b *testing.B) {
	for _, c := range workload.Cases {
		b.Run(c.String(), func(b *testing.B) {
			pod := workload.Pod(c.Pod)
			var ops []events.Op
			if err := json.Unmarshal(workload.Patch(c.Ops), &ops); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				Patch(pod, slices.Clone(ops))
			}
		})
	}
}
