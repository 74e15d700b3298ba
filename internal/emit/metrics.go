package emit

import (
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/txn2/amp/internal/compare"
	"github.com/txn2/amp/internal/review"
)

// maxHosts bounds the label host, because tenants choose the hosts: the first ones get a label of their own.
const (
	maxHosts  = 200
	otherHost = "other"
)

// Metrics are amp's metrics.
type Metrics struct {
	requests         *prometheus.CounterVec
	requestDuration  *prometheus.HistogramVec
	badRequests      *prometheus.CounterVec
	shed             map[review.ShedReason]prometheus.Counter
	candidates       map[compare.Result]prometheus.Counter
	panics           prometheus.Counter
	events           map[eventResult]prometheus.Counter
	eventsQueue      prometheus.Gauge
	hosts            sync.Map // of string to struct{}: the hosts with a label of their own
	hostsMu          sync.Mutex
	hostsCount       int
	circuitOpen      *prometheus.GaugeVec
	circuitsMu       sync.Mutex
	circuits         map[string]int // open circuits, by their label: two can share one
	reviewCounters   map[review.Phase]map[review.Outcome]prometheus.Counter
	reviewHistograms map[review.Phase]prometheus.Observer
}

// eventResult is how a try to deliver an event ended.
type eventResult string

const (
	eventDelivered eventResult = "delivered" // the sink accepted it
	eventRetried   eventResult = "retried"   // it failed, and amp will try again; the event is also counted at its end
	eventDropped   eventResult = "dropped"   // amp gave the event up
)

// badStatuses are the statuses of answers to requests that are not AdmissionReviews, or of which amp could not read that.
var badStatuses = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed,
	http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusServiceUnavailable}

// durations span what a review may take, from a tenth of a millisecond to the API server's 30 s at most. A late review ends a
// little after 1.5 s, the default of AMP_TIMEOUT: without a bound near that, a quantile of such reviews would say 2.3 s.
var durations = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 1.6, 2.5, 5, 10, 30}

// NewMetrics registers amp's metrics with reg. version is that of the build; inFlight returns the number of reviews that
// amp works on.
func NewMetrics(reg prometheus.Registerer, version string, inFlight func() int64) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "amp_endpoint_requests_total", Help: "Calls of endpoints, by host and result; all but ok and refused are failures."}, []string{"host", "result"}),
		requestDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "amp_endpoint_request_duration_seconds", Help: "Time an endpoint took, a retry included.", Buckets: durations}, []string{"host"}),
		circuitOpen: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "amp_endpoint_circuit_open", Help: "1 while a circuit of the host is open: amp does not call the endpoint. 0 once it has closed."}, []string{"host"}),
		circuits: map[string]int{},
		badRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "amp_bad_requests_total", Help: "Requests that are not AdmissionReviews, by the HTTP status of the answer."}, []string{"status"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "amp_panics_total", Help: "Panics contained while reviewing; each is a bug in amp."}),
		events: map[eventResult]prometheus.Counter{},
		eventsQueue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "amp_events_queue", Help: "Events that wait to be delivered, and those in flight."}),
		candidates:       map[compare.Result]prometheus.Counter{},
		shed:             map[review.ShedReason]prometheus.Counter{},
		reviewCounters:   map[review.Phase]map[review.Outcome]prometheus.Counter{},
		reviewHistograms: map[review.Phase]prometheus.Observer{},
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "amp_build_info", Help: "1, with the version of amp and of Go as labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	reviews := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "amp_reviews_total", Help: "Reviews answered, by how they ended."}, []string{"operation", "outcome"})
	reviewDuration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "amp_review_duration_seconds", Help: "Time to answer a review, endpoints included.", Buckets: durations}, []string{"operation"})
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "amp_events_total", Help: "Events delivered and dropped, and tries that were repeated."}, []string{"result"})
	shed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "amp_shed_total", Help: "Reviews and answers of endpoints for which amp had no memory (AMP_IN_FLIGHT_BYTES)."}, []string{"reason"})
	candidates := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "amp_candidate_total",
		Help: "Reviews about which a candidate was to be called, by what came of it; dropped: amp had no room for the call."}, []string{"result"})
	reg.MustRegister(shed, candidates, reviews, reviewDuration, m.requests, m.requestDuration, m.circuitOpen, m.badRequests, m.panics,
		events, m.eventsQueue, build,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "amp_in_flight", Help: "Reviews in flight."},
			func() float64 { return float64(inFlight()) }))

	// Each series exists from the start, as zero: a rate over a series that begins with its first failure misses that
	// failure. Series with a host cannot: amp does not know the hosts yet.
	for _, result := range []eventResult{eventDelivered, eventRetried, eventDropped} {
		m.events[result] = events.WithLabelValues(string(result))
	}
	for _, result := range compare.Results {
		m.candidates[result] = candidates.WithLabelValues(string(result))
	}
	for _, reason := range review.ShedReasons {
		m.shed[reason] = shed.WithLabelValues(string(reason))
	}
	for _, phase := range []review.Phase{review.Mutate, review.Validate} {
		m.reviewHistograms[phase] = reviewDuration.WithLabelValues(string(phase))
		m.reviewCounters[phase] = map[review.Outcome]prometheus.Counter{}
		for _, outcome := range review.Outcomes {
			m.reviewCounters[phase][outcome] = reviews.WithLabelValues(string(phase), string(outcome))
		}
	}
	for _, status := range badStatuses {
		m.badRequests.WithLabelValues(strconv.Itoa(status))
	}
	return m
}

// NewMemoryMetric is how much memory the reviews in flight hold.
func NewMemoryMetric(used func() int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "amp_in_flight_bytes", Help: "Memory that amp has reserved for the reviews in flight; at most AMP_IN_FLIGHT_BYTES."},
		func() float64 { return float64(used()) })
}

// NewCertificateMetric is the time at which the serving certificate ends. It is 0 while there is none that the API server
// trusts, so that an alert on a near end covers that as well.
func NewCertificateMetric(notAfter func() time.Time) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "amp_tls_certificate_expiration_timestamp_seconds", Help: "When the serving certificate ends, Unix seconds; 0: there is none."},
		func() float64 {
			if t := notAfter(); !t.IsZero() {
				return float64(t.Unix())
			}
			return 0
		})
}

func (m *Metrics) record(rec *review.Record) {
	phase := rec.Review.Phase
	m.reviewCounters[phase][rec.Verdict.Outcome].Inc()
	m.reviewHistograms[phase].Observe(rec.Took.Seconds())
	for i := range rec.Run.Steps {
		step := &rec.Run.Steps[i]
		m.step(step.Endpoint.Host, step.Result, step.Took)
	}
}

func (m *Metrics) badRequest(status int) { m.badRequests.WithLabelValues(strconv.Itoa(status)).Inc() }

func (m *Metrics) step(host string, result review.Result, took time.Duration) {
	host = m.hostLabel(host, result != review.ResultForbidden && result != review.ResultCircuit)
	m.requests.WithLabelValues(host, string(result)).Inc()
	switch result {
	case review.ResultCircuit:
		return // it took no time of the endpoint's
	case review.ResultFull:
		m.shed[review.ShedAnswer].Inc()
	}
	m.requestDuration.WithLabelValues(host).Observe(took.Seconds())
}

// CircuitChanged counts that a circuit of a host opened or closed. Circuits of http and https can share a host, and many
// share the label other: the metric is 1 while one of them is open.
func (m *Metrics) CircuitChanged(host string, open bool) {
	m.circuitsMu.Lock()
	defer m.circuitsMu.Unlock()
	host = m.hostLabel(host, true) // amp has called it: it failed
	if open {
		m.circuits[host]++
	} else {
		m.circuits[host]--
	}
	m.circuitOpen.WithLabelValues(host).Set(float64(min(m.circuits[host], 1)))
}

func (m *Metrics) setQueue(n int) { m.eventsQueue.Set(float64(n)) }

// hostLabel is host or, once maxHosts others have come before it, otherHost. A host that amp has not called yet takes no
// label from others.
func (m *Metrics) hostLabel(host string, called bool) string {
	if _, ok := m.hosts.Load(host); ok {
		return host
	}
	m.hostsMu.Lock()
	defer m.hostsMu.Unlock()
	if _, ok := m.hosts.Load(host); ok {
		return host
	}
	if !called || m.hostsCount == maxHosts {
		return otherHost
	}
	m.hostsCount++
	m.hosts.Store(host, struct{}{})
	m.circuitOpen.WithLabelValues(host) // as zero, for the same reason as the series that exist from the start
	return host
}
