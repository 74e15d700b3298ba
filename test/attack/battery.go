package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// battery is every attack of the table that a tenant, an endpoint or the network can make on a running amp.
type battery struct {
	names   tenants
	amp     *process
	audit   string
	attacks []attackKind
	random  *rand.Rand
	places  chan struct{} // of attacks under way
	streams chan struct{} // of streams that are open

	mu      sync.Mutex
	results map[string]int // attacks, by kind and by whether they got an answer
}

type attackKind struct {
	name   string
	weight int
	do     func(context.Context) error
}

// maxUnderWay bounds the attacks at one time. One that finds no place waits.
const maxUnderWay = 64

func (r *run) newBattery(o order) *battery {
	b := &battery{names: tenants{}, audit: o.Audit, amp: &process{client: r.newClient()}, results: map[string]int{},
		random: rand.New(rand.NewPCG(o.Seed, 0)), places: make(chan struct{}, maxUnderWay), streams: make(chan struct{}, 100)}
	fails := inserts(onlyTheLibraryFails)
	fails.name = "inserts-that-fail"
	answersLarge := largePod()
	answersLarge.name = "large-answers"
	answersLarge.endpoints = answersAll(`[{"op":"add","path":"/metadata/annotations/b","value":"` + strings.Repeat("y", 1_000_000) + `"}]`)
	for _, in := range []input{quantity("1e-999999999"), inserts(""), fails, shortInserts(), lostKeys(), largePod(), answersLarge,
		hanging(1 << 20), copies(), nulls(), optsOut(), hidesSecret(), manyURLs("http://127.0.0.1:9"),
		{name: "absent", pod: smallPod, keys: map[string]string{"amp.txn2.com/ep": "http://127.0.0.1:1"}},
		{name: "api-server", pod: smallPod, keys: map[string]string{"amp.txn2.com/ep": "http://169.254.169.254/latest http://[fd00:ec2::23]/"}},
	} {
		r.with(b.names, in)
		b.add(in.name, 4, func(ctx context.Context) error { return b.ask(ctx, in) })
	}
	flood := good()
	flood.name = "flood"
	r.with(b.names, flood)
	b.add("a flood of 100", 1, func(ctx context.Context) error { return b.times(ctx, 100, flood) })
	slow := hanging(10)
	slow.name = "hanging-flood"
	r.with(b.names, slow)
	b.add("50 reviews for an endpoint that hangs", 1, func(ctx context.Context) error { return b.times(ctx, 50, slow) })
	spelt := r.serve(answers(label))
	_, port, _ := strings.Cut(spelt.address, ":")
	for i := range 50 {
		b.names[fmt.Sprint("spelt-", i)] = map[string]string{"amp.txn2.com/ep": "http://127.0.0.1:" + strings.Repeat("0", i) + port}
	}
	b.add("a port spelt differently", 4, func(ctx context.Context) error {
		return b.ask(ctx, input{name: fmt.Sprint("spelt-", rand.IntN(50)), pod: smallPod})
	})
	for name, text := range map[string]string{"20 half headers": halfHead, "20 half bodies": halfBody} {
		b.add(name, 2, func(ctx context.Context) error { return b.halves(ctx, text, r.cert.roots) })
	}
	b.add("a forged event", 4, func(ctx context.Context) error {
		return b.post(ctx, event(fmt.Sprint(rand.IntN(1000), "/final"), "good", ""))
	})
	large := event("large", "large", `,"endpoints":[`+list(3072, `{"url":"http://`+strings.Repeat("x", 4070)+`","status":200,"durationMs":1,"ops":0}`)+`]`)
	b.add("an event with 12 MiB of URLs", 1, func(ctx context.Context) error {
		return b.post(ctx, strings.Replace(large, `"id":"large"`, fmt.Sprintf(`"id":"large-%d"`, rand.IntN(1_000_000)), 1))
	})
	b.add("a bad query", 2, func(ctx context.Context) error { return b.get(ctx, "/api/events?user=%zz", 0) })
	b.add("a list", 2, func(ctx context.Context) error { return b.get(ctx, "/api/events?limit=200", 0) })
	b.add("a silent stream", 4, func(ctx context.Context) error {
		select {
		case b.streams <- struct{}{}:
			go func() {
				defer func() { <-b.streams }()
				_ = b.get(ctx, "/api/events/stream", 30*time.Second) // it is replaced by others
			}()
		default:
		}
		return nil
	})
	return b
}

func (b *battery) add(name string, weight int, do func(context.Context) error) {
	b.attacks = append(b.attacks, attackKind{name, weight, do})
}

func (b *battery) tenants() tenants { return b.names }

func (b *battery) done() (json.RawMessage, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return json.Marshal(b.results)
}

// fire attacks at random, at a rate, until ctx ends.
func (b *battery) fire(ctx context.Context, o order) {
	b.amp.url = o.AMP
	total := 0
	for _, a := range b.attacks {
		total += a.weight
	}
	tick := time.NewTicker(time.Second / attackRate)
	defer tick.Stop()
	var all sync.WaitGroup
	for ctx.Err() == nil {
		one := b.pick(b.random.IntN(total))
		select {
		case b.places <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		all.Go(func() {
			defer func() { <-b.places }()
			result := "answered"
			if err := one.do(ctx); err != nil {
				result = "not answered"
			}
			b.mu.Lock()
			b.results[one.name+", "+result]++
			b.mu.Unlock()
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	all.Wait()
}

func (b *battery) pick(n int) attackKind {
	for _, a := range b.attacks {
		if n -= a.weight; n < 0 {
			return a
		}
	}
	panic("the weights are wrong")
}

func (b *battery) ask(ctx context.Context, in input) error {
	path := fail
	if rand.IntN(2) == 0 {
		path = ignore
	}
	_, err := b.amp.ask(ctx, path, in.name, in.pod)
	return err
}

// times asks n times, twenty at once.
func (b *battery) times(ctx context.Context, n int, in input) error {
	return errors.Join(b.amp.together(ctx, n, 20, ignore, in.name, in.pod).errors...)
}

// halves opens twenty connections that send a part of a request each, and waits until amp closes them.
func (b *battery) halves(ctx context.Context, text string, roots *x509.CertPool) error {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	for range 20 {
		c, err := tls.DialWithDialer(dialer, "tcp", strings.TrimPrefix(b.amp.url, "https://"), &tls.Config{RootCAs: roots})
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		defer func() {
			stop()
			_ = c.Close()
		}()
		if _, err := c.Write([]byte(text)); err != nil {
			return err
		}
		defer func() { _, _ = io.Copy(io.Discard, c) }()
	}
	return nil
}

func (b *battery) post(ctx context.Context, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.audit+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", structured)
	resp, err := b.amp.client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// get reads nothing of an answer for a while, and then all.
func (b *battery) get(ctx context.Context, target string, silent time.Duration) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.audit+target, nil)
	if err != nil {
		return err
	}
	resp, err := b.amp.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if silent > 0 {
		select {
		case <-time.After(silent):
		case <-ctx.Done():
		}
		return nil
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return roots, nil
}
