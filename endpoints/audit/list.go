package audit

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

const (
	defaultLimit = 50
	maxLimit     = 200     // of a page
	noLimit      = 1 << 31 // of an export
	// exportPatience is how long a reader of an export may take for one page of it.
	exportPatience = time.Minute
)

// list answers GET api/events with a [store.Page], or as an export:
//
//	{"items": [Item, …], "next": "cursor", "since": "how far back", "after": "position in the stream"}
//
// next and since are absent on the last page. A page may be short, even empty, while there is a next one.
func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	f, err := parseFilter(q, s.now(), "limit", "cursor", "format")
	if err != nil {
		return err
	}
	asLines, err := wantsNDJSON(q, r.Header)
	if err != nil {
		return err
	}
	query := store.Query{Filter: f, Cursor: store.Cursor(q.Get("cursor")), Limit: defaultLimit, Raw: asLines}
	most := maxLimit
	if asLines {
		query.Limit, most = noLimit, noLimit
	}
	if v := q.Get("limit"); v != "" {
		if query.Limit, err = strconv.Atoi(v); err != nil || query.Limit < 1 || query.Limit > most {
			return bad("parameter limit: %.20q is not a limit: want a number from 1 to %d", v, most)
		}
	}
	if asLines {
		return s.export(w, r, query)
	}
	page, err := s.store.List(r.Context(), query)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

func wantsNDJSON(q url.Values, header http.Header) (bool, error) {
	switch format := q.Get("format"); format {
	case "":
		return strings.Contains(header.Get("Accept"), ndjson), nil
	case "json":
		return false, nil
	case "ndjson":
		return true, nil
	default:
		return false, bad("parameter format: %.20q is not a format: want json or ndjson", format)
	}
}

// export streams the events themselves, newest first, each a CloudEvent in JSON on a line of its own. They can be posted
// again as they are.
func (s *Server) export(w http.ResponseWriter, r *http.Request, query store.Query) error {
	left := query.Limit
	return s.streamLines(w, r, func(lines *json.Encoder) (more bool, err error) {
		// Page by page: one long read would keep SQLite's log of changes growing.
		query.Limit = min(left, maxLimit)
		page, err := s.store.List(r.Context(), query)
		if err != nil {
			return false, err
		}
		left, query.Cursor = left-len(page.Raw), page.Next
		return left > 0 && page.Next != "", encodeAll(lines, page.Raw)
	})
}

func encodeAll[T any](lines *json.Encoder, all []T) error {
	for _, v := range all {
		if err := lines.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// linesTo writes lines of JSON. The events in them are as they were.
func linesTo(w io.Writer) *json.Encoder {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false) // an event would be up to six times as long
	return lines
}

// streamLines answers with lines of JSON. page writes some of them, and says whether there are more.
func (s *Server) streamLines(w http.ResponseWriter, r *http.Request, page func(lines *json.Encoder) (more bool, err error)) error {
	if err := s.exports.enter(r.Context(), "exports"); err != nil {
		return err
	}
	defer s.exports.leave()
	control := http.NewResponseController(w)
	// In memory first, because an error of the first page has a status of its own.
	var buffer bytes.Buffer
	lines := linesTo(&buffer)
	for started := false; ; started = true {
		more, err := page(lines)
		if err != nil && started {
			panic(http.ErrAbortHandler) // so that half an export does not look like a whole one
		} else if err != nil {
			return err
		}
		if !started {
			w.Header().Set("Content-Type", ndjson)
			w.Header().Set("Content-Disposition", `attachment; filename="amp-events.ndjson"`)
			w.WriteHeader(http.StatusOK)
		}
		_ = control.SetWriteDeadline(time.Now().Add(exportPatience))
		if _, err := buffer.WriteTo(w); err != nil {
			return nil // the reader has gone
		}
		_ = control.Flush()
		if !more {
			return nil
		}
	}
}
