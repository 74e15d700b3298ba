package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/events"
)

// posted is a request with the event x.
type posted struct {
	header map[string]string
	body   string
}

// inBinary is an event in binary mode, with other headers besides.
func inBinary(data string, others ...string) posted {
	p := posted{map[string]string{"Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "x", "ce-source": source, "ce-type": events.Mutated}, data}
	for i := 0; i < len(others); i += 2 {
		p.header[others[i]] = others[i+1]
	}
	return p
}

// inStructured is an event in structured mode, with the message and other attributes, as they stand in JSON.
func inStructured(message, others string) posted {
	return posted{map[string]string{"Content-Type": structured}, `{"specversion":"1.0","id":"x","source":"` + source + `","type":"` + events.Rejected + `",` + others +
		`"data":{"namespace":"n","pod":{"name":"p"},"outcome":"rejected","message":"` + message + `"}}`}
}

const mutatedData = `{"namespace":"n","pod":{"name":"p"},"outcome":"mutated"}`

// TestWhatIsTakenCanBeReadAndMoved: an event that is taken can be read, exported and imported into an empty store, where it is
// the same. What cannot is refused when it comes, and says why. (The contract of the stores has the longest event, too.)
func TestWhatIsTakenCanBeReadAndMoved(t *testing.T) {
	t.Parallel()
	// padded is data that makes the event as long as the longest one that is taken, and some bytes longer.
	padded := func(more int, others ...string) posted {
		short := inBinary(mutatedData, others...)
		h := headerOf(short)
		e, err := parse(mediaTypeOf(h), h, []byte(short.body), start)
		if err != nil {
			t.Fatal(err)
		}
		return inBinary(`{"message":"`+strings.Repeat("x", maxBody-len(e[0].Raw)-len(`"message":"",`)+more)+`",`+mutatedData[1:], others...)
	}
	nested := func(deep int) string { return strings.Repeat("[", deep) + strings.Repeat("]", deep) }
	many := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("ce-a%d", i), "1")
		}
		return all
	}
	for name, tc := range map[string]struct {
		posted
		refused string
	}{
		"3 MiB of <":                         {inStructured(strings.Repeat("<", 3<<20), ""), ""},
		"1 MiB of &, in binary mode":         {inBinary(`{"message":"` + strings.Repeat("&", 1<<20) + `",` + mutatedData[1:]), ""},
		"1 MiB of line separators":           {inStructured(strings.Repeat("\u2028", 1<<20/3), ""), ""},
		"bytes that are no UTF-8":            {inStructured(strings.Repeat("<\xff\u2028>", 1<<10), "\"subject\":\"<\xff\u2029&\","), ""},
		"attributes with < and separators":   {inStructured("m", `"subject":"<&>`+"\u2028"+`","ext":"<&>`+"\u2028\xc3"+`","dataschema":"http://x/<é>",`), ""},
		"data in base64":                     {posted{map[string]string{"Content-Type": structured}, `{"specversion":"1.0","id":"x","source":"s","type":"` + events.Mutated + `","data_base64":"eyJuYW1lc3BhY2UiOiJuIiwicG9kIjp7Im5hbWUiOiJwIn0sIm91dGNvbWUiOiJtdXRhdGVkIn0="}`}, ""},
		"data of another JSON type":          {inBinary(mutatedData, "Content-Type", "application/vnd.x+json"), ""},
		"the same, and no UTF-8":             {inBinary(`{"message":"`+"\xff"+`",`+mutatedData[1:], "Content-Type", "application/vnd.x+json"), "its data is not UTF-8"},
		"as long as can be":                  {padded(0), ""},
		"a byte longer":                      {padded(1), "reading the event: it takes more than the 16 MiB that an event may take"},
		"a whole body, and attributes":       {padded(3000, "ce-ext", strings.Repeat("x", 3000)), "it takes more than the 16 MiB that an event may take"},
		"attributes that would grow":         {inStructured("m", `"ext":"`+strings.Repeat("\xff", 8<<20)+`",`), "its attributes are longer than 2 MiB"},
		"a schema's address that would grow": {inStructured("m", `"dataschema":"http://x/`+strings.Repeat("<", 1<<20)+`",`), "its attributes are longer than 2 MiB"},
		"an attribute's name without end":    {inStructured("m", `"`+strings.Repeat("x", 2<<20)+`":"",`), "its attributes are longer than 2 MiB"},
		"1000 attributes":                    {inBinary(mutatedData, many(1000-6)...), ""},
		"more than 1000 attributes":          {inBinary(mutatedData, many(1000-5)...), "it has more than 1000 attributes"},
		"nested deep":                        {inStructured(`","object":`+nested(maxDepth-2)+`,"x":"`, ""), ""},
		"nested deeper":                      {inStructured(`","object":`+nested(maxDepth-1)+`,"x":"`, ""), "it is nested deeper than"},
		"nested as deep as JSON can be read": {inStructured(`","object":`+nested(9998)+`,"x":"`, ""), "it is nested deeper than"},
		"a time in another zone":             {inStructured("m", `"time":"2026-03-01T13:00:00.123456789+01:00",`), ""},
		"a time in the year 10000, in UTC":   {inStructured("m", `"time":"9999-12-31T23:59:59-01:00",`), "its time is"},
		"a time before the year 0, in UTC":   {inStructured("m", `"time":"0000-01-01T00:00:00+01:00",`), "its time is"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.refused == "" && len(tc.body) > 8<<20 {
				checkALineIsTheEvent(t, tc.posted) // with a store it takes a minute under the race detector
				return
			}
			old, fresh := newServer(t, Config{}), newServer(t, Config{})
			w := do(t, old, "POST", "/", tc.header, []byte(tc.body))
			if tc.refused != "" {
				if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), tc.refused) {
					t.Errorf("%d %.300s, want 400 %s", w.Code, w.Body, tc.refused)
				}
				if n := list(t, old); n != 0 {
					t.Errorf("%d are stored", n)
				}
				return
			}
			if w.Code != http.StatusNoContent {
				t.Fatalf("posting: %d %.300s", w.Code, w.Body)
			}
			was, lines := eventIn(t, old)
			if len(was) > len(tc.body)+20_000 {
				t.Errorf("an event of %d bytes has become %d", len(tc.body), len(was))
			}
			if imported, err := function(t, fresh).Import(t.Context(), bytes.NewReader(lines), nil); err != nil || imported.Events != 1 {
				t.Fatalf("importing: %+v, %v", imported, err)
			}
			if is, _ := eventIn(t, fresh); !bytes.Equal(is, was) {
				t.Errorf("the event was\n%.300s and is\n%.300s", was, is)
			}
		})
	}
}

// checkALineIsTheEvent checks that an event is taken, and that an import takes its line of an export as the same.
func checkALineIsTheEvent(t *testing.T, p posted) {
	t.Helper()
	header := headerOf(p)
	received, err := parse(mediaTypeOf(header), header, []byte(p.body), start)
	if err != nil {
		t.Fatal(err)
	}
	var line bytes.Buffer
	if err := linesTo(&line).Encode(store.Record{Position: "x-1", Time: start, Event: received[0].Raw}); err != nil {
		t.Fatal(err)
	}
	if line.Len() > maxBody+maxAdded {
		t.Errorf("the line has %d bytes, more than an import takes", line.Len())
	}
	if again, err := parseLines(line.Bytes(), start); err != nil || !bytes.Equal(again[0].Raw, received[0].Raw) {
		t.Errorf("an import makes another event of it, or %v", err)
	}
}

func headerOf(p posted) http.Header {
	h := http.Header{}
	for k, v := range p.header {
		h.Set(k, v)
	}
	return h
}

// eventIn returns the one event of a server, which all ways of reading have alike, and its export.
func eventIn(t testing.TB, s *Server) (event, lines []byte) {
	t.Helper()
	var export bytes.Buffer
	if exported, err := function(t, s).Export(t.Context(), "", &export); err != nil || exported.Events != 1 {
		t.Fatalf("exporting: %+v, %v", exported, err)
	}
	var record struct{ Event json.RawMessage }
	if err := json.Unmarshal(export.Bytes(), &record); err != nil {
		t.Fatal(err)
	}
	w := do(t, s, "GET", "/api/events?format=ndjson", nil, nil)
	if w.Code != http.StatusOK || !bytes.Equal(bytes.TrimSuffix(w.Body.Bytes(), []byte("\n")), record.Event) {
		t.Errorf("as lines: %d %.300s", w.Code, w.Body)
	}
	w = do(t, s, "GET", "/api/events/"+url.PathEscape("x"), nil, nil)
	if w.Code != http.StatusOK || !bytes.Contains(w.Body.Bytes(), record.Event) {
		t.Errorf("in full: %d, %d bytes: %.300s", w.Code, w.Body.Len(), w.Body)
	}
	return record.Event, export.Bytes()
}

// TestOthersAreKeptBesideAnEventThatCannotBeMoved: of a batch, and of lines.
func TestOthersAreKeptBesideAnEventThatCannotBeMoved(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	late := inStructured("m", `"time":"9999-12-31T23:59:59-01:00",`).body
	for contentType, body := range map[string]string{batched: "[%s,%s,%s]", ndjson: "%s\n%s\n%s\n"} {
		body = fmt.Sprintf(body, ev{id: contentType + "1"}.json(t), late, ev{id: contentType + "2"}.json(t))
		w := do(t, s, "POST", "/", map[string]string{"Content-Type": contentType}, []byte(body))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "event 2 of 3: its time is") || !strings.Contains(w.Body.String(), "the other 2 of the batch are stored") {
			t.Errorf("%s: %d %s", contentType, w.Code, w.Body)
		}
	}
	if n := list(t, s); n != 4 {
		t.Errorf("%d are stored", n)
	}
}
