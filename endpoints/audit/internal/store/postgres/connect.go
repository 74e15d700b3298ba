package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/txn2/amp/endpoints/audit/internal/store"
)

// example is what an error asks for instead of showing the URL, which may hold a password.
const example = "want postgres://USER@HOST:5432/DATABASE?sslmode=verify-full&sslrootcert=FILE"

// maxConns is how many connections a pool has by default, and maxPassword bounds a password file.
const (
	maxConns    = 8
	maxPassword = 16 << 10
)

// A connector makes connections. What is in files (passwords, certificates) is read anew for each, so that it can be
// rotated.
type connector struct {
	variable, url, passwordFile string
	readOnly                    bool
}

func newConnector(variable, url, passwordFile string, readOnly bool) (*connector, error) {
	c := &connector{variable, url, passwordFile, readOnly}
	_, err := c.config()
	return c, err
}

// parameters are what sessions get unless the URL has them.
var parameters = map[string]string{
	"application_name":                    "amp-audit",
	"statement_timeout":                   "8s",
	"idle_in_transaction_session_timeout": "10s", // a replica whose node is lost must not hold up the others
	"tcp_user_timeout":                    "10s",
	"jit":                                 "off", // it costs more than these queries take
}

// config parses the URL and reads the files that it names. Its errors do not show the URL.
func (c *connector) config() (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(c.url)
	var file *fs.PathError
	switch {
	case err == nil:
	case errors.As(err, &file):
		return nil, fmt.Errorf("%s: reading a file that the URL names: %w", c.variable, file)
	case strings.Contains(err.Error(), "sslmode is invalid"):
		return nil, fmt.Errorf("%s: its sslmode is unknown: want verify-full, verify-ca, require, prefer, allow or disable", c.variable)
	default:
		return nil, fmt.Errorf("%s is not a URL of a PostgreSQL database: %s", c.variable, example)
	}
	if !strings.Contains(c.url, "pool_max_conns=") {
		config.MaxConns = maxConns
	}
	connect := config.ConnConfig
	if connect.ConnectTimeout == 0 {
		connect.ConnectTimeout = 5 * time.Second
	}
	for name, value := range parameters {
		if _, ok := connect.RuntimeParams[name]; !ok {
			connect.RuntimeParams[name] = value
		}
	}
	if c.readOnly {
		connect.RuntimeParams["default_transaction_read_only"] = "on"
	}
	if c.passwordFile != "" {
		b, err := os.ReadFile(c.passwordFile)
		if err != nil {
			return nil, fmt.Errorf("%s_PASSWORD_FILE: %w", c.variable, err)
		}
		password := strings.TrimRight(string(b), "\r\n")
		if password == "" || len(b) > maxPassword {
			return nil, fmt.Errorf("%s_PASSWORD_FILE %q: want a password, of 16 KiB at most", c.variable, c.passwordFile)
		}
		connect.Password = password
	}
	return config, nil
}

// refresh gives a connection what is in the files now.
func (c *connector) refresh(_ context.Context, connect *pgx.ConnConfig) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	connect.Password, connect.TLSConfig, connect.Fallbacks = config.ConnConfig.Password, config.ConnConfig.TLSConfig, config.ConnConfig.Fallbacks
	return nil
}

// pool returns connections, none of which is made yet.
func (c *connector) pool(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	config.BeforeConnect = c.refresh
	config.AfterConnect = safe
	return pgxpool.NewWithConfig(ctx, config)
}

// single makes one connection that is in no pool.
func (c *connector) single(ctx context.Context) (*pgx.Conn, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, config.ConnConfig)
}

// safe makes a commit wait for the disk, also where the server's default is not to wait: an event that was answered with
// 2xx must survive a crash. A stricter setting, such as waiting for a standby, stays.
func safe(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
	return err
}

// remedies say what to do about errors of PostgreSQL's, by the beginnings of their codes
// (https://www.postgresql.org/docs/current/errcodes-appendix.html). With one of these, another call may succeed later.
var remedies = []struct{ code, what string }{
	{"08", "the connection failed"},
	{"28", "it refuses the user or the password: see AMP_AUDIT_DB and its password file"},
	{"3D000", "there is no such database: create it"},
	{"3F000", "there is no such schema: create it, or change search_path in AMP_AUDIT_DB"},
	{"42501", "the user lacks a right: it has to own the tables, and to have CREATE on the schema"},
	{"25006", "it is read-only: AMP_AUDIT_DB has to lead to the primary (target_session_attrs=read-write)"},
	{"40", "another transaction was in the way"},
	{"53100", "its disk is full: make it larger; with a shorter AMP_AUDIT_RETENTION less is needed"},
	{"53300", "it has no connection left: lower pool_max_conns in AMP_AUDIT_DB, or raise max_connections"},
	{"53", "it is short of resources"},
	{"55P03", "a lock was not to be had in time"},
	{"57014", "a statement took too long"},
	{"57", "it is starting or stopping"},
	{"58", "its disk or its files are in trouble"},
	{"XX", "it reports an internal error"},
}

// trouble turns what went wrong with the database into store.ErrUnreachable, with what to do. Other errors, of the package
// store and of a value that PostgreSQL refuses, stay.
func trouble(err error) error {
	if err == nil || errors.Is(err, store.ErrUnreachable) || errors.Is(err, context.Canceled) {
		return err
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		for _, r := range remedies {
			if strings.HasPrefix(server.Code, r.code) {
				return fmt.Errorf("%w: %s (%s, SQLSTATE %s)", store.ErrUnreachable, r.what, server.Message, server.Code)
			}
		}
		return fmt.Errorf("the database refuses it: %s (SQLSTATE %s)", server.Message, server.Code)
	}
	var tooMany *store.TooManyError
	var several *store.SeveralSourcesError
	for _, known := range []error{store.ErrNotFound, store.ErrCursor, store.ErrPosition, store.ErrClosed, errSchema, errEvent} {
		if errors.Is(err, known) {
			return err
		}
	}
	if errors.As(err, &tooMany) || errors.As(err, &several) {
		return err
	}
	return fmt.Errorf("%w: %v", store.ErrUnreachable, err) // the network's, or the end of patience
}

// lost reports whether the connection broke, and not the database refused something.
func lost(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return strings.HasPrefix(server.Code, "57P") // the server ended it
	}
	return err != nil && errors.Is(trouble(err), store.ErrUnreachable)
}
