package audit

import (
	"fmt"
	"strings"
	"testing"
)

// TestAComparisonCountsNothingTwice: without a filter, counts go by whole minutes or hours, so the moment has to be between two
// of them.
func TestAComparisonCountsNothingTwice(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		at, width string
		heads     string
		calm, bad []float64 // seconds after noon of mutations, and of failures
		want      []string
	}{
		"a moment within a minute": {"2026-03-01T12:00:30", "300", "What,Before Mar 1, 11:55–12:00,After Mar 1, 12:00–12:05",
			[]float64{-10}, []float64{31, 40, 59}, []string{"rejected, worse | 0 | 3", "mutated | 1 | 0", "p99 of sidecar.web.svc/mutate, worse | 3.", "failures in namespace web, worse | 0 | 3"}},
		"the ends, too": {"2026-03-01T12:00:30", "3600", "What,Before Mar 1, 11:00–12:00,After Mar 1, 12:00–13:00",
			[]float64{-3601, -3599, 3599, 3601}, nil, []string{"mutated | 1 | 1"}},
		"a day, whose latencies go by hours": {"2026-03-01T12:30:00", "86400", "What,Before Feb 28, 12:00–Mar 1, 12:00,After Mar 1, 12:00–Mar 2, 12:00",
			[]float64{-600}, []float64{2400, 2401}, []string{"rejected, worse | 0 | 2", "p99 of sidecar.web.svc/mutate, worse | 3."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, Config{})
			for i, at := range tc.calm {
				post(t, s, worker(fmt.Sprint("w", i), at))
			}
			for i, at := range tc.bad {
				post(t, s, failing(fmt.Sprint("f", i), at))
			}
			b := newBrowser(t, 1280, 900)
			b.open(serve(t, s) + "/")
			b.eval(fmt.Sprintf(`document.querySelector("#compare").open = true; document.querySelector("[name=at]").value = %q; document.querySelector("[name=width]").value = %q; document.querySelector("#compareform button").click()`, tc.at, tc.width))
			b.wait(`document.querySelectorAll("#comparison tbody tr").length > 0`)
			if heads := fmt.Sprint(b.eval(`[...document.querySelectorAll("#comparison th")].map((e) => e.innerText.replace(/\s+/g, " ")).join()`)); heads != tc.heads {
				t.Errorf("the heads are %q, want %q", heads, tc.heads)
			}
			rows := comparison(b)
			for _, want := range tc.want {
				if !strings.Contains(rows, want) {
					t.Errorf("the comparison lacks %q:\n%s", want, rows)
				}
			}
			b.shot("compare-"+strings.ReplaceAll(name, " ", "-"), false)
			b.clean()
		})
	}
}
