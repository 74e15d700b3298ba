package audit

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/endpoints/events/describe"
)

// Detail is the answer of GET api/events/{id}: one event, and what can be said about it.
type Detail struct {
	Item *store.Item `json:"item"`
	// Event is the CloudEvent as it came, in JSON.
	Event json.RawMessage `json:"event"`
	// Superseded: there is a final verdict, in Verdicts.
	Superseded bool `json:"superseded"`
	// Verdicts holds the other events about this review: the final one, or the ones that it superseded.
	Verdicts []*store.Item `json:"verdicts"`
	// Beside is the event of the candidate that was asked about the same review, or for that one the review's own; nil if
	// there is none.
	Beside *store.Item `json:"beside,omitempty"`
	// Seen holds the validated events of a mutated event's Pod: the names that it got.
	Seen []Seen `json:"seen"`
	// Mutation is what a validated event's stamp leads to.
	Mutation *Stamp `json:"mutation,omitempty"`
	// Changes says each operation of the patch in words.
	Changes []describe.Change `json:"changes"`
	Diff    describe.Diff     `json:"diff"`
}

// Seen is one Pod that /validate saw.
type Seen struct {
	*store.Item
	UID string `json:"uid,omitempty"`
}

// Stamp is where a Pod's stamp leads. Anyone can write one.
type Stamp struct {
	ID     string      `json:"id"`
	Item   *store.Item `json:"item,omitempty"` // the mutated event, if it is of that Pod
	Reason string      `json:"reason,omitempty"`
}

// detail answers GET api/events/{id}, with the parameter source where several sources have that id.
func (s *Server) detail(w http.ResponseWriter, r *http.Request, escaped string) error {
	id, err := url.PathUnescape(escaped)
	if err != nil {
		return bad("the id in the path is not escaped correctly")
	}
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	if err := checkParameters(q, []string{"source"}); err != nil {
		return err
	}
	if err := s.details.enter(r.Context(), "events in full"); err != nil {
		return err
	}
	leave := sync.OnceFunc(s.details.leave)
	defer leave()
	stored, err := s.store.Detail(r.Context(), id, q.Get("source"))
	if err != nil {
		return err
	}
	detail, err := newDetail(stored)
	if err != nil {
		return err
	}
	if detail.Beside, err = s.beside(r.Context(), stored.Item); err != nil {
		return err
	}
	if len(stored.Raw) <= small {
		leave() // a slow reader of a small answer costs little
	} else {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportPatience))
	}
	writeJSON(w, http.StatusOK, detail)
	return nil
}

// newDetail adds to what is stored what can be said about it.
func newDetail(stored *store.Detail) (*Detail, error) {
	d := &Detail{
		Item: stored.Item, Event: stored.Raw, Superseded: stored.Superseded, Verdicts: []*store.Item{}, Seen: []Seen{},
		Mutation: stampOf(stored), Changes: []describe.Change{},
	}
	if values, _ := valuesIn(stored.Raw); values > maxValues {
		d.Diff.Reason = "The event is too large to be put into words. It is here in full."
	} else if data, err := dataOf(stored.Raw); err != nil {
		return nil, err
	} else {
		d.Changes, d.Diff = describe.Changes(data), describe.DiffOf(data)
	}
	d.Verdicts = append(d.Verdicts, stored.Verdicts...)
	for _, seen := range stored.Seen {
		d.Seen = append(d.Seen, Seen{seen.Item, seen.UID})
	}
	return d, nil
}

// candidate is how the id of the event about a candidate ends: before it stands the uid of the review.
const candidate = "/candidate"

// beside returns the event of the candidate that was asked about the review of an event, or the other way round.
func (s *Server) beside(ctx context.Context, item *store.Item) (*store.Item, error) {
	uid, about := strings.CutSuffix(item.ID, candidate)
	other := uid
	if !about {
		uid, _ = strings.CutSuffix(item.ID, store.Final)
		other = uid + candidate
	}
	found, err := s.store.Detail(ctx, other, item.Source)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return found.Item, nil
}

func stampOf(stored *store.Detail) *Stamp {
	if stored.Item.Mutation == "" {
		return nil
	}
	stamp := &Stamp{ID: stored.Item.Mutation, Reason: "there is no event with that id"}
	for _, item := range stored.Stamped {
		if store.Joins(stored.Item, item) {
			return &Stamp{ID: stored.Item.Mutation, Item: item}
		}
		stamp.Reason = "that event is about another Pod, and anyone can write the stamp"
	}
	return stamp
}

// dataOf reads the data of a stored event.
func dataOf(event []byte) (*events.Data, error) {
	var e struct {
		Data   json.RawMessage `json:"data"`
		Base64 []byte          `json:"data_base64"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	if len(e.Data) == 0 {
		e.Data = e.Base64
	}
	if len(e.Data) > 0 && e.Data[0] == '"' { // of another JSON type than application/json
		var text string
		if err := json.Unmarshal(e.Data, &text); err != nil {
			return nil, err
		}
		e.Data = []byte(text)
	}
	data := new(events.Data)
	return data, json.Unmarshal(e.Data, data)
}
