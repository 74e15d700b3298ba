package store_test

import (
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

func TestQuantilesAreCloseEnough(t *testing.T) {
	t.Parallel()
	var h store.Histogram
	for i := 1; i <= 10000; i++ {
		h[store.ClassOf(float64(i)/100)]++ // 0.01 to 100 ms
	}
	for q, want := range map[float64]float64{.5: 50, .9: 90, .99: 99, 1: 100} {
		if got := h.Quantile(q); got < want*.97 || got > want*1.03 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	var again store.Histogram
	again.Add(h.Encode())
	if again != h {
		t.Error("it is not read as it was written")
	}
	again.Add([]byte{0xff})
	for _, ms := range []float64{-1, 0, 1e300} {
		if c := store.ClassOf(ms); c < 0 || c >= len(h) {
			t.Errorf("%v ms are of class %d", ms, c)
		}
	}
}
