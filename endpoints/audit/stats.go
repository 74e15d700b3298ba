package audit

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A call is one call of an endpoint, as the charts count it.
type call struct {
	url      string
	endpoint int64 // its term
	ms       float64
	failed   bool
}

// formatCalls writes what the charts of a filtered view need, which is quicker to read than the item.
func formatCalls(calls []call) string {
	var b []byte
	for _, c := range calls {
		b = strconv.AppendInt(b, c.endpoint, 10)
		b = append(b, ' ')
		b = strconv.AppendFloat(b, c.ms, 'f', 3, 64)
		if c.failed {
			b = append(b, " x"...)
		}
		b = append(b, ';')
	}
	return string(b)
}

func parseCalls(text string) []call {
	var calls []call
	for one := range strings.SplitSeq(text, ";") {
		endpoint, rest, ok := strings.Cut(one, " ")
		if !ok {
			continue
		}
		ms, failed, _ := strings.Cut(rest, " ")
		var c call
		c.endpoint, _ = strconv.ParseInt(endpoint, 10, 64)
		c.ms, _ = strconv.ParseFloat(ms, 64)
		c.failed = failed != ""
		calls = append(calls, c)
	}
	return calls
}

// A histogram counts durations in classes, each 5% wider than the one before, from 10 µs on: a quantile is
// off by 2.5% at most.
type histogram [classMost + 1]int64

const (
	classRatio = 1.05
	classFirst = 0.01 // ms
	classMost  = 400  // 50 minutes
)

func classOf(ms float64) int {
	if !(ms > classFirst) {
		return 0
	}
	return int(min(math.Round(math.Log(ms/classFirst)/math.Log(classRatio)), classMost))
}

func (h *histogram) count() (n int64) {
	for _, c := range h {
		n += c
	}
	return n
}

// quantile returns the duration in ms that a share of q took no longer than.
func (h *histogram) quantile(q float64) float64 {
	rank := int64(math.Ceil(q * float64(h.count())))
	var seen int64
	for class, n := range h {
		if seen += n; seen >= rank && seen > 0 {
			ms := classFirst * math.Pow(classRatio, float64(class))
			digits := math.Pow(10, 2-math.Floor(math.Log10(ms))) // three that count
			return math.Round(ms*digits) / digits
		}
	}
	return 0
}

func (h *histogram) encode() []byte {
	b := []byte{}
	for class, n := range h {
		if n > 0 { // what is taken back may be older than the sums
			b = binary.AppendUvarint(b, uint64(class))
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

// add adds what encode has written.
func (h *histogram) add(b []byte) {
	for len(b) > 0 {
		class, i := binary.Uvarint(b)
		n, j := binary.Uvarint(b[max(i, 0):])
		if i <= 0 || j <= 0 || class > classMost {
			return
		}
		h[class] += int64(n)
		b = b[i+j:]
	}
}

// The widths of the sums' buckets, in seconds. Minutes serve ranges up to minuteRange, hours longer ones.
const (
	minute      = 60
	hour        = 3600
	minuteRange = 30 * time.Hour
	// endpointRange is the range up to which the table of endpoints goes by minutes: it reads a row for each
	// endpoint.
	endpointRange = 6 * time.Hour
)

// sums gathers what a transaction adds to the charts' sums.
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

// add counts an event, or with sign -1 takes it back.
func (s *sums) add(at time.Time, outcome int, calls []call, sign int64) {
	for _, res := range []int64{minute, hour} {
		bucket := bucketOf(at, res)
		s.counts[countKey{res, bucket, outcome}] += sign
		for _, c := range calls {
			for _, endpoint := range []int64{0, c.endpoint} {
				key := latencyKey{res, endpoint, bucket}
				l := s.latencies[key]
				if l == nil {
					l = &latency{classes: map[int]int64{}}
					s.latencies[key] = l
				}
				l.classes[classOf(c.ms)] += sign
				if c.failed {
					l.errors += sign
				}
			}
		}
	}
}

func (s *sums) apply(tx *txn) error {
	for k, n := range s.counts {
		if err := tx.exec("INSERT INTO counts VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET n = n + excluded.n", k.res, k.bucket, k.outcome, n); err != nil {
			return err
		}
	}
	for k, l := range s.latencies {
		var were int64
		var hist []byte
		err := tx.scan("SELECT errors, hist FROM latencies WHERE res = ? AND endpoint = ? AND bucket = ?", []any{k.res, k.endpoint, k.bucket}, &were, &hist)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var sum histogram
		sum.add(hist)
		for class, n := range l.classes {
			sum[class] += n
		}
		if err := tx.exec("INSERT OR REPLACE INTO latencies VALUES (?,?,?,?,?)", k.res, k.endpoint, k.bucket, max(were+l.errors, 0), sum.encode()); err != nil {
			return err
		}
	}
	return nil
}

// Stats is the answer of GET api/stats.
type Stats struct {
	From          time.Time `json:"from"`
	To            time.Time `json:"to"`
	BucketSeconds int64     `json:"bucketSeconds"`
	Outcomes      []string  `json:"outcomes"`
	// Buckets holds those in which something was answered, oldest first.
	Buckets   []*StatsBucket   `json:"buckets"`
	Endpoints []*StatsEndpoint `json:"endpoints"`
	// Complete is false where a filter fits so many events that only the newest are counted, From on which
	// there are Buckets.
	Complete bool `json:"complete"`
}

// StatsBucket holds what was answered from Start on. Quantiles are of the calls of endpoints, in ms.
type StatsBucket struct {
	Start  time.Time        `json:"start"`
	Counts map[string]int64 `json:"counts"`
	Calls  int64            `json:"calls"`
	P50    float64          `json:"p50"`
	P99    float64          `json:"p99"`

	hist histogram
}

// StatsEndpoint sums up the calls of one endpoint.
type StatsEndpoint struct {
	URL    string  `json:"url"`
	Calls  int64   `json:"calls"`
	Errors int64   `json:"errors"`
	P50    float64 `json:"p50"`
	P99    float64 `json:"p99"`

	hist histogram
}

const (
	// maxBuckets is what a chart can show.
	maxBuckets = 60
	// maxCounted bounds the events that are counted one by one, for a filtered view.
	maxCounted = 10_000
	// maxStatsEndpoints bounds the table of endpoints, which tenants choose.
	maxStatsEndpoints = 50
)

var widths = []int64{1 * minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute, 1 * hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, 24 * hour, 7 * 24 * hour, 30 * 24 * hour, 365 * 24 * hour}

// widthFor returns the narrowest buckets of which not too many fill a range.
func widthFor(span time.Duration) int64 {
	for _, width := range widths {
		if int64(span.Seconds()) <= width*(maxBuckets-1) {
			return width
		}
	}
	return widths[len(widths)-1]
}

// stats answers GET api/stats. Unfiltered it reads the sums, by whole minutes or, for more than 30 hours,
// whole hours that from and to touch; filtered it counts the newest events that fit.
// Without from it covers as much as there is of the last day.
func (s *Server) stats(w http.ResponseWriter, r *http.Request) error {
	now := s.now()
	f, err := parseFilter(r.URL.Query(), now)
	if err != nil {
		return err
	}
	st := &Stats{From: f.From.UTC(), To: f.To.UTC(), Outcomes: outcomes, Buckets: []*StatsBucket{}, Endpoints: []*StatsEndpoint{}, Complete: true}
	if f.To.IsZero() {
		st.To = now.UTC()
	}
	ctx := r.Context()
	err = s.store.read(ctx, func(tx *sql.Tx) error {
		if f.From.IsZero() {
			var oldest sql.NullInt64
			if err := tx.QueryRowContext(ctx, "SELECT min(id) FROM events WHERE id < ?", keyOf(st.To)).Scan(&oldest); err != nil {
				return err
			}
			for _, span := range []time.Duration{15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour} {
				st.From = st.To.Add(-span)
				if !oldest.Valid || timeOf(oldest.Int64).After(st.From) {
					break
				}
			}
		}
		st.BucketSeconds = widthFor(st.To.Sub(st.From))
		if f.isZero() {
			return st.fromSums(ctx, tx)
		}
		f.From, f.To = st.From, st.To
		return st.fromEvents(ctx, tx, f)
	})
	if err != nil {
		return err
	}
	st.finish()
	writeJSON(w, http.StatusOK, st)
	return nil
}

// bucket returns the one that a second falls into, for rows that come in order.
func (st *Stats) bucket(second int64) *StatsBucket {
	start := time.Unix(second-second%st.BucketSeconds, 0).UTC()
	i, found := slices.BinarySearchFunc(st.Buckets, start, func(b *StatsBucket, t time.Time) int { return b.Start.Compare(t) })
	if !found {
		st.Buckets = slices.Insert(st.Buckets, i, &StatsBucket{Start: start, Counts: map[string]int64{}})
	}
	return st.Buckets[i]
}

func (st *Stats) fromSums(ctx context.Context, tx *sql.Tx) error {
	res := int64(minute)
	if st.To.Sub(st.From) > minuteRange {
		res = hour
	}
	rows, err := tx.QueryContext(ctx, "SELECT bucket, outcome, n FROM counts WHERE res = ? AND bucket >= ? AND bucket < ? AND n > 0", res, bucketOf(st.From, res), st.To.Unix())
	if err != nil {
		return err
	}
	if _, err := collect(rows, func(scan func(...any) error) (struct{}, error) {
		var second, n int64
		var outcome int
		err := scan(&second, &outcome, &n)
		if err == nil && outcome < len(outcomes) {
			st.bucket(second).Counts[outcomes[outcome]] += n
		}
		return struct{}{}, err
	}); err != nil {
		return err
	}
	rows, err = tx.QueryContext(ctx, "SELECT bucket, hist FROM latencies WHERE res = ? AND endpoint = 0 AND bucket >= ? AND bucket < ?", res, bucketOf(st.From, res), st.To.Unix())
	if err != nil {
		return err
	}
	if _, err := collect(rows, func(scan func(...any) error) (struct{}, error) {
		var second int64
		var hist []byte
		err := scan(&second, &hist)
		if err == nil {
			st.bucket(second).hist.add(hist)
		}
		return struct{}{}, err
	}); err != nil {
		return err
	}

	if st.To.Sub(st.From) > endpointRange {
		res = hour
	}
	// Those seen last come first, lest an endpoint of every tenant be read.
	rows, err = tx.QueryContext(ctx, `SELECT t.value, l.errors, l.hist
		FROM (SELECT id, value FROM (SELECT id, value, last FROM terms WHERE kind = ? AND ns = 0 LIMIT 1000) ORDER BY last DESC LIMIT ?) t
		JOIN latencies l ON l.res = ? AND l.endpoint = t.id AND l.bucket >= ? AND l.bucket < ?`,
		kindEndpoint, maxStatsEndpoints, res, bucketOf(st.From, res), st.To.Unix())
	if err != nil {
		return err
	}
	byURL := map[string]*StatsEndpoint{}
	_, err = collect(rows, func(scan func(...any) error) (struct{}, error) {
		var url string
		var errors int64
		var hist []byte
		err := scan(&url, &errors, &hist)
		if err == nil {
			e := st.endpoint(byURL, url)
			e.Errors += errors
			e.hist.add(hist)
		}
		return struct{}{}, err
	})
	return err
}

func (st *Stats) endpoint(byURL map[string]*StatsEndpoint, url string) *StatsEndpoint {
	e := byURL[url]
	if e == nil {
		e = &StatsEndpoint{URL: url}
		byURL[url] = e
		st.Endpoints = append(st.Endpoints, e)
	}
	return e
}

func (st *Stats) fromEvents(ctx context.Context, tx *sql.Tx, f filter) error {
	want, err := f.resolve(ctx, tx)
	if err != nil {
		return err
	}
	if want.nothing {
		return nil
	}
	type counted struct {
		key        int64
		pod, calls string
		outcome    int
	}
	terms := map[int64]string{}
	byURL := map[string]*StatsEndpoint{}
	before, n := want.to, 0
	for began := time.Now(); ; {
		rows, err := want.candidates(ctx, tx, before, scanned, ", e.pod, e.outcome, e.calls")
		if err != nil {
			return err
		}
		all, err := collect(rows, func(scan func(...any) error) (c counted, err error) {
			return c, scan(&c.key, &c.pod, &c.outcome, &c.calls)
		})
		if err != nil {
			return err
		}
		for _, c := range all {
			before = c.key
			if want.pod != "" && !podFits(c.pod, want.pod) {
				continue
			}
			n++
			b := st.bucket(timeOf(c.key).Unix())
			if c.outcome < len(outcomes) {
				b.Counts[outcomes[c.outcome]]++
			}
			for _, call := range parseCalls(c.calls) {
				url, ok := terms[call.endpoint]
				if !ok {
					if err := tx.QueryRowContext(ctx, "SELECT value FROM terms WHERE id = ?", call.endpoint).Scan(&url); err != nil && !errors.Is(err, sql.ErrNoRows) {
						return err
					}
					terms[call.endpoint] = url
				}
				e := st.endpoint(byURL, url)
				class := classOf(call.ms)
				b.hist[class]++
				e.hist[class]++
				if call.failed {
					e.Errors++
				}
			}
		}
		if len(all) < scanned {
			return nil
		}
		if n >= maxCounted || time.Since(began) > patience {
			st.Complete = false
			return nil
		}
	}
}

// finish turns histograms into quantiles, and puts the busiest endpoints first.
func (st *Stats) finish() {
	for _, b := range st.Buckets {
		b.Calls, b.P50, b.P99 = b.hist.count(), b.hist.quantile(.5), b.hist.quantile(.99)
	}
	for _, e := range st.Endpoints {
		e.Calls, e.P50, e.P99 = e.hist.count(), e.hist.quantile(.5), e.hist.quantile(.99)
	}
	slices.SortStableFunc(st.Endpoints, func(a, b *StatsEndpoint) int { return int(b.Calls - a.Calls) })
	st.Endpoints = st.Endpoints[:min(len(st.Endpoints), maxStatsEndpoints)]
}
