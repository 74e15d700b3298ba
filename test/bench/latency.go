package main

import (
	"fmt"
	"strconv"
)

// latency measures what amp adds to the time of a review at half of the load that the bare forwarder can take. The load
// does not wait for answers, and counts each review from when it was due. A review that amp cannot answer in time counts with the
// time that it took to fail.
func (b *bench) latency() error {
	amp, bare, stop, err := b.against(centre)
	defer stop()
	if err != nil {
		return err
	}
	closed, err := alternate(3, b.side(bare, centre))
	if err != nil {
		return err
	}
	rate := median(values(closed[0], sample.rate)) / 2
	rounds, err := alternate(b.rounds, b.steady(amp, rate), b.steady(bare, rate))
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range rounds[0] {
		failed += r.Failed
	}
	for _, quantile := range []struct {
		name string
		goal goal
		of   func(report) float64
	}{
		{"99th percentile", atMost(1), func(r report) float64 { return r.P99 }},
		{"median", goal{}, func(r report) float64 { return r.P50 }},
	} {
		added := make([]float64, len(rounds[0]))
		for i := range added {
			added[i] = quantile.of(rounds[0][i]) - quantile.of(rounds[1][i])
		}
		b.add(row{Group: "Added latency", Name: fmt.Sprintf("%s − bare forwarder's, at half of its reviews/s", quantile.name), Unit: "ms",
			Goal: quantile.goal, Values: added, Note: beside(rounds, quantile.of, "%.2f ms") + fmt.Sprintf("; amp failed %d reviews", failed)})
	}
	return nil
}

// steady is a round of so many reviews a second, which does not wait for answers.
func (b *bench) steady(p *process, rate float64) func() (report, error) {
	return func() (report, error) {
		return b.load("-url", "https://"+p.address+"/mutate/fail?timeout=2s", "-ca", b.path("ca.pem"), "-body", b.path("review.json"),
			"-callers", "200", "-rate", strconv.FormatFloat(rate, 'f', 0, 64), "-warm", "300ms", "-for", "2s")
	}
}
