package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// TestTheValuesSeenLastComeFirst, whatever they begin with and however many others there are.
func TestTheValuesSeenLastComeFirst(t *testing.T) {
	t.Parallel()
	const last = "zeta"
	for name, path := range map[string]string{"in a file": filepath.Join(t.TempDir(), "events.db"), "in memory": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, Config{Path: path})
			at := func(value string) func(*store.Item) {
				return func(i *store.Item) {
					i.Namespace, i.User, i.Endpoints = value, value, []store.Call{{URL: value, DurationMS: 3}}
				}
			}
			var events []*store.Event
			for i := range 1500 {
				value := fmt.Sprintf("a%04d", i)
				events = append(events, event(value, float64(i)/10, at(value)))
			}
			add(t, s, append(events, event(last, 200, at(last)))...)
			values, err := s.Values(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for kind, all := range map[string][]string{"namespaces": values.Namespaces, "users": values.Users, "endpoints": values.Endpoints} {
				if len(all) != 200 || all[0] != last || all[1] != "a1499" || all[199] != "a1301" {
					t.Errorf("the %d %s begin with %.3q", len(all), kind, all)
				}
			}
			charts, err := s.Charts(t.Context(), store.Filter{From: start, To: start.Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, e := range charts.Endpoints {
				found = found || e.URL == last
			}
			if !found || len(charts.Endpoints) != store.MaxEndpoints || !charts.MoreEndpoints {
				t.Errorf("%d endpoints, the one seen last among them: %v; more: %v", len(charts.Endpoints), found, charts.MoreEndpoints)
			}
			// Nothing is beyond the endpoints that were called in a later hour.
			add(t, s, event("later", 4*3600, at("later")))
			charts, err = s.Charts(t.Context(), store.Filter{From: start.Add(3 * time.Hour), To: start.Add(5 * time.Hour)})
			if err != nil || len(charts.Endpoints) != 1 || charts.MoreEndpoints {
				t.Errorf("later: %+v, %v", charts, err)
			}
		})
	}
}
