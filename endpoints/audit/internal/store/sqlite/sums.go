package sqlite

import (
	"database/sql"
	"errors"
	"time"

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
	outcome     int
}

type latencyKey struct{ res, endpoint, bucket int64 }

type latency struct {
	errors  int64
	classes map[int]int64 // few of them
}

func newSums() *sums {
	return &sums{map[countKey]int64{}, map[latencyKey]*latency{}}
}

func bucketOf(t time.Time, width int64) int64 { return t.Unix() - t.Unix()%width }

// add counts an event.
func (s *sums) add(at time.Time, outcome int, calls []call) {
	for _, res := range []int64{minute, hour} {
		bucket := bucketOf(at, res)
		s.counts[countKey{res, bucket, outcome}]++
		for _, c := range calls {
			for _, endpoint := range []int64{0, c.endpoint} {
				key := latencyKey{res, endpoint, bucket}
				l := s.latencies[key]
				if l == nil {
					l = &latency{classes: map[int]int64{}}
					s.latencies[key] = l
				}
				l.classes[store.ClassOf(c.ms)]++
				if c.failed {
					l.errors++
				}
			}
		}
	}
}

// write adds the sums to the database's.
func (s *sums) write(tx *transaction) error {
	for k, n := range s.counts {
		if err := tx.exec("INSERT INTO counts VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET n = n + excluded.n", k.res, k.bucket, k.outcome, n); err != nil {
			return err
		}
	}
	for k, l := range s.latencies {
		var before int64
		var hist []byte
		err := tx.scan("SELECT errors, hist FROM latencies WHERE res = ? AND endpoint = ? AND bucket = ?", []any{k.res, k.endpoint, k.bucket}, &before, &hist)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var sum store.Histogram
		sum.Add(hist)
		for class, n := range l.classes {
			sum[class] += n
		}
		if err := tx.exec("INSERT OR REPLACE INTO latencies VALUES (?,?,?,?,?)", k.res, k.endpoint, k.bucket, before+l.errors, sum.Encode()); err != nil {
			return err
		}
	}
	return nil
}
