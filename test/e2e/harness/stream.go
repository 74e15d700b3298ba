package harness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Stream repeats a function at a steady rate until it is stopped, also if the function fails.
type Stream struct {
	stop chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	done   int
	failed []error
}

// The rate: one call every 20 ms, at most 16 at a time, 10,000 in all. amp must bear some hundred reviews a second,
// but the two cores are shared with an API server.
const (
	pace    = 20 * time.Millisecond
	abreast = 16
	most    = 10000
)

// NewStream starts a stream.
func NewStream(do func(n int) error) *Stream { return NewStreamAt(pace, most, do) }

// NewStreamAt starts a stream with one call every pace, at most so many in all.
func NewStreamAt(pace time.Duration, most int, do func(n int) error) *Stream {
	s := &Stream{stop: make(chan struct{})}
	slots := make(chan struct{}, abreast)
	s.wg.Go(func() {
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for n := range most {
			select {
			case <-s.stop:
				return
			case <-tick.C:
			}
			slots <- struct{}{}
			s.wg.Go(func() {
				err := do(n)
				<-slots
				s.mu.Lock()
				defer s.mu.Unlock()
				s.done++
				if err != nil {
					s.failed = append(s.failed, fmt.Errorf("number %d: %w", n, err))
				}
			})
		}
	})
	return s
}

// Done is how many have been done so far.
func (s *Stream) Done() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// Beyond waits until n more calls are done, so that the stream covers what the test does and some time after it.
func (s *Stream) Beyond(n int) error {
	goal := s.Done() + n
	return poll(patience, func(context.Context) error {
		if is := s.Done(); is < goal {
			return fmt.Errorf("%d of %d done", is, goal)
		}
		return nil
	})
}

// Stop ends the stream, waits for the calls in flight and returns how many were done and which failed.
func (s *Stream) Stop() (done int, failed []error) {
	close(s.stop)
	s.wg.Wait()
	return s.done, s.failed
}

// Stream creates Pods, one after the other. Each must come out as want says.
func (n *Namespace) Stream(want func(Created) error) *Stream {
	client := kubernetes.NewForConfigOrDie(n.world.API.Config()).CoreV1().Pods(n.Name)
	return NewStream(func(i int) error {
		pod, err := client.Create(n.t.Context(), Pod(fmt.Sprintf("stream-%d", i)), metav1.CreateOptions{})
		if err != nil {
			return err
		}
		return want(Created{Pod: pod})
	})
}

// Many creates n Pods as fast as possible and returns their stamps. None may fail.
func (n *Namespace) Many(count int) []string {
	n.t.Helper()
	client := kubernetes.NewForConfigOrDie(n.world.API.Config()).CoreV1().Pods(n.Name)
	stamps, errs, next := make([]string, count), make([]error, count), make(chan int)
	var wg sync.WaitGroup
	for range abreast {
		wg.Go(func() {
			for i := range next {
				pod, err := client.Create(n.t.Context(), Pod(fmt.Sprintf("many-%d", i)), metav1.CreateOptions{})
				if err == nil {
					stamps[i] = pod.Annotations["amp.txn2.com/event"]
				}
				errs[i] = err
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		n.t.Fatalf("creating %d Pods: %v", count, err)
	}
	return stamps
}
