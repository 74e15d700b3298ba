package audit

import (
	"fmt"
	"slices"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
)

func TestCharts(t *testing.T) { eachStore(t, checkCharts) }

func checkCharts(t *testing.T, newServer func(testing.TB, Config) *Server) {
	s := newServer(t, Config{})
	var all []ev
	for i := range 100 {
		ms, failed := 10.0, ""
		if i >= 98 {
			ms, failed = 400, "late"
		}
		all = append(all, ev{id: fmt.Sprint(i), at: float64(i * 30), data: events.Data{Endpoints: []events.Endpoint{{URL: "http://a.svc", DurationMS: ms, Error: failed}}}})
	}
	all = append(all, ev{id: "r", at: 0, typ: events.Rejected, data: events.Data{Namespace: "web", Endpoints: []events.Endpoint{{URL: "http://b.svc", DurationMS: 2}}}})
	post(t, s, all...)
	near := func(got, want float64) bool { return got > want*.97 && got < want*1.03 }
	for name, tc := range map[string]struct {
		query  string
		n      int64
		p50    float64
		p99    float64
		bucket int64
	}{
		"sums by minutes":     {"from=2h", 101, 10, 400, 300},
		"sums by hours":       {"from=7d", 101, 10, 400, 3 * 3600},
		"filtered":            {"from=2h&namespace=jhub", 100, 10, 400, 300},
		"without a beginning": {"", 101, 10, 400, 600},
	} {
		t.Run(name, func(t *testing.T) {
			st := get[store.Charts](t, s, "/api/stats?"+tc.query)
			if total(&st) != tc.n || st.BucketSeconds != tc.bucket || !st.Complete {
				t.Errorf("%d in buckets of %d s", total(&st), st.BucketSeconds)
			}
			if e := st.Endpoints[0]; e.URL != "http://a.svc" || e.Calls != 100 || e.Errors != 2 || !near(e.P50, tc.p50) || !near(e.P99, tc.p99) {
				t.Errorf("endpoint %+v", e)
			}
			if !slices.IsSortedFunc(st.Buckets, func(a, b *store.Bucket) int { return a.Start.Compare(b.Start) }) {
				t.Error("the buckets are out of order")
			}
		})
	}
}

func TestThePageSaysThatEndpointsAreMissing(t *testing.T) {
	t.Parallel()
	for name, endpoints := range map[string]int{"as many as there is room for": store.MaxEndpoints, "one more": store.MaxEndpoints + 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, Config{})
			var all []ev
			for i := range endpoints {
				all = append(all, ev{id: fmt.Sprint(i), at: float64(i), data: events.Data{Endpoints: []events.Endpoint{{URL: fmt.Sprintf("http://%d.svc", i), DurationMS: 3}}}})
			}
			post(t, s, all...)
			b := newBrowser(t, 1280, 900)
			b.open(serve(t, s) + "/")
			b.wait(`document.querySelectorAll("#latencychart .data table:first-of-type tbody tr").length === 50`)
			more := endpoints > store.MaxEndpoints
			for q, words := range map[string]string{"#latencychart .span": "perhaps not of all endpoints", "#latencychart .data": "There may be more endpoints."} {
				if said := b.eval(fmt.Sprintf(`document.querySelector(%q).textContent.includes(%q)`, q, words)); said != more {
					t.Errorf("%s says %q: %v", q, words, said)
				}
			}
			b.clean()
		})
	}
}
