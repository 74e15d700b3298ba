package proxy

import "testing"

// TestCalm: a drain ends after as many looks as there are in two seconds, and counts anew from each review.
func TestCalm(t *testing.T) {
	var c calm
	look := func(times int, inFlight, last int64) (ended int) {
		for range times {
			if c.tick(inFlight, last) {
				ended++
			}
		}
		return ended
	}
	if look(ticks-1, 0, 0) != 0 {
		t.Error("it ends before two seconds have passed")
	}
	if look(1, 0, 7) != 0 || look(ticks-1, 0, 7) != 0 {
		t.Error("it ends within two seconds after a review")
	}
	if look(3*ticks, 1, 7) != 0 || look(ticks-1, 0, 7) != 0 {
		t.Error("it ends while a review is in flight, or before two seconds have passed since")
	}
	if look(1, 0, 7) != 1 {
		t.Error("it does not end after two seconds without a review")
	}
}
