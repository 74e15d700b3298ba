package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/txn2/amp/endpoints/events"
)

// Detail is the answer of GET api/events/{id}: one event, and what can be said about it.
type Detail struct {
	Item *Item `json:"item"`
	// Event is the CloudEvent as it came, in JSON.
	Event json.RawMessage `json:"event"`
	// Superseded: there is a final verdict, in Verdicts.
	Superseded bool `json:"superseded"`
	// Verdicts holds the other events about this review: the final one, or those that it superseded.
	Verdicts []*Item `json:"verdicts"`
	// Seen holds the validated events of a mutated event's Pod: the names it got.
	Seen []Seen `json:"seen"`
	// Mutation is what a validated event's stamp leads to.
	Mutation *Stamp `json:"mutation,omitempty"`
	// Changes says each operation of the patch in words.
	Changes []Change `json:"changes"`
	Diff    Diff     `json:"diff"`
}

// Seen is one Pod that /validate saw.
type Seen struct {
	*Item
	UID string `json:"uid,omitempty"`
}

// Stamp is where a Pod's stamp leads. Anyone can write one.
type Stamp struct {
	ID     string `json:"id"`
	Item   *Item  `json:"item,omitempty"` // the mutated event, if it is of that Pod
	Reason string `json:"reason,omitempty"`
}

// one answers GET api/events/{id}, with the parameter source where several sources have that id.
func (s *Server) one(w http.ResponseWriter, r *http.Request, escaped string) error {
	id, err := url.PathUnescape(escaped)
	if err != nil {
		return bad("the id in the path is not escaped rightly")
	}
	q := r.URL.Query()
	for name := range q {
		if name != "source" {
			return bad("unknown parameter %.60q: there is source", name)
		}
	}
	var d *Detail
	var data *events.Data
	err = s.store.read(r.Context(), func(tx *sql.Tx) (err error) {
		d, data, err = readDetail(r.Context(), tx, id, q.Get("source"))
		return err
	})
	if several := (*severalSources)(nil); errors.As(err, &several) {
		writeJSON(w, http.StatusMultipleChoices, map[string]any{
			"error": "events of several sources have this id: add the parameter source", "sources": several.sources,
		})
		return nil
	} else if err != nil {
		return err
	}
	d.Changes, d.Diff = describe(data), diffOf(data)
	writeJSON(w, http.StatusOK, d)
	return nil
}

type severalSources struct{ sources []string }

func (*severalSources) Error() string { return "several sources have this id" }

func readDetail(ctx context.Context, tx *sql.Tx, id, source string) (*Detail, *events.Data, error) {
	type row struct {
		key        int64
		superseded bool
		item       *Item
	}
	find := func(id string) ([]row, error) {
		rows, err := tx.QueryContext(ctx, "SELECT e.id, e.superseded, b.item FROM events e JOIN bodies b ON b.id = e.id WHERE e.eid = ? LIMIT 100", id)
		if err != nil {
			return nil, err
		}
		return collect(rows, func(scan func(...any) error) (r row, err error) {
			var text []byte
			if err = scan(&r.key, &r.superseded, &text); err == nil {
				err = json.Unmarshal(text, &r.item)
			}
			return r, err
		})
	}
	all, err := find(id)
	if err != nil {
		return nil, nil, err
	}
	var found []row
	var sources []string
	for _, r := range all {
		if source == "" || r.item.Source == source {
			found = append(found, r)
		}
		sources = append(sources, r.item.Source)
	}
	switch {
	case len(found) == 0:
		return nil, nil, &badRequest{http.StatusNotFound, "there is no such event: it may be older than is kept, or of a level None"}
	case len(found) > 1:
		return nil, nil, &severalSources{sources}
	}
	d := &Detail{Item: found[0].item, Superseded: found[0].superseded, Verdicts: []*Item{}, Seen: []Seen{}, Changes: []Change{}}
	var body []byte
	if err := tx.QueryRowContext(ctx, "SELECT event FROM bodies WHERE id = ?", found[0].key).Scan(&body); err != nil {
		return nil, nil, err
	}
	d.Event = body

	other := id + final
	if base, ok := strings.CutSuffix(id, final); ok {
		other = base
	}
	others, err := find(other)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range others {
		if r.item.Source == d.Item.Source {
			d.Verdicts = append(d.Verdicts, r.item)
		}
	}

	data, err := dataOf(body)
	if err != nil {
		return nil, nil, err
	}
	if d.Item.Outcome == outcomeOf[events.Mutated] {
		validated, err := validationsOf(ctx, tx, d.Item)
		if err != nil {
			return nil, nil, err
		}
		for _, v := range validated {
			var body []byte
			if err := tx.QueryRowContext(ctx, "SELECT event FROM bodies WHERE id = ?", v.key).Scan(&body); err != nil {
				return nil, nil, err
			}
			data, err := dataOf(body)
			if err != nil {
				return nil, nil, err
			}
			d.Seen = append(d.Seen, Seen{v.item, data.Pod.UID})
			d.Item.Seen = append(d.Item.Seen, v.item.Name)
		}
	}
	if d.Item.Mutation != "" {
		d.Mutation = &Stamp{ID: d.Item.Mutation, Reason: "no event with that id is here"}
		stamped, err := find(d.Item.Mutation)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range stamped {
			if joins(d.Item, r.item) {
				d.Mutation.Item, d.Mutation.Reason = r.item, ""
				break
			}
			d.Mutation.Reason = "that event is about another Pod, and anyone can write the stamp"
		}
	}
	return d, data, nil
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
	data := new(events.Data)
	return data, json.Unmarshal(e.Data, data)
}
