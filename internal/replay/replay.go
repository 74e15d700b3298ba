// Package replay sends the Pods of recorded events through endpoints, in dry runs, and says what would be another Pod than
// the recorded one. It compares with internal/compare, and asks with internal/tryout.
//
//	replay.go   many events at a time: START HERE
//	file.go     events of a file
//	audit.go    events of the audit function; ask.go has its HTTP
//	join.go     several sources
//	event.go    what one event says, and why it may not be replayed
//	judge.go    the recorded answer beside the new one
//	ledger.go   each event counts once
//	report.go   the result, for people and JSON
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/txn2/amp/internal/tryout"
)

// maxSilent is after how many calls in a row without an answer a replay ends. Each of them takes the whole timeout.
const maxSilent = 20

// Config says what is replayed.
type Config struct {
	Source Source
	Chain  *tryout.Chain
	// Parallel is how many Pods are asked about at a time, 1 or more.
	Parallel int
	// Limit is the most Pods that are asked about; 0: all.
	Limit int
	// ShowValues puts each value into the report, also those that an event of level Patch does not show.
	ShowValues bool
	// Progress is told how many events were read and how many Pods were asked about, from several goroutines; it may be nil.
	Progress func(events, pods int)
}

// Run replays the events of a source. The error says why the question could not be asked, or not to its end; then the report,
// if there is one, has what was found until then.
func Run(ctx context.Context, config Config) (*Report, error) {
	start := time.Now()
	r := &run{config: config, ledger: newLedger(), enough: make(chan struct{})}
	caller := ctx
	ctx, r.stop = context.WithCancel(ctx)
	defer r.stop()
	events := make(chan numbered)
	var workers sync.WaitGroup
	for range config.Parallel {
		workers.Go(func() {
			for e := range events {
				r.one(ctx, e)
			}
		})
	}
	err := r.read(ctx, events)
	close(events)
	workers.Wait()

	report := r.ledger.report()
	report.TookMS = time.Since(start).Milliseconds()
	switch {
	case caller.Err() != nil:
		err = errors.New("interrupted")
	case r.silence != "" && !r.answered:
		return nil, fmt.Errorf("the endpoint does not answer: %s", r.silence)
	case r.gaveUp:
		report.Stopped = fmt.Sprintf("the endpoint stopped to answer: %d calls in a row had no answer: %s", maxSilent, r.silence)
		return report, nil
	case r.isEnough():
		report.Stopped = fmt.Sprintf("--limit %d: there are more events", config.Limit)
		return report, nil
	}
	if err != nil {
		report.Stopped = err.Error()
	}
	return report, err
}

// numbered is an event with its place in the source.
type numbered struct {
	Recorded
	number int
}

// run is a replay under way.
type run struct {
	config Config
	ledger *ledger
	stop   context.CancelFunc // of what is under way
	enough chan struct{}      // closed when the limit is reached

	mutex    sync.Mutex
	asked    int    // Pods that were asked about, or are
	silent   int    // calls in a row without an answer
	silence  string // the message of the last one
	answered bool
	gaveUp   bool
}

// read hands the events of the source to the workers.
func (r *run) read(ctx context.Context, to chan<- numbered) error {
	for number := 1; ; number++ {
		event, err := r.config.Source.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		select {
		case to <- numbered{event, number}:
		case <-r.enough:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// one replays one event.
func (r *run) one(ctx context.Context, n numbered) {
	envelope, left := readEnvelope(n.JSON)
	entry, example := r.ledger.enter(n, envelope, left)
	if entry == nil {
		return
	}
	recorded, left := readRecorded(envelope)
	example.Pod = recorded.pod()
	if left != "" {
		r.ledger.leave(entry, left, example)
		return
	}
	if !r.mayAsk() {
		return
	}
	answer, err := r.config.Chain.Ask(ctx, recorded.before, recorded.namespace, recorded.user)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		r.ledger.leave(entry, LeftBroken, example)
		return
	}
	r.heard(answer)
	verdict, findings := judge(recorded, answer, r.config.ShowValues)
	pods := r.ledger.count(entry, verdict, findings, example)
	if r.config.Progress != nil {
		r.config.Progress(n.number, pods)
	}
}

// mayAsk reports whether one more Pod may be asked about.
func (r *run) mayAsk() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.config.Limit > 0 && r.asked == r.config.Limit {
		if !r.isEnough() {
			close(r.enough)
		}
		return false
	}
	r.asked++
	return true
}

func (r *run) isEnough() bool {
	select {
	case <-r.enough:
		return true
	default:
		return false
	}
}

// heard ends the replay if the endpoint does not answer any more.
func (r *run) heard(a *tryout.Answer) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !a.Silent {
		r.silent, r.answered = 0, true
		return
	}
	if r.silent, r.silence = r.silent+1, a.Message; r.silent == maxSilent {
		r.gaveUp = true
		r.stop()
	}
}
