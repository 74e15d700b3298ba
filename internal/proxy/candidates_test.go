package proxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/txn2/amp/internal/compare"
	"github.com/txn2/amp/internal/proxy"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// record is the record of a review of a namespace with a candidate, answered.
func (l *lab) record(t *testing.T, p *proxy.Proxy, namespace string, pod string) *review.Record {
	t.Helper()
	rec, _ := p.Review(t.Context(), &review.Review{UID: "u", Namespace: namespace, Phase: review.Mutate, Pod: json.RawMessage(pod)}, time.Now(), 0)
	return rec
}

func newLab(t *testing.T, candidate func(context.Context, *review.Review) (review.Answer, error)) *lab {
	endpoint := endpoints(t, "http://new")[0]
	return &lab{world: &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, "http://a"), Candidate: &endpoint}, events: review.LevelPatch}, candidate: candidate}
}

// hangs is a candidate that answers when its time is over.
func hangs(ctx context.Context, _ *review.Review) (review.Answer, error) {
	<-ctx.Done()
	return review.Answer{}, ctx.Err()
}

func TestFullPoolOfCandidates(t *testing.T) {
	for sentence, test := range map[string]struct {
		memory, places int64
		pod            string
		calls          map[string]int // by namespace
		dropped        int
		asked          int // at the same time
	}{
		"what fits is called":                                   {8 * proxy.CandidateBytes, 10, aPod, map[string]int{"x": 4}, 0, 4},
		"what does not fit is dropped":                          {8 * proxy.CandidateBytes, 10, aPod, map[string]int{"x": 6}, 2, 4},
		"one namespace leaves room for others":                  {8 * proxy.CandidateBytes, 10, aPod, map[string]int{"x": 100, "y": 2}, 96, 6},
		"a Pod that is too large is dropped":                    {2 * proxy.CandidateBytes, 10, strings.Replace(aPod, `"web"`, `"web","x":"`+strings.Repeat("x", 64<<10)+`"`, 1), map[string]int{"x": 1}, 1, 0},
		"what has no place waits for one":                       {8 * proxy.CandidateBytes, 2, aPod, map[string]int{"x": 4}, 0, 2},
		"what has no place in time is dropped":                  {100 * proxy.CandidateBytes, 1, aPod, map[string]int{"x": 4}, 2, 1},
		"a small pool of memory bounds the calls that wait too": {8 * proxy.CandidateBytes, 1, aPod, map[string]int{"x": 9}, 7, 1},
	} {
		run(t, sentence, func(t *testing.T) {
			// It takes less than a call may wait for a place, and two of it more.
			l := newLab(t, func(context.Context, *review.Review) (review.Answer, error) {
				time.Sleep(time.Second)
				return review.Answer{}, nil
			})
			l.config.Memory, l.config.Places = share.NewBytes(test.memory, test.memory), share.NewPlaces(test.places)
			p := l.proxy(t)
			calls := 0
			for _, namespace := range []string{"x", "y"} {
				for range test.calls[namespace] {
					p.Candidates.Call(l.record(t, p, namespace, test.pod))
					calls++
				}
			}
			synctest.Wait()
			if asked := l.underWay(); asked != test.asked {
				t.Errorf("%d are under way, want %d", asked, test.asked)
			}
			p.Candidates.Drain(t.Context())
			dropped := 0
			for _, c := range l.told {
				if c.Result == compare.ResultDropped {
					dropped++
					if c.Event != "" {
						t.Error("a dropped call has an event")
					}
				}
			}
			if dropped != test.dropped || len(l.told) != calls {
				t.Errorf("%d of %d were dropped and %d told, want %d and all", dropped, calls, len(l.told), test.dropped)
			}
			if used := l.config.Memory.Used() + l.config.Places.Used(); used != 0 {
				t.Errorf("%d is held at the end", used)
			}
		})
	}
}

// TestCandidateHoldsTheReviewsMemory: the Pod's bytes, and those of the endpoints' answers, stay held while the call waits.
func TestCandidateHoldsTheReviewsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, hangs)
		l.config.Memory = share.NewBytes(8<<20, 8<<20)
		p := l.proxy(t)
		rec := l.record(t, p, "x", aPod)
		reviews := share.NewBytes(64<<20, 0)
		rec.Review.Memory = reviews.Hold("x", 0)
		if err := rec.Review.Memory.Grow(t.Context(), 3<<20); err != nil {
			t.Fatal(err)
		}
		p.Candidates.Call(rec)
		rec.Review.Memory.Release()
		synctest.Wait()
		if used := l.config.Memory.Used(); used != 3<<20 {
			t.Errorf("the call holds %d bytes, not those of the review", used)
		}
		if reviews.Used() != 0 || l.asked[0].Memory.Pool() != l.config.Memory {
			t.Error("the call holds memory of reviews")
		}
		p.Candidates.Drain(t.Context())
	})
}

func TestCandidateTimeIsThatOfAReview(t *testing.T) {
	for sentence, test := range map[string]struct{ namespace, want time.Duration }{
		"AMP_TIMEOUT":                             {0, 1500 * time.Millisecond},
		"the Namespace's, if that is less":        {200 * time.Millisecond, 200 * time.Millisecond},
		"AMP_TIMEOUT, if the Namespace's is more": {time.Minute, 1500 * time.Millisecond},
	} {
		run(t, sentence, func(t *testing.T) {
			l := newLab(t, hangs)
			l.policy.Timeout = test.namespace
			p := l.proxy(t)
			rec := l.record(t, p, "x", aPod)
			time.Sleep(time.Minute) // the review's own time is long over
			start := time.Now()
			p.Candidates.Call(rec)
			if took := time.Since(start); took != 0 {
				t.Errorf("the caller waited for %v", took)
			}
			p.Candidates.Drain(t.Context())
			if took := time.Since(start); took != test.want || l.results()[0] != compare.ResultFailed {
				t.Errorf("%v after %v, want %v", l.results(), took, test.want)
			}
		})
	}
}

// TestPanicOfACandidateIsContained, wherever it happens, and the call is counted once.
func TestPanicOfACandidateIsContained(t *testing.T) {
	run(t, "in the call", func(t *testing.T) {
		l := newLab(t, func(context.Context, *review.Review) (review.Answer, error) { panic("the Pod's secret") })
		p := l.proxy(t)
		p.Candidates.Call(l.record(t, p, "x", aPod))
		p.Candidates.Drain(t.Context())
		if fmt.Sprint(l.results()) != "[dropped]" || l.panicked != 1 || strings.Contains(l.log.String(), "secret") {
			t.Errorf("%v, %d panics, log %s", l.results(), l.panicked, l.log.String())
		}
	})
	run(t, "in the recorder", func(t *testing.T) {
		l := newLab(t, func(context.Context, *review.Review) (review.Answer, error) { return review.Answer{}, nil })
		p := l.proxy(t)
		l.config.Compared = func(context.Context, *compare.Candidate) { panic("the Pod's secret") }
		candidates := proxy.NewCandidates(l.config)
		candidates.Call(l.record(t, p, "x", aPod))
		candidates.Drain(t.Context())
		if l.panicked != 1 {
			t.Errorf("%d panics", l.panicked)
		}
	})
}

// TestAPatchThatIsNotAppliedAgain: each step's patch is in the bounds, and all of them as one are not.
func TestAPatchThatIsNotAppliedAgain(t *testing.T) {
	run(t, "is not compared, and no panic", func(t *testing.T) {
		l := newLab(t, func(context.Context, *review.Review) (review.Answer, error) { return review.Answer{}, nil })
		l.answers = map[string]review.Answer{"http://a": sets("1")}
		p := l.proxy(t)
		l.config.Apply = func(json.RawMessage, []review.Op) (json.RawMessage, error) { return nil, errors.New("too much work") }
		candidates := proxy.NewCandidates(l.config)
		candidates.Call(l.record(t, p, "x", aPod))
		candidates.Drain(t.Context())
		if fmt.Sprint(l.results()) != "[dropped]" || l.panicked != 0 {
			t.Errorf("%v, %d panics", l.results(), l.panicked)
		}
	})
}

func TestDrainOfCandidates(t *testing.T) {
	run(t, "a call under way ends, and none begins after", func(t *testing.T) {
		l := newLab(t, func(context.Context, *review.Review) (review.Answer, error) {
			time.Sleep(time.Second)
			return review.Answer{}, nil
		})
		p := l.proxy(t)
		rec := l.record(t, p, "x", aPod)
		p.Candidates.Call(rec)
		p.Candidates.Drain(t.Context())
		p.Candidates.Call(rec)
		if got := fmt.Sprint(l.results()); got != "[same dropped]" || len(l.asked) != 1 {
			t.Errorf("%s, %d were asked", got, len(l.asked))
		}
	})
	run(t, "a call that takes too long is given up, and counted before Drain returns", func(t *testing.T) {
		l := newLab(t, hangs)
		l.config.Places = share.NewPlaces(1)
		p := l.proxy(t)
		for range 2 { // the second one waits for a place
			p.Candidates.Call(l.record(t, p, "x", aPod))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		p.Candidates.Drain(ctx)
		if got := fmt.Sprint(l.results()); got != "[dropped dropped]" || time.Since(start) != 100*time.Millisecond {
			t.Errorf("%s after %v", got, time.Since(start))
		}
	})
	run(t, "the function's drain waits for them", func(t *testing.T) {
		l := newLab(t, func(context.Context, *review.Review) (review.Answer, error) {
			time.Sleep(5 * time.Second)
			return review.Answer{}, nil
		})
		h := handler(l.world)
		h.Proxy = l.proxy(t)
		h.Proxy.Candidates.Call(l.record(t, h.Proxy, "x", aPod))
		h.Drain(t.Context())
		if got := fmt.Sprint(l.results()); got != "[same]" {
			t.Errorf("told %s", got)
		}
	})
	run(t, "without candidates there is nothing to wait for", func(t *testing.T) {
		h := handler(&world{policy: &review.Policy{}})
		h.Drain(t.Context())
	})
}

// TestAnswerIsOutBeforeTheCandidateIsCalled: over a real connection, the caller has the whole answer while the candidate hangs,
// and its next review on that connection is answered, too.
func TestAnswerIsOutBeforeTheCandidateIsCalled(t *testing.T) {
	called, gate := make(chan struct{}, 10), make(chan struct{})
	l := newLab(t, func(context.Context, *review.Review) (review.Answer, error) {
		called <- struct{}{}
		<-gate
		return review.Answer{}, nil
	})
	h := handler(l.world)
	h.Proxy = l.proxy(t)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	body := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","namespace":"x","operation":"CREATE","resource":{"version":"v1","resource":"pods"},"object":` + aPod + `}}`
	for range 3 {
		resp, err := http.Post(s.URL+"/mutate", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if answer := bodyOf(t, resp); resp.StatusCode != 200 || !strings.Contains(answer, `"allowed":true`) || resp.ContentLength != int64(len(answer)) {
			t.Fatalf("%s, length %d: %s", resp.Status, resp.ContentLength, answer)
		}
		<-called
	}
	if len(l.results()) != 0 {
		t.Error("a candidate has ended")
	}
	close(gate)
	h.Proxy.Candidates.Drain(t.Context())
	if got := fmt.Sprint(l.results()); got != "[same same same]" {
		t.Errorf("told %s", got)
	}
}
