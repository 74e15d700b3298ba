package audit

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/events"
)

// TestPostsWaitForTheirTurn: what small posts hold together is bounded, too, and so is what is decoded at one time.
func TestPostsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	post := func(ctx context.Context, id string) int {
		r := httptest.NewRequestWithContext(ctx, "POST", "/", strings.NewReader(string(ev{id: id}.json(t))))
		r.Header.Set("Content-Type", structured)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	for name, places := range map[string]gate{"bodies": s.smallPosts, "decoding": s.parsing} {
		for range cap(places) {
			places <- struct{}{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if code := post(ctx, name); code != http.StatusServiceUnavailable {
			t.Errorf("%s, without a place: %d", name, code)
		}
		cancel()
		for range cap(places) {
			<-places
		}
		if code := post(t.Context(), name); code != http.StatusNoContent {
			t.Errorf("%s, with a place: %d", name, code)
		}
	}
	if len(s.smallPosts) != 0 || len(s.parsing) != 0 {
		t.Error("a place is not left")
	}
}

// TestForgedValidationsCostLittle: what a page says about validations is bounded, however many large ones name its events.
func TestForgedValidationsCostLittle(t *testing.T) {
	s := newServer(t, Config{Path: filepath.Join(t.TempDir(), "events.db")})
	var calls []events.Endpoint
	for range maxCalls {
		calls = append(calls, events.Endpoint{URL: strings.Repeat("x", maxShown)})
	}
	for i := range 60 {
		e := ev{id: "x", at: float64(i)}
		post := strings.Replace(string(e.json(t)), source, fmt.Sprint(source, i), 1)
		if w := do(t, s, "POST", "/", map[string]string{"Content-Type": structured}, []byte(post)); w.Code != http.StatusNoContent {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	for i := range 20 {
		post(t, s, ev{id: fmt.Sprint("v", i), at: float64(i), typ: events.Validated, data: events.Data{Mutation: "x", Endpoints: calls}})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := do(t, s, "GET", "/api/events?limit=200&outcome=mutated", nil, nil)
	runtime.ReadMemStats(&after)
	if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; w.Code != 200 || allocated > 48 {
		t.Errorf("%d, %d MiB allocated", w.Code, allocated)
	}
}
