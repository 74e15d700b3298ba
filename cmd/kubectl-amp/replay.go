package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/replay"
	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
	"github.com/txn2/amp/internal/tryout"
)

const replayUsage = `kubectl amp replay sends recorded Pods through a new version of an endpoint, and
shows what would differ from what was answered then.

usage: kubectl amp replay --events SOURCE --endpoint URL [flags]

SOURCE is a file of amp's events (JSON, one a line, or an array), - for stdin, or
the address of the audit function's page with its filters. Only events of level
Full hold their Pod; the report counts what could not be replayed, and says why.

Each request is a dry run (ce-dryrun: true), which must have no side effect.
Unlike amp in a cluster, this command calls loopback and public addresses.

  kubectl amp replay --events events.ndjson --endpoint http://127.0.0.1:9000/
  kubectl -n amp-system logs -l app.kubernetes.io/name=amp --tail=-1 | kubectl amp replay --events - --endpoint URL
  kubectl amp replay --endpoint URL --token-file token \
    --events 'http://127.0.0.1:8080/?namespace=team-a&from=24h'

exit codes:
  0  every Pod would be the same
  1  a Pod would differ, be denied or fail, or no longer; or one fails as it did
  2  the question could not be asked, or not to its end: a wrong flag, a source that
     cannot be read or has nothing to replay, or no answer from the endpoint

flags:
`

// maxParallel bounds the requests at a time.
const maxParallel = 64

func runReplay(ctx context.Context, args []string, out, errs io.Writer) int {
	f := newFlags("replay", replayUsage, out, errs)
	f.output("text", "json")
	var chain tryout.ChainConfig
	events := f.String("events", "", "file of events, - for stdin, or the URL of the audit function (required)")
	token := f.String("token-file", "", "file with the token that reading from the audit function needs")
	f.StringArrayVar(&chain.Endpoints, "endpoint", nil, "URL of the endpoint (required); repeated, a chain")
	f.DurationVar(&chain.Timeout, "timeout", tryout.DefaultTimeout, "time for one Pod, as AMP_TIMEOUT")
	f.StringVar(&chain.CAFile, "ca", "", "PEM file with the CAs of https addresses; by default the system's")
	parallel := f.Int("parallel", 8, fmt.Sprintf("Pods at a time, 1 to %d", maxParallel))
	limit := f.Int("limit", 0, "replay at most so many Pods (default all)")
	showValues := f.Bool("show-values", false, "show all values; by default not those that an event of level Patch hides")
	if code, done := f.parse(args, 0); done {
		return code
	}
	switch {
	case *events == "":
		return f.fail(errors.New("--events is missing: name a file of events, - for stdin, or the URL of the audit function"))
	case len(chain.Endpoints) == 0:
		return f.fail(errors.New("--endpoint is missing: name the URL of the endpoint, e.g. --endpoint http://127.0.0.1:9000/"))
	case chain.Timeout <= 0:
		return f.fail(fmt.Errorf("--timeout %s: allowed is a positive duration, e.g. 1500ms", chain.Timeout))
	case *parallel < 1 || *parallel > maxParallel:
		return f.fail(fmt.Errorf("--parallel %d: allowed are 1 to %d", *parallel, maxParallel))
	case *limit < 0:
		return f.fail(fmt.Errorf("--limit %d: allowed is a positive number, or 0 for all", *limit))
	case *token != "" && !review.BeginsURL(*events):
		return f.fail(errors.New("--token-file is for the audit function, and --events is not its URL"))
	}
	chain.Source, chain.Version = "https://amp.txn2.com/replay", serve.Version()
	config := replay.Config{Parallel: *parallel, Limit: *limit, ShowValues: *showValues}
	var err error
	if config.Chain, err = tryout.NewChain(chain); err != nil {
		return f.fail(err)
	}
	source, closeSource, err := openEvents(ctx, *events, *token, chain.CAFile)
	if err != nil {
		return f.fail(fmt.Errorf("--events: %w", err))
	}
	defer closeSource()
	config.Source = source
	var erase func()
	config.Progress, erase = progress(errs)

	report, err := replay.Run(ctx, config)
	erase()
	if report != nil && report.Events > 0 {
		if code := f.report(report, report.Differ()); code == exitUsage {
			return code
		}
	}
	if err == nil && report.Replayed == 0 {
		err = fmt.Errorf("there is nothing to replay: %s", nothing(report))
	}
	if err != nil {
		return f.fail(err)
	}
	if hint := tryout.NotInCluster(ctx, chain.Endpoints); hint != "" {
		fmt.Fprintln(errs, "hint:", hint)
	}
	if report.Differ() {
		return exitFailed
	}
	return exitOK
}

// nothing says why a source has nothing to replay.
func nothing(r *replay.Report) string {
	if len(r.Left) == 0 {
		return "the source has no events"
	}
	return fmt.Sprintf("of %d events, none holds a Pod that can be asked about", r.Events)
}

// openEvents opens a source. The caller closes it.
func openEvents(ctx context.Context, source, tokenFile, caFile string) (replay.Source, func(), error) {
	switch {
	case review.BeginsURL(source):
		events, err := replay.NewAudit(replay.AuditConfig{URL: source, TokenFile: tokenFile, CAFile: caFile, UserAgent: outbound.UserAgent(serve.Version())})
		return events, func() {}, err
	case source == "-":
		return replay.NewReader(interruptible{ctx, os.Stdin}), func() {}, nil
	}
	file, err := os.Open(source)
	if err != nil {
		return nil, nil, err
	}
	return replay.NewReader(file), func() { file.Close() }, nil
}

// progress returns what shows the progress on a terminal, and what takes it off again. Elsewhere both do nothing.
func progress(errs io.Writer) (show func(events, pods int), erase func()) {
	if !isTerminal(errs) {
		return nil, func() {}
	}
	var last atomic.Int64
	return func(events, pods int) {
			now := time.Now().UnixMilli()
			if before := last.Load(); now-before >= 200 && last.CompareAndSwap(before, now) {
				fmt.Fprintf(errs, "\r%d events read, %d Pods replayed ", events, pods)
			}
		}, func() {
			if last.Load() > 0 {
				fmt.Fprintf(errs, "\r%s\r", strings.Repeat(" ", 60))
			}
		}
}
