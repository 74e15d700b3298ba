package sqlite

import (
	"context"
	"database/sql"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/packed"
)

// Detail implements [store.Store].
func (s *Store) Detail(ctx context.Context, id, source string) (d *store.Detail, err error) {
	err = s.read(ctx, func(tx *sql.Tx) error {
		d, err = detail(ctx, tx, id, source)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

func detail(ctx context.Context, tx *sql.Tx, id, source string) (*store.Detail, error) {
	all, err := byID(ctx, tx, id, source)
	if err != nil {
		return nil, err
	}
	chosen, err := store.Choose(all, func(k keyed) *store.Item { return k.item }, source)
	if err != nil {
		return nil, err
	}
	d := new(store.Detail)
	if d.Event, err = whole(ctx, tx, chosen); err != nil {
		return nil, err
	}
	if err := tx.QueryRowContext(ctx, "SELECT superseded FROM events WHERE id = ?", chosen.key).Scan(&d.Superseded); err != nil {
		return nil, err
	}

	other, _ := store.Counterpart(id)
	others, err := byID(ctx, tx, other, d.Item.Source)
	if err != nil {
		return nil, err
	}
	for _, k := range others {
		d.Verdicts = append(d.Verdicts, k.item)
	}

	if d.Item.Outcome == outcome.Mutated {
		statement, err := tx.PrepareContext(ctx, selectValidations)
		if err != nil {
			return nil, err
		}
		defer statement.Close()
		left := store.MaxValidations
		validated, err := validationsOf(ctx, statement, d.Item, &left)
		if err != nil {
			return nil, err
		}
		for _, k := range validated {
			e, err := whole(ctx, tx, k)
			if err != nil {
				return nil, err
			}
			d.Seen = append(d.Seen, store.Seen{Item: k.item, UID: store.PodUID(e.Raw)})
			d.Item.Seen = append(d.Item.Seen, k.item.Name)
		}
	}
	if d.Item.Mutation != "" {
		stamped, err := byID(ctx, tx, d.Item.Mutation, d.Item.Source)
		if err == nil && len(stamped) == 0 {
			stamped, err = byID(ctx, tx, d.Item.Mutation, "")
		}
		if err != nil {
			return nil, err
		}
		for _, k := range stamped {
			d.Stamped = append(d.Stamped, k.item)
		}
	}
	return d, nil
}

// byID returns the events with an id, of one source or, if source is empty, of each. Any number of other sources may have that
// id: they must not take the place of the one that is asked for.
func byID(ctx context.Context, tx *sql.Tx, id, source string) ([]keyed, error) {
	query, args := "SELECT e.id, "+itemText("b")+" FROM events e JOIN bodies b ON b.id = e.id WHERE e.eid = ?", []any{id}
	if source != "" {
		query += " AND e.source = (SELECT id FROM terms WHERE kind = '" + kindSource + "' AND ns = 0 AND value = ?)"
		args = append(args, source)
	}
	rows, err := tx.QueryContext(ctx, query+" LIMIT ?", append(args, store.MaxSources)...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanKeyed)
}

// whole adds to an item the event as it came.
func whole(ctx context.Context, tx *sql.Tx, k keyed) (store.Event, error) {
	e := store.Event{Item: k.item}
	var item, event []byte
	err := tx.QueryRowContext(ctx, "SELECT item, event FROM bodies WHERE id = ?", k.key).Scan(&item, &event)
	if err == nil {
		e.Raw, err = packed.Event(item, event)
	}
	return e, err
}
