package callout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/share"
)

// TestAnswersLetTheReviewGrow: before each larger buffer, and by what arrives, not by what is announced.
func TestAnswersLetTheReviewGrow(t *testing.T) {
	for name, test := range map[string]struct {
		sent      int
		announced int64
		held      int64
		full      bool // beside others that hold much
	}{
		"a usual answer":                        {4000, 4000, 0, false},
		"a large one":                           {64<<10 - 1, -1, AnswerFactor * (64<<10 - 4<<10), false},
		"a megabyte is announced, little comes": {100, 1 << 20, 0, false},
		"too large for what is left":            {900 << 10, 900 << 10, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			pool := share.NewBytes(8<<20, 0)
			if test.full {
				if err := pool.Hold("other", 0).Grow(t.Context(), 4<<20); err != nil {
					t.Fatal(err)
				}
			}
			hold := pool.Hold("a", 0)
			before := pool.Used()
			resp := &http.Response{ContentLength: test.announced, Body: io.NopCloser(strings.NewReader(strings.Repeat("x", test.sent)))}
			body, err := read(t.Context(), resp, 1<<20, hold)
			if errors.Is(err, errNoMemory) != test.full || !test.full && (err != nil || len(body) != test.sent) {
				t.Fatalf("%d bytes, %v", len(body), err)
			}
			if got := pool.Used() - before; !test.full && got != test.held {
				t.Errorf("holds %d, want %d", got, test.held)
			}
			hold.Release()
			if pool.Used() != before {
				t.Errorf("%d are left", pool.Used()-before)
			}
		})
	}
}

// TestSparseAnswersStaySmall: a megabyte of brackets must not become a hundred megabytes of ops.
func TestSparseAnswersStaySmall(t *testing.T) {
	many := func(element string) string { return strings.Repeat(element+",", 1<<20/(len(element)+1)-30) + element }
	for name, body := range map[string]string{
		"empty ops":       "[" + many("{}") + "]",
		"numbers":         "[" + many("0") + "]",
		"in an object":    `{"patch":[` + many("{}") + "]}",
		"unknown members": "{" + many(`"a":1`) + "}",
		"warnings":        `{"allowed":true,"warnings":[` + many(`"a"`) + "]}",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := parseBody(review.Mutate, http.Header{}, []byte(body), nil)
			runtime.ReadMemStats(&after)
			t.Logf("%d KiB, %v", (after.TotalAlloc-before.TotalAlloc)>>10, err)
			if strings.HasPrefix(body, "[") && (err == nil || !bytes.Contains([]byte(fmt.Sprint(err)), []byte("the limit is 10000"))) {
				t.Errorf("error %v", err)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
				t.Errorf("it takes %d MiB", got>>20)
			}
		})
	}
}
