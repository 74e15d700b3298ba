// Package store says what the audit function needs of storage: the interface [Store], the values that go
// through it, and the rules that every store shares (what a filter means, which names a generateName makes,
// how charts are put together). It stores nothing itself; the packages below it do.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Store keeps events and finds them again. Its methods may be called at the same time, and several
// processes may share what is stored, so a store holds no state that a reader could not read anew.
//
// Errors are the ones of this package where a caller did something wrong, and otherwise trouble with the
// storage, after which the same call may succeed. The end of ctx ends a call; events that Add was given may
// be stored nevertheless.
type Store interface {
	// Add stores events, all or none. When it returns nil they survive a crash of the process and of the
	// machine. An event whose source and id are stored already, with a time less than a day away or with Undated, is
	// left as it is, so a sender may send the same events again. An event whose id ends in Final supersedes the event
	// of the same source whose id lacks that ending, in whichever order the two come. That is only a mark
	// (Item.Superseded): both are in lists and charts, because a sender may have forged the final one.
	Add(ctx context.Context, events []*Event) error

	// List returns the newest events that fit, newest first, as Query says.
	List(ctx context.Context, q Query) (*Page, error)

	// Detail returns the event with an id, and the events that belong to it. source may be empty where only
	// one source has that id. The errors are ErrNotFound and *SeveralSourcesError.
	Detail(ctx context.Context, id, source string) (*Detail, error)

	// Charts sums up the events that fit. f.To must be set. Without f.From the charts cover as much of the
	// last day as there are events for.
	Charts(ctx context.Context, f Filter) (*Charts, error)

	// Values returns what there is to filter by, the values seen last first, at most 200 of each.
	Values(ctx context.Context) (*Values, error)

	// Arrived returns the events that fit and were stored after a position, in the order in which they were
	// stored, after looking at limit events at most. The empty position is the present: nothing arrived
	// after it yet. The error is ErrPosition for a position that is not of this storage.
	Arrived(ctx context.Context, f Filter, after Position, limit int) (*Arrivals, error)

	// Export returns the events that were stored after a position, as they came and in the order in which they were stored,
	// after looking at limit events at most. The empty position is the beginning. The error is ErrPosition for a position
	// that is not of this storage.
	Export(ctx context.Context, after Position, limit int) (*Export, error)

	// Changed returns a channel that is closed when events were stored, by whichever process. A reader takes
	// it, then calls Arrived, then waits for it: no event comes between. It says that something arrived and
	// not what, so that a store has to send no more than that to its other processes.
	Changed() <-chan struct{}

	// DeleteBefore deletes the events that are older than a time, and what only they needed. Processes that
	// share a storage may call it at the same time.
	DeleteBefore(ctx context.Context, t time.Time) error

	// Close stores what Add has taken, then releases the storage.
	Close() error
}

// Final is how the id of an event ends that supersedes another one.
const Final = "/final"

// The errors of a Store that the caller can do something about.
var (
	ErrNotFound = errors.New("there is no such event")
	ErrCursor   = errors.New("the cursor is not one of this store")
	ErrPosition = errors.New("the position is not one of this store")
	ErrClosed   = errors.New("the store is closing")
	// ErrUnreachable is trouble with the way to the database or the database itself, and not with what was asked: the
	// same call succeeds later. Events that were being added may be stored or not.
	ErrUnreachable = errors.New("the database does not answer")
)

// SeveralSourcesError says that an id alone does not tell which event is meant.
type SeveralSourcesError struct{ Sources []string }

func (e *SeveralSourcesError) Error() string { return "events of several sources have this id" }

// TooManyError says that more values contain a part than one search can look for.
type TooManyError struct {
	Parameter string // the name of the field in a filter: endpoint or user
	Value     string
	Most      int
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("more than %d values of %s contain %q", e.Most, e.Parameter, e.Value)
}

// A Cursor leads from one page to the next. Only the store that made it can read it. Empty: the first page.
type Cursor string

// A Query asks for one page of a list.
type Query struct {
	Filter
	Cursor Cursor
	Limit  int // at most that many events; 1 or more
	// Raw asks for the events as they came instead of their items.
	Raw bool
}

// MaxEvent bounds the bytes of an event as it came: Add is given none that is longer.
const MaxEvent = 16 << 20

// MaxItems and MaxRaw bound the bytes of a page or of an export: of the items, and of the events as they came. One is always
// on it.
const MaxItems, MaxRaw = 1 << 20, 4 << 20

// A Page is one page of a list. It may have fewer events than the limit, even none, while there is a next
// one: a store need not look through everything at once, and it bounds the bytes of a page.
type Page struct {
	Items []*Item `json:"items"`          // never nil
	Next  Cursor  `json:"next,omitempty"` // empty on the last page
	// Since is how far back the search went where there is a next page: what fits and is younger is on this page or on an
	// earlier one.
	Since time.Time `json:"since,omitzero"`
	// After is where the list stands in the order of arrival: what arrives after it is not on the page.
	After Position          `json:"after"`
	Raw   []json.RawMessage `json:"-"` // instead of Items, where Query.Raw asks for them
}

// Detail is one event and the events that belong to it.
type Detail struct {
	Event
	Superseded bool    // there is a final verdict, in Verdicts
	Verdicts   []*Item // the other events about this review: the final one, or the ones that it superseded
	// Seen holds the validated events of a mutated event's Pod (Joins), the newest first, MaxSeen at most.
	// They say under which names /validate saw the Pod.
	Seen []Seen
	// Stamped holds the events whose id the stamp of a validated event's Pod names. Anyone can write a stamp:
	// Joins says whether it is right.
	Stamped []*Item
}

// Seen is one Pod that /validate saw.
type Seen struct {
	Item *Item
	UID  string // of the Pod, if the event has it
}

// MaxValidations bounds the bytes of validated events that are read for one page. Genuine ones are small. Forged ones may be
// as large as an item can be, and 20 of them can name each event of the page.
const MaxValidations = 4 << 20

// MaxSeen bounds the validated events that one mutated event is shown with. More than one of them is forged
// already.
const MaxSeen = 5

// Values is what there is to filter by. None of its lists is nil.
type Values struct {
	Namespaces []string `json:"namespaces"`
	Endpoints  []string `json:"endpoints"`
	Users      []string `json:"users"`
}

// Arrivals are events in the order in which they were stored.
type Arrivals struct {
	Events []Arrival
	Next   Position // behind all events that were looked at, also the ones that do not fit
	More   bool     // there may be more behind Next already
}

// An Export is a part of what is stored, in the order in which it was stored.
type Export struct {
	Records []Record
	Next    Position // behind all events that were looked at
	More    bool     // there may be more behind Next already
}

// A Record is an event as it came, with what the store knows besides.
type Record struct {
	Position Position `json:"position"`
	// Time is the one that the event has in lists. It is that of its arrival where the event itself has none that can be
	// right.
	Time       time.Time       `json:"time"`
	Superseded bool            `json:"superseded,omitempty"`
	Event      json.RawMessage `json:"event"`
}

// An Arrival is one event that was stored.
type Arrival struct {
	Item     *Item
	Position Position
}
