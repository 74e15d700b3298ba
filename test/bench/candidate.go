package main

import "fmt"

// candidate compares amp where a namespace names a candidate with amp where it names none: at a third of the load that amp can
// take, so that the candidate's own work finds a processor, and at all of it, where it does not.
func (b *bench) candidate() error {
	with := centre.with("with a candidate", func(s *setting) { s.candidate = true })
	started := len(b.running)
	defer func() {
		for _, p := range b.running[started:] {
			p.stop()
		}
	}()
	_, amp, err := b.pair(with)
	if err != nil {
		return err
	}
	_, alone, err := b.pair(centre)
	if err != nil {
		return err
	}
	full, err := alternate(b.rounds, b.side(amp, with), b.side(alone, centre))
	if err != nil {
		return err
	}
	rate := median(values(full[1], sample.rate)) / 3
	rounds, err := alternate(b.rounds, b.steady(amp, rate), b.steady(alone, rate))
	if err != nil {
		return err
	}
	var called, dropped float64
	for _, result := range []string{"same", "different", "failed", "alone", "dropped"} {
		n, err := amp.metric(fmt.Sprintf("amp_candidate_total{result=%q}", result))
		if err != nil {
			return err
		}
		if called += n; result == "dropped" {
			dropped = n
		}
	}
	for _, quantile := range []struct {
		name string
		of   func(report) float64
	}{
		{"median", func(r report) float64 { return r.P50 }},
		{"99th percentile", func(r report) float64 { return r.P99 }},
	} {
		added := make([]float64, len(rounds[0]))
		for i := range added {
			added[i] = quantile.of(rounds[0][i]) - quantile.of(rounds[1][i])
		}
		b.add(row{Group: "A candidate", Name: quantile.name + " with − without, at a third of the reviews/s", Unit: "ms", Values: added, Note: beside(rounds, quantile.of, "%.2f ms")})
	}
	b.add(row{Group: "A candidate", Name: "reviews/s with ÷ without", Values: ratios(full[0], full[1], sample.rate),
		Note: beside(full, sample.rate, "%.0f/s") + fmt.Sprintf("; %.1f %% of all calls dropped", 100*dropped/called)})
	return nil
}
