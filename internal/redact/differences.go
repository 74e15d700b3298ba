package redact

import (
	"encoding/json"
	"slices"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/compare"
)

// Difference is what differs between two Pods, as the level Patch shows it.
type Difference struct {
	Kind  compare.Kind
	Place compare.Place
	// First and Second are the values in the two Pods, nil where [compare.Difference] has none.
	First, Second json.RawMessage
	// Named reports whether the name of an element may be shown, for [compare.Place.NamesShown].
	Named func(at compare.Place, name json.RawMessage) bool
}

// Differences are what was found between the two Pods that the ops first and second make of pod. Those inside of an object
// whose keys the level does not show are one. What may be shown goes by the places that a value passed through in its own Pod.
func Differences(pod json.RawMessage, first, second []events.Op, found []compare.Difference) []Difference {
	one, two := newMade(pod, first), newMade(pod, second)
	var all []Difference
	for i := range found {
		d := &found[i]
		place, in := d.Place(), one
		if d.Kind == compare.OnlySecond {
			in = two
		}
		until := in.shown(place)
		if d.Kind == compare.OtherValue || d.Kind == compare.OtherOrder {
			until = min(until, two.shown(d.Second.Place))
		}
		shown := Difference{Kind: d.Kind, Place: place, Named: func(at compare.Place, name json.RawMessage) bool {
			return string(in.value(at.Pointer(), name)) == string(name)
		}}
		if until < len(place) { // both Pods have an object there
			shown.Place = place[:until]
			shown.Kind, shown.First, shown.Second = compare.OtherValue, json.RawMessage(redacted), json.RawMessage(redacted)
		} else {
			shown.First, shown.Second = one.valueOf(&d.First), two.valueOf(&d.Second)
		}
		same := func(other Difference) bool {
			return other.Kind == shown.Kind && other.Place.Pointer() == shown.Place.Pointer()
		}
		if !slices.ContainsFunc(all, same) {
			all = append(all, shown)
		}
	}
	return all
}

func (m *made) valueOf(v *compare.Value) json.RawMessage {
	if v.JSON == nil {
		return nil
	}
	return m.value(v.Place.Pointer(), v.JSON)
}
