package sqlite

import (
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/outcome"
)

// schema is what a new database gets. schemaVersion is its user_version.
//
// An event's key is the time of the decision, in microseconds, times keyStep. So one order serves the list,
// the cursor, the filter by time and the index, which intersects lists of keys. Filters go by the index, an
// inverted one (FTS5). B-trees over single columns answer one filter quickly, but two filters that seldom
// meet only by reading all that either of them finds.
const (
	schemaVersion = 3
	schema        = `
CREATE TABLE meta (k TEXT PRIMARY KEY, v) WITHOUT ROWID;

CREATE TABLE events (
	id         INTEGER PRIMARY KEY,
	seq        INTEGER NOT NULL UNIQUE, -- order of arrival, for the stream
	source     INTEGER NOT NULL,        -- a term
	eid        TEXT NOT NULL,           -- the event's own id
	outcome    INTEGER NOT NULL,        -- as outcomeNumbers has it
	superseded INTEGER NOT NULL,        -- 1: there is a final verdict, a mark only
	pod        TEXT NOT NULL,           -- as store.PodKey spells it
	mutation   TEXT,
	calls      TEXT NOT NULL,           -- as formatCalls spells them
	UNIQUE (eid, source)
);
CREATE INDEX mutations ON events (mutation) WHERE mutation IS NOT NULL;

-- Apart from events, so that a walk along those reads little. item is what lists show. Both are as package packed makes them;
-- version 2 had plain texts, which stay.
CREATE TABLE bodies (id INTEGER PRIMARY KEY, item BLOB NOT NULL, event BLOB NOT NULL);

-- The values that filters go by, each distinct value once. last: the key of a late event with it, an hour's
-- worth of keys off at most.
CREATE TABLE terms (
	id    INTEGER PRIMARY KEY AUTOINCREMENT, -- a number is not used again: the index may still hold it
	kind  TEXT NOT NULL,
	ns    INTEGER NOT NULL, -- of Pods, else 0
	value TEXT NOT NULL,
	last  INTEGER NOT NULL,
	UNIQUE (kind, ns, value)
);
CREATE INDEX terms_last ON terms (last);

-- generateNames from the start of each of their parts, as far as names keep them.
CREATE TABLE words (word TEXT, term INTEGER, PRIMARY KEY (word, term)) WITHOUT ROWID;
CREATE INDEX words_term ON words (term);

CREATE VIRTUAL TABLE idx USING fts5 (t, content='', contentless_delete=1, detail=none, tokenize='ascii');

-- The charts' sums. res: seconds of a bucket; endpoint 0: all of them.
CREATE TABLE counts (res INTEGER, bucket INTEGER, outcome INTEGER, n INTEGER NOT NULL,
	PRIMARY KEY (res, bucket, outcome)) WITHOUT ROWID;
CREATE TABLE latencies (res INTEGER, endpoint INTEGER, bucket INTEGER, errors INTEGER NOT NULL, hist BLOB NOT NULL,
	PRIMARY KEY (res, endpoint, bucket)) WITHOUT ROWID;
`
	// indexes are later than the tables. A program that does not know them uses and keeps them all the same, so they need no
	// version of their own.
	indexes = `
CREATE INDEX IF NOT EXISTS terms_seen ON terms (kind, ns, last) WHERE ns = 0; -- the values seen last
`
	// memoryIndexes are what shrink goes by. Databases in files have none of them: they need no shrink.
	memoryIndexes = `
CREATE INDEX events_source ON events (source);
CREATE INDEX latencies_bucket ON latencies (res, bucket);
`
)

// outcomeNumbers are what databases hold in the place of outcomes. A number keeps its meaning for ever; a new
// outcome gets the next one.
var outcomeNumbers = map[string]int{
	outcome.Mutated:    0,
	outcome.Unchanged:  1,
	outcome.Shadowed:   2,
	outcome.Rejected:   3,
	outcome.FailedOpen: 4,
	outcome.Validated:  5,
	outcome.Denied:     6,

	outcome.ComparedSame:      7,
	outcome.ComparedDifferent: 8,
	outcome.ComparedFailed:    9,
}

// outcomeNames is outcomeNumbers, the other way round.
var outcomeNames = func() map[int]string {
	names := map[int]string{}
	for name, number := range outcomeNumbers {
		names[number] = name
	}
	return names
}()

// The kinds of terms.
const (
	kindSource    = "s"
	kindNamespace = "n"
	kindUser      = "u"
	kindEndpoint  = "e"
	kindGenerate  = "g" // generateName of a Pod, as far as names keep it
)

// keyStep is how many events may fall into one microsecond. 256 leave 55 bits for the time: until 3111.
const keyStep = 1 << 8

// keyOf returns the smallest key of a time.
func keyOf(t time.Time) int64 { return t.UnixMicro() * keyStep }

// timeOf returns the time that a key stands for.
func timeOf(key int64) time.Time { return time.UnixMicro(key / keyStep) }
