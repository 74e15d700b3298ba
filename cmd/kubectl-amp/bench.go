package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/txn2/amp/internal/conform"
	"github.com/txn2/amp/internal/load"
	"github.com/txn2/amp/internal/outbound"
	"github.com/txn2/amp/internal/serve"
	"github.com/txn2/amp/internal/shapes"
)

const benchUsage = `kubectl amp bench measures how fast an endpoint answers when it is called as amp
calls it: over kept connections, with all headers, and with the same limits. It
needs no cluster. It ends by itself: after --duration, or after --requests.

usage: kubectl amp bench --endpoint URL [flags]

Each request is a dry run (ce-dryrun: true), which must have no side effect. The
command sends the Pods that kubectl amp conform sends, in turn, or those of -f.
Without --rate it begins a request as soon as another one ends, which shows what
the endpoint can do. With --rate it shows how long Pods wait at that rate: a
request that has to wait for others counts from when it was due.

  kubectl amp bench --endpoint http://127.0.0.1:9000/
  kubectl amp bench --endpoint http://127.0.0.1:9000/ --rate 50 --duration 30s
  kubectl amp bench --endpoint http://127.0.0.1:9000/ --requests 1000 -o json

exit codes:
  0  all calls succeeded
  1  calls failed; the report says why
  2  nothing could be measured, or not to the end: a wrong flag, a file that cannot
     be read, no server at that address, a certificate that cannot be verified

flags:
`

func runBench(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := newFlags("bench", benchUsage, out, errs)
	flags.output("text", "json")
	endpoint := endpointFlags(flags, "send these Pods and no others")
	config := load.Config{}
	flags.IntVar(&config.Concurrency, "concurrency", 8, fmt.Sprintf("the most requests at once; at most %d", load.MaxConcurrency))
	flags.DurationVar(&config.Duration, "duration", 10*time.Second, fmt.Sprintf("how long to measure; at most %s", load.MaxDuration))
	flags.IntVar(&config.Requests, "requests", 0, "end after so many requests")
	flags.Float64Var(&config.Rate, "rate", 0, "begin so many requests a second (default as many as possible)")
	if code, done := flags.parse(args, 0); done {
		return code
	}
	switch {
	case config.Concurrency < 1 || config.Concurrency > load.MaxConcurrency:
		return flags.fail(fmt.Errorf("--concurrency %d: allowed is 1 to %d", config.Concurrency, load.MaxConcurrency))
	case config.Duration <= 0 || config.Duration > load.MaxDuration:
		return flags.fail(fmt.Errorf("--duration %s: allowed is a positive duration, at most %s", config.Duration, load.MaxDuration))
	case config.Requests < 0 || config.Requests > load.MaxRequests:
		return flags.fail(fmt.Errorf("--requests %d: allowed is 1 to %d", config.Requests, load.MaxRequests))
	case config.Rate != 0 && !(config.Rate >= 0.001 && config.Rate <= 1e6): // also if it is not a number
		return flags.fail(fmt.Errorf("--rate %g: allowed is 0.001 to 1000000", config.Rate))
	}
	at, own, err := endpoint.read(ctx)
	if err != nil {
		return flags.fail(err)
	}
	config.Endpoint, config.Timeout, config.Shapes = at, endpoint.timeout, own
	if own == nil {
		if config.Shapes, err = shapes.All(endpoint.phase()); err != nil {
			return flags.fail(err)
		}
	}
	if config.Client, err = conform.Client(*endpoint.ca, outbound.UserAgent(serve.Version()), endpoint.maxBytes, nil); err != nil {
		return flags.fail(err)
	}
	result, err := load.Run(ctx, config)
	if err != nil {
		return flags.fail(atCA(fmt.Errorf("endpoint %s: %w", at.Name, err)))
	}
	code := exitOK
	if report := load.NewReport(at, result, config.Timeout); report.Requests > 0 {
		code = flags.report(report, result.Failed() > 0)
	}
	if ctx.Err() != nil && code != exitUsage {
		return flags.fail(errInterrupted)
	}
	return code
}
