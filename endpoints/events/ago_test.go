package events_test

import (
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/events"
)

func TestParseAgo(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"15m": 15 * time.Minute, "1h30m": 90 * time.Minute, "0s": 0, "7d": 7 * day, "0d": 0, "2w": 14 * day, "4999w": 4999 * 7 * day,
	} {
		if got, ok := events.ParseAgo(text); got != want || !ok {
			t.Errorf("%s: %s, %t, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "d", "w", "7", "-1d", "-2w", "-15m", "1.5d", "1d12h", "5000d", "5000w", "99999999999999999999d", "7D", "a week", "2026-03-01T12:00:00Z"} {
		if got, ok := events.ParseAgo(text); got != 0 || ok {
			t.Errorf("%q: %s, %t, want none", text, got, ok)
		}
	}
}
