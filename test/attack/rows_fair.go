package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// least is the p99 that a neighbour may have in any case: below it, the machine decides.
const least = 10 * time.Millisecond

// neighbour measures a good tenant, quiet and then beside one of the floods, which comes from a process of its own, at the
// lowest priority: the question is what it costs amp. The good tenant's p99 may grow to three times the quiet one. The good
// tenant also asks a second amp, which nobody attacks. That shows what the busy machine costs. The verdict does not use it.
func (r *run) neighbour(flood string) {
	const rate, length = 100, 6 * time.Second
	t, in := tenants{}, good()
	r.with(t, in)
	bad := r.startAttackers(t, order{Flood: flood})
	p, spared := r.startAmp(t), r.startAmp(t)
	measure := func() (of, ofSpared *outcome) {
		ctx, cancel := context.WithTimeout(r.ctx, length)
		defer cancel()
		var both sync.WaitGroup
		both.Go(func() { of = p.steadily(ctx, rate, fail, in.name, in.pod) })
		both.Go(func() { ofSpared = spared.steadily(ctx, rate, fail, in.name, in.pod) })
		both.Wait()
		return of, ofSpared
	}
	for _, amp := range []*process{p, spared} {
		amp.together(r.ctx, 200, 4, fail, in.name, in.pod) // so that its connections are open
	}
	quiet, _ := measure()
	r.must(bad.begin(p))
	loud, beside := measure()
	said, err := bad.end()
	r.must(err)
	r.lives(p)
	r.saw("%d reviews/s, quiet p50 %v p99 %v, attacked p50 %v p99 %v, an amp that is spared p50 %v p99 %v; %s", rate,
		round(quiet.at(.5)), round(quiet.at(.99)), round(loud.at(.5)), round(loud.at(.99)), round(beside.at(.5)), round(beside.at(.99)), said)
	if len(loud.errors) > 0 || loud.allowed != len(loud.times) {
		r.fail("%d of the neighbour's %d reviews failed: %v %s", len(loud.times)-loud.allowed+len(loud.errors), len(loud.times), loud.errors, loud.refused)
	}
	if loud.at(.99) > max(3*quiet.at(.99), least) {
		r.fail("p99 grew more than threefold")
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func besideWork(r *run)      { r.neighbour("work") }
func besideHanging(r *run)   { r.neighbour("hanging") }
func besideLargePods(r *run) { r.neighbour("large Pods") }

func floodedSink(r *run) {
	const wanted = 99
	t := tenants{}
	a, b := good(), good()
	a.name, b.name = "a", "b"
	r.with(t, a)
	r.with(t, b)
	var mu sync.Mutex
	got := map[string]bool{}
	sink := r.serve(func(w http.ResponseWriter, req *http.Request) {
		select {
		case <-time.After(200 * time.Millisecond):
		case <-req.Context().Done():
			return
		}
		accepts(w, req)
	})
	sink.keep = true
	p := r.startAmp(t, "K_SINK="+sink.url)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	var flood sync.WaitGroup
	for range 8 {
		flood.Go(func() { p.again(ctx, a, 0) })
	}
	r.eventually(30*time.Second, func() string { // until A's events are dropped
		if r.metric(p, `amp_events_total{result="dropped"}`) < 100 {
			return "A's flood does not fill the queue"
		}
		return ""
	})
	for range wanted {
		if v := r.review(p, fail, b.name, b.pod); !v.Allowed {
			r.fail("%s", v.message())
		}
	}
	cancel()
	flood.Wait()
	r.eventually(3*time.Minute, func() string {
		mu.Lock()
		defer mu.Unlock()
		for _, body := range sink.kept()[len(got):] {
			var event struct {
				UID       string
				Namespace string
			}
			if err := json.Unmarshal(body, &event); err != nil {
				return err.Error()
			}
			got[event.UID+" "+event.Namespace] = true
		}
		n := 0
		for key := range got {
			if strings.HasSuffix(key, " b") {
				n++
			}
		}
		if n < wanted {
			return fmt.Sprintf("%d of %d events of B have come, and %d of A", n, wanted, len(got)-n)
		}
		return ""
	})
	r.saw("%d of B's %d events arrive; of A's %v are dropped", wanted, wanted, r.metric(p, `amp_events_total{result="dropped"}`))
	r.lives(p)
}

func spelledPorts(r *run) {
	e := r.serve(answers(label))
	other := r.serve(answers(label))
	host, port, _ := strings.Cut(e.address, ":")
	t := tenants{"other": {"amp.txn2.com/ep": other.url}}
	for i := range 250 {
		t[fmt.Sprintf("spelt-%d", i)] = map[string]string{"amp.txn2.com/ep": "http://" + host + ":" + strings.Repeat("0", i) + port}
	}
	p := r.startAmp(t)
	allowed := 0
	for i := range 250 {
		if r.review(p, fail, fmt.Sprintf("spelt-%d", i), smallPod).Allowed {
			allowed++
		}
	}
	r.review(p, fail, "other", smallPod)
	hosts := map[string]bool{}
	for _, line := range r.series(p, "amp_endpoint_requests_total{") {
		_, after, _ := strings.Cut(line, `host="`)
		name, _, _ := strings.Cut(after, `"`)
		hosts[name] = true
	}
	r.saw("%d of 250 spellings are called, %d hosts in the metrics", allowed, len(hosts))
	if allowed == 0 || len(hosts) > 2 || !hosts[other.address] {
		r.fail("the hosts are %v", hosts)
	}
	r.lives(p)
}

// metric is the value of one series.
func (r *run) metric(p *process, name string) (value float64) {
	lines := r.series(p, name+" ")
	if len(lines) != 1 {
		r.fail("there is no metric %s", name)
	}
	_, err := fmt.Sscan(strings.TrimPrefix(lines[0], name), &value)
	r.must(err)
	return value
}

// hangingEndpoint asks 64 at once: so many are on their way before the first has failed.
func hangingEndpoint(r *run) {
	var works chan struct{} = make(chan struct{})
	in := hanging(10)
	in.endpoints = []http.HandlerFunc{func(w http.ResponseWriter, req *http.Request) {
		select {
		case <-works:
			answers(label)(w, req)
		case <-req.Context().Done():
		}
	}}
	r.circuit(in, "is open", func() { close(works) })
}

func absentEndpoint(r *run) {
	in := input{name: "absent", pod: smallPod, keys: map[string]string{"amp.txn2.com/ep": "http://127.0.0.1:1"}}
	r.circuit(in, "is open", nil)
}

func (r *run) circuit(in input, want string, mend func()) {
	t := tenants{}
	all := r.with(t, in)
	p := r.startAmp(t)
	began := time.Now()
	o := p.together(r.ctx, 1600, 64, ignore, in.name, in.pod)
	took := time.Since(began)
	r.allDecided(o, 1600)
	var connects, requests int64
	for _, e := range all {
		connects, requests = connects+e.connects.Load(), requests+e.requests.Load()
	}
	r.saw("%d connects, %d requests, half of the answers within %v, all in %v", connects, requests, o.at(.5).Round(time.Millisecond), took.Round(time.Millisecond))
	message := r.review(p, fail, in.name, in.pod).message()
	r.saw("%s", message)
	if !strings.Contains(message, want) {
		r.fail("no circuit: the message does not say %q", want)
	}
	// 64 begin at the same time; then the circuit is open but for one try in 5 s.
	if limit := int64(64 + 20 + 2 + took/(5*time.Second)); requests > limit || connects > limit {
		r.fail("more than %d", limit)
	}
	if o.at(.9) > patience || o.at(.5) > 100*time.Millisecond {
		r.fail("it answers late")
	}
	if mend != nil {
		mend()
		r.eventually(15*time.Second, func() string {
			if a := r.review(p, fail, in.name, in.pod); !a.Allowed {
				return a.message()
			}
			return ""
		})
		r.saw("it closes when the endpoint answers again")
	}
	r.lives(p)
}
