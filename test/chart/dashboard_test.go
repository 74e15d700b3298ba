package chart

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// panel is what the test needs of a panel of the dashboard.
type panel struct {
	ID                       int
	Type, Title, Description string
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ Expr string }
}

func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal([]byte(read(t, "deploy/dashboards/amp.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(dashboard.Panels, func(p panel) bool { return p.Type == "row" })
}

// TestPanels: each panel says what it shows, and its ID is its own.
func TestPanels(t *testing.T) {
	seen := map[int]bool{}
	for _, p := range panels(t) {
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || seen[p.ID] {
			t.Errorf("%q has the description %q, the unit %q, %d queries and the ID %d", p.Title, p.Description, p.FieldConfig.Defaults.Unit, len(p.Targets), p.ID)
		}
		seen[p.ID] = true
	}
}

// TestDashboard: a Prometheus that scrapes an amp at work finds something for each query, and each metric of amp has a
// panel. The API server's own metrics are checked in test/cluster.
func TestDashboard(t *testing.T) {
	a := startAmp(t)
	prometheus := startPrometheus(t, a.metrics)
	all := ""
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			all += target.Expr + "\n"
			query := strings.NewReplacer("$namespace", "amp-.*", "$__rate_interval", "5s").Replace(target.Expr)
			if strings.Contains(query, "$") {
				t.Errorf("%q asks %s: there is no such variable", p.Title, target.Expr)
			}
			patience := time.Now().Add(30 * time.Second)
			for {
				found, err := ask(prometheus, query)
				if err != nil {
					t.Errorf("%q asks %s: %v", p.Title, target.Expr, err)
					break
				}
				if found > 0 || strings.Contains(query, "apiserver_") {
					break
				}
				if time.Now().After(patience) {
					t.Errorf("%q asks %s, and there is nothing", p.Title, target.Expr)
					break
				}
				time.Sleep(100 * time.Millisecond) // until the next scrape
			}
		}
	}

	exposed := regexp.MustCompile(`(?m)^# TYPE (amp_\S+)`).FindAllStringSubmatch(get(t, a.metrics), -1)
	if len(exposed) < 12 {
		t.Fatalf("amp has only %q", exposed)
	}
	for _, metric := range exposed {
		if !regexp.MustCompile(`\b` + metric[1] + `(_bucket)?\b`).MatchString(all) {
			t.Errorf("no panel shows %s", metric[1])
		}
	}
}

// ask returns how many series a query finds.
func ask(prometheus, query string) (int, error) {
	response, err := http.Get(prometheus + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("Prometheus says %s", answer.Error)
	}
	return len(answer.Data.Result), nil
}

func get(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
