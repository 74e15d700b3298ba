package main

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
)

// flood is an attack that goes on until its context ends: inputs, each sent by so many callers, again and again.
type flood struct {
	inputs  func() []input
	callers int
	pause   time.Duration // of each caller, after an answer
}

var floods = map[string]flood{
	"work": {inputs: func() []input {
		fails := inserts(onlyTheLibraryFails)
		fails.name = "inserts-that-fail"
		return []input{quantity("1e-999999999"), inserts(""), fails, lostKeys()}
	}, callers: 1},
	"hanging":    {inputs: func() []input { return []input{hanging(10)} }, callers: 256},
	"large Pods": {inputs: func() []input { return []input{largePod()} }, callers: 1, pause: 200 * time.Millisecond},
}

// flooding is one under way.
type flooding struct {
	flood
	all      []input
	names    tenants
	client   *process
	answered atomic.Int64
}

func (r *run) newFlooding(name string) *flooding {
	f := &flooding{flood: floods[name], names: tenants{}, client: &process{client: r.newClient()}}
	f.all = f.inputs()
	for _, in := range f.all {
		r.with(f.names, in)
	}
	return f
}

func (f *flooding) tenants() tenants { return f.names }

func (f *flooding) fire(ctx context.Context, o order) {
	f.client.url = o.AMP
	var all sync.WaitGroup
	for _, in := range f.all {
		for range f.callers {
			all.Go(func() { f.answered.Add(f.client.again(ctx, in, f.pause)) })
		}
	}
	all.Wait()
}

func (f *flooding) done() (json.RawMessage, error) {
	return json.Marshal(map[string]int64{"attacks answered": f.answered.Load()})
}

// again asks again and again, with a pause after each answer, until ctx ends. It returns how many answers came. What they
// say does not matter: a flood is about others.
func (p *process) again(ctx context.Context, in input, pause time.Duration) (answered int64) {
	for ctx.Err() == nil {
		if _, err := p.ask(ctx, fail, in.name, in.pod); err == nil {
			answered++
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return answered
}
