package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

type termKey struct {
	kind string
	hash int64
}

// maxTerms bounds the terms that the writer remembers.
const maxTerms = 50_000

// queueTerms notes which values there are to choose from. It leaves out what it noted less than an hour ago, by the time of
// events. A replica may have deleted such a term since, but then all those events have passed the retention, too.
func (s *Store) queueTerms(batch *pgx.Batch, rows []*row) {
	type value struct {
		text string
		last time.Time
	}
	fresh := map[termKey]value{}
	note := func(kind, text string, at time.Time) {
		text = clean(text)
		k := termKey{kind, hash(kind, text)}
		if last, ok := s.terms[k]; ok && at.Before(last.Add(store.TermLag)) {
			return
		}
		if v := fresh[k]; at.After(v.last) {
			fresh[k] = value{text, at}
		}
	}
	for _, r := range rows {
		note(kindNamespace, r.event.Item.Namespace, r.at)
		note(kindUser, r.event.Item.User, r.at)
		for _, c := range store.Indexed(r.event.Item.Endpoints) {
			note(kindEndpoint, c.URL, r.at)
		}
	}
	if len(fresh) == 0 {
		return
	}
	if len(s.terms)+len(fresh) > maxTerms {
		s.terms = map[termKey]time.Time{}
	}
	var kinds, values, folded []string
	var hashes []int64
	var lasts []time.Time
	for k, v := range fresh {
		kinds, hashes, values, folded, lasts = append(kinds, k.kind), append(hashes, k.hash), append(values, v.text), append(folded, store.Fold(v.text)), append(lasts, v.last)
		s.terms[k] = v.last // commit forgets it if the transaction fails
	}
	batch.Queue(`INSERT INTO audit_terms SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[])
		ON CONFLICT (kind, hash) DO UPDATE SET last = excluded.last WHERE audit_terms.last < excluded.last`, kinds, hashes, values, folded, lasts)
}

// exists reports whether there are events with exactly that value.
func exists(ctx context.Context, tx pgx.Tx, kind, value string) (found bool, err error) {
	if value == "" {
		return false, nil
	}
	err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM audit_terms WHERE kind = $1 AND hash = $2)", kind, hash(kind, clean(value))).Scan(&found)
	return found, err
}

// lookUpPart returns the word of a value or, if there is no such value, the words of those that contain it.
func lookUpPart(ctx context.Context, tx pgx.Tx, name, kind, value string) ([]int64, error) {
	if whole, err := exists(ctx, tx, kind, value); err != nil {
		return nil, err
	} else if whole {
		return []int64{hash(kind, clean(value))}, nil
	}
	// Not LIKE, whose wildcards would have to be escaped.
	words, err := collect(ctx, tx, "SELECT hash FROM audit_terms WHERE kind = $1 AND position($2 IN folded) > 0 LIMIT $3",
		[]any{kind, store.Fold(clean(value)), maxAlternatives + 1}, pgx.RowTo[int64])
	if err == nil && len(words) > maxAlternatives {
		return nil, &store.TooManyError{Parameter: name, Value: value, Most: maxAlternatives}
	}
	return words, err
}

// Values implements [store.Store].
func (s *Store) Values(ctx context.Context) (values *store.Values, err error) {
	err = s.reading(ctx, func(ctx context.Context, tx pgx.Tx, _ meta) (err error) {
		values = new(store.Values)
		for kind, into := range map[string]*[]string{kindNamespace: &values.Namespaces, kindEndpoint: &values.Endpoints, kindUser: &values.Users} {
			*into, err = collect(ctx, tx, "SELECT value FROM audit_terms WHERE kind = $1 ORDER BY last DESC LIMIT 200", []any{kind}, pgx.RowTo[string])
			if err != nil {
				return err
			}
			if *into == nil {
				*into = []string{}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}
