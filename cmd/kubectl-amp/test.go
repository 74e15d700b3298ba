package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/txn2/amp/internal/review"
	"github.com/txn2/amp/internal/serve"
	"github.com/txn2/amp/internal/suite"
	"github.com/txn2/amp/internal/tryout"
)

const testUsage = `kubectl amp test runs suites: YAML files of cases. A case has a Pod, who creates it,
and what is expected of the endpoint's answer:

  cases:
  - name: the creator is written down
    file: deployment.yaml        # or pod: with the Pod itself
    user: jane
    expect:
      outcome: mutated
      pod:
        /metadata/annotations/example.com~1created-by: jane

usage: kubectl amp test FILE... [flags]

A folder stands for the suites in it: the files *.yaml that have the field cases.

  kubectl amp test tests.yaml --endpoint http://127.0.0.1:9000/
  kubectl amp test tests/
  kubectl amp test *.yaml --junit report.xml
  kubectl amp test tests.yaml --update

exit codes:
  0  every case passed
  1  a case failed
  2  a case could not be asked: a wrong flag, a file that cannot be read, a wrong
     field, or no server at the endpoint's address

flags:
`

func runTest(ctx context.Context, args []string, out, errs io.Writer) int {
	f := newFlags("test", testUsage, out, errs)
	var o suite.Options
	f.StringArrayVar(&o.Endpoints, "endpoint", nil, "URL of the endpoint, instead of those in the files; repeated, a chain")
	ca := f.caFlag("endpoints")
	f.DurationVar(&o.Timeout, "timeout", review.DefaultTimeout, "time for a case that names none, as AMP_TIMEOUT")
	f.IntVar(&o.Parallel, "parallel", 8, "cases at a time, 1 to 64")
	update := f.Bool("update", false, "rewrite what is expected where it differs; keeps comments and order")
	junit := f.String("junit", "", "file to which the results are written as JUnit's XML")
	format := f.output("text", "json")
	if code, done := f.parse(args, -1); done {
		return code
	}
	switch {
	case f.NArg() == 0:
		return f.fail(errors.New("name a suite, or a folder with suites: kubectl amp test FILE"))
	case o.Timeout <= 0:
		return f.fail(fmt.Errorf("--timeout %s: allowed is a positive duration, e.g. 1500ms", o.Timeout))
	case o.Parallel < 1 || o.Parallel > 64:
		return f.fail(fmt.Errorf("--parallel %d: allowed are 1 to 64", o.Parallel))
	}
	var err error
	if o.Asker, err = tryout.NewAsker(*ca, serve.Version()); err != nil {
		return f.fail(err)
	}
	var suites []*suite.Suite
	for _, path := range f.Args() {
		files, skipped, err := suite.Files(path)
		if errors.Is(err, fs.ErrNotExist) {
			return f.fail(fmt.Errorf("there is no file or folder %s: --help shows what is in one", path))
		}
		if err != nil {
			return f.fail(err)
		}
		for _, file := range skipped {
			fmt.Fprintf(errs, "%s: skipped, it has no cases\n", file)
		}
		for _, file := range files {
			s, err := suite.Load(file)
			if err != nil {
				return f.fail(err)
			}
			suites = append(suites, s)
		}
	}
	report, failure := runSuites(ctx, suites, o, *update, errs)
	if *format == "json" {
		err = review.WriteJSON(out, report)
	} else {
		err = report.WriteText(out)
	}
	if err == nil && *junit != "" {
		var b bytes.Buffer
		if err = report.WriteJUnit(&b); err == nil {
			err = os.WriteFile(*junit, b.Bytes(), 0o644)
		}
	}
	switch err = cmp.Or(err, failure); {
	case err != nil:
		return f.fail(err)
	case report.NotAsked > 0:
		return exitUsage
	case report.Failed > 0:
		return exitFailed
	}
	return exitOK
}

// runSuites runs the suites in order, and updates those that differ. The error says why it did not come to the end; then the
// report has what is known until then.
func runSuites(ctx context.Context, suites []*suite.Suite, o suite.Options, update bool, errs io.Writer) (*suite.Report, error) {
	report := &suite.Report{Results: []suite.Result{}}
	for _, s := range suites {
		results := suite.Run(ctx, s, o)
		var err error
		if update && ctx.Err() == nil {
			results, err = updateSuite(ctx, s, results, o, errs)
		}
		report.Add(results)
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		if err != nil {
			return report, err
		}
	}
	return report, nil
}

// updateSuite rewrites what is expected where it differs, and returns the results of the suite as it is then.
func updateSuite(ctx context.Context, s *suite.Suite, results []suite.Result, o suite.Options, errs io.Writer) ([]suite.Result, error) {
	changed, err := suite.Update(s, results)
	if err != nil || len(changed) == 0 {
		return results, err
	}
	fmt.Fprintf(errs, "%s: rewrote what is expected of: %s\n", s.File, strings.Join(changed, "; "))
	if s, err = suite.Load(s.File); err != nil {
		return results, err
	}
	return suite.Run(ctx, s, o), nil
}
