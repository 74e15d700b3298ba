package circuit_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/internal/review"
)

// A namespace can make an endpoint of others fail on purpose. That must not cost those whom the endpoint answers.
func TestAnsweredNamespacesAreStillCalled(t *testing.T) {
	bubble(t, "while their calls are answered", func(t *testing.T, w *world) {
		w.on["good"] = fine
		w.wantCalled("good")
		w.open("bad")
		for range 100 {
			w.wantRefused("bad")
			w.wantCalled("good")
			time.Sleep(time.Second)
			if w.review("bad"); w.made() > 2 {
				t.Fatal("the endpoint was called for the namespace that fails")
			}
		}
		w.wantRefused("new") // no one knows whether the endpoint answers it
		w.wantState("hook.team.svc true")
	})
	bubble(t, "until one fails", func(t *testing.T, w *world) {
		w.do = fine
		w.wantCalled("good")
		w.open("bad")
		w.do = unreachable
		w.wantCalled("good")
		w.wantRefused("good")
	})
	bubble(t, "until ten of them fail in a row", func(t *testing.T, w *world) {
		w.do = fine
		for i := range 100 {
			w.wantCalled(fmt.Sprint("good-", i))
		}
		w.open("bad")
		w.made()
		for i := range 100 {
			_ = w.review(fmt.Sprint("good-", i))
		}
		if n := w.made(); n != 10 {
			t.Errorf("%d calls of an endpoint that is down, want 10", n)
		}
	})
	bubble(t, "although one of them has many calls under way that fail", func(t *testing.T, w *world) {
		w.do = fine
		w.wantCalled("good")
		w.wantCalled("sly")
		w.open("bad")
		w.on["sly"] = silent
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() { _ = w.within("sly", timeout) })
		}
		calls.Wait()
		if n := w.made(); n != 20 {
			t.Fatalf("%d calls, want 20 at the same time", n)
		}
		w.do = fine
		w.wantRefused("sly")
		w.wantCalled("good")
	})
	bubble(t, "although nine of them fail", func(t *testing.T, w *world) {
		w.do = fine
		for i := range 30 {
			w.wantCalled(fmt.Sprint("good-", i))
		}
		w.open("bad")
		for i := range 30 {
			if w.do = unreachable; i%10 == 9 {
				w.do = fine
			}
			w.wantCalled(fmt.Sprint("good-", i))
		}
	})
}

func TestMessage(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(context.Context) (review.Answer, error)
		want string
	}{
		"no connection": {unreachable, "not called: its circuit is open since TIME, after 10 failures in a row, the last: connection refused: is the endpoint running, on that port?; amp tries again within 5s"},
		// The text of the answer is for the namespace whose Pod was sent.
		"503": {status(503), "not called: its circuit is open since TIME, after 10 failures in a row, the last: answered 503 Service Unavailable; amp tries again within 5s"},
		"a long cause": {func(context.Context) (review.Answer, error) {
			return failure(0, review.ResultUnreachable, strings.Repeat("x", 300))
		}, "not called: its circuit is open since TIME, after 10 failures in a row, the last: " + strings.Repeat("x", 119) + "…; amp tries again within 5s"},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			w.do = tt.do
			w.fails("a", 10)
			first := w.review("b").Error()
			if got := regexp.MustCompile(`\d\d:\d\d:\d\dZ`).ReplaceAllString(first, "TIME"); got != tt.want {
				t.Errorf("message %q, want %q", got, tt.want)
			}
			if warning := "amp: failed open: " + first; name != "a long cause" && len(warning) > review.MaxWarning {
				t.Errorf("a warning of %d characters", len(warning))
			}
			time.Sleep(4 * time.Second)
			if again := w.review("c").Error(); again != first {
				t.Errorf("then %q", again)
			}
			time.Sleep(time.Second)
			w.wantCalled("a") // a probe that fails
			if again := w.review("c").Error(); again != first {
				t.Errorf("then %q", again)
			}
			w.do = fine
			time.Sleep(5 * time.Second)
			w.wantCalled("a")
			log := w.log.String()
			if strings.Contains(log+first, "geheim") {
				t.Errorf("a secret in %q or in the log:\n%s", first, log)
			}
			if lines := strings.Split(strings.TrimSpace(log), "\n"); len(lines) != 2 ||
				!strings.HasPrefix(lines[0], `level=WARN msg="circuit opened" endpoint=http://hook.team.svc after="10 failures in a row" cause=`) ||
				!strings.HasSuffix(lines[0], " namespace=a") ||
				lines[1] != `level=INFO msg="circuit closed" endpoint=http://hook.team.svc because="it answers again"` {
				t.Errorf("log:\n%s", log)
			}
		})
	}
	bubble(t, "half of the calls", func(t *testing.T, w *world) {
		for i := range 20 {
			if w.do = unreachable; i%2 == 1 {
				w.do = fine
			}
			_ = w.review("a")
		}
		if err := w.review("b"); !refused(err) || !strings.Contains(err.Error(), ", after 10 of 20 calls within 10s failed, the last: ") {
			t.Errorf("error %v", err)
		}
	})
}

func TestBound(t *testing.T) {
	at := func(i int) string { return fmt.Sprintf("http://host-%d/", i) }
	bubble(t, "closed ones go first", func(t *testing.T, w *world) {
		w.open("a")
		for i := range 3000 {
			time.Sleep(time.Microsecond)
			if err := w.under(t.Context(), "a", at(i)); refused(err) {
				t.Fatal(err)
			}
		}
		w.wantRefused("a")
		w.wantState("hook.team.svc true")
	})
	bubble(t, "then the open one that was not used for longest", func(t *testing.T, w *world) {
		w.do = unreachable
		for i := range 1025 {
			for range 10 {
				_ = w.under(t.Context(), "a", at(i))
			}
			time.Sleep(time.Microsecond)
		}
		open := map[string]bool{}
		for _, s := range w.state {
			var host string
			var is bool
			fmt.Sscan(s, &host, &is)
			open[host] = is
		}
		n := 0
		for _, is := range open {
			if is {
				n++
			}
		}
		if n != 1024 || open["host-0"] || !open["host-1"] || !open["host-1024"] {
			t.Errorf("%d are open; the first %t, the last %t", n, open["host-0"], open["host-1024"])
		}
		if err := w.under(t.Context(), "a", at(0)); refused(err) {
			t.Error(err)
		}
	})
	bubble(t, "idle ones go", func(t *testing.T, w *world) {
		w.open("a")
		time.Sleep(10*time.Minute - time.Second)
		w.wantState("hook.team.svc true")
		time.Sleep(2 * time.Second)
		w.wantState("hook.team.svc true", "hook.team.svc false")
		w.fails("a", 9)
	})
	bubble(t, "one that is used stays", func(t *testing.T, w *world) {
		w.open("a")
		for range 30 {
			time.Sleep(time.Minute)
			_ = w.review("a")
		}
		w.wantState("hook.team.svc true")
	})
}
