package audit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite", without cgo

	"github.com/txn2/amp/endpoints/events"
)

// schema. Its number is the database's user_version.
//
// An event's key is the time of the decision, in microseconds, times keyStep: so one order serves the list,
// the cursor, the time filter and the index, which intersects lists of keys. Filters go by the index, an
// inverted one (FTS5): B-trees over single columns answer one filter quickly, but two that seldom meet only
// by reading all that either finds.
const (
	schemaVersion = 1
	schema        = `
CREATE TABLE meta (k TEXT PRIMARY KEY, v) WITHOUT ROWID;

CREATE TABLE events (
	id         INTEGER PRIMARY KEY,
	seq        INTEGER NOT NULL UNIQUE, -- order of arrival, for the stream
	source     INTEGER NOT NULL,        -- a term
	eid        TEXT NOT NULL,           -- the event's own id
	outcome    INTEGER NOT NULL,
	superseded INTEGER NOT NULL,        -- 1: there is a final verdict
	pod        TEXT NOT NULL,           -- as podKey spells it
	mutation   TEXT,
	calls      TEXT NOT NULL,           -- as formatCalls spells them
	UNIQUE (eid, source)
);
CREATE INDEX mutations ON events (mutation) WHERE mutation IS NOT NULL;

-- Apart from events, so that walking along those reads little. item is what lists show.
CREATE TABLE bodies (id INTEGER PRIMARY KEY, item TEXT NOT NULL, event TEXT NOT NULL);

-- What can be filtered by, each distinct value once. last: the key of a late event with it, an hour's
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

-- Pods' names from the start of each of their parts: alice finds jupyter-alice.
CREATE TABLE words (word TEXT, ns INTEGER, term INTEGER, PRIMARY KEY (word, ns, term)) WITHOUT ROWID;
CREATE INDEX words_ns ON words (ns, word, term);
CREATE INDEX words_term ON words (term);

CREATE VIRTUAL TABLE idx USING fts5 (t, content='', contentless_delete=1, detail=none, tokenize='ascii');

-- The charts' sums. res: seconds of a bucket; endpoint 0: all of them.
CREATE TABLE counts (res INTEGER, bucket INTEGER, outcome INTEGER, n INTEGER NOT NULL,
	PRIMARY KEY (res, bucket, outcome)) WITHOUT ROWID;
CREATE TABLE latencies (res INTEGER, endpoint INTEGER, bucket INTEGER, errors INTEGER NOT NULL, hist BLOB NOT NULL,
	PRIMARY KEY (res, endpoint, bucket)) WITHOUT ROWID;
`
)

// The kinds of terms.
const (
	kindSource    = "s"
	kindNamespace = "n"
	kindUser      = "u"
	kindEndpoint  = "e"
	kindName      = "p" // of a Pod
	kindGenerate  = "g" // generateName of a Pod, as far as names keep it
)

const (
	// keyStep is how many events may fall into one microsecond. 256 leave 55 bits for the time: until 3111.
	keyStep = 1 << 8
	// maxPending bounds the requests that wait for the writer.
	maxPending = 256
	// maxGroup bounds the events of one transaction: it amortises the fsync and still ends soon.
	maxGroup = 1000
	// maxMemory bounds a database in memory.
	maxMemory = 256 << 20
	// purgeEvery is how often old events go, purgeChunk how many in one transaction, between which others
	// are written. shrinkChunk is how many make room at once: each may be of megabytes.
	purgeEvery  = time.Minute
	purgeChunk  = 500
	shrinkChunk = 16
	// maxIndexedCalls bounds the calls of one event that can be searched by. Chains are short.
	maxIndexedCalls = 32
)

func keyOf(t time.Time) int64 { return t.UnixMicro() * keyStep }

// A store is the database. All writing is done by one goroutine, whose transactions hold what came in
// meanwhile: SQLite has one writer, and an fsync costs as much for one event as for a thousand.
type store struct {
	readers *sql.DB
	writer  *sql.DB
	// memory guards a database in memory, which has no WAL to read from while it is written.
	memory      *sync.RWMutex
	memoryLimit int64
	log         *slog.Logger
	retention   time.Duration
	epoch       string // tells one database's sequence from another's

	writes  chan *write
	closing chan struct{}
	closed  chan struct{}
	once    sync.Once

	closeOnce sync.Once
	closeErr  error

	mu      sync.Mutex
	changed chan struct{} // closed when events were stored

	// The writer's own.
	txn   *txn
	seq   int64
	terms map[termKey]termEntry
}

type termKey struct {
	kind  string
	ns    int64
	value string
}

type termEntry struct{ id, last int64 }

type write struct {
	records []*record
	purge   time.Time // instead of records: purge as if it were then
	done    chan error
}

func openStore(path string, retention time.Duration, log *slog.Logger) (*store, error) {
	s := &store{
		log: log, retention: retention,
		writes: make(chan *write, maxPending), closing: make(chan struct{}), closed: make(chan struct{}),
		changed: make(chan struct{}), terms: map[termKey]termEntry{},
	}
	// FULL: with NORMAL, the last transactions of a WAL do not survive a loss of power, and their events were
	// answered with 2xx, so that nobody would send them again.
	dsn := "file:" + path + "?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(5000)"
	if path == "" {
		s.memory, s.memoryLimit = new(sync.RWMutex), maxMemory
		dsn = "file:/amp-audit-" + rand.Text() + "?vfs=memdb&_pragma=journal_mode(memory)&_pragma=busy_timeout(5000)"
	}
	err := s.open(dsn)
	if err != nil {
		if s.txn != nil {
			_ = s.txn.conn.Close()
		}
		if s.writer != nil {
			_ = s.writer.Close()
		}
		return nil, fmt.Errorf("opening the database %q: %w", path, err)
	}
	s.readers.SetMaxOpenConns(8)
	s.readers.SetMaxIdleConns(8)
	go s.run()
	return s, nil
}

func (s *store) open(dsn string) (err error) {
	if s.writer, err = sql.Open("sqlite", dsn+"&_pragma=cache_size(-65536)"); err != nil {
		return err
	}
	// One connection, kept: a database in memory lives as long as it does.
	conn, err := s.writer.Conn(context.Background())
	if err != nil {
		return err
	}
	s.txn = &txn{conn, map[string]*sql.Stmt{}}
	if err := s.inTx(s.prepare); err != nil {
		return err
	}
	s.readers, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)&_pragma=cache_size(-16384)")
	return err
}

// prepare makes the tables or finds them.
func (s *store) prepare(tx *txn) error {
	version, _, err := tx.number("PRAGMA user_version")
	if err != nil {
		return err
	}
	switch version {
	case 0:
		if _, err := tx.conn.ExecContext(context.Background(), schema+"PRAGMA user_version = "+strconv.Itoa(schemaVersion)); err != nil {
			return err
		}
		if err := tx.exec("INSERT INTO meta VALUES ('seq', 0), ('epoch', ?)", rand.Text()[:8]); err != nil {
			return err
		}
	case schemaVersion:
	default:
		return fmt.Errorf("its schema is version %d, this amp knows %d: use the amp that made it, or another file", version, schemaVersion)
	}
	return tx.scan("SELECT (SELECT v FROM meta WHERE k = 'seq'), (SELECT v FROM meta WHERE k = 'epoch')", nil, &s.seq, &s.epoch)
}

// close stores what is waiting, then closes the database.
func (s *store) close() error {
	s.once.Do(func() { close(s.closing) })
	<-s.closed
	s.closeOnce.Do(func() { s.closeErr = errors.Join(s.readers.Close(), s.txn.close(), s.writer.Close()) })
	return s.closeErr
}

var errClosed = &badRequest{503, "the store is closing: try again"}

// add returns when the records are stored, or were before.
func (s *store) add(ctx context.Context, records []*record) error {
	return s.submit(ctx, &write{records: records, done: make(chan error, 1)})
}

func (s *store) submit(ctx context.Context, w *write) error {
	select {
	case <-s.closing:
		return errClosed
	default:
	}
	select {
	case s.writes <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return errClosed
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		select {
		case err := <-w.done:
			return err
		default:
			return errClosed
		}
	}
}

// run is the writer.
func (s *store) run() {
	defer close(s.closed)
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	for {
		select {
		case w := <-s.writes:
			s.serve(w)
		case now := <-tick.C:
			if err := s.purge(now); err != nil {
				s.log.Error("audit cannot delete old events", "err", err)
			}
		case <-s.closing:
			for {
				select {
				case w := <-s.writes:
					s.serve(w)
				default:
					return
				}
			}
		}
	}
}

// serve writes w and what waits behind it.
func (s *store) serve(w *write) {
	if !w.purge.IsZero() {
		w.done <- s.purge(w.purge)
		return
	}
	group, n := []*write{w}, len(w.records)
	for n < maxGroup {
		select {
		case next := <-s.writes:
			if !next.purge.IsZero() {
				defer s.serve(next)
				n = maxGroup
				continue
			}
			group = append(group, next)
			n += len(next.records)
			continue
		default:
		}
		break
	}
	err := s.commit(group...)
	if err != nil && len(group) > 1 {
		// One that cannot be stored must not take the others with it.
		for _, w := range group {
			w.done <- s.commit(w)
		}
		return
	}
	for _, w := range group {
		w.done <- err
	}
}

// commit stores the records of a group in one transaction.
func (s *store) commit(group ...*write) (err error) {
	var records []*record
	for _, w := range group {
		records = append(records, w.records...)
	}
	// The index writes a segment of its own whenever a key is smaller than the one before.
	slices.SortStableFunc(records, func(a, b *record) int { return a.at.Compare(b.at) })
	seq := s.seq
	err = s.inTx(func(tx *txn) error {
		sums := newSums()
		for _, rec := range records {
			if err := s.insert(tx, rec, sums); err != nil {
				return err
			}
		}
		if s.seq == seq {
			return nil // all of them were here before
		}
		if err := sums.apply(tx); err != nil {
			return err
		}
		return tx.exec("UPDATE meta SET v = ? WHERE k = 'seq'", s.seq)
	})
	if err != nil {
		s.seq = seq
		s.terms = map[termKey]termEntry{} // it may hold what was rolled back
		return fmt.Errorf("storing events: %w", err)
	}
	if s.memory != nil {
		if err := s.shrink(); err != nil {
			s.log.Error("audit cannot make room", "err", err) // the events are stored
		}
	}
	if s.seq > seq {
		s.mu.Lock()
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
	return nil
}

// change is closed with the next events.
func (s *store) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// insert stores one record, unless it is there.
func (s *store) insert(tx *txn, rec *record, sums *sums) error {
	item := &rec.item
	source, err := s.term(tx, kindSource, 0, item.Source, keyOf(rec.at))
	if err != nil {
		return err
	}
	if _, found, err := tx.number("SELECT id FROM events WHERE eid = ? AND source = ?", item.ID, source); found || err != nil {
		return err
	}
	id, err := newKey(tx, keyOf(rec.at))
	if err != nil {
		return err
	}
	terms, calls, err := s.termsOf(tx, rec, id)
	if err != nil {
		return err
	}

	superseded := 0
	if base, ok := strings.CutSuffix(item.ID, final); ok {
		if err := s.supersede(tx, base, source, sums); err != nil {
			return err
		}
	} else if _, found, err := tx.number("SELECT id FROM events WHERE eid = ? AND source = ?", item.ID+final, source); err != nil {
		return err
	} else if found {
		superseded = 1 // they came in the other order
	}

	text, err := json.Marshal(item)
	if err != nil {
		return err
	}
	outcome := slices.Index(outcomes, item.Outcome)
	s.seq++
	if err := tx.exec("INSERT INTO events VALUES (?,?,?,?,?,?,?,nullif(?,''),?)",
		id, s.seq, source, item.ID, outcome, superseded, rec.pod, item.Mutation, formatCalls(calls)); err != nil {
		return err
	}
	if err := tx.exec("INSERT INTO bodies VALUES (?,?,?)", id, string(text), string(rec.event)); err != nil {
		return err
	}
	if superseded == 1 {
		return nil
	}
	sums.add(rec.at, outcome, calls, +1)
	return tx.exec("INSERT INTO idx (rowid, t) VALUES (?,?)", id, strings.Join(terms, " "))
}

// termsOf returns the words that the index knows a record by, and its calls with their endpoints' terms.
func (s *store) termsOf(tx *txn, rec *record, id int64) ([]string, []call, error) {
	item := &rec.item
	words := []string{outcomeWord(item.Outcome)}
	term := func(kind string, ns int64, value string) (int64, error) {
		t, err := s.term(tx, kind, ns, value, id)
		if word := termWord(t); err == nil && !slices.Contains(words, word) {
			words = append(words, word)
		}
		return t, err
	}
	ns, err := term(kindNamespace, 0, item.Namespace)
	if err != nil {
		return nil, nil, err
	}
	if _, err := term(kindUser, 0, item.User); err != nil {
		return nil, nil, err
	}
	if item.Name != "" {
		_, err = term(kindName, ns, item.Name)
	} else {
		_, err = term(kindGenerate, ns, generatedPrefix(item.GenerateName))
	}
	if err != nil {
		return nil, nil, err
	}
	words = append(words, beginnings(strings.TrimSuffix(rec.pod, "*"))...)
	if item.Outcome == outcomeOf[events.Mutated] {
		words = append(words, mutatedWord(id))
	}
	calls := rec.calls[:min(len(rec.calls), maxIndexedCalls)]
	for i := range calls {
		if calls[i].endpoint, err = term(kindEndpoint, 0, calls[i].url); err != nil {
			return nil, nil, err
		}
	}
	return words, calls, nil
}

// The index's words. Values of events are never among them, so they need no escaping.
func termWord(term int64) string        { return "t" + strconv.FormatInt(term, 10) }
func outcomeWord(outcome string) string { return "o" + strconv.Itoa(slices.Index(outcomes, outcome)) }
func mutatedWord(id int64) string       { return "m" + strconv.FormatInt(id, 10) }

// Beginnings of names are words too, some lengths of each, for when more names begin so than one query can
// hold: those of whole names and, fewer, those of their other parts. They are hashed, so they only narrow the
// search down.
var wholeLengths, partLengths = []int{1, 2, 3, 4, 6, 8, 12, 16, 24}, []int{1, 2, 4, 8}

func beginningWord(kind string, beginning string) string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, beginning)
	return kind + strconv.FormatUint(h.Sum64(), 36)
}

func beginnings(name string) []string {
	var words []string
	for i, word := range wordsOf(name) {
		kind, lengths := "x", wholeLengths
		if i > 0 {
			kind, lengths = "y", partLengths
		}
		for _, n := range lengths {
			if n <= len(word) {
				words = append(words, beginningWord(kind, word[:n]))
			}
		}
	}
	return words
}

// beginningsOf returns the words of which each event has one whose Pod's name, or a part of it, begins with
// pod.
func beginningsOf(pod string) []string {
	longest := func(lengths []int) string {
		n := 0
		for _, l := range lengths {
			if l <= len(pod) {
				n = l
			}
		}
		return pod[:n]
	}
	return []string{beginningWord("x", longest(wholeLengths)), beginningWord("y", longest(partLengths))}
}

// supersede takes the event with that id out of lists and charts. It stays in the detail of the other.
func (s *store) supersede(tx *txn, eid string, source int64, sums *sums) error {
	var id int64
	var outcome int
	var calls string
	err := tx.scan("SELECT id, outcome, calls FROM events WHERE eid = ? AND source = ? AND superseded = 0", []any{eid, source}, &id, &outcome, &calls)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	if err := tx.exec("UPDATE events SET superseded = 1 WHERE id = ?", id); err != nil {
		return err
	}
	sums.add(timeOf(id), outcome, parseCalls(calls), -1)
	return tx.exec("DELETE FROM idx WHERE rowid = ?", id)
}

func timeOf(key int64) time.Time { return time.UnixMicro(key / keyStep) }

// newKey returns a key that is free, at or shortly behind the one wanted.
func newKey(tx *txn, want int64) (int64, error) {
	// Most microseconds have one event. Where a coarse clock fills one, what follows may be two seconds off in
	// the order, which is better than to look through one full microsecond after the other.
	for span := int64(keyStep); ; span = 1 << 29 {
		var last sql.NullInt64
		if err := tx.scan("SELECT max(id) FROM events WHERE id >= ? AND id < ?", []any{want, want + span}, &last); err != nil {
			return 0, err
		}
		if !last.Valid {
			return want, nil
		}
		if last.Int64+1 < want+span {
			return last.Int64 + 1, nil
		}
		if span > keyStep {
			want += span
		}
	}
}

// term returns the number of a value, a new one if need be, and notes when it was last seen.
func (s *store) term(tx *txn, kind string, ns int64, value string, key int64) (int64, error) {
	const hour = 3600 * 1e6 * keyStep
	k := termKey{kind, ns, value}
	if e, ok := s.terms[k]; ok && key < e.last+hour {
		return e.id, nil
	}
	var e termEntry
	err := tx.scan("SELECT id, last FROM terms WHERE kind = ? AND ns = ? AND value = ?", []any{kind, ns, value}, &e.id, &e.last)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if err := tx.scan("INSERT INTO terms (kind, ns, value, last) VALUES (?,?,?,?) RETURNING id", []any{kind, ns, value, key}, &e.id); err != nil {
			return 0, err
		}
		e.last = key
		if kind == kindName || kind == kindGenerate {
			for _, word := range wordsOf(value) {
				if err := tx.exec("INSERT OR IGNORE INTO words VALUES (?,?,?)", word, ns, e.id); err != nil {
					return 0, err
				}
			}
		}
	case err != nil:
		return 0, err
	case key >= e.last+hour:
		if err := tx.exec("UPDATE terms SET last = ? WHERE id = ?", key, e.id); err != nil {
			return 0, err
		}
		e.last = key
	}
	if len(s.terms) >= 50_000 {
		s.terms = map[termKey]termEntry{}
	}
	s.terms[k] = e
	return e.id, nil
}

// purge deletes what is older than the retention, in chunks, between which waiting events are stored.
func (s *store) purge(now time.Time) error {
	cutoff := keyOf(now.Add(-s.retention))
	for {
		n, err := s.purgeOnce(cutoff, purgeChunk)
		if err != nil {
			return fmt.Errorf("deleting old events: %w", err)
		}
		if n == 0 {
			break
		}
		select {
		case w := <-s.writes:
			s.serve(w)
		case <-s.closing:
			return nil
		default:
		}
	}
	err := s.inTx(func(tx *txn) error {
		for _, statement := range []string{
			"DELETE FROM counts WHERE bucket < ?1 - res",
			"DELETE FROM latencies WHERE bucket < ?1 - res",
		} {
			if err := tx.exec(statement, now.Add(-s.retention).Unix()); err != nil {
				return err
			}
		}
		// last may lag behind by an hour.
		lapsed := keyOf(now.Add(-s.retention - time.Hour))
		if err := tx.exec("DELETE FROM words WHERE term IN (SELECT id FROM terms WHERE last < ?)", lapsed); err != nil {
			return err
		}
		return tx.exec("DELETE FROM terms WHERE last < ?", lapsed)
	})
	s.terms = map[termKey]termEntry{}
	if err != nil {
		return fmt.Errorf("deleting old sums: %w", err)
	}
	return nil
}

// purgeOnce deletes the oldest events below cutoff.
func (s *store) purgeOnce(cutoff int64, most int) (deleted int, err error) {
	err = s.inTx(func(tx *txn) error {
		st, err := tx.stmt("SELECT id FROM events WHERE id < ? ORDER BY id LIMIT ?")
		if err != nil {
			return err
		}
		rows, err := st.Query(cutoff, most)
		if err != nil {
			return err
		}
		ids, err := collect(rows, func(scan func(...any) error) (id int64, err error) { return id, scan(&id) })
		if err != nil {
			return err
		}
		for _, id := range ids {
			for _, table := range []string{"idx WHERE rowid", "bodies WHERE id", "events WHERE id"} {
				if err := tx.exec("DELETE FROM "+table+" = ?", id); err != nil {
					return err
				}
			}
		}
		deleted = len(ids)
		return nil
	})
	return deleted, err
}

// shrink makes room in a database in memory.
func (s *store) shrink() error {
	for {
		used, _, err := s.txn.number("SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size")
		if err != nil || used <= s.memoryLimit {
			return err
		}
		if n, err := s.purgeOnce(1<<62, shrinkChunk); err != nil || n == 0 {
			return err
		}
	}
}

// txn is the writer's transaction. Its statements are prepared once and for all: most transactions are of
// one event.
type txn struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
}

func (s *store) inTx(do func(*txn) error) error {
	if s.memory != nil {
		s.memory.Lock()
		defer s.memory.Unlock()
	}
	ctx := context.Background() // what has begun is brought to its end
	if _, err := s.txn.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := do(s.txn)
	if err == nil {
		_, err = s.txn.conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		// SQLite may have rolled back by itself, then this fails.
		_, _ = s.txn.conn.ExecContext(ctx, "ROLLBACK")
	}
	return err
}

func (tx *txn) close() error {
	var errs []error
	for _, st := range tx.prepared {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, tx.conn.Close())...)
}

func (tx *txn) stmt(query string) (*sql.Stmt, error) {
	st := tx.prepared[query]
	if st == nil {
		var err error
		if st, err = tx.conn.PrepareContext(context.Background(), query); err != nil {
			return nil, err
		}
		tx.prepared[query] = st
	}
	return st, nil
}

func (tx *txn) exec(query string, args ...any) error {
	st, err := tx.stmt(query)
	if err == nil {
		_, err = st.Exec(args...)
	}
	return err
}

// scan reads the one row that a query finds.
func (tx *txn) scan(query string, args []any, into ...any) error {
	st, err := tx.stmt(query)
	if err == nil {
		err = st.QueryRow(args...).Scan(into...)
	}
	return err
}

// number returns the one number that a query finds.
func (tx *txn) number(query string, args ...any) (n int64, found bool, err error) {
	err = tx.scan(query, args, &n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return n, err == nil, err
}

// read gives do a consistent view of the database.
func (s *store) read(ctx context.Context, do func(*sql.Tx) error) error {
	if s.memory != nil {
		s.memory.RLock()
		defer s.memory.RUnlock()
	}
	tx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("reading events: %w", err)
	}
	defer tx.Rollback()
	return do(tx)
}

// collect reads all rows.
func collect[T any](rows *sql.Rows, one func(scan func(...any) error) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := one(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
