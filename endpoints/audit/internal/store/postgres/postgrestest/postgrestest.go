// Package postgrestest runs a real PostgreSQL for tests, from Debian's package, in a folder of its own.
package postgrestest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn2/amp/test/freeport"
)

const (
	// User owns the databases. On the socket it needs no password.
	User = "amp"
	// Password is what every user needs over TCP.
	Password = "correct horse"
	// patience is how long a server may take to start.
	patience = time.Minute
)

// A Server is a PostgreSQL. It ends, and its folder goes, when the process of the test ends, however that ends.
type Server struct {
	folder  string
	uid     int
	port    string
	control io.Writer
}

// keeper runs PostgreSQL and does what it reads. When its input ends, because the process of the test has ended, it stops
// the server and removes the folder.
const keeper = `
folder=$1; shift
"$@" & pid=$!
while read -r verb; do
	case $verb in
	start) "$@" & pid=$!;;
	*) kill "-$verb" $pid; wait $pid; echo stopped;;
	esac
done
kill -QUIT $pid; wait $pid; rm -rf "$folder"`

// shared is the server of all tests of a package that do not stop it.
var shared = sync.OnceValues(func() (*Server, error) { return start() })

// URL returns the address of an empty database on a server that other tests use too.
func URL(t testing.TB) string {
	t.Helper()
	s, err := shared()
	return fit(t, s, err).URL(t)
}

// Start runs a server for one test alone. settings are as in its configuration: shared_buffers=1GB.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := start(settings...)
	return fit(t, s, err)
}

func fit(t testing.TB, s *Server, err error) *Server {
	t.Helper()
	if errors.Is(err, errMissing) && os.Getenv("AMP_REQUIRE_POSTGRES") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// running holds every server: the garbage collector would close the way to the keeper of one that no test holds.
var running sync.Map

var errMissing = errors.New("there is no PostgreSQL here (Debian: apt-get install postgresql), so the store was not tested with it")

// binaries returns the folder with PostgreSQL's programs, the newest.
func binaries() (string, error) {
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is valid
	if len(all) == 0 {
		return "", errMissing
	}
	return filepath.Dir(all[len(all)-1]), nil
}

// unprivileged returns as whom PostgreSQL runs: it refuses to run as root.
func unprivileged() (*syscall.SysProcAttr, int, error) {
	attributes := &syscall.SysProcAttr{Setpgid: true} // ^C is for the test, which ends the server
	if os.Getuid() != 0 {
		return attributes, os.Getuid(), nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
			return attributes, int(uid), nil
		}
	}
	return nil, 0, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

func start(settings ...string) (*Server, error) {
	return launch(func(s *Server, run program) error { return s.initialize(run) }, settings...)
}

// program runs one of PostgreSQL's programs until it ends, as the user that the server has.
type program func(name string, args ...string) error

// initialize makes the server's data.
func (s *Server) initialize(run program) error {
	password := filepath.Join(s.folder, "password")
	if err := errors.Join(os.WriteFile(password, []byte(Password), 0o600), os.Chown(password, s.uid, -1)); err != nil {
		return err
	}
	return run("initdb", "-D", s.data(), "-U", User, "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", password, "--encoding=UTF8", "--locale=C", "--no-sync")
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// launch lets prepare make the data of a server, and starts it.
func launch(prepare func(s *Server, run program) error, settings ...string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	attributes, uid, err := unprivileged()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("/tmp", "amp-postgres-") // a socket's path is short
	if err != nil {
		return nil, err
	}
	started := false
	defer func() {
		if !started {
			_ = os.RemoveAll(folder)
		}
	}()
	if err := os.Chown(folder, uid, -1); err != nil {
		return nil, err
	}
	// Not one of the kernel's: it would give that to another server before PostgreSQL binds it, after initdb.
	port, err := freeport.Get()
	if err != nil {
		return nil, err
	}
	s := &Server{folder: folder, uid: uid, port: port}
	err = prepare(s, func(name string, args ...string) error {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.SysProcAttr, cmd.Dir = attributes, folder
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, out)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// fsync is for a machine that loses its power. These tests kill processes only.
	run := exec.Command("sh", "-c", keeper, "sh", folder, filepath.Join(bin, "postgres"), "-D", s.data(), "-k", folder, "-p", s.port,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=300", "-c", "shared_buffers=64MB")
	for _, setting := range settings {
		run.Args = append(run.Args, "-c", setting)
	}
	run.SysProcAttr, run.Dir, run.Stderr = attributes, folder, log
	control, err := run.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := run.Start(); err != nil {
		return nil, err
	}
	started = true // from now on, the keeper removes the folder
	s.control = control
	running.Store(s, nil)
	return s, s.await()
}

// await returns when the server answers.
func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.socket())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL did not start: %w\n%s", err, s.Log())
		}
	}
}

// Log returns what the server has to say.
func (s *Server) Log() string {
	log, _ := os.ReadFile(filepath.Join(s.folder, "log")) // it is for a person
	return string(log)
}

// Stop stops the server with a signal: INT ends its sessions, QUIT is a crash.
func (s *Server) Stop(t testing.TB, signal string) {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(s.control, signal); err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(string(pid), "\n")
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat("/proc/" + id); err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("PostgreSQL does not stop")
		}
	}
}

// Start starts a server that was stopped.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if _, err := fmt.Fprintln(s.control, "start"); err != nil {
		t.Fatal(err)
	}
	if err := s.await(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) socket() string {
	return fmt.Sprintf("postgres://%s@/postgres?host=%s&port=%s", User, s.folder, s.port)
}

// Address returns where the server listens.
func (s *Server) Address() string { return "127.0.0.1:" + s.port }

// URL returns the address of an empty database: a schema of its own, which is quicker to make.
func (s *Server) URL(t testing.TB) string {
	t.Helper()
	schema := "t" + strings.ToLower(rand.Text())
	s.Exec(t, s.socket(), "CREATE SCHEMA "+schema)
	return s.socket() + "&search_path=" + schema
}

// Over returns the address of the same database by way of TCP, for a user, without a password.
func (s *Server) Over(address, url, user string) string {
	return fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable&search_path=%s", user, address, schemaOf(url))
}

// schemaOf returns the schema of an address that URL returned.
func schemaOf(url string) string {
	_, schema, _ := strings.Cut(url, "&search_path=")
	return schema
}

// Shared returns the server of [URL].
func Shared(t testing.TB) *Server {
	t.Helper()
	s, err := shared()
	return fit(t, s, err)
}

// Exec runs statements on the database at url.
func (s *Server) Exec(t testing.TB, url, statements string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statements); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}
