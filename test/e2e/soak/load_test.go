package soak

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/txn2/amp/test/e2e/harness"
	"github.com/txn2/amp/test/e2e/stress"
)

// counts are reviews of the good tenant. Those that were due while all workers waited were not sent: they are missed.
type counts struct{ sent, patched, missed int64 }

// load is the good tenant: reviews for the replica aside.
type load struct {
	caller   *stress.Caller
	template [2][]byte // of a review, before and after its uid
	uid      atomic.Int64

	mu    sync.Mutex
	all   counts
	tooks []time.Duration // since the last interval
}

// workers is the most reviews that the good tenant has in flight.
const workers = 32

func newLoad(w *stress.World) *load {
	review, err := stress.Encode(w.Strict.Name, "THE-UID", asks)
	if err != nil {
		panic(err)
	}
	before, after, _ := bytes.Cut(review, []byte("THE-UID"))
	return &load{caller: stress.NewCaller(w.Aside), template: [2][]byte{before, after}}
}

func (l *load) close() { l.caller.Close() }

func (l *load) one() {
	uid := fmt.Appendf(nil, "soak-%d", l.uid.Add(1))
	a := l.caller.Send(slices.Concat(l.template[0], uid, l.template[1]))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.sent++
	if a.Patched {
		l.all.patched++
	}
	l.tooks = append(l.tooks, a.To.Sub(a.From))
}

// saturate measures how many reviews a second amp answers with a patch if the next one always waits.
func (l *load) saturate(t *testing.T, length time.Duration) float64 {
	t.Helper()
	before, end := l.total().patched, time.Now().Add(length)
	var wg sync.WaitGroup
	for range workers / 2 {
		wg.Go(func() {
			for time.Now().Before(end) {
				l.one()
			}
		})
	}
	wg.Wait()
	patched := l.total().patched - before
	if patched == 0 {
		t.Fatal("amp answered no review with a patch")
	}
	l.interval(length)
	return float64(patched) / length.Seconds()
}

// keep sends reviews at a rate, whether they are answered or not, until ctx ends.
func (l *load) keep(ctx context.Context, rate float64) {
	due := make(chan struct{}, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range due {
				l.one()
			}
		})
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	began, given := time.Now(), int64(0)
	for ctx.Err() == nil {
		<-tick.C
		for ; given < int64(rate*time.Since(began).Seconds()); given++ {
			select {
			case due <- struct{}{}:
			default:
				l.mu.Lock()
				l.all.missed++
				l.mu.Unlock()
			}
		}
	}
	close(due)
	wg.Wait()
}

func (l *load) total() counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// interval returns the reviews a second and their p99 since the last call.
func (l *load) interval(length time.Duration) (rate float64, p99 time.Duration) {
	l.mu.Lock()
	tooks := l.tooks
	l.tooks = nil
	l.mu.Unlock()
	if len(tooks) == 0 {
		return 0, 0
	}
	slices.Sort(tooks)
	return float64(len(tooks)) / length.Seconds(), tooks[len(tooks)*99/100]
}

// others are the bad tenants, floods, big Pods, requests that are no reviews, and Pods that are created by way of the API
// server.
type others struct {
	w                     *stress.World
	bad                   []*harness.Namespace
	flood                 *harness.Namespace
	caller                *stress.Caller
	wg                    sync.WaitGroup
	asked, floods, big    atomic.Int64
	nonsense              atomic.Int64
	created, uncreated    atomic.Int64
	names                 atomic.Int64
	deleteNow             metav1.DeleteOptions
	large, largest, small *corev1.Pod
}

func newOthers(t *testing.T, w *stress.World) *others {
	t.Helper()
	o := &others{w: w, caller: stress.NewCaller(w.Aside), flood: w.Namespace(t, harness.Enabled(w.Endpoint.URL())), small: asks}
	o.deleteNow = *metav1.NewDeleteOptions(0)
	for _, path := range stress.Bad {
		o.bad = append(o.bad, w.Namespace(t, harness.Enabled(w.Bad.URL()+path)))
	}
	sized := func(bytes int) *corev1.Pod {
		p := asks.DeepCopy()
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "BIG", Value: strings.Repeat("x", bytes)}}
		return p
	}
	o.large, o.largest = sized(1<<20), sized(2900<<10)
	o.wg.Add(1)
	return o
}

func (o *others) wait() { o.wg.Wait(); o.caller.Close() }

func (o *others) review(ns *harness.Namespace, pod *corev1.Pod) {
	o.caller.Review(ns.Name, fmt.Sprintf("other-%d", o.names.Add(1)), pod)
}

// every calls a function at each tick, in a goroutine of its own, at most 16 at a time.
func (o *others) every(ctx context.Context, d time.Duration, do func()) {
	o.wg.Go(func() {
		stream := harness.NewStreamAt(d, 1<<30, func(int) error { do(); return nil })
		<-ctx.Done()
		stream.Stop()
	})
}

// run begins everything, and ends when ctx does.
func (o *others) run(ctx context.Context) {
	defer o.wg.Done()
	for _, ns := range o.bad {
		o.every(ctx, 500*time.Millisecond, func() { o.asked.Add(1); o.review(ns, o.small) })
	}
	o.every(ctx, 2*time.Second, func() { o.big.Add(1); o.review(o.w.Strict, o.large) })
	o.every(ctx, 10*time.Second, func() { o.big.Add(1); o.review(o.w.Strict, o.largest) })
	o.every(ctx, 2*time.Second, func() { o.nonsense.Add(1); o.caller.Send([]byte(`{"apiVersion":"admission.k8s.io/v1","kind":`)) })
	o.every(ctx, 30*time.Second, func() { // a flood: 512 reviews, 64 at once
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for range 8 {
					o.floods.Add(1)
					o.review(o.flood, o.small)
				}
			})
		}
		wg.Wait()
	})
	for _, ns := range []*harness.Namespace{o.w.Strict, o.w.Lenient} {
		client := kubernetes.NewForConfigOrDie(o.w.API.Config()).CoreV1().Pods(ns.Name)
		create := o.w.Creator(ns, func(c stress.Create) {
			if c.Err != nil {
				o.uncreated.Add(1)
				return
			}
			o.created.Add(1)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			client.Delete(ctx, c.Name, o.deleteNow) // one that stays does no harm
		})
		o.every(ctx, 500*time.Millisecond, func() { create(int(o.names.Add(1))) })
	}
	<-ctx.Done()
}
