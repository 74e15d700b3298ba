package store

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
)

// An Event is a CloudEvent of amp's.
type Event struct {
	Item *Item
	Raw  json.RawMessage // as it came, in JSON (structured mode)
	// Undated: it came without a time, or with one that cannot be, and Item.Time is when it came. If it is sent again, that is
	// another time.
	Undated bool
}

// Item is what lists show of an event, and what filters and charts go by.
type Item struct {
	ID     string `json:"id"`
	Source string `json:"source"`
	Type   string `json:"type"`
	// Time is when amp decided. Stores keep microseconds of it.
	Time         time.Time `json:"time"`
	Outcome      string    `json:"outcome"`
	Namespace    string    `json:"namespace"`
	Name         string    `json:"name,omitempty"`
	GenerateName string    `json:"generateName,omitempty"`
	User         string    `json:"user"`
	// Gist is what amp answered, in a few words.
	Gist       string  `json:"gist"`
	Ops        int     `json:"ops"` // operations of the endpoints' patches
	Endpoints  []Call  `json:"endpoints"`
	DurationMS float64 `json:"durationMs"`
	// Mutation is the stamp of a validated event's Pod: the id of the mutated event, or a forgery.
	Mutation string `json:"mutation,omitempty"`
	// Superseded: an event with this one's id and Final behind it says so. Stores fill it in when they read, and do not
	// keep it here.
	Superseded bool `json:"superseded,omitempty"`
	// Seen holds the names under which /validate saw the Pod of a mutated event. Stores fill it in when they
	// read, and do not keep it.
	Seen []string `json:"seen,omitempty"`
}

// Call is one call of an endpoint.
type Call struct {
	URL        string  `json:"url"`
	DurationMS float64 `json:"durationMs"`
	Failed     bool    `json:"failed,omitempty"` // there was no valid answer
	Denied     bool    `json:"denied,omitempty"` // the answer was that the Pod must not run
}

// maxIndexedCalls bounds the calls of one event that filters and charts know of. Chains are short.
const maxIndexedCalls = 32

// Indexed returns those of an event's calls that filters and charts know of.
func Indexed(calls []Call) []Call { return calls[:min(len(calls), maxIndexedCalls)] }

// DecodeItem reads an item from JSON.
func DecodeItem(text []byte) (*Item, error) {
	item := &Item{Endpoints: []Call{}}
	return item, json.Unmarshal(text, item)
}

// Joins reports whether a validated event may be of the Pod that a mutated one is about. The validated one's
// stamp says so, but anyone can write that.
func Joins(validated, mutated *Item) bool {
	if mutated.Outcome != outcome.Mutated || validated.Namespace != mutated.Namespace ||
		validated.Source != mutated.Source || validated.Mutation != mutated.ID {
		return false
	}
	if mutated.Name != "" {
		return validated.Name == mutated.Name
	}
	return strings.HasPrefix(validated.Name, GeneratedPrefix(mutated.GenerateName))
}
