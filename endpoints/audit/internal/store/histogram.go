package store

import (
	"encoding/binary"
	"math"
)

// A Histogram counts durations in classes. Each class is 5% wider than the one before, from 10 µs on: a
// quantile is off by 2.5% at most.
type Histogram [classMost + 1]int64

const (
	classRatio = 1.05
	classFirst = 0.01 // ms
	classMost  = 400  // 50 minutes
)

// ClassOf returns the class that a duration falls into.
func ClassOf(ms float64) int {
	if !(ms > classFirst) {
		return 0
	}
	return int(min(math.Round(math.Log(ms/classFirst)/math.Log(classRatio)), classMost))
}

// Count returns how many durations were counted.
func (h *Histogram) Count() (n int64) {
	for _, c := range h {
		n += c
	}
	return n
}

// Quantile returns the duration in ms that a share of q took no longer than, 0 if none was counted.
func (h *Histogram) Quantile(q float64) float64 {
	rank := int64(math.Ceil(q * float64(h.Count())))
	var seen int64
	for class, n := range h {
		if seen += n; seen >= rank && seen > 0 {
			ms := classFirst * math.Pow(classRatio, float64(class))
			digits := math.Pow(10, 2-math.Floor(math.Log10(ms))) // three significant digits
			return math.Round(ms*digits) / digits
		}
	}
	return 0
}

// Encode writes the classes that hold something.
func (h *Histogram) Encode() []byte {
	b := []byte{}
	for class, n := range h {
		if n > 0 {
			b = binary.AppendUvarint(b, uint64(class))
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

// Add adds what Encode has written. It stops where that is not valid.
func (h *Histogram) Add(encoded []byte) {
	for len(encoded) > 0 {
		class, i := binary.Uvarint(encoded)
		n, j := binary.Uvarint(encoded[max(i, 0):])
		if i <= 0 || j <= 0 || class > classMost {
			return
		}
		h[class] += int64(n)
		encoded = encoded[i+j:]
	}
}
