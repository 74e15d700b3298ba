package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/txn2/amp/endpoints/audit"
	"github.com/txn2/amp/endpoints/audit/move"
	"github.com/txn2/amp/internal/outbound"
)

const auditUsage = `Moves the events of an audit function, for example from SQLite to PostgreSQL, while events arrive.

    endpoints audit export [flags] FROM >events.ndjson
    endpoints audit import [flags] INTO <events.ndjson

FROM and INTO are the address of a running function (http://audit.amp-audit.svc), the path of an
SQLite file that no process uses, or postgres://USER@HOST:5432/DATABASE.

    --after POSITION   export: only what was stored after this position, which an earlier export or
                       import has printed
    --token-file FILE  file with the bearer token that the function wants for reading (export) or for
                       posting (import; one that is for every source). Over http it goes to private
                       addresses only
    --patience TIME    how long a function that does not answer is asked again (default 2m)

An export has one JSON object a line: the CloudEvent as it came ("event"), the time that it has in lists
("time"), and its position. It ends at the present. An import also takes CloudEvents, one a line. Both
read and write in small parts, so they need little memory. What is imported twice is stored once.

To move to a new function without a gap:

 1. Copy what there is:
        endpoints audit export http://old.svc | endpoints audit import http://new.svc
    The import prints the last position, say 4f1c9a-81234. If it ends early, go on from there.
 2. Let amp send to the new one (K_SINK).
 3. Copy what the old one has received in the meantime:
        endpoints audit export --after 4f1c9a-81234 http://old.svc | endpoints audit import http://new.svc

The exit code is 0 if all was moved, 1 if not, 2 if the arguments are wrong.
`

// report is how often an import says how far it has come.
const report = 10 * time.Second

// moveEvents is `endpoints audit export|import`. It returns the exit code.
func moveEvents(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	say := func(format string, a ...any) {
		// A function that it talks to may have written a part of it.
		fmt.Fprintln(stderr, strings.Map(printable, fmt.Sprintf("endpoints audit: "+format, a...)))
	}
	if len(args) == 0 || args[0] != "export" && args[0] != "import" {
		if len(args) > 0 && isHelp(args[0]) {
			fmt.Fprint(stdout, auditUsage)
			return 0
		}
		say("want export or import, see endpoints audit --help")
		return 2
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var after string
	if args[0] == "export" {
		flags.StringVar(&after, "after", "", "")
	}
	tokenFile := flags.String("token-file", "", "")
	patience := flags.Duration("patience", 2*time.Minute, "")
	err := flags.Parse(args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, auditUsage)
		return 0
	case err != nil:
		say("%v: see endpoints audit --help", err)
		return 2
	case flags.NArg() != 1:
		say("%s wants one address, file or database, not %d: see endpoints audit --help", args[0], flags.NArg())
		return 2
	}
	function, done, err := reach(flags.Arg(0), *tokenFile, args[0] == "import")
	if err != nil {
		say("%v", err)
		return 1
	}
	defer done()
	function.Patience = *patience
	function.Trouble = func(err error) { say("%v; trying again", err) }

	var progress move.Progress
	if args[0] == "export" {
		progress, err = function.Export(ctx, after, stdout)
	} else {
		last := time.Now()
		progress, err = function.Import(ctx, stdin, func(p move.Progress) {
			if time.Since(last) > report {
				last = time.Now()
				say("%d events imported, up to position %s", p.Events, p.Position)
			}
		})
	}
	if err != nil {
		say("%v", err)
	}
	what := fmt.Sprintf("%d events %sed", progress.Events, args[0])
	if progress.Position != "" {
		what += fmt.Sprintf("; the last position is %s: export --after %[1]s goes on behind it", progress.Position)
	}
	say("%s", what)
	if err != nil {
		return 1
	}
	return 0
}

// printable replaces what a terminal would obey.
func printable(r rune) rune {
	if r != '\n' && !unicode.IsPrint(r) {
		return ' '
	}
	return r
}

// reach returns a running function, or one of this process on a database. done closes it.
func reach(place, tokenFile string, writing bool) (f *move.Function, done func(), err error) {
	f = &move.Function{URL: place}
	if tokenFile != "" {
		b, err := os.ReadFile(tokenFile)
		if err != nil {
			return nil, nil, fmt.Errorf("reading --token-file: %w", err)
		}
		if f.Token = strings.TrimSpace(string(b)); f.Token == "" {
			return nil, nil, fmt.Errorf("reading --token-file %q: it is empty", tokenFile)
		}
	}
	if strings.HasPrefix(place, "http://") || strings.HasPrefix(place, "https://") {
		if f.Token != "" && strings.HasPrefix(place, "http://") {
			dialer := net.Dialer{Control: outbound.PrivateOnly("the token goes over http to private addresses and loopback only: use https")}
			f.Client = &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
		}
		return f, func() {}, nil
	}
	f.URL = "http://database"
	config := audit.Config{Retention: audit.Forever} // a move deletes nothing
	if strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://") {
		config.Postgres.URL = place
	} else if _, err := os.Stat(place); err != nil && !writing {
		return nil, nil, fmt.Errorf("opening the database: %w", err)
	} else {
		config.Path = place
	}
	server, err := audit.New(config)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; the events of a running function can be had at its address, http://…", err)
	}
	client, stop, err := serveAlone(server)
	if err != nil {
		_ = server.Close()
		return nil, nil, err
	}
	f.Client = client
	return f, func() {
		stop()
		_ = server.Close() // what was answered is stored
	}, nil
}

// serveAlone serves a handler to one client, on a socket that no other user can reach.
func serveAlone(handler http.Handler) (client *http.Client, done func(), err error) {
	folder, err := os.MkdirTemp("", "amp-audit-") // mode 0700
	if err != nil {
		return nil, nil, err
	}
	socket := filepath.Join(folder, "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		_ = os.RemoveAll(folder)
		return nil, nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	return client, func() {
		_ = server.Close()
		_ = os.RemoveAll(folder)
	}, nil
}
