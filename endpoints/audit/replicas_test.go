package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres/postgrestest"
)

// replicaVariable makes the program of the tests a replica of the function, on the database that it names.
const replicaVariable = "AMP_AUDIT_TEST_REPLICA"

// runReplica serves until it is killed, or until its input ends: then the test has ended.
func runReplica(url string) {
	s, err := New(Config{Postgres: Postgres{URL: url}, Retention: Forever, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		var listener net.Listener
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
			fmt.Println(listener.Addr())
			go func() {
				_, _ = io.Copy(io.Discard, os.Stdin)
				os.Exit(0)
			}()
			err = http.Serve(listener, s)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// A slot has one replica after the other.
type slot struct {
	mu      sync.Mutex
	address string
	cmd     *exec.Cmd
}

func (s *slot) start(t *testing.T, url string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), replicaVariable+"="+url)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe() // it ends with this process
	if err != nil {
		t.Error(err)
		return
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd, s.address = cmd, "http://"+strings.TrimSpace(address)
}

func (s *slot) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // it was killed
	}
}

func (s *slot) at() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// watch reads the stream of a slot as a browser does: it comes back after each break, and goes on where it was.
func (s *slot) watch(ctx context.Context, after string, seen func(id string)) {
	for position := after; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, "GET", s.at()+"/api/events/stream", nil)
		if err != nil {
			return
		}
		req.Header.Set("Last-Event-ID", position)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		next := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if v, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				next = v
			} else if v, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				seen("the event " + v)
			} else if v, ok := strings.CutPrefix(lines.Text(), "data: {\"id\""); ok {
				var item store.Item
				if json.Unmarshal([]byte(`{"id"`+v), &item) == nil {
					position = next
					seen(item.ID)
				}
			}
		}
		resp.Body.Close()
	}
}

// TestReplicasThatAreKilledLoseNothing: three replicas share a database under a steady stream of events, and each is killed
// again and again. Every event that was acknowledged is there once, and the page of each replica shows it once.
func TestReplicasThatAreKilledLoseNothing(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	url := postgrestest.URL(t)
	first := newServer(t, Config{Postgres: Postgres{URL: url}}) // not killed: it says what is stored
	after := string(get[listed](t, first, "/api/events").After)

	const length = 6 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	end := time.Now().Add(length)
	var slots []*slot
	var mu sync.Mutex
	seen := make([]map[string]int, 3)
	var killers, senders, readers sync.WaitGroup
	kills := 0
	var acknowledged []string
	// A busy machine gets longer, so that the test says something there too.
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return ctx.Err() != nil || time.Now().After(end) && kills >= 3 && len(acknowledged) >= 20
	}
	for i := range 3 {
		s := new(slot)
		s.start(t, url)
		slots = append(slots, s)
		t.Cleanup(s.kill)
		seen[i] = map[string]int{}
		readers.Go(func() {
			s.watch(ctx, after, func(id string) {
				mu.Lock()
				defer mu.Unlock()
				seen[i][id]++
			})
		})
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		killers.Go(func() {
			for {
				wait := time.Duration(500+rng.IntN(1500)) * time.Millisecond
				time.Sleep(wait) // the time between two kills, no synchronisation
				if enough() {
					return
				}
				s.kill()
				s.start(t, url)
				mu.Lock()
				kills++
				mu.Unlock()
			}
		})
	}
	for sender := range 4 {
		senders.Go(func() {
			for n := 0; !enough(); n++ {
				id := fmt.Sprintf("%d-%d", sender, n)
				body := ev{id: id, at: float64(n)}.json(t)
				for try := sender + n; ctx.Err() == nil; try++ { // again, at another replica, until one takes it
					resp, err := http.Post(slots[try%3].at()+"/", structured, bytes.NewReader(body))
					if err != nil {
						continue
					}
					resp.Body.Close()
					if resp.StatusCode == http.StatusNoContent {
						mu.Lock()
						acknowledged = append(acknowledged, id)
						mu.Unlock()
						break
					}
				}
			}
		})
	}
	senders.Wait()
	killers.Wait()

	w := do(t, first, "GET", "/api/events?format=ndjson", nil, nil)
	stored := map[string]int{}
	for line := range strings.Lines(w.Body.String()) {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		stored[e.ID]++
	}
	for _, id := range acknowledged {
		if stored[id] != 1 {
			t.Errorf("%s was acknowledged and is stored %d times", id, stored[id])
		}
	}
	for id, n := range stored {
		if n != 1 {
			t.Errorf("%s is stored %d times", id, n)
		}
	}
	missing := func(i int) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for id := range stored {
			if seen[i][id] == 0 {
				n++
			}
		}
		return n
	}
	for i := range slots {
		for missing(i) > 0 && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		if n := missing(i); n > 0 {
			t.Errorf("the page of replica %d does not show %d of %d events", i, n, len(stored))
		}
	}
	cancel()
	readers.Wait()
	for i := range slots {
		for id, n := range seen[i] {
			if n != 1 || stored[id] == 0 {
				t.Errorf("the page of replica %d shows %s %d times", i, id, n)
			}
		}
	}
	if kills < 3 || len(acknowledged) < 20 {
		t.Errorf("only %d kills and %d events: this says little", kills, len(acknowledged))
	}
	t.Logf("%d events acknowledged, %d stored, %d kills", len(acknowledged), len(stored), kills)
}
