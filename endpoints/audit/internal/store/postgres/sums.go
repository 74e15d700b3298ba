package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// latency is a row of audit_latencies.
type latency struct {
	errors int64
	hist   []byte
}

// readSums reads the latencies to which sums add. The transaction holds the lock of audit_meta, so no other replica changes
// them.
func readSums(ctx context.Context, tx pgx.Tx, sums *store.Sums) (map[store.LatencyKey]latency, error) {
	all := map[store.LatencyKey]latency{}
	if len(sums.Latencies) == 0 {
		return all, nil
	}
	var res, endpoints, buckets []int64
	for k := range sums.Latencies {
		res, endpoints, buckets = append(res, k.Width), append(endpoints, k.Endpoint), append(buckets, k.Bucket)
	}
	rows, err := tx.Query(ctx, `SELECT l.res, l.endpoint, l.bucket, l.errors, l.hist FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) k(res, endpoint, bucket)
		JOIN audit_latencies l ON l.res = k.res AND l.endpoint = k.endpoint AND l.bucket = k.bucket`, res, endpoints, buckets)
	if err != nil {
		return nil, err
	}
	var k store.LatencyKey
	var l latency
	_, err = pgx.ForEachRow(rows, []any{&k.Width, &k.Endpoint, &k.Bucket, &l.errors, &l.hist}, func() error {
		all[k] = l
		return nil
	})
	return all, err
}

// queueSums adds sums to the database's, which before holds.
func queueSums(batch *pgx.Batch, sums *store.Sums, before map[store.LatencyKey]latency) {
	var res, buckets, ns []int64
	var outcomes []string
	for k, n := range sums.Counts {
		res, buckets, outcomes, ns = append(res, k.Width), append(buckets, k.Bucket), append(outcomes, k.Outcome), append(ns, n)
	}
	batch.Queue(`INSERT INTO audit_counts SELECT * FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::bigint[])
		ON CONFLICT (res, bucket, outcome) DO UPDATE SET n = audit_counts.n + excluded.n`, res, buckets, outcomes, ns)
	if len(sums.Latencies) == 0 {
		return
	}
	var endpoints, errors []int64
	var hists [][]byte
	res, buckets = nil, nil
	for k, l := range sums.Latencies {
		was := before[k]
		res, endpoints, buckets = append(res, k.Width), append(endpoints, k.Endpoint), append(buckets, k.Bucket)
		errors, hists = append(errors, was.errors+l.Errors), append(hists, l.Onto(was.hist))
	}
	batch.Queue(`INSERT INTO audit_latencies SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
		ON CONFLICT (res, endpoint, bucket) DO UPDATE SET errors = excluded.errors, hist = excluded.hist`, res, endpoints, buckets, errors, hists)
}
