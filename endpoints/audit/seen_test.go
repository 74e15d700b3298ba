package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/events"
)

// TestAWriterHidesNothingOfAnotherSource: the writer of one source names an event of another one in the stamps of events of its
// own, and what /validate saw of that other source's Pod is shown all the same.
func TestAWriterHidesNothingOfAnotherSource(t *testing.T) {
	eachStore(t, checkAWriterHidesNothingOfAnotherSource)
}

func checkAWriterHidesNothingOfAnotherSource(t *testing.T, newServer func(testing.TB, Config) *Server) {
	file := filepath.Join(t.TempDir(), "writers")
	if err := os.WriteFile(file, []byte("one-e "+east+"\none-w "+west+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Config{WriteTokenFile: file})
	send := func(token string, e ev) {
		t.Helper()
		if w := do(t, s, "POST", "/", map[string]string{"Content-Type": structured, "Authorization": "Bearer " + token}, e.json(t)); w.Code != 204 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	validated := func(id, source string, at float64) ev {
		return ev{id: id, source: source, typ: events.Validated, at: at, data: events.Data{Pod: events.Pod{Name: "web", UID: "u-" + id}, Operation: "validate", Mutation: "m"}}
	}
	send("one-e", ev{id: "m", source: east, at: 1, data: events.Data{Pod: events.Pod{Name: "web"}}})
	send("one-e", validated("v", east, 2))
	for i := range 30 {
		send("one-w", validated(fmt.Sprint("forged", i), west, float64(3+i)))
	}
	if d := get[Detail](t, s, "/api/events/m"); len(d.Seen) != 1 || d.Seen[0].UID != "u-v" {
		t.Errorf("the event says that /validate saw %+v", d.Seen)
	}
	if l := get[listed](t, s, "/api/events?outcome=mutated"); len(l.Items) != 1 || strings.Join(l.Items[0].Seen, " ") != "web" {
		t.Errorf("the list says %+v", l.Items)
	}
}
