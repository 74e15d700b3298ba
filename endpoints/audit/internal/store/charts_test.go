package store

import (
	"fmt"
	"testing"
	"time"
)

// TestATallyIsBounded: any number of endpoints that are called once do not fill the memory, and hide none that is called often.
func TestATallyIsBounded(t *testing.T) {
	tally := NewTally(time.Unix(0, 0), time.Unix(3600, 0))
	for i := range 20 * maxTallied {
		tally.Call(1, fmt.Sprintf("http://%d.svc", i), 3, false)
		if i%100 == 0 {
			tally.Call(1, "http://busy.svc", 3, false)
		}
		if len(tally.endpoints) > maxTallied {
			t.Fatalf("it holds %d endpoints", len(tally.endpoints))
		}
	}
	c := tally.Charts(true)
	if e := c.Endpoints[0]; e.URL != "http://busy.svc" || e.Calls != 20*maxTallied/100 || !c.MoreEndpoints {
		t.Errorf("the first one is %+v, more: %v", e, c.MoreEndpoints)
	}
	if calls := c.Buckets[0].Calls; calls != 20*maxTallied+20*maxTallied/100 {
		t.Errorf("%d calls are counted in all", calls)
	}
}
