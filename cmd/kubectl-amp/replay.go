package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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

SOURCE is a file of amp's events (JSON, one a line, or arrays), - for stdin, or
the address of the audit function's page with its filters. Several --events are
read one after the other. Only events of level Full hold their Pod; the report
counts what could not be replayed, and says why.

Each request is a dry run (ce-dryrun: true), which must have no side effect.
Unlike amp in a cluster, this command calls loopback and public addresses.

  kubectl amp replay --events events.ndjson --endpoint http://127.0.0.1:9000/
  kubectl -n amp-system logs -l app.kubernetes.io/name=amp --tail=-1 | kubectl amp replay --events - --endpoint URL
  kubectl amp replay --endpoint URL --token-file token \
    --events 'http://127.0.0.1:8080/?namespace=team-a&from=24h'

exit codes:
  0  every Pod would be the same
  1  a Pod would differ, be denied or fail, or no longer; or one fails as it did
  2  the replay could not start, or could not finish: a wrong flag, a source that
     cannot be read or has nothing to replay, or no answer from the endpoint

flags:
`

// maxParallel bounds the requests at a time.
const maxParallel = 64

func runReplay(ctx context.Context, args []string, out, errs io.Writer) int {
	f := newFlags("replay", replayUsage, out, errs)
	f.output("text", "json")
	var chain tryout.ChainConfig
	events := f.StringArray("events", nil, "file of events, - for stdin, or the URL of the audit function (required); repeated, one after the other")
	token := f.String("token-file", "", "file with the token that reading from the audit function needs")
	f.StringArrayVar(&chain.Endpoints, "endpoint", nil, "URL of the endpoint (required); repeated, a chain")
	f.DurationVar(&chain.Timeout, "timeout", review.DefaultTimeout, "time for one Pod, as AMP_TIMEOUT")
	ca := f.caFlag("addresses")
	parallel := f.Int("parallel", 8, fmt.Sprintf("Pods at a time, 1 to %d", maxParallel))
	limit := f.Int("limit", 0, "replay at most so many Pods (default all)")
	showValues := f.Bool("show-values", false, "show all values; by default not those that an event of level Patch hides")
	if code, done := f.parse(args, 0); done {
		return code
	}
	switch {
	case len(*events) == 0, slices.Contains(*events, ""):
		return f.fail(errors.New("--events is missing: name a file of events, - for stdin, or the URL of the audit function"))
	case len(chain.Endpoints) == 0:
		return f.fail(errors.New("--endpoint is missing: name the URL of the endpoint, e.g. --endpoint http://127.0.0.1:9000/"))
	case chain.Timeout <= 0:
		return f.fail(fmt.Errorf("--timeout %s: allowed is a positive duration, e.g. 1500ms", chain.Timeout))
	case *parallel < 1 || *parallel > maxParallel:
		return f.fail(fmt.Errorf("--parallel %d: allowed are 1 to %d", *parallel, maxParallel))
	case *limit < 0:
		return f.fail(fmt.Errorf("--limit %d: allowed is a positive number, or 0 for all", *limit))
	case count(*events, "-") > 1:
		return f.fail(fmt.Errorf("--events - is there %d times, and stdin can be read once", count(*events, "-")))
	case *token != "" && len(servers(*events)) > 1:
		return f.fail(errors.New("--token-file is for one audit function, and --events names several: replay them one by one"))
	case *token != "" && !slices.ContainsFunc(*events, review.BeginsURL):
		return f.fail(errors.New("--token-file is for the audit function, and --events is not its URL"))
	}
	chain.CAFile, chain.Source, chain.Version = *ca, "https://amp.txn2.com/replay", serve.Version()
	config := replay.Config{Parallel: *parallel, Limit: *limit, ShowValues: *showValues}
	var err error
	if config.Chain, err = tryout.NewChain(chain); err != nil {
		return f.fail(err)
	}
	var sources []replay.Named
	for _, name := range *events {
		source, closeSource, err := openEvents(ctx, name, *token, *ca)
		if err != nil {
			return f.fail(fmt.Errorf("--events: %w", err))
		}
		defer closeSource()
		sources = append(sources, source)
	}
	config.Source = replay.Join(sources...)
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

// count is how often a value is among all.
func count(all []string, value string) (n int) {
	for _, one := range all {
		if one == value {
			n++
		}
	}
	return n
}

// servers are the servers of those of the sources that are URLs, each once.
func servers(sources []string) []string {
	var all []string
	for _, source := range sources {
		if u, err := review.ParseURL(source); err == nil && !slices.Contains(all, u.Scheme+"://"+u.Host) {
			all = append(all, u.Scheme+"://"+u.Host)
		}
	}
	return all
}

// openEvents opens a source. The caller closes it.
func openEvents(ctx context.Context, source, tokenFile, caFile string) (replay.Named, func(), error) {
	switch {
	case review.BeginsURL(source): // its errors and events name themselves
		events, err := replay.NewAudit(replay.AuditConfig{URL: source, TokenFile: tokenFile, CAFile: caFile, UserAgent: outbound.UserAgent(serve.Version())})
		return replay.Named{Source: events}, func() {}, err
	case source == "-":
		return replay.Named{Source: replay.NewReader(interruptible{ctx, os.Stdin}), Name: "stdin"}, func() {}, nil
	}
	file, err := os.Open(source)
	if err != nil {
		return replay.Named{}, nil, err
	}
	return replay.Named{Source: replay.NewReader(file), Name: source}, func() { file.Close() }, nil
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
