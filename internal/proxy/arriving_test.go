package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// crowd is a world with many callers at once that send nothing.
type crowd struct {
	*world
	mu sync.Mutex
}

func (c *crowd) Shed(reason review.ShedReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.world.Shed(reason)
}

func (c *crowd) BadRequest(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.world.BadRequest(status)
}

// TestCallersThatSendNothingMakeRoom: amp waits for the first bytes of 1,024 bodies. One more takes the place of the one that
// waits longest. A caller that sends its body at once is answered.
func TestCallersThatSendNothingMakeRoom(t *testing.T) {
	const most = 1024
	body, err := os.ReadFile("testdata/jupyterhub-user.review.json")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, "http://a")}, answers: map[string]review.Answer{"http://a": {Status: 204}}}
		listener := make(pipes)
		h := handler(w)
		h.Proxy.Recorder = &crowd{world: w}
		server := &http.Server{Handler: h}
		served := make(chan struct{})
		go func() { defer close(served); _ = server.Serve(listener) }()
		send := func(text string) net.Conn {
			client, conn := net.Pipe()
			listener <- conn
			fmt.Fprintf(client, "POST /mutate HTTP/1.1\r\nHost: amp\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), text)
			synctest.Wait()
			return client
		}
		status := func(client net.Conn) int {
			resp, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode
		}
		start := time.Now()
		var waiting []net.Conn
		for range most {
			waiting = append(waiting, send(string(body[:8])))
		}
		good := send(string(body))
		if got := status(good); got != http.StatusOK {
			t.Errorf("a whole body is answered %d", got)
		}
		if got := status(waiting[0]); got != http.StatusServiceUnavailable {
			t.Errorf("the one that waits longest is answered %d", got)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("that took %v", took)
		}
		if want := []review.ShedReason{review.ShedUnread}; len(w.shed) != 1 || w.shed[0] != want[0] {
			t.Errorf("counted as %v, want %v", w.shed, want)
		}
		last := waiting[most-1]
		if fmt.Fprint(last, string(body[8:])); status(last) != http.StatusOK {
			t.Error("one that sends the rest in time is not answered")
		}
		if got := status(waiting[1]); got != http.StatusRequestTimeout || time.Since(start) != 10*time.Second {
			t.Errorf("the next one is answered %d after %v", got, time.Since(start))
		}
		for _, client := range append(waiting, good) {
			client.Close()
		}
		close(listener)
		_ = server.Close()
		<-served
	})
}

// TestAReviewIsDecidedWithoutAPlace: where no processor becomes free before the deadline, the answer comes at the deadline,
// and not never.
func TestAReviewIsDecidedWithoutAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: &review.Policy{Enabled: true, Mutate: endpoints(t, "http://a")}, answers: map[string]review.Answer{"http://a": {Status: 204}}}
		p := w.proxy()
		p.Processors = share.NewProcessors(1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for {
			if _, err := p.Processors.Take(ctx, "other", 1); err != nil {
				break
			}
		}
		start := time.Now()
		rec, _ := p.Review(t.Context(), &review.Review{UID: "u", Namespace: "ns", Phase: review.Mutate, Pod: []byte(`{}`)}, start, 0)
		if took := time.Since(start); !rec.Verdict.Allowed() || took != p.Timeout {
			t.Errorf("allowed %v after %v, want true after %v", rec.Verdict.Allowed(), took, p.Timeout)
		}
	})
}
