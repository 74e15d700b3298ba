package store

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
)

// Charts sums up events.
type Charts struct {
	From          time.Time `json:"from"`
	To            time.Time `json:"to"`
	BucketSeconds int64     `json:"bucketSeconds"`
	Outcomes      []string  `json:"outcomes"` // all of them, in the order in which they are stacked
	// Buckets holds the ones in which amp answered something, oldest first.
	Buckets []*Bucket `json:"buckets"`
	// Endpoints holds MaxEndpoints at most, the ones with the most calls first. Without a filter they are the ones that were
	// seen last in the whole storage, so that not every endpoint of every tenant is read: one with more calls may be missing.
	Endpoints []*EndpointCharts `json:"endpoints"`
	// MoreEndpoints says that others may have been called in that time.
	MoreEndpoints bool `json:"moreEndpoints"`
	// Complete is false where so many events fit that only the newest are counted. There are no Buckets before
	// those.
	Complete bool `json:"complete"`
}

// Bucket holds what amp answered from Start on. The quantiles are of the calls of endpoints, in ms.
type Bucket struct {
	Start  time.Time        `json:"start"`
	Counts map[string]int64 `json:"counts"` // by outcome
	Calls  int64            `json:"calls"`
	P50    float64          `json:"p50"`
	P99    float64          `json:"p99"`
}

// EndpointCharts sums up the calls of one endpoint. The quantiles are in ms.
type EndpointCharts struct {
	URL    string  `json:"url"`
	Calls  int64   `json:"calls"`
	Errors int64   `json:"errors"` // calls without a valid answer
	P50    float64 `json:"p50"`
	P99    float64 `json:"p99"`
	// Times holds the calls over time, oldest first, of the first MaxLines endpoints. The sums of long ranges have wider buckets.
	Times []CallsAt `json:"times,omitempty"`
}

// CallsAt sums up the calls of one endpoint in the bucket that begins at Start.
type CallsAt struct {
	Start time.Time `json:"start"`
	Calls int64     `json:"calls"`
	P50   float64   `json:"p50"`
	P99   float64   `json:"p99"`
}

const (
	// maxBuckets is how many buckets a chart can show.
	maxBuckets = 60
	// MaxCounted bounds the events that are counted one by one, for a filtered view.
	MaxCounted = 10_000
	// MaxEndpoints bounds the endpoints of Charts, which tenants choose.
	MaxEndpoints = 50
	// MaxLines is how many endpoints Charts shows over time: more lines than that cannot be told apart.
	MaxLines = 4
	// maxTallied bounds the endpoints that are counted at one time: each takes some KiB, and an event may name 32 new ones.
	maxTallied = 10 * MaxEndpoints
)

const hour = 3600 // seconds

// widths are the widths that buckets can have, in seconds.
var widths = []int64{60, 2 * 60, 5 * 60, 10 * 60, 15 * 60, 30 * 60, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, 24 * hour, 7 * 24 * hour, 30 * 24 * hour, 365 * 24 * hour}

// widthFor returns the narrowest buckets of which not too many fill a range.
func widthFor(span time.Duration) int64 {
	for _, width := range widths {
		if int64(span.Seconds()) <= width*(maxBuckets-1) {
			return width
		}
	}
	return widths[len(widths)-1]
}

// ChartsFrom returns where charts begin by default: as little before to as holds the oldest event, a day at most.
// A zero oldest says that there is no event.
func ChartsFrom(to, oldest time.Time) (from time.Time) {
	for _, span := range []time.Duration{15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour} {
		from = to.Add(-span)
		if oldest.IsZero() || oldest.After(from) {
			break
		}
	}
	return from
}

// A Tally gathers what Charts show. Stores feed it, in any order.
type Tally struct {
	// MoreEndpoints says that the calls of others, which may be in the range, were not read.
	MoreEndpoints bool

	from, to  time.Time
	width     int64
	buckets   map[int64]*bucketTally // by their first second
	endpoints map[string]*endpointTally
}

type bucketTally struct {
	counts map[string]int64
	calls  Histogram
}

// endpointTally gathers the calls of one endpoint.
type endpointTally struct {
	calls  Histogram
	errors int64
	times  map[int64]map[int]int64 // classes by bucket: most of a Histogram would be empty
}

// NewTally returns one for a range of time.
func NewTally(from, to time.Time) *Tally {
	return &Tally{from: from, to: to, width: widthFor(to.Sub(from)), buckets: map[int64]*bucketTally{}, endpoints: map[string]*endpointTally{}}
}

func (t *Tally) bucket(second int64) *bucketTally {
	start := second - second%t.width
	b := t.buckets[start]
	if b == nil {
		b = &bucketTally{counts: map[string]int64{}}
		t.buckets[start] = b
	}
	return b
}

// Count counts n events with an outcome, at a second since 1970.
func (t *Tally) Count(second int64, outcome string, n int64) {
	t.bucket(second).counts[outcome] += n
}

// Call counts one call of an endpoint.
func (t *Tally) Call(second int64, url string, ms float64, failed bool) {
	class := ClassOf(ms)
	t.Calls(second)[class]++
	e := t.endpoint(url)
	e.calls[class]++
	if failed {
		e.errors++
	}
	t.at(e, second)[class]++
}

// Calls returns the histogram of the calls of all endpoints at a second since 1970, to add to.
func (t *Tally) Calls(second int64) *Histogram { return &t.bucket(second).calls }

// AddCalls adds the sums of an endpoint's calls: how many failed, and their encoded histogram.
func (t *Tally) AddCalls(second int64, url string, failed int64, encoded []byte) {
	var sum Histogram
	sum.Add(encoded)
	e := t.endpoint(url)
	e.errors += failed
	at := t.at(e, second)
	for class, n := range sum {
		if n > 0 {
			e.calls[class] += n
			at[class] += n
		}
	}
}

func (t *Tally) endpoint(url string) *endpointTally {
	e := t.endpoints[url]
	if e == nil {
		t.forgetRare()
		e = &endpointTally{times: map[int64]map[int]int64{}}
		t.endpoints[url] = e
	}
	return e
}

// forgetRare makes room for other endpoints. Those with the most calls stay, so that who sends events with many endpoints hides
// none that is called often.
func (t *Tally) forgetRare() {
	if len(t.endpoints) < maxTallied {
		return
	}
	t.MoreEndpoints = true
	calls := map[string]int64{}
	for url, e := range t.endpoints {
		calls[url] = e.calls.Count()
	}
	urls := slices.SortedFunc(maps.Keys(calls), func(a, b string) int {
		return cmp.Or(cmp.Compare(calls[b], calls[a]), cmp.Compare(a, b))
	})
	for _, url := range urls[maxTallied/2:] {
		delete(t.endpoints, url)
	}
}

func (t *Tally) at(e *endpointTally, second int64) map[int]int64 {
	start := second - second%t.width
	if e.times[start] == nil {
		e.times[start] = map[int]int64{}
	}
	return e.times[start]
}

// over returns an endpoint's calls over time.
func (e *endpointTally) over() []CallsAt {
	var all []CallsAt
	for start, classes := range e.times {
		var h Histogram
		for class, n := range classes {
			h[class] = n
		}
		all = append(all, CallsAt{time.Unix(start, 0).UTC(), h.Count(), h.Quantile(.5), h.Quantile(.99)})
	}
	slices.SortFunc(all, func(a, b CallsAt) int { return a.Start.Compare(b.Start) })
	return all
}

// Charts returns what was gathered.
func (t *Tally) Charts(complete bool) *Charts {
	c := &Charts{From: t.from.UTC(), To: t.to.UTC(), BucketSeconds: t.width, Outcomes: outcome.All, Buckets: []*Bucket{}, Endpoints: []*EndpointCharts{}, Complete: complete}
	for start, b := range t.buckets {
		c.Buckets = append(c.Buckets, &Bucket{Start: time.Unix(start, 0).UTC(), Counts: b.counts, Calls: b.calls.Count(), P50: b.calls.Quantile(.5), P99: b.calls.Quantile(.99)})
	}
	slices.SortFunc(c.Buckets, func(a, b *Bucket) int { return a.Start.Compare(b.Start) })
	for url, e := range t.endpoints {
		c.Endpoints = append(c.Endpoints, &EndpointCharts{URL: url, Calls: e.calls.Count(), Errors: e.errors, P50: e.calls.Quantile(.5), P99: e.calls.Quantile(.99)})
	}
	slices.SortFunc(c.Endpoints, func(a, b *EndpointCharts) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.URL, b.URL))
	})
	c.MoreEndpoints = t.MoreEndpoints || len(c.Endpoints) > MaxEndpoints
	c.Endpoints = c.Endpoints[:min(len(c.Endpoints), MaxEndpoints)]
	for _, e := range c.Endpoints[:min(len(c.Endpoints), MaxLines)] {
		e.Times = t.endpoints[e.URL].over()
	}
	return c
}
