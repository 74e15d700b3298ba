package audit

import (
	"net/http"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// charts answers GET api/stats with [store.Charts].
func (s *Server) charts(w http.ResponseWriter, r *http.Request) error {
	now := s.now()
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	f, err := parseFilter(q, now)
	if err != nil {
		return err
	}
	if f.To.IsZero() {
		f.To = now
	}
	charts, err := s.store.Charts(r.Context(), f)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, charts)
	return nil
}

// values answers GET api/values with what there is to filter by.
func (s *Server) values(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	if err := checkParameters(q, nil); err != nil {
		return err
	}
	values, err := s.store.Values(r.Context())
	if err != nil {
		return err
	}
	_, noCookie := r.Cookie(cookieName)
	writeJSON(w, http.StatusOK, struct {
		*store.Values
		Outcomes []string `json:"outcomes"`
		Session  bool     `json:"session"` // there is a login to end
	}{values, outcome.All, s.config.ReadTokenFile != "" && noCookie == nil})
	return nil
}
