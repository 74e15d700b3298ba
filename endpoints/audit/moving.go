package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// Events move from one function to another as lines of JSON, in the order in which they were stored. Each line is a
// [store.Record]: the event as it came, the time that it has in lists, and its position, from which a reader can go on.
// The package move has the reader and the writer.

// exportPage is how many events are read at once.
const exportPage = 500

// exportRecords answers GET api/export: what was stored after the position in the parameter after, or everything, up to the
// present.
func (s *Server) exportRecords(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	if err := checkParameters(q, []string{"after"}); err != nil {
		return err
	}
	position := store.Position(q.Get("after"))
	return s.streamLines(w, r, func(lines *json.Encoder) (more bool, err error) {
		export, err := s.store.Export(r.Context(), position, exportPage)
		if errors.Is(err, store.ErrPosition) {
			return false, bad("parameter after: %.60q is not a position in this database: leave it out to begin anew; what was imported before stays there once", position)
		} else if err != nil {
			return false, err
		}
		position = export.Next
		return export.More, encodeAll(lines, export.Records)
	})
}

// parseLines reads what an export wrote, or CloudEvents in JSON, one a line.
func parseLines(body []byte, now time.Time) ([]*store.Event, error) {
	var lines [][]byte
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, line)
		}
		if len(lines) > maxBatch {
			return nil, bad("reading the lines: there are more than %d, send fewer at once", maxBatch)
		}
	}
	return parseEach(lines, func(line []byte) (*store.Event, error) { return parseLine(line, now) })
}

func parseLine(line []byte, now time.Time) (*store.Event, error) {
	if _, members := valuesIn(line); members > maxMembers {
		return nil, fmt.Errorf("it has more than %d attributes", maxMembers)
	}
	var record struct {
		Version string          `json:"specversion"`
		Time    time.Time       `json:"time"`
		Event   json.RawMessage `json:"event"`
	}
	err := json.Unmarshal(line, &record)
	if err != nil || record.Version != "" || record.Event == nil {
		return parseStructured(line, now)
	}
	e, err := parseStructured(record.Event, now)
	// The sender could have written any time into the event as well.
	if err == nil && mayBe(record.Time, now) {
		e.Undated = e.Undated || !record.Time.Truncate(time.Microsecond).Equal(e.Item.Time.Truncate(time.Microsecond))
		e.Item.Time = record.Time.UTC()
	}
	return e, err
}
