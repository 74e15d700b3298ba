package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/txn2/amp/endpoints/events"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/review"
)

const (
	// pageItems is the most events of one page that the audit function allows.
	pageItems = 200
	// maxPage bounds the bytes of events that are read at once. What does not fit is asked for one by one.
	maxPage = 64 << 20
	// patience is the time for one answer of the audit function.
	patience = time.Minute
	// tries is how often a question is asked while the function has too much to do, or cannot be reached.
	tries = 4
)

// AuditConfig says where an audit function is.
type AuditConfig struct {
	// URL is the address of its page or of its API, with the filters in the query.
	URL string
	// TokenFile holds the token that reading needs; empty for none.
	TokenFile string
	// CAFile is a PEM file with the CAs of its certificate; empty: the system's.
	CAFile    string
	UserAgent string
}

// audit reads events from the audit function, the newest first. It asks for a page of the list, which has the cursor of the
// next one, and for the events of that page as they came.
type audit struct {
	api    url.URL // …/api/events, without a query
	name   string  // as it may be shown
	query  url.Values
	header http.Header
	client *http.Client
	pause  time.Duration // before a question is asked again

	cursor string
	opened bool
	last   bool       // there is no further page
	ready  []Recorded // of this page, to be returned
	rest   []item     // of this page, to be asked for one by one
}

// item is what the list says of an event.
type item struct {
	ID, Source string
	Time       time.Time
	Superseded bool
}

// NewAudit returns the events of an audit function. Its error says what of the configuration cannot be used.
func NewAudit(config AuditConfig) (Source, error) {
	u, err := review.ParseURL(config.URL)
	if err != nil {
		return nil, fmt.Errorf("the URL %w", err)
	}
	a := &audit{name: review.NewEndpoint(u).Name, header: http.Header{"User-Agent": {config.UserAgent}}, pause: time.Second}
	if a.query, err = url.ParseQuery(u.RawQuery); err != nil {
		return nil, errors.New("the URL's query cannot be read: want name=value, with %XX for what is not a letter or a digit")
	}
	if a.query.Has("limit") {
		return nil, errors.New("the URL's query has a limit: use the flag --limit instead")
	}
	a.cursor = a.query.Get("cursor")
	// The page also has in its address which event is open; and the address of its export names the format.
	for _, other := range []string{"cursor", "event", "source", "format"} {
		a.query.Del(other)
	}
	fixTimes(a.query, time.Now())
	a.api = *u
	a.api.User, a.api.RawQuery, a.api.Fragment, a.api.RawFragment = nil, "", "", ""
	a.api.Path, a.api.RawPath = apiPath(u.Path), ""
	outbound.SetBasicAuth(a.header, u.User)

	if a.client, err = a.newClient(u.Scheme, config); err != nil {
		return nil, err
	}
	return a, nil
}

// fixTimes replaces how long ago, in the filters, by the time that it is now. The function would count from each question: the
// oldest events would leave the answer before they are read. What else there is, the function takes or refuses.
func fixTimes(query url.Values, now time.Time) {
	for _, name := range []string{"from", "to"} {
		for i, v := range query[name] {
			if ago, is := events.ParseAgo(strings.TrimSpace(v)); is {
				query[name][i] = now.Add(-ago).UTC().Format(time.RFC3339Nano)
			}
		}
	}
}

// apiPath is where the API's list is, if the page or the list is at a path.
func apiPath(at string) string {
	if strings.HasSuffix(at, "/api/events") {
		return at
	}
	folder, file := at, ""
	if i := strings.LastIndexByte(at, '/'); i >= 0 {
		folder, file = at[:i], at[i+1:]
	}
	if file != "" && !strings.Contains(file, ".") {
		folder += "/" + file // the page redirects into its folder
	}
	return folder + "/api/events"
}

func (a *audit) Next(ctx context.Context) (Recorded, error) {
	for {
		switch {
		case len(a.ready) > 0:
			next := a.ready[0]
			a.ready = a.ready[1:]
			return next, nil
		case len(a.rest) > 0:
			next := a.rest[0]
			a.rest = a.rest[1:]
			event, err := a.one(ctx, next)
			if errors.Is(err, errGone) {
				continue
			}
			return event, err
		case a.last:
			return Recorded{}, io.EOF
		}
		if err := a.page(ctx); err != nil {
			return Recorded{}, err
		}
	}
}

// page reads a page: its list, then its events. An event that arrives between the two moves another one out of the second
// answer; that one is asked for by itself.
func (a *audit) page(ctx context.Context) error {
	var list struct {
		Items []item
		Next  string
	}
	if err := a.get(ctx, "", a.with(a.cursor, "limit", fmt.Sprint(pageItems)), 16<<20, func(r io.Reader) error {
		return json.NewDecoder(r).Decode(&list)
	}); err != nil {
		return err
	}
	if !a.opened && len(list.Items) > 0 && !a.query.Has("to") {
		// What arrives from now on is not part of the question. The function keeps microseconds.
		a.query.Set("to", list.Items[0].Time.Add(time.Microsecond).Format(time.RFC3339Nano))
	}
	a.opened = true
	if len(list.Items) > 0 {
		if err := a.events(ctx, list.Items); err != nil {
			return err
		}
	}
	if list.Next != "" && list.Next == a.cursor {
		return fmt.Errorf("%s names the page itself as the next one: is it an audit function?", a.name)
	}
	a.cursor, a.last = list.Next, list.Next == ""
	return nil
}

// events reads the events of a page as they came.
func (a *audit) events(ctx context.Context, items []item) error {
	left := make(map[[2]string]item, len(items))
	for _, i := range items {
		left[[2]string{i.Source, i.ID}] = i
	}
	err := a.get(ctx, "", a.with(a.cursor, "limit", fmt.Sprint(len(items)), "format", "ndjson"), maxPage, func(r io.Reader) error {
		lines := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := lines.ReadBytes('\n')
			if errors.Is(err, io.EOF) || errors.Is(err, errTooMuch) {
				return nil // a line without an end is not whole
			} else if err != nil {
				return err
			}
			var is item
			if err := json.Unmarshal(line, &is); err != nil {
				return err
			}
			// What was not in the list has come since, or it is in the list of the next page, which says whether it is superseded.
			key := [2]string{is.Source, is.ID}
			if of, listed := left[key]; listed {
				a.ready = append(a.ready, Recorded{JSON: bytes.TrimSpace(line), Where: "event " + is.ID, Superseded: of.Superseded})
				delete(left, key)
			}
		}
	})
	if err != nil {
		a.ready = nil
		return err
	}
	for _, i := range items {
		if _, is := left[[2]string{i.Source, i.ID}]; is {
			a.rest = append(a.rest, i)
		}
	}
	return nil
}

// one reads one event.
func (a *audit) one(ctx context.Context, i item) (Recorded, error) {
	var detail struct{ Event json.RawMessage }
	err := a.get(ctx, "/"+url.PathEscape(i.ID), url.Values{"source": {i.Source}}, 3*maxEvent, func(r io.Reader) error {
		return json.NewDecoder(r).Decode(&detail)
	})
	return Recorded{JSON: detail.Event, Where: "event " + i.ID, Superseded: i.Superseded}, err
}

// with is the filters and other parameters.
func (a *audit) with(cursor string, others ...string) url.Values {
	q := url.Values{}
	for name, values := range a.query {
		q[name] = values
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	for i := 0; i < len(others); i += 2 {
		q.Set(others[i], others[i+1])
	}
	return q
}
