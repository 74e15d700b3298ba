// Package audit is the auditor's function: it stores the CloudEvents that amp emits and shows them, as a
// page, as JSON and as a live stream. It does not ask the cluster anything: it knows what amp answered, and not
// what the API server stored.
//
// START HERE: audit.go has the server, http.go its routes. Below it, internal/store has what is needed of
// storage, internal/store/sqlite and internal/store/postgres all SQL, and endpoints/events/describe the words and the diff.
package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() { functions.HTTP("audit", Handler) }

// Handler is the function "audit". The environment configures it, when the first request comes:
//
//	AMP_AUDIT_DB                path of the SQLite database, for one process, or postgres://user@host/database with
//	                            libpq's parameters, for any number; unset: in memory
//	AMP_AUDIT_DB_PASSWORD_FILE  file with the password of that user, read again with each connection
//	AMP_AUDIT_DB_READ           the same for a user who may only read; unset: AMP_AUDIT_DB
//	AMP_AUDIT_DB_READ_PASSWORD_FILE
//	AMP_AUDIT_RETENTION         how long events are kept (default 720h)
//	AMP_AUDIT_READ_TOKEN_FILE   file with the token that reading needs; unset: anyone may read
//	AMP_AUDIT_WRITE_TOKEN_FILE  file with the tokens that posting needs, one a line, the sources that it is for behind it;
//	                            unset: anyone may post
//
// A function has no start that could fail. So an error in the configuration is the answer to every request, as
// 503: senders then try again. Each request tries anew, because a volume may be mounted late.
func Handler(w http.ResponseWriter, r *http.Request) {
	server, err := fromEnvironment()
	if err != nil {
		slog.Error("audit cannot answer", "err", err)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	server.ServeHTTP(w, r)
}

var environment struct {
	sync.Mutex
	server *Server
}

func fromEnvironment() (*Server, error) {
	environment.Lock()
	defer environment.Unlock()
	if environment.server == nil {
		config, err := configFrom(os.Getenv)
		if err != nil {
			return nil, err
		}
		environment.server, err = New(config)
		if err != nil {
			return nil, err
		}
	}
	return environment.server, nil
}

// configFrom reads the environment and reports all errors in it together.
func configFrom(getenv func(string) string) (Config, error) {
	config := Config{
		ReadTokenFile:  getenv("AMP_AUDIT_READ_TOKEN_FILE"),
		WriteTokenFile: getenv("AMP_AUDIT_WRITE_TOKEN_FILE"),
	}
	var errs []error
	if err := config.chooseDatabase(getenv); err != nil {
		errs = append(errs, err)
	}
	if v := getenv("AMP_AUDIT_RETENTION"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < time.Minute {
			errs = append(errs, fmt.Errorf("AMP_AUDIT_RETENTION %q: want a Go duration of a minute or more, such as 720h", v))
		}
		config.Retention = d
	}
	if _, err := readToken(config.ReadTokenFile); err != nil {
		errs = append(errs, fmt.Errorf("AMP_AUDIT_READ_TOKEN_FILE %q: %w", config.ReadTokenFile, err))
	}
	if _, err := readWriters(config.WriteTokenFile); err != nil {
		errs = append(errs, fmt.Errorf("AMP_AUDIT_WRITE_TOKEN_FILE %q: %w", config.WriteTokenFile, err))
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, fmt.Errorf("reading the environment: %w", err)
	}
	return config, nil
}

// chooseDatabase tells a file from a PostgreSQL URL. Its errors do not show a URL, which may hold a password: this function
// answers them to every caller.
func (c *Config) chooseDatabase(getenv func(string) string) error {
	database := strings.TrimSpace(getenv("AMP_AUDIT_DB"))
	p := Postgres{URL: database, ReadURL: strings.TrimSpace(getenv("AMP_AUDIT_DB_READ")), PasswordFile: getenv("AMP_AUDIT_DB_PASSWORD_FILE"), ReadPasswordFile: getenv("AMP_AUDIT_DB_READ_PASSWORD_FILE")}
	var errs []error
	for _, is := range []struct{ variable, value string }{{"AMP_AUDIT_DB", database}, {"AMP_AUDIT_DB_READ", p.ReadURL}} {
		variable, v := is.variable, is.value
		scheme, _, isURL := strings.Cut(v, "://")
		switch {
		case isURL && scheme != "postgres" && scheme != "postgresql":
			errs = append(errs, fmt.Errorf("%s is a URL that does not begin with postgres://: want postgres://USER@HOST:5432/DATABASE, or for SQLite the path of a file", variable))
		case !isURL && strings.Contains(v, "password="):
			errs = append(errs, fmt.Errorf("%s: want a URL, postgres://USER@HOST:5432/DATABASE, and no list of parameters", variable))
		case !isURL && v != "" && variable == "AMP_AUDIT_DB_READ":
			errs = append(errs, fmt.Errorf("%s: want postgres://USER@HOST:5432/DATABASE, as AMP_AUDIT_DB has", variable))
		case !isURL && strings.ContainsAny(v, "?#"):
			errs = append(errs, fmt.Errorf("%s %q: want the path of a file, without ? and #, or postgres://USER@HOST:5432/DATABASE", variable, v))
		}
	}
	if !strings.Contains(database, "://") {
		c.Path, p.URL = database, ""
		if p != (Postgres{}) {
			errs = append(errs, errors.New("AMP_AUDIT_DB is not a postgres:// URL, so AMP_AUDIT_DB_READ and the password files mean nothing: unset them"))
		}
		return errors.Join(errs...)
	}
	c.Postgres = p
	return errors.Join(errs...)
}
