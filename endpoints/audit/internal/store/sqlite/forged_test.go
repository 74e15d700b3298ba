package sqlite

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// TestAnotherEventWithTheSameIDIsLogged: the first one is kept. One that is only sent again is no news.
func TestAnotherEventWithTheSameIDIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, err := Open(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	add(t, s, event("a/final", 0))
	add(t, s, event("a/final", 0))
	if log.Len() > 0 {
		t.Errorf("sent again: %s", log.String())
	}
	add(t, s, event("a/final", 0, func(i *store.Item) { i.User = "mallory" }))
	if got := log.String(); strings.Count(got, "keeps the first") != 1 || !strings.Contains(got, "id=a/final") || strings.Contains(got, "mallory") {
		t.Errorf("log: %s", got)
	}
	if page, err := s.List(t.Context(), store.Query{Limit: 9}); err != nil || len(page.Items) != 1 || page.Items[0].User != "alice" {
		t.Errorf("%+v, %v", page, err)
	}
}
