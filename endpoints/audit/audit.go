package audit

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/txn2/amp/endpoints/audit/internal/store"
	"github.com/txn2/amp/endpoints/audit/internal/store/postgres"
	"github.com/txn2/amp/endpoints/audit/internal/store/sqlite"
)

// DefaultRetention is how long events are kept by default: thirty days.
const DefaultRetention = 720 * time.Hour

// Forever as a retention keeps all events.
const Forever time.Duration = math.MaxInt64

// Config says how a [Server] stores events and who may use it. Its zero value keeps events in memory for
// [DefaultRetention] and asks no caller for a token. That is meant for trying things out.
type Config struct {
	// Path is the SQLite database's file, made if it does not exist. Empty: in memory, bounded to 256 MiB, of
	// which the oldest events make room for the newest.
	Path string
	// Postgres says where a PostgreSQL database is, which several processes may use. Its zero value: Path counts.
	Postgres Postgres
	// Retention is how long events are kept, or Forever. 0: DefaultRetention.
	Retention time.Duration
	// ReadTokenFile holds the bearer token for reading, WriteTokenFile the ones for posting events, one a line, each with
	// the sources that it is for behind it, or alone: for every source. They are read again with each request, so that they
	// can be rotated. Empty: no token is needed.
	ReadTokenFile, WriteTokenFile string
	// Log gets trouble with the storage, never what events hold. nil: slog.Default().
	Log *slog.Logger
}

// Postgres says where a PostgreSQL database is, and who may use it.
type Postgres struct {
	// URL is postgres://user@host/database with libpq's parameters. Its user makes the tables, and owns them.
	URL string
	// ReadURL is of a user who may only read. Empty: URL.
	ReadURL string
	// PasswordFile and ReadPasswordFile hold the passwords of those users. They are read again with each connection, so
	// that they can be rotated. Empty: the URL or the file that its passfile names has the password.
	PasswordFile, ReadPasswordFile string
}

// Server takes events and shows them. It goes by the end of a request's path only, so it can be mounted
// anywhere:
//
//	POST …               one event or a batch
//	GET  …/              the page
//	GET  …/api/events    a list, newest first
//	GET  …/api/events/ID one event in full
//	GET  …/api/events/stream, …/api/export, …/api/stats, …/api/values
//	POST …/login         the page's form
type Server struct {
	store  store.Store
	config Config
	log    *slog.Logger
	now    func() time.Time // the clock; time.Now but for tests

	closing   chan struct{} // ends the streams
	closeOnce sync.Once
	streams   openStreams

	posts, details, exports gate     // of what may be large
	smallPosts, parsing     gate     // of all others, and of all that is decoded
	hosts                   sync.Map // of *http.Server to struct{}: the ones whose shutdown ends the streams

	refused atomic.Int64 // events that came with the token of another source

	stop       context.CancelFunc // of what runs in the background
	background sync.WaitGroup
}

// New opens the store. The caller closes the Server.
func New(config Config) (*Server, error) { return open(config, time.Now) }

func open(config Config, now func() time.Time) (*Server, error) {
	if config.Retention == 0 {
		config.Retention = DefaultRetention
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if _, err := readToken(config.ReadTokenFile); err != nil {
		return nil, fmt.Errorf("reading the token %q: %w", config.ReadTokenFile, err)
	}
	if _, err := readWriters(config.WriteTokenFile); err != nil {
		return nil, fmt.Errorf("reading the tokens %q: %w", config.WriteTokenFile, err)
	}
	events, err := openStore(config)
	if err != nil {
		return nil, err
	}
	return newWithStore(config, events, now), nil
}

func openStore(config Config) (store.Store, error) {
	if p := config.Postgres; p != (Postgres{}) {
		return postgres.Open(postgres.Config{URL: p.URL, PasswordFile: p.PasswordFile, ReadURL: p.ReadURL, ReadPasswordFile: p.ReadPasswordFile, Log: config.Log})
	}
	return sqlite.Open(sqlite.Config{Path: config.Path, Log: config.Log})
}

// newWithStore starts a Server that owns a store.
func newWithStore(config Config, events store.Store, now func() time.Time) *Server {
	s := &Server{
		store: events, config: config, log: config.Log, now: now,
		closing: make(chan struct{}),
		posts:   make(gate, maxLargePosts), details: make(gate, maxDetails), exports: make(gate, maxExports),
		smallPosts: make(gate, maxSmallPosts), parsing: make(gate, maxParsing),
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	if config.Retention != Forever {
		oldest := func() time.Time { return now().Add(-config.Retention) }
		s.store = &retained{events, oldest}
		s.background.Go(func() { s.deleteOld(ctx, oldest) })
	}
	return s
}

// Close ends the streams, finishes what is being stored and closes the database.
func (s *Server) Close() error {
	s.endStreams()
	s.stop()
	s.background.Wait()
	return s.store.Close()
}

func (s *Server) endStreams() { s.closeOnce.Do(func() { close(s.closing) }) }

var _ http.Handler = (*Server)(nil)
