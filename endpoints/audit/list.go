package audit

import (
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
//	{"items": [Item, …], "next": "cursor", "after": "position in the stream"}
//
// next is absent on the last page. A page may be short, even empty, while there is a next one.
func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	f, err := parseFilter(q, s.now(), "limit", "cursor", "format")
	if err != nil {
		return err
	}
	ndjson, err := wantsNDJSON(q, r.Header)
	if err != nil {
		return err
	}
	query := store.Query{Filter: f, Cursor: store.Cursor(q.Get("cursor")), Limit: defaultLimit, Raw: ndjson}
	most := maxLimit
	if ndjson {
		query.Limit, most = noLimit, noLimit
	}
	if v := q.Get("limit"); v != "" {
		if query.Limit, err = strconv.Atoi(v); err != nil || query.Limit < 1 || query.Limit > most {
			return bad("parameter limit: %.20q is not a limit: want a number from 1 to %d", v, most)
		}
	}
	if ndjson {
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
		return strings.Contains(header.Get("Accept"), "application/x-ndjson"), nil
	case "json":
		return false, nil
	case "ndjson":
		return true, nil
	default:
		return false, bad("parameter format: %.20q is not a format: want json or ndjson", format)
	}
}

// export streams the events themselves, each a CloudEvent in JSON on a line of its own. They can be posted again
// as they are.
func (s *Server) export(w http.ResponseWriter, r *http.Request, query store.Query) error {
	if err := s.exports.enter(r.Context(), "exports"); err != nil {
		return err
	}
	defer s.exports.leave()
	control := http.NewResponseController(w)
	started := false
	for left := query.Limit; left > 0; {
		// Page by page: one long read would keep SQLite's log of changes growing.
		query.Limit = min(left, maxLimit)
		page, err := s.store.List(r.Context(), query)
		if err != nil && started {
			panic(http.ErrAbortHandler) // so that half an export does not look like a whole one
		} else if err != nil {
			return err
		}
		if !started {
			started = true
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.Header().Set("Content-Disposition", `attachment; filename="amp-events.ndjson"`)
			w.WriteHeader(http.StatusOK)
		}
		_ = control.SetWriteDeadline(time.Now().Add(exportPatience))
		for _, event := range page.Raw {
			if _, err := w.Write(append(event, '\n')); err != nil {
				return nil // the reader has gone
			}
		}
		_ = control.Flush()
		left -= len(page.Raw)
		if page.Next == "" {
			break
		}
		query.Cursor = page.Next
	}
	return nil
}
