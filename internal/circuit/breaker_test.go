package circuit_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/txn2/amp/internal/review"
)

// bubble runs a test with a clock that stands still until all goroutines wait.
func bubble(t *testing.T, name string, test func(*testing.T, *world)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
	})
}

func TestOpens(t *testing.T) {
	// F is a failure, S a success, each second one call; a digit is a pause of so many seconds.
	for name, tt := range map[string]struct {
		story string
		open  bool
	}{
		"nine failures in a row":                           {"FFFFFFFFF", false},
		"ten failures in a row":                            {"FFFFFFFFFF", true},
		"a success between":                                {"FFFFFFFFFSFFFFFFFF", false},
		"ten failures in a row, however long it takes":     {"F9F9F9F9F9F9F9F9F9F", true},
		"half of twenty, in turns":                         {strings.Repeat("SF", 10), true},
		"half of twenty, in turns, a failure first":        {strings.Repeat("FS", 10), true},
		"nine of twenty":                                   {strings.Repeat("SF", 9) + "SSSSSSS", false},
		"half of twenty, but within more than ten seconds": {strings.Repeat("SF", 5) + "9" + strings.Repeat("9SF", 5), false},
		"two of five":                                      {strings.Repeat("SFSFS", 12), false},
		"half of the last twenty, after many successes":    {strings.Repeat("S", 500) + "FFFFSFSFFFFF", true},
		"nine of the last twenty, after many successes":    {strings.Repeat("S", 500) + "FFFFSFSFFFF", false},
		"successes of long ago do not count":               {strings.Repeat("S", 500) + "99FFFFSFSFFFFSF", false},
		"nineteen calls, and ten of them fail":             {strings.Repeat("FS", 9) + "F", false},
		"the failures before a success do not count twice": {"FFFFFFFFFS9" + "9" + "FFFFFFFFF", false},
		"one in ten": {strings.Repeat("FSSSSSSSSS", 30), false},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			for _, step := range tt.story {
				switch step {
				case 'S':
					w.do = fine
				case 'F':
					w.do = unreachable
				default:
					time.Sleep(time.Duration(step-'0') * time.Second)
					continue
				}
				time.Sleep(time.Millisecond)
				if err := w.review("b"); refused(err) {
					t.Fatalf("open too early: %v", err)
				}
			}
			if err := w.review("a"); refused(err) != tt.open {
				t.Errorf("error %v, want open %t", err, tt.open)
			}
		})
	}
}

func TestWhatIsAFailure(t *testing.T) {
	cancelled := func(context.Context) (review.Answer, error) {
		return failure(0, review.ResultLate, "given up: the API server closed its request")
	}
	for name, tt := range map[string]struct {
		do     func(context.Context) (review.Answer, error)
		left   time.Duration // 0: the whole timeout
		cancel bool          // the API server closes the request
		opens  bool
		closes bool
	}{
		"no connection":                     {do: unreachable, opens: true},
		"no connection, with little time":   {do: unreachable, left: time.Millisecond, opens: true},
		"silence":                           {do: silent, opens: true},
		"silence, in a quarter of the time": {do: silent, left: timeout / 4, opens: true},
		"silence, with less time":           {do: silent, left: timeout/4 - 1},
		"silence, with a timeout of 1ms":    {do: silent, left: time.Millisecond},
		"no time left": {do: func(context.Context) (review.Answer, error) {
			return failure(0, review.ResultLate, "no time was left to call it")
		}, left: 1},
		"late connection": {do: func(ctx context.Context) (review.Answer, error) {
			<-ctx.Done()
			return failure(0, review.ResultUnreachable, "no connection within 2s")
		}, opens: true},
		"late connection, with little time": {do: func(ctx context.Context) (review.Answer, error) {
			<-ctx.Done()
			return failure(0, review.ResultUnreachable, "no connection within 2ms")
		}, left: 2 * time.Millisecond},
		"half an answer, late": {do: func(ctx context.Context) (review.Answer, error) {
			<-ctx.Done()
			return failure(200, review.ResultLate, "its answer was not complete")
		}, opens: true},
		"503":                            {do: status(503), opens: true},
		"500":                            {do: status(500), closes: true},
		"502":                            {do: status(502), closes: true},
		"429":                            {do: status(429), closes: true},
		"404":                            {do: status(404), closes: true},
		"an answer":                      {do: fine, closes: true},
		"a refusal":                      {do: func(context.Context) (review.Answer, error) { return review.Answer{Status: 200, Refused: true}, nil }, closes: true},
		"an answer that cannot be read":  {do: func(context.Context) (review.Answer, error) { return failure(200, review.ResultInvalid, "not JSON") }, closes: true},
		"the API server closed":          {do: cancelled, cancel: true},
		"closed, and then no connection": {do: unreachable, cancel: true},
		"forbidden":                      {do: func(context.Context) (review.Answer, error) { return failure(0, review.ResultForbidden, "amp may not") }},
		"no memory for its answer":       {do: func(context.Context) (review.Answer, error) { return failure(0, review.ResultFull, "amp is full") }},
		"amp's own fault": {do: func(context.Context) (review.Answer, error) {
			return review.Answer{}, &review.Failure{Result: review.ResultUnreachable, Own: true, Cause: "amp has no token for it"}
		}},
		"an error of another kind": {do: func(context.Context) (review.Answer, error) { return review.Answer{}, context.Canceled }},
	} {
		call := func(w *world) error {
			ctx, cancel := context.WithTimeout(context.Background(), max(tt.left, 1))
			if tt.left == 0 {
				ctx, cancel = context.WithTimeout(context.Background(), timeout)
			}
			defer cancel()
			if tt.cancel {
				cancel()
			}
			return w.under(ctx, "a", hook)
		}
		bubble(t, name, func(t *testing.T, w *world) {
			w.do = tt.do
			for range 20 {
				_ = call(w)
			}
			if got := len(w.state) > 0; got != tt.opens {
				t.Errorf("opened %t, want %t", got, tt.opens)
			}
		})
		bubble(t, name+", as a probe", func(t *testing.T, w *world) {
			w.open("a")
			time.Sleep(5 * time.Second)
			w.do = tt.do
			if err := call(w); refused(err) {
				t.Fatal("not tried")
			}
			if got := len(w.state) == 2; got != tt.closes {
				t.Errorf("closed %t, want %t", got, tt.closes)
			}
			// What proves nothing must not keep the next one from trying.
			if w.do = fine; !tt.closes && !tt.opens {
				w.wantCalled("a")
			} else if tt.opens {
				w.wantRefused("a")
			}
		})
	}
}

func TestEndpointIsSchemeHostAndPort(t *testing.T) {
	for at, same := range map[string]bool{
		"http://hook.team.svc/other?x":        true,
		"http://bob:x@HOOK.team.svc.:0080/":   true,
		"https://hook.team.svc/mutate":        false,
		"http://hook.team.svc:8080/mutate":    false,
		"http://hook.other.svc/mutate":        false,
		"http://hook.team.svc.cluster.local/": false,
	} {
		bubble(t, at, func(t *testing.T, w *world) {
			w.open("a")
			if err := w.under(t.Context(), "b", at); refused(err) != same {
				t.Errorf("error %v, want open %t", err, same)
			}
		})
	}
}

func TestTriesAgain(t *testing.T) {
	bubble(t, "after 5s, and every 5s", func(t *testing.T, w *world) {
		w.open("a")
		for range 3 {
			time.Sleep(5*time.Second - 1)
			w.wantRefused("a")
			time.Sleep(time.Nanosecond)
			w.wantCalled("a")
			w.wantRefused("a")
		}
		w.wantState("hook.team.svc true")
		time.Sleep(5 * time.Second)
		w.do = fine
		w.wantCalled("a")
		w.wantState("hook.team.svc true", "hook.team.svc false")
		w.do = unreachable
		w.fails("a", 9) // a closed circuit begins anew
		w.do = fine
		w.wantCalled("a")
	})
	bubble(t, "one review at a time", func(t *testing.T, w *world) {
		w.open("a")
		time.Sleep(5 * time.Second)
		release, done := make(chan struct{}), sync.WaitGroup{}
		w.do = func(context.Context) (review.Answer, error) { <-release; return fine(context.Background()) }
		w.made()
		var mu sync.Mutex
		turned := 0
		for i := range 64 {
			done.Go(func() {
				if err := w.review(fmt.Sprint("n", i%8)); refused(err) {
					mu.Lock()
					turned++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		if n := w.made(); n != 1 || turned != 63 {
			t.Errorf("%d calls and %d decided at once, want 1 and 63", n, turned)
		}
		close(release)
		done.Wait()
		w.wantCalled("a")
		w.wantState("hook.team.svc true", "hook.team.svc false")
	})
	bubble(t, "after a panic, at once", func(t *testing.T, w *world) {
		w.open("a")
		time.Sleep(5 * time.Second)
		w.do = func(context.Context) (review.Answer, error) { panic("bug") }
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is for the proxy to contain")
				}
			}()
			_ = w.review("a")
		}()
		w.do = fine
		w.wantCalled("a")
	})
	bubble(t, "a whole timeout goes before one of 1ms", func(t *testing.T, w *world) {
		w.open("a")
		time.Sleep(5 * time.Second)
		release, done := make(chan struct{}), sync.WaitGroup{}
		w.on["brief"] = func(context.Context) (review.Answer, error) {
			<-release
			return failure(0, review.ResultUnreachable, "refused") // too late: another one has taken over
		}
		done.Go(func() { _ = w.within("brief", time.Millisecond) })
		synctest.Wait()
		if err := w.within("other", time.Millisecond); !refused(err) {
			t.Errorf("error %v: a second brief one must wait", err)
		}
		w.do = fine
		w.wantCalled("a")
		close(release)
		done.Wait()
		w.wantCalled("a")
		w.wantState("hook.team.svc true", "hook.team.svc false")
	})
	bubble(t, "calls that began before do not count", func(t *testing.T, w *world) {
		// They are under way when the circuit opens, and end after it has closed.
		release, done := make(chan struct{}), sync.WaitGroup{}
		w.on["slow"] = func(context.Context) (review.Answer, error) { <-release; return unreachable(context.Background()) }
		for range 20 {
			done.Go(func() { _ = w.under(context.Background(), "slow", hook) })
		}
		synctest.Wait()
		time.Sleep(time.Nanosecond)
		w.open("a")
		time.Sleep(5 * time.Second)
		w.do = fine
		w.wantCalled("a")
		close(release)
		done.Wait()
		w.wantCalled("b")
	})
	bubble(t, "a success under way does not close it", func(t *testing.T, w *world) {
		release, done := make(chan struct{}), sync.WaitGroup{}
		w.on["slow"] = func(context.Context) (review.Answer, error) { <-release; return fine(context.Background()) }
		done.Go(func() { _ = w.under(context.Background(), "slow", hook) })
		synctest.Wait()
		time.Sleep(time.Nanosecond)
		w.open("a")
		close(release)
		done.Wait()
		w.wantRefused("a")
	})
}
