package replay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit"
	"github.com/txn2/amp/internal/replay"
	"github.com/txn2/amp/internal/review"
)

// TestTimesAreFixed: how long ago counts from the beginning of the replay. If it counted from each question, the oldest events
// would leave the answer before they are read.
func TestTimesAreFixed(t *testing.T) {
	u, _ := endpoint{}.serve(t)
	event := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, aPod("web", ""))[0]
	var mutex sync.Mutex
	asked := map[string]map[string]int{"from": {}, "to": {}}
	at := auditor(t, audit.Config{}, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mutex.Lock()
		for name, values := range asked {
			values[r.URL.Query().Get(name)]++
		}
		mutex.Unlock()
		next.ServeHTTP(w, r)
	}, many(t, event, 450)...)
	begin := time.Now()
	if report, err := ask(t, newAudit(t, replay.AuditConfig{URL: at + "/?from=1d&to=10s"}), nil, u); err != nil || report.Pods[replay.Same] != 450 {
		t.Errorf("%v: %+v", err, report)
	}
	for name, ago := range map[string]time.Duration{"from": 24 * time.Hour, "to": 10 * time.Second} {
		for value := range asked[name] {
			is, err := time.Parse(time.RFC3339, value)
			if err != nil || is.Before(begin.Add(-ago)) || is.After(time.Now().Add(-ago)) || len(asked[name]) != 1 {
				t.Errorf("the questions have %s=%v: %v", name, asked[name], err)
			}
		}
	}
}

// TestTimesMeanTheSame: a replay reads a time as the audit function does, in each form, and refuses what the function refuses.
func TestTimesMeanTheSame(t *testing.T) {
	u, _ := endpoint{}.serve(t)
	event := record(t, review.LevelFull, map[string]string{"amp.txn2.com/ep": u}, aPod("web", ""))[0]
	var events []string
	for _, ago := range []time.Duration{30 * time.Minute, 80 * time.Minute, 100 * time.Minute, 30 * time.Hour, 10 * 24 * time.Hour} {
		events = append(events, edit(t, event, map[string]any{"id": fmt.Sprint("ago-", ago), "time": time.Now().Add(-ago).UTC().Format(time.RFC3339Nano)}))
	}
	at := auditor(t, audit.Config{}, nil, events...)
	fixed := time.Now().Add(-90 * time.Minute)
	for _, query := range []string{
		"from=15m", "from=1h", "from=1h30m", "from=1.5h", "from=5400s", "from=5400000ms", "from=2d", "from=1w", "from=2w", "from=+90m", "from=%2B2d", "from=%092d%0A", "to=0", "to=1h",
		"from=2d&to=1h", "from=1h&to=2d", "from=1h&to=1h", "from=1h&from=2h", "from=4999d", "from=5000d", "from=9999w", "from=200000h", "from=2562047h", "from=2562048h",
		"from=", "from=%20", "from=d", "from=-1h", "from=-2d", "from=1d2h", "from=1y", "from=2", "from=yesterday", "to=1D",
		"from=" + fixed.UTC().Format(time.RFC3339), "from=" + fixed.In(time.FixedZone("", 5*3600+1800)).Format(time.RFC3339Nano), "to=" + url.QueryEscape(fixed.Local().Format(time.RFC3339)),
		"from=2026-11-23T06:37", "from=2026-11-23", "from=1969-12-31T00:00:00Z",
	} {
		t.Run(query, func(t *testing.T) {
			resp, err := http.Get(at + "/api/events?" + query)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var want struct {
				Items []struct{ ID string }
				Error string
			}
			if err := json.NewDecoder(resp.Body).Decode(&want); err != nil {
				t.Fatal(err)
			}
			source, err := replay.NewAudit(replay.AuditConfig{URL: at + "/?" + query})
			var got []string
			for err == nil {
				var next replay.Recorded
				if next, err = source.Next(t.Context()); err == nil {
					got = append(got, strings.TrimPrefix(next.Where, "event "))
				}
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			var ids []string
			for _, i := range want.Items {
				ids = append(ids, i.ID)
			}
			if strings.Join(got, " ") != strings.Join(ids, " ") || (err == nil) != (want.Error == "") || err != nil && !strings.HasSuffix(err.Error(), want.Error) {
				t.Errorf("read %v, error %v; the function has %v, error %q", got, err, ids, want.Error)
			}
		})
	}
}
