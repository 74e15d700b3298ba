package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// The widths of the sums' buckets, in seconds.
const (
	minute = 60
	hour   = 3600
)

// sums gathers what a transaction adds to the charts' sums, so that charts need not read every event.
type sums struct {
	counts    map[countKey]int64
	latencies map[latencyKey]*latency
}

type countKey struct {
	res, bucket int64
	outcome     string
}

type latencyKey struct{ res, endpoint, bucket int64 }

type latency struct {
	errors int64
	hist   store.Histogram
}

func newSums() *sums {
	return &sums{map[countKey]int64{}, map[latencyKey]*latency{}}
}

func bucketOf(t time.Time, width int64) int64 { return t.Unix() - t.Unix()%width }

// add counts an event.
func (s *sums) add(at time.Time, outcome string, calls []store.Call) {
	for _, res := range []int64{minute, hour} {
		bucket := bucketOf(at, res)
		s.counts[countKey{res, bucket, outcome}]++
		for _, c := range calls {
			for _, endpoint := range []int64{0, hash(kindEndpoint, clean(c.URL))} {
				key := latencyKey{res, endpoint, bucket}
				l := s.latencies[key]
				if l == nil {
					l = new(latency)
					s.latencies[key] = l
				}
				l.hist[store.ClassOf(c.DurationMS)]++
				if c.Failed {
					l.errors++
				}
			}
		}
	}
}

// read adds what is in the database already. The transaction holds the lock of audit_meta, so nobody else changes it.
func (s *sums) read(ctx context.Context, tx pgx.Tx) error {
	if len(s.latencies) == 0 {
		return nil
	}
	var res, endpoints, buckets []int64
	for k := range s.latencies {
		res, endpoints, buckets = append(res, k.res), append(endpoints, k.endpoint), append(buckets, k.bucket)
	}
	rows, err := tx.Query(ctx, `SELECT l.res, l.endpoint, l.bucket, l.errors, l.hist FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) k(res, endpoint, bucket)
		JOIN audit_latencies l ON l.res = k.res AND l.endpoint = k.endpoint AND l.bucket = k.bucket`, res, endpoints, buckets)
	if err != nil {
		return err
	}
	var k latencyKey
	var errors int64
	var hist []byte
	_, err = pgx.ForEachRow(rows, []any{&k.res, &k.endpoint, &k.bucket, &errors, &hist}, func() error {
		s.latencies[k].errors += errors
		s.latencies[k].hist.Add(hist)
		return nil
	})
	return err
}

// queue writes the sums.
func (s *sums) queue(batch *pgx.Batch) {
	var res, buckets, ns []int64
	var outcomes []string
	for k, n := range s.counts {
		res, buckets, outcomes, ns = append(res, k.res), append(buckets, k.bucket), append(outcomes, k.outcome), append(ns, n)
	}
	batch.Queue(`INSERT INTO audit_counts SELECT * FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::bigint[])
		ON CONFLICT (res, bucket, outcome) DO UPDATE SET n = audit_counts.n + excluded.n`, res, buckets, outcomes, ns)
	if len(s.latencies) == 0 {
		return
	}
	var endpoints, errors []int64
	var hists [][]byte
	res, buckets = nil, nil
	for k, l := range s.latencies {
		res, endpoints, buckets, errors, hists = append(res, k.res), append(endpoints, k.endpoint), append(buckets, k.bucket), append(errors, l.errors), append(hists, l.hist.Encode())
	}
	batch.Queue(`INSERT INTO audit_latencies SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
		ON CONFLICT (res, endpoint, bucket) DO UPDATE SET errors = excluded.errors, hist = excluded.hist`, res, endpoints, buckets, errors, hists)
}
