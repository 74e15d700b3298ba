package store

import "time"

// The widths of the buckets of sums, in seconds.
const (
	Minute = 60
	Hour   = hour
)

// TermLag is how far the time at which a value was last seen may lag behind: it need not be written with each event.
const TermLag = time.Hour

const (
	// minuteRange is the range up to which charts go by sums of minutes. For longer ones they go by hours.
	minuteRange = 30 * time.Hour
	// endpointRange is the same for the table of endpoints, which reads a row for each endpoint.
	endpointRange = 6 * time.Hour
)

// BucketOf returns the first second of the bucket that holds a time.
func BucketOf(t time.Time, width int64) int64 { return t.Unix() - t.Unix()%width }

// Widths returns by which buckets charts of the filter's range go: the charts over time, and the table of endpoints.
func (f *Filter) Widths() (chart, endpoints int64) {
	chart, endpoints = Minute, Minute
	if span := f.To.Sub(f.From); span > minuteRange {
		return Hour, Hour
	} else if span > endpointRange {
		endpoints = Hour
	}
	return chart, endpoints
}

// EndpointsSince returns since when the endpoints were seen, as a store notes it, that may have calls in the table of endpoints.
func (f *Filter) EndpointsSince() time.Time {
	_, width := f.Widths()
	return time.Unix(BucketOf(f.From, width), 0).Add(-TermLag)
}

// Sums gather what a transaction adds to the charts' sums, so that charts need not read every event.
type Sums struct {
	Counts    map[CountKey]int64
	Latencies map[LatencyKey]*Latency
}

// CountKey names a count: Width is that of the bucket, which begins at the second Bucket.
type CountKey struct {
	Width, Bucket int64
	Outcome       string
}

// LatencyKey names the latencies of an endpoint, by the store's number for it. 0 is for all endpoints together.
type LatencyKey struct{ Width, Endpoint, Bucket int64 }

// Latency sums up calls.
type Latency struct {
	Errors  int64
	classes map[int]int64 // few of them
}

// NewSums returns empty sums.
func NewSums() *Sums {
	return &Sums{map[CountKey]int64{}, map[LatencyKey]*Latency{}}
}

// Add counts an event. endpoint returns the store's number for the endpoint of the call at an index of Indexed.
func (s *Sums) Add(item *Item, endpoint func(i int) int64) {
	for _, width := range []int64{Minute, Hour} {
		bucket := BucketOf(item.Time, width)
		s.Counts[CountKey{width, bucket, item.Outcome}]++
		for i, c := range Indexed(item.Endpoints) {
			for _, number := range []int64{0, endpoint(i)} {
				key := LatencyKey{width, number, bucket}
				l := s.Latencies[key]
				if l == nil {
					l = &Latency{classes: map[int]int64{}}
					s.Latencies[key] = l
				}
				l.classes[ClassOf(c.DurationMS)]++
				if c.Failed {
					l.Errors++
				}
			}
		}
	}
}

// Onto returns an encoded histogram with the calls added to it.
func (l *Latency) Onto(encoded []byte) []byte {
	var sum Histogram
	sum.Add(encoded)
	for class, n := range l.classes {
		sum[class] += n
	}
	return sum.Encode()
}
