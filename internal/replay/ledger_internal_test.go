package replay

import (
	"fmt"
	"testing"
)

// TestTheLedgerIsBounded: it forgets the oldest events, and tells so many kinds apart.
func TestTheLedgerIsBounded(t *testing.T) {
	l := newLedger()
	for i := range remembered + 1000 {
		e, example := l.enter(numbered{number: i}, &envelope{ID: fmt.Sprint(i), Source: "s"}, "")
		if e == nil {
			t.Fatalf("event %d: %+v", i, example)
		}
		l.count(e, Differs, []finding{{kind: fmt.Sprint("kind ", i)}}, example)
	}
	if len(l.entries) != remembered || len(l.ring) != remembered {
		t.Errorf("it remembers %d events", len(l.entries))
	}
	if e, _ := l.enter(numbered{}, &envelope{ID: "0", Source: "s"}, ""); e == nil {
		t.Error("it remembers the first event")
	}
	if e, _ := l.enter(numbered{}, &envelope{ID: fmt.Sprint(remembered + 999), Source: "s"}, ""); e != nil {
		t.Error("it does not remember the last event")
	}
	r := l.report()
	if len(r.Groups) != maxKinds+1 || r.Groups[0].Kind != "of other kinds" || r.Pods[Differs] != remembered+1000 {
		t.Errorf("%d groups, the first %q", len(r.Groups), r.Groups[0].Kind)
	}
	for _, g := range r.Groups {
		if len(g.Examples) > maxExamples {
			t.Errorf("%d examples", len(g.Examples))
		}
	}
}
